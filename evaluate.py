"""Judge trained runs on the ratings they never saw, beside simple baselines: python evaluate.py."""

import json
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

import models
from utils import evaluation, methods, options, report, runs, tabular
from utils.errors import UserError

BASELINES = ("bias", "popularity", "itemknn")


@dataclass(frozen=True)
class Options:
    """Options of evaluate.py."""

    run: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...", help_behavior_hint="")] = ()
    """run folders (default: the one trained last)"""
    json: options.Output = None
    """write the figures as JSON to this file, or - for standard output and nothing else there"""


@dataclass(frozen=True)
class Mean:
    """The simplest baseline: the same stars for every pair."""

    stars: float
    predicts_ratings = True

    def predict(self, given, users, movies):
        """The mean."""
        return np.full(len(users), self.stars)


def rating_metrics(model, split):
    """{name: `Metric`} of the test ratings; {} of a model that predicts none, or where only likes are hidden."""
    if not model.predicts_ratings or split.holds_users_out:
        return {}
    return evaluation.rating_metrics(model.predict, split.test, split.ratings.scale)


def of_baselines(split, refitted):
    """{baseline: {name: `Metric`}}, each fitted on what the judged model learned from."""
    matrix = split.refit if refitted else split.train
    found = {"mean": rating_metrics(Mean(matrix.data.mean()), split)}
    for name in BASELINES:
        model = models.build(name, matrix.shape, models.resolved(models.module(name).Config(), split.ratings))
        model.refit(matrix)
        found[name] = rating_metrics(model, split) | evaluation.ranking_metrics(model.score, split.test)
    return found


def of_parts(model, split, found):
    """What each part of a blend is worth alone, trained as it is in the blend, and what the whole is better by: entries
    of --json's `parts`, [] of any other model."""
    entries = []
    for (said, weights), part in zip(model.weights().items(), model.parts, strict=True) if model.blends else ():
        own = rating_metrics(part, split) | evaluation.ranking_metrics(part.score, split.test)
        less = evaluation.differences(found, own)
        entries.append(
            {"part": said, "weights": weights, "metrics": evaluation.estimates(own), "blend_less_part": less}
        )
    return entries


def judge(run):
    """(entry of --json's `runs`, {name: `Metric`} of the run's default method). The test ratings are read here."""
    start = time.perf_counter()
    split, config, chosen = run.split, run.config, run.json("metrics.json")
    ratings, test = split.ratings, split.test
    run.verify()
    if not test.hidden.nnz:
        why = "it was trained on every rating" if config["protocol"] == "all" else "the data is too small for a test"
        raise UserError(f"{run.folder} can't be judged: {why} (protocol {config['protocol']})")
    model = models.load(run)

    scorers = methods.scorers(model, test, split.trained_users, methods.neighbourhoods(chosen))
    ways = {method: evaluation.ranking_metrics(score, test) for method, score in scorers.items()}
    found = rating_metrics(model, split) | ways[chosen["best"]]
    baselines = of_baselines(split, config["refit"])
    if "rmse" in found:
        report.reconstruction(run.folder / "reconstruction.png", model.predict, split)

    facts = {
        "run": str(run.folder),
        "model": config["model"],
        "data": dict(zip(("ratings", "users", "movies"), (len(ratings), *ratings.shape), strict=True))
        | {"name": config["data"], "sha256": config["sha256"]},
        "protocol": {
            "name": config["protocol"],
            "seed": config["seed"],
            "sha256": config["split_sha256"],
            "test_ratings": test.hidden.nnz,
            "test_users": int(np.count_nonzero(np.diff(test.hidden.indptr))),
            "test_users_with_likes": len(evaluation.judged_users(test)),
        },
        "selected_on": "validation",
        "method": chosen["best"],
        "metrics": evaluation.estimates(found),
        "methods": {method: evaluation.estimates(metrics) for method, metrics in ways.items()},
        "baselines": {name: evaluation.estimates(metrics) for name, metrics in baselines.items()},
        "less_baselines": {name: evaluation.differences(found, metrics) for name, metrics in baselines.items()},
        "parts": of_parts(model, split, found),
        "seconds": {"train": config["seconds"], "evaluate": round(time.perf_counter() - start, 2)},
    }
    return facts, found


def compare(judged):
    """Paired differences of every two runs, which must have been judged on the same test ratings."""
    rows = []
    for (a, found_a), (b, found_b) in combinations(judged, 2):
        if (a["data"], a["protocol"]) != (b["data"], b["protocol"]):
            raise UserError(f"{a['run']} and {b['run']} can't be compared: their data or their splits differ")
        rows.append({"run": a["run"], "less": b["run"], "metrics": evaluation.differences(found_a, found_b)})
    return rows


def main(argv=None):
    """Judge each run, print a table, write what was asked for."""
    chosen = options.parse(Options, argv or [], "evaluate.py", __doc__)
    judged = [judge(runs.find(folder)) for folder in chosen.run or (None,)]
    facts = {"runs": [one for one, _ in judged]}
    if len(judged) > 1:
        facts["comparisons"] = compare(judged)
    if chosen.json:
        options.write_text(chosen.json, json.dumps(facts, indent=1, allow_nan=False) + "\n")
    if chosen.json == "-":
        return
    console = tabular.console()
    for one in facts["runs"]:
        console.print(tabular.figures(one))
        console.print()
        for line in tabular.headlines(one):
            console.print(line)
        if (picture := Path(one["run"]) / "reconstruction.png").exists():
            console.print(f"original, reconstruction and error to look at: {picture}", soft_wrap=True)
    for pair in facts.get("comparisons", []):
        for name, row in pair["metrics"].items():
            console.print(f"{pair['run']}: {tabular.sentence(name, row, pair['less'])}", soft_wrap=True)


if __name__ == "__main__":
    options.run(main)
