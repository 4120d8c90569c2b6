"""Find the movie that a title names: the right one, or none. Case, accents, articles and punctuation do not matter.

What is not exactly the title and the year is said (`Match.how`), and taken only where little else could be meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import ARTICLE, Movies, shortened
from utils.errors import NotInRunError, UserError

SHOWN = 8  # movies listed where several fit
LETTERS_AN_EDIT = 8  # a spelling counts as near with one letter wrong in so many
MOST_EDITS = 3
SOME = 8  # ratings of a movie that may be called by the beginning of its title
MANY = 20  # ratings of a movie that short films beside it may be called after
WORDS = 3  # at the beginning of one title alone, that are enough where somebody types them
ALONE = "by its title alone"
Index: TypeAlias = "dict[str, tuple[int, ...]]"  # {name: indices of movies}
_WORDS = (
    "one|two ii|three iii|four iv|five v|six vi|seven vii|eight viii|nine ix|ten x|eleven xi|twelve xii|xiii|xiv|xv|xvi"
    "|xvii|xviii|xix|xx"
)
NUMBERS = {word: str(number) for number, words in enumerate(_WORDS.split("|"), 1) for word in words.split()}
SKIPPED = ("part", "pt", "volume", "vol", "the", "a", "an")  # "Part II" is "2" in other sources, articles come and go
SHORT = {"dr": "doctor", "mr": "mister", "mrs": "missus", "st": "saint", "vs": "versus"}
_FOLDED = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "'": None})
_FOLDED |= dict.fromkeys(map(ord, "’‘`´ʼ"))
_SMALL = re.compile("[¹²³¼-¾⅐-⅞]")  # NFKD would join them to the digits before
_BEHIND = re.compile(rf"^(.*), ({ARTICLE})$", re.MULTILINE | re.IGNORECASE)
_BEFORE = re.compile(rf"^ ?(?:(?:{ARTICLE}) (?=[^ \n]))?| $", re.MULTILINE)
_BREAK = re.compile(r"\s*:\s+|\s+[-–—]\s+|,?\s+or:?,?\s+", re.IGNORECASE)
_LEFT_OUT = re.compile(  # "Episode IV", "Part One" at the end, whose it is at the beginning: "Dr. Seuss' The Lorax"
    r"\bepisode [ivx]+\b|\W+(?:part|vol\.?|volume|chapter) (?:1|i|one)$"
    r"|^(?-i:(?:[A-Z][\w.]* ){0,2}[A-Z]\w*(?:['’]s|s['’]) )(?=\S+ )(?!.*, (?:the|an?)$)", re.IGNORECASE)  # fmt: skip
_YEAR = re.compile(r"^(.*\S)\s+(?:[(\[](\d{4})[)\]]|(\d{4}))$")


@dataclass(frozen=True)
class Match:
    """What a text names. movie: index of the movie, or None. how: why it was taken, where not for exactly its title and
    year; "" where it was. others: movies that may be meant where none is taken."""

    movie: int | None
    how: str = ""
    others: tuple[int, ...] = ()


@dataclass(frozen=True)
class Found:
    """A `Match` that has a movie."""

    movie: int
    how: str = ""


def plain(title: str) -> str:
    """Normalise a title: lower-case letters and digits, words apart, an article first, no accents."""
    return _plain(title.replace("\n", " ").strip()).strip()


def _plain(text: str) -> str:
    """Return the `plain` form of each line of a text, with blanks at its ends; all titles at once are quicker."""
    text = re.sub(r"^l['’] ?", "l ", _BEHIND.sub(r"\2 \1", text), flags=re.MULTILINE | re.IGNORECASE)
    text = unicodedata.normalize("NFKD", _SMALL.sub(r" \g<0>", text).casefold().replace("&", " and "))
    text = text.translate(_FOLDED)
    text = text.translate(dict.fromkeys(map(ord, filter(unicodedata.combining, set(text)))))
    return re.sub(r"(?:[^\w\n]|_)+", " ", text)


def key(title: str) -> str:
    """Return the `plain` form of a title without its article."""
    return _BEFORE.sub("", plain(title))


def loose(name: str) -> str:
    """Return a key without articles and blanks, in which Roman numbers, numbers in words and digits are the same."""
    return "".join(NUMBERS.get(word) or SHORT.get(word, word) for word in name.split() if word not in SKIPPED)


def _numbers(name: str) -> list[str]:
    return [word for word in (NUMBERS.get(word, word) for word in name.split()) if re.search(r"\d", word)]


def _names(title: str, year: int | None) -> list[str]:
    """Return a MovieLens title without its year; where it has brackets, also without them, and each of those at its
    end, which hold other titles."""
    text = title.removesuffix(f"({year})") if year else title
    if "(" in text:
        text = re.sub(rf"\s*\({year}[^)]*\)\s*$", "", title).strip() if year else title.strip()
        last = re.search(r"(?:\s*\([^()]*\))+$", text)
        names = [text, re.sub(r"\s*\([^()]*\)", "", text), *re.findall(r"\(([^()]*)\)", last[0] if last else "")]
    else:
        names = [text]
    names = [name.replace("\n", " ").strip() for name in names]
    return [re.sub(r"^a\.?k\.?a\.? ", "", name).strip() if name[:1] in ("a", "A") else name for name in names]


def keys(title: str, year: int | None) -> list[str]:
    """Return the keys of a MovieLens title and of the other titles that it gives in brackets."""
    return list(dict.fromkeys(filter(None, map(key, _names(title, year)))))


def keys_of(movies: Movies) -> tuple[list[str], list[int]]:
    """Return the keys of all movies, and the index of the movie that each is of."""
    names, owners = list[str](), list[int]()
    for index, (title, year) in enumerate(zip(movies.titles, movies.years, strict=True)):
        for name in _names(title, year):
            names.append(name)
            owners.append(index)
    keys = _BEFORE.sub("", _plain("\n".join(names))).split("\n") if names else []
    kept = [(key, owner) for key, owner in zip(keys, owners, strict=True) if key]  # others have no letter and no digit
    return [key for key, _ in kept], [owner for _, owner in kept]


def _index(names: Sequence[str], owners: Sequence[int]) -> Index:
    """Return {name: its movies}; owners: of each name the movie, ascending. Lists would take twice the time."""
    index: Index = dict(zip(names, zip(owners, strict=True), strict=True))  # of each name the last
    earlier: dict[str, dict[int, None]] = {}
    for name, owner in zip(names, owners, strict=True):
        if index[name][0] != owner:
            earlier.setdefault(name, {})[owner] = None
    return index | {name: (*movies, *index[name]) for name, movies in earlier.items()}


class Titles:
    """An index of movies by title, the rare ones behind the others (`Movies.with_rare`). count: how many people rated
    each movie that is not rare; without it no movie is chosen among several of one title and year. n_columns: number of
    those that are not rare."""

    def __init__(self, movies: Movies, count: NDArray[np.integer] | None = None) -> None:
        self.movies, self.n_columns, self.count = movies.with_rare, len(movies.ids), count

    @cached_property
    def by_key(self) -> Index:
        """Index the movies by the keys of their titles."""
        return _index(*(self.movies.keys or keys_of(self.movies)))

    @cached_property
    def by_title(self) -> Index:
        """Index the movies by their titles as they are written, in lower case."""
        return _index([title.casefold() for title in self.movies.titles], range(len(self.movies.titles)))

    def find(self, text: str) -> Found:
        """Return the movie of a text that somebody typed, a title with or without the year. A `UserError` lists the
        movies where several fit, and similar titles where none does."""
        match = self.match(text, typed=True)
        if match.movie is not None:
            return Found(match.movie, match.how)
        similar = self._join(match.others or self._similar(text))
        if len(match.others) > 1:
            raise UserError(f"{text!r} fits several movies: {similar}; add the year or more of the title")
        raise NotInRunError(f"no movie is called {text!r}" + (f"; did you mean {similar}?" if similar else ""))

    def match(self, title: str, year: int | None = None, typed: bool = False) -> Match:
        """Return the movie that has this title and, where one is known, this year. typed: whether somebody is there to
        be asked again, so that a title without a year may be inexact."""
        readings, end = [(title, year)], _YEAR.match(title.strip())
        if written := self.by_title.get(title.strip().casefold()):
            match = self._one(self._of_year(written, year, 1), "")
            if match.movie is not None:
                return match
        if end and year is None:
            readings = [(end[1], int(end[2]))] if end[2] else [(title, None), (end[1], int(end[3]))]
        elif end and end[2] and year is not None and abs(int(end[2]) - year) <= 1:
            readings = [(end[1], year)]
        for name, when in readings:
            match = self._alone(name) if when is None else self._with_year(name, when)
            if match.movie is not None or match.others:
                break
        if typed and readings[0][1] is None and match.movie is None and len(match.others) < 2:
            return self._forgiving(title, match)
        return match

    def agrees(self, movie: int, title: str, year: int | None) -> bool:
        """Tell whether a movie may be called so; one whose title is not known may."""
        known, end = self.movies.titles[movie], _YEAR.match(title.strip())
        if known == f"movie {self.movies.ids[movie]}" or known.casefold() == title.strip().casefold():
            return True
        if end and end[2]:
            title, year = end[1], year or int(end[2])
        names = {*keys(known, self.movies.years[movie])}
        return not names.isdisjoint(keys(title, None)) and self.near_year(movie, year)

    def near_year(self, movie: int | None, year: int | None) -> bool:
        """Tell whether there is a movie, and it may be of this year, as far as both years are known."""
        known = None if movie is None else self.movies.years[movie]
        return movie is not None and (known is None or year is None or abs(known - year) <= 1)

    def _with_year(self, title: str, year: int) -> Match:
        """Return the movie of this title and year: exactly, else the nearest of the kinds that are said."""
        names = keys(title, None)
        for name in names:
            movies = self.by_key.get(name, ())
            if same := self._of_year(movies, year):
                return self._one(self._titled(same, name), "")
        for name in names:
            movies = self.by_key.get(name, ())
            if near := self._of_year(movies, year, 1) or [i for i in movies if self.movies.years[i] is None]:
                return self._one(near, "of another year" if self.movies.years[near[0]] else "whose year is not known")
        spelt = [i for name in names for i in self._loose.get(loose(name), ())]
        steps: list[tuple[Callable[[], Iterable[int]], str]] = [
            (lambda: self._of_year(spelt, year, 1), "spelt otherwise"),
            (lambda: self._of_year(self._by_part(title), year), "by a part of the title"),
            (lambda: self._near(key(title), year), "the nearest spelling of that year"),
        ]
        for movies_of, how in steps:
            if found := sorted(set(movies_of())):
                return self._one(found, how)
        return Match(None)

    def _one(self, movies: Sequence[int], how: str) -> Match:
        """Return the only one of these movies, or of several with one title and year the one that more people rated."""
        if len(movies) == 1:
            return Match(movies[0], how)
        count, known = self.count, self.movies
        named = {(key(_names(known.titles[i], known.years[i])[:2][-1]), known.years[i]) for i in movies}
        if len(named) == 1 and count is not None:
            most = max(movies, key=lambda i: count[i] if i < self.n_columns else 0)
            return Match(most, f"of {len(movies)} with that title and year the one that most people rated")
        return Match(None, how, tuple(movies))

    def _titled(self, movies: Sequence[int], name: str) -> Sequence[int]:
        """Keep the movies whose title this is, rather than another title in brackets, where there are any."""
        titled = [i for i in movies if name in keys(self.movies.titles[i], self.movies.years[i])[:2]]
        return titled or movies

    def _of_year(self, movies: Iterable[int], year: int | None, off: int = 0) -> list[int]:
        """Keep the movies of this year, else those that are `off` by a year; all where no year is asked for."""
        movies = list(dict.fromkeys(movies))
        if year is None:
            return movies
        for tolerance in range(off + 1):
            if near := [i for i in movies if abs((self.movies.years[i] or -9) - year) <= tolerance]:
                return near
        return []

    @cached_property
    def _loose(self) -> dict[str, list[int]]:
        index: dict[str, list[int]] = {}
        for name, movies in self.by_key.items():
            index.setdefault(loose(name), []).extend(movies)
        return index

    @cached_property
    def _parts(self) -> dict[str, list[int]]:
        """{key of a part of a title: its movies}"""
        index: dict[str, list[int]] = {}
        for movie, (title, year) in enumerate(zip(self.movies.titles, self.movies.years, strict=True)):
            for name in _names(title, year):
                for part in _parts(name):
                    index.setdefault(part, []).append(movie)
        return index

    def _by_part(self, title: str) -> Iterator[int]:
        """Yield the movies of whose title this is a part, or the other way round."""
        yield from self._parts.get(key(title), ())
        for part in _parts(title):
            yield from self.by_key.get(part, ())
        for movie in self.by_key.get(key(_BREAK.split(title, maxsplit=1)[0]), ()):
            if self.count is not None and movie < self.n_columns and self.count[movie] < MANY:
                yield movie  # of a well-known one it may be a short film beside it, `Kung Fu Panda: Secrets of ...`
        for movie in self._well_known:
            titled = _names(self.movies.titles[movie], self.movies.years[movie])[0]
            if ": " in titled and key(titled.split(": ")[0]) == key(title):
                yield movie

    @cached_property
    def _well_known(self) -> list[int]:
        """The movies that some rated and whose titles have a colon. Before it may stand the title of another movie:
        Hellboy is not `Hellboy: The Seeds of Creation`, but few rated the latter."""
        known = () if self.count is None else np.flatnonzero(self.count >= SOME).tolist()
        return [movie for movie in known if ": " in self.movies.titles[movie]]

    def _near(self, name: str, year: int | None) -> list[int]:
        """Return the movies of that year whose title differs by the fewest letters, and by few for its length."""
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        most = min(len(name) // LETTERS_AN_EDIT, MOST_EDITS)
        known = self._keys_of_year(year) if most else []
        found = process.extract(name, known, scorer=OSA.distance, score_cutoff=most, limit=None)
        near = [(other, edits) for other, edits, _ in found if _numbers(other) == _numbers(name)]
        movies = [i for other, edits in near if edits == near[0][1] for i in self.by_key[other]]
        return self._of_year(movies, year)

    def _keys_of_year(self, year: int | None) -> list[str]:
        years = self.movies.years
        return [name for name, movies in self.by_key.items() if year is None or any(years[i] == year for i in movies)]

    def _alone(self, title: str) -> Match:
        """Return the only movie of exactly this title, its article included."""
        for name in keys(title, None):
            if movies := self.by_key.get(name, ()):
                known = {plain(text) for i in movies for text in _names(self.movies.titles[i], self.movies.years[i])}
                if len(movies) == 1 and known & set(map(plain, _names(title, None))):
                    return Match(movies[0], ALONE)
                return self._one(movies, ALONE) if len(movies) > 1 else Match(None, "", tuple(movies))
        return Match(None)

    def _forgiving(self, title: str, match: Match) -> Match:
        """Return the movie that a typed title means by an article, a number, its beginning or a letter, or `match`."""
        if len(match.others) == 1:
            return Match(match.others[0], ALONE)
        name = key(title)
        steps: list[tuple[Callable[[], Iterable[int]], str]] = [
            (lambda: self._loose.get(loose(name), ()) if len(name) > 2 else (), "spelt otherwise"),
            (lambda: self._beginning(name) if name.count(" ") >= WORDS - 1 else (), "by the beginning of the title"),
            (lambda: self._near(name, None), "the nearest spelling"),
        ]
        for movies_of, how in steps:
            if found := sorted(set(movies_of())):
                return Match(found[0], how) if len(found) == 1 else Match(None, how, tuple(found))
        return match

    def _similar(self, text: str) -> list[int]:
        """Return up to three movies of similar titles, first those that begin with this one."""
        from rapidfuzz import fuzz, process

        name = key(text)
        similar = process.extract(name, self.by_key.keys(), scorer=fuzz.WRatio, score_cutoff=70, limit=3)
        movies = [*self._beginning(name), *(self.by_key[other][0] for other, _, _ in similar)]
        return list(dict.fromkeys(movies))[:3]

    def _beginning(self, name: str) -> list[int]:
        """Return the movies whose key begins with these words and goes on."""
        return [i for known, movies in self.by_key.items() if name and known.startswith(f"{name} ") for i in movies]

    def _join(self, movies: Sequence[int]) -> str:
        """Join the titles of these movies."""
        return shortened([self.movies.titles[i] for i in movies], SHOWN)


def _parts(title: str) -> list[str]:
    """Return the keys of a title's ends of several words behind a colon or dash, of its beginnings before "Episode" and
    "or", and of the title without what `_LEFT_OUT` fits."""
    cuts = list(_BREAK.finditer(title))
    goes_on = re.compile(r"\W*(episode|or)\b", re.IGNORECASE)
    starts = [title[: cut.start()] for cut in cuts if goes_on.match(title[cut.start() :])]
    ends = [title[cut.end() :] for cut in cuts if " " in title[cut.end() :].strip()]
    bare = _LEFT_OUT.sub("", title)
    return list(filter(None, map(key, [*starts, *ends, *([bare] if bare != title else [])])))
