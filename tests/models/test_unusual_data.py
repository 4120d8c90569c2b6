"""Ratings that are nothing like MovieLens: every model trains on them, is judged, and recommends."""

import json
import warnings

import numpy as np
import pytest
from conftest import eagerly
from trained import quick

import evaluate
import models
import recommend
import train

FAST = ("itemknn",)  # which ranks, predicts stars and takes strangers; the others are marked slow


def table(n_users, n_movies, stars):
    """Lines of a rating file in which two thirds of all pairs are rated."""
    rng = np.random.default_rng(0)
    pairs = [(u, m) for u in range(n_users) for m in range(n_movies) if n_users == 1 or n_movies == 1 or (u + m) % 3]
    return [f"{u + 1},{m + 1},{rng.choice(stars):g}" for u, m in pairs]


KINDS = {
    "one user": table(1, 30, [1, 3, 5]),
    "one movie": table(30, 1, [1, 3, 5]),
    "constant": table(12, 10, [4]),
    "half stars": table(12, 10, np.arange(1, 11) / 2),
    "one to ten": table(12, 10, np.arange(1, 11)),
    "up to a hundred": table(12, 10, np.arange(5, 101, 5)),
    "zero to a hundred": table(12, 10, np.arange(0, 101, 10)),
    "rated once": [f"{i},{i},{1 + i % 5}" for i in range(1, 31)],  # most users and movies have no rating to train on
    "negative ids": [line.replace(",", ",-", 1) for line in table(12, 10, [1, 3, 5])],
}

PLAIN = ("half stars", "one to ten", "up to a hundred", "negative ids")  # whose pictures have nothing odd to paint


def marked(name):
    return name if name in FAST else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", map(marked, models.names()))
def test_every_model_lives_with_odd_data(name, kind, request, tmp_path, capsys):
    if kind not in PLAIN or name not in FAST:
        request.getfixturevalue("painted")
    (tmp_path / "r.csv").write_text("\n".join(["userId,movieId,rating", *KINDS[kind]]) + "\n")
    titles = [f"{m},Movie {m} (19{60 + abs(m)}),{'Drama' if m % 2 else 'Comedy|War'}" for m in range(-10, 31)]
    (tmp_path / "movies.csv").write_text("\n".join(["movieId,title,genres", *titles]) + "\n")
    run = str(tmp_path / "run")
    with eagerly(), warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        train.main([name, *quick(name), "--data", str(tmp_path / "r.csv"), "--run", run])
        evaluate.main(["--run", run, "--json", str(tmp_path / "e.json"), "--report", str(tmp_path / "e.html")])
        capsys.readouterr()
        recommend.main(["--user", "1", "--run", run, "--json", "-", "--include-seen", "-n", "3"])
    items = json.loads(capsys.readouterr().out)["items"]
    assert items
    assert np.isfinite([item["score"] for item in items]).all()
    facts = json.loads((tmp_path / "e.json").read_text())["runs"][0]
    if models.module(name).Model.predicts_ratings:
        assert facts["metrics"]["rmse"]["n"] == facts["protocol"]["test_ratings"]
