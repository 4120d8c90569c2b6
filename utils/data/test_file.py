"""Test ratings from a separate file: the user's, or one of the folds published with ml-100k."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from utils.data import datasets
from utils.data.datasets import AS_IT_IS, Dataset, Reading
from utils.data.movies import Movies
from utils.data.ratings import Ratings, Scale, given, index_of, zero_sentinel
from utils.data.reading.scales import find_scale
from utils.data.splits import FOLDS
from utils.errors import UserError
from utils.runs.paths import is_file


def with_test_ratings(
    data: Dataset,
    protocol: str,
    path: Path | None,
    scale: Scale | None = None,
    reading: Reading = AS_IT_IS,
) -> tuple[Dataset, NDArray[np.intp] | None]:
    """Add the ratings of the protocol's test file to the data: (data, indices of the test ratings).

    For a protocol without such a file the data comes back as it is, with None. scale: given by the user; found from
    both files where None. reading: how to read the test file. Raises UserError where the file does not fit."""
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
    data = data if scale else _on_one_scale(data, path, reading)
    test = datasets.load(path, scale=data.ratings.scale, reading=reading)
    ratings, place = join(data.ratings, test.ratings, path)
    movies = _movies(ratings.movie_ids, data.movies, test.movies)
    users = data.users
    if users is not None and len(ratings.user_ids) > len(users):
        users = users.reindex(index_of(data.ratings.user_ids, ratings.user_ids)).reset_index(drop=True)
    notes = data.notes + [f"{path}: {note}" for note in test.notes if datasets.READ in note]
    return replace(data, ratings=ratings, movies=movies, users=users, notes=notes), place


def _on_one_scale(data: Dataset, path: Path, reading: Reading) -> Dataset:
    """Return the data on the scale found from its ratings and those of a test file together."""
    ratings, test_stars = data.ratings, datasets.read_table(path, reading)[1].rating
    stars = given(ratings.rating, ratings.scale).astype(np.float32)
    scale = find_scale(np.concatenate([stars, test_stars]))
    if scale == ratings.scale:
        return data
    ratings = replace(ratings, rating=np.where(stars == 0, np.float32(zero_sentinel(scale)), stars), scale=scale)
    about_scale = f"scale {scale[0]:.9g} to {scale[1]:.9g} found from these ratings and those of the test"
    stale = datasets.about_likes(data.ratings)  # on the scale of before
    notes = [about_scale if note.startswith("scale ") else note for note in data.notes if note not in stale]
    return replace(data, ratings=ratings, notes=notes + datasets.about_likes(ratings))


def join(first: Ratings, second: Ratings, path: Path) -> tuple[Ratings, NDArray[np.intp]]:
    """Append the ratings of `second` that `first` lacks: (all ratings, indices in them of the ratings of `second`).

    Different stars for the same user and movie are a UserError that names `path`, the file of `second`."""
    user_ids, movie_ids = np.union1d(first.user_ids, second.user_ids), np.union1d(first.movie_ids, second.movie_ids)
    pairs = []
    for table in (first, second):
        if table.user_ids.dtype.kind != user_ids.dtype.kind or table.movie_ids.dtype.kind != movie_ids.dtype.kind:
            raise UserError(f"{path}: its ids are not of the kind of the data's: numbers in one, text in the other")
        rows, columns = index_of(user_ids, table.user_ids), index_of(movie_ids, table.movie_ids)
        pairs.append(rows[table.user] * len(movie_ids) + columns[table.movie])
    place = pd.Index(pairs[0]).get_indexer(pairs[1])
    differs = (place >= 0) & (first.rating[place] != second.rating)
    if differs.any():
        i = int(np.argmax(differs))
        user_id, movie_id = second.user_ids[second.user[i]], second.movie_ids[second.movie[i]]
        here, there = (given(stars, first.scale) for stars in (second.rating[i], first.rating[place[i]]))
        stars = f"{here:g} stars here and {there:g} in the data"
        raise UserError(f"{path}: user {user_id}'s rating of movie {movie_id} is {stars}; which is right?")
    new = np.flatnonzero(place < 0)
    place[new] = len(first) + np.arange(len(new))
    user, movie = np.divmod(np.concatenate([pairs[0], pairs[1][new]]), len(movie_ids))
    timestamp = None
    if first.timestamp is not None and second.timestamp is not None:
        timestamp = np.concatenate([first.timestamp, second.timestamp[new]])
    rating = np.concatenate([first.rating, second.rating[new]])
    cells = user.astype(np.int32), movie.astype(np.int32)
    return Ratings(*cells, rating, timestamp, user_ids, movie_ids, first.scale, first.threshold), place


def _movies(ids: NDArray[Any], *tables: Movies) -> Movies:
    """Make the movie table of `ids`, with each movie from the first table that has it."""
    movies = Movies.untitled(ids)
    for table in reversed(tables):
        for source, target in enumerate(index_of(ids, table.ids)):
            movies.titles[target] = table.titles[source]
            movies.years[target], movies.genres[target] = table.years[source], table.genres[source]
    return movies
