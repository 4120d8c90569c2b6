"""What Arrow reads fast: rating files in Parquet, and text files that hold only plain numbers."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from utils.data.reading import textfiles
from utils.data.reading.tables import NEEDED, SPELLINGS, Table
from utils.data.reading.values import NOT_SECONDS, SECONDS, PositionsAndIds, Where, positions, refuse_where, to_ids
from utils.errors import UserError


def read_parquet(path: Path) -> Table:
    """Read a Parquet file: ids are whole numbers or text, ratings numbers, timestamps seconds or date-times.

    Raises UserError, with the row counted from 1, for missing values and values of the wrong type."""
    try:
        names = pq.read_schema(path).names
        columns = textfiles.find_columns(path, names, SPELLINGS)
        textfiles.check_columns(path, names, columns, NEEDED)
        stored = pq.read_table(path, columns=[names[place] for place in columns.values()])
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: this Parquet file can't be read: {str(error).splitlines()[0]}") from None
    if not len(stored):
        raise UserError(f"{path}: the file names its columns but holds no ratings")
    arrays = {column: stored[names[place]] for column, place in columns.items()}
    del stored  # or it would keep the columns that `_to_table` drops
    return _to_table(arrays, lambda row: f"{path}: row {row + 1}", textfiles.renamed(names, columns))


def read_plain_text(layout: textfiles.Layout) -> Table | None:
    """Read a text file of plain numbers; None where it holds anything else or is wrong."""
    step = 2 if layout.separator == "::" else 1  # a::b as a, "", b: ten times faster than a separator of two letters
    names = [str(i) for i in range(step * (len(layout.names) - 1) + 1)]
    for name, place in layout.columns.items():
        names[step * place] = name
    types = {name: pa.float64() if name == "rating" else pa.int64() for name in layout.columns}
    if layout.separator == "::":
        types |= dict.fromkeys(names[1::2], pa.null())
    try:
        if not _is_plain(layout):
            return None
        table = pyarrow.csv.read_csv(
            pa.input_stream(str(layout.path), compression="gzip" if textfiles.is_gzip(layout.path) else None),
            pyarrow.csv.ReadOptions(skip_rows=layout.heading, column_names=names),
            pyarrow.csv.ParseOptions(delimiter=layout.separator[0]),
            pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[""]),
        )
        if not len(table):
            return None
        columns = {name: table[name] for name in layout.columns}
        del table  # or it would keep the columns that `_to_table` drops
        return _to_table(columns, layout.where, textfiles.renamed(layout.names, layout.columns))
    except (pa.ArrowException, UserError, *textfiles.UNREADABLE):
        return None


def _is_plain(layout: textfiles.Layout) -> bool:
    """Whether nothing below the heading is ambiguous: Arrow reads 0x10 as 16 and "1"2 as 12, and does not check the
    encoding of columns that it does not read."""
    with textfiles.open_bytes(layout.path) as file:
        block = file.read(1 << 20)
        if layout.heading:
            block = textfiles.LINE_END.split(block, layout.heading)[-1]
        while block:
            if not block.isascii() or any(sign in block for sign in (b'"', b"x", b"X", b"\0")):
                return False
            block = file.read(1 << 20)
    return True


def _to_table(columns: dict[str, pa.ChunkedArray], where: Where, notes: list[str]) -> Table:
    """Convert the columns, by their known names, and check each value; they are dropped from `columns` one by one,
    since each takes 160 MB for 20 million ratings."""
    for name, column in columns.items():
        if column.null_count:
            raise UserError(f"{where(int(np.argmax(column.is_null())))}: the {name} is empty")
    user, movie = (_ids(columns.pop(name), name, where) for name in ("userId", "movieId"))
    with np.errstate(over="ignore"):
        rating = _numbers(columns.pop("rating"), "rating", where).astype(np.float32)
    refuse_where(~np.isfinite(rating), where, lambda _: "the rating is too large")
    timestamp = _seconds(columns.pop("timestamp"), where) if "timestamp" in columns else None
    pa.default_memory_pool().release_unused()  # half of what is taken by now
    return Table(*user, *movie, rating, timestamp, where, notes)


def _numbers(values: pa.ChunkedArray, column: str, where: Where) -> NDArray[np.float64]:
    """Convert a column of numbers to float64, all finite."""
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise UserError(f"{where(0)}: the column {column} holds {values.type}, not numbers")
    numbers = values.to_numpy().astype(np.float64, copy=False)
    refuse_where(~np.isfinite(numbers), where, lambda row: f"{column} {numbers[row]} is not a number")
    return numbers


def _ids(values: pa.ChunkedArray, column: str, where: Where) -> PositionsAndIds:
    """Return (positions, ids) of an id column of whole numbers or text, as `to_ids` does."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_integer(values.type):
        try:
            return positions([chunk.to_numpy() for chunk in values.cast(pa.int64()).chunks if len(chunk)])
        except pa.ArrowInvalid:
            raise UserError(f"{where(0)}: the column {column} holds ids beyond 64 bits with sign") from None
    if pa.types.is_floating(values.type):  # what pandas makes of whole numbers once one was missing
        numbers = _numbers(values, column, where)
        wrong = (numbers % 1 != 0) | (abs(numbers) > 2**53)
        refuse_where(wrong, where, lambda row: f"{column} {numbers[row]:g} is not a whole number")
        return positions([numbers.astype(np.int64)])
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        encoded = values.combine_chunks().dictionary_encode()
        return to_ids(encoded.indices.to_numpy(), encoded.dictionary.to_pylist(), column, where)
    raise UserError(f"{where(0)}: the column {column} holds {values.type}, not whole numbers or text")


def _seconds(values: pa.ChunkedArray, where: Where) -> NDArray[np.int64]:
    """Convert a column of timestamps to seconds since 1970, with fractions cut off."""
    if pa.types.is_timestamp(values.type):
        values = pc.floor_temporal(values, unit="second").cast(pa.timestamp("s", values.type.tz)).cast(pa.int64())
    is_integer = pa.types.is_integer(values.type)
    seconds = values.to_numpy() if is_integer else np.floor(_numbers(values, "timestamp", where))
    wrong = (seconds < SECONDS[0]) | (seconds > SECONDS[1])
    refuse_where(wrong, where, lambda row: f"timestamp {seconds[row]:.0f} {NOT_SECONDS}")
    return seconds.astype(np.int64, copy=False)
