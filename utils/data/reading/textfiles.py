"""Read text line by line: open files of any packing, cut lines into fields, objects of JSON, and name wrong lines."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from utils.errors import UserError
from utils.runs.paths import ALLOW, DENIED

PARQUET = b"PAR1"
UNREADABLE = (OSError, EOFError, zlib.error)  # the last two: gzip data cut short or damaged
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what Excel calls "Unicode text"
HEAD = 1 << 16  # bytes from which the kind of a file is told
LONGEST = 1 << 20  # characters of a line: longer ones are not of a table, and would fill the memory
BETWEEN = " \t\r\n,[]"  # may stand between the objects of a list of JSON
LINE_END = re.compile(rb"\r\n|\r|\n")
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\s,;]*', re.IGNORECASE)  # which Excel writes and reads above the heading


def reason(error: Exception) -> str:
    """Say briefly why the system refused to read, and what would help."""
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{why}; {ALLOW}" if getattr(error, "errno", None) in DENIED else why


def is_gzip(path: str | Path) -> bool:
    """Whether a file is gzipped, whatever its name."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def open_bytes(path: str | Path) -> gzip.GzipFile | io.BufferedReader:
    """Open a file to read its bytes, unpacked if gzipped."""
    return gzip.open(path, "rb") if is_gzip(path) else open(path, "rb")


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
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UserError(f"{path}: this is a zip archive or a spreadsheet; give what is inside, or save it as CSV")
    text = start.decode("utf-16" if start[:2] in UTF_16 else "utf-8-sig", "ignore")
    if "\0" in text:
        raise UserError(f"{path}: this is binary data; CSV, TSV and Parquet files can be read")
    if not text.strip():
        empty = "the file is empty" if len(start) < HEAD else f"no text in the first {HEAD:,} bytes"
        raise UserError(f"{path}: {empty}")
    return start


def text_lines(path: str | Path, encoding: str = "utf-8-sig") -> Iterator[str]:
    """Yield the lines of a text file, gzipped or not, with their ends, as the csv module takes them. Raises UserError,
    with the line, for one that is too long or not of this encoding (or UTF-16), and for broken gzip data."""
    number = 0
    try:
        with open_bytes(path) as file:
            is_utf_16 = file.read(2) in UTF_16
            file.seek(0)
            encoding, errors = ("utf-16", "strict") if is_utf_16 else (encoding, "surrogateescape")
            lines = io.TextIOWrapper(file, encoding, errors, newline="")
            while text := lines.readline(LONGEST):
                number += 1
                if len(text) == LONGEST:
                    raise UserError(f"{path}:{number}: a line of {LONGEST:,} characters or more: this is not a table")
                if not text.isascii() and (wrong := re.search("[\ud800-\udfff]", text)):  # a byte that is not decoded
                    byte = ord(wrong[0]) & 0xFF
                    raise UserError(f"{path}:{number}: byte {byte:#04x} is not UTF-8; save the file as UTF-8")
                yield text
    except UnicodeDecodeError:
        raise UserError(f"{path}:{number + 1}: can't be read: the text is not whole UTF-16; save it as UTF-8") from None
    except UNREADABLE as error:
        raise UserError(f"{path}: can't be read beyond line {number}: {reason(error)}") from None


def rows(
    path: str | Path,
    separator: str,
    heading: int = 0,
    encoding: str = "utf-8-sig",
    quoted: bool = True,
    escape: str | None = None,
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of every line below line `heading` that is not blank, split by the csv module; where
    nothing is quoted (always so with separators of two signs), at each separator. escape: the sign before a quote that
    is text, where it is not another quote.

    Raises UserError, with the line, for wrong quoting, wrong encoding and broken gzip data."""
    if len(separator) > 1 or not quoted:
        for number, text in enumerate(text_lines(path, encoding), 1):
            line = text.rstrip("\r\n")
            if line and number > heading:
                yield number, line.split(separator)
        return
    reader = csv.reader(text_lines(path, encoding), delimiter=separator, strict=True, escapechar=escape)
    last = 0  # line that was read last: a quoted field may hold line breaks, so that a row ends below its first line
    try:
        for fields in reader:
            if fields and last >= heading:
                yield last + 1, fields
            last = reader.line_num
    except csv.Error as error:
        raise UserError(f"{path}:{last + 1}: can't be cut into fields: {error}") from None


class Start(NamedTuple):
    """The first line of a table that is not blank, below Excel's line `sep=;` where there is one: its number, its text,
    and {separator: fields} of it, where `sep=` names it for that separator alone."""

    number: int
    line: str
    fields: dict[str, list[str]]


def table_start(path: Path, separators: Iterable[str]) -> Start:
    """Read the `Start` of a text table, cut at each of the separators; of a file in Parquet its sign alone."""
    if head(path).startswith(PARQUET):
        return Start(0, PARQUET.decode(), {})
    filled = ((number, text.rstrip("\r\n")[:HEAD]) for number, text in enumerate(text_lines(path), 1) if text.strip())
    number, line = next(filled)
    if said := SEPARATOR_LINE.fullmatch(line):
        above, separators = number, [said[1]]
        number, line = next(filled, (0, ""))
        if not number:
            raise UserError(f"{path}: nothing below line {above}")
    return Start(number, line, {separator: cut(line, separator) for separator in separators})


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number of its last line, object) of the objects in a file of JSON, a list of them or one after the other;
    numbers are kept as text."""
    read = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str).raw_decode
    first = last = opened = 0  # line of an object's begin; last line with text; lists without an end as yet
    waiting = ""  # an object that goes on in the next line

    def within(text: str) -> str:
        """Return what follows the signs before an object, and count the lists among them."""
        nonlocal opened
        rest = text.lstrip(BETWEEN)
        before = text[: len(text) - len(rest)]
        opened += before.count("[") - before.count("]")
        return rest

    for number, line in enumerate(text_lines(path), 1):
        last = number if line.strip() else last
        if not waiting:
            first, line = number, within(line)
        waiting += line
        if len(waiting) > LONGEST:
            raise UserError(f"{path}:{first}: an object of {LONGEST:,} characters or more")
        while waiting and line.rstrip(BETWEEN).endswith("}"):
            try:
                entry, end = read(waiting)
            except RecursionError:
                raise UserError(f"{path}:{first}: this JSON is nested too deep for ratings") from None
            except ValueError:
                break  # it goes on in the next line
            if not isinstance(entry, dict):
                break
            yield number, entry
            waiting = within(waiting[end:])
        if waiting and waiting[0] != "{":
            raise UserError(f'{path}:{number}: {waiting[:40].strip()!r} is no object such as {{"userId": 1, ...}}')
    if waiting:
        raise UserError(f"{path}:{first}: this JSON object does not end, or is damaged")
    if opened > 0:
        raise UserError(f"{path}:{last}: the list of JSON does not end with ], so the file may be cut off: get it anew")


def is_plain(path: Path, separator: str, heading: int) -> bool:
    """Whether no quote in the first `heading` lines is ambiguous, and nothing below them: Arrow reads 0x10 as 16 and
    "1"2 as 12, and does not check the encoding of columns that it does not read."""
    before = b"\n"  # the sign before the block
    with open_bytes(path) as file:
        block = file.read(1 << 20)
        if heading:
            whole, block = block, LINE_END.split(block, heading)[-1]
            above = whole[: len(whole) - len(block)]
            if b'"' in above and not quotes_whole_fields(b"\n" + above, separator):
                return False
        while block:
            if not block.isascii() or any(sign in block for sign in (b"x", b"X", b"\0")):
                return False
            if b'"' in block:
                block += file.readline(1 << 20)
                if not quotes_whole_fields(before + block + b"\n", separator):
                    return False
            before = block[-1:]
            block = file.read(1 << 20)
    return True


def quotes_whole_fields(block: bytes, separator: str) -> bool:
    """Whether each quote begins or ends a field, and quoted fields hold no separator, quote or line end. block: what
    stands from the sign before some lines to the sign after them."""
    ends = np.isin(np.arange(256), list(f"{separator[0]}\r\n".encode()))
    signs = np.frombuffer(block, np.uint8)
    quotes, other = np.flatnonzero(signs == ord('"')), np.flatnonzero(ends[signs])
    first, last = quotes[::2], quotes[1::2]
    if len(first) != len(last) or len(separator) > 1:
        return False
    inside = np.searchsorted(other, last) - np.searchsorted(other, first)
    return bool(ends[signs[first - 1]].all() and ends[signs[last + 1]].all() and not inside.any())


def wrong_width(fields: Sequence[str], width: int) -> ValueError | None:
    """Return what is wrong with a line that has not `width` fields; otherwise None."""
    if len(fields) == width:
        return None
    return ValueError(f"too {'few' if len(fields) < width else 'many'} fields: {len(fields)}, where {width} belong")


def encoding_of(path: str | Path) -> str:
    """Return the encoding of a file that may be in UTF-8 or, as MovieLens' older sets are, in latin-1."""
    try:
        with open(path, encoding="utf-8") as file:
            while file.read(LONGEST):
                pass
    except UnicodeDecodeError:
        return "latin-1"
    except OSError as error:
        raise UserError(f"{path}: can't be read: {reason(error)}") from None
    return "utf-8-sig"


def shown(names: Sequence[str]) -> str:
    """Join the first few names into a text that is safe to print."""
    return ", ".join("".join(sign if sign.isprintable() else "?" for sign in name.strip()[:30]) for name in names[:12])


def cut(line: str, separator: str) -> list[str]:
    """Split a line into fields."""
    return line.split(separator) if len(separator) > 1 else next(csv.reader([line], delimiter=separator))
