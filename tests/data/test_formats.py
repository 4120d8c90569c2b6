"""Rating files as people have them: each form gives the same users, movies, stars and times, and says what it read."""

import gzip
import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import HEADING, cells, refusal, write
from test_damaged_files import damage, on_many_files

import train
from utils.data.datasets import Reading, load
from utils.data.reading import textfiles, values
from utils.data.reading.places import rating_files
from utils.errors import UserError

ROWS = [(7, 31, 2.5, 1147035086), (7, 29, 5.0, 1120490867), (9, 31, 1.0, 1240981388), (12, 5, 4.5, 1037338099)]
EXPECTED = {(user, movie): (stars, seconds) for user, movie, stars, seconds in ROWS}
WHOLE = {(user, movie): (stars // 1, seconds) for user, movie, stars, seconds in ROWS}


def lines(form, heading="", rows=ROWS):
    """A file of the heading and a line of that form for each rating."""
    return heading + "".join(form.format(*row, moment=datetime.fromtimestamp(row[3], UTC)) + "\n" for row in rows)


def without_time(table):
    return {pair: (stars, None) for pair, (stars, _) in table.items()}


def days(table):
    return {pair: (stars, seconds // 86400 * 86400) for pair, (stars, seconds) in table.items()}


@pytest.mark.parametrize(
    ("form", "heading"),
    [
        ("{0},{1},{2},{moment:%Y-%m-%d %H:%M:%S}", HEADING),
        ("{0},{1},{2},{moment:%Y-%m-%dT%H:%M:%S}Z", HEADING),
        ("{0},{1},{2},{moment:%Y-%m-%dT%H:%M:%S.50}+00:00", HEADING),
        ("{0},{1},{2},{moment:%Y-%m-%d %H:%M:%S} UTC", HEADING),
        ('{0},{1},{2},"{moment:%Y-%m-%d %H:%M:%S}"', '"userId","movieId","rating","timestamp"\n'),
        ('"{0}","{1}","{2}","{3}"', HEADING),
        ("{0},{1},{2},{3}000", HEADING),
        ("{0},{1},{2},{3}000000", HEADING),
        ("{0},{1},{2},{3}500000000", HEADING),
        ("{0}.0,{1}.0,{2},{3}.0", HEADING),
        ("{0};{1};{2};{3}", "sep=;\r\nuserId;movieId;rating;timestamp\r\n"),
        ("{0};{1};{2};{3}", "sep=;\n"),
        ("{0},{1},{2},{3}", ""),
        ("{0};{1};{2};{3}", ""),
        ("{0}|{1}|{2}|{3}", ""),
        ("{0}\t{1}\t{2}\t{3}", ""),
        ("{0}::{1}::{2}::{3}", ""),
        ("{0} {1} {2} {3}", ""),
        ("{0},{1},{2},{moment:%Y-%m-%d %H:%M:%S}", ""),
        ("{0}\t{1}\t{2}\t{3}", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"),
        ("{0},{1},{2},{3}\n,,,", HEADING),
    ],
)
@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode()), lambda t: t.encode("utf-16")])
def test_each_form_of_a_table_is_read(tmp_path, form, heading, pack):
    data = load(write(tmp_path, pack(lines(form, heading)), "own.txt"))
    assert cells(data) == EXPECTED
    assert any(note.startswith("4 ratings read, ") for note in data.notes)


def test_decimal_commas_are_read_where_commas_do_not_separate(tmp_path):
    text = lines("{0};{1};{2};{3}", "userId;movieId;rating;timestamp\n").replace(".5", ",5").replace(".0", ",0")
    assert cells(load(write(tmp_path, text))) == EXPECTED


def test_a_column_of_dates_is_used_or_said_not_to_be(tmp_path):
    heading = HEADING.replace("timestamp", "date")
    data = load(write(tmp_path, lines("{0},{1},{2},{moment:%Y-%m-%d}", heading)))
    assert cells(data) == days(EXPECTED)
    assert "columns date read as timestamp" in data.notes
    data = load(write(tmp_path, lines("{0},{1},{2},{moment:%d.%m.%Y}", heading)))
    assert cells(data) == without_time(EXPECTED)
    assert "column date not used: '07.05.2006' is no date such as 2006-05-07" in data.notes
    assert "columns date read as timestamp" not in data.notes


def test_what_was_taken_for_what_is_said_where_there_is_no_heading(tmp_path):
    notes = load(write(tmp_path, lines("{0},{1},{2},{3}"))).notes
    assert "no heading: read as userId, movieId, rating, timestamp" in notes
    notes = load(write(tmp_path, lines("{0},{1},{2}"))).notes
    assert "no heading: read as userId, movieId, rating" in notes


def test_times_of_1970_are_doubted(tmp_path):
    doubt = "every timestamp is of 1970: is this column a time? --columns without time leaves it out"
    assert doubt in load(write(tmp_path, "1\t2\t8\t3\n1\t3\t10\t4\n", "own.txt")).notes
    assert doubt not in load(write(tmp_path, lines("{0},{1},{2},{3}"))).notes


def test_rating_csv_and_movie_csv_of_kaggle_are_found(tmp_path):
    write(tmp_path, lines('{0},{1},{2},"{moment:%Y-%m-%d %H:%M:%S}"', HEADING), "rating.csv")
    write(tmp_path, '"movieId","title","genres"\n5,"Five (1955)","Drama"\n29,B,C\n31,A,B\n', "movie.csv")
    data = load(tmp_path)
    assert (cells(data), data.movies.titles) == (EXPECTED, ["Five (1955)", "B", "A"])


@pytest.mark.parametrize("line", ['1"2",3', '"1"2,3', '"1,2",3', '"1,2', '""1"",2'])
def test_quotes_that_arrow_reads_otherwise_than_the_csv_module_are_left_to_it(line):
    assert not textfiles.quotes_whole_fields(b"\n" + line.encode() + b"\n", ",")
    assert textfiles.quotes_whole_fields(b'\n"1",2,""\r\n3,"4"\n', ",")


def test_a_field_with_a_quote_inside_is_not_plain_where_a_block_ends_before_it(tmp_path):
    line = "1,2,3\n"
    filled, left = divmod((1 << 20) - 3, len(line))
    start = line * filled + "\n" * left + "1,2"  # a block is 1 MB
    assert not textfiles.is_plain(write(tmp_path, f'{start}"3",4\n'), ",", 0)
    assert textfiles.is_plain(write(tmp_path, f'{start},"4"\n'), ",", 0)


# --- Parquet ---------------------------------------------------------------------------------------------------------


def frame():
    return pd.DataFrame(ROWS, columns=["userId", "movieId", "rating", "timestamp"])


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.large_string(), pa.string(), pa.dictionary(pa.int32(), pa.string())]
)
def test_columns_of_text_in_parquet_are_read(tmp_path, kind):
    columns = {name: pa.array([str(value) for value in frame()[name]]) for name in frame()}
    table = pa.table({name: column.cast(kind) for name, column in columns.items()})
    pq.write_table(table, tmp_path / "own.parquet")
    assert cells(load(tmp_path / "own.parquet")) == EXPECTED


@pytest.mark.parametrize("unit", ["date", "text", "ms"])
def test_dates_in_parquet_are_read(tmp_path, unit):
    table = frame()
    moments = pd.to_datetime(table["timestamp"], unit="s")
    table["timestamp"] = {"date": moments.dt.date, "text": moments.astype(str), "ms": table["timestamp"] * 1000}[unit]
    table.to_parquet(tmp_path / "own.parquet")
    assert cells(load(tmp_path / "own.parquet")) == (days(EXPECTED) if unit == "date" else EXPECTED)


def test_odd_dates_in_parquet_are_said_not_to_be_used(tmp_path):
    frame().drop(columns="timestamp").assign(date="7.5.2006").to_parquet(tmp_path / "own.parquet")
    data = load(tmp_path / "own.parquet")
    assert cells(data) == without_time(EXPECTED)
    assert "column date not used: '7.5.2006' is no date such as 2006-05-07" in data.notes


@pytest.mark.parametrize("name", ["ratings.parquet", "parts"])
def test_a_folder_of_parquet_parts_is_one_table(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    frame()[:3].to_parquet(folder / "part-00000.snappy.parquet")
    frame()[3:].astype({"userId": "int32"})[["movieId", "userId", "timestamp", "rating"]].to_parquet(
        folder / "part-00001.snappy.parquet"
    )
    (folder / "_SUCCESS").write_text("")
    data = load(folder if name == "parts" else tmp_path)
    assert (cells(data), data.folder) == (EXPECTED, folder)
    frame()[3:].assign(rating=[float("nan")]).to_parquet(folder / "part-00001.snappy.parquet")
    assert "part-00001.snappy.parquet: row 1: the rating is empty" in refusal(folder)


@pytest.mark.parametrize(
    ("files", "read"),
    [
        ("train/0.parquet test/0.parquet dev/1.parquet", "dev/1.parquet test/0.parquet train/0.parquet"),
        ("year=2005/a.parquet year=2006/a.parquet", "year=2005/a.parquet year=2006/a.parquet"),
        ("data/train/0.parquet data/test/0.parquet", "data/test/0.parquet data/train/0.parquet"),
        ("items/0.parquet reviews/0.parquet reviews/1.parquet", "reviews/0.parquet reviews/1.parquet"),
        ("train/0.parquet test/0.parquet ratings/0.parquet", "ratings/0.parquet"),
        ("train/0.parquet test/0.parquet items/0.parquet", ""),  # of which table the splits are is not known
        ("train/0.parquet b.parquet a.parquet", "a.parquet b.parquet"),
        ("other/0.parquet", "other/0.parquet"),
        ("a/b/0.parquet", "a/b/0.parquet"),
        ("a/b/c/0.parquet", ""),
        ("combined_data_2.txt combined_data_1.txt.gz probe.txt", "combined_data_1.txt.gz combined_data_2.txt"),
        ("training_set/mv_2.txt training_set/mv_1.txt", "training_set/mv_1.txt training_set/mv_2.txt"),
    ],
)
def test_folders_of_parts_are_one_table_where_none_is_of_another(files, read, tmp_path):
    for name in files.split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    if read:
        assert rating_files(tmp_path) == (tmp_path, [tmp_path / name for name in read.split()])
    else:
        with pytest.raises(UserError, match="no ratings in this folder"):
            rating_files(tmp_path)


# --- published formats -----------------------------------------------------------------------------------------------


def named(table, user="{}", movie="{}"):
    return {(user.format(u), movie.format(m)): value for (u, m), value in table.items()}


AMAZON = named(WHOLE, "A00000000{}", "B0000000{:02d}")


@pytest.mark.parametrize(
    ("form", "heading", "name"),
    [
        ("A00000000{0},B0000000{1:02d},{2:.0f}.0,{3}", "", "ratings_Movies_and_TV.csv"),
        ("B0000000{1:02d},A00000000{0},{2:.0f}.0,{3}", "", "Movies_and_TV.csv"),
        ("A00000000{0},B0000000{1:02d},{2:.0f}.0,{3}000", "user_id,parent_asin,rating,timestamp\n", "own.csv"),
        (
            '{{"reviewerID": "A00000000{0}", "asin": "B0000000{1:02d}", "helpful": [0, 0], "reviewText": "it\'s, {{",'
            ' "overall": {2:.0f}.0, "unixReviewTime": {3}, "reviewTime": "09 13, 2009"}}',
            "",
            "Movies_and_TV.json.gz",
        ),
        (
            '{{"rating": {2:.0f}.0, "title": "x", "images": [], "asin": "C", "parent_asin": "B0000000{1:02d}",'
            ' "user_id": "A00000000{0}", "timestamp": {3}000, "verified_purchase": true}}',
            "",
            "own.jsonl",
        ),
    ],
)
def test_amazons_reviews_of_each_year_are_read(tmp_path, form, heading, name):
    rows = [(user, movie, stars // 1, seconds) for user, movie, stars, seconds in ROWS]
    text = lines(form, heading, rows).encode()
    assert cells(load(write(tmp_path, gzip.compress(text) if name.endswith("gz") else text, name))) == AMAZON


def test_a_list_of_json_objects_is_read_however_it_is_broken_into_lines(tmp_path):
    entries = [dict(zip(("userId", "movieId", "rating", "timestamp"), row, strict=True)) for row in ROWS]
    for indent in (None, 2):
        assert cells(load(write(tmp_path, json.dumps(entries, indent=indent), "own.json"))) == EXPECTED
    broken = '[{"user":1,"item":2,"rating":3},\n1,{"user":1}]'
    assert """own.json:2: '1,{"user":1}]' is no object""" in refusal(write(tmp_path, broken, "own.json"))
    assert "own.json:2: this JSON object does not end" in refusal(
        write(tmp_path, '{"user":1,"item":2,"rating":3}\n{"u":', "own.json")
    )
    lines = json.dumps(entries, indent=0).splitlines()
    cut = lines[: len(lines) - 1 - lines[::-1].index("{")]  # before the last object
    text = "\n" + "\n".join(cut)
    one = '{"userId":4,"movieId":1,"rating":1,"timestamp":1}\n'
    for whole, more in ((text[:-1] + "]", -1), (text[:-1] + "],\n" + one, 0)):
        assert len(load(write(tmp_path, whole, "own.json")).ratings) == len(ROWS) + more
    for broken in (text, text + "\n \n", one + text[1:]):
        said = refusal(write(tmp_path, broken, "own.json"))
        assert f"own.json:{len(cut) + 1}: the list of JSON does not end with ]" in said
    assert "own.json: the file holds no object of JSON" in refusal(write(tmp_path, "[\n]\n", "own.json"))
    said = refusal(write(tmp_path, '{"user":1,"item":2,"rating":3}\n\n{"user":1,"item":3,"rating":"x"}', "own.json"))
    assert "own.json:3: rating 'x' is not a number" in said


def test_movietweetings_is_read_on_its_scale_without_its_users(tmp_path):
    rows = [(1, 114508, 8, 1381006850), (2, 499549, 0, 1376753198), (2, 1305591, 10, 1376742507)]
    write(tmp_path, lines("{0}::{1:07d}::{2}::{3}", "", rows), "ratings.dat")
    write(
        tmp_path,
        "0114508::Species (1995)::Action|Sci-Fi\n0499549::Avatar (2009)::\n0000008::Old (1894)::Short\n",
        "movies.dat",
    )
    write(tmp_path, "1::139564917\n2::522540374\n", "users.dat")
    data = load(tmp_path)
    assert data.ratings.scale == (0, 10)
    assert {pair: seconds for pair, (_, seconds) in cells(data).items()} == {row[:2]: row[3] for row in rows}
    assert data.ratings.rating.tolist() == pytest.approx([8, 0.001, 10])
    assert data.movies.titles == ["Species (1995)", "Avatar (2009)", "movie 1305591"]
    assert "users.dat is a table of another layout than MovieLens': not used" in data.notes


USERS = "userId user uid reviewer_id customerId cust_id memberId"
MOVIES = "movieId movie itemId item iid filmId film productId parent_asin asin isbn jokeId bookId"
STARS = "rating ratings stars star score grade overall Book-Rating rating_val"
TIMES = "timestamp time ts tstamp unixTime unixReviewTime date ratingDate datetime rated_at created_at"


@pytest.mark.parametrize(("separator", "quoted"), [("::", True), ("\t", False), ("\t", True)])
def test_rows_are_those_below_the_heading(separator, quoted, tmp_path):
    path = write(tmp_path, "".join(separator.join(row) + "\n" for row in ("ab", "cd", "", "ef")), "a.txt")
    assert list(textfiles.rows(path, separator, 1, quoted=quoted)) == [(2, ["c", "d"]), (4, ["e", "f"])]
    assert next(textfiles.rows(path, separator, quoted=quoted)) == (1, ["a", "b"])


def test_columns_are_found_by_every_name_that_published_files_have(tmp_path):
    names = [words.split() for words in (USERS, MOVIES, STARS, TIMES)]
    for number in range(max(map(len, names))):
        heading = ",".join(of_column[number % len(of_column)] for of_column in reversed(names))
        data = load(write(tmp_path, f"{heading}\n1260759144,4,31,1\n1260759205,3,29,7\n", "ratings.csv"))
        assert cells(data) == {(1, 31): (4, 1260759144), (7, 29): (3, 1260759205)}, heading


def test_book_crossing_is_read_without_the_zeros_that_are_no_ratings(tmp_path):
    rows = '"1";"034545104X";"0"\r\n"1";"0155061224";"5"\r\n"2";"034545104X";"10"\r\n"2";"0155061224";"0"\r\n'
    write(tmp_path, '"User-ID";"ISBN";"Book-Rating"\r\n' + rows, "BX-Book-Ratings.csv")
    books = '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication"\r\n"034545104X";"Flesh; Bl\xf6d";"M";"2002"\r\n'
    write(tmp_path, books.encode("latin-1"), "BX-Books.csv")
    data = load(tmp_path)
    assert cells(data) == {(1, "0155061224"): (5, None), (2, "034545104X"): (10, None)}
    assert (data.ratings.scale, data.movies.titles) == ((1, 10), ["0155061224", "Flesh; Bl\xf6d"])
    assert "2 ratings read, left out: lines 2 that say 0, which is no rating there" in data.notes


def test_the_netflix_prize_is_read_with_its_titles(tmp_path):
    text = "31:\n7,2,2006-05-07\n9,1,2009-04-29\n29:\n7,5,2005-07-04\n5:\n12,4,2002-11-15\n"
    write(tmp_path, "5,2003,Dinosaur, Planet\n29,NULL,Isle\n".encode("latin-1"), "movie_titles.csv")
    data = load(write(tmp_path, text, "combined_data_1.txt"))
    assert cells(data) == days(WHOLE)
    assert data.movies.titles == ["Dinosaur, Planet (2003)", "Isle", "movie 31"]
    assert "read as the format of the Netflix Prize" in data.notes
    assert "combined_data_1.txt:3: rating 'x' is not" in refusal(
        write(tmp_path, "1:\n2,3,2006-05-07\n3,x,2006-05-07\n", "combined_data_1.txt")
    )


@pytest.mark.parametrize(
    ("names", "inner"),
    [(("combined_data_1.txt", "combined_data_2.txt"), "."), (("mv_0000029.txt", "mv_0000031.txt"), "training_set")],
)
def test_the_files_of_the_netflix_prize_in_a_folder_are_one_table(tmp_path, names, inner):
    folder = tmp_path / inner
    folder.mkdir(exist_ok=True)
    write(folder, "29:\n7,5,2005-07-04\n", names[0])
    second = write(folder, "31:\n7,2,2006-05-07\n9,1,2009-04-29\n", names[1])
    write(tmp_path, "29,1999,Isle\n31,2001,B\n", "movie_titles.txt")
    write(tmp_path, "1:\n7\n", "qualifying.txt")
    for place in {tmp_path, folder}:
        data = load(place)
        assert cells(data) == {pair: value for pair, value in days(WHOLE).items() if pair[0] != 12}
        assert data.movies.titles == ["Isle (1999)", "B (2001)"]
        assert any(note.startswith("2 files read as one table: ") for note in data.notes)
    write(folder, "31:\n7,2,2006-05-07\n9,?,2009-04-29\n", names[1])
    assert f"{second}:3: rating '?' is not a number" in refusal(tmp_path)
    write(folder, "31:\n7,2,2006-05-07\n9,1\n", names[1])
    assert f"{second}:3: too few fields" in refusal(tmp_path)


@pytest.mark.parametrize("folders", [("data",), ("default/train", "default/test"), ("ratings", "movies")])
def test_parquet_parts_in_folders_within_are_one_table(tmp_path, folders):
    for number, folder in enumerate(folders):
        (tmp_path / folder).mkdir(parents=True)
        of_movies = folder == "movies"
        rows = frame() if folders[1:] in ((), ("movies",)) else frame()[2 * number : 2 * number + 2]
        parts = [(rows[:1], 0), (rows[1:], 1)]
        for part, i in parts:
            part = part.rename(columns={"userId": "x"}) if of_movies else part
            part.to_parquet(tmp_path / folder / f"train-{i:05}-of-00002.parquet")
    data = load(tmp_path)
    assert (cells(data), data.name) == (EXPECTED, tmp_path.name)


def test_yahoos_second_stars_are_no_times(tmp_path):
    text = "1\t1800000008\t8\t3\n1\t1800000012\t13\t5\n2\t1800000008\t1\t1\n"
    data = load(write(tmp_path, text, "own.txt"))
    assert cells(data) == {(1, 1800000008): (8, None), (1, 1800000012): (13, None), (2, 1800000008): (1, None)}
    assert any(
        "Yahoo! Movies: the 4th column, the same stars on a scale of 1 to 5, is not used" in n for n in data.notes
    )


def test_recboles_files_are_read_from_their_folder(tmp_path):
    heading = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    write(tmp_path, lines("{0}\t{1}\t{2}\t{3}", heading), "ml.inter")
    items = (
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n31\tToy Story\t1995\tComedy Drama\n"
    )
    write(tmp_path, items, "ml.item")
    data = load(tmp_path)
    assert cells(data) == EXPECTED
    assert (data.movies.titles[2], data.movies.years[2], data.movies.genres[2]) == (
        "Toy Story",
        1995,
        ["Comedy", "Drama"],
    )


# --- options ---------------------------------------------------------------------------------------------------------

CHOSEN = {"userId": "who", "movieId": "what", "rating": "how"}


def test_columns_are_chosen_by_name_and_by_number(tmp_path):
    path = write(tmp_path, lines("{2};{1};x;{0};{3}", "how;What;rating;who;when\n"))
    assert cells(load(path, reading=Reading(CHOSEN))) == without_time(EXPECTED)
    by_number = {"userId": "4", "movieId": "2", "rating": "1", "timestamp": "5"}
    assert cells(load(path, reading=Reading(by_number))) == EXPECTED
    bare = write(tmp_path, lines("{2};{1};x;{0};{3}"))
    assert cells(load(bare, reading=Reading(by_number))) == EXPECTED
    with pytest.raises(UserError, match=r"--columns: there is no column 'who'; found: 2\.5, 31, x, 7"):
        load(bare, reading=Reading(CHOSEN))
    frame().rename(columns={"userId": "who", "movieId": "what", "rating": "how"}).to_parquet(tmp_path / "own.parquet")
    assert cells(load(tmp_path / "own.parquet", reading=Reading(CHOSEN))) == without_time(EXPECTED)


def test_ids_are_text_where_the_user_says_so(tmp_path):
    path = write(tmp_path, "user,movie,rating\n1,007,3\n1,7,4\n2,5X,5\n3,8,1\n")
    assert "--text-ids" in refusal(path)
    found = cells(load(path, reading=Reading(text_ids=True)))
    assert found == {("1", "007"): (3, None), ("1", "7"): (4, None), ("2", "5X"): (5, None), ("3", "8"): (1, None)}
    frame().to_parquet(tmp_path / "own.parquet")
    assert cells(load(tmp_path / "own.parquet", reading=Reading(text_ids=True))) == named(EXPECTED)


TWICE = "1,5,2,30\n1,6,3,31\n1,5,5,20\n1,5,3.5,29\n"


@pytest.mark.parametrize(
    ("duplicates", "timed", "expected"),
    [("last", True, (2, 30)), ("last", False, (3.5, None)), ("mean", True, (3.5, 30)), ("mean", False, (3.5, None))],
)
def test_of_ratings_of_one_pair_the_last_or_the_mean_counts(tmp_path, duplicates, timed, expected):
    text = HEADING + TWICE
    if not timed:
        text = "".join(line.rpartition(",")[0] + "\n" for line in text.splitlines())
    data = load(write(tmp_path, text), reading=Reading(duplicates=duplicates))
    assert cells(data) == {(1, 5): expected, (1, 6): (3, 31 if timed else None)}
    assert f"2 ratings read, left out: lines 2 of a pair rated again, of which the {duplicates} counts" in data.notes
    assert "keep one, or give --duplicates last or mean" in refusal(write(tmp_path, text))


def test_the_options_reach_the_reader_and_the_config(tmp_path):
    argv = ["bias", "--columns", "user=who,movie=2,rating=how", "--text-ids", "--duplicates", "mean"]
    _, args, config = train.parse(argv)
    assert args.reading() == Reading({"userId": "who", "movieId": "2", "rating": "how"}, True, "mean")
    data = load(write(tmp_path, lines("{0},{1},{2}")))
    kept = train.facts_of("bias", args, SimpleNamespace(config=config), data)
    assert (kept["columns"], kept["text_ids"], kept["duplicates"]) == (args.columns, True, "mean")
    plain = train.facts_of("bias", train.parse(["bias"])[1], SimpleNamespace(config=config), data)
    assert not {"columns", "text_ids", "duplicates"} & set(plain)
    for wrong in ("user=a", "user=a,movie=b,rating=", "user=a,movie=b,rating=c,user=d", "x"):
        with pytest.raises(UserError, match=r"user=\.\.\.,movie=\.\.\.,rating=\.\.\. and maybe time=\.\.\. are needed"):
            train.parse(["bias", "--columns", wrong])


# --- side tables -----------------------------------------------------------------------------------------------------


def test_a_bad_line_of_a_movie_that_nobody_rated_is_counted(tmp_path):
    path = write(tmp_path, lines("{0},{1},{2},{3}", HEADING))
    write(tmp_path, "movieId,title,genres\n5,Five,\n1997-08-20,x,\n77,a,b,c\n29,B,\n31,A,\n5X,y,z,q\n", "movies.csv")
    data = load(path)
    assert data.movies.titles == ["Five", "B", "A"]
    assert any(
        note.startswith("3 lines of movies.csv can't be read, of no rated movie: left out (first: line 3: id ")
        for note in data.notes
    )
    write(tmp_path, "movieId,title,genres\n5,Five,\n29,B,\n31,A,c,d\n", "movies.csv")
    assert "movies.csv:4: too many fields" in refusal(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("adult,genres,id,imdb_id,title\nFalse,\"[{'id': 18, 'name': 'Drama'}]\",5,tt05,Meta\n", "is TMDB's metadata"),
        ("movieId,name of it\n5,A\n", "movies.csv:1: missing column(s) title; found: movieId, name of it"),
    ],
)
def test_a_table_of_another_layout_is_said_and_left(tmp_path, text, said):
    write(tmp_path, text, "movies.csv")
    data = load(write(tmp_path, lines("{0},{1},{2},{3}", HEADING)))
    assert data.movies.titles == ["movie 5", "movie 29", "movie 31"]
    assert any(said in note and note.endswith("not used, movies are called by their ids") for note in data.notes)


# --- damage ----------------------------------------------------------------------------------------------------------

FORMS = {  # name of the file: (line of a rating, lines above the first)
    "own.csv": ("{0},{1},{2},{moment:%Y-%m-%d %H:%M:%S}", HEADING),
    "own.txt": ("{0};{1};{2};{3}000", "sep=;\n"),
    "amazon.csv": ("A00000000{0},B0000000{1:02d},{2},{3}", ""),
    "own.json": ('{{"user": "u{0}", "asin": "B{1}", "overall": {2}, "time": {3}}}', ""),
    "combined_data_1.txt": ("{0},{2},{moment:%Y-%m-%d}", "31:\n"),
    "ml.inter": ("{0}\t{1}\t{2}\t{3}", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"),
    "BX-Book-Ratings.csv": ('"{0}";"{1}X";"{2}"', '"User-ID";"ISBN";"Book-Rating"\n'),
}

JESTER = "".join(f"3{',99' * before},-7.5,0,{before}.25{',99' * (22 - before)}\n" for before in (4, 9, 2))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", FORMS)
def test_the_line_of_a_wrong_rating_is_named_in_every_form(tmp_path, name, encoding):
    form, heading = FORMS[name]
    rows = [*ROWS[:2], (9, 32, "?", 1240981388), *ROWS[3:]]
    if name == "BX-Book-Ratings.csv" and encoding != "utf-8":
        return
    said = refusal(write(tmp_path, lines(form, heading, rows).replace(" ?", ' "?"').encode(encoding), name))
    assert f"{name}:{heading.count(chr(10)) + 3}: rating '?' is not a number" in said


@on_many_files
@given(st.data())
def test_a_damaged_file_of_any_form_is_read_or_refused_with_a_line_that_it_has(tmp_path_factory, data):
    whole_files = {name: lines(*form) for name, form in FORMS.items()} | {"jester-data-1.csv": JESTER}
    name = data.draw(st.sampled_from(sorted(whole_files)))
    broken = data.draw(damage(whole_files[name].encode()))
    path = write(tmp_path_factory.mktemp("d"), broken, name)
    n, said = len(broken.splitlines()) + 2, ""
    try:
        a_line = 25 if name == "jester-data-1.csv" else 1
        assert 1 <= len(load(path, reading=Reading(duplicates="last")).ratings) <= a_line * n
    except UserError as error:
        said = str(error)
    assert len(said) < 2000
    assert all(1 <= int(line) <= n for line in re.findall(rf"{name}:(\d+):", said))


# --- nothing is lost -------------------------------------------------------------------------------------------------


@on_many_files
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.sampled_from([0, 1, 5, 10, None])), min_size=1))
def test_the_ratings_read_and_left_out_are_the_lines_of_the_file(tmp_path_factory, rows):
    """None stands for a line of commas, as spreadsheets write them."""
    text = ["User-ID,ISBN,Rating"] + [
        ",," if stars is None else f"{user},{movie},{stars}" for user, movie, stars in rows
    ]
    path = write(tmp_path_factory.mktemp("bx"), "\n".join(text) + "\n")
    if all(not stars for *_, stars in rows):
        assert "holds no ratings" in refusal(path)
        return
    data = load(path, reading=Reading(duplicates="last"))
    note = next(note for note in data.notes if " ratings read, " in note)
    assert sum(int(word) for word in note.split() if word.isdecimal() and word != "0,") == len(rows)
    assert len(data.ratings) == len({row[:2] for row in rows if row[2]})


def test_a_line_of_blanks_is_counted_and_no_error(tmp_path):
    (tmp_path / "r.csv").write_text("userId,movieId,rating,title\n1,2,3,x\n   \n2,2,4,y\n")
    data = load(tmp_path / "r.csv")
    assert data.ratings.rating.tolist() == [3, 4]
    assert any("lines 1 without any value" in note for note in data.notes)


def test_a_day_that_no_month_has_is_no_date():
    assert values._days_in_digits(np.array([20060228, 20060301])).tolist() == [1141084800, 1141171200]
    assert values._days_in_digits(np.array([20060228, 20060231])) is None


def test_a_line_without_a_rating_above_a_blank_one_is_named(tmp_path):
    said = refusal(write(tmp_path, "userId,movieId,rating\n1,1,4\n1,2,3\n2,1,\n,,\n", "r.csv"))
    assert "r.csv:4: the rating is empty" in said


def test_numbers_of_columns_are_places_even_where_the_first_line_holds_such_values(tmp_path):
    reading = Reading(columns={"userId": "2", "movieId": "3", "rating": "1"})
    data = load(write(tmp_path, "3,1,3\n3,1,5\n2,1,7\n4,2,7\n", "r.csv"), reading=reading)
    assert data.ratings.user_ids.tolist() == [1, 2]
    assert data.ratings.movie_ids.tolist() == [3, 5, 7]
    assert data.ratings.rating.tolist() == [3, 3, 2, 4]
