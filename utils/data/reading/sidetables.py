"""Read the tables beside a rating file: movies (title, year, genres), users, and tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from numpy.typing import NDArray

from utils.data.movies import Movies, year_of
from utils.data.reading.tables import ENDINGS_100K
from utils.data.reading.textfiles import Spellings, check_columns, check_width, find_layout, is_utf8, located, rows
from utils.data.reading.values import to_seconds, to_whole
from utils.runs.paths import is_file, is_there

MOVIE_COLUMNS: Spellings = {
    "movieId": ("movieid", "movie", "itemid", "item", "iid", "filmid", "film", "productid", "id"),
    "title": ("title", "name", "movietitle", "movie", "film"),
    "year": ("year", "releaseyear"),
    "genres": ("genres", "genre", "categories", "category"),
}
TAG_COLUMNS: Spellings = {name: (name.lower(),) for name in ("userId", "movieId", "tag", "timestamp")}
Id: TypeAlias = int | str
MovieEntry: TypeAlias = tuple[str, int | None, list[str]]  # title, year, genres
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


def read_movies(path: Path, ids: NDArray[Any]) -> tuple[Movies, list[str]]:
    """Read the movie file beside the rating file `path`, if there is one: (movies in the order of `ids`, notes).

    Listed movies without a rating are left out; rated movies that aren't listed are called "movie <id>"."""
    readers = {".dat": ("movies.dat", _movies_dat), **dict.fromkeys(ENDINGS_100K, ("u.item", _movies_100k))}
    name, read = readers.get(path.suffix, ("movies.csv", _movies_csv))
    file, movies = path.with_name(name), Movies.untitled(ids)
    if not is_file(file):
        why = f"{file} is no file" if is_there(file) else f"no {name} beside the ratings"
        return movies, [f"{why}: movies are called by their ids"]
    listed, rated = _by_id(file, read(file), ids), ids.tolist()
    for index, raw in enumerate(rated):
        title, year, genres = listed.get(raw, ("", None, []))
        if title.strip():
            movies.titles[index], movies.years[index] = title, year
            movies.genres[index] = [genre for genre in genres if genre not in NO_GENRE]
    unlisted, unrated = len(set(rated) - listed.keys()), len(listed.keys() - set(rated))
    notes = [f"{unrated:,} movies of {name} have no rating: left out"] if unrated else []
    if unlisted:
        notes.append(f"{unlisted:,} rated movies are not in {name}: called by their ids")
    return movies, notes


def _by_id(file: Path, entries: Iterable[tuple[int, str, Any]], ids: NDArray[Any]) -> dict[Id, Any]:
    """Return {raw id: entry} of (line, text of the id, entry), each id listed once. ids: those of the ratings."""
    by_id: dict[Id, Any] = {}
    lines: dict[Id, int] = {}
    for line, text, entry in entries:
        with located(file, line):
            raw = _to_id(text, ids)
            if raw in lines:
                raise ValueError(f"{text[:40]!r} is listed already on line {lines[raw]}; keep one of them")
        by_id[raw], lines[raw] = entry, line
    return by_id


def _to_id(text: str, ids: NDArray[Any]) -> Id:
    """Convert `text` to a raw id of the type of `ids`, those of the ratings."""
    raw = text if ids.dtype.kind == "U" else to_whole(text)
    if raw is None:
        raise ValueError(f"id {text[:40]!r} is not a whole number, as the ids of the ratings are")
    return raw


def _headed(file: Path, spellings: Spellings, needed: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, {column: text}) for the rows of a file with a heading."""
    layout = find_layout(file, (",", "\t", ";", "|"), spellings, needed)
    check_columns(f"{file}:{layout.heading}", layout.names, layout.columns, needed)
    for line, fields in layout.rows():
        with located(file, line):
            check_width(fields, len(layout.names))
        yield line, {name: fields[place] for name, place in layout.columns.items()}


def _unheaded(file: Path, width: int, encoding: str = "utf-8-sig") -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) of a .dat file; the last but one field is text that may hold the separator itself."""
    for line, fields in rows(file, "::", encoding=encoding):
        with located(file, line):
            check_width(fields[:width], width)
        yield line, [*fields[: width - 2], "::".join(fields[width - 2 : -1]), fields[-1]]


def _movies_csv(file: Path) -> Iterator[tuple[int, str, MovieEntry]]:
    for line, row in _headed(file, MOVIE_COLUMNS, ("movieId", "title")):
        year = re.fullmatch(r"\s*(\d{4})(\.0)?\s*", row.get("year", ""))
        genres = [genre.strip() for genre in row.get("genres", "").split("|")]
        yield line, row["movieId"], (row["title"], int(year[1]) if year else year_of(row["title"]), genres)


def _movies_dat(file: Path) -> Iterator[tuple[int, str, MovieEntry]]:
    for line, (raw, title, genres) in _unheaded(file, 3, "utf-8" if is_utf8(file) else "latin-1"):
        yield line, raw, (title, year_of(title), genres.split("|"))


def _movies_100k(file: Path) -> Iterator[tuple[int, str, MovieEntry]]:
    names, listed = GENRES_100K.split("|"), file.with_name("u.genre")
    if is_file(listed):
        names = [fields[0] for _, fields in rows(listed, "|", quoted=False)]
    for line, fields in rows(file, "|", encoding="latin-1", quoted=False):
        with located(file, line):
            check_width(fields, 5 + len(names))  # id, title, release date, video date, address, flags
            raw, title, date, _, _, *flags = fields
            if not set(flags) <= {"0", "1"}:
                raise ValueError(f"genre flags must be 0 or 1, found {'|'.join(flags)[:60]!r}")
        year = year_of(title) or (int(date[-4:]) if date[-4:].isdecimal() else None)
        yield line, raw, (title, year, [name for name, flag in zip(names, flags, strict=True) if flag == "1"])


def read_users(path: Path, ids: NDArray[Any]) -> pd.DataFrame | None:
    """Read age, gender and occupation from the user file of ml-100k or ml-1m beside the rating file `path`.

    One row for each of `ids`, missing where unknown; None where there is no such file. Ages of ml-1m are the lowest of
    a group: 1 stands for under 18, then 18, 25, 35, 45, 50, 56."""
    name = {".dat": "users.dat", ".data": "u.user"}.get(path.suffix)
    if name is None or not is_file(path.with_name(name)):
        return None
    file = path.with_name(name)
    users = _by_id(file, _users(file), ids)
    table = pd.DataFrame([users.get(raw, {}) for raw in ids.tolist()], columns=["age", "gender", "occupation"])
    return table.astype({"age": "Int16", "gender": "string", "occupation": "string"})


def _users(file: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    occupations: dict[int | None, str] = dict(enumerate(OCCUPATIONS_1M.split("|")))
    of_1m = file.suffix == ".dat"
    for line, fields in rows(file, "::" if of_1m else "|", encoding="latin-1", quoted=False):
        with located(file, line):
            check_width(fields, 5)
            raw, first, second, occupation, _ = fields
            age, gender = (to_whole(second), first) if of_1m else (to_whole(first), second)
            known = occupations.get(to_whole(occupation)) if of_1m else occupation
            if age is None or not 0 < age < 150 or known is None:
                raise ValueError(f"no age or occupation in {', '.join(fields)[:60]!r}")
        yield line, raw, {"age": age, "gender": gender, "occupation": known}


def read_tags(folder: Path, user_ids: NDArray[Any], movie_ids: NDArray[Any]) -> pd.DataFrame | None:
    """Read the tags that users gave movies from tags.csv or tags.dat in `folder`; None where there is neither.

    Columns: user, movie (matrix indices, -1 where the ratings lack them), tag, timestamp."""
    file = next((folder / name for name in ("tags.csv", "tags.dat") if is_file(folder / name)), None)
    if file is None:
        return None
    users = {raw: index for index, raw in enumerate(user_ids.tolist())}
    movies = {raw: index for index, raw in enumerate(movie_ids.tolist())}
    headed = ((line, [*row.values()]) for line, row in _headed(file, TAG_COLUMNS, TAG_COLUMNS))
    tags = []
    for line, (user, movie, tag, seconds) in headed if file.suffix == ".csv" else _unheaded(file, 4):
        with located(file, line):
            indices = users.get(_to_id(user, user_ids), -1), movies.get(_to_id(movie, movie_ids), -1)
            tags.append((*indices, tag, to_seconds(seconds)))
    return pd.DataFrame(tags, columns=["user", "movie", "tag", "timestamp"])
