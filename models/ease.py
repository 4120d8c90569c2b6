"""EASE: the linear autoencoder with no movie predicting itself, in closed form (Steck, WWW 2019); EDLAE (Steck 2020).

B minimises ||X - Z B||^2 + sum_i penalty_i ||B_i||^2 under diag(B) = 0: no movie predicts itself. Solved by

    B = I - P / diag(P),  P = (X'X + diag(penalty))^-1,  each column divided by its element of the diagonal.

EASE has penalty_i = `l2` for all. With `--dropout p` it is l2 + p / (1 - p) times how often input i occurs: the same as
training on rows of which a share p is hidden (EDLAE, full rank).

X (users x movies) is 1 where a movie was liked. Z is X; with `signed` it has a second block that
is 1 where a movie was rated without being liked, which is not in the papers: a low rating may count against the movie
itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.base import ClosedForm, check_liked
from models.networks import export
from utils.data.ratings import index_of, likes
from utils.errors import UserError
from utils.scoring import ease_solver
from utils.scoring.linear_scorer import LinearScorer
from utils.scoring.protocols import Floats, Indices
from utils.training.search_space import Range, tuned
from utils.training.training import Training

if TYPE_CHECKING:
    from keras import KerasTensor


@dataclass(frozen=True)
class Config:
    """Options of `ease`."""

    l2: float = tuned(80.0, Range(20.0, 3000.0, log=True))
    """penalty on the weights; more users want a higher one"""
    dropout: float = tuned(0.52, Range(0.0, 0.8))
    """share of the input that is taken as hidden while training (EDLAE), 0 <= p < 1; 0 is EASE"""
    signed: bool = False
    """movies rated without being liked are inputs, too (default under strong-ratings: on)"""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1 or not 0 < self.l2 < np.inf:
            raise ValueError("dropout must be in [0, 1) and l2 above 0")


class Model(ClosedForm):
    """Weights from what was liked (and what was not) to every movie: one matrix, or, with fewer users than inputs, the
    two thin factors of it and a correction of the diagonal. The arrays are those of `LinearScorer`."""

    config: Config
    predicts_ratings = False
    learns_likes = True
    shares = True
    arrays = LinearScorer.ARRAYS

    def refit(self, matrix: csr_array, training: Training | None = None) -> None:
        """Solve for the weights between the movies that occur; all others are 0 in the solution.

        A `UserError` where nothing was liked, or the penalty is too small to invert the matrix."""
        given, config = self._given(matrix), self.config
        count = np.asarray(given.sum(axis=0)).ravel()
        self.inputs = np.flatnonzero(count)
        self.outputs = self.inputs[self.inputs < self.shape[1]]  # the block of likes comes first
        check_liked(len(self.outputs), self.like)
        given, n = given[:, self.inputs], len(self.outputs)
        penalty = config.l2 + config.dropout / (1 - config.dropout) * count[self.inputs].astype(np.float64)
        try:  # B = I - P / diag(P) with P = (X'X + diag(penalty))^-1; X'X is the Gram matrix
            if given.shape[0] < given.shape[1]:
                solution = ease_solver.weights_by_users(given, penalty, n)
            elif training and training.workers:
                gram = training.workers.gram(self.gram)[np.ix_(self.inputs, self.inputs)]
                solution = ease_solver.weights(gram, penalty, n)
            else:
                solution = ease_solver.weights(ease_solver.gram(given), penalty, n)
        except LinAlgError:
            message = f"l2 {config.l2:g} is too small for these ratings: some movies can't be told apart"
            raise UserError(message) from None
        # row-major, because scoring picks rows
        self.weights, self.right_factor, self.diagonal_correction = (
            part.astype(np.float32, order="C", copy=False) for part in solution
        )

    def gram(self, matrix: csr_array) -> NDArray[np.float64]:
        """Count how often any two inputs occur together in a CSR matrix of stars, (inputs, inputs)."""
        return ease_solver.gram(self._given(matrix))

    @property
    def scorer(self) -> LinearScorer:
        """The weights as an object that scores rows."""
        arrays = (getattr(self, name) for name in LinearScorer.ARRAYS)
        return LinearScorer(self.shape[1], self.like, self.config.signed, *arrays)

    def score(self, given: csr_array, users: Indices | None = None) -> Floats:
        """Sum the weights from the movies of each row, (n, n_movies)."""
        return self.scorer.score(given)

    @property
    def held(self) -> int:
        """Number of bytes that an export holds as constants."""
        return self.weights.nbytes + self.right_factor.nbytes

    def exported(self, stars: "KerasTensor") -> "dict[str, KerasTensor]":
        """Compute the scores in Keras operations; see `Recommender.exported`."""
        from keras import ops

        rows = ops.take(export.inputs(stars, self.like, self.config.signed), self.inputs, axis=1)
        scores, n = ops.matmul(rows, self.weights), len(self.outputs)
        if len(self.right_factor):
            diagonal = rows[:, : len(self.diagonal_correction)] * self.diagonal_correction.astype(np.float32)
            scores = ops.matmul(scores, self.right_factor) + diagonal
        place = index_of(self.outputs, np.arange(self.shape[1]))
        place[place < 0] = n  # movies that have no score take the column of 0 that is added at the end
        return {"scores": ops.take(ops.pad(scores, ((0, 0), (0, 1))), place, axis=1)}

    def _given(self, matrix: csr_array) -> csr_array:
        """Return the input rows Z of a matrix of stars."""
        return likes(matrix, self.like, self.config.signed)
