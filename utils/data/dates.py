"""The day on which each rating was given, by pair of user and movie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import Indices, Ratings, index_of
from utils.errors import UserError

DAY = 86_400  # seconds


@dataclass(frozen=True)
class Dates:
    """Days of all ratings. pairs: user * n_movies + movie, ascending, int64 (n_ratings,); days: the day of each pair,
    0 to n - 1, int32 (n_ratings,). Only days on which somebody rated are counted."""

    pairs: NDArray[np.int64]
    days: NDArray[np.int32]
    n: int
    n_movies: int

    @classmethod
    def of(cls, ratings: Ratings) -> Dates:
        """Compute the days of `ratings`; a `UserError` where those have no timestamps."""
        if ratings.timestamp is None:
            raise UserError("--dates: the data does not tell when a rating was given")
        known, days = np.unique(ratings.timestamp // DAY, return_inverse=True)
        pairs = ratings.user.astype(np.int64) * ratings.shape[1] + ratings.movie
        order = np.argsort(pairs)
        return cls(pairs[order], days[order].astype(np.int32), len(known), ratings.shape[1])

    def of_pairs(self, users: Indices, movies: Indices, otherwise: Indices | None = None) -> NDArray[np.int32]:
        """Return the day of each pair (users[i], movies[i]); where it is not rated, `otherwise[users[i]]`."""
        place = index_of(self.pairs, users.astype(np.int64) * self.n_movies + movies)
        return self.days[place] if otherwise is None else np.where(place < 0, otherwise[users], self.days[place])
