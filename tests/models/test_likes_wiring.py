"""The autoencoders of likes: which rows, which epoch and which part of the network each step of theirs is about."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import scipy.sparse as sp
from conftest import eagerly, random_ratings
from literal import assert_same_weights, ndcg
from trained import ITS, QUICK, TABLE, tastes, train_on, trained

import models
from models import recvae
from models.networks import columns, export, latent_model, layers, likes_autoencoder
from utils.data import splits
from utils.data.ratings import likes
from utils.distributed import batch_share
from utils.training import batches
from utils.training.training import Training

NAMES = ["cdae", "elsa", "multdae", "multvae", "recvae"]
KNOWN, N = np.arange(TABLE.shape[0]), TABLE.shape[1]


def built(name, **options):
    module = models.module(name)
    known = module.Config.__dataclass_fields__
    quick = {key: value for key, value in (QUICK | ITS.get(name, {})).items() if key in known}
    return models.build(name, TABLE.shape, module.Config(**quick | options))


def kernels(network):
    """Sum of the squares of all kernels of a network."""
    return sum(float((np.array(w) ** 2).sum()) for w in network.trainable_variables if w.name == "kernel")


def test_the_penalty_is_on_the_kernels_between_columns_and_latent_vector_too():
    network = trained("multdae", hidden=(6, 4), l2=0.3, epochs=1)[0].network
    dense = [layer for layer in network._flatten_layers() if type(layer) is keras.layers.Dense]
    assert len(dense) == 2  # the others have columns on one side
    assert [float(layer.kernel_regularizer.l2) for layer in dense] == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize("protocol", ["random", "strong"])
@pytest.mark.parametrize("name", ["multdae", "cdae"])
def test_each_epoch_is_judged_by_the_ndcg_of_the_validation_likes(name, protocol):
    table = replace(tastes(30, 25, 500), movie_ids=TABLE.movie_ids)
    split = splits.split(table, protocol, splits.Options(validation_share=0.3, held_out=4))
    model = built(name, epochs=1)
    with eagerly():
        (row,) = model.fit(split.train, split.validation, Training())
    given, hidden = split.validation.given, split.validation.hidden.toarray()
    scores = model.score(given, KNOWN)
    expected = ndcg(scores, given.toarray(), hidden, candidates=split.validation.candidates)
    assert row["val_ndcg"] == pytest.approx(expected, abs=1e-6)
    assert ndcg(scores, given.toarray() * 0, split.train.toarray()) != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_final_model_is_trained_on_all_that_is_given_as_long_as_was_best(name):
    _, split = trained(name)
    model, again = (built(name, epochs=4, dropout=0.3) for _ in range(2))
    model.chosen, again.chosen = {"epochs": 2}, {}
    again.config = replace(again.config, epochs=2)
    with eagerly():
        assert len(model.refit(split.refit, Training())) == 2
        again.refit(split.refit, Training())
    assert_same_weights(model, again)


def test_a_refit_that_is_interrupted_leaves_what_fit_found(monkeypatch):
    model, split = train_on(TABLE, "multdae")
    before, training = model.score(split.train), Training()
    monkeypatch.setattr(likes_autoencoder, "train", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    model.refit(split.refit, training)
    assert training.interrupted
    np.testing.assert_array_equal(model.score(split.train), before)
    np.testing.assert_allclose(np.array(model.network(unit(split.train), training=False)), before, atol=1e-5)


def unit(matrix):
    rows = likes(matrix).toarray()
    return rows / np.maximum(np.sqrt(rows.sum(axis=1, keepdims=True)), 1)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ["multdae", "elsa"])
def test_a_batch_is_rows_of_what_was_rated_beside_what_was_liked(name, signed):
    model, seen = built(name, signed=signed, batch_size=8), []
    model._step = lambda: lambda given, judged: seen.append((given, judged)) or 0.0
    matrix = TABLE.matrix()
    model.refit(matrix, Training())
    liked, order = likes(matrix), np.random.default_rng((0, 0))
    order = order.permutation(np.flatnonzero(np.diff(liked.indptr)))
    given = likes(matrix, signed=signed).toarray()
    assert [len(one) for one, _ in seen[: len(order) // 8]] == [8] * (len(order) // 8)
    first = seen[: -(-len(order) // 8)]
    np.testing.assert_array_equal(np.concatenate([one for one, _ in first]), given[order])
    np.testing.assert_array_equal(np.concatenate([one for _, one in first]), liked.toarray()[order])


def test_the_users_of_a_batch_are_those_of_its_rows():
    model, seen = built("cdae", batch_size=8), []
    model._step = lambda: lambda given, judged: seen.append((given, judged)) or 0.0
    matrix = TABLE.matrix()
    model.refit(matrix, Training())
    liked = likes(matrix).toarray()
    for (given, who), judged in seen:
        np.testing.assert_array_equal(given, liked[who[:, 0]])
        np.testing.assert_array_equal(judged, liked[who[:, 0]])


def test_strangers_have_no_vector_of_their_own():
    model, matrix = built("cdae"), TABLE.matrix()
    model._build()
    vectors = np.random.default_rng(0).normal(size=(TABLE.shape[0], 8)).astype(np.float32)
    model.encoder.get_layer("vector").vectors.assign(vectors)
    kernel, bias = model.encoder.get_layer("own_likes").get_weights()
    own = unit(matrix) @ kernel + bias
    np.testing.assert_allclose(model.encode(matrix), np.tanh(own), atol=1e-5)
    some = np.array([29, 3, 17])
    np.testing.assert_allclose(model.encode(matrix[some], some), np.tanh(own + vectors)[some], atol=1e-5)
    np.testing.assert_allclose(model.exported(matrix.toarray())["latent"], np.tanh(own), atol=1e-5)


@pytest.mark.parametrize("name", ["multdae", "cdae"])
def test_what_training_reports_is_the_loss_and_the_squares_of_the_kernels(name):
    model, some = built(name, dropout=0.0, l2=0.3), np.array([3, 29, 8, 14])
    model._build()
    model.network.compile("adam", loss=model.loss)
    rng = np.random.default_rng(0)
    model.network.set_weights([w + rng.normal(0, 0.3, w.shape) for w in model.network.get_weights()])
    liked = likes(TABLE.matrix()[some]).toarray()
    x = [liked, some[:, None].astype(np.int32)] if name == "cdae" else liked
    logits = np.array(model.network(x, training=False)).astype(float)
    if name == "cdae":
        data = np.log1p(np.exp(logits)) - liked * logits
        squares = float((np.array(model.encoder.get_layer("vector").vectors) ** 2).sum())
    else:
        data, squares = -liked * (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))), 0.0
    expected = data.sum(axis=1).mean() + 0.3 * (kernels(model.network) + squares)
    with eagerly():
        assert float(model.network.test_on_batch(x, liked)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_movie_is_where_who_likes_it_alone_is_less_where_who_likes_nothing_is(name):
    model, split = trained(name)
    alone = sp.csr_array(np.eye(N, dtype=np.float32) * 5)
    nothing = sp.csr_array((1, N), dtype=np.float32)
    np.testing.assert_allclose(model.movie_vectors(), model.encode(alone) - model.encode(nothing), atol=1e-6)
    np.testing.assert_allclose(model.latent.users, model.encode(split.train, KNOWN), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_rows_come_back_in_order(name, monkeypatch):
    model, split = trained(name)
    users = np.random.default_rng(0).permutation(TABLE.shape[0])
    whole = model.score(split.train[users], users), model.encode(split.train[users], users)
    monkeypatch.setattr(latent_model, "BLOCK", 7)
    np.testing.assert_allclose(model.score(split.train[users], users), whole[0], atol=1e-5)
    np.testing.assert_allclose(model.encode(split.train[users], users), whole[1], atol=1e-5)


# what is exported takes its inputs in one place for all models, which three others try signed
SIGNED_RECVAE = pytest.param("recvae", True, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "signed"),
    [
        *((name, signed) for name in ("elsa", "multdae", "multvae") for signed in (False, True)),
        ("recvae", False),
        SIGNED_RECVAE,
    ],
)
def test_what_is_exported_is_what_is_scored(name, signed):
    model, split = trained(name, signed=signed)
    found = model.exported(split.known.toarray())
    np.testing.assert_allclose(found["scores"], model.score(split.known), atol=1e-5)
    np.testing.assert_allclose(found["latent"], model.encode(split.known), atol=1e-5)


def test_exported_inputs_are_likes_and_beside_them_what_is_not_liked():
    stars = np.array([[0, 3.5, 4, 5, 0.5], [3, 0, 0, 3.75, 3.5]], np.float32)
    liked = [[0, 0, 1, 1, 0], [0, 0, 0, 1, 0]]
    low = [[0, 1, 0, 0, 1], [1, 0, 0, 0, 1]]
    np.testing.assert_array_equal(export.inputs(stars, 3.5, False), liked)
    np.testing.assert_array_equal(export.inputs(stars, 3.5, True), np.hstack([liked, low]))
    matrix = sp.csr_array(stars)
    np.testing.assert_array_equal(likes(matrix, signed=True).toarray(), np.hstack([liked, low]))


def test_decoders_mirror_the_hidden_layers():
    for name, sizes in (("multdae", [6, 7, N]), ("multvae", [6, 7, N]), ("cdae", [6, 7, N])):
        model = built(name, hidden=(7, 6, 5))
        model._build()
        assert [layer.units for layer in model.decoder.layers] == sizes
        assert [model.encoder.get_layer(f"encoder_{i}").units for i in range(2)] == [7, 6]


@pytest.mark.parametrize(("name", "kind"), [("multdae", "adam"), ("elsa", "nadam"), ("recvae", "adam")])
def test_the_step_size_and_the_number_of_steps_are_those_asked_for(name, kind):
    size = 20 if name == "recvae" else 7
    model = built(name, learning_rate=0.0123, batch_size=size, epochs=2)
    matrix = TABLE.matrix()
    with eagerly():
        model.refit(matrix, Training())
    passes = model.config.encoder_epochs + 1 if name == "recvae" else 1
    rows = np.count_nonzero(np.diff(likes(matrix).indptr))
    assert int(model.network.optimizer.iterations) == 2 * passes * -(-rows // size)
    assert float(model.network.optimizer.learning_rate) == pytest.approx(0.0123)
    assert kind == type(model.network.optimizer).__name__.lower()


# -- ELSA --------------------------------------------------------------------------------------------------------------


def test_no_movie_predicts_itself_whether_it_is_hidden_or_not():
    model, _ = trained("elsa", dropout=0.5)
    scores = np.array(model.network(np.eye(N, dtype=np.float32), training=True))
    assert np.abs(scores).max(axis=1).astype(bool).sum() not in (0, N)  # some of the rows are hidden
    np.testing.assert_allclose(scores.diagonal(), 0, atol=1e-5)


# -- RecVAE ------------------------------------------------------------------------------------------------------------


def normal(value, middle, log):
    """The normal density, of which the logarithm of the variance is given."""
    return np.exp(-0.5 * (log + np.log(2 * np.pi) + (value - middle) ** 2 / np.exp(log)))


@pytest.mark.parametrize("signed", [False, True])
def test_recvae_trains_its_encoder_on_rows_with_a_share_hidden_and_its_decoder_on_whole_ones(signed, monkeypatch):
    """With nearly everything hidden, the encoder sees empty rows, but the prior is that of whole ones. Without noise a
    draw is the mean."""
    monkeypatch.setattr(keras.random, "normal", lambda shape, seed: keras.ops.zeros(shape))
    model, made = built("recvae", signed=signed, dropout=0.9999, gamma=0.01), []
    monkeypatch.setattr(recvae, "differentiate", lambda *arguments: made.append(arguments) or arguments)
    model._build()
    model.network.compile("adam")
    model._step()
    (encoder, of_encoder, _), (decoder, of_decoder, _) = made
    assert [id(w) for w in of_encoder] == [id(w) for w in model.posterior.trainable_variables]
    assert [id(w) for w in of_decoder] == [id(w) for w in model.decoder.trainable_variables]
    rng = np.random.default_rng(0)
    model.before.set_weights([w + rng.normal(0, 0.1, w.shape) for w in model.before.get_weights()])
    matrix = likes(TABLE.matrix(), signed=signed).toarray()
    x = matrix / np.maximum(np.sqrt(matrix.sum(axis=1, keepdims=True)), 1)
    of_before = np.array(model.before(x)).astype(float)
    for network, seen in ((encoder, 0 * x), (decoder, x)):
        logits = np.array(network(matrix, training=True))
        mean, log = np.split(np.array(model.posterior(seen)).astype(float), 2, axis=1)
        np.testing.assert_allclose(logits, np.array(model.decoder(mean)), atol=1e-4)
        mixed = 0.15 * normal(mean, 0, 0) + 0.75 * normal(mean, *np.split(of_before, 2, axis=1))
        divergence = (np.log(normal(mean, mean, log)) - np.log(mixed + 0.1 * normal(mean, 0, 10.0))).sum(axis=1)
        expected = 0.01 * np.mean(matrix[:, :N].sum(axis=1) * divergence)
        assert float(sum(network.losses)) == pytest.approx(expected, rel=1e-3)


def test_the_prior_is_what_the_encoder_said_when_the_epoch_began():
    model = built("recvae", encoder_epochs=2)
    model._build()

    def epoch(number, begin):
        asked.append(number)
        yield from ((f"{number}.{i}", i) for i in range(begin, 2))

    asked, epochs = [], batches.Epochs(epoch, 2, on_columns=True)
    alternating, (callback,) = model._batches(epochs), model._callbacks()
    assert (alternating.steps, alternating.on_columns) == (6, True)
    for number in range(3):
        callback.on_epoch_begin(number)
        start = [w.copy() for w in model.posterior.get_weights()]
        for i, ((of_encoder, given), _) in enumerate(alternating(number)):
            assert (of_encoder.tolist(), given) == ([i < 4], f"{3 * number + i // 2}.{i % 2}")
            for before, then in zip(model.before.get_weights(), start, strict=True):
                np.testing.assert_array_equal(before, then)
            model.posterior.set_weights([w + 1 for w in model.posterior.get_weights()])
    assert asked == list(range(9))
    assert [given for (_, given), _ in alternating.draw(1, 3)] == ["4.1", "5.0", "5.1"]


def test_a_part_of_a_pass_is_gone_through_by_encoder_and_decoder_of_recvae(monkeypatch):
    monkeypatch.setattr(batches, "PART_ROWS", 10)
    model, whole = built("recvae", encoder_epochs=2), batches.Epochs(lambda n, begin: iter([]), 7)
    assert model._batches(whole.in_parts(20)).steps == 3 * 4


def test_each_part_of_a_pass_is_a_cycle_of_recvae(monkeypatch):
    monkeypatch.setattr(batches, "PART_ROWS", 10)
    model, seen, matrix = built("recvae", encoder_epochs=2, batch_size=7), [], TABLE.matrix()
    monkeypatch.setattr(likes_autoencoder, "train", lambda _, epoch, *__: seen.append(epoch.steps) or [])
    model._build()
    model._train(matrix, model.config, Training(), "train")
    steps = -(-np.count_nonzero(np.diff(likes(matrix).indptr)) // 7)
    assert steps % 3
    assert seen == [3 * -(-steps // 3)]


def test_how_rare_a_movie_is_counts_the_users_that_are_drawn(monkeypatch):
    model, seen, make = built("multdae", signed=True, sample=3), [], batches.sampler
    monkeypatch.setattr(batches, "sampler", lambda *given, **more: seen.append(given[1]) or make(*given, **more))
    monkeypatch.setattr(likes_autoencoder, "train", lambda *_: [])
    matrix = TABLE.matrix()
    matrix.data[: matrix.indptr[9]] = 1  # nine users like nothing
    model._build()
    model._train(matrix, model.config, Training(), "train")
    liked = (matrix.toarray() > model.like).any(axis=1)
    assert not liked[:9].any()
    np.testing.assert_array_equal(seen[0].toarray(), likes(matrix, signed=True).toarray()[liked])


def test_users_without_likes_are_in_no_batch_of_cdae():
    model = built("cdae", epochs=1)
    matrix = random_ratings(*model.shape, 300).matrix()
    matrix.data[np.repeat(np.arange(model.shape[0]) % 2 == 0, np.diff(matrix.indptr))] = 1
    model._build()
    model._train(matrix, model.config, Training(), "train")
    liked = (matrix.toarray() > model.like).any(axis=1).sum()
    assert 0 < liked <= model.shape[0] / 2
    assert model.encoder.get_layer("vector").n_drawn == liked


def test_what_recvae_counts_are_likes():
    rows = np.array([[0.5, 0, 0.5, 0.1, 0.1, 0.1], [0, 0, 0, 0, 1, 0]], np.float32)
    np.testing.assert_array_equal(recvae.Count(3)(rows), [2, 0])


# -- samples of movies, shares of a batch ------------------------------------------------------------------------------


def test_what_occurs_in_either_block_is_computed_with():
    given, judged = np.zeros((3, 60), np.float32), np.zeros((3, 30), np.float32)
    given[0, 2] = judged[0, 2] = given[2, 4] = judged[2, 4] = given[1, 37] = 1  # two are liked, one is rated low
    given[1, 2] = judged[1, 2] = 1
    given, judged = sp.csr_array(given), sp.csr_array(judged)
    sampler = batches.ColumnSampler(given, 30, 2, 3, seed=5)
    epoch = batches.rows(given, judged, 2, 5, lambda index, dense: (index, dense), sampler)
    assert (epoch.steps, epoch.on_columns) == (2, True)
    drawn = []
    for number in (0, 1, 0):
        for ((rows, dense), index, importance, rarity), liked in epoch(number):
            occurs = np.unique(given[rows].indices % 30)
            n = len(occurs)
            assert index[:n].tolist() == occurs.tolist()
            assert index[n:].tolist() == sorted(set(index[n:].tolist()) - set(occurs.tolist()))
            np.testing.assert_allclose(importance, [1] * n + [(30 - n) / 3] * 3)
            np.testing.assert_array_equal(rarity, sampler.rarity[index])
            both = np.concatenate([index, index + 30])
            np.testing.assert_array_equal(dense, given[rows].toarray()[:, both])
            np.testing.assert_array_equal(liked, judged[rows].toarray()[:, index])
            drawn.append(tuple(index[n:].tolist()))
    assert drawn[:2] == drawn[4:]  # the draws depend on seed, epoch and step
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("name", ["multdae", "multvae"])
def test_only_the_first_and_the_last_of_several_layers_are_of_movies(name):
    options = {"hidden": (7, 6), "signed": True, "dropout": 0.0, "epochs": 1}
    (whole, split), (sampled, _) = trained(name, **options), trained(name, **options, sample=1000)
    np.testing.assert_allclose(sampled.score(split.train), whole.score(split.train), atol=1e-5)
    own = [isinstance(layer, columns.FromColumns) for layer in whole.encoder.layers if layer.weights]
    assert own == [True, *[False] * (len(own) - 1)]


def test_what_is_hidden_is_drawn_evenly_from_0_to_1():
    cells = keras.ops.convert_to_tensor(np.argwhere(np.ones((50, 80))))
    drawn = np.array(batch_share.uniform(cells, keras.ops.convert_to_tensor([3, 4])))
    assert 0 <= drawn.min() < 0.01 < 0.99 < drawn.max() < 1
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)


def test_shares_of_a_batch_add_up_to_it():
    values = np.arange(6, dtype=np.float32) ** 2
    own = [np.array([4, 1]), np.array([0, 2, 3]), np.array([5])]
    whole = float(batch_share.global_mean(keras.ops.convert_to_tensor(values)))
    assert whole == pytest.approx(values.mean())
    total, penalty, drawn, hidden = 0.0, 0.0, np.zeros((6, 3)), np.zeros((6, 3))
    for at in own:
        with batch_share.sharing(6, at, len(own)):
            assert batch_share._shares
            total += float(batch_share.global_mean(keras.ops.convert_to_tensor(values[at])))
            penalty += batch_share.share_of(4.5)
            like = SimpleNamespace(shape=(len(at), 3))
            drawn[at] = np.array(batch_share.sample_shared(lambda shape: np.arange(18.0).reshape(shape), like))
            hidden[at] = np.array(layers.Hide(0.5, seed=1)(np.full((len(at), 3), 3.0, np.float32), training=True))
    assert not batch_share._shares
    assert total == pytest.approx(whole)
    assert penalty == pytest.approx(batch_share.share_of(4.5)) == 4.5
    np.testing.assert_array_equal(drawn, np.arange(18.0).reshape(6, 3))
    alone = np.array(layers.Hide(0.5, seed=1)(np.full((6, 3), 3.0, np.float32), training=True))
    np.testing.assert_allclose(hidden, alone)
    assert set(alone.ravel().tolist()) == {0.0, 6.0}
