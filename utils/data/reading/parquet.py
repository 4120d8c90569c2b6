"""Read rating files in Parquet. Messages count rows from 1."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from utils.data.reading.tables import NEEDED, SPELLINGS, Table
from utils.data.reading.textfiles import check_columns, find_columns, renamed
from utils.data.reading.values import NOT_SECONDS, SECONDS, PositionsAndIds, Where, positions, refuse_where, to_ids
from utils.errors import UserError


def read_parquet(path: Path) -> Table:
    """Read a Parquet file: ids are whole numbers or text, ratings numbers, timestamps seconds or date-times.

    Raises UserError, with the row, for missing values and values of the wrong type.
    """

    def where(row: int) -> str:
        return f"{path}: row {row + 1}"

    try:
        names = pq.read_schema(path).names
        columns = find_columns(path, names, SPELLINGS)
        check_columns(path, names, columns, NEEDED)
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
    refuse_where(~np.isfinite(rating), where, lambda _: "the rating is too large")
    timestamp = _seconds(arrays["timestamp"], where) if "timestamp" in arrays else None
    return Table(*user, *movie, rating, timestamp, where, renamed(names, columns))


def _numbers(values: pa.Array, column: str, where: Where) -> NDArray[np.float64]:
    """Convert a column of numbers to float64, all finite."""
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise UserError(f"{where(0)}: the column {column} holds {values.type}, not numbers")
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    refuse_where(~np.isfinite(numbers), where, lambda row: f"{column} {numbers[row]} is not a number")
    return numbers


def _ids(values: pa.Array, column: str, where: Where) -> PositionsAndIds:
    """Return (positions, ids) of an id column of whole numbers or text, as `to_ids` does."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_integer(values.type):
        try:
            return positions(values.cast(pa.int64()).to_numpy())
        except pa.ArrowInvalid:
            raise UserError(f"{where(0)}: the column {column} holds ids beyond 64 bits with sign") from None
    if pa.types.is_floating(values.type):  # what pandas makes of whole numbers once one was missing
        numbers = _numbers(values, column, where)
        wrong = (numbers % 1 != 0) | (abs(numbers) > 2**53)
        refuse_where(wrong, where, lambda row: f"{column} {numbers[row]:g} is not a whole number")
        return positions(numbers.astype(np.int64))
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        encoded = values.dictionary_encode()
        return to_ids(encoded.indices.to_numpy(), encoded.dictionary.to_pylist(), column, where)
    raise UserError(f"{where(0)}: the column {column} holds {values.type}, not whole numbers or text")


def _seconds(values: pa.Array, where: Where) -> NDArray[np.int64]:
    """Convert a column of timestamps to seconds since 1970, with fractions cut off."""
    if pa.types.is_timestamp(values.type):
        values = pc.floor_temporal(values, unit="second").cast(pa.timestamp("s", values.type.tz)).cast(pa.int64())
    seconds = np.floor(_numbers(values, "timestamp", where))
    wrong = (seconds < SECONDS[0]) | (seconds > SECONDS[1])
    refuse_where(wrong, where, lambda row: f"timestamp {seconds[row]:.0f} {NOT_SECONDS}")
    return seconds.astype(np.int64)
