"""The rating table, and the user x movie matrix made of it.

A matrix cell holds the stars of one rating; 0 means *not rated*, which is why a rating of 0 is refused when reading.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Ratings:
    """One entry a rating, in parallel arrays of one length; indices are 0-based, raw ids stay beside them.

    user, movie: int32 indices into `user_ids`, `movie_ids`. rating: float32 stars, all inside `scale`.
    timestamp: int64 seconds since 1970, or None where the source has none (or one constant, which says nothing).
    user_ids, movie_ids: the file's own ids (int64 or str), ascending.
    scale: (lowest, highest) stars a rating can have. threshold: stars above which a rating is a like, where that is not
    `default_like` of the scale.
    """

    user: np.ndarray
    movie: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray | None
    user_ids: np.ndarray
    movie_ids: np.ndarray
    scale: tuple[float, float]
    threshold: float | None = None

    def __len__(self):
        return len(self.rating)

    @property
    def shape(self):
        """(number of users, number of movies)."""
        return len(self.user_ids), len(self.movie_ids)

    @property
    def like(self):
        """Stars above which a rating is a like."""
        return default_like(self.scale) if self.threshold is None else self.threshold

    def matrix(self, where=slice(None)):
        """CSR float32 matrix, users x movies, of the ratings that `where` (a mask or indices) picks; all by default."""
        import scipy.sparse as sp  # a quarter of a second that a recommendation to a known user does without

        cells = (self.user[where], self.movie[where])
        return sp.csr_array((self.rating[where], cells), shape=self.shape, dtype=np.float32)

    def only(self, where):
        """The table of the ratings that `where` (a mask) picks; its users and movies stay."""
        times = None if self.timestamp is None else self.timestamp[where]
        return replace(self, user=self.user[where], movie=self.movie[where], rating=self.rating[where], timestamp=times)

    def fingerprint(self):
        """sha256 (hex) of ids, cells and stars in user-movie order: the same whatever file the table came from."""
        order = np.lexsort((self.movie, self.user))
        digest = hashlib.sha256()
        for ids in (self.user_ids, self.movie_ids):
            digest.update("\n".join(map(str, ids.tolist())).encode() + b"\0")
        for column, kind in ((self.user, "<i4"), (self.movie, "<i4"), (self.rating, "<f4")):
            digest.update(np.ascontiguousarray(column[order], kind).tobytes())
        return digest.hexdigest()


def dense(matrix):
    """(ratings, observed): float32 stars with 0 where not rated, and the boolean mask of the rated cells; both of
    `matrix`'s shape. The mask is `ratings != 0`, since no rating is 0."""
    ratings = matrix.toarray().astype(np.float32, copy=False)
    return ratings, ratings != 0


LIKE = 3.5  # on a scale up to 5, a rating above this is a like; on any other, one above the same share of the highest


def default_like(scale: tuple[float, float]) -> float:
    """Return the stars above which a rating is a like: 3.5 on a scale up to 5, 7 up to 10, 70 up to 100."""
    return LIKE * scale[1] / 5


def nought(scale):
    """What stands for a rating of 0 where the (lowest, highest) stars begin there: 0 itself means "not rated"."""
    return scale[1] / 10_000


def given(stars, scale):
    """Stars as people gave them, of one number or an array: 0 where they are what stands for it. All that is shown or
    written for people goes through here."""
    return np.where(np.isclose(stars, nought(scale)), 0, stars) if scale[0] == 0 else np.asarray(stars)


def likes(matrix, above=LIKE):
    """The CSR matrix that holds 1 where a rating is a like, and nothing elsewhere; float32, of `matrix`'s shape."""
    liked = matrix.copy()
    liked.data = (liked.data > above).astype(np.float32)
    liked.eliminate_zeros()
    return liked


def signed_likes(matrix, above=LIKE):
    """The CSR matrix of two blocks, `likes` and, beside it, 1 where a movie was rated without being liked; (n, 2
    n_movies) float32."""
    import scipy.sparse as sp

    low = matrix.copy()
    low.data = (low.data <= above).astype(np.float32)
    low.eliminate_zeros()
    return sp.hstack([likes(matrix, above), low], format="csr")


def index_of(ids, raw):
    """Positions of the raw ids `raw` in the ascending array `ids`; -1 where an id is not there."""
    raw = np.asarray(raw)
    if raw.dtype.kind != ids.dtype.kind or not len(ids):
        return np.full(raw.shape, -1)
    place = np.minimum(np.searchsorted(ids, raw), len(ids) - 1)
    return np.where(ids[place] == raw, place, -1)
