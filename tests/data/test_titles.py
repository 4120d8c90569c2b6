"""Finding movies by what people type."""

from collections import Counter

import numpy as np
import pytest
from conftest import BUNDLED

from utils.data import datasets
from utils.data.movies import Movies, csv_safe, shortened, year_of
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
    assert TITLES[INDEX.find(typed).movie] == TITLES[title]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("heat", r"several movies: Heat \(1995\); Heat, The \(2013\); add the year"),
        ("star wars", "no movie is called 'star wars'; did you mean Star Wars: Episode IV"),
        ("matrx", r"no movie is called 'matrx'; did you mean Matrix, The \(1999\)"),
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
            assert index.find(title).movie == i
        else:
            with pytest.raises(UserError, match="several movies"):
                index.find(title)


def table(*titles):
    return Movies(np.arange(len(titles)), [*titles], [year_of(t) for t in titles], [[] for _ in titles])


def named(index, title, year=None, typed=False):
    """(Title of the match, how) or the titles that may be meant."""
    match, titles = index.match(title, year, typed), index.movies.titles
    return [titles[i] for i in match.others] if match.movie is None else (titles[match.movie], match.how)


def test_a_year_beside_a_title_is_forgiven_by_one_and_no_more():
    index = Titles(table("Alone (1999)", "Alone (2000)", "Alone (2004)", "Lost", "Lost (1990)"))
    other = {1998: 1999, 2001: 2000, 2003: 2004, 2005: 2004}
    for year in range(1996, 2008):
        exact = (f"Alone ({year})", "") if year in (1999, 2000, 2004) else []
        assert named(index, "Alone", year) == (
            (f"Alone ({other[year]})", "of another year") if year in other else exact
        )
    assert named(index, "Lost", 1990) == ("Lost (1990)", "")
    assert named(index, "Lost", 1950) == ("Lost", "whose year is not known")
    both = Titles(table("Rocky 2 (1979)", "Rocky II (1980)"))  # the year itself before one beside it
    assert named(both, "Rocky Two", 1980) == ("Rocky II (1980)", "spelt otherwise")


@pytest.mark.parametrize(
    ("asked", "year", "found"),
    [
        ("Sing", 2016, []),  # not Sing Street
        ("Frozen", 2010, []),
        ("Hellboy", 2004, []),
        ("(500) Days of Summer", 2009, ("(500) Days of Summer (2009)", "")),
        ("Twelve Monkeys (a.k.a. 12 Monkeys)", 1995, ("Twelve Monkeys (a.k.a. 12 Monkeys) (1995)", "")),
        ("12 Monkeys", 1995, ("Twelve Monkeys (a.k.a. 12 Monkeys) (1995)", "")),
        ("Not", 2009, []),  # brackets within a title are no title
        ("You Can (Not) Advance", 2009, ("You Can (Not) Advance (2009)", "")),
        ("L'Avventura", 1960, ("Avventura, L' (Adventure, The) (1960)", "")),
        ("The Adventure", 1960, ("Avventura, L' (Adventure, The) (1960)", "")),
        ("Das Boot", 1981, ("Boot, Das (Boat, The) (1981)", "")),
        ("8 1/2", 1963, ("8½ (8½) (1963)", "")),
        ("Alien³", 1992, ("Alien 3 (1992)", "")),
        ("Rocky 2", 1979, ("Rocky II (1979)", "spelt otherwise")),
        ("Rocky III", 1979, []),
        ("Lowenherz", 1990, ("Løwenherz (1990)", "")),
        ("Spiderman", 2002, ("Spider-Man (2002)", "spelt otherwise")),
        (
            "The Empire Strikes Back",
            1980,
            ("Star Wars: Episode V - The Empire Strikes Back (1980)", "by a part of the title"),
        ),
        ("Star Wars", 1980, ("Star Wars: Episode V - The Empire Strikes Back (1980)", "by a part of the title")),
        ("Star Wars", 1981, []),
        ("Sing Streat", 2016, ("Sing Street (2016)", "the nearest spelling of that year")),
        ("Sing Streat", 2015, []),  # near spellings only of the same year
        ("Frozon Planet", 2011, ("Frozen Planet (2011)", "the nearest spelling of that year")),
        ("Sino", 2016, []),
    ],
)
def test_a_title_with_a_year_is_the_right_movie_or_none(asked, year, found):
    index = Titles(
        table(
            "Sing Street (2016)",
            "Frozen Planet (2010)",
            "Frozen Planet (2011)",
            "Hellboy: The Seeds of Creation (2004)",
            "(500) Days of Summer (2009)",
            "Twelve Monkeys (a.k.a. 12 Monkeys) (1995)",
            "You Can (Not) Advance (2009)",
            "Avventura, L' (Adventure, The) (1960)",
            "Boot, Das (Boat, The) (1981)",
            "8½ (8½) (1963)",
            "Alien 3 (1992)",
            "Rocky II (1979)",
            "Løwenherz (1990)",
            "Spider-Man (2002)",
            "Star Wars: Episode V - The Empire Strikes Back (1980)",
        )
    )
    assert named(index, asked, year) == found
    assert named(index, f"{asked} ({year})") == found
    assert named(index, f"{asked} ({year})", year) == found


def test_a_title_without_a_year_is_exact_and_the_only_one():
    index = Titles(table("Burning, The (1981)", "Cocoon (1985)", "Joker (2012)", "Solaris (1972)", "Solaris (2002)"))
    assert named(index, "The Burning") == ("Burning, The (1981)", "by its title alone")
    assert named(index, "Burning") == ["Burning, The (1981)"]
    assert named(index, "Burning", typed=True) == ("Burning, The (1981)", "by its title alone")
    assert named(index, "Coco") == named(index, "Coco", typed=True) == []
    assert named(index, "Solaris") == ["Solaris (1972)", "Solaris (2002)"]
    assert named(index, "Solaris 2002") == ("Solaris (2002)", "")


def test_of_two_movies_of_one_title_and_year_the_one_that_more_people_rated_is_taken():
    movies = table("War of the Worlds (2005)", "War of the Worlds (2005)", "Heat (1995)")
    found = ("War of the Worlds (2005)", "of 2 with that title and year the one that most people rated")
    for counts, movie in (([1, 40, 90], 1), ([40, 1, 90], 0)):
        index = Titles(movies, np.array(counts))
        assert named(index, "War of the Worlds", 2005) == found
        assert index.match("War of the Worlds (2005)").movie == movie
    assert named(Titles(movies), "War of the Worlds", 2005) == ["War of the Worlds (2005)"] * 2


KNOWN = [
    "William Shakespeare's Romeo + Juliet (1996)",
    "Dr. Seuss' The Lorax (2012)",
    "Avengers: Infinity War - Part I (2018)",
    "King of Kong, The (2007)",
    "Kung Fu Panda (2008)",
    "Maze Runner: Scorch Trials (2015)",
    "Rosemary's Baby (1968)",
    "Baby (1968)",
    "Warrior's Way, The (2010)",
]
COUNTED = Titles(
    Movies(np.arange(len(KNOWN)), KNOWN, [year_of(t) for t in KNOWN], [[] for _ in KNOWN]),
    np.array([90, 9, 8, 19, 20, 9, 90, 9, 9]),  # some at the limits of `SOME` and `MANY`
)


@pytest.mark.parametrize(
    ("title", "year", "movie", "how"),
    [
        ("Romeo + Juliet", 1996, 0, "by a part of the title"),
        ("The Lorax", 2012, 1, "by a part of the title"),
        ("Avengers: Infinity War", 2018, 2, "by a part of the title"),
        ("The King of Kong: A Fistful of Quarters", 2007, 3, "by a part of the title"),
        ("Kung Fu Panda: Secrets of the Furious Five", 2008, None, ""),
        ("Maze Runner: The Scorch Trials", 2015, 5, "spelt otherwise"),
        ("Romeo + Juliet", 1968, None, ""),
        ("Avengers", 2018, 2, "by a part of the title"),
        ("Rosemary's Baby", 1968, 6, ""),
        ("Baby", 1968, 7, ""),
        ("The Way", 2010, None, ""),
    ],
)
def test_whose_it_is_a_subtitle_a_part_and_an_article_come_and_go(title, year, movie, how):
    match = COUNTED.match(title, year)
    assert (match.movie, match.how) == (movie, how)


def test_what_titles_are_found_by_is_kept_beside_the_rare_ones():
    ids, rare = np.array([1]), Movies(np.array([7, 2]), ["C", "B"], [2001, 1990], [["War"], []])
    movies = Movies(ids, ["A"], [None], [[]], rare, (["a", "b", "c"], [0, 2, 1]))
    whole = movies.with_rare
    assert (whole.titles, whole.years, whole.genres) == (["A", "C", "B"], [None, 2001, 1990], [[], ["War"], []])
    assert (whole.ids.tolist(), whole.keys, whole.rare) == ([1, 7, 2], movies.keys, None)


@pytest.mark.parametrize(
    ("title", "year"),
    [
        *(("Matrix, The (1999)", 1999), ("A (2007-)", 2007), ("A (1975-1979) ", 1975), ("A (1975–79)", 1975)),
        *(("(1984)", 1984), ("2001 (1968)", 1968), ("1984", None), ("A (19)", None), ("A (1999) B", None)),
    ],
)
def test_the_year_of_a_title_stands_at_its_end(title, year):
    assert year_of(title) == year


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_what_a_spreadsheet_would_take_for_a_formula_is_text(sign):
    assert csv_safe(f"{sign}SUM(A1)") == f"'{sign}SUM(A1)"
    for safe in (f"A{sign}", "", -1, 2.5, None):
        assert csv_safe(safe) == safe


def test_some_movies_keep_what_is_known_of_each():
    movies = Movies(np.array([5, 7, 9]), ["A", "B", "C"], [1990, None, 2000], [["War"], ["Drama"], []])
    some = movies.take([2, 0])
    assert (some.ids.tolist(), some.titles, some.years, some.genres) == (
        [9, 5],
        ["C", "A"],
        [2000, 1990],
        [[], ["War"]],
    )


def test_a_table_of_other_movies_is_not_taken_for_that_of_the_ratings(tmp_path):
    movies = Movies(np.array([5, 7]), ["A", "B"], [1990, None], [["War"], []])
    movies.write(tmp_path / "movies.json")
    again = Movies.read(tmp_path / "movies.json", np.array([5, 7]))
    assert (again.titles, again.years, again.genres) == (movies.titles, movies.years, movies.genres)
    with pytest.raises(ValueError, match="its movies are not those of the ratings"):
        Movies.read(tmp_path / "movies.json", np.array([5, 8]))


def test_a_list_of_names_ends_with_how_many_more_there_are():
    assert shortened(["a", "b"], 2) == "a; b"
    assert shortened(["a", "b", "c"], 2, ", ") == "a, b and 1 more"
    assert shortened(list("a" * 2002), 1) == "a and 2,001 more"
    assert shortened([], 2) == ""
