"""The autoencoders of stars: what they are centred on, judged by, trained on and remembered as."""

from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import scipy.sparse as sp
from conftest import eagerly
from literal import assert_same_weights, own_weights, pairs, rmse
from trained import ITS, QUICK, TABLE, tastes, train_on, trained

import models
from models.networks import latent_model, rating_autoencoder, training_step
from models.networks.layers import BySide, Centre, dense_layers
from models.networks.training_step import Adam, Momentum
from utils.data import side_features, splits
from utils.scoring import biases, latent
from utils.training import batches
from utils.training.training import EarlyStoppingCriterion, Training

N_USERS, N_MOVIES = TABLE.shape
USERS, MOVIES = pairs(TABLE.shape)
BOTH = [
    ("autorec", {}),
    ("autorec", {"rows": "movies"}),
    ("glocalk", {}),
    ("deeprec", {}),
    ("sparsefc", {}),
    ("joint", {}),
]


def built(name, **options):
    module = models.module(name)
    known = module.Config.__dataclass_fields__
    quick = {key: value for key, value in (QUICK | ITS.get(name, {})).items() if key in known}
    return models.build(name, TABLE.shape, module.Config(**quick | options))


@pytest.fixture(scope="module")
def half():
    return splits.split(tastes(N_USERS, N_MOVIES, 500), "random", splits.Options(validation_share=0.3))


@pytest.mark.parametrize(("name", "options"), BOTH[:3])
def test_each_epoch_is_judged_by_the_rmse_of_the_validation_ratings(name, options, half, monkeypatch):
    monkeypatch.setattr(latent_model, "BLOCK", 7)
    model = built(name, epochs=1, **options | ({"global_epochs": 0} if name == "glocalk" else {}))
    with eagerly():
        (row,) = model.fit(half.train, half.validation, Training())
    rows = model._rows(half.validation.given)
    stars = model._apply(model.network, rows, np.arange(rows.shape[0]))
    stars = stars if model.config.rows == "users" else stars.T
    assert row["val_rmse"] == pytest.approx(rmse(stars, half.validation.hidden.toarray()), abs=1e-4)
    assert row["val_rmse"] != pytest.approx(rmse(stars, half.train.toarray()), abs=1e-3)


def test_where_users_are_held_out_they_are_judged_by_what_is_given_of_them():
    table = tastes(40, 25, 600)
    split = splits.split(table, "strong-ratings", splits.Options(held_out=5))
    model = models.build("autorec", table.shape, models.module("autorec").Config(hidden=(8,), epochs=1))
    with eagerly():
        (row,) = model.fit(split.train, split.validation, Training())
    stars = model._apply(model.network, split.validation.given)
    assert row["val_rmse"] == pytest.approx(rmse(stars, split.validation.hidden.toarray()), abs=1e-4)


@pytest.mark.parametrize("rows", ["users", "movies"])
def test_rows_are_centred_on_the_biases_of_what_is_trained_on(rows, half):
    model = built("autorec", rows=rows, user_damping=2.0, movie_damping=11.0)
    model._build(half.train)
    fitted = biases.fit(half.train, 2.0, 11.0)
    mean, column = model.encoder.get_layer("centre").get_weights()
    assert mean == pytest.approx(fitted.mean, abs=1e-5)
    np.testing.assert_allclose(column, fitted.movie if rows == "users" else fitted.user, atol=1e-5)
    assert model.encoder.get_layer("centre").damping == (2.0 if rows == "users" else 11.0)
    found = model._baseline(half.known)
    given, n = half.known.toarray(), (half.known.toarray() > 0)
    column = fitted.movie if rows == "users" else fitted.user[:, None]
    left = np.where(n, given - fitted.mean - column, 0)
    if rows == "users":
        own = left.sum(axis=1) / (n.sum(axis=1) + 2.0)
        expected = (own, fitted.movie)
    else:
        own = left.sum(axis=0) / (n.sum(axis=0) + 11.0)
        expected = (fitted.user, own)
    np.testing.assert_allclose(found.user, expected[0], atol=1e-5)
    np.testing.assert_allclose(found.movie, expected[1], atol=1e-5)


CENTRES = [(b, i, n, like) for b in (True, False) for i in (True, False) for n in (True, False) for like in (None, 3.5)]


@pytest.mark.parametrize(("baseline", "implicit", "normalise", "like"), CENTRES)
def test_centring_is_the_one_written_out_with_and_without_each_part(baseline, implicit, normalise, like):
    rng = np.random.default_rng(0)
    stars = (rng.integers(1, 11, (6, 9)) / 2 * (rng.random((6, 9)) < 0.6)).astype(np.float32)
    stars[3] = 0
    layer = Centre(3.0, baseline, implicit, normalise, 0.36, like, star=2.0)
    layer.build((None, 9))
    layer.mean.assign(3.2)
    layer.column.assign(rng.normal(size=9))
    column = keras.ops.convert_to_numpy(layer.column)
    for training, scale in ((False, 1), (True, 0.64 ** (-0.5 if normalise else -1))):
        features, found = layer(stars, training=training)
        for row, own, expected in zip(stars, features, found, strict=True):
            rated = row != 0
            mean = 3.2 + column + (row - 3.2 - column)[rated].sum() / (rated.sum() + 3) if baseline else 0 * row
            blocks = [np.where(rated, row - mean, 0) / 2]
            blocks += [rated] if implicit else []
            blocks += [row > like] if like else []
            length = np.sqrt(max(rated.sum(), 1)) if normalise else 1
            np.testing.assert_allclose(own, np.concatenate(blocks) / length * scale, atol=1e-5)
            np.testing.assert_allclose(expected, mean, atol=1e-5)


@pytest.mark.parametrize(("name", "options"), BOTH)
def test_predictions_of_cells_are_those_of_whole_rows_whatever_the_block(name, options, monkeypatch):
    model, split = trained(name, **options)
    model = copy(model)  # other tests have the same one
    order = np.random.default_rng(0).permutation(len(USERS))
    whole = model.predict(split.train, USERS, MOVIES), model.score(split.train), model.encode(split.train)
    if name != "joint":
        rows = model._rows(split.train)
        stars = model._apply(model.network, rows, np.arange(rows.shape[0]))
        stars = stars if model.config.rows == "users" else stars.T
        np.testing.assert_allclose(whole[1], stars, atol=1e-4)
        np.testing.assert_allclose(whole[0], np.ravel(stars), atol=1e-4)
    monkeypatch.setattr(latent_model, "BLOCK", 7)
    monkeypatch.setattr(latent, "CELLS", 7)
    np.testing.assert_allclose(model.predict(split.train, USERS[order], MOVIES[order]), whole[0][order], atol=1e-4)
    np.testing.assert_allclose(model.score(split.train), whole[1], atol=1e-4)
    np.testing.assert_allclose(model.encode(split.train), whole[2], atol=1e-5)
    remembered = model.latent
    np.testing.assert_allclose(whole[2], remembered.users, atol=1e-5)
    model.encode_all(split.train)
    np.testing.assert_allclose(model.latent.users, remembered.users, atol=1e-5)
    np.testing.assert_allclose(model.latent.movies, remembered.movies, atol=1e-5)


@pytest.mark.parametrize("name", latent.ACTIVATIONS)
def test_activations_without_keras_are_those_of_keras(name):
    x = np.linspace(-5, 5, 41, dtype=np.float32)
    expected = keras.ops.convert_to_numpy(keras.activations.get(name)(x))
    np.testing.assert_allclose(latent.ACTIVATIONS[name](x), expected, atol=1e-5)


PLAIN = [{"baseline": False}, {"implicit": False}, {"normalise": False}, {"user_damping": 0.0}, {"hidden": (7, 5)}]


@pytest.mark.parametrize("options", PLAIN, ids=str)
@pytest.mark.parametrize("name", ["autorec", "joint"])
def test_rows_are_encoded_without_keras_as_with_it(name, options):
    model = built(name, **options)
    model._build(TABLE.matrix())
    rng = np.random.default_rng(0)
    for layer in model.encoder.layers:
        if layer.name.startswith("encoder"):
            layer.set_weights([w + rng.normal(0, 0.3, w.shape) for w in layer.get_weights()])
    rows = TABLE.matrix()[[4, 0, 29]].toarray()
    rows[1] = 0
    expected = keras.ops.convert_to_numpy(model.encoder(rows, training=False))
    np.testing.assert_allclose(model.encode(sp.csr_array(rows)), expected, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"baseline": False}], ids=str)
@pytest.mark.parametrize("name", ["autorec", "joint"])
def test_a_column_is_where_who_rated_it_one_star_above_what_is_expected_is(name, options):
    model, _ = trained(name, **options)
    expected = model.biases.mean + (model.biases.movie if not options else np.zeros(N_MOVIES))
    rows = sp.csr_array(np.diag(expected + 1).astype(np.float32))
    nothing = model.encode(sp.csr_array((1, N_MOVIES), dtype=np.float32))
    np.testing.assert_allclose(model.movie_vectors(), model.encode(rows) - nothing, atol=1e-5)


@pytest.mark.parametrize(("name", "options"), [*BOTH[:2], ("deeprec", {"optimizer": "sgd"})])
def test_the_final_model_is_trained_on_all_that_is_given_as_long_as_was_best(name, options, half):
    model, again = (built(name, epochs=4, **options) for _ in range(2))
    model.chosen = {"epochs": 2}
    again.config = replace(again.config, epochs=2)
    with eagerly():
        assert len(model.refit(half.refit, Training())) == 2
        again.refit(half.refit, Training())
    assert_same_weights(model, again)
    mean = model.encoder.get_layer("centre").get_weights()[0]
    assert mean == pytest.approx(half.refit.data.mean(), abs=1e-5)


@pytest.mark.parametrize(("optimizer", "kind"), [("adam", Adam), ("sgd", Momentum)])
def test_the_step_size_falls_after_each_epoch_by_the_decay(optimizer, kind):
    model = built("autorec", optimizer=optimizer, learning_rate=0.0123, decay=0.5, batch_size=7, epochs=3)
    matrix = TABLE.matrix()
    with eagerly():
        model.refit(matrix, Training())
    optimizer = model.network.optimizer
    rows = np.count_nonzero(np.diff(matrix.indptr))
    assert int(optimizer.iterations) == 3 * -(-rows // 7)
    assert float(optimizer.learning_rate) == pytest.approx(0.0123 * 0.5**3)
    assert type(optimizer) is kind
    assert kind is Adam or (optimizer.momentum, optimizer.nesterov) == (0.9, True)


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_the_step_size_stays_within_an_epoch(kind):
    made = training_step.optimizer(models.module("autorec").Config(optimizer=kind, learning_rate=0.08, decay=0.5), 5)
    rates = []
    for step in (0, 4, 5, 9, 10):
        made.iterations.assign(step)
        rates.append(float(made.learning_rate))
    assert rates == pytest.approx([0.08, 0.08, 0.04, 0.04, 0.02])


def test_the_step_size_falls_after_each_part_of_a_pass(monkeypatch):
    monkeypatch.setattr(batches, "PART_ROWS", 10)
    model = built("autorec", learning_rate=0.0123, decay=0.5, batch_size=7, epochs=3)
    with eagerly():
        model.refit(TABLE.matrix(), Training())
    assert int(model.network.optimizer.iterations) == 3 * 2  # of five steps of a pass
    assert float(model.network.optimizer.learning_rate) == pytest.approx(0.0123 * 0.5**3)


def test_lbfgs_sees_all_rows_at_once_in_every_epoch():
    model, seen = built("autorec", optimizer="lbfgs", dropout=0.0, batch_size=7, epochs=2), []
    model._step = lambda: lambda given, judged: seen.append((given, judged)) or 0.0
    model.refit(TABLE.matrix(), Training())
    assert [given.shape for given, _ in seen] == [TABLE.shape] * 2
    np.testing.assert_array_equal(seen[0][0], seen[0][1])


def test_decoders_mirror_the_hidden_layers():
    for name in ("autorec", "deeprec"):
        model = built(name, hidden=(7, 6, 5))
        model._build(TABLE.matrix())
        sizes = [layer.units for layer in model.decoder.layers if hasattr(layer, "units")]
        assert sizes == [6, 7, N_MOVIES]
        assert [model.encoder.get_layer(f"encoder_{i}").units for i in range(3)] == [7, 6, 5]


def test_our_adam_is_that_of_keras():
    rng, found = np.random.default_rng(0), []
    start, gradients = rng.normal(size=(4, 3)), rng.normal(size=(5, 4, 3)) * [[1e-9], [1], [1e3], [0]]
    for kind in (Adam, keras.optimizers.Adam):
        weight = keras.Variable(start.astype(np.float32))
        optimizer = kind(0.05)
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [weight])
        found.append(keras.ops.convert_to_numpy(weight))
    np.testing.assert_allclose(*found, atol=1e-5)
    assert np.abs(found[0] - start)[:3].min() > 0


# -- GLocal-K, SparseFC, DeepRecommender -------------------------------------------------------------------------------


def test_a_movie_weighs_in_the_global_kernel_what_was_predicted_for_it_on_average():
    model, split = trained("glocalk", global_rate=1e-12)
    stars = trained("sparsefc")[0].predict(split.train, USERS, MOVIES).reshape(TABLE.shape)
    pooled = keras.ops.convert_to_numpy(model.encoder.get_layer("centre").pooled)
    np.testing.assert_allclose(pooled, stars.mean(axis=0), atol=1e-4)
    assert [row["stage"] for row in model.history] == [1, 1, 2, 2]


def test_the_second_stage_learns_the_kernel_at_its_own_rate_for_its_own_epochs(half):
    model = built("glocalk", epochs=2, global_epochs=3, global_rate=0.02, learning_rate=0.001, batch_size=10)
    asked = []
    train = rating_autoencoder.train

    def noted(network, epoch, config, training, phase, *more, **named):
        spread = model.encoder.get_layer("centre").spread
        asked.append((config.epochs, phase, float(network.optimizer.learning_rate), spread.trainable))
        return train(network, epoch, replace(config, epochs=1), training, phase, *more, **named)

    with pytest.MonkeyPatch.context() as patch, eagerly():
        patch.setattr(rating_autoencoder, "train", noted)
        model.refit(half.train, Training())
    expected = [(2, "refit", 0.001, False), (3, "refit-global-1", 0.02, True)]
    assert [(*row[:2], pytest.approx(row[2]), row[3]) for row in asked] == expected
    assert np.abs(keras.ops.convert_to_numpy(model.encoder.get_layer("centre").spread)).max() > 0


def test_no_second_stage_follows_a_first_that_was_interrupted(half, monkeypatch):
    model, training, asked = built("glocalk", global_epochs=3), Training(), []

    def interrupted(network, epoch, config, training, phase, *_, **__):
        asked.append(phase)
        training.interrupted = True
        return [{"epoch": 1, "val_rmse": 0.9}]

    monkeypatch.setattr(rating_autoencoder, "train", interrupted)
    assert model.fit(half.train, half.validation, training) == [row(1, 1, 0.9)]
    assert asked == ["train"]


@pytest.mark.parametrize(("value", "goes_on"), [(0.8, True), (0.95, False)])
def test_a_second_stage_that_is_no_better_leaves_the_weights_of_the_first(value, goes_on, half, monkeypatch):
    model = built("glocalk", global_epochs=1)

    def trains(network, epoch, config, training, phase, *_, **__):
        if "global" not in phase:
            return [{"epoch": 1, "val_rmse": 0.9}]
        network.set_weights([weight + 1 for weight in network.get_weights()])
        return [{"epoch": 1, "val_rmse": value}]

    monkeypatch.setattr(rating_autoencoder, "train", trains)
    monkeypatch.setattr(model, "_choose", lambda history, judge: {"global_epochs": int(history[-1]["val_rmse"] < 0.9)})
    with eagerly():
        before = None
        apply = model._apply

        def noted(*of):
            nonlocal before
            before = before or [weight.copy() for weight in model.network.get_weights()]
            return apply(*of)

        monkeypatch.setattr(model, "_apply", noted)
        model.fit(half.train, half.validation, Training())
    moved = [np.abs(new - old).max() for new, old in zip(model.network.get_weights(), before, strict=True)]
    assert (np.median(moved) > 0.5) == goes_on


def row(stage, epoch, value):
    return {"stage": stage, "epoch": epoch, "val_rmse": value}


def test_each_stage_has_its_own_best_epoch_and_the_second_must_be_better():
    model, judge = built("glocalk"), EarlyStoppingCriterion(lambda: 0.0)
    first = [row(1, 1, 0.9), row(1, 2, 0.8), row(1, 3, 0.85)]
    better, worse = [row(2, 1, 0.7), row(2, 2, 0.75)], [row(2, 1, 0.8), row(2, 2, 0.95)]
    assert model._choose(first + better, judge) == {"epochs": 2, "global_epochs": 1}
    assert model._choose(first + worse, judge) == {"epochs": 2, "global_epochs": 0}  # as good is not better
    assert model._choose(first, judge) == {"epochs": 2, "global_epochs": 0}
    assert model._choose(first + worse, None) == {"epochs": 3, "global_epochs": 2}


def test_rows_beside_are_those_of_the_matrix_at_every_edge():
    model = built("glocalk")
    rows = sp.csr_array(np.arange(1, 13, dtype=np.float32).reshape(4, 3))
    dense = np.vstack([np.zeros(3), rows.toarray(), np.zeros(3)])
    for index in (np.array([0, 3]), np.array([2, 1]), np.arange(4)):
        found = model._inputs(rows, index, np.arange(4))
        expected = [np.concatenate([dense[i], dense[i + 1], dense[i + 2]]) for i in index]
        np.testing.assert_array_equal(found, expected)
        found = model._inputs(rows, index, np.arange(4), dense=np.full((len(index), 3), 9.0))
        expected = [np.concatenate([dense[i], [9] * 3, dense[i + 2]]) for i in index]
        np.testing.assert_array_equal(found, expected)
        alone = model._inputs(rows, index)
        np.testing.assert_array_equal(alone, [np.concatenate([[0] * 3, dense[i + 1], [0] * 3]) for i in index])


def test_rows_beside_are_those_of_the_whole_matrix_whichever_are_asked_for(half):
    model = built("glocalk", global_epochs=0)
    with eagerly():
        model.refit(half.train, Training())
    centre, rng = model.encoder.get_layer("centre"), np.random.default_rng(0)
    centre.pooled.assign(np.ones(N_MOVIES))
    centre.spread.assign(rng.normal(0, 0.5, centre.spread.shape))
    model.encode_all(half.train)
    rows = half.train.T.tocsr()
    stars = model._apply(model.network, rows, np.arange(N_MOVIES)).T
    users, movies = np.array([3, 8, 0, 3]), np.array([7, 2, 24, 20])
    np.testing.assert_allclose(model.predict(half.train, users, movies), stars[users, movies], atol=1e-4)
    hidden = half.validation.hidden.copy()
    hidden.data[hidden.indices % 3 == 0] = 0  # some movies have nothing hidden
    hidden.eliminate_zeros()
    judge = model._judge(replace(half.validation, hidden=hidden))
    assert judge.measure() == pytest.approx(rmse(stars, hidden.toarray()), abs=1e-4)


@pytest.mark.parametrize("name", ["sparsefc", "glocalk"])
def test_the_sparsity_penalty_is_the_sum_of_the_squared_kernel_values(name):
    model = built(name, sparsity=50.0, l2=0.0)
    matrix = TABLE.matrix()
    model._build(matrix)
    rng, expected = np.random.default_rng(0), 0.0
    for layer in (model.encoder.get_layer("encoder_0"), model.decoder.layers[-1]):
        layer.set_weights([w + rng.normal(0, 0.3, w.shape) for w in layer.get_weights()])
        _, _, inputs, outputs = layer.get_weights()
        near = [[max(0.0, 1 - sum((u - v) ** 2)) for v in outputs] for u in inputs]
        expected += 50.0 / np.sqrt(matrix.nnz) * sum(value**2 for of in near for value in of)
        assert np.mean([[0 < value < 0.9 for value in of] for of in near]) > 0.1
    rows = model._rows(matrix)
    model.network(model._inputs(rows, np.arange(5), np.arange(N_MOVIES)), training=False)
    assert float(sum(model.network.losses)) == pytest.approx(expected, rel=1e-4)


def test_dense_refeeding_goes_on_from_its_own_output_as_often_as_asked():
    model = built("deeprec", refeed=2, dropout=0.3, code_dropout=0.0, optimizer="sgd")
    model.seed = 5
    model._build(TABLE.matrix())
    model.network.compile("sgd")
    steps, made = [], []

    def trained_on(given, judged):
        steps.append((given, judged))
        made.append(keras.ops.convert_to_numpy(model.network(given, training=True)))
        for weight in model.network.trainable_variables:
            weight.assign(weight + 0.01)
        model.network.optimizer.iterations.assign_add(1)
        return float(len(steps))

    model.network.gradient_step = trained_on
    stars = TABLE.matrix().toarray()
    with eagerly():
        assert model._step()(stars, stars) == 1.0  # of the step on ratings
    np.testing.assert_array_equal(steps[0], [stars, stars])
    for step in (1, 2):
        shown = np.random.default_rng((5, step)).random(stars.shape) >= 0.3  # a share is hidden as of other rows
        np.testing.assert_allclose(steps[step], [made[step - 1] * shown, made[step - 1]], atol=1e-5)


def test_dropout_of_the_code_is_in_training_alone_and_last_activations_are_as_asked():
    model = built("deeprec", code_dropout=0.75, last_activation="relu")
    model._build(TABLE.matrix())
    *_, last = model.decoder.layers
    last.set_weights([last.get_weights()[0], last.get_weights()[1] + 0.1])
    codes = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    kernel, bias = own_weights(last)
    np.testing.assert_allclose(model.decoder(codes), np.maximum(codes @ kernel + bias, 0), atol=1e-5)
    kept = keras.ops.convert_to_numpy(model.decoder.layers[0](codes, training=True)) != 0
    assert kept.mean() == pytest.approx(0.25, abs=0.08)


# -- side features -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", ["users", "movies"])
def test_side_features_of_rows_go_in_and_those_of_columns_shape_the_output(rows, tmp_path):
    rng = np.random.default_rng(0)
    known = side_features.Side(
        rng.random((N_USERS, 4)).astype(np.float32), rng.random((N_MOVIES, 6)).astype(np.float32)
    )
    model, split = built("autorec", rows=rows, side=("genres", "age"), side_weight=0.7), trained("autorec")[1]
    model.side = known
    with eagerly():
        model.refit(split.train, Training())
    own, of_columns = (known.users, known.movies) if rows == "users" else (known.movies, known.users)
    seen = []
    model.encoder.get_layer("encoder_0").call = lambda x, **_: seen.append(x) or keras.ops.zeros((x.shape[0], 8))
    dense, index = model._rows(split.train), np.array([9, 2, 17])
    inputs = model._inputs(dense, index, np.arange(len(own)))
    np.testing.assert_array_equal(inputs[0], dense.toarray()[index])
    np.testing.assert_array_equal(inputs[1], own[index])
    np.testing.assert_array_equal(model._inputs(dense, index)[1], np.zeros((3, own.shape[1])))
    some = np.array([8, 1, 20])  # of whom the rows are
    np.testing.assert_array_equal(model._inputs(dense[some], np.array([2, 0]), some)[1], own[[20, 8]])
    model.encoder(inputs, training=False)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(seen[-1])[:, -own.shape[1] :], 0.7 * own[index], atol=1e-6)
    layer = model.decoder.layers[-1]
    assert isinstance(layer, BySide)
    np.testing.assert_allclose(layer.features, 0.7 * of_columns, atol=1e-6)
    assert layer.l2 == pytest.approx(model.config.l2 / np.sqrt(split.train.nnz))


@pytest.mark.parametrize(("name", "rows"), [("autorec", "users"), ("autorec", "movies"), ("joint", "users")])
def test_a_saved_model_has_its_side_features(name, rows, tmp_path):
    rng = np.random.default_rng(0)
    model, split = built(name, rows=rows, side=("genres", "age")), trained("autorec")[1]
    model.side = side_features.Side(
        rng.random((N_USERS, 4)).astype(np.float32), rng.random((N_MOVIES, 6)).astype(np.float32)
    )
    with eagerly():
        model.fit(split.train, split.validation, Training())
    model.encode_all(split.train)
    model.save(tmp_path)
    again = built(name, rows=rows, side=("genres", "age"))
    again.load(
        SimpleNamespace(
            path=lambda file: tmp_path / file,
            arrays=lambda file, _="": dict(np.load(tmp_path / file)),
            has_file=lambda file: (tmp_path / file).exists(),
            config={"shape": TABLE.shape, "options": vars(model.config), "scale": (0.5, 5.0), "like": 3.5},
        )
    )
    np.testing.assert_allclose(again.score(split.known), model.score(split.known), atol=1e-5)
    found = again.predict(split.known, USERS, MOVIES)
    np.testing.assert_allclose(found, model.predict(split.known, USERS, MOVIES), atol=1e-5)


def test_a_refit_that_is_interrupted_leaves_what_fit_found(monkeypatch):
    model, split = train_on(TABLE, "autorec")
    before, training = model.score(split.train), Training()
    biased = model._baseline(split.train)
    monkeypatch.setattr(rating_autoencoder, "train", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    model.refit(split.refit, training)
    assert training.interrupted
    np.testing.assert_array_equal(model.score(split.train), before)
    np.testing.assert_array_equal(model._baseline(split.train).user, biased.user)


@pytest.mark.parametrize("name", ["autorec", "sparsefc", "joint"])
def test_weights_are_copied_once_however_many_blocks_are_scored(name, half, monkeypatch):
    model, made = (
        built(name, **{"sparsefc": {"rows": "users"}, "joint": {"linear": False, "movie_rows": False}}.get(name, {})),
        [],
    )
    with eagerly():
        model.fit(half.train, half.validation, Training())
    for module, function in ((rating_autoencoder, "plain_encoder"), (latent_model, "dense_layers")):
        real = getattr(module, function)
        noted = lambda network, real=real: made.append(network.name) or real(network)  # noqa: E731
        monkeypatch.setattr(module, function, noted)
    users, movies = np.arange(N_USERS), np.arange(N_USERS) % N_MOVIES
    first, second, third = (
        [model.encode(half.train), model.score(half.train), model.predict(half.train, users, movies)] for _ in range(3)
    )
    assert sorted(made) == ["decoder", "encoder"] + ["ranker"] * (name == "joint")
    for again in (second, third):
        for found, expected in zip(again, first, strict=True):
            np.testing.assert_array_equal(found, expected)
    monkeypatch.setattr(rating_autoencoder, "train", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    model.refit(half.refit, Training())
    made.clear()
    for _ in range(2):
        np.testing.assert_array_equal(model.encode(half.train), first[0])
    assert made == ["encoder"]


@pytest.mark.parametrize("name", ["autorec", "sparsefc"])
def test_every_epoch_is_judged_by_its_own_weights(name, half):
    model, given = built(name, epochs=3, rows="users"), half.validation.given

    def literal():
        return rmse(model._apply(model.network, given, np.arange(N_USERS)), half.validation.hidden.toarray())

    with eagerly():
        history = model.fit(half.train, half.validation, Training(monitor=literal))
    assert [row["val_rmse"] for row in history] == pytest.approx([row["monitored"] for row in history], abs=1e-4)
    assert abs(history[0]["val_rmse"] - history[-1]["val_rmse"]) > 1e-3


@pytest.mark.parametrize("name", ["autorec", "joint", pytest.param("glocalk", marks=pytest.mark.slow)])
def test_no_copy_of_weights_outlives_them(name, half, tmp_path):
    """A model that was used is trained again, judged while it trains, interrupted, and read from a file."""
    few = {"epochs": 1, "global_epochs": 1, "global_rate": 3.0}
    options = {"joint": {"linear": False}, "glocalk": few}.get(name, {})
    users, movies = np.arange(N_USERS), np.arange(N_USERS) % N_MOVIES

    def said(model):
        model.latent = None  # which is no part of it
        return model.predict(half.train, users, movies), model._arrays("decoder")[-1][0]

    def trained_on(model, matrix):
        with eagerly():
            return [list(row.values())[:-1] for row in model.fit(matrix, half.validation, Training())]

    used, fresh = built(name, **options), built(name, **options)
    before = trained_on(used, half.refit), *said(used)
    again = trained_on(used, half.train), *said(used)
    assert again[0] == trained_on(fresh, half.train)
    for found, expected, old in zip(again[1:], said(fresh), before[1:], strict=True):
        np.testing.assert_array_equal(found, expected)
        assert np.abs(found - old).max() > 1e-3
    used.encode_all(half.train)
    used.chosen = {"epochs": 1} | ({"global_epochs": 1} if name == "glocalk" else {})
    with eagerly():
        used.refit(half.refit, Training())
        fresh.chosen = used.chosen
        fresh.refit(half.refit, Training())
    for found, expected in zip(said(used), said(fresh), strict=True):
        np.testing.assert_array_equal(found, expected)
    used.decoder.set_weights([0.9 * weight for weight in used.decoder.get_weights()])
    used.encode_all(half.train)
    np.testing.assert_array_equal(used.latent.decoder[-1][0], dense_layers(used.decoder)[-1][0])


def test_movies_as_rows_score_the_users_that_are_asked_for():
    model, split = trained("autorec", rows="movies")
    users = np.array([7, 2, 19])
    whole = model.score(split.train, np.arange(split.train.shape[0]))
    np.testing.assert_allclose(model.score(split.train[users], users), whole[users], atol=1e-6)
    assert np.ptp(whole[users].mean(axis=1)) > 0.05  # whose own deviations differ
