"""Content: what movies are about (TF-IDF of genres, years and tags), for movies with hardly a rating; ours.

Stars: a movie's deviation in the bias baseline is shrunk not towards 0 but towards what a ridge regression on content
expects of it, and each user has a ridge regression of their own from the content of the movies they rated to what the
baseline leaves of their stars. Likes: the sum of the cosines to the movies that were liked. It is no autoencoder: it is
here to be blended with them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.base import ClosedForm
from utils.data.ratings import likes
from utils.errors import UserError
from utils.scoring import biases
from utils.training.search_space import Range, tuned

if TYPE_CHECKING:
    from utils.data.datasets import Dataset
    from utils.training.training import Training


@dataclass(frozen=True)
class Config:
    """Options of `content`."""

    l2: float = tuned(10.0, Range(1.0, 100.0, log=True))
    """penalty of each user's regression, in ratings"""
    movie_l2: float = tuned(30.0, Range(3.0, 300.0, log=True))
    """penalty of the regression of movies' deviations, in ratings"""
    tags: bool = True
    """use tags, where the data has some"""
    user_damping: float = tuned(5.0, Range(1.0, 30.0, log=True))
    """damping of the bias baseline, as in `bias`"""
    movie_damping: float = tuned(4.0, Range(1.0, 30.0, log=True))
    """the same for movies"""

    def __post_init__(self) -> None:
        biases.check_damping(self.user_damping, self.movie_damping)
        if not 0 < self.l2 < np.inf or not 0 < self.movie_l2 < np.inf:
            raise ValueError("l2 and movie-l2 must be above 0")


class Model(ClosedForm):
    """`terms`: the TF-IDF rows of all movies, each of length 1 (0 where nothing is known), CSR (n_movies, n_terms)."""

    learns_likes = True
    config: Config
    arrays = ("mean", "movie", "terms")
    mean: np.float32
    movie: NDArray[np.float32]
    terms: sp.csr_array

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.terms = sp.csr_array(np.zeros((self.shape[1], 1), np.float32))

    def attach_data(self, data: "Dataset") -> None:
        """Compute `terms` from what the movies are about."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        about = [[*genres] for genres in data.movies.genres]
        for words, year in zip(about, data.movies.years, strict=True):
            words += [f"year {year}", f"decade {year // 10}"] if year else []
        tags = data.tags if self.config.tags else None
        if tags is not None:
            for movie, tag in zip(tags["movie"], tags["tag"], strict=True):
                about[movie].append(f"tag {tag.strip().lower()}")
        if not any(about):
            raise UserError(f"{data.name} tells neither genres nor years nor tags, so content has nothing to go by")
        tf_idf = TfidfVectorizer(analyzer=list, sublinear_tf=True, dtype=np.float32).fit_transform(about)
        self.terms = sp.csr_array(tf_idf)

    def refit(self, matrix: sp.csr_array, training: "Training | None" = None) -> None:
        """Fit the deviations of the movies; users' regressions are fitted when they are asked for."""
        from sklearn.linear_model import Ridge

        config = self.config
        fitted = biases.fit(matrix, config.user_damping, config.movie_damping)
        cells, count = matrix.tocoo(), np.bincount(matrix.indices, minlength=self.shape[1])
        left = np.bincount(cells.col, cells.data - fitted.mean - fitted.user[cells.row], self.shape[1])
        rated = np.flatnonzero(count)
        about = Ridge(config.movie_l2, fit_intercept=True)
        about.fit(self.terms[rated], left[rated] / count[rated], sample_weight=count[rated])
        expected = about.predict(self.terms)
        damped = (left + config.movie_damping * expected) / np.maximum(count + config.movie_damping, biases.EPSILON)
        self.mean, self.movie = np.float32(fitted.mean), damped.astype(np.float32)

    def score(self, given: sp.csr_array, users: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """Sum the cosines to the liked movies, (n, n_movies)."""
        return (likes(given, self.like) @ self.terms @ self.terms.T).toarray().astype(np.float32, copy=False)

    def predict(
        self, given: sp.csr_array, users: NDArray[np.integer], movies: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Predict the stars of each pair: the baseline plus the user's regression on content."""
        baseline = biases.of_rows(given, float(self.mean), self.movie, self.config.user_damping)
        stars = baseline.predict(users, movies)
        if not len(users):
            return stars
        order = np.argsort(users, kind="stable")
        who, first = np.unique(users[order], return_index=True)
        for user, pairs in zip(who, np.split(order, first[1:]), strict=True):
            row = slice(*given.indptr[user : user + 2])
            rated, about = given.indices[row], self.terms[given.indices[row]]
            left = given.data[row] - baseline.predict(user, rated)
            stars[pairs] += self.terms[movies[pairs]] @ self._taste(about, left)
        return stars

    def _taste(self, about: sp.csr_array, left: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute a user's weight of each term, (n_terms,): ridge regression in terms or movies, whichever are fewer.

        about: the terms of the rated movies, (n, n_terms). left: their stars less the baseline, (n,)."""
        few = about.shape[1] < about.shape[0]
        gram = (about.T @ about if few else about @ about.T).toarray()
        gram[np.diag_indices_from(gram)] += self.config.l2
        return np.linalg.solve(gram, about.T @ left) if few else about.T @ np.linalg.solve(gram, left)
