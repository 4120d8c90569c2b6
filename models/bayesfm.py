"""BayesFM: a Bayesian factorization machine with SVD++ terms in both directions (Rendle, Zhang and Koren 2019).

Gibbs sampling by myFM. The features of a rating: its user and its movie, which movies that user rated at all, which
users rated that movie at all (each set divided by the root of its size), side features, and the day it was given. The
prediction is the mean over the samples.

A sample's interactions are those within the user's features, within the movie's, and between user, movie and day, which
are products of two vectors. So one long vector of each user, movie and day, of all samples side by side, predicts
without approximation. With `--ordinal` a rating is the interval of a latent number between bounds that are sampled, too
(ordered probit); the prediction is the mean of the stars. It is no autoencoder: blend it with them."""

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtr

from models.base import ClosedForm
from utils.command_line.options import Names
from utils.data import side_features
from utils.data.dates import Dates
from utils.runs.run_folder import Run
from utils.scoring.protocols import Floats, Indices
from utils.training.display import bar
from utils.training.search_space import Choice, Range, tuned
from utils.training.training import Training

if TYPE_CHECKING:
    from utils.data.datasets import Dataset

BLOCK = 2048  # pairs predicted at a time


@dataclass(frozen=True)
class Config:
    """Options of `bayesfm`."""

    rank: int = tuned(10, Range(4, 24))
    """length of the vector of each feature"""
    samples: int = 300
    """Gibbs steps"""
    burn_in: int = 5
    """first steps that do not count"""
    implicit: bool = tuned(True, Choice(True, False))
    """the SVD++ terms: which movies the user rated, which users rated the movie"""
    ordinal: bool = tuned(False, Choice(True, False))
    """learn which of the stars, not how many (ordered probit)"""
    dates: bool = False
    """the day of a rating, of the judged ones too: for benchmarks that allow it, since nobody knows the day of a rating
    to come (a movie that was not rated is scored as on the user's last known day)"""
    side: Names = ()
    """side features, of genres,year,age,gender,occupation, where the data tells them"""

    def __post_init__(self) -> None:
        if self.rank < 1 or not 0 <= self.burn_in < self.samples:
            raise ValueError("rank must be 1 or more and burn-in from 0 to below samples")


class Model(ClosedForm):
    """Biases, (n, samples), and vectors, (n, samples * rank), of users, movies and days. Only users that it was trained
    on have them."""

    config: Config
    takes_new_users, wants_users = False, True
    side: side_features.Side | None = None
    dates: Dates | None = None
    arrays = (
        "levels", "bounds", "mean", "biases_user", "biases_movie", "biases_day",
        "vectors_user", "vectors_movie", "vectors_day", "last_day",
    )  # fmt: skip

    def attach_data(self, data: "Dataset") -> None:
        """Take side features, and when each rating was given."""
        if self.config.side:
            self.side = side_features.features(data, self.config.side)
        if self.config.dates:
            self.dates = Dates.of(data.ratings)

    def refit(self, matrix: csr_array, training: Training | None = None) -> None:
        """Sample from the posterior, with a progress bar where `training.show` asks for one."""
        import myfm

        config = self.config
        groups, index = self._design(matrix)
        self.levels, target = np.unique(matrix.data, return_inverse=True)
        machine = myfm.MyFMOrderedProbit
        if not config.ordinal or len(self.levels) == 1:  # stars all alike have no order
            self.levels, target, machine = self.levels[:0], matrix.data.astype(np.float64), myfm.MyFMRegressor
        blocks = [sp.hstack(group, format="csr", dtype=np.float64) for group in groups]
        ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
        samples: list[list[tuple[Floats, Floats]]] = [[] for _ in blocks]
        mean, bounds = list[float](), list[NDArray]()

        def collect(step: int, sample: Any, *_: Any) -> tuple[bool, None]:
            move(step + 1, f"sample {step + 1}/{config.samples}")
            if step >= config.burn_in:
                mean.append(sample.w0)
                bounds.append(np.array(sample.cutpoints[0] if len(self.levels) else []))  # myFM reuses the memory
                weights, factors = np.split(sample.w, ends), np.split(sample.V, ends)
                for i, block in enumerate(blocks):
                    samples[i].append(_project(block, weights[i], factors[i]))
            return False, None

        quiet = contextlib.redirect_stderr(io.StringIO())  # myFM draws a bar of its own
        with bar(training, "sample", config.samples) as move, quiet:
            machine(config.rank, random_seed=self.seed).fit(
                None, target, [myfm.RelationBlock(i.tolist(), block) for i, block in zip(index, blocks, strict=True)],
                n_iter=config.samples, n_kept_samples=1, callback=collect,
                group_shapes=[features.shape[1] for group in groups for features in group],
            )  # fmt: skip
        self.mean, self.bounds = np.array(mean, np.float32), np.array(bounds, np.float32)
        biases = [np.stack([bias for bias, _ in of], axis=1) for of in samples]
        vectors = [np.concatenate([vector for _, vector in of], axis=1) for of in samples]
        if not self.dates:
            biases.append(biases[0][:0])
            vectors.append(vectors[0][:0])
        self.biases_user, self.biases_movie, self.biases_day = biases
        self.vectors_user, self.vectors_movie, self.vectors_day = vectors

    def _design(self, matrix: csr_array) -> tuple[list[list[csr_array]], list[Indices]]:
        """Return the groups of features of users, movies and, with `--dates`, days, and for each of these three its
        index in each rating, (n_ratings,). Sets `last_day`, (n_users,)."""
        cells = matrix.tocoo()
        groups = [self._features(matrix, "users"), self._features(matrix.T.tocsr(), "movies")]
        index: list[Indices] = [cells.row, cells.col]
        self.last_day = np.zeros(self.shape[0], np.int32)
        if self.dates:
            groups.append([sp.eye_array(self.dates.n, format="csr")])
            index.append(self.dates.of_pairs(cells.row, cells.col))
            self.last_day[np.diff(matrix.indptr) == 0] = self.dates.n - 1  # of users without ratings: the data's last
            np.maximum.at(self.last_day, cells.row, index[2])
        return groups, index

    def _features(self, rows: csr_array, kind: str) -> list[csr_array]:
        """Return the groups of features of the rows of a matrix; kind: "users" or "movies"."""
        groups = [sp.eye_array(rows.shape[0], format="csr")]
        if self.config.implicit:
            count = np.repeat(np.diff(rows.indptr), np.diff(rows.indptr))
            groups.append(csr_array((count**-0.5, rows.indices, rows.indptr), shape=rows.shape))
        if self.side and getattr(self.side, kind).shape[1]:
            groups.append(csr_array(getattr(self.side, kind)))
        return groups

    def score(self, given: csr_array, users: Indices | None = None) -> Floats:
        """Predict the stars of all movies, or with `--ordinal` the mean of the latent number, (n, n_movies)."""
        users = self._known(given, users)
        vectors, biases = self.vectors_user[users], self.biases_user[users].mean(axis=1)
        if self.dates:
            day = self.last_day[users]
            vectors_day = self.vectors_day[day]
            biases += self.biases_day[day].mean(axis=1) + np.einsum("ij,ij->i", vectors, vectors_day) / len(self.mean)
            vectors = vectors + vectors_day
        interactions = vectors @ self.vectors_movie.T / np.float32(len(self.mean))
        return interactions + biases[:, None] + self.biases_movie.mean(axis=1) + self.mean.mean()

    def predict(self, given: csr_array, users: Indices, movies: Indices) -> Floats:
        """Predict the stars of each pair."""
        self._known(given, None)
        stars = np.empty(len(users), np.float32)
        for start in range(0, len(users), BLOCK):
            block = slice(start, start + BLOCK)
            stars[block] = self._predict_block(users[block], movies[block])
        return stars

    def _predict_block(self, users: Indices, movies: Indices) -> NDArray[np.floating]:
        """Predict the stars of a block of pairs: the mean over the samples, in each of which a pair has one number."""
        user, movie = self.vectors_user[users], self.vectors_movie[movies]
        number = self.mean + self.biases_user[users] + self.biases_movie[movies]
        if self.dates:
            day = self.dates.of_pairs(users, movies, self.last_day)
            number += self.biases_day[day] + self._products(self.vectors_day[day], user + movie)
        number += self._products(user, movie)
        if not len(self.levels):
            return number.mean(axis=1)
        above = [ndtr(number - bound).mean(axis=1) for bound in self.bounds.T]  # probability of more than each level
        return self.levels[0] + np.diff(self.levels) @ above

    def _products(self, a: Floats, b: Floats) -> Floats:
        """Multiply the vectors of each sample: (n, samples * rank) twice to (n, samples)."""
        return (a * b).reshape(len(a), -1, self.config.rank).sum(axis=2)

    def _known(self, given: csr_array, users: Indices | None) -> Indices:
        """Return the indices of the trained users that the rows of `given` are."""
        if users is None and given.shape[0] != self.shape[0]:
            raise ValueError("a factorization machine knows only the users it was trained on")
        return np.arange(self.shape[0]) if users is None else users

    def load(self, run: Run) -> None:
        """Read the arrays, and from the run's ratings when each was given."""
        super().load(run)
        if self.config.dates and not self.dates:
            self.dates = Dates.of(run.split.ratings)


def _project(x: csr_array, weights: NDArray, factors: NDArray) -> tuple[Floats, Floats]:
    """Compute (bias, vector), (n,) and (n, rank), of each row of features x in one sample: the bias is w'x plus the
    interactions within x, (|V'x|^2 - sum x_i^2 |v_i|^2) / 2 (Rendle 2010), the vector is V'x."""
    vector = x @ factors
    within = (vector**2).sum(axis=1) - x.power(2) @ (factors**2).sum(axis=1)
    return (x @ weights + within / 2).astype(np.float32), vector.astype(np.float32)
