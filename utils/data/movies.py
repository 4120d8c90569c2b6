"""The movie table: titles, years and genres, in the order of the matrix columns."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_YEAR = re.compile(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$")  # "(1999)"; of a series "(2007-)" or "(1975-1979)" the first

# articles that MovieLens puts behind a title, as in `Matrix, The`
ARTICLE = r"(?:the|a|an|le|la|les|l'|un|une|der|die|das|ein|eine|el|los|las|il|lo|gli|i|o|os|as|den|det|en|ett)"
_TRAILING = re.compile(rf"^(.*), ({ARTICLE})$", re.IGNORECASE)


def year_of(title: str) -> int | None:
    """Return the year at the end of a MovieLens title such as `Matrix, The (1999)`; None where there is none."""
    match = _YEAR.search(title)
    return int(match[1]) if match else None


def spoken(title: str) -> str:
    """Return a title as one says it, without year and other titles: `Matrix, The (1999)` -> `The Matrix`."""
    bare = re.sub(r"(?<!\bor)(?<!\bor )(?:\s*\((?:[^()]|\([^()]*\))*\))+\s*$", "", title, flags=re.IGNORECASE).strip()
    return article_first(bare or title)


def quantity(n: int, noun: str) -> str:
    """Write a number of things: `1 user`, `2,000 users`."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def shortened(names: Sequence[str], most: int, between: str = "; ") -> str:
    """Join the first `most` names, and say how many more there are."""
    more = len(names) - most
    return between.join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def csv_safe(value: Any) -> Any:
    """Make a value safe for a CSV file that a spreadsheet may open: text that it would take for a formula, such as
    `=HYPERLINK(...)`, gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def article_first(title: str) -> str:
    """Put the article first: `Matrix, The` -> `The Matrix`."""
    match = _TRAILING.match(title)
    return f"{match[2]} {match[1]}" if match else title


@dataclass(frozen=True)
class Movies:
    """One entry a column of the matrix.

    ids: raw ids, int64 or str. titles: as in the file. years: None where unknown. genres: empty where the source
    lists none. rare: movies with too few ratings for --min-count, which have no column; None where there are none.
    keys: in a run, what titles are found by, see `utils.data.titles.keys_of`, those of the rare ones, too."""

    ids: NDArray[Any]
    titles: list[str]
    years: list[int | None]
    genres: list[list[str]]
    rare: Movies | None = None
    keys: tuple[list[str], list[int]] | None = None

    @classmethod
    def untitled(cls, ids: NDArray[Any]) -> Movies:
        """Make the table of movies of which only the ids are known; a text id may be a title and is used as one."""
        titles = [str(i) if ids.dtype.kind == "U" else f"movie {i}" for i in ids]
        return cls(ids, titles, [None] * len(ids), [[] for _ in ids])

    def take(self, indices: Iterable[int]) -> Movies:
        """Return the table of some of the movies, in this order."""
        at = [*indices]
        titles, years = [self.titles[i] for i in at], [self.years[i] for i in at]
        return Movies(self.ids[at], titles, years, [self.genres[i] for i in at])

    @property
    def with_rare(self) -> Movies:
        """Return the table of the movies with a column and, behind them, the rare ones."""
        if self.rare is None:
            return self
        ids, rare = np.concatenate([self.ids, self.rare.ids]), self.rare
        return Movies(
            ids, self.titles + rare.titles, self.years + rare.years, self.genres + rare.genres, keys=self.keys
        )

    @cached_property
    def genre_names(self) -> list[str]:
        """Return all genres that occur, sorted."""
        return sorted({name for names in self.genres for name in names})

    def describe(self, index: int) -> dict[str, Any]:
        """Return movieId, title, name (as one says it), year and genres of the movie at `index` as plain values."""
        title, year, genres = self.titles[index], self.years[index], list(self.genres[index])
        return {
            "movieId": self.ids[index].item(),
            "title": title,
            "name": spoken(title),
            "year": year,
            "genres": genres,
        }

    def write(self, path: Path) -> None:
        """Write the table as JSON, {column: list}, genres joined by `|`; it is read in half the time of CSV. The rare
        movies are a table within."""
        path.write_text(json.dumps(self._columns()), encoding="utf-8")

    def _columns(self) -> dict[str, Any]:
        columns = {"movieId": self.ids.tolist(), "title": self.titles, "year": self.years}
        genres = ["|".join(genres) for genres in self.genres]
        return columns | {"genres": genres, "keys": self.keys, "rare": self.rare and self.rare._columns()}

    @classmethod
    def read(cls, path: Path, ids: NDArray[Any]) -> Movies:
        """Read what `write` wrote; a ValueError where its ids are not `ids`, the raw ids in column order."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["movieId"] != ids.tolist():
            raise ValueError(f"{path}: its movies are not those of the ratings beside it")
        rare = stored["rare"] and cls._of(stored["rare"], np.array(stored["rare"]["movieId"], ids.dtype.type))
        return replace(cls._of(stored, ids), rare=rare)

    @classmethod
    def _of(cls, stored: dict[str, Any], ids: NDArray[Any]) -> Movies:
        genres_of = {text: text.split("|") if text else [] for text in set(stored["genres"])}  # many have the same
        genres = [genres_of[text] for text in stored["genres"]]
        return cls(ids, stored["title"], stored["year"], genres, keys=stored["keys"])


def multi_hot(values: Sequence[list[Any]], known: Iterable[Any]) -> NDArray[np.float64]:
    """Encode lists of values as 0 and 1, (len(values), n_known): a column for each of the `known` values."""
    place = {value: column for column, value in enumerate(known)}
    flags = np.zeros((len(values), len(place)))
    for row, present in zip(flags, values, strict=True):
        row[[place[value] for value in present]] = 1
    return flags


def genre_shares(movies: Movies) -> NDArray[np.float64]:
    """Divide each movie evenly among its genres: (n_movies, n_genres), all 0 where it has none."""
    flags = multi_hot(movies.genres, movies.genre_names)
    return flags / np.maximum(flags.sum(axis=1, keepdims=True), 1)


# -- ids at IMDb and TMDB: links.csv beside the ratings ----------------------------------------------------------------


class Links(NamedTuple):
    """{id at IMDb, a number: index of the movie}, and the same of TMDB."""

    imdb: dict[int, int]
    tmdb: dict[int, int]


def read_links(folder: Path | None, ids: list[Any]) -> dict[str, list[int | None]] | None:
    """Return {imdbId, tmdbId: a number a movie, None where it has none} in the order of `ids`, raw ids; None where the
    folder has no links.csv with such columns. Lines that hold no ids are passed over."""
    path = folder / "links.csv" if folder else None
    if path is None or not path.is_file():
        return None
    place = {str(raw): index for index, raw in enumerate(ids)}
    columns: dict[str, list[int | None]] = {name: [None] * len(ids) for name in ("imdbId", "tmdbId")}
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
            for row in csv.DictReader(file):
                index = place.get((row.get("movieId") or "").strip())
                for name, column in columns.items():
                    if index is not None:
                        column[index] = _number(row.get(name) or "")
    except (OSError, csv.Error):
        return None
    return columns if any(number for column in columns.values() for number in column) else None


def as_links(stored: dict[str, list[int | None]] | None) -> Links:
    """Return what `read_links` returned as `Links`."""
    columns = [(stored or {}).get(name, []) for name in ("imdbId", "tmdbId")]
    return Links(*({number: index for index, number in enumerate(column) if number} for column in columns))


def _number(text: str) -> int | None:
    match = re.fullmatch(r"(?:tt)?0*(\d{1,12})(?:\.0)?", text.strip(), re.ASCII)
    return int(match[1]) if match else None
