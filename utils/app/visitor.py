"""A visitor of the page: their ratings, the movies that they hide, and those on the screen to be rated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np
import pandas as pd

from utils.data.movies import csv_safe
from utils.data.ratings import by_id, given
from utils.errors import UserError
from utils.personal.ratings import read_personal, read_watchlist
from utils.recommend import profile

if TYPE_CHECKING:
    from utils.data.movies import Links, Movies
    from utils.data.titles import Titles
    from utils.recommend.profile import Profile
    from utils.runs.user_ratings import UserRatings
    from utils.scoring.protocols import Indices, Scale

CARDS = 6  # movies on the screen to be rated
LINES = 20_000  # most lines of an uploaded file
IN_ADDRESS = 300  # most movies in the page's address, which keeps them over a reload or in a bookmark


@dataclass
class Visitor:
    """What the page knows of a visitor. Movies are indices.

    stars: {movie: stars}. hidden: movies that were seen or are not wanted. skipped: movies that the visitor has not
    seen. cards: movies on the screen to be rated. notes: about the file uploaded last. not_found: why the last search
    found nothing. watchlist: the only movies to recommend, or None. list_notes: about its file."""

    stars: dict[int, float] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    skipped: set[int] = field(default_factory=set)
    cards: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_found: str = ""
    watchlist: set[int] | None = None
    list_notes: list[str] = field(default_factory=list)

    def profile(self, ratings: UserRatings) -> Profile:
        """Return the profile to recommend to."""
        user_profile = profile.of_ratings(ratings, self.stars)
        return replace(user_profile, seen=np.union1d(user_profile.seen, np.array(sorted(self.hidden), np.intp)))

    def rate(self, movie: int, stars: float | None) -> None:
        """Set the stars of a movie; None removes its rating."""
        self.stars.pop(movie, None)
        if stars is not None:
            self.stars[movie] = stars
            self.hidden.discard(movie)

    def mark_seen(self, movie: int) -> None:
        """Move a movie from the list of recommendations to those to be rated."""
        self.hidden.add(movie)
        self.ask(movie)

    # -- what to ask -----------------------------------------------------------------------------------------------

    def fill(self, order: Indices) -> None:
        """Fill the screen with the next movies of this order."""
        self.cards += self._next(order, CARDS - len(self.cards))

    def _next(self, order: Indices, n: int) -> list[int]:
        """Return the next `n` movies that were not asked about; once all were, the skipped ones again."""
        done = {*self.stars, *self.hidden, *self.cards}
        movies = [movie for movie in order.tolist() if movie not in done]
        new = [movie for movie in movies if movie not in self.skipped]
        if n and not new:
            self.skipped.clear()
        return (new or movies)[:n]

    def skip(self, place: int, order: Indices) -> None:
        """Replace a movie that the visitor has not seen by another one."""
        movie = self.cards[place]
        self.skipped.add(movie)
        self.hidden.discard(movie)
        self.cards[place : place + 1] = self._next(order, 1)

    def others(self, order: Indices) -> None:
        """Put other movies on the screen."""
        self.skipped |= set(self.cards) - self.stars.keys()
        self.cards = []
        self.fill(order)

    def forget(self) -> None:
        """Start again, with the same movies on the screen."""
        self.stars.clear()
        self.hidden.clear()
        self.skipped.clear()
        self.notes.clear()
        self.not_found = ""

    def ask(self, movie: int) -> None:
        """Put a movie in front, to be rated."""
        self.skipped.discard(movie)
        self.cards = [movie, *(other for other in self.cards if other != movie)][:CARDS]

    # -- from and to files and addresses ---------------------------------------------------------------------------

    def upload(self, name: str, content: bytes, titles: Titles, scale: Scale, links: Links | None = None) -> list[str]:
        """Add the ratings of a file with this content, and return notes, as `read_personal` does; a `UserError` names a
        file that can't be used."""
        ratings, seen, notes = _read(name, content, lambda path: read_personal(path, titles, scale, links))
        for movie, stars in ratings.items():
            self.rate(movie, stars)
        self.hidden |= seen - self.stars.keys()
        return notes

    def upload_watchlist(self, name: str, content: bytes, titles: Titles, links: Links | None = None) -> None:
        """Keep the movies of a watchlist with this content, and the notes on it; a `UserError` as of `upload`."""
        self.watchlist, self.list_notes = _read(name, content, lambda path: read_watchlist(path, titles, links))

    def forget_watchlist(self) -> None:
        """Recommend among all movies again."""
        self.watchlist, self.list_notes = None, []

    def csv(self, movies: Movies, scale: Scale) -> str:
        """Return the ratings as the text of a CSV file that `upload` and `recommend.py --ratings` read."""
        ids, titles = [movies.ids[movie] for movie in self.stars], [movies.titles[movie] for movie in self.stars]
        table = pd.DataFrame({"movieId": ids, "title": titles, "rating": given(list(self.stars.values()), scale)})
        return table.map(csv_safe).to_csv(index=False, lineterminator="\n", float_format="%g")

    def address(self, movies: Movies) -> str:
        """Return ratings and hidden movies in one line, `1:4.5,50:0`, 0 for a hidden movie; "" where they are too many.
        A rating of 0 is written as its sentinel, and so can't be mistaken for a hidden movie."""
        entries = {**self.stars, **dict.fromkeys(sorted(self.hidden - self.stars.keys()), 0)}
        if len(entries) > IN_ADDRESS:
            return ""
        return ",".join(f"{quote(str(movies.ids[movie]), safe='')}:{stars:g}" for movie, stars in entries.items())

    @classmethod
    def of_address(cls, text: str, movies: Movies, scale: Scale) -> Visitor:
        """Restore a visitor from their `address`, without entries whose movie or stars the data does not have."""
        visitor = cls()
        for entry in text.split(",")[:IN_ADDRESS]:
            raw, _, number = entry.rpartition(":")
            movie, stars = by_id(movies.ids, unquote(raw)), profile.to_finite(number)
            if movie >= 0 and stars == 0:
                visitor.hidden.add(movie)
            elif movie >= 0 and stars is not None and scale[0] <= stars <= scale[1]:
                visitor.stars[movie] = stars
        return visitor


def _read(name: str, content: bytes, read: Callable[[Path], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return what a reader makes of a file with this content, of which the last are notes that name it."""
    if content.startswith(b"\x1f\x8b"):
        raise UserError(f"{name} is packed; unpack it first")
    # the page takes no file of more than 5 MB
    if not content.startswith(b"PK") and len(content.splitlines()) > LINES + 1:
        raise UserError(f"{name} has more than {LINES:,} lines; a file of one person's ratings is needed")
    with tempfile.TemporaryDirectory() as folder:  # the reader needs a file
        path = Path(folder) / "ratings.csv"
        path.write_bytes(content)
        try:
            *found, notes = read(path)
        except UserError as error:
            raise UserError(str(error).replace(str(path), name)) from None
    return *found, [note.replace(str(path), name) for note in notes]
