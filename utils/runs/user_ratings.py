"""The ratings of a run in the order of users, so that those of a few users are read without the rest, and what an
answer needs to know of all: counts for each user and each movie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import Indices, Mask, Ratings, Scale
from utils.data.splits import KNOWN, Split, Subset


@dataclass(frozen=True)
class UserRatings:
    """Ratings sorted by user, then by movie. Of the arrays IN_PART, one entry a rating, a run reads what is needed.

    start: (n_users + 1,); the ratings of user u are those from start[u] to before start[u + 1]. movie: its index. star:
    index of the stars in `values`, (n_values,) float32. part: `Subset`. timestamp: seconds since 1970, or None.
    user_known, user_likes, movie_known, movie_likes: numbers of known ratings and known likes, (n_users,) or
    (n_movies,). user_trained: whether a user has training ratings. user_hash: of the known ratings of each user.
    min_count: users and movies with fewer ratings were left out. The others are those of `Ratings`."""

    IN_PART: ClassVar[str] = "movie|star|part|timestamp"

    start: NDArray[np.int64]
    movie: NDArray[np.int32]
    star: Indices
    part: NDArray[np.int8]
    values: NDArray[np.float32]
    user_known: Indices
    user_likes: Indices
    user_trained: Mask
    user_hash: NDArray[np.uint64]
    movie_known: Indices
    movie_likes: Indices
    user_ids: NDArray[Any]
    movie_ids: NDArray[Any]
    scale: Scale
    like: float
    timestamp: Indices | None = None
    min_count: int = 1

    @classmethod
    def of(cls, split: Split) -> Self:
        """Sort and count the ratings of a `Split`."""
        ratings, order, known = split.ratings, split.ratings.order(), split.is_known
        n_users, n_movies = ratings.shape
        user, movie, liked = ratings.user, ratings.movie, known & (ratings.rating > ratings.like)
        values = np.unique(ratings.rating)
        start = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))])
        return cls(
            start=start,
            movie=movie[order],
            star=_smallest(np.searchsorted(values, ratings.rating[order])),
            part=split.part[order],
            values=values,
            user_known=np.bincount(user[known], minlength=n_users),
            user_likes=np.bincount(user[liked], minlength=n_users),
            user_trained=np.bincount(user[split.part == Subset.TRAIN], minlength=n_users) > 0,
            user_hash=_sums(np.where(known, _hash(movie, ratings.rating), np.uint64(0))[order], start),
            movie_known=split.known_count,
            movie_likes=np.bincount(movie[liked], minlength=n_movies),
            user_ids=ratings.user_ids,
            movie_ids=ratings.movie_ids,
            scale=ratings.scale,
            like=ratings.like,
            timestamp=None if ratings.timestamp is None else _smallest(ratings.timestamp[order]),
        )

    def arrays(self) -> dict[str, NDArray]:
        """Return {name: array} of all arrays, from which `UserRatings(**arrays, scale=..., like=..., ...)` is made
        again."""
        facts = ("scale", "like", "min_count")
        return {name: value for name, value in vars(self).items() if name not in facts and value is not None}

    @property
    def shape(self) -> tuple[int, int]:
        """Return (number of users, number of movies)."""
        return len(self.user_ids), len(self.movie_ids)

    def split(self) -> Split:
        """Return all ratings as a `Split`."""
        user = np.repeat(np.arange(len(self.user_ids), dtype=np.int32), np.diff(self.start))
        timestamp = None if self.timestamp is None else np.asarray(self.timestamp).astype(np.int64)
        movie, rating = np.asarray(self.movie), self.values[np.asarray(self.star)]
        ratings = Ratings(user, movie, rating, timestamp, self.user_ids, self.movie_ids, self.scale, self.like)
        return Split(ratings, np.asarray(self.part))

    def of_user(self, user: int) -> tuple[Indices, NDArray[np.float32], Mask]:
        """Return (movies, stars, whether known) of the ratings of the user at this index."""
        rows = slice(int(self.start[user]), int(self.start[user + 1]))
        return self.movie[rows], self.values[self.star[rows]], np.isin(self.part[rows], KNOWN)

    def known_likes(self, users: Indices) -> tuple[Indices, Indices]:
        """Return (positions in `users`, movies) of the known likes of these users."""
        liked = [movie[known & (stars > self.like)] for movie, stars, known in map(self.of_user, users.tolist())]
        place = np.repeat(np.arange(len(liked)), [len(movies) for movies in liked])
        return place, np.concatenate([*liked, np.empty(0, np.int32)])

    def twin(self, movies: Indices, stars: NDArray[np.float32]) -> int:
        """Find the first user whose known ratings are exactly these, in the order of movies, or -1."""
        alike = (self.user_hash == _hash(movies, stars).sum(dtype=np.uint64)) & (self.user_known == len(movies))
        for user in np.flatnonzero(alike).tolist():
            movie, rating, known = self.of_user(user)
            if np.array_equal(movie[known], movies) and np.array_equal(rating[known], stars):
                return user
        return -1


def _hash(movie: Indices, rating: NDArray) -> NDArray[np.uint64]:
    """Hash each rating (SplitMix64); users with the same ratings have the same sum of these."""
    cell = (movie.astype(np.uint64) << np.uint64(32)) | rating.astype(np.float32).view(np.uint32)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        cell = (cell ^ (cell >> np.uint64(shift))) * np.uint64(factor)
    return cell ^ (cell >> np.uint64(31))


def _sums(numbers: NDArray[np.uint64], start: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Add up the numbers from each start to before the next, modulo 2**64."""
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(numbers)])
    return total[start[1:]] - total[start[:-1]]


def _smallest(numbers: NDArray) -> Indices:
    """Return integers in the smallest type that holds them."""
    low, high = (numbers.min(), numbers.max()) if len(numbers) else (0, 0)
    return numbers.astype(np.result_type(np.min_scalar_type(low), np.min_scalar_type(high)))
