"""Rating prediction against the published figures: one row at a time, several seeds each.

python benchmarks/accuracy.py                   lists the rows and the command behind each
python benchmarks/accuracy.py ROW [ROW ...]     measures them, --seeds 3 by default: results/rating.csv
python benchmarks/accuracy.py --table           writes the README's table from that file

For each seed: train.py's own steps (validation chooses the epochs, then training starts again on all but the test),
and the test once at the end. Beside it, for comparison with papers that chose their epoch so, the lowest test RMSE
after any epoch of the second training, which decides nothing: what is watched is written down and never read.
"""

import csv
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import markdown
import numpy as np

HERE = Path(__file__).resolve().parent
RATINGS, DIFFERENCES = HERE / "results" / "rating.csv", HERE / "results" / "rating_differences.csv"
KEPT = HERE.parent / "runs" / "accuracy"
ML1M, U1 = "--data ml-1m --protocol random", "--data ml-100k --protocol u1"
SMALL = "--target hidden --dropout 0.5 --decay 0.95"
BIG = "--hidden 500 --batch-size 256 --l2 0.03 --dropout 0.5"
STARS = "--hidden 500,500 --activation sigmoid --no-baseline --no-implicit --no-normalise --dropout 0"  # as in papers
PAPER = f"{STARS} --optimizer lbfgs --iterations 10"
ROWS = {  # name: (model with its options, data and protocol, the row that it is compared with)
    "ml-1m/bias": ("bias", ML1M, None),
    "ml-1m/autorec-movies": (f"autorec --rows movies {BIG}", ML1M, None),
    "ml-1m/autorec-users": ("autorec", ML1M, None),
    "ml-1m/sparsefc": (f"sparsefc {BIG}", ML1M, "ml-1m/autorec-movies"),
    "ml-1m/glocalk": (f"glocalk {BIG}", ML1M, "ml-1m/sparsefc"),
    "ml-1m/sparsefc-lbfgs": (f"sparsefc {PAPER} --l2 0.0632 --sparsity 1.4e-5", ML1M, "ml-1m/autorec-movies"),
    "u1/bias": ("bias", U1, None),
    "u1/autorec-users": ("autorec", U1, None),
    "u1/autorec-movies": (f"autorec --rows movies --hidden 500 {SMALL}", U1, None),
    "u1/deeprec": ("deeprec", U1, None),
    "u1/sparsefc": (f"sparsefc {SMALL}", U1, "u1/autorec-movies"),
    "u1/sparsefc-lbfgs": (f"sparsefc {PAPER} --l2 0.0707 --sparsity 2e-5", U1, "u1/sparsefc"),
    "u1/glocalk": (f"glocalk {SMALL}", U1, "u1/sparsefc"),
    "u1/glocalk-shuffled": (f"glocalk {SMALL}", U1, "u1/glocalk"),
    "u1/glocalk-stars": (f"glocalk {STARS} --l2 0.045", U1, "u1/glocalk"),
    "u1/glocalk-stars-shuffled": (f"glocalk {STARS} --l2 0.045", U1, "u1/glocalk-stars"),
}


def measure(row, seed):
    """One row and seed, in this process: prints its line of the results as JSON, keeps each user's squared errors."""
    sys.path.insert(0, str(HERE.parent))
    import train
    from utils import evaluation, runs
    from utils.training import Training

    command, data, _ = ROWS[row]
    name, chosen, config = train.parse([*command.split(), *data.split(), "--seed", str(seed)])
    data, split = train.read(chosen)
    place = np.arange(data.ratings.shape[0])
    if row.endswith("-shuffled"):
        split, place = shuffle(split, seed)
    model = train.build(name, config, data, seed)

    def judge():
        return evaluation.rating_metrics(model.predict, split.test, data.ratings.scale)

    training = Training(show=sys.stderr.isatty())
    start = time.perf_counter()
    model.fit(split.train, split.validation, training)
    watched = []
    training.watch = lambda: watched.append((time.perf_counter(), judge()["rmse"].value, time.perf_counter()))
    history = model.refit(split.refit, training) or []
    seconds = time.perf_counter() - start - sum(end - begin for begin, _, end in watched)

    found = judge()
    np.savez(_errors(row, seed), total=found["mse"].total[place], count=found["mse"].count[place])
    estimates = evaluation.estimates(found)
    print(
        json.dumps(
            {
                "row": row,
                "command": f"{command} {ROWS[row][1]}",
                "seed": seed,
                "rmse": round(estimates["rmse"]["value"], 5),
                "low": round(estimates["rmse"]["low"], 5),
                "high": round(estimates["rmse"]["high"], 5),
                "mae": round(estimates["mae"]["value"], 5),
                "test_selected_rmse": round(min([rmse for _, rmse, _ in watched]), 5) if watched else "",
                "epochs": len(history),
                "seconds": round(seconds, 1),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "commit": runs.commit(),
            }
        )
    )


def shuffle(split, seed):
    """(the `Split` with users and movies in random order, the new place of each user): what depends on the order of ids
    shows in the difference."""
    rng, ratings = np.random.default_rng(seed), split.ratings
    users, movies = (rng.permutation(n).astype(np.int32) for n in ratings.shape)
    return replace(split, ratings=replace(ratings, user=users[ratings.user], movie=movies[ratings.movie])), users


def differences(row, less, seeds):
    """The row's RMSE less the other row's over the same users and seeds, as a line of `DIFFERENCES`."""
    sys.path.insert(0, str(HERE.parent))
    from utils import evaluation

    def pooled(name):
        stored = [np.load(_errors(name, seed)) for seed in seeds]
        return evaluation.Metric(*(sum(part[key] for part in stored) for key in ("total", "count")), root=True)

    found = evaluation.difference(pooled(row), pooled(less))
    rounded = {"difference": found["value"], "low": found["low"], "high": found["high"]}
    return {"row": row, "less": less, **{k: round(v, 5) for k, v in rounded.items()}, "seeds": len(seeds)}


def _errors(row, seed):
    """The file with each user's squared errors; it stays here, and only the differences of two rows are published."""
    KEPT.mkdir(parents=True, exist_ok=True)
    return KEPT / f"{row.replace('/', '-')}-s{seed}.npz"


def update(path, lines):
    """Put lines into a results file, in place of those of the same row."""
    kept = []
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            kept = [line for line in csv.DictReader(file) if line["row"] not in {new["row"] for new in lines}]
    order = list(ROWS)
    lines = sorted([*kept, *lines], key=lambda line: (order.index(line["row"]), int(line.get("seed", 0))))
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, lines[0].keys(), lineterminator="\n")
        out.writeheader()
        out.writerows(lines)


def main(rows, seeds):
    """Measure rows, each seed in a process of its own, whose peak memory is then the row's."""
    for row in rows:
        lines = []
        for seed in range(seeds):
            command = [sys.executable, __file__, "--measure", row, str(seed)]
            done = subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
            lines.append(json.loads(done.stdout.splitlines()[-1]))
            print(done.stdout.splitlines()[-1], flush=True)
        update(RATINGS, lines)
        if less := ROWS[row][2]:
            update(DIFFERENCES, [differences(row, less, range(seeds))])


def table():
    """The README's table in Markdown."""
    with open(RATINGS, encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    with open(DIFFERENCES, encoding="utf-8") as file:
        less = {line["row"]: line for line in csv.DictReader(file)}
    text = [
        "| data | model | RMSE | MAE | test-selected, as published | seconds | RMSE less that of |",
        "|---|---|" + "---:|" * 4 + "---|",
    ]
    for row in dict.fromkeys(line["row"] for line in lines):
        own = [line for line in lines if line["row"] == row]
        model, data = own[0]["command"].split(" --data ")
        cells = [
            _mean(own, "rmse", spread=True),
            _mean(own, "mae"),
            _mean(own, "test_selected_rmse"),
            f"{statistics.mean(float(line['seconds']) for line in own):.0f}",
        ]
        other = ""
        if row in less:
            found, low, high = (f"{float(less[row][name]):+.4f}" for name in ("difference", "low", "high"))
            other = f"`{less[row]['less'].split('/')[1]}`: {found} ({low} to {high})"
        text.append(f"| {data.replace(' --protocol', ',')} | `{model}` | {' | '.join(cells)} | {other} |")
    return "\n".join(text)


def _mean(lines, name, spread=False):
    if not lines[0][name]:
        return ""
    values = [float(line[name]) for line in lines]
    return f"{statistics.mean(values):.4f}" + (
        f" ± {statistics.stdev(values):.4f}" if spread and len(values) > 1 else ""
    )


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--measure"]:
        measure(arguments[1], int(arguments[2]))
    elif arguments == ["--table"]:
        markdown.replace("accuracy", table())
    elif arguments:
        count = int(arguments.pop(arguments.index("--seeds") + 1)) if "--seeds" in arguments else 3
        main([row for row in arguments if row != "--seeds"], count)
    else:
        for row, (command, data, _) in ROWS.items():
            print(f"{row:24} python train.py {command} {data}")
