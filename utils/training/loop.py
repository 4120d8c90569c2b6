"""The training loop. Nothing here knows what kind of model it trains: it gets a compiled Keras network, batches and a
function that judges it."""

import contextlib
import json
import math
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from utils.errors import UserError
from utils.runs.files import flush_folder


class DivergedError(UserError):
    """A loss or a validation figure that is no number."""


class UnwrittenError(UserError):
    """A checkpoint that could not be written; the one before it is whole."""


@dataclass
class Training:
    """How a training goes, apart from what is learned: none of it changes the weights."""

    checkpoints: Path | None = None  # folder that a training is resumed from, where it holds one that was interrupted
    checkpoint_every: float = 30.0  # seconds that a kill may cost: at least so many lie between two checkpoints
    finished: Path | None = None  # folder in which the finished parts of a blend are kept until the whole is saved
    signature: str = ""  # what is trained on what; a checkpoint of anything else is refused
    tensorboard: Path | None = None  # folder for TensorBoard's logs
    show: bool = False  # a progress bar on standard error
    watch: Callable[[], float] | None = None  # called after each epoch; what it returns is written down, and only that
    judged: Callable[[float], None] | None = (
        None  # called with the figure of each epoch; what it raises ends the training
    )
    workers: object = (
        None  # a `utils.distributed.training_workers.Workers`, which do the training of models that can be shared
    )
    worker: object = None  # in one of them: its `utils.distributed.training_workers.Worker`
    interrupted: bool = field(default=False, init=False)  # it stopped early; the best weights so far are in the network
    failed: str = field(default="", init=False)  # the reason, where that was not Ctrl-C

    def start(self, resume):
        """Keep the checkpoints of an interrupted training to go on from, or delete them to start anew."""
        if self.finished and self.finished.exists() and not self.finished.is_dir():
            raise UserError(
                f"{self.finished} is in the way: finished parts are kept there; move it, or give another --run"
            )
        if not resume:
            self.forget()
        elif not self.checkpoints.exists() and not self.has_parts:
            raise UserError(f"nothing to resume: there is no {self.checkpoints}")

    @property
    def has_parts(self):
        """Whether there are finished parts to go on from."""
        return bool(self.finished and any(self.finished.glob("*/MANIFEST")))

    def stop(self, error):
        """Take note that a training ended early: by Ctrl-C, which gives no reason, or by a `DivergedError`."""
        self.interrupted, self.failed = True, str(error)

    def forget(self):
        """Delete the checkpoints: there is nothing to go on with."""
        if self.checkpoints:
            shutil.rmtree(self.checkpoints, ignore_errors=True)

    def summed(self, values):
        """Numbers, summed over the workers where there are several."""
        return self.worker.summed(values) if self.worker else np.asarray(values)

    def done(self):
        """Delete all that was kept: the training is over and saved."""
        self.forget()
        for manifest in self.finished.glob("*/MANIFEST") if self.finished else ():
            shutil.rmtree(manifest.parent, ignore_errors=True)
        with contextlib.suppress(OSError):  # something else may lie there, which stays
            if self.finished:
                self.finished.rmdir()


@dataclass(frozen=True)
class Judge:
    """What an epoch is judged by: a function without arguments, the name its values go by in the history, and whether
    a higher one is better."""

    measure: Callable[[], float]
    name: str = "val_rmse"
    higher: bool = False

    def best(self, history):
        """The row of the best epoch, the first of equal ones."""
        return (max if self.higher else min)(history, key=lambda row: row[self.name])


def train(network, batches, epochs, training, phase, judge: Judge | None = None, patience=0, step=None, counted=None):
    """Train a compiled Keras network. Returns the history: one dict an epoch with epoch (from 1), loss, seconds and,
    with a `judge`, what it says.

    The loss of an epoch is the mean of what its steps return, each weighted by what that is a mean over (`counted`): of
    masked MSE the ratings that are judged, of losses of likes the users. It is taken before the step changes the
    weights, and holds the penalties on them.

    batches: function of the epoch's number (from 0) that yields (x, y), with the number of steps as `batches.steps`.
    step: function (x, y) -> loss that trains on a batch; the network's own where None.
    counted: function (x, y) -> how many ratings or users the loss of the batch is a mean over; the rows where None.
    judge: asked after each epoch; the weights of the best epoch are put back at the end, and `patience` epochs without
    a better one end the training. Without it all `epochs` are trained and the last kept.
    phase: the name of the checkpoint and, without the numbers at its end, of the bar. Ctrl-C ends the training as if
    the epoch before had been the last and sets `training.interrupted`; before the first epoch is over it is raised
    again. So does a loss that is no number, with the reason in `training.failed`."""
    step, counted = step or network.train_on_batch, counted or (lambda x, y: len(y))
    state = {"history": [], "best_epoch": 0, "signature": training.signature}
    weights = network.get_weights()
    checkpoint = training.checkpoints / f"{phase}.npz" if training.checkpoints else None
    shown = phase.rstrip("-0123456789")
    if checkpoint and checkpoint.exists():
        state, weights = _restore(network, checkpoint, training.signature)
    history = state["history"]
    over = len(history) >= epochs or (judge and len(history) - state["best_epoch"] >= patience and history)
    saved = -math.inf  # the first epoch is saved, so that there is something to go on from
    try:
        with _bar(training, shown, epochs, batches.steps, judge) as bar, _summaries(training, shown) as summary:
            for number in () if over else range(len(history), epochs):
                start, total, count = time.perf_counter(), 0.0, 0
                network.reset_metrics()
                for done, (x, y) in enumerate(batches(number), 1):
                    loss, n = _finite(step(x, y), "loss", number, f", batch {done} of {batches.steps}"), counted(x, y)
                    total, count = total + n * loss, count + n
                    bar(number, done, total / max(count, 1), state)
                row = {"epoch": number + 1, "loss": total / max(count, 1)}
                if judge:
                    row[judge.name] = _finite(judge.measure(), "validation figure", number)
                row["seconds"] = time.perf_counter() - start
                if training.watch:
                    row["watched"] = training.watch()
                history.append(row)
                if not judge or judge.best(history) is row:
                    state["best_epoch"], weights = number + 1, network.get_weights()
                over = number + 1 == epochs or (judge and number + 1 - state["best_epoch"] >= patience)
                if training.worker and training.worker.first:
                    _write_progress(checkpoint, history)
                due = over or time.perf_counter() - saved >= training.checkpoint_every
                if checkpoint and due and (not training.worker or training.worker.first):
                    _save(network, checkpoint, state, weights)
                    saved = time.perf_counter()
                summary(row, network)
                if training.judged and judge:
                    training.judged(row[judge.name])
                if over:
                    break
    except (KeyboardInterrupt, DivergedError) as error:
        if not history:
            raise  # there is nothing yet that could be kept
        training.stop(error)
    network.set_weights(weights)
    return history


def _finite(value, what, number, where=""):
    value = float(value)
    if not np.isfinite(value):
        cause = "the weights grew without bound: a lower --learning-rate may do"
        raise DivergedError(f"the {what} became {value} in epoch {number + 1}{where}; {cause}")
    return value


def _save(network, path, state, weights):
    """Write everything the next epoch depends on; beside the path, then renamed, so that a kill leaves the old one."""
    arrays = {f"variable{i}": v for i, v in enumerate(network.variables)}
    arrays |= {f"optimizer{i}": v for i, v in enumerate(network.optimizer.variables)}
    arrays = {name: np.asarray(v) for name, v in arrays.items()} | {f"best{i}": w for i, w in enumerate(weights)}
    beside = path.with_suffix(".part")
    with _unwritten(path):
        try:
            with open(beside, "wb") as file:
                np.savez(file, state=json.dumps(state), **arrays)
                file.flush()
                os.fsync(file.fileno())  # or a power cut might leave the name on an empty file
            beside.replace(path)
            flush_folder(path.parent)
        except OSError:
            beside.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _unwritten(path: Path) -> Iterator[None]:
    """Turn a failure to write into an `UnwrittenError`; the folder of the path is made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UnwrittenError(
            f"{path} can't be written: {error.strerror}; with --resume it goes on from there"
        ) from None


PROGRESS = "progress.json"  # beside the checkpoints of workers: the history so far, for the process that shows a bar


def _write_progress(checkpoint: Path, history: list[dict]) -> None:
    """Replace the history of a training by workers that lies beside its checkpoints."""
    path = checkpoint.with_name(PROGRESS)
    with _unwritten(path):
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(history), encoding="utf-8")
        beside.replace(path)


def _restore(network, path, signature):
    """(state, best weights) of a checkpoint, after putting its variables back into network and optimiser."""
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = dict(file)
        state = json.loads(str(stored["state"]))
        if state["signature"] != signature:
            other = "a training with other data, options or versions"
            raise UserError(f"{path} is of {other}; train without --resume to start anew")
        network.optimizer.build(network.trainable_variables)
        kept = {"variable": network.variables, "optimizer": network.optimizer.variables, "best": network.weights}
        values = {name: [stored[f"{name}{i}"] for i in range(len(of))] for name, of in kept.items()}
        if any(value.shape != of.shape for name in kept for value, of in zip(values[name], kept[name], strict=True)):
            raise ValueError
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError):
        raise UserError(f"{path} is damaged; train without --resume to start anew") from None
    for name in ("variable", "optimizer"):
        for variable, value in zip(kept[name], values[name], strict=True):
            variable.assign(value)
    return state, values["best"]


@contextlib.contextmanager
def bar(training, name, total):
    """A function (completed, facts) that moves a progress bar on; does nothing where nothing is to be shown."""
    if not (training and training.show):
        yield lambda *_: None
        return
    from rich.console import Console

    columns = (TextColumn("{task.description}"), BarColumn(16), TextColumn("{task.fields[facts]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{name:<6}", total=total, facts="")
        yield lambda completed, facts: progress.update(task, completed=completed, facts=facts)
        if progress.tasks[0].completed:
            progress.update(task, total=progress.tasks[0].completed)  # early stopping: a full bar, not a stuck one


@contextlib.contextmanager
def _bar(training, phase, epochs, steps, judge):
    """A function (epoch, steps done, loss, state) that moves the progress bar on."""
    with bar(training, phase, epochs * steps) as move:

        def step(number, done, loss, state):
            facts = f"epoch {number + 1}/{epochs}  loss {loss:.4f}"
            if judge and (history := state["history"]):
                name, best = judge.name, judge.best(history)
                facts += f"  {name} {history[-1][name]:.4f} (best {best[name]:.4f})"
            move(number * steps + done, facts)

        yield step


@contextlib.contextmanager
def _summaries(training, phase):
    """A function that writes a history row and histograms of the weights to TensorBoard's logs; does nothing when none
    are asked for."""
    if training.tensorboard is None:
        yield lambda row, network: None
        return
    import tensorflow as tf

    def unwritten(error):
        why = error.message.splitlines()[0].split("}} ")[-1]  # what is before that is TensorFlow's own
        return UnwrittenError(
            f"{training.tensorboard} can't be written: {why}; epochs that were over are kept for --resume"
        )

    try:
        writer, full = tf.summary.create_file_writer(str(training.tensorboard / phase)), []
    except tf.errors.OpError as error:
        raise unwritten(error) from None

    def write(row, network):
        try:
            for name in row.keys() - {"epoch"}:
                tf.summary.scalar(name, row[name], step=row["epoch"])
            for weight in network.trainable_variables:
                tf.summary.histogram(weight.path, np.asarray(weight, np.float32), step=row["epoch"])
            writer.flush()
        except tf.errors.OpError as error:  # a full disk is to TensorFlow what too little memory is
            full.append(unwritten(error))
            raise full[0] from None

    try:
        with writer.as_default():
            yield write
    except tf.errors.OpError:  # it could not be closed either
        if full:
            raise full[0] from None
        raise
