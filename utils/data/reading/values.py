"""Convert columns of a table to numbers, seconds and ids: strictly, with short messages about what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from utils.errors import UserError

PositionsAndIds: TypeAlias = tuple[NDArray[np.int32], NDArray]  # so that ids[positions] is the column
Where: TypeAlias = Callable[[int], str]  # row -> "file:line", for messages
LARGEST = float(np.finfo(np.float32).max)
SECONDS = (-62_135_596_800, 253_402_300_799)  # the years 1 to 9999
NOT_SECONDS = "is not in seconds since 1970"
UNITS = {1000: "milliseconds", 1000**2: "microseconds", 1000**3: "nanoseconds"}  # {how many in a second: name}
LONGEST_ID = 200  # characters: text ids become one array of fixed width

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)  # float() takes "1_0" and "nan" too
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?UTC|Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*", re.ASCII)
_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = re.compile(r"\s*([+-]?\d{1,19})(\.0*)?\s*", re.ASCII)


def is_number(text: str) -> bool:
    """Whether a field is a number, written in digits."""
    return _NUMBER.fullmatch(text) is not None


def to_number(text: str, column: str) -> float:
    """Convert a field to a number that fits into float32; otherwise a ValueError that names the column."""
    if not text.strip():
        raise ValueError(f"the {column} is empty")
    if not is_number(text):
        raise ValueError(f"{column} {text[:40]!r} is not a number")
    if abs(number := float(text)) > LARGEST:
        raise ValueError(f"{column} {text[:40]!r} is too large")
    return number


def with_point(text: str) -> str:
    """Return a number that has a decimal comma with a point; any other text as it is."""
    return text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text


def is_time(text: str) -> bool:
    """Whether a field is a number, or a date with or without a time, such as 2006-05-07 20:51:26."""
    return is_number(text) or _DATE.fullmatch(text.strip()) is not None


def to_time(text: str) -> int:
    """Convert a field to whole seconds since 1970, or milli-, micro- or nanoseconds where it is a number of those (a
    fraction is cut off); otherwise a ValueError. A date without a zone is one of UTC."""
    if len(text) < 18 and text.isascii() and text.isdigit():
        return int(text)
    if _DATE.fullmatch(date := text.strip()):
        try:
            moment = datetime.fromisoformat(date.removesuffix("UTC").strip())
        except ValueError as error:
            raise ValueError(f"timestamp {date!r}: {error}") from None
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _1970) // timedelta(seconds=1)
    if text.strip() and not is_number(text):
        raise ValueError(f"timestamp {text[:40]!r} is not a number, or a date such as 2006-05-07")
    number = math.floor(to_number(text, "timestamp"))
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"timestamp {text[:40]} {NOT_SECONDS}")
    return number


def to_seconds(text: str) -> int:
    """Convert a field to whole seconds since 1970; otherwise a ValueError."""
    seconds = to_time(text)
    if not SECONDS[0] <= seconds <= SECONDS[1]:
        raise ValueError(f"timestamp {text[:40]} {NOT_SECONDS}")
    return seconds


def _in_seconds(times: NDArray[np.int64], where: Where) -> tuple[NDArray[np.int64], list[str]]:
    """Convert times to seconds from the unit that most of them are in: (seconds, notes for the user). Raises UserError,
    with the line, for one that is in another unit."""
    low, high = SECONDS
    if (days := _days_in_digits(times)) is not None:
        return days, ["times read as dates such as 20060507"]
    if low <= times.min() and times.max() <= high:
        return times, []
    middle = abs(int(np.median(times)))
    unit = next((unit for unit in (1, *UNITS) if middle <= high * unit), 1)
    wrong = (times < low * unit) | (times > high * unit)
    if unit > 1:
        wrong |= abs(times) <= high * unit // 1000
    name = UNITS.get(unit, "seconds")
    refuse_where(wrong, where, lambda row: f"timestamp {times[row]} is not in {name} since 1970, as others are")
    return times // unit, [f"timestamps in {name}"]


def _days_in_digits(times: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Convert days such as 20060507 to seconds since 1970; None where there is anything else."""
    if times.min() < 1900_01_01 or times.max() > 2100_01_01:  # as seconds, days of August 1970
        return None
    years, months, days = times // 10_000, times // 100 % 100, times % 100
    if not (np.isin(months, range(1, 13)) & np.isin(days, range(1, 32))).all():
        return None
    first = ((years - 1970) * 12 + months - 1).astype("datetime64[M]").astype("datetime64[D]")
    whole_days = first + (days - 1)
    if (whole_days.astype("datetime64[M]") != first.astype("datetime64[M]")).any():  # such as 31 February
        return None
    return whole_days.astype(np.int64) * 86_400


def to_whole(text: str) -> int | None:
    """Convert a field to a whole number of at most 64 bits; None where it is something else."""
    match = _WHOLE.fullmatch(text)
    number = int(match[1]) if match else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def positions(chunks: Sequence[NDArray[np.integer]]) -> PositionsAndIds:
    """Factorise a column of whole numbers, given in pieces, into (positions, ids): `ids[positions]` is the column, ids
    ascending."""
    low, high = min(int(raw.min()) for raw in chunks), max(int(raw.max()) for raw in chunks)
    n = sum(map(len, chunks))
    if high - low > 4 * n + 1000:
        codes, ids = pd.factorize(np.concatenate(chunks), sort=True)
        return codes.astype(np.int32), ids
    there = np.zeros(high - low + 1, bool)  # ids are mostly dense: a table of all of them is faster than hashing
    for raw in chunks:
        there[raw - low] = True
    number, place, start = np.cumsum(there, dtype=np.int32) - np.int32(1), np.empty(n, np.int32), 0
    for raw in chunks:
        place[start : (start := start + len(raw))] = number[raw - low]
    return place, np.flatnonzero(there) + low


def refuse_where(wrong: NDArray[np.bool_], where: Where, problem: Callable[[int], str]) -> None:
    """Raise a UserError about the first row, if any, at which the mask is set: where it is and what is wrong there."""
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UserError(f"{where(row)}: {problem(row)}")


# -- columns of Arrow --------------------------------------------------------------------------------------------------


def is_text(column: pa.ChunkedArray) -> bool:
    """Whether a column that is `plain` holds text."""
    return pa.types.is_dictionary(column.type)


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with text of any type, as Polars and Hugging Face write it, as a dictionary of large_string."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    column = column.cast(kind)
    is_any_text = any(is_a(kind) for is_a in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))
    return column.cast(pa.large_string()).dictionary_encode() if is_any_text else column


def _converted(column: pa.ChunkedArray, convert: Callable[[str], Any], where: Where) -> NDArray[Any]:
    """Convert each text of a column; a UserError, with the line, where `convert` raises a ValueError."""
    chunks, row = [], 0
    for chunk in filter(len, column.chunks):
        codes, converted = chunk.indices.to_numpy(), []
        for text in chunk.dictionary.to_pylist():
            try:
                converted.append(convert(text))
            except ValueError as error:
                if (wrong := np.flatnonzero(codes == len(converted))).size:  # of this chunk
                    raise UserError(f"{where(row + int(wrong[0]))}: {error}") from None
                converted.append(0)
        chunks.append(np.array(converted)[codes])
        row += len(chunk)
    return np.concatenate(chunks)


def numbers(column: pa.ChunkedArray, name: str, where: Where, commas: bool = False) -> NDArray[np.float64]:
    """Convert a column of numbers, or of texts of numbers, to float64, all within float32. commas: whether decimal
    commas are read."""
    if is_text(column):
        return _converted(column, lambda text: to_number(with_point(text) if commas else text, name), where)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise UserError(f"{where(0)}: the column {name} holds {column.type}, not numbers")
    found = column.to_numpy().astype(np.float64, copy=False)
    refuse_where(~np.isfinite(found), where, lambda row: f"{name} {found[row]} is not a number")
    refuse_where(abs(found) > LARGEST, where, lambda row: f"{name} {found[row]:g} is too large")
    return found


def seconds(column: pa.ChunkedArray, where: Where) -> tuple[NDArray[np.int64], list[str]]:
    """Convert a column of numbers, date-times or texts of them to seconds since 1970, with fractions cut off, from the
    unit that most of them are in: (seconds, notes for the user)."""
    if is_text(column):
        return _in_seconds(_converted(column, to_time, where), where)
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        column = pc.floor_temporal(column, unit="second").cast(pa.timestamp("s", column.type.tz)).cast(pa.int64())
    if pa.types.is_integer(column.type) and column.type != pa.uint64():
        return _in_seconds(column.cast(pa.int64()).to_numpy(), where)
    times = np.floor(numbers(column, "timestamp", where))
    refuse_where(abs(times) >= 2.0**63, where, lambda row: f"timestamp {times[row]:.0f} {NOT_SECONDS}")
    return _in_seconds(times.astype(np.int64), where)


def ids(column: pa.ChunkedArray, name: str, where: Where, as_text: bool) -> PositionsAndIds:
    """Return (positions, ids) of an id column of whole numbers or text: ids ascending, int64 where more than half of
    the column are whole numbers, otherwise text; always so with `as_text`."""
    is_whole, is_float = pa.types.is_integer(column.type), pa.types.is_floating(column.type)
    if is_whole and not as_text:
        try:
            return positions([chunk.to_numpy() for chunk in column.cast(pa.int64()).chunks if len(chunk)])
        except pa.ArrowInvalid:
            raise UserError(f"{where(0)}: the column {name} holds ids beyond 64 bits with sign") from None
    if is_float and not as_text:  # what pandas makes of whole numbers once one was missing
        found = numbers(column, name, where)
        wrong = (found % 1 != 0) | (abs(found) > 2**53)
        refuse_where(wrong, where, lambda row: f"{name} {found[row]:g} is not a whole number")
        return positions([found.astype(np.int64)])
    if not (is_whole or is_float or is_text(column)):
        raise UserError(f"{where(0)}: the column {name} holds {column.type}, not whole numbers or text")
    if not is_text(column):
        column = column.cast(pa.large_string()).dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    return _ids_of_text(whole.indices.to_numpy(), whole.dictionary.to_pylist(), name, where, as_text)


def _ids_of_text(codes: NDArray[np.int32], texts: list[str], name: str, where: Where, as_text: bool) -> PositionsAndIds:
    """Return what `ids` does, of texts that are all different. codes: positions in `texts`, one a row."""

    def refuse(wrong: list[bool], problem: str) -> None:
        refuse_where(np.array(wrong)[codes], where, lambda row: f"{name} {texts[codes[row]][:40]!r} {problem}")

    refuse([not text.strip() for text in texts], "is an empty id")
    wholes = [None if as_text else to_whole(text) for text in texts]
    no_whole = [number is None for number in wholes]
    if 2 * np.array(no_whole)[codes].sum() < len(codes):
        refuse(no_whole, "is not a whole number (of at most 64 bits), as most of the column are; --text-ids?")
        found, position = np.unique(np.array(wholes, np.int64), return_inverse=True)
    else:
        too_long = [len(text) > LONGEST_ID or "\0" in text for text in texts]
        refuse(too_long, f"is longer than {LONGEST_ID} characters, or binary")
        found, position = np.unique(np.array(texts), return_inverse=True)
    return position.astype(np.int32)[codes], found
