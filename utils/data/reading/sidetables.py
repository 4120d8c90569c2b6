"""Read the tables beside a rating file: movies (title, year, genres), users, and tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
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
USER_FILES = {  # name, separator and columns, by the ending of the rating file beside it
    ".dat": ("users.dat", "::", ("gender", "age", "occupation")),
    ".data": ("u.user", "|", ("age", "gender", "occupation")),
}
Id: TypeAlias = int | str
MovieRow: TypeAlias = tuple[int, str, str, int | None, list[str]]  # line, id, title, year, genres
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

    Listed movies without a rating are left out; rated movies that aren't listed are called "movie <id>".
    """
    read: Callable[[Path], Iterator[MovieRow]]
    if path.suffix == ".dat":
        file, read = path.with_name("movies.dat"), _movies_dat
    elif path.suffix in ENDINGS_100K:
        file, read = path.with_name("u.item"), _movies_100k
    else:
        file, read = path.with_name("movies.csv"), _movies_csv
    movies = Movies.untitled(ids)
    if not is_file(file):
        why = f"{file} is no file" if is_there(file) else f"no {file.name} beside the ratings"
        return movies, [f"{why}: movies are called by their ids"]
    index_of = {raw: index for index, raw in enumerate(ids.tolist())}
    lines: dict[Id, int] = {}
    for line, text, title, year, genres in read(file):
        with located(file, line):
            raw = _new_id(text, ids, lines, line)
        if raw in index_of and title.strip():
            index = index_of[raw]
            movies.titles[index], movies.years[index] = title, year
            movies.genres[index].extend(g for g in genres if g not in ("", "unknown", "(no genres listed)"))
    unlisted, unrated = len(index_of.keys() - lines.keys()), len(lines.keys() - index_of.keys())
    notes = [f"{unrated:,} movies of {file.name} have no rating: left out"] if unrated else []
    if unlisted:
        notes.append(f"{unlisted:,} rated movies are not in {file.name}: called by their ids")
    return movies, notes


def _to_id(text: str, ids: NDArray[Any]) -> Id:
    """Convert `text` to a raw id of the type of `ids`, those of the ratings."""
    raw = text if ids.dtype.kind == "U" else to_whole(text)
    if raw is None:
        raise ValueError(f"id {text[:40]!r} is not a whole number, as the ids of the ratings are")
    return raw


def _new_id(text: str, ids: NDArray[Any], lines: dict[Id, int], line: int) -> Id:
    """Return the raw id on a line of a table that lists each once, and add it to `lines`, {raw id: line}."""
    raw = _to_id(text, ids)
    if lines.setdefault(raw, line) != line:
        raise ValueError(f"{text[:40]!r} is listed already on line {lines[raw]}; keep one of them")
    return raw


def _headed(file: Path, spellings: Spellings, needed: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, {column: text}) for the rows of a file with a heading."""
    layout = find_layout(file, (",", "\t", ";", "|"), spellings, needed)
    check_columns(f"{file}:{layout.heading}", layout.names, layout.columns, needed)
    for line, fields in rows(file, layout.separator, layout.heading):
        with located(file, line):
            check_width(fields, len(layout.names))
        yield line, {name: fields[place] for name, place in layout.columns.items()}


def _movies_csv(file: Path) -> Iterator[MovieRow]:
    for line, row in _headed(file, MOVIE_COLUMNS, ("movieId", "title")):
        year = re.fullmatch(r"\s*(\d{4})(\.0)?\s*", row.get("year", ""))
        genres = [genre.strip() for genre in row.get("genres", "").split("|")]
        yield line, row["movieId"], row["title"], int(year[1]) if year else year_of(row["title"]), genres


def _movies_dat(file: Path) -> Iterator[MovieRow]:
    for line, fields in rows(file, "::", encoding="utf-8" if is_utf8(file) else "latin-1"):
        raw, title, genres = _joined(file, line, fields, 3)
        yield line, raw, title, year_of(title), genres.split("|")


def _joined(file: Path, line: int, fields: list[str], width: int) -> list[str]:
    """Rejoin the last but one field of a line of a .dat file, text that may hold the separator itself."""
    with located(file, line):
        check_width(fields[:width], width)
    return [*fields[: width - 2], "::".join(fields[width - 2 : -1]), fields[-1]]


def _movies_100k(file: Path) -> Iterator[MovieRow]:
    names, listed = GENRES_100K.split("|"), file.with_name("u.genre")
    if is_file(listed):
        names = [fields[0] for _, fields in rows(listed, "|", quoted=False)]
    for line, fields in rows(file, "|", encoding="latin-1", quoted=False):
        with located(file, line):
            check_width(fields, 5 + len(names))  # id, title, release date, video date, address, flags
            if not set(fields[5:]) <= {"0", "1"}:
                raise ValueError(f"genre flags must be 0 or 1, found {'|'.join(fields[5:])[:60]!r}")
        genres = [name for name, flag in zip(names, fields[5:], strict=True) if flag == "1"]
        year = year_of(fields[1]) or (int(fields[2][-4:]) if fields[2][-4:].isdecimal() else None)
        yield line, fields[0], fields[1], year, genres


def read_users(path: Path, ids: NDArray[Any]) -> pd.DataFrame | None:
    """Read age, gender and occupation from the user file of ml-100k or ml-1m beside the rating file `path`.

    One row for each of `ids`, missing where unknown; None where there is no such file. Ages of ml-1m are the lowest of
    a group: 1 stands for under 18, then 18, 25, 35, 45, 50, 56."""
    name, separator, columns = USER_FILES.get(path.suffix, ("", "", ()))
    file = path.with_name(name) if name else path
    if not name or not is_file(file):
        return None
    users: dict[Id, dict[str, Any]] = {}
    lines: dict[Id, int] = {}
    occupations: dict[int | None, str] = dict(enumerate(OCCUPATIONS_1M.split("|")))
    for line, fields in rows(file, separator, encoding="latin-1", quoted=False):
        with located(file, line):
            check_width(fields, 5)
            user: dict[str, Any] = dict(zip(columns, fields[1:4], strict=True))
            user["age"] = to_whole(user["age"])
            if separator == "::":
                user["occupation"] = occupations.get(to_whole(user["occupation"]))
            if user["age"] is None or not 0 < user["age"] < 150 or user["occupation"] is None:
                raise ValueError(f"no age or occupation in {separator.join(fields)[:60]!r}")
            users[_new_id(fields[0], ids, lines, line)] = user
    table = pd.DataFrame([users.get(raw, {}) for raw in ids.tolist()], columns=["age", "gender", "occupation"])
    return table.astype({"age": "Int16", "gender": "string", "occupation": "string"})


def read_tags(folder: Path, user_ids: NDArray[Any], movie_ids: NDArray[Any]) -> pd.DataFrame | None:
    """Read the tags that users gave movies from tags.csv or tags.dat in `folder`; None where there is neither.

    Columns: user, movie (matrix indices, -1 where the ratings lack them), tag, timestamp."""
    file = next((folder / name for name in ("tags.csv", "tags.dat") if is_file(folder / name)), None)
    if file is None:
        return None
    if file.suffix == ".csv":
        entries = ((line, [*row.values()]) for line, row in _headed(file, TAG_COLUMNS, TAG_COLUMNS))
    else:
        entries = ((line, _joined(file, line, fields, 4)) for line, fields in rows(file, "::"))
    users = {raw: index for index, raw in enumerate(user_ids.tolist())}
    movies = {raw: index for index, raw in enumerate(movie_ids.tolist())}
    tags = []
    for line, (user, movie, tag, seconds) in entries:
        with located(file, line):
            indices = users.get(_to_id(user, user_ids), -1), movies.get(_to_id(movie, movie_ids), -1)
            tags.append((*indices, tag, to_seconds(seconds)))
    return pd.DataFrame(tags, columns=["user", "movie", "tag", "timestamp"])
