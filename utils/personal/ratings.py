"""One person's ratings in a file: of their own making, or as sites export them (`utils.personal.formats`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from pathlib import Path
from typing import NamedTuple

from utils.data.movies import Links, Movies, quantity, shortened
from utils.data.ratings import by_id, zero_sentinel
from utils.data.reading.values import to_number, to_whole
from utils.data.titles import ALONE, Match, Titles
from utils.errors import UserError
from utils.personal.files import Sheet, sheets
from utils.personal.formats import (
    PLANNED,
    UNRATED,
    WATCHED,
    columns_of,
    format_of,
    highest_of,
    imdb_id,
    is_movie,
    out_of,
    spelling,
)
from utils.scoring.protocols import Scale

MISSING, SEVERAL, EMPTY = "not in the data", "fitting several movies", "without a rating"
RARE, NO_MOVIE = "with too few ratings to count (--min-count)", "no movies but series or games"
UNLINKED = "by title and year, since the data does not have its IMDb id"
APART, AGAIN = "of one movie by its id and another by its title", "named before"
DONE = "watched or given up, so not on the watchlist"
KINDS = (AGAIN, MISSING, RARE, SEVERAL, APART, EMPTY, NO_MOVIE, DONE)
NAMED = 5  # titles named of those that are left out
STRAY = 20  # one rating in so many may lie above the scale of the run, and is then a mistake rather than another scale
DATED = re.compile(r"\d{4}([-/.]\d\d){2}|\d{4}$")  # dates that sort as text


class Personal(NamedTuple):
    """stars: {index of a movie: stars of the run's scale}. seen: indices of movies that were seen without being rated.
    notes: sentences on how the file was read; the last counts its lines."""

    stars: dict[int, float]
    seen: set[int]
    notes: list[str]


def read_personal(
    path: Path | str, titles: Titles, scale: Scale, links: Links | None = None, ratings_scale: Scale | None = None
) -> Personal:
    """Read a person's ratings from a file with a movie and a rating a line.

    A movie is found by its id at IMDb or TMDB, where `links` has them, by a movieId of the data that the title beside
    it agrees with, or by title and year as `Titles` does. ratings_scale: lowest and highest stars of the file, else
    those of its format, or by its stars. What can't be found is left out, counted and named; a line that can't be read
    is a `UserError`."""
    reading = _Reading(titles, links or Links({}, {}), scale)
    for sheet in sheets(Path(path)):
        reading.read(sheet, ratings_scale)
    reading.check(path)
    return Personal(reading.stars, reading.seen - reading.stars.keys(), reading.notes)


def read_watchlist(path: Path | str, titles: Titles, links: Links | None = None) -> tuple[set[int], list[str]]:
    """Read (indices of the movies, notes) of a watchlist: a file with a movie a line, found as `read_personal` does."""
    reading = _Reading(titles, links or Links({}, {}), (0, 1), is_watchlist=True)
    for sheet in sheets(Path(path), is_watchlist=True):
        reading.read(sheet, None)
    reading.check(path)
    return reading.seen, reading.notes


class _Reading:
    """What was read so far. left_out: {why: names}. alone: what was taken by its title alone."""

    def __init__(self, titles: Titles, links: Links, scale: Scale, is_watchlist: bool = False) -> None:
        self.titles, self.links, self.scale, self.is_watchlist = titles, links, scale, is_watchlist
        self.stars, self.seen, self.line_of = dict[int, float](), set[int](), dict[int, tuple[str, str]]()
        self.left_out = {why: list[str]() for why in KINDS}
        self.notes, self.alone, self.users, self.lines, self.blank = list[str](), list[str](), set[str](), 0, 0
        self.disagreed, self.n_seen, self.formats = list[str](), 0, list[str]()

    def read(self, sheet: Sheet, given: Scale | None) -> None:
        """Read the rows of a sheet."""
        known = format_of(sheet.names)
        self.notes += [sheet.note] if sheet.note else []
        if known and known.name not in self.formats:
            self.formats.append(known.name)
        if sheet.rows and not columns_of(sheet.names).keys() & {"title", "movieId"} and not self.links.imdb:
            need = "ids of IMDb and TMDB need a links.csv beside the ratings that were trained on"
            raise UserError(f"{sheet.name}: {need}; give a column of titles")
        rows = [(number, value, _stars(sheet, number, value)) for number, value in sheet.values()]
        scale = given or (known.scale if known else self._scale(sheet, rows))
        if scale != self.scale and not sheet.is_starless:
            ends = f"from {scale[0]:g} to {scale[1]:g}, converted to {self.scale[0]:g} to {self.scale[1]:g}"
            whose = f"{known.name}'s stars" if known and not given else "the stars"
            note = f"{whose} are {ends}" + ("" if given or known else "; --ratings-scale says another")
            self.notes += [note] if note not in self.notes else []
        lists_seen = sheet.is_starless or "watcheddate" in map(spelling, sheet.names)  # a diary, say
        self.lines, self.blank = self.lines + len(rows) + sheet.blank, self.blank + sheet.blank
        for number, value, stars in rows:
            where = f"{sheet.unit} {number}"
            try:
                self._row(where, value, _convert(stars, scale, self.scale), lists_seen)
            except ValueError as error:
                raise UserError(f"{sheet.at(number)}: {error}") from None

    def _row(self, where: str, value: dict[str, str], stars: float | None, lists_seen: bool) -> None:
        """Read a row: find its movie, and keep its stars or why it is left out."""
        ids = [value[column] for column in ("movieId", "imdbId", "tmdbId") if value.get(column)]
        year, name = _year(value.get("year", "")), value.get("title") or (f"movie {ids[0]}" if ids else "")
        self.users.add(value.get("userId", ""))
        if len(self.users) > 1:
            raise ValueError("ratings of a second user; --ratings takes one person's")
        if not is_movie(value):
            return self.left_out[NO_MOVIE].append(name)
        status = spelling(value.get("status", ""))
        if self.is_watchlist and status in WATCHED:
            return self.left_out[DONE].append(name)
        if stars is None and not self.is_watchlist and (status in PLANNED or not (lists_seen or status in WATCHED)):
            return self.left_out[EMPTY].append(name)
        if not name:
            raise ValueError(f"the {'title' if 'title' in value else 'movieId'} is empty")
        match, why = self._find(where, value, year)
        shown = f"{name} ({year})" if year and value.get("title") and f"({year})" not in name else name
        if match.movie is None:
            near = [self.titles.movies.titles[i] for i in match.others if why == MISSING]
            return self.left_out[why].append(f"{shown}, or is it {near[0]}?" if near else shown)
        title = self.titles.movies.titles[match.movie]
        if match.movie >= self.titles.n_columns:
            return self.left_out[RARE].append(title)
        if match.how == ALONE:
            self.alone.append(f"{where} {title}")
        elif match.how:
            self.notes.append(f"{where}: {shown} read as {title}, {match.how}")
        if stars is None:
            if match.movie in (self.seen if self.is_watchlist else self.stars):
                return self.left_out[AGAIN].append(title)
            self.seen.add(match.movie)
            self.n_seen += 1
            return None
        return self._keep(where, match.movie, stars, value.get("date", ""))

    def _keep(self, where: str, movie: int, stars: float, date: str) -> None:
        """Keep the stars of a movie; of those rated often the last, by the date where both have one that sorts."""
        if movie in self.stars:
            first, before = self.line_of[movie]
            counts = first if before > date and all(map(DATED.match, (before, date))) else where
            title, which = self.titles.movies.titles[movie], "this one" if counts == where else "the later one"
            self.notes.append(f"{where}: {title} again, first in {first}; {which} counts")
            self.left_out[AGAIN].append(title)
            if counts != where:
                return
        self.stars[movie], self.line_of[movie] = stars, (where, date)

    def _find(self, where: str, value: dict[str, str], year: int | None) -> tuple[Match, str]:
        """Return (the match, why there is none): by ids of IMDb and TMDB, by an id of the data, by the title."""
        title, titles, match = unescape(value.get("title", "").removeprefix("'")), self.titles, Match(None)
        for text in (value.get("title", ""), title, value.get("original", "")):
            if text and match.movie is None and not match.others:
                match = titles.match(text, year)
        imdb, tmdb = imdb_id(value.get("imdbId", "")), to_whole(value.get("tmdbId", ""))
        linked = self.links.imdb.get(imdb or 0)
        if linked is None and imdb is None and tmdb and titles.near_year(self.links.tmdb.get(tmdb), year):
            linked = self.links.tmdb.get(tmdb)
        if linked is not None:
            is_other = match.movie not in (None, linked) and not match.how
            return (Match(None), APART) if is_other and year else (Match(linked), "")
        if raw := value.get("movieId"):
            place = _by_id(titles.movies, raw)
            if not title or (place >= 0 and titles.agrees(place, title, year)):
                return Match(place if place >= 0 else None), MISSING
            if place >= 0:
                self.disagreed.append(f"{where}: {raw} is {titles.movies.titles[place]}, beside {title}")
        if match.movie is not None and imdb and self.links.imdb:  # a movie of the data should have been found by its id
            return (Match(None) if match.how else Match(match.movie, UNLINKED)), MISSING
        return match, SEVERAL if match.others and len(match.others) > 1 else MISSING

    def _scale(self, sheet: Sheet, rows: Iterable[tuple[int, dict[str, str], float | None]]) -> Scale:
        """Return the scale of a file of no known format: what its ratings or their heading say, else the run's, or up
        to 10 or 100 where its stars are higher."""
        place = columns_of(sheet.names).get("rating")
        if sheet.is_starless or place is None:
            return self.scale
        most = {end for _, value, _ in rows if (end := out_of(value["rating"])[1])}
        most = most or {end for end in (highest_of(sheet.names[place]),) if end}
        if len(most) > 1:
            raise UserError(f"{sheet.name}: ratings out of {' and out of '.join(f'{end:g}' for end in sorted(most))}")
        for highest in most:
            return (1.0 if highest != self.scale[1] else self.scale[0]), highest
        found = [(stars, number) for number, value, stars in rows if stars is not None and is_movie(value)]
        low, high = self.scale
        above = [pair for pair in found if pair[0] > high]
        if not above:
            return self.scale
        top, number = max(above)
        ends = next((end for end in (10, 100) if top <= end), 0)
        if not ends or (len(found) >= STRAY and len(above) <= len(found) // STRAY):
            raise UserError(
                f"{sheet.at(number)}: rating {top:g} is not from {low:g} to {high:g}; "
                "give --ratings-scale LOW,HIGH if it is meant"
            )
        return (0.0 if any(stars == 0 for stars, _ in found) and ends == 100 else 1.0), float(ends)

    # -- what is said --------------------------------------------------------------------------------------------------

    def check(self, path: Path | str) -> None:
        """Add the last notes, of which the very last counts the lines; a `UserError` where no movie counts."""
        notes = self.notes
        if self.alone:
            notes.append(f"taken {ALONE}, without a year: {'; '.join(self.alone)}")
        if self.disagreed:
            more = f" and {len(self.disagreed) - 1:,} more" if len(self.disagreed) > 1 else ""
            notes.append(f"ids that are not the data's, the titles count: {self.disagreed[0]}{more}")
        for why, names in self.left_out.items():
            if names and why != AGAIN:
                named = shortened([name for name in names if name], NAMED)
                notes.append(f"left out, {why}: {len(names):,}" + (f" ({named})" if named else ""))
        if self.lines == self.blank:
            raise UserError(f"{path}: the file holds no movies")
        if not (self.seen if self.is_watchlist else self.stars):
            seen = [f"seen, without stars: {self.n_seen:,}"] if self.seen else []
            raise UserError("; ".join([f"{path}: none of its movies counts", *seen, *notes]))
        rated, n = "" if self.is_watchlist else "rated ", len(self.seen if self.is_watchlist else self.stars)
        parts = [f"1 {rated}movie is in the data" if n == 1 else f"{n:,} {rated}movies are in the data"]
        parts += [f"{self.n_seen:,} seen without a rating"] if self.n_seen and not self.is_watchlist else []
        parts += [f"{len(names):,} {why}" for why, names in self.left_out.items() if names]
        parts += [f"{self.blank:,} empty"] if self.blank else []
        whose = f", read as {' and '.join(self.formats)}'s" if self.formats else ""
        notes.append(f"{path}: {quantity(self.lines, 'line')}{whose}: {', '.join(parts)}")


def _stars(sheet: Sheet, number: int, value: dict[str, str]) -> float | None:
    """Return the number of stars of a row, which may have a decimal comma, or None where there is none."""
    text = out_of(value.get("rating", ""))[0]
    if sheet.is_starless or text.casefold() in UNRATED:
        return None
    try:
        return to_number(re.sub(r"^(-?\d+),(\d{1,2})$", r"\1.\2", text), "rating")
    except ValueError as error:
        raise UserError(f"{sheet.at(number)}: {error}") from None


def _convert(stars: float | None, scale: Scale, to: Scale) -> float | None:
    """Convert stars to the scale of the run, by the highest stars of both; None where there are none."""
    if stars is None or (stars == 0 and scale[0] > 0):
        return None
    if not min(scale[0], 0) <= stars <= scale[1] or (scale == to and stars < scale[0]):
        raise ValueError(f"rating {stars:g} is not from {scale[0]:g} to {scale[1]:g}")
    if scale != to and min(scale[0], to[0]) < 0:
        return (to[0] + (stars - scale[0]) / (scale[1] - scale[0]) * (to[1] - to[0])) or zero_sentinel(to)
    return (max(stars if scale == to else stars * to[1] / scale[1], to[0])) or zero_sentinel(to)


def _year(text: str) -> int | None:
    """Return the year in a text such as 1999, 1999.0, 1999-03-30, 30.3.1999 or 2007–2010, or None."""
    match = re.search(r"(?<!\d)\d{4}(?!\d)", text)
    return int(match[0]) if match else None


def _by_id(movies: Movies, text: str) -> int:
    """Return the index of the movie with this movieId, which may be written 2571.0, or -1."""
    whole = to_whole(re.sub(r",0+$", "", text))
    texts = [text, text.removeprefix("'"), *([str(whole)] if whole is not None else [])]  # see movies.csv_safe
    return max(by_id(movies.ids, each) for each in texts)
