"""The loss that a training records, and when it writes checkpoints."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from conftest import eagerly
from trained import TABLE, train_on

import models
from models.networks import losses
from models.networks.training_step import Network
from utils.data import splits
from utils.errors import UnwrittenError
from utils.training import checkpoint, fit
from utils.training.training import Training

SPLIT = splits.split(TABLE, "random", splits.Options())


def fitted(name, how=None, **options):
    """(model, history) of two epochs with a last batch that is smaller than the others."""
    config = models.module(name).Config(**{"hidden": (8,), "epochs": 2, "batch_size": 16} | options)
    model = models.build(name, TABLE.shape, config)
    with eagerly():
        return model, model.fit(SPLIT.train, SPLIT.validation, how or Training())


class Steps:
    """What every training step of a network returned, with the stars or likes it was judged by."""

    def __init__(self, monkeypatch):
        self.seen, compiling = [], Network.compile

        def compiled(network, *arguments, **losses):
            compiling(network, *arguments, **losses)
            step = network.step

            def noted(x, y):
                loss = step(x, y)
                self.seen.append(
                    (float(loss), [np.asarray(part) for part in y] if isinstance(y, list) else np.asarray(y))
                )
                return loss

            network.step = noted

        monkeypatch.setattr(Network, "compile", compiled)

    def epoch(self, number, count):
        """The mean of the losses of an epoch, each weighted by count(y)."""
        per = len(self.seen) // 2
        steps = self.seen[number * per : (number + 1) * per]
        weights = [count(y) for _, y in steps]
        assert len(set(weights)) > 1  # or weighting would make no difference
        return np.average([loss for loss, _ in steps], weights=weights)


@pytest.mark.parametrize("options", [{}, {"rows": "movies"}, {"target": "hidden"}])
def test_the_loss_of_an_epoch_is_the_mean_over_its_ratings(options, monkeypatch):
    steps = Steps(monkeypatch)
    _, history = fitted("autorec", **options)
    for number, row in enumerate(history):
        assert row["loss"] == pytest.approx(steps.epoch(number, lambda y: (y > 0).sum()), rel=1e-6)
        assert row["loss"] != pytest.approx(steps.seen[(number + 1) * len(steps.seen) // 2 - 1][0], rel=1e-3)


def test_an_unchanging_network_records_the_masked_mse_of_all_ratings():
    """With a step size of nothing every batch is judged by the same weights: the mean is that of one batch of all."""
    model, history = fitted("autorec", learning_rate=1e-30, dropout=0.0, l2=0.0)
    matrix = SPLIT.train
    stars, observed = matrix.toarray(), matrix.toarray() > 0
    error = np.square(model.score(matrix) - stars)[observed].mean()
    assert [row["loss"] for row in history] == pytest.approx([error] * 2, rel=1e-5)


def test_the_loss_of_likes_is_the_mean_over_users(monkeypatch):
    steps = Steps(monkeypatch)
    _, history = fitted("multdae")
    for number, row in enumerate(history):
        assert row["loss"] == pytest.approx(steps.epoch(number, len), rel=1e-6)


def test_the_loss_of_joint_is_weighted_by_ratings(monkeypatch):
    steps = Steps(monkeypatch)
    _, history = fitted("joint", linear=False, movie_rows=False)
    for number, row in enumerate(history):
        assert row["loss"] == pytest.approx(steps.epoch(number, lambda y: (y[0] > 0).sum()), rel=1e-6)


def test_the_loss_of_deeprec_is_that_of_its_steps_on_ratings():
    options = {"hidden": (8, 4), "learning_rate": 1e-30, "code_dropout": 0.0, "dropout": 0.0, "l2": 0.0, "refeed": 1}
    model, history = fitted("deeprec", **options)
    stars = SPLIT.train.toarray()
    error = np.square(model.score(SPLIT.train) - stars)[stars > 0].mean()
    assert history[1]["loss"] == pytest.approx(error, rel=1e-5)


def test_an_epoch_of_batches_in_which_nothing_is_judged_has_no_loss(monkeypatch):
    """With hardly anything hidden, and only that judged, whole batches count nothing."""
    _, history = fitted("autorec", target="hidden", dropout=1e-9)
    assert [row["loss"] for row in history] == [0, 0]


def test_validation_stars_are_cut_to_the_scale_as_in_the_evaluation():
    """Early stopping, tune.py and evaluate.py judge by one figure."""
    table = replace(TABLE, scale=(2.0, 4.0), rating=np.clip(TABLE.rating, 2, 4).astype(np.float32))
    model, split = train_on(table, "autorec", epochs=1, learning_rate=1.0)  # far off the scale
    hidden = split.validation.hidden.tocoo()
    stars = model.predict(split.validation.given, hidden.row, hidden.col)
    assert (stars > 4).any() or (stars < 2).any()
    literal = np.sqrt(np.mean((np.clip(stars, 2, 4) - hidden.data) ** 2))
    assert model.history[0]["val_rmse"] == pytest.approx(literal, rel=1e-5)


# -- checkpoints -------------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes only with the epochs, ten seconds each."""

    def __init__(self, monkeypatch):
        self.now, self.saved = 0.0, []
        monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: self.now)
        save = checkpoint._save

        def saving(path, arrays):
            self.saved.append((path.name, len(json.loads(str(arrays["state"]))["history"])))
            save(path, arrays)

        monkeypatch.setattr(checkpoint, "_save", saving)
        begin = fit.EpochRecord.on_epoch_begin

        def passing(record, epoch, logs=None):
            self.now += 10
            begin(record, epoch, logs)

        monkeypatch.setattr(fit.EpochRecord, "on_epoch_begin", passing)


@pytest.mark.parametrize(
    ("every", "epochs"), [(0, [1, 2, 3, 4, 5, 6, 7, 8]), (25, [1, 4, 7, 8]), (30, [1, 4, 7, 8]), (31, [1, 5, 8])]
)
def test_checkpoints_are_written_as_often_as_is_asked_and_at_the_end(every, epochs, tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    fitted("autorec", Training(tmp_path, every), epochs=8, patience=100, batch_size=30)
    assert clock.saved == [("train.npz", number) for number in epochs]


@pytest.mark.parametrize("beside", [True, False])
def test_a_checkpoint_holds_the_weights_of_its_epoch_while_the_training_goes_on(beside, tmp_path, monkeypatch):
    model, _ = fitted("autorec", epochs=1)
    network, gone_on, save = model.network, threading.Event(), checkpoint._save
    before = [np.array(variable) for variable in (*network.variables, *network.optimizer.variables)]

    def saving(path, arrays):
        assert gone_on.wait(20)
        save(path, arrays)

    monkeypatch.setattr(checkpoint, "_save", saving)
    monkeypatch.setattr(checkpoint, "BESIDE", 2**29 if beside else 0)
    kept = checkpoint.Checkpoint(network, Training(tmp_path, 0), "train", 3)
    if not beside:
        gone_on.set()
    kept.write({"history": [{"epoch": 1}]}, {"best": network.get_weights()}, False)
    assert (tmp_path / "train.npz").exists() is not beside
    for variable in (*network.variables, *network.optimizer.variables):
        variable.assign(variable + 1)
    gone_on.set()
    kept.finish()
    with np.load(tmp_path / "train.npz") as stored:
        names = [name for name in stored.files if name.startswith(("variable", "optimizer"))]
        for name, values in zip(names, before, strict=True):
            np.testing.assert_array_equal(stored[name], values)


def test_a_checkpoint_that_could_not_be_written_is_said_by_the_next_or_at_the_end(tmp_path, monkeypatch):
    model, _ = fitted("autorec", epochs=1)
    kept = checkpoint.Checkpoint(model.network, Training(tmp_path / "file", 0), "train", 3)
    (tmp_path / "file").write_text("in its place")
    for then in (kept.finish, lambda: kept.write({"history": []}, {}, False)):
        kept.write({"history": []}, {}, False)
        with pytest.raises(UnwrittenError, match="can't be written"):
            then()
        kept.finish()  # said once


def test_the_last_epoch_before_validation_stops_a_phase_is_kept(tmp_path, monkeypatch):
    """A resumed training of a phase that early stopping ended trains not one epoch more, and has the best weights."""
    clock = Clock(monkeypatch)
    options = {"epochs": 50, "patience": 2, "learning_rate": 0.05, "linear": False, "movie_rows": False}
    model, history = fitted("joint", Training(tmp_path, 1e9), **options)
    assert len(history) < 50
    assert clock.saved[-1] == ("train.npz", len(history))
    steps = []
    monkeypatch.setattr(fit, "_finite", lambda *what: steps.append(what))
    again, resumed = fitted("joint", Training(tmp_path), **options)
    assert resumed == history
    assert not steps
    np.testing.assert_array_equal(again.score(SPLIT.train), model.score(SPLIT.train))


def test_losses_are_means_over_what_they_say():
    """What the weights of the batches rest on: two batches, weighted so, are one."""
    rng = np.random.default_rng(0)
    stars, guess = rng.integers(0, 3, (6, 5)).astype(np.float32), rng.normal(size=(6, 5)).astype(np.float32)
    for loss, count in ((losses.masked_mse, lambda y: (y > 0).sum()), (losses.multinomial, len)):
        parts = [(float(loss(stars[rows], guess[rows])), count(stars[rows])) for rows in (slice(4), slice(4, 6))]
        whole = np.average([value for value, _ in parts], weights=[n for _, n in parts])
        assert whole == pytest.approx(float(loss(stars, guess)), rel=1e-5)


@pytest.mark.parametrize(("phase", "shown"), [("refit-12", "refit"), ("refit-1-50-global-7", "refit-global")])
def test_the_bar_of_a_phase_has_no_numbers(phase, shown):
    assert checkpoint.shown_name(phase) == shown
