"""Read rating files in Parquet. Messages count rows from 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from utils.data.reading.tables import NEEDED, SPELLINGS, Table
from utils.data.reading.textfiles import find_columns, renamed, shown
from utils.data.reading.values import SECONDS, positions, to_ids
from utils.errors import UserError


def read_parquet(path: Path) -> Table:
    """Read a Parquet file: ids are whole numbers or text, ratings numbers, timestamps seconds or date-times.

    Raises UserError, with the row, for missing values and values of the wrong type.
    """

    def where(row: int) -> str:
        return f"{path}: row {int(row) + 1}"

    try:
        names = pq.read_schema(path).names
        columns = find_columns(path, names, SPELLINGS)
        if missing := [column for column in NEEDED if column not in columns]:
            raise UserError(f"{path}: missing column(s) {', '.join(missing)}; found: {shown(names)}")
        stored = pq.read_table(path, columns=[names[place] for place in columns.values()])
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: this Parquet file can't be read: {str(error).splitlines()[0]}") from None
    if not len(stored):
        raise UserError(f"{path}: the file names its columns but holds no ratings")
    arrays = {column: stored[names[place]].combine_chunks() for column, place in columns.items()}
    for column, values in arrays.items():
        if values.null_count:
            raise UserError(f"{where(int(np.argmax(values.is_null())))}: the {column} is empty")
    user, movie = (_ids(arrays[column], column, where) for column in ("userId", "movieId"))
    rating = _numbers(arrays["rating"], "rating", where).astype(np.float32)
    if not np.isfinite(rating).all():
        raise UserError(f"{where(int(np.argmax(~np.isfinite(rating))))}: the rating is too large")
    timestamp = _seconds(arrays["timestamp"], where) if "timestamp" in arrays else None
    return Table(*user, *movie, rating, timestamp, where, renamed(names, columns))


def _numbers(values: pa.Array, column: str, where: Callable[[int], str]) -> NDArray[np.float64]:
    """Convert a column of numbers to float64, all finite."""
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise UserError(f"{where(0)}: the column {column} holds {values.type}, not numbers")
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    if not np.isfinite(numbers).all():
        row = int(np.argmax(~np.isfinite(numbers)))
        raise UserError(f"{where(row)}: {column} {numbers[row]} is not a number")
    return numbers


def _ids(values: pa.Array, column: str, where: Callable[[int], str]) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Return (positions, ids) of an id column of whole numbers or text, as `to_ids` does."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_integer(values.type):
        try:
            numbers = values.cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            raise UserError(f"{where(0)}: the column {column} holds ids beyond 64 bits with sign") from None
    elif pa.types.is_floating(values.type):  # what pandas makes of whole numbers once one was missing
        floats = _numbers(values, column, where)
        if (wrong := (floats % 1 != 0) | (abs(floats) > 2**53)).any():
            row = int(np.argmax(wrong))
            raise UserError(f"{where(row)}: {column} {floats[row]:g} is not a whole number")
        numbers = floats.astype(np.int64)
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        encoded = values.dictionary_encode()
        return to_ids(encoded.indices.to_numpy(), encoded.dictionary.to_pylist(), column, where)
    else:
        raise UserError(f"{where(0)}: the column {column} holds {values.type}, not whole numbers or text")
    return positions(numbers)


def _seconds(values: pa.Array, where: Callable[[int], str]) -> NDArray[np.int64]:
    """Convert a column of timestamps to seconds since 1970, with fractions cut off."""
    if pa.types.is_timestamp(values.type):
        values = pc.floor_temporal(values, unit="second").cast(pa.timestamp("s", values.type.tz)).cast(pa.int64())
    numbers = np.floor(_numbers(values, "timestamp", where))
    if (wrong := (numbers < SECONDS[0]) | (numbers > SECONDS[1])).any():
        row = int(np.argmax(wrong))
        raise UserError(f"{where(row)}: timestamp {numbers[row]:.0f} is not in seconds since 1970 (milliseconds?)")
    return numbers.astype(np.int64)
