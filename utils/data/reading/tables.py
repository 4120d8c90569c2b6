"""Rating files -> tables: strict, fast where a file is made of plain numbers, exact about the line where it is wrong.

A text file is read twice at most. The fast pass (Arrow) takes files of nothing but plain numbers, and gives up at
anything else. The literal pass goes line by line with Python's csv module; it is what defines a correct file, and it
names the line of whatever is wrong. Neither guesses, pads or leaves out (pandas.read_csv, as fast, fills up a short
line with NaN and takes the first field of a long one for an index).
"""

import itertools
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from utils.data.reading.textfiles import (
    LINE_END,
    UNREADABLE,
    check_width,
    cut,
    find_columns,
    first_line,
    is_gzip,
    open_bytes,
    renamed,
    rows,
    shown,
)
from utils.data.reading.values import SECONDS, is_number, positions, to_ids, to_number, to_seconds
from utils.errors import UserError

SPELLINGS = {
    "userId": ("userid", "user", "uid", "reviewerid", "customerid", "memberid"),
    "movieId": ("movieid", "movie", "itemid", "item", "iid", "filmid", "film", "productid"),
    "rating": ("rating", "ratings", "stars", "star", "score", "grade"),
    "timestamp": ("timestamp", "time", "ts", "unixtime", "unixreviewtime"),
}
NEEDED = ("userId", "movieId", "rating")


@dataclass(frozen=True)
class Table:
    """The ratings of one file in the file's order, one entry a rating.

    user, movie: int32 positions in `user_ids`, `movie_ids`, which are the file's ids, ascending (int64 or str).
    rating: float32, finite. timestamp: int64 seconds since 1970, or None where the file has no such column.
    where: row -> "file:line", for messages. notes: what the user should know about how the file was read.
    """

    user: np.ndarray
    user_ids: np.ndarray
    movie: np.ndarray
    movie_ids: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray | None
    where: Callable[[int], str]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """How a file is cut: separator, position of each known column, fields a line, lines of heading; notes on that."""

    separator: str
    columns: dict[str, int]
    width: int
    heading: int
    notes: list[str]


def read_text(path):
    """The `Table` of a text file: CSV, TSV, `a::b::c`, gzipped or not, told apart by content.

    Raises UserError, with file and line, for anything but one rating a line. Scale and duplicates are not judged here.
    """
    path = Path(path)
    layout = find_layout(path)
    return _read_fast(path, layout) or _read_literally(path, layout)


def find_layout(path):
    """The `Layout` of a text file: by its heading; by its fields where it has none, as MovieLens' u.data and *.dat."""
    number, line = first_line(path)
    most = []
    for separator in ("::", "\t", ",", ";", "|"):
        names = cut(line, separator)
        columns = find_columns(path, names, SPELLINGS)
        if all(column in columns for column in NEEDED):
            return Layout(separator, columns, len(names), number, renamed(names, columns))
        most = max(most, names, key=len)
    for separator, suffixes in (("::", (".dat",)), ("\t", (".data", ".base", ".test"))):
        fields = line.split(separator)
        numeric = len(fields) in (3, 4) and all(is_number(text) for text in fields)
        if numeric or path.suffix in suffixes:
            width = len(fields) if numeric else 4
            return Layout(separator, dict(zip(SPELLINGS, range(width), strict=False)), width, number - 1, [])
    missing = [column for column in NEEDED if column not in find_columns(path, most, SPELLINGS)]
    raise UserError(
        f"{path}:{number}: missing column(s) {', '.join(missing)}; found: {shown(most)}; "
        "the first line must name the columns"
    )


# --- fast: files of plain numbers ------------------------------------------------------------------------------------


def _read_fast(path, layout):
    """The `Table`, or None where the file holds anything but plain numbers (then the literal pass reads it)."""
    import pyarrow as pa
    from pyarrow import csv

    if not _is_plain(path, layout):
        return None
    step = 2 if layout.separator == "::" else 1  # a::b as a, "", b: ten times faster than a separator of two letters
    kinds = {"userId": pa.int64(), "movieId": pa.int64(), "rating": pa.float64(), "timestamp": pa.int64()}
    names = {name: str(step * place) for name, place in layout.columns.items()}
    types = {names[name]: kinds[name] for name in names}
    if step == 2:
        types |= {str(between): pa.null() for between in range(1, 2 * layout.width - 1, 2)}
    columns = [str(i) for i in range(step * (layout.width - 1) + 1)]
    try:
        table = csv.read_csv(
            pa.input_stream(str(path), compression="gzip" if is_gzip(path) else None),
            csv.ReadOptions(skip_rows=layout.heading, column_names=columns),
            csv.ParseOptions(delimiter=layout.separator[0]),
            csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[""]),
        )
    except (pa.ArrowException, OSError):
        return None
    if not len(table) or any(table[name].null_count for name in names.values()):
        return None
    found = {}
    for column, name in names.items():
        found[column] = table[name].to_numpy()
        table = table.drop_columns(name)  # of 20 million ratings each column takes 160 MB
        if column in ("userId", "movieId"):
            found[column] = positions(found[column])
        elif column == "rating":
            with np.errstate(over="ignore"):
                found[column] = found[column].astype(np.float32)
    timestamp = found.get("timestamp")
    if timestamp is not None and not (SECONDS[0] <= timestamp.min() and timestamp.max() <= SECONDS[1]):
        return None
    if not np.isfinite(found["rating"]).all():
        return None

    def where(row):
        number, _ = next(itertools.islice(rows(path, layout.separator, layout.heading), int(row), None))
        return f"{path}:{number}"

    return Table(*found["userId"], *found["movieId"], found["rating"], timestamp, where, layout.notes)


def _is_plain(path, layout):
    """Whether nothing below the heading can be understood in two ways: Arrow reads 0x10 as 16 and "1"2 as 12, and does
    not look at the encoding of columns that are not asked for."""
    with open_bytes(path) as file:
        try:
            block = file.read(1 << 20)
            if layout.heading:
                block = LINE_END.split(block, layout.heading)[-1]
            while block:
                if not block.isascii() or any(sign in block for sign in (b'"', b"x", b"X", b"\0")):
                    return False
                block = file.read(1 << 20)
        except UNREADABLE:
            return False
    return True


# --- literal: any text, line by line ---------------------------------------------------------------------------------


def _read_literally(path, layout):
    """The `Table` of any text file, or a UserError that names the first line which is not a rating."""
    user_place, movie_place, rating_place, time_place = (layout.columns.get(column) for column in SPELLINGS)
    users, movies, stars = {}, {}, {}  # text -> code, and text -> number
    user, movie, rating, timestamp, line = array("i"), array("i"), array("d"), array("q"), array("q")
    for number, fields in rows(path, layout.separator, layout.heading):
        try:
            check_width(fields, layout.width)
            text = fields[rating_place]
            if text not in stars:
                stars[text] = to_number(text, "rating")
            rating.append(stars[text])
            if time_place is not None:
                timestamp.append(to_seconds(fields[time_place]))
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}") from None
        user.append(users.setdefault(fields[user_place], len(users)))
        movie.append(movies.setdefault(fields[movie_place], len(movies)))
        line.append(number)
    if not line:
        raise UserError(f"{path}: the file names its columns but holds no ratings")

    def where(row):
        return f"{path}:{line[row]}"

    user = to_ids(np.asarray(user), list(users), "userId", where)
    movie = to_ids(np.asarray(movie), list(movies), "movieId", where)
    timestamp = np.asarray(timestamp) if time_place is not None else None
    return Table(*user, *movie, np.asarray(rating, np.float32), timestamp, where, layout.notes)
