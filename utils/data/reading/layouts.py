"""How a text table is laid out, told from its first line: a known format, a heading, or the values of a rating."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from utils.data.reading.formats import (
    DATES,
    ENDINGS_100K,
    FORMATS,
    NEEDED,
    ORDER,
    PLAIN,
    SEPARATORS,
    SPELLINGS,
    Format,
    Spellings,
)
from utils.data.reading.textfiles import Start, encoding_of, objects, rows, shown, table_start, text_lines
from utils.data.reading.values import is_number, is_time, with_point
from utils.errors import UserError

TYPED = re.compile(r":(token|float)(_seq)?\s*$")  # RecBole's headings: user_id:token
ADVICE = "--columns user=...,movie=...,rating=... says which they are"
IGNORED = Counter[str]()  # nobody looks at what is counted there


@dataclass(frozen=True)
class Layout:
    """How a text table is laid out: its separator, the names of all columns, {known name: position}, and the number of
    the line that names the columns, or of the last line before the table where none does.

    form: its published format. notes: sentences for the user about what was taken for what."""

    path: Path
    separator: str
    names: list[str]
    columns: dict[str, int]
    heading: int
    encoding: str = "utf-8-sig"
    escape: str | None = None
    form: Format = PLAIN
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, fields) of each line of the table, as `rows` does."""
        return rows(self.path, self.separator, self.heading, self.encoding, escape=self.escape)

    def rows(self, left_out: Counter[str] = IGNORED) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, fields) of each line of the table that is not left out. left_out: those that are, by why,
        are counted there."""
        rating = self.columns["rating"] if self.form.zeros else None
        for row in self.lines():
            if rating is None and row[1][0][:1] > " ":  # as most are
                yield row
            elif not "".join(row[1]).strip():
                left_out.update(["without any value"])
            elif rating is not None and len(row[1]) > rating and row[1][rating].strip() == "0":
                left_out.update([self.form.zeros])
            else:
                yield row

    def where(self, row: int) -> str:
        """Return "file:line" of a row, counted from 0; the file is read again."""
        line, _ = next(itertools.islice(self.rows(), row, None))
        return f"{self.path}:{line}"


class Parquet(Layout):
    """A file in Parquet, whose rows are counted from 1."""

    def where(self, row: int) -> str:
        """Return "file: row" of a row, counted from 0."""
        return f"{self.path}: row {row + 1}"


class _Netflix(Layout):
    """The Netflix Prize's layout: a line "movie:" above the lines "user,rating,date" about it."""

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, fields) of each rating: user, movie, rating, date."""
        movie = ""
        for number, text in enumerate(text_lines(self.path), 1):
            line = text.strip()
            if line.endswith(":"):
                movie = line[:-1]
            elif line:
                user, *rest = line.split(",")
                yield number, [user, movie, *rest]


class _Jester(Layout):
    """Jester's layout: a line a user, with the number of ratings, then a column a joke, 99 where it is not rated."""

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, fields) of each rating: number of the line, of the column, stars."""
        width = 0
        for number, (count, *stars) in rows(self.path, self.separator):
            rated = [(str(joke), text) for joke, text in enumerate(map(str.strip, stars), 1) if text != "99"]
            width = width or len(stars)
            if len(stars) != width or count.strip() != str(len(rated)):
                holds = f"{len(rated)} ratings of {len(stars)} jokes"
                raise UserError(
                    f"{self.path}:{number}: {count[:40]!r} ratings of {width} jokes belong here, not {holds}"
                )
            for joke, text in rated:
                yield number, [str(number), joke, text]


class _Json(Layout):
    """Objects of JSON, one a line or in a list; `names` are the keys that are used."""

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, values of the keys as text) of each object."""
        for number, entry in objects(self.path):
            values = (entry.get(name) for name in self.names)
            yield number, [x if isinstance(x, str) else "" if x is None else json.dumps(x) for x in values]


def find_layouts(files: Sequence[Path], columns: Mapping[str, str] | None = None) -> list[Layout]:
    """Find the layouts of rating files that are parts of one table: Parquet; text of a published format, JSON, or a
    table with a heading or the fields of a rating in the first line.

    columns: {known name: heading or number of the column}, where the user says so."""
    path, start = files[0], table_start(files[0], SEPARATORS)
    if not start.number:
        return [_parquet(part, columns) for part in files]
    form = PLAIN if columns else next((form for form in FORMATS if re.fullmatch(form.sign, start.line)), PLAIN)
    if form.refused:
        raise UserError(f"{path}: this looks like {form.name}: {form.refused}")
    if re.match(r'\s*(\{\s*("|$)|\[\s*(\{|$))', start.line):
        layout: Layout = _json(path, columns)
    elif form.columns:
        cut_at = "," if start.line.endswith(":") else max(SEPARATORS, key=start.line.count)
        layout = _unheaded(path, cut_at, form.columns, start)
        if kind := {"the Netflix Prize": _Netflix, "Jester": _Jester}.get(form.name):
            layout = kind(**vars(layout) | {"notes": ()})
    else:
        layout = _table(path, start, columns)
    notes = [f"read as the format of {form.name}{form.about and f': {form.about}'}"] if form.name else []
    encoding = encoding_of(path) if form.may_be_latin else layout.encoding
    layout = replace(layout, encoding=encoding, form=form, notes=(*notes, *layout.notes))
    return [replace(layout, path=part) for part in files]


def _parquet(path: Path, columns: Mapping[str, str] | None) -> Layout:
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: this Parquet file can't be read: {str(error).splitlines()[0]}") from None
    found = find_columns(path, names, SPELLINGS, columns)
    check_columns(path, names, found, NEEDED)
    return Parquet(path, "", names, found, 0)


def _json(path: Path, columns: Mapping[str, str] | None) -> Layout:
    """Find the keys of the ratings in a file of JSON from its first object."""
    _, entry = next(objects(path), (0, None))
    if entry is None:
        raise UserError(f"{path}: the file holds no object of JSON")
    keys = list(entry)
    found = find_columns(path, keys, SPELLINGS, columns)
    check_columns(path, keys, found, NEEDED, f"; {ADVICE}")
    return _Json(path, "", [keys[at] for at in found.values()], {name: at for at, name in enumerate(found)}, 0)


def _table(path: Path, start: Start, columns: Mapping[str, str] | None) -> Layout:
    """Find the layout of a table of no published format."""
    layout = find_layout(path, start, {} if columns else SPELLINGS, NEEDED)
    if columns:  # the first line is a heading unless a number stands where the rating does
        found = find_columns(path, layout.names, {}, columns)
        has_heading = not is_number(with_point(layout.names[found["rating"]]))
        layout = replace(layout, columns=found, heading=layout.heading - (not has_heading))
    elif any(column not in layout.columns for column in NEEDED):
        layout = _guessed(path, start) or layout
    hint = f"; the first line must name the columns, or {ADVICE}"
    check_columns(f"{path}:{max(layout.heading, 1)}", layout.names, layout.columns, NEEDED, hint)
    return layout


def with_notes(layout: Layout, first_time: str | None) -> Layout:
    """Say how columns are spelled; leave out, with a sentence, a column `date` of texts the first of which is no date
    that can be read."""
    columns, notes = dict(layout.columns), list[str]()
    if first_time is not None and not is_time(first_time):
        name = layout.names[columns["timestamp"]]
        if re.sub(r"\W|_", "", name.lower()) in DATES:
            notes = [f"column {name.strip()} not used: {first_time[:40]!r} is no date such as 2006-05-07"]
            del columns["timestamp"]
    other = {layout.names[at]: column for column, at in columns.items() if layout.names[at].strip() != column}
    if other:
        notes.insert(0, f"columns {shown(list(other))} read as {', '.join(other.values())}")
    return replace(layout, columns=columns, notes=(*layout.notes, *notes))


def _unheaded(path: Path, separator: str, names: Sequence[str], start: Start) -> Layout:
    """Make the layout of a file without a heading; "" names a column that is not used."""
    columns = {name: place for place, name in enumerate(names) if name}
    note = f"no heading: read as {', '.join(name or '(not used)' for name in names)}"
    return Layout(path, separator, list(names), columns, start.number - 1, notes=(note,))


def _guessed(path: Path, start: Start) -> Layout | None:
    """Find the layout where the first line is a rating already: two ids, a number and maybe a time."""
    known = {spelling for spellings in SPELLINGS.values() for spelling in spellings}
    for separator, cut in (start.fields | {" ": start.line.split(" ")}).items():
        fields = cut if separator == "," else [*map(with_point, cut)]
        is_rating = len(fields) in (3, 4) and is_number(fields[2]) and all(map(is_time, fields[3:]))
        if is_rating and all(text.strip() and text.strip().lower() not in known for text in fields[:2]):
            return _unheaded(path, separator, ORDER[: len(fields)], start)
    usual = "::" if path.suffix == ".dat" else "\t" if path.suffix in ENDINGS_100K else None
    return _unheaded(path, usual, ORDER, start) if usual and usual in start.line else None


def find_layout(path: Path, start: Start, spellings: Spellings, needed: Iterable[str]) -> Layout:
    """Find the layout from the heading, cut at the first of the separators that gives all `needed` columns, or else at
    the one that gives the most columns."""
    layouts = [
        Layout(path, separator, names, find_columns(path, names, spellings), start.number)
        for separator, names in start.fields.items()
    ]
    whole = (layout for layout in layouts if all(name in layout.columns for name in needed))
    return next(whole, max(layouts, key=lambda layout: len(layout.names)))


def find_columns(
    path: str | Path, names: Sequence[str], spellings: Spellings, chosen: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Find the columns that a heading names: {known name: position}. spellings: {known name: its spellings}. chosen:
    {known name: heading or number, from 1}, where the user says so."""
    if chosen:
        return _chosen(path, [name.strip().lower() for name in names], names, chosen)
    plain = [re.sub(r"[\W_]", "", TYPED.sub("", name.lower())) for name in names]
    columns: dict[str, int] = {}
    for column, known in spellings.items():
        if present := [spelling for spelling in known if spelling in plain]:
            if plain.count(present[0]) > 1:
                raise UserError(f"{path}: the heading names {present[0]!r} twice")
            columns[column] = plain.index(present[0])
    return columns


def _chosen(path: str | Path, plain: list[str], names: Sequence[str], chosen: Mapping[str, str]) -> dict[str, int]:
    columns = {}
    are_places = all(wanted.isdecimal() and 0 < int(wanted) <= len(names) for wanted in chosen.values())
    for column, wanted in chosen.items():
        if wanted.strip().lower() in plain and not are_places:  # the first line may be values
            columns[column] = plain.index(wanted.strip().lower())
        elif wanted.isdecimal() and 0 < int(wanted) <= len(names):
            columns[column] = int(wanted) - 1
        else:
            raise UserError(f"{path}: --columns: there is no column {wanted!r}; found: {shown(names)}")
    return columns


def check_columns(
    where: str | Path, names: Sequence[str], columns: Iterable[str], needed: Iterable[str], hint: str = ""
) -> None:
    """Raise a UserError unless all `needed` columns were found. names: those in the file. hint: what may help."""
    if missing := [name for name in needed if name not in columns]:
        raise UserError(f"{where}: missing column(s) {', '.join(missing)}; found: {shown(names)}{hint}")
