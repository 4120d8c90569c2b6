"""What a training shows and writes down while it runs: the bar, its figures, the rows of the history."""

from types import SimpleNamespace

import numpy as np
import pytest

from utils.training import display, fit
from utils.training.training import DivergedError, EarlyStoppingCriterion, Training


def recorded(criterion=None, history=(), **training):
    """An `EpochRecord` of a model that is not trained, with these rows of history."""
    state = {"history": list(history), "best_epoch": 0}
    kept = []
    weights = {"best": ["begin"], "average": []}
    checkpoint = SimpleNamespace(restore=lambda: (state, weights), write=lambda *what: kept.append(what))
    record = fit.EpochRecord(checkpoint, Training(**training), criterion, 2)
    record.set_model(SimpleNamespace(get_weights=lambda: [len(state["history"])], stop_training=False))
    record.set_params({"epochs": 9, "steps": 4})
    record.kept = kept
    return record


def test_the_bar_moves_by_steps_of_all_epochs_and_says_the_last_and_the_best_figure():
    rows = [{"epoch": 1, "val_rmse": 0.9}, {"epoch": 2, "val_rmse": 0.8}, {"epoch": 3, "val_rmse": 0.85}]
    moved = []
    for criterion, said in ((None, ""), (EarlyStoppingCriterion(None), "  val_rmse 0.8500 (best 0.8000)")):
        record = recorded(criterion, rows, show=True)
        progress = fit.Progress(lambda *what: moved.append(what), 4, 9, record)
        progress.on_epoch_begin(3)
        progress.on_train_batch_end(1, {"loss": 0.123456})
        assert moved.pop() == (3 * 4 + 2, f"epoch 4/9  loss 0.1235{said}")
        record.history.append({"epoch": 4, "val_rmse": 0.7})
        progress.on_epoch_end(3, {"loss": 0.2})
        judged = said and "  val_rmse 0.7000 (best 0.7000)"
        assert moved.pop() == (4 * 4, f"epoch 4/9  loss 0.2000{judged}")
    record.training.show = False
    progress.on_train_batch_end(1, {"loss": 0.1})
    assert not moved


@pytest.mark.parametrize(("higher", "best"), [(False, [1, 2, 2, 2]), (True, [1, 1, 3, 3])])
def test_an_epoch_is_judged_written_down_and_ends_a_training_that_gets_no_better(higher, best, monkeypatch):
    figures, clock, told = iter([0.9, 0.8, 0.95, 0.95]), iter(range(0, 99, 5)), []
    monkeypatch.setattr(fit.time, "perf_counter", lambda: next(clock))
    criterion = EarlyStoppingCriterion(lambda: next(figures), "val_x", higher)
    record = recorded(criterion, monitor=lambda: 7.5, on_metric=told.append)
    for epoch in range(4):
        record.on_epoch_begin(epoch)
        record.on_epoch_end(epoch, {"loss": 0.5 + epoch})
        assert (record.state["best_epoch"], record.weights["best"]) == (best[epoch], [best[epoch]])
        assert record.model.stop_training is (epoch + 1 - best[epoch] >= 2)
    assert told == [0.9, 0.8, 0.95, 0.95]
    rows = [{"epoch": e + 1, "loss": 0.5 + e, "val_x": told[e], "seconds": 5, "monitored": 7.5} for e in range(4)]
    assert record.history == rows
    assert [over for _, _, over in record.kept] == [bool(epoch + 1 - best[epoch] >= 2) for epoch in range(4)]
    record.on_epoch_begin(8)
    record.criterion = None  # without one the last epoch is the best, and nothing ends the training
    record.on_epoch_end(8, {"loss": 1.0})
    assert (record.state["best_epoch"], record.model.stop_training, record.kept[-1][2]) == (9, False, True)


def test_a_loss_that_is_no_number_is_named_with_epoch_and_batch():
    record = recorded(None, [{"epoch": 1}])
    record.on_train_batch_end(0, {"loss": 1.0})
    with pytest.raises(DivergedError, match=r"^the loss became nan in epoch 2, batch 3 of 4; "):
        record.on_train_batch_end(2, {"loss": np.nan})


def test_a_training_that_ends_early_leaves_a_full_bar(capfd):
    with display.bar(Training(show=True), "train", 50) as move:
        move(20, "epoch 2/5")
    assert capfd.readouterr().err.count("━") == 16
    for training in (None, Training()):
        with display.bar(training, "train", 50) as move:
            move(20, "epoch 2/5")
    assert capfd.readouterr().err == ""
