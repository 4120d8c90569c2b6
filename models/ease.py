"""EASE: the linear autoencoder with no movie predicting itself, in closed form (Steck, WWW 2019); EDLAE (Steck 2020).

B minimises ||X - Z B||^2 + sum_i penalty_i ||B_i||^2 with the weight of a movie on itself 0. X (users x movies) is 1
where a movie was liked; Z is X, and with `signed` beside it a second block that is 1 where a movie was rated without
being liked, which is not in the papers; that movie itself, rated low, may weigh (against it). penalty_i = l2, the
same for all, is EASE. With `--dropout p` it is l2 + p / (1 - p) times how often input i occurs: what training on rows
of which a share p is hidden comes to (EDLAE, full rank)."""

from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError

from models.base import ClosedForm, check_liked
from models.networks import export
from utils.data.ratings import index_of, likes, signed_likes
from utils.errors import UserError
from utils.scoring import ease_solver
from utils.scoring.linear_scorer import LinearScorer
from utils.training.search_space import Between, tuned


@dataclass(frozen=True)
class Config:
    """Options of `ease`."""

    l2: float = tuned(80.0, Between(20.0, 3000.0, log=True))
    """penalty on the weights; more users want a higher one"""
    dropout: float = tuned(0.52, Between(0.0, 0.8))
    """share of the input that is taken as hidden while training (EDLAE), 0 <= p < 1; 0 is EASE"""
    signed: bool = False
    """movies rated without being liked are inputs, too (default under strong-ratings: on)"""

    def __post_init__(self):
        if not 0 <= self.dropout < 1 or not 0 < self.l2 < np.inf:
            raise ValueError("dropout must be in [0, 1) and l2 above 0")


class Model(ClosedForm):
    """A matrix of weights from what was liked (and what was not) to what will be; with fewer users than inputs, the
    two thin ones it is the product of."""

    predicts_ratings = False
    learns_likes = True
    shares = True
    arrays = LinearScorer.ARRAYS

    def refit(self, matrix, training=None):
        """Solve for the weights between the movies that occur; all others are 0 in the solution."""
        given, config = self._given(matrix), self.config
        count = np.asarray(given.sum(axis=0)).ravel()
        self.inputs = np.flatnonzero(count)
        self.outputs = self.inputs[self.inputs < self.shape[1]]  # what is liked comes first
        check_liked(len(self.outputs), self.like)
        given, n = given[:, self.inputs], len(self.outputs)
        penalty = config.l2 + config.dropout / (1 - config.dropout) * count[self.inputs].astype(np.float64)
        try:
            if given.shape[0] < given.shape[1]:
                found = ease_solver.weights_by_users(given, penalty, n)
            elif training and training.workers:
                found = ease_solver.weights(training.workers.gram(self)[np.ix_(self.inputs, self.inputs)], penalty, n)
            else:
                found = ease_solver.weights(ease_solver.gram(given), penalty, n)
        except LinAlgError:
            raise UserError(
                f"l2 {config.l2:g} is too small for these ratings: some movies can't be told apart"
            ) from None
        # rows side by side: scoring picks rows
        self.weights, self.right_factor, self.diagonal_correction = (
            part.astype(np.float32, order="C", copy=False) for part in found
        )

    def gram(self, matrix):
        """How often any two inputs occur together in a CSR matrix of stars, (inputs, inputs) float64."""
        return ease_solver.gram(self._given(matrix))

    @property
    def scorer(self) -> LinearScorer:
        """The weights as what scores rows with them."""
        return LinearScorer(
            self.shape[1], self.like, self.config.signed, *(getattr(self, n) for n in LinearScorer.ARRAYS)
        )

    def score(self, given, users=None):
        """Sum of the weights from the movies of each row, (n, n_movies)."""
        return self.scorer.score(given)

    @property
    def held(self):
        """Bytes that an export holds as constants."""
        return self.weights.nbytes + self.right_factor.nbytes

    def exported(self, stars):
        """See `Recommender.exported`."""
        from keras import ops

        rows = ops.take(export.inputs(stars, self.like, self.config.signed), self.inputs, axis=1)
        found = ops.matmul(rows, self.weights)
        if len(self.right_factor):
            found = ops.matmul(found, self.right_factor) + rows[
                :, : len(self.diagonal_correction)
            ] * self.diagonal_correction.astype(np.float32)
        place = index_of(self.outputs, np.arange(self.shape[1]))  # -1, the last, is a column of 0
        return {"scores": ops.take(ops.pad(found, ((0, 0), (0, 1))), place % (len(self.outputs) + 1), axis=1)}

    def _given(self, matrix):
        return (signed_likes if self.config.signed else likes)(matrix, self.like)
