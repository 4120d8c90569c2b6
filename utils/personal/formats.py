"""The formats of people's own files, as tables: how columns are spelt, what tells the formats apart, what is no movie.

A new format is a line of FORMATS, and what it calls its columns a word in COLUMNS."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from utils.scoring.protocols import Scale

COLUMNS = {  # what is read: its spellings, without case, accents and signs, the best first
    "userId": ("userid", "user", "profilename"),
    "movieId": ("movieid", "itemid"),
    "imdbId": ("imdbid", "const", "imdb", "imdbtt", "idimdb"),
    "tmdbId": ("tmdbid", "tmdb", "themoviedbid"),
    "title": (
        *("title", "name", "movietitle", "titlename", "filmname", "filmtitle", "moviename", "movie", "film"),
        *("titel", "titre", "titulo", "titolo"),
    ),
    "original": ("originaltitle", "originaltitel", "titreoriginal", "titulooriginal", "titolooriginale"),
    "year": ("year", "releaseyear", "releasedate", "released", "jahr", "annee", "ano", "anno", "erscheinungsjahr"),
    "rating": (
        *(
            "rating10",
            "yourrating",
            "yourated",
            "myrating",
            "myscore",
            "mystars",
            "userrating",
            "starvalue",
            "rating",
            "ratings",
            "stars",
            "score",
        ),
        *("ihrebewertung", "deinebewertung", "votrenote", "tunota", "tucalificacion", "tupuntuacion", "iltuovoto"),
        *("suaavaliacao", "suaclassificacao", "suanota", "bewertung", "note", "nota", "voto"),
        *("vote", "grade", "sterne", "punkte", "etoiles", "estrellas", "stelle", "estrelas", "puntuacion"),
    ),
    "kind": (
        *("titletype", "type", "mediatype", "itemtype", "kind", "titelart", "titeltyp", "typedetitre"),
        *("tipodetitulo", "tipodititolo", "tipotitolo", "typ", "tipo"),
    ),
    "status": ("status", "watchlist"),
    "season": ("seasonnumber", "season", "seasons", "staffel", "saison", "temporada", "stagione"),
    "episode": ("episodenumber", "episode", "episodetitle", "lastepwatched"),
    "date": ("watcheddate", "ratedat", "daterated", "date", "created"),
}


@dataclass(frozen=True)
class Format:
    """A format of a site. marks: columns that only its files have, all of them, spelt as in COLUMNS. scale: lowest and
    highest stars."""

    name: str
    marks: tuple[str, ...]
    scale: Scale


FORMATS = (  # the first that fits
    Format("TMDB", ("tmdbid", "yourrating"), (1, 10)),
    Format("IMDb", ("const",), (1, 10)),
    Format("Letterboxd (import)", ("rating10",), (1, 10)),
    Format("Letterboxd", ("letterboxduri",), (0.5, 5)),
    Format("Trakt", ("ratedat", "type"), (1, 10)),
    Format("Trakt", ("traktid",), (1, 10)),
    Format("Trakt", ("listedat", "type"), (1, 10)),
    Format("Letterboxd", ("position", "name", "url"), (0.5, 5)),
    Format("Simkl", ("simklid",), (1, 10)),
    Format("Simkl", ("userrating", "type"), (1, 10)),
    Format("Criticker", ("filmid", "filmname"), (0, 100)),
    Format("Criticker", ("tci",), (0, 100)),
    Format("Criticker", ("tier",), (0, 100)),
    Format("Netflix", ("starvalue",), (1, 5)),
    Format("MovieLens", ("movieid", "averagerating"), (0.5, 5)),
)
NO_MOVIE = re.compile(  # in the column of the kind, in the languages that IMDb exports in
    r"episod|epizod|seri[ea]|\bshow|season|staffel|temporada|saison|stagion|game|spiel|gioco|juego|\bjeu|\bjogo|podcast"
    r"|anime|dizi|odcinek|сериал|эпизод|シリーズ|エピソード|ドラマ|ゲーム|剧|遊戲"
    r"|\btv\b(?! *[- ]?(movie|film|special|short|pel))"
)
PLANNED, WATCHED = ("plantowatch",), ("completed", "watching", "dropped", "hold", "notinteresting")  # in `status`
OUT_OF = r"(?:/|\b(?:out of|von|sur|su|sobre|de|di))\s*"  # before the highest rating
UNRATED = ("", "-", "–", "?", "na", "n/a", "none", "null", "nan", "unrated", "not rated", "not seen", "unseen", "dnf")


def folded(text: str) -> str:
    """Return a text in lower case, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def spelling(name: str) -> str:
    """Return the heading of a column without case, accents, signs and what stands in brackets: `Rating (1-10)`."""
    return re.sub(r"[\W_]", "", re.sub(rf"\(.*?\)|{OUT_OF}\d+", "", folded(name)))


def out_of(text: str) -> tuple[str, float | None]:
    """Return (the number, the highest possible, or None) of a rating such as 8/10, 4 out of 5 stars or ★★★½."""
    if re.fullmatch(r"[★⭐\ufe0f]*½?[☆ ]*", text) and text:
        return f"{text.count('★') + text.count('⭐') + text.count('½') / 2:g}", 5
    if match := re.fullmatch(rf"(\d+(?:[.,]\d+)?)\s*(?:%|{OUT_OF}(\d+)(?: stars?)?)", text.strip(), re.IGNORECASE):
        return match[1], float(match[2] or 100)
    return text, None


def highest_of(heading: str) -> float | None:
    """Return the highest rating that the heading of a column names, such as `Rating (1-10)`, or None."""
    match = re.search(rf"(?:{OUT_OF}|\(\s*[01]\s*[-–]\s*)(\d+)", heading)
    return float(match[1]) if match else None


def columns_of(names: Sequence[str]) -> dict[str, int]:
    """Return {column: its place} of the columns that a heading names, each by its best spelling."""
    plain = [spelling(name) for name in names]
    found = {column: next((s for s in known if s in plain), None) for column, known in COLUMNS.items()}
    return {column: plain.index(name) for column, name in found.items() if name is not None}


def format_of(names: Iterable[str]) -> Format | None:
    """Return the format that has these columns, or None."""
    plain = {spelling(name) for name in names}
    return next((known for known in FORMATS if plain.issuperset(known.marks)), None)


def is_movie(value: dict[str, str]) -> bool:
    """Tell whether a row is about a movie: no series, episode, season or game, by whichever column says so."""
    numbers = (value.get(column, "").strip("0. ").casefold() for column in ("season", "episode"))
    if re.search(
        r"\((tv|mini)\W?(mini\W?)?(series|episode)", folded(value.get("title", ""))
    ):  # copied from IMDb's pages
        return False
    return all(number in UNRATED for number in numbers) and not NO_MOVIE.search(folded(value.get("kind", "")))


def imdb_id(text: str) -> int | None:
    """Return the number of an IMDb id such as tt0133093, or None."""
    match = re.fullmatch(r"(?:.*\b)?tt(\d{5,9})\b.*|(\d{5,9})", text.strip())
    return int(match[1] or match[2]) if match else None
