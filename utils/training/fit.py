"""Train a compiled network by Keras's `fit`; everything beside the steps is a callback."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree
from numpy.typing import NDArray

from utils.errors import UnwrittenError, UserError
from utils.training.batches import Epochs
from utils.training.checkpoint import Checkpoint, shown_name
from utils.training.display import bar
from utils.training.training import DivergedError, EarlyStoppingCriterion, Training

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def train(
    network: keras.Model,
    epoch: Epochs,
    config: Any,
    training: Training,
    phase: str,
    criterion: EarlyStoppingCriterion | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
) -> list[dict[str, Any]]:
    """Train a compiled network. Returns the history: one dict an epoch with epoch (from 1), loss, seconds and, with a
    criterion, what it says. The loss is what the network records, see `models.networks.training_step.Network`.

    epoch: gives the (x, y) batches of an epoch by its number, from 0. config: has `epochs`, at most, `patience` and
    `average`: above 0, the moving averages of the weights are judged and kept (`EpochRecord`).
    criterion: measured after each epoch; the weights of the best are put back at the end, and `patience` epochs without
    a better one end the training. Without it all `epochs` are trained. phase: names the checkpoint and the bar. Ctrl-C
    or a loss that is no number ends the training after the last whole epoch, with `training.interrupted` and `.failed`
    (the reason); in the first epoch it is raised."""
    if not epoch.steps:
        raise UserError("there is no rating to learn from")
    shown, epochs, failures = shown_name(phase), config.epochs, list[Exception]()
    checkpoint = Checkpoint(network, training, phase, epochs)
    record = EpochRecord(checkpoint, training, criterion, config.patience, config.average)
    begun, tensorboard = len(record.history), _tensorboard(training, shown, record)
    if begun >= epochs or record.out_of_patience():
        return record.put_back(network)
    try:
        with bar(training, shown, epochs * epoch.steps) as move, ctrl_c_waits() as stop:
            progress = Progress(move, epoch.steps, epochs, record)
            network.fit(
                as_dataset(epoch, range(begun, epochs), failures), steps_per_epoch=epoch.steps, initial_epoch=begun,
                epochs=epochs, callbacks=[*callbacks, stop, record, progress, *tensorboard], verbose=0, shuffle=False,
            )  # fmt: skip
    except tf.errors.OpError as error:
        raise (failures[0] if failures else error) from None
    except (KeyboardInterrupt, DivergedError) as error:
        if not record.history:
            raise  # there is nothing yet that could be kept
        training.stop(error)
    return record.put_back(network)


def keep_freed_memory() -> None:
    """Let the process keep the memory that it frees, where the C library is glibc. It would by itself, if TensorFlow's
    generators of batches did not turn that off; memory that is new, and cleared, for each step takes a tenth of it."""
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes; larger arrays go back at once
        mallopt(M_TRIM_THRESHOLD, 1 << 30)


class Stop(keras.callbacks.Callback):
    """Raise KeyboardInterrupt at the end of a step, once Ctrl-C was `pressed`."""

    pressed = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """End the training where Ctrl-C was pressed."""
        if self.pressed:
            raise KeyboardInterrupt


@contextlib.contextmanager
def ctrl_c_waits() -> Iterator[Stop]:
    """Hand out the callback that ends a training after the step in which Ctrl-C is pressed. Python raises
    KeyboardInterrupt wherever it is, and where that is the end of an object's life, as TensorFlow has many, it is lost.
    Pressed once more, it is raised at once."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def press(*_: Any) -> None:
        if stop.pressed:
            raise KeyboardInterrupt
        stop.pressed = True

    before = signal.signal(signal.SIGINT, press)
    try:
        yield stop
        if stop.pressed:  # while the last epoch was judged
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)


def as_dataset(epoch: Epochs, numbers: range, failures: list[Exception]) -> tf.data.Dataset:
    """Return the batches of the epochs of these numbers, one behind another, as `fit` takes them. What goes wrong
    while a batch is made is appended to `failures`, since TensorFlow hides it in an error of its own.

    `fit` is told how many make an epoch. It would rather have a `keras.utils.PyDataset`, but asks that for batches of
    the next epoch before it says that one has begun, so that batches that depend on the epoch would be the wrong
    ones."""

    def batches() -> Iterator[Any]:
        keep_freed_memory()
        try:
            for number in numbers:
                for x, y in epoch(number):
                    yield _as_tuples((x, y))
        except Exception as error:
            failures.append(error)
            raise

    first = next(batches())

    def any_number(array: NDArray) -> tf.TensorSpec:
        shape = [None] * array.ndim if epoch.on_columns else (None, *array.shape[1:])[: array.ndim]
        return tf.TensorSpec(shape, array.dtype)

    signature = tree.map_structure(any_number, first)
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(1)


def _as_tuples(batch: Any) -> Any:
    """Return the same with tuples in the place of lists, which `tf.data` would take for one tensor."""
    return tuple(map(_as_tuples, batch)) if isinstance(batch, list | tuple) else np.asarray(batch)


class EpochRecord(keras.callbacks.Callback):
    """Write down each epoch: its row of the history, the best weights, the checkpoint; end the training when no epoch
    is better any more.

    average: 0, or the share a < 1 of the past in a moving average of the weights: after n epochs that of i epochs ago
    counts a^i (1 - a) / (1 - a^n). The average is what is judged and kept, while the training goes on from the weights
    themselves. Averages end between the places that the steps jump about (Polyak and Juditsky 1992; forgetting as in
    Tarvainen and Valpola, NeurIPS 2017, who average after each step)."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        training: Training,
        criterion: EarlyStoppingCriterion | None,
        patience: int,
        average: float = 0.0,
    ) -> None:
        super().__init__()
        self.checkpoint, self.training, self.criterion, self.patience = checkpoint, training, criterion, patience
        self.average = average
        self.state, self.weights = checkpoint.restore()

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows of the epochs so far."""
        return self.state["history"]

    def out_of_patience(self) -> bool:
        """Tell whether none of the last `patience` epochs was better than those before."""
        done = len(self.history)
        return bool(self.criterion and done and done - self.state["best_epoch"] >= self.patience)

    def put_back(self, network: keras.Model) -> list[dict[str, Any]]:
        """Give the network the best weights, once the last checkpoint is there; returns the history."""
        self.checkpoint.finish()
        network.set_weights(self.weights["best"])
        return self.history

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Give the network the average of its weights for a while, where one is asked for."""
        if not self.average:
            yield
            return
        own, before = self.model.get_weights(), self.weights["average"]
        new = (1 - self.average) / (1 - self.average ** (len(self.history) + 1))
        pairs = zip(before or own, own, strict=True)
        self.weights["average"] = [old + np.asarray(new * (now - old), now.dtype) for old, now in pairs]
        self.model.set_weights(self.weights["average"])
        try:
            yield
        finally:
            self.model.set_weights(own)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """End the training where the loss is no number."""
        where = f", batch {batch + 1} of {self.params['steps']}"
        _finite((logs or {})["loss"], "loss", len(self.history), where)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Judge the epoch, and write down what is left of it."""
        row = {"epoch": epoch + 1, "loss": float((logs or {})["loss"])}
        with self._averaged():
            if self.criterion:
                row[self.criterion.name] = _finite(self.criterion.measure(), "validation figure", epoch)
            row["seconds"] = time.perf_counter() - self.start
            if self.training.monitor:
                row["monitored"] = self.training.monitor()
            self.history.append(row)
            if not self.criterion or self.criterion.best(self.history) is row:
                self.state["best_epoch"], self.weights["best"] = epoch + 1, self.model.get_weights()
        self.model.stop_training = self.out_of_patience()
        self.checkpoint.write(self.state, self.weights, self.model.stop_training or epoch + 1 == self.params["epochs"])
        if self.training.on_metric and self.criterion:
            self.training.on_metric(row[self.criterion.name])


def _finite(value: Any, what: str, epoch: int, where: str = "") -> float:
    value = float(value)
    if not np.isfinite(value):
        cause = "the weights grew without bound: a lower --learning-rate may do"
        raise DivergedError(f"the {what} became {value} in epoch {epoch + 1}{where}; {cause}")
    return value


class Progress(keras.callbacks.Callback):
    """Move the progress bar on; says the loss so far, and the figures of the last and of the best epoch."""

    def __init__(self, move: Callable[[int, str], None], steps: int, epochs: int, record: EpochRecord) -> None:
        super().__init__()
        self.move, self.steps, self.epochs, self.record = move, steps, epochs, record

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take note of the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move on by a step."""
        self._show(batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Say the figures of the epoch, once it is judged."""
        self._show(self.steps, logs)

    def _show(self, step: int, logs: dict[str, Any] | None) -> None:
        if not self.record.training.show:
            return
        facts = f"epoch {self.epoch + 1}/{self.epochs}  loss {(logs or {})['loss']:.4f}"
        criterion, history = self.record.criterion, self.record.history
        if criterion and history:
            name = criterion.name
            facts += f"  {name} {history[-1][name]:.4f} (best {criterion.best(history)[name]:.4f})"
        self.move(self.epoch * self.steps + step, facts)


class TensorBoard(keras.callbacks.Callback):
    """Write the row of the history and histograms of the weights after each epoch, under the names of the history.
    Keras's own callback has other names and no sentence for a full disk."""

    def __init__(self, folder: Any, record: EpochRecord) -> None:
        super().__init__()
        self.folder, self.record = folder, record
        try:
            self.writer = tf.summary.create_file_writer(str(folder))
        except tf.errors.OpError as error:
            raise self._unwritten(error) from None

    def _unwritten(self, error: tf.errors.OpError) -> UnwrittenError:
        reason = error.message.splitlines()[0].split("}} ")[-1]  # what is before that is TensorFlow's own
        where = self.folder.parent
        return UnwrittenError(
            f"{where} can't be written: {reason}; epochs up to the last checkpoint are kept for --resume"
        )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the logs of the epoch."""
        row = self.record.history[-1]
        try:
            with self.writer.as_default(step=epoch + 1):
                for name in row.keys() - {"epoch"}:
                    tf.summary.scalar(name, row[name])
                for weight in self.model.trainable_variables:
                    tf.summary.histogram(weight.path, np.asarray(weight, np.float32))
            self.writer.flush()
        except tf.errors.OpError as error:  # a full disk is to TensorFlow what too little memory is
            raise self._unwritten(error) from None


def _tensorboard(training: Training, phase: str, record: EpochRecord) -> list[TensorBoard]:
    return [TensorBoard(training.tensorboard / phase, record)] if training.tensorboard else []
