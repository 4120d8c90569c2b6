"""Read text tables line by line: open them, split lines into fields, and name the line of an error."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from utils.errors import UserError
from utils.runs.paths import ALLOW, DENIED

PARQUET = b"PAR1"
UNREADABLE = (OSError, EOFError, zlib.error)  # the last two: gzip data cut short or damaged
LONGEST = 1 << 20  # characters of a line: a longer one is no table, and would fill the memory
LINE_END = re.compile(rb"\r\n|\r|\n")


def reason(error: Exception) -> str:
    """Word briefly why the system refused to read, and what would help."""
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{why}; {ALLOW}" if getattr(error, "errno", None) in DENIED else why


def head(path: str | Path, size: int = 1 << 16) -> bytes:
    """Return the first bytes of a file, unpacked if gzipped. A UserError where it is empty or can't be a table."""
    place = Path(path)
    try:
        if place.exists() and not place.is_file():  # a pipe, say, which might never end
            raise UserError(f"{path}: this is no file")
        with open_bytes(path) as file:
            start = file.read(size)
    except UNREADABLE as error:
        raise UserError(f"{path}: can't be read: {reason(error)}") from None
    if start.startswith(PARQUET):
        return start
    if not start.removeprefix(b"\xef\xbb\xbf").strip():
        raise UserError(f"{path}: the file is empty")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{path}: the text is UTF-16; save it as UTF-8")
    if start.startswith(b"PK\x03\x04"):
        raise UserError(f"{path}: this is a zip archive or a spreadsheet; give what is inside, or save it as CSV")
    if b"\0" in start:
        raise UserError(f"{path}: this is binary data; CSV, TSV and Parquet files can be read")
    return start


def first_line(path: str | Path) -> tuple[int, str]:
    """Return (line number, text) of the first line that is not blank."""
    start = head(path)
    for number, line in enumerate(LINE_END.split(start.removeprefix(b"\xef\xbb\xbf")), 1):
        if line.strip():
            try:
                return number, line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise not_utf8(path, number, line[error.start]) from None
    raise UserError(f"{path}: no text in the first {len(start):,} bytes")


def is_gzip(path: str | Path) -> bool:
    """Whether a file is gzipped, whatever its name."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def open_bytes(path: str | Path) -> gzip.GzipFile | io.BufferedReader:
    """Open a file to read its bytes, unpacked if gzipped."""
    return gzip.open(path, "rb") if is_gzip(path) else open(path, "rb")


def open_text(path: str | Path, encoding: str = "utf-8-sig") -> TextIO:
    """Open a text file, gzipped or not, for the csv module: line ends are kept, a byte-order mark is skipped."""
    return io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="")


class _LongLineError(Exception):
    """A line is longer than any line of a table."""


def _lines(file: TextIO) -> Iterator[str]:
    """Yield the lines of an open text file; `_LongLineError` where one is longer than LONGEST."""
    while text := file.readline(LONGEST):
        if len(text) == LONGEST:
            raise _LongLineError(f"a line of {LONGEST:,} characters or more is none of a table")
        yield text


def rows(
    path: str | Path, separator: str, heading: int = 0, encoding: str = "utf-8-sig", quoted: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of every line below line `heading` that is not blank, split by the csv module; where
    nothing is quoted (always so with `::`), at each separator.

    Raises UserError, with the line, for wrong quoting, wrong encoding and broken gzip data.
    """
    line = 0  # the last one read: a quoted field may hold line breaks, so a row can end below the line it starts on
    try:
        with open_text(path, encoding) as file:
            if separator == "::" or not quoted:
                for line, text in enumerate(_lines(file), 1):
                    text = text.rstrip("\r\n")
                    if text and line > heading:
                        yield line, text.split(separator)
            else:
                reader = csv.reader(_lines(file), delimiter=separator, strict=True)
                for fields in reader:
                    if fields and line >= heading:
                        yield line + 1, fields
                    line = reader.line_num
    except UnicodeDecodeError:
        raise not_utf8(path, *_undecodable(path)) from None
    except csv.Error as error:
        raise UserError(f"{path}:{line + 1}: can't be cut into fields: {error}") from None
    except UNREADABLE as error:
        raise UserError(f"{path}: can't be read beyond line {line}: {reason(error)}") from None
    except _LongLineError as error:
        raise UserError(f"{path}:{line + 1}: {error}") from None


@contextmanager
def located(path: str | Path, line: int) -> Iterator[None]:
    """Turn a plain ValueError into a UserError that names the file and line."""
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path}:{line}: {error}") from None


def check_width(fields: Sequence[str], width: int) -> None:
    """Raise a ValueError unless a line has `width` fields."""
    if len(fields) != width:
        few = "few" if len(fields) < width else "many"
        raise ValueError(f"too {few} fields: {len(fields)}, where {width} belong")


def not_utf8(path: str | Path, line: int, byte: int) -> UserError:
    """Make the UserError about a byte that is not UTF-8."""
    return UserError(f"{path}:{line}: byte {byte:#04x} is not UTF-8; save the file as UTF-8")


def _undecodable(path: str | Path) -> tuple[int, int]:
    """Find (line number, offending byte) of the first line that is not UTF-8."""
    with open_text(path, "latin-1") as file:
        for number, line in enumerate(file, 1):
            try:
                line.encode("latin-1").decode("utf-8")
            except UnicodeDecodeError as error:
                return number, line.encode("latin-1")[error.start]
    raise AssertionError(f"{path} is UTF-8 after all")


def is_utf8(path: str | Path) -> bool:
    """Whether the whole file is UTF-8; MovieLens' older sets are latin-1, the others UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open(path, "rb") as file:
            while block := file.read(LONGEST):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    except OSError as error:
        raise UserError(f"{path}: can't be read: {reason(error)}") from None
    return True


def find_columns(path: str | Path, names: Sequence[str], spellings: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """Find the columns that a heading names: {known name: position}. spellings: {known name: its spellings}."""
    plain = [re.sub(r"[\W_]", "", name.lower()) for name in names]
    columns: dict[str, int] = {}
    for column, known in spellings.items():
        for spelling in known:
            if plain.count(spelling) > 1:
                raise UserError(f"{path}: the heading names {spelling!r} twice")
            if spelling in plain:
                columns[column] = plain.index(spelling)
                break
    return columns


def renamed(names: Sequence[str], columns: dict[str, int]) -> list[str]:
    """Return a sentence for the user about columns not spelled as MovieLens does; [] where there are none."""
    other = {names[place]: column for column, place in columns.items() if names[place].strip() != column}
    return [f"columns {shown(list(other))} read as {', '.join(other.values())}"] if other else []


def shown(names: Sequence[str]) -> str:
    """Join the first few names into a text that is safe to print."""
    return ", ".join("".join(sign if sign.isprintable() else "?" for sign in name.strip()[:30]) for name in names[:12])


def cut(line: str, separator: str) -> list[str]:
    """Split a line into fields."""
    return line.split("::") if separator == "::" else next(csv.reader([line], delimiter=separator))
