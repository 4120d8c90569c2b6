"""Popularity: every user is offered the movies that most users liked (the baseline of all top-N papers)."""

from dataclasses import dataclass

import numpy as np

from models._base import ClosedForm, check_like


@dataclass(frozen=True)
class Config:
    """Options of `popularity`."""

    like: float | None = None
    """a rating above this is a like (default: 3.5 on a scale up to 5, and as high on any other)"""

    def __post_init__(self):
        check_like(self.like)


class Model(ClosedForm):
    """The same ranking for everybody: number of likes a movie has."""

    predicts_ratings = False
    arrays = ("likes",)

    def refit(self, matrix, training=None):
        """Count the likes."""
        self.likes = np.bincount(matrix.indices[matrix.data > self.like], minlength=self.shape[1])

    def score(self, given, users=None):
        """Number of likes, the same in every row."""
        return np.tile(self.likes.astype(np.float32), (given.shape[0], 1))
