"""Finding movies by what people type."""

import numpy as np
import pytest
from conftest import BUNDLED

from utils import datasets
from utils.errors import UserError
from utils.movies import Movies, year_of
from utils.titles import Titles

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
    index = Titles(movies)
    for i, title in enumerate(movies.titles):
        if movies.titles.count(title) == 1:
            assert index.find(title) == i
        else:
            with pytest.raises(UserError, match="several movies"):
                index.find(title)
