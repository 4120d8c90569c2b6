"""Training on the filled cells of a batch alone, against the same on all cells."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import eagerly, random_ratings

import models
from models.networks import layers
from models.networks.columns import FromColumns, product
from utils.distributed import batch_share
from utils.training.training import Training

TABLE = random_ratings(40, 200, 500)
STARS = TABLE.matrix()[:9].toarray()
MODELS = {
    "joint": {"l2": 0.1, "linear": False},
    "autorec": {"rows": "movies", "batch_size": 70},
    "deeprec": {"refeed": 0, "implicit": False, "normalise": False},
    "multdae": {"l2": 0.01},
    "multvae": {"hidden": (5, 4), "signed": True},
    "cdae": {},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_training_on_filled_cells_is_that_on_all(name, monkeypatch):
    def refitted(few):
        monkeypatch.setattr(layers, "FEW", few)
        known = {"hidden": (5,), "batch_size": 15, "epochs": 2, "dropout": 0.3} | MODELS[name]
        model = models.build(name, TABLE.shape, models.module(name).Config(**known))
        with eagerly():
            history = model.refit(TABLE.matrix(), Training())
        return model, [row["loss"] for row in history]

    def first(model):
        return next(layer for layer in model.encoder.layers if isinstance(layer, layers.Centre | layers.Unit))

    (sparse, losses), (dense, expected) = refitted(0.1), refitted(0.0)
    assert first(sparse).sparse
    assert not first(dense).sparse
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for one, other in zip(sparse.network.get_weights(), dense.network.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize("baseline", [True, False])
@pytest.mark.parametrize("options", [{}, {"implicit": False}, {"like": 3.5, "star": 2.0}, {"normalise": False}])
def test_features_of_filled_cells_are_those_of_all(baseline, options):
    centre = layers.Centre(baseline=baseline, dropout=0.4, **options)
    stars = np.vstack([STARS, 0 * STARS[:1]])  # all ratings of a row may be hidden
    centre(stars)
    centre.mean.assign(3.2)
    centre.column.assign(np.linspace(-1, 1, 200))
    expected = centre(stars, training=True)
    centre.sparse = True
    features, predicted = centre(stars, training=True)
    np.testing.assert_allclose(tf.sparse.to_dense(tf.sparse.reorder(features)), expected[0], atol=1e-6)
    np.testing.assert_allclose(predicted, expected[1], atol=1e-6)
    assert not isinstance(centre(stars)[0], tf.SparseTensor)  # outside training


def test_rows_of_length_1_and_what_is_hidden_of_them():
    unit, stars = layers.Unit(), np.vstack([STARS, 0 * STARS[:1]])
    unit.sparse = True
    rows = unit(stars, training=True)
    expected = stars / np.maximum(np.linalg.norm(stars, axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(tf.sparse.to_dense(rows), expected, atol=1e-6)
    np.testing.assert_allclose(unit(stars), expected, atol=1e-6)
    hide = layers.Hide(0.25, seed=3)
    first, second = (tf.sparse.to_dense(hide(rows, training=True)).numpy() for _ in range(2))
    assert set(np.unique(np.round(first[stars > 0] / expected[stars > 0] * 3)).tolist()) == {0, 4}
    assert (first != second).any()
    assert hide(rows) is rows
    np.testing.assert_allclose(layers.Hide(0.25, seed=3)(expected.astype(np.float32), training=True), first, atol=1e-6)


def test_numbers_of_cells_are_uniform_and_independent():
    cells = tf.where(np.ones((300, 400)))
    numbers, others = (batch_share.uniform(cells, [7, seed]).numpy() for seed in (1, 2))
    assert 0 <= numbers.min() < 1e-4
    assert 1 - 1e-4 < numbers.max() < 1
    shares = np.histogram(numbers, 20, (0, 1))[0] / numbers.size
    np.testing.assert_allclose(shares, 0.05, atol=5 * np.sqrt(0.05 * 0.95 / numbers.size))
    table = numbers.reshape(300, 400)
    pairs = [(numbers, others), (table[1:], table[:-1]), (table[:, 1:], table[:, :-1])]
    for one, other in pairs:
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(one.size)
    np.testing.assert_allclose(table.mean(axis=0), 0.5, atol=5 * np.sqrt(1 / 12 / 300))
    np.testing.assert_allclose(table.mean(axis=1), 0.5, atol=5 * np.sqrt(1 / 12 / 400))
    half = tf.where(np.ones((150, 400)))
    with batch_share.sharing(300, tf.range(150) * 2, 2):  # rows of one worker
        np.testing.assert_array_equal(batch_share.uniform(half, [7, 1]), table[::2].ravel())


def test_the_gradient_of_a_product_is_that_of_the_dense_one():
    kernel = tf.Variable(np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32))
    slope = np.random.default_rng(1).normal(size=(9, 6)).astype(np.float32)
    row, column = (part[::-1] for part in np.nonzero(STARS))  # columns descend within a row
    order = np.argsort(row, kind="stable")
    cells = tf.SparseTensor(np.stack([row, column], 1)[order], STARS[row, column][order], STARS.shape)
    for rows in (cells, STARS):
        with tf.GradientTape() as tape:
            found = product(rows, kernel)
            total = tf.reduce_sum(found * slope)
        np.testing.assert_allclose(found, STARS @ kernel.numpy(), atol=1e-4)
        np.testing.assert_allclose(tape.gradient(total, kernel), STARS.T @ slope, atol=1e-4)


def test_rows_that_are_filled_or_come_beside_others_stay_dense():
    def sparse(encoder, share):
        rows = random_ratings(40, 200, int(40 * 200 * share)).matrix()
        layers.sparse_where_few_are_filled(encoder, rows)
        return [layer.sparse for layer in encoder.layers if isinstance(layer, layers.Unit)]

    given, beside = keras.Input((200,)), keras.Input((3,))
    unit = layers.Unit()(given)
    plain = keras.Model(given, FromColumns(4)(unit))
    assert sparse(plain, 0.05) == [True]
    assert sparse(plain, 0.2) == [False]
    assert sparse(keras.Model(given, keras.layers.Dense(4)(unit)), 0.05) == [False]
    both = keras.layers.Concatenate()([unit, beside])
    assert sparse(keras.Model([given, beside], FromColumns(4)(both)), 0.05) == [False]
