"""Bias baseline: global mean plus damped user and movie deviations (Koren, Bell & Volinsky 2009, eq. 3)."""

from dataclasses import dataclass

import numpy as np

from models.base import ClosedForm
from utils.scoring import biases
from utils.training.search_space import Between, tuned


@dataclass(frozen=True)
class Config:
    """Options of `bias`."""

    user_damping: float = tuned(5.0, Between(1.0, 30.0, log=True))
    """imaginary ratings that deviate by 0, added to each user's own"""
    movie_damping: float = tuned(4.0, Between(1.0, 30.0, log=True))
    """the same for each movie"""

    def __post_init__(self):
        biases.check_damping(self.user_damping, self.movie_damping)


class Model(ClosedForm):
    """What a rating is before taste enters; all the others must beat it. A user's deviation is computed from the row
    that is given, so that a new user is served like a known one."""

    arrays = ("mean", "movie")

    def refit(self, matrix, training=None):
        """Fit the deviations to convergence."""
        fitted = biases.fit(matrix, self.config.user_damping, self.config.movie_damping)
        self.mean, self.movie = np.float32(fitted.mean), fitted.movie

    def score(self, given, users=None):
        """Predicted stars: (n, n_movies)."""
        return self._of(given).predict(np.arange(given.shape[0])[:, None], np.arange(self.shape[1]))

    def predict(self, given, users, movies):
        """Stars for each pair."""
        return self._of(given).predict(users, movies)

    def _of(self, given):
        return biases.of_rows(given, float(self.mean), self.movie, self.config.user_damping)
