"""The autoencoders of likes against what their papers say, written out in numpy."""

import keras
import numpy as np
import pytest
import scipy.sparse as sp
from conftest import eagerly
from literal import own_weights
from trained import TABLE, trained

import models
from models.multvae import Sample
from models.networks import losses
from models.recvae import CompositeSample
from utils.data.ratings import likes
from utils.scoring.ranking import hide_seen, top_k
from utils.training.training import Training

NAMES = ["cdae", "elsa", "multdae", "multvae", "recvae"]
KNOWN = np.arange(TABLE.shape[0])


def unit_rows(matrix):
    """ProfileRows of 0 and 1 divided by their length, dense."""
    rows = matrix.toarray()
    return rows / np.maximum(np.sqrt((rows**2).sum(axis=1, keepdims=True)), 1e-9)


def dense(model, name, x):
    kernel, bias = own_weights(model.get_layer(name))
    return x @ kernel + bias


def literal_recvae(encoder, x):
    """The mean of the latent vector: five layers, each fed by the sum of all before it."""
    model, before = encoder.get_layer("posterior"), []
    for i in range(5):
        h = dense(model, f"posterior_{i}", x) + sum(before)
        h = h / (1 + np.exp(-h))
        scale, shift = model.get_layer(f"posterior_norm_{i}").get_weights()
        x = (h - h.mean(axis=1, keepdims=True)) / np.sqrt(h.var(axis=1, keepdims=True) + 0.1) * scale + shift
        before.append(x)
    return dense(model, "posterior_mean_and_log_variance", x)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "elsa"])
def test_the_forward_pass_is_that_of_the_paper_written_out(name, signed):
    options = {} if name == "recvae" else {"hidden": (7, 5), "activation": "tanh"}
    model, split = trained(name, signed=signed, **options)
    x = unit_rows(likes(split.train, signed=signed))
    encoder, decoder = model.encoder, model.decoder
    if name == "multdae":
        latent = np.tanh(dense(encoder, "encoder_1", np.tanh(dense(encoder, "encoder_0", x))))
    elif name == "multvae":
        latent = dense(encoder, "mean_and_log_variance", np.tanh(dense(encoder, "encoder_0", x)))[:, :5]
    elif name == "recvae":
        latent = literal_recvae(encoder, x)[:, : model.config.hidden[-1]]
    else:
        own = encoder.get_layer("vector").get_weights()[0]
        latent = np.tanh(dense(encoder, "own_likes", np.tanh(dense(encoder, "encoder_0", x))) + own)
    expected = latent if name == "recvae" else np.tanh(dense(decoder, "decoder_0", latent))
    np.testing.assert_allclose(model.encode(split.train, KNOWN), latent, atol=1e-4)
    np.testing.assert_allclose(model.score(split.train, KNOWN), dense(decoder, "logits", expected), atol=1e-4)
    found = model.latent.scores(model.latent.users)
    np.testing.assert_allclose(found, model.score(split.train, KNOWN), atol=1e-4)


@pytest.mark.parametrize(("signed", "relu"), [(False, False), (True, False), (False, True)])
def test_elsa_is_one_matrix_of_unit_rows_there_and_back_that_predicts_no_movie_by_itself(signed, relu):
    model, split = trained("elsa", signed=signed, relu=relu, hidden=(5,))
    x, own = unit_rows(likes(split.train, signed=signed)), likes(split.train).toarray()
    a = model.encoder.get_layer("vectors").get_weights()[0]
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    n = TABLE.shape[1]
    np.testing.assert_allclose(model.encode(split.train), x @ a, atol=1e-5)
    np.testing.assert_allclose(model.score(split.train), x @ a @ a[:n].T, atol=1e-5)
    weights = a @ a[:n].T
    np.fill_diagonal(weights, 0)
    found = keras.ops.convert_to_numpy(model.network(x.astype(np.float32)))
    np.testing.assert_allclose(found, np.maximum(x @ weights, 0) if relu else x @ weights, atol=1e-5)
    who = np.flatnonzero(own.any(axis=1) & found.any(axis=1))
    cosines = [found[u] @ own[u] / np.linalg.norm(found[u]) / np.linalg.norm(own[u]) for u in who]
    assert float(model.loss(own[who], found[who])) == pytest.approx(2 - 2 * np.mean(cosines), rel=1e-4)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ["elsa", "multdae", "multvae"])
def test_a_sample_of_all_movies_trains_the_weights_that_no_sample_does(name, signed):
    options = {"hidden": (7,), "signed": signed, "dropout": 0.0} | ({} if name == "elsa" else {"l2": 0.01})
    whole, sampled = trained(name, **options)[0], trained(name, **options, sample=1000)[0]
    for one, other in zip(whole.network.get_weights(), sampled.network.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)


def test_the_losses_are_the_literal_sums():
    rng = np.random.default_rng(0)
    liked, logits = (rng.random((4, 7)) < 0.4).astype(np.float32), rng.normal(size=(4, 7)).astype(np.float32)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -sum(np.log(softmax[i, j]) for i, j in zip(*liked.nonzero(), strict=True)) / 4
    assert float(losses.multinomial(liked, logits)) == pytest.approx(expected, rel=1e-5)
    sigmoid = 1 / (1 + np.exp(-logits))
    expected = -np.where(liked, np.log(sigmoid), np.log(1 - sigmoid)).sum() / 4
    assert float(losses.logistic(liked, logits)) == pytest.approx(expected, rel=1e-5)
    expected = np.mean([sum((liked[u, i] - logits[u, i]) ** 2 for i in range(7)) for u in range(len(liked))])
    assert float(losses.squared(liked, logits)) == pytest.approx(expected, rel=1e-5)


def test_the_losses_by_user_are_the_literal_sums():
    rng = np.random.default_rng(0)
    liked, logits = (rng.random((5, 7)) < 0.4).astype(np.float32), rng.normal(size=(5, 7)).astype(np.float32)
    liked[2] = 0  # who likes nothing counts for nothing
    among, each, total = 0.0, 0.0, 0.0
    for own, scores in zip(liked, logits, strict=True):
        n = max(own.sum(), 1)
        total += own.sum() / np.sqrt(n)
        among -= (own * (scores - np.log(np.exp(scores).sum()))).sum() / np.sqrt(n)
        each += (
            sum(np.log(1 + np.exp(-x if like else x)) for x, like in zip(scores, own, strict=True))
            / np.sqrt(n)
            * own.any()
        )
    assert float(losses.multinomial_by_user(liked, logits)) == pytest.approx(among / total, rel=1e-5)
    assert float(losses.logistic_by_user(liked, logits)) == pytest.approx(each / total, rel=1e-5)


@pytest.mark.parametrize("kind", ["multvae", "recvae"])
def test_the_noise_is_standard_normal_and_there_is_none_when_recommending(kind):
    both = np.concatenate([np.full((4000, 50), 3.0), np.zeros((4000, 50))], axis=1).astype(np.float32)
    if kind == "multvae":
        layer, inputs = Sample(0.2, 10, seed=0), both
    else:
        layer, inputs = CompositeSample(0.1, seed=0), [both, both, np.ones(4000, np.float32)]
    drawn = keras.ops.convert_to_numpy(layer(inputs, training=True))
    assert drawn.mean() == pytest.approx(3, abs=0.01)
    assert drawn.std() == pytest.approx(1, rel=0.02)
    wider = both.copy()
    wider[:, 50:] = np.log(4.0)
    inputs = wider if kind == "multvae" else [wider, *inputs[1:]]
    assert keras.ops.convert_to_numpy(layer(inputs, training=True)).std() == pytest.approx(2, rel=0.02)
    np.testing.assert_array_equal(layer(inputs, training=False), wider[:, :50])


def test_the_kl_divergence_is_summed_over_the_latent_vector_and_annealed():
    rng, layer = np.random.default_rng(0), Sample(0.2, 4, seed=0)
    mean, log_variance = rng.normal(size=(2, 6, 3)).astype(np.float32)
    expected = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1).mean()
    for step in range(7):
        layer(np.concatenate([mean, log_variance], axis=1), training=True)
        assert float(layer.losses[-1]) == pytest.approx(0.2 * min(step / 4, 1) * expected, rel=1e-5)


def log_normal(x, mean, variance):
    return -0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance)


def test_the_composite_prior_is_the_mixture_of_the_paper():
    rng, layer = np.random.default_rng(0), CompositeSample(0.005, seed=0)
    (mean, log_variance), (old_mean, old_log) = rng.normal(size=(2, 2, 6, 3)).astype(np.float32)
    count = rng.integers(1, 90, 6).astype(np.float32)
    inputs = [np.concatenate([mean, log_variance], axis=1), np.concatenate([old_mean, old_log], axis=1), count]
    drawn = keras.ops.convert_to_numpy(layer(inputs, training=True)).astype(np.float64)
    parts = [(3 / 20, 0, 1), (3 / 4, old_mean, np.exp(old_log)), (1 / 10, 0, np.exp(10))]
    prior = np.log(sum(share * np.exp(log_normal(drawn, *part)) for share, *part in parts))
    divergence = (log_normal(drawn, mean, np.exp(log_variance)) - prior).sum(axis=1)
    assert float(layer.losses[-1]) == pytest.approx(0.005 * (count * divergence).mean(), rel=1e-4)


@eagerly()
def test_recvae_trains_encoder_and_decoder_in_turn():
    model = models.build("recvae", TABLE.shape, models.module("recvae").Config(hidden=(8, 4), batch_size=15, epochs=1))
    parts, seen = {"encoder": lambda: model.posterior, "decoder": lambda: model.decoder}, []
    steps = model._step

    def watched():
        step = steps()

        def watching(given, judged):
            old = {name: part().get_weights() for name, part in parts.items()}
            loss = step(given, judged)
            moved = [
                name
                for name, part in parts.items()
                if any((a != b).any() for a, b in zip(old[name], part().get_weights(), strict=True))
            ]
            seen.append(("encoder" if bool(given[0][0]) else "decoder", moved))
            return loss

        return watching

    model._step = watched
    model.refit(TABLE.matrix(), Training())
    batches = -(-TABLE.shape[0] // 15)
    assert seen == [("encoder", ["encoder"])] * 3 * batches + [("decoder", ["decoder"])] * batches


def planted(n_users=24, n_movies=12):
    """(likes with one hidden for each user, the hidden movie): two groups of users who like all movies of one kind."""
    kind = np.indices((n_users, n_movies)).sum(axis=0) % 2 == 0
    stars = np.where(kind, 5.0, 0).astype(np.float32)
    hidden = np.array([np.flatnonzero(kind[u])[u // 2 % (n_movies // 2)] for u in range(n_users)])
    stars[np.arange(n_users), hidden] = 0
    return sp.csr_array(stars), hidden


@pytest.mark.parametrize("name", NAMES)
@eagerly()
def test_the_one_missing_movie_of_ones_kind_comes_first(name):
    matrix, hidden = planted()
    options = {"hidden": (16,), "epochs": 10}
    if name == "recvae":
        options = {"hidden": (16, 8), "epochs": 6, "encoder_epochs": 1}
    config = models.module(name).Config(batch_size=12, learning_rate=0.04, **options)
    model = models.build(name, matrix.shape, config)
    model.refit(matrix, Training())
    top = top_k(hide_seen(model.score(matrix, np.arange(matrix.shape[0])), matrix), 1)[:, 0]
    assert top.tolist() == hidden.tolist()


SHARED = {
    "activation": "relu", "dropout": 0.1, "signed": True, "l2": 0.1, "learning_rate": 0.05, "batch_size": 5,
    "epochs": 1, "precision": "bfloat16", "sample": 2, "score_share": 0.5, "average": 0.9,
}  # fmt: skip
OWN = {
    "cdae": {"hidden": (4,)},
    "elsa": {
        "hidden": (4,),
        "batch_size": 5,
        "dropout": 0.3,
        "learning_rate": 0.01,
        "signed": True,
        "sample": 2,
        "relu": True,
        "average": 0.9,
    },
    "multdae": {"hidden": (4,), "loss": "logistic"},
    "multvae": {"hidden": (6, 4), "beta": 5.0, "anneal": 1},
    "recvae": {"hidden": (8, 3), "gamma": 1.0, "encoder_epochs": 2, "linear": True},
}
ELSEWHERE = {"recvae": {"linear_l2"}}  # what it does is in the tests of the linear path
CASES = [("multdae", option, value) for option, value in (SHARED | {"seed": 1, "like": 2.5}).items()]
CASES += [(name, option, value) for name, options in OWN.items() for option, value in options.items()]


@pytest.mark.parametrize(("name", "option", "value"), CASES)
def test_every_option_changes_the_result(name, option, value):
    model, split = trained(name)
    other = trained(name, **{option: value})[0]
    assert not np.allclose(other.score(split.train, KNOWN), model.score(split.train, KNOWN), atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_tried_above(name):
    shared = SHARED.keys() - ({"activation", "l2", "precision", "score_share"} if name == "elsa" else set())
    assert set(models.module(name).Config.__dataclass_fields__) == {
        *shared, *OWN[name], "patience", *ELSEWHERE.get(name, ()),
    }  # fmt: skip


def test_the_epoch_of_the_highest_ndcg_is_kept():
    model, _ = trained("multdae", epochs=100, patience=3, learning_rate=0.05)
    found = [row["val_ndcg"] for row in model.history]
    assert model.chosen["epochs"] == 1 + int(np.argmax(found))
    assert len(found) == model.chosen["epochs"] + 3


IMPOSSIBLE = [("multdae", {"hidden": ()}), ("multdae", {"dropout": 1.0}), ("multdae", {"epochs": 0})]
IMPOSSIBLE += [("multdae", {"l2": -1.0}), ("multvae", {"beta": -1.0}), ("multvae", {"anneal": 0})]
IMPOSSIBLE += [("multdae", {"loss": "squared", "sample": -5})]
IMPOSSIBLE += [("recvae", {"hidden": (5,)}), ("recvae", {"gamma": -1.0})]


@pytest.mark.parametrize(("name", "options"), IMPOSSIBLE)
def test_impossible_options_are_refused(name, options):
    with pytest.raises(ValueError, match=r"must|is two"):
        models.module(name).Config(**options)
