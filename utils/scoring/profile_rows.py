"""A few rows of stars that fill the same few columns: what one person rated, and the same without each one rating."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rows:
    """movies: (k,) indices, ascending, all different. stars: (n, k) float32, 0 = not rated."""

    movies: np.ndarray
    stars: np.ndarray

    @classmethod
    def of(cls, movies, stars):
        """The one row of a person who gave `stars` to `movies`, in any order."""
        order = np.argsort(movies)
        return cls(np.asarray(movies, np.intp)[order], np.asarray(stars, np.float32)[None, order])

    def without_each(self):
        """Of one row: that row, and behind it for each of its k ratings the row without it, so k + 1 rows."""
        stars = np.repeat(self.stars, len(self.movies) + 1, axis=0)
        stars[np.arange(1, len(stars)), np.arange(len(self.movies))] = 0
        return Rows(self.movies, stars)

    def matrix(self, n_movies):
        """The same as a CSR matrix, (n, n_movies)."""
        import scipy.sparse as sp  # a quarter of a second that a recommendation does without

        row, place = np.nonzero(self.stars)
        return sp.csr_array((self.stars[row, place], (row, self.movies[place])), (len(self.stars), n_movies))
