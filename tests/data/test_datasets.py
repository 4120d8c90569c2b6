"""Reading ratings: every layout comes out as an independent parse of it says."""

import csv
import gzip
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, real
from reading import FIVE_STARS, HEADING, cells, refusal, write

from utils.data import datasets, test_file
from utils.data.datasets import Dataset, load
from utils.data.describe import _spread, describe
from utils.data.movies import Movies, quantity
from utils.data.ratings import Ratings
from utils.data.reading import scales
from utils.errors import UserError

BUNDLED = REPOSITORY / "data" / "ml-latest-small-2016"


# --- layouts ---------------------------------------------------------------------------------------------------------


def test_the_bundled_set_is_what_the_csv_module_reads_in_it():
    dataset = load("ml-latest-small-2016")
    with open(BUNDLED / "ratings.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = {(int(r["userId"]), int(r["movieId"])): (float(r["rating"]), int(r["timestamp"])) for r in rows}
    assert cells(dataset) == expected
    assert (len(dataset.ratings), dataset.ratings.shape, dataset.ratings.scale) == (100_004, (671, 9_066), (0.5, 5.0))
    with open(BUNDLED / "movies.csv", newline="", encoding="utf-8") as file:
        titles = {int(r["movieId"]): (r["title"], r["genres"]) for r in csv.DictReader(file)}
    for raw, title, genres in zip(
        dataset.movies.ids.tolist(), dataset.movies.titles, dataset.movies.genres, strict=True
    ):
        listed = titles[raw][1]
        assert (title, genres) == (titles[raw][0], [] if listed == "(no genres listed)" else listed.split("|"))


def test_the_bundled_set_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(load("ml-latest-small-2016").ratings) == 100_004


def test_indices_are_0_based_positions_in_ascending_ids(tmp_path):
    ratings = load(write(tmp_path, "userId,movieId,rating\n30,-7,4\n5,2000000000000,1\n30,11,5\n")).ratings
    assert ratings.user_ids.tolist() == [5, 30]
    assert ratings.movie_ids.tolist() == [-7, 11, 2_000_000_000_000]
    assert (ratings.user.tolist(), ratings.movie.tolist()) == ([1, 0, 1], [0, 2, 1])
    assert (ratings.user.dtype, ratings.movie.dtype, ratings.rating.dtype) == (np.int32, np.int32, np.float32)


def ml_100k(folder):
    write(folder, "7\t1\t3\t100\n3\t2\t4\t200\n3\t5\t1\t300\n", "u.data")
    flags = ["0"] * 19
    items = []
    for line, on in (
        ("1|Matrix, The (1999)|01-Jan-1999||a", {1, 15}),
        ("2|Amélie||v|a", {0}),
        ("5|A|09-Feb-1931||", {}),
    ):
        items.append("|".join([line, *("1" if i in on else flag for i, flag in enumerate(flags))]))
    write(folder, "\n".join(items).encode("latin-1"), "u.item")
    write(folder, "3|24|M|technician|85711\n7|53|F|other|94043\n9|23|M|writer|32067\n", "u.user")
    return load(folder)


def test_ml_100k_layout_gives_latin_1_titles_genres_of_flags_and_users_in_row_order(tmp_path):
    dataset = ml_100k(tmp_path)
    assert cells(dataset) == {(7, 1): (3, 100), (3, 2): (4, 200), (3, 5): (1, 300)}
    assert dataset.movies.titles == ["Matrix, The (1999)", "Amélie", "A"]
    assert dataset.movies.genres == [["Action", "Sci-Fi"], [], []]  # "unknown" is no genre
    assert dataset.movies.years == [1999, None, 1931]
    assert dataset.users.to_dict("list") == {
        "age": [24, 53],
        "gender": ["M", "F"],
        "occupation": ["technician", "other"],
    }


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_dat_layout_is_read_in_either_encoding_with_colons_in_titles(tmp_path, encoding):
    write(tmp_path, "2::10::3.5::100\n1::20::5::200\n", "ratings.dat")
    movies = "10::Léon: The Professional (1994)::Crime|Drama\n20::Q::A (2000)::Comedy\n30::Unrated (1990)::Drama\n"
    write(tmp_path, movies.encode(encoding), "movies.dat")
    write(tmp_path, "1::F::1::10::48067\n2::M::56::16::70072\n", "users.dat")
    dataset = load(tmp_path)
    assert cells(dataset) == {(2, 10): (3.5, 100), (1, 20): (5, 200)}
    assert dataset.movies.titles == ["Léon: The Professional (1994)", "Q::A (2000)"]
    assert dataset.movies.genres == [["Crime", "Drama"], ["Comedy"]]
    assert dataset.users["occupation"].tolist() == ["K-12 student", "self-employed"]
    assert any("1 movies of movies.dat have no rating" in note for note in dataset.notes)


def test_a_user_the_user_file_lacks_has_missing_values(tmp_path):
    write(tmp_path, "1::10::3::1\n2::10::5::2\n", "ratings.dat")
    write(tmp_path, "2::M::56::16::70072\n", "users.dat")
    users = load(tmp_path).users
    assert users["age"].isna().tolist() == [True, False]
    assert len(users) == 2


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "::"])
def test_other_spellings_of_the_columns_are_recognised_and_said(tmp_path, separator):
    rows = [["stars", "Item_ID", "why", "user"], ["4", "8", "so", "1"], ["2", "9", "what", "1"]]
    dataset = load(write(tmp_path, "\n".join(map(separator.join, rows)), "own.tsv"))
    assert cells(dataset) == {(1, 8): (4, None), (1, 9): (2, None)}
    assert "columns user, Item_ID, stars read as userId, movieId, rating" in dataset.notes


@pytest.mark.parametrize("rows", [1, 2, None])  # of a row group
@pytest.mark.parametrize("kind", ["integers", "floats", "text", "categories", "dates"])
def test_parquet_gives_what_the_frame_held(tmp_path, kind, rows):
    frame = pd.DataFrame({"userId": [1, 2, 2], "movieId": [5, 5, 9], "rating": [1.5, 2, 5], "timestamp": [7, 8, 9]})
    expected = {(1, 5): (1.5, 7), (2, 5): (2, 8), (2, 9): (5, 9)}
    if kind == "floats":
        frame = frame.astype({"userId": float, "timestamp": float})
    if kind in ("text", "categories"):
        frame["movieId"] = frame["movieId"].map({5: "tt-5", 9: "tt-9"}).astype("category" if kind != "text" else "str")
        expected = {(user, f"tt-{movie}"): value for (user, movie), value in expected.items()}
    if kind == "dates":
        frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="s")
    frame.to_parquet(tmp_path / "own.parquet", row_group_size=rows)
    assert cells(load(tmp_path / "own.parquet")) == expected


def test_text_ids_survive_quotes_commas_and_accents(tmp_path):
    path = write(tmp_path, 'user,movie,rating\n"O\'Neil, ""Zoë""",tt1,3\nann,tt2,4\nann,tt1,1\n')
    assert cells(load(path)) == {
        ('O\'Neil, "Zoë"', "tt1"): (3, None),
        ("ann", "tt2"): (4, None),
        ("ann", "tt1"): (1, None),
    }
    assert load(path).ratings.movie_ids.tolist() == ["tt1", "tt2"]


def test_ids_are_whole_numbers_if_more_than_half_are_and_text_otherwise(tmp_path):
    half = load(write(tmp_path, "user,movie,rating\n1,1,3\nx,1,4\n"))
    assert half.ratings.user_ids.tolist() == ["1", "x"]
    said = refusal(write(tmp_path, "user,movie,rating\n1,1,3\n2,1,3\nx,1,4\n"))
    assert "own.csv:4: userId 'x' is not a whole number" in said
    said = refusal(write(tmp_path, "user,movie,rating\n1,1,3\n1,2,3\nx,1,4\n"))  # of the column, not of the users
    assert "own.csv:4: userId 'x' is not a whole number" in said
    assert load(write(tmp_path, "user,movie,rating\n1.0,5,3\n2.0,007,3\n")).ratings.user_ids.tolist() == [1, 2]


def test_hexadecimal_ids_are_text(tmp_path):  # the fast pass would read them as numbers
    assert load(write(tmp_path, "user,movie,rating\n1,0x10,3\n")).ratings.movie_ids.tolist() == ["0x10"]
    assert load(write(tmp_path, "0X1\t10\t3\t1\n", "u.data")).ratings.user_ids.tolist() == ["0X1"]


def test_a_movie_table_beside_own_ratings_names_the_movies_it_lists(tmp_path):
    write(
        tmp_path, 'movie_id,name,genre,year\n5,"Say ""Hi"", Bob",Drama| Crime,1977.0\n7,Other (1990),,\n', "movies.csv"
    )
    dataset = load(write(tmp_path, "user,movie,rating\n1,5,3\n1,6,4\n"))
    assert dataset.movies.titles == ['Say "Hi", Bob', "movie 6"]
    assert (dataset.movies.years, dataset.movies.genres) == ([1977, None], [["Drama", "Crime"], []])
    assert "1 rated movies are not in movies.csv: called by their ids" in dataset.notes


def test_without_a_movie_table_movies_are_called_by_their_ids(tmp_path):
    assert load(write(tmp_path, HEADING + FIVE_STARS)).movies.titles == ["movie 1", "movie 2"]


def test_tags_are_read_on_demand_with_matrix_indices(tmp_path):
    path = write(tmp_path, HEADING + FIVE_STARS, "ratings.csv")
    assert load(path).tags is None
    write(tmp_path, 'userId,movieId,tag,timestamp\n2,2,"dark, slow",99\n8,1,fun,98\n', "tags.csv")
    assert load(path).tags.values.tolist() == [[1, 1, "dark, slow", 99], [-1, 0, "fun", 98]]
    (tmp_path / "tags.csv").unlink()
    write(tmp_path, "2::2::dark::slow::99\n", "tags.dat")
    assert load(path).tags.values.tolist() == [[1, 1, "dark::slow", 99]]
    write(tmp_path, "2::2::dark::99\n2::2::99\n", "tags.dat")
    with pytest.raises(UserError, match=r"tags\.dat:2: too few fields"):
        load(path).tags  # noqa: B018


def test_bom_crlf_gzip_blank_lines_and_no_last_line_end_change_nothing(tmp_path):
    plain = HEADING + FIVE_STARS
    expected = cells(load(write(tmp_path, plain)))
    assert expected == {(1, 1): (0.5, 10), (1, 2): (5, 11), (2, 1): (3, 12)}
    for other in (
        b"\xef\xbb\xbf" + plain.encode(),
        plain.replace("\n", "\r\n").encode(),
        plain.replace("\n", "\r").encode(),
        plain.replace("\n", "\n\n").encode(),
        b"\n\r\n" + plain.encode(),
        plain.rstrip("\n").encode(),
        gzip.compress(b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode(), mtime=0),
        re.sub(r"([^,\n]+)", r'"\1"', plain).encode(),
    ):
        assert cells(load(write(tmp_path, other))) == expected


# --- names, notes and description ------------------------------------------------------------------------------------


def test_a_set_is_called_after_its_file_or_its_folder(tmp_path):
    assert load(write(tmp_path, HEADING + FIVE_STARS, "mine.csv")).name == "mine"
    folder = tmp_path / "ml-10M100K"
    folder.mkdir()
    write(folder, "1::1::3::1\n1::2::4::2\n", "ratings.dat")
    dataset = load("ml-10m", data_dir=tmp_path)
    assert (dataset.name, dataset.folder) == ("ml-10m", folder)
    said = (
        "this copy of ml-10m is not the published one: it has 2 ratings, 2 movies, 1 users, published were 10,000,054 "
    )
    assert any(note.startswith(said) for note in dataset.notes)


def test_what_lies_under_the_data_folder_goes_before_what_the_repository_has(tmp_path):
    assert datasets.find(BUNDLED.name, tmp_path) == BUNDLED
    (tmp_path / BUNDLED.name).mkdir()
    assert datasets.find(BUNDLED.name, tmp_path) == tmp_path / BUNDLED.name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("my.ratings.v2.csv", "my.ratings.v2"),
        ("my.ratings.v3.CSV.gz", "my.ratings.v3"),
        ("mine.data.tsv", "mine.data"),
        ("mine.gz", "mine"),
        ("csv", "csv"),
        ("my.v2", "my.v2"),
        ("u1.base", "u1"),
        (".hidden.csv", "hidden"),
        (".csv", "ratings"),
        (".mine/ratings.csv", "mine"),
        ("/ratings.csv", "ratings"),
    ],
)
def test_files_are_told_apart_by_name_and_none_is_hidden_or_nameless(file, name, tmp_path):
    assert datasets.name_of(tmp_path / file) == name


def test_the_description_counts_what_the_file_holds(tmp_path):
    rows = dict(describe(load(write(tmp_path, HEADING + FIVE_STARS))))
    assert (rows["ratings"], rows["users"], rows["movies"]) == ("3", "2", "2")
    assert rows["density"].startswith("75.00%")
    assert rows["ratings per user"] == "1 to 2; median 1, middle half 1 to 2"
    assert rows["mean rating"] == f"{(0.5 + 5 + 3) / 3:.3f}"
    assert rows["stars 0.5"] == "1 (33.3%)"
    assert rows["time span"] == "1970-01-01 to 1970-01-01"
    many = "userId,movieId,rating\n" + "\n".join(f"1,{i},{1 + i / 10}" for i in range(41))
    histogram = [text for label, text in describe(load(write(tmp_path, many))) if label.startswith("stars")]
    assert len(histogram) == 10
    assert sum(int(text.split()[0]) for text in histogram) == 41


# --- the published sets ----------------------------------------------------------------------------------------------


@pytest.mark.realdata
def test_ml_100k_has_its_published_counts():
    dataset = load(real("ml-100k"))
    assert (len(dataset.ratings), dataset.ratings.shape, dataset.ratings.scale) == (100_000, (943, 1_682), (1, 5))
    with open(real("ml-100k") / "u.data", newline="") as file:
        expected = {(int(u), int(m)): (float(r), int(t)) for u, m, r, t in csv.reader(file, delimiter="\t")}
    assert cells(dataset) == expected
    assert not [note for note in dataset.notes if "published" in note]
    assert dataset.movies.describe(0) == {
        "movieId": 1,
        "title": "Toy Story (1995)",
        "name": "Toy Story",
        "year": 1995,
        "genres": ["Animation", "Children's", "Comedy"],
    }
    assert "Misérables, Les (1995)" in dataset.movies.titles
    assert Counter(dataset.users["gender"]) == {"M": 670, "F": 273}
    assert dict(describe(dataset))["time span"] == "1997-09-20 to 1998-04-22"  # as its README says


@pytest.mark.realdata
def test_ml_1m_has_its_published_counts():
    dataset = load(real("ml-1m"))
    assert (len(dataset.ratings), dataset.ratings.shape, dataset.ratings.scale) == (1_000_209, (6_040, 3_706), (1, 5))
    stars = np.bincount(dataset.ratings.rating.astype(int))[1:]
    assert stars.tolist() == [56_174, 107_557, 261_197, 348_971, 226_310]
    assert "177 movies of movies.dat have no rating: left out" in dataset.notes  # 3,883 listed
    assert Counter(dataset.users["gender"]) == {"M": 4_331, "F": 1_709}
    assert {"Life Is Beautiful (La Vita è bella) (1997)", "Alien³ (1992)"} <= set(dataset.movies.titles)
    with open(real("ml-1m") / "ratings.dat") as file:
        constant = len({line.rsplit("::", 1)[1] for line in file}) == 1  # so in some copies
    assert (dataset.ratings.timestamp is None) == constant


@pytest.mark.realdata
def test_a_published_fold_is_read_like_any_rating_file():
    dataset = load(real("ml-100k"))
    base, test = (datasets.read_table(real("ml-100k") / name)[1] for name in ("u1.base", "u1.test"))
    assert (len(base.rating), len(test.rating)) == (80_000, 20_000)
    union = {
        (u, m): r
        for table in (base, test)
        for u, m, r in zip(table.user_ids[table.user], table.movie_ids[table.movie], table.rating, strict=True)
    }
    assert union == {key: stars for key, (stars, _) in cells(dataset).items()}


def test_movies_of_a_test_file_without_titles_keep_those_of_the_data(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ratings.csv").write_text("userId,movieId,rating\n1,3,4\n1,7,2\n2,3,5\n")
    titles = "movieId,title,genres\n3,Three (1993),Drama|War\n7,Seven (1995),Crime\n9,Nine (2009),Musical\n"
    (tmp_path / "data" / "movies.csv").write_text(titles)
    (tmp_path / "test.csv").write_text("userId,movieId,rating\n2,7,3\n2,11,1\n")
    data = datasets.load(tmp_path / "data")
    joined, _ = test_file.with_test_ratings(data, "fixed", tmp_path / "test.csv")
    assert joined.notes == [*data.notes, f"{tmp_path / 'test.csv'}: 2 ratings read, no line left out"]
    assert joined.ratings.movie_ids.tolist() == [3, 7, 11]
    assert joined.movies.titles[:2] == ["Three (1993)", "Seven (1995)"]
    assert (joined.movies.years[:2], joined.movies.genres[:2]) == ([1993, 1995], [["Drama", "War"], ["Crime"]])
    assert joined.movies.titles[2] == Movies.untitled(np.array([11])).titles[0]
    age = pd.DataFrame({"age": [30, 60]})
    (tmp_path / "test.csv").write_text("userId,movieId,rating\n0,7,3\n2,7,3\n")
    joined, _ = test_file.with_test_ratings(replace(data, users=age), "fixed", tmp_path / "test.csv")
    assert joined.ratings.user_ids.tolist() == [0, 1, 2]
    assert joined.users.age.tolist()[1:] == [30, 60]
    assert joined.users.age.isna().tolist() == [True, False, False]  # of user 0 nothing is known


@pytest.mark.parametrize(("top", "low"), [(5, 0.5), (10, 1)])
def test_halves_start_a_scale_at_a_half_up_to_five_stars(top, low):
    stars = np.array([1, 1.5, 2.5, 4.5, top] * 20, np.float32)
    assert scales.find_scale(stars) == (low, top)


@pytest.mark.parametrize(("top", "expected"), [(9, (1, 9)), (10, (1, 10)), (11, (0, 11)), (20, (0, 20))])
def test_zeros_count_as_ratings_only_on_scales_that_end_above_ten(top, expected):
    stars = np.array([0, *range(1, top + 1)] * 20, np.float32)
    assert scales.find_scale(stars) == expected


def test_a_single_rating_below_half_a_star_does_not_widen_a_scale_of_halves():
    stars = np.arange(0.5, 5.5, 0.5, np.float32)
    assert scales.find_scale(np.append(stars, np.float32(0.1))) == (0.5, 5)
    assert scales.find_scale(np.append(stars, np.float32([0.1, 0.1]))) == (pytest.approx(0.1), 5)
    assert scales.find_scale(np.append(stars - 0.25, np.float32(0.1))) == (pytest.approx(0.1), 5)


@pytest.mark.parametrize(
    "content", [b"\x1f", b"\x1c\n\x1d\n", b"\xff\n", b"\n" * 100_000 + b"userId,movieId,rating\n1,1,3\n"]
)
def test_a_file_without_text_at_its_start_is_refused(content, tmp_path):
    (tmp_path / "own.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"own\.csv"):
        datasets.load(tmp_path / "own.csv")


def test_the_description_tells_users_from_movies_and_likes_from_other_ratings():
    ratings = Ratings(
        np.array([0, 0, 0, 1, 2], np.int32), np.array([0, 1, 2, 0, 1], np.int32),
        np.array([3.5, 4, 0.0005, 5, 5], np.float32), np.array([300, 5, 86_400, 90_000, 7]) + 86_400 * 10,
        np.arange(3), np.arange(4), (0.0, 5.0),
    )  # fmt: skip
    movies = Movies(np.arange(4), ["A"] * 4, [1990, None, 1990, None], [["War"]] * 4)
    users = pd.DataFrame({"age": [20, None, 30], "zip": [None, None, None]})
    rows = dict(describe(Dataset("mine", ratings, movies, users=users, notes=["said"])))
    assert rows["ratings per user"] == "1 to 3; median 1, middle half 1 to 3"
    assert rows["ratings per movie"] == "0 to 2; median 2, middle half 1 to 2"
    assert rows["likes"] == "3, ratings above 3.5 (60.0%)"
    assert (rows["scale"], rows["mean rating"], rows["stars 0"]) == ("0 to 5", "3.500", "1 (20.0%)")
    assert rows["time span"] == "1970-01-11 to 1970-01-12"
    assert rows["movie table"] == "years of 2, genres of all"
    assert (rows["user table"], rows["note"]) == ("age of 2, zip of none", "said")
    ten = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 90])
    assert _spread(ten) == "0 to 90; median 3, middle half 1 to 6"
    table = replace(ratings, user=np.zeros(20, np.int32), movie=np.arange(20, dtype=np.int32) % 4, timestamp=None)
    exact = replace(table, rating=np.linspace(0.25, 5, 20, dtype=np.float32))
    assert sum(name.startswith("stars") for name, _ in describe(Dataset("mine", exact, movies))) == 20


def test_one_thing_is_no_plural():
    assert [quantity(n, "user") for n in (0, 1, 2, 2000)] == ["0 users", "1 user", "2 users", "2,000 users"]
