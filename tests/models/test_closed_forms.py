"""Content, item-kNN, the biases, popularity and the factorization machine against loops, beyond the first block."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import eagerly
from literal import pairs
from trained import TABLE, trained

import models
from models import bayesfm, itemknn
from utils.data import splits
from utils.data.dates import Dates
from utils.data.movies import Movies
from utils.scoring import biases
from utils.training.training import Training

N_USERS, N_MOVIES = TABLE.shape
USERS, MOVIES = pairs(TABLE.shape)
ORDER = np.random.default_rng(0).permutation(len(USERS))
GENRES = [[["Drama"], ["War", "Drama"], ["Comedy"], []][m % 4] for m in range(N_MOVIES)]
YEARS = [None if m % 5 == 0 else 1950 + 7 * (m % 6) for m in range(N_MOVIES)]
TAGS = pd.DataFrame({"movie": [3, 3, 3, 8, 8, 24], "tag": ["Slow ", "slow", "grim", "slow", "GRIM", "fun"]})


# -- content -----------------------------------------------------------------------------------------------------------


def words(movie, tags=True):
    """What is known about a movie."""
    year, found = YEARS[movie], list(GENRES[movie])
    found += [f"year {year}", f"decade {year // 10}"] if year else []
    own = TAGS.tag[TAGS.movie == movie] if tags else []
    return found + [f"tag {tag.strip().lower()}" for tag in own]


def tf_idf(tags=True):
    """TF-IDF with sublinear counts and smoothed frequencies, rows of length 1; columns in order of the words."""
    about = [Counter(words(movie, tags)) for movie in range(N_MOVIES)]
    vocabulary = sorted({word for of in about for word in of})
    found = np.zeros((N_MOVIES, len(vocabulary)))
    for j, word in enumerate(vocabulary):
        idf = np.log((1 + N_MOVIES) / (1 + sum(word in of for of in about))) + 1
        for movie, of in enumerate(about):
            found[movie, j] = (1 + np.log(of[word])) * idf if of[word] else 0
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def content(matrix, **options):
    model = models.build("content", TABLE.shape, models.module("content").Config(**options))
    movies = Movies(TABLE.movie_ids, ["title"] * N_MOVIES, YEARS, GENRES)
    model.attach_data(SimpleNamespace(name="planted", ratings=TABLE, movies=movies, tags=TAGS))
    model.refit(matrix)
    return model


@pytest.mark.parametrize("tags", [True, False])
def test_what_a_movie_is_about_are_the_tf_idf_of_genres_years_and_tags(tags):
    model = content(TABLE.matrix(), tags=tags)
    np.testing.assert_allclose(model.terms.toarray(), tf_idf(tags), atol=1e-5)


def test_movies_are_shrunk_towards_what_their_content_lets_expect():
    matrix = TABLE.matrix(~np.isin(TABLE.movie, [2, 7]))
    model = content(matrix, user_damping=3.0, movie_damping=6.0, movie_l2=4.0)
    fitted, terms, dense = biases.fit(matrix, 3.0, 6.0), tf_idf(), matrix.toarray()
    count = (dense > 0).sum(axis=0)
    left = np.where(dense > 0, dense - fitted.mean - fitted.user[:, None], 0).sum(axis=0)
    rated = count > 0
    assert rated.sum() == N_MOVIES - 2
    weight, target = count[rated], left[rated] / count[rated]
    centred = terms[rated] - np.average(terms[rated], axis=0, weights=weight)
    own = target - np.average(target, weights=weight)
    gram = (centred * weight[:, None]).T @ centred + 4.0 * np.eye(terms.shape[1])
    slope = np.linalg.solve(gram, (centred * weight[:, None]).T @ own)
    expected = (terms - np.average(terms[rated], axis=0, weights=weight)) @ slope + np.average(target, weights=weight)
    assert model.mean == pytest.approx(fitted.mean, abs=1e-5)
    np.testing.assert_allclose(model.movie, (left + 6.0 * expected) / (count + 6.0), atol=1e-3)


def test_each_users_stars_are_their_own_regression_in_any_order():
    matrix = TABLE.matrix()
    model = content(matrix, l2=2.5, user_damping=3.0)
    dense, terms, expected = matrix.toarray(), tf_idf(), np.zeros(TABLE.shape)
    for user in range(N_USERS):
        rated = np.flatnonzero(dense[user])
        left = dense[user, rated] - model.mean - model.movie[rated]
        base = model.mean + model.movie + left.sum() / (len(rated) + 3.0)
        about = terms[rated]
        gram = about.T @ about + 2.5 * np.eye(terms.shape[1])
        expected[user] = base + terms @ np.linalg.solve(gram, about.T @ (dense[user] - base)[rated])
    found = model.predict(matrix, USERS[ORDER], MOVIES[ORDER])
    np.testing.assert_allclose(found, expected[USERS, MOVIES][ORDER], atol=1e-3)
    assert len(model.predict(matrix, USERS[:0], MOVIES[:0])) == 0
    cosines = (dense > 3.5) @ (terms @ terms.T)
    np.testing.assert_allclose(model.score(matrix), cosines, atol=1e-4)


# -- item-kNN, biases, popularity --------------------------------------------------------------------------------------


def test_the_neighbours_of_every_movie_are_found_block_by_block(monkeypatch):
    monkeypatch.setattr(itemknn, "BLOCK", 7)
    matrix = TABLE.matrix()
    weight = (matrix.T @ matrix).toarray() * np.sign(np.subtract.outer(range(N_MOVIES), range(N_MOVIES)) % 3 - 1.5)
    found = itemknn.similar(matrix, 4, lambda dots, rows: dots * np.sign((rows[:, None] - range(N_MOVIES)) % 3 - 1.5))
    for movie, row in enumerate(found.toarray()):
        others = sorted(set(range(N_MOVIES)) - {movie}, key=lambda j: (-abs(weight[movie, j]), j))[:4]
        expected = np.where(np.isin(np.arange(N_MOVIES), others), weight[movie], 0)
        np.testing.assert_allclose(row, expected, rtol=1e-5)


@pytest.mark.parametrize("users", [N_USERS, 3])
def test_item_knn_predicts_every_user_of_every_block(users, monkeypatch):
    model, split = trained("itemknn", neighbours=3)
    chosen = np.random.default_rng(1).permutation(N_USERS)[:users]
    given = split.train[chosen]
    dense, similar = given.toarray(), model.star_similarity.toarray()
    left = np.where(dense > 0, dense - model.mean - model.movie, 0)
    own = left.sum(axis=1) / ((dense > 0).sum(axis=1) + 5.0)
    residual = np.where(dense > 0, left - own[:, None], 0)
    total, weight = residual @ similar.T, (dense > 0) @ np.abs(similar).T
    expected = model.mean + model.movie + own[:, None] + np.divide(total, weight, out=0 * total, where=weight > 0)
    order = np.random.default_rng(2).permutation(users * N_MOVIES)
    rows, movies = (of[order] for of in pairs((users, N_MOVIES)))
    for block in (512, 7):
        monkeypatch.setattr(itemknn, "BLOCK", block)
        np.testing.assert_allclose(model.predict(given, rows, movies), expected[rows, movies], atol=1e-4)


def test_the_biases_are_the_minimum_of_their_loss_with_a_damping_of_each_kind():
    cells = TABLE.matrix().tocoo()
    n_users, n_movies = cells.shape
    of_users, of_movies = np.eye(n_users)[cells.row], np.eye(n_movies)[cells.col]
    dampings = np.diag(np.sqrt([2.0] * n_users + [9.0] * n_movies))
    left, right = np.vstack([np.hstack([of_users, of_movies]), dampings]), cells.data - cells.data.mean()
    best = np.linalg.lstsq(left, np.concatenate([right, np.zeros(n_users + n_movies)]))[0]
    fitted = biases.fit(TABLE.matrix(), 2.0, 9.0)
    np.testing.assert_allclose(np.concatenate([fitted.user, fitted.movie]), best, atol=2e-3)


def test_the_biases_of_anybody_are_of_the_rows_that_are_given():
    matrix = TABLE.matrix()
    model = models.build("bias", TABLE.shape, models.module("bias").Config(user_damping=2.0, movie_damping=9.0))
    model.refit(matrix)
    fitted = biases.fit(matrix, 2.0, 9.0)
    assert model.mean == np.float32(fitted.mean)
    np.testing.assert_array_equal(model.movie, fitted.movie)
    given = sp.csr_array(np.roll(matrix.toarray(), 3, axis=1)[:4])
    dense = given.toarray()
    own = np.where(dense > 0, dense - fitted.mean - fitted.movie, 0).sum(axis=1) / ((dense > 0).sum(axis=1) + 2.0)
    expected = fitted.mean + fitted.movie + own[:, None]
    np.testing.assert_allclose(model.score(given), expected, atol=1e-5)
    rows, movies = np.array([3, 0, 2]), np.array([24, 5, 5])
    np.testing.assert_allclose(model.predict(given, rows, movies), expected[rows, movies], atol=1e-5)


def test_popularity_is_the_same_in_every_row():
    model, _ = trained("popularity")
    assert model.score(sp.csr_array((3, N_MOVIES), dtype=np.float32)).tolist() == [model.likes.tolist()] * 3


# -- the factorization machine -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"ordinal": True}, {"dates": True}], ids=str)
def test_the_machine_predicts_every_pair_of_every_block(options, monkeypatch):
    table = replace(TABLE, timestamp=np.arange(len(TABLE)) * 20_000)
    split = splits.split(table, "random", splits.Options())
    matrix = split.train.copy()
    matrix = matrix.tolil()
    matrix[11] = 0  # a user without ratings
    matrix = sp.csr_array(matrix)
    matrix.eliminate_zeros()
    model = models.build("bayesfm", TABLE.shape, bayesfm.Config(rank=3, samples=8, **options))
    model.dates = Dates.of(table) if options.get("dates") else None
    model.refit(matrix)
    whole = model.predict(matrix, USERS, MOVIES)
    monkeypatch.setattr(bayesfm, "BLOCK", 7)
    np.testing.assert_allclose(model.predict(matrix, USERS[ORDER], MOVIES[ORDER]), whole[ORDER], atol=1e-4)
    some = np.array([4, 11, 0])
    np.testing.assert_allclose(model.score(matrix[some], some), model.score(matrix)[some], atol=1e-4)
    if not options:
        np.testing.assert_allclose(model.score(matrix), whole.reshape(TABLE.shape), atol=1e-4)
    if options.get("dates"):
        days = np.unique(table.timestamp // 86_400)
        cells = matrix.tocoo()
        of = {(u, m): t for u, m, t in zip(table.user, table.movie, table.timestamp // 86_400, strict=True)}
        for user in range(N_USERS):
            own = [of[user, m] for m in cells.col[cells.row == user]]
            assert days[model.last_day[user]] == max(own, default=days[-1])


def test_fewer_rows_than_users_need_to_say_whose_they_are():
    model, split = trained("bayesfm")
    with pytest.raises(ValueError, match="knows only the users"):
        model.score(split.train[:5])
    with pytest.raises(ValueError, match="knows only the users"):
        model.predict(split.train[:5], np.array([0]), np.array([0]))


# -- options -----------------------------------------------------------------------------------------------------------

EDGES = [  # (model, options that are refused, options at the edge that are not)
    ("autorec", {"dropout": -0.01}, {"dropout": 0.0}),
    ("autorec", {"decay": 0.0}, {"decay": 1.0}),
    ("autorec", {"decay": 1.01}, {"decay": 0.01}),
    ("autorec", {"batch_size": 0}, {"batch_size": 1}),
    ("autorec", {"patience": 0}, {"patience": 1}),
    ("autorec", {"iterations": 0}, {"iterations": 1}),
    ("autorec", {"learning_rate": 0.0}, {"learning_rate": 1e-9}),
    ("autorec", {"learning_rate": np.inf}, {"l2": 0.0}),
    ("autorec", {"side_weight": 0.0}, {"side_weight": 1e-9}),
    ("autorec", {"side_weight": np.inf}, {"side_weight": 1e9}),
    ("autorec", {"side": ("colour",)}, {"side": ("genres", "year", "age", "gender", "occupation")}),
    ("autorec", {"hidden": (5, 0)}, {"hidden": (1, 1)}),
    ("autorec", {"user_damping": -1.0}, {"user_damping": 0.0}),
    ("autorec", {"movie_damping": np.inf}, {"movie_damping": 0.0}),
    ("autorec", {"l2": np.inf}, {"epochs": 1}),
    ("joint", {"sample": -1}, {"sample": 0}),
    ("elsa", {"sample": -1}, {"sample": 0}),
    ("glocalk", {"sample": 1}, {"sample": 0}),
    ("deeprec", {"sample": 1, "refeed": 1}, {"sample": 1, "refeed": 0}),
    ("autorec", {"sample": 1, "optimizer": "lbfgs"}, {"sample": 1}),
    ("deeprec", {"code_dropout": 1.0}, {"code_dropout": 0.99}),
    ("deeprec", {"code_dropout": -0.1}, {"code_dropout": 0.0}),
    ("deeprec", {"refeed": -1}, {"refeed": 0}),
    ("deeprec", {"optimizer": "lbfgs"}, {"optimizer": "lbfgs", "code_dropout": 0.0}),
    ("sparsefc", {"dimensions": 0}, {"dimensions": 1}),
    ("sparsefc", {"sparsity": -1e-9}, {"sparsity": 0.0}),
    ("sparsefc", {"sparsity": np.inf}, {"sparsity": 1e9}),
    ("glocalk", {"global_epochs": -1}, {"global_epochs": 0}),
    ("glocalk", {"global_rate": 0.0}, {"global_rate": 1e-9}),
    ("glocalk", {"global_rate": np.inf}, {"global_rate": 1e9}),
    ("joint", {"linear_dropout": 1.0}, {"linear_dropout": 0.0}),
    ("joint", {"movie_size": 0}, {"movie_size": 1}),
    ("joint", {"movie_landmarks": -1}, {"movie_landmarks": 0}),
    ("joint", {"movie_epochs": 0}, {"movie_epochs": 1}),
    ("joint", {"movie_batch_size": 0}, {"movie_batch_size": 1}),
    ("joint", {"movie_l2": 0.0}, {"movie_l2": 1e-9}),
    ("joint", {"movie_l2": float("inf")}, {"movie_l2": 1.0}),
    ("joint", {"movie_side": ("age",)}, {"movie_side": ()}),
    ("joint", {"linear_l2": 0.0}, {"linear_l2": 1e-9}),
    ("joint", {"likes_l2": np.inf}, {"likes_l2": 0.0}),
    ("joint", {"weight": np.inf}, {"weight": 0.0}),
    ("multdae", {"dropout": -0.1}, {"dropout": 0.0}),
    ("multdae", {"hidden": (5, 0)}, {"hidden": (1,)}),
    ("multdae", {"batch_size": 0}, {"batch_size": 1}),
    ("multdae", {"patience": 0}, {"patience": 1}),
    ("multdae", {"learning_rate": 0.0}, {"learning_rate": 1e-9}),
    ("multdae", {"learning_rate": np.inf}, {"l2": 0.0}),
    ("multdae", {"l2": np.inf}, {"epochs": 1}),
    ("multdae", {"sample": -1}, {"sample": 0}),
    ("multdae", {"loss": "logistic", "sample": -1}, {"loss": "logistic", "sample": 1}),
    ("multdae", {"score_share": 0.0}, {"score_share": 1e-9}),
    ("multdae", {"score_share": 1.01}, {"score_share": 1.0}),
    ("multdae", {"score_share": 0.5, "sample": 1}, {"score_share": 0.5, "sample": 0}),
    ("multdae", {"score_share": np.nan}, {"score_share": 1.0, "sample": 1}),
    ("multvae", {"beta": np.inf}, {"beta": 0.0}),
    ("multvae", {"anneal": 0}, {"anneal": 1}),
    ("elsa", {"hidden": (5, 4)}, {"hidden": (1,)}),
    ("elsa", {"dropout": 1.0}, {"dropout": 0.0}),
    ("recvae", {"hidden": (5, 4, 3)}, {"hidden": (1, 1)}),
    ("recvae", {"gamma": np.inf}, {"gamma": 0.0}),
    ("recvae", {"encoder_epochs": 0}, {"encoder_epochs": 1}),
    ("bayesfm", {"rank": 0}, {"rank": 1}),
    ("bayesfm", {"burn_in": -1}, {"burn_in": 0}),
    ("bayesfm", {"burn_in": 5, "samples": 5}, {"burn_in": 4, "samples": 5}),
    ("content", {"l2": 0.0}, {"l2": 1e-9}),
    ("content", {"movie_l2": 0.0}, {"movie_l2": 1e-9}),
    ("content", {"user_damping": -1.0}, {"user_damping": 0.0}),
    ("content", {"movie_damping": -1.0}, {"movie_damping": 0.0}),
    ("itemknn", {"neighbours": 0}, {"neighbours": 1}),
    ("itemknn", {"shrink": -1.0}, {"shrink": 0.0}),
    ("itemknn", {"movie_damping": -1.0}, {"movie_damping": 0.0}),
    ("bias", {"user_damping": -1.0}, {"user_damping": 0.0}),
    ("bias", {"movie_damping": np.nan}, {"movie_damping": 0.0}),
    ("ease", {"l2": np.inf}, {"l2": 1e-9}),
    ("ease", {"dropout": 1.0}, {"dropout": 0.0}),
    ("blend", {"rounds": 0}, {"rounds": 1}),
    ("blend", {"rounds": 3, "folds": 2}, {"rounds": 2, "folds": 2}),
    ("blend", {"folds": 1}, {"folds": 2}),
]


@pytest.mark.parametrize(("name", "refused", "taken"), EDGES, ids=str)
def test_options_are_refused_beyond_the_edge_and_taken_at_it(name, refused, taken):
    config = models.module(name).Config
    with pytest.raises(ValueError, match=r"must|needs|takes|is one|is two"):
        config(**refused)
    config(**taken)


def test_item_knn_sums_for_each_movie_its_own_nearest():
    """Few neighbours are kept of each movie, so that i may be near to j and j not to i."""
    model, split = trained("itemknn", neighbours=3)
    liked, similar = split.train.toarray() > 3.5, model.like_similarity.toarray()
    assert ((similar > 0) != (similar.T > 0)).any()
    together, norm = liked.T.astype(float) @ liked, np.sqrt(liked.sum(axis=0))
    shrunken = together / (np.outer(norm, norm) + model.config.shrink) * (1 - np.eye(N_MOVIES))
    for movie in range(N_MOVIES):
        kept = np.flatnonzero(similar[movie])
        np.testing.assert_allclose(similar[movie, kept], shrunken[movie, kept], rtol=1e-5)
        assert similar[movie].sum() == pytest.approx(np.sort(shrunken[movie])[-3:].sum(), rel=1e-5)
    expected = [[sum(similar[i, j] for j in np.flatnonzero(row)) for i in range(N_MOVIES)] for row in liked]
    np.testing.assert_allclose(model.score(split.train), expected, atol=1e-5)


def test_stars_of_item_knn_rest_on_shrunken_cosines_of_what_the_baseline_leaves():
    model, split = trained("itemknn", neighbours=3)
    dense, fitted, similar = split.train.toarray(), biases.fit(split.train, 5.0, 4.0), model.star_similarity.toarray()
    rated = (dense > 0).astype(float)
    left = rated * (dense - fitted.mean - fitted.user[:, None] - fitted.movie)
    norm, common = np.sqrt((left**2).sum(axis=0)), rated.T @ rated
    shrunken = left.T @ left / np.outer(norm, norm) * common / (common + 20.0) * (1 - np.eye(N_MOVIES))
    for movie in range(N_MOVIES):
        kept = np.flatnonzero(similar[movie])
        np.testing.assert_allclose(similar[movie, kept], shrunken[movie, kept], atol=1e-5)
        assert abs(similar[movie]).sum() == pytest.approx(np.sort(abs(shrunken[movie]))[-3:].sum(), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "options"), [("bias", {}), ("itemknn", {}), ("content", {}), ("autorec", {"epochs": 2})]
)
def test_stars_below_zero_are_stars_like_any_other(name, options):
    drawn = np.random.default_rng(5)
    stars = drawn.choice([-3, -2, -1, 1, 2, 3], TABLE.shape) * (drawn.random(TABLE.shape) < 0.4)
    found = []
    for shift in (0, 4):  # -3 to 3, then 1 to 7
        matrix = sp.csr_array(np.where(stars, stars + shift, 0).astype(np.float32))
        scale, config = (-3.0 + shift, 3.0 + shift), models.module(name).Config(**options)
        model = models.build(name, TABLE.shape, config, scale=scale, like=1.5 + shift)
        movies = Movies(TABLE.movie_ids, ["title"] * N_MOVIES, YEARS, GENRES)
        model.attach_data(SimpleNamespace(name="shifted", ratings=TABLE, movies=movies, tags=TAGS))
        with eagerly():
            model.refit(matrix, Training())
        found.append(model.predict(matrix, USERS, MOVIES) - shift)
    np.testing.assert_allclose(*found, atol=1e-4)
