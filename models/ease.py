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
from utils.scoring.parallel import each
from utils.training.search_space import Between, tuned

ROWS = 128  # scored at a time
TILE = 512  # rows and columns that are mirrored at a time, which stay in the cache
LARGE, TRUSTED = 1000, 1e-3  # inputs from which float32 is worth it, and the bound on its error where it is taken
SINGULAR = 1e-6  # pivots this small, beside the largest, leave nothing but rounding errors


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
    arrays = ("inputs", "outputs", "weights", "onward", "own")

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
                found = weights_by_users(given, penalty, n)
            elif training and training.workers:
                found = weights(training.workers.gram(self)[np.ix_(self.inputs, self.inputs)], penalty, n)
            else:
                found = weights(gram(given), penalty, n)
        except LinAlgError:
            raise UserError(
                f"l2 {config.l2:g} is too small for these ratings: some movies can't be told apart"
            ) from None
        # rows side by side: scoring picks rows
        self.weights, self.onward, self.own = (part.astype(np.float32, order="C", copy=False) for part in found)

    def gram(self, matrix):
        """How often any two inputs occur together in a CSR matrix of stars, (inputs, inputs) float64."""
        return gram(self._given(matrix))

    def score(self, given, users=None):
        """Sum of the weights from the movies of each row, (n, n_movies)."""
        scores = np.zeros((given.shape[0], self.shape[1]), np.float32)
        given = self._given(given)[:, self.inputs]

        def score(rows):
            found = given[rows] @ self.weights
            if len(self.onward):
                found = found @ self.onward + given[rows, : len(self.own)].multiply(self.own).toarray()
            scores[rows, self.outputs] = found

        each(score, len(scores), ROWS)
        return scores

    def score_rows(self, rows, movies):
        """What `score` gives the movies of these indices for `utils.scoring.profile_rows.Rows`, (n, len(movies)), without scipy."""
        liked = rows.stars > self.like
        blocks = [liked, (rows.stars != 0) & ~liked] if self.config.signed else [liked]
        inputs = np.concatenate([rows.movies + i * self.shape[1] for i in range(len(blocks))])
        source, target = index_of(self.inputs, inputs), index_of(self.outputs, movies)
        given = np.concatenate(blocks, axis=1)[:, source >= 0].astype(np.float32)
        source, kept = source[source >= 0], target[target >= 0]
        if len(self.onward):
            found, onward = given @ self.weights[source], self.onward
            copied = 2 * len(kept) < onward.shape[1]  # to take columns is to copy them: not of nearly all
            found = found @ onward[:, kept] if copied else (found @ onward)[:, kept]
            found += given @ np.where(source[:, None] == kept, self.own[kept], 0)
        else:
            found = given @ self.weights[source[:, None], kept]
        scores = np.zeros((len(given), len(movies)), np.float32)
        scores[:, target >= 0] = found
        return scores

    @property
    def held(self):
        """Bytes that an export holds as constants."""
        return self.weights.nbytes + self.onward.nbytes

    def exported(self, stars):
        """See `Recommender.exported`."""
        from keras import ops

        rows = ops.take(export.inputs(stars, self.like, self.config.signed), self.inputs, axis=1)
        found = ops.matmul(rows, self.weights)
        if len(self.onward):
            found = ops.matmul(found, self.onward) + rows[:, : len(self.own)] * self.own.astype(np.float32)
        place = index_of(self.outputs, np.arange(self.shape[1]))  # -1, the last, is a column of 0
        return {"scores": ops.take(ops.pad(found, ((0, 0), (0, 1))), place % (len(self.outputs) + 1), axis=1)}

    def _given(self, matrix):
        return (signed_likes if self.config.signed else likes)(matrix, self.like)


def gram(given):
    """given' given of a CSR matrix, dense float64."""
    given = given.astype(np.float32)  # which counts exactly up to 16 million, in half the time
    transposed, found = given.T.tocsr(), np.empty((given.shape[1], given.shape[1]))

    def count(rows):
        found[rows] = (transposed[rows] @ given).toarray()

    each(count, len(found), TILE)
    return found


def weights(gram, penalty, n):
    """(inputs x n) weights to the first n inputs, float32, from the inverse of gram + diag(penalty), by Cholesky: of
    float32 where that is exact enough, otherwise of float64 in place of gram. Two empty arrays beside it, since
    `weights_by_users` gives three."""
    from scipy.linalg import lapack  # a third of a second that recommending does without

    gram[np.diag_indices_from(gram)] += penalty
    potrf, potri = lapack.dpotrf, lapack.dpotri
    # the largest eigenvalue is below the largest sum of a row, the smallest above the smallest penalty
    if len(gram) >= LARGE and gram.sum(axis=1).max() / penalty.min() < TRUSTED / np.finfo(np.float32).eps:
        gram, potrf, potri = gram.astype(np.float32), lapack.spotrf, lapack.spotri
    factor, failed = potrf(gram.T, lower=True, overwrite_a=True)  # symmetric: gram.T is gram as LAPACK has it
    if failed or factor.diagonal().min() < SINGULAR * factor.diagonal().max():
        raise LinAlgError
    inverse = potri(factor, lower=True, overwrite_c=True)[0].T  # the upper triangle, rows side by side
    for start in range(0, len(inverse), TILE):
        rows = slice(start, start + TILE)
        inverse[start + TILE :, rows] = inverse[rows, start + TILE :].T
        corner = inverse[rows, rows]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
    found = np.empty((len(inverse), n), np.float32)
    np.multiply(inverse[:, :n], -1 / inverse.diagonal()[:n], out=found, casting="same_kind")
    found[np.diag_indices(n)] = 0
    return found, np.empty((0, n), np.float32), np.empty(0, np.float32)


def weights_by_users(given, penalty, n):
    """The same from a matrix of users x users, for fewer users than inputs, as (weights, onward, own): a row x of
    inputs scores x weights onward + own x. With W = given / sqrt(penalty), L L' = I + W W' and H = L^-1 W, the inverse
    is (I - H' H) / sqrt(penalty penalty') (Woodbury)."""
    from scipy.linalg import cholesky, solve_triangular

    root = np.sqrt(penalty)
    scaled = (given / root).astype(np.float64)
    gram = (scaled @ scaled.T).toarray()
    gram[np.diag_indices_from(gram)] += 1
    half = solve_triangular(cholesky(gram, lower=True), scaled.toarray(), lower=True)
    explained = np.square(half[:, :n]).sum(axis=0)
    if (1 - explained).min(initial=1) < SINGULAR:
        raise LinAlgError
    return half.T / root[:, None], half[:, :n] * (root[:n] / (1 - explained)), -explained / (1 - explained)
