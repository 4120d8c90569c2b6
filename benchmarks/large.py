"""What large sets take, and small ones beside them, as ratios to an earlier commit, which is checked out for that.

python benchmarks/large.py                     all parts: results/large.csv, and the table of docs/scale.md
python benchmarks/large.py epoch-ml-20m ease   these parts; the other lines stay as they are
python benchmarks/large.py answer --run RUN    recommend.py on another run than that of whole-ml-32m
python benchmarks/large.py --table             the table only, of what was measured

Parts: epoch-ml-1m, epoch-ml-20m, epoch-ml-32m, of `joint`; whole-ml-20m, whole-ml-32m: train.py to the saved run; ease:
the same of `ease` on ML-20M's shape; bundled: the default training; reading: 1 to 32 million ratings; answer: of the
run of whole-ml-32m, in new processes, whose files the system may still have in memory; workers: an epoch of `multvae`
by one process and by two workers on this machine. ML-1M is the real one, the large sets are made up (generate.py) and
kept.

Each measurement is a process of its own, before and now by turns; seconds are the median. Those of an epoch are the
median of the epochs after the first, which compiles, trained as `refit` does; with the workers, as train.py does,
judged on validation. On a large set an epoch of the commit
before took up to half an hour, so 36 of its steps are timed, on as many users as these take, and multiplied. Seconds of
reading are those of the call, all others those of the process. Peak memory is that of the process, .06 GB at least,
without its workers'."""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
from benchmarks import tables  # noqa: E402
from benchmarks.generate import SHAPES, Shape, write_csv  # noqa: E402

MILLION = 10**6
BEFORE, PAGE, RUNS = "ef8a523", tables.DOCS / "scale.md", REPOSITORY / "runs" / "large"
SMALL = Shape(users=6_000, movies=600, ratings=200_000)  # in the place of every set, to try this script
EPOCH = """
import statistics, sys
import numpy as np, scipy.sparse as sp
import train
name, chosen, config = train.parse(["joint", "--data", sys.argv[1], "--epochs", sys.argv[2]])
dataset, split = train.read(chosen)
build = getattr(train, "build", None) or train.models.for_data
model, matrix, times = build(name, config, dataset, 0), split.refit, 1
rows, size, steps = np.flatnonzero(np.diff(matrix.indptr)), model.config.batch_size, int(sys.argv[3])
try:
    from utils.training.batches import parts, size as size_of  # an epoch may be a part of a pass over the rows
    size = size_of(size, matrix.shape[0], 64)
    times = parts(matrix.shape[0])
except ImportError:
    pass
if steps and len(rows) > steps * size:
    times = -(-len(rows) // size) / steps
    kept = np.zeros(matrix.shape[0], np.float32)
    kept[np.random.default_rng(0).choice(rows, steps * size, replace=False)] = 1
    matrix = sp.csr_array(sp.diags_array(kept) @ matrix)
    matrix.eliminate_zeros()
history = model.refit(matrix, train.Training())
print("seconds", times * statistics.median(row["seconds"] for row in history[1:]))
"""
READ = """
import sys, time
try:
    from utils.data.datasets import load
except ImportError:
    from utils.datasets import load
start = time.perf_counter()
load(sys.argv[1])
print("seconds", time.perf_counter() - start)
"""
TRAINED = """
import csv, statistics, sys
from pathlib import Path
import train
train.main(sys.argv[1:])
with open(Path(sys.argv[-1], "history.csv"), encoding="utf-8") as file:
    print("seconds", statistics.median(float(row["seconds"]) for row in list(csv.DictReader(file))[1:]))
"""


@dataclass(frozen=True)
class Case:
    """A line of the table. now, before: what Python runs, in which @ml-20m and the like stand for the file of a set,
    @first-4 for the first 4 million ratings of ML-32M's shape, @run for the run folder; before: none where not given.
    times: how often, of which the median counts. per: what the seconds are divided by."""

    what: str
    now: tuple
    before: tuple = ()
    times: int = 1
    per: int = 1


def epoch(name, epochs, steps):
    """The command of an epoch's measurement; steps: of how many, 0 for all."""
    return ("-c", EPOCH, f"@{name}", epochs, steps)


def trained(name, epochs, *words):
    """The command of an epoch's measurement by train.py; words: more of its options."""
    words = ("--protocol", "strong", "--no-refit", "--epochs", epochs, *words)
    return ("-c", TRAINED, "multvae", "--hidden", "600,200", "--data", f"@{name}", *words, "--run", "@run")


def same(what, *words, times=1, per=1):
    """A `Case` in which the same runs now and before."""
    return Case(what, words, words, times, per)


CASES = {
    "epoch-ml-1m": same("one epoch of `joint`, ML-1M", *epoch("ml-1m", "6", "0"), times=3),
    "epoch-ml-20m": Case("the same, ML-20M's shape", epoch("ml-20m", "2", "0"), epoch("ml-20m", "2", "36")),
    "epoch-ml-32m": Case("the same, ML-32M's shape", epoch("ml-32m", "2", "0"), epoch("ml-32m", "2", "36")),
    "whole-ml-20m": Case("`train.py`, ML-20M's shape", ("train.py", "--data", "@ml-20m", "--run", "@run")),
    "whole-ml-32m": Case("`train.py`, ML-32M's shape", ("train.py", "--data", "@ml-32m", "--run", "@run")),
    "ease": same("`train.py ease`, ML-20M's shape", "train.py", "ease", "--data", "@ml-20m", "--run", "@run"),
    "bundled": same("`train.py`, bundled data", "train.py", "--run", "@run", times=3),
    "answer-user": Case("`recommend.py --user 42`", ("recommend.py", "--user", "42", "--run", "@answer"), times=5),
    "answer-rate": Case(
        "`recommend.py --rate`, 2 movies", ("recommend.py", "--rate", "7=5", "42=3.5", "--run", "@answer"), times=5
    ),
    "workers-ml-1m-none": same("one epoch of `multvae --hidden 600,200`, ML-1M", *trained("ml-1m", "6")),
    "workers-ml-1m-two": same("the same, two workers", *trained("ml-1m", "6", "--workers", "2")),
    "workers-ml-20m-none": Case("the same, ML-20M's shape, one process", trained("ml-20m", "3")),
    "workers-ml-20m-two": Case("the same, two workers", trained("ml-20m", "3", "--workers", "2")),
} | {
    f"reading-{n}": same(f"reading, a million of {n} million ratings", "-c", READ, f"@first-{n}", times=3, per=n)
    for n in (1, 2, 4, 8, 20, 32)
}  # fmt: skip


def resolved(word, version, part, args):
    """A word of a command, or the path that it stands for; files of ratings are written where there are none yet."""
    if word == "@run":
        return RUNS / f"{part}-{version}"
    if word == "@answer":
        return args.run
    if word == "@ml-1m" and not args.small:
        return args.data / "ml-1m"
    if not word.startswith("@"):
        return word
    name = "small" if args.small else word[1:]
    path = args.made / f"{name.replace('ml-', 'ml')}.csv"
    if not path.exists():
        print(f"making {path}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        if name.startswith("first-"):
            with open(resolved("@ml-32m", version, part, args), "rb") as lines, open(part, "wb") as out:
                out.writelines(islice(lines, int(name.removeprefix("first-")) * MILLION + 1))
        else:
            write_csv(part, SMALL if args.small else SHAPES[name])
        part.rename(path)
    return path


def run(words, folder):
    """(seconds of a Python process in a folder, or what it prints as such; its peak memory in GB)."""
    start = time.perf_counter()
    command = [sys.executable, *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        said = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, words[:3])
    printed = [float(line.split()[1]) for line in said.splitlines() if line.startswith("seconds ")]
    return (printed or [seconds])[0], used.ru_maxrss * 1024 / 1e9


def measure(part, trees, args):
    """Yield the line of each version of a part after each measurement."""
    case, found = CASES[part], {"before": [], "now": []}
    for _ in range(case.times):
        for version, words in (("before", case.before), ("now", case.now)):
            if not words:
                continue
            folder = RUNS / f"{part}-{version}"
            shutil.rmtree(folder, ignore_errors=True)
            if args.small and part.startswith(("whole", "bundled")):
                words = (*words, "--epochs", "2")
            found[version].append(run([resolved(word, version, part, args) for word in words], trees[version]))
            size = sum(file.stat().st_size for file in folder.rglob("*")) if folder.exists() else 0
            seconds = statistics.median(seconds for seconds, _ in found[version]) / case.per
            line = {"part": part, "version": version, "seconds": f"{seconds:.4g}"}
            line |= {"peak_gb": f"{max(peak for _, peak in found[version]):.2f}", "run_mb": f"{size / 1e6:.1f}"}
            line |= {"times": len(found[version]), "commit": commit(trees[version])}
            yield line | {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}


def commit(tree):
    """The commit of a working tree; with a + where files differ from it."""
    words = ["git", "-C", str(tree), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def table():
    """The table in docs/scale.md; empty where nothing is measured."""
    lines, rows = {(line["part"], line["version"]): line for line in tables.read("large.csv")}, []
    for part, case in CASES.items():
        if now := lines.get((part, "now")):
            before = lines.get((part, "before"), {"seconds": "", "peak_gb": ""})
            ratio = f"{float(before['seconds']) / float(now['seconds']):.1f}" if before["seconds"] else ""
            size = now["run_mb"] if float(now["run_mb"]) else ""
            row = {"what": case.what, "ratio": ratio, "size": size, "now": now["seconds"], "peak": now["peak_gb"]}
            rows.append(row | {"before": before["seconds"], "peak_before": before["peak_gb"]})
    columns = {"what": "what", "before": "before, s", "now": "now, s", "ratio": "times as fast"}
    columns |= {"peak_before": "peak before, GB", "peak": "peak now, GB", "size": "run folder, MB"}
    return tables.markdown(rows, columns) if rows else ""


def options():
    """The command line; parts are names of `CASES`, or what they begin with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="names of lines, or what they begin with (default: all)")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--made", type=Path, default=REPOSITORY / "data" / "made", help="folder of made-up ratings")
    parser.add_argument("--run", type=Path, default=RUNS / "whole-ml-32m-now", help="what `answer` asks")
    parser.add_argument("--base", type=Path, help=f"a checkout of {BEFORE} (default: one is made)")
    parser.add_argument("--small", action="store_true", help="try it: little data, and no file of results")
    args = parser.parse_args()
    args.data = Path(os.environ.get("REELSPACE_DATA", REPOSITORY.parent / "shared" / "data")).resolve()
    args.made, args.run = args.made.resolve(), args.run.resolve()
    if unknown := [word for word in args.parts if not any(part.startswith(word) for part in CASES)]:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(CASES)}")
    args.parts = [part for part in CASES if part.startswith(tuple(args.parts or [""]))]
    return args


def keep(part, trees, args):
    """Measure a part, and write its lines as they come, in the place of its earlier ones; what fails is said, and the
    next part's turn comes."""
    lines = {}
    try:
        for line in measure(part, trees, args):
            print(line, flush=True)
            lines[line["version"]] = line
            if not args.small:
                others = [other for other in tables.read("large.csv") if other["part"] != part]
                tables.write("large.csv", [*others, *lines.values()])
    except subprocess.CalledProcessError as error:
        print(f"{part}: {error}", file=sys.stderr, flush=True)


def main():
    """Measure, write each line as it comes, then the table."""
    args = options()
    with tempfile.TemporaryDirectory() as folder:
        trees = {"now": REPOSITORY, "before": args.base or Path(folder) / "before"}
        git, parts = ["git", "-C", str(REPOSITORY), "worktree"], [] if args.table else args.parts
        if parts and not args.base:
            subprocess.run([*git, "add", "--quiet", "--detach", trees["before"], BEFORE], check=True)  # noqa: S603
        try:
            for part in parts:
                keep(part, trees, args)
        finally:
            if parts and not args.base:
                subprocess.run([*git, "remove", "--force", trees["before"]], check=True)  # noqa: S603
    if not args.small and tables.read("large.csv"):
        tables.replace("large", table(), PAGE)


if __name__ == "__main__":
    main()
