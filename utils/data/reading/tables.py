"""Read rating files in text: strictly, fast where a file holds only plain numbers, and naming the line of an error.

A text file is read at most twice. The fast pass (Arrow) takes files that hold only plain numbers, and gives up at
anything else. The literal pass reads line by line with Python's csv module; it defines what a correct file is, and
names the line of an error. Neither guesses, pads or leaves out (pandas.read_csv, as fast, fills a short line with NaN
and takes the first field of a long one for an index).
"""

from __future__ import annotations

import functools
import itertools
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.data.reading import textfiles
from utils.data.reading.textfiles import LINE_END, UNREADABLE, Layout, Spellings, check_columns, check_width, renamed
from utils.data.reading.values import SECONDS, Where, is_number, positions, to_ids, to_number, to_seconds
from utils.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

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
    notes: sentences for the user about how the file was read.
    """

    user: NDArray[np.int32]
    user_ids: NDArray[Any]
    movie: NDArray[np.int32]
    movie_ids: NDArray[Any]
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64] | None
    where: Where
    notes: list[str] = field(default_factory=list)


def read_text(path: str | Path) -> Table:
    """Read a text file: CSV, TSV, `a::b::c`, gzipped or not, told apart by content.

    Raises UserError, with file and line, for anything but one rating a line. Scale and duplicates are not checked here.
    """
    path = Path(path)
    layout = _find_layout(path)
    return _read_fast(path, layout) or _read_literally(path, layout)


def _find_layout(path: Path) -> Layout:
    """Find the layout from the heading, or from the fields where there is none, as in MovieLens' u.data and *.dat."""
    layout = textfiles.find_layout(path, ("::", "\t", ",", ";", "|"), SPELLINGS, NEEDED)
    if any(column not in layout.columns for column in NEEDED):
        _, line = textfiles.first_line(path)
        for separator, endings in (("::", (".dat",)), ("\t", ENDINGS_100K)):
            fields = line.split(separator)
            is_numeric = len(fields) in (3, 4) and all(is_number(text) for text in fields)
            if is_numeric or path.suffix in endings:
                names = list(SPELLINGS)[: len(fields) if is_numeric else 4]
                return Layout(separator, names, {name: i for i, name in enumerate(names)}, layout.heading - 1)
    hint = "; the first line must name the columns"
    check_columns(f"{path}:{layout.heading}", layout.names, layout.columns, NEEDED, hint)
    return layout


# --- fast: files of plain numbers ------------------------------------------------------------------------------------


def _read_fast(path: Path, layout: Layout) -> Table | None:
    """Read a file of plain numbers; None where it holds anything else (then the literal pass reads it)."""
    columns = _arrow_columns(path, layout) if _is_plain(path, layout) else None
    if columns is None or not len(columns["rating"]) or any(column.null_count for column in columns.values()):
        return None
    # one by one, each freed at once: of 20 million ratings a column takes 160 MB
    user = positions(columns.pop("userId").to_numpy())
    movie = positions(columns.pop("movieId").to_numpy())
    with np.errstate(over="ignore"):
        rating = columns.pop("rating").to_numpy().astype(np.float32)
    timestamp = columns.pop("timestamp").to_numpy() if "timestamp" in columns else None
    if timestamp is not None and not (SECONDS[0] <= timestamp.min() and timestamp.max() <= SECONDS[1]):
        return None
    if not np.isfinite(rating).all():
        return None

    def where(row: int) -> str:
        number, _ = next(itertools.islice(textfiles.rows(path, layout.separator, layout.heading), row, None))
        return f"{path}:{number}"

    return Table(*user, *movie, rating, timestamp, where, renamed(layout.names, layout.columns))


def _is_plain(path: Path, layout: Layout) -> bool:
    """Whether nothing below the heading is ambiguous: Arrow reads 0x10 as 16 and "1"2 as 12, and does not check the
    encoding of columns that it does not read."""
    try:
        with textfiles.open_bytes(path) as file:
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


def _arrow_columns(path: Path, layout: Layout) -> dict[str, pa.ChunkedArray] | None:
    """Read {known name: column} of a file of plain numbers; None where Arrow can't."""
    import pyarrow as pa
    from pyarrow import csv

    step = 2 if layout.separator == "::" else 1  # a::b as a, "", b: ten times faster than a separator of two letters
    names = [str(i) for i in range(step * (len(layout.names) - 1) + 1)]
    for name, place in layout.columns.items():
        names[step * place] = name
    types = {name: pa.float64() if name == "rating" else pa.int64() for name in layout.columns}
    if layout.separator == "::":
        types |= dict.fromkeys(names[1::2], pa.null())
    try:
        table = csv.read_csv(
            pa.input_stream(str(path), compression="gzip" if textfiles.is_gzip(path) else None),
            csv.ReadOptions(skip_rows=layout.heading, column_names=names),
            csv.ParseOptions(delimiter=layout.separator[0]),
            csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[""]),
        )
    except (pa.ArrowException, OSError):
        return None
    return {name: table[name] for name in layout.columns}


# --- literal: any text, line by line ---------------------------------------------------------------------------------


def _read_literally(path: Path, layout: Layout) -> Table:
    """Read any text file line by line; a UserError names the first line that is not a rating."""
    user_place, movie_place, rating_place = (layout.columns[column] for column in NEEDED)
    time_place = layout.columns.get("timestamp")
    users: dict[str, int] = {}  # text -> code
    movies: dict[str, int] = {}
    to_stars = functools.cache(lambda text: to_number(text, "rating"))
    user, movie, rating, timestamp, line = array("i"), array("i"), array("d"), array("q"), array("q")
    for number, fields in textfiles.rows(path, layout.separator, layout.heading):
        try:
            check_width(fields, len(layout.names))
            rating.append(to_stars(fields[rating_place]))
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
    notes = renamed(layout.names, layout.columns)
    return Table(*user_ids, *movie_ids, np.asarray(rating, np.float32), times, where, notes)
