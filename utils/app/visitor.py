"""Somebody who looks at the page: what they rated, what they don't want to see, and what they are asked about."""

import csv
import io
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from utils.data.movies import cell
from utils.data.ratings import given
from utils.errors import UserError
from utils.recommend import profile
from utils.recommend.personal_file import read_personal

ASKED = 6  # movies that are on the screen to be rated
LINES = 20_000  # of a file that is uploaded
IN_ADDRESS = 300  # movies that the page's address carries, so that a reload or a bookmark keeps them


@dataclass
class Visitor:
    """stars: {index of a movie: stars}. hidden: indices of movies that were seen or are not wanted. skipped: those of
    which the visitor said that they have not seen them. asked: those on the screen to be rated. notes: what there is to
    say about the file uploaded last; sought: about the search, where it found nothing."""

    stars: dict = field(default_factory=dict)
    hidden: set = field(default_factory=set)
    skipped: set = field(default_factory=set)
    asked: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    sought: str = ""

    def person(self, split):
        """The `Person` to recommend to."""
        them = profile.somebody(split, self.stars)
        return replace(them, seen=np.union1d(them.seen, np.array(sorted(self.hidden), np.intp)))

    def rate(self, movie, stars):
        """Note the stars of a movie; None takes them back."""
        self.stars.pop(movie, None)
        if stars is not None:
            self.stars[movie] = stars
            self.hidden.discard(movie)

    # -- what to ask -----------------------------------------------------------------------------------------------

    def fill(self, order):
        """Put movies of this order where there is room on the screen."""
        self.asked += self._next(order, ASKED - len(self.asked))

    def _next(self, order, n):
        """The next `n` movies that they have not been asked about; when all have been, it begins anew."""
        for forgotten in (set(), self.skipped):
            done = {*self.stars, *self.hidden, *self.asked, *(self.skipped - forgotten)}
            if found := [movie for movie in order.tolist() if movie not in done][:n]:
                self.skipped -= forgotten
                return found
        return []

    def skip(self, place, order):
        """Put another movie where one is that they have not seen."""
        movie = self.asked[place]
        self.skipped.add(movie)
        self.hidden.discard(movie)
        self.asked[place : place + 1] = self._next(order, 1)

    def others(self, order):
        """Put other movies on the screen."""
        self.skipped |= set(self.asked) - self.stars.keys()
        self.asked = []
        self.fill(order)

    def forget(self):
        """Begin anew, with the same movies on the screen."""
        for known in (self.stars, self.hidden, self.skipped, self.notes):
            known.clear()
        self.sought = ""

    def ask(self, movie):
        """Put a movie in front, to be rated."""
        self.skipped.discard(movie)
        self.asked = [movie, *(other for other in self.asked if other != movie)][:ASKED]

    # -- from and to files and addresses ---------------------------------------------------------------------------

    def upload(self, name, content, movies, scale):
        """Take the ratings of a file, `bytes`, over; returns notes, as `read_personal` does. What can't be used is a
        `UserError` that calls the file by its name."""
        if content.startswith(b"\x1f\x8b"):
            raise UserError(f"{name} is packed; unpack it first")
        if len(content.splitlines()) > LINES + 1:  # the page takes no file of more than 5 MB
            raise UserError(f"{name} has more than {LINES:,} lines; a file of one person's ratings is needed")
        with tempfile.TemporaryDirectory() as folder:  # which the reader takes; nothing is left of it
            path = Path(folder) / "ratings.csv"
            path.write_bytes(content)
            try:
                found, notes = read_personal(path, movies, scale)
            except UserError as error:
                raise UserError(str(error).replace(str(path), name)) from None
        for movie, stars in found.items():
            self.rate(movie, stars)
        return [note.replace(str(path), name) for note in notes]

    def csv(self, movies, scale):
        """The ratings as a file that `upload` and `recommend.py --ratings` read."""
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["movieId", "title", "rating"])
        for movie, stars in self.stars.items():
            writer.writerow([cell(movies.ids[movie].item()), cell(movies.titles[movie]), f"{given(stars, scale):g}"])
        return out.getvalue()

    def address(self, movies):
        """Ratings and hidden movies in one line, `1:4.5,50:0`, 0 for what is hidden; "" where they are too many.
        A rating of 0 is what stands for it, so that it is told apart."""
        said = {**self.stars, **dict.fromkeys(sorted(self.hidden - self.stars.keys()), 0)}
        if len(said) > IN_ADDRESS:
            return ""
        return ",".join(f"{quote(str(movies.ids[movie]), safe='')}:{stars:g}" for movie, stars in said.items())

    @classmethod
    def of_address(cls, text, movies, scale):
        """The visitor whose `address` it was; what names no movie of the data or no stars of the scale is left out."""
        found = cls()
        for entry in text.split(",")[:IN_ADDRESS]:
            raw, _, number = entry.rpartition(":")
            movie, stars = profile.by_id(movies.ids, unquote(raw)), profile.finite(number)
            if movie >= 0 and stars == 0:
                found.hidden.add(movie)
            elif movie >= 0 and stars is not None and scale[0] <= stars <= scale[1]:
                found.stars[movie] = stars
        return found
