"""EASE beside the decoder of a model of likes alone; beside that of `joint` it is in the tests of `joint`."""

import re

import keras
import numpy as np
import pytest
from trained import TABLE, train_on, trained

import models
from models import ease, joint, recvae
from models.ensemble import linear_path
from models.networks.likes_autoencoder import LikesAutoencoder
from utils.evaluation.holdout_metrics import ranking_metrics
from utils.recommend import profile
from utils.runs import run_folder
from utils.training.training import Training

EASE = ease.Config(l2=30.0, dropout=0.5)


def log_of_ease(matrix, given):
    """The logarithm of the scores of EASE that was fitted on a matrix, cut off below .03."""
    alone = models.build("ease", TABLE.shape, EASE)
    alone.refit(matrix)
    return np.log(np.maximum(alone.score(given), 0.03))


def logits_of(model, given):
    """What the decoder of RecVAE gives alone."""
    return np.array(model.decoder(model.encoder((given.toarray() > model.like).astype(np.float32), training=False)))


def test_scores_are_the_logarithm_of_ease_beside_the_logits():
    model, split = trained("recvae", linear=True, linear_l2=30.0)
    expected = log_of_ease(split.train, split.train) + model.linear.share * logits_of(model, split.train)
    np.testing.assert_allclose(model.score(split.train), expected, atol=1e-5)


def test_the_share_is_the_one_that_ranks_validation_best():
    model, split = trained("recvae", linear=True, linear_l2=30.0)
    given = split.validation.given
    own, logits = log_of_ease(split.train, given), logits_of(model, given)
    found = {}
    for share in linear_path.SHARES:
        scores = own + np.float32(share) * logits
        metrics = ranking_metrics(lambda _, users, of=scores: of[users], split.validation)
        found[np.float32(share)] = metrics["ndcg@100"].value
    assert len(set(found.values())) > 1
    assert found[model.linear.share] == pytest.approx(max(found.values()), abs=1e-9)


def test_epochs_are_chosen_by_the_decoder_alone(monkeypatch):
    model, split = train_on(TABLE, "recvae", linear=True, epochs=1)
    seen = []
    monkeypatch.setattr(LikesAutoencoder, "fit", lambda self, *_: seen.append(self.linear) or [])
    model.fit(split.train, split.validation, Training())
    assert seen == [None]
    assert model.linear is not None


def test_refit_solves_for_ease_again_and_keeps_the_share():
    model, split = train_on(TABLE, "recvae", linear=True, linear_l2=30.0, epochs=1)
    model.linear.share = np.float32(0.4)
    model.refit(split.refit, Training())
    expected = log_of_ease(split.refit, split.train) + np.float32(0.4) * logits_of(model, split.train)
    np.testing.assert_allclose(model.score(split.train), expected, atol=1e-5)


def test_an_interrupted_refit_leaves_ease_as_it_was(monkeypatch):
    model, split = train_on(TABLE, "recvae", linear=True, linear_l2=30.0, epochs=1)
    training, weights = Training(), model.linear.weights.copy()
    monkeypatch.setattr(LikesAutoencoder, "refit", lambda self, *_, **__: setattr(training, "interrupted", True) or [])
    model.refit(split.refit, training)
    np.testing.assert_array_equal(model.linear.weights, weights)


def test_without_it_the_logits_are_the_scores():
    model, split = trained("recvae")
    assert model.linear is None
    np.testing.assert_allclose(model.score(split.train), logits_of(model, split.train), atol=1e-5)


def test_its_ease_has_the_inputs_of_the_model():
    assert recvae.Config(linear_l2=7.0, signed=True).ease == ease.Config(7.0, dropout=0.5, signed=True)
    with pytest.raises(ValueError, match=r"^linear-l2 must be above 0 and finite, got 0$"):
        recvae.Config(linear_l2=0.0)
    for option, limits in (("linear_relax", "[0, 1)"), ("linear_dropout", "[0, 1)"), ("linear_movie_norm", "[-1, 1]")):
        name = option.replace("_", "-")
        with pytest.raises(ValueError, match=f"^{re.escape(f'{name} must be in {limits}, got 1.5')}$"):
            joint.Config(**{option: 1.5})


@pytest.mark.parametrize("signed", [[], ["--signed"]])
def test_a_saved_run_scores_what_the_model_does(signed, run_of):
    run = run_folder.Run(run_of("recvae", "--hidden", "8,4", "--epochs", "1", "--linear", *signed))
    model, known = models.load(run), run.split.known
    assert model.linear is not None
    opened, everything = models.open_run(run), np.arange(run.split.ratings.shape[1])
    for user in (0, 7):
        score = opened.scores(profile.of_user(run.ratings, str(user + 1)), "decoder", everything)
        np.testing.assert_allclose(score[0], model.score(known[[user]], np.array([user]))[0], atol=1e-4)
    of_all = opened.scorer("decoder")(known[[3]], np.array([3]))
    np.testing.assert_allclose(of_all, model.score(known[[3]], np.array([3])), atol=1e-4)


def test_what_is_exported_is_mixed_too():
    model, split = trained("recvae", linear=True, linear_l2=30.0)
    stars = keras.ops.convert_to_tensor(split.train.toarray())
    found = np.array(model.exported(stars)["scores"])
    np.testing.assert_allclose(found, model.score(split.train), atol=1e-4)
    assert model.held == model.linear.held > 0
