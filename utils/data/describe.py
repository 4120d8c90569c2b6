"""Describe a data set in rows to print: counts, density, quantiles, stars, time span, notes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import given

if TYPE_CHECKING:
    from utils.data.datasets import Dataset

MOST_STARS = 20  # with more different stars than this, they are counted in ten ranges


def describe(dataset: Dataset) -> list[tuple[str, str]]:
    """Return [(label, text), ...] about a data set, in the order to show them."""
    ratings, movies = dataset.ratings, dataset.movies
    n_users, n_movies = ratings.shape
    low, high = ratings.scale
    liked = int(np.count_nonzero(ratings.rating > ratings.like))
    stars, counts = np.unique(given(ratings.rating, ratings.scale), return_counts=True)
    labels = [f"{value:g}" for value in stars]
    if len(stars) > MOST_STARS:
        counts, edges = np.histogram(ratings.rating, bins=10, range=ratings.scale)
        labels = [f"{start:g} to {end:g}" for start, end in pairwise(edges)]
    span = "no timestamps"
    if ratings.timestamp is not None:
        ends = ratings.timestamp.min(), ratings.timestamp.max()
        span = " to ".join(str(datetime.fromtimestamp(int(seconds), UTC).date()) for seconds in ends)
    rows = [
        ("data", f"{dataset.name}, in {dataset.folder}" if dataset.folder else dataset.name),
        ("ratings", f"{len(ratings):,}"),
        ("users", f"{n_users:,}"),
        ("movies", f"{n_movies:,}"),
        ("density", f"{len(ratings) / (n_users * n_movies):.2%} of all pairs of user and movie"),
        ("ratings per user", _spread(np.bincount(ratings.user, minlength=n_users))),
        ("ratings per movie", _spread(np.bincount(ratings.movie, minlength=n_movies))),
        ("scale", f"{low:g} to {high:g}"),
        ("likes", f"{liked:,}, ratings above {ratings.like:g} ({liked / len(ratings):.1%})"),
        ("mean rating", f"{given(ratings.rating, ratings.scale).mean(dtype=np.float64):.3f}"),
        *((f"stars {label}", f"{n:,} ({n / len(ratings):.1%})") for label, n in zip(labels, counts, strict=True)),
        ("time span", span),
        ("movie table", _known(n_movies, years=movies.years, genres=movies.genres)),
    ]
    if dataset.users is not None:
        columns = {str(name): column.dropna() for name, column in dataset.users.items()}
        rows.append(("user table", _known(n_users, **columns)))
    return [*rows, *(("note", note) for note in dataset.notes)]


def _spread(counts: NDArray[np.int64]) -> str:
    """Say the quantiles of counts."""
    low, lower, middle, upper, high = np.percentile(counts, [0, 25, 50, 75, 100], method="nearest")
    return f"{low:,} to {high:,}; median {middle:,}, middle half {lower:,} to {upper:,}"


def _known(total: int, **facts: Collection[Any]) -> str:
    """Say for how many of `total` each fact is known."""
    words = {total: "all", 0: "none"}
    counts = {name: sum(map(bool, values)) for name, values in facts.items()}
    return ", ".join(f"{name} of {words.get(n, f'{n:,}')}" for name, n in counts.items())
