"""Side features: what is known about users and movies apart from ratings, as numbers for an encoder."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.errors import UserError

if TYPE_CHECKING:
    from utils.data.datasets import Dataset

OF_MOVIES = ("genres", "year")
NAMES = (*OF_MOVIES, "age", "gender", "occupation")
AGES = (18, 25, 35, 45, 50, 56)  # bands of age start here, as in ml-1m, which tells only the band
DECADES = range(1920, 2030, 10)


@dataclass(frozen=True)
class Side:
    """Features of users, float32 (n_users, f), and of movies, float32 (n_movies, g): 0 or 1 each, all 0 where unknown.
    Of width 0 where none of the requested features is about them."""

    users: NDArray[np.float32]
    movies: NDArray[np.float32]

    def of(self, rows: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (features of the rows, features of the columns) where rows are "users" or "movies"."""
        return (self.users, self.movies) if rows == "users" else (self.movies, self.users)


def features(data: Dataset, names: Collection[str]) -> Side:
    """Build the features `names`, some of NAMES, in the order of NAMES; a `UserError` where the data lacks one."""
    about = {"users": [np.zeros((data.ratings.shape[0], 0))], "movies": [np.zeros((data.ratings.shape[1], 0))]}
    for name in (name for name in NAMES if name in names):
        values = _values(data, name)
        if not any(values):
            raise UserError(f"--side {name}: {data.name} does not tell it")
        about["movies" if name in OF_MOVIES else "users"].append(_flags(values, DECADES if name == "year" else None))
    return Side(**{who: np.concatenate(parts, axis=1).astype(np.float32) for who, parts in about.items()})


def _values(data: Dataset, name: str) -> Sequence[list[Any]]:
    """Return the values of a feature for each movie or user: a list each, empty where they are unknown."""
    if name == "genres":
        return data.movies.genres
    if name == "year":
        return [[_decade(year)] if year else [] for year in data.movies.years]
    if data.users is None:
        return []
    column = data.users[name]
    return [
        [_band(v) if name == "age" else v] if known else [] for v, known in zip(column, column.notna(), strict=True)
    ]


def _decade(year: int) -> int:
    return min(max(year // 10 * 10, DECADES[0]), DECADES[-1])


def _band(age: int) -> int:
    return int(np.searchsorted(AGES, age, side="right"))


def _flags(values: Sequence[list[Any]], known: Iterable[Any] | None = None) -> NDArray[np.float64]:
    """Encode lists of values as 0 and 1, (len(values), n): a column for each of `known`, or else of the values that
    occur, sorted."""
    place = {v: i for i, v in enumerate(known or sorted({v for row in values for v in row}))}
    flags = np.zeros((len(values), len(place)))
    for i, row in enumerate(values):
        flags[i, [place[v] for v in row]] = 1
    return flags
