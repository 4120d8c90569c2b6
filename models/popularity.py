"""Popularity: every user is offered the movies that most users liked (the baseline of all top-N papers)."""

from dataclasses import dataclass

import numpy as np

from models.base import ClosedForm


@dataclass(frozen=True)
class Config:
    """`popularity` has no options."""


class Model(ClosedForm):
    """The same ranking for everybody: number of likes a movie has."""

    predicts_ratings = False
    learns_likes = True
    arrays = ("likes",)

    def refit(self, matrix, training=None):
        """Count the likes."""
        self.likes = np.bincount(matrix.indices[matrix.data > self.like], minlength=self.shape[1])

    def score(self, given, users=None):
        """Number of likes, the same in every row."""
        return np.tile(self.likes.astype(np.float32), (given.shape[0], 1))
