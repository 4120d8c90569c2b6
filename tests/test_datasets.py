"""Reading ratings: every layout comes out as an independent parse says, and what is wrong is named by file and line."""

import csv
import gzip
import io
import math
import os
import re
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from utils import tables
from utils.datasets import KNOWN, REPOSITORY, load
from utils.describe import describe
from utils.errors import UserError

BUNDLED = REPOSITORY / "data" / "ml-latest-small-2016"
REAL = Path(os.environ.get("REELSPACE_DATA", REPOSITORY.parent / "shared" / "data"))
HEADING = "userId,movieId,rating,timestamp\n"
FIVE_STARS = "1,1,0.5,10\n1,2,5,11\n2,1,3,12\n"


def write(folder, text, name="own.csv"):
    """A file of that text (or those bytes); its path."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def cells(dataset):
    """{(raw user, raw movie): (stars, seconds)} of a Dataset, seconds None where it has no timestamps."""
    r = dataset.ratings
    seconds = [None] * len(r) if r.timestamp is None else r.timestamp.tolist()
    keys = zip(r.user_ids[r.user].tolist(), r.movie_ids[r.movie].tolist(), strict=True)
    return dict(zip(keys, zip(r.rating.tolist(), seconds, strict=True), strict=True))


def refusal(path, **options):
    """The message of the UserError that loading gives; at most two lines."""
    with pytest.raises(UserError) as caught:
        load(path, **options)
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


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


@pytest.mark.parametrize("kind", ["integers", "floats", "text", "categories", "dates"])
def test_parquet_gives_what_the_frame_held(tmp_path, kind):
    frame = pd.DataFrame({"userId": [1, 2, 2], "movieId": [5, 5, 9], "rating": [1.5, 2, 5], "timestamp": [7, 8, 9]})
    expected = {(1, 5): (1.5, 7), (2, 5): (2, 8), (2, 9): (5, 9)}
    if kind == "floats":
        frame = frame.astype({"userId": float, "timestamp": float})
    if kind in ("text", "categories"):
        frame["movieId"] = frame["movieId"].map({5: "tt-5", 9: "tt-9"}).astype("category" if kind != "text" else "str")
        expected = {(user, f"tt-{movie}"): value for (user, movie), value in expected.items()}
    if kind == "dates":
        frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="s")
    frame.to_parquet(tmp_path / "own.parquet")
    assert cells(load(tmp_path / "own.parquet")) == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"userId": ["a", "b", ""]}, "row 3: userId is empty"),
        ({"userId": ["a", None, "c"]}, "row 2: the userId is empty"),
        ({"userId": [1.5, 2, 3]}, "row 1: userId 1.5 is not a whole number"),
        ({"rating": [1, math.nan, 3]}, "row 2"),
        ({"rating": [1, 2, math.inf]}, "row 3"),
        ({"rating": ["a", "b", "c"]}, "not numbers"),
        ({"timestamp": [1, 2, 10**17]}, "row 3: timestamp"),
        ({"userId": [1, 1, 2], "movieId": [3, 3, 4]}, "row 2: user 1 has already rated movie 3"),
    ],
)
def test_wrong_parquet_is_refused_by_row(tmp_path, change, said):
    frame = pd.DataFrame({"userId": [1, 2, 3], "movieId": [5, 6, 7], "rating": [1, 2, 3], "timestamp": [7, 8, 9]})
    frame.assign(**change).to_parquet(tmp_path / "own.parquet")
    assert said in refusal(tmp_path / "own.parquet")


def test_damaged_parquet_is_refused(tmp_path):
    pd.DataFrame({"userId": [1], "movieId": [5], "rating": [1]}).to_parquet(tmp_path / "own.parquet")
    whole = (tmp_path / "own.parquet").read_bytes()
    for cut in (5, 50, len(whole) - 3):
        assert "can't be read" in refusal(write(tmp_path, whole[:cut], "cut.parquet"))


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
    assert load(write(tmp_path, "user,movie,rating\n1.0,0x10,3\n2.0,0x11,3\n")).ratings.movie_ids[0] == "0x10"


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
        gzip.compress(b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode()),
        re.sub(r"([^,\n]+)", r'"\1"', plain).encode(),
    ):
        assert cells(load(write(tmp_path, other))) == expected


# --- timestamps and scale --------------------------------------------------------------------------------------------


def test_constant_timestamps_are_no_timestamps_and_said(tmp_path):
    dataset = load(write(tmp_path, HEADING + "1,1,3,0\n1,2,4,0\n"))
    assert dataset.ratings.timestamp is None
    assert "every timestamp is the same: treated as no timestamps" in dataset.notes


def test_fractions_of_seconds_are_cut_off(tmp_path):
    dataset = load(write(tmp_path, HEADING + "1,1,3,10.9\n1,2,4,-0.5\n1,3,4,1.2e9\n"))
    assert dataset.ratings.timestamp.tolist() == [10, -1, 1_200_000_000]


@pytest.mark.parametrize(
    ("stars", "scale"),
    [
        ("1 2 5", (1, 5)),
        ("1 2.5 5", (0.5, 5)),
        ("0.5 3 4", (0.5, 5)),
        ("3 4", (1, 5)),
        ("1 8 9", (1, 10)),
        ("1 8.5 9", (1, 10)),
        ("0.5 8 9", (0.5, 10)),
        ("1 60 70", (1, 100)),
        ("8", (1, 10)),  # a single rating is no exception to any other
        (" ".join(["3"] * 999 + ["6", "7"]), (1, 10)),
    ],
)
def test_the_scale_is_the_smallest_usual_one_that_holds_all(tmp_path, stars, scale):
    rows = [f"{i},1,{value}" for i, value in enumerate(stars.split())]
    dataset = load(write(tmp_path, "userId,movieId,rating\n" + "\n".join(rows)))
    assert dataset.ratings.scale == scale
    assert f"scale {scale[0]:g} to {scale[1]:g} found from the ratings" in dataset.notes


@pytest.mark.parametrize(
    ("stars", "said"),
    [
        ("0.5 55 4 5", ":3: rating 55 is outside the scale 0.5 to 5 of the other ratings; give --scale 0.5,55"),
        ("3 7 3", ":3: rating 7 is outside the scale 1 to 5 of the other ratings"),
        ("9 8 120", ":4: rating 120 is outside the scale 1 to 10 of the other ratings"),
        (" ".join(["3"] * 2000 + ["6", "7"]), ":2002: rating 6 is outside the scale 1 to 5"),
        ("0.1 3 4", ":2: rating 0.1 is outside the scale 0.5 to 5"),
        ("250 300 200", ":2: rating 250 is outside the scale 1 to 100, and no usual scale holds all"),
        ("3 0 4", ":3: rating 0: ratings must be above 0"),
        ("3 -4 4", ":3: rating -4: ratings must be above 0"),
        ("0 0 0", ":2: rating 0"),
    ],
)
def test_a_stray_rating_is_an_error_with_its_line(tmp_path, stars, said):
    rows = [f"{i},1,{value}" for i, value in enumerate(stars.split())]
    assert said in refusal(write(tmp_path, "userId,movieId,rating\n" + "\n".join(rows)))


def test_a_given_scale_overrides_the_found_one_and_is_kept_to(tmp_path):
    path = write(tmp_path, HEADING + FIVE_STARS)
    assert load(path, scale=(0.1, 20)).ratings.scale == (0.1, 20)
    assert ":3: rating 5 is outside the scale 0.5 to 4; give" in refusal(path, scale=(0.5, 4))
    for scale in ((0, 5), (5, 1), (math.nan, 5), (1, math.inf)):
        assert "give lowest,highest" in refusal(path, scale=scale)
    fractions = write(tmp_path, "userId,movieId,rating\n1,1,0.7\n1,2,0.1\n")  # neither is exact in float32
    assert len(load(fractions, scale=(0.1, 0.7)).ratings) == 2


# --- what is wrong, and where ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        (HEADING, "holds no ratings"),
        ("userId,movieId,stras\n1,2,3\n", ":1: missing column(s) rating; found: userId, movieId, stras"),
        ("1,31,2.5,1260759144\n", ":1: missing column(s) userId, movieId, rating; found: 1, 31, 2.5"),
        ("userId,movieId,rating,Rating\n1,2,3,4\n", "names 'rating' twice"),
        (HEADING + "1,2,3,4\n1,3,good,5\n", ":3: rating 'good' is not a number"),
        (HEADING + "1,2,3,4\n1,3,nan,5\n", ":3: rating 'nan' is not a number"),
        (HEADING + "1,2,3,4\n1,3,inf,5\n", ":3: rating 'inf' is not a number"),
        (HEADING + "1,2,3,4\n1,3,1e308,5\n", ":3: rating '1e308' is too large"),
        (HEADING + "1,2,3,4\n1,3,1e999,5\n", ":3: rating '1e999' is too large"),
        (HEADING + "1,2,3,4\n1,3,1_0,5\n", ":3: rating '1_0' is not a number"),
        (HEADING + "1,2,3,4\n1,3,,5\n", ":3: the rating is empty"),
        (HEADING + "1,2,3,4\n,3,3,5\n", ":3: userId is empty"),
        (HEADING + "1,2,3,4\n1,3,3,\n", ":3: the timestamp is empty"),
        (HEADING + "1,2,3,4\n1,3,3,2009-01-01\n", ":3: timestamp '2009-01-01' is not a number"),
        (HEADING + "1,2,3,4\n1,3,3,1260759144000\n", ":3: timestamp 1260759144000 is not in seconds"),
        (HEADING + "1,2,3,4\n1,3,3," + "9" * 5000 + "\n", ":3: timestamp"),
        (HEADING + "1,2,3,4\n1,3,3\n", ":3: too few fields: 3, where 4 belong"),
        (HEADING + "1,2,3,4\n1,3,3,4,5\n", ":3: too many fields: 5, where 4 belong"),
        (HEADING + "1,2,3,4\n1;3;3;4\n", ":3: too few fields: 1, where 4 belong"),
        (HEADING + "1,2,3,4\n\n\n1,3,3,x\n", ":5: timestamp 'x'"),  # blank lines count as lines
        (
            HEADING + "1,2,3,4\n2,2,3,4\n99999999999999999999,2,3,4\n",
            ":4: userId '99999999999999999999' is not a whole",
        ),
        (HEADING + "1,2,3,4\n2,2,3,4\n1,2,5,6\n", ":4: user 1 has already rated movie 2 ("),
        (HEADING + '1,2,3,4\n1,"3,3,4\n', ":3: can't be cut into fields"),
        ((HEADING + "1,2,3,4\n").encode() + b"\xe9,3,3,4\n", ":3: byte 0xe9 is not UTF-8"),
        (b"us\xe9r,movieId,rating\n1,2,3\n", ":1: byte 0xe9 is not UTF-8"),
        ((HEADING + FIVE_STARS).encode("utf-16"), "UTF-16"),
        (HEADING + "1,2,3,4\n1,3\0,3,4\n", "binary"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        (b"PK\x03\x04rest", "zip archive"),
        (gzip.compress((HEADING + FIVE_STARS * 50).encode())[:-9], "can't be read"),
        (HEADING + "x" * 201 + ",2,3,4\ny,2,3,4\n", ":2: userId"),
        ("x" * 200_000, "missing column"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line(tmp_path, text, said):
    path = write(tmp_path, text)
    message = refusal(path)
    assert said in message
    assert message.startswith(str(path))


def test_a_duplicate_is_named_with_both_lines(tmp_path):
    said = refusal(write(tmp_path, HEADING + "1,2,3,4\n\n2,2,3,4\n1,2,5,6\n"))
    assert re.search(r"own\.csv:5: .*own\.csv:2\)", said)


def test_the_line_is_right_in_a_file_whose_notes_hold_line_breaks(tmp_path):
    text = 'user,movie,rating,note\n1,2,3,"a\nb"\n1,3,3,c\n1,4,70,d\n'
    assert "own.csv:5: rating 70" in refusal(write(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("u.item", "1|A|||a|0|1", "u.item:1: too few fields: 7, where 24 belong"),
        ("u.item", "x|A|||a" + "|0" * 19, "u.item:1: id 'x' is not a whole number"),
        ("u.item", "1|A|||a" + "|2" * 19, "u.item:1: genre flags"),
        ("u.item", ("1|A|||a" + "|0" * 19 + "\n") * 2, "u.item:2: '1' is listed already on line 1"),
        ("u.user", "1|24|M|technician", "u.user:1: too few fields"),
        ("u.user", "1|old|M|technician|85711", "u.user:1: no age"),
    ],
)
def test_a_wrong_side_table_is_refused_with_the_line(tmp_path, name, text, said):
    write(tmp_path, "1\t1\t3\t100\n2\t1\t5\t200\n", "u.data")
    write(tmp_path, text, name)
    assert said in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("movieId,name of it\n1,A\n", ":1: missing column(s) movieId or title; found: movieId, name of it"),
        ("movieId,title,genres\n1,A, with comma,Drama\n", ":2: too many fields: 4, where 3 belong"),
        ("movieId,title,genres\n1,A,Drama\n1,B,Drama\n", ":3: '1' is listed already on line 2"),
        (b"movieId,title\n1,Am\xe9lie\n", ":2: byte 0xe9 is not UTF-8"),
        (b"movieId,title\n1,A\0\n", "binary"),
        ("", "empty"),
    ],
)
def test_a_wrong_movie_table_is_refused_with_the_line(tmp_path, text, said):
    write(tmp_path, text, "movies.csv")
    assert said in refusal(write(tmp_path, HEADING + FIVE_STARS))


def test_a_folder_without_ratings_says_what_was_looked_for_and_where_some_are(tmp_path):
    assert "looked for ratings.csv, u.data, ratings.dat" in refusal(tmp_path)
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", HEADING + FIVE_STARS, "ratings.csv")
    assert f"{tmp_path / 'inner'} has one" in refusal(tmp_path)


def test_a_name_that_does_not_exist_gets_the_near_ones(tmp_path):
    assert "did you mean ml-latest-small" in refusal("ml-latest-smal", data_dir=tmp_path)
    write(tmp_path, HEADING, "ratings.csv")
    assert "did you mean ratings.csv?" in refusal(tmp_path / "rating.csv")
    assert ", ".join(KNOWN) in refusal("zzzzzz", data_dir=tmp_path)
    for odd in ("", "\0", "x" * 5000):
        assert "no such file, folder or known set" in refusal(odd, data_dir=tmp_path)


def test_a_device_is_no_file():
    assert "neither a file nor a folder" in refusal("/dev/null")


# --- names, notes and description ------------------------------------------------------------------------------------


def test_a_set_is_called_after_its_file_or_its_folder(tmp_path):
    assert load(write(tmp_path, HEADING + FIVE_STARS, "mine.csv")).name == "mine"
    folder = tmp_path / "ml-10M100K"
    folder.mkdir()
    write(folder, "1::1::3::1\n1::2::4::2\n", "ratings.dat")
    dataset = load("ml-10m", data_dir=tmp_path)
    assert (dataset.name, dataset.folder) == ("ml-10m", folder)
    assert any("this copy of ml-10m is not the published one: it has 2 ratings" in note for note in dataset.notes)


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


def real(name):
    if not (REAL / name).is_dir():
        pytest.skip(f"{name} is not at {REAL}")
    return load(REAL / name)


@pytest.mark.realdata
def test_ml_100k_has_its_published_counts():
    dataset = real("ml-100k")
    assert (len(dataset.ratings), dataset.ratings.shape, dataset.ratings.scale) == (100_000, (943, 1_682), (1, 5))
    with open(REAL / "ml-100k" / "u.data", newline="") as file:
        expected = {(int(u), int(m)): (float(r), int(t)) for u, m, r, t in csv.reader(file, delimiter="\t")}
    assert cells(dataset) == expected
    assert not [note for note in dataset.notes if "published" in note]
    assert dataset.movies.describe(0) == {
        "movieId": 1,
        "title": "Toy Story (1995)",
        "year": 1995,
        "genres": ["Animation", "Children's", "Comedy"],
    }
    assert "Cité des enfants perdus, La" in " ".join(dataset.movies.titles) or any(
        "é" in t for t in dataset.movies.titles
    )
    assert Counter(dataset.users["gender"]) == {"M": 670, "F": 273}
    days = [datetime.fromtimestamp(dataset.ratings.timestamp.min()).year, dataset.ratings.timestamp.max() - 893286638]
    assert days == [1997, 0]


@pytest.mark.realdata
def test_ml_1m_has_its_published_counts():
    dataset = real("ml-1m")
    assert (len(dataset.ratings), dataset.ratings.shape, dataset.ratings.scale) == (1_000_209, (6_040, 3_706), (1, 5))
    stars = np.bincount(dataset.ratings.rating.astype(int))[1:]
    assert stars.tolist() == [56_174, 107_557, 261_197, 348_971, 226_310]
    assert "177 movies of movies.dat have no rating: left out" in dataset.notes  # 3,883 listed
    assert Counter(dataset.users["gender"]) == {"M": 4_331, "F": 1_709}
    if not (REAL / "ml-1m" / "ratings.dat").read_bytes().startswith(b"1::1193::5::0"):
        pytest.skip("this copy has timestamps")
    assert dataset.ratings.timestamp is None


@pytest.mark.realdata
def test_a_published_fold_is_read_like_any_rating_file():
    dataset = real("ml-100k")
    base, test = (tables.read_ratings(REAL / "ml-100k" / name) for name in ("u1.base", "u1.test"))
    assert (len(base.rating), len(test.rating)) == (80_000, 20_000)
    union = {
        (u, m): r
        for table in (base, test)
        for u, m, r in zip(table.user_ids[table.user], table.movie_ids[table.movie], table.rating, strict=True)
    }
    assert union == {key: stars for key, (stars, _) in cells(dataset).items()}
