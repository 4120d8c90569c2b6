"""Training: the batches it sees, resuming, interrupting."""

import contextlib
import os
import re
import signal
import time
from contextlib import nullcontext
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import eagerly, random_ratings
from literal import assert_same_weights
from trained import tastes

import models
import train
from utils.data import splits
from utils.data.ratings import likes
from utils.data.splits import Subset
from utils.errors import UserError
from utils.recommend import strategies
from utils.scoring import latent
from utils.scoring.latent import LatentSpace
from utils.training import batches, fit
from utils.training.training import EarlyStoppingCriterion, Training

TABLE = random_ratings(30, 25, 300)
SPLIT = splits.split(TABLE, "random", splits.Options())


def autorec(training, epochs=5, **options):
    """AutoRec trained on TABLE; never stops early."""
    config = models.module("autorec").Config(hidden=(8,), batch_size=8, epochs=epochs, patience=100, **options)
    model = models.build("autorec", TABLE.shape, config)
    return model, model.fit(SPLIT.train, SPLIT.validation, training)


def test_an_epoch_shows_every_rating_once_and_hides_the_stated_share():
    matrix = random_ratings(200, 100, 8000).matrix()
    epoch = batches.denoising(matrix, size=32, hide=0.3, target="all", seed=0)
    seen = list(epoch(0))
    assert len(seen) == epoch.steps == 7
    given, judged = (np.concatenate(part) for part in zip(*seen, strict=True))
    assert sorted(judged[judged > 0]) == sorted(matrix.data)
    assert ((given == judged) | (given == 0)).all()
    assert (given > 0).sum() / 8000 == pytest.approx(0.7, abs=0.02)


def test_the_hidden_target_is_exactly_what_was_not_given():
    matrix = random_ratings().matrix()
    whole = np.concatenate([judged for _, judged in batches.denoising(matrix, 8, 0.5, "all", 1)(4)])
    for (given, judged), rows in zip(
        batches.denoising(matrix, 8, 0.5, "hidden", 1)(4), np.split(whole, 5), strict=True
    ):
        np.testing.assert_array_equal(given + judged, rows)
        assert not ((given > 0) & (judged > 0)).any()


def test_batches_depend_on_seed_and_epoch_alone():
    matrix = random_ratings().matrix()
    first, again = batches.denoising(matrix, 8, 0.5, "all", 1), batches.denoising(matrix, 8, 0.5, "all", 1)
    list(first(0))  # an epoch in between changes nothing
    for (a, _), (b, _) in zip(first(3), again(3), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for (a, _), (b, _) in zip(first(3), first(4), strict=True))


def test_rows_without_ratings_are_no_steps():
    matrix = random_ratings(50, 40, 3).matrix()
    assert batches.denoising(matrix, 1, 0.5, "all", 0).steps == len(set(matrix.nonzero()[0]))


class Stop:
    """Raises Ctrl-C when batch `at` of the training begins."""

    def __init__(self, monkeypatch, at):
        self.left = at
        monkeypatch.setattr(fit.EpochRecord, "on_train_batch_begin", lambda *_, **__: self.count(), raising=False)

    def count(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def test_a_training_goes_on_from_checkpoints_only_where_it_is_resumed(tmp_path):
    training = Training(checkpoints=tmp_path / "run.checkpoint", finished=tmp_path / "run.parts")
    for folder in (training.checkpoints, training.finished / "one"):
        folder.mkdir(parents=True)
    (training.checkpoints / "train.npz").touch()
    (training.finished / "one" / "MANIFEST").touch()
    training.start(resume=True)
    assert (training.checkpoints / "train.npz").exists()
    training.start(resume=False)
    assert not training.checkpoints.exists()
    assert training.has_parts  # each is of its own data and options, so it serves anew
    training.start(resume=True)
    (training.finished / "other").touch()
    training.done()
    assert [path.name for path in tmp_path.glob("*/*")] == ["other"]
    (training.finished / "other").unlink()
    training.done()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options", [{}, {"optimizer": "sgd"}, {"optimizer": "lbfgs", "iterations": 2}, {"average": 0.7}]
)
def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(options, tmp_path, monkeypatch):
    steps = 1 if options.get("optimizer") == "lbfgs" else 4
    with eagerly() if options else nullcontext():  # one of them compiled, as in use
        whole, history = autorec(Training(), **options)
        with monkeypatch.context() as patch:
            Stop(patch, at=3 * steps + steps // 2)  # in the fourth epoch
            cut = Training(checkpoints=tmp_path)
            _, begun = autorec(cut, **options)
        resumed, finished = autorec(Training(checkpoints=tmp_path), **options)
    assert cut.interrupted
    assert len(begun) == 3
    assert [row["loss"] for row in finished] == [row["loss"] for row in history]
    assert_same_weights(resumed, whole)


class Weights:
    """A model with one weight, which follows a course whatever is done to it between two epochs."""

    def __init__(self, course):
        self.course, self.now, self.stop_training = iter(course), None, False

    def get_weights(self):
        return [np.array([self.now, 2 * self.now], np.float32)]

    def set_weights(self, weights):
        self.now = float(weights[0][0])


def test_the_average_of_the_weights_is_judged_and_kept_and_the_training_goes_on_from_the_weights():
    averages = [1, 5 / 3, 3, 43 / 15]  # of 1, 2, 4, 2.75 with halves: (1/16 + 2/8 + 4/4 + 2.75/2) / (15/16)
    model, judged, written = Weights([1, 2, 4, 2.75]), [], []
    criterion = EarlyStoppingCriterion(lambda: judged.append(model.now) or model.now, "val_x", higher=True)
    kept = {"history": [], "best_epoch": 0}, {"best": [], "average": []}
    for epoch, average in enumerate(averages):  # as if resumed before each epoch: state and weights are all it takes
        checkpoint = SimpleNamespace(restore=lambda kept=kept: kept, write=lambda *what: written.append(what))
        record = fit.EpochRecord(checkpoint, Training(), criterion, 9, average=0.5)
        record.set_model(model)
        record.set_params({"epochs": 9})
        record.on_epoch_begin(epoch)
        model.now = own = next(model.course)
        record.on_epoch_end(epoch, {"loss": 1.0})
        assert model.now == own
        assert judged[-1] == record.history[-1]["val_x"] == pytest.approx(average)
        kept = written[-1][:2]
        np.testing.assert_allclose(kept[1]["average"], [[average, 2 * average]], rtol=1e-6)
        np.testing.assert_allclose(kept[1]["best"], [[max(averages[: epoch + 1]) * k for k in (1, 2)]], rtol=1e-6)
    assert kept[0]["best_epoch"] == 3


@eagerly()
def test_averages_of_a_training_are_those_of_its_epochs():
    def trained(epochs, **options):
        config = models.module("autorec").Config(hidden=(8,), batch_size=8, epochs=epochs, **options)
        model = models.build("autorec", TABLE.shape, config)
        return model, [row["loss"] for row in model.refit(SPLIT.refit, Training())]

    each = [trained(epochs)[0].network.get_weights() for epochs in (1, 2)]
    whole, losses = trained(3)
    averaged, same = trained(3, average=0.6)
    assert same == losses
    for kept, *of in zip(averaged.network.get_weights(), *each, whole.network.get_weights(), strict=True):
        np.testing.assert_allclose(kept, np.average(of, axis=0, weights=[0.36, 0.6, 1]), rtol=1e-5, atol=1e-7)


@eagerly()
def test_interrupted_training_keeps_the_best_weights(monkeypatch):
    best, history = autorec(Training(), epochs=3)
    Stop(monkeypatch, at=13)
    model, begun = autorec(Training())
    assert [row["val_rmse"] for row in begun] == [row["val_rmse"] for row in history]
    np.testing.assert_array_equal(model.score(SPLIT.train), best.score(SPLIT.train))


@pytest.mark.parametrize("at", [2, 5])  # in the first epoch, in the second
@eagerly()
def test_interrupted_refit_keeps_the_model_that_fit_left(at, monkeypatch):
    training = Training()
    model, _ = autorec(training, epochs=3)
    before = model.score(SPLIT.train)
    model.chosen = {"epochs": 3}
    Stop(monkeypatch, at=at)
    model.refit(SPLIT.refit, training)
    assert training.interrupted
    np.testing.assert_array_equal(model.score(SPLIT.train), before)


@eagerly()
def test_ctrl_c_before_the_first_epoch_is_over_is_passed_on(monkeypatch):
    Stop(monkeypatch, at=2)
    with pytest.raises(KeyboardInterrupt):
        autorec(Training())


@eagerly()
def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    autorec(Training(checkpoints=tmp_path, signature="one"), epochs=2)
    with pytest.raises(UserError, match="other data, options or versions"):
        autorec(Training(checkpoints=tmp_path, signature="another"))


@eagerly()
def test_a_loss_that_is_no_number_stops_with_the_epoch():
    config = models.module("autorec").Config(hidden=(8,), optimizer="sgd", learning_rate=1e9)
    training = Training()
    history = models.build("autorec", TABLE.shape, config).fit(SPLIT.train, SPLIT.validation, training)
    assert np.isfinite([row["loss"] for row in history]).all()
    assert re.match(rf"the loss became \w+ in epoch {len(history) + 1}, batch \d+ of \d+; ", training.failed)
    assert training.interrupted


@eagerly()
def test_tensorboard_logs_are_written(tmp_path):
    autorec(Training(tensorboard=tmp_path), epochs=1)
    assert [p for p in tmp_path.rglob("*tfevents*") if p.stat().st_size > 0]


@eagerly()
def test_data_too_small_for_validation_is_trained_for_all_epochs():
    table = random_ratings(3, 4, 6)
    split = splits.split(table, "random", splits.Options())
    assert split.validation.hidden.nnz == 0
    model = models.build("autorec", table.shape, models.module("autorec").Config(hidden=(2,), epochs=4))
    assert len(model.fit(split.train, split.validation, Training())) == model.chosen["epochs"] == 4


@eagerly()
def test_a_damaged_checkpoint_is_named(tmp_path):
    autorec(Training(checkpoints=tmp_path), epochs=2)
    path = tmp_path / "train.npz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"train\.npz is damaged"):
        autorec(Training(checkpoints=tmp_path), epochs=4)


@eagerly()
def test_batches_from_a_dense_matrix_in_memory_train_the_same_weights(monkeypatch):
    sparse, history = autorec(Training(), epochs=2)

    def from_dense(matrix, size, hide, target, seed, *_):
        whole = matrix.toarray()
        filled = np.flatnonzero(whole.any(axis=1))

        def epoch(number, begin):
            assert begin == 0
            rng = np.random.default_rng((seed, number))
            order = rng.permutation(filled)
            for start in range(0, len(order), size):
                judged = whole[order[start : start + size]]
                given = judged.copy()
                given[judged > 0] *= rng.random((judged > 0).sum()) >= hide
                yield given, judged

        return batches.Epochs(epoch, -(-len(filled) // size))

    monkeypatch.setattr(batches, "denoising", from_dense)
    dense, again = autorec(Training(), epochs=2)
    assert [row["loss"] for row in again] == [row["loss"] for row in history]  # the first epoch may be the best
    assert_same_weights(dense, sparse)


class Told:
    """A model that notes what it is given."""

    has_latent_space, predicts_ratings, learns_likes, notes = True, True, False, list

    def __init__(self):
        self.told = []
        self.latent = LatentSpace(*(np.eye(n, 8, dtype=np.float32) for n in TABLE.shape), None, [], "users")

    def fit(self, matrix, validation, training):
        self.told.append(("fit", matrix, validation.given, validation.hidden))
        return [{"epoch": 1}]

    def encode_all(self, known):
        self.told.append(("encode_all", known))

    def predict(self, given, users, movies):
        self.told.append(("predict", given))
        return np.full(len(users), 3.0)

    def fit_all(self, matrix, training):
        self.told.append(("refit", matrix))
        return [{"epoch": 1}]


@pytest.mark.parametrize("protocol", ["random", "strong"])
@pytest.mark.parametrize("refit", [True, False])
def test_a_training_shows_no_rating_before_its_time(protocol, refit, monkeypatch):
    table = tastes(60, 25, 900)
    table = replace(table, rating=np.where(table.movie == 7, 3, table.rating).astype(np.float32))  # which nobody likes
    model, split = Told(), splits.split(table, protocol, splits.Options())
    best = {"neighbours": latent.Neighbourhood(whiten=0.5), "movies": latent.Neighbourhood(whiten=0.0)}
    chosen = {"neighbourhoods": {method: asdict(neighbourhood) for method, neighbourhood in best.items()}}
    monkeypatch.setattr(strategies, "choose", lambda *given: model.told.append(("choose", *given)) or chosen)
    learned = lambda predicted, known: model.told.append(("ranges", known)) or {"share": 0.9}  # noqa: E731
    monkeypatch.setattr(train.prediction_ranges, "learn", learned)
    places = {"discoveries": {"places": 1}}
    monkeypatch.setattr(train.discoveries, "choose", lambda *of: model.told.append(("discoveries", *of[:2])) or places)
    model.latent = replace(model.latent, users=np.random.default_rng(0).random((60, 8), np.float32))
    history, found, refitted = train.fit(model, split, Training(), refit)
    again = refit and protocol == "random"  # where users are held out validation teaches nothing
    part = lambda *parts: split.ratings.matrix(np.isin(split.part, parts))  # noqa: E731
    shown = part(Subset.TRAIN, Subset.GIVEN)
    expected = [("fit", part(Subset.TRAIN), shown, part(Subset.VALIDATION)), ("encode_all", shown), ("choose",)]
    expected += [("predict", shown), ("ranges", shown)] * (protocol == "random")  # those around predicted stars
    expected += [("discoveries",)]
    expected += [("refit", part(Subset.TRAIN, Subset.VALIDATION))] * again
    expected += [("encode_all", part(Subset.TRAIN, Subset.VALIDATION, Subset.GIVEN))]
    assert [name for name, *_ in model.told] == [name for name, *_ in expected]
    for (name, *given), (_, *wanted) in zip(model.told, expected, strict=True):
        if name in ("choose", "discoveries"):
            assert given == [model, split]
        else:
            for one, other in zip(given, wanted, strict=True):
                np.testing.assert_array_equal(one.toarray(), other.toarray(), err_msg=name)
    assert [row["phase"] for row in history] == ["train", "refit"][: 1 + again]
    assert refitted == again
    assert found == chosen | places | ({"ranges": {"share": 0.9}} if protocol == "random" else {})
    users, liked = split.trained_users, np.unique(likes(split.known).indices)
    for method, vectors, pool in (("neighbours", model.latent.users, users), ("movies", model.latent.movies, liked)):
        whitening = latent.Whitening.of(vectors, pool, best[method].whiten)
        for name in ("centre", "turn", "length"):
            np.testing.assert_allclose(
                getattr(model.latent.whitenings[method], name), getattr(whitening, name), atol=1e-5
            )


def test_a_second_training_that_was_interrupted_does_not_count(monkeypatch):
    """evaluate.py would fit its baselines on validation ratings that the model has not learned."""
    model, training = Told(), Training()
    monkeypatch.setattr(strategies, "choose", lambda *_: {"best": "decoder", "validation": {}})
    monkeypatch.setattr(strategies, "with_whitenings", lambda space, *_: space)
    monkeypatch.setattr(model, "fit_all", lambda matrix, training: training.stop(KeyboardInterrupt()) or [])
    assert train.fit(model, SPLIT, training, True)[2] is False
    assert training.interrupted


@pytest.mark.parametrize("kind", [ValueError, TypeError, UserError, KeyError, MemoryError])
@eagerly()
def test_what_goes_wrong_while_a_batch_is_made_is_said_as_it_is(kind, monkeypatch):
    def broken(*arguments):
        epochs = made(*arguments)

        def draw(number, begin):
            yield next(epochs.draw(number, begin))
            raise kind("the batch")

        return batches.Epochs(draw, epochs.steps)

    made = batches.denoising
    monkeypatch.setattr(batches, "denoising", broken)
    with pytest.raises(kind, match="the batch"):
        autorec(Training())


def test_nothing_to_learn_from_is_a_sentence():
    model = models.build("sparsefc", (5, 7), models.module("sparsefc").Config(hidden=(3,), l2=0.0, sparsity=0.0))
    with np.errstate(divide="ignore", invalid="ignore"), pytest.raises(UserError, match="no rating to learn from"):
        model.refit(sp.csr_array((5, 7), dtype=np.float32), Training())


@pytest.mark.parametrize("when", ["on_train_batch_begin", "on_epoch_end"])
@eagerly()
def test_ctrl_c_is_never_lost(when, monkeypatch):
    """Not even where Python could not raise it: in the middle of a step, or while the last epoch is judged."""
    handlers, calls = signal.getsignal(signal.SIGINT), []

    def pressing(record, number, logs=None):
        if real:
            real(record, number, logs)
        calls.append(number)
        if len(calls) == (10 if when == "on_train_batch_begin" else 3):
            with contextlib.suppress(KeyboardInterrupt):  # as where an object ends
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)

    real = fit.EpochRecord.__dict__.get(when)
    monkeypatch.setattr(fit.EpochRecord, when, pressing, raising=False)
    training = Training()
    _, history = autorec(training, epochs=3)
    assert training.interrupted
    assert len(history) == (2 if when == "on_train_batch_begin" else 3)
    assert signal.getsignal(signal.SIGINT) is handlers


def test_a_second_ctrl_c_ends_a_step_at_once():
    raised = []
    with contextlib.suppress(KeyboardInterrupt), fit.ctrl_c_waits() as stop:
        for _ in range(2):
            raised.append(stop.pressed)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        raised.append("too late")
    assert raised == [False, True]


def test_who_presses_ctrl_c_while_strategies_are_tried_gets_the_default_ones_and_no_second_training(monkeypatch):
    model, training = Told(), Training()

    def choose(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(strategies, "choose", choose)
    _, found, refitted = train.fit(model, SPLIT, training, True)
    assert training.interrupted
    assert (found, refitted) == (strategies.default_choice(model), False)
    assert "refit" not in [name for name, *_ in model.told]
    np.testing.assert_array_equal(model.told[-1][1].toarray(), SPLIT.known.toarray())
