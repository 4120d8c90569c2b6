"""The scale of the ratings, and what is refused: by file and line, in a sentence or two."""

import gzip
import math
import re

import numpy as np
import pandas as pd
import pytest
from reading import FIVE_STARS, HEADING, refusal, write

from utils.data.datasets import KNOWN, load
from utils.errors import UserError

# --- timestamps and scale --------------------------------------------------------------------------------------------


def test_constant_timestamps_are_no_timestamps_and_said(tmp_path):
    dataset = load(write(tmp_path, HEADING + "1,1,3,0\n1,2,4,0\n"))
    assert dataset.ratings.timestamp is None
    assert "every timestamp is the same: treated as no timestamps" in dataset.notes


def test_timestamps_a_second_apart_are_timestamps(tmp_path):
    dataset = load(write(tmp_path, HEADING + "1,1,0.5,10\n1,2,5,11\n"))
    assert dataset.ratings.timestamp.tolist() == [10, 11]
    assert "every timestamp is the same: treated as no timestamps" not in dataset.notes


def test_fractions_of_seconds_are_cut_off(tmp_path):
    dataset = load(write(tmp_path, HEADING + "1,1,3,10.9\n1,2,4,-0.5\n1,3,4,1.2e9\n"))
    assert dataset.ratings.timestamp.tolist() == [10, -1, 1_200_000_000]


@pytest.mark.parametrize(
    ("stars", "scale"),
    [
        ("1 2 5", (1, 5)),
        ("1 2.5 5", (0.5, 5)),
        ("0.5 3 4", (0.5, 4)),
        ("3 4.5", (0.5, 5)),
        ("3 4", (1, 4)),
        ("1 8 9", (1, 9)),
        ("1 8.5 9", (1, 9)),
        ("0.5 8 9", (0.5, 9)),
        ("1 60 70", (1, 70)),
        ("0 60 70", (0, 70)),  # on a long scale 0 is a rating
        ("0.1 0.5 1 0.9 0.3", (0.1, 1)),
        ("1 7 13 2", (1, 13)),
        ("1 7 13 20", (1, 20)),
        ("1 1 1", (0.5, 1)),
        ("8", (1, 8)),  # a single rating is no exception to any other
        (" ".join(["3"] * 999 + ["6", "6"]), (1, 6)),
        (" ".join(["3"] * 98 + ["7"]), (1, 7)),  # too few ratings to call one of them a mistake
    ],
)
def test_the_scale_ends_at_the_highest_rating(tmp_path, stars, scale):
    rows = [f"{i},1,{value}" for i, value in enumerate(stars.split())]
    dataset = load(write(tmp_path, "userId,movieId,rating\n" + "\n".join(rows)))
    assert dataset.ratings.scale == scale
    assert f"scale {scale[0]:g} to {scale[1]:g} found from the ratings" in dataset.notes


def test_a_rating_of_0_is_kept_as_one_where_the_scale_begins_there(tmp_path):
    path = write(tmp_path, "userId,movieId,rating\n1,1,0\n1,2,5\n2,1,10\n")
    dataset = load(path, scale=(0, 10))
    assert dataset.ratings.rating.tolist() == pytest.approx([0.001, 5, 10])
    assert dataset.ratings.matrix().nnz == 3
    assert "ratings of 0, 1 of them, are kept as 0.001: 0 would mean 'not rated'" in dataset.notes
    with pytest.raises(UserError, match="rating 0: ratings must be above 0"):
        load(path)


@pytest.mark.parametrize(
    ("stars", "said"),
    [
        ("0.5 55 4 5", ":3: rating 55 is outside the scale 0.5 to 5 of the other ratings; give --scale 0.5,55"),
        ("5 7 3", ":3: rating 7 is outside the scale 1 to 5 of the other ratings"),
        ("9 10 120", ":4: rating 120 is outside the scale 1 to 10 of the other ratings"),
        (" ".join(["3"] * 100 + ["7"]), ":102: rating 7 is outside the scale 1 to 3 of the other ratings"),
        (" ".join(["3"] * 2000 + ["6", "7"]), ":2002: rating 6 is outside the scale 1 to 3"),
        (" ".join(["3", "5"] * 1000 + ["6", "7"]), ":2002: rating 6 is outside the scale 1 to 5"),
        ("0.1 3 4", ":2: rating 0.1 is outside the scale 0.5 to 4"),
        ("3 0 4", ":3: rating 0: ratings must be above 0, which means 'not rated'; give --scale 0,4 if it is meant"),
        ("1 0 1", ":3: rating 0: ratings must be above 0, which means 'not rated'; give --scale 0,1 if it is meant"),
        ("3 -4 4", ":3: rating -4 is outside the scale 1 to 4 of the other ratings; give --scale -4,4 if it is meant"),
        ("-3 -4 -1", ":4: rating -1: the highest rating has to be above 0, which means 'not rated'; add the same"),
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
    for scale in ((5, 1), (math.nan, 5), (1, math.inf), (-math.inf, 5)):
        assert "give lowest,highest" in refusal(path, scale=scale)
    fractions = write(tmp_path, "userId,movieId,rating\n1,1,0.7\n1,2,1.1\n")  # float32 puts both just outside
    assert len(load(fractions, scale=(0.7, 1.1)).ratings) == 2


@pytest.mark.parametrize(
    ("stars", "options", "said"),
    [
        ("1 2 3 4", {}, None),
        ("1 2 3 3", {"scale": (1, 5)}, "no rating is above 3.5, so none is a like to rank by; --like 2 makes those"),
        ("4 5 5", {}, "every rating is above 3.5, so each is a like; --like 4 leaves those above it"),
        ("1 1 1", {}, "every rating is 1, so stars say nothing; each counts as a like"),
        ("1 1 1", {"scale": (1, 5)}, "every rating is 1, so stars say nothing; --like 0.5 makes each a like"),
        ("0 1 1", {"scale": (0, 1)}, None),
        ("1 2 3 4", {"like": 4}, "no rating is above 4, so none is a like to rank by; --like 2 makes those"),
        ("1 2 3 4", {"like": 0.5}, "every rating is above 0.5, so each is a like; --like 2 leaves those"),
    ],
)
def test_where_nothing_or_everything_is_a_like_the_option_that_helps_is_said(tmp_path, stars, options, said):
    rows = [f"{i},1,{value}" for i, value in enumerate(stars.split())]
    notes = load(write(tmp_path, "userId,movieId,rating\n" + "\n".join(rows)), **options).notes
    about = [note for note in notes if "like" in note]
    assert len(about) == (said is not None)
    assert not said or about[0].startswith(said)


# --- what is wrong, and where ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        (HEADING, "holds no ratings"),
        ("userId,movieId,stras\n1,2,3\n", ":1: missing column(s) rating; found: userId, movieId, stras"),
        ("1,31,x,1260759144\n", ":1: missing column(s) userId, movieId, rating; found: 1, 31, x"),
        ("userId,movieId,rating,Rating\n1,2,3,4\n", "names 'rating' twice"),
        (HEADING + "1,2,3,4\n1,3,good,5\n", ":3: rating 'good' is not a number"),
        (HEADING + "1,2,3,4\n1,3,nan,5\n", ":3: rating 'nan' is not a number"),
        (HEADING + "1,2,3,4\n1,3,inf,5\n", ":3: rating 'inf' is not a number"),
        (HEADING + "1,2,3,4\n1,3,1e308,5\n", ":3: rating '1e308' is too large"),
        (HEADING + "1,2,3,4\n1,3,1e999,5\n", ":3: rating '1e999' is too large"),
        (HEADING + "1,2,3,4\n1,3,1_0,5\n", ":3: rating '1_0' is not a number"),
        (HEADING + "1,2,3,4\n1,3,,5\n", ":3: the rating is empty"),
        (HEADING + "1,2,3,4\n,3,3,5\n", ":3: userId '' is an empty id"),
        (HEADING + "1,2,3,4\n1,3,3,\n", ":3: the timestamp is empty"),
        (HEADING + "1,2,3,4\n1,3,3,2009-13-01\n", ":3: timestamp '2009-13-01'"),
        (HEADING + "1,2,3,4\n1,3,3,01/02/2009\n", ":3: timestamp '01/02/2009' is not a number"),
        (HEADING + "1,2,3,4\n1,3,3,4\n1,4,3,1260759144000\n", ":4: timestamp 1260759144000 is not in seconds"),
        (HEADING + "1,2,3,1260759144\n1,3,3,1260759144000\n1,4,3,1260759144001\n", ":2: timestamp 1260759144 is not"),
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
        (HEADING + "1,2,3,4\n2,2,3,4\n9223372036854775808,2,3,4\n", ":4: userId '9223372036854775808' is not a whole"),
        (HEADING + '1,2,3,4\n1,"3,3,4\n', ":3: can't be cut into fields"),
        (HEADING + '1,2,3,4\n1,"3"4,3,4\n', ":3: can't be cut into fields"),
        (b"userId,movieId,rating,remark\n1,2,3,\xe9\n", ":2: byte 0xe9 is not UTF-8"),
        ((HEADING + "1,2,3,4\n").encode() + b"\xe9,3,3,4\n", ":3: byte 0xe9 is not UTF-8"),
        (b"us\xe9r,movieId,rating\n1,2,3\n", ":1: byte 0xe9 is not UTF-8"),
        ((HEADING + FIVE_STARS).encode("utf-16")[:-1], "can't be read: the text is not whole UTF-16"),
        (HEADING + "1,2,3,4\n1,3\0,3,4\n", "binary"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        (b"PK\x03\x04rest", "zip archive"),
        (gzip.compress((HEADING + FIVE_STARS * 50).encode(), mtime=0)[:-9], "can't be read"),
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
    assert "own.csv:2: rating 70" in refusal(write(tmp_path, text.replace('3,"a', '70,"a').replace("70,d", "3,d")))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("u.item", "1|A|||a|0|1", "u.item:1: too few fields: 7, where 24 belong"),
        ("u.item", "1|A|||a" + "|2" * 19, "u.item:1: genre flags"),
        ("u.item", ("1|A|||a" + "|0" * 19 + "\n") * 2, "u.item:2: '1' is listed already on line 1"),
        ("u.user", "1|24|M|technician", "u.user:1: too few fields"),
        ("u.user", "1|24|M|technician|8\n1|25|M|other|9\n", "u.user:2: '1' is listed already on line 1"),
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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"userId": ["a", "b", ""]}, "row 3: userId '' is an empty id"),
        ({"userId": ["a", None, "c"]}, "row 2: the userId is empty"),
        ({"userId": [1.5, 2, 3]}, "row 1: userId 1.5 is not a whole number"),
        ({"userId": [1.0, 1e17, 3]}, "row 2: userId 1e+17 is not a whole number"),
        ({"rating": [1, math.nan, 3]}, "row 2"),
        ({"rating": [1, 2, math.inf]}, "row 3"),
        ({"rating": ["a", "b", "c"]}, "row 1: rating 'a' is not a number"),
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


@pytest.mark.parametrize("seed", range(20))
def test_a_found_scale_holds_every_rating_it_was_found_from(tmp_path, seed):
    rng = np.random.default_rng(seed)
    low, high = sorted(10.0 ** rng.uniform(-5, 3, 2))
    stars = rng.uniform(low, high, 50)
    rows = [f"{i},1,{value:.{rng.integers(1, 9)}g}" for i, value in enumerate(stars)]
    ratings = load(write(tmp_path, "userId,movieId,rating\n" + "\n".join(rows))).ratings
    assert np.float32(ratings.scale[0]) <= ratings.rating.min() <= ratings.rating.max() <= ratings.scale[1]


def test_the_advised_scale_is_taken(tmp_path):
    path = write(tmp_path, "userId,movieId,rating\n1,1,0.123456789\n1,2,7.0000019\n2,1,3\n")
    advised = re.search(r"give --scale (\S+) if", refusal(path, scale=(1, 5)))[1]
    assert len(load(path, scale=tuple(map(float, advised.split(",")))).ratings) == 3


def test_a_rating_of_0_is_no_like_above_0(tmp_path):
    path = write(tmp_path, "userId,movieId,rating\n1,1,0\n1,2,1\n2,1,1\n")
    dataset = load(path, scale=(0, 1), like=0)
    assert (dataset.ratings.rating > dataset.ratings.like).tolist() == [False, True, True]
    assert not [note for note in dataset.notes if "like" in note]
    path = write(tmp_path, "userId,movieId,rating\n1,1,0\n1,2,3\n2,1,3\n")
    assert any("--like 0 makes those above it likes" in note for note in load(path, scale=(0, 5)).notes)


def test_a_scale_from_below_0_and_nothing_but_0_get_a_way_out(tmp_path):
    path = write(tmp_path, HEADING + FIVE_STARS)
    said = "give lowest,highest, such as 1,5 or -10,10, the highest above 0"
    assert refusal(path, scale=(-5, 0)) == f"scale -5,0: {said}"
    assert load(path, scale=(-5, 5)).ratings.scale == (-5, 5)
    nothing = write(tmp_path, "userId,movieId,rating\n1,1,0\n2,2,0\n")
    assert "every rating is 0, which means 'not rated'; give what was rated another number" in refusal(nothing)
