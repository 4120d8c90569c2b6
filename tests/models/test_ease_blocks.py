"""EASE where matrices are larger than a block, where movies do not occur, and where float32 would not do."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

import models
from models import ease
from utils.scoring import ease_solver, linear_scorer
from utils.scoring.profile_rows import ProfileRows

N_USERS, N_MOVIES = 40, 17
UNSEEN, DISLIKED = [1, 9], [4, 16]  # movies that nobody rated, and that nobody likes


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(ease_solver, "TILE", 5)
    monkeypatch.setattr(linear_scorer, "ROWS", 7)


def stars(n_users=N_USERS):
    """A matrix in which some movies are unseen or liked by nobody, and 3.5 stars are among the others."""
    rng = np.random.default_rng(3)
    dense = rng.integers(1, 11, (n_users, N_MOVIES)) / 2 * (rng.random((n_users, N_MOVIES)) < 0.5)
    dense[:, UNSEEN] = 0
    dense[:, DISLIKED] = np.minimum(dense[:, DISLIKED], 3.5)
    return sp.csr_array(dense.astype(np.float32))


def by_inverse(matrix, l2, dropout, signed):
    """Weights from all inputs to all movies by numpy's inverse, 0 for what does not occur: -P_ij / P_jj, 0 at i = j."""
    dense = matrix.toarray()
    given = (dense > 3.5).astype(float)
    if signed:
        given = np.hstack([given, (dense > 0) & (dense <= 3.5)])
    inputs = np.flatnonzero(given.any(axis=0))
    x = given[:, inputs]
    inverse = np.linalg.inv(x.T @ x + np.diag(l2 + dropout / (1 - dropout) * x.sum(axis=0)))
    found = np.zeros((given.shape[1], N_MOVIES))
    for a, i in enumerate(inputs):
        for b, j in enumerate(inputs):
            if i != j and j < N_MOVIES:
                found[i, j] = -inverse[a, b] / inverse[b, b]
    return given, found


@pytest.mark.parametrize("n", [4, 5, 6, 12, 17])
def test_the_inverse_is_mirrored_beyond_the_first_block(n):
    rng = np.random.default_rng(n)
    given = sp.csr_array((rng.random((60, n)) < 0.4).astype(np.float32))
    penalty, outputs = rng.random(n) + 0.5, n - 2
    gram = ease_solver.gram(given)
    np.testing.assert_array_equal(gram, given.toarray().T @ given.toarray())
    inverse = np.linalg.inv(gram + np.diag(penalty))
    expected = np.array([[0 if i == j else -inverse[i, j] / inverse[j, j] for j in range(outputs)] for i in range(n)])
    np.testing.assert_allclose(ease_solver.weights(gram, penalty, outputs)[0], expected, atol=1e-6)


CASES = [(users, signed) for users in (N_USERS, 3) for signed in (False, True)]  # 3: fewer users than inputs


@pytest.mark.parametrize(("users", "signed"), CASES)
def test_movies_that_do_not_occur_leave_the_others_in_their_places(users, signed):
    matrix = stars(users)
    model = models.build("ease", matrix.shape, ease.Config(l2=2.0, dropout=0.3, signed=signed))
    model.refit(matrix)
    assert bool(len(model.right_factor)) == (users == 3)
    given, expected = by_inverse(matrix, 2.0, 0.3, signed)
    scores = model.score(matrix)
    np.testing.assert_allclose(scores, given @ expected, atol=1e-5)
    assert not scores[:, UNSEEN + DISLIKED].any()


@pytest.mark.parametrize(("users", "signed"), CASES)
def test_a_few_rows_score_and_are_exported_as_the_matrix_does(users, signed):
    matrix = stars(users)
    model = models.build("ease", matrix.shape, ease.Config(l2=2.0, dropout=0.3, signed=signed))
    model.refit(matrix)
    scores, dense = model.score(matrix), matrix.toarray()
    np.testing.assert_allclose(model.exported(dense)["scores"], scores, atol=1e-5)
    filled = np.flatnonzero(dense[:3].any(axis=0))
    rows = ProfileRows(filled, dense[:3, filled])
    for movies in (np.arange(N_MOVIES), np.arange(N_MOVIES)[::-1], np.array([16, 3, 0, 5]), np.array([9])):
        np.testing.assert_allclose(model.scorer.score_rows(rows, movies), scores[:3, movies], atol=1e-5)


def test_gram_matrices_that_workers_add_up_are_cut_to_what_occurs():
    matrix = stars()
    model, other = (models.build("ease", matrix.shape, ease.Config(l2=2.0, signed=True)) for _ in range(2))
    model.refit(matrix)
    halves = [model.gram(half) for half in (matrix[:13], matrix[13:])]
    other.refit(matrix, SimpleNamespace(workers=SimpleNamespace(gram=lambda _: sum(halves))))
    np.testing.assert_allclose(other.score(matrix), model.score(matrix), atol=1e-5)


@pytest.mark.parametrize(("over", "single"), [(0.5, True), (0.95, True), (1.05, False), (3.0, False)])
def test_float32_is_taken_by_the_largest_sum_of_a_row_over_the_smallest_penalty(over, single, monkeypatch):
    """Movies that occur together: sums of rows far above the diagonal. And penalties far above the smallest."""
    limit = ease_solver.TRUSTED / np.finfo(np.float32).eps
    penalty = np.array([1.0, *[40.0] * 19])
    often = np.where(np.arange(20) == 7, 2.0, 1.0)
    gram = np.outer(often, often) * (limit * over - 40.0) / (2 * often.sum())

    def solved(large):
        monkeypatch.setattr(ease_solver, "LARGE", large)
        return ease_solver.weights(gram.copy(), penalty, 20)[0]

    assert np.array_equal(solved(20), solved(21)) == (not single)
    np.testing.assert_allclose(solved(21), by_formula(gram, penalty), atol=1e-5)


def by_formula(gram, penalty):
    inverse = np.linalg.inv(gram + np.diag(penalty))
    return -inverse / inverse.diagonal() + np.eye(len(gram))


@pytest.mark.parametrize("signed", [False, True])
def test_a_row_that_fills_few_columns_scores_as_in_the_matrix(signed):
    matrix = stars(6)  # fewer users than inputs: the thin weights, with what a movie adds to itself taken away
    model = models.build("ease", matrix.shape, ease.Config(l2=2.0, dropout=0.3, signed=signed))
    model.refit(matrix)
    filled = model.outputs[[1, 3, 4]]
    row = np.zeros((1, N_MOVIES), np.float32)
    row[0, filled] = 5, 2, 4.5
    rows, movies = ProfileRows(filled, row[:, filled]), np.concatenate([filled[::-1], [5, 12]])
    expected = model.score(sp.csr_array(row))[:, movies]
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(model.scorer.score_rows(rows, movies), expected, atol=1e-6)
