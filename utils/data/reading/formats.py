"""The formats of rating files: known ones, by their first line, and any table, by its heading or its first values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from utils.data.ratings import Scale
from utils.data.reading import textfiles
from utils.data.reading.textfiles import Layout, Spellings
from utils.data.reading.values import is_number, is_time, with_point
from utils.errors import UserError

DATES = ("date", "ratingdate", "datetime", "ratedat", "createdat")  # used where they are dates
TIMES = ("timestamp", "time", "ts", "tstamp", "unixtime", "unixreviewtime")
SPELLINGS: Spellings = {
    "userId": ("userid", "user", "uid", "reviewerid", "customerid", "memberid"),
    "movieId": (
        *("movieid", "movie", "itemid", "item", "iid", "filmid", "film", "productid"),
        *("parentasin", "asin", "isbn", "jokeid", "bookid"),
    ),
    "rating": ("rating", "ratings", "stars", "star", "score", "grade", "overall", "bookrating"),
    "timestamp": (*TIMES, *DATES),
}
NEEDED = ("userId", "movieId", "rating")
ORDER = tuple(SPELLINGS)
SWAPPED = ("movieId", "userId", "rating", "timestamp")
SEPARATORS = ("::", "\t", ",", ";", "|")
ENDINGS_100K = (".data", ".base", ".test")  # of u.data and of the folds published with it
BETWEEN = " \t\r\n,[]"  # may stand between the objects of a list of JSON
ASIN = r"(\d{9}[\dX]|B[A-Z\d]{9})"


@dataclass(frozen=True)
class Format:
    """A published format of ratings, known by its first line.

    sign: matches that line whole. columns: of a file without a heading, in order; "" is one that is not used.
    scale: of the stars; found from the ratings where None. zeros: why lines with a rating of 0 are left out; empty
    where they are not. about: a sentence for the user. beside: name of the table of movies. text_ids: columns of ids
    that are text even where most are digits. refused: why such a file can't be read, and what would do."""

    name: str
    sign: str
    columns: tuple[str, ...] = ()
    scale: Scale | None = None
    zeros: str = ""
    about: str = ""
    beside: str = "movies.csv"
    encoding: str = "utf-8-sig"
    text_ids: tuple[str, ...] = ()
    refused: str = ""


PLAIN = Format("", "")
FORMATS = (
    Format("MovieTweetings", r"\d+::\d{7,8}::\d+::\d{9,}", ORDER, scale=(0, 10), beside="movies.dat"),
    Format("Amazon's reviews (2014)", rf"A[A-Z\d]{{9,}},{ASIN},\d(\.\d)?,\d{{9,}}", ORDER, text_ids=("movieId",)),
    Format("Amazon's reviews (2018)", rf"{ASIN},A[A-Z\d]{{9,}},\d(\.\d)?,\d{{9,}}", SWAPPED, text_ids=("movieId",)),
    Format("Amazon's reviews (2018)", r"asin,.*|reviewerID,asin,.*", text_ids=("movieId",)),
    Format("Amazon's reviews (2023)", r"user_id,parent_asin,rating,timestamp.*", text_ids=("movieId",)),
    Format("Amazon's reviews", r'\{.*"asin".*', text_ids=("movieId",)),
    Format(
        "Book-Crossing",
        r'"?User-ID"?[;,]"?ISBN"?[;,]"?(Book-)?Rating"?',
        scale=(1, 10),
        zeros="that say 0, which is no rating there",
        beside="BX-Books.csv",
        text_ids=("movieId",),
        encoding="latin-1",
    ),
    Format("the Netflix Prize", r"\d+:", ("userId", "movieId", "rating", "timestamp"), beside="movie_titles.csv"),
    Format(
        "Yahoo! Movies",
        r"\d+\t18\d{8}\t(1[0-3]|\d)\t[1-5]",
        (*NEEDED, ""),
        scale=(1, 13),
        about="the 4th column, the same stars on a scale of 1 to 5, is not used: as times it would be of 1970",
    ),
    Format("RecBole", r"user_id:token\t.*"),
    Format(
        "Jester",
        r"\d+([,\t;] ?(99|-?\d+(\.\d*)?|-?\.\d+)){20,}",
        refused="a column a joke, 99 where it is not rated, and stars below 0, which can't be; write a line "
        "user,item,rating for each, with 11 added to the stars: 1 to 21",
    ),
)


@dataclass(frozen=True)
class _Netflix(Layout):
    """The Netflix Prize's layout: a line "movie:" above the lines "user,rating,date" about it."""

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, fields) of each rating: user, movie, rating, date."""
        movie = ""
        for number, text in enumerate(textfiles.text_lines(self.path), 1):
            line = text.strip()
            if line.endswith(":"):
                movie = line[:-1]
            elif line:
                user, *rest = line.split(",")
                yield number, [user, movie, *rest]


@dataclass(frozen=True)
class _Json(Layout):
    """Objects of JSON, one a line or in a list; `names` are the keys that are used."""

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, values of the keys as text) of each object."""
        for number, entry in _objects(self.path):
            yield number, [_text(entry.get(name)) for name in self.names]


def _text(value: Any) -> str:
    """Return a value of JSON as a field of a text table."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number of its last line, object) of the objects in a file of JSON; numbers are kept as text."""
    read = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str).raw_decode
    first = number = 0
    waiting = ""  # an object that goes on in the next line
    for number, line in enumerate(textfiles.text_lines(path), 1):
        if not waiting:
            first, line = number, line.lstrip(BETWEEN)
        waiting += line
        if len(waiting) > textfiles.LONGEST:
            raise UserError(f"{path}:{first}: an object of {textfiles.LONGEST:,} characters or more")
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
            waiting = waiting[end:].lstrip(BETWEEN)
        if waiting and waiting[0] != "{":
            raise UserError(f'{path}:{number}: {waiting[:40].strip()!r} is no object such as {{"userId": 1, ...}}')
    if waiting:
        raise UserError(f"{path}:{first}: this JSON object does not end, or is damaged")


def find_rating_layout(path: Path, columns: Mapping[str, str] | None = None) -> tuple[Layout, Format]:
    """Find the layout, and the published format, `PLAIN` where it is none: from the heading, or from the fields of the
    first line where there is none. columns: {known name: heading or number of the column}, where the user says so."""
    number, line, separator = textfiles.table_start(path)
    separators = [separator] if separator else SEPARATORS
    form = next((form for form in FORMATS if re.fullmatch(form.sign, line)), PLAIN) if columns is None else PLAIN
    if form.refused:
        raise UserError(f"{path}: this looks like {form.name}: {form.refused}")
    if re.match(r'\s*(\{\s*("|$)|\[\s*(\{|$))', line):
        layout = _json_layout(path, columns)
    elif columns is not None:
        layout = _chosen(path, separators, columns)
    elif form.columns:
        cut_at = "," if line.endswith(":") else next(sign for sign in SEPARATORS if sign in line)
        layout = _unheaded(path, cut_at, form.columns, number)
        layout = _Netflix(**vars(layout)) if line.endswith(":") else layout
    else:
        layout = textfiles.find_layout(path, separators, SPELLINGS, NEEDED)
        if any(column not in layout.columns for column in NEEDED):
            layout = _guessed(path, number, line, separators) or layout
    hint = "; the first line must name the columns, or --columns user=...,movie=...,rating=... says which they are"
    textfiles.check_columns(f"{path}:{max(layout.heading, 1)}", layout.names, layout.columns, NEEDED, hint)
    notes = list(layout.notes)
    if form.name:
        notes.insert(0, f"read as the format of {form.name}{f': {form.about}' if form.about else ''}")
    layout, about_dates = _without_odd_dates(layout)
    notes += [*textfiles.renamed(layout.names, layout.columns), *about_dates]
    return replace(layout, encoding=form.encoding, zeros=form.zeros, notes=tuple(notes)), form


def _unheaded(path: Path, separator: str, names: Sequence[str], number: int) -> Layout:
    """Make the layout of a file without a heading whose first line is `number`; "" names a column that is not used."""
    columns = {name: place for place, name in enumerate(names) if name}
    note = f"no heading: read as {', '.join(name or '(not used)' for name in names)}"
    return Layout(path, separator, list(names), columns, number - 1, notes=(note,))


def _guessed(path: Path, number: int, line: str, separators: Sequence[str]) -> Layout | None:
    """Find the layout where the first line is a rating already: two ids, a number and maybe a time."""
    known = {spelling for spellings in SPELLINGS.values() for spelling in spellings}
    for separator in (*separators, " "):
        fields = [text if separator == "," else with_point(text) for text in textfiles.cut(line, separator)]
        is_rating = len(fields) in (3, 4) and is_number(fields[2]) and all(map(is_time, fields[3:]))
        if is_rating and all(text.strip() and text.strip().lower() not in known for text in fields[:2]):
            return _unheaded(path, separator, ORDER[: len(fields)], number)
        if path.suffix in {"::": (".dat",), "\t": ENDINGS_100K}.get(separator, ()):
            return _unheaded(path, separator, ORDER, number)
    return None


def _json_layout(path: Path, columns: Mapping[str, str] | None) -> Layout:
    """Find the keys of the ratings in a file of JSON from its first object."""
    _, entry = next(_objects(path))
    keys = list(entry)
    found = choose(path, keys, columns) if columns else textfiles.find_columns(path, keys, SPELLINGS)
    textfiles.check_columns(path, keys, found, NEEDED, "; --columns user=...,movie=...,rating=... says which they are")
    names = [keys[place] for place in found.values()]
    return _Json(path, "", names, {column: place for place, column in enumerate(found)}, 0)


def choose(path: Path, names: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return {known name: position} of the columns that the user has chosen by their headings or numbers, from 1."""
    plain = [name.strip().lower() for name in names]
    found = {}
    for column, wanted in columns.items():
        if wanted.strip().lower() in plain:
            found[column] = plain.index(wanted.strip().lower())
        elif wanted.isdecimal() and 0 < int(wanted) <= len(names):
            found[column] = int(wanted) - 1
        else:
            raise UserError(f"{path}: --columns: there is no column {wanted!r}; found: {textfiles.shown(names)}")
    return found


def _chosen(path: Path, separators: Sequence[str], columns: Mapping[str, str]) -> Layout:
    """Find the layout of the columns that the user has chosen; the first line is a heading unless a number stands where
    the rating does."""
    layout = textfiles.find_layout(path, separators, {}, ["none"])
    found = choose(path, layout.names, columns)
    has_heading = not is_number(with_point(layout.names[found["rating"]]))
    return replace(layout, columns=found, heading=layout.heading - (not has_heading))


def _without_odd_dates(layout: Layout) -> tuple[Layout, list[str]]:
    """Leave out, with a sentence for the user, a column `date` whose first value is no date that can be read."""
    place = layout.columns.get("timestamp")
    _, fields = next(layout.rows(), (0, []))
    if place is None or len(fields) <= place or not (note := about_date(layout.names[place], fields[place])):
        return layout, []
    return replace(layout, columns={name: at for name, at in layout.columns.items() if name != "timestamp"}), [note]


def about_date(name: str, value: str) -> str | None:
    """Say that a column of that name is not used where it is one of dates and its first value is none that can be
    read; otherwise None."""
    if re.sub(r"\W|_", "", name.lower()) not in DATES or is_time(value):
        return None
    return f"column {name.strip()} not used: {value[:40]!r} is no date such as 2006-05-07"
