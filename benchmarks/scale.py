"""What one epoch takes as the ratings grow, on made-up ones of MovieLens' shape: seconds and peak memory of the whole
process, from reading the CSV to the saved run, and of its parts.

python benchmarks/scale.py            writes results/scale.csv, and the tables and the plot of docs/scale.md
python benchmarks/scale.py --table    the tables and the plot only, of what was measured

Ratings: 1 to 32 million, 145 a user as in MovieLens, of 10,000 movies throughout. Catalogue: 1 million ratings of up to
80,000 movies."""

import csv
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
from benchmarks import tables  # noqa: E402
from benchmarks.generate import Shape, write_csv  # noqa: E402

TRAIN = ("autorec", "--hidden", "64", "--epochs", "1", "--batch-size", "256", "--no-refit")
A_USER, MOVIES = 145, 10_000
CODE = """
import resource, sys, time
from utils.data import datasets
import train
start = time.perf_counter()
load = datasets.load
def timed(*a, **k):
    start = time.perf_counter()
    found = load(*a, **k)
    print('read', time.perf_counter() - start)
    return found
datasets.load = timed
train.main(sys.argv[1:])
print('peak', resource.getrusage(0).ru_maxrss)
"""


def measure(million, movies=MOVIES):
    """The line of so many million ratings: trains one epoch in a process of its own."""
    ratings = int(million * 1e6)
    shape = Shape(users=ratings // A_USER, movies=movies, ratings=ratings)
    with tempfile.TemporaryDirectory() as folder:
        table, run = Path(folder) / "generated.csv", Path(folder) / "run"
        write_csv(table, shape)
        command = [sys.executable, "-c", CODE, *TRAIN, "--data", str(table), "--run", str(run)]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)  # noqa: S603
        seconds = time.perf_counter() - start
        with open(run / "history.csv", encoding="utf-8") as file:
            epoch = float(next(csv.DictReader(file))["seconds"])
    found = {"ratings": ratings, "users": shape.users, "movies": movies}
    found |= {"read_seconds": round(float(re.search(r"read ([\d.]+)", done.stdout)[1]), 2)}
    found |= {"epoch_seconds": round(epoch, 2), "process_seconds": round(seconds, 1)}
    found |= {"peak_gb": round(int(re.search(r"peak (\d+)", done.stdout)[1]) / 1e6, 2)}
    return found | {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}


def rows(grows):
    """The lines in which the ratings or the catalogue grow."""
    found = tables.read("scale.csv")
    fixed = {"ratings": ("movies", str(MOVIES)), "catalogue": ("ratings", "1000000")}[grows]
    return [row for row in found if row[fixed[0]] == fixed[1]]


def growth(name):
    """[(ratings, how many times as much as for the fewest, over how many times the ratings)] of a column."""
    first, *others = rows("ratings")
    times = [int(row["ratings"]) / int(first["ratings"]) for row in others]
    return [
        (int(row["ratings"]), float(row[name]) / float(first[name]) / n) for row, n in zip(others, times, strict=True)
    ]


def plot(path):
    """Seconds and memory over ratings, with what grows linearly from the first."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    found = rows("ratings")
    millions = [int(row["ratings"]) / 1e6 for row in found]
    for axes, names, unit in zip(
        figure.subplots(1, 2),
        (("process_seconds", "epoch_seconds", "read_seconds"), ("peak_gb",)),
        ("seconds", "GB, most memory of the process"),
        strict=True,
    ):
        for name, colour in zip(names, ("#0b63a8", "#c1440e", "#4a7a2c"), strict=False):
            values = [float(row[name]) for row in found]
            label = {"process_seconds": "all", "epoch_seconds": "one epoch", "read_seconds": "reading the CSV"}
            axes.plot(millions, values, "o-", color=colour, label=label.get(name))
            axes.plot(millions, [values[0] * m / millions[0] for m in millions], ":", color=colour, linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel="million ratings", ylabel=unit)
        axes.set_xticks(millions, [f"{m:g}" for m in millions])
        axes.minorticks_off()
    figure.axes[1].set_yticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    figure.axes[0].legend(frameon=False)
    figure.suptitle("Dotted: growing as the ratings do", fontsize=10)
    figure.savefig(path, dpi=110, format="png")


def table(grows):
    """The table in docs/scale.md."""
    columns = {"ratings": "ratings", "users": "users", "movies": "movies", "read_seconds": "reading, s"}
    columns |= {"epoch_seconds": "one epoch, s", "process_seconds": "whole process, s", "peak_gb": "peak, GB"}
    lines = [row | {name: f"{int(row[name]):,}" for name in ("ratings", "users", "movies")} for row in rows(grows)]
    return tables.markdown(lines, columns, 0)


HIDDEN, STEP = (600, 200), 500  # of the multvae that is computed with, and users of a step of it
BUDGETS = ((10**6, 10_000), (10**8, 60_000), (10**10, 1_000_000))  # ratings and movies


def _computed(movies):
    """How many of the movies a step is computed on: at most those that its users rated, and a sample of others."""
    from utils.training.batches import ALL_COLUMNS, SAMPLED_COLUMNS

    return movies if movies <= ALL_COLUMNS else min(movies, STEP * A_USER + SAMPLED_COLUMNS)


def budget():
    """The table of what an epoch takes by arithmetic."""
    lines = []
    for ratings, movies in BUDGETS:
        users = ratings // A_USER
        weights, moved = (2 * n * HIDDEN[0] + 3 * HIDDEN[0] * HIDDEN[1] for n in (movies, _computed(movies)))
        found = {"ratings": f"{ratings:,}", "users": f"{users:,}", "movies": f"{movies:,}"}
        found |= {"table": _size(12 * ratings), "matrix": _size(8 * ratings + 8 * users)}
        found |= {"model": _size(12 * weights), "ease": _size(8 * movies**2)}
        found |= {"work": f"{6 * moved * users:.0e}", "steps": f"{-(-users // STEP):,}"}
        lines.append(found | {"traffic": _size(2 * 4 * moved * -(-users // STEP))})
    columns = {"ratings": "ratings", "users": "users", "movies": "movies", "table": "table", "matrix": "sparse matrix"}
    columns |= {"model": "weights and moments", "ease": "EASE's matrix", "work": "operations an epoch"}
    return tables.markdown(lines, columns | {"steps": "steps", "traffic": "sent by a worker an epoch"}, 0)


def _size(count):
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} EB"


def show():
    """Tables and plot of what was measured."""
    notes = REPOSITORY / "docs" / "scale.md"
    for grows in ("ratings", "catalogue"):
        tables.replace(f"scale-{grows}", table(grows), notes)
    tables.replace("scale-budget", budget(), notes)
    plot(REPOSITORY / "docs" / "scale.png")


def main():
    """Measure, write each line as it comes, then tables and plot."""
    if tables.words(__doc__) == ["--table"]:
        return show()
    cases = [*((million, MOVIES) for million in (1, 2, 4, 8, 16, 32)), *((1, n) for n in (20_000, 40_000, 80_000))]
    found = []
    for case in cases:
        found.append(measure(*case))
        print(found[-1], flush=True)
        tables.write("scale.csv", found)
    show()


if __name__ == "__main__":
    main()
