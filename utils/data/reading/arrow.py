"""What Arrow reads fast: rating files in Parquet, and text files that hold only plain numbers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from utils.data.reading import textfiles
from utils.data.reading.formats import NEEDED, SPELLINGS, Format, about_date, choose
from utils.data.reading.tables import Reading, Table
from utils.data.reading.values import (
    NOT_SECONDS,
    PositionsAndIds,
    Where,
    is_number,
    positions,
    refuse_where,
    seconds_of,
    to_ids,
    to_time,
)
from utils.errors import UserError


def read_parquet(files: Sequence[Path], reading: Reading) -> Table:
    """Read the parts of a Parquet table: ids are whole numbers or text, ratings numbers, timestamps seconds or
    date-times.

    Raises UserError, with the row counted from 1, for missing values and values of the wrong type."""
    parts, path = [], files[0]
    try:
        for path in files:
            names = pq.read_schema(path).names
            if reading.columns:
                columns = choose(path, names, reading.columns)
            else:
                columns = textfiles.find_columns(path, names, SPELLINGS)
            textfiles.check_columns(path, names, columns, NEEDED)
            part = pq.ParquetFile(path).read(columns=[names[place] for place in columns.values()])
            parts.append(part.select([names[place] for place in columns.values()]).rename_columns(list(columns)))
        stored = pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: this Parquet file can't be read: {str(error).splitlines()[0]}") from None
    if not len(stored):
        raise UserError(f"{path}: the file names its columns but holds no ratings")
    ends = np.cumsum([len(part) for part in parts])
    arrays = {column: stored[column] for column in columns}
    del stored, parts  # or they would keep the columns that `_to_table` drops

    def where(row: int) -> str:
        part = int(np.searchsorted(ends, row, side="right"))
        return f"{files[part]}: row {row + 1 - (ends[part - 1] if part else 0)}"

    times, note = arrays.get("timestamp"), None
    if times is not None and _is_text(times):
        note = about_date(names[columns["timestamp"]], times[0].as_py() or "")
    if note:
        del arrays["timestamp"], columns["timestamp"]
    notes = [*textfiles.renamed(names, columns), *([note] if note else [])]
    return _to_table(arrays, where, notes, reading.text_ids)


def read_plain_text(layout: textfiles.Layout, form: Format, reading: Reading) -> Table | None:
    """Read a text file of plain numbers; None where it holds anything else or is wrong."""
    if type(layout) is not textfiles.Layout or reading.text_ids or form.text_ids or layout.zeros:
        return None
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
        _, first = next(layout.rows())
        if "timestamp" in types and not is_number(first[layout.columns["timestamp"]]):
            types["timestamp"] = pa.timestamp("s")
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
        return replace(_to_table(columns, layout.where, list(layout.notes)), form=form)
    except (pa.ArrowException, UserError, StopIteration, IndexError, *textfiles.UNREADABLE):
        return None


def _is_plain(layout: textfiles.Layout) -> bool:
    """Whether nothing below the heading is ambiguous: Arrow reads 0x10 as 16 and "1"2 as 12, and does not check the
    encoding of columns that it does not read."""
    with open(layout.path, "rb") as file:
        if file.read(2) in textfiles.UTF_16:
            return False
    before = b"\n"  # the sign before the block
    with textfiles.open_bytes(layout.path) as file:
        block = file.read(1 << 20)
        if layout.heading:
            block = textfiles.LINE_END.split(block, layout.heading)[-1]
        while block:
            if not block.isascii() or any(sign in block for sign in (b"x", b"X", b"\0")):
                return False
            if b'"' in block:
                block += file.readline(1 << 20)
                if not _quotes_whole_fields(before + block + b"\n", layout.separator):
                    return False
            before = block[-1:]
            block = file.read(1 << 20)
    return True


def _quotes_whole_fields(block: bytes, separator: str) -> bool:
    """Whether each quote begins or ends a field, and quoted fields hold no separator, quote or line end. block: what
    stands from the sign before some lines to the sign after them."""
    ends = np.isin(np.arange(256), list(f"{separator[0]}\r\n".encode()))
    signs = np.frombuffer(block, np.uint8)
    quotes, other = np.flatnonzero(signs == ord('"')), np.flatnonzero(ends[signs])
    first, last = quotes[::2], quotes[1::2]
    if len(first) != len(last) or separator == "::":
        return False
    inside = np.searchsorted(other, last) - np.searchsorted(other, first)
    return bool(ends[signs[first - 1]].all() and ends[signs[last + 1]].all() and not inside.any())


def _to_table(columns: dict[str, pa.ChunkedArray], where: Where, notes: list[str], text_ids: bool = False) -> Table:
    """Convert the columns, by their known names, and check each value; they are dropped from `columns` one by one,
    since each takes 160 MB for 20 million ratings."""
    for name, column in columns.items():
        if pa.types.is_dictionary(column.type):
            column = columns[name] = column.cast(column.type.value_type)
        if pa.types.is_string_view(column.type):  # which Polars writes
            columns[name] = column.cast(pa.large_string())
        if column.null_count:
            raise UserError(f"{where(int(np.argmax(column.is_null())))}: the {name} is empty")
    user, movie = (_ids(columns.pop(name), name, where, text_ids) for name in ("userId", "movieId"))
    with np.errstate(over="ignore"):
        rating = _numbers(columns.pop("rating"), "rating", where).astype(np.float32)
    refuse_where(~np.isfinite(rating), where, lambda _: "the rating is too large")
    timestamp, more = _seconds(columns.pop("timestamp"), where) if "timestamp" in columns else (None, [])
    pa.default_memory_pool().release_unused()  # half of what is taken by now
    return Table(*user, *movie, rating, timestamp, where, [*notes, *more])


def _is_text(values: pa.ChunkedArray) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(values.type) for is_kind in kinds)


def _numbers(values: pa.ChunkedArray, column: str, where: Where) -> NDArray[np.float64]:
    """Convert a column of numbers to float64, all finite."""
    if _is_text(values):
        texts = values.to_pylist()
        refuse_where(
            np.array([not is_number(text) for text in texts]),
            where,
            lambda row: f"{column} {texts[row][:40]!r} is not a number",
        )
    if pa.types.is_decimal(values.type) or _is_text(values):
        values = pc.utf8_trim_whitespace(values).cast(pa.float64()) if _is_text(values) else values.cast(pa.float64())
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise UserError(f"{where(0)}: the column {column} holds {values.type}, not numbers")
    numbers = values.to_numpy().astype(np.float64, copy=False)
    refuse_where(~np.isfinite(numbers), where, lambda row: f"{column} {numbers[row]} is not a number")
    return numbers


def _ids(values: pa.ChunkedArray, column: str, where: Where, as_text: bool) -> PositionsAndIds:
    """Return (positions, ids) of an id column of whole numbers or text, as `to_ids` does."""
    if pa.types.is_integer(values.type) and not as_text:
        try:
            return positions([chunk.to_numpy() for chunk in values.cast(pa.int64()).chunks if len(chunk)])
        except pa.ArrowInvalid:
            raise UserError(f"{where(0)}: the column {column} holds ids beyond 64 bits with sign") from None
    if pa.types.is_floating(values.type) and not as_text:  # what pandas makes of whole numbers once one was missing
        numbers = _numbers(values, column, where)
        wrong = (numbers % 1 != 0) | (abs(numbers) > 2**53)
        refuse_where(wrong, where, lambda row: f"{column} {numbers[row]:g} is not a whole number")
        return positions([numbers.astype(np.int64)])
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        values = values.cast(pa.string())
    if _is_text(values):
        encoded = values.combine_chunks().dictionary_encode()
        return to_ids(encoded.indices.to_numpy(), encoded.dictionary.to_pylist(), column, where, as_text)
    raise UserError(f"{where(0)}: the column {column} holds {values.type}, not whole numbers or text")


def _seconds(values: pa.ChunkedArray, where: Where) -> tuple[NDArray[np.int64], list[str]]:
    """Convert a column of timestamps to seconds since 1970, with fractions cut off; also notes, as `seconds_of`."""
    if _is_text(values):
        times = []
        for row, text in enumerate(values.to_pylist()):
            try:
                times.append(to_time(text))
            except ValueError as error:
                raise UserError(f"{where(row)}: {error}") from None
        return seconds_of(np.array(times), where)
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(values.type):
        values = pc.floor_temporal(values, unit="second").cast(pa.timestamp("s", values.type.tz)).cast(pa.int64())
    if pa.types.is_integer(values.type) and values.type != pa.uint64():
        return seconds_of(values.cast(pa.int64()).to_numpy(), where)
    numbers = np.floor(_numbers(values, "timestamp", where))
    refuse_where(abs(numbers) >= 2.0**63, where, lambda row: f"timestamp {numbers[row]:.0f} {NOT_SECONDS}")
    return seconds_of(numbers.astype(np.int64), where)
