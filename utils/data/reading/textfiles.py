"""Read text tables line by line: open them, split lines into fields, and name the line of an error."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from utils.errors import UserError
from utils.runs.paths import ALLOW, DENIED

PARQUET = b"PAR1"
SHARDS = "shards.json"  # in a folder of shards, see `utils.distributed.shards`
UNREADABLE = (OSError, EOFError, zlib.error)  # the last two: gzip data cut short or damaged
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what Excel calls "Unicode text"
HEAD = 1 << 16  # bytes from which the kind of a file is told
LONGEST = 1 << 20  # characters of a line: longer ones are not of a table, and would fill the memory
Spellings: TypeAlias = dict[str, tuple[str, ...]]  # {name of a column: how files spell it, without case and signs}
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\s,;]*', re.IGNORECASE)  # which Excel writes and reads above the heading
TYPED = re.compile(r":(token|float)(_seq)?\s*$")  # RecBole's headings: user_id:token
LINE_END = re.compile(rb"\r\n|\r|\n")


def reason(error: Exception) -> str:
    """Say briefly why the system refused to read, and what would help."""
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{why}; {ALLOW}" if getattr(error, "errno", None) in DENIED else why


def head(path: str | Path) -> bytes:
    """Return the first 65,536 bytes of a file, unpacked if gzipped. A UserError where it is empty or not a table."""
    try:
        if Path(path).exists() and not Path(path).is_file():  # a pipe, say, which might never end
            raise UserError(f"{path}: this is not a file")
        with open_bytes(path) as file:
            start = file.read(HEAD)
    except UNREADABLE as error:
        raise UserError(f"{path}: can't be read: {reason(error)}") from None
    if start.startswith(PARQUET):
        return start
    if not start.removeprefix(b"\xef\xbb\xbf").strip():
        raise UserError(f"{path}: the file is empty")
    if start.startswith(b"PK\x03\x04"):
        raise UserError(f"{path}: this is a zip archive or a spreadsheet; give what is inside, or save it as CSV")
    if b"\0" in start:
        raise UserError(f"{path}: this is binary data; CSV, TSV and Parquet files can be read")
    return start


def first_line(path: str | Path, after: int = 0) -> tuple[int, str]:
    """Return (line number, text) of the first line below line `after` that is not blank, at most 65,536 characters of
    it."""
    start = head(path)
    if not start.decode("utf-8-sig", "ignore").strip():
        raise UserError(f"{path}: no text in the first {len(start):,} bytes")
    lines = enumerate(text_lines(path), 1)
    first = ((number, text.rstrip("\r\n")[:HEAD]) for number, text in lines if number > after and text.strip())
    if (found := next(first, None)) is None:
        raise UserError(f"{path}: nothing below line {after}")
    return found


def is_gzip(path: str | Path) -> bool:
    """Whether a file is gzipped, whatever its name."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


class _FromUtf16(io.RawIOBase):
    """The bytes of a UTF-16 file as UTF-8."""

    def __init__(self, file: gzip.GzipFile | io.BufferedReader) -> None:
        self.file, self.decoder, self.left = file, codecs.getincrementaldecoder("utf-16")(), b""

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; an OSError where the file is not UTF-16."""
        while not self.left:
            block = self.file.read(HEAD)
            try:
                self.left = self.decoder.decode(block, final=not block).encode()
            except UnicodeError:
                raise OSError("the text is not whole UTF-16; save it as UTF-8") from None
            if not block:
                break
        part, self.left = self.left[: len(buffer)], self.left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def open_bytes(path: str | Path) -> gzip.GzipFile | io.BufferedReader:
    """Open a file to read its bytes, unpacked if gzipped, as UTF-8 where they are UTF-16."""

    def opened() -> gzip.GzipFile | io.BufferedReader:
        return gzip.open(path, "rb") if is_gzip(path) else open(path, "rb")

    with opened() as file:
        is_utf_16 = file.read(2) in UTF_16
    return io.BufferedReader(_FromUtf16(opened())) if is_utf_16 else opened()


def text_lines(path: str | Path, encoding: str = "utf-8-sig") -> Iterator[str]:
    """Yield the lines of a text file, gzipped or not, with their ends, as the csv module takes them. Raises UserError,
    with the line, for one that is too long or not of this encoding, and for broken gzip data."""
    number = 0
    try:
        with io.TextIOWrapper(open_bytes(path), encoding, errors="surrogateescape", newline="") as file:
            while text := file.readline(LONGEST):
                number += 1
                if len(text) == LONGEST:
                    raise UserError(f"{path}:{number}: a line of {LONGEST:,} characters or more: this is not a table")
                try:
                    text.encode("utf-8")
                except UnicodeEncodeError as error:  # a byte that could not be decoded is a lone surrogate now
                    byte = ord(text[error.start]) & 0xFF
                    raise UserError(f"{path}:{number}: byte {byte:#04x} is not UTF-8; save the file as UTF-8") from None
                yield text
    except UNREADABLE as error:
        raise UserError(f"{path}: can't be read beyond line {number}: {reason(error)}") from None


def rows(
    path: str | Path, separator: str, heading: int = 0, encoding: str = "utf-8-sig", quoted: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of every line below line `heading` that is not blank, split by the csv module; where
    nothing is quoted (always so with `::`), at each separator.

    Raises UserError, with the line, for wrong quoting, wrong encoding and broken gzip data."""
    if separator == "::" or not quoted:
        for number, text in enumerate(text_lines(path, encoding), 1):
            line = text.rstrip("\r\n")
            if line and number > heading:
                yield number, line.split(separator)
        return
    reader = csv.reader(text_lines(path, encoding), delimiter=separator, strict=True)
    last = 0  # line that was read last: a quoted field may hold line breaks, so that a row ends below its first line
    try:
        for fields in reader:
            if fields and last >= heading:
                yield last + 1, fields
            last = reader.line_num
    except csv.Error as error:
        raise UserError(f"{path}:{last + 1}: can't be cut into fields: {error}") from None


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


def is_utf8(path: str | Path) -> bool:
    """Whether the whole file is UTF-8; MovieLens' older sets are latin-1, the others UTF-8."""
    try:
        with open(path, encoding="utf-8") as file:
            while file.read(LONGEST):
                pass
    except UnicodeDecodeError:
        return False
    except OSError as error:
        raise UserError(f"{path}: can't be read: {reason(error)}") from None
    return True


IGNORED = Counter[str]()  # nobody looks at what is counted there


@dataclass(frozen=True)
class Layout:
    """How a text table is laid out: its separator, the names of all columns, {known name: position}, and the number of
    the line that names the columns, or of the last line before the table where none does."""

    path: Path
    separator: str
    names: list[str]
    columns: dict[str, int]
    heading: int
    encoding: str = "utf-8-sig"
    zeros: str = ""  # why lines with a rating of 0 are left out; empty where they are not
    notes: tuple[str, ...] = ()  # sentences for the user about what was taken for what

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, fields) of each line of the table, as `rows` does."""
        return rows(self.path, self.separator, self.heading, self.encoding)

    def rows(self, left_out: Counter[str] = IGNORED) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, fields) of each line of the table that is not left out. left_out: those that are, by why,
        are counted there."""
        rating = self.columns["rating"] if self.zeros else None
        for row in self.lines():
            if rating is None and row[1][0] > " ":  # as most are
                yield row
            elif not "".join(row[1]).strip():
                left_out.update(["without any value"])
            elif rating is not None and len(row[1]) > rating and row[1][rating].strip() == "0":
                left_out.update([self.zeros])
            else:
                yield row

    def where(self, row: int) -> str:
        """Return "file:line" of a row, counted from 0; the file is read again."""
        line, _ = next(itertools.islice(self.rows(), row, None))
        return f"{self.path}:{line}"


def table_start(path: Path) -> tuple[int, str, str | None]:
    """Return (line number, text) of the first line of a table, below Excel's line `sep=;` where there is one, and the
    separator that this line names, otherwise None."""
    number, line = first_line(path)
    said = SEPARATOR_LINE.fullmatch(line)
    return (*first_line(path, number), said[1]) if said else (number, line, None)


def find_layout(path: Path, separators: Sequence[str], spellings: Spellings, needed: Iterable[str]) -> Layout:
    """Find the layout from the first line, split at the first of the separators that gives all `needed` columns, or
    else at the one that gives the most columns."""
    number, line, separator = table_start(path)
    separators = [separator] if separator else separators
    layouts = []
    for separator in separators:
        names = cut(line, separator)
        layouts.append(Layout(path, separator, names, find_columns(path, names, spellings), number))
        if all(name in layouts[-1].columns for name in needed):
            return layouts[-1]
    return max(layouts, key=lambda layout: len(layout.names))


def find_columns(path: str | Path, names: Sequence[str], spellings: Spellings) -> dict[str, int]:
    """Find the columns that a heading names: {known name: position}. spellings: {known name: its spellings}."""
    plain = [re.sub(r"[\W_]", "", TYPED.sub("", name.lower())) for name in names]
    columns: dict[str, int] = {}
    for column, known in spellings.items():
        if present := [spelling for spelling in known if spelling in plain]:
            if plain.count(present[0]) > 1:
                raise UserError(f"{path}: the heading names {present[0]!r} twice")
            columns[column] = plain.index(present[0])
    return columns


def check_columns(
    where: str | Path, names: Sequence[str], columns: Iterable[str], needed: Iterable[str], hint: str = ""
) -> None:
    """Raise a UserError unless all `needed` columns were found. names: those in the file. hint: what may help."""
    if missing := [name for name in needed if name not in columns]:
        raise UserError(f"{where}: missing column(s) {', '.join(missing)}; found: {shown(names)}{hint}")


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
