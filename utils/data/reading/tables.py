"""Read rating files into a `Table`: Parquet, plain numbers in text fast, and any other text line by line.

Arrow reads the first two, and gives up at text that is not plain. Python's csv module then defines what a correct file
is, and names the line of an error. Neither guesses, pads or leaves out (pandas.read_csv, as fast, fills a short line
with NaN and takes the first field of a long one for an index)."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from utils.data.reading import textfiles, values
from utils.data.reading.formats import PLAIN, Format
from utils.data.reading.layouts import Layout, Parquet, find_layouts, with_notes
from utils.data.reading.values import Where
from utils.errors import UserError

BATCH = 1 << 16  # lines that are kept as Python's texts at a time


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


AS_IT_IS = Reading()


def read_ratings(files: Sequence[Path], reading: Reading = AS_IT_IS) -> Table:
    """Read rating files, parts of one table: fast where they are in Parquet, or one text file of plain numbers.

    Raises UserError, with file and line (of Parquet the row, counted from 1), for anything but one rating a line; scale
    and duplicates are not checked."""
    layouts, left_out = find_layouts(files, reading.columns), Counter[str]()
    layout = layouts[0]
    if isinstance(layout, Parquet):
        return _to_table([_parquet(part) for part in layouts], layouts, reading)
    may_be_plain = type(layout) is Layout and len(layouts) == 1 and not (reading.text_ids or layout.form.text_ids)
    if may_be_plain and not layout.form.zeros and (plain := [_plain_text(layout)])[0]:
        with contextlib.suppress(UserError):  # which is said with the text as it stands in the file
            return _to_table(plain, layouts, reading)
    table = _to_table([_any_text(part, left_out) for part in layouts], layouts, reading)
    return replace(table, left_out=dict(left_out))


def _parquet(layout: Layout) -> pa.Table:
    """Read the columns of a file in Parquet."""
    chosen = [layout.names[place] for place in layout.columns.values()]
    try:
        table = pq.ParquetFile(layout.path).read(columns=chosen)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{layout.path}: this Parquet file can't be read: {str(error).splitlines()[0]}") from None
    return pa.table({column: values.plain(table[name]) for column, name in zip(layout.columns, chosen, strict=True)})


def _plain_text(layout: Layout) -> pa.Table | None:
    """Read the columns of a text file of plain numbers; None where it holds anything else, or nothing, or is wrong."""
    step = len(layout.separator)  # a::b as a, "", b: ten times faster than a separator of two signs
    names = [str(i) for i in range(step * (len(layout.names) - 1) + 1)]
    types = {}
    for name, place in layout.columns.items():
        names[step * place], types[name] = name, pa.float64() if name == "rating" else pa.int64()
    if step > 1:
        types |= dict.fromkeys(names[1::2], pa.null())
    try:
        if not textfiles.is_plain(layout.path, layout.separator, layout.heading):
            return None
        packed = "gzip" if textfiles.is_gzip(layout.path) else None
        for of_time in (pa.int64(), pa.timestamp("s")):
            types |= {"timestamp": of_time} if "timestamp" in types else {}
            with contextlib.suppress(pa.ArrowInvalid):
                table = pyarrow.csv.read_csv(
                    pa.input_stream(str(layout.path), compression=packed),
                    pyarrow.csv.ReadOptions(skip_rows=layout.heading, column_names=names),
                    pyarrow.csv.ParseOptions(delimiter=layout.separator[0]),
                    pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[""]),
                ).select(layout.columns)
                return None if any(column.null_count for column in table.columns) else table
    except (pa.ArrowException, *textfiles.UNREADABLE):
        pass
    return None


def _any_text(layout: Layout, left_out: Counter[str]) -> pa.Table:
    """Read the columns of any text file as text; a UserError names the first line that has too few or many fields."""
    width, batches, lines = len(layout.names), list[pa.Table](), layout.rows(left_out)
    user, movie, rating, *time = layout.columns.values()
    while not batches or len(batches[-1]) == BATCH:
        texts: list[list[str]] = [[] for _ in layout.columns]
        users, movies, ratings, *times = (column.append for column in texts)
        for number, fields in itertools.islice(lines, BATCH):
            if len(fields) != width:
                raise UserError(f"{layout.path}:{number}: {textfiles.wrong_width(fields, width)}")
            users(fields[user])
            movies(fields[movie])
            ratings(fields[rating])
            if time:
                times[0](fields[time[0]])
        columns = [pa.array(column, pa.large_string()).dictionary_encode() for column in texts]
        batches.append(pa.table(columns, list(layout.columns)))
    return pa.concat_tables(batches)


def _to_table(parts: list[pa.Table], layouts: Sequence[Layout], reading: Reading) -> Table:
    """Convert the columns of a table that was read in parts, one a layout, and check each value. They are dropped from
    memory one by one, and from `parts`, since each takes 160 MB for 20 million ratings."""
    ends, layout = np.cumsum([len(part) for part in parts]), layouts[0]
    if not ends[-1]:
        raise UserError(f"{layout.path}: the file names its columns but holds no ratings")
    try:
        stored = pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(f"{layout.path}: its parts do not fit together: {str(error).splitlines()[0]}") from None
    parts.clear()
    columns = {name: stored[name] for name in layout.columns if name in stored.column_names}
    del stored

    def where(row: int) -> str:
        part = int(np.searchsorted(ends, row, side="right"))
        return layouts[part].where(row - (int(ends[part - 1]) if part else 0))

    dates = [columns["timestamp"]] if "timestamp" in columns and values.is_text(columns["timestamp"]) else []
    layout = with_notes(layout, dates[0][0].as_py() if dates else None)
    if "timestamp" not in layout.columns:
        columns.pop("timestamp", None)
    for name, column in columns.items():
        if column.null_count:
            raise UserError(f"{where(int(np.argmax(column.is_null())))}: the {name} is empty")
    text = [reading.text_ids or name in layout.form.text_ids for name in ("userId", "movieId")]
    user, users = values.ids(columns.pop("userId"), "userId", where, text[0])
    movie, movies = values.ids(columns.pop("movieId"), "movieId", where, text[1])
    commas = layout.separator not in (",", "")
    rating = values.numbers(columns.pop("rating"), "rating", where, commas).astype(np.float32)
    times, notes = values.seconds(columns.pop("timestamp"), where) if "timestamp" in columns else (None, [])
    pa.default_memory_pool().release_unused()  # half of what is taken by now
    if len(layouts) > 1:
        first, last = ("/".join(part.path.parts[-2:]) for part in (layouts[0], layouts[-1]))
        notes = [f"{len(layouts):,} files read as one table: {first} to {last}", *notes]
    return Table(user, users, movie, movies, rating, times, where, [*layout.notes, *notes], form=layout.form)
