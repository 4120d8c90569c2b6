"""Read rating files in text: strictly, fast where a file holds only plain numbers, and naming the line of an error.

A text file is read at most twice. The fast pass (Arrow) takes files that hold only plain numbers, and gives up at
anything else. The second pass reads line by line with Python's csv module; it defines what a correct file is, and
names the line of an error. Neither guesses, pads or leaves out (pandas.read_csv, as fast, fills a short line with NaN
and takes the first field of a long one for an index)."""

from __future__ import annotations

import functools
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from utils.data.reading import textfiles
from utils.data.reading.formats import NEEDED, PLAIN, Format
from utils.data.reading.textfiles import Layout
from utils.data.reading.values import Where, seconds_of, to_ids, to_number, to_time, with_point
from utils.errors import UserError


@dataclass(frozen=True)
class Table:
    """The ratings of one file in the file's order, one entry a rating.

    user, movie: positions in `user_ids`, `movie_ids`, which are the file's ids, ascending (int64 or str).
    rating: finite. timestamp: seconds since 1970, or None where the file has no such column.
    notes: sentences for the user about how the file was read. left_out: how many lines are left out, by why."""

    user: NDArray[np.int32]
    user_ids: NDArray[Any]
    movie: NDArray[np.int32]
    movie_ids: NDArray[Any]
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64] | None
    where: Where
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    form: Format = PLAIN


@dataclass(frozen=True)
class Reading:
    """How to read a rating file where it does not say so itself.

    columns: {known name: heading or number of the column}; found where None. text_ids: whether ids are text even where
    most are whole numbers. duplicates: which rating counts where a user has rated a movie twice."""

    columns: Mapping[str, str] | None = None
    text_ids: bool = False
    duplicates: Literal["refuse", "last", "mean"] = "refuse"


def read_line_by_line(layout: Layout, form: Format, reading: Reading) -> Table:
    """Read any text file; a UserError names the first line that is not a rating."""
    user_place, movie_place, rating_place = (layout.columns[column] for column in NEEDED)
    time_place = layout.columns.get("timestamp")
    users: dict[str, int] = {}  # text -> code
    movies: dict[str, int] = {}
    with_commas = layout.separator not in (",", "")
    to_stars = functools.cache(lambda text: to_number(with_point(text) if with_commas else text, "rating"))
    user, movie, rating, timestamp = array("i"), array("i"), array("d"), array("q")
    left_out = Counter[str]()
    for number, fields in layout.rows(left_out):
        try:
            textfiles.check_width(fields, len(layout.names))
            rating.append(to_stars(fields[rating_place]))
            if time_place is not None:
                timestamp.append(to_time(fields[time_place]))
        except ValueError as error:
            raise UserError(f"{layout.path}:{number}: {error}") from None
        user.append(users.setdefault(fields[user_place], len(users)))
        movie.append(movies.setdefault(fields[movie_place], len(movies)))
    if not user:
        raise UserError(f"{layout.path}: the file names its columns but holds no ratings")
    codes = {"userId": (np.asarray(user), list(users)), "movieId": (np.asarray(movie), list(movies))}
    text = [reading.text_ids or name in form.text_ids for name in codes]
    ids = [to_ids(*codes[name], name, layout.where, as_text) for name, as_text in zip(codes, text, strict=True)]
    times, notes = seconds_of(np.asarray(timestamp), layout.where) if time_place is not None else (None, [])
    stars = np.asarray(rating, np.float32)
    return Table(*ids[0], *ids[1], stars, times, layout.where, [*layout.notes, *notes], dict(left_out), form)
