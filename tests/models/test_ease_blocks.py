"""EASE where matrices are larger than a block, where movies do not occur, and where float32 would not do."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

import models
from models import ease
from utils.scoring import ease_solver, linear_scorer, parallel
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
    counts = given.toarray().T @ given.toarray()
    inverse = np.linalg.inv(counts + np.diag(penalty))
    expected = np.array([[0 if i == j else -inverse[i, j] / inverse[j, j] for j in range(outputs)] for i in range(n)])
    for dtype in (np.float64, np.float32):
        gram = ease_solver.gram(given, dtype)
        assert gram.dtype == dtype
        np.testing.assert_array_equal(np.triu(gram), np.triu(counts))
        weights = ease_solver.weights(gram, penalty, outputs)[0]
        np.testing.assert_allclose(weights, expected, atol=1e-5)
        assert weights.dtype == np.float32
        assert np.shares_memory(weights, gram) == (dtype == np.float32)


PLAIN = {"relax": 0.0, "movie_norm": 0.0}  # as in EDLAE
CASES = [(users, signed) for users in (N_USERS, 3) for signed in (False, True)]  # 3: fewer users than inputs


@pytest.mark.parametrize(("users", "signed"), CASES)
def test_movies_that_do_not_occur_leave_the_others_in_their_places(users, signed):
    matrix = stars(users)
    model = models.build("ease", matrix.shape, ease.Config(l2=2.0, dropout=0.3, signed=signed, **PLAIN))
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


def test_workers_count_only_the_inputs_that_are_solved_for():
    matrix = stars()
    config = ease.Config(l2=2.0, signed=True, user_norm=0.4)
    model, other = (models.build("ease", matrix.shape, config, like=2.0) for _ in range(2))
    model.refit(matrix)

    def summed(gram):
        halves = [gram(half) for half in (matrix[:13], matrix[13:])]
        assert halves[0].shape == (len(model.inputs), len(model.inputs))
        return sum(halves)

    other.refit(matrix, SimpleNamespace(workers=SimpleNamespace(gram=summed)))
    np.testing.assert_allclose(other.score(matrix), model.score(matrix), atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_condition_number_that_decides_on_float32_is_a_bound_not_far_off(dropout, monkeypatch):
    """The condition number of the matrix scaled to a diagonal of 1, by its eigenvalues. Popular movies beside rare ones
    make that of the matrix itself far larger."""
    rng = np.random.default_rng(0)
    given = sp.csr_array((rng.random((3000, 60)) < np.geomspace(0.9, 0.001, 60)).astype(np.float32))
    count = given.sum(axis=0)
    penalty = 2.0 + dropout / (1 - dropout) * count.astype(float)
    matrix = (given.T @ given).toarray() + np.diag(penalty)
    values = np.linalg.eigvalsh(matrix / np.sqrt(np.outer(matrix.diagonal(), matrix.diagonal())))
    condition, eps = values[-1] / values[0], np.finfo(np.float32).eps
    monkeypatch.setattr(ease_solver, "LARGE", 60)

    def precision(bound):
        monkeypatch.setattr(ease_solver, "TRUSTED", bound * eps)
        return ease_solver.precision(given, penalty)

    assert precision(condition) == np.float64
    smallest = (penalty / matrix.diagonal()).min()
    assert precision(1.05 * values[-1] / smallest) == np.float32
    assert precision(0.99 * values[-1] / smallest) == np.float64
    assert np.linalg.cond(matrix) > 3 * condition
    monkeypatch.setattr(ease_solver, "LARGE", 61)
    assert precision(np.inf) == np.float64


def by_popularity(monkeypatch, most=8, dense=8, kept=3, **options):
    """A model of the most liked movies only, and what it was fitted on."""
    monkeypatch.setattr(ease_solver, "MOST", most)
    monkeypatch.setattr(ease_solver, "DENSE", dense)
    monkeypatch.setattr(ease_solver, "KEPT", kept)
    matrix = stars()
    model = models.build("ease", matrix.shape, ease.Config(l2=2.0, dropout=0.3, **PLAIN, **options))
    model.refit(matrix)
    return model, matrix


def test_of_too_many_movies_the_most_liked_are_solved_for(monkeypatch):
    model, matrix = by_popularity(monkeypatch)
    liked = (matrix.toarray() > 3.5).sum(axis=0)
    assert sorted(liked[model.outputs]) == sorted(liked)[-8:]
    few = matrix.toarray()
    few[:, np.setdiff1d(np.arange(N_MOVIES), model.outputs)] = 0
    given, expected = by_inverse(sp.csr_array(few), 2.0, 0.3, signed=False)
    np.testing.assert_allclose(model.score(matrix), given @ expected, atol=1e-5)
    share = liked[model.outputs].sum() / liked.sum()
    assert model.notes() == [
        f"EASE covers the 8 most liked of 13 liked movies, which hold {share:.1%} of the likes; "
        "the others have no weights in it"
    ]
    assert by_popularity(monkeypatch, most=13)[0].notes() == ["EASE keeps the 3 largest weights of each movie"]
    assert by_popularity(monkeypatch, most=13, dense=13)[0].notes() == []


@pytest.mark.parametrize("signed", [False, True])
def test_of_many_weights_the_largest_of_each_row_are_kept(signed, monkeypatch, tmp_path):
    model, matrix = by_popularity(monkeypatch, most=30, dense=30, signed=signed)
    whole, n = model.weights, len(model.inputs)
    model, _ = by_popularity(monkeypatch, most=30, dense=n - 1, signed=signed)
    assert isinstance(by_popularity(monkeypatch, most=30, dense=n, signed=signed)[0].weights, np.ndarray)
    expected = np.where(np.abs(whole) >= np.sort(np.abs(whole), axis=1)[:, [-3]], whole, 0)
    assert model.weights.nnz == 3 * n
    assert model.weights.indices.dtype == model.weights.indptr.dtype == np.int32  # half the size of the run
    np.testing.assert_array_equal(model.weights.toarray(), expected)
    given = np.hstack([matrix.toarray() > 3.5, (matrix.toarray() > 0) & (matrix.toarray() <= 3.5)])[:, model.inputs]
    scores = model.score(matrix)
    np.testing.assert_allclose(scores[:, model.outputs], given @ expected, atol=1e-5)
    agrees_everywhere(model, matrix, scores, tmp_path)


def agrees_everywhere(model, matrix, scores, folder):
    """A few rows without scipy, what is exported, and what is saved and loaded, score the same."""
    np.testing.assert_allclose(model.exported(matrix.toarray())["scores"], scores, atol=1e-5)
    assert model.held == 4 * len(model.inputs) * len(model.outputs)
    filled = np.flatnonzero(matrix.toarray()[:3].any(axis=0))
    rows, movies = ProfileRows(filled, matrix.toarray()[:3, filled]), np.array([16, 3, 0, 5])
    model.save(folder)
    with np.load(folder / "weights.npz") as file:
        stored = dict(file)
    run = SimpleNamespace(arrays=lambda *_: dict(stored))
    loaded = models.build("ease", matrix.shape, model.config)
    loaded.load(run)
    np.testing.assert_array_equal(loaded.score(matrix), scores)
    config = {"model": "joint", "shape": matrix.shape, "like": 3.5, "options": {"signed": model.config.signed}}
    run = SimpleNamespace(arrays=lambda *_: stored | {"share": 0.5}, has_file=lambda _: True, config=config)
    for scorer in (model.scorer, linear_scorer.LinearPath.load(run).scorer):
        np.testing.assert_allclose(scorer.score_rows(rows, movies), scores[:3, movies], atol=1e-5)
        np.testing.assert_array_equal(scorer.score(matrix), scores)


@pytest.mark.parametrize(
    ("dtype", "n_users", "free", "n"),
    [(np.float32, 40, 500, 10), (np.float64, 40, 1500, 10), (np.float32, 3, 1400, 10)],
)
def test_no_more_is_solved_for_than_fits_into_memory(dtype, n_users, free, n, monkeypatch):
    monkeypatch.setattr(ease_solver, "TILE", 0)  # what the Gram matrix is counted in
    monkeypatch.setattr(ease_solver, "precision", lambda *_: dtype)
    monkeypatch.setattr(ease_solver, "free_memory", lambda: free)
    given = sp.csr_array((np.random.default_rng(0).random((n_users, 30)) < 0.6).astype(np.float32))
    count = np.arange(30, 0, -1) % 25  # two never occur
    inputs, found = ease_solver.chosen(given, count, np.ones(30))
    assert found == dtype
    assert abs(len(inputs) - n) <= 1
    assert count[inputs].min() >= np.sort(count)[-len(inputs)]
    monkeypatch.setattr(ease_solver, "free_memory", lambda: 10**6)
    np.testing.assert_array_equal(ease_solver.chosen(given, count, np.ones(30))[0], np.flatnonzero(count))
    monkeypatch.setattr(ease_solver, "TILE", 10**5)
    assert (len(ease_solver.chosen(given, count, np.ones(30))[0]) < 5) is (n_users == 40)


def test_the_type_is_chosen_by_the_inputs_that_are_solved_for(monkeypatch):
    seen = []
    monkeypatch.setattr(ease_solver, "precision", lambda given, penalty: seen.append((given, penalty)) or np.float32)
    given = sp.csr_array(np.array([[0, 1, 0, 1], [0, 1, 0, 1], [0, 1, 0, 0]], np.float32))
    inputs, dtype = ease_solver.chosen(given, np.array([0, 3, 0, 2]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert (inputs.tolist(), dtype) == ([1, 3], np.float32)
    ((asked, penalty),) = seen
    assert (asked.toarray().tolist(), penalty.tolist()) == (given.toarray()[:, [1, 3]].tolist(), [2.0, 4.0])


def test_few_users_are_solved_for_all_movies(monkeypatch):
    monkeypatch.setattr(ease_solver, "MOST", 5)
    given, count = sp.csr_array(np.ones((3, 30), np.float32)), np.arange(30, 0, -1)
    assert len(ease_solver.chosen(given, count, np.ones(30))[0]) == 30
    assert len(ease_solver.chosen(sp.csr_array(np.ones((30, 30), np.float32)), count, np.ones(30))[0]) == 5


def test_what_control_groups_leave_is_the_memory_there_is(tmp_path):
    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    write("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 5000 kB\n")
    write("proc/self/cgroup", "1:name=systemd:/\n0::/a/b\n")
    assert parallel.free_memory(tmp_path) == 5_120_000
    for level, limit in (("", "max"), ("a", "3000000"), ("a/b", "max")):
        write(f"sys/fs/cgroup/{level}/memory.max", limit)
        write(f"sys/fs/cgroup/{level}/memory.current", "2500000")
        write(f"sys/fs/cgroup/{level}/memory.stat", "anon 1\ninactive_file 100000\n")
    assert parallel.free_memory(tmp_path) == 600_000
    write("sys/fs/cgroup/memory.max", "2800000")  # of a container's own root
    assert parallel.free_memory(tmp_path) == 400_000
    write("sys/fs/cgroup/memory.max", "2000000")
    assert parallel.free_memory(tmp_path) == 0
    write("sys/fs/cgroup/memory.max", "9000000")
    assert parallel.free_memory(tmp_path) == 600_000
    write("proc/self/cgroup", "4:memory:/c\n")
    write("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "4000000")
    write("sys/fs/cgroup/memory/c/memory.usage_in_bytes", "1000000")
    write("sys/fs/cgroup/memory/c/memory.stat", "total_inactive_file 1000\n")
    assert parallel.free_memory(tmp_path) == 3_001_000
    assert parallel.free_memory(tmp_path / "elsewhere") > 10**8


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
