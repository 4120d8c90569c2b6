"""EASE and EDLAE against ridge regressions of each movie on the others, by scikit-learn."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.linalg import LinAlgError
from sklearn.linear_model import Ridge
from trained import TABLE

import models
import train
from models import ease
from utils.data.ratings import likes
from utils.errors import UserError
from utils.scoring import ease_solver
from utils.scoring.profile_rows import ProfileRows


def by_ridge(given, wanted, penalty):
    """Weights (inputs, movies): each movie regressed on all inputs but its own like; scaled, since Ridge knows one
    penalty for all."""
    weights, scale = np.zeros((given.shape[1], wanted.shape[1])), np.sqrt(penalty)
    for j in range(wanted.shape[1]):
        others = np.delete(np.arange(given.shape[1]), j)
        ridge = Ridge(alpha=1.0, fit_intercept=False).fit(given[:, others] / scale[others], wanted[:, j])
        weights[others, j] = ridge.coef_ / scale[others]
    return weights


@pytest.mark.parametrize("users", [30, 20, 60])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.3}, {"signed": True}, {"signed": True, "dropout": 0.3}])
def test_each_column_is_a_ridge_regression_on_the_other_movies(users, options):
    matrix = sp.vstack([TABLE.matrix()] * 2, format="csr")[:users]
    model = models.build("ease", matrix.shape, ease.Config(l2=2.0, relax=0.0, movie_norm=0.0, **options))
    model.refit(matrix)
    wanted = likes(matrix).toarray()
    given = likes(matrix, signed=True).toarray() if model.config.signed else wanted
    dropout = model.config.dropout
    expected = by_ridge(given, wanted, 2.0 + dropout / (1 - dropout) * given.sum(axis=0))
    np.testing.assert_allclose(model.score(matrix), given @ expected, atol=1e-5)


@pytest.mark.parametrize("users", [20, 60])
@pytest.mark.parametrize(
    "options",
    [
        {"relax": 0.4},
        {"user_norm": 0.3},
        {"movie_norm": 0.2},
        {"relax": 0.6, "user_norm": 0.2, "signed": True, "movie_norm": -0.1},
    ],
)
def test_rdlae_and_dan_are_their_formulas(users, options):
    matrix = sp.vstack([TABLE.matrix()] * 2, format="csr")[:users]
    options = {"relax": 0.0, "user_norm": 0.0, "movie_norm": 0.0} | options
    model = models.build("ease", matrix.shape, ease.Config(l2=2.0, dropout=0.3, **options))
    model.refit(matrix)
    config, given = model.config, likes(matrix, signed=model.config.signed).toarray().astype(float)
    kept = np.flatnonzero(given.sum(axis=0))
    given = given[:, kept]
    count, active, n = given.sum(axis=0), given.sum(axis=1), np.count_nonzero(kept < 25)
    gamma = 2.0 + 0.3 / 0.7 * count
    by_user = np.diag(np.divide(1, active, out=np.zeros(users), where=active > 0) ** config.user_norm)
    inverse = np.linalg.inv(given.T @ by_user @ given + np.diag(gamma))
    mu = np.where(1 - gamma * inverse.diagonal() > config.relax, (1 - config.relax) / inverse.diagonal() - gamma, 0)
    weights = -inverse * (gamma + mu) * (1 - np.eye(len(kept))) * count[:, None] ** config.movie_norm
    scores = model.score(matrix)[:, kept[:n]]
    np.testing.assert_allclose(scores, given @ weights[:, :n] / count[:n] ** config.movie_norm, atol=1e-5)
    as_in_edlae = ease.Config(l2=2.0, dropout=0.3, signed=config.signed, relax=0.0, movie_norm=0.0)
    plain = models.build("ease", matrix.shape, as_in_edlae)
    plain.refit(matrix)
    assert np.abs(scores - plain.score(matrix)[:, kept[:n]]).max() > 0.01


def test_both_ways_to_the_weights_give_the_same():
    rng = np.random.default_rng(0)
    given, penalty = sp.csr_array((rng.random((30, 12)) < 0.3).astype(np.float32)), rng.random(12) + 0.5
    inverse = np.linalg.inv((given.T @ given).toarray() + np.diag(penalty))[:, :7]
    expected = -inverse / inverse.diagonal() + np.eye(12, 7)
    np.testing.assert_allclose(ease_solver.weights(ease_solver.gram(given, float), penalty, 7)[0], expected, atol=1e-12)
    weights, onward, own = ease_solver.weights_by_users(given, penalty, 7)
    np.testing.assert_allclose(weights @ onward + np.eye(12, 7) * own, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        *(("l2", value, "l2 must be above 0 and finite") for value in (0.0, float("inf"), float("nan"))),
        *((name, value, f"{name} must be in [0, 1)") for name in ("dropout", "relax") for value in (1.0, -0.1)),
        ("user_norm", 1.1, "user-norm must be in [-1, 1]"),
        ("movie_norm", -1.1, "movie-norm must be in [-1, 1]"),
        ("movie_norm", float("nan"), "movie-norm must be in [-1, 1]"),
    ],
)
def test_impossible_options_are_refused(option, value, said):
    with pytest.raises(ValueError, match=re.escape(f"{said}, got {value:g}")):
        ease.Config(**{option: value})


@pytest.mark.parametrize("users", [30, 60])
def test_a_penalty_too_small_to_tell_movies_apart_is_refused(users):
    matrix = sp.vstack([TABLE.matrix()] * 2, format="csr")[:users]
    matrix = sp.hstack([matrix, matrix], format="csr")
    model = models.build("ease", matrix.shape, ease.Config(l2=1e-300, dropout=0.0))
    with pytest.raises(UserError, match="l2 1e-300 is too small"):
        model.refit(matrix)


def test_where_only_rounding_errors_are_left_nothing_is_solved():
    """Numbers that LAPACK still takes: the square of the second pivot is what is added to the corner."""

    def solved(corner):
        return ease_solver.weights(np.array([[1.0, 1.0], [1.0, 1.0 + corner]]), np.zeros(2), 2)[0]

    np.testing.assert_allclose(solved(1e-11), [[0, 1], [1, 0]], atol=1e-4)
    with pytest.raises(LinAlgError):
        solved(1e-13)
    given = sp.csr_array(np.ones((1, 1), np.float32))
    weights, right, diagonal = ease_solver.weights_by_users(given, np.array([1e-5]), 1)
    np.testing.assert_allclose(weights @ right + diagonal, 0, atol=1e-4)
    with pytest.raises(LinAlgError):
        ease_solver.weights_by_users(given, np.array([1e-7]), 1)


@pytest.mark.parametrize("argument", ["--protocol strong-ratings", "--protocol=strong-ratings"])
def test_low_ratings_are_inputs_by_default_where_the_protocol_gives_them(argument):
    assert train.parse(["ease", *argument.split()])[2].signed
    assert not train.parse(["ease", *argument.split(), "--no-signed"])[2].signed
    assert not train.parse(["ease", "--protocol", "strong"])[2].signed
    assert not train.parse(["ease", "--run", "runs/strong-ratings"])[2].signed


def test_float32_is_taken_where_it_is_exact_enough(monkeypatch):
    matrix = sp.vstack([TABLE.matrix()] * 2, format="csr")

    def solved(l2, large):
        monkeypatch.setattr(ease_solver, "LARGE", large)
        model = models.build("ease", matrix.shape, ease.Config(l2=l2, dropout=0.0))
        model.refit(matrix)
        return model.weights

    single, double = solved(20.0, 1), solved(20.0, 10**9)
    assert not np.array_equal(single, double)
    np.testing.assert_allclose(single, double, atol=1e-6)
    assert np.array_equal(solved(1e-3, 1), solved(1e-3, 10**9))  # too near to singular for float32


@pytest.mark.parametrize("users", [20, 60])
def test_inputs_are_what_is_above_the_threshold_that_was_given(users):
    matrix = sp.vstack([TABLE.matrix()] * 2, format="csr")[:users]
    model = models.build("ease", matrix.shape, ease.Config(l2=2.0, dropout=0.0, relax=0.0, movie_norm=0.0), like=2.0)
    model.refit(matrix)
    given = likes(matrix, 2.0).toarray()
    assert (given != likes(matrix).toarray()).any()
    expected = given @ by_ridge(given, given, np.full(given.shape[1], 2.0))
    np.testing.assert_allclose(model.score(matrix), expected, atol=1e-5)
    row, movies = matrix[[3]], np.array([9, 2, 24])
    rows = ProfileRows.of(row.indices, row.data)
    np.testing.assert_allclose(model.scorer.score_rows(rows, movies), expected[[3]][:, movies], atol=1e-5)
    signed = models.build("ease", matrix.shape, ease.Config(l2=2.0, signed=True), like=2.0)
    signed.refit(matrix)
    expected = signed.score(row)[:, movies]
    assert np.abs(expected - signed.score(row.multiply(row > 2).tocsr())[:, movies]).max() > 0.01
    np.testing.assert_allclose(signed.scorer.score_rows(rows, movies), expected, atol=1e-5)
