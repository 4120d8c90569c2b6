"""Accuracy against the published figures and other libraries: one row at a time, several seeds each.

python benchmarks/accuracy.py                   lists the rows and the command behind each
python benchmarks/accuracy.py ROW [ROW ...]     measures them, --seeds 3 by default: results/rating.csv, ranking.csv
python benchmarks/accuracy.py --table           writes the tables of docs/results.md, docs/blending.md and README.md

For each seed: train.py's own steps (validation chooses the epochs, then training starts again on all but the test),
and the test once at the end. Beside it, for comparison with papers that chose their epoch so, the lowest test RMSE
after any epoch of the second training, which decides nothing: what is watched is written down and never read. That
training ends where validation says; a longer one might show a lower figure still. ProfileRows of irspack are its models
on the same splits, their options given in the row; its own evaluator has to agree with our figures."""

import argparse
import json
import resource
import shlex
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import tables
from rows import EXPERIMENTS, RANKING, ROWS, SIDE

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
KEPT = REPOSITORY / "runs" / "accuracy"
JUDGED = {  # figures of a kind of rows, the first with its interval; the metric whose differences are taken
    "rating": (("rmse", "mae"), "mse"),
    "ranking": (("ndcg@100", "recall@20", "recall@50"), "ndcg@100"),
}


def kind(row):
    """Whether a row's figures are those of rating or of ranking."""
    return "ranking" if row in RANKING or row.startswith("likes/") else "rating"


def file(row):
    """The name that the row's result files begin with."""
    return f"experiments_{kind(row)}" if row in EXPERIMENTS else kind(row)


def measure(row, seed):
    """One row and seed, in this process: prints its line of the results as JSON, keeps each user's totals."""
    import models
    import train
    from utils.evaluation import bootstrap, holdout_metrics
    from utils.training.training import Training

    command, data, _ = ROWS[row]
    ours = not command.startswith("irspack ")
    name, chosen, config = train.parse(
        [*shlex.split(command if ours else "popularity"), *data.split(), "--seed", str(seed)]
    )
    data, split = train.read(chosen)
    place = np.arange(data.ratings.shape[0])
    if row.endswith("-shuffled"):
        split, place = shuffle(split, seed)
    if ours:
        model = models.for_data(name, config, data, seed)
    else:
        from irspack_rows import Irspack  # a development requirement, which our own rows do without

        model = Irspack(command, data.ratings.like)

    def judge(model=model):
        if kind(row) == "ranking":
            return holdout_metrics.ranking_metrics(model.score, split.test)
        return holdout_metrics.rating_metrics(model.predict, split.test, data.ratings.scale)

    training, watching = Training(show=sys.stderr.isatty()), []
    start = time.perf_counter()
    history = model.fit(split.train, split.validation, training) or []

    def watch():
        begin = time.perf_counter()
        rmse = judge()["rmse"].value
        watching.append(time.perf_counter() - begin)
        return rmse

    watched = kind(row) == "rating" and not model.blends and row not in EXPERIMENTS  # a blend has no epochs
    training.monitor = watch if watched else None
    if not split.holds_users_out:
        history = model.fit_all(split.refit, training) or []
    seconds = time.perf_counter() - start - sum(watching)

    found = judge()
    if not ours:
        model.check(split.test, found)
    (first, *others), compared = JUDGED[kind(row)]
    _keep(row, seed, found[compared], place)
    estimates = bootstrap.estimates(found)
    line = {"row": row, "command": f"{command} {ROWS[row][1]}", "seed": seed}
    line |= {name: round(estimates[name]["value"], 5) for name in (first, *others)}
    line |= {end: round(estimates[first][end], 5) for end in ("low", "high")}
    if kind(row) == "rating":
        epochs = [line["monitored"] for line in history] if watched else []
        line["test_selected_rmse"] = round(min(epochs), 5) if epochs else ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    line |= {"epochs": len(history), "seconds": round(seconds, 1), "peak_mb": peak}
    print(json.dumps(line | {"parts": judge_parts(row, seed, model, judge, place)}))


def judge_parts(row, seed, model, judge, place):
    """What each part of a blend is worth alone on the same test, trained as it is in the blend: lines of parts.csv."""
    lines, (figure, *_), compared = [], *JUDGED[kind(row)]
    for (said, weights), part in zip(model.weights().items(), model.parts, strict=True) if model.blends else ():
        if row in RANKING or part.predicts_ratings:
            found = judge(part)
            _keep(f"{row} {said}", seed, found[compared], place)
            weight = weights["likes" if row in RANKING else "stars"]
            lines.append({"row": row, "part": said, "seed": seed, "weight": weight, "value": found[figure].value})
    return [line | {"value": round(line["value"], 5)} for line in lines]


def shuffle(split, seed):
    """(the `Split` with users and movies in random order, the new place of each user): what depends on the order of ids
    shows in the difference."""
    rng, ratings = np.random.default_rng(seed), split.ratings
    users, movies = (rng.permutation(n).astype(np.int32) for n in ratings.shape)
    return replace(split, ratings=replace(ratings, user=users[ratings.user], movie=movies[ratings.movie])), users


def differences(row, less, seeds):
    """The row's RMSE (NDCG@100) less the other row's over the same users and seeds, as a line of the differences."""
    from utils.evaluation import bootstrap

    def pooled(name):
        stored = [np.load(_kept(name, seed)) for seed in seeds]
        sums = (sum(part[key] for part in stored) for key in ("total", "count"))
        return bootstrap.Metric(*sums, root=kind(row) == "rating")

    found = bootstrap.difference(pooled(row), pooled(less))
    rounded = {"difference": found["value"], "low": found["low"], "high": found["high"]}
    return {"row": row, "less": less, **{k: round(v, 5) for k, v in rounded.items()}, "seeds": len(seeds)}


def _kept(row, seed):
    """The file with each user's squared errors, or NDCG; it stays here, only the differences of rows are published."""
    KEPT.mkdir(parents=True, exist_ok=True)
    return KEPT / f"{row.replace('/', '-').replace(' ', '_')}-s{seed}.npz"


def _keep(row, seed, metric, place):
    np.savez(_kept(row, seed), total=metric.total[place], count=metric.count[place])


def update(name, lines):
    """Put lines into a results file, in place of those of the same row."""
    kept = [line for line in tables.read(name) if line["row"] not in {new["row"] for new in lines}]
    order = list(ROWS)
    tables.write(name, sorted([*kept, *lines], key=lambda line: (order.index(line["row"]), int(line.get("seed", 0)))))


def main(rows, seeds):
    """Measure rows, each seed in a process of its own, whose peak memory is then the row's."""
    from utils.runs import run_folder

    commit = run_folder.commit()  # before the results change
    for row in rows:
        lines, parts = [], []
        for seed in range(seeds):
            command = [sys.executable, __file__, "--measure", row, str(seed)]
            done = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
            found = done.stdout[done.stdout.rindex(f'{{"row": "{row}", "command"') :]  # behind irspack's progress bar
            lines.append(json.loads(found) | {"commit": commit})
            parts += lines[-1].pop("parts")
            print(lines[-1], flush=True)
            update(f"{file(row)}.csv", lines)
            if parts:
                said, so_far = dict.fromkeys(of["part"] for of in parts), range(seed + 1)
                update("parts.csv", parts)
                update("parts_differences.csv", [differences(row, f"{row} {part}", so_far) for part in said])
        if less := ROWS[row][2]:
            if all(_kept(less, seed).exists() for seed in range(seeds)):
                update(f"{file(row)}_differences.csv", [differences(row, less, range(seeds))])
            else:
                print(f"{row}: no difference to {less}, which has not been measured here with these seeds")


def side_table():
    """The table of what side features bring, for docs/results.md."""
    lines, less = _results("rating")
    text = ["| side features | data | seeds | RMSE | less that without |", "|---|---|" + "---:|" * 3]
    for row in (row for row in SIDE if row in less):
        values = [line["rmse"] for line in lines if line["row"] == row]
        data, names = row.split("/side-")
        cells = [names.replace(",", ", "), data, str(len(values)), tables.mean(values, spread=True), _less(less[row])]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def blend_table():
    """The table of docs/blending.md: blends, each beside its best part, which is best on the test over all seeds."""
    parts, less = tables.read("parts.csv"), tables.read("parts_differences.csv")
    names = ["row", "figure", "seeds", "blend", "best part", "", "blend less best part", "weights", "seconds"]
    text = [f"| {' | '.join(names)} |", "|---|---|---:|---:|---|---:|---:|---|---:|"]
    for row in (row for row in ROWS if any(line["row"] == row for line in parts)):
        (figure, *_), best = JUDGED[kind(row)][0], (max if row in RANKING else min)
        own = [line for line in tables.read(f"{kind(row)}.csv") if line["row"] == row]
        values, weights = {}, {}
        for line in (line for line in parts if line["row"] == row):
            values.setdefault(line["part"], []).append(float(line["value"]))
            weights.setdefault(line["part"], []).append(float(line["weight"]))
        first = best(values, key=lambda part: statistics.mean(values[part]))
        difference = next(line for line in less if (line["row"], line["less"]) == (row, f"{row} {first}"))
        said = ", ".join(f"{part.split()[0]} {statistics.mean(of):.2f}" for part, of in weights.items())
        cells = [row, "NDCG@100" if row in RANKING else "RMSE", str(len(own))]
        cells += [tables.mean([line[figure] for line in own], spread=True), f"`{first.split()[0]}`"]
        cells += [tables.mean(values[first]), _less(difference), said]
        cells.append(f"{statistics.mean(float(line['seconds']) for line in own):.0f}")
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def _results(kind):
    """(lines of the results, {row: its line of the differences})."""
    return tables.read(f"{kind}.csv"), {line["row"]: line for line in tables.read(f"{kind}_differences.csv")}


def _less(found):
    difference, low, high = (f"{float(found[name]) + 0.0:+.4f}" for name in ("difference", "low", "high"))
    return f"{difference} ({low} to {high})"


def table():
    """The table of rating prediction, for docs/results.md."""
    lines, less = _results("rating")
    names = ["data", "model", "seeds", "RMSE", "MAE", "test-selected, as published", "seconds", "RMSE less that of"]
    text = [f"| {' | '.join(names)} |", "|---|---|" + "---:|" * 5 + "---|"]
    for row in dict.fromkeys(line["row"] for line in lines if line["row"] not in SIDE and "/blend" not in line["row"]):
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


def ranking_table():
    """The table of ranking, for docs/results.md."""
    lines, less = _results("ranking")
    names = ["protocol", "row", "model", "NDCG@100", "Recall@20", "Recall@50", "seconds", "NDCG@100 less that of"]
    text = [f"| {' | '.join(names)} |", "|---|---|---|" + "---:|" * 4 + "---|"]
    for row in dict.fromkeys(line["row"] for line in lines if "/blend" not in line["row"]):
        own = [line for line in lines if line["row"] == row]
        protocol, name = row.split("/")
        cells = [f"`{protocol}`", name, f"`{own[0]['command'].split(' --data ')[0]}`"]
        cells += [tables.mean([line[figure] for line in own], figure == "ndcg@100") for figure in JUDGED["ranking"][0]]
        cells.append(f"{statistics.mean(float(line['seconds']) for line in own):.0f}")
        cells.append(f"{less[row]['less'].split('/')[1]}: {_less(less[row])}" if row in less else "")
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


SUMMARY = {  # rows of the README: what they are
    "ml-1m/bias": "`bias`, the baseline",
    "ml-1m/autorec-movies": "`autorec`, movies as rows",
    "ml-1m/glocalk": "`glocalk`",
    "ml-1m/joint-side": "`joint`, with what is known of users and movies",
    "ml-1m/blend-joint": "`blend` of five models",
    "strong/itemknn": "`itemknn`, the baseline",
    "strong/ease-relaxed": "`ease`",
    "strong/joint-relaxed": "`joint`",
    "strong/blend-all": "`blend` of five models",
}


def summary_table():
    """The table of the README: a few rows of docs/results.md."""
    text = ["| task on ML-1M | model | RMSE | NDCG@100 |", "|---|---|---:|---:|"]
    for row, model in SUMMARY.items():
        figure = JUDGED[kind(row)][0][0]
        value = tables.mean([line[figure] for line in _results(kind(row))[0] if line["row"] == row], spread=True)
        cells = ["rank for new users", model, "", value] if row in RANKING else ["predict stars", model, value, ""]
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
        tables.replace("ranking", ranking_table())
        tables.replace("blends", blend_table(), tables.DOCS / "blending.md")
        tables.replace("summary", summary_table(), tables.README)
    elif chosen.rows:
        main(chosen.rows, chosen.seeds)
    else:
        for row, (command, data, _) in ROWS.items():
            print(f"{row:28} {command if command.startswith('irspack') else f'python train.py {command}'} {data}")
