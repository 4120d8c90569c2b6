"""One person's ratings in a file: movieId or title and rating, or what Letterboxd and IMDb export."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias

from utils.data.movies import Movies, shortened
from utils.data.ratings import zero_sentinel
from utils.data.reading.textfiles import check_width, cut, find_columns, first_line, is_utf8, located, rows, shown
from utils.data.reading.values import to_number, to_whole
from utils.data.titles import Titles
from utils.errors import UserError
from utils.recommend.profile import NAMED, RARE, by_id
from utils.scoring.protocols import Scale

COLUMNS = {
    "userId": ("userid", "user"),
    "movieId": ("movieid", "itemid"),
    "title": ("title", "name", "movietitle", "movie", "film"),
    "year": ("year", "releaseyear"),
    "rating": ("yourrating", "rating", "ratings", "stars", "score"),
    "type": ("titletype",),
}
Export: TypeAlias = tuple[str, int]  # name of the site, its highest stars
EXPORTS = {"letterboxduri": ("Letterboxd", 5), "yourrating": ("IMDb", 10)}  # by a column that only they have
MISSING, SEVERAL, UNRATED = "are not in the data", "fit several movies", "have no rating"
NO_MOVIE = "are no movies (episodes, series, games)"


def read_personal(path: Path | str, movies: Movies, scale: Scale) -> tuple[dict[int, float], list[str]]:
    """Read ({index of a movie: stars}, notes) from a text file with a movie and a rating a line.

    A movieId names a movie of the data; where there is none, a title does, with small differences forgiven, and a year
    (one year off is forgiven) tells movies of one title apart. The stars of an export are converted to `scale` by the
    highest stars of both. What can't be found is left out, with a note; a line that can't be read is a `UserError`."""
    path = Path(path)
    heading, columns, separator, width, export = _layout(path)
    titles, stars_of, line_of, users = Titles(movies), dict[int, float](), dict[int, int](), set[str | None]()
    notes, left_out = list[str](), {why: list[str]() for why in (MISSING, RARE, SEVERAL, UNRATED, NO_MOVIE)}
    for line, fields in rows(path, separator, heading, "utf-8-sig" if is_utf8(path) else "latin-1"):
        with located(path, line):
            check_width(fields, width)
            value = {name: fields[place].strip() for name, place in columns.items()}
            name = f"movie {value['movieId']}" if value.get("movieId") else value.get("title")
            if export and not value["rating"]:
                left_out[UNRATED].append(name or "")
                continue
            if re.search("episode|series|game|podcast", value.get("type", ""), re.IGNORECASE):
                left_out[NO_MOVIE].append(name or "")
                continue
            stars = _stars(to_number(value["rating"], "rating"), scale, export)
            users.add(value.get("userId"))
            if len(users) > 1:
                raise ValueError("ratings of a second user; --ratings takes one person's")
            year = to_whole(value["year"]) if value.get("year") else None
            if not name:
                raise ValueError(f"the {'title' if 'title' in value else 'movieId'} is empty")
            matches, note = _movies(titles, value, year, forgiving=not export)
        if len(matches) != 1:
            name += f" ({year})" if year and "title" in value else ""
            left_out[SEVERAL if matches else MISSING].append(name)
            continue
        movie = matches[0]
        if movie >= len(movies.ids):
            left_out[RARE].append(titles.movies.titles[movie])
            continue
        if note:
            notes.append(f"line {line}: {note}")
        if movie in stars_of:
            notes.append(f"line {line}: {movies.titles[movie]} again, first in line {line_of[movie]}; this one counts")
        stars_of[movie], line_of[movie] = stars, line
    return stars_of, [*_notes(path, len(stars_of), left_out, export, scale), *notes]


def _layout(path: Path) -> tuple[int, dict[str, int], str, int, Export | None]:
    """Return (lines of heading, {column: place}, separator, fields a line, the `Export` if it is one)."""
    number, text = first_line(path)
    most: list[str] = []
    for separator in (",", "\t", ";"):
        names = cut(text, separator)
        columns = find_columns(path, names, COLUMNS)
        if "rating" in columns and columns.keys() & {"movieId", "title"}:
            plain = [re.sub(r"[\W_]", "", name.lower()) for name in names]
            export = next((source for name, source in EXPORTS.items() if name in plain), None)
            return number, columns, separator, len(names), export
        most = max(most, names, key=len)
    raise UserError(
        f"{path}:{number}: columns title (or movieId) and rating are needed, the first line must name them; "
        f"found: {shown(most)}"
    )


def _stars(value: float, scale: Scale, export: Export | None) -> float:
    """Convert the stars to the scale of the run."""
    low, high = (0, export[1]) if export else scale
    if not low <= value <= high:
        raise ValueError(f"rating {value:g} is not from {low:g} to {high:g}")
    return (max(value * scale[1] / high, scale[0]) if export else value) or zero_sentinel(scale)


def _movies(titles: Titles, value: dict[str, str], year: int | None, forgiving: bool) -> tuple[list[int], str | None]:
    """Return (indices of the movies that may be meant, note about a spelling that was corrected)."""
    if raw := value.get("movieId"):
        ids = titles.movies.ids
        place = max(by_id(ids, raw), by_id(ids, raw.removeprefix("'")))  # see movies.csv_safe
        return ([place] if place >= 0 else []), None
    matches = titles.of(value["title"], year)
    if matches or not forgiving:
        return matches, None
    matches = titles.alike(value["title"], year)
    return matches, f"{value['title']} read as {titles.movies.titles[matches[0]]}" if len(matches) == 1 else None


def _notes(path: Path, n_rated: int, left_out: dict[str, list[str]], export: Export | None, scale: Scale) -> list[str]:
    notes = [f"{path}: {n_rated:,} rated movies are in the data"]
    if export and export[1] != scale[1]:
        notes[0] += f"; {export[0]}'s stars, up to {export[1]}, converted to up to {scale[1]:g}"
    for why, names in left_out.items():
        if names:
            which = shortened(names, NAMED) if why in (MISSING, RARE, SEVERAL) else f"{len(names):,}"
            notes.append(f"left out, since they {why}: {which}")
    if not n_rated:
        raise UserError("; ".join([f"{path}: none of its movies is in the data of this run", *notes[1:]]))
    return notes
