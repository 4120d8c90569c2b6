"""Files that people really have, as their publishers write them: counts, stars and dates come out right."""

import gzip
import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY
from reading import cells, refusal, write

from utils.data.datasets import Reading, load
from utils.data.describe import describe
from utils.data.reading import tables
from utils.data.reading.formats import FORMATS

N_USERS, N_MOVIES = 12, 9
random = np.random.default_rng(28)
ROWS = [  # user, movie, stars 1 to 5 in halves, seconds
    (user + 1, movie + 1, random.integers(2, 11) / 2, int(random.integers(1_022_563_333, 1_299_686_883)))
    for user in range(N_USERS)
    for movie in range(N_MOVIES)
    if random.random() < 0.4 or movie == user % N_MOVIES
]


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def text(line, heading="", rows=ROWS, end="\n"):
    """The heading and a line of the form for each rating."""
    return heading + "".join(line(*row) + end for row in rows)


def expected(user=int, movie=int, stars=float, time=int):
    """{(user, movie): (stars, seconds)} of ROWS, each converted; times are None where `time` is."""
    return {(user(u), movie(m)): (pytest.approx(stars(s)), time and time(t)) for u, m, s, t in ROWS}


def whole(stars):
    return float(round(stars))


def day(seconds):
    return seconds // 86400 * 86400


def asin(movie):
    return f"B{movie:07d}XZ"


def reviewer(user):
    return f"A{user:03d}QZLKJH"


def isbn(movie):
    return f"{movie:08d}{movie % 5}{'X' if movie % 3 == 0 else movie % 7}"


def saved(folder, name, content):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    return write(folder, gzip.compress(content.encode()) if name.endswith(".gz") else content, name)


KAGGLE = '"userId","movieId","rating","timestamp"\n'
COLUMNS = "userId,movieId,rating,timestamp\n"
CASES = {
    "train-kaggle-ml20m": (
        "rating.csv",
        text(lambda u, m, s, t: f'{u},{m},{s},"{moment(t):%Y-%m-%d %H:%M:%S}"', KAGGLE),
        expected(),
    ),
    "kaggle ml-20m, gzipped": (
        "rating.csv.gz",
        text(lambda u, m, s, t: f'{u},{m},{s},"{moment(t):%Y-%m-%d %H:%M:%S}"', KAGGLE),
        expected(),
    ),
    "train-iso-date": (
        "ratings.csv",
        text(lambda u, m, s, t: f"{u},{m},{s},{moment(t):%Y-%m-%d}", "userId,movieId,rating,date\n"),
        expected(time=day),
    ),
    "dates and times of a database": (
        "ratings.csv",
        text(
            lambda u, m, s, t: f"{t},{u},{m},{s},{moment(t):%Y-%m-%d %H:%M:%S}.123456+00",
            "id,user_id,movie_id,rating,created_at\n",
        ),
        expected(),
    ),
    "times of another zone": (
        "ratings.csv",
        text(lambda u, m, s, t: f"{u},{m},{s},{moment(t + 7200):%Y-%m-%dT%H:%M:%S}+02:00", COLUMNS),
        expected(),
    ),
    "milliseconds of JavaScript": (
        "ratings.csv",
        text(lambda u, m, s, t: f"{u},{m},{s},{t}123", COLUMNS),
        expected(),
    ),
    "seconds with a fraction": (
        "ratings.csv",
        text(lambda u, m, s, t: f"{u},{m},{s},{t}.25", COLUMNS),
        expected(),
    ),
    "train-yahoo": (
        "ydata-ymovies-user-movie-ratings-train-v1_0.txt",
        text(lambda u, m, s, t: f"{u}\t{1_800_000_000 + m}\t{round(2.6 * s)}\t{round(s)}"),
        expected(movie=lambda m: 1_800_000_000 + m, stars=lambda s: round(2.6 * s), time=None),
    ),
    "Yahoo!'s music, tabs without times": (
        "ydata-ymusic-rating-study-v1_0-train.txt",
        text(lambda u, m, s, t: f"{u}\t{m}\t{whole(s):.0f}"),
        expected(stars=whole, time=None),
    ),
    "train-netflix": (
        "combined_data_1.txt",
        "".join(
            f"{movie}:\n" + text(lambda u, m, s, t: f"{u},{whole(s):.0f},{moment(t):%Y-%m-%d}", "", rows)
            for movie in range(1, N_MOVIES + 1)
            if (rows := [row for row in ROWS if row[1] == movie])
        ),
        expected(stars=whole, time=day),
    ),
    "train-amazon": (
        "ratings_Movies_and_TV.csv",
        text(lambda u, m, s, t: f"{reviewer(u)},{asin(m)},{whole(s)},{t}"),
        expected(reviewer, asin, whole),
    ),
    "Amazon 2018": (
        "Movies_and_TV.csv",
        text(lambda u, m, s, t: f"{asin(m)},{reviewer(u)},{whole(s)},{t}"),
        expected(reviewer, asin, whole),
    ),
    "Amazon 2018, 5-core": (
        "Movies_and_TV_5.json.gz",
        text(
            lambda u, m, s, t: json.dumps(
                {
                    "overall": whole(s),
                    "verified": True,
                    "reviewTime": f"{moment(t):%m %d, %Y}",
                    "reviewerID": reviewer(u),
                    "asin": asin(m),
                    "style": {"Format:": " DVD"},
                    "reviewText": 'So "good", {really}\nyes',
                    "unixReviewTime": t,
                }
            )
        ),
        expected(reviewer, asin, whole),
    ),
    "Amazon 2023": (
        "Movies_and_TV.csv.gz",
        text(lambda u, m, s, t: f"{reviewer(u)},{asin(m)},{whole(s)},{t}123", "user_id,parent_asin,rating,timestamp\n"),
        expected(reviewer, asin, whole),
    ),
    "Amazon 2023, with the history": (
        "Movies_and_TV.train.csv",
        text(
            lambda u, m, s, t: f"{reviewer(u)},{asin(m)},{whole(s)},{t}123,{asin(1)} {asin(2)}",
            "user_id,parent_asin,rating,timestamp,history\n",
        ),
        expected(reviewer, asin, whole),
    ),
    "Amazon, books whose ASIN is an ISBN": (
        "ratings_Books.csv",
        text(lambda u, m, s, t: f"{reviewer(u)},{isbn(m)},{whole(s)},{t}"),
        expected(reviewer, isbn, whole),
    ),
    "train-noheader": ("ratings.csv", text(lambda u, m, s, t: f"{u},{m},{s},{t}"), expected()),
    "no heading, semicolons, decimal commas": (
        "ratings.csv",
        text(lambda u, m, s, t: f"{u};{m};{s};{t}").replace(".", ","),
        expected(),
    ),
    "no heading, text ids": (
        "ratings.tsv",
        text(lambda u, m, s, t: f"u{u}\tm{m}\t{s}\t{t}"),
        expected("u{}".format, "m{}".format),
    ),
    "train-decimal-comma": (
        "ratings.csv",
        text(lambda u, m, s, t: f"{u};{m};{s};{t}", "userId;movieId;rating;timestamp\n").replace(".", ","),
        expected(),
    ),
    "RecBole": (
        "ml-100k.inter",
        text(
            lambda u, m, s, t: f"{u}\t{m}\t{s}\t{t}.0",
            "user_id:token\titem_id:token\trating:float\ttimestamp:float\n",
        ),
        expected(),
    ),
    "Goodreads (goodbooks-10k)": (
        "ratings.csv",
        text(lambda u, m, s, t: f"{u},{m},{whole(s):.0f}", "user_id,book_id,rating\n"),
        expected(stars=whole, time=None),
    ),
    "Netflix, mended on Kaggle": (
        "netflix.csv",
        text(lambda u, m, s, t: f"{u},{whole(s)},{moment(t):%Y-%m-%d},{m}", "Cust_Id,Rating,Date,Movie_Id\n"),
        expected(stars=whole, time=day),
    ),
    "days in digits": (
        "ratings.csv",
        text(lambda u, m, s, t: f"{u},{m},{s},{moment(t):%Y%m%d}", "userId,movieId,rating,date\n"),
        expected(time=day),
    ),
    "no heading, ISO dates": (
        "ratings.csv",
        text(lambda u, m, s, t: f"{u},{m},{s},{moment(t):%Y-%m-%d}"),
        expected(time=day),
    ),
    "an index of pandas": (
        "ratings.csv",
        text(lambda u, m, s, t: f"{t},{u},{m},{s}", ",userId,movieId,rating\n"),
        expected(time=None),
    ),
    "a JSON list of a web site": (
        "ratings.json",
        json.dumps([{"user": {"id": 1}, "userId": u, "itemId": m, "score": s, "time": t} for u, m, s, t in ROWS]),
        expected(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_read_as_its_publisher_writes_it(tmp_path, case):
    name, content, right = CASES[case]
    path = saved(tmp_path, name, content)
    data = load(path)
    assert cells(data) == right
    assert f"{len(ROWS):,} ratings read, no line left out" in data.notes
    facts = dict(describe(data))
    seconds = [t for _, t in right.values()]
    assert facts["ratings"] == str(len(ROWS))
    ends = [None] if seconds[0] is None else [min(seconds), max(seconds)]
    span = "no timestamps" if ends == [None] else " to ".join(str(moment(end).date()) for end in ends)
    assert facts["time span"] == span
    assert cells(load(tmp_path)) == right if name in ("rating.csv", "ratings.csv", "ml-100k.inter") else True


@pytest.mark.parametrize("batch", [1, 4, len(ROWS), len(ROWS) + 1])
def test_lines_are_the_same_however_many_are_read_at_a_time(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(tables, "BATCH", batch)
    name, content, right = CASES["no heading, text ids"]
    data = load(saved(tmp_path, name, content))
    assert cells(data) == right
    assert data.ratings.timestamp.dtype == np.int64
    lines = content.splitlines()
    lines[20] = lines[20].rpartition("\t")[0] + "\tx"
    said = refusal(saved(tmp_path, name, "\n".join(lines)))
    assert f"{name}:21: timestamp 'x' is not a number" in said


def test_movietweetings(tmp_path):
    saved(tmp_path, "ratings.dat", text(lambda u, m, s, t: f"{u}::{m:07d}::{2 * s - 1:.0f}::{t}"))
    saved(tmp_path, "movies.dat", "".join(f"{m:07d}::Film {m} (1950)::Drama\n" for m in range(1, N_MOVIES + 1)))
    data = load(tmp_path)
    assert data.ratings.scale == (0, 10)
    assert cells(data) == expected(stars=lambda s: 2 * s - 1)
    assert data.movies.titles[0] == "Film 1 (1950)"


def test_a_time_in_seconds_among_milliseconds_is_refused(tmp_path):
    lines = [f"{user},{movie},{movie + 1},{1_200_000_000_000 + movie}" for user in (1, 2) for movie in range(1, 4)]
    lines[4] = "2,2,3,1200000000"
    said = refusal(write(tmp_path, "userId,movieId,rating,timestamp\n" + "\n".join(lines) + "\n"))
    assert "own.csv:6: timestamp 1200000000 is not in milliseconds since 1970, as others are" in said


@pytest.mark.parametrize("line", [2, 4])
def test_a_byte_that_is_no_utf_8_is_named_with_its_line(tmp_path, line):
    lines = [b"userId,movieId,rating,timestamp", b"Zo,1,4,10", b"Zo,2,5,11", b"Al,2,3,12", b"Al,3,3,13"]
    lines[line - 1] = lines[line - 1].replace(b"o,", b"\xeb,").replace(b"l,", b"\xeb,")
    said = refusal(write(tmp_path, b"\n".join(lines)))
    assert said.endswith(f"own.csv:{line}: byte 0xeb is not UTF-8; save the file as UTF-8")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_book_crossing_as_published_with_quotes_behind_backslashes(tmp_path, encoding):
    rows = "".join(f'"{u}";"{isbn(m)}";"{2 * s:.0f}"\n' for u, m, s, _ in ROWS) + '"5";"\xf600";"0"\n'
    saved(tmp_path, "BX-Book-Ratings.csv", ('"User-ID";"ISBN";"Book-Rating"\n' + rows).encode(encoding))
    book = f'"{isbn(1)}";"\xd6l \\"B\\"; 2";"X";"1999"\n'
    heading = '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication"\n'
    saved(tmp_path, "BX-Books.csv", (heading + book).encode(encoding))
    data = load(tmp_path)
    assert cells(data) == expected(movie=isbn, stars=lambda s: 2 * s, time=None)
    assert data.ratings.scale == (1, 10)
    assert '\xd6l "B"; 2' in data.movies.titles
    assert f"{len(ROWS)} ratings read, left out: lines 1 that say 0, which is no rating there" in data.notes


def test_lines_of_pythons_dicts_are_named(tmp_path):
    line = repr({"reviewerID": "A1", "asin": "B1", "overall": 5.0, "reviewText": "it's"})
    said = refusal(write(tmp_path, line + "\n", "reviews.json"))
    assert "as Python writes them: not JSON; take the table of ratings only" in said


# -- stars of other kinds ----------------------------------------------------------------------------------------------


def jester(rows=ROWS):
    """{user: {joke: stars}} and the lines: stars from -10 to 10 in hundredths, one of them 0."""
    table = {u: {} for u, *_ in rows}
    for u, m, s, _ in rows:
        table[u][m] = round((s - 3) * 3.33, 2)
    jokes = range(1, 31)
    return table, ["".join([str(len(x)), *(f",{x.get(j, 99):g}" for j in jokes)]) for x in table.values()]


def test_jester_is_read_as_it_is_with_stars_below_zero(tmp_path):
    table, lines = jester()
    data = load(write(tmp_path, "\n".join(lines) + "\n", "jester-data-1.csv"))
    right = {(u, m): stars for u, of_user in table.items() for m, stars in of_user.items()}
    assert data.ratings.scale == (-10, 10)
    assert any(stars == 0 for stars in right.values())
    facts = dict(describe(data))
    assert facts["mean rating"] == f"{np.mean([*right.values()]):.3f}"
    shown = {
        int(label.split()[1]) if label.split()[1].isdigit() else float(label.split()[1]): int(n.split()[0])
        for label, n in facts.items()
        if label.startswith("stars")
    }
    assert shown == {value: [*right.values()].count(value) for value in set(right.values())}
    assert {pair: stars or 0.001 for pair, stars in right.items()} == {
        pair: pytest.approx(stars, abs=1e-6) for pair, (stars, _) in cells(data).items()
    }
    assert data.ratings.like == 4
    lines[2] = lines[2].replace(",99", "", 1)
    assert "jester-data-1.csv:3: " in refusal(write(tmp_path, "\n".join(lines), "jester-data-1.csv"))


@pytest.mark.parametrize("places", [(0,), (3,), (-1,), (0, 5, 5, -1)])
def test_lines_without_any_value_are_counted_among_plain_numbers(tmp_path, places):
    lines = text(lambda u, m, s, t: f"{u},{m},{s},{t}").splitlines()
    for place in places:
        lines.insert(place % (len(lines) + 1), ",,,")
    data = load(write(tmp_path, "\n".join(["userId,movieId,rating,timestamp", *lines, ""]), "ratings.csv"))
    assert cells(data) == expected()
    assert f"{len(ROWS)} ratings read, left out: lines {len(places)} without any value" in data.notes


def test_a_long_line_of_numbers_that_is_not_jesters_is_told_at_once(tmp_path):
    for line in (
        ",".join(["1"] * 60) + ",abc",
        ",".join(["2"] * 60) + ",,",
    ):  # a guess at a time, this would take years
        assert "missing column(s)" in refusal(write(tmp_path, f"{line}\n", "wide.csv"))


def test_jesters_second_set_in_long_form(tmp_path):
    rows = [(1, 5, 0.219, 0), (1, 7, -9.281, 0), (1, 8, -9.281, 0), (2, 7, 9.906, 0), (2, 5, -2.5, 0)]
    data = load(write(tmp_path, text(lambda u, m, s, t: f"{u}\t\t{m}\t\t{s}", "", rows), "jester_ratings.dat"))
    assert data.ratings.scale == (-10, 10)
    assert cells(data) == {(u, m): (pytest.approx(s), None) for u, m, s, _ in rows}


@pytest.mark.parametrize(
    ("values", "scale"),
    [([-1, 1, 1, -1], (-1, 1)), ([-5, 5, 3, -2], (-5, 5)), ([-1, 0, 1, -1], (-1, 1)), ([-2, -1, 5, 4], (-2, 5))],
)
def test_stars_below_zero_are_kept_on_any_scale(tmp_path, values, scale):
    body = "".join(f"1,{movie},{value}\n" for movie, value in enumerate(values))
    data = load(write(tmp_path, "user,movie,rating\n" + body))
    assert data.ratings.scale == scale
    stars = [value if value else scale[1] / 10_000 for value in values]
    assert data.ratings.rating.tolist() == pytest.approx(stars)
    assert data.ratings.matrix().nnz == len(values)


def test_minus_one_among_other_stars_is_doubted_and_taken_where_it_is_meant(tmp_path):
    path = write(
        tmp_path, "user_id,anime_id,rating\n" + "".join(f"1,{i},{-1 if i % 3 else 8 + i % 2}\n" for i in range(9))
    )
    columns = Reading({"userId": "user_id", "movieId": "anime_id", "rating": "rating"})
    said = refusal(path, reading=columns)
    assert (
        "own.csv:3: rating -1 is outside the scale 1 to 9 of the other ratings; give --scale -1,9 if it is meant"
        in said
    )
    assert "or leave such lines out: -1 often says that there is no rating" in said
    assert load(path, reading=columns, scale=(-1, 10)).ratings.rating.min() == -1


def test_ratings_of_0_and_1_are_told_how_to_be_read(tmp_path):
    path = write(tmp_path, text(lambda u, m, s, t: f"{u},{m},{int(s > 3)}", "userId,itemId,rating\n"), "r.csv")
    assert "give --scale 0,1 if it is meant" in refusal(path)
    data = load(path, scale=(0, 1))
    liked = sum(s > 3 for _, _, s, _ in ROWS)
    assert (int((data.ratings.rating > data.ratings.like).sum()), len(data.ratings)) == (liked, len(ROWS))
    assert dict(describe(data))["stars 1"].split()[0] == str(liked)


def test_ratings_that_are_all_1_are_said_to_say_nothing(tmp_path):
    data = load(write(tmp_path, text(lambda u, m, s, t: f"{u},{m},1", "userId,itemId,rating\n"), "r.csv"))
    assert (data.ratings.rating > data.ratings.like).all()
    said = "every rating is 1, so stars say nothing; each counts as a like, and what is learned is who rated what"
    assert said in data.notes


def test_the_table_of_formats_says_what_each_needs():
    rows = (REPOSITORY / "docs" / "data.md").read_text().splitlines()
    for form in FORMATS:
        name = form.name.split(" (")[0].removeprefix("the ")
        row = next(row for row in rows if row.startswith(f"| {name} |"))
        for known in (
            form.beside,
            form.scale and f"scale {form.scale[0]:g} to {form.scale[1]:g}",
            form.zeros and "0 is no",
        ):
            assert not known or known == "movies.csv" or known in row, (name, known)


# -- several ratings of a pair, side tables ----------------------------------------------------------------------------


def test_duplicates_are_settled_as_the_user_says(tmp_path):
    twice = [*ROWS, (*ROWS[0][:2], 1.0, ROWS[0][3] + 9), (*ROWS[5][:2], 1.0, ROWS[5][3] - 9)]
    path = write(tmp_path, text(lambda u, m, s, t: f"{u},{m},{s},{t}", COLUMNS, twice), "ratings.csv")
    assert f"ratings.csv:{len(ROWS) + 2}: user 1 has already rated movie {ROWS[0][1]}" in refusal(path)
    found = cells(load(path, reading=Reading(duplicates="last")))
    assert found == expected() | {ROWS[0][:2]: (1.0, ROWS[0][3] + 9)}
    found = cells(load(path, reading=Reading(duplicates="mean")))
    assert found[ROWS[5][:2]] == ((ROWS[5][2] + 1) / 2, ROWS[5][3])


METADATA = "adult,belongs_to_collection,budget,genres,homepage,id,imdb_id,original_title,overview,release_date,title\n"


@pytest.mark.parametrize("name", ["movies.csv", "movies_metadata.csv"])
@pytest.mark.parametrize("broken", [True, False])
def test_the_metadata_of_tmdb_beside_movielens_ratings_is_not_joined(tmp_path, name, broken):
    genres = "\"[{'id': 18, 'name': 'Drama'}, {'id': 35, 'name': 'Comedy'}]\""
    rows = [
        f'False,,0,{genres},,{m},tt{m:07d},O,"With\ncomma, {m}",1950-01-01,Meta {m}' for m in range(1, N_MOVIES + 1)
    ]
    rows[4:4] = [" - Written by Ørnås,0.065736,/ff9.jpg,,1997-08-20,0,104.0,[],Released,,Midnight Man"] * broken
    saved(tmp_path, name, METADATA + "\n".join(rows) + "\n")
    data = load(saved(tmp_path, "ratings.csv", text(lambda u, m, s, t: f"{u},{m},{s},{t}", COLUMNS)))
    assert cells(data) == expected()
    assert data.movies.titles == [f"movie {m}" for m in data.movies.ids]
    if name == "movies.csv":
        assert any("is TMDB's metadata, whose ids are not those of MovieLens' ratings" in note for note in data.notes)


# -- Parquet -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_parquet_as_polars_and_hugging_face_write_it(tmp_path, unit, zone):
    frame = pd.DataFrame(ROWS, columns=["user_id", "item_id", "rating", "timestamp"])
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    columns = {
        "user_id": pa.array([f"u{u}" for u in frame["user_id"]]).cast(pa.string_view()),
        "item_id": pa.array([f"m{m}" for m in frame["item_id"]], pa.large_string()).dictionary_encode(),
        "rating": pa.array(frame["rating"], pa.float32()),
        "timestamp": pa.array(frame["timestamp"] * factor, pa.int64()).cast(pa.timestamp(unit, zone)),
    }
    (tmp_path / "data").mkdir()
    table = pa.table(columns)
    pq.write_table(table[:20], tmp_path / "data" / "train-00000-of-00002.parquet")
    pq.write_table(table[20:], tmp_path / "data" / "train-00001-of-00002.parquet")
    data = load(tmp_path)
    assert cells(data) == expected("u{}".format, "m{}".format)
    said = "2 files read as one table: data/train-00000-of-00002.parquet to data/train-00001-of-00002.parquet"
    assert said in data.notes
