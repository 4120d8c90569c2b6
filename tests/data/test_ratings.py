"""The rating table, its matrix and the bias baseline, against literal loops and scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import random_ratings
from sklearn.linear_model import Ridge

from utils.data.ratings import default_like, given, index_of, likes, pair_order, zero_sentinel
from utils.scoring import biases


def test_matrix_cells_are_the_ratings(ratings):
    stars = ratings.matrix().toarray()
    expected = np.zeros(ratings.shape, np.float32)
    for u, m, r in zip(ratings.user, ratings.movie, ratings.rating, strict=True):
        expected[u, m] = r
    assert stars.dtype == np.float32
    np.testing.assert_array_equal(stars, expected)


def test_some_of_the_ratings_keep_their_times_and_ids(ratings):
    where = np.arange(len(ratings)) % 7 == 3
    timed = replace(ratings, timestamp=np.arange(len(ratings)) * 60)
    some = timed.only(where)
    for name in ("user", "movie", "rating", "timestamp"):
        np.testing.assert_array_equal(getattr(some, name), getattr(timed, name)[where])
    assert some.shape == ratings.shape
    assert ratings.only(where).timestamp is None


def test_fingerprint_ignores_order_and_sees_every_change(ratings):
    shuffled = np.random.default_rng(1).permutation(len(ratings))
    same = replace(ratings, **{c: getattr(ratings, c)[shuffled] for c in ("user", "movie", "rating")})
    assert same.fingerprint() == ratings.fingerprint()
    changed = ratings.rating.copy()
    changed[7] = 5.5 - changed[7]
    assert replace(ratings, rating=changed).fingerprint() != ratings.fingerprint()
    assert replace(ratings, user_ids=ratings.user_ids + 1).fingerprint() != ratings.fingerprint()


def test_ratings_are_ordered_where_their_cells_are_beyond_32_bits():
    many, none = np.arange(70_000), np.zeros(2, np.int32)
    table = replace(
        random_ratings(n=2), user=np.array([40_000, 0], np.int32), movie=none, user_ids=many, movie_ids=many
    )
    assert np.arange(2)[table.order()].tolist() == [1, 0]


@pytest.mark.parametrize("user", [[0, 0, 1, 1], [1, 0, 1, 0]])
def test_ratings_are_ordered_by_user_and_then_by_movie(user):
    movie = np.array([2, 1, 0, 2], np.int32)
    table = replace(random_ratings(2, 3, 4), user=np.array(user, np.int32), movie=movie)
    assert np.arange(4)[table.order()].tolist() == np.lexsort((movie, user)).tolist()
    assert table.only(np.lexsort((movie, user))).order() == slice(None)


def test_pairs_are_ordered_as_by_lexsort_and_are_fewer_where_one_occurs_twice():
    pairs = np.random.default_rng(2).permutation(600)[:300]
    first, second = (pairs // 20 + 3).astype(np.int32), (pairs % 20 * 7).astype(np.int32)
    assert pair_order(first, second).tolist() == np.lexsort((second, first)).tolist()
    assert len(pair_order(np.append(first, first[9]), np.append(second, second[9]))) == 300


def test_likes_are_the_ratings_above_three_and_a_half(ratings):
    stars = ratings.matrix().toarray()
    np.testing.assert_array_equal(likes(ratings.matrix()).toarray(), stars > 3.5)


def test_index_of_finds_raw_ids_and_marks_unknown_ones():
    assert index_of(np.array([3, 5, 9]), [9, 4, 3, 10]).tolist() == [2, -1, 0, -1]
    assert index_of(np.array(["a", "c"]), ["c", "b"]).tolist() == [1, -1]
    assert index_of(np.array([3, 5]), ["3"]).tolist() == [-1]


def test_biases_are_the_ridge_regression_on_user_and_movie(ratings):
    users, movies = ratings.shape
    found = biases.fit(ratings.matrix(), user_damping=5, movie_damping=4)
    onehot = np.zeros((len(ratings), users + movies))
    # a column scaled by 1/sqrt(damping) under a penalty of 1 is the same as the plain column under that damping
    onehot[np.arange(len(ratings)), ratings.user] = 1 / np.sqrt(5)
    onehot[np.arange(len(ratings)), users + ratings.movie] = 1 / np.sqrt(4)
    mean = ratings.rating.mean()
    ridge = Ridge(alpha=1, fit_intercept=False, solver="cholesky").fit(onehot, ratings.rating - mean)
    np.testing.assert_allclose(found.user, ridge.coef_[:users] / np.sqrt(5), atol=1e-5)
    np.testing.assert_allclose(found.movie, ridge.coef_[users:] / np.sqrt(4), atol=1e-5)
    assert found.mean == pytest.approx(mean)


def test_a_known_user_typed_in_again_gets_the_fitted_deviation(ratings):
    matrix = ratings.matrix()
    found = biases.fit(matrix, 5, 4)
    again = biases.of_rows(matrix[[7, 3]], found.mean, found.movie, 5)
    np.testing.assert_allclose(again.user, found.user[[7, 3]], atol=1e-5)


def test_biases_of_nothing_are_zero_even_undamped():
    empty = random_ratings(n=1).matrix()
    found = biases.fit(empty, 0, 0)
    assert np.isfinite(found.user).all()
    assert (found.user[1:] == 0).all() or (found.user[:-1] == 0).all()


@pytest.mark.parametrize(("scale", "threshold", "expected"), [((0, 10), 0, 0.001), ((0, 10), 4, 4), ((1, 10), 0, 0)])
def test_a_rating_of_nothing_is_never_a_like(scale, threshold, expected):
    """What stands for it is above 0, or it would be no rating."""
    table = replace(random_ratings(), scale=scale, threshold=threshold)
    assert table.like == expected
    assert not zero_sentinel((0, 10)) > replace(table, scale=(0, 10), threshold=0).like


def test_on_a_scale_from_below_0_stars_are_given_as_they_are():
    assert given([-3.5, zero_sentinel((-10, 10)), 7], (-10, 10)).tolist() == [-3.5, 0, 7]
    assert [default_like(scale) for scale in ((-10, 10), (-1, 1), (1, 5), (0, 10))] == pytest.approx([4, 0.4, 3.5, 7])
    table = replace(random_ratings(), scale=(-10, 10), threshold=0)
    assert table.like == zero_sentinel((-10, 10))  # a rating of 0 is not above 0
    assert replace(table, threshold=-2).like == -2
