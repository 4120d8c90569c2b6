"""Files as they come and as they break: a good one is read exactly, a broken one exactly or not at all.

The oracle is Python's csv module (or str.split) and arithmetic on what it gives, written here a second time.
"""

import csv
import gzip
import io
import os
import re
import struct
import tempfile
import zipfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reading import cells, write, zip_of

from utils.data.datasets import load
from utils.data.movies import Movies
from utils.data.reading import formats, tables
from utils.data.titles import Titles
from utils.errors import UserError
from utils.personal.ratings import read_personal, read_watchlist

HEADINGS = {
    "user": ("userId", "user_id", "USER", " userid "),
    "movie": ("movieId", "item_id", "Item", "movie"),
    "stars": ("rating", "stars", "Score"),
    "time": ("timestamp", "ts", "Time"),
}
NASTY = ["", " ", "nan", "inf", "-1", "0", "1e308", "-1e308", "1.5", "0x10", "1_0", '"', '"2"3', "é", "\0", "1e-320"]
NASTY += ["٣", "2,5", "a\nb", "1 2", "None", "007", "+7", "7.0"]
NASTY += [*map(str, (2**63 - 1, 2**63, -(2**63) - 1, 10**25)), "x" * 300]

whole = st.integers(-(2**63), 2**63 - 1) | st.integers(1, 99)
# csv.writer leaves a lone \r unquoted, where it ends the line for every reader
words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), max_size=12).map("t{}".format)
on_many_files = settings(deadline=None, max_examples=int(os.environ.get("REELSPACE_EXAMPLES", "75")))


@st.composite
def tables_of(draw, text_ids=True):
    """[(user, movie, stars, seconds or None), ...]: a correct rating table, no pair twice."""
    user, movie = (draw(st.sampled_from([whole, words] if text_ids else [whole])) for _ in range(2))
    pairs = draw(st.lists(st.tuples(user, movie), min_size=1, max_size=25, unique=True))
    stars = [draw(st.sampled_from([0.5, 1, 1.5, 3, 4.5, 5])) for _ in pairs]
    timed = draw(st.booleans())
    seconds = [draw(st.integers(-(10**9), 2 * 10**9)) if timed else None for _ in pairs]
    return [(*pair, *rest) for pair, *rest in zip(pairs, stars, seconds, strict=True)]


@st.composite
def files_of(draw, table):
    """(name, bytes) of a CSV or TSV file of the table: columns in any order and spelling, quoted or not, ..."""
    columns = ["user", "movie", "stars", *(["time"] if table[0][3] is not None else []), "remark"]
    order = draw(st.permutations(columns))
    heading = [draw(st.sampled_from(HEADINGS[column])) if column in HEADINGS else column for column in order]
    rows = [dict(zip(("user", "movie", "stars", "time"), row, strict=True)) | {"remark": draw(words)} for row in table]
    out = io.StringIO(newline="")
    writer = csv.writer(
        out,
        delimiter=draw(st.sampled_from(",\t;")),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
    )
    writer.writerow(heading)
    writer.writerows([row[column] for column in order] for row in rows)
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + out.getvalue().encode()
    return "own.csv", gzip.compress(data, mtime=0) if draw(st.booleans()) else data


def published(table, name):
    """(name, bytes) of the table as ratings.csv, u.data or ratings.dat; seconds are 1 where it has none."""
    separator = {"ratings.csv": ",", "u.data": "\t", "ratings.dat": "::"}[name]
    lines = [separator.join(map(str, (*row[:3], 1 if row[3] is None else row[3]))) for row in table]
    heading = ["userId,movieId,rating,timestamp"] if name == "ratings.csv" else []
    return name, ("\n".join(heading + lines) + "\n").encode()


def outcome(name, data):
    """What loading gives: a table as {pair: (stars, seconds)}, or the message of the refusal."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return cells(load(write(Path(folder), data, name)))
        except UserError as error:
            message = str(error).replace(folder, "")
    assert len(message.splitlines()) <= 2
    assert name in message
    return message


def outcomes(name, data):
    """`outcome`, made sure to be the same without the fast pass."""
    found = outcome(name, data)
    with patch.object(tables, "_plain_text", return_value=None):
        assert outcome(name, data) == found
    return found


def parse(name, data):
    """{pair: (stars, seconds)}, all as numbers where they are, cut and counted without the reader's help."""
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    text = data.decode("utf-16" if data[:2] == b"\xff\xfe" else "utf-8-sig")
    lines = [line for line in re.split("\r\n|\r|\n", text) if line]
    headed = name not in ("u.data", "ratings.dat")
    if "::" in lines[0] and not headed:
        rows = [line.split("::") for line in lines]
    else:
        separator = max(",\t;", key=lines[0].count) if headed else next((s for s in "\t,;| " if s in lines[0]), "\t")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True) if row]
    order = ["user", "movie", "stars", "time"]
    if headed:
        words = zip(HEADINGS, formats.SPELLINGS.values(), strict=True)  # damage may make one spelling another
        known = {spelling: column for column, spellings in words for spelling in spellings}
        order = [known.get(letters(title)) for title in rows.pop(0)]
    elif len(rows[0]) == 3:
        order.remove("time")
    rows = [row for row in rows if any(map(str.strip, row))]
    assert all(len(row) == len(order) for row in rows)
    if not headed or separator != ",":
        rows = [
            [
                re.sub(r"^(\d+),(\d+)$", r"\1.\2", field) if name == "stars" else field
                for name, field in zip(order, row, strict=True)
            ]
            for row in rows
        ]
    rows = [dict(zip(order, row, strict=True)) for row in rows]
    seconds = [float(row["time"]) // 1 if "time" in row else None for row in rows]
    if len(set(seconds)) == 1:
        seconds = [None] * len(rows)
    found = {
        (row["user"], row["movie"]): (struct.unpack("f", struct.pack("f", float(row["stars"])))[0], time)
        for row, time in zip(rows, seconds, strict=True)
    }
    assert len(found) == len(rows)
    return found


def letters(title):
    return "".join(sign for sign in title.lower() if sign.isalnum())


def as_text(table):
    return {(str(user), str(movie)): value for (user, movie), value in table.items()}


def in_digits(table):
    """Ids such as 007, +7 and 7.0 as the number they are, for comparing."""
    plain = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
    return {
        tuple(str(int(raw.split(".")[0])) if plain.fullmatch(raw.strip()) else raw for raw in pair): value
        for pair, value in table.items()
    }


@on_many_files
@given(st.data())
def test_a_good_file_is_read_exactly_however_it_is_written(data):
    table = data.draw(tables_of())
    seconds = {row[3] for row in table}
    expected = {row[:2]: (row[2], row[3] if len(seconds) > 1 else None) for row in table}
    name, content = data.draw(files_of(table))
    assert outcomes(name, content) == expected


@on_many_files
@given(tables_of(text_ids=False), st.sampled_from(["ratings.csv", "u.data", "ratings.dat"]))
def test_a_good_file_in_a_published_layout_is_read_exactly(table, name):
    seconds = {row[3] for row in table}
    expected = {row[:2]: (row[2], row[3] if len(seconds) > 1 else None) for row in table}
    assert outcomes(*published(table, name)) == expected


@st.composite
def damage(draw, data):
    """The bytes with one thing done to them."""
    kind = draw(st.sampled_from(["cut", "overwrite", "insert", "field", "separator", "repeat", "encode", "drop"]))
    start = draw(st.integers(0, len(data)))
    end = min(len(data), start + draw(st.integers(0, 8)))
    lines = data.split(b"\n")
    line = draw(st.integers(0, len(lines) - 1))
    if kind == "cut":
        return data[:start]
    if kind == "overwrite":
        return data[:start] + draw(st.binary(min_size=end - start, max_size=end - start)) + data[end:]
    if kind == "insert":
        return data[:start] + draw(st.sampled_from(NASTY)).encode() + data[start:]
    if kind == "drop":
        return data[:start] + data[end:]
    if kind == "encode":
        return data.decode("latin-1").encode(draw(st.sampled_from(["utf-16", "utf-16-le", "utf-8"])))
    if kind == "field":
        fields = re.split(rb"(::|[,\t;])", lines[line])
        place = 2 * draw(st.integers(0, len(fields) // 2))
        fields[place] = draw(st.sampled_from(NASTY)).encode()
        lines[line] = b"".join(fields)
    if kind == "separator":
        lines[line] = re.sub(rb"::|[,\t;]", draw(st.sampled_from([b",", b"\t", b";", b":", b"::", b" "])), lines[line])
    if kind == "repeat":
        lines.insert(line, lines[line])
    return b"\n".join(lines)


@pytest.mark.parametrize(
    "heading", ['userId,movieId,rating,"', 'userId,movieId,rating,"x"y', '"userId",movieId,rating,"x"']
)
def test_quotes_of_a_heading_are_read_alike_with_the_fast_pass_and_without(heading):
    found = outcomes("ratings.csv", f"{heading}\n0,0,0.5,1\n".encode())
    assert isinstance(found, dict) is heading.endswith('"x"')


@on_many_files
@given(st.data())
def test_a_damaged_file_is_read_exactly_or_refused(data):
    table = data.draw(tables_of())
    name, content = data.draw(
        files_of(table) | st.sampled_from(["ratings.csv", "u.data", "ratings.dat"]).map(lambda n: published(table, n))
    )
    broken = data.draw(damage(content))
    found = outcomes(name, broken)
    if isinstance(found, dict):
        assert in_digits(as_text(found)) == in_digits(parse(name, broken))


@on_many_files
@given(st.lists(st.tuples(words, st.lists(words, max_size=3)), min_size=1, max_size=8))
@example([('t, "quoted", (1999)\r\nand é', [])])
def test_titles_are_read_exactly_whatever_stands_in_them(movies):
    out = io.StringIO(newline="")
    rows = [(i, title, "|".join(genres)) for i, (title, genres) in enumerate(movies)]
    csv.writer(out).writerows([("movieId", "title", "genres"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), out.getvalue(), "movies.csv")
        ratings = "userId,movieId,rating\n" + "".join(f"1,{i},3\n" for i in range(len(movies)))
        assert load(write(Path(folder), ratings)).movies.titles == [title for title, _ in movies]


def _unzipped(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _workbook(rows):
    """An .xlsx file of one sheet with these rows."""
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(buffer)
    return buffer.getvalue()


OWN = {
    "letterboxd": b"Date,Name,Year,Letterboxd URI,Rating\n2020-01-01,Alien,1979,https://boxd.it/1,4.5\n"
    b"2020-01-02,Heat,1995,https://boxd.it/2,\n2020-01-03,=cmd(),2001,https://boxd.it/3,1\n",
    "imdb": b"Const,Your Rating,Title,Title Type,Year\ntt1,10,Alien,Movie,1979\ntt2,3,Heat,TV Series,1995\n",
    "plain": b'title,rating\n"Matrix, The",5\nAlein,0.5\nHeat (1995),3\n',
    "ids": b"movieId;rating\n1;5\n2;0.5\n3;4\n",
    "trakt": b'[{"rated_at": "2020", "rating": 9, "type": "movie", "movie": {"title": "Alien", "year": 1979}}]',
    "tmdb": b"TMDb ID,IMDb ID,Type,Name,Release Date,Season Number,Your Rating\n9,tt9,movie,Heat,1995-12-15,,9\n",
    "excel": "sep=;\r\ntitle;year;rating\r\nAlien;1979;4,5\r\n;;\r\n".encode("utf-16"),
    "stars": "My list\n\nFilm,Year,My score\nAlien,1979,★★★½\nHeat,1995,★\n".encode(),
    "zip": zip_of(
        {
            "ratings.csv": b"Date,Name,Year,Letterboxd URI,Rating\n2020-01-01,Alien,1979,https://boxd.it/1,4.5\n",
            "watched.csv": b"Date,Name,Year,Letterboxd URI\n2020-01-01,Heat,1995,https://boxd.it/1\n",
        }
    ),
    "workbook": _workbook([["Title", "Year", "Rating"], ["Alien", 1979, 4.5], [], ["Heat", 1995, "3,5"]]),
}
MOVIES = Movies(
    np.arange(1, 5),
    ["Alien (1979)", "Heat (1995)", "Matrix, The (1999)", "=cmd() (2001)"],
    [1979, 1995, 1999, 2001],
    [["Drama"]] * 4,
)


@on_many_files
@given(st.data())
def test_a_damaged_file_of_ones_own_ratings_is_read_or_refused(data):
    """What comes back are stars of the scale for movies of the data, whatever the file says, and the last note counts
    each line once; what is refused is named, with a line that there is. Of archives the files in them are damaged."""
    content = OWN[data.draw(st.sampled_from(sorted(OWN)))]
    if content.startswith(b"PK") and data.draw(st.booleans()):
        files = _unzipped(content)
        name = data.draw(st.sampled_from(sorted(files)))
        broken = zip_of(files | {name: data.draw(damage(files[name]))})
    else:
        broken = data.draw(damage(content))
    is_list = data.draw(st.booleans())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.csv"
        path.write_bytes(broken)
        try:
            if is_list:
                movies, notes = read_watchlist(path, Titles(MOVIES))
                found, said = dict.fromkeys(movies, 5), None
            else:
                (found, _, notes), said = read_personal(path, Titles(MOVIES), (0.5, 5.0)), None
        except UserError as error:
            found, said = {}, str(error)
    lines = 10**6 if broken.startswith(b"PK") else broken.count(b"\n") + broken.count(b"\r") + 1
    if said is not None:
        assert str(path) in said
        assert len(said) < 2000
        assert all(int(number) <= lines for number in re.findall(r"own.csv:(\d+)", said))
        return
    assert found
    assert all(0 <= movie < len(MOVIES.ids) and 0.5 <= stars <= 5 for movie, stars in found.items())
    total, parts = re.fullmatch(
        r"([\d,]+) lines?(?:, read as .*'s)?: (.*)", notes[-1].removeprefix(f"{path}: ")
    ).groups()
    assert int(total) == sum(int(part.split()[0]) for part in parts.split(", ")) <= lines


REMARKS = ("", "good", "two\nlines", "three\r\n\r\nlines", 'a "quoted" word', "a, b; c\td")


@on_many_files
@given(st.lists(st.tuples(st.sampled_from(REMARKS), st.integers(0, 2)), min_size=1, max_size=8), st.data())
def test_a_rating_that_is_none_is_refused_with_its_line(rows, data):
    bad, separator = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from([",", ";", "\t"]))
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator=data.draw(st.sampled_from(["\n", "\r\n"])))
    writer.writerow(["remark", "title", "rating"])
    for place, (remark, n_blank) in enumerate(rows):
        out.write("\n" * n_blank)
        if place == bad:
            line = out.getvalue().count("\n") + 1
        writer.writerow([remark, "Heat", "great" if place == bad else 4])
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), out.getvalue())
        with pytest.raises(UserError, match=rf"own.csv:{line}: rating 'great' is not a number"):
            read_personal(path, Titles(MOVIES), (0.5, 5.0))


def test_every_file_of_ones_own_ratings_is_read_before_it_is_damaged(tmp_path):
    for name, content in OWN.items():
        (tmp_path / name).write_bytes(content)
        found, _, _ = read_personal(tmp_path / name, Titles(MOVIES), (0.5, 5.0))
        assert found, name
