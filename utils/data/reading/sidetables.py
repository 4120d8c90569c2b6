"""Read the tables beside a rating file: movies (title, year, genres), users, and tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from numpy.typing import NDArray

from utils.data.movies import Movies, year_of
from utils.data.reading.formats import ENDINGS_100K, SEPARATORS, SPELLINGS, Spellings
from utils.data.reading.layouts import check_columns, find_layout
from utils.data.reading.textfiles import encoding_of, rows, table_start, text_lines, wrong_width
from utils.data.reading.values import to_seconds, to_whole
from utils.errors import UserError
from utils.runs.paths import is_file, is_folder, is_there

MOVIE_COLUMNS: Spellings = {
    "movieId": (*SPELLINGS["movieId"], "id"),
    "title": ("title", "name", "movietitle", "booktitle", "movie", "film"),
    "year": ("year", "releaseyear", "yearofpublication"),
    "genres": ("genres", "genre", "categories", "category", "class"),
}
NETFLIX = ("movie_titles.csv", "movie_titles.txt")  # beside the ratings, or beside their folder
BOOKS = ("BX-Books.csv", "BX_Books.csv", "Books.csv", "books.csv")  # some of them in latin-1
TAG_COLUMNS: Spellings = {name: (name.lower(),) for name in ("userId", "movieId", "tag", "timestamp")}
Id: TypeAlias = int | str
Entries: TypeAlias = Iterator[tuple[int, str, Any]]  # number of a line, text of the id, what it says or a ValueError
NO_GENRE = ("", "unknown", "(no genres listed)")
GENRES_100K = (  # one 0/1 column of u.item each, unless u.genre says otherwise
    "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical|"
    "Mystery|Romance|Sci-Fi|Thriller|War|Western"
)
OCCUPATIONS_1M = (  # by the code's position, as ml-1m's README lists them
    "other|academic/educator|artist|clerical/admin|college/grad student|customer service|doctor/health care|"
    "executive/managerial|farmer|homemaker|K-12 student|lawyer|programmer|retired|sales/marketing|scientist|"
    "self-employed|technician/engineer|tradesman/craftsman|unemployed|writer"
)


def read_movies(path: Path, ids: NDArray[Any], beside: str = "movies.csv") -> tuple[Movies, list[str]]:
    """Read the movie file beside the rating file `path`, if there is one: (movies in the order of `ids`, notes).
    beside: its name, where that is not told by the name of the rating file.

    Listed movies without a rating are left out; rated movies that aren't listed are called "movie <id>"."""
    file, read = _movie_file(path, beside)
    movies, name = Movies.untitled(ids), file.name
    if not is_file(file):
        why = f"{file} is no file" if is_there(file) else f"no {name} beside the ratings"
        return movies, [f"{why}: movies are called by their ids"]
    try:
        listed, bad = _by_id(file, read(file), ids, "movie")
    except _OtherLayoutError as error:
        return movies, [f"{error}: not used, movies are called by their ids"]
    rated = ids.tolist()
    for index, raw in enumerate(rated):
        title, year, genres = listed.get(raw, ("", None, []))
        if title.strip():
            movies.titles[index], movies.years[index] = title, year
            movies.genres[index] = [genre for genre in genres if genre not in NO_GENRE]
    unlisted, unrated = len(set(rated) - listed.keys()), len(listed.keys() - set(rated))
    notes = [f"{unrated:,} movies of {name} have no rating: left out"] if unrated else []
    if unlisted:
        notes.append(f"{unlisted:,} rated movies are not in {name}: called by their ids")
    return movies, notes + bad


def _movie_file(path: Path, beside: str) -> tuple[Path, Callable[[Path], Entries]]:
    """Return (the movie file that belongs beside a rating file, its reader). beside: its name, by the format."""
    if path.suffix == ".dat":
        return path.with_name("movies.dat"), _movies_dat
    if path.suffix in ENDINGS_100K:
        return path.with_name("u.item"), _movies_100k
    if path.suffix == ".inter":
        return path.with_suffix(".item"), _movies_csv
    folder = path if is_folder(path) else path.parent
    is_netflix = beside == NETFLIX[0]
    places = [folder / name for name in (NETFLIX if is_netflix else (beside, "movie.csv", *BOOKS))]
    places += [folder.parent / name for name in NETFLIX if is_netflix]
    file = next((place for place in places if is_there(place)), places[0])
    return file, _movies_netflix if is_netflix else _movies_csv


class _OtherLayoutError(UserError):
    """A table beside the ratings is of a layout that is not read."""


def _by_id(file: Path, entries: Entries, ids: NDArray[Any], of: str) -> tuple[dict[Id, Any], list[str]]:
    """Return ({raw id: entry}, a sentence about the lines that could not be read, if there are some).

    Raises UserError, with the line, for what is wrong about one of `ids`, those of the ratings."""
    by_id, lines, rated, bad = dict[Id, Any](), dict[Id | None, int](), set(ids.tolist()), list[str]()
    for line, text, entry in entries:
        raw, wrong = _to_id(text, ids), str(entry) if isinstance(entry, ValueError) else ""
        if raw is None:
            wrong = f"id {text[:40]!r} is not a whole number, as the ids of the ratings are"
        elif raw in lines:
            wrong = f"{text[:40]!r} is listed already on line {lines[raw]}; keep one of them"
        if wrong and raw in rated:
            raise UserError(f"{file}:{line}: {wrong}")
        if wrong or raw is None:
            bad.append(f"line {line}: {wrong}")
        else:
            by_id[raw], lines[raw] = entry, line
    left = f"{len(bad):,} lines of {file.name} can't be read, of no rated {of}: left out"
    return by_id, [f"{left} (first: {bad[0]})"] if bad else []


def _to_id(text: str, ids: NDArray[Any]) -> Id | None:
    """Convert `text` to a raw id of the type of `ids`, those of the ratings; None where it is none."""
    return text if ids.dtype.kind == "U" else to_whole(text)


def _headed(
    file: Path, spellings: Spellings, needed: Iterable[str], encoding: str = "utf-8-sig"
) -> Iterator[tuple[int, dict[str, str], ValueError | None]]:
    """Yield (line, {column: text}, error where there are too few or many fields) for the rows below a heading."""
    layout = find_layout(file, table_start(file, SEPARATORS[1:]), spellings, needed)
    escape = "\\" if file.name in BOOKS and layout.separator == ";" else None  # as Book-Crossing was published
    layout = replace(layout, encoding=encoding, escape=escape)
    try:
        check_columns(f"{file}:{layout.heading}", layout.names, layout.columns, needed)
    except UserError as error:
        raise _OtherLayoutError(str(error)) from None
    for line, fields in layout.rows():
        row = {name: fields[place] for name, place in layout.columns.items() if place < len(fields)}
        if row.get("genres", "").startswith("[{") and layout.names[layout.columns["movieId"]].strip() == "id":
            raise _OtherLayoutError(f"{file} is TMDB's metadata, whose ids are not those of MovieLens' ratings")
        yield line, row, wrong_width(fields, len(layout.names))


def _unheaded(file: Path, width: int, encoding: str = "utf-8-sig") -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) of a .dat file; the last but one field is text that may hold the separator itself."""
    for line, fields in rows(file, "::", encoding=encoding):
        if len(fields) < width:
            yield line, fields
        else:
            yield line, [*fields[: width - 2], "::".join(fields[width - 2 : -1]), fields[-1]]


def _movies_csv(file: Path) -> Entries:
    encoding = encoding_of(file) if file.name in BOOKS else "utf-8-sig"
    between = r"\s+" if file.suffix == ".item" else r"\|"
    for line, row, error in _headed(file, MOVIE_COLUMNS, ("movieId", "title"), encoding):
        year = re.fullmatch(r"\s*(\d{4})(\.0)?\s*", row.get("year", ""))
        genres = [genre.strip() for genre in re.split(between, row.get("genres", ""))]
        title = row.get("title", "")
        yield line, row.get("movieId", ""), error or (title, int(year[1]) if year else year_of(title), genres)


def _movies_dat(file: Path) -> Entries:
    for line, fields in _unheaded(file, 3, encoding_of(file)):
        error = wrong_width(fields, 3)
        yield line, fields[0], error or (fields[1], year_of(fields[1]), fields[-1].split("|"))


def _movies_netflix(file: Path) -> Entries:
    for line, text in enumerate(text_lines(file, encoding_of(file)), 1):
        raw, *rest = text.strip().split(",", 2)  # the title may hold commas
        if raw:
            year = int(rest[0]) if rest and rest[0].isdecimal() else None
            title = f"{rest[-1]} ({year})" if year else rest[-1] if rest else ""
            yield line, raw, wrong_width([raw, *rest], 3) or (title, year, [])


def _movies_100k(file: Path) -> Entries:
    names, listed = GENRES_100K.split("|"), file.with_name("u.genre")
    if is_file(listed):
        names = [fields[0] for _, fields in rows(listed, "|", quoted=False)]
    for line, fields in rows(file, "|", encoding="latin-1", quoted=False):
        error = wrong_width(fields, 5 + len(names))  # id, title, release date, video date, address, flags
        if error is None and not set(fields[5:]) <= {"0", "1"}:
            error = ValueError(f"genre flags must be 0 or 1, found {'|'.join(fields[5:])[:60]!r}")
        if error:
            yield line, fields[0], error
            continue
        raw, title, date, _, _, *flags = fields
        year = year_of(title) or (int(date[-4:]) if date[-4:].isdecimal() else None)
        yield line, raw, (title, year, [name for name, flag in zip(names, flags, strict=True) if flag == "1"])


def read_users(path: Path, ids: NDArray[Any]) -> tuple[pd.DataFrame | None, list[str]]:
    """Read age, gender and occupation from the user file of ml-100k or ml-1m beside the rating file `path`: (table,
    notes for the user).

    One row for each of `ids`, missing where unknown; None where there is no such file. Ages of ml-1m are the lowest of
    a group: 1 stands for under 18, then 18, 25, 35, 45, 50, 56."""
    name = {".dat": "users.dat", ".data": "u.user"}.get(path.suffix)
    if name is None or not is_file(path.with_name(name)):
        return None, []
    file = path.with_name(name)
    _, first = next(rows(file, "::" if file.suffix == ".dat" else "|", encoding="latin-1", quoted=False), (0, []))
    if len(first) <= 2:  # of MovieTweetings: user, account at Twitter
        return None, [f"{name} is a table of another layout than MovieLens': not used"]
    users, bad = _by_id(file, _users(file), ids, "user")
    table = pd.DataFrame([users.get(raw, {}) for raw in ids.tolist()], columns=["age", "gender", "occupation"])
    return table.astype({"age": "Int16", "gender": "string", "occupation": "string"}), bad


def _users(file: Path) -> Entries:
    occupations: dict[int | None, str] = dict(enumerate(OCCUPATIONS_1M.split("|")))
    of_1m = file.suffix == ".dat"
    for line, fields in rows(file, "::" if of_1m else "|", encoding="latin-1", quoted=False):
        if error := wrong_width(fields, 5):
            yield line, fields[0], error
            continue
        raw, first, second, occupation, _ = fields
        age, gender = (to_whole(second), first) if of_1m else (to_whole(first), second)
        known = occupations.get(to_whole(occupation)) if of_1m else occupation
        if age is None or not 0 < age < 150 or known is None:
            yield line, raw, ValueError(f"no age or occupation in {', '.join(fields)[:60]!r}")
        else:
            yield line, raw, {"age": age, "gender": gender, "occupation": known}


def read_tags(folder: Path, user_ids: NDArray[Any], movie_ids: NDArray[Any]) -> pd.DataFrame | None:
    """Read the tags that users gave movies from tags.csv, tag.csv or tags.dat in `folder`; None where there is none.

    Columns: user, movie (matrix indices, -1 where the ratings lack them), tag, timestamp."""
    file = next((folder / name for name in ("tags.csv", "tag.csv", "tags.dat") if is_file(folder / name)), None)
    if file is None:
        return None
    users = {raw: index for index, raw in enumerate(user_ids.tolist())}
    movies = {raw: index for index, raw in enumerate(movie_ids.tolist())}
    headed = ((line, [*row.values()]) for line, row, _ in _headed(file, TAG_COLUMNS, TAG_COLUMNS))
    tags = []
    for line, fields in headed if file.suffix == ".csv" else _unheaded(file, 4):
        try:
            if wrong := wrong_width(fields, 4):
                raise wrong
            user, movie, tag, seconds = fields
            tags.append(
                (
                    users.get(_to_id(user, user_ids), -1),
                    movies.get(_to_id(movie, movie_ids), -1),
                    tag,
                    to_seconds(seconds),
                )
            )
        except ValueError as error:
            raise UserError(f"{file}:{line}: {error}") from None
    return pd.DataFrame(tags, columns=["user", "movie", "tag", "timestamp"])
