"""BayesFM: a Bayesian factorization machine with SVD++ terms in both directions (Rendle, Zhang and Koren 2019).

Gibbs sampling by myFM. The features of a rating: its user and its movie, which movies that user rated at all, which
users rated that movie at all (each set divided by the root of its size), side features, and the day it was given. The
prediction is the mean over the samples.

A sample's interactions are those within the user's features, within the movie's, and between user, movie and day, which
are products of two vectors. So the vectors of all samples, side by side, are one long vector of each user, each movie
and each day: these are kept, and nothing is approximated. With `--ordinal` a rating is the interval of a latent number
between bounds that are sampled, too (ordered probit); the prediction is the mean of the stars. It is no autoencoder: it
is here to be blended with them."""

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import ndtr

from models.base import ClosedForm
from utils.command_line.options import Names
from utils.data import side_features
from utils.data.dates import Dates
from utils.training.display import bar
from utils.training.search_space import Choice, Range, tuned

if TYPE_CHECKING:
    from utils.data.datasets import Dataset
    from utils.runs.run_folder import Run
    from utils.training.training import Training

OF = ("user", "movie", "day")
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
    side: side_features.Side = None  # type: ignore[assignment]  # only where the config names any
    dates: Dates = None  # type: ignore[assignment]  # only where the config asks for them
    arrays = ("levels", "bounds", "mean", *(f"{kind}_{of}" for kind in ("biases", "vectors") for of in OF), "last_day")
    biases_user: NDArray[np.float32]
    biases_movie: NDArray[np.float32]
    biases_day: NDArray[np.float32]
    vectors_user: NDArray[np.float32]
    vectors_movie: NDArray[np.float32]
    vectors_day: NDArray[np.float32]

    def attach_data(self, data: "Dataset") -> None:
        """Take side features, and when each rating was given."""
        if self.config.side:
            self.side = side_features.features(data, self.config.side)
        if self.config.dates:
            self.dates = Dates.of(data.ratings)

    def refit(self, matrix: sp.csr_array, training: "Training | None" = None) -> None:
        """Sample from the posterior, with a progress bar where `training.show` asks for one."""
        import myfm

        config, cells = self.config, matrix.tocoo()
        self.levels, target = np.unique(cells.data, return_inverse=True)
        if not config.ordinal or len(self.levels) == 1:  # stars all alike have no order
            self.levels, target = self.levels[:0], cells.data.astype(np.float64)
        groups, index = self._design(matrix, cells)
        blocks = [sp.hstack(group, format="csr", dtype=np.float64) for group in groups]
        ends = np.cumsum([block.shape[1] for block in blocks])
        samples: list[list[tuple[NDArray, NDArray]]] = [[] for _ in blocks]
        mean: list[float] = []
        bounds: list[NDArray] = []

        def collect(step: int, sample: Any, *_: Any) -> tuple[bool, None]:
            move(step + 1, f"sample {step + 1}/{config.samples}")
            if step >= config.burn_in:
                mean.append(sample.w0)
                bounds.append(np.array(sample.cutpoints[0] if len(self.levels) else []))  # myFM reuses the memory
                for kept, block, end in zip(samples, blocks, ends, strict=True):
                    columns = slice(end - block.shape[1], end)
                    kept.append(_of(block, sample.w[columns], sample.V[columns]))
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
            self.biases_day, self.vectors_day = self.biases_user[:0], self.vectors_user[:0]

    def _design(
        self, matrix: sp.csr_array, cells: sp.coo_array
    ) -> tuple[list[list[sp.csr_array]], list[NDArray[np.integer]]]:
        """Return the groups of features of users, movies and, where the config asks for them, days, and for each of
        these three its index in each rating, (n_ratings,). Sets `last_day`, (n_users,)."""
        groups = [self._groups(matrix, "users"), self._groups(matrix.T.tocsr(), "movies")]
        index: list[NDArray[np.integer]] = [cells.row, cells.col]
        self.last_day = np.zeros(self.shape[0], np.int32)
        if self.config.dates:
            self.last_day[np.diff(matrix.indptr) == 0] = self.dates.n - 1  # of users without ratings: the data's last
            groups.append([sp.eye_array(self.dates.n, format="csr")])
            index.append(self.dates.of_pairs(cells.row, cells.col))
            np.maximum.at(self.last_day, cells.row, index[2])
        return groups, index

    def _groups(self, rows: sp.csr_array, who: str) -> list[sp.csr_array]:
        """Return the groups of features of the rows of a matrix; who: "users" or "movies"."""
        groups = [sp.eye_array(rows.shape[0], format="csr")]
        if self.config.implicit:
            count = np.repeat(np.diff(rows.indptr), np.diff(rows.indptr))
            groups.append(sp.csr_array((count**-0.5, rows.indices, rows.indptr), shape=rows.shape))
        if self.config.side and getattr(self.side, who).shape[1]:
            groups.append(sp.csr_array(getattr(self.side, who)))
        return groups

    def score(self, given: sp.csr_array, users: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """Predict the stars of all movies, or with `--ordinal` the mean of the latent number, (n, n_movies)."""
        users = self._known(given, users)
        vectors, biases = self.vectors_user[users], self.biases_user[users].mean(axis=1)
        if self.config.dates:
            day = self.last_day[users]
            of_day = self.vectors_day[day]
            biases += self.biases_day[day].mean(axis=1) + np.einsum("ij,ij->i", vectors, of_day) / len(self.mean)
            vectors = vectors + of_day
        interactions = vectors @ self.vectors_movie.T / np.float32(len(self.mean))
        return interactions + biases[:, None] + self.biases_movie.mean(axis=1) + self.mean.mean()

    def predict(
        self, given: sp.csr_array, users: NDArray[np.integer], movies: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Predict the stars of each pair."""
        self._known(given, None)
        stars = np.empty(len(users), np.float32)
        for start in range(0, len(users), BLOCK):
            block = slice(start, start + BLOCK)
            stars[block] = self._stars(users[block], movies[block])
        return stars

    def _stars(self, users: NDArray[np.integer], movies: NDArray[np.integer]) -> NDArray[np.floating]:
        """Predict the stars of a block of pairs: the mean over the samples, in each of which a pair has one number."""
        of_user, of_movie = self.vectors_user[users], self.vectors_movie[movies]
        number = self.mean + self.biases_user[users] + self.biases_movie[movies]
        if self.config.dates:
            day = self.dates.of_pairs(users, movies, self.last_day)
            of_day = self.vectors_day[day]
            number += self.biases_day[day] + _products(of_day, of_user + of_movie, self.config.rank)
        number += _products(of_user, of_movie, self.config.rank)
        if not len(self.levels):
            return number.mean(axis=1)
        above = [ndtr(number - bound).mean(axis=1) for bound in self.bounds.T]  # probability of more than each level
        return self.levels[0] + np.diff(self.levels) @ above

    def _known(self, given: sp.csr_array, users: NDArray[np.integer] | None) -> NDArray[np.integer]:
        """Return the indices of the trained users that the rows of `given` are."""
        if users is None and given.shape[0] != self.shape[0]:
            raise ValueError("a factorization machine knows only the users it was trained on")
        return np.arange(self.shape[0]) if users is None else users

    def load(self, run: "Run") -> None:
        """Read the arrays, and from the run's ratings when each was given."""
        super().load(run)
        if self.config.dates and self.dates is None:
            self.dates = Dates.of(run.split.ratings)


def _of(
    block: sp.csr_array, weights: NDArray[np.float64], vectors: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute (bias, vector), (n,) and (n, rank), of each row of features x in one sample: bias is w'x and the
    interactions within x, (|V'x|^2 - sum x_i^2 |v_i|^2) / 2 (Rendle 2010); vector is V'x."""
    vector = block @ vectors
    within = (vector**2).sum(axis=1) - block.power(2) @ (vectors**2).sum(axis=1)
    return (block @ weights + within / 2).astype(np.float32), vector.astype(np.float32)


def _products(a: NDArray[np.float32], b: NDArray[np.float32], rank: int) -> NDArray[np.float32]:
    """Multiply, sample by sample, rows that hold one vector a sample: (n, samples) products."""
    return (a * b).reshape(len(a), -1, rank).sum(axis=2)
