"""Ratings of somebody new: typed, or in a file, of one's own or as Letterboxd and IMDb export it."""

from types import SimpleNamespace

import numpy as np
import pytest

import recommend
from utils.command_line import options
from utils.data.movies import Movies, spoken
from utils.data.ratings import by_id
from utils.data.titles import Titles
from utils.errors import UserError
from utils.personal import ratings as personal
from utils.personal.ratings import read_personal
from utils.recommend import profile

TITLES = [
    "Toy Story (1995)",
    "Heat (1995)",
    "Matrix, The (1999)",
    "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    "Solaris (1972)",
    "Solaris (2002)",
    "Crash (2004)",
    "8½ (1963)",
    "Star Wars: Episode IV - A New Hope (1977)",
    "Star Wars: Episode V - The Empire Strikes Back (1980)",
    "Rocky V (1990)",
]
YEARS = [int(title[-5:-1]) for title in TITLES]
MOVIES = Movies(
    np.array([1, 6, 2571, 4973, 5000, 5001, 5002, 5003, 5004, 5005, 5006]), TITLES, YEARS, [[] for _ in TITLES]
)
SCALE = (0.5, 5.0)


def typed(*texts):
    return profile.read_typed(Titles(MOVIES), SCALE, texts)[0]


def read(tmp_path, text, scale=SCALE):
    path = tmp_path / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    stars, _, notes = read_personal(path, Titles(MOVIES), scale)
    return stars, notes


def test_typed_titles_are_found_forgivingly():
    assert typed("toy story=5", "heat 1995=4.5", "the matrix=1") == {0: 5.0, 1: 4.5, 2: 1.0}
    assert typed("amelie=3", "Solaris (2002)=2", "2571=4", "8½=5") == {3: 3, 5: 2, 2: 4, 7: 5}
    assert profile.read_typed(Titles(MOVIES), SCALE, ["toy stroy=5"]) == (
        {0: 5.0},
        ["toy stroy read as Toy Story (1995), the nearest spelling"],
    )
    sums = Movies(np.array([3, 4]), ["1+1=2 (2010)", "Pi (1998)"], [2010, 1998], [[], []])
    assert profile.read_typed(Titles(sums), SCALE, ["1+1=2=4.5"])[0] == {0: 4.5}  # the last = is before the stars


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Heat", "takes TITLE=STARS"),
        ("=4", "takes TITLE=STARS"),
        ("Heat=", "takes TITLE=STARS"),
        ("Heat=great", "takes TITLE=STARS"),
        ("Heat=nan", "takes TITLE=STARS"),
        ("Heat=6", "stars are from 0.5 to 5"),
        ("Heat=0", "stars are from 0.5 to 5"),
        ("Solaris=4", "fits several movies: Solaris \\(1972\\); Solaris \\(2002\\); add the year"),
        ("rocky 7=4", "no movie is called 'rocky 7'; did you mean Rocky V"),
        ("qqqqqq=4", "no movie is called 'qqqqqq'"),
    ],
)
def test_what_is_typed_wrong_is_said(text, said):
    with pytest.raises(UserError, match=said):
        typed("Toy Story=5", text)


def test_what_was_typed_and_what_was_seen_beside_it_is_not_recommended():
    ratings = SimpleNamespace(
        twin=lambda movies, stars: 4 if movies.tolist() == [1, 6] and stars.tolist() == [2, 5] else -1
    )
    for seen, expected in (([], [1, 6]), ([9, 6, 3], [1, 3, 6, 9])):
        them = profile.of_ratings(ratings, {6: 5.0, 1: 2.0}, ["said"], seen)
        assert (them.seen.tolist(), them.rows.movies.tolist(), them.user) == (expected, [1, 6], None)
        assert (them.excluded, them.notes) == (4, ["said"])


def test_a_movie_rated_twice_is_said():
    assert typed("heat=4", "Heat (1995)=4") == {1: 4.0}
    with pytest.raises(UserError, match=r"Heat \(1995\) is rated twice, with 4 and 3 stars"):
        typed("heat=4", "Heat (1995)=3")


def test_a_file_with_ids_or_titles(tmp_path):
    found, notes = read(tmp_path, "movieId,rating\n1,5\n2571,0.5\n")
    assert found == {0: 5.0, 2: 0.5}
    assert notes == [f"{tmp_path / 'mine.csv'}: 2 lines: 2 rated movies are in the data"]
    found, notes = read(
        tmp_path, 'title;rating;year\n"Matrix, The";4;1999\nSolaris;3;1971\nmatrx;2;1999\n'.replace(";", "\t")
    )
    assert found == {2: 4.0, 4: 3.0}
    assert notes[0] == "line 3: Solaris (1971) read as Solaris (1972), of another year"
    assert notes[1] == "left out, not in the data: 1 (matrx (1999))"
    found, notes = read(tmp_path, "title,rating,year\nToy Story,4,1995\nToy Sotry,2,1995\n")
    assert found == {0: 2.0}
    assert notes[0] == "line 3: Toy Sotry (1995) read as Toy Story (1995), the nearest spelling of that year"
    assert notes[1] == "line 3: Toy Story (1995) again, first in line 2; this one counts"
    assert notes[2].endswith(": 2 lines: 1 rated movie is in the data, 1 named before")


def test_what_letterboxd_exports(tmp_path):
    text = (
        "Date,Name,Year,Letterboxd URI,Rating\n"
        "2021-01-01,The Matrix,1999,https://boxd.it/2a,4.5\n"
        "2021-01-02,Amélie,2001,https://boxd.it/2b,0.5\n"
        "2021-01-03,Crash,1996,https://boxd.it/2c,5\n"  # another movie of that name, which the data does not have
        "2021-01-03,Dune,2021,https://boxd.it/2d,5\n"
        "2021-01-04,Heat,1995,https://boxd.it/2e,\n"
        "2021-01-05,Star Wars,1977,https://boxd.it/2f,3\n"
        "2021-01-05,The Empire Strikes Back,1980,https://boxd.it/2g,4\n"
    )
    found, notes = read(tmp_path, text)
    assert found == {2: 4.5, 3: 0.5, 8: 3.0, 9: 4.0}
    said = " | ".join(notes)
    assert "4 rated movies are in the data" in said
    assert "left out, not in the data: 2 (Crash (1996); Dune (2021))" in said
    assert "left out, without a rating: 1 (Heat)" in said
    assert read(tmp_path, text, (1.0, 5.0))[0][3] == 1.0


def test_what_imdb_exports_is_converted_and_said(tmp_path):
    heading = "Const,Your Rating,Date Rated,Title,URL,Title Type,IMDb Rating,Runtime (mins),Year,Genres\n"
    lines = [
        "tt0133093,9,2020-01-01,The Matrix,https://www.imdb.com/title/tt0133093/,movie,8.7,136,1999,Action",
        "tt0000001,8,2020-01-01,Heat,https://www.imdb.com/title/tt0000001/,TV Episode,7.0,30,1995,Drama",
        'tt0211915,1,2020-01-01,"Amélie",https://www.imdb.com/title/tt0211915/,movie,8.3,122,2001,Comedy',
    ]
    for encoding in ("utf-8", "latin-1"):
        found, notes = read(tmp_path, (heading + "\n".join(lines) + "\n").encode(encoding))
        assert found == {2: 4.5, 3: 0.5}
        assert notes[0] == "IMDb's stars are from 1 to 10, converted to 0.5 to 5"
        assert notes[1] == "left out, no movies but series or games: 1 (Heat)"
        assert notes[2].endswith(
            "3 lines, read as IMDb's: 2 rated movies are in the data, 1 no movies but series or games"
        )
    assert read(tmp_path, heading + lines[0] + "\n", (1, 100))[0] == {2: 90.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,when\nHeat,1995\n", r"mine.csv:1: columns title \(or movieId\) and rating are needed"),
        ("title,rating\nHeat,900\n", "mine.csv:2: rating 900 is not from 0.5 to 5; give --ratings-scale"),
        ("title,rating\nHeat,good\n", "mine.csv:2: rating 'good' is not a number"),
        ('title,note,rating\nHeat,"a\nb",good\n', "mine.csv:2: rating 'good' is not a number"),  # its first line
        ("title,rating\nHeat,-2\n", "mine.csv:2: rating -2 is not from 0.5 to 5"),
        ("title,rating\nHeat\n", "mine.csv:2: too few fields"),
        ("movieId,rating\n,5\n", "mine.csv:2: the movieId is empty"),
        ("title,rating\n,5\n", "mine.csv:2: the title is empty"),
        ("userId,movieId,rating\n1,1,5\n2,6,5\n", "mine.csv:3: ratings of a second user"),
        ("title,rating\nnothing like it,5\n", "none of its movies counts; left out, not in the data: 1 "),
        ("title,rating\nHeat (1995),\n", r"none of its movies counts; left out, without a rating: 1 \(Heat"),
        ("", "the file is empty"),
        ("title,rating\n", "the file holds no movies$"),
        (
            "title,year,rating,watched date\nHeat,1995,,2020-01-01\n",
            "none of its movies counts; seen, without stars: 1$",
        ),
    ],
)
def test_a_file_that_can_not_be_used_is_said_with_its_line(text, said, tmp_path):
    with pytest.raises(UserError, match=said):
        read(tmp_path, text)


def test_rows_without_text_are_counted_but_blank_lines_are_none(tmp_path):
    stars, notes = read(tmp_path, "title,rating\nHeat (1995),4\n\n,\nToy Story,3\n , \n\n\n")
    assert stars == {1: 4.0, 0: 3.0}
    assert notes[-1] == f"{tmp_path}/mine.csv: 4 lines: 2 rated movies are in the data, 2 empty"


def test_several_movies_of_a_title_are_left_out_and_said(tmp_path):
    found, notes = read(tmp_path, "title,rating\nSolaris,5\nHeat,4\n")
    assert found == {1: 4.0}
    assert notes[0] == "taken by its title alone, without a year: line 3 Heat (1995)"
    assert notes[1] == "left out, fitting several movies: 1 (Solaris)"


def test_titles_as_one_says_them():
    assert spoken("Matrix, The (1999)") == "The Matrix"
    assert spoken("Lord of the Rings: The Two Towers, The (2002)") == "The Lord of the Rings: The Two Towers"
    assert spoken("Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)") == "Amelie"
    assert spoken("Heat") == "Heat"
    assert spoken("(500)") == "(500)"
    assert spoken("(500) Days of Summer (2009)") == "(500) Days of Summer"
    assert spoken("Babies (Bébé(s)) (2010)") == "Babies"
    birdman = "Birdman: Or (The Unexpected Virtue of Ignorance)"
    assert spoken(f"{birdman} (2014)") == birdman


def test_an_option_with_several_values_may_be_given_often():
    argv = ["--rate", "a=1", "--by", "movies", "--rate=b=2", "--genre", "x", "y", "-n", "4", "--rate", "c=3"]
    chosen = options.parse(recommend.Options, argv, "recommend.py", "")
    assert (chosen.rate, chosen.filters.genre) == (("a=1", "b=2", "c=3"), ("x", "y"))
    assert (chosen.by, chosen.n) == ("movies", 4)


def test_a_number_is_an_id_unless_it_is_a_title_and_that_is_said():
    titles = ["Heat (1995)", "300 (2006)", "12 Monkeys (1995)"]
    index = Titles(Movies(np.array([12, 99, 300]), titles, [1995, 2006, 1995], [[]] * 3))
    assert profile.read_typed(index, SCALE, ["12=5"]) == ({0: 5}, ["12 read as Heat (1995), by its id"])
    assert profile.read_typed(index, SCALE, ["99=5"]) == ({1: 5}, ["99 read as 300 (2006), by its id"])
    note = "300 read as 300 (2006), by its title, not its id, which is that of 12 Monkeys (1995)"
    assert profile.read_typed(index, SCALE, ["300=4"]) == ({1: 4}, [note])  # a whole title goes before an id
    same = Titles(Movies(np.array([7, 300]), ["Heat (1995)", "300 (2006)"], [1995, 2006], [[]] * 2))
    assert profile.read_typed(same, SCALE, ["300=4"]) == ({1: 4}, [])


def test_an_id_is_found_as_the_data_has_it():
    assert [by_id(np.array([-5, 3, 50]), text) for text in ("-5", "50", "5", "+3", "3.0", "", "9" * 19)] == [
        0, 2, -1, -1, -1, -1, -1,
    ]  # fmt: skip
    assert [by_id(np.array(["03", "3"]), text) for text in ("3", "03", "-5")] == [1, 0, -1]


@pytest.mark.parametrize(
    ("stars", "scale", "to", "expected"),
    [
        (3.0, (1, 5), (0.5, 5), 3.0),  # by the highest of both
        (6.0, (1, 10), (0.5, 5), 3.0),
        (0.0, (0, 5), (0, 5), 0.001),  # which is a rating, not none
        (0.0, (1, 5), (0.5, 5), None),
        (-10.0, (-10, 10), (1, 5), 1.0),
        (5.0, (-10, 10), (1, 5), 4.0),
        (-7.5, (-10, 10), (-10, 10), -7.5),
        (0.0, (-10, 10), (-10, 10), 0.01),
        (3.0, (1, 5), (-10, 10), 0.01),  # the middle is 0
        (2.0, (1, 5), (-10, 10), -5.0),
    ],
)
def test_stars_are_converted_between_scales(stars, scale, to, expected):
    found = personal._convert(stars, scale, to)
    assert found == expected if expected is None else found == pytest.approx(expected, abs=0.02)
    assert found != 0


def test_two_profiles_of_one_account_are_two_people(tmp_path):
    path = tmp_path / "Ratings.csv"
    path.write_text("Profile Name,Title Name,Star Value\nme,Heat (1995),4\nkid,Toy Story (1995),5\n")
    movies = Movies(np.array([1, 2]), ["Heat (1995)", "Toy Story (1995)"], [1995, 1995], [[], []])
    with pytest.raises(UserError, match=r"Ratings.csv:3: ratings of a second user"):
        read_personal(path, Titles(movies), (0.5, 5))
