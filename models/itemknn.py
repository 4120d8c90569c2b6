"""Item-kNN: movies like those a user liked (Sarwar et al. 2001); stars by shrunken residual cosine (Koren 2010)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.base import ClosedForm
from utils.data.ratings import likes
from utils.scoring import biases
from utils.scoring.parallel import parallel_rows
from utils.scoring.protocols import Floats, Indices
from utils.scoring.ranking import top_k
from utils.training.search_space import Range, tuned
from utils.training.training import Training

BLOCK = 128  # rows made dense at a time
ANY = -np.inf  # all stars are above it, so that what is liked is what is rated


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


class Model(ClosedForm):
    """Two movie x movie similarities: of who liked them, for ranking; of how they were rated, for stars."""

    config: Config
    learns_likes = True
    arrays = ("mean", "movie", "like_similarity", "star_similarity")

    def refit(self, matrix: csr_array, training: Training | None = None) -> None:
        """Compute both similarities."""
        config = self.config
        baseline = biases.fit(matrix, config.user_damping, config.movie_damping)
        self.mean, self.movie = np.float32(baseline.mean), baseline.movie
        liked, residual = likes(matrix, self.like), _residual(matrix, baseline)
        rated = likes(matrix, ANY)
        like_norm = np.sqrt(np.bincount(liked.indices, minlength=self.shape[1]))
        star_norm = np.sqrt(np.asarray(residual.multiply(residual).sum(axis=0)))
        raters = rated.T.tocsr()

        def shrunken_by_norms(dots: NDArray, movies: Indices) -> NDArray:
            return dots / np.maximum(like_norm[movies, None] * like_norm + config.shrink, 1)

        def shrunken_cosine(dots: NDArray, movies: Indices) -> NDArray:
            common = (raters[movies] @ rated).toarray()
            cosine = dots / np.maximum(star_norm[movies, None] * star_norm, 1e-9)
            return cosine * common / np.maximum(common + config.shrink, 1)

        self.like_similarity = similar(liked, config.neighbours, shrunken_by_norms)
        self.star_similarity = similar(residual, config.neighbours, shrunken_cosine)

    def score(self, given: csr_array, users: Indices | None = None) -> Floats:
        """Sum the similarities to the liked movies, (n, n_movies)."""
        return (likes(given, self.like) @ self.like_similarity.T).toarray().astype(np.float32)

    def predict(self, given: csr_array, users: Indices, movies: Indices) -> Floats:
        """Predict the stars of each pair: the baseline plus the mean residual of the movie's neighbours that the user
        rated, weighted by similarity."""
        baseline = biases.of_rows(given, float(self.mean), self.movie, self.config.user_damping)
        residual, rated = _residual(given, baseline), likes(given, ANY)
        weights = self.star_similarity.T.tocsr()
        stars = baseline.predict(users, movies)
        for start in range(0, given.shape[0], BLOCK):
            pairs = np.flatnonzero((users >= start) & (users < start + BLOCK))
            if len(pairs):
                block = slice(start, start + BLOCK)
                cells = (users[pairs] - start, movies[pairs])
                total = (residual[block] @ weights).toarray()[cells]
                weight = (rated[block] @ abs(weights)).toarray()[cells]
                stars[pairs] += total / np.maximum(weight, 1e-9)
        return stars


def similar(X: csr_array, neighbours: int, weigh: Callable[[NDArray, Indices], NDArray]) -> csr_array:
    """Compute the similarities of all movies, CSR (n_movies, n_movies) float32: row i holds the `neighbours` largest
    `weigh(dots, movies)` of movie i with the others.

    X: users x movies; dots: dense block of the rows `movies` of X'X. Only one block a core is dense at a time."""
    transposed, ascending = X.T.tocsr(), np.arange(-1.0, -1.0 - X.shape[1], -1)

    def of_rows(rows: slice) -> csr_array:
        movies = np.arange(rows.start, rows.stop)
        weight = weigh((transposed[movies] @ X).toarray(), movies)
        weight[movies - rows.start, movies] = 0  # a movie is no neighbour of itself
        # zeros by index, as top_k ranks ties, which are slow to sort where most of a row are zeros
        best = top_k(np.where(weight == 0, ascending, np.abs(weight)), neighbours)
        index = np.repeat(movies - rows.start, best.shape[1])
        block = csr_array((np.take_along_axis(weight, best, 1).ravel(), (index, best.ravel())), weight.shape)
        block.eliminate_zeros()
        return block

    return sp.vstack(parallel_rows(of_rows, X.shape[1], BLOCK), format="csr", dtype=np.float32)


def _residual(matrix: csr_array, baseline: biases.Biases) -> csr_array:
    """Subtract the baseline from the stored ratings."""
    users = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    residual = matrix.data - baseline.predict(users, matrix.indices)
    return csr_array((residual, matrix.indices, matrix.indptr), matrix.shape)
