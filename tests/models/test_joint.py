"""The joint model: both decoders written out in numpy, its loss, and its answers without Keras."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import eagerly
from literal import own_weights
from test_autoencoders import literal_centre
from test_likes import planted
from trained import TABLE, train_on, trained

import evaluate
import models
import recommend
import train
from models import ease, joint
from models.ensemble import linear_path
from models.networks import rating_autoencoder
from utils.errors import UserError
from utils.evaluation.holdout_metrics import ranking_metrics
from utils.recommend import profile
from utils.runs import run_folder
from utils.scoring import ease_solver, latent
from utils.scoring.ranking import hide_seen, top_k
from utils.training.training import Training

KNOWN = np.arange(TABLE.shape[0])


def test_both_decoders_read_one_latent_vector_written_out():
    model, split = train_on(TABLE, "joint", hidden=(7, 5), linear=False, movie_rows=False)
    mean, column = model.encoder.get_layer("centre").get_weights()
    layers = {
        layer.name: own_weights(layer)
        for part in (model.encoder, model.decoder, model.ranker)
        for layer in part.layers
        if layer.weights
    }

    def dense(name, x):
        kernel, bias = layers[name]
        return x @ kernel + bias

    stars, logits = [], []
    for row in split.train.toarray():
        features, baseline = literal_centre(row, 5.0, mean, column)
        liked = (row > 3.5) / np.sqrt(max((row != 0).sum(), 1))
        latent = np.tanh(dense("encoder_1", np.tanh(dense("encoder_0", np.concatenate([features, liked])))))
        stars.append(dense("residual", np.tanh(dense("decoder_0", latent))) + baseline)
        logits.append(dense("logits", np.tanh(dense("ranker_0", latent))))
    users, movies = np.divmod(np.arange(TABLE.shape[0] * TABLE.shape[1]), TABLE.shape[1])
    np.testing.assert_allclose(model.predict(split.train, users, movies), np.ravel(stars), atol=1e-3)
    np.testing.assert_allclose(model.score(split.train), logits, atol=1e-4)
    np.testing.assert_allclose(model.latent.scores(model.latent.users), logits, atol=1e-4)
    np.testing.assert_allclose(
        model.latent.stars(model.latent.users, slice(None), model.latent.biases.user), stars, atol=1e-3
    )


def test_the_loss_is_masked_mse_and_the_weighed_multinomial_and_penalties():
    model, split = train_on(TABLE, "joint", epochs=1, dropout=0, batch_size=100, weight=0.3, l2=3.0, likes_l2=2.0)
    rows, penalty = split.train.toarray(), 1 / np.sqrt(split.train.nnz)
    liked = (rows > 3.5).astype(np.float32)
    stars, logits = (np.array(part) for part in model.network(rows, training=False))
    expected = np.mean((stars - rows)[rows > 0] ** 2)
    weight = liked / np.sqrt(liked.sum(axis=1, keepdims=True) + 1e-9)
    expected -= 0.3 * np.sum(weight * (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))) / weight.sum()
    kernels = {
        layer.name: layer.get_weights()[0]
        for part in (model.encoder, model.decoder, model.ranker)
        for layer in part.layers
        if layer.weights
    }
    expected += sum(
        (3.0, 2.0)[name == "logits"] * penalty * (kernels[name] ** 2).sum()
        for name in ("encoder_0", "residual", "logits")
    )
    assert model.network.test_on_batch(rows, [rows, liked])[0] == pytest.approx(expected, rel=1e-4)


def test_the_linear_path_is_the_logarithm_of_ease_beside_the_logits():
    model, split = trained("joint")
    config = ease.Config(l2=200.0, dropout=0.5)
    alone = models.build("ease", TABLE.shape, config)
    alone.refit(split.train)
    logits = np.array(model.ranking(split.train.toarray(), training=False))
    expected = np.log(np.maximum(alone.score(split.train), 0.03)) + model.linear.share * logits
    np.testing.assert_allclose(model.score(split.train), expected, atol=1e-5)


@pytest.mark.parametrize("options", [(), ("--no-linear",), ("--protocol", "strong-ratings", "--held-out", "6")])
def test_recommending_without_keras_scores_what_the_model_does(options, run_of):
    run = run_folder.Run(run_of("joint", "--hidden", "8", "--epochs", "2", *options))
    model, known = models.load(run), run.split.known
    for user in (0, 7):
        them = profile.of_user(run.ratings, str(user + 1))
        score = models.open_run(run).scores(them, "decoder", np.arange(run.split.ratings.shape[1]))
        np.testing.assert_allclose(score[0], model.score(known[[user]], np.array([user]))[0], atol=1e-4)


@pytest.mark.parametrize("top", [2, 20])
def test_what_is_learned_does_not_hang_on_the_scale(top):
    table = replace(TABLE, rating=TABLE.rating * top, scale=(0.5 * top, 5.0 * top))
    options = {"epochs": 1, "batch_size": 100, "learning_rate": 0.001, "dropout": 0, "linear": False, "l2": 0}
    (model, split), (same, _) = train_on(table, "joint", **options), trained("joint", **options)
    here, there = (np.array(m.encoder(s.toarray())) for m, s in ((model, split.train), (same, split.train / top)))
    np.testing.assert_allclose(here, there, atol=0.02)
    ours, theirs = (
        m.network.test_on_batch(s.toarray(), [s.toarray(), (s.toarray() > m.like).astype(np.float32)])
        for m, s in ((model, split.train), (same, split.train / top))
    )
    np.testing.assert_allclose(ours[0], theirs[0], rtol=0.02)


def test_a_refit_that_is_interrupted_leaves_what_fit_found(monkeypatch):
    model, split = train_on(TABLE, "joint")
    before, training = model.score(split.train), Training()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(rating_autoencoder, "train", interrupted)
    model.refit(split.refit, training)
    assert training.interrupted
    np.testing.assert_array_equal(model.score(split.train), before)


def test_where_nobody_likes_anything_stars_are_learned_all_the_same(tmp_path, capsys):
    lines = [f"{u},{m},{1 + (u + m) % 3}" for u in range(20) for m in range(15) if (u * m) % 4]
    (tmp_path / "ratings.csv").write_text("\n".join(["userId,movieId,rating", *lines]) + "\n")
    data = ["--data", str(tmp_path / "ratings.csv"), "--scale", "1,5", "--hidden", "4", "--epochs", "2"]
    with eagerly():
        train.main(["joint", *data, "--movie-epochs", "2", "--run", str(tmp_path / "run")])
    recommend.main(["--user", "2", "--run", str(tmp_path / "run"), "--by", "decoder"])
    assert "For user 2, by decoder" in capsys.readouterr().out
    said = r"learns from likes alone: no rating is above 3\.5, so none is a like to rank by; --like 1 makes"
    for name, options in (("multdae", data), ("recvae", [*data[:4], "--hidden", "8,4"]), ("ease", data[:4])):
        with pytest.raises(UserError, match=said):
            train.main([name, *options, "--run", str(tmp_path / name)])


def test_bfloat16_answers_are_float32(run_of, capsys):
    folder = run_of("joint", "--hidden", "8", "--epochs", "1", "--precision", "bfloat16")
    evaluate.main(["--run", str(folder)])
    recommend.main(["--user", "3", "--run", str(folder)])
    assert latent.LatentSpace.load(run_folder.Run(folder).arrays("latent.npz")).users.dtype == np.float32


def test_movies_without_ease_are_ranked_by_the_decoder_alone(monkeypatch, planted, tmp_path, capsys):
    monkeypatch.setattr(ease_solver, "MOST", 9)
    quick = ["--hidden", "4", "--epochs", "1", "--movie-epochs", "2"]
    with eagerly():
        train.main(["joint", "--data", str(planted[0]), "--run", str(tmp_path / "run"), *quick])
    assert "EASE covers the 9 most liked of 24 liked movies" in " ".join(capsys.readouterr().out.split())
    run = run_folder.Run(tmp_path / "run")
    model, given = models.load(run), run.split.known
    assert run.config["options"]["linear"]
    others = np.setdiff1d(np.arange(run.split.ratings.shape[1]), model.linear.outputs)
    logits = np.array(model.ranking(given.toarray(), training=False))
    scores = model.score(given)
    np.testing.assert_allclose(scores[:, others], np.log(0.03) + (model.linear.share * logits)[:, others], atol=1e-5)
    assert np.abs(scores - np.log(0.03) - model.linear.share * logits)[:, model.linear.outputs].max() > 0.1


def test_the_share_of_the_decoder_is_the_one_that_ranks_validation_best():
    model, split = trained("joint")
    chosen = model.linear.share
    try:
        found = {}
        for share in linear_path.SHARES:
            model.linear.share = np.float32(share)
            found[share] = ranking_metrics(model.score, split.validation)["ndcg@100"].value
    finally:
        model.linear.share = chosen
    assert chosen == np.float32(max(found, key=found.get))


def test_a_second_fit_chooses_epochs_and_share_without_the_first_ease(monkeypatch):
    model, split = train_on(TABLE, "joint", epochs=1)
    seen, first = [], model.linear
    monkeypatch.setattr(rating_autoencoder.Autoencoder, "fit", lambda self, *_: seen.append(self.linear) or [])
    model.fit(split.train, split.validation, Training())
    assert seen == [None]
    assert model.linear is not first


def test_refit_trains_the_epochs_that_were_best():
    model, _ = train_on(TABLE, "joint", epochs=6, learning_rate=0.2, average=0, patience=6)
    history = model.history
    assert model.chosen["epochs"] == max(history, key=lambda row: row["val_both"])["epoch"] < len(history)


@pytest.mark.parametrize(
    "option",
    [
        {"weight": 5.0},
        {"likes_loss": "logistic"},
        {"likes_l2": 50.0},
        {"like": 2.5},
        {"hidden": (4,)},
        {"linear": False},
        {"linear_l2": 1.0},
        {"linear_dropout": 0.1},
        {"signed": True},
    ],
)
def test_every_option_of_its_own_changes_the_result(option):
    model, split = trained("joint")
    assert not np.allclose(trained("joint", **option)[0].score(split.train), model.score(split.train), atol=1e-7)


@eagerly()
def test_the_one_missing_movie_of_ones_kind_comes_first():
    """Without the linear path, which alone would find it."""
    matrix, hidden = planted()
    config = joint.Config(epochs=10, batch_size=12, learning_rate=0.03, hidden=(16,), linear=False)
    model = models.build("joint", matrix.shape, config)
    model.refit(matrix, Training())
    assert top_k(hide_seen(model.score(matrix), matrix), 1)[:, 0].tolist() == hidden.tolist()


@pytest.mark.parametrize("options", [{"rows": "movies"}, {"optimizer": "lbfgs"}, {"weight": -1.0}, {"likes_l2": -1.0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=r"joint|must not"):
        joint.Config(**options)


def test_scores_in_numpy_are_those_of_keras():
    model, split = trained("joint", linear=False, hidden=(8, 4))
    rows = split.train.toarray()
    np.testing.assert_allclose(model.score(split.train), np.array(model.ranking(rows, training=False)), atol=1e-5)


def test_epochs_are_judged_by_ndcg_less_rmse_of_what_keras_gives():
    model, split = trained("joint", epochs=1, linear=False)
    stars, logits = (np.array(out) for out in model.network(split.validation.given.toarray(), training=False))
    cells = split.validation.hidden.tocoo()
    rmse = np.sqrt(np.mean((np.clip(stars[cells.row, cells.col], 0.5, 5) - cells.data) ** 2))
    ndcg = ranking_metrics(lambda _, users: logits[users].copy(), split.validation)["ndcg@100"].value
    assert model.history[0]["val_both"] == pytest.approx(ndcg - rmse, rel=1e-5)
