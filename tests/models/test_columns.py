"""Training on the columns of a batch: losses, gradients and updates against literal ones of all columns."""

import inspect
import json
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf
from conftest import eagerly, random_ratings
from literal import assert_same_weights

import models
from models import cdae, recvae
from models.elsa import cosine_loss
from models.networks import columns, kernels, likes_autoencoder, losses, training_step
from models.networks.columns import FromColumns, ToColumns
from utils.data import side_features, splits
from utils.data.ratings import likes
from utils.distributed import training_workers
from utils.training import batches
from utils.training.training import Training

ROWS, N = 40, 30
TABLE = random_ratings(ROWS, N, 150)
MATRIX = TABLE.matrix()
LOSSES = {
    name: getattr(losses, name)
    for name in ("masked_mse", "multinomial", "logistic", "squared", "multinomial_by_user", "logistic_by_user")
} | {"cosine": cosine_loss}


@contextmanager
def of(index, importance=None, rarity=None, n=N):
    """The context in which layers and losses compute with these columns."""
    one = np.ones(len(index), np.float32)
    parts = (one if part is None else np.asarray(part, np.float32) for part in (importance, rarity))
    with tf.GradientTape() as tape, columns.computed_on(columns.Columns(np.asarray(index, np.int32), *parts, n, tape)):
        yield


# -- loss and gradients ------------------------------------------------------------------------------------------------


class Descent:
    """An optimizer that takes the gradient itself off the weights."""

    def __init__(self):
        self.learning_rate, self.iterations = 1.0, keras.Variable(0)

    def moments(self, weight):
        return []

    def update_step(self, gradient, weight, rate):
        weight.assign_sub(gradient)

    def updated(self, gradient, rate, rows):
        return [rows - gradient]


def literal_loss(name, weights, x, y, importance, rarity, l2):
    """The loss on all columns, of which each counts `importance` times, 0 where it is not in the sample. rarity: of the
    rows of the first kernel and of the last."""
    first, bias, last, offset = weights
    z = np.tanh(x @ first + bias) @ last.T + offset
    likes = y.sum(axis=1, keepdims=True)
    by_user = np.divide(y, np.sqrt(likes), out=np.zeros_like(y), where=likes > 0)
    log_softmax = z - np.log((np.exp(z) * importance).sum(axis=1, keepdims=True))
    softplus = (np.log1p(np.exp(z)) * importance).sum(axis=1)
    value = {
        "masked_mse": lambda: ((y - z)[y != 0] ** 2).mean(),
        "multinomial": lambda: -(y * log_softmax * importance).sum() / len(y),
        "logistic": lambda: (softplus.sum() - (y * z * importance).sum()) / len(y),
        "squared": lambda: ((y - z) ** 2 * importance).sum() / len(y),
        "cosine": lambda: np.mean(
            2 - 2 * (y * z).sum(axis=1) / np.maximum(np.sqrt(likes[:, 0] * (z**2 * importance).sum(axis=1)), 1e-12)
        ),
        "multinomial_by_user": lambda: -(by_user * log_softmax).sum() / by_user.sum(),
        "logistic_by_user": lambda: (softplus @ by_user.max(axis=1) - (by_user * z).sum()) / by_user.sum(),
    }[name]()
    pairs = zip(rarity, (first, last), strict=True)
    return value + l2 * sum((rare * (kernel**2).sum(axis=1)).sum() for rare, kernel in pairs)


def slopes(function, weights, step=1e-5):
    """The gradient of a function of arrays, by differences."""
    found = [np.zeros_like(weight) for weight in weights]
    for weight, slope in zip(weights, found, strict=True):
        for cell in np.ndindex(weight.shape):
            before = weight[cell]
            values = []
            for weight[cell] in (before + step, before - step):
                values.append(function(weights))
            weight[cell], slope[cell] = before, (values[0] - values[1]) / (2 * step)
    return found


def small(l2=0.0):
    """A network of 30 columns, 4 hidden units and 30 columns again, with weights that are not small."""
    inputs = keras.Input((N,))
    network = keras.Model(inputs, ToColumns(N, l2=l2)(FromColumns(4, "tanh", l2)(inputs)))
    training_step.any_width(network)
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(0, 0.5, weight.shape) for weight in network.get_weights()])
    return network


@pytest.mark.parametrize("sample", [0, 5, N])
@pytest.mark.parametrize("name", LOSSES)
def test_a_step_has_the_literal_loss_and_its_gradients(name, sample):
    given, l2 = MATRIX[:8], 0.1
    y = given if name == "masked_mse" else sp.csr_array((given > 2).astype(np.float32))
    chosen = batches.ColumnSampler(MATRIX, N, 8, sample, 3)(given, 2, 1)
    index, importance, rarity = chosen.arrays
    occurs = len(np.unique(given.indices))
    assert len(index) == {0: occurs, 5: occurs + 5, N: N}[sample]
    assert occurs < N - 5
    network = small(l2)
    network.compile("sgd", loss=LOSSES[name])
    before = [weight.astype(float) for weight in network.get_weights()]
    step = training_step.on_columns(network, N, network.compute_loss, Descent())
    x = tf.constant(chosen.only(given).toarray())
    found = float(step((x, index, importance, rarity), chosen.only(y).toarray()))
    after = network.get_weights()
    of_all, rare = np.zeros(N), np.zeros(N)
    of_all[index], rare[index] = importance, rarity
    if sample == N:  # exact: the dense loss
        np.testing.assert_allclose([of_all, rare], 1)
    dense = given.toarray().astype(float), y.toarray().astype(float)
    literal = lambda weights: literal_loss(name, weights, *dense, of_all, (rare, rare), l2)  # noqa: E731
    assert found == pytest.approx(literal(before), rel=1e-5)
    for one, other, slope in zip(before, after, slopes(literal, before), strict=True):
        np.testing.assert_allclose(one - other, slope, atol=2e-5)


@pytest.mark.parametrize("share", [0.4, 1.0])
@pytest.mark.parametrize("name", ["multinomial", "logistic", "squared"])
def test_a_step_that_scores_a_sample_has_the_literal_loss_and_its_gradients(name, share):
    given, y, l2 = MATRIX[:8], sp.csr_array((MATRIX > 2).astype(np.float32))[:8], 0.1
    chosen = batches.ScoreSampler(MATRIX, share, 3)(given, 2, 1)
    index, importance, rarity = chosen.arrays
    assert len(index) == share * N
    network = small(l2)
    network.compile("sgd", loss=LOSSES[name])
    before = [weight.astype(float) for weight in network.get_weights()]
    step = training_step.on_columns(network, N, network.compute_loss, Descent(), all_given=True)
    x = tf.constant(chosen.taken(given).toarray())
    found = float(step((x, index, importance, rarity), chosen.scored(y).toarray()))
    after = network.get_weights()
    of_all, rare = np.zeros(N), np.zeros(N)
    of_all[index], rare[index] = importance, rarity
    dense = given.toarray().astype(float), y.toarray().astype(float)
    literal = lambda weights: literal_loss(name, weights, *dense, of_all, (np.ones(N), rare), l2)  # noqa: E731
    assert found == pytest.approx(literal(before), rel=1e-5)
    for one, other, slope in zip(before, after, slopes(literal, before), strict=True):
        np.testing.assert_allclose(one - other, slope, atol=5e-5)
    others = np.setdiff1d(np.arange(N), index)
    for one, other in zip(before[2:], after[2:], strict=True):
        np.testing.assert_array_equal(other[others], one[others])
    assert (before[0] != after[0]).all()


def test_a_loss_of_sampled_scores_is_that_of_all_on_average():
    rng = np.random.default_rng(0)
    likes, scores = (MATRIX.toarray() > 2).astype(np.float32), rng.normal(0, 2, (ROWS, N)).astype(np.float32)
    sampler = batches.ScoreSampler(MATRIX, 0.5, 1)
    for loss, within in ((losses.logistic, 0.01), (losses.squared, 0.01), (losses.multinomial, 0.03)):
        found = []
        for step in range(600):
            chosen = sampler(MATRIX, 0, step)
            with of(*chosen.arrays):
                found.append(float(loss(likes[:, chosen.index], scores[:, chosen.index])))
        assert np.mean(found) == pytest.approx(float(loss(likes, scores)), rel=within)
        assert np.std(found) > 0.03 * np.mean(found)


@pytest.mark.parametrize("compute", [lambda z: columns.total(z), lambda z: np.exp(z - columns.log_softmax(z))])
def test_an_estimate_from_samples_is_that_of_all_on_average(compute):
    values = np.random.default_rng(0).normal(size=(5, N)).astype(np.float32)
    occurs, estimates = np.arange(0, N, 3), []
    for drawn in np.setdiff1d(np.arange(N), occurs):  # all samples of one
        index = np.append(occurs, drawn)
        with of(index, np.append(np.ones(len(occurs)), N - len(occurs))):
            estimate = np.array(compute(values[:, index]))
        estimates.append(estimate if estimate.ndim == 1 else estimate[:, 0])
    whole = np.array(compute(values))
    np.testing.assert_allclose(np.mean(estimates, axis=0), whole if whole.ndim == 1 else whole[:, 0], rtol=1e-4)
    assert np.std(estimates, axis=0).min() > 0.1


@pytest.mark.parametrize("beside", [0, 2])
@pytest.mark.parametrize("blocks", [1, 2])
def test_the_squares_of_rows_count_as_they_are_rare(blocks, beside):
    rows = np.random.default_rng(0).normal(size=(blocks * 3 + beside, 4)).astype(np.float32)
    with of([2, 8, 9], rarity=[1, 10, 100]):
        found = float(columns.squares(rows, beside))
    of_rows = (rows.astype(float) ** 2).sum(axis=1)
    assert found == pytest.approx([*[1, 10, 100] * blocks, *[1] * beside] @ of_rows, rel=1e-5)
    assert float(columns.squares(rows)) == pytest.approx(of_rows.sum(), rel=1e-5)


def test_the_users_of_a_batch_are_penalised_for_all_who_are_drawn():
    layer = cdae.UserVectors(6, 2, l2=0.5)
    layer.build((None, 1))
    vectors = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    vectors[4:], layer.n_drawn = 0, 4  # the last two like nothing
    layer.vectors.assign(vectors)
    found = []
    for users in ([[2], [0], [3]], [[1]]):
        with of([0]):
            layer(np.array(users, np.int32))
        found.append(float(sum(layer.losses)))
    shares = vectors[[2, 0, 3]], vectors[[1]]
    expected = [0.5 * (own**2).sum() * 4 / len(own) for own in shares]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(("which", "inputs", "units"), [("inputs", N, 4), ("units", 4, N)])
def test_kernels_are_penalised_as_their_columns_are_rare(which, inputs, units):
    layer = kernels.KernelDense(units, l2=0.3, sparsity=0.2, columns=which)
    layer.build((None, inputs))
    rng, index, rarity = np.random.default_rng(0), [2, 8, 9], np.array([1, 10, 100])
    layer.set_weights([rng.normal(0, 0.3, weight.shape) for weight in layer.get_weights()])
    weights, thinning = (np.array(part)[index] for part in layer.thinned()[:2])
    with of(index, rarity=rarity):
        layer(np.ones((2, 3 if which == "inputs" else 4), np.float32))
    expected = rarity @ (0.3 * weights**2 + 0.2 * thinning**2).sum(axis=1)
    assert float(sum(layer.losses)) == pytest.approx(expected, rel=1e-5)


# -- optimizers --------------------------------------------------------------------------------------------------------

RULES = {  # ours, Keras's
    "adam": (lambda: training_step.Adam(0.1), lambda: keras.optimizers.Adam(0.1)),
    "momentum": (
        lambda: training_step.Momentum(0.1, momentum=0.9, nesterov=True),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    ),
    "nadam": (lambda: training_step.Nadam(0.1), lambda: keras.optimizers.Nadam(0.1)),
}


@pytest.mark.parametrize("name", RULES)
def test_rows_are_updated_as_kerass_optimizer_updates_a_weight_of_these_alone(name):
    ours, reference = RULES[name][0](), RULES[name][1]
    rng = np.random.default_rng(0)
    weight = keras.Variable(rng.normal(size=(N, 4)).astype(np.float32))
    ours.build([weight])
    parts = [weight, *ours.moments(weight)]
    for number, index in enumerate(([3, 7, 9], [7, 20], [9, 3, 20], [0])):
        before = [np.array(part) for part in parts]
        slope = rng.normal(size=(len(index), 4)).astype(np.float32)
        alone, keras_own = keras.Variable(before[0][index]), reference()
        keras_own.build([alone])
        moments = {"momentum": "momentums"}.get(name, "_momentums _velocities").split()
        moments = [getattr(keras_own, kind)[0] for kind in moments]
        for moment, values in zip(moments, before[1:], strict=True):
            moment.assign(values[index])
        keras_own.iterations.assign(number)
        if name == "nadam":
            keras_own._u_product.assign(ours._u_product)
            ours.begin_step()
        keras_own.apply([tf.constant(slope)], [alone])
        rows = tf.gather(weight.value, index)
        training_step.update_rows(ours, weight, tf.constant(index), rows, tf.constant(slope), tf.constant(0.1))
        ours.iterations.assign_add(1)
        others = np.setdiff1d(np.arange(N), index)
        for part, values, of_keras in zip(parts, before, [alone, *moments], strict=True):
            np.testing.assert_allclose(np.array(part)[index], np.array(of_keras), rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(np.array(part)[others], values[others])
    if name == "nadam":
        assert float(ours._u_product) == pytest.approx(float(keras_own._u_product))


# -- models ------------------------------------------------------------------------------------------------------------


HIDDEN = {"recvae": (5, 4)}
SIDE = side_features.Side(*(np.eye(3, dtype=np.float32)[np.arange(n) % 3] for n in (ROWS, N)))


def refitted(name, matrix=MATRIX, **options):
    """(model, history) of two epochs; in one batch each, unless the options say otherwise."""
    config = {"epochs": 2, "batch_size": 100, "dropout": 0.0}
    config |= {"hidden": HIDDEN.get(name, (4,))} | options
    model = models.build(name, matrix.shape, models.module(name).Config(**config))
    model.side = SIDE
    with eagerly():
        return model, model.refit(matrix, Training())


SAME = [
    ("autorec", {"dropout": 0.3, "target": "hidden"}),
    ("autorec", {"rows": "movies", "optimizer": "sgd"}),
    ("autorec", {"side": ("genres", "age")}),
    ("deeprec", {"refeed": 0, "code_dropout": 0.0}),
    ("joint", {"linear": False, "dropout": 0.3}),
    ("joint", {"linear": False, "side": ("genres", "age")}),
    ("sparsefc", {"sparsity": 0.01, "dropout": 0.3}),
    ("sparsefc", {"side": ("genres", "age")}),
    ("multdae", {"l2": 0.01, "signed": True}),
    ("multvae", {"l2": 0.01, "signed": True}),
    ("recvae", {"l2": 0.01, "signed": True, "encoder_epochs": 1}),
    ("cdae", {"l2": 0.01, "signed": True}),
    ("elsa", {"signed": True, "learning_rate": 0.01}),
]


@pytest.mark.parametrize(("name", "options"), SAME, ids=str)
def test_on_all_columns_a_step_is_the_dense_one(name, options):
    assert len(np.unique(MATRIX.indices)) == N
    (dense, history), (sampled, again) = (refitted(name, sample=sample, **options) for sample in (0, 1000))
    assert (dense.network.columns, sampled.network.columns > 0) == (0, True)
    assert_learned_the_same(name, dense, sampled, history, again)


def assert_learned_the_same(name, dense, sampled, history, again):
    np.testing.assert_allclose([row["loss"] for row in again], [row["loss"] for row in history], rtol=1e-5)
    for one, other in zip(dense.network.get_weights(), sampled.network.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5 if name == "cdae" else 2e-6)  # its gradients are small


def assert_scores_of_some(model, given, whole, n):
    """Where the network takes all columns and scores some, these scores are those of all, and `recvae` counts all."""
    index, one = np.array([3, 8, 20], np.int32), np.ones(3, np.float32)
    with tf.GradientTape() as tape, columns.computed_on(columns.Columns(index, one, one, n, tape, all_given=True)):
        some = model.network(given, training=False)
        if model.name == "recvae":
            np.testing.assert_array_equal(recvae.Count(n)(given), (given[:, :n] != 0).sum(axis=1))
    np.testing.assert_allclose(np.array(some), np.array(whole)[:, index], atol=1e-5)


@pytest.mark.parametrize("name", ["multdae", "multvae", "recvae", "cdae"])
def test_a_step_that_scores_a_sample_updates_these_scores_and_all_that_is_given(name):
    model, _ = refitted(name, score_share=0.4, l2=0.01, signed=True, epochs=1)
    ended = [np.array(weight) for weight in model.network.trainable_variables]
    number = model.config.encoder_epochs if name == "recvae" else 0  # of the pass that trains the decoder
    drawn, layers = batches.ScoreSampler(likes(MATRIX), 0.4, 0)(MATRIX, number, 0).index, 0
    model._build()
    for weight, end in zip(model.network.trainable_variables, ended, strict=True):
        moved = (np.array(weight) != end).reshape(len(end), -1).any(axis=1)
        if "logits" in weight.path:
            assert np.flatnonzero(moved).tolist() == drawn.tolist()
            layers += 1
        elif len(end) == 2 * N:
            assert moved.all()
            layers += 1
    assert layers == 3


def test_what_is_scored_depends_on_the_seed_of_the_model(monkeypatch):
    config, seen = models.module("multdae").Config(hidden=(4,), batch_size=20, score_share=0.4), []
    monkeypatch.setattr(likes_autoencoder, "train", lambda _, epoch, *__: seen.append(epoch) or [])
    model = models.build("multdae", MATRIX.shape, config, seed=7)
    model.refit(MATRIX, Training())
    expected = batches.ScoreSampler(likes(MATRIX), 0.4, 7)
    for step, ((given, index, *_), judged) in enumerate(seen[0](2)):
        np.testing.assert_array_equal(index, expected(MATRIX, 2, step).index)
        np.testing.assert_array_equal(judged, given[:, index])


def test_how_often_a_movie_is_scored_counts_likes_alone(monkeypatch):
    seen, make = [], batches.chances
    monkeypatch.setattr(batches, "chances", lambda counts, sample: seen.append(counts) or make(counts, sample))
    low = MATRIX.copy()
    low.data[low.indices == 4] = 1
    refitted("multdae", low, score_share=0.4, signed=True, epochs=1)
    np.testing.assert_array_equal(seen[0], (low.toarray() > 3.5).sum(axis=0) + 1)
    assert (seen[0][4], len(seen)) == (1, 1)


@pytest.mark.parametrize(("name", "options"), SAME[-5:-1], ids=str)
def test_where_all_are_scored_a_step_is_the_dense_one(name, options):
    (dense, history), (sampled, again) = (refitted(name, score_share=share, **options) for share in (1, 0.99))
    assert (dense.network.columns, sampled.network.columns, sampled.network.all_given) == (0, N, True)
    assert sampled.training_notes == [
        "each step computed the scores of 30 of the 30 movies, much liked ones more often (--score-share)"
    ]
    assert_learned_the_same(name, dense, sampled, history, again)


@pytest.mark.parametrize(("name", "options"), SAME, ids=str)
def test_what_networks_give_on_some_columns_is_what_they_give_there_on_all(name, options):
    model = models.build(name, MATRIX.shape, models.module(name).Config(**{"hidden": HIDDEN.get(name, (4,))} | options))
    model.side = SIDE
    model._build(MATRIX)
    rng = np.random.default_rng(0)
    model.network.set_weights([w + rng.normal(0, 0.2, w.shape) for w in model.network.get_weights()])
    rows = model._network_rows(MATRIX if model.by_user else sp.csr_array(MATRIX.T))
    who, n = np.array([5, 2, 7]), N if model.by_user else ROWS
    chosen = batches.ColumnSampler(rows, n, 3, 4, 0)(rows[who], 0, 0)
    assert len(chosen.index) < n
    given = [model._inputs(rows, who, np.arange(rows.shape[0]), dense) for dense in
             (rows[who].toarray(), chosen.only(rows[who]).toarray())]  # fmt: skip
    whole = model.network(given[0], training=False)
    with of(*chosen.arrays, n=n):
        some = model.network(given[1], training=False)
    for one, other in zip(*(part if isinstance(part, list) else [part] for part in (whole, some)), strict=True):
        np.testing.assert_allclose(np.array(other), np.array(one)[:, chosen.index], atol=1e-5)
    if name in ("multdae", "multvae", "recvae", "cdae"):
        assert_scores_of_some(model, given[0], whole, n)
    if name == "recvae":
        with of(*chosen.arrays):
            count = np.array(recvae.Count(N)(given[1]))
        np.testing.assert_array_equal(count, (rows[who, :N] != 0).toarray().sum(axis=1))


@pytest.mark.parametrize(("name", "options"), [("autorec", {}), ("sparsefc", {"rows": "users"}), ("multdae", {})])
def test_rows_of_columns_that_are_in_no_batch_stay_as_they_are(name, options):
    never, matrix = np.array([0, 11, 29]), MATRIX.copy()
    matrix.data[np.isin(matrix.indices, never)] = 0
    matrix.eliminate_zeros()
    model, _ = refitted(name, matrix, sample=1, batch_size=8, **options)
    start = models.build(name, matrix.shape, model.config)
    start._build(matrix)
    optimizer, compared = model.network.optimizer, 0
    pairs = zip(model.network.trainable_variables, start.network.trainable_variables, strict=True)
    for weight, before in pairs:
        if weight.shape[0] % N:
            assert (np.array(weight) != np.array(before)).any()
            continue
        rows = np.concatenate([never + block for block in range(0, weight.shape[0], N)])
        moved = (np.array(weight) != np.array(before)).reshape(weight.shape[0], -1).any(axis=1)
        if name != "multdae":  # the loss counts all movies there, and a sample of one of them is touched
            assert not moved[rows].any()
            assert not any(np.array(moment)[rows].any() for moment in optimizer.moments(weight))
        assert moved.any()
        compared += 1
    assert compared >= 3


def test_the_loss_of_recvae_has_no_penalty_of_the_encoder_before():
    model, _ = refitted("recvae", l2=0.3, gamma=0.0, epochs=1)
    model.network(MATRIX[:3].toarray(), training=True)
    kernels = sum(float((np.array(w) ** 2).sum()) for w in model.network.trainable_variables if w.name == "kernel")
    assert float(sum(model.network.losses)) == pytest.approx(0.3 * kernels, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [("joint", {"sample": 5, "linear": False, "movie_rows": False}), ("multvae", {"score_share": 0.4})],
)
def test_a_training_on_samples_resumes_exactly(name, options, tmp_path, monkeypatch):
    split = splits.split(TABLE, "random", splits.Options())
    config = models.module(name).Config(hidden=(4,), epochs=3, batch_size=15, **options)

    def fitted(training, epochs=3):
        model = models.build(name, TABLE.shape, replace(config, epochs=epochs))
        return model, model.fit(split.train, split.validation, training)

    with eagerly():
        whole, history = fitted(Training())
        _, half = fitted(Training(checkpoints=tmp_path), epochs=2)
        resumed, again = fitted(Training(checkpoints=tmp_path))
    assert whole.network.columns == N
    assert [row["loss"] for row in again] == [row["loss"] for row in history]
    assert len(half) == 2
    assert [row["seconds"] for row in again[:2]] == [row["seconds"] for row in half]  # these were not trained again
    assert_same_weights(resumed, whole)


def test_layers_of_columns_are_saved_whole_and_are_dense_layers(tmp_path):
    network, x = small(0.1), MATRIX[:7].toarray()
    network.save(tmp_path / "network.keras")
    stored = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
    np.testing.assert_array_equal(np.array(stored(x)), np.array(network(x)))
    assert [layer.l2 for layer in stored.layers[1:]] == [0.1, 0.1]
    first, last = network.layers[1:]
    assert (first.kernel.shape, last.kernel.shape) == ((N, 4), (N, 4))
    np.testing.assert_array_equal(first.dense()[0], np.array(first.kernel))
    np.testing.assert_array_equal(last.dense()[0], np.array(last.kernel).T)
    expected = np.tanh(x @ first.dense()[0] + first.dense()[1]) @ last.dense()[0] + last.dense()[1]
    np.testing.assert_allclose(np.array(network(x)), expected, atol=1e-4)


ARGUMENTS = {  # what layers are made with, none of it by default
    "damping": 3.0, "baseline": False, "implicit": False, "normalise": False, "dropout": 0.3, "like": 6.5, "star": 2.0,
    "layer": ToColumns(6, "tanh"), "features": np.zeros((6, 3), np.float32), "activation": "selu", "l2": 0.25,
    "sparsity": 0.125, "dimensions": 3, "columns": "units", "beside": 2, "units": 6, "n": 4, "inputs": 8, "n_movies": 7,
    "n_users": 9, "beta": 0.75, "gamma": 0.375, "anneal": 11, "seed": 5, "rate": 0.2,
}  # fmt: skip


def test_every_layer_comes_back_with_what_it_was_made_with():
    for name in models.names():
        models.module(name)
    ours = {kind for name, kind in keras.saving.get_custom_objects().items() if name.startswith("reelspace>")}
    assert len(ours) >= 15
    for kind in ours:
        inits = [vars(one).get("__init__") for one in kind.__mro__[:-1]]
        names = {name for init in inits if init for name in inspect.signature(init).parameters} & ARGUMENTS.keys()
        layer = kind(**{name: ARGUMENTS[name] for name in names})
        stored = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        again = keras.saving.deserialize_keras_object(stored, safe_mode=True)
        for name in names - {"layer", "features"}:
            assert getattr(again, name) == getattr(layer, name), (kind, name)
        if "layer" in names:
            assert (again.layer.units, again.layer.activation) == (6, keras.activations.tanh)
            assert again.given.shape == (6, 3)


# -- workers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(4,), (5, 4)])
def test_losses_and_gradients_of_workers_add_up_to_those_of_one(hidden, monkeypatch):
    """Penalties count once, whichever layer has them."""
    model, _ = refitted("multdae", l2=0.3, hidden=hidden, epochs=1)
    network, weights, summed = model.network, model.network.trainable_variables, []
    x = (MATRIX[:8] > 3).astype(np.float32).toarray()
    with tf.GradientTape() as tape:
        loss = model.loss(x, network(x, training=False))
        loss += sum(0.3 * tf.reduce_sum(weight**2) for weight in weights if weight.name == "kernel")
    expected = [loss, *tape.gradient(loss, [weight.value for weight in weights])]
    network.compile(keras.optimizers.SGD(0.0), loss=model.loss)
    worker = object.__new__(training_workers.Worker)
    worker.n, worker.strategy = 3, SimpleNamespace(run=lambda function, args: function(*args))
    monkeypatch.setattr(training_workers, "_all_reduce", lambda values: summed.append(values) or values)
    with eagerly():
        step = worker.step(network, None, training_step.on_columns)
        for at in ([0, 3, 5], [1, 2], [4, 6, 7]):
            step((tf.constant(x[at]), tf.constant(at), tf.constant(8)), tf.constant(x[at]))
    assert len(summed) == 3
    for whole, *parts in zip(expected, *summed, strict=True):
        np.testing.assert_allclose(sum(np.array(part) for part in parts), np.array(whole), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "options"), [("multdae", {"l2": 0.3, "hidden": (5, 4)}), ("elsa", {})])
def test_on_columns_gradients_of_workers_add_up_and_one_may_have_no_rows(name, options):
    """With two blocks of inputs; the second worker has no row of the batch, and the third one."""
    model, _ = refitted(name, signed=True, sample=5, dropout=0.4, **options)
    network, rows, at = model.network, model._network_rows(MATRIX[:7]), ([0, 2, 3, 5, 6], [], [4, 1])
    judged = sp.csr_array((rows[:, :N] != 0).astype(np.float32))
    sampler = batches.ColumnSampler(model._network_rows(MATRIX), N, 7, 5, 0)
    chosen, seeds = sampler(rows, 2, 1), network.non_trainable_variables
    before, found = [np.array(seed) for seed in seeds], []
    network.compile(training_step.Momentum(0.0, momentum=0.9), columns=N, loss=model.loss)
    own_step = training_step.on_columns(
        network, N, network.compute_loss, network.optimizer, summed=lambda v: found.append(v) or v
    )
    own_step((chosen.only(rows).toarray(), *chosen.arrays), chosen.only(judged).toarray())
    worker = object.__new__(training_workers.Worker)
    occurs = tf.constant(np.isin(np.arange(N), rows.indices % N).astype(np.float32))
    worker.n, worker._added = 3, lambda v: (found.append(v) or v) if isinstance(v, list) else v + occurs
    for own in at:
        for seed, value in zip(seeds, before, strict=True):
            seed.assign(value)
        columns_of = np.unique(rows[own].indices % N).astype(np.int32)
        only = batches.Columns(columns_of, chosen.importance, chosen.rarity, N).only
        x = only(rows[own]).toarray(), np.array(own, np.int32), np.int32(7), columns_of, np.int32(2), np.int32(1)
        with eagerly():
            worker.step(network, sampler, training_step.on_columns)(x, only(judged[own]).toarray())
    for whole, *parts in zip(*found, strict=True):
        np.testing.assert_allclose(sum(np.array(part) for part in parts), np.array(whole), rtol=1e-4, atol=1e-5)
