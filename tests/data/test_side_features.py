"""Side features: what is read becomes 0 and 1, and what the data lacks is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import random_ratings, real

from utils.data import datasets, side_features
from utils.data.datasets import Dataset
from utils.data.movies import Movies
from utils.errors import UserError


def small(users=None):
    ratings = random_ratings(3, 2, 5)
    movies = Movies(ratings.movie_ids, ["A", "B"], [1994, None], [["Drama", "Comedy"], []])
    return Dataset("small", ratings, movies, users, [], Path())


USERS = pd.DataFrame(
    {"age": pd.array([17, 18, None], "Int16"), "gender": ["F", None, "M"], "occupation": ["x", "y", "x"]}
)


def test_genres_are_flags_and_an_unknown_year_is_all_zeros():
    found = side_features.features(small(), ("year", "genres"))
    assert found.users.shape == (3, 0)
    assert found.movies[:, :2].tolist() == [[1, 1], [0, 0]]  # Comedy, Drama: genres come first, by name
    assert found.movies[:, 2:].sum(axis=1).tolist() == [1, 0]
    assert found.movies[0, 2 + list(side_features.DECADES).index(1990)] == 1
    far = small()
    far.movies.years[:] = 1890, 2031  # which count to the first and the last decade
    assert side_features.features(far, ("year",)).movies.tolist() == [[1] + 10 * [0], 10 * [0] + [1]]


def test_what_the_data_tells_of_somebody_is_told():
    asked = ("age", "year", "occupation", "genres")
    assert side_features.told(small(), asked) == ["year", "genres"]
    some = USERS.assign(age=pd.array([None, None, None], "Int16"))
    assert side_features.told(small(some), asked) == ["year", "occupation", "genres"]


def test_ages_are_banded_and_what_is_unknown_of_a_user_is_all_zeros():
    found = side_features.features(small(USERS), ("age", "gender", "occupation"))
    assert found.movies.shape == (2, 0)
    assert found.users.tolist() == [[1, 0, 1, 0, 1, 0], [0, 1, 0, 0, 0, 1], [0, 0, 0, 1, 1, 0]]
    assert found.users.dtype == np.float32
    assert found.of("users")[0] is found.of("movies")[1] is found.users
    assert found.of("users")[1] is found.of("movies")[0] is found.movies


@pytest.mark.parametrize("name", ["age", "gender", "occupation"])
def test_a_feature_that_the_data_lacks_is_refused_by_name(name):
    with pytest.raises(UserError, match=f"--side {name}: small does not tell it"):
        side_features.features(small(), (name,))


@pytest.mark.parametrize("name", ["ml-100k", "ml-1m"])
def test_movielens_tells_all_of_them(name):
    found = side_features.features(datasets.load(str(real(name))), side_features.NAMES)
    assert found.users.shape[1] == 7 + 2 + 21  # bands of age, genders, occupations
    assert (found.users.sum(axis=1) == 3).all()
    assert found.movies.shape[1] == 18 + 11
