"""Made-up ratings of a given shape, with taste in them, so that there is something to learn: few movies take most
ratings, few users give most, nobody rates a movie twice, and who rates what, and how, follows from their factors.

python benchmarks/generate.py ratings.csv                            # ML-20M's shape: 20 million ratings, 600 MB
python benchmarks/generate.py ratings.csv --shape ml-1m --seed 1
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

FACTORS = 16  # of taste, each of which says less than the one before
TASTE, QUALITY, HABIT, NOISE = 1.0, 0.5, 0.4, 0.8  # standard deviations; the last two in stars
SEEKS, ENJOYS, MEAN = 1.5, 0.8, 2.9  # log odds of a rating, and stars, by taste and quality; stars without either


@dataclass(frozen=True)
class Shape:
    """How much is generated; the default is about MovieLens 20M."""

    users: int = 138_000
    movies: int = 26_700
    ratings: int = 20_000_000
    seed: int = 0
    users_a_chunk: int = 500  # of all movies each: 50 MB


SHAPES = {
    "ml-1m": Shape(6_040, 3_706, 1_000_000),
    "ml-20m": Shape(),
    "ml-32m": Shape(200_948, 84_432, 32_000_000),
}


def chunks(shape):
    """Yield (user, movie, rating, timestamp) arrays, users ascending: 0-based indices, half stars 0.5 to 5, seconds.

    Every user has at least 5 ratings, every movie at least one where there are no more movies than users; together
    exactly `shape.ratings`. The same shape and seed give the same ratings.
    """
    rng = np.random.default_rng(shape.seed)
    counts = _counts(shape, rng)
    popularity = rng.permutation((np.arange(shape.movies) + 150.0) ** -2.1).astype(
        np.float32
    )  # 1% of the movies take two fifths, about as in ML-20M
    quality, habit = rng.normal(0, QUALITY, shape.movies).astype(np.float32), rng.normal(0, HABIT, shape.users)
    of_movies, of_users = _factors(shape.movies, rng), _factors(shape.users, rng)
    for start in range(0, shape.users, shape.users_a_chunk):
        users = np.arange(start, min(start + shape.users_a_chunk, shape.users))
        appeal = quality + of_users[users] @ of_movies.T
        user, movie = _draw(users, counts[users], popularity * np.exp(SEEKS * appeal), rng)
        stars = MEAN + habit[user] + ENJOYS * appeal[user - start, movie] + rng.normal(0, NOISE, len(user))
        joined = rng.integers(800_000_000, 1_400_000_000, len(users))
        seconds = joined[user - start] + rng.integers(0, 10_000_000, len(user))
        yield user, movie, np.clip(np.round(2 * stars) / 2, 0.5, 5), seconds


def _factors(n, rng):
    """Factors of n users or movies, (n, FACTORS), such that taste, the product of two, deviates by TASTE."""
    weights = 1 / np.arange(1, FACTORS + 1)
    weights *= TASTE / np.sqrt((weights**2).sum())
    return rng.standard_normal((n, FACTORS), dtype=np.float32) * np.sqrt(weights, dtype=np.float32)


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


def _draw(users, counts, speed, rng):
    """(user, movie), ascending, with counts[i] different movies for users[i], drawn one after the other by speed[i]:
    those whose exponential clock, running at that speed, rings first."""
    rings = rng.standard_exponential(speed.shape, dtype=np.float32) / speed
    own = np.flatnonzero(users < speed.shape[1])
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


def main(argv=None):
    """Write the ratings that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="ml-20m")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    print(f"{write_csv(args.path, replace(SHAPES[args.shape], seed=args.seed)):,} ratings written")


if __name__ == "__main__":
    main()
