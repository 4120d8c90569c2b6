"""Figures of a model for a part of the users or of the movies, compared with all the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from utils.data.side_features import AGES
from utils.evaluation import bootstrap, holdout_metrics
from utils.evaluation.bootstrap import Metric

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from utils.data.movies import Movies
    from utils.evaluation.holdout_metrics import RankedLists
    from utils.scoring.protocols import Indices
from numpy.typing import NDArray

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


def slices(given: csr_array, movies: Movies, users: dict[str, NDArray] | None = None) -> list[Slice]:
    """List every `Slice` of the data: users by activity and, where known, age and gender; movies by popularity, genre
    and decade. given: CSR of the known ratings. users: {column: values}, or None."""
    activity = np.diff(given.indptr)
    popularity = np.bincount(given.indices, minlength=given.shape[1])
    parts = [
        *_by_count("ratings of the user", "users", activity),
        *_by_count("ratings of the movie", "movies", popularity),
    ]
    for genre in movies.genre_names:
        parts.append(Slice("genre", genre, "movies", np.array([genre in names for names in movies.genres])))
    decades = np.array([year // 10 * 10 if year else 0 for year in movies.years])
    parts += [Slice("decade", f"{decade}s", "movies", decades == decade) for decade in np.unique(decades) if decade]
    for column, values in (users or {}).items():
        parts += _by_value(column, values)
    return parts


def _by_count(by: str, of: str, count: Indices) -> Iterator[Slice]:
    for low, high in RANGES:
        name = f"{low}+" if high is None else str(low) if low == high else f"{low} to {high}"
        yield Slice(by, name, of, (count >= low) & (count <= (count.max(initial=0) if high is None else high)))


def _by_value(column: str, values: NDArray) -> list[Slice]:
    if column == "gender":
        return [Slice(column, value, "users", values == value) for value in np.unique(values[values != ""])]
    if column != "age":
        return []
    age = np.array([float(value) if value else np.nan for value in values])
    edges = [0, *AGES, np.inf]
    bands = [f"under {AGES[0]}", *(f"{a} to {b - 1}" for a, b in pairwise(AGES)), f"{AGES[-1]}+"]
    return [
        Slice(column, name, "users", (age >= low) & (age < high))
        for name, (low, high) in zip(bands, pairwise(edges), strict=True)
    ]


def judge(
    parts: list[Slice], n_users: int, lists: RankedLists | None = None, errors: Errors | None = None
) -> list[dict[str, Any]]:
    """Return for each `Slice` with test ratings or likes its figures, with 95% intervals, and their differences from
    those of everything outside the slice, p adjusted (Holm) over all slices: plain values for --json.

    errors: (users, movies, predicted less actual stars) of the test ratings. RMSE and bias (mean of the errors) are
    those of the ratings inside; "ndcg@100" that of the users inside; "like_ndcg@100" that of the hidden likes of the
    movies inside, each alone (`holdout_metrics.like_ndcg`). The first row is the slice of all."""
    parts = [Slice("all", "all", "users", np.ones(n_users, bool)), *parts]
    inside, outside = {}, {}
    ndcg = holdout_metrics.of_lists(lists, n_users)["ndcg@100"] if lists is not None and len(lists.users) else None
    for i, part in enumerate(parts):
        for name, (within, rest) in _both(part, n_users, lists, ndcg, errors).items():
            if np.count_nonzero(within.count) >= FEWEST:
                inside[i, name] = within
                if min(within.users, rest.users) >= ENOUGH:
                    outside[i, name] = rest
    figures, less = bootstrap.estimates(inside), bootstrap.differences(inside, outside)
    for name in {name for _, name in less}:
        bootstrap.adjust([row for (_, metric), row in less.items() if metric == name])
    rows = []
    for i, part in enumerate(parts):
        metrics = {name: row for (j, name), row in figures.items() if j == i}
        others = {name: row for (j, name), row in less.items() if j == i}
        if metrics:
            differs = [name for name, row in others.items() if bootstrap.differs(row)]
            rows.append(
                {"by": part.by, "slice": part.name, "metrics": metrics, "less_rest": others, "differs": differs}
            )
    return rows


def _both(
    part: Slice, n_users: int, lists: RankedLists | None, ndcg: Metric | None, errors: Errors | None
) -> dict[str, list[Metric]]:
    """Return {name: [`Metric` inside, the same outside]}. ndcg: that of all users, None where there are no lists."""
    metrics: dict[str, list[Metric]] = {}
    for inside in (part.inside, ~part.inside):
        if errors is not None:
            row, col, error = errors
            cells = inside[row if part.of == "users" else col]
            count = np.bincount(row[cells], minlength=n_users)
            squares = np.bincount(row[cells], error[cells] ** 2, n_users)
            metrics.setdefault("rmse", []).append(Metric(squares, count, root=True))
            metrics.setdefault("bias", []).append(Metric(np.bincount(row[cells], error[cells], n_users), count))
        if lists is not None and ndcg is not None:
            if part.of == "users":
                metrics.setdefault("ndcg@100", []).append(Metric(ndcg.total * inside, ndcg.count * inside))
            if part.of == "movies" or part.by == "all":
                of = inside if part.of == "movies" else np.full(lists.hidden.shape[1], inside.all())
                metrics.setdefault("like_ndcg@100", []).append(holdout_metrics.like_ndcg(lists, n_users, of))
    return metrics


def sentences(rows: list[dict[str, Any]], label: Callable[[str], str]) -> list[str]:
    """Say which slices are above and below the others, a sentence for each metric and attribute. label: a function from
    a metric's name to how it is written."""
    lines = []
    for metric, by in dict.fromkeys((name, row["by"]) for row in rows for name in row["differs"]):
        affected = [row for row in rows if row["by"] == by and metric in row["differs"]]
        directions = {"higher": [r for r in affected if r["less_rest"][metric]["value"] > 0]}
        directions["lower"] = [r for r in affected if r not in directions["higher"]]
        parts = []
        for direction, members in directions.items():
            if members:
                names = [f"{r['slice']} ({r['less_rest'][metric]['value']:+.3f})" for r in members]
                parts.append(f"{direction} for {', '.join(names)}")
        lines.append(f"{label(metric)} by {by}: {'; '.join(parts)}")
    return lines
