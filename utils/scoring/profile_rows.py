"""A few rows of stars that fill the same few columns: what one person rated, and the same without each one rating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from utils.scoring.protocols import CSR, Floats, Indices


@dataclass(frozen=True)
class ProfileRows:
    """movies: (k,) indices, ascending, all different. stars: (n, k) float32, 0 = not rated."""

    movies: NDArray[np.intp]
    stars: Floats

    @classmethod
    def of(cls, movies: Indices | Sequence[int], stars: Floats | Sequence[float]) -> Self:
        """Make the one row of a person who gave `stars` to `movies`, in any order."""
        order = np.argsort(movies)
        return cls(np.asarray(movies, np.intp)[order], np.asarray(stars, np.float32)[None, order])

    def without_each(self) -> ProfileRows:
        """Return the one row, and behind it for each of its k ratings the row without that rating: k + 1 rows."""
        stars = np.repeat(self.stars, len(self.movies) + 1, axis=0)
        stars[np.arange(1, len(stars)), np.arange(len(self.movies))] = 0
        return ProfileRows(self.movies, stars)

    def matrix(self, n_movies: int) -> CSR:
        """Return the rows as a CSR matrix, (n, n_movies)."""
        import scipy.sparse as sp  # its import takes a quarter of a second, which recommend.py avoids

        row, place = np.nonzero(self.stars)
        return sp.csr_array((self.stars[row, place], (row, self.movies[place])), (len(self.stars), n_movies))
