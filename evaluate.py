"""Judge trained runs on the ratings they never saw, beside simple baselines: python evaluate.py."""

import contextlib
import json
import shlex
import sys
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

import models
from utils.command_line import options
from utils.data.movies import genre_shares
from utils.data.ratings import given
from utils.errors import UserError
from utils.evaluation import bootstrap, holdout_metrics, reconstruction, subgroups
from utils.evaluation.beyond_accuracy import beyond
from utils.recommend import strategies
from utils.recommend.recommendations import samples
from utils.report import latent_maps, page, pictures, summary, tables
from utils.report.pictures import curves
from utils.runs import files, run_folder
from utils.runs.evaluation_results import keep

BASELINES = ("bias", "popularity", "itemknn")


@dataclass(frozen=True)
class Options:
    """Options of evaluate.py."""

    run: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...", help_behavior_hint="")] = ()
    """run folders (default: the one trained last)"""
    verify: bool = True
    """compare each file of the run with its checksum before it is used; on huge runs that takes seconds"""
    json: options.Output = None
    """write the figures as JSON to this file, or - for standard output and nothing else there"""
    report: Annotated[Path | None, tyro.conf.arg(metavar="FILE.html", help_behavior_hint="")] = None
    """write a report to look at: one file that needs no network"""

    def __post_init__(self):
        if self.report and (str(self.report) == "-" or str(self.report) == self.json):
            raise ValueError("--report takes a file of its own, such as report.html")


@dataclass(frozen=True)
class Mean:
    """The simplest baseline: the same stars for every pair."""

    stars: float
    predicts_ratings = True

    def predict(self, given, users, movies):
        """The mean."""
        return np.full(len(users), self.stars)


def predicted(model, split):
    """The `Predicted` of the test ratings; None of a model that predicts none, or where only likes are hidden."""
    if not model.predicts_ratings or split.holds_users_out:
        return None
    return holdout_metrics.predicted(model.predict, split.test, split.ratings.scale)


def rating_metrics(model, split):
    """{name: `Metric`} of the test ratings; {} where there is nothing `predicted`."""
    guess = predicted(model, split)
    return holdout_metrics.of_predicted(guess, split.ratings.shape[0]) if guess else {}


def of_baselines(split, refitted, of_lists):
    """{baseline: {name: `Metric`}}, each fitted on what the judged model learned from. of_lists: a function from a
    score function to (lists, their metrics)."""
    matrix = split.refit if refitted else split.train
    found = {"mean": rating_metrics(Mean(matrix.data.mean()), split)}
    for name in BASELINES:
        model = models.build(name, matrix.shape, scale=split.ratings.scale, like=split.ratings.like)
        model.refit(matrix)
        found[name] = rating_metrics(model, split) | of_lists(model.score)[1]
    return found


def of_parts(model, split, found, of_lists):
    """What each part of a blend is worth alone, trained as it is in the blend, and what the whole is better by: entries
    of --json's `parts`, [] of any other model."""
    entries = []
    for (said, weights), part in zip(model.weights().items(), model.parts, strict=True) if model.blends else ():
        own = rating_metrics(part, split) | of_lists(part.score)[1]
        less = bootstrap.differences(found, own)
        entries.append({"part": said, "weights": weights, "metrics": bootstrap.estimates(own), "blend_less_part": less})
    return entries


def judge(run, drawn=False):
    """(entry of --json's `runs`, {name: `Metric`} of the run's default method). The test ratings are read here. drawn:
    with what only the report's plots take."""
    start = time.perf_counter()
    split, config, chosen = run.split, run.config, run.json("metrics.json")
    ratings, test, n_users = split.ratings, split.test, split.ratings.shape[0]
    run.verify()
    if not test.hidden.nnz:
        why = "it was trained on every rating" if config["protocol"] == "all" else "the data is too small for a test"
        raise UserError(f"{run.folder} can't be judged: {why} (protocol {config['protocol']})")
    saved = models.open_run(run)
    model = saved.model
    space, shares = model.latent if model.has_latent_space else None, genre_shares(run.movies)

    def of_lists(score):
        lists = holdout_metrics.lists(score, test)
        found = holdout_metrics.of_lists(lists, n_users)
        return lists, found | beyond(lists, test.given, test.like, shares, space and space.movies)

    scorers = strategies.scorers(model, test, split.trained_users, strategies.neighbourhoods(chosen))
    ways = {method: of_lists(score) for method, score in scorers.items()}
    lists, own = ways[chosen["best"]]
    guess = predicted(model, split)
    found = (holdout_metrics.of_predicted(guess, n_users) if guess else {}) | own
    baselines = of_baselines(split, config["refit"], of_lists)
    errors = (guess.users, guess.movies, guess.stars - guess.actual) if guess else None

    facts = {
        "run": str(run.folder),
        "model": config["model"],
        "data": dict(zip(("ratings", "users", "movies"), (len(ratings), *ratings.shape), strict=True))
        | {"name": config["data"], "sha256": config["sha256"]},
        "protocol": {
            "name": config["protocol"],
            "seed": config["seed"],
            "sha256": config["split_sha256"],
            "test_sha256": split.test_fingerprint(),
            "test_ratings": test.hidden.nnz,
            "test_users": int(np.count_nonzero(np.diff(test.hidden.indptr))),
            "test_users_with_likes": len(lists.users),
            "like": test.like,
        },
        "selected_on": "validation",
        "method": chosen["best"],
        "metrics": bootstrap.estimates(found),
        "methods": {method: bootstrap.estimates(metrics) for method, (_, metrics) in ways.items()},
        "baselines": {name: bootstrap.estimates(metrics) for name, metrics in baselines.items()},
        "less_baselines": {name: bootstrap.differences(found, metrics) for name, metrics in baselines.items()},
        "parts": of_parts(model, split, found, of_lists),
        "slices": subgroups.judge(subgroups.slices(test.given, run.movies, run.users), n_users, lists, errors),
        "learning": curves(run.history),
        "latent": space and latent_maps.about(saved),
        "samples": samples(saved, lists.users if len(lists.users) else np.unique(test.hidden.tocoo().row)),
        "made": {name: config.get(name) for name in ("command", "options", "versions", "git_commit")},
    }
    facts["said"] = summary.said(facts)
    if drawn:
        facts["pictured"] = {}
    if guess:
        draw_stars(run, model, space, guess, facts, drawn)
    if drawn and space:
        facts["pictured"] |= {"movies": latent_maps.movie_map(saved), "users": latent_maps.user_map(saved)}
    facts["seconds"] = {"train": config["seconds"], "evaluate": round(time.perf_counter() - start, 2)}
    return facts, found


def draw_stars(run, model, space, guess, facts, drawn):
    """Put what was `Predicted` beside what was given, into reconstruction.png and the facts."""
    split, stars = run.split, guess.stars
    n_users, scale = split.ratings.shape[0], split.ratings.scale
    actual = given(guess.actual, scale)
    block = reconstruction.block(model.predict, split, run.movies, space and (space.users, space.movies))
    with left_beside(run):
        pictures.reconstruction(run.folder / "reconstruction.png", block, stars, actual, scale)
    facts["stars"] = reconstruction.predicted_beside_actual(guess.users, stars, actual, n_users, scale)
    if drawn:
        facts["pictured"] |= {"block": block, "violins": reconstruction.violins(stars, actual)}


@contextlib.contextmanager
def left_beside(run):
    """Where something is written into a run's folder: one that can't be written to is judged all the same."""
    try:
        yield
    except UserError as error:
        print(f"evaluate.py: {error}; the run is judged all the same", file=sys.stderr)


def compare(judged):
    """Paired differences of every two runs, judged on the same test ratings; p_holm adjusts each metric's p for the
    number of pairs."""
    rows = []
    for (a, found_a), (b, found_b) in combinations(judged, 2):
        rows.append({"run": a["run"], "less": b["run"], "metrics": bootstrap.differences(found_a, found_b)})
    for name in {name for row in rows for name in row["metrics"]}:
        bootstrap.adjust([row["metrics"][name] for row in rows if name in row["metrics"]])
    for row in rows:
        for name, less in row["metrics"].items():
            less["verdict"] = summary.verdict(name, less)
    return rows


def check_comparable(a, b):
    """Refuse two runs that are not judged on the same ratings, with the reason."""
    if a.split.test_fingerprint() == b.split.test_fingerprint():
        if a.config["scale"] != b.config["scale"]:
            scales = [" to ".join(f"{end:g}" for end in run.config["scale"]) for run in (a, b)]
            raise UserError(
                f"{a.folder} and {b.folder} can't be compared: predictions are cut to {scales[0]} stars in one, to "
                f"{scales[1]} in the other (--scale)"
            )
        likes = a.config["like"], b.config["like"]
        if likes[0] != likes[1]:
            raise UserError(
                f"{a.folder} and {b.folder} can't be compared: a like is a rating above {likes[0]:g} stars in one, "
                f"above {likes[1]:g} in the other (--like)"
            )
        return
    why = "the options of their protocol held out different ratings"
    if a.config["sha256"] != b.config["sha256"]:
        why = f"their ratings differ ({a.config['data']} and {b.config['data']})"
    else:
        for name in ("protocol", "seed"):
            if a.config[name] != b.config[name]:
                why = f"their {name} is {a.config[name]} and {b.config[name]}, so different ratings were held out"
                break
    raise UserError(f"{a.folder} and {b.folder} can't be compared: {why}")


def main(argv=None):
    """Judge each run, print a table, write what was asked for."""
    chosen = options.parse(Options, argv or [], "evaluate.py", __doc__)
    for target in filter(None, (chosen.json, chosen.report)):
        files.check_target(target)
    opened = [run_folder.find(folder, chosen.verify) for folder in chosen.run or (None,)]
    for a, b in combinations(opened, 2):
        check_comparable(a, b)
    judged = [judge(run, bool(chosen.report)) for run in opened]
    for run, (one, _) in zip(opened, judged, strict=True):
        with left_beside(run):
            keep(run, one)
    command = shlex.join(["evaluate.py", *(argv or [])])
    facts = {
        "runs": [one for one, _ in judged],
        "command": command,
        "versions": run_folder.versions(),
        "git_commit": run_folder.commit(),
    }
    if len(judged) > 1:
        facts["comparisons"] = compare(judged)
    if chosen.json:
        files.write_text(chosen.json, json.dumps(facts, indent=1, allow_nan=False) + "\n")
    if chosen.report:
        files.write_text(chosen.report, page.html(facts))
    if chosen.json == "-":
        return
    summary.print_judged(facts, tables.console())
    where = f"report to look at: {chosen.report}" if chosen.report else "more, with plots: --report FILE.html"
    tables.console().print(where, soft_wrap=True)


if __name__ == "__main__":
    options.run(main)
