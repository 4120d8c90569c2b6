"""The content model against scikit-learn's ridge regression, and on movies that nobody has rated."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import random_ratings
from sklearn.linear_model import Ridge

import models
from utils.data.movies import Movies
from utils.errors import UserError
from utils.scoring import biases

GENRES = [["Horror"] if m % 2 else ["Comedy", "Romance"] for m in range(30)]


def data(ratings, genres=GENRES, years=None, tags=None):
    movies = Movies(ratings.movie_ids, [str(i) for i in ratings.movie_ids], years or [None] * 30, genres)
    return SimpleNamespace(name="planted", ratings=ratings, movies=movies, tags=tags)


def fitted(matrix, known, **options):
    model = models.build("content", matrix.shape, models.module("content").Config(**options))
    model.attach_data(known)
    model.refit(matrix)
    return model


def planted():
    """(ratings, matrix without movies 0 and 1) of users who love one kind of movie and hate the other."""
    table = random_ratings(40, 30, 700)
    table = replace(table, rating=np.where(table.user % 2 == table.movie % 2, 4.5, 1.5).astype(np.float32))
    return table, table.matrix(table.movie > 1)


def test_a_movie_that_nobody_rated_is_judged_by_its_kind():
    table, matrix = planted()
    model = fitted(matrix, data(table))
    users = np.arange(40)
    for movie in (0, 1):
        stars = model.predict(matrix, users, np.full(40, movie))
        own = users % 2 == movie
        assert stars[own].min() > stars[~own].max()
        assert stars[own].mean() - stars[~own].mean() > 1
        assert (model.score(matrix)[own, movie] > 1).all()
        assert not model.score(matrix)[~own, movie].any()


@pytest.mark.parametrize("n_terms", [3, 200])
def test_a_users_taste_is_a_ridge_regression(n_terms):
    rng = np.random.default_rng(0)
    model = models.build("content", (1, 30), models.module("content").Config(l2=2.5))
    about, left = sp.csr_array(rng.random((20, n_terms))), rng.normal(size=20)
    expected = Ridge(2.5, fit_intercept=False).fit(about.toarray(), left).coef_
    np.testing.assert_allclose(model._taste(about, left), expected, atol=1e-6)


def test_predictions_are_baseline_and_taste():
    table, matrix = planted()
    model = fitted(matrix, data(table))
    given = biases.of_rows(matrix, float(model.mean), model.movie, 5.0)
    rated = matrix[[3]].indices
    left = matrix[[3]].data - given.predict(3, rated)
    taste = Ridge(10.0, fit_intercept=False).fit(model.terms[rated].toarray(), left).coef_
    expected = given.predict(3, np.arange(30)) + model.terms.toarray() @ taste
    np.testing.assert_allclose(model.predict(matrix, np.full(30, 3), np.arange(30)), expected, atol=1e-4)


def test_years_and_tags_are_content():
    table, matrix = planted()
    tags = pd.DataFrame({"movie": np.arange(30), "tag": ["Scary " if m % 2 else "funny" for m in range(30)]})
    bare = [[] for _ in range(30)]
    for known in (data(table, bare, tags=tags), data(table, bare, [1950 + 30 * (m % 2) for m in range(30)])):
        model = fitted(matrix, known)
        stars = model.predict(matrix, np.array([0, 1]), np.array([0, 0]))
        assert stars[0] > stars[1] + 1
    with pytest.raises(UserError, match="neither genres nor years nor tags"):
        fitted(matrix, data(table, bare, tags=tags), tags=False)


def test_tags_of_movies_without_a_rating_are_of_no_movie():
    table, matrix = planted()
    tags = pd.DataFrame({"movie": np.arange(30), "tag": ["scary" if m % 2 else "funny" for m in range(30)]})
    strays = pd.DataFrame({"movie": [-1] * 50, "tag": ["funny"] * 50})
    bare = [[] for _ in range(30)]
    expected = fitted(matrix, data(table, bare, tags=tags)).score(matrix)
    found = fitted(matrix, data(table, bare, tags=pd.concat([tags, strays]))).score(matrix)
    np.testing.assert_allclose(found, expected, atol=1e-6)
