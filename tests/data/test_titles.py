"""Finding movies by what people type."""

from collections import Counter

import numpy as np
import pytest
from conftest import BUNDLED

from utils.data import datasets
from utils.data.movies import Movies, year_of
from utils.data.titles import Titles
from utils.errors import UserError

TITLES = [
    "Matrix, The (1999)",
    "Heat (1995)",
    "Heat, The (2013)",
    "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    "Seven (a.k.a. Se7en) (1995)",
    "Star Wars: Episode IV - A New Hope (1977)",
    "Star Wars: Episode V - The Empire Strikes Back (1980)",
    "2012 (2009)",
    "1984 (Nineteen Eighty-Four) (1984)",
    "Tom & Jerry",
    "A (2005)",
]
MOVIES = Movies(np.arange(len(TITLES)), TITLES, [year_of(t) for t in TITLES], [[] for _ in TITLES])
INDEX = Titles(MOVIES)


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("Matrix, The (1999)", 0),
        ("matrix", 0),
        ("THE MATRIX", 0),
        ("the matrix 1999", 0),
        ("matrx", 0),
        ("heat 1995", 1),
        ("Heat (2013)", 2),
        ("Amélie", 3),
        ("le fabuleux destin d'amelie poulain", 3),
        ("se7en", 4),
        ("Star Wars: Episode IV", 5),
        ("star wars episode v the empire strikes back", 6),
        ("2012", 7),
        ("2012 2009", 7),
        ("1984", 8),
        ("nineteen eighty four", 8),
        ("tom and jerry", 9),
        ("a", 10),
    ],
)
def test_a_movie_is_found_however_it_is_typed(typed, title):
    assert TITLES[INDEX.find(typed)] == TITLES[title]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("heat", r"several movies: Heat \(1995\); Heat, The \(2013\); add the year"),
        ("star wars", "several movies: Star Wars: Episode IV"),
        ("qqqq", "no movie is called 'qqqq'$"),
        ("", "no movie is called ''$"),
        ("Heat 1950", r"no movie is called 'Heat 1950'; did you mean Heat"),
    ],
)
def test_what_does_not_name_one_movie_is_refused_with_the_ones_it_may_mean(typed, said):
    with pytest.raises(UserError, match=said):
        INDEX.find(typed)


def test_every_bundled_title_but_doubles_finds_its_own_movie():
    movies = datasets.load(BUNDLED).movies
    index, times = Titles(movies), Counter(movies.titles)
    for i, title in enumerate(movies.titles):
        if times[title] == 1:
            assert index.find(title) == i
        else:
            with pytest.raises(UserError, match="several movies"):
                index.find(title)


def test_a_year_beside_a_title_is_forgiven_by_one_and_no_more():
    titles = [
        "Alone (1999)",
        "Alone (2000)",
        "Alone (2004)",
        "Lost",
        "Lost (1990)",
        "Twins (1988)",
        "Twins, The (1988)",
    ]
    index = Titles(Movies(np.arange(len(titles)), titles, [year_of(t) for t in titles], [[] for _ in titles]))
    found = {year: [titles[i] for i in index.of("Alone", year)] for year in range(1996, 2008)}
    one_off = {1998: ["Alone (1999)"], 2001: ["Alone (2000)"], 2003: ["Alone (2004)"], 2005: ["Alone (2004)"]}
    exact = {year: [f"Alone ({year})"] for year in (1999, 2000, 2004)}
    assert found == {year: [] for year in range(1996, 2008)} | one_off | exact
    assert [titles[i] for i in index.of("Lost", 1990)] == ["Lost (1990)"]
    assert [titles[i] for i in index.of("Lost", 1950)] == ["Lost"]  # of which no year is known
    assert [titles[i] for i in index.alike("Twinns", 1989)] == ["Twins (1988)", "Twins, The (1988)"]
    assert index.alike("Twinns", 1990) == []


def test_a_title_begins_with_whole_words():
    titles = ["Star Wars: Episode IV - A New Hope (1977)", "Stargate (1994)", "Star (1990)", "Rising Star (1980)"]
    index = Titles(Movies(np.arange(4), titles, [year_of(t) for t in titles], [[] for _ in titles]))
    assert index.beginning("star") == [0]
    assert index.beginning("star wars") == [0]
    assert index.beginning("") == []
