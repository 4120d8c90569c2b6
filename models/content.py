"""Content: what movies are about (TF-IDF of genres, years and tags), for movies with hardly a rating; ours.

Stars: a movie's deviation in the bias baseline is shrunk not towards 0 but towards what a ridge regression on content
expects of it, and each user has a ridge regression of their own from the content of the movies they rated to what the
baseline leaves of their stars. Likes: the sum of the cosines to the movies that were liked. It is no autoencoder: it is
here to be blended with them."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from models.base import ClosedForm
from utils.data.ratings import likes
from utils.errors import UserError
from utils.scoring import biases
from utils.training.search_space import Between, tuned


@dataclass(frozen=True)
class Config:
    """Options of `content`."""

    l2: float = tuned(10.0, Between(1.0, 100.0, log=True))
    """penalty of each user's regression, in ratings"""
    movie_l2: float = tuned(30.0, Between(3.0, 300.0, log=True))
    """penalty of the regression of movies' deviations, in ratings"""
    tags: bool = True
    """use tags, where the data has some"""
    user_damping: float = tuned(5.0, Between(1.0, 30.0, log=True))
    """damping of the bias baseline, as in `bias`"""
    movie_damping: float = tuned(4.0, Between(1.0, 30.0, log=True))
    """the same for movies"""

    def __post_init__(self):
        biases.check_damping(self.user_damping, self.movie_damping)
        if not 0 < self.l2 < np.inf or not 0 < self.movie_l2 < np.inf:
            raise ValueError("l2 and movie-l2 must be above 0")


class Model(ClosedForm):
    """`terms`: the TF-IDF rows of all movies, each of length 1 (0 where nothing is known), CSR (n_movies, n_terms)."""

    learns_likes = True
    arrays = ("mean", "movie", "terms")

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.terms = sp.csr_array((self.shape[1], 1), dtype=np.float32)

    def know(self, data):
        """See `Recommender.know`: what the movies are about."""
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
        found = TfidfVectorizer(analyzer=list, sublinear_tf=True, dtype=np.float32).fit_transform(about)
        self.terms = sp.csr_array(found)

    def refit(self, matrix, training=None):
        """Fit the deviations of the movies; users' regressions are made when they are asked for."""
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

    def score(self, given, users=None):
        """Sum of the cosines to the liked movies, float32 (n, n_movies)."""
        return (likes(given, self.like) @ self.terms @ self.terms.T).toarray().astype(np.float32, copy=False)

    def predict(self, given, users, movies):
        """Baseline plus the user's regression on content."""
        baseline = biases.of_rows(given, float(self.mean), self.movie, self.config.user_damping)
        stars = baseline.predict(users, movies)
        if not len(users):
            return stars
        order = np.argsort(users, kind="stable")
        who, first = np.unique(users[order], return_index=True)
        for user, pairs in zip(who, np.split(order, first[1:]), strict=True):
            own = slice(*given.indptr[user : user + 2])
            rated, about = given.indices[own], self.terms[given.indices[own]]
            left = given.data[own] - baseline.predict(user, rated)
            stars[pairs] += self.terms[movies[pairs]] @ self._taste(about, left)
        return stars

    def _taste(self, about, left):
        """A user's weight of each term: ridge regression in terms or in movies, whichever are fewer."""
        few = about.shape[1] < about.shape[0]
        gram = (about.T @ about if few else about @ about.T).toarray()
        gram[np.diag_indices_from(gram)] += self.config.l2
        return np.linalg.solve(gram, about.T @ left) if few else about.T @ np.linalg.solve(gram, left)
