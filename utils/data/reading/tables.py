"""Read rating files in text: strictly, fast where a file holds only plain numbers, and naming the line of an error.

A text file is read at most twice. The fast pass (Arrow) takes files that hold only plain numbers, and gives up at
anything else. The literal pass reads line by line with Python's csv module; it defines what a correct file is, and
names the line of an error. Neither guesses, pads or leaves out (pandas.read_csv, as fast, fills a short line with NaN
and takes the first field of a long one for an index).
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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

if TYPE_CHECKING:
    import pyarrow as pa

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

    user, movie: positions in `user_ids`, `movie_ids`, which are the file's ids, ascending (int64 or str).
    rating: finite. timestamp: seconds since 1970, or None where the file has no such column.
    where: row -> "file:line", for messages. notes: sentences for the user about how the file was read.
    """

    user: NDArray[np.int32]
    user_ids: NDArray[Any]
    movie: NDArray[np.int32]
    movie_ids: NDArray[Any]
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64] | None
    where: Callable[[int], str]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: separator, position of each known column, fields a line, lines of heading, notes."""

    separator: str
    columns: dict[str, int]
    width: int
    heading: int
    notes: list[str]


def read_text(path: str | Path) -> Table:
    """Read a text file: CSV, TSV, `a::b::c`, gzipped or not, told apart by content.

    Raises UserError, with file and line, for anything but one rating a line. Scale and duplicates are not checked here.
    """
    path = Path(path)
    layout = find_layout(path)
    return _read_fast(path, layout) or _read_literally(path, layout)


def find_layout(path: Path) -> Layout:
    """Find the layout from the heading, or from the fields where there is none, as in MovieLens' u.data and *.dat."""
    number, line = first_line(path)
    most: list[str] = []
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


def _arrow_table(path: Path, layout: Layout) -> pa.Table | None:
    """Read the known columns of a file of plain numbers, under their names in `layout`; None where Arrow can't."""
    import pyarrow as pa
    from pyarrow import csv

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
    return table.select(list(names.values())).rename_columns(list(names))


def _read_fast(path: Path, layout: Layout) -> Table | None:
    """Read a file of plain numbers; None where it holds anything else (then the literal pass reads it)."""
    table = _arrow_table(path, layout) if _is_plain(path, layout) else None
    if table is None or not len(table) or any(column.null_count for column in table.columns):
        return None
    columns: dict[str, Any] = {}
    for name in layout.columns:
        columns[name] = table[name].to_numpy()
        table = table.drop_columns(name)  # of 20 million ratings each column takes 160 MB
        if name in ("userId", "movieId"):
            columns[name] = positions(columns[name])
        elif name == "rating":
            with np.errstate(over="ignore"):
                columns[name] = columns[name].astype(np.float32)
    timestamp = columns.get("timestamp")
    if timestamp is not None and not (SECONDS[0] <= timestamp.min() and timestamp.max() <= SECONDS[1]):
        return None
    if not np.isfinite(columns["rating"]).all():
        return None

    def where(row: int) -> str:
        number, _ = next(itertools.islice(rows(path, layout.separator, layout.heading), row, None))
        return f"{path}:{number}"

    (user, user_ids), (movie, movie_ids) = columns["userId"], columns["movieId"]
    return Table(user, user_ids, movie, movie_ids, columns["rating"], timestamp, where, layout.notes)


def _is_plain(path: Path, layout: Layout) -> bool:
    """Whether nothing below the heading is ambiguous: Arrow reads 0x10 as 16 and "1"2 as 12, and does not check the
    encoding of columns that it does not read."""
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


def _read_literally(path: Path, layout: Layout) -> Table:
    """Read any text file line by line; a UserError names the first line that is not a rating."""
    user_place, movie_place, rating_place = (layout.columns[column] for column in NEEDED)
    time_place = layout.columns.get("timestamp")
    users: dict[str, int] = {}  # text -> code
    movies: dict[str, int] = {}
    stars: dict[str, float] = {}  # text -> number
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

    def where(row: int) -> str:
        return f"{path}:{line[row]}"

    user_ids = to_ids(np.asarray(user), list(users), "userId", where)
    movie_ids = to_ids(np.asarray(movie), list(movies), "movieId", where)
    times = np.asarray(timestamp) if time_place is not None else None
    return Table(*user_ids, *movie_ids, np.asarray(rating, np.float32), times, where, layout.notes)
