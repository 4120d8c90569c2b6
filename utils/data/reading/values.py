"""Fields of a table -> numbers, seconds and ids: strictly, with what is wrong said in a few words."""

import math
import re

import numpy as np
import pandas as pd

from utils.errors import UserError

LARGEST = float(np.finfo(np.float32).max)
SECONDS = (-62_135_596_800, 253_402_300_799)  # the years 1 to 9999
LONGEST_ID = 200  # characters: text ids become one array of fixed width

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)  # float() takes "1_0" and "nan" too
_WHOLE = re.compile(r"\s*([+-]?\d{1,19})(\.0*)?\s*", re.ASCII)


def is_number(text):
    """Whether a field is a number, written in digits."""
    return _NUMBER.fullmatch(text) is not None


def to_number(text, column):
    """The number that a field is, of a size that float32 holds. ValueError, naming the column, otherwise."""
    if not text.strip():
        raise ValueError(f"the {column} is empty")
    if not is_number(text):
        raise ValueError(f"{column} {text[:40]!r} is not a number")
    if abs(number := float(text)) > LARGEST:
        raise ValueError(f"{column} {text[:40]!r} is too large")
    return number


def to_seconds(text):
    """The whole seconds since 1970 that a field is (a fraction is cut off). ValueError otherwise."""
    short = len(text) < 18 and text.isascii() and text.isdigit()
    seconds = int(text) if short else math.floor(to_number(text, "timestamp"))
    if not SECONDS[0] <= seconds <= SECONDS[1]:
        raise ValueError(f"timestamp {text[:40]} is not in seconds since 1970 (milliseconds?)")
    return seconds


def to_whole(text):
    """The whole number of at most 64 bits that a field is; None where it is something else."""
    found = _WHOLE.fullmatch(text)
    number = int(found[1]) if found else None
    return number if found and -(2**63) <= number < 2**63 else None


def positions(raw):
    """(positions, ids) of an array of whole numbers: `ids[positions] == raw`, ids ascending, positions int32."""
    low, high = int(raw.min()), int(raw.max())
    if high - low > 4 * len(raw) + 1000:
        place, ids = pd.factorize(raw, sort=True)
        return place.astype(np.int32), ids
    there = np.zeros(high - low + 1, bool)  # ids are mostly dense: a table of all of them is faster than hashing
    there[raw - low] = True
    return (np.cumsum(there, dtype=np.int32) - np.int32(1))[raw - low], np.flatnonzero(there) + low


def to_ids(codes, texts, column, where):
    """(positions, ids) of an id column: ids ascending, int64 where more than half of the column are whole numbers,
    otherwise text.

    codes: one a row, positions in `texts`, which are all different. where: row -> "file:line". UserError, with the
    line, where an id is empty or not of the column's kind.
    """
    numbers = [to_whole(text) for text in texts]
    is_whole = np.array([number is not None for number in numbers])

    def refuse(wrong, problem):
        row = np.flatnonzero(np.isin(codes, np.flatnonzero(wrong)))[0]
        raise UserError(f"{where(row)}: {column} {texts[codes[row]][:40]!r} {problem}")

    empty = np.array([not text.strip() for text in texts])
    if empty.any():
        refuse(empty, "is an empty id")
    if 2 * is_whole[codes].sum() > len(codes):
        if not is_whole.all():
            refuse(~is_whole, "is not a whole number (of at most 64 bits), as most of the column are")
        ids, position = np.unique(np.array(numbers, np.int64), return_inverse=True)
    else:
        wrong = np.array([len(text) > LONGEST_ID or "\0" in text for text in texts])
        if wrong.any():
            refuse(wrong, f"is longer than {LONGEST_ID} characters, or binary")
        ids, position = np.unique(np.array(texts), return_inverse=True)
    return position.astype(np.int32)[codes], ids
