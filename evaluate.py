"""Judge trained runs on the ratings they never saw, beside simple baselines: python evaluate.py."""

import json
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import models
from utils import evaluation, latent, methods, options, report, runs
from utils.errors import UserError

BASELINES = ("bias", "popularity", "itemknn")


@dataclass(frozen=True)
class Options:
    """Options of evaluate.py."""

    run: tuple[Path, ...] = ()
    """run folders (default: the one trained last)"""
    json: str | None = None
    """write the figures as JSON to this file, or - for standard output and nothing else there"""


def of_model(model, holdout, scale):
    """All metrics that a model defines on a hold-out, ranked by its own scores: {name: `Metric`}."""
    found = evaluation.rating_metrics(model.predict, holdout, scale) if model.predicts_ratings else {}
    return found | evaluation.ranking_metrics(model.score, holdout)


def of_baselines(split):
    """{baseline: {name: `Metric`}}, each fitted on what the judged model was given: training and validation ratings."""
    given, scale = split.test.given, split.ratings.scale
    mean = given.data.mean()
    found = {"mean": evaluation.rating_metrics(lambda _, users, movies: np.full(len(users), mean), split.test, scale)}
    for name in BASELINES:
        model = models.build(name, given.shape)
        model.refit(given)
        found[name] = of_model(model, split.test, scale)
    return found


def judge(run):
    """(facts for --json, {name: `Metric`} of the run's default method) of one run; its test ratings are read here."""
    start = time.perf_counter()
    split, config, chosen = run.split, run.config, run.json("metrics.json")
    test, scale = split.test, split.ratings.scale
    model = models.load(run)
    hood = latent.Neighbourhood(**chosen.get("neighbourhood", {}))
    rating = evaluation.rating_metrics(model.predict, test, scale) if model.predicts_ratings else {}
    ways = {
        method: evaluation.ranking_metrics(score, test)
        for method, score in methods.scorers(model, test.given, hood).items()
    }
    found = rating | ways[chosen["best"]]
    baselines = of_baselines(split)
    if model.predicts_ratings:
        report.reconstruction(run.folder / "reconstruction.png", model.predict, split)
    less = {
        baseline: evaluation.differences(found, metrics) for baseline, metrics in baselines.items()
    }
    ratings = split.ratings
    facts = {
        "run": str(run.folder),
        "model": config["model"],
        "data": {"name": config["data"], "ratings": len(ratings), "users": ratings.shape[0], "movies": ratings.shape[1], "sha256": config["sha256"]},
        "protocol": {"name": config["protocol"], "seed": config["seed"], "test_ratings": test.hidden.nnz, "test_users": int(np.count_nonzero(np.diff(test.hidden.indptr)))},
        "selected_on": "validation",
        "method": chosen["best"],
        "metrics": evaluation.estimates(found),
        "methods": {method: evaluation.estimates(metrics) for method, metrics in ways.items()},
        "baselines": {name: evaluation.estimates(metrics) for name, metrics in baselines.items()},
        "less_baselines": less,
        "seconds": {"train": config["seconds"], "evaluate": round(time.perf_counter() - start, 2)},
    }  # fmt: skip
    return facts, found


def compare(judged):
    """Paired differences of every two runs, which must have been judged on the same test ratings."""
    rows = []
    for (a, found_a), (b, found_b) in combinations(judged, 2):
        if (a["data"], a["protocol"]) != (b["data"], b["protocol"]):
            raise UserError(f"{a['run']} and {b['run']} can't be compared: their data or their splits differ")
        rows.append({"run": a["run"], "less": b["run"], "metrics": evaluation.differences(found_a, found_b)})
    return rows


def show(facts, console):
    """Print the figures of one run beside the baselines', and what the differences say."""
    data, protocol, best = facts["data"], facts["protocol"], facts["method"]
    names = [name for name in ("mse", "rmse", "mae", *evaluation.CUTS) if name in facts["metrics"] | facts["baselines"]["bias"]]
    table = Table(title=f"{facts['run']}: {protocol['test_ratings']:,} test ratings of {protocol['test_users']:,} users", title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(name.upper() if "@" not in name else name.replace("ndcg", "NDCG").replace("recall", "Recall"), justify="right")
    ways = {f"{facts['model']}, {method}": facts["metrics"] | found if method == best else found for method, found in facts["methods"].items()}
    for label, found in {**ways, **facts["baselines"]}.items():
        cells = [f"{found[name]['value']:.4f}" if name in found else "" for name in names]
        table.add_row(label, *cells, style="bold" if label == f"{facts['model']}, {best}" else None)
    console.print(table)
    for baseline, name in (("bias", "rmse"), ("popularity", "ndcg@100"), ("itemknn", "ndcg@100")):
        if row := facts["less_baselines"][baseline].get(name):
            better = row["high"] < 0 if name == "rmse" else row["low"] > 0
            worse = row["low"] > 0 if name == "rmse" else row["high"] < 0
            verdict = "better" if better else "worse" if worse else "can't tell"
            console.print(f"{name.upper()} less {baseline}'s: {row['value']:+.4f} (95% interval {row['low']:+.4f} to {row['high']:+.4f}): {verdict}")


def main(argv=None):
    """Judge each run, print a table, write what was asked for."""
    chosen = options.parse(Options, argv or [], "evaluate.py", __doc__)
    folders = chosen.run or (None,)
    judged = [judge(runs.find(folder)) for folder in folders]
    facts = {"runs": [facts for facts, _ in judged]}
    if len(judged) > 1:
        facts["comparisons"] = compare(judged)
    if chosen.json:
        options.write_text(chosen.json, json.dumps(facts, indent=1) + "\n")
    if chosen.json != "-":
        console = Console()
        for one in facts["runs"]:
            show(one, console)
            if (picture := Path(one["run"]) / "reconstruction.png").exists():
                console.print(f"original, reconstruction and error to look at: {picture}")


if __name__ == "__main__":
    options.run(main)
