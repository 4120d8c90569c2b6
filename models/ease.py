"""EASE: the linear autoencoder with no movie predicting itself, in closed form (Steck, WWW 2019); EDLAE (Steck 2020).

B minimises ||X - Z B||^2 + sum_i penalty_i ||B_i||^2 under diag(B) = 0: no movie predicts itself. Solved by

    B = I - P / diag(P),  P = (X'X + diag(penalty))^-1,  each column divided by its element of the diagonal.

EASE has penalty_i = `l2` for all. With `--dropout p` it is l2 + p / (1 - p) times how often input i occurs: the same as
training on rows of which a share p is hidden (EDLAE, full rank).

Three options are for the long tail. `--relax` is that of RDLAE (Moon, Kim and Lee, SIGIR 2023), see `ease_solver`. The
others are those of DAN (SIGIR 2025): `--user-norm b` weighs a user by (number of inputs) ** -b, and `--movie-norm a`
multiplies B_ij by (likes of i / likes of j) ** a.

X (users x movies) is 1 where a movie was liked. Z is X; with `signed` it has a second block that
is 1 where a movie was rated without being liked, which is not in the papers: a low rating may count against the movie
itself."""

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

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
    relax: float = tuned(0.4, Range(0.0, 0.8))
    """how much a movie may predict itself while the weights are solved for (RDLAE), 0 <= r < 1; rarer movies gain"""
    user_norm: float = tuned(0.0, Range(0.0, 0.5))
    """how much less users with many ratings count (DAN): each by the number of inputs to the power of minus this"""
    movie_norm: float = tuned(0.1, Range(-0.2, 0.5))
    """how much better than its likes say a rarer movie is ranked (DAN)"""

    def __post_init__(self) -> None:
        # each message begins with the option: `linear_path.options` makes it one of its own
        if not 0 < self.l2 < np.inf:
            raise ValueError(f"l2 must be above 0 and finite, got {self.l2:g}")
        for name, value in (("dropout", self.dropout), ("relax", self.relax)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be in [0, 1), got {value:g}")
        for name, value in (("user-norm", self.user_norm), ("movie-norm", self.movie_norm)):
            if not abs(value) <= 1:
                raise ValueError(f"{name} must be in [-1, 1], got {value:g}")


class Model(ClosedForm):
    """Weights from what was liked (and what was not) to every movie: one matrix, or, with fewer users than inputs, the
    two thin factors of it and a correction of the diagonal. In large catalogues the largest weights of each row of the
    matrix are kept. The arrays are those of `LinearScorer`."""

    config: Config
    predicts_ratings = False
    learns_likes = True
    shares = True
    arrays = LinearScorer.ARRAYS
    note = ""  # about the movies that the last fit left out

    def refit(self, matrix: csr_array, training: Training | None = None) -> None:
        """Solve for the weights between the movies that occur, or between those of them that are liked most, see
        `ease_solver.chosen`; all others are 0.

        A `UserError` where nothing was liked, or the penalty is too small to invert the matrix."""
        given, config = self._given(matrix), self.config
        count = np.asarray(given.sum(axis=0)).ravel()
        check_liked(int(np.count_nonzero(count[: self.shape[1]])), self.like)  # the block of likes comes first
        penalty = config.l2 + config.dropout / (1 - config.dropout) * count.astype(np.float64)
        given = _weighed(given, config.user_norm)
        self.inputs, dtype = ease_solver.chosen(given, count, penalty)
        self.outputs = self.inputs[self.inputs < self.shape[1]]
        self.note = _note(count[: self.shape[1]], self.outputs)
        given, penalty, n = given[:, self.inputs], penalty[self.inputs], len(self.outputs)
        try:  # B = I - P / diag(P) with P = (X'X + diag(penalty))^-1; X'X is the Gram matrix
            if ease_solver.by_users(*given.shape):
                solution = ease_solver.weights_by_users(given, penalty, n, config.relax)
            elif training and training.workers:
                part = partial(_gram, like=self.like, config=config, inputs=self.inputs, dtype=dtype)
                solution = ease_solver.weights(training.workers.gram(part), penalty, n, config.relax)
            else:
                solution = ease_solver.weights(ease_solver.gram(given, dtype), penalty, n, config.relax)
        except LinAlgError:
            message = f"l2 {config.l2:g} is too small for these ratings: some movies can't be told apart"
            raise UserError(message) from None
        weights, right, diagonal = solution
        ratio = count[self.inputs].astype(np.float64) ** config.movie_norm
        if config.movie_norm:
            weights *= ratio[:, None].astype(weights.dtype)
            columns = right if len(right) else weights
            columns /= ratio[:n].astype(columns.dtype)
        if len(self.inputs) > ease_solver.DENSE and not len(right):
            self.weights: Any = ease_solver.largest(weights, min(ease_solver.KEPT, n))
        else:
            self.weights = weights.astype(np.float32, order="C", copy=False)  # row-major, because scoring picks rows
        self.right_factor = right.astype(np.float32, order="C", copy=False)
        self.diagonal_correction = diagonal.astype(np.float32, copy=False)

    def notes(self) -> list[str]:
        """See `Recommender.notes`."""
        kept = f"EASE keeps the {ease_solver.KEPT:,} largest weights of each movie"
        return [note for note in (self.note, kept if hasattr(self.weights, "indptr") else "") if note]

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
        return 4 * math.prod(self.weights.shape) + self.right_factor.nbytes

    def exported(self, stars: "KerasTensor") -> "dict[str, KerasTensor]":
        """Compute the scores in Keras operations; see `Recommender.exported`."""
        from keras import ops

        rows = ops.take(export.inputs(stars, self.like, self.config.signed), self.inputs, axis=1)
        weights = self.weights.toarray() if hasattr(self.weights, "indptr") else self.weights  # no sparse ones in ONNX
        scores, n = ops.matmul(rows, weights), len(self.outputs)
        if len(self.right_factor):
            diagonal = rows[:, : len(self.diagonal_correction)] * self.diagonal_correction.astype(np.float32)
            scores = ops.matmul(scores, self.right_factor) + diagonal
        place = index_of(self.outputs, np.arange(self.shape[1]))
        place[place < 0] = n  # movies that have no score take the column of 0 that is added at the end
        return {"scores": ops.take(ops.pad(scores, ((0, 0), (0, 1))), place, axis=1)}

    def _given(self, matrix: csr_array) -> csr_array:
        """Return the input rows Z of a matrix of stars."""
        return likes(matrix, self.like, self.config.signed)


def _weighed(given: csr_array, user_norm: float) -> csr_array:
    """Multiply each row of a CSR matrix of ones so that its user counts by (number of inputs) ** -user_norm."""
    if not user_norm:
        return given
    count = np.diff(given.indptr)
    return csr_array((np.repeat(count, count) ** (-user_norm / 2), given.indices, given.indptr), shape=given.shape)


def _gram(
    matrix: csr_array, like: float, config: Config, inputs: NDArray[np.intp], dtype: type[np.floating]
) -> NDArray[np.floating]:
    """Count how often any two of the inputs occur together in a CSR matrix of stars."""
    return ease_solver.gram(_weighed(likes(matrix, like, config.signed), config.user_norm)[:, inputs], dtype)


def _note(count: NDArray, outputs: NDArray[np.intp]) -> str:
    """Say which of the liked movies have weights, where some have none. count: likes of each movie."""
    if len(outputs) == (n_liked := np.count_nonzero(count)):
        return ""
    share = count[outputs].sum(dtype=np.float64) / count.sum(dtype=np.float64)
    liked = f"the {len(outputs):,} most liked of {n_liked:,} liked movies"
    return f"EASE covers {liked}, which hold {share:.1%} of the likes; the others have no weights in it"
