"""A run asked from Python says what recommend.py says."""

import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY, answer

import models
from utils.errors import UserError
from utils.recommend import profile


@pytest.fixture
def folder(run_of):
    return run_of("joint", "--hidden", "8", "--epochs", "2")


def items(frame):
    return frame.to_dict("records")


def test_lists_are_those_of_the_command_line(folder, capsys):
    run = models.load_run(folder)
    of_user = answer(capsys, "--user", 3, "--run", folder, "-n", 4, "--explain", "--by", "decoder", "--genre", "Drama")
    found = run.recommend(3, n=4, by="decoder", explain=True, genre=["Drama"])
    assert items(found) == of_user["items"]
    of_titles = answer(capsys, "--rate", "planted 3=5", "Planted 7=2", "--run", folder, "-n", 4)
    found = run.recommend(ratings={"planted 3": 5, "Planted 7": 2}, n=4)
    assert items(found) == of_titles["items"]
    assert found.attrs["notes"] == of_titles["notes"]
    like = answer(capsys, "--like-movie", "planted 3", "--unlike-movie", "planted 5", "--run", folder, "-n", 4)
    assert items(run.similar_movies("planted 3", unlike=["planted 5"], n=4)) == like["items"]
    users = answer(capsys, "--similar-users", 3, "--run", folder, "-n", 4)
    assert items(run.similar_users(3, n=4)) == users["items"]


def test_what_is_left_out_of_ratings_is_said(folder, monkeypatch):
    monkeypatch.setattr(profile, "without_rare", lambda _, stars: ({m: stars[m] for m in stars if m != 3}, ["rare"]))
    run = models.load_run(folder)
    found = run.recommend(ratings={"planted 3": 5, "planted 7": 2})
    assert found.attrs["notes"] == [
        *run.recommend(ratings={"planted 3": 5, "planted 7": 2}).attrs["notes"][:-1],
        "rare",
    ]
    assert items(found) == items(run.recommend(ratings={"Planted 7": 2}))


def test_one_genre_or_movie_needs_no_list(folder):
    run = models.load_run(folder)
    assert items(run.recommend(3, genre="Drama")) == items(run.recommend(3, genre=["Drama"]))
    movie = run.recommend(3)["movieId"].iloc[0]
    assert items(run.similar_movies("planted 3", unlike=movie)) == items(
        run.similar_movies("planted 3", unlike=[movie])
    )


def test_what_can_not_be_answered_is_said(folder):
    run = models.load_run(folder)
    for asked in ({}, {"user": 1, "ratings": {"planted 3": 5}}):
        with pytest.raises(UserError, match="takes user=ID or ratings="):
            run.recommend(**asked)
    with pytest.raises(UserError, match="'planted 3=9': stars are from 1 to 5"):
        run.recommend(ratings={"planted 3": 9})
    with pytest.raises(UserError, match="no movie is called 'qqq'"):
        run.similar_movies("qqq")
    with pytest.raises(UserError, match="similar_movies takes the title"):
        run.similar_movies()
    with pytest.raises(ValueError, match="diverse must be from 0 to 1, got 3"):
        run.recommend(1, diverse=3)
    with pytest.raises(UserError, match="there is no user 99"):
        run.similar_users(99)
    for ask in (run.similar_movies, run.similar_users, run.recommend):
        with pytest.raises(UserError, match="n must be 1 or more, got 0"):
            ask(3, n=0)


def test_the_example_runs_on_the_run_trained_last(folder, tmp_path):
    """And needs no TensorFlow for it."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "one").symlink_to(folder)
    script = str(REPOSITORY / "examples" / "notebook.py")
    code = f"import sys, runpy; runpy.run_path({script!r}); print('tensorflow' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"COLUMNS": "120"}
    )
    assert found.returncode == 0, found.stderr
    names = [movie["name"] for movie in models.load_run(folder).recommend(user=1, n=3).to_dict("records")]
    assert str({1: names})[1:-1] in found.stdout
    assert found.stdout.splitlines()[-1] == "False"
