"""Read rating files in text: strictly, fast where a file holds only plain numbers, and naming the line of an error.

A text file is read at most twice. The fast pass (Arrow) takes files that hold only plain numbers, and gives up at
anything else. The second pass reads line by line with Python's csv module; it defines what a correct file is, and
names the line of an error. Neither guesses, pads or leaves out (pandas.read_csv, as fast, fills a short line with NaN
and takes the first field of a long one for an index)."""

from __future__ import annotations

import functools
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.data.reading import textfiles
from utils.data.reading.textfiles import Layout, Spellings
from utils.data.reading.values import Where, is_number, to_ids, to_number, to_seconds
from utils.errors import UserError

SPELLINGS: Spellings = {
    "userId": ("userid", "user", "uid", "reviewerid", "customerid", "memberid"),
    "movieId": ("movieid", "movie", "itemid", "item", "iid", "filmid", "film", "productid"),
    "rating": ("rating", "ratings", "stars", "star", "score", "grade"),
    "timestamp": ("timestamp", "time", "ts", "unixtime", "unixreviewtime"),
}
NEEDED = ("userId", "movieId", "rating")
ENDINGS_100K = (".data", ".base", ".test")  # of u.data and of the folds published with it


@dataclass(frozen=True)
class Table:
    """The ratings of one file in the file's order, one entry a rating.

    user, movie: positions in `user_ids`, `movie_ids`, which are the file's ids, ascending (int64 or str).
    rating: finite. timestamp: seconds since 1970, or None where the file has no such column.
    notes: sentences for the user about how the file was read."""

    user: NDArray[np.int32]
    user_ids: NDArray[Any]
    movie: NDArray[np.int32]
    movie_ids: NDArray[Any]
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64] | None
    where: Where
    notes: list[str] = field(default_factory=list)


def find_rating_layout(path: Path) -> Layout:
    """Find the layout from the heading, or from the fields where there is none, as in MovieLens' u.data and *.dat."""
    layout = textfiles.find_layout(path, ("::", "\t", ",", ";", "|"), SPELLINGS, NEEDED)
    if any(column not in layout.columns for column in NEEDED):
        _, line = textfiles.first_line(path)
        for separator, endings in (("::", (".dat",)), ("\t", ENDINGS_100K)):
            fields = line.split(separator)
            is_numeric = len(fields) in (3, 4) and all(is_number(text) for text in fields)
            if is_numeric or path.suffix in endings:
                names = list(SPELLINGS)[: len(fields) if is_numeric else 4]
                return Layout(path, separator, names, {name: i for i, name in enumerate(names)}, layout.heading - 1)
    hint = "; the first line must name the columns"
    textfiles.check_columns(f"{path}:{layout.heading}", layout.names, layout.columns, NEEDED, hint)
    return layout


def read_line_by_line(layout: Layout) -> Table:
    """Read any text file; a UserError names the first line that is not a rating."""
    user_place, movie_place, rating_place = (layout.columns[column] for column in NEEDED)
    time_place = layout.columns.get("timestamp")
    users: dict[str, int] = {}  # text -> code
    movies: dict[str, int] = {}
    to_stars = functools.cache(lambda text: to_number(text, "rating"))
    user, movie, rating, timestamp = array("i"), array("i"), array("d"), array("q")
    for number, fields in layout.rows():
        try:
            textfiles.check_width(fields, len(layout.names))
            rating.append(to_stars(fields[rating_place]))
            if time_place is not None:
                timestamp.append(to_seconds(fields[time_place]))
        except ValueError as error:
            raise UserError(f"{layout.path}:{number}: {error}") from None
        user.append(users.setdefault(fields[user_place], len(users)))
        movie.append(movies.setdefault(fields[movie_place], len(movies)))
    if not user:
        raise UserError(f"{layout.path}: the file names its columns but holds no ratings")
    user_ids = to_ids(np.asarray(user), list(users), "userId", layout.where)
    movie_ids = to_ids(np.asarray(movie), list(movies), "movieId", layout.where)
    times = np.asarray(timestamp) if time_place is not None else None
    notes = textfiles.renamed(layout.names, layout.columns)
    return Table(*user_ids, *movie_ids, np.asarray(rating, np.float32), times, layout.where, notes)
