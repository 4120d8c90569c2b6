"""What every model keeps, found by file name, and what each one claims for itself."""

from dataclasses import asdict, replace
from functools import lru_cache

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import random_ratings

import models
from utils import biases, runs, splits
from utils.errors import UserError
from utils.latent import decode
from utils.movies import Movies
from utils.ranking import hide_seen, top_k
from utils.training import Training


def tastes(n_users, n_movies, n, seed=0):
    """A rating table with something to learn: two kinds of users, two kinds of movies, 4.5 stars for one's own kind, 2
    for the other, and noise of up to a star."""
    table, rng = random_ratings(n_users, n_movies, n), np.random.default_rng(seed)
    own = rng.integers(0, 2, n_users)[table.user] == rng.integers(0, 2, n_movies)[table.movie]
    stars = np.where(own, 4.5, 2.0) + rng.integers(-2, 2, n) / 2
    return replace(table, rating=stars.astype(np.float32))


TABLE = tastes(30, 25, 300)
QUICK = {"epochs": 3, "hidden": (8,), "batch_size": 8, "global_epochs": 2}
VARIANTS = [(name, {}) for name in models.names()] + [("autorec", {"rows": "movies"}), ("autorec", {"hidden": (12, 5)})]


@lru_cache
def trained(name, seed=0, **options):
    """(model, split): trained once on the random split of TABLE, with options that make it quick."""
    return train_on(TABLE, name, seed, **options)


def train_on(table, name, seed=0, **options):
    known = models.module(name).Config.__dataclass_fields__
    options = {k: v for k, v in QUICK.items() if k in known} | options
    split = splits.split(table, "random", splits.Options())
    model = models.build(name, table.shape, models.module(name).Config(**options), seed)
    model.history = model.fit(split.train, split.validation, Training())
    model.remember(split.train)
    return model, split


@pytest.fixture(params=VARIANTS, ids=lambda v: "-".join([v[0], *map(str, v[1].values())]))
def model_and_split(request):
    name, options = request.param
    return trained(name, **options)


def test_scores_are_finite_float32_for_every_movie(model_and_split):
    model, split = model_and_split
    scores = model.score(split.train)
    assert scores.shape == TABLE.shape
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_scores_do_not_depend_on_the_batch(model_and_split):
    model, split = model_and_split
    users = np.array([3, 17, 4])
    np.testing.assert_allclose(model.score(split.train[users], users), model.score(split.train)[users], atol=1e-5)


def test_predictions_are_the_same_alone_and_together(model_and_split):
    model, split = model_and_split
    if not model.predicts_ratings:
        pytest.skip("predicts no ratings")
    users, movies = np.array([5, 2, 5, 29]), np.array([0, 24, 3, 7])
    together = model.predict(split.train, users, movies)
    alone = [model.predict(split.train, users[[i]], movies[[i]])[0] for i in range(4)]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_user_without_ratings_is_served(model_and_split):
    model, _ = model_and_split
    if model.takes_new_users:
        assert np.isfinite(model.score(sp.csr_array((1, TABLE.shape[1]), dtype=np.float32))).all()


def test_a_saved_model_scores_the_same(model_and_split, tmp_path):
    model, split = model_and_split
    facts = {"model": type(model).__module__.removeprefix("models."), "options": asdict(model.config), "seed": 0}
    runs.save(tmp_path / "run", model, split, Movies.untitled(TABLE.movie_ids), facts, model.history, {})
    again = models.load(runs.Run(tmp_path / "run"))
    np.testing.assert_array_equal(again.score(split.train), model.score(split.train))


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_the_same_seed_gives_the_same_model(name, options):
    model, split = trained(name, **options)
    again, _ = train_on(TABLE, name, **options)
    np.testing.assert_array_equal(again.score(split.train), model.score(split.train))


@pytest.mark.parametrize("name", ["itemknn"])
def test_the_one_missing_movie_of_ones_kind_comes_first(name):
    kind = np.indices((40, 24)).sum(axis=0) % 2 == 0
    stars = np.where(kind, 5.0, 0).astype(np.float32)
    lacks = np.array([np.flatnonzero(kind[u])[u // 2 % 12] for u in range(40)])
    stars[np.arange(40), lacks] = 0
    model = models.build(name, stars.shape)
    matrix = sp.csr_array(stars)
    model.refit(matrix)
    assert top_k(hide_seen(model.score(matrix), matrix), 1)[:, 0].tolist() == lacks.tolist()


def test_popularity_counts_likes():
    model, split = trained("popularity")
    expected = [sum(r > 3.5 for r in split.train[:, [m]].data) for m in range(TABLE.shape[1])]
    assert model.score(split.train[[0]])[0].tolist() == expected


def test_the_bias_model_predicts_mean_and_deviations():
    model, split = trained("bias")
    fitted = biases.fit(split.train, 5.0, 4.0)
    expected = fitted.mean + fitted.user[[1, 2]] + fitted.movie[[3, 4]]
    np.testing.assert_allclose(model.predict(split.train, np.array([1, 2]), np.array([3, 4])), expected, atol=1e-5)


def test_itemknn_agrees_with_literal_loops():
    model, split = trained("itemknn", neighbours=3, shrink=2.0)
    stars = split.train.toarray()
    liked = stars > 3.5
    n = stars.shape[1]

    def like_similarity(i, j):
        common = (liked[:, i] & liked[:, j]).sum()
        return common / max(np.sqrt(liked[:, i].sum() * liked[:, j].sum()) + 2.0, 1)

    fitted = biases.fit(split.train, 5.0, 4.0)
    residual = np.where(stars > 0, stars - fitted.mean - fitted.user[:, None] - fitted.movie, 0)

    def star_similarity(i, j):
        common = ((stars[:, i] > 0) & (stars[:, j] > 0)).sum()
        norms = np.sqrt((residual[:, i] ** 2).sum() * (residual[:, j] ** 2).sum())
        return residual[:, i] @ residual[:, j] / max(norms, 1e-9) * common / max(common + 2.0, 1)

    for movie in (0, 11):
        others = [j for j in range(n) if j != movie]
        kept = sorted(others, key=lambda j: (-like_similarity(movie, j), j))[:3]
        expected = [sum(like_similarity(movie, j) for j in kept if liked[u, j]) for u in range(len(stars))]
        np.testing.assert_allclose(model.score(split.train)[:, movie], expected, atol=1e-5)

        kept = sorted(others, key=lambda j: (-abs(star_similarity(movie, j)), j))[:3]
        for user in (0, 9, 20):
            weight = sum(abs(star_similarity(movie, j)) for j in kept if stars[user, j])
            total = sum(star_similarity(movie, j) * residual[user, j] for j in kept)
            expected = fitted.mean + fitted.user[user] + fitted.movie[movie] + total / max(weight, 1e-9)
            found = model.predict(split.train, np.array([user]), np.array([movie]))[0]
            assert found == pytest.approx(expected, abs=1e-4)


# -- autorec ---------------------------------------------------------------------------------------------------------


def literal_centre(stars, damping, mean, column):
    """(features, baseline) of one row, written out."""
    observed = stars != 0
    left = np.where(observed, stars - mean - column, 0)
    baseline = mean + column + left.sum() / (observed.sum() + damping)
    features = np.concatenate([np.where(observed, stars - baseline, 0), observed])
    return features / np.sqrt(max(observed.sum(), 1)), baseline


@pytest.mark.parametrize("rows", ["users", "movies"])
def test_the_forward_pass_is_two_dense_layers_written_out(rows):
    model, split = trained("autorec", rows=rows)
    mean, column = model.encoder.get_layer("centre").get_weights()
    (w, b), (v, c) = (
        model.encoder.get_layer("encoder_0").get_weights(),
        model.decoder.get_layer("residual").get_weights(),
    )
    stars = split.train.toarray()
    stars, damping = (stars, 5.0) if rows == "users" else (stars.T, 4.0)
    expected = []
    for row in stars:
        features, baseline = literal_centre(row, damping, mean, column)
        expected.append(np.tanh(features @ w + b) @ v + c + baseline)
    expected = np.array(expected) if rows == "users" else np.array(expected).T
    np.testing.assert_allclose(model.score(split.train), expected, atol=1e-4)


def test_the_loss_is_the_literal_mean_over_observed_cells_and_blind_to_the_others():
    import tensorflow as tf

    from models._losses import masked_mse

    rng = np.random.default_rng(0)
    stars = np.where(rng.random((6, 9)) < 0.4, rng.integers(1, 11, (6, 9)) / 2, 0).astype(np.float32)
    predicted = tf.Variable(rng.normal(3, 1, (6, 9)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = masked_mse(tf.constant(stars), predicted)
    cells = [(i, j) for i in range(6) for j in range(9) if stars[i, j] > 0]
    expected = sum((stars[c] - predicted.numpy()[c]) ** 2 for c in cells) / len(cells)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    gradient = tape.gradient(loss, predicted).numpy()
    assert (gradient[stars == 0] == 0).all()
    assert (gradient[stars > 0] != 0).all()
    assert float(masked_mse(tf.zeros((2, 3)), tf.ones((2, 3)))) == 0


CHANGES = {
    "rows": "movies", "baseline": False, "implicit": False, "normalise": False, "dropout": 0.1, "target": "hidden",
    "l2": 0.1, "optimizer": "sgd", "learning_rate": 0.01, "batch_size": 5, "epochs": 1, "user_damping": 1.0,
    "movie_damping": 1.0, "hidden": (4,), "activation": "sigmoid",
}  # fmt: skip


@pytest.mark.parametrize("option", [*CHANGES, "seed"])
def test_every_option_changes_the_result(option):
    model, split = trained("autorec")
    options = {option: CHANGES[option]} if option in CHANGES else {"seed": 1}
    assert not np.allclose(trained("autorec", **options)[0].score(split.train), model.score(split.train), atol=1e-6)


def test_every_option_of_autorec_is_tried_above():
    assert set(models.module("autorec").Config.__dataclass_fields__) == set(CHANGES) | {"patience"}


def test_patience_ends_training_that_long_after_the_best_epoch():
    model, _ = trained("autorec", epochs=200, patience=2, learning_rate=0.05)
    assert len(model.history) == model.best_epoch + 2


@pytest.mark.parametrize("rows", ["users", "movies"])
def test_the_latent_space_predicts_what_the_network_predicts(rows):
    model, split = trained("autorec", rows=rows, hidden=(12, 5))
    found = [model.latent.stars(user, np.arange(25)) for user in range(30)]
    np.testing.assert_allclose(found, model.score(split.train), atol=1e-4)


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh", "elu", "selu"])
def test_decoding_without_keras_is_decoding_with_it(activation):
    config = models.module("autorec").Config(hidden=(12, 5), activation=activation)
    model = models.build("autorec", TABLE.shape, config)
    model._build(TABLE.matrix())
    for layer in model.decoder.layers:
        layer.set_weights([w + 0.1 for w in layer.get_weights()])  # biases start at 0, which would hide them
    layers = [(*layer.get_weights(), layer.activation.__name__) for layer in model.decoder.layers]
    codes = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    np.testing.assert_allclose(decode(layers, codes), model.decoder.predict_on_batch(codes), atol=1e-5)


def test_the_autoencoder_learns_more_than_the_biases():
    options = {"epochs": 60, "hidden": (16,), "dropout": 0.2, "learning_rate": 3e-3}
    model, split = train_on(tastes(200, 60, 200 * 25), "autorec", **options)
    cells = split.test.hidden.tocoo()
    error = np.abs(model.predict(split.test.given, cells.row, cells.col) - cells.data)
    baseline = np.abs(biases.fit(split.train, 5, 4).predict(cells.row, cells.col) - cells.data)
    assert error.mean() < 0.6 * baseline.mean()


def test_an_autoencoder_of_movie_rows_refuses_new_users():
    model, _ = trained("autorec", rows="movies")
    assert not model.takes_new_users
    with pytest.raises(ValueError, match="knows only the users it was trained on"):
        model.score(sp.csr_array((1, 25), dtype=np.float32))


def test_an_unknown_model_is_answered_with_the_nearest_name():
    with pytest.raises(UserError, match="did you mean autorec"):
        models.module("autorek")


@pytest.mark.parametrize(
    "options", [{"dropout": 1.0}, {"dropout": 0, "target": "hidden"}, {"hidden": ()}, {"l2": -1}, {"epochs": 0}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=r"must|needs"):
        models.module("autorec").Config(**options)
