"""Judge trained runs on the ratings they never saw, beside simple baselines: python evaluate.py."""

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray

import models
from utils.command_line import options
from utils.data.movies import genre_shares
from utils.data.ratings import given
from utils.data.splits import Split
from utils.errors import UserError
from utils.evaluation import bootstrap, holdout_metrics, reconstruction, subgroups
from utils.evaluation.beyond_accuracy import beyond
from utils.evaluation.bootstrap import Metric, Overall
from utils.evaluation.holdout_metrics import Predicted, RankedLists
from utils.recommend import strategies
from utils.recommend.recommendations import samples
from utils.report import latent_maps, page, pictures, summary, tables
from utils.report.pictures import curves
from utils.runs import files, run_folder
from utils.runs.evaluation_results import write
from utils.runs.run_folder import Run
from utils.scoring.latent import LatentSpace
from utils.scoring.protocols import Indices, Model, PredictingModel, ScoreFunction, is_ensemble, is_latent
from utils.training.training import Training

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from utils.recommend.saved import Saved

Metrics = dict[str, Metric | Overall]
ListMetrics = Callable[[ScoreFunction], tuple[RankedLists, Metrics]]

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

    def __post_init__(self) -> None:
        if self.report and (str(self.report) == "-" or str(self.report) == self.json):
            raise ValueError("--report takes a file of its own, such as report.html")


@dataclass(frozen=True)
class Mean:
    """The simplest baseline: the same stars for every pair."""

    stars: float
    predicts_ratings = True

    def predict(self, given: "csr_array", users: Indices, movies: Indices) -> NDArray[np.float32]:
        """Return the mean, (n,), for each pair."""
        return np.full(len(users), self.stars)


def predicted(model: PredictingModel, split: Split) -> Predicted | None:
    """Predict the test ratings; None for a model that predicts none, or where only likes are hidden."""
    if not model.predicts_ratings or split.holds_users_out:
        return None
    return holdout_metrics.predicted(model.predict, split.test, split.ratings.scale)


def of_predicted(ratings: Predicted | None, split: Split) -> Metrics:
    """Return {name: `Metric`} of the test ratings; {} where none are predicted."""
    return {**holdout_metrics.of_predicted(ratings, split.ratings.shape[0])} if ratings else {}


def rating_metrics(model: PredictingModel, split: Split) -> Metrics:
    """Return {name: `Metric`} of a model on the test ratings; {} where it predicts none."""
    return of_predicted(predicted(model, split), split)


def list_metrics(run: Run, vectors: NDArray[np.float32] | None) -> ListMetrics:
    """Make the function from a score function to its lists of the test users and their metrics. vectors: of the movies
    in latent space, (n_movies, latent)."""
    test, shares = run.split.test, genre_shares(run.movies)

    def of_lists(score: ScoreFunction) -> tuple[RankedLists, Metrics]:
        lists = holdout_metrics.lists(score, test)
        ranking = holdout_metrics.of_lists(lists, run.split.ratings.shape[0])
        return lists, ranking | beyond(lists, test.given, test.like, shares, vectors)

    return of_lists


def of_baselines(split: Split, refitted: bool, of_lists: ListMetrics) -> dict[str, Metrics]:
    """Return {baseline: {name: `Metric`}}, each fitted on what the judged model learned from."""
    matrix = split.refit if refitted else split.train
    metrics = {"mean": rating_metrics(Mean(matrix.data.mean()), split)}
    for name in BASELINES:
        model = models.build(name, matrix.shape, scale=split.ratings.scale, like=split.ratings.like)
        model.refit(matrix, Training())
        metrics[name] = rating_metrics(model, split) | of_lists(model.score)[1]
    return metrics


def of_parts(model: Model, split: Split, metrics: Metrics, of_lists: ListMetrics) -> list[dict[str, Any]]:
    """Return the metrics of each part of a blend alone, trained as it is in the blend, and how much better the whole
    is: entries of --json's `parts`, [] for any other model."""
    if not is_ensemble(model):
        return []
    entries = []
    for (words, weights), part in zip(model.weights().items(), model.parts, strict=True):
        of_part = rating_metrics(part, split) | of_lists(part.score)[1]
        entry = {"part": words, "weights": weights, "metrics": bootstrap.estimates(of_part)}
        entries.append(entry | {"blend_less_part": bootstrap.differences(metrics, of_part)})
    return entries


def check_testable(run: Run) -> None:
    """Refuse a run without test ratings, with the reason."""
    protocol = run.config["protocol"]
    if not run.split.test.hidden.nnz:
        why = "it was trained on every rating" if protocol == "all" else "the data is too small for a test"
        raise UserError(f"{run.folder} can't be judged: {why} (protocol {protocol})")


def about(run: Run, lists: RankedLists) -> dict[str, Any]:
    """Return what --json says of the run's model, data and protocol."""
    config, ratings, test = run.config, run.split.ratings, run.split.test
    n_users, n_movies = ratings.shape
    data = {"ratings": len(ratings), "users": n_users, "movies": n_movies}
    return {
        "run": str(run.folder),
        "model": config["model"],
        "data": data | {"name": config["data"], "sha256": config["sha256"]},
        "protocol": {
            "name": config["protocol"],
            "seed": config["seed"],
            "sha256": config["split_sha256"],
            "test_sha256": run.split.test_fingerprint(),
            "test_ratings": test.hidden.nnz,
            "test_users": int(np.count_nonzero(np.diff(test.hidden.indptr))),
            "test_users_with_likes": len(lists.users),
            "like": test.like,
        },
        "selected_on": "validation",
    }


def judge(run: Run, drawn: bool = False) -> tuple[dict[str, Any], Metrics]:
    """Evaluate a run on its test ratings, which are read here: (entry of --json's `runs`, {name: `Metric`} of the run's
    best strategy). drawn: with what only the report's plots need."""
    start, split, chosen = time.perf_counter(), run.split, run.json("metrics.json")
    run.verify()
    check_testable(run)
    saved, test = models.open_run(run), split.test
    model = saved.model
    space = model.latent if is_latent(model) else None
    of_lists = list_metrics(run, space.movies if space else None)
    scorers = strategies.scorers(model, test, split.trained_users, strategies.read_neighbourhoods(chosen))
    by_strategy = {name: of_lists(score) for name, score in scorers.items()}
    lists, ranking = by_strategy[chosen["best"]]
    ratings = predicted(model, split)
    metrics = of_predicted(ratings, split) | ranking

    facts = about(run, lists) | {
        "method": chosen["best"],
        "metrics": bootstrap.estimates(metrics),
        "methods": {name: bootstrap.estimates(own) for name, (_, own) in by_strategy.items()},
    }
    facts |= compared_with_baselines(metrics, of_baselines(split, run.config["refit"], of_lists))
    facts |= {
        "parts": of_parts(model, split, metrics, of_lists),
        "slices": of_slices(run, lists, ratings),
        "learning": curves(run.history),
        "latent": space and latent_maps.about(saved),
        "samples": samples(saved, lists.users if len(lists.users) else np.unique(test.hidden.tocoo().row)),
        "made": {name: run.config.get(name) for name in ("command", "options", "versions", "git_commit")},
    }
    facts["said"] = summary.summarise(facts)
    draw(saved, space, ratings, facts, drawn)
    facts["seconds"] = {"train": run.config["seconds"], "evaluate": round(time.perf_counter() - start, 2)}
    return facts, metrics


def compared_with_baselines(metrics: Metrics, baselines: dict[str, Metrics]) -> dict[str, Any]:
    """Return --json's `baselines`, and `less_baselines`: the differences of the metrics from theirs."""
    return {
        "baselines": {name: bootstrap.estimates(own) for name, own in baselines.items()},
        "less_baselines": {name: bootstrap.differences(metrics, own) for name, own in baselines.items()},
    }


def of_slices(run: Run, lists: RankedLists, ratings: Predicted | None) -> list[dict[str, Any]]:
    """Return --json's `slices`: metrics for parts of the users and of the movies."""
    errors = (ratings.users, ratings.movies, ratings.stars - ratings.actual) if ratings else None
    parts = subgroups.slices(run.split.test.given, run.movies, run.users)
    return subgroups.judge(parts, run.split.ratings.shape[0], lists, errors)


def draw(
    saved: "Saved", space: LatentSpace | None, ratings: Predicted | None, facts: dict[str, Any], drawn: bool
) -> None:
    """Draw reconstruction.png, and put into the facts what the plots show; drawn: those of the report, too."""
    if drawn:
        facts["pictured"] = {}
    if ratings:
        draw_stars(saved, space, ratings, facts, drawn)
    if drawn and space:
        facts["pictured"] |= {"movies": latent_maps.movie_map(saved), "users": latent_maps.user_map(saved)}


def draw_stars(
    saved: "Saved", space: LatentSpace | None, ratings: Predicted, facts: dict[str, Any], drawn: bool
) -> None:
    """Put predicted and actual stars into reconstruction.png and the facts."""
    run, stars = saved.run, ratings.stars
    n_users, scale = run.split.ratings.shape[0], run.split.ratings.scale
    actual, vectors = given(ratings.actual, scale), (space.users, space.movies) if space else None
    block = reconstruction.block(saved.model.predict, run.split, run.movies, vectors)
    with left_beside(run):
        pictures.reconstruction(run.folder / "reconstruction.png", block, stars, actual, scale)
    facts["stars"] = reconstruction.predicted_beside_actual(ratings.users, stars, actual, n_users, scale)
    if drawn:
        facts["pictured"] |= {"block": block, "violins": reconstruction.violins(stars, actual)}


@contextlib.contextmanager
def left_beside(run: Run) -> Iterator[None]:
    """Go on with a warning where a run's folder can't be written to: it is evaluated all the same."""
    try:
        yield
    except UserError as error:
        print(f"evaluate.py: {error}; the run is judged all the same", file=sys.stderr)


def compare(judged: list[tuple[dict[str, Any], Metrics]]) -> list[dict[str, Any]]:
    """Return the paired differences of every two runs, evaluated on the same test ratings; p_holm adjusts each metric's
    p for the number of pairs."""
    rows: list[dict[str, Any]] = []
    for (a, metrics_of_a), (b, metrics_of_b) in combinations(judged, 2):
        rows.append({"run": a["run"], "less": b["run"], "metrics": bootstrap.differences(metrics_of_a, metrics_of_b)})
    for name in {name for row in rows for name in row["metrics"]}:
        bootstrap.adjust([row["metrics"][name] for row in rows if name in row["metrics"]])
    for row in rows:
        for name, less in row["metrics"].items():
            less["verdict"] = summary.verdict(name, less)
    return rows


def check_comparable(a: Run, b: Run) -> None:
    """Refuse two runs that are not evaluated on the same ratings, with the reason."""
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


def main(argv: list[str] | None = None) -> None:
    """Evaluate each run, print a table, write what was asked for."""
    chosen = options.parse(Options, argv or [], "evaluate.py", __doc__)
    for target in (chosen.json, chosen.report):
        if target:
            files.check_target(target)
    opened = [run_folder.find(folder, chosen.verify) for folder in chosen.run or (None,)]
    for a, b in combinations(opened, 2):
        check_comparable(a, b)
    judged = [judge(run, bool(chosen.report)) for run in opened]
    for run, (one, _) in zip(opened, judged, strict=True):
        with left_beside(run):
            write(run, one)
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
