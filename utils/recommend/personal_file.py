"""One person's ratings in a file: movieId or title and rating, or what Letterboxd and IMDb export."""

import re
from pathlib import Path

from utils.data.movies import shortened
from utils.data.ratings import nought
from utils.data.reading.textfiles import check_width, cut, find_columns, first_line, is_utf8, located, rows, shown
from utils.data.reading.values import to_number, to_whole
from utils.data.titles import Titles
from utils.errors import UserError
from utils.recommend.profile import by_id

COLUMNS = {
    "userId": ("userid", "user"),
    "movieId": ("movieid", "itemid"),
    "title": ("title", "name", "movietitle", "movie", "film"),
    "year": ("year", "releaseyear"),
    "rating": ("yourrating", "rating", "ratings", "stars", "score"),
    "type": ("titletype",),
}
EXPORTS = {"letterboxduri": ("Letterboxd", 5), "yourrating": ("IMDb", 10)}  # a column that tells: whose, highest stars
NAMED = 5  # titles named of those that are left out


def read_personal(path, movies, scale):
    """({index of a movie: stars}, notes) of a text file with a movie and a rating a line.

    A movieId names a movie of the data; a title does where there is none, forgivingly, and a year beside it (one year
    off is forgiven) tells movies of one title apart. The stars of an export are converted to `scale` by the highest
    stars of both. What can't be found is left out and said; a line that can't be read is a `UserError`."""
    path = Path(path)
    heading, columns, separator, width, export = _layout(path)
    found, notes, missing, several, unrated, others = {}, [], [], [], 0, 0
    titles, seen, people = Titles(movies), {}, set()
    encoding = "utf-8-sig" if is_utf8(path) else "latin-1"
    for line, fields in rows(path, separator, heading, encoding):
        with located(path, line):
            check_width(fields, width)
            value = {name: fields[place].strip() for name, place in columns.items()}
            if export and not value["rating"]:
                unrated += 1
                continue
            if re.search("episode|series|game|podcast", value.get("type", ""), re.IGNORECASE):
                others += 1
                continue
            stars = _stars(to_number(value["rating"], "rating"), scale, export)
            people.add(value.get("userId"))
            if len(people) > 1:
                raise ValueError("ratings of a second user; --ratings takes one person's")
            year = to_whole(value["year"]) if value.get("year") else None
            name = f"movie {value['movieId']}" if value.get("movieId") else value.get("title")
            if not name:
                raise ValueError(f"the {'title' if 'title' in value else 'movieId'} is empty")
            at, said = _movie(titles, value, year, forgiving=not export)
        if len(at) != 1:
            (several if at else missing).append(name + (f" ({year})" if year and "title" in value else ""))
            continue
        if said:
            notes.append(f"line {line}: {said}")
        if at[0] in found:
            notes.append(f"line {line}: {movies.titles[at[0]]} again, first in line {seen[at[0]]}; this one counts")
        found[at[0]], seen[at[0]] = stars, line
    return found, [*_notes(path, found, missing, several, (unrated, others), export, scale), *notes]


def _layout(path):
    """(lines of heading, {column: place}, separator, fields a line, (whose export, its highest stars) or None)."""
    number, text = first_line(path)
    most = []
    for separator in (",", "\t", ";"):
        names = cut(text, separator)
        columns = find_columns(path, names, COLUMNS)
        if "rating" in columns and columns.keys() & {"movieId", "title"}:
            plain = [re.sub(r"[\W_]", "", name.lower()) for name in names]
            export = next((found for name, found in EXPORTS.items() if name in plain), None)
            return number, columns, separator, len(names), export
        most = max(most, names, key=len)
    raise UserError(
        f"{path}:{number}: columns title (or movieId) and rating are needed, the first line must name them; "
        f"found: {shown(most)}"
    )


def _stars(value, scale, export):
    """The stars on the scale of the run."""
    low, high = (0, export[1]) if export else scale
    if not low <= value <= high:
        raise ValueError(f"rating {value:g} is not from {low:g} to {high:g}")
    return (max(value * scale[1] / export[1], scale[0]) if export else value) or nought(scale)


def _movie(titles, value, year, forgiving):
    """(indices of the movies that may be meant, what to say about a spelling that was forgiven)."""
    if value.get("movieId"):
        raw = value["movieId"]
        place = max(by_id(titles.movies.ids, raw), by_id(titles.movies.ids, raw.removeprefix("'")))  # see movies.cell
        return ([place] if place >= 0 else []), None
    at = titles.of(value["title"], year)
    if at or not forgiving:
        return at, None
    at = titles.alike(value["title"], year)
    return at, f"{value['title']} read as {titles.movies.titles[at[0]]}" if len(at) == 1 else None


def _notes(path, found, missing, several, counted, export, scale):
    notes = [f"{path}: {len(found):,} rated movies are in the data"]
    if export and export[1] != scale[1]:
        notes[0] += f"; {export[0]}'s stars, up to {export[1]}, converted to up to {scale[1]:g}"
    for names, why in ((missing, "are not in the data"), (several, "fit several movies")):
        if names:
            notes.append(f"left out, since they {why}: {shortened(names, NAMED)}")
    for count, why in zip(counted, ("have no rating", "are no movies (episodes, series, games)"), strict=True):
        if count:
            notes.append(f"left out, since they {why}: {count:,}")
    if not found:
        raise UserError("; ".join([f"{path}: none of its movies is in the data of this run", *notes[1:]]))
    return notes
