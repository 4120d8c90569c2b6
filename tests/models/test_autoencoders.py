"""The autoencoders against what their papers say, written out in numpy."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import scipy.sparse as sp
from conftest import eagerly
from literal import own_weights
from trained import QUICK, TABLE, tastes, train_on, trained

import models
from models.networks.kernels import KernelDense
from models.networks.losses import masked_mse
from utils.data import side_features, splits
from utils.scoring import biases
from utils.scoring.latent import decode
from utils.training import fit
from utils.training.training import Training

AUTOENCODERS = ["autorec", "deeprec", "glocalk", "sparsefc"]
KNOWN = np.arange(TABLE.shape[0])


def literal_centre(stars, damping, mean, column):
    """(features, baseline) of one row, written out."""
    observed = stars != 0
    left = np.where(observed, stars - mean - column, 0)
    baseline = mean + column + left.sum() / (observed.sum() + damping)
    features = np.concatenate([np.where(observed, stars - baseline, 0), observed])
    return features / np.sqrt(max(observed.sum(), 1)), baseline


def literal_dense(x, layer, activation=lambda x: x):
    """A dense layer, or a kernelised one, by the formula of its paper."""
    if not isinstance(layer, KernelDense):
        kernel, bias = own_weights(layer)
        return activation(x @ kernel + bias)
    kernel, bias, inputs, outputs = own_weights(layer)
    near = [[max(0.0, 1 - sum((u - v) ** 2)) for v in outputs] for u in inputs]
    return activation(x @ (kernel * np.array(near)) + bias)


def selu(x):
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))


FORWARD = [
    ("autorec", {"rows": "users"}, np.tanh),
    ("autorec", {"rows": "movies", "hidden": (7, 5)}, np.tanh),
    ("sparsefc", {"rows": "movies", "hidden": (7, 5)}, np.tanh),
    ("sparsefc", {"rows": "users"}, np.tanh),
    ("deeprec", {"hidden": (7, 5)}, selu),
]


def layers_of(model):
    """The layers with weights after the centring, in order; moved away from their start, so that no bias is 0 and the
    places of the kernelised ones are far enough apart to matter."""
    found = [layer for layer in (*model.encoder.layers, *model.decoder.layers) if layer.weights]
    found, rng = [layer for layer in found if layer.name != "centre"], np.random.default_rng(0)
    for layer in found:
        layer.set_weights([w + rng.normal(0, 0.3, w.shape) for w in layer.get_weights()])
    return found


@pytest.mark.parametrize(("name", "options", "activation"), FORWARD)
def test_the_forward_pass_is_that_of_the_paper_written_out(name, options, activation):
    model, split = train_on(TABLE, name, epochs=1, **options)
    *inner, last = layers_of(model)
    mean, column = model.encoder.get_layer("centre").get_weights()
    stars, damping = (split.train, 5.0) if model.config.rows == "users" else (split.train.T, 4.0)
    expected = []
    for row in stars.toarray():
        x, baseline = literal_centre(row, damping, mean, column)
        for layer in inner:
            x = literal_dense(x, layer, activation)
        expected.append(literal_dense(x, last) + baseline)
    found = model._apply(model.network, model._rows(split.train))
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("baseline", [True, False])
def test_the_global_kernel_convolves_each_cell_with_its_eight_neighbours(baseline):
    model, split = train_on(TABLE, "glocalk", epochs=1, global_epochs=1, baseline=baseline)
    *inner, last = layers_of(model)
    centre, rng = model.encoder.get_layer("centre"), np.random.default_rng(1)
    centre.spread.assign(rng.normal(0, 1, centre.spread.shape))
    pooled, spread = np.array(centre.pooled), np.array(centre.spread)
    kernel = sum(pooled[i] * spread[i] for i in range(25)) / 25
    kernel[1, 1] += 1
    mean, column = float(centre.mean), np.array(centre.column)

    stars = split.train.T.toarray()
    centred, observed, baselines = np.zeros((27, 32)), np.zeros(stars.shape), np.zeros(stars.shape)
    for i, row in enumerate(stars):
        features, expected = literal_centre(row, 4.0, mean, column)
        features, expected = (features, expected) if baseline else (row / np.sqrt(max((row > 0).sum(), 1)), 0)
        centred[i + 1, 1:31], baselines[i] = features[:30], expected
        observed[i] = (row > 0) / np.sqrt(max((row > 0).sum(), 1))
    spread = np.zeros(stars.shape)
    for i in range(25):
        for j in range(30):
            spread[i, j] = sum(kernel[a, b] * centred[i + a, j + b] for a in range(3) for b in range(3))
    x = np.concatenate([spread if baseline else np.maximum(spread, 0), observed], axis=1)
    for layer in inner:
        x = literal_dense(x, layer, np.tanh)
    found = model._apply(model.network, model._rows(split.train), np.arange(25))
    np.testing.assert_allclose(found, literal_dense(x, last) + baselines, atol=1e-3)


def test_before_the_second_stage_glocalk_is_sparsefc():
    glocalk, split = trained("glocalk", global_epochs=0)
    np.testing.assert_allclose(glocalk.score(split.train), trained("sparsefc")[0].score(split.train), atol=1e-5)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_what_training_reports_is_masked_mse_and_the_penalties_of_the_paper(name):
    model, split = train_on(TABLE, name, epochs=1, dropout=0, batch_size=100, hidden=(8,), l2=3.0)
    expected = 0.0
    weight = 1 / np.sqrt(split.train.nnz)
    for layer in layers_of(model):
        kernel, *places = (w for w in layer.get_weights() if w.ndim == 2)
        expected += 3.0 * weight * (kernel**2).sum()
        if places:
            near = [[max(0.0, 1 - sum((u - v) ** 2)) ** 2 for v in places[1]] for u in places[0]]
            expected += model.config.sparsity * weight * np.sum(near)
    rows = model._rows(split.train)
    inputs = model._inputs(rows, np.arange(rows.shape[0]), np.arange(rows.shape[0]))
    stars, predicted = rows.toarray(), np.array(model.network(inputs, training=False))
    expected += np.mean([(stars[c] - predicted[c]) ** 2 for c in zip(*stars.nonzero(), strict=True)])
    assert model.network.test_on_batch(inputs, stars) == pytest.approx(expected, rel=1e-4)


def test_dense_refeeding_trains_on_what_the_network_made_of_the_batch_before_the_step():
    options = {"dropout": 0, "code_dropout": 0.0, "epochs": 1, "batch_size": 100, "optimizer": "sgd"}
    start, split = train_on(TABLE, "deeprec", refeed=0, **options)
    twice, _ = train_on(TABLE, "deeprec", refeed=1, **options)
    start._build(split.train)
    stars = split.train.toarray()
    made = np.array(start.network(stars, training=False))
    start.network.compile(keras.optimizers.SGD(1e-4, momentum=0.9, nesterov=True), loss=masked_mse)
    order = np.random.default_rng((0, 0)).permutation(np.flatnonzero(np.diff(split.train.indptr)))
    start.network.train_on_batch(stars[order], stars[order])
    start.network.train_on_batch(made[order], made[order])
    for a, b in zip(start.network.get_weights(), twice.network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_row_that_is_fed_back_has_its_share_hidden():
    model, split = train_on(TABLE, "deeprec", refeed=1, dropout=0.75, epochs=1, batch_size=100)
    seen = []
    model.network.gradient_step = lambda given, judged: seen.append((np.array(given), np.array(judged))) or 0.0
    stars = split.train.toarray()
    with eagerly():
        model._step()(stars, stars)
    (_, first), (fed, judged) = seen
    assert (first == stars).all()
    assert (judged != 0).all()
    assert (fed == 0).mean() == pytest.approx(0.75, abs=0.06)
    np.testing.assert_array_equal(fed[fed != 0], judged[fed != 0])


def test_in_glocalk_what_makes_up_for_hidden_ratings_leaves_the_rows_beside_alone():
    from models.networks.layers import GlobalKernel

    layer = GlobalKernel(5, baseline=False, implicit=False, normalise=True, dropout=0.75)
    rows = np.zeros((1, 12), np.float32)
    rows[0, :4] = 4.0  # only the row before has ratings
    layer(rows)
    layer.pooled.assign(np.ones(5))
    layer.spread.assign(np.ones((5, 3, 3)))
    np.testing.assert_allclose(layer(rows, training=True)[0], layer(rows)[0])
    own = np.roll(rows, 4)
    np.testing.assert_allclose(layer(own, training=True)[0], 2 * np.array(layer(own)[0]), rtol=1e-6)


def test_a_second_stage_that_is_no_better_is_dropped_with_its_weights():
    model, split = trained("glocalk", global_rate=3.0)
    assert model.chosen["global_epochs"] == 0
    assert model.notes()[0].startswith("no epoch of the second stage was better on validation")
    assert trained("glocalk", global_epochs=0)[0].notes() == []  # which was asked for
    np.testing.assert_allclose(model.score(split.train), trained("sparsefc")[0].score(split.train), atol=1e-5)


@pytest.mark.parametrize("epochs", [1, 2, 3])  # the first ends stage 1 early, the second stage 2 before its first epoch
def test_of_a_second_stage_that_was_not_begun_glocalk_says_nothing(epochs, monkeypatch):
    split, left = splits.split(TABLE, "random", splits.Options()), [epochs]
    begin = fit.EpochRecord.on_epoch_begin
    model = models.build("glocalk", TABLE.shape, models.module("glocalk").Config(**QUICK, global_rate=3.0))

    def interrupted(record, epoch, logs=None):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        begin(record, epoch, logs)

    monkeypatch.setattr(fit.EpochRecord, "on_epoch_begin", interrupted)
    training = Training()
    with eagerly():
        model.fit(split.train, split.validation, training)
    assert training.interrupted
    assert model.chosen["global_epochs"] == 0
    assert [note[:33] for note in model.notes()] == ["no epoch of the second stage was "] * (epochs == 3)


@pytest.mark.parametrize("name", ["autorec", pytest.param("glocalk", marks=pytest.mark.slow)])
def test_refit_trains_as_many_epochs_as_were_best(name):
    model, split = train_on(TABLE, name, epochs=12, patience=2, learning_rate=0.02)
    history = model.refit(split.refit, Training())
    assert len(history) == sum(model.chosen.values())
    assert model.chosen["epochs"] < len(model.history)


def test_the_part_in_common_is_penalised():
    features, names = described(("genres", "age"))
    model, split = with_side(features, names, dropout=0, l2=3.0)
    layer = model.decoder.layers[-1]
    rows = model._inputs(split.train, KNOWN, KNOWN)
    model.network(rows, training=False)
    before = float(sum(model.network.losses))
    old = np.array(layer.kinds)
    layer.kinds.assign(old + 1)
    model.network(rows, training=False)
    more = 3.0 / np.sqrt(split.train.nnz) * (((old + 1) ** 2).sum() - (old**2).sum())
    assert float(sum(model.network.losses)) - before == pytest.approx(more, rel=1e-3)


@pytest.mark.parametrize("name", ["autorec", "sparsefc"])
def test_side_features_work_with_bfloat16(name):
    features, names = described(("genres", "age"))
    model, split = with_side(features, names, name, precision="bfloat16")
    assert np.isfinite(model.score(split.train)).all()


def test_lbfgs_reaches_the_ridge_solution():
    """With linear layers as wide as the data and the decoder left out of play there is a closed form: the bias of the
    output alone, which is each column's mean."""
    options = {"optimizer": "lbfgs", "iterations": 500, "epochs": 1, "dropout": 0.0, "l2": 1e2, "baseline": False}
    model, split = train_on(TABLE, "autorec", compiled=True, activation="linear", **options)
    stars = split.train.toarray()
    means = stars.sum(axis=0) / np.maximum((stars > 0).sum(axis=0), 1)
    seen = (stars > 0).any(axis=0)
    np.testing.assert_allclose(model.score(split.train)[0][seen], means[seen], atol=1e-2)


def test_the_loss_is_the_literal_mean_over_observed_cells_and_blind_to_the_others():
    import tensorflow as tf

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


SHARED = {  # options of all autoencoders, in one place in the code, so that one of them stands for all
    "baseline": False, "implicit": False, "normalise": False, "dropout": 0.1, "target": "hidden", "l2": 0.5,
    "optimizer": "sgd", "learning_rate": 0.01, "decay": 0.5, "batch_size": 5, "epochs": 1, "user_damping": 1.0,
    "movie_damping": 1.0, "precision": "bfloat16", "rows": "movies", "average": 0.9,
}  # fmt: skip
OWN = {
    "autorec": {"hidden": (4,), "activation": "sigmoid"},
    "deeprec": {"hidden": (4,), "activation": "relu", "last_activation": "tanh", "code_dropout": 0.1, "refeed": 0},
    "sparsefc": {"hidden": (4,), "activation": "sigmoid", "dimensions": 2, "sparsity": 0.5},
    "glocalk": {"hidden": (4,), "activation": "relu", "dimensions": 2, "sparsity": 0.5, "global_epochs": 0}
    | {"global_rate": 0.05},
}
ELSEWHERE = {"patience", "iterations", "side", "side_weight", "sample"}  # each has a test of its own
CASES = [("autorec", option, value) for option, value in (SHARED | {"seed": 1}).items()]
CASES += [
    (name, option, value) for name, options in OWN.items() if name != "glocalk" for option, value in options.items()
]
CASES += [  # what GLocal-K has from SparseFC is slow
    pytest.param("glocalk", option, value, marks=() if option.startswith("global") else pytest.mark.slow)
    for option, value in OWN["glocalk"].items()
]


@pytest.mark.parametrize(("name", "option", "value"), CASES)
def test_every_option_changes_the_result(name, option, value):
    model, split = trained(name)
    assert not np.allclose(trained(name, **{option: value})[0].score(split.train), model.score(split.train), atol=1e-7)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_every_option_is_tried_above(name):
    assert set(models.module(name).Config.__dataclass_fields__) == {*SHARED, *OWN[name], *ELSEWHERE}


def test_the_number_of_lbfgs_iterations_matters():
    few, split = trained("autorec", optimizer="lbfgs", iterations=2)
    assert not np.allclose(trained("autorec", optimizer="lbfgs")[0].score(split.train), few.score(split.train))


def described(names, kinds=4):
    """TABLE's side features, made up: a user's is the index modulo `kinds`, a movie's the same."""
    users, movies = (np.eye(kinds, dtype=np.float32)[np.arange(n) % kinds] for n in TABLE.shape)
    return side_features.Side(users, movies), names


def with_side(features, names, name="autorec", **options):
    config = models.module(name).Config(hidden=(8,), epochs=2, batch_size=15, side=names, **options)
    model, split = models.build(name, TABLE.shape, config), splits.split(TABLE, "random", splits.Options())
    model.side = features
    with eagerly():
        model.fit(split.train, split.validation, Training())
    model.encode_all(split.train)
    return model, split


@pytest.mark.parametrize("rows", ["users", "movies"])
def test_side_features_of_rows_and_of_columns_count(rows):
    features, names = described(("genres", "age"))
    model, split = with_side(features, names, rows=rows)
    scores = [model.score(split.train)]
    for other in (replace(features, users=features.users * 0), replace(features, movies=features.movies * 0)):
        changed, _ = with_side(other, names, rows=rows)
        scores.append(changed.score(split.train))
    assert not np.allclose(scores[0], scores[1], atol=1e-6)
    assert not np.allclose(scores[0], scores[2], atol=1e-6)


def test_the_less_side_features_weigh_the_less_they_change():
    features, names = described(("genres", "age"))
    bare, split = with_side(replace(features, users=features.users * 0, movies=features.movies * 0), names)
    scores = [with_side(features, names, side_weight=weight)[0].score(split.train) for weight in (1e-5, 0.3, 3.0)]
    changes = [np.abs(found - bare.score(split.train)).mean() for found in scores]
    assert changes[0] < 1e-4 < changes[1] < changes[2]


@pytest.mark.parametrize("name", ["deeprec", "sparsefc"])
def test_kinds_of_columns_share_a_part_of_the_output_that_is_saved_with_it(name, tmp_path):
    last = {"last_activation": "tanh"} if name == "deeprec" else {}
    model, split = with_side(*described(("genres", "age")), name, rows="users", **last)
    layer = model.decoder.layers[-1]
    layer.kinds.assign(np.random.default_rng(0).normal(size=layer.kinds.shape))
    model.encode_all(split.train)
    codes = model.latent.users
    kernel, bias = layer.layer.dense() if name == "sparsefc" else own_weights(layer.layer)
    both = codes @ (kernel + keras.ops.convert_to_numpy(layer.kinds) @ (0.3 * model.side.movies).T) + bias
    expected = np.tanh(both) if last else both
    np.testing.assert_allclose(model.decoder(codes, training=False), expected, atol=1e-5)
    np.testing.assert_allclose(decode(model.latent.decoder, codes), expected, atol=1e-5)
    model.decoder.save(tmp_path / "decoder.keras")
    stored = keras.models.load_model(tmp_path / "decoder.keras", safe_mode=True)
    np.testing.assert_allclose(stored(codes, training=False), expected, atol=1e-5)


def test_the_side_of_a_known_user_counts_and_a_stranger_has_none():
    features, names = described(("age",))
    model, split = with_side(features, names)
    strangers, cells = split.train[:7], (np.array([2, 6]), np.array([4, 20]))
    np.testing.assert_allclose(model.predict(strangers, *cells), model.score(strangers)[cells], atol=1e-4)
    users = np.array([3, 8])
    known = model.score(split.train[users], users)
    np.testing.assert_allclose(known, model.score(split.train, np.arange(30))[users], atol=1e-5)
    stranger = model.network([split.train[users].toarray(), np.zeros((2, 4), np.float32)], training=False)
    np.testing.assert_allclose(model.score(split.train[users]), stranger, atol=1e-5)
    assert not np.allclose(known, stranger, atol=1e-6)


def test_patience_ends_training_that_long_after_the_best_epoch():
    model, _ = trained("autorec", epochs=200, patience=2, learning_rate=0.05)
    assert len(model.history) == model.chosen["epochs"] + 2


@pytest.mark.parametrize("rows", ["users", "movies"])
def test_the_latent_space_predicts_what_the_network_predicts(rows):
    model, split = trained("autorec", rows=rows, hidden=(12, 5))
    space, users = model.latent, np.arange(30)
    found = space.stars(space.users, np.arange(25), space.biases.user, users)
    np.testing.assert_allclose(found, model.score(split.train), atol=1e-4)


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh", "elu", "selu"])
def test_decoding_without_keras_is_decoding_with_it(activation):
    config = models.module("autorec").Config(hidden=(12, 5), activation=activation)
    model = models.build("autorec", TABLE.shape, config)
    model._build(TABLE.matrix())
    for layer in model.decoder.layers:
        layer.set_weights([w + 0.1 for w in layer.get_weights()])  # biases start at 0, which would hide them
    layers = [(*own_weights(layer), layer.activation.__name__) for layer in model.decoder.layers]
    codes = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    np.testing.assert_allclose(decode(layers, codes), model.decoder.predict_on_batch(codes), atol=1e-5)


def test_the_autoencoder_learns_more_than_the_biases():
    options = {"epochs": 60, "hidden": (16,), "dropout": 0.2, "learning_rate": 3e-3}
    model, split = train_on(tastes(200, 60, 200 * 25), "autorec", compiled=True, **options)
    cells = split.test.hidden.tocoo()
    error = np.abs(model.predict(split.test.given, cells.row, cells.col) - cells.data)
    baseline = np.abs(biases.fit(split.train, 5, 4).predict(cells.row, cells.col) - cells.data)
    assert error.mean() < 0.6 * baseline.mean()


def test_an_autoencoder_of_movie_rows_refuses_new_users():
    model, _ = trained("autorec", rows="movies")
    assert not model.takes_new_users
    with pytest.raises(ValueError, match="knows only the users it was trained on"):
        model.score(sp.csr_array((1, 25), dtype=np.float32))


@pytest.mark.parametrize(
    "options", [{"dropout": 1.0}, {"dropout": 0, "target": "hidden"}, {"hidden": ()}, {"l2": -1}, {"epochs": 0}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=r"must|needs"):
        models.module("autorec").Config(**options)


@pytest.mark.parametrize("normalise", [True, False])
def test_what_the_encoder_adds_up_is_as_large_with_ratings_hidden_as_without(normalise):
    from models.networks.layers import Centre

    rng = np.random.default_rng(0)
    row = np.full((1, 400), 4.0, np.float32)
    centre = Centre(baseline=False, normalise=normalise, dropout=0.7)
    whole = np.array(centre(row)[0]).sum()
    hidden = np.where(rng.random((500, 400)) < 0.7, 0, row).astype(np.float32)
    sums = np.array(centre(hidden, training=True)[0]).sum(axis=1)
    assert sums.mean() == pytest.approx(whole, rel=0.02)
    assert np.array(centre(hidden)[0]).sum(axis=1).mean() < 0.7 * whole


def test_a_refit_of_glocalk_trains_both_stages_as_long_as_was_best():
    model, split = train_on(TABLE, "glocalk", global_epochs=4, epochs=4)
    model.chosen = {"epochs": 2, "global_epochs": 1}
    with eagerly():
        history = model.refit(split.refit, Training())
    assert [row["stage"] for row in history] == [1, 1, 2]
