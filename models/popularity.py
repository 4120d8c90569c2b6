"""Popularity: every user is offered the movies that most users liked (the baseline of all top-N papers)."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from models.base import ClosedForm
from utils.scoring.protocols import Floats, Indices
from utils.training.training import Training


@dataclass(frozen=True)
class Config:
    """`popularity` has no options."""


class Model(ClosedForm):
    """Rank movies by their number of likes, the same for everybody."""

    predicts_ratings = False
    learns_likes = True
    arrays = ("likes",)

    def refit(self, matrix: csr_array, training: Training | None = None) -> None:
        """Count the likes of each movie, (n_movies,)."""
        self.likes = np.bincount(matrix.indices[matrix.data > self.like], minlength=self.shape[1])

    def score(self, given: csr_array, users: Indices | None = None) -> Floats:
        """Score movies by their number of likes, the same in every row."""
        return np.tile(self.likes.astype(np.float32), (given.shape[0], 1))
