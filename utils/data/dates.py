"""When ratings were given: the day of each pair of user and movie."""

from dataclasses import dataclass

import numpy as np

from utils.data.ratings import index_of
from utils.errors import UserError

DAY = 86_400  # seconds


@dataclass(frozen=True)
class Dates:
    """pairs: user * n_movies + movie of each rating, ascending, and days: its day (0 to n - 1), both (n_ratings,). Days
    on which nobody rated are not counted."""

    pairs: np.ndarray
    days: np.ndarray
    n: int
    n_movies: int

    @classmethod
    def of(cls, ratings):
        """The `Dates` of `Ratings`; a `UserError` where those have no timestamps."""
        if ratings.timestamp is None:
            raise UserError("--dates: the data does not tell when a rating was given")
        known, days = np.unique(ratings.timestamp // DAY, return_inverse=True)
        pairs = ratings.user.astype(np.int64) * ratings.shape[1] + ratings.movie
        order = np.argsort(pairs)
        return cls(pairs[order], days[order].astype(np.int32), len(known), ratings.shape[1])

    def of_pairs(self, users, movies, otherwise=None):
        """The day of each pair; where it is not rated, `otherwise` of the user."""
        place = index_of(self.pairs, users.astype(np.int64) * self.n_movies + movies)
        return self.days[place] if otherwise is None else np.where(place < 0, otherwise[users], self.days[place])
