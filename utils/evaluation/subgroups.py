"""Figures of a model for a part of the users or of the movies, compared with all the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import Movies
from utils.data.side_features import AGES
from utils.evaluation import bootstrap, holdout_metrics
from utils.evaluation.bootstrap import Metric
from utils.evaluation.holdout_metrics import RankedLists
from utils.scoring.protocols import CSR, Indices

RANGES = ((0, 0), (1, 4), (5, 19), (20, 99), (100, None))  # numbers of known ratings
FEWEST = 10  # users that a slice needs: an interval of fewer says nothing
ENOUGH = 20  # users, counted as `Metric.users` does, that it takes to call a slice different

Errors: TypeAlias = tuple[NDArray, NDArray, NDArray]  # users, movies, predicted less actual stars


@dataclass(frozen=True)
class Slice:
    """A part of the users or movies. by: the attribute that defines it; name: the attribute's value. of: "users" or
    "movies"; inside: bool, (n_users,) or (n_movies,)."""

    by: str
    name: str
    of: str
    inside: NDArray[np.bool_]


def slices(given: CSR, movies: Movies, users: dict[str, NDArray] | None = None) -> list[Slice]:
    """List every `Slice` of the data: users by activity and, where known, age and gender; movies by popularity, genre
    and decade. given: CSR of the known ratings. users: {column: values}, or None."""
    popularity = np.bincount(given.indices, minlength=given.shape[1])
    parts = _by_count("ratings of the user", "users", np.diff(given.indptr))
    parts += _by_count("ratings of the movie", "movies", popularity)
    for genre in movies.genre_names:
        parts.append(Slice("genre", genre, "movies", np.array([genre in names for names in movies.genres])))
    decades = np.array([year // 10 * 10 if year else 0 for year in movies.years])
    parts += [Slice("decade", f"{decade}s", "movies", decades == decade) for decade in np.unique(decades) if decade]
    for column, values in (users or {}).items():
        if column == "gender":
            parts += [Slice(column, value, "users", values == value) for value in np.unique(values[values != ""])]
        if column == "age":
            parts += _by_age(np.array([float(value) if value else np.nan for value in values]))
    return parts


def _by_count(by: str, of: str, count: Indices) -> list[Slice]:
    parts = []
    for low, high in RANGES:
        name = f"{low}+" if high is None else str(low) if low == high else f"{low} to {high}"
        parts.append(Slice(by, name, of, (count >= low) & (count <= (np.inf if high is None else high))))
    return parts


def _by_age(age: NDArray[np.float64]) -> list[Slice]:
    parts = [Slice("age", f"under {AGES[0]}", "users", age < AGES[0])]
    for low, high in pairwise(AGES):
        parts.append(Slice("age", f"{low} to {high - 1}", "users", (age >= low) & (age < high)))
    return [*parts, Slice("age", f"{AGES[-1]}+", "users", age >= AGES[-1])]


def judge(
    parts: list[Slice], n_users: int, lists: RankedLists | None = None, errors: Errors | None = None
) -> list[dict[str, Any]]:
    """Return for each `Slice` with test ratings or likes its figures, with 95% intervals, and their differences from
    those of everything outside the slice, p adjusted (Holm) over all slices: plain values for --json.

    errors: (users, movies, predicted less actual stars) of the test ratings. RMSE and bias (mean of the errors) are
    those of the ratings inside; "ndcg@100" that of the users inside; "like_ndcg@100" that of the hidden likes of the
    movies inside, each alone (`holdout_metrics.like_ndcg`). The first row is the slice of all."""
    parts = [Slice("all", "all", "users", np.ones(n_users, bool)), *parts]
    ndcg = holdout_metrics.of_lists(lists, n_users)["ndcg@100"] if lists is not None and len(lists.users) else None
    inside, outside = {}, {}
    for i, part in enumerate(parts):
        rest = _metrics(part, ~part.inside, n_users, lists, ndcg, errors)
        for name, metric in _metrics(part, part.inside, n_users, lists, ndcg, errors).items():
            if np.count_nonzero(metric.count) >= FEWEST:
                inside[i, name] = metric
                if min(metric.users, rest[name].users) >= ENOUGH:
                    outside[i, name] = rest[name]
    figures, less = bootstrap.estimates(inside), bootstrap.differences(inside, outside)
    for name in {name for _, name in less}:
        bootstrap.adjust([row for (_, metric), row in less.items() if metric == name])
    rows = []
    for i, part in enumerate(parts):
        metrics = {name: row for (j, name), row in figures.items() if j == i}
        others = {name: row for (j, name), row in less.items() if j == i}
        differs = [name for name, row in others.items() if bootstrap.differs(row)]
        row = {"by": part.by, "slice": part.name, "metrics": metrics, "less_rest": others, "differs": differs}
        rows += [row] if metrics else []
    return rows


def _metrics(
    part: Slice, inside: NDArray, n_users: int, lists: RankedLists | None, ndcg: Metric | None, errors: Errors | None
) -> dict[str, Metric]:
    """Return {name: `Metric`} of the users or movies `inside`: of the slice, or all others. ndcg: of all users."""
    metrics: dict[str, Metric] = {}
    if errors is not None:
        users, movies, error = errors
        cells = inside[users if part.of == "users" else movies]
        users, error = users[cells], error[cells]
        count = np.bincount(users, minlength=n_users)
        metrics["rmse"] = Metric(np.bincount(users, error**2, n_users), count, root=True)
        metrics["bias"] = Metric(np.bincount(users, error, n_users), count)
    if lists is not None and ndcg is not None:
        if part.of == "users":
            metrics["ndcg@100"] = Metric(ndcg.total * inside, ndcg.count * inside)
        if part.of == "movies" or part.by == "all":
            movies = inside if part.of == "movies" else np.full(lists.hidden.shape[1], inside.all())
            metrics["like_ndcg@100"] = holdout_metrics.like_ndcg(lists, n_users, movies)
    return metrics


def sentences(rows: list[dict[str, Any]], label: Callable[[str], str]) -> list[str]:
    """Say which slices are above and below the others, a sentence for each metric and attribute. label: a function from
    a metric's name to how it is written."""
    lines = []
    for metric, by in dict.fromkeys((name, row["by"]) for row in rows for name in row["differs"]):
        names: dict[str, list[str]] = {"higher": [], "lower": []}
        for row in rows:
            if row["by"] == by and metric in row["differs"]:
                value = row["less_rest"][metric]["value"]
                names["higher" if value > 0 else "lower"].append(f"{row['slice']} ({value:+.3f})")
        parts = [f"{direction} for {', '.join(listed)}" for direction, listed in names.items() if listed]
        lines.append(f"{label(metric)} by {by}: {'; '.join(parts)}")
    return lines
