"""Convert fields of a table to numbers, seconds and ids: strictly, with short messages about what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import numpy as np
import pandas as pd
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
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?UTC|Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
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


def seconds_of(times: NDArray[np.int64], where: Where) -> tuple[NDArray[np.int64], list[str]]:
    """Convert a column of whole numbers to seconds since 1970, from the unit that most of them are in: (seconds, notes
    for the user). Raises UserError, with the line, for one that is in another unit."""
    low, high = SECONDS
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


def to_ids(
    codes: NDArray[np.integer], texts: list[str], column: str, where: Where, as_text: bool = False
) -> PositionsAndIds:
    """Return (positions, ids) of an id column: ids ascending, int64 where more than half of the column are whole
    numbers, otherwise text; always so with `as_text`.

    codes: positions in `texts`, which are all different, one a row. Raises UserError, with the line, where an id is
    empty or not of the column's type."""

    def refuse(wrong: NDArray[np.bool_], problem: str) -> None:
        refuse_where(wrong[codes], where, lambda row: f"{column} {texts[codes[row]][:40]!r} {problem}")

    refuse(np.array([not text.strip() for text in texts]), "is an empty id")
    numbers = [None if as_text else to_whole(text) for text in texts]
    is_whole = np.array([number is not None for number in numbers])
    if 2 * is_whole[codes].sum() > len(codes):
        refuse(~is_whole, "is not a whole number (of at most 64 bits), as most of the column are; --text-ids?")
        ids, position = np.unique(np.array(numbers, np.int64), return_inverse=True)
    else:
        too_long = np.array([len(text) > LONGEST_ID or "\0" in text for text in texts])
        refuse(too_long, f"is longer than {LONGEST_ID} characters, or binary")
        ids, position = np.unique(np.array(texts), return_inverse=True)
    return position.astype(np.int32)[codes], ids
