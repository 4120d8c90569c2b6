"""Evaluate trained runs on ratings that training never saw, beside simple baselines: python evaluate.py."""

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray

import models
from utils.command_line import options
from utils.data.ratings import given
from utils.data.splits import Split
from utils.errors import UserError
from utils.evaluation import bootstrap, holdout_metrics, prediction_ranges, reconstruction, subgroups
from utils.evaluation.beyond_accuracy import beyond
from utils.evaluation.bootstrap import Metric, Overall
from utils.evaluation.holdout_metrics import Arrange, Predicted, RankedLists
from utils.recommend import discoveries, strategies
from utils.recommend.recommendations import samples
from utils.report import figures, latent_maps, page, pictures, summary, tables
from utils.runs import evaluation_results, files, run_folder
from utils.runs.run_folder import Run
from utils.scoring.latent import is_latent
from utils.scoring.protocols import Floats, Model, PredictFunction, ScoreFunction, is_ensemble
from utils.training.training import Training

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from utils.recommend.saved import Saved

Facts = dict[str, Any]
"""The results for --json, or a part of them."""
Metrics = dict[str, Metric | Overall]
"""{name: the metric of each user}, from which intervals and differences are computed."""

BASELINES = ("bias", "popularity", "itemknn")


@dataclass(frozen=True)
class Options:
    """Options of evaluate.py."""

    run: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...", help_behavior_hint="")] = ()
    """run folders (default: the one trained last)"""
    verify: bool = True
    """compare each file of the run with its checksum before it is used; on huge runs that takes seconds"""
    json: options.Output = None
    """write the results as JSON to this file, or - for standard output and nothing else there"""
    report: Annotated[Path | None, tyro.conf.arg(metavar="FILE.html", help_behavior_hint="")] = None
    """write a report with plots: one HTML file that needs no network"""

    def __post_init__(self) -> None:
        if self.report and (str(self.report) == "-" or str(self.report) == self.json):
            raise ValueError("--report takes a file of its own, such as report.html")


@dataclass(frozen=True)
class Evaluator:
    """Computes the metrics of a run's model, its parts and the baselines in the same way. shares: genres, (n_movies,
    n_genres). vectors: of the movies in the model's latent space, (n_movies, latent), or None."""

    split: Split
    shares: NDArray[np.float64]
    vectors: Floats | None

    def ratings(self, predict: PredictFunction) -> tuple[Predicted | None, Metrics]:
        """Return the predicted test ratings, and their metrics; (None, {}) where only likes are hidden."""
        split = self.split
        if split.holds_users_out:
            return None, {}
        predicted = holdout_metrics.predicted(predict, split.test, split.ratings.scale)
        return predicted, {**holdout_metrics.of_predicted(predicted, split.ratings.shape[0])}

    def lists(self, score: ScoreFunction, arrange: Arrange | None = None) -> list[tuple[RankedLists, Metrics]]:
        """Return the lists of the test users and their metrics: those by score, then those that `arrange` makes."""
        test, judged = self.split.test, []
        for lists in holdout_metrics.arranged_lists(score, test, arrange):
            ranking = holdout_metrics.of_lists(lists, self.split.ratings.shape[0])
            others = beyond(lists, test.given, test.like, self.shares, self.vectors)
            judged.append((lists, {**ranking, **others}))
        return judged

    def model(self, model: Model) -> Metrics:
        """Return the metrics of a model's predicted ratings, if it predicts any, and of its lists."""
        ratings = self.ratings(model.predict)[1] if model.predicts_ratings else {}
        return ratings | self.lists(model.score)[0][1]

    def baselines(self, matrix: "csr_array") -> dict[str, Metrics]:
        """Return the metrics of each baseline, fitted on this matrix."""
        mean, ratings = matrix.data.mean(), self.split.ratings
        metrics = {"mean": self.ratings(lambda given, users, movies: np.full(len(users), mean))[1]}
        for name in BASELINES:
            model = models.build(name, matrix.shape, scale=ratings.scale, like=ratings.like)
            model.refit(matrix, Training())
            metrics[name] = self.model(model)
        return metrics

    def parts(self, model: Model, metrics: Metrics) -> list[Facts]:
        """Return --json's `parts`: the metrics of each part of a blend alone, trained as it is in the blend, and the
        difference of the blend's `metrics` from them; [] for any other model."""
        if not is_ensemble(model):
            return []
        parts = []
        for (words, weights), part in zip(model.weights().items(), model.parts, strict=True):
            of_part = self.model(part)
            facts = {"part": words, "weights": weights, "metrics": bootstrap.estimates(of_part)}
            parts.append(facts | {"blend_less_part": bootstrap.differences(metrics, of_part)})
        return parts


def check_testable(run: Run) -> None:
    """Refuse a run without test ratings, with the reason."""
    protocol = run.config["protocol"]
    if not run.split.test.hidden.nnz:
        why = "it was trained on every rating" if protocol == "all" else "the data is too small for a test"
        raise UserError(f"{run.folder} can't be evaluated: {why} (protocol {protocol})")


def about(run: Run, n_with_likes: int) -> Facts:
    """Describe the run's model, data and protocol. n_with_likes: number of test users with likes."""
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
            "test_users_with_likes": n_with_likes,
            "like": test.like,
        },
        "selected_on": "validation",
    }


def evaluate_run(run: Run, with_plots: bool = False) -> tuple[Facts, Metrics]:
    """Evaluate a run on its test ratings, which are read here: (entry of --json's `runs`, metrics of the run's best
    strategy). with_plots: with what only the report's plots need."""
    start, split = time.perf_counter(), run.split
    run.verify()
    check_testable(run)
    saved = models.open_run(run)
    model = saved.model
    evaluator = Evaluator(split, saved.genre_shares, model.latent.movies if is_latent(model) else None)
    pool = strategies.possible_neighbours(split.trained_users)
    scorers = strategies.scorers(model, split.test, pool, saved.neighbourhoods)
    places = saved.discoveries
    shown = {saved.best: discoveries.arrange(saved.typical(saved.best), places)} if places else {}
    by_strategy = {name: evaluator.lists(score, shown.get(name)) for name, score in scorers.items()}
    (lists, ranking), *with_discoveries = by_strategy[saved.best]
    predicted, of_ratings = evaluator.ratings(model.predict) if model.predicts_ratings else (None, {})
    metrics = of_ratings | ranking
    baselines = evaluator.baselines(split.refit if run.config["refit"] else split.train)
    facts = about(run, len(lists.users)) | {
        "method": saved.best,
        "metrics": bootstrap.estimates(metrics),
        "methods": {name: bootstrap.estimates(by_score[1]) for name, (by_score, *_) in by_strategy.items()},
        "baselines": {name: bootstrap.estimates(baseline) for name, baseline in baselines.items()},
        "less_baselines": {name: bootstrap.differences(metrics, baseline) for name, baseline in baselines.items()},
        "parts": evaluator.parts(model, metrics),
        "listed": listed(places, with_discoveries[0][1], ranking) if with_discoveries else None,
        **of_slices(saved, lists, predicted),
        "learning": figures.curves(run.history),
        "latent": latent_maps.about(saved) if is_latent(model) else None,
        "samples": samples(saved, lists.users if len(lists.users) else np.unique(split.test.hidden.tocoo().row)),
        "made": {name: run.config.get(name) for name in ("command", "options", "versions", "git_commit")},
    }
    facts["said"] = summary.summarise(facts)
    pictured = draw_reconstruction(saved, predicted, facts) if predicted else {}
    if with_plots and is_latent(model):
        pictured |= {"movies": latent_maps.kept_map(saved), "users": latent_maps.user_map(saved)}
    if with_plots:
        facts["pictured"] = pictured
    facts["seconds"] = {"train": run.config["seconds"], "evaluate": round(time.perf_counter() - start, 2)}
    return facts, metrics


def listed(places: int, metrics: Metrics, by_score: Metrics) -> Facts:
    """Return --json's `listed`: the metrics of lists as recommend.py gives them, with so many discoveries, and how
    they differ from those by score alone."""
    facts = {"discoveries": places, "metrics": bootstrap.estimates(metrics)}
    return facts | {"less_scores": bootstrap.differences(metrics, by_score)}


def of_slices(saved: "Saved", lists: RankedLists, predicted: Predicted | None) -> Facts:
    """Return --json's `slices`: metrics for parts of the users and of the movies; and its `ranges`: how many test
    ratings the ranges around predicted stars hold, None where the run has none."""
    run, split = saved.run, saved.split
    errors = (predicted.users, predicted.movies, predicted.stars - predicted.actual) if predicted else None
    parts = subgroups.slices(split.test.given, run.movies, run.users)
    ranges = None
    if predicted and saved.ranges:
        ranges = prediction_ranges.judge(saved.ranges, predicted, split.test.given, split.ratings.scale, parts)
    return {"slices": subgroups.judge(parts, split.ratings.shape[0], lists, errors), "ranges": ranges}


def draw_reconstruction(saved: "Saved", predicted: Predicted, facts: Facts) -> Facts:
    """Draw reconstruction.png, and put --json's `stars` into the facts. Returns what only the plots need."""
    run, model = saved.run, saved.model
    n_users, scale = run.split.ratings.shape[0], run.split.ratings.scale
    actual = given(predicted.actual, scale)
    vectors = (model.latent.users, model.latent.movies) if is_latent(model) else None
    block = reconstruction.block(model.predict, run.split, run.movies, vectors)
    violins = reconstruction.violins(predicted.stars, actual)
    stars = reconstruction.predicted_beside_actual(predicted.users, predicted.stars, actual, n_users, scale)
    with warn_if_unwritable():
        pictures.write(run.folder / "reconstruction.png", figures.reconstruction(block, violins, stars), 3)
    facts["stars"] = stars
    return {"block": block, "violins": violins}


@contextlib.contextmanager
def warn_if_unwritable() -> Iterator[None]:
    """Go on with a warning where a run's folder can't be written to: it is evaluated all the same."""
    try:
        yield
    except UserError as error:
        print(f"evaluate.py: {error}; the run is evaluated all the same", file=sys.stderr)


def compare(results: list[tuple[Facts, Metrics]]) -> list[Facts]:
    """Return the paired differences of every two runs, evaluated on the same test ratings; p_holm adjusts each metric's
    p for the number of pairs."""
    pairs: list[Facts] = []
    for (a, metrics_of_a), (b, metrics_of_b) in combinations(results, 2):
        pairs.append({"run": a["run"], "less": b["run"], "metrics": bootstrap.differences(metrics_of_a, metrics_of_b)})
    for name in {name for pair in pairs for name in pair["metrics"]}:
        rows = [pair["metrics"][name] for pair in pairs if name in pair["metrics"]]
        bootstrap.adjust(rows)
        for row in rows:
            row["verdict"] = summary.verdict(name, row)
    return pairs


def check_comparable(a: Run, b: Run) -> None:
    """Refuse two runs that are not evaluated on the same ratings, with the reason."""
    if reason := _difference(a, b):
        raise UserError(f"{a.folder} and {b.folder} can't be compared: {reason}")


def _difference(a: Run, b: Run) -> str | None:
    """Say why two runs can't be compared; None where they can."""
    first, second = a.config, b.config
    if a.split.test_fingerprint() != b.split.test_fingerprint():
        least = first.get("min_count", 1), second.get("min_count", 1)
        if least[0] != least[1]:
            return f"--min-count is {least[0]} in one, {least[1]} in the other, so their ratings differ"
        if first["sha256"] != second["sha256"]:
            return f"their ratings differ ({first['data']} and {second['data']})"
        for name in ("protocol", "seed"):
            if first[name] != second[name]:
                return f"their {name} is {first[name]} and {second[name]}, so different ratings were held out"
        return "the options of their protocol held out different ratings"
    if first["scale"] != second["scale"]:
        scales = [" to ".join(f"{end:g}" for end in config["scale"]) for config in (first, second)]
        return f"predictions are cut to {scales[0]} stars in one, to {scales[1]} in the other (--scale)"
    if first["like"] != second["like"]:
        likes = first["like"], second["like"]
        return f"a like is a rating above {likes[0]:g} stars in one, above {likes[1]:g} in the other (--like)"
    return None


def main(argv: list[str] | None = None) -> None:
    """Evaluate each run, print the results, and write the files of --json and --report."""
    arguments = options.parse(Options, argv or [], "evaluate.py", __doc__)
    files.check_targets(arguments.json, arguments.report)
    runs = [run_folder.find(folder, arguments.verify) for folder in arguments.run or (None,)]
    for a, b in combinations(runs, 2):
        check_comparable(a, b)
    results = [evaluate_run(run, bool(arguments.report)) for run in runs]
    for run, (run_facts, _) in zip(runs, results, strict=True):
        with warn_if_unwritable():
            evaluation_results.write(run, run_facts)
    facts: Facts = {
        "runs": [run_facts for run_facts, _ in results],
        "command": shlex.join(["evaluate.py", *(argv or [])]),
        "versions": run_folder.versions(),
        "git_commit": run_folder.commit(),
    }
    if len(results) > 1:
        facts["comparisons"] = compare(results)
    if arguments.json:
        files.write_text(arguments.json, json.dumps(facts, indent=1, allow_nan=False) + "\n")
    if arguments.report:
        files.write_text(arguments.report, page.html(facts))
    if arguments.json == "-":
        return
    summary.print_results(facts, tables.console())
    where = f"report to look at: {arguments.report}" if arguments.report else "more, with plots: --report FILE.html"
    tables.console().print(where, soft_wrap=True)


if __name__ == "__main__":
    options.run(main)
