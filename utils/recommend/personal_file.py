"""One person's ratings in a file: movieId or title and rating, or what Letterboxd and IMDb export."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from utils.data.movies import shortened
from utils.data.ratings import zero_sentinel
from utils.data.reading.textfiles import check_width, cut, find_columns, first_line, is_utf8, located, rows, shown
from utils.data.reading.values import to_number, to_whole
from utils.data.titles import Titles
from utils.errors import UserError
from utils.recommend.profile import by_id

if TYPE_CHECKING:
    from utils.data.movies import Movies
    from utils.scoring.protocols import Scale

COLUMNS = {
    "userId": ("userid", "user"),
    "movieId": ("movieid", "itemid"),
    "title": ("title", "name", "movietitle", "movie", "film"),
    "year": ("year", "releaseyear"),
    "rating": ("yourrating", "rating", "ratings", "stars", "score"),
    "type": ("titletype",),
}
Export: TypeAlias = tuple[str, int]  # whose it is, its highest stars
EXPORTS = {"letterboxduri": ("Letterboxd", 5), "yourrating": ("IMDb", 10)}  # by a column that only they have
NAMED = 5  # titles named of those that are left out


@dataclass
class _LeftOut:
    """What is left out: names of movies that are not in the data or fit several, numbers of lines without a rating or
    of no movie."""

    missing: list[str] = field(default_factory=list)
    several: list[str] = field(default_factory=list)
    unrated: int = 0
    no_movie: int = 0


def read_personal(path: Path | str, movies: Movies, scale: Scale) -> tuple[dict[int, float], list[str]]:
    """Read ({index of a movie: stars}, notes) from a text file with a movie and a rating a line.

    A movieId names a movie of the data; where there is none, a title does, with small differences forgiven, and a year
    (one year off is forgiven) tells movies of one title apart. The stars of an export are converted to `scale` by the
    highest stars of both. What can't be found is left out, with a note; a line that can't be read is a `UserError`."""
    path = Path(path)
    heading, columns, separator, width, export = _layout(path)
    titles, stars_of, line_of, users = Titles(movies), dict[int, float](), dict[int, int](), set[str | None]()
    notes, left_out = list[str](), _LeftOut()
    encoding = "utf-8-sig" if is_utf8(path) else "latin-1"
    for line, fields in rows(path, separator, heading, encoding):
        with located(path, line):
            check_width(fields, width)
            value = {name: fields[place].strip() for name, place in columns.items()}
            if export and not value["rating"]:
                left_out.unrated += 1
                continue
            if re.search("episode|series|game|podcast", value.get("type", ""), re.IGNORECASE):
                left_out.no_movie += 1
                continue
            stars = _stars(to_number(value["rating"], "rating"), scale, export)
            users.add(value.get("userId"))
            if len(users) > 1:
                raise ValueError("ratings of a second user; --ratings takes one person's")
            year = to_whole(value["year"]) if value.get("year") else None
            name = f"movie {value['movieId']}" if value.get("movieId") else value.get("title")
            if not name:
                raise ValueError(f"the {'title' if 'title' in value else 'movieId'} is empty")
            at, note = _movie(titles, value, year, forgiving=not export)
        if len(at) != 1:
            name += f" ({year})" if year and "title" in value else ""
            (left_out.several if at else left_out.missing).append(name)
            continue
        if note:
            notes.append(f"line {line}: {note}")
        if at[0] in stars_of:
            notes.append(f"line {line}: {movies.titles[at[0]]} again, first in line {line_of[at[0]]}; this one counts")
        stars_of[at[0]], line_of[at[0]] = stars, line
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
    return (max(value * scale[1] / export[1], scale[0]) if export else value) or zero_sentinel(scale)


def _movie(titles: Titles, value: dict[str, str], year: int | None, forgiving: bool) -> tuple[list[int], str | None]:
    """Return (indices of the movies that may be meant, note about a spelling that was corrected)."""
    if value.get("movieId"):
        raw = value["movieId"]
        place = max(by_id(titles.movies.ids, raw), by_id(titles.movies.ids, raw.removeprefix("'")))  # of csv_safe
        return ([place] if place >= 0 else []), None
    at = titles.of(value["title"], year)
    if at or not forgiving:
        return at, None
    at = titles.alike(value["title"], year)
    return at, f"{value['title']} read as {titles.movies.titles[at[0]]}" if len(at) == 1 else None


def _notes(path: Path, n_rated: int, left_out: _LeftOut, export: Export | None, scale: Scale) -> list[str]:
    notes = [f"{path}: {n_rated:,} rated movies are in the data"]
    if export and export[1] != scale[1]:
        notes[0] += f"; {export[0]}'s stars, up to {export[1]}, converted to up to {scale[1]:g}"
    for names, why in ((left_out.missing, "are not in the data"), (left_out.several, "fit several movies")):
        if names:
            notes.append(f"left out, since they {why}: {shortened(names, NAMED)}")
    counts = (left_out.unrated, "have no rating"), (left_out.no_movie, "are no movies (episodes, series, games)")
    for count, why in counts:
        if count:
            notes.append(f"left out, since they {why}: {count:,}")
    if not n_rated:
        raise UserError("; ".join([f"{path}: none of its movies is in the data of this run", *notes[1:]]))
    return notes
