"""Content: what movies are about (TF-IDF of genres, years and tags), for movies with hardly a rating; ours.

Stars: a movie's deviation in the bias baseline is shrunk towards what a ridge regression on content predicts for it
instead of towards 0, and a ridge regression for each user predicts from content what the baseline leaves of the stars.
Likes: the sum of the cosines to the movies that were liked. It is no autoencoder: blend it with them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from models.base import ClosedForm
from utils.data.ratings import likes
from utils.errors import UserError
from utils.scoring import biases
from utils.scoring.protocols import Floats, Indices
from utils.training.search_space import Range, tuned
from utils.training.training import Training

if TYPE_CHECKING:
    from utils.data.datasets import Dataset


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
    terms: csr_array

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.terms = csr_array(np.zeros((self.shape[1], 1), np.float32))

    def attach_data(self, data: "Dataset") -> None:
        """Compute `terms` from what the movies are about."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        about = [[*genres] for genres in data.movies.genres]
        for words, year in zip(about, data.movies.years, strict=True):
            words += [f"year {year}", f"decade {year // 10}"] if year else []
        if self.config.tags and data.tags is not None:
            for movie, tag in zip(data.tags["movie"], data.tags["tag"], strict=True):
                if movie >= 0:  # of some that are tagged there is no rating
                    about[movie].append(f"tag {tag.strip().lower()}")
        if not any(about):
            raise UserError(f"{data.name} tells neither genres nor years nor tags, so content has nothing to go by")
        vectorizer = TfidfVectorizer(analyzer=list, sublinear_tf=True, dtype=np.float32)
        self.terms = csr_array(vectorizer.fit_transform(about))

    def refit(self, matrix: csr_array, training: Training | None = None) -> None:
        """Fit the deviations of the movies; users' regressions are fitted when they are needed."""
        from sklearn.linear_model import Ridge

        config = self.config
        fitted = biases.fit(matrix, config.user_damping, config.movie_damping)
        cells, count = matrix.tocoo(), np.bincount(matrix.indices, minlength=self.shape[1])
        total = np.bincount(cells.col, cells.data - fitted.mean - fitted.user[cells.row], self.shape[1])
        rated = np.flatnonzero(count)
        regression = Ridge(config.movie_l2)
        regression.fit(self.terms[rated], total[rated] / count[rated], sample_weight=count[rated])
        total += config.movie_damping * regression.predict(self.terms)
        self.mean = np.float32(fitted.mean)
        self.movie = biases.deviation(total, count, config.movie_damping).astype(np.float32)

    def score(self, given: csr_array, users: Indices | None = None) -> Floats:
        """Sum the cosines to the liked movies, (n, n_movies)."""
        return (likes(given, self.like) @ self.terms @ self.terms.T).toarray().astype(np.float32, copy=False)

    def predict(self, given: csr_array, users: Indices, movies: Indices) -> Floats:
        """Predict the stars of each pair: the baseline plus the user's regression on content."""
        baseline = biases.of_rows(given, float(self.mean), self.movie, self.config.user_damping)
        stars = baseline.predict(users, movies)
        order = np.argsort(users, kind="stable")
        distinct, first = np.unique(users[order], return_index=True)
        for user, pairs in zip(distinct, np.split(order, first)[1:], strict=True):
            row = slice(given.indptr[user], given.indptr[user + 1])
            rated = given.indices[row]
            residual = given.data[row] - baseline.predict(user, rated)
            stars[pairs] += self.terms[movies[pairs]] @ self._taste(self.terms[rated], residual)
        return stars

    def _taste(self, terms: csr_array, residual: Floats) -> Floats:
        """Compute a user's weight of each term, (n_terms,): ridge regression in terms or movies, whichever are fewer.

        terms: those of the rated movies, (n, n_terms). residual: their stars less the baseline, (n,)."""
        few = terms.shape[1] < terms.shape[0]
        gram = (terms.T @ terms if few else terms @ terms.T).toarray()
        gram[np.diag_indices_from(gram)] += self.config.l2
        return np.linalg.solve(gram, terms.T @ residual) if few else terms.T @ np.linalg.solve(gram, residual)
