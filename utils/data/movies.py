"""The movie table: titles, years and genres, in the order of the matrix columns."""

import csv
import re
from dataclasses import dataclass

import numpy as np

_YEAR = re.compile(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$")  # "(1999)"; of a series "(2007-)" or "(1975-1979)" the first

# articles that MovieLens puts behind a title, as in `Matrix, The`
ARTICLE = r"(?:the|a|an|le|la|les|l'|un|une|der|die|das|ein|eine|el|los|las|il|lo|gli|i|o|os|as|den|det|en|ett)"
_TRAILING = re.compile(rf"^(.*), ({ARTICLE})$", re.IGNORECASE)


def year_of(title):
    """The year that ends a MovieLens title such as `Matrix, The (1999)`; None where there is none."""
    found = _YEAR.search(title)
    return int(found[1]) if found else None


def spoken(title):
    """A title as one says it, without year and other titles: `Matrix, The (1999)` -> `The Matrix`."""
    bare = re.sub(r"\s*\([^)]*\)", "", title).strip()
    return article_first(bare or title)


def shortened(names, most, between="; "):
    """The first `most` names as one text, and how many more there are."""
    more = len(names) - most
    return between.join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def cell(value):
    """A value for a CSV file that a spreadsheet may open: text that it would take for a formula, such as
    `=HYPERLINK(...)`, gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def article_first(title):
    """`Matrix, The` -> `The Matrix`."""
    found = _TRAILING.match(title)
    return f"{found[2]} {found[1]}" if found else title


@dataclass(frozen=True)
class Movies:
    """One entry a column of the matrix.

    ids: raw ids (array). titles: the file's own (list of str). years: int or None. genres: list of lists of str, empty
    where the source lists none.
    """

    ids: np.ndarray
    titles: list
    years: list
    genres: list

    @classmethod
    def untitled(cls, ids):
        """The table of movies of which only the ids are known; a text id may be a title and stands for itself."""
        titles = [str(i) if ids.dtype.kind == "U" else f"movie {i}" for i in ids]
        return cls(ids, titles, [None] * len(ids), [[] for _ in ids])

    @property
    def genre_names(self):
        """Every genre that a movie has, sorted."""
        return sorted({name for names in self.genres for name in names})

    def describe(self, index):
        """The facts about the movie at `index` as plain Python values: movieId, title, year, genres."""
        return {
            "movieId": self.ids[index].item(),
            "title": self.titles[index],
            "year": self.years[index],
            "genres": list(self.genres[index]),
        }

    def write(self, path):
        """Write the table as UTF-8 CSV `movieId,title,year,genres`, genres joined by `|`."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["movieId", "title", "year", "genres"])
            for raw, title, year, genres in zip(self.ids, self.titles, self.years, self.genres, strict=True):
                out.writerow([raw, title, "" if year is None else year, "|".join(genres)])

    @classmethod
    def read(cls, path, ids):
        """Read what `write` wrote; `ids` are the raw ids in column order, which the file must repeat."""
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        if [row[0] for row in rows] != [str(i) for i in ids.tolist()]:
            raise ValueError(f"{path}: its movies are not those of the ratings beside it")
        return cls(
            ids,
            [row[1] for row in rows],
            [int(row[2]) if row[2] else None for row in rows],
            [row[3].split("|") if row[3] else [] for row in rows],
        )


def genre_shares(movies):
    """(n_movies, n_genres): each movie divided evenly among its genres; all 0 where it has none."""
    place = {name: i for i, name in enumerate(movies.genre_names)}
    shares = np.zeros((len(movies.genres), len(place)))
    for row, names in zip(shares, movies.genres, strict=True):
        for name in names:
            row[place[name]] += 1 / len(names)
    return shares
