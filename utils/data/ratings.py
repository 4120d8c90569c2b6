"""The rating table, and the user x movie matrix made of it.

A matrix cell holds the stars of one rating; 0 means *not rated*, so that a rating of 0 is refused when reading, or
replaced by `zero_sentinel` on a scale that begins at 0 or below. Stars below 0 are as in the file."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Indices: TypeAlias = NDArray[np.integer]  # of users, movies or ratings
Mask: TypeAlias = NDArray[np.bool_]
Scale: TypeAlias = tuple[float, float]  # (lowest, highest) stars


@dataclass(frozen=True)
class Ratings:
    """All ratings, in parallel arrays with one entry a rating.

    user, movie: 0-based indices into `user_ids`, `movie_ids`, the ids as in the file (int64 or str), ascending.
    rating: stars, all inside `scale`. timestamp: seconds since 1970; None where there are none, or all are the same.
    threshold: stars above which a rating is a like, where that is not `default_like` of the scale."""

    user: NDArray[np.int32]
    movie: NDArray[np.int32]
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64] | None
    user_ids: NDArray[Any]
    movie_ids: NDArray[Any]
    scale: Scale
    threshold: float | None = None

    def __len__(self) -> int:
        return len(self.rating)

    @property
    def shape(self) -> tuple[int, int]:
        """Return (number of users, number of movies)."""
        return len(self.user_ids), len(self.movie_ids)

    @property
    def like(self) -> float:
        """Return the stars above which a rating is a like."""
        like = default_like(self.scale) if self.threshold is None else self.threshold
        may_count_zeros = self.scale[0] == 0 or (self.scale[0] < 0 and like == 0)  # what stands for 0 is above 0
        return max(like, zero_sentinel(self.scale)) if may_count_zeros else like

    def matrix(self, where: NDArray[Any] | slice = slice(None)) -> csr_array:
        """Build the CSR float32 matrix, users x movies, of the ratings that `where` (a mask or indices) picks."""
        from scipy.sparse import csr_array  # a quarter of a second that a recommendation to a known user does without

        stars = self.rating[where].astype(np.float32, copy=False)
        return csr_array((stars, (self.user[where], self.movie[where])), shape=self.shape)

    def only(self, where: Mask) -> Ratings:
        """Return the ratings that the mask `where` picks, with the same users and movies."""
        times = None if self.timestamp is None else self.timestamp[where]
        return replace(self, user=self.user[where], movie=self.movie[where], rating=self.rating[where], timestamp=times)

    def order(self) -> Indices | slice:
        """Return the indices that sort the ratings by user, then by movie; a slice of all where they are sorted."""
        cell = self.user.astype(np.int64) * self.shape[1] + self.movie
        return slice(None) if (cell[1:] > cell[:-1]).all() else pair_order(self.user, self.movie)

    def core(self, least: int) -> Mask:
        """Return the mask of the ratings that stay when users and movies with fewer than `least` ratings are left out,
        again and again until none is left (the k-core of the graph of users and movies)."""
        keep, n_kept = np.ones(len(self), bool), -1
        while n_kept != (n_kept := int(np.count_nonzero(keep))):
            for column, n in zip((self.user, self.movie), self.shape, strict=True):
                keep &= (np.bincount(column[keep], minlength=n) >= least)[column]
        return keep

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of ids, cells and stars in user-movie order, whatever the file's format and order."""
        order = self.order()
        digest = hashlib.sha256()
        for ids in (self.user_ids, self.movie_ids):
            digest.update("\n".join(map(str, ids.tolist())).encode() + b"\0")
        for column, kind in ((self.user, "<i4"), (self.movie, "<i4"), (self.rating, "<f4")):
            digest.update(np.ascontiguousarray(column[order], kind).tobytes())
        return digest.hexdigest()


LIKE = 3.5  # on a scale up to 5, a rating above this is a like; other scales: above the same share of the highest


def star(scale: Scale) -> float:
    """Return one star of five on another scale: a fifth of what lies above 0, or above a lower lowest."""
    return (scale[1] - min(scale[0], 0)) / 5


def default_like(scale: Scale) -> float:
    """Return the stars above which a rating is a like: 3.5 on a scale up to 5, 7 up to 10, 4 from -10 to 10."""
    return min(scale[0], 0) + LIKE * star(scale)


def zero_sentinel(scale: Scale) -> float:
    """Return the sentinel that replaces a rating of 0 on a scale that begins at 0 or below: 0 means "not rated"."""
    return scale[1] / 10_000


def given(stars: ArrayLike, scale: Scale) -> NDArray[Any]:
    """Return stars (one number or an array) as people gave them, to show or write: 0 instead of `zero_sentinel`."""
    return np.where(np.isclose(stars, zero_sentinel(scale)), 0, stars) if scale[0] <= 0 else np.asarray(stars)


def like_blocks(stars: Any, like: float, signed: bool = False) -> list[Any]:
    """Return the blocks of input that are made of stars, an array or tensor where 0 = not rated: True where a movie is
    liked; with `signed` also True where it was rated without being liked."""
    liked = stars > like
    return [liked, (stars != 0) & ~liked] if signed else [liked]


def likes(matrix: csr_array, like: float = LIKE, signed: bool = False) -> csr_array:
    """Return the `like_blocks` of a CSR matrix of stars side by side, float32 (n, n_movies), or twice as wide."""
    import scipy.sparse as sp

    blocks = []
    for block in like_blocks(matrix.data, like, signed):
        part = sp.csr_array((block.astype(np.float32), matrix.indices, matrix.indptr), matrix.shape, copy=True)
        part.eliminate_zeros()
        blocks.append(part)
    return sp.hstack(blocks, format="csr") if signed else blocks[0]


def same(a: csr_array, b: csr_array) -> bool:
    """Tell whether two CSR matrices hold the same values at the same places, in the same order."""
    parts = ("indptr", "indices", "data")
    return a is b or all(np.array_equal(getattr(a, part), getattr(b, part)) for part in parts)


def pair_order(first: Indices, second: Indices) -> NDArray[np.int32]:
    """Return the positions of the pairs, ordered by `first`, then by `second`, as `np.lexsort` does but in linear time.

    No pair may occur twice; where one does, the result is shorter than the pairs are."""
    from scipy.sparse import csr_array

    return csr_array((np.arange(len(first), dtype=np.int32), (first, second))).data


def by_id(ids: NDArray, text: str) -> int:
    """Find the index of the user or movie with the raw id `text`, or -1."""
    is_number = ids.dtype.kind == "i"
    if is_number and not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        return -1
    return next(iter(np.flatnonzero(ids == (int(text) if is_number else text)).tolist()), -1)


def index_of(ids: NDArray[Any], raw: ArrayLike) -> NDArray[np.intp]:
    """Return the positions of the raw ids `raw` in the ascending array `ids`; -1 where an id is not there."""
    raw = np.asarray(raw)
    if raw.dtype.kind != ids.dtype.kind or not len(ids):
        return np.full(raw.shape, -1)
    place = np.minimum(np.searchsorted(ids, raw), len(ids) - 1)
    return np.where(ids[place] == raw, place, -1)
