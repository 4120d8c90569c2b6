"""Open people's own files: text in any encoding, with any separator, JSON, workbooks, gzipped or in a zip archive."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from utils.data.reading.textfiles import UNREADABLE, cut, open_bytes, reason, shown
from utils.errors import UserError
from utils.personal import spreadsheets
from utils.personal.formats import columns_of

MOST = 16 << 20  # bytes: more are no file of one person
ROWS = 100_000  # the same
SEEN = re.compile(r"(^|/)watched(-movies)?\.(csv|json)$", re.IGNORECASE)  # files of what was seen, in an archive
SEPARATORS: tuple[str, ...] = (",", "\t", ";", "|")
ABOVE = 12  # lines, of those that are not blank, among which the names of the columns are looked for
MOVIE_COLUMNS = ("title", "movieId", "imdbId", "tmdbId")
NEEDED = "columns title (or movieId) and rating are needed"


@dataclass(frozen=True)
class Sheet:
    """The rows of one file. names: headings of the columns. rows: (number, fields), a text of each column. unit: what
    the numbers count, `line`, `row` or `entry`. blank: how many rows without any text were left out. is_starless:
    whether it lists movies without stars, what was seen or is to be seen. note: what was guessed about it."""

    name: str
    names: list[str]
    rows: list[tuple[int, list[str]]]
    unit: str = "line"
    blank: int = 0
    is_starless: bool = False
    note: str = ""

    def at(self, number: int) -> str:
        """Say where a row is."""
        return f"{self.name}: entry {number}" if self.unit == "entry" else f"{self.name}:{number}"

    def values(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield (number, {known column: text}) of each row."""
        columns = columns_of(self.names)
        for number, fields in self.rows:
            yield number, {column: fields[place].strip() for column, place in columns.items()}


def sheets(path: Path, is_watchlist: bool = False) -> list[Sheet]:
    """Return the sheets of a file, of an archive those with ratings and with what was seen, or those of a watchlist. A
    `UserError` says what can't be read, with the line."""
    data = _content(path)
    if not data.startswith(b"PK\x03\x04"):
        return [_sheet(str(path), data, is_watchlist)]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if spreadsheets.is_workbook(archive.namelist()):
                return [_workbook(str(path), data, is_watchlist)]
            files = {name: archive.read(name) for name in _members(path, archive, is_watchlist)}
    except UserError:
        raise
    except Exception as error:  # zipfile raises whatever damaged bytes lead to
        raise UserError(f"{path}: the archive can't be read: {error}") from None
    return [_sheet(f"{path}/{name}", data, is_watchlist or bool(SEEN.search(name))) for name, data in files.items()]


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe, say, which might never end
            raise UserError(f"{path}: this is not a file")
        with open_bytes(path) as file:
            data = file.read(MOST + 1)
    except UNREADABLE as error:
        raise UserError(f"{path}: can't be read: {reason(error)}") from None
    if len(data) > MOST:
        raise UserError(f"{path}: more than {MOST >> 20} MB; a file of one person's ratings is needed")
    return data


def _members(path: Path, archive: zipfile.ZipFile, is_watchlist: bool) -> list[str]:
    """Return the names of the files to read in an archive: those of ratings and what was seen, or of a watchlist."""
    spreadsheets.refuse(str(path), names=archive.namelist())
    files = [e for e in archive.infolist() if re.search(r"\.(csv|tsv|txt|json|xlsx?)$", e.filename, re.I)]
    files = [entry for entry in files if not re.search(r"(^|/)(deleted|orphaned|likes|__MACOSX)/", entry.filename)]
    bare = {entry.filename: PurePosixPath(entry.filename).name.lower() for entry in files}
    word = "watchlist" if is_watchlist else "ratings"
    chosen = [name for name, last in bare.items() if word in last] or (list(bare) if len(bare) == 1 else [])
    if not chosen:
        raise UserError(f"{path}: no {word}.csv in this zip archive; found: {shown(archive.namelist()) or 'nothing'}")
    chosen += [name for name in bare if SEEN.search(name) and name not in chosen and not is_watchlist]
    if sum(entry.file_size for entry in files if entry.filename in chosen) > MOST:
        raise UserError(f"{path}: more than {MOST >> 20} MB; a file of one person's ratings is needed")
    return chosen


def _sheet(name: str, data: bytes, is_starless: bool) -> Sheet:
    spreadsheets.refuse(name, data)
    if data.startswith(b"PK\x03\x04"):  # in an archive
        return _workbook(name, data, is_starless)
    text = _text(name, data)
    if not text.strip():
        raise UserError(f"{name}: the file is empty")
    return _json(name, text, is_starless) if text.lstrip()[0] in "[{" else _table(name, text, is_starless)


def _text(name: str, data: bytes) -> str:
    """Decode the text: UTF-16 or UTF-8, else that of Windows in the West."""
    half = data[:400:2].count(0), data[1:400:2].count(0)
    encodings = ["utf-8-sig", "cp1252", "latin-1"]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif max(half) > 4 * (min(half) + 1):
        encodings = ["utf-16-be" if half[0] > half[1] else "utf-16-le"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text
    raise UserError(f"{name}: this is binary data; CSV, TSV, JSON, .xlsx and zip archives of them can be read")


# -- tables ------------------------------------------------------------------------------------------------------------


def _table(name: str, text: str, is_starless: bool) -> Sheet:
    """Read a table whose first line names the columns, or one of the next, where a title stands above; or else a list.
    Blank lines and Excel's `sep=;` are passed over."""
    filled = ((n, line.rstrip("\n")) for n, line in enumerate(io.StringIO(text, newline=None), 1) if line.strip())
    lines, separators = [*islice(filled, ABOVE)], SEPARATORS
    if given := re.fullmatch(r'\s*"?sep=(.)"?\s*', lines[0][1], re.IGNORECASE):
        lines, separators = lines[1:] or [(1, "")], (given[1],)
    if text.startswith("Letterboxd list export"):  # about the list first, then its table
        lines = [line for line in lines if line[1].startswith("Position,")] or lines
    refused = list[UserError]()
    for heading, line in lines:
        try:
            names, separator = _heading(f"{name}:{heading}", line, separators, is_starless, not refused)
        except UserError as error:
            refused.append(error)
            continue
        note = f"{name}: line {heading} names the columns, what stands above is left" if refused else ""
        rows = ((number, fields) for number, fields in _rows(name, text, separator) if number > heading)
        return _gathered(Sheet(name, names, [], is_starless=is_starless, note=note), rows)
    if is_starless:
        return _list(name, text)
    raise refused[0]


def _list(name: str, text: str) -> Sheet:
    """Read a list of titles, one a line, with the year behind or not, numbered or not."""
    lines = [(number, line.strip()) for number, line in enumerate(io.StringIO(text, newline=None), 1) if line.strip()]
    signs = [re.match(r"(?:[-*•–]|\d+[.)])\s+(?:\[[ xX]?\]\s*)?", line) for _, line in lines]
    if all(signs):
        lines = [(number, line[sign.end() :]) for (number, line), sign in zip(lines, signs, strict=True) if sign]
    parts = [(number, re.fullmatch(r"(.*?)(?:\s*[,;\t|]\s*\(?(\d{4})\)?)?", line)) for number, line in lines]
    rows = [(number, [part[1].strip().strip('"'), part[2] or ""]) for number, part in parts if part]
    note = f"{name}: its first line names no columns, so each line is read as a title"
    return Sheet(name, ["title", "year"], rows, is_starless=True, note=note)


def _gathered(sheet: Sheet, rows: Iterable[tuple[int, list[str]]]) -> Sheet:
    """Return the sheet with these rows, but for the blank ones; each has to have the columns of the heading."""
    kept, blank, n = [], 0, len(sheet.names)
    for number, fields in rows:
        if not any(map(str.strip, fields)):
            blank += bool(fields)
            continue
        while len(fields) > n and not fields[-1].strip():
            fields.pop()
        if len(fields) != n:
            few = "few" if len(fields) < n else "many"
            raise UserError(f"{sheet.at(number)}: too {few} fields: {len(fields)}, where {n} belong")
        kept.append((number, fields))
        if len(kept) > ROWS:
            raise UserError(f"{sheet.name}: more than {ROWS:,} ratings; a file of one person's is needed")
    return replace(sheet, rows=kept, blank=blank)


def _workbook(name: str, data: bytes, is_starless: bool) -> Sheet:
    """Read the first sheet of a workbook that names the columns, as in `_table`."""
    most: list[str] = []
    for title, rows in spreadsheets.rows_of(name, data):
        for place, (heading, names) in enumerate(rows[:ABOVE]):
            if _is_heading(names, is_starless, place == 0):
                width = max(len(texts) for _, texts in rows)  # beside the table may stand notes
                note = f"{name}: row {heading} names the columns, what stands above is left" if place else ""
                names = [*names, *[""] * (width - len(names))]
                padded = [(number, [*texts, *[""] * (width - len(texts))]) for number, texts in rows[place + 1 :]]
                return _gathered(Sheet(f"{name}/{title}", names, [], "row", 0, is_starless, note), padded)
        most = max(most, [text for text in rows[0][1] if text] if rows else [], key=len)
    raise UserError(f"{name}: {NEEDED}, the first row of a sheet must name them; found: {shown(most) or 'nothing'}")


def _heading(
    where: str, line: str, separators: tuple[str, ...], is_starless: bool, is_first: bool
) -> tuple[list[str], str]:
    """Return (names of the columns, separator)."""
    most: list[str] = []
    for separator in separators:
        try:
            names = cut(line, separator)
        except csv.Error as error:
            raise UserError(f"{where}: can't be cut into fields: {error}") from None
        while len(names) > 1 and not names[-1].strip():
            names.pop()
        if _is_heading(names, is_starless, is_first):
            return names, separator
        most = max(most, names, key=len)
    raise UserError(f"{where}: {NEEDED}, the first line must name them; found: {shown(most) or 'nothing'}")


def _is_heading(names: list[str], is_starless: bool, is_first: bool = True) -> bool:
    """Tell whether these are the names of the columns that are needed; a title further down may be called as one."""
    columns = columns_of(names)
    is_named = bool(columns.keys() & set(MOVIE_COLUMNS)) and (is_starless or "rating" in columns)
    return is_named and (is_first or len(columns) > 1)


def _rows(name: str, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) of each row, [] for an empty line."""
    reader, last = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), 0
    try:
        for fields in reader:
            yield last + 1, fields
            last = reader.line_num
    except csv.Error as error:
        raise UserError(f"{name}:{last + 1}: can't be cut into fields: {error}") from None


# -- JSON --------------------------------------------------------------------------------------------------------------


def _json(name: str, text: str, is_starless: bool) -> Sheet:
    """Read a list of objects, an object a line, or lists by kind, `{"movies": [...], "shows": [...]}`."""
    try:
        stored = json.loads(text)
    except (ValueError, RecursionError) as error:
        try:
            stored = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise UserError(f"{name}: this is no JSON that can be read: {error}") from None
    parts = stored.values() if isinstance(stored, dict) else ()
    if isinstance(stored, dict) and not any(isinstance(x, list) and all(isinstance(y, dict) for y in x) for x in parts):
        stored = [stored]
    entries: list[dict[str, str]] = []
    for kind, listed in stored.items() if isinstance(stored, dict) else [("", stored)]:
        for entry in listed if isinstance(listed, list) else []:
            if not isinstance(entry, dict):
                raise UserError(f"{name}: entry {len(entries) + 1} is no object with a title and a rating")
            kinds = [word for word in ("movie", "show", "episode", "season") if word in entry]
            known = {"type": kind.removesuffix("s")} if kind else {"type": kinds[-1]} if kinds else {}
            entries.append(known | dict(_leaves(entry)))
    names = list(dict.fromkeys(column for entry in entries for column in entry))
    if entries and not _is_heading(names, is_starless):
        raise UserError(f"{name}: {NEEDED} in each object; found: {shown(names) or 'nothing'}")
    rows = [(n, [entry.get(column, "") for column in names]) for n, entry in enumerate(entries, 1)]
    return Sheet(name, names, rows, "entry", is_starless=is_starless)


def _leaves(entry: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of the values of an object, those of the objects in it first, which so count less."""
    for value in entry.values():
        if isinstance(value, dict) and depth < 5:
            yield from _leaves(value, depth + 1)
    for column, value in entry.items():
        if isinstance(value, str | int | float):
            yield column, f"{value}"
