"""Rating files in Parquet -> tables. Rows are counted from 1, as there are no lines."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from utils.data.reading.tables import NEEDED, SPELLINGS, Table
from utils.data.reading.textfiles import find_columns, renamed, shown
from utils.data.reading.values import SECONDS, positions, to_ids
from utils.errors import UserError


def read_parquet(path):
    """The `Table` of a Parquet file: ids whole numbers or text, ratings numbers, timestamps seconds or date-times.

    Raises UserError, with the row, for anything missing and anything that is not of its column's kind.
    """

    def where(row):
        return f"{path}: row {int(row) + 1}"

    try:
        names = pq.read_schema(path).names
        columns = find_columns(path, names, SPELLINGS)
        if missing := [column for column in NEEDED if column not in columns]:
            raise UserError(f"{path}: missing column(s) {', '.join(missing)}; found: {shown(names)}")
        read = pq.read_table(path, columns=[names[place] for place in columns.values()])
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: this Parquet file can't be read: {str(error).splitlines()[0]}") from None
    if not len(read):
        raise UserError(f"{path}: the file names its columns but holds no ratings")
    found = {column: read[names[place]].combine_chunks() for column, place in columns.items()}
    for column, values in found.items():
        if values.null_count:
            raise UserError(f"{where(np.argmax(values.is_null()))}: the {column} is empty")
    user, movie = (_ids(found[column], column, where) for column in ("userId", "movieId"))
    rating = _numbers(found["rating"], "rating", where).astype(np.float32)
    if not np.isfinite(rating).all():
        raise UserError(f"{where(np.argmax(~np.isfinite(rating)))}: the rating is too large")
    timestamp = _seconds(found["timestamp"], where) if "timestamp" in found else None
    return Table(*user, *movie, rating, timestamp, where, renamed(names, columns))


def _numbers(values, column, where):
    """float64 values, all finite."""
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise UserError(f"{where(0)}: the column {column} holds {values.type}, not numbers")
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    if not np.isfinite(numbers).all():
        row = np.argmax(~np.isfinite(numbers))
        raise UserError(f"{where(row)}: {column} {numbers[row]} is not a number")
    return numbers


def _ids(values, column, where):
    """(positions, ids) of an id column of whole numbers or text."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_integer(values.type):
        try:
            numbers = values.cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            raise UserError(f"{where(0)}: the column {column} holds ids beyond 64 bits with sign") from None
    elif pa.types.is_floating(values.type):  # what pandas makes of whole numbers once one was missing
        numbers = _numbers(values, column, where)
        if (wrong := (numbers % 1 != 0) | (abs(numbers) > 2**53)).any():
            raise UserError(f"{where(np.argmax(wrong))}: {column} {numbers[np.argmax(wrong)]:g} is not a whole number")
        numbers = numbers.astype(np.int64)
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        encoded = values.dictionary_encode()
        return to_ids(encoded.indices.to_numpy(), encoded.dictionary.to_pylist(), column, where)
    else:
        raise UserError(f"{where(0)}: the column {column} holds {values.type}, not whole numbers or text")
    return positions(numbers)


def _seconds(values, where):
    """int64 seconds since 1970, fractions cut off."""
    if pa.types.is_timestamp(values.type):
        values = pc.floor_temporal(values, unit="second").cast(pa.timestamp("s", values.type.tz)).cast(pa.int64())
    numbers = np.floor(_numbers(values, "timestamp", where))
    if (wrong := (numbers < SECONDS[0]) | (numbers > SECONDS[1])).any():
        row = np.argmax(wrong)
        raise UserError(f"{where(row)}: timestamp {numbers[row]:.0f} is not in seconds since 1970 (milliseconds?)")
    return numbers.astype(np.int64)
