"""Made-up ratings of a given shape: few movies take most ratings, few users give most, nobody rates a movie twice.

python benchmarks/generate.py ratings.csv            # ML-20M's shape: 20 million ratings, 600 MB
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Shape:
    """How much is generated; the default is about MovieLens 20M."""

    users: int = 138_000
    movies: int = 26_700
    ratings: int = 20_000_000
    seed: int = 0
    users_a_chunk: int = 1_000  # of all movies each: 100 MB


def chunks(shape):
    """Yield (user, movie, rating, timestamp) arrays, users ascending: 0-based indices, half stars 0.5 to 5, seconds.

    Every user has at least 5 ratings, every movie at least one where there are no more movies than users; together
    exactly `shape.ratings`. The same shape and seed give the same ratings.
    """
    rng = np.random.default_rng(shape.seed)
    counts = _counts(shape, rng)
    popularity = rng.permutation((np.arange(shape.movies) + 300.0) ** -2.1).astype(
        np.float32
    )  # 1% of the movies take a third, as in ML-20M
    quality, taste = rng.normal(0, 0.4, shape.movies), rng.normal(0, 0.4, shape.users)
    for start in range(0, shape.users, shape.users_a_chunk):
        users = np.arange(start, min(start + shape.users_a_chunk, shape.users))
        user, movie = _draw(users, counts[users], popularity, rng)
        stars = 3.6 + quality[movie] + taste[user] + rng.normal(0, 0.8, len(user))
        joined = rng.integers(800_000_000, 1_400_000_000, len(users))
        seconds = joined[user - start] + rng.integers(0, 10_000_000, len(user))
        yield user, movie, np.clip(np.round(2 * stars) / 2, 0.5, 5), seconds


def _counts(shape, rng):
    """Ratings a user: log-normal like MovieLens', between 5 and a third of the movies, summing to `shape.ratings`."""
    most = shape.movies // 3
    if not 5 * shape.users <= shape.ratings <= most * shape.users:
        raise ValueError(f"{shape}: from 5 to {most} ratings a user are possible")
    draw = rng.lognormal(0, 1.2, shape.users)
    counts = np.clip(draw * (shape.ratings / draw.sum()), 5, most).astype(int)
    while missing := shape.ratings - counts.sum():
        free = np.flatnonzero(counts < most if missing > 0 else counts > 5)
        counts[rng.choice(free, min(abs(missing), len(free)), replace=False)] += np.sign(missing)
    return counts


def _draw(users, counts, popularity, rng):
    """(user, movie), ascending, with counts[i] different movies for users[i], drawn one after the other by popularity:
    those whose exponential clock, running at the speed of the movie's popularity, rings first."""
    rings = rng.standard_exponential((len(users), len(popularity)), dtype=np.float32) / popularity
    own = np.flatnonzero(users < len(popularity))
    rings[own, users[own]] = 0  # user i rates movie i in any case: no movie is left out
    first = [np.sort(np.argpartition(row, count - 1)[:count]) for row, count in zip(rings, counts, strict=True)]
    return np.repeat(users, counts), np.concatenate(first)


def write_csv(path, shape=None):
    """Write the ratings of `shape` as MovieLens CSV, ids from 1, chunk by chunk. Returns how many."""
    import pyarrow as pa
    from pyarrow import csv

    kinds = {"userId": pa.int64(), "movieId": pa.int64(), "rating": pa.float64(), "timestamp": pa.int64()}
    schema, written = pa.schema(kinds.items()), 0
    with csv.CSVWriter(path, schema, write_options=csv.WriteOptions(quoting_style="none")) as out:
        for user, movie, rating, seconds in chunks(shape or Shape()):
            out.write(pa.table([user + 1, movie + 1, rating, seconds], schema=schema))
            written += len(user)
    return written


if __name__ == "__main__":
    print(f"{write_csv(Path(sys.argv[1])):,} ratings written")
