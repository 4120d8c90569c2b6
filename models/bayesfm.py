"""BayesFM: a Bayesian factorization machine with SVD++ terms in both directions (Rendle, Zhang and Koren 2019).

Gibbs sampling by myFM. What a rating is made of: its user and its movie, which movies that user rated at all, which
users rated that movie at all (each set divided by the root of its size), side features, and the day it was given. The
prediction is the mean over the samples. A sample's interactions are those within what belongs to the user, within what
belongs to the movie, and between the two and the day, which are products of two vectors; so all samples side by side
are one long vector of each user, each movie and each day, which are kept, and nothing is approximated. With `--ordinal`
a rating is which of the stars an unseen number falls between the bounds of, which are sampled, too (ordered probit);
the prediction is the mean of the stars. It is no autoencoder: it is here to be blended with them."""

import contextlib
import io
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtr

from models.base import ClosedForm
from utils.command_line.options import Names
from utils.data import side_features
from utils.data.dates import Dates
from utils.training.display import bar
from utils.training.search_space import Among, Between, tuned

OF = ("user", "movie", "day")
BLOCK = 2048  # pairs predicted at a time


@dataclass(frozen=True)
class Config:
    """Options of `bayesfm`."""

    rank: int = tuned(10, Between(4, 24))
    """length of the vector of each feature"""
    samples: int = 300
    """Gibbs steps"""
    burn_in: int = 5
    """first steps that do not count"""
    implicit: bool = tuned(True, Among(True, False))
    """the SVD++ terms: which movies the user rated, which users rated the movie"""
    ordinal: bool = tuned(False, Among(True, False))
    """learn which of the stars, not how many (ordered probit)"""
    dates: bool = False
    """the day of a rating, of the judged ones too: for benchmarks that allow it, since nobody knows the day of a rating
    to come (a movie that was not rated is scored as on the user's last known day)"""
    side: Names = ()
    """side features, of genres,year,age,gender,occupation, where the data tells them"""

    def __post_init__(self):
        if self.rank < 1 or not 0 <= self.burn_in < self.samples:
            raise ValueError("rank must be 1 or more and burn-in from 0 to below samples")


class Model(ClosedForm):
    """It knows only the users it was trained on: another one has no vector. `biases` and `vectors` are of users, movies
    and days, in this order."""

    takes_new_users, wants_users = False, True
    side = None  # `utils.data.side_features.Side`, where the config names any
    dates = None  # `utils.data.dates.Dates`, where the config asks for them
    arrays = ("levels", "bounds", "mean", *(f"{kind}_{of}" for kind in ("biases", "vectors") for of in OF), "last_day")

    def know(self, data):
        """See `Recommender.know`: side features, and when each rating was given."""
        if self.config.side:
            self.side = side_features.features(data, self.config.side)
        if self.config.dates:
            self.dates = Dates.of(data.ratings)

    def refit(self, matrix, training=None):
        """Sample. Shown with a bar where `training.show` says so."""
        import myfm

        config, cells = self.config, matrix.tocoo()
        self.levels, target = np.unique(cells.data, return_inverse=True)
        if not config.ordinal or len(self.levels) == 1:  # stars all alike have no order
            self.levels, target = self.levels[:0], cells.data.astype(np.float64)
        groups = [self._groups(matrix, "users"), self._groups(matrix.T.tocsr(), "movies")]
        index = [cells.row, cells.col]
        self.last_day = np.zeros(self.shape[0], np.int32)
        if config.dates:
            self.last_day[np.diff(matrix.indptr) == 0] = self.dates.n - 1  # of users without ratings: the data's last
            groups.append([sp.eye_array(self.dates.n, format="csr")])
            index.append(self.dates.of_pairs(cells.row, cells.col))
            np.maximum.at(self.last_day, cells.row, index[2])
        blocks = [sp.hstack(group, format="csr", dtype=np.float64) for group in groups]
        ends = np.cumsum([block.shape[1] for block in blocks])
        samples = [[] for _ in blocks]
        mean, bounds = [], []

        def collect(step, sample, *_):
            move(step + 1, f"sample {step + 1}/{config.samples}")
            if step >= config.burn_in:
                mean.append(sample.w0)
                bounds.append(np.array(sample.cutpoints[0] if len(self.levels) else []))  # myFM reuses the memory
                for kept, block, end in zip(samples, blocks, ends, strict=True):
                    own = slice(end - block.shape[1], end)
                    kept.append(_of(block, sample.w[own], sample.V[own]))
            return False, None

        machine = myfm.MyFMOrderedProbit if len(self.levels) else myfm.MyFMRegressor
        rows = [myfm.RelationBlock(i.tolist(), block) for i, block in zip(index, blocks, strict=True)]
        quiet = contextlib.redirect_stderr(io.StringIO())  # myFM draws a bar of its own
        with bar(training, "sample", config.samples) as move, quiet:
            machine(config.rank, random_seed=self.seed).fit(
                None, target, rows, n_iter=config.samples, n_kept_samples=1, callback=collect,
                group_shapes=[features.shape[1] for group in groups for features in group],
            )  # fmt: skip
        self.mean, self.bounds = np.array(mean, np.float32), np.array(bounds, np.float32)
        for name, kept in zip(OF, samples, strict=False):
            setattr(self, f"biases_{name}", np.stack([bias for bias, _ in kept], axis=1))
            setattr(self, f"vectors_{name}", np.concatenate([vector for _, vector in kept], axis=1))
        if not config.dates:
            self.biases_day, self.vectors_day = (own[:0] for own in (self.biases_user, self.vectors_user))

    def _groups(self, rows, who):
        """The groups of features of the rows of a matrix, users' or movies'."""
        groups = [sp.eye_array(rows.shape[0], format="csr")]
        if self.config.implicit:
            count = np.repeat(np.diff(rows.indptr), np.diff(rows.indptr))
            groups.append(sp.csr_array((count**-0.5, rows.indices, rows.indptr), shape=rows.shape))
        if self.config.side and getattr(self.side, who).shape[1]:
            groups.append(sp.csr_array(getattr(self.side, who)))
        return groups

    def score(self, given, users=None):
        """Predicted stars of every movie, or with `--ordinal` the mean of the unseen number, float32 (n, n_movies)."""
        users = self._known(given, users)
        vectors, own = self.vectors_user[users], self.biases_user[users].mean(axis=1)
        if self.config.dates:
            day = self.last_day[users]
            of_day = self.vectors_day[day]
            own += self.biases_day[day].mean(axis=1) + np.einsum("ij,ij->i", vectors, of_day) / len(self.mean)
            vectors = vectors + of_day
        found = vectors @ self.vectors_movie.T / np.float32(len(self.mean))
        return found + own[:, None] + self.biases_movie.mean(axis=1) + self.mean.mean()

    def predict(self, given, users, movies):
        """Predicted stars of each pair."""
        self._known(given, None)
        stars = np.empty(len(users), np.float32)
        for start in range(0, len(users), BLOCK):
            block = slice(start, start + BLOCK)
            stars[block] = self._stars(users[block], movies[block])
        return stars

    def _stars(self, users, movies):
        """Predicted stars of a block of pairs: the mean over the samples, in each of which a pair has one number."""
        own, other = self.vectors_user[users], self.vectors_movie[movies]
        number = self.mean + self.biases_user[users] + self.biases_movie[movies]
        if self.config.dates:
            day = self.dates.of_pairs(users, movies, self.last_day)
            of_day = self.vectors_day[day]
            number += self.biases_day[day] + _products(of_day, own + other, self.config.rank)
        number += _products(own, other, self.config.rank)
        if not len(self.levels):
            return number.mean(axis=1)
        above = [ndtr(number - bound).mean(axis=1) for bound in self.bounds.T]  # probability of more than each level
        return self.levels[0] + np.diff(self.levels) @ above

    def _known(self, given, users):
        """Indices of the trained users behind the rows of `given`."""
        if users is None and given.shape[0] != self.shape[0]:
            raise ValueError("a factorization machine knows only the users it was trained on")
        return np.arange(self.shape[0]) if users is None else users

    def load(self, run):
        """Read the arrays, and of the ratings when each was given."""
        super().load(run)
        if self.config.dates and self.dates is None:
            self.dates = Dates.of(run.split.ratings)


def _of(block, weights, vectors):
    """(bias, vector), float32, of each row of features x in one sample: bias is w'x and the interactions within x, by
    the formula of Rendle 2010, (|V'x|^2 - sum x_i^2 |v_i|^2) / 2; vector is V'x."""
    vector = block @ vectors
    within = (vector**2).sum(axis=1) - block.power(2) @ (vectors**2).sum(axis=1)
    return (block @ weights + within / 2).astype(np.float32), vector.astype(np.float32)


def _products(a, b, rank):
    """Of rows that hold a vector a sample: the products sample by sample, (n, samples)."""
    return (a * b).reshape(len(a), -1, rank).sum(axis=2)
