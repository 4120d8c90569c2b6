"""Find a movie by what somebody types, whatever its case, accents, articles, punctuation and small typing errors."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from utils.data.movies import ARTICLE, Movies, shortened
from utils.errors import UserError

SHOWN = 8  # movies listed where several fit
ALIKE = 80  # lowest similarity, of 100, at which a text counts as a misspelt title


def key(title: str) -> str:
    """Normalise a title: lower-case letters and digits, words apart, without accents or a leading article."""
    return _normalised(title.replace("\n", " ").strip())


def _normalised(text: str) -> str:
    """Return the `key` of each line of a text, without blanks at its ends: to take all titles at once is quicker."""
    text = re.sub(rf"^(.*), ({ARTICLE})$", r"\2 \1", text, flags=re.MULTILINE | re.IGNORECASE)
    text = unicodedata.normalize("NFKD", text.casefold().replace("&", " and "))
    text = text.translate({ord(c): None for c in {*filter(unicodedata.combining, set(text)), "'", "’"}})
    text = re.sub(r"(?:[^\w\n]|_)+", " ", text)
    return re.sub(rf"^ ?(?:{ARTICLE} (?=[^ \n]))?| $", "", text, flags=re.MULTILINE)


def _split_year(text: str) -> tuple[str, int | None]:
    """Split `Heat 1995` or `Heat (1995)` into title and year; (text, None) where it does not end in a year."""
    match = re.match(r"^(.*\S)\s+\(?(\d{4})\)?$", text.strip())
    return (match[1], int(match[2])) if match else (text, None)


def _names(title: str, year: int | None) -> list[str]:
    """Return a MovieLens title without its year, and the other titles that it gives in brackets."""
    text = title.removesuffix(f"({year})") if year else title
    if "(" in text:
        text = re.sub(rf"\s*\({year}[^)]*\)\s*$", "", title) if year else title
        names = [re.sub(r"\s*\([^)]*\)", "", text), *re.findall(r"\(([^)]*)\)", text)]
    else:
        names = [text]
    names = [name.replace("\n", " ").strip() for name in names]
    return [re.sub(r"^a\.?k\.?a\.? ", "", name).strip() if name[:1] == "a" else name for name in names]


def keys(title: str, year: int | None) -> list[str]:
    """Return the keys of a MovieLens title and of the other titles that it gives in brackets."""
    return list(filter(None, map(key, _names(title, year))))


def keys_of(movies: Movies) -> tuple[list[str], list[int]]:
    """Return the keys of all movies, and the index of the movie that each is of."""
    names, owners = list[str](), list[int]()
    for index, (title, year) in enumerate(zip(movies.titles, movies.years, strict=True)):
        for name in _names(title, year):
            names.append(name)
            owners.append(index)
    keys = _normalised("\n".join(names)).split("\n") if names else []
    kept = [(key, owner) for key, owner in zip(keys, owners, strict=True) if key]  # others have no letter and no digit
    return [key for key, _ in kept], [owner for _, owner in kept]


def _index(names: Sequence[str], owners: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return {name: its movies}; owners: of each name the movie, ascending. Lists would take twice the time."""
    index: dict[str, tuple[int, ...]] = dict(zip(names, zip(owners, strict=True), strict=True))  # of each name the last
    earlier: dict[str, dict[int, None]] = {}
    for name, owner in zip(names, owners, strict=True):
        if index[name][0] != owner:
            earlier.setdefault(name, {})[owner] = None
    return index | {name: (*movies, *index[name]) for name, movies in earlier.items()}


class Titles:
    """An index of movies by title, the rare ones behind the others (`Movies.with_rare`).

    n_columns: number of those that are not rare. by_key: {key: indices of movies}; by_title: the same by the title as
    it is written, in lower case."""

    def __init__(self, movies: Movies) -> None:
        self.movies, self.n_columns = movies.with_rare, len(movies.ids)
        self.by_key = _index(*(self.movies.keys or keys_of(self.movies)))
        titles = [title.casefold() for title in self.movies.titles]
        self.by_title = _index(titles, range(len(titles)))

    def find(self, text: str) -> int:
        """Return the index of the one movie that `text` names, by its title with or without the year. A `UserError`
        lists the movies where several fit, and similar titles where none does."""
        matches = self.exactly(text) or self.beginning(key(text)) or self.alike(text)
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UserError(f"{text!r} fits several movies: {self._join(matches)}; add the year or more of the title")
        from rapidfuzz import fuzz, process  # which a title that is found does without

        similar = process.extract(key(text), self.by_key.keys(), scorer=fuzz.WRatio, score_cutoff=70, limit=3)
        titles = self._join([self.by_key[name][0] for name, _, _ in similar])
        raise UserError(f"no movie is called {text!r}" + (f"; did you mean {titles}?" if titles else ""))

    def exactly(self, text: str) -> list[int]:
        """Return the movies of exactly this title; of that year only, where the text ends in the year of one."""
        title, year = _split_year(text)
        of_year = [i for i in self.by_key.get(key(title), ()) if year and self.movies.years[i] == year]
        return list(self.by_title.get(text.strip().casefold(), ())) or of_year or list(self.by_key.get(key(text), ()))

    def of(self, title: str, year: int | None = None) -> list[int]:
        """Return the movies of this title; with a year, those of that year, or else of the year before or after, since
        sources differ about when a movie came out."""
        if year is None:
            return self.exactly(title)
        name = key(title)
        if matches := self._of_year(list(self.by_key.get(name, ())) or self.exactly(title), year):
            return matches
        # `Star Wars` or `The Empire Strikes Back`, where the data has `Star Wars: Episode ...` with all of it
        longer = [known for known in self.by_key if known.startswith(f"{name} ") or known.endswith(f" {name}")]
        return self._of_year(self._with_keys(longer) if name else [], year)

    def alike(self, text: str, year: int | None = None) -> list[int]:
        """Return the movies of the most similar title, of that year or nearly so as `of` does; [] where none is similar
        enough."""
        from rapidfuzz import fuzz, process

        for title, year_in_text in dict.fromkeys([_split_year(text), (text, None)]):
            numbers = re.findall(r"\d+", key(title))  # have to be the same: Rocky 7 is not a misspelt Rocky V
            similar = process.extract(key(title), self.by_key.keys(), scorer=fuzz.ratio, score_cutoff=ALIKE, limit=None)
            similar = [match for match in similar if re.findall(r"\d+", match[0]) == numbers]
            movies = self._with_keys(name for name, score, _ in similar if score == similar[0][1])
            if year_in_text is not None:
                movies = [i for i in movies if self.movies.years[i] == year_in_text]
            if movies:
                return self._of_year(movies, year)
        return []

    def beginning(self, name: str) -> list[int]:
        """Return the movies whose key begins with these words and goes on."""
        return self._with_keys(known for known in self.by_key if known.startswith(f"{name} ")) if name else []

    def _of_year(self, movies: list[int], year: int | None) -> list[int]:
        """Keep the movies of this year, else those of a neighbouring year, else those without a year."""
        if year is None:
            return movies
        years = [(i, self.movies.years[i]) for i in movies]
        for tolerance in (0, 1):
            if near := [i for i, known in years if known is not None and abs(known - year) <= tolerance]:
                return near
        return [i for i, known in years if known is None]

    def _with_keys(self, names: Iterable[str]) -> list[int]:
        """Return the movies that have one of these keys, ascending."""
        return sorted({i for name in names for i in self.by_key[name]})

    def _join(self, movies: Sequence[int]) -> str:
        """Join the titles of these movies."""
        return shortened([self.movies.titles[i] for i in movies], SHOWN)
