"""Rating prediction against the published figures: one row at a time, several seeds each.

python benchmarks/accuracy.py                   lists the rows and the command behind each
python benchmarks/accuracy.py ROW [ROW ...]     measures them, --seeds 3 by default: results/rating.csv
python benchmarks/accuracy.py --table           writes the README's tables from that file

For each seed: train.py's own steps (validation chooses the epochs, then training starts again on all but the test),
and the test once at the end. Beside it, for comparison with papers that chose their epoch so, the lowest test RMSE
after any epoch of the second training, which decides nothing: what is watched is written down and never read. That
training ends where validation says; a longer one might show a lower figure still.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import tables

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
RATINGS, DIFFERENCES = "rating.csv", "rating_differences.csv"
KEPT = REPOSITORY / "runs" / "accuracy"
ML1M, U1 = "--data ml-1m --protocol random", "--data ml-100k --protocol u1"
SMALL = "--target hidden --dropout 0.5 --decay 0.95"
BIG = "--hidden 500 --batch-size 256 --l2 0.03 --dropout 0.5"
STARS = "--hidden 500,500 --activation sigmoid --no-baseline --no-implicit --no-normalise --dropout 0"  # as in papers
PAPER = f"{STARS} --optimizer lbfgs --iterations 10"
ROWS = {  # name: (model with its options, data and protocol, the row that it is compared with)
    "ml-1m/bias": ("bias", ML1M, None),
    "ml-1m/autorec-movies": (f"autorec --rows movies {BIG}", ML1M, None),
    "ml-1m/autorec-users": ("autorec", ML1M, None),
    "ml-1m/sparsefc": (f"sparsefc {BIG} --sparsity 1e-6", ML1M, "ml-1m/autorec-movies"),
    "ml-1m/glocalk": (f"glocalk {BIG} --sparsity 1e-6", ML1M, "ml-1m/sparsefc"),
    "ml-1m/sparsefc-lbfgs": (f"sparsefc {PAPER} --l2 0.0632 --sparsity 1.4e-5", ML1M, "ml-1m/autorec-movies"),
    "u1/bias": ("bias", U1, None),
    "u1/autorec-users": ("autorec", U1, None),
    "u1/autorec-movies": (f"autorec --rows movies --hidden 500 {SMALL}", U1, None),
    "u1/deeprec": ("deeprec --rows movies --hidden 256,256,512 --target hidden --dropout 0.5", U1, None),
    "u1/sparsefc": (f"sparsefc {SMALL}", U1, "u1/autorec-movies"),
    "u1/sparsefc-lbfgs": (f"sparsefc {PAPER} --l2 0.0707 --sparsity 2e-5", U1, "u1/sparsefc"),
    "u1/glocalk": (f"glocalk {SMALL}", U1, "u1/sparsefc"),
    "u1/glocalk-shuffled": (f"glocalk {SMALL}", U1, "u1/glocalk"),
    "u1/glocalk-stars": (f"glocalk {STARS} --l2 0.045", U1, "u1/glocalk"),
    "u1/glocalk-stars-shuffled": (f"glocalk {STARS} --l2 0.045", U1, "u1/glocalk-stars"),
}
SIDE = {}  # the same with side features, one kind at a time and all
for data in ("ml-1m", "u1"):
    for names in ("genres", "year", "age", "gender", "occupation", "genres,year,age,gender,occupation"):
        model, options, _ = ROWS[f"{data}/autorec-movies"]
        SIDE[f"{data}/side-{names}"] = (f"{model} --side {names}", options, f"{data}/autorec-movies")
ROWS |= SIDE


def measure(row, seed):
    """One row and seed, in this process: prints its line of the results as JSON, keeps each user's squared errors."""
    import train
    from utils import evaluation
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
    watching = []

    def watch():
        begin = time.perf_counter()
        rmse = judge()["rmse"].value
        watching.append(time.perf_counter() - begin)
        return rmse

    training.watch = watch
    history = model.refit(split.refit, training) or []
    seconds = time.perf_counter() - start - sum(watching)

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
                "test_selected_rmse": round(min(line["watched"] for line in history), 5) if history else "",
                "epochs": len(history),
                "seconds": round(seconds, 1),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
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


def update(name, lines):
    """Put lines into a results file, in place of those of the same row."""
    kept = [line for line in tables.read(name) if line["row"] not in {new["row"] for new in lines}]
    order = list(ROWS)
    tables.write(name, sorted([*kept, *lines], key=lambda line: (order.index(line["row"]), int(line.get("seed", 0)))))


def main(rows, seeds):
    """Measure rows, each seed in a process of its own, whose peak memory is then the row's."""
    from utils import runs

    commit = runs.commit()  # before the results change
    for row in rows:
        lines = []
        for seed in range(seeds):
            command = [sys.executable, __file__, "--measure", row, str(seed)]
            done = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
            lines.append(json.loads(done.stdout.splitlines()[-1]) | {"commit": commit})
            print(lines[-1], flush=True)
        update(RATINGS, lines)
        if less := ROWS[row][2]:
            if all(_errors(less, seed).exists() for seed in range(seeds)):
                update(DIFFERENCES, [differences(row, less, range(seeds))])
            else:
                print(f"{row}: no difference to {less}, which has not been measured here with these seeds")


def side_table():
    """The README's table of what side features bring."""
    lines, less = tables.read(RATINGS), {line["row"]: line for line in tables.read(DIFFERENCES)}
    text = ["| side features | data | seeds | RMSE | less that without |", "|---|---|" + "---:|" * 3]
    for row in (row for row in SIDE if row in less):
        values = [line["rmse"] for line in lines if line["row"] == row]
        data, names = row.split("/side-")
        cells = [names.replace(",", ", "), data, str(len(values)), tables.mean(values, spread=True), _less(less[row])]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def _less(found):
    difference, low, high = (f"{float(found[name]):+.4f}" for name in ("difference", "low", "high"))
    return f"{difference} ({low} to {high})"


def table():
    """The README's table in Markdown."""
    lines, less = tables.read(RATINGS), {line["row"]: line for line in tables.read(DIFFERENCES)}
    names = ["data", "model", "seeds", "RMSE", "MAE", "test-selected, as published", "seconds", "RMSE less that of"]
    text = [f"| {' | '.join(names)} |", "|---|---|" + "---:|" * 5 + "---|"]
    for row in dict.fromkeys(line["row"] for line in lines if line["row"] not in SIDE):
        own = [line for line in lines if line["row"] == row]
        model, data = own[0]["command"].split(" --data ")
        model = f"`{model}`" + (", ids shuffled" if row.endswith("-shuffled") else "")
        cells = [data.replace(" --protocol", ","), model, str(len(own))]
        for name in ("rmse", "mae", "test_selected_rmse"):
            cells.append(tables.mean([line[name] for line in own], spread=name == "rmse"))
        cells.append(f"{statistics.mean(float(line['seconds']) for line in own):.0f}")
        cells.append(f"`{less[row]['less'].split('/')[1]}`: {_less(less[row])}" if row in less else "")
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--seeds", type=int, default=3, choices=range(1, 11), metavar="N")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--measure", nargs=2, metavar=("ROW", "SEED"), help="one seed, printed as JSON")
    chosen = parser.parse_args()
    if unknown := set(chosen.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if chosen.measure:
        measure(chosen.measure[0], int(chosen.measure[1]))
    elif chosen.table:
        tables.replace("accuracy", table())
        tables.replace("side", side_table())
    elif chosen.rows:
        main(chosen.rows, chosen.seeds)
    else:
        for row, (command, data, _) in ROWS.items():
            print(f"{row:24} python train.py {command} {data}")
