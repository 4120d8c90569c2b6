"""BayesFM: a Bayesian factorization machine with SVD++ terms in both directions (Rendle, Zhang and Koren 2019).

Gibbs sampling by myFM. What a rating is made of: its user and its movie, which movies that user rated at all, which
users rated that movie at all (each set divided by the root of its size), and side features. The prediction is the mean
over the samples. A sample's interactions are those within what belongs to the user, within what belongs to the movie,
and between the two, which is a product of two vectors; so all samples side by side are one long vector of each user and
each movie, which are kept, and nothing is approximated. It is no autoencoder: it is here to be blended with them."""

import contextlib
import io
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from models._base import ClosedForm
from utils.options import Names


@dataclass(frozen=True)
class Config:
    """Options of `bayesfm`."""

    rank: int = 10
    """length of the vector of each feature"""
    samples: int = 300
    """Gibbs steps"""
    burn_in: int = 5
    """first steps that do not count"""
    implicit: bool = True
    """the SVD++ terms: which movies the user rated, which users rated the movie"""
    side: Names = ()
    """side features, of genres,year,age,gender,occupation, where the data tells them"""

    def __post_init__(self):
        if self.rank < 1 or not 0 <= self.burn_in < self.samples:
            raise ValueError("rank must be 1 or more and burn-in from 0 to below samples")


class Model(ClosedForm):
    """It knows only the users it was trained on: another one has no vector."""

    takes_new_users = False
    side = None  # `utils.side.Side`, to be set before `fit` where the config names any
    arrays = ("mean", "user", "movie", "user_vectors", "movie_vectors")

    def refit(self, matrix, training=None):
        """Sample. Shown with a bar where `training.show` says so."""
        import myfm

        config, cells = self.config, matrix.tocoo()
        parts = [self._parts(matrix, "users"), self._parts(matrix.T.tocsr(), "movies")]
        blocks = [sp.hstack(part, format="csr", dtype=np.float64) for part in parts]
        wide = blocks[0].shape[1]
        mean, biases, vectors = [], ([], []), ([], [])

        def collect(step, sample, *_):
            if step >= config.burn_in:
                mean.append(sample.w0)
                for i, own in enumerate((slice(None, wide), slice(wide, None))):
                    bias, vector = _of(blocks[i], sample.w[own], sample.V[own])
                    biases[i].append(bias)
                    vectors[i].append(vector.astype(np.float32))
            return False, None

        machine = myfm.MyFMRegressor(config.rank, random_seed=self.seed)
        rows = [myfm.RelationBlock(index.tolist(), b) for index, b in zip((cells.row, cells.col), blocks, strict=True)]
        quiet = contextlib.nullcontext() if training and training.show else contextlib.redirect_stderr(io.StringIO())
        with quiet:
            machine.fit(
                None, cells.data.astype(np.float64), rows, n_iter=config.samples, n_kept_samples=1,
                group_shapes=[part.shape[1] for part in (*parts[0], *parts[1])], callback=collect,
            )  # fmt: skip
        self.mean = np.float32(np.mean(mean))
        self.user, self.movie = (np.mean(side, axis=0).astype(np.float32) for side in biases)
        scale = np.float32(len(mean) ** -0.5)  # the product of two of them is the mean over the samples
        self.user_vectors, self.movie_vectors = (np.concatenate(side, axis=1) * scale for side in vectors)

    def _parts(self, rows, who):
        """The groups of features of the rows of a matrix, users' or movies'."""
        parts = [sp.eye_array(rows.shape[0], format="csr")]
        if self.config.implicit:
            count = np.repeat(np.diff(rows.indptr), np.diff(rows.indptr))
            parts.append(sp.csr_array((count**-0.5, rows.indices, rows.indptr), shape=rows.shape))
        if self.config.side and getattr(self.side, who).shape[1]:
            parts.append(sp.csr_array(getattr(self.side, who)))
        return parts

    def score(self, given, users=None):
        """Predicted stars of every movie, float32 (n, n_movies)."""
        users = self._known(given, users)
        own = self.user_vectors[users] @ self.movie_vectors.T
        return own + self.user[users, None] + self.movie + self.mean

    def predict(self, given, users, movies):
        """Predicted stars of each pair."""
        self._known(given, None)
        stars = np.empty(len(users), np.float32)
        for start in range(0, len(users), 4096):
            block = slice(start, start + 4096)
            stars[block] = np.einsum("ij,ij->i", self.user_vectors[users[block]], self.movie_vectors[movies[block]])
        return stars + self.user[users] + self.movie[movies] + self.mean

    def _known(self, given, users):
        """Indices of the trained users behind the rows of `given`."""
        if users is None and given.shape[0] != self.shape[0]:
            raise ValueError("a factorization machine knows only the users it was trained on")
        return np.arange(self.shape[0]) if users is None else users


def _of(block, weights, vectors):
    """(bias, vector) of each row of features x in one sample: bias is w'x and the interactions within x, by the formula
    of Rendle 2010, (|V'x|^2 - sum x_i^2 |v_i|^2) / 2; vector is V'x."""
    vector = block @ vectors
    within = (vector**2).sum(axis=1) - block.power(2) @ (vectors**2).sum(axis=1)
    return block @ weights + within / 2, vector
