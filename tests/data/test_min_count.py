"""--min-count: the N-core of the ratings, what is left of movies and users, and how rare movies are still named."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import answer, random_ratings

import evaluate
import recommend
import train
from utils.data.datasets import Dataset, keep_core, load
from utils.data.movies import Movies
from utils.errors import UserError
from utils.recommend import profile
from utils.runs import run_folder
from utils.runs.run_folder import Run

# With 2: user 4 has one rating and falls first; then movie 40, "Once", has one left, and falls; then user 3 has one
# left, and falls; movies 10 and 20 keep those of users 1 and 2.
CSV = """userId,movieId,rating
4,40,4
1,10,5
1,20,3
2,10,4
2,20,1
3,10,2
3,40,5
"""
TITLES = 'movieId,title,genres\n10,Heat (1995),Crime\n20,Solaris (1972),Drama\n40,"Fall, The (2006)",Drama\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ratings.csv").write_text(CSV)
    (tmp_path / "movies.csv").write_text(TITLES)
    return tmp_path


def cells(ratings):
    return [
        (ratings.user_ids[u], ratings.movie_ids[m], stars)
        for u, m, stars in zip(ratings.user, ratings.movie, ratings.rating.tolist(), strict=True)
    ]


def test_a_user_who_falls_makes_a_movie_fall_and_that_another_user(folder):
    data, test = keep_core(load(folder), 2, np.array([3, 6]))
    assert cells(data.ratings) == [(1, 10, 5), (1, 20, 3), (2, 10, 4), (2, 20, 1)]
    assert data.ratings.shape == (2, 2)
    assert data.movies.titles == ["Heat (1995)", "Solaris (1972)"]
    assert data.movies.genres == [["Crime"], ["Drama"]]
    assert data.movies.rare.titles == ["Fall, The (2006)"]
    assert data.movies.rare.ids.tolist() == [40]
    assert test.tolist() == [2]  # the rating of movie 40 by user 3 is no test any more
    assert "1 movies, 2 users and 3 ratings left out: each that stays has 2 or more (--min-count)" in data.notes


def test_one_leaves_nothing_out(folder):
    data, test = load(folder), np.array([3])
    assert keep_core(data, 1, test) == (data, test)


@pytest.mark.parametrize(("least", "said"), [(3, "leaves no rating of .*smaller"), (0, "must be 1 or more, got 0")])
def test_what_makes_no_sense_is_refused(folder, least, said):
    with pytest.raises(UserError, match=f"--min-count {least} {said}" if least else said):
        keep_core(load(folder), least)


@pytest.mark.parametrize("least", [2, 12, 14])
def test_the_core_is_what_a_literal_loop_leaves(least):
    ratings = random_ratings()
    pairs = set(zip(ratings.user.tolist(), ratings.movie.tolist(), strict=True))
    before = None
    while before != pairs:
        before = pairs
        users, movies = ([pair[side] for pair in pairs] for side in (0, 1))
        pairs = {(u, m) for u, m in pairs if users.count(u) >= least and movies.count(m) >= least}
    keep = ratings.core(least)
    assert set(zip(ratings.user[keep].tolist(), ratings.movie[keep].tolist(), strict=True)) == pairs


def test_users_keep_their_rows_of_the_user_table(folder):
    import pandas as pd

    data = load(folder)
    data = Dataset(data.name, data.ratings, data.movies, pd.DataFrame({"age": [10, 20, 30, 40]}))
    assert keep_core(data, 2)[0].users["age"].tolist() == [10, 20]
    (folder / "ratings.csv").write_text("userId,movieId,rating\n1,40,4\n2,10,3\n3,10,5\n3,20,3\n4,10,5\n4,20,1\n")
    assert keep_core(replace(data, ratings=load(folder).ratings), 2)[0].users["age"].tolist() == [30, 40]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that left out movie 40, on a checkerboard of 10 users and 8 movies beside it."""
    folder = tmp_path_factory.mktemp("floor")
    lines = ["userId,movieId,rating", *(f"{u},{m},{1 + (u * m) % 5}" for u in range(1, 11) for m in range(1, 9))]
    (folder / "ratings.csv").write_text("\n".join([*lines, "1,40,5", "2,40,4"]))
    titles = ["movieId,title,genres", *(f"{m},Number {m} (2000),Drama" for m in range(1, 9)), '40,"Fall, The (2006)",']
    (folder / "movies.csv").write_text("\n".join(titles))
    words = ["popularity", "--data", str(folder), "--min-count", "3", "--run", str(folder / "run")]
    return Run(train.main(words))


def test_the_run_keeps_the_floor_and_the_rare_movies(run):
    assert run.config["min_count"] == 3
    assert run.config["shape"] == [10, 8]
    assert run.movies.rare.titles == ["Fall, The (2006)"]
    assert run.movies.rare.ids.tolist() == [40]
    run.verify()


def test_a_rare_movie_is_named_and_does_not_count(run, capsys, tmp_path):
    notes = "left out, since they have too few ratings to count (--min-count): Fall, The (2006)"
    with_rare = answer(capsys, "--run", run.folder, "--rate", "the fall=5", "number 3=5")
    without = answer(capsys, "--run", run.folder, "--rate", "number 3=5")
    assert with_rare["notes"] == [notes]
    assert with_rare["items"] == without["items"]
    (tmp_path / "mine.csv").write_text("title,rating\nNumber 3,5\nThe Fall,4\n")
    of_file = answer(capsys, "--run", run.folder, "--ratings", tmp_path / "mine.csv")
    left_out = "with too few ratings to count (--min-count)"
    assert of_file["notes"] == [
        "taken by its title alone, without a year: line 2 Number 3 (2000)",
        f"left out, {left_out}: 1 (Fall, The (2006))",
        f"{tmp_path / 'mine.csv'}: 2 lines: 1 rated movie is in the data, 1 {left_out}",
    ]
    assert of_file["items"] == without["items"]


def test_a_user_who_was_left_out_is_told_so(tmp_path, monkeypatch):
    rows = [f"{u},{m},{1 + (u * m) % 5}" for u in range(1, 7) for m in range(1, 6)]
    (tmp_path / "a.csv").write_text("\n".join(["userId,movieId,rating", *rows, "99,1,5"]))
    words = ["bias", "--data", str(tmp_path / "a.csv"), "--min-count", "3", "--run", str(tmp_path / "run")]
    folder = train.main(words)
    said = (
        "there is no user 99: the run has 6 users, with ids 1 to 6; it leaves out users with fewer than 3 ratings "
        "(--min-count 3) (run: {})"
    )
    for question in (["--user", "99"], ["--for-all", "1", "99"]):
        with pytest.raises(UserError) as refused:
            recommend.main(["--run", str(folder), *question])
        assert str(refused.value) == said.format(folder)
    monkeypatch.setattr(run_folder, "RUNS", tmp_path)
    with pytest.raises(UserError) as refused:
        recommend.main(["--user", "99"])
    assert str(refused.value) == said.format(f"{folder}, which was trained last; --run names another")


def test_a_file_whose_movies_are_known_but_do_not_count_is_not_said_to_be_of_others(run, tmp_path):
    (tmp_path / "mine.csv").write_text("title,rating\nThe Fall,4\n")
    with pytest.raises(UserError, match="none of its movies counts; left out, with too few ratings to count"):
        recommend.main(["--run", str(run.folder), "--ratings", str(tmp_path / "mine.csv")])


@pytest.mark.parametrize("text", ["the fall", "40", "Fall 2006"])
def test_a_rare_movie_alone_is_refused_as_known(run, text):
    known = r"Fall, The \(2006\): known, but with too few ratings to count"
    with pytest.raises(UserError, match=known):
        recommend.main(["--run", str(run.folder), "--rate", f"{text}=5"])


def test_of_many_rare_movies_five_are_named():
    rare = Movies(np.arange(10, 17), [f"Rare {i}" for i in range(7)], [None] * 7, [[]] * 7)
    movies = Movies(np.array([5]), ["Heat (1995)"], [1995], [[]], rare)
    five = "Rare 0; Rare 1; Rare 2; Rare 3; Rare 4"
    left_out = f"left out, since they have too few ratings to count (--min-count): {five}"
    assert profile.without_rare(movies, {0: 4.0}) == ({0: 4.0}, [])
    assert profile.without_rare(movies, dict.fromkeys(range(6), 4.0)) == ({0: 4.0}, [left_out])
    assert profile.without_rare(movies, dict.fromkeys(range(8), 4.0)) == ({0: 4.0}, [f"{left_out} and 2 more"])
    with pytest.raises(UserError, match=f"{five} and 2 more: known, but with too few ratings"):
        profile.without_rare(movies, dict.fromkeys(range(1, 8), 4.0))


def test_movies_like_a_rare_one_are_refused():
    from utils.data.titles import Titles
    from utils.recommend.profile import find_movie

    rare = Movies(np.array([3]), ["Fall, The (2006)"], [2006], [[]])
    titles = Titles(Movies(np.array([5]), ["Heat (1995)"], [1995], [[]], rare))
    assert find_movie(titles, "5") == 0
    with pytest.raises(UserError, match="too few ratings to count"):
        find_movie(titles, "3")


def test_runs_of_two_floors_are_not_compared(run):
    words = ["popularity", "--data", str(run.folder.parent), "--run", f"{run.folder}-1"]
    other = Run(train.main(words))
    with pytest.raises(UserError, match="--min-count is 3 in one, 1 in the other"):
        evaluate.check_comparable(run, other)
