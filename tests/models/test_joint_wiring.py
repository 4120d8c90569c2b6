"""Joint: which ratings each of its halves is trained on, and by what its epochs and its share are chosen."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import scipy.sparse as sp
from conftest import eagerly
from literal import assert_same_weights, ndcg, pairs, rmse
from trained import TABLE, trained

import models
from models import ease, joint
from models.ensemble import linear_path
from models.networks import rating_autoencoder
from models.networks.losses import logistic_by_user, masked_mse, multinomial_by_user
from utils.data import splits
from utils.data.splits import Holdout
from utils.evaluation import holdout_metrics
from utils.evaluation.holdout_metrics import judged_users
from utils.training import batches
from utils.training.training import Training

QUICK = {"hidden": (8,), "epochs": 1, "batch_size": 15, "movie_rows": False}  # see test_movie_rows.py
QUICK["linear_l2"] = 5.0  # under a larger one EASE is silent here


def built(**options):
    return models.build("joint", TABLE.shape, joint.Config(**QUICK | options))


def logits_of(model, matrix):
    return np.array(model.ranking(matrix.toarray(), training=False))


def of_ease(matrix, given, **options):
    """log max(EASE of `matrix`, 0.03) for the rows `given`."""
    alone = models.build("ease", matrix.shape, ease.Config(**{"l2": 5.0, "dropout": 0.5} | options))
    alone.refit(matrix)
    return np.log(np.maximum(alone.score(given), 0.03))


@pytest.fixture(scope="module")
def half():
    """(untrained split with many validation ratings, a model fitted on it)."""
    split = splits.split(TABLE, "random", splits.Options(validation_share=0.3))
    model = built(epochs=2, learning_rate=0.05)
    with eagerly():
        model.history = model.fit(split.train, split.validation, Training())
    return model, split


def test_epochs_are_judged_by_the_ndcg_of_the_logits_alone_less_the_rmse(half):
    _, split = half
    model = built(weight=3.0, learning_rate=0.05)
    with eagerly():
        (row,) = model.fit(split.train, split.validation, Training())
    given, hidden = split.validation.given.toarray(), split.validation.hidden.toarray()
    stars = model.predict(split.validation.given, *pairs(TABLE.shape)).reshape(TABLE.shape)
    ranked, error = ndcg(logits_of(model, split.train), given, hidden), rmse(stars, hidden)
    assert row["val_both"] == pytest.approx(ranked - error, abs=1e-4)
    with_linear = ndcg(model.score(split.train), given, hidden)
    assert abs(with_linear - ranked) > 1e-3  # or it would not show which of the two was judged
    judge = model._judge(split.validation)
    assert (judge.name, judge.higher) == ("val_both", True)
    model.scale, model.linear = (2.5, 10.0), None  # where a star of five is two
    error = rmse(stars, hidden, model.scale)
    assert model._judge(split.validation).measure() == pytest.approx(ranked - error / 2, abs=1e-4)


def test_where_nothing_hidden_is_liked_epochs_are_judged_by_the_rmse(half):
    model, split = half
    low = split.validation.hidden.copy()
    low.data = np.minimum(low.data, 3.5)
    judge = model._judge(replace(split.validation, hidden=low))
    stars = model.predict(split.validation.given, *pairs(TABLE.shape)).reshape(TABLE.shape)
    assert (judge.name, judge.higher) == ("val_rmse", False)
    assert judge.measure() == pytest.approx(rmse(stars, low.toarray()), abs=1e-4)


def test_the_final_model_is_both_halves_trained_on_validation_ratings_too(half):
    _, split = half
    model, again = built(epochs=6, patience=1, learning_rate=0.2), built(epochs=6, learning_rate=0.2, linear=False)
    with eagerly():
        model.fit(split.train, split.validation, Training())
        assert 1 <= model.chosen["epochs"] < 6
        model.linear.share = np.float32(0.7)
        model.refit(split.refit, Training())
        again.chosen = {"epochs": model.chosen["epochs"]}
        again.refit(split.refit, Training())
    assert_same_weights(model, again)
    expected = of_ease(split.refit, split.known) + 0.7 * logits_of(again, split.known)
    np.testing.assert_allclose(model.score(split.known), expected, atol=1e-5)


def test_after_fit_its_weights_are_trained_on_with_validation_ratings_too(half, monkeypatch):
    _, split = half
    monkeypatch.setattr(joint, "MORE_EPOCHS", 2)
    model, again = built(epochs=3, patience=3), built(epochs=2, linear=False)
    with eagerly():
        model.fit(split.train, split.validation, Training())
        start = [np.array(weight) for weight in model.network.trainable_variables]
        assert len(model.fit_all(split.refit, Training())) == 2
        again._build(split.refit)
        for weight, value in zip(again.network.trainable_variables, start, strict=True):
            weight.assign(value)
        again._train(split.refit, again.config, Training(), "refit")
    assert_same_weights(model, again)  # among them the means of all ratings
    assert model.config.epochs == 3
    expected = of_ease(split.refit, split.known) + model.linear.share * logits_of(again, split.known)
    np.testing.assert_allclose(model.score(split.known), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("likes_loss", "of_likes"), [("multinomial", multinomial_by_user), ("logistic", logistic_by_user)]
)
def test_the_loss_is_that_of_stars_of_five_and_the_weighed_one_of_likes(likes_loss, of_likes):
    config = joint.Config(weight=0.7, likes_loss=likes_loss)
    model = models.build("joint", (4, 5), config, 0, (1.0, 10.0))  # where a star of five is two
    assert model._losses() == {"loss": [masked_mse, of_likes], "loss_weights": [0.25, 0.7]}
    assert model._centring()[-2:] == (7.0, 2.0)
    stars = np.array([[6.5, 7.0, 7.5]])
    judged, liked = model._outputs(0 * stars, stars)  # likes count whether they are hidden or not
    assert (judged.tolist(), liked.tolist()) == ([[0, 0, 0]], [[0, 0, 1]])


def test_the_options_of_the_linear_path_are_those_of_ease():
    model, split = trained("joint", linear_l2=3.0, linear_dropout=0.2, signed=True)
    expected = of_ease(split.train, split.train, l2=3.0, dropout=0.2, signed=True)
    np.testing.assert_allclose(model.linear.path.log_scores(split.train), expected, atol=1e-6)
    bare, _ = trained("joint", linear=False)
    assert bare.linear is None
    np.testing.assert_allclose(bare.score(split.train), logits_of(bare, split.train), atol=1e-5)
    assert (bare.held, model.held) == (0, model.linear.weights.nbytes + model.linear.right_factor.nbytes)
    assert len(model.linear.right_factor)


def test_there_is_no_linear_path_where_no_rating_is_above_the_threshold(half):
    _, split = half
    low = split.train.copy()
    low.data = np.minimum(low.data, 3.5)
    model = built()
    with eagerly():
        model.fit(low, split.validation, Training())
    assert model.linear is None


def test_an_export_ranks_by_both_halves_with_the_share_between_them(half):
    model, split = half
    kept = model.linear.share
    model.linear.share = np.float32(0.37)
    dense = split.known.toarray()
    found, scores = model.exported(dense), model.score(split.known)
    bare = logits_of(model, split.known)
    model.linear.share = kept
    np.testing.assert_allclose(found["scores"], scores, atol=1e-5)
    np.testing.assert_allclose(scores, of_ease(split.train, split.known) + 0.37 * bare, atol=1e-5)
    np.testing.assert_allclose(found["latent"], model.encode(split.known), atol=1e-5)


@pytest.mark.parametrize("target", ["all", "hidden"])
def test_likes_are_all_of_the_row_and_stars_what_the_target_says(target):
    """Whatever is hidden from the encoder."""
    model, seen = built(dropout=0.5, target=target, batch_size=100), []
    model._step = lambda: lambda given, judged: seen.append((given, judged)) or 0.0
    matrix = TABLE.matrix()
    model.refit(matrix, Training())
    given, stars, liked = (np.asarray(part) for part in (seen[0][0], *seen[0][1]))
    assert len(seen) == 1
    order = np.random.default_rng((0, 0)).permutation(np.flatnonzero(np.diff(matrix.indptr)))
    whole = matrix.toarray()[order]
    shown = (given != 0) & (whole != 0)
    assert 0.4 < shown.sum() / (whole != 0).sum() < 0.6
    np.testing.assert_array_equal(given, np.where(shown, whole, 0))
    np.testing.assert_array_equal(stars, np.where(shown, 0, whole) if target == "hidden" else whole)
    np.testing.assert_array_equal(liked, whole > 3.5)


def test_decoders_mirror_the_hidden_layers():
    model = models.build("joint", TABLE.shape, joint.Config(hidden=(7, 6, 5), linear=False))
    model._build(TABLE.matrix())
    for part in (model.decoder, model.ranker):
        assert [layer.units for layer in part.layers] == [6, 7, TABLE.shape[1]]


# -- the share ---------------------------------------------------------------------------------------------------------


class Given(linear_path.Linear):
    """A linear path whose own part is said."""

    def __init__(self, own):
        super().__init__(own.shape, ease.Config())
        # a row of what is given says in its first cell whose it is
        self.said = lambda given: own[given.toarray()[:, 0].astype(int) - 1]

    @property
    def path(self):
        return SimpleNamespace(log_scores=self.said)


def noisy(best, n=150, n_movies=60):
    """(own part, logits, `Holdout`): likes drawn from the two together with the share `best`; a third of the users have
    none."""
    rng = np.random.default_rng(1)
    own, logits = rng.normal(size=(2, n, n_movies)).astype(np.float32)
    drawn = own + best * logits + 0.3 * rng.gumbel(size=own.shape)
    drawn[:, 0] = -9  # who the user is stands there
    hidden = np.where(drawn >= np.sort(drawn, axis=1)[:, -6:-5], 5.0, 0.0)
    hidden[::3] = np.minimum(hidden[::3], 2.0)
    given = np.zeros(own.shape)
    given[:, 0] = np.arange(n) + 1
    return own, logits, Holdout(sp.csr_array(given.astype(np.float32)), sp.csr_array(hidden.astype(np.float32)))


@pytest.mark.parametrize("best", [0.1, 0.3, 0.75, 2.0])
def test_the_share_is_the_one_of_those_tried_that_ranks_validation_best(best, monkeypatch):
    monkeypatch.setattr(holdout_metrics, "BLOCK", 40)  # of 150 users
    own, logits, validation = noisy(best)
    linear = Given(own)
    linear.choose(validation, lambda given, users: logits[users])
    dense = validation.given.toarray(), validation.hidden.toarray()
    found = {share: ndcg(own + np.float32(share) * logits, *dense) for share in linear_path.SHARES}
    first, second = sorted(found, key=found.get)[:-3:-1]
    assert found[first] > found[second] + 1e-5  # none of them tie
    assert linear.share == np.float32(first)
    assert abs(np.log(first / best)) < 0.75


def test_without_validation_likes_the_share_is_a_half():
    own, logits, validation = noisy(2.0)
    validation.hidden.data[:] = 1
    linear = Given(own)
    linear.choose(validation, lambda given, users: logits[users])
    assert linear.share == 0.5


def test_every_layer_of_the_decoder_of_likes_has_its_penalty():
    model, split = built(hidden=(7, 6, 5), likes_l2=0.25), trained("joint")[1]
    model._build(split.train)
    of = {}
    for layer in model.ranker.layers:
        alone = keras.Sequential([layer])
        alone(np.ones((2, layer.kernel.shape[layer.name == "logits"]), np.float32))
        squares = np.sum(np.square(np.array(layer.kernel, float)))
        of[layer.name] = float(sum(alone.losses)) / squares
    assert len(of) == 3
    assert list(of.values()) == pytest.approx([0.25 / np.sqrt(split.train.nnz)] * 3, rel=1e-5)


def test_the_share_is_chosen_by_the_logits_alone(monkeypatch):
    """Of a model in which EASE is not mixed yet; otherwise it would count twice."""
    split, asked = splits.split(TABLE, "random", splits.Options(validation_share=0.3)), []
    users = np.arange(TABLE.shape[0])

    def choosing(linear, validation, score):
        asked.append((validation, score(validation.given, users)))

    monkeypatch.setattr(linear_path.Linear, "choose", choosing)
    model = built(epochs=1)
    with eagerly():
        model.fit(split.train, split.validation, Training())
    ((validation, scores),) = asked
    np.testing.assert_array_equal(validation.hidden.toarray(), split.validation.hidden.toarray())
    np.testing.assert_allclose(scores, logits_of(model, split.validation.given), atol=1e-5)
    assert np.abs(model.score(split.validation.given, users) - scores).max() > 0.1  # with EASE, later


def test_the_share_is_tried_on_the_scores_of_the_very_users_that_are_ranked(monkeypatch):
    own, logits, validation = noisy(0.5)
    users, tried = judged_users(validation)[[70, 3, 41]], []
    monkeypatch.setattr(linear_path, "ndcg", lambda score, holdout: tried.append(score(None, users)) or 0.0)
    Given(own).choose(validation, lambda given, users: logits[users])
    for found, share in zip(tried, linear_path.SHARES, strict=True):
        np.testing.assert_allclose(found, own[users] + np.float32(share) * logits[users], atol=1e-6)


@pytest.mark.parametrize(
    ("many", "options", "expected"),
    [
        (31, {}, (0.006, 0.85, 256)),  # of 30 users
        (30, {}, (0.001, 0.0, 64)),
        (31, {"batch_size": 64}, (0.0015, 0.85, 64)),
        (30, {"batch_size": 128}, (0.001, 0.0, 128)),
        (31, {"learning_rate": 0.02, "average": 0.5}, (0.02, 0.5, 256)),
        (30, {"learning_rate": 0.02, "average": 0.5}, (0.02, 0.5, 64)),
        (31, {"average": 0.0}, (0.006, 0.0, 256)),
    ],
)
def test_steps_are_large_and_averaged_where_an_epoch_has_few(many, options, expected, monkeypatch):
    monkeypatch.setattr(joint, "MANY_USERS", many)
    matrix = TABLE.matrix()
    assert matrix.shape[0] == 30
    model, seen = models.build("joint", TABLE.shape, joint.Config(hidden=(4,), linear=False, **options)), []

    def trained_with(network, epoch, config, *_):
        seen.append((float(network.optimizer.learning_rate), config.average, config.batch_size))
        return []

    monkeypatch.setattr(rating_autoencoder, "train", trained_with)
    model.refit(matrix, Training())
    rate, *others = expected
    assert seen == [(pytest.approx(rate), *others)]


def test_the_numbers_that_the_help_says():
    assert (joint.MANY_USERS, joint.BATCH, joint.MORE_EPOCHS) == (10_000, 256, 5)
    assert pytest.approx(0.006) == joint.STEP * joint.BATCH
    assert batches.LARGE_ROWS == 20_000


@pytest.mark.parametrize("option", ["learning_rate", "average"])
def test_what_has_no_usual_value_must_be_said(option):
    assert getattr(joint.Config(**{option: None}), option) is None
    with pytest.raises(ValueError, match=f"{option.replace('_', '-')} must be a number"):
        models.module("autorec").Config(**{option: None})
