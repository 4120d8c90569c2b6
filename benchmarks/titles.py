"""Whether a title finds its movie, and nothing else: results/titles.csv.

python benchmarks/titles.py LINKED      measures; LINKED is a folder of ml-latest-small of 2018, the other the bundled

Each bundled title is asked for with its year while its movie is taken out of the index: what comes back is another
movie. Titles with brackets are asked for whole. spellings.csv has titles as IMDb, TMDB and Letterboxd spell them, with
their years there; its movies are those of the set of 2018."""

import contextlib
import csv
import sys
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
ABOUT = {
    "absent, silently another": "titles of absent movies that silently become another movie",
    "absent, another with a word": "titles of absent movies that become another movie, which is said",
    "brackets, with a year": "titles with brackets found whole, the year beside them",
    "brackets, typed": "titles with brackets found whole, typed without the year",
    "spellings, right": "other spellings, with the year, that find their movie",
    "spellings, wrong": "other spellings that find another movie",
}


def index(folder):
    """The `Titles` of a data set."""
    from utils.data import datasets
    from utils.data.titles import Titles

    data = datasets.load(folder)
    return Titles(data.movies, np.bincount(data.ratings.movie, minlength=data.ratings.shape[1]))


def bare(title, year):
    """The title without the year at its end."""
    return title.removesuffix(f"({year})").strip()


def absent(titles):
    """Each movie in turn while it is not in the index: titles of those (silently, with a word) taken for another."""
    taken, indices = {False: [], True: []}, [titles.by_key, titles.by_title, titles._loose, titles._parts]
    titles._keys_of_year = keys_of_years(titles)
    names = [{} for _ in titles.movies.titles]  # of each movie {(number of an index, name in it): None}
    for number, index in enumerate(indices):
        for name, movies in index.items():
            for movie in movies:
                names[movie][number, name] = None
    for movie, (title, year) in enumerate(zip(titles.movies.titles, titles.movies.years, strict=True)):
        with without(indices, names[movie], movie):
            match = titles.match(bare(title, year), year)
        if match.movie is not None:
            taken[bool(match.how)].append((title, titles.movies.titles[match.movie]))
    return taken[False], taken[True]


@contextlib.contextmanager
def without(indices, names, movie):
    """The indices without a movie."""
    kept = {(number, name): indices[number][name] for number, name in names}
    for (number, name), movies in kept.items():
        indices[number][name] = tuple(other for other in movies if other != movie)
    yield
    for (number, name), movies in kept.items():
        indices[number][name] = movies


def keys_of_years(titles):
    """A quicker `_keys_of_year`, that of an index that stays as it is."""
    of_year = {}
    for name, movies in titles.by_key.items():
        for movie in movies:
            of_year.setdefault(titles.movies.years[movie], {})[name] = None
    return lambda year: list(of_year.get(year, ()))


def brackets(titles):
    """(titles with brackets, found with the year beside, found typed without)."""
    asked = [
        (movie, bare(title, year), year)
        for movie, (title, year) in enumerate(zip(titles.movies.titles, titles.movies.years, strict=True))
        if year and "(" in bare(title, year)
    ]
    with_year = sum(titles.match(title, year).movie == movie for movie, title, year in asked)
    typed = sum(titles.match(title, typed=True).movie == movie for movie, title, _ in asked)
    return len(asked), with_year, typed


def spellings(titles):
    """[(spelling, year, the movie meant, the match)] of spellings.csv."""
    with open(tables.HERE / "spellings.csv", newline="", encoding="utf-8") as file:
        rows = [(int(row["movieId"]), int(row["year"]), row["spellings"].split("|")) for row in csv.DictReader(file)]
    place = {raw: movie for movie, raw in enumerate(titles.movies.ids.tolist())}
    return [(text, year, place[raw], titles.match(text, year)) for raw, year, texts in rows for text in texts]


def measure(linked):
    """The lines of the result file."""
    bundled, others = (
        index(Path(__file__).resolve().parent.parent / "data/ml-latest-small-2016"),
        spellings(index(linked)),
    )
    n_asked, with_year, typed = brackets(bundled)
    silent, said = absent(bundled)
    right = sum(match.movie == movie for _, _, movie, match in others)
    wrong = sum(match.movie not in (movie, None) for _, _, movie, match in others)
    n = len(bundled.movies.titles)
    counts = [(len(silent), n), (len(said), n), (with_year, n_asked), (typed, n_asked)]
    counts += [(right, len(others)), (wrong, len(others))]
    return [{"what": what, "count": count, "of": of} for what, (count, of) in zip(ABOUT, counts, strict=True)]


def table():
    """The table in Markdown."""
    rows = [row | {"what": ABOUT[row["what"]]} for row in tables.read("titles.csv")]
    return tables.markdown(rows, {"what": "", "count": "titles", "of": "of"})


if __name__ == "__main__":
    tables.write("titles.csv", measure(sys.argv[1]))
    tables.replace("titles", table(), tables.NOTES)
