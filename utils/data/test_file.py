"""Test ratings from a separate file: the user's, or one of the folds published with ml-100k."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.data import datasets
from utils.data.datasets import Dataset
from utils.data.movies import Movies
from utils.data.ratings import Ratings, given, index_of, zero_sentinel
from utils.data.reading.scales import find_scale
from utils.data.splits import FOLDS
from utils.errors import UserError
from utils.runs.paths import is_file


def with_test_ratings(
    data: Dataset, protocol: str, path: Path | None, scale: tuple[float, float] | None = None
) -> tuple[Dataset, NDArray[np.intp] | None]:
    """Add the ratings of the protocol's test file to the data: (data, indices of the test ratings).

    For a protocol without such a file the data comes back as it is, with None. scale: given by the user; found from
    both files where None. Raises UserError where the file does not fit."""
    if protocol in FOLDS:
        path = (data.folder or Path()) / f"{protocol}.test"
        if not is_file(path):
            raise UserError(
                f"{protocol} is a fold published with ml-100k, and {path} does not exist: add --data ml-100k"
            )
    elif protocol == "fixed":
        if path is None:
            raise UserError("protocol fixed needs --test FILE, the file with the test ratings")
    elif path is not None:
        raise UserError(f"--test belongs to --protocol fixed; {protocol} draws its own test")
    else:
        return data, None
    data = data if scale else _on_one_scale(data, path)
    test = datasets.load(path, scale=data.ratings.scale)
    ratings, place = join(data.ratings, test.ratings, path)
    movies = _movies(ratings.movie_ids, data.movies, test.movies)
    users = data.users
    if users is not None and len(ratings.user_ids) > len(users):
        users = users.reindex(index_of(data.ratings.user_ids, ratings.user_ids)).reset_index(drop=True)
    return replace(data, ratings=ratings, movies=movies, users=users), place


def _on_one_scale(data: Dataset, path: Path) -> Dataset:
    """Return the data on the scale found from its ratings and those of a test file together."""
    ratings, more = data.ratings, datasets.read_ratings(datasets.rating_file(path)).rating
    stars = given(ratings.rating, ratings.scale).astype(np.float32)
    scale = find_scale(np.concatenate([stars, more]))
    if scale == ratings.scale:
        return data
    ratings = replace(ratings, rating=np.where(stars == 0, np.float32(zero_sentinel(scale)), stars), scale=scale)
    note = f"scale {scale[0]:.9g} to {scale[1]:.9g} found from these ratings and those of the test"
    stale = datasets.about_likes(data.ratings)  # on the scale of before
    notes = [note if known.startswith("scale ") else known for known in data.notes if known not in stale]
    return replace(data, ratings=ratings, notes=notes + datasets.about_likes(ratings))


def join(first: Ratings, second: Ratings, path: Path) -> tuple[Ratings, NDArray[np.intp]]:
    """Append the ratings of `second` that `first` lacks: (all ratings, indices in them of the ratings of `second`).

    Different stars for the same user and movie are a UserError that names `path`, the file of `second`."""
    if (
        first.user_ids.dtype.kind != second.user_ids.dtype.kind
        or first.movie_ids.dtype.kind != second.movie_ids.dtype.kind
    ):
        raise UserError(f"{path}: its ids are not of the kind of the data's: numbers in one, text in the other")
    user_ids, movie_ids = np.union1d(first.user_ids, second.user_ids), np.union1d(first.movie_ids, second.movie_ids)
    cells, tables = [], (first, second)
    for table in tables:
        rows = index_of(user_ids, table.user_ids)[table.user]
        cells.append(rows.astype(np.int64) * len(movie_ids) + index_of(movie_ids, table.movie_ids)[table.movie])
    order = np.argsort(cells[0])
    place = index_of(cells[0][order], cells[1])
    known = np.flatnonzero(place >= 0)
    place[known] = order[place[known]]
    if (differs := first.rating[place[known]] != second.rating[known]).any():
        i = known[np.argmax(differs)]
        who, what = second.user_ids[second.user[i]], second.movie_ids[second.movie[i]]
        here, there = (given(stars, first.scale) for stars in (second.rating[i], first.rating[place[i]]))
        stars = f"{here:g} stars here and {there:g} in the data"
        raise UserError(f"{path}: user {who}'s rating of movie {what} is {stars}; which is right?")
    new = np.flatnonzero(place < 0)
    place[new] = len(first) + np.arange(len(new))
    cell = np.concatenate([cells[0], cells[1][new]])
    timestamp = None
    if first.timestamp is not None and second.timestamp is not None:
        timestamp = np.concatenate([first.timestamp, second.timestamp[new]])
    user, movie = (index.astype(np.int32) for index in np.divmod(cell, len(movie_ids)))
    rating = np.concatenate([first.rating, second.rating[new]])
    return Ratings(user, movie, rating, timestamp, user_ids, movie_ids, first.scale, first.threshold), place


def _movies(ids: NDArray[Any], *tables: Movies) -> Movies:
    """Make the movie table of `ids`, with each movie from the first table that has it."""
    movies = Movies.untitled(ids)
    for table in reversed(tables):
        for source, target in enumerate(index_of(ids, table.ids)):
            movies.titles[target] = table.titles[source]
            movies.years[target], movies.genres[target] = table.years[source], table.genres[source]
    return movies
