"""Side features: what is known about users and movies apart from ratings, as numbers for an encoder."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from utils.data.movies import multi_hot
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
    n_users, n_movies = data.ratings.shape
    of_users, of_movies = [np.zeros((n_users, 0))], [np.zeros((n_movies, 0))]
    for name in NAMES:
        if name in names:
            values = _values(data, name)
            if not any(values):
                raise UserError(f"--side {name}: {data.name} does not tell it")
            known = DECADES if name == "year" else sorted({value for row in values for value in row})
            (of_movies if name in OF_MOVIES else of_users).append(multi_hot(values, known))
    users, movies = (np.concatenate(parts, axis=1).astype(np.float32) for parts in (of_users, of_movies))
    return Side(users, movies)


def told(data: Dataset, names: Collection[str]) -> list[str]:
    """Return those of the features `names` that the data tells of some user or movie."""
    return [name for name in names if any(_values(data, name))]


def _values(data: Dataset, name: str) -> Sequence[list[Any]]:
    """Return the values of a feature for each movie or user: a list each, empty where they are unknown."""
    if name == "genres":
        return data.movies.genres
    if name == "year":
        return [[min(max(year // 10 * 10, DECADES[0]), DECADES[-1])] if year else [] for year in data.movies.years]
    if data.users is None:
        return []
    if name == "age":
        return [[bisect_right(AGES, age)] if pd.notna(age) else [] for age in data.users[name]]
    return [[value] if pd.notna(value) else [] for value in data.users[name]]
