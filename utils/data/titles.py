"""Find a movie by what somebody types, whatever its case, accents, articles, punctuation and small typing errors."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from utils.data.movies import ARTICLE, Movies, article_first, shortened
from utils.errors import UserError

SHOWN = 8  # movies listed where several fit
ALIKE = 80  # lowest similarity, of 100, at which a text counts as a misspelt title


def key(title: str) -> str:
    """Normalise a title: lower-case letters and digits, words apart, without accents or a leading article."""
    text = article_first(title.strip())
    text = unicodedata.normalize("NFKD", text.casefold().replace("&", " and ").replace("ß", "ss"))
    text = "".join(c for c in text if not unicodedata.combining(c)).replace("'", "").replace("’", "")
    words = re.sub(r"[^\w]+|_", " ", text).split()
    if len(words) > 1 and re.fullmatch(ARTICLE, words[0]):
        words = words[1:]
    return " ".join(words)


def _split_year(text: str) -> tuple[str, int | None]:
    """Split `Heat 1995` or `Heat (1995)` into title and year; (text, None) where it does not end in a year."""
    match = re.match(r"^(.*\S)\s+\(?(\d{4})\)?$", text.strip())
    return (match[1], int(match[2])) if match else (text, None)


def keys(title: str, year: int | None) -> list[str]:
    """Return the keys of a MovieLens title and of the other titles that it gives in brackets."""
    text = re.sub(rf"\s*\({year}[^)]*\)\s*$", "", title) if year else title
    names = [re.sub(r"\s*\([^)]*\)", "", text), *re.findall(r"\(([^)]*)\)", text)]
    return [plain for name in names if (plain := key(re.sub(r"^a\.?k\.?a\.? ", "", name.strip())))]


class Titles:
    """An index of movies by title. places: {key: indices of movies}; written: the same by the title as it is written,
    in lower case."""

    def __init__(self, movies: Movies) -> None:
        self.movies = movies
        self.places: dict[str, list[int]] = {}
        self.written: dict[str, list[int]] = {}
        for index, (title, year) in enumerate(zip(movies.titles, movies.years, strict=True)):
            for name in dict.fromkeys(keys(title, year)):
                self.places.setdefault(name, []).append(index)
            self.written.setdefault(title.casefold(), []).append(index)

    def find(self, text: str) -> int:
        """Return the index of the one movie that `text` names, by its title with or without the year. A `UserError`
        lists the movies where several fit, and similar titles where none does."""
        matches = self.exactly(text) or self.beginning(key(text)) or self._alike(text)
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UserError(f"{text!r} fits several movies: {self._listed(matches)}; add the year or more of the title")
        raise UserError(f"no movie is called {text!r}" + self._near(text))

    def exactly(self, text: str) -> list[int]:
        """Return the movies of exactly this title; of that year only, where the text ends in the year of one."""
        title, year = _split_year(text)
        of_year = [i for i in self.places.get(key(title), []) if year and self.movies.years[i] == year]
        return self.written.get(text.strip().casefold()) or of_year or self.places.get(key(text), [])

    def of(self, title: str, year: int | None = None) -> list[int]:
        """Return the movies of this title; with a year, those of that year, or else of the year before or after, since
        sources differ about when a movie came out."""
        if year is None:
            return self.exactly(title)
        wanted = key(title)
        if matches := self._of_year(self.places.get(wanted) or self.exactly(title), year):
            return matches
        # `Star Wars` or `The Empire Strikes Back`, where the data has `Star Wars: Episode ...` with all of it
        parts = [name for name in self.places if name.startswith(f"{wanted} ") or name.endswith(f" {wanted}")]
        return self._of_year(self._movies(parts) if wanted else [], year)

    def alike(self, title: str, year: int | None = None) -> list[int]:
        """Return the movies of the most similar title, of that year or nearly so as `of` does."""
        return self._of_year(self._alike(title), year)

    def _of_year(self, named: list[int], year: int | None) -> list[int]:
        """Keep the movies of this year, else those of a neighbouring year, else those without a year."""
        if year is None:
            return named
        years = {i: self.movies.years[i] for i in named}
        for off in (0, 1):
            if at := [i for i, known in years.items() if known is not None and abs(known - year) <= off]:
                return at
        return [i for i, known in years.items() if known is None]

    def beginning(self, wanted: str) -> list[int]:
        """Return the movies whose key begins with these words and goes on."""
        return self._movies([name for name in self.places if name.startswith(f"{wanted} ")]) if wanted else []

    def _movies(self, names: Iterable[str]) -> list[int]:
        """Return the movies that have one of these keys, ascending."""
        return sorted({i for name in names for i in self.places[name]})

    def _alike(self, text: str) -> list[int]:
        """Return the movies of the most similar titles; [] where none is similar enough."""
        from rapidfuzz import fuzz, process

        for title, year in dict.fromkeys([_split_year(text), (text, None)]):
            numbers = re.findall(r"\d+", key(title))  # which have to be the same: Rocky 7 is not a misspelt Rocky V
            names = process.extract(key(title), self.places.keys(), scorer=fuzz.ratio, score_cutoff=ALIKE, limit=None)
            names = [match for match in names if re.findall(r"\d+", match[0]) == numbers]
            similar = self._movies(name for name, score, _ in names if score == names[0][1])
            if matches := [i for i in similar if year is None or self.movies.years[i] == year]:
                return matches
        return []

    def _near(self, text: str) -> str:
        """Word a hint with similar titles; "" where there are none."""
        from rapidfuzz import fuzz, process

        names = process.extract(key(text), self.places.keys(), scorer=fuzz.WRatio, score_cutoff=70, limit=3)
        return f"; did you mean {self._listed([self.places[name][0] for name, _, _ in names])}?" if names else ""

    def _listed(self, indices: Sequence[int]) -> str:
        """Join the titles of these movies."""
        return shortened([self.movies.titles[i] for i in indices], SHOWN)
