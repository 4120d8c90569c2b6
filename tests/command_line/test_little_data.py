"""What is said of next to nothing: a test without likes, lists of one movie or none, and stars of 0."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import answer, random_ratings

import evaluate
import recommend
import train
from utils.app.visitor import Visitor
from utils.data import datasets, describe, test_file
from utils.data.movies import Movies
from utils.data.ratings import given
from utils.data.titles import Titles
from utils.errors import UserError
from utils.recommend import profile
from utils.runs import run_folder

NO_LIKES = "no test rating is a like (above 3.5 stars), so no list can be evaluated; train.py --like"


def trained(folder, name, stars, *options, more=()):
    """The folder of a run on 24 users and 10 movies who gave these stars, in turn, to two thirds of all pairs. more:
    lines of the file beside. A tenth of the others are in test.csv, too."""
    pairs = [(u, m) for u in range(1, 25) for m in range(1, 11) if (u + m) % 3]
    lines = [f"{u},{m},{stars[(u * 7 + m) % len(stars)]}" for u, m in pairs]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "r.csv").write_text("\n".join(["userId,movieId,rating", *lines, *more]) + "\n")
    titles = [f"{m},Movie {m} (19{60 + m}),{'War' if m == 1 else 'Drama'}" for m in range(1, 11)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *titles]) + "\n")
    (folder / "test.csv").write_text("\n".join(["userId,movieId,rating", *lines[::10]]) + "\n")
    return train.main([name, "--data", str(folder / "r.csv"), "--run", str(folder / name), *options])


@pytest.fixture(scope="module")
def unliked(tmp_path_factory):
    """Folders of runs whose test has no like: one that ranks only, one that predicts stars."""
    folder = tmp_path_factory.mktemp("unliked")
    low = ["--scale", "1,5", "--protocol", "fixed", "--test", str(folder / "test.csv")]
    fan = [f"30,{m},5" for m in range(1, 11)]  # every movie is liked by one
    return [trained(folder, name, (1, 2, 3), *low, more=fan) for name in ("popularity", "bias")]


@pytest.fixture(scope="module")
def noughts(tmp_path_factory):
    """The `Run` on a scale from 0, where every other rating is 0."""
    return run_folder.Run(trained(tmp_path_factory.mktemp("noughts"), "bias", (0, 5, 0, 10), "--scale", "0,10"))


def test_a_test_without_likes_is_said_and_no_table_is_empty(unliked, tmp_path, capsys):
    report = tmp_path / "r.html"
    for folder, figures in zip(unliked, (False, True), strict=True):
        capsys.readouterr()
        evaluate.main(["--run", str(folder), "--report", str(report)])
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == str(folder)
        assert sum(line.startswith(NO_LIKES) for line in lines) == 1
        assert any("RMSE" in line for line in lines) == figures
        assert figures or len(lines) == 4  # run, counts, why, where the report is
        assert not any("first" in line for line in lines)  # however the table of lists is wrapped
        page = report.read_text(encoding="utf-8")
        tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
        assert len(tables) == (2 if figures else 0)  # of errors, and of them by slice
        assert all('<td class="n">' in table for table in tables)
        assert "NDCG" not in "".join(tables)
        assert page.count(NO_LIKES) == (1 if figures else 2)  # among the headlines, and in place of the table
        assert page.count("known ratings</h3>") == 3  # users of the test are shown all the same


def test_runs_without_a_common_metric_are_not_put_into_a_table(unliked, tmp_path, capsys):
    evaluate.main(["--run", *map(str, unliked), "--report", str(tmp_path / "r.html")])
    said = f"{unliked[0]} and {unliked[1]}: there is no metric that both have"
    assert said in capsys.readouterr().out
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert said in page
    assert "Paired differences over" not in page


@pytest.mark.parametrize(
    ("options", "said", "shown"),
    [
        (("--genre", "War", "--include-seen"), "there is no more than this one", 1),
        (("--years", "1800"), "no movie fits", 0),
        (("--include-seen",), "there are no more than these 10", 10),
    ],
)
def test_lists_of_few_movies_are_said_right(options, said, shown, unliked, capsys):
    arguments = ["--user", "1", "--run", str(unliked[0]), *options, "-n", "11"]
    recommend.main(arguments)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[-1] == said
    assert sum("Movie" in line for line in lines) == shown
    assert any("title" in line for line in lines) == bool(shown)
    assert ("tell no two" in " ".join(lines)) == (shown > 1)  # all scores are the same


def test_no_other_user_is_said(unliked, monkeypatch, capsys):
    monkeypatch.setattr(recommend, "answer", lambda *_: {"user": 1, "items": []})
    recommend.main(["--similar-users", "1", "--run", str(unliked[0])])
    assert capsys.readouterr().out.splitlines()[-1] == "there is no other user"


# -- stars of 0, which a matrix holds as something above ---------------------------------------------------------------


def test_what_stands_for_0_is_0_again():
    assert given(np.float32([0.001, 10, 0.002]), (0, 10)).tolist() == np.float32([0, 10, 0.002]).tolist()
    assert given(0.001, (0.001, 10)) == 0.001  # which is no stand-in where stars begin above 0
    assert given(0.01, (0, 100)) == 0


def test_stars_of_0_are_0_in_every_answer(noughts, tmp_path, capsys):
    asked = ("--rate", "Movie 3=0", "Movie 4=10", "--run", noughts.folder)
    found = answer(capsys, *asked, "--explain", "--csv", tmp_path / "a.csv")
    assert [one["rating"] for one in found["given"]] == [0, 10]
    assert {one["rating"] for item in found["items"] for one in item["because"]} == {0, 10}
    recommend.main([*map(str, asked), "--explain"])
    shown = capsys.readouterr().out
    assert "your ratings: Movie 3 0; Movie 4 10" in shown
    assert "0.001" not in shown + (tmp_path / "a.csv").read_text()
    with pytest.raises(UserError, match="is rated twice, with 0 and 2 stars"):
        profile.read_typed(Titles(noughts.movies), (0, 10), ["Movie 3=0", "Movie 3=2"])
    ((_, stars),) = profile.read_typed(Titles(noughts.movies), (0, 10), ["Movie 3=0"])[0].items()
    assert stars == 0.001  # as in the data: 0 would be no rating


def test_stars_of_0_are_0_in_every_figure(noughts, tmp_path, capsys):
    evaluate.main(["--run", str(noughts.folder), "--report", str(tmp_path / "r.html"), "--json", str(tmp_path / "f")])
    one = json.loads((tmp_path / "f").read_text())["runs"][0]
    assert {stars for row in one["pictured"]["block"]["original"] for stars in row} == {0, 5, 10, None}
    assert {row["actual"] for row in one["stars"]["stars"]} == {0, 5, 10}
    assert {row["actual"] for row in one["pictured"]["violins"]} == {0, 5, 10}
    assert {liked["rating"] for sample in one["samples"] for liked in sample["liked"]} <= {0, 5, 10}
    assert any(liked["rating"] == 0 for sample in one["samples"] for liked in sample["liked"])
    assert 0.001 not in [one["rating"] for s in one["samples"] for item in s["items"] for one in item["because"]]
    assert min(row["value"] for row in one["stars"]["calibration"]) >= 0
    data = datasets.load(noughts.folder.parent / "r.csv", scale=(0, 10))
    rows = dict(describe.describe(data))
    assert {label for label in rows if label.startswith("stars ")} == {"stars 0", "stars 5", "stars 10"}
    zero = data.ratings.rating < 1
    assert rows["mean rating"] == f"{np.where(zero, 0, data.ratings.rating).mean():.3f}"


def test_the_mean_that_is_described_counts_a_0_as_0():
    stars = np.array([0.01, 100, 50, 0.01], np.float32)  # .01 stands for 0 on this scale
    table = replace(random_ratings(2, 3, 4), rating=stars, scale=(0.0, 100.0))
    users = pd.DataFrame({"age": [30.0, None], "gender": ["F", "M"]})
    rows = dict(describe.describe(datasets.Dataset("x", table, Movies.untitled(table.movie_ids), users)))
    assert (rows["user table"], rows["movie table"]) == ("age of 1, gender of all", "years of none, genres of none")
    assert (rows["mean rating"], rows["stars 0"]) == ("37.500", "2 (50.0%)")
    assert rows["likes"] == "1, ratings above 70 (25.0%)"
    assert rows["density"] == "66.67% of all pairs of user and movie"


def test_a_visitors_stars_of_0_are_0_in_their_file_and_kept_in_the_address(noughts):
    visitor, movies = Visitor(stars={0: 0.001, 1: 7.0}, hidden={2}), noughts.movies
    text = visitor.csv(movies, (0, 10))
    assert [row["rating"] for row in csv.DictReader(text.splitlines())] == ["0", "7"]
    again = Visitor()
    again.upload("mine.csv", text.encode(), Titles(movies), (0, 10))
    assert again.stars == visitor.stars
    known = Visitor.of_address(visitor.address(movies), movies, (0, 10))
    assert (known.stars, known.hidden) == (visitor.stars, visitor.hidden)


def test_a_test_file_that_says_0_where_the_data_says_more_is_told_so(noughts):
    table = noughts.split.ratings
    other = table.only(table.rating < 1)
    changed = type(table)(**{**vars(other), "rating": np.full(len(other), 5, np.float32)})
    with pytest.raises(UserError, match=r"is 5 stars here and 0 in the data"):
        test_file.join(table, changed, "t.csv")
