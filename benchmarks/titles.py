"""Whether a title finds its movie, and nothing else: results/titles.csv.

python benchmarks/titles.py LINKED      measures; LINKED is a folder of ml-latest-small of 2018, the other the bundled

Each bundled title is asked for with its year while its movie is taken out of the index: what comes back is another
movie. Titles with brackets are asked for whole. spellings.csv has titles as IMDb, TMDB and Letterboxd spell them, with
their years there; its movies are those of the set of 2018. spellings-2.csv has others, which were written down before
anything was measured on them; they are asked for by title and year, and with their ids at IMDb. series.csv has series,
which come in files that say so, as each site does."""

import contextlib
import csv
import json
import sys
import tempfile
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
    "fresh, right": "a fresh list of spellings, with the year, that find their movie",
    "fresh, wrong": "those of the fresh list that find another movie",
    "fresh with ids, right": "the fresh list in IMDb's file, with its ids, that find their movie",
    "fresh with ids, wrong": "those that find another movie",
    "series": "series in files that say so, in a dozen ways, that become a movie",
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


def spellings(titles, name):
    """[(spelling, year, the movie meant, the match)] of a list of spellings."""
    with open(tables.HERE / name, newline="", encoding="utf-8") as file:
        rows = [(int(row["movieId"]), int(row["year"]), row["spellings"].split("|")) for row in csv.DictReader(file)]
    place = {raw: movie for movie, raw in enumerate(titles.movies.ids.tolist())}
    return [(text, year, place[raw], titles.match(text, year)) for raw, year, texts in rows for text in texts]


def with_ids(titles, asked, linked):
    """(right, wrong) of spellings in files as IMDb exports them, one movie a file."""
    from utils.data.movies import as_links, read_links
    from utils.errors import UserError

    links = as_links(read_links(Path(linked), titles.movies.ids.tolist()))
    ids, found = {movie: number for number, movie in links.imdb.items()}, []
    for text, year, movie, _ in asked:
        row = [f"tt{ids[movie]:07d}", "8", text, "movie", year]
        try:
            found.append((movie, read([["Const", "Your Rating", "Title", "Title Type", "Year"], row], titles, links)))
        except UserError:
            found.append((movie, set()))
    return sum(movies == {movie} for movie, movies in found), sum(bool(movies - {movie}) for movie, movies in found)


def read(rows, titles, links=None):
    """The movies with stars in a file of these rows, or of a text."""
    from utils.personal.ratings import read_personal

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine"
        with open(path, "w", newline="", encoding="utf-8") as file:
            file.write(rows) if isinstance(rows, str) else csv.writer(file).writerows(rows)
        return set(read_personal(path, titles, (0.5, 5.0), links).stars)


IMDB = "Const,{},Date Rated,{},URL,{},IMDb Rating,{}"
TRAKT, SIMKL = "trakt_id,rating,rated_at,title,x,type,y,year", "SIMKL_ID,Rating,x,Title,y,Type,z,Year"
WAYS = {  # heading of a file: what it calls series, episodes and seasons
    IMDB.format("Your Rating", "Title", "Title Type", "Year"): "TV Series|TV Mini Series|TV Episode|tvSeries",
    "const,You rated,created,Title,URL,Title type,IMDb Rating,Year": "TV Series|Mini-Series|TV Episode",
    IMDB.format("Ihre Bewertung", "Titel", "Titelart", "Jahr"): "Fernsehserie|Miniserie|Fernsehepisode|TV-Serie",
    IMDB.format("Votre note", "Titre", "Type de titre", "Année"): "Série télévisée|Mini-série|Épisode télévisé",
    IMDB.format("Tu calificación", "Título", "Tipo de título", "Año"): "Serie de TV|Miniserie de TV|Episodio de TV",
    IMDB.format("Il tuo voto", "Titolo", "Tipo di titolo", "Anno"): "Serie TV|Miniserie TV|Episodio TV",
    IMDB.format("Sua avaliação", "Título", "Tipo de título", "Ano"): "Série de TV|Minissérie de TV|Episódio de TV",
    TRAKT: "show|season|episode",
    "TMDb ID,Your Rating,Date Rated,Name,x,Type,y,Release Date": "tv|episode|season",
    SIMKL: "tv|anime|show",
    "x,rating,y,title,z,media_type,u,year": "tv|series|TV",
}


def series(titles):
    """(series that become a movie, series in files): each in each way."""
    with open(tables.HERE / "series.csv", newline="", encoding="utf-8") as file:
        known = [(row["title"], row["year"]) for row in csv.DictReader(file)]
    a_movie, found, n = titles.match("Heat", 1995).movie, 0, 0
    for heading, kinds in WAYS.items():
        for kind in kinds.split("|"):
            rows = [(1, 7, "2020", title, "", kind, "", year) for title, year in known]
            movies = read([heading.split(","), (1, 7, "2020", "Heat", "", "movie", "", "1995"), *rows], titles)
            found, n = found + len(movies - {a_movie}), n + len(rows)
    shows = [{"user_rating": 7, "show": {"title": title, "year": int(year)}} for title, year in known]
    heat = {"user_rating": 8, "movie": {"title": "Heat", "year": 1995}}
    by_trakt = [{key.replace("user_", ""): value for key, value in entry.items()} for entry in [heat, *shows]]
    for stored in ({"movies": [heat], "shows": shows, "anime": shows}, by_trakt):
        movies = read(json.dumps(stored), titles)
        found, n = found + len(movies - {a_movie}), n + len(known)
    return found, n


def judged(asked):
    """(right, wrong) of what `spellings` gives."""
    return sum(match.movie == movie for *_, movie, match in asked), sum(
        match.movie not in (movie, None) for *_, movie, match in asked
    )


def measure(linked):
    """The lines of the result file."""
    bundled, set_of_2018 = index(Path(__file__).resolve().parent.parent / "data/ml-latest-small-2016"), index(linked)
    others, fresh = spellings(set_of_2018, "spellings.csv"), spellings(set_of_2018, "spellings-2.csv")
    n_asked, with_year, typed = brackets(bundled)
    silent, said = absent(bundled)
    n = len(bundled.movies.titles)
    counts = [(len(silent), n), (len(said), n), (with_year, n_asked), (typed, n_asked)]
    for asked, (right, wrong) in (
        (others, judged(others)),
        (fresh, judged(fresh)),
        (fresh, with_ids(set_of_2018, fresh, linked)),
    ):
        counts += [(right, len(asked)), (wrong, len(asked))]
    counts.append(series(bundled))
    return [{"what": what, "count": count, "of": of} for what, (count, of) in zip(ABOUT, counts, strict=True)]


def table():
    """The table in Markdown."""
    rows = [row | {"what": ABOUT[row["what"]]} for row in tables.read("titles.csv")]
    return tables.markdown(rows, {"what": "", "count": "titles", "of": "of"})


if __name__ == "__main__":
    tables.write("titles.csv", measure(*tables.words(__doc__)))
    tables.replace("titles", table(), tables.NOTES)
