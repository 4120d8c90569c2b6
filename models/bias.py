"""Bias baseline: global mean plus damped user and movie deviations (Koren, Bell & Volinsky 2009, eq. 3)."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from models.base import ClosedForm
from utils.scoring import biases
from utils.scoring.protocols import Floats, Indices
from utils.training.search_space import Range, tuned
from utils.training.training import Training


@dataclass(frozen=True)
class Config:
    """Options of `bias`."""

    user_damping: float = tuned(5.0, Range(1.0, 30.0, log=True))
    """imaginary ratings that deviate by 0, added to each user's own"""
    movie_damping: float = tuned(4.0, Range(1.0, 30.0, log=True))
    """the same for each movie"""

    def __post_init__(self) -> None:
        biases.check_damping(self.user_damping, self.movie_damping)


class Model(ClosedForm):
    """Baseline estimate mu + b_u + b_i with damped deviations, which all other models must beat. A user's deviation is
    computed from the given row, so that new users are served like known ones."""

    config: Config
    arrays = ("mean", "movie")

    def refit(self, matrix: csr_array, training: Training | None = None) -> None:
        """Fit the deviations to convergence."""
        fitted = biases.fit(matrix, self.config.user_damping, self.config.movie_damping)
        self.mean, self.movie = np.float32(fitted.mean), fitted.movie

    def score(self, given: csr_array, users: Indices | None = None) -> Floats:
        """Predict the stars of all movies, (n, n_movies)."""
        return self._baseline(given).predict(np.arange(given.shape[0])[:, None], np.arange(self.shape[1]))

    def predict(self, given: csr_array, users: Indices, movies: Indices) -> Floats:
        """Predict the stars of each pair."""
        return self._baseline(given).predict(users, movies)

    def _baseline(self, given: csr_array) -> biases.Biases:
        return biases.of_rows(given, float(self.mean), self.movie, self.config.user_damping)
