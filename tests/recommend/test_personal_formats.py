"""Files that people really have: the right movies, stars and counts, and nothing lost without a word."""

import datetime
import io
import json
import re

import numpy as np
import openpyxl
import pytest
from conftest import BUNDLED
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import zip_of

from utils.data import datasets
from utils.data.movies import Links, Movies, as_links, read_links, year_of
from utils.data.titles import Titles
from utils.errors import UserError
from utils.personal.formats import columns_of, format_of, imdb_id, is_movie
from utils.personal.ratings import _year as year_in
from utils.personal.ratings import read_personal, read_watchlist

SCALE = (0.5, 5.0)
LETTERBOXD = "Date,Name,Year,Letterboxd URI,Rating\n"
AMELIE = "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"
CASINO, FARGO, TWO = "Casino (1995)", "Fargo (1996)", "2 lines: 2 rated movies are in the data"
MATRIX, HEAT, TOYS = "Matrix, The (1999)", "Heat (1995)", "Toy Story (1995)"


@pytest.fixture(scope="module")
def titles():
    data = datasets.load(BUNDLED)
    return Titles(data.movies, np.bincount(data.ratings.movie, minlength=len(data.movies.ids)))


@pytest.fixture
def read(titles, tmp_path):
    def of(content, name="mine.csv", **more):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        stars, seen, notes = read_personal(tmp_path / name, titles, SCALE, **more)
        named = {titles.movies.titles[movie]: value for movie, value in stars.items()}
        return named, {titles.movies.titles[movie] for movie in seen}, [n.replace(f"{tmp_path}/", "") for n in notes]

    return of


def zipped(**files):
    return zip_of({name.replace("__", "/") + ".csv": text for name, text in files.items()})


@pytest.mark.parametrize(
    ("text", "stars", "counts"),
    [
        (
            'title,year,rating\n"(500) Days of Summer",2009,5\n"Twelve Monkeys (a.k.a. 12 Monkeys)",1995,4\n'
            '"Seven (a.k.a. Se7en)",1995,3\nHeat,1995,3\n',
            {
                "(500) Days of Summer (2009)": 5,
                "Twelve Monkeys (a.k.a. 12 Monkeys) (1995)": 4,
                "Seven (a.k.a. Se7en) (1995)": 3,
                HEAT: 3,
            },
            "4 lines: 4 rated movies are in the data",
        ),
        (
            f"{LETTERBOXD}2021-01-01,Sing,2016,a,5\n2021-01-01,No,2012,b,4.5\n2021-01-01,Frozen,2010,c,0.5\n"
            "2021-01-01,Heat,1995,d,4\n",
            {HEAT: 4},
            "4 lines, read as Letterboxd's: 1 rated movie is in the data, 3 not in the data",
        ),
        (
            "rated_at,type,title,year,trakt_rating,trakt_id,imdb_id,tmdb_id,rating\n"
            "2020,movie,The Matrix,1999,8.5,481,tt0133093,603,4\n2020,show,Friends,1994,9.0,1657,tt0108778,1668,5\n"
            "2020,show,Lost,2004,9.0,73,tt0411008,4607,1\n2020,movie,Heat,1995,8.5,60203,tt0113277,949,5\n",
            {MATRIX: 2, HEAT: 2.5},
            "4 lines, read as Trakt's: 2 rated movies are in the data, 2 no movies but series or games",
        ),
        (
            "TMDb ID,IMDb ID,Type,Name,Release Date,Season Number,Episode Number,Rating,Your Rating,Date Rated\n"
            '429,tt0060196,movie,"Il buono, il brutto, il cattivo",1966-12-23T00:00:00Z,,,8.473,9.0,2014\n'
            "603,tt0133093,movie,The Matrix,1999-03-30T00:00:00Z,0,0.0,8.2,4.0,2014\n"
            "1433,tt0000001,tv,Fargo,2014-04-15T00:00:00Z,,,8.3,2.0,2014\n"
            "1434,tt0000002,episode,Heat,2010-04-15T00:00:00Z,1,5,8.3,1.0,2014\n"
            "1435,tt0000003,movie,Solaris,1972-03-20T00:00:00Z,,,8.3,8.0,2014\n",
            {
                "Good, the Bad and the Ugly, The (Buono, il brutto, il cattivo, Il) (1966)": 4.5,
                MATRIX: 2,
                "Solaris (Solyaris) (1972)": 4,
            },
            "5 lines, read as TMDB's: 3 rated movies are in the data, 2 no movies but series or games",
        ),
        (
            "movie_id,title,year,rating\n603,The Matrix,1999,5\n949,Heat,1995,4.5\n862,Toy Story,1995,1\n",
            {MATRIX: 5, HEAT: 4.5, TOYS: 1},
            "3 lines: 3 rated movies are in the data",
        ),
        (
            '"position","const","created","Title","Title type","You rated","IMDb Rating","Year"\n'
            '"1","tt0133093","Sat Mar  1","The Matrix","Feature Film","9","8.7","1999"\n'
            '"3","tt0944947","Sat Mar  1","Game of Thrones","TV Series","9","9.4","2011"\n',
            {MATRIX: 4.5},
            "2 lines, read as IMDb's: 1 rated movie is in the data, 1 no movies but series or games",
        ),
        (
            "Const,Votre note,Titre,Titre original,Type de titre,Année\n"
            "tt1,10,Le Fabuleux Destin d'Amélie Poulain,x,Film,2001\ntt3,9,Alerte !,Heat,Film,1995\n"
            "tt2,2,Heat,Heat,Série télévisée,1995\n",
            {AMELIE: 5, HEAT: 4.5},
            "3 lines, read as IMDb's: 2 rated movies are in the data, 1 no movies but series or games",
        ),
        (
            "title,year,rating\nThe Matrix,1999,9\nHeat,1995,8\nToy Story,1995,4\n",
            {MATRIX: 4.5, HEAT: 4, TOYS: 2},
            "3 lines: 3 rated movies are in the data",
        ),
        (
            "title,year,rating\nThe Matrix,1999,5\nHeat,1995,\nToy Story,1995,0\n,,\n",
            {MATRIX: 5},
            "4 lines: 1 rated movie is in the data, 2 without a rating, 1 empty",
        ),
        ("movieId,rating\n2571.0,5\n6.0,4\n", {MATRIX: 5, HEAT: 4}, "2 lines: 2 rated movies are in the data"),
        (
            "title;year;rating\nThe Matrix;1999;4,5\nHeat;1995;3\n",
            {MATRIX: 4.5, HEAT: 3},
            "2 lines: 2 rated movies are in the data",
        ),
        (
            "sep=;\ntitle;year;rating\nAmélie;2001;4.5\nHeat;1995;3\n".encode("cp1252"),
            {AMELIE: 4.5, HEAT: 3},
            "2 lines: 2 rated movies are in the data",
        ),
        (
            "title\tyear\trating\r\nAmélie\t2001\t4.5\r\nHeat\t1995\t3\r\n".encode("utf-16"),
            {AMELIE: 4.5, HEAT: 3},
            "2 lines: 2 rated movies are in the data",
        ),
        (
            "Movie Name,Year released,My rating (out of 10)\nLilo &amp; Stitch (2002),,8\nHeat (TV Series 1995),,9\n",
            {"Lilo & Stitch (2002)": 4},
            "2 lines: 1 rated movie is in the data, 1 no movies but series or games",
        ),
        ("Title,Year,My Score /10\nHeat,1995,4.5\nCasino,1995,3\n", {HEAT: 2.25, CASINO: 1.5}, TWO),
        ("title,year,rating\nHeat,1995,8/10\nCasino,1995,6/10\n", {HEAT: 4, CASINO: 3}, TWO),
        ("title,year,rating\nHeat,1995,4/5 stars\nCasino,1995,1 out of 5 Stars\n", {HEAT: 4, CASINO: 1}, TWO),
        ("Film;Jahr;Sterne\nHeat;1995;3,5\nCasino;1995;4\n", {HEAT: 3.5, CASINO: 4}, TWO),
        ("Titre;Année;Note sur 20\nHeat;1995;18\nCasino;1995;12\n", {HEAT: 4.5, CASINO: 3}, TWO),
        ("title,rating\nHeat (1995),80%\nCasino [1995],60%\n", {HEAT: 4, CASINO: 3}, TWO),
        ("title,year,rating\nHeat,1995,★★★★\nCasino,1995,★★½\n", {HEAT: 4, CASINO: 2.5}, TWO),
        ("movieId;rating\n6,0;4,0\n16,0;3,5\n", {HEAT: 4, CASINO: 3.5}, TWO),
        ("My list of movies,,\n,,\nFilm,Year,Rating\nHeat,1995,4.5\nCasino,1995,2\n", {HEAT: 4.5, CASINO: 2}, TWO),
        (
            "title,year,rating\nHeat,1995,not seen\nCasino,1995,4\nFargo,1996,?\n",
            {CASINO: 4},
            "3 lines: 1 rated movie is in the data, 2 without a rating",
        ),
        (
            "trakt_id,type,title,rating,year\n1,Movie,Heat,1,1995\n2,Show,Casino,10,1995\n3,season,Fargo,10,1996\n",
            {HEAT: 0.5},
            "3 lines, read as Trakt's: 1 rated movie is in the data, 2 no movies but series or games",
        ),
        (
            "Const;Your Rating;Date Rated;Title;Title Type;IMDb Rating;Year\ntt1;8;2020;Heat;movie;8,3;1995\n"
            "tt2;8;2020;Casino;videoGame;8,3;1995\n",
            {HEAT: 4},
            "2 lines, read as IMDb's: 1 rated movie is in the data, 1 no movies but series or games",
        ),
        (
            "SIMKL_ID,Title,Type,Year,Last Ep Watched,Rating,TMDB,IMDB\n1,Heat,movie,1995,,8,949,tt0113277\n"
            "2,Fargo,tv,1996,s1e2,9,1,tt9\n3,Toy Story,anime,1995,,9,1,tt8\n",
            {HEAT: 4},
            "3 lines, read as Simkl's: 1 rated movie is in the data, 2 no movies but series or games",
        ),
        (
            "Film ID,Film Name,Rating,IMDB ID\n1,Heat (1995),90,tt0113277\n2,Toy Story (1995),0,tt0114709\n",
            {HEAT: 4.5, TOYS: 0.5},
            "2 lines, read as Criticker's: 2 rated movies are in the data",
        ),
        (
            "movie_id,imdb_id,tmdb_id,rating,average_rating,title\n6,113277,949,4.5,3.8,Heat (1995)\n",
            {HEAT: 4.5},
            "1 line, read as MovieLens's: 1 rated movie is in the data",
        ),
        (
            json.dumps(
                [
                    {"rated_at": "2020", "rating": 9, "type": "movie", "movie": {"title": "The Matrix", "year": 1999}},
                    {"rated_at": "2020", "rating": 9, "type": "show", "show": {"title": "Fargo", "year": 1996}},
                ]
            ),
            {MATRIX: 4.5},
            "2 lines, read as Trakt's: 1 rated movie is in the data, 1 no movies but series or games",
        ),
        (
            '{"movies": [{"user_rating": 7, "movie": {"title": "Heat", "year": 1995, "ids": {"simkl": 1}}}],'
            ' "shows": [{"user_rating": 10, "show": {"title": "Fargo", "year": 1996, "ids": {}}}]}',
            {HEAT: 3.5},
            "2 lines, read as Simkl's: 1 rated movie is in the data, 1 no movies but series or games",
        ),
        ('{"title": "Heat", "year": 1995, "rating": 4}\n', {HEAT: 4}, "1 line: 1 rated movie is in the data"),
    ],
)
def test_a_file_is_read_as_it_is(read, text, stars, counts):
    found, _, notes = read(text)
    assert found == stars
    assert notes[-1] == f"mine.csv: {counts}"


def test_a_file_without_years_gives_exact_and_unique_titles_and_says_them(read):
    names = "Unbroken|Cars 3|Tenet|Coco|Us|Vice|Green Book|Burning|Dune: Part Two|Little Women|Ratatouille|Joker"
    found, _, notes = read("title,rating\n" + "".join(f"{name},4\n" for name in names.split("|")))
    assert found == {"Unbroken (2014)": 4, "Ratatouille (2007)": 4, "Joker (2012)": 4}
    alone = "line 2 Unbroken (2014); line 12 Ratatouille (2007); line 13 Joker (2012)"
    assert notes[0] == f"taken by its title alone, without a year: {alone}"
    assert notes[-1].endswith("12 lines: 3 rated movies are in the data, 8 not in the data, 1 fitting several movies")


def test_without_a_year_another_article_makes_a_candidate_only(read):
    """Of the 2,097 bundled titles with an article 1,879 would be found without it, and 62 more would be taken for an
    absent movie."""
    names = ("Matrix", "The Heat", "Matrix, The", "Burning", "The Burning")
    found, _, notes = read("title,rating\n" + "".join(f'"{name}",{stars}\n' for stars, name in enumerate(names, 1)))
    assert found == {MATRIX: 3, "Burning, The (1981)": 5}
    candidates = "Matrix, or is it Matrix, The (1999)?; Burning, or is it Burning, The (1981)?"
    assert f"left out, not in the data: 2 ({candidates})" in notes
    assert "left out, fitting several movies: 1 (The Heat)" in notes  # Heat of 1986 and of 1995


def test_ids_that_disagree_with_the_titles_are_said(read):
    _, _, notes = read("movie_id,title,year,rating\n603,The Matrix,1999,5\n949,Heat,1995,4.5\n862,Toy Story,1995,1\n")
    said = "ids that are not the data's, the titles count: line 2: 603 is Bye Bye, Love (1995), beside The Matrix"
    assert notes[0] == f"{said} and 1 more"
    found, _, notes = read("movieId,title,rating\n2571,Matrix,5\n6,Nothing like it,4\n")  # of 2571 the title agrees
    assert (list(found), notes[-2]) == ([MATRIX], "left out, not in the data: 1 (Nothing like it)")


def test_of_two_movies_of_one_name_the_better_known_is_read_and_said(read, titles):
    found, _, notes = read(f"{LETTERBOXD}2021-01-01,War of the Worlds,2005,a,2\n")
    assert found == {"War of the Worlds (2005)": 2}
    how = "of 2 with that title and year the one that most people rated"
    assert notes[0] == f"line 2: War of the Worlds (2005) read as War of the Worlds (2005), {how}"


def test_a_zip_of_letterboxd_gives_the_ratings_and_what_was_seen(read):
    content = zipped(
        ratings=f"{LETTERBOXD}2021-01-01,Heat,1995,x,4\n",
        diary="Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date\n2021,Fargo,1996,x,1,,,2021\n",
        watched="Date,Name,Year,Letterboxd URI\n2021,Heat,1995,x\n2021,The Matrix,1999,x\n",
        deleted__ratings=f"{LETTERBOXD}2021-01-01,Toy Story,1995,x,4\n",
    )
    found, seen, notes = read(content, "letterboxd.zip")
    assert (found, seen) == ({HEAT: 4}, {MATRIX})
    assert notes[-1].endswith(
        "3 lines, read as Letterboxd's: 1 rated movie is in the data, 1 seen without a rating, 1 named before"
    )
    for entries, said in (
        ({"list": "a,b\n"}, "mine.zip/list.csv:1: columns title"),
        ({"a": "", "b": ""}, "no ratings.csv"),
    ):
        with pytest.raises(UserError, match=said):
            read(zipped(**entries), "mine.zip")
    with pytest.raises(UserError, match="archive can't be read"):
        read(content[:200], "mine.zip")


def test_the_last_rating_by_its_date_counts_and_unrated_entries_of_a_diary_are_seen(read):
    heading = "Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date\n"
    rows = "2021,Heat,1995,x,4,Yes,,2021-05-01\n2021,Heat,1995,x,2,,,2020-01-01\n2021,The Matrix,1999,x,,,,2020-01-01\n"
    found, seen, notes = read(heading + rows)
    assert (found, seen) == ({HEAT: 4}, {MATRIX})
    assert notes[0] == "line 3: Heat (1995) again, first in line 2; the later one counts"
    row = rows.splitlines(True)[0]
    found, _, notes = read(heading + row.replace(",4,", ",3,") + row)  # twice on one day
    assert found == {HEAT: 4}
    assert notes[0] == "line 3: Heat (1995) again, first in line 2; this one counts"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("12/31/2019", "01/05/2020"),
        ("2020-9-1", "2020-10-1"),
        ("Wed May 1", "Fri May 3"),
        ("2020-01-01", ""),
        ("", "2020-01-01"),
    ],
)
def test_dates_that_do_not_sort_as_text_leave_the_last_line_to_count(read, first, second):
    found, _, notes = read(f"title,year,rating,date\nHeat,1995,4,{first}\nHeat,1995,2,{second}\n")
    assert found == {HEAT: 2}
    assert notes[0].endswith("; this one counts")


@pytest.mark.parametrize("heading", ["Date", "Watched Date", "rated_at", "Date Rated", "created"])
def test_a_date_is_read_however_the_column_is_called(read, heading):
    found, _, _ = read(f"title,year,rating,{heading}\nHeat,1995,4,2021-05-01\nHeat,1995,2,2020-01-01\n")
    assert found == {HEAT: 4}


@pytest.mark.parametrize(
    ("scale", "stars", "expected"),
    [((1, 10), 8, 4), ((0, 100), 0, 0.5), ((1, 20), 20, 5), ((-10, 10), 0, 2.75), ((-10, 10), -10, 0.5), (None, 80, 4)],
)
def test_the_scale_of_a_file_is_given_or_found(read, scale, stars, expected):
    found, _, notes = read(f"title,year,rating\nHeat,1995,{stars}\n", ratings_scale=scale)
    assert found == {HEAT: pytest.approx(expected)}
    ends = scale or (1, 100)
    more = "" if scale else "; --ratings-scale says another"
    assert notes[0] == f"the stars are from {ends[0]} to {ends[1]}, converted to 0.5 to 5{more}"


def test_a_scale_that_is_given_goes_before_that_of_the_site(read):
    found, _, notes = read(LETTERBOXD + "2020,Heat,1995,x,8\n", ratings_scale=(1, 10))
    assert (found, notes[0]) == ({HEAT: 4}, "the stars are from 1 to 10, converted to 0.5 to 5")


def test_a_single_rating_above_all_others_is_a_mistake(read):
    with pytest.raises(UserError, match=r"mine.csv:32: rating 55 is not from 0.5 to 5; give --ratings-scale LOW,HIGH"):
        read("title,year,rating\n" + "Heat,1995,4\n" * 30 + "Heat,1995,55\n")
    with pytest.raises(UserError, match=r"mine.csv:2: rating 11 is not from 1 to 10"):
        read("title,year,rating\nHeat,1995,11\n", ratings_scale=(1, 10))


# -- ids at IMDb and TMDB ----------------------------------------------------------------------------------------------


def test_ids_of_imdb_and_tmdb_name_the_movie(tmp_path):
    names = [HEAT, "Fargo (1996)", "Matrix, The (1999)"]
    titles = Titles(Movies(np.array([6, 608, 2571]), names, [year_of(n) for n in names], [[]] * 3))
    (tmp_path / "links.csv").write_text(
        "movieId,imdbId,tmdbId\n6,0113277,949\n608,0116282,\n9,0000009,603\n2571,0133093,603\n"
    )
    stored = read_links(tmp_path, [6, 608, 2571])
    rare_last = read_links(tmp_path, [608, 2571, 6])  # movies without a column come behind the others
    assert rare_last == {name: [*column[1:], column[0]] for name, column in stored.items()}
    assert stored == {"imdbId": [113277, 116282, 133093], "tmdbId": [949, None, 603]}
    links = as_links(stored)
    assert links == Links({113277: 0, 116282: 1, 133093: 2}, {949: 0, 603: 2})
    rows = {
        "tt0113277,,Coûte que coûte,2001": [0],  # the id of IMDb counts, whatever the title
        ",949,Coûte que coûte,1995": [0],
        ",949,Coûte que coûte,2001": [],  # TMDB's are those of series, too: the year has to agree
        "tt0113277,,Fargo,1996": [],  # two movies
        "tt7654321,,Fargo,1996": [1],
        "tt7654321,,Fargo,1997": [],  # another movie, or else the data had the id
        "tt7654321,,Fargo,": [],
    }
    for row, movies in rows.items():
        path = tmp_path / "mine.csv"
        path.write_text(f"Const,TMDB ID,Title,Year,Your Rating\n{row},8\ntt0133093,,The Matrix,1999,8\n")
        assert sorted(read_personal(path, titles, SCALE, links).stars) == [*movies, 2], row
    assert read_links(tmp_path / "nowhere", [1]) is None
    assert as_links(None) == Links({}, {})


# -- kinds and columns -------------------------------------------------------------------------------------------------


def test_series_episodes_and_games_are_no_movies():
    movies = "movie|Film|TV Movie|TV-Film|Short|Video|Feature Film|Película|TV Special||Documentary"
    others = (
        "tv|show|TV Series|TV Mini Series|tvEpisode|episode|season|Video Game|Podcast Series|Fernsehserie|anime"
        "|Série télévisée|Serie de TV|Episodio TV|Videojuego|Jeu vidéo"
    )
    assert all(is_movie({"kind": word}) for word in movies.split("|"))
    assert not any(is_movie({"kind": word}) for word in others.split("|"))


def test_ids_alone_need_the_links_of_the_data(read):
    with pytest.raises(UserError, match=r"mine.csv: ids of IMDb and TMDB need a links.csv .*; give a column of titles"):
        read("Const,Your Rating\ntt0113277,8\n")


@pytest.mark.parametrize("text", ["1999", "1999.0", "(1999)", "1999-03-30", "30.3.1999", "3/30/1999", "1999–2004"])
def test_years_are_read_in_dates(text):
    assert year_in(text) == 1999
    assert year_in("19991") is year_in("") is None


def test_columns_are_found_by_their_best_spelling():
    assert columns_of(["Rating", "Your Rating", "NAME", "Année"]) == {"rating": 1, "title": 2, "year": 3}
    assert not is_movie({"season": "1"})
    assert not is_movie({"episode": "s1e3"})
    assert is_movie({"season": "", "episode": "None"})
    assert format_of(["Title", "Rating"]) is None
    assert [imdb_id(text) for text in ("tt0133093", "133093", "https://www.imdb.com/title/tt0133093/", "x")] == [
        *(133093,) * 3, None,
    ]  # fmt: skip


ROW = st.tuples(
    st.sampled_from(["Heat", "The Matrix", "Toy Story", "Sing", "Solaris", "War of the Worlds", ""]),
    st.sampled_from(["1995", "1999", "2005", ""]),
    st.sampled_from(["5", "1", "0", ""]),
    st.sampled_from(["movie", "tv", ""]),
)


@settings(deadline=None, max_examples=40)
@given(rows=st.lists(ROW, max_size=12))
def test_every_line_is_counted_once(titles, tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("files") / "mine.csv"
    lines = [",".join(row) for row in [*rows, ("Heat", "1995", "4", "movie")]]
    path.write_text("title,year,rating,type\n" + "\n".join(lines) + "\n")
    if any(not title and stars not in ("", "0") and kind != "tv" for title, _, stars, kind in rows):
        with pytest.raises(UserError, match=r"mine.csv:\d+: the title is empty"):
            read_personal(path, titles, SCALE)
        return
    notes = read_personal(path, titles, SCALE).notes
    total, parts = re.fullmatch(r"(\d+) lines?: (.*)", notes[-1].removeprefix(f"{path}: ")).groups()
    assert int(total) == len(lines) == sum(int(part.split()[0]) for part in parts.split(", "))


# -- workbooks ---------------------------------------------------------------------------------------------------------


def workbook(*sheets):
    """An .xlsx file of these sheets, each (title, rows)."""
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(buffer)
    return buffer.getvalue()


MINE = (
    ["Title", "Released", "My rating", None, "Average"],
    ["The Matrix", datetime.date(1999, 3, 30), 4.5, None, 4],
    [],
    [300, 2006, 3, None, None],
    ["Heat", 1995.0, "2,5", None, None],
    ["Sing", 2016, 5, None, None],
    ["Toy Story", datetime.datetime(1995, 11, 22), None, None, "#N/A"],
)


def test_a_workbook_is_read_from_the_sheet_that_names_the_columns(read):
    content = workbook(("About", [["My movies"], ["Title", 5]]), ("Empty", []), ("Films", MINE))
    for name, data in (("mine.xlsx", content), ("mine.zip", zip_of({"my ratings.xlsx": content}))):
        found, _, notes = read(data, name)
        assert found == {MATRIX: 4.5, "300 (2007)": 3, HEAT: 2.5}
        assert notes[0] == "row 4: 300 (2006) read as 300 (2007), of another year"
        counts = "5 lines: 3 rated movies are in the data, 1 not in the data, 1 without a rating"
        assert notes[-1] == f"{name}: {counts}"


def test_a_title_above_the_names_of_the_columns_is_left_and_said(read, listed):
    rows = [["My movies of 2024"], [], ["Film", "Year", "Stars (out of 5)"], ["Heat", 1995, 4.5]]
    found, _, notes = read(workbook(("Mine", rows)), "mine.xlsx")
    assert found == {HEAT: 4.5}
    assert notes[0] == "mine.xlsx: row 3 names the columns, what stands above is left"
    assert listed("To watch,\n\nFilm,Year\nHeat,1995\n", "watch.csv")[0] == {HEAT}
    assert listed("Heat (1995)\nFilm\n", "watch.txt")[0] == {HEAT}  # a title, not the name of a column


def test_columns_far_to_the_right_of_a_workbook_are_read(read):
    rows = [["Title", *[None] * 200, "Year", *["Note"] * 53, "My rating"], ["Heat", *[None] * 200, 1995, *"x" * 53, 4]]
    assert len(rows[0]) == len(rows[1]) == 256
    assert read(workbook(("Mine", rows)), "mine.xlsx")[0] == {HEAT: 4}


def test_ratings_out_of_several_numbers_are_refused(read):
    with pytest.raises(UserError, match=r"mine.csv: ratings out of 5 and out of 10$"):
        read("title,year,rating\nHeat,1995,8/10\nCasino,1995,★★½\n")


OLD_EXCEL = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            workbook(("S", [["a"], ["b"]])),
            r"mine.xlsx: columns title .* the first row of a sheet must name them",
        ),
        (workbook(("S", [])), "found: nothing"),
        (workbook(("S", [["title", "rating"], [], ["Heat", "good"]])), "mine.xlsx/S:3: rating 'good' is not a number"),
        (workbook(("S", [["title", "rating"], ["Heat", 400]])), "mine.xlsx/S:2: rating 400 is not from 0.5 to 5"),
        (workbook(("S", MINE))[:900], "mine.xlsx: the archive can't be read"),
        (zip_of({"xl/workbook.xml": "<workbook"}), "mine.xlsx: the workbook can't be read"),
        (
            OLD_EXCEL,
            r"mine.xlsx: this is an old Excel workbook \(.xls\); save it as .xlsx without a password, or",
        ),
        (OLD_EXCEL + "EncryptedPackage".encode("utf-16-le"), "mine.xlsx: this is a workbook with a password; save it"),
        (zip_of({"ratings.xls": OLD_EXCEL}), "mine.xlsx/ratings.xls: this is an old Excel workbook"),
        (zip_of({"content.xml": "x"}), "mine.xlsx: this is an OpenDocument spreadsheet"),
    ],
)
def test_a_workbook_that_can_not_be_used_is_said(read, content, said):
    with pytest.raises(UserError, match=said):
        read(content, "mine.xlsx")


def test_an_export_of_trakt_as_a_zip_gives_its_ratings_and_what_was_watched(read):
    def entry(title, kind="movie", **more):
        return {kind: {"title": title, "year": 1995, "ids": {}}, **more}

    movies = [entry("Heat", rated_at="2020", rating=9, type="movie")]
    files = {
        "ratings-movies.json": movies,
        "ratings-shows.json": [],
        "watched-movies.json": [entry("Heat", plays=2), entry("Toy Story", plays=1)],
        "watched-shows.json": [entry("Casino", "show", plays=9)],
    }
    found, seen, notes = read(zip_of({name: json.dumps(content) for name, content in files.items()}), "trakt.zip")
    assert (found, seen) == ({HEAT: 4.5}, {TOYS})
    assert notes[-1].endswith(
        "3 lines, read as Trakt's: 1 rated movie is in the data, 1 seen without a rating, 1 named before"
    )


# -- watchlists --------------------------------------------------------------------------------------------------------

LISTS = {
    "watchlist.csv": "Date,Name,Year,Letterboxd URI\n2021,Heat,1995,x\n2021,Sing,2016,y\n2021,Casino,1995,z\n",
    "list.csv": "Letterboxd list export v7\nDate,Name,Tags,URL,Description\n2021,Mine,,x,\n\n"
    "Position,Name,Year,URL,Description\n1,Heat,1995,x,\n2,Sing,2016,x,\n3,Casino,1995,x,\n",
    "imdb.csv": "Position,Const,Created,Modified,Description,Title,URL,Title Type,IMDb Rating,Year,Your Rating\n"
    "1,tt1,2020,2020,,Heat,u,Movie,8.3,1995,\n2,tt2,2020,2020,,Sing,u,Movie,8,2016,odd\n"
    "3,tt3,2020,2020,,Fargo,u,TV Series,9,1996,\n4,tt4,2020,2020,,Casino,u,Movie,8.2,1995,9\n",
    "trakt.json": json.dumps(
        [
            {"rank": 1, "listed_at": "2020", "type": kind, kind: {"title": title, "year": year, "ids": {"trakt": 1}}}
            for kind, title, year in (("movie", "Heat", 1995), ("movie", "Sing", 2016), ("show", "Fargo", 1996))
        ]
        + [{"rank": 4, "listed_at": "2020", "type": "movie", "movie": {"title": "Casino", "year": 1995}}]
    ),
    "plain.txt": "Heat (1995)\n\nSing (2016)\nCasino, 1995\n",
    "numbered.txt": "1. Heat (1995)\r\n2. Sing (2016)\r\n3. Casino\t1995\r\n",
    "ticked.md": "- [ ] Heat (1995)\n- [x] Sing (2016)\n- [ ] Casino (1995)\n",
}


@pytest.fixture
def listed(titles, tmp_path):
    def of(content, name):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        movies, notes = read_watchlist(tmp_path / name, titles)
        return {titles.movies.titles[movie] for movie in movies}, [n.replace(f"{tmp_path}/", "") for n in notes]

    return of


@pytest.mark.parametrize("name", LISTS)
def test_a_watchlist_gives_its_movies(listed, name):
    movies, notes = listed(LISTS[name], name)
    assert movies == {HEAT, CASINO}
    assert "left out, not in the data: 1 (Sing (2016))" in notes
    n, series = (4, ", 1 no movies but series or games") if name in ("imdb.csv", "trakt.json") else (3, "")
    whose = {"watchlist.csv": "Letterboxd", "list.csv": "Letterboxd", "imdb.csv": "IMDb", "trakt.json": "Trakt"}
    read_as = f", read as {whose[name]}'s" if name in whose else ""
    assert notes[-1] == f"{name}: {n} lines{read_as}: 2 movies are in the data, 1 not in the data{series}"
    guessed = f"{name}: its first line names no columns, so each line is read as a title"
    assert (guessed in notes) == (name not in whose)


def test_the_watchlist_in_a_zip_of_letterboxd_is_read_and_a_repeated_movie_counts_once(listed, read):
    lines = LISTS["watchlist.csv"] + "2022,Heat,1995,x\n"
    archive = zipped(ratings=f"{LETTERBOXD}2021-01-01,Fargo,1996,x,4\n", watchlist=lines, watched=LISTS["list.csv"])
    movies, notes = listed(archive, "letterboxd.zip")
    assert movies == {HEAT, CASINO}
    counts = "2 movies are in the data, 1 named before, 1 not in the data"
    assert notes[-1] == f"letterboxd.zip: 4 lines, read as Letterboxd's: {counts}"
    assert read(archive, "letterboxd.zip")[:2] == ({FARGO: 4}, {HEAT, CASINO})
    with pytest.raises(UserError, match=r"mine.zip: no watchlist.csv in this zip archive; found: a.csv, b.csv"):
        listed(zipped(a="title\nHeat\n", b="title\nHeat\n"), "mine.zip")
    with pytest.raises(UserError, match=r"mine.txt: none of its movies counts; .*\(Sing \(2016\)\)"):
        listed("Sing (2016)\n", "mine.txt")


PLANS = (
    "SIMKL_ID,Title,Type,Year,Watchlist,Rating\n1,Heat,movie,1995,plantowatch,\n2,Casino,movie,1995,completed,\n"
    "3,The Matrix,movie,1999,completed,9\n"
)
PLANS_JSON = json.dumps(
    {
        "movies": [
            {"user_rating": stars, "status": status, "movie": {"title": title, "year": year, "ids": {"simkl": 1}}}
            for title, year, status, stars in (
                ("Heat", 1995, "plantowatch", None),
                ("Casino", 1995, "completed", None),
                ("The Matrix", 1999, "completed", 9),
            )
        ]
    }
)


@pytest.mark.parametrize(("text", "name"), [(PLANS, "simkl.csv"), (PLANS_JSON, "simkl.json")])
def test_what_simkl_plans_is_not_seen_and_alone_on_the_watchlist(read, listed, text, name):
    found, seen, notes = read(text, name)
    assert (found, seen) == ({MATRIX: 4.5}, {CASINO})
    assert "left out, without a rating: 1 (Heat)" in notes
    assert notes[-1] == (
        f"{name}: 3 lines, read as Simkl's: 1 rated movie is in the data, 1 seen without a rating, 1 without a rating"
    )
    movies, notes = listed(text, name)
    assert movies == {HEAT}
    assert "left out, watched or given up, so not on the watchlist: 2 (Casino; The Matrix)" in notes


def test_what_holds_no_ratings_is_said_to_be_empty_or_of_another_layout(read):
    with pytest.raises(UserError, match=r"mine\.csv: the file holds no movies$"):
        read("title,year,rating\n,,\n")
    with pytest.raises(UserError, match=r"title .* and rating are needed in each object; found: Heat, Casino"):
        read('{"Heat": 5, "Casino": 4}', "mine.json")
