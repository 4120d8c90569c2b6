"""Item-kNN: movies like those a user liked (Sarwar et al. 2001); stars by shrunken residual cosine (Koren 2010)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.base import ClosedForm
from utils.data.ratings import likes
from utils.scoring import biases
from utils.scoring.ranking import top_k
from utils.training.search_space import Range, tuned

if TYPE_CHECKING:
    from utils.training.training import Training

BLOCK = 512  # rows made dense at a time


@dataclass(frozen=True)
class Config:
    """Options of `itemknn`."""

    neighbours: int = tuned(100, Range(20, 500, log=True))
    """most similar movies kept for each movie"""
    shrink: float = tuned(20.0, Range(1.0, 300.0, log=True))
    """similarities resting on few common users are shrunk: for likes it is added to the product of the norms, for stars
    n / (n + shrink) multiplies the cosine over n common users"""
    user_damping: float = tuned(5.0, Range(1.0, 30.0, log=True))
    """damping of the bias baseline, as in `bias`"""
    movie_damping: float = tuned(4.0, Range(1.0, 30.0, log=True))
    """the same for movies"""

    def __post_init__(self) -> None:
        biases.check_damping(self.user_damping, self.movie_damping, self.shrink)
        if self.neighbours < 1:
            raise ValueError(f"neighbours must be 1 or more, got {self.neighbours}")


def similar(X: sp.csr_array, neighbours: int, weigh: Callable[[NDArray, NDArray], NDArray]) -> sp.csr_array:
    """Compute the similarities of all movies, CSR (n_movies, n_movies) float32: row i holds the `neighbours` largest
    `weigh(dots, rows)` of movie i with the others.

    X: users x movies; dots: dense block of the rows of X'X. Only one block of rows is dense at a time."""
    n = X.shape[1]
    transposed, parts = X.T.tocsr(), []
    for start in range(0, n, BLOCK):
        rows = np.arange(start, min(start + BLOCK, n))
        weight = weigh((transposed[rows] @ X).toarray(), rows)
        weight[rows - start, rows] = 0  # a movie is no neighbour of itself
        best = top_k(np.abs(weight), neighbours)
        index = np.repeat(rows - start, best.shape[1])
        part = sp.csr_array((np.take_along_axis(weight, best, 1).ravel(), (index, best.ravel())), (len(rows), n))
        part.eliminate_zeros()
        parts.append(part)
    return sp.vstack(parts, format="csr", dtype=np.float32)


class Model(ClosedForm):
    """Two movie x movie similarities: of who liked them, for ranking; of how they were rated, for stars."""

    config: Config
    learns_likes = True
    arrays = ("mean", "movie", "like_similarity", "star_similarity")
    mean: np.float32
    movie: NDArray[np.float32]
    like_similarity: sp.csr_array
    star_similarity: sp.csr_array

    def refit(self, matrix: sp.csr_array, training: "Training | None" = None) -> None:
        """Compute both similarities."""
        config = self.config
        fitted = biases.fit(matrix, config.user_damping, config.movie_damping)
        self.mean, self.movie = np.float32(fitted.mean), fitted.movie

        liked = likes(matrix, self.like)
        norm = np.sqrt(np.bincount(liked.indices, minlength=self.shape[1]))
        self.like_similarity = similar(
            liked, config.neighbours, lambda dots, rows: dots / np.maximum(norm[rows, None] * norm + config.shrink, 1)
        )
        residual, observed = self._residual(matrix, fitted), matrix.copy()
        observed.data[:] = 1
        norm = np.sqrt(np.asarray(residual.multiply(residual).sum(axis=0)))
        columns = observed.T.tocsr()

        def shrunken_cosine(dots: NDArray, rows: NDArray) -> NDArray:
            common = (columns[rows] @ observed).toarray()
            return dots / np.maximum(norm[rows, None] * norm, 1e-9) * common / np.maximum(common + config.shrink, 1)

        self.star_similarity = similar(residual, config.neighbours, shrunken_cosine)

    def score(self, given: sp.csr_array, users: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """Sum the similarities to the liked movies, (n, n_movies)."""
        return (likes(given, self.like) @ self.like_similarity.T).toarray().astype(np.float32)

    def predict(
        self, given: sp.csr_array, users: NDArray[np.integer], movies: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Predict the stars of each pair: the baseline plus the mean residual of the movie's neighbours that the user
        rated, weighted by similarity."""
        baseline = biases.of_rows(given, float(self.mean), self.movie, self.config.user_damping)
        residual = self._residual(given, baseline)
        observed = given.copy()
        observed.data[:] = 1
        weights = self.star_similarity.T.tocsr()
        stars = baseline.predict(users, movies)
        for start in range(0, given.shape[0], BLOCK):
            block = slice(start, min(start + BLOCK, given.shape[0]))
            pairs = np.flatnonzero((users >= block.start) & (users < block.stop))
            if not len(pairs):
                continue
            total = (residual[block] @ weights).toarray()
            weight = (observed[block] @ abs(weights)).toarray()
            cells = (users[pairs] - start, movies[pairs])
            stars[pairs] += total[cells] / np.maximum(weight[cells], 1e-9)
        return stars

    def _residual(self, matrix: sp.csr_array, baseline: biases.Biases) -> sp.csr_array:
        """Subtract the baseline from the stored ratings."""
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        residual = matrix.copy()
        residual.data = matrix.data - baseline.predict(rows, matrix.indices)
        return residual
