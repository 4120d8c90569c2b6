"""The training loop. Nothing here knows what kind of model it trains: it gets a compiled Keras network, batches and a
function that judges it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.errors import UnwrittenError, UserError
from utils.runs.files import flush_folder
from utils.runs.paths import is_file, is_folder, is_there, names_in, refuses, unreadable
from utils.training.display import bar_of_steps, summaries

if TYPE_CHECKING:
    from keras import Model


Step = Callable[[Any, Any], Any]  # (x, y) -> loss
Count = Callable[[Any, Any], int]  # (x, y) -> how many ratings or users the loss is a mean over


class Batches(Protocol):
    """The batches of an epoch, as a function of its number (from 0)."""

    steps: int

    def __call__(self, number: int, /) -> Iterator[tuple[Any, Any]]:
        """Yield (x, y)."""


class DivergedError(UserError):
    """A loss or a validation figure that is no number."""


@dataclass
class Training:
    """How a training goes, apart from what is learned: none of it changes the weights."""

    checkpoints: Path | None = None  # folder that a training is resumed from, where it holds one that was interrupted
    checkpoint_every: float = 30.0  # seconds, at least, between two: a kill costs so many and the epoch it falls into
    finished: Path | None = None  # folder in which the finished parts of a blend are kept until the whole is saved
    signature: str = ""  # what is trained on what; a checkpoint of anything else is refused
    tensorboard: Path | None = None  # folder for TensorBoard's logs
    show: bool = False  # a progress bar on standard error
    monitor: Callable[[], float] | None = (
        None  # called after each epoch; what it returns is written down, and only that
    )
    on_metric: Callable[[float], None] | None = (
        None  # called with each epoch's figure; what it raises ends the training
    )
    workers: Any = None  # a `utils.distributed.training_workers.Workers`: they train the models that can be shared
    worker: Any = None  # in one of them: its `utils.distributed.training_workers.Worker`
    interrupted: bool = field(default=False, init=False)  # it stopped early; the best weights so far are in the network
    failed: str = field(default="", init=False)  # the reason, where that was not Ctrl-C

    def start(self, resume: bool) -> None:
        """Keep the checkpoints of an interrupted training to go on from, or delete them to start anew."""
        if self.finished and is_there(self.finished) and not is_folder(self.finished):
            raise UserError(
                f"{self.finished} is in the way: finished parts are kept there; move it, or give another --run"
            )
        if not resume:
            self.forget()
        elif not (self.checkpoints and is_there(self.checkpoints)) and not self.has_parts:
            raise UserError(f"nothing to resume: there is no {self.checkpoints}")

    @property
    def has_parts(self) -> bool:
        """Tell whether there are finished parts to go on from."""
        if not self.finished or not is_folder(self.finished):
            return False
        return any(is_file(self.finished / name / "MANIFEST") for name in names_in(self.finished))

    def stop(self, error: BaseException) -> None:
        """Take note that a training ended early: by Ctrl-C, which gives no reason, or by a `DivergedError`."""
        self.interrupted, self.failed = True, str(error)

    def forget(self) -> None:
        """Delete the checkpoints: there is nothing to go on with."""
        if self.checkpoints:
            shutil.rmtree(self.checkpoints, ignore_errors=True)

    def summed(self, values: ArrayLike) -> NDArray:
        """Return numbers, summed over the workers where there are several."""
        return self.worker.summed(values) if self.worker else np.asarray(values)

    def done(self) -> None:
        """Delete all that was kept: the training is over and saved."""
        self.forget()
        for manifest in self.finished.glob("*/MANIFEST") if self.finished else ():
            shutil.rmtree(manifest.parent, ignore_errors=True)
        with contextlib.suppress(OSError):  # something else may lie there, which stays
            if self.finished:
                self.finished.rmdir()


@dataclass(frozen=True)
class EarlyStoppingCriterion:
    """What an epoch is judged by: a function without arguments, the name its values go by in the history, and whether
    a higher one is better."""

    measure: Callable[[], float]
    name: str = "val_rmse"
    higher: bool = False

    def best(self, history: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the row of the best epoch, the first of equal ones."""
        return (max if self.higher else min)(history, key=lambda row: row[self.name])


def train(
    network: Model,
    batches: Batches,
    epochs: int,
    training: Training,
    phase: str,
    judge: EarlyStoppingCriterion | None = None,
    patience: int = 0,
    step: Step | None = None,
    counted: Count | None = None,
) -> list[dict[str, Any]]:
    """Train a compiled Keras network. Returns the history: one dict an epoch with epoch (from 1), loss, seconds and,
    with a `judge`, what it says. What its loss is: `_Phase.epoch`.

    batches: function of the epoch's number (from 0) that yields (x, y), with the number of steps as `batches.steps`.
    step: function (x, y) -> loss that trains on a batch; `own_step` where None.
    counted: function (x, y) -> how many ratings or users the loss of the batch is a mean over; the rows where None.
    judge: asked after each epoch; the weights of the best epoch are put back at the end, and `patience` epochs without
    a better one end the training. Without it all `epochs` are trained and the last kept.
    phase: names the checkpoint and, without its numbers, the bar. Ctrl-C or a loss that is no number ends the training
    after the last whole epoch: `training.interrupted`, `.failed` (the reason); in the first epoch it is raised on."""
    step, counted = step or own_step(network), counted or (lambda x, y: len(y))
    checkpoints = _Checkpoints(network, training, phase, epochs)
    state, weights = checkpoints.restored()
    own = _Phase(network, batches, epochs, training, judge, patience, step, counted, state, weights)
    try:
        shown = checkpoints.phase
        with bar_of_steps(training, shown, epochs, batches.steps, judge) as bar, summaries(training, shown) as summary:
            while not own.over:
                row = own.epoch(bar)
                checkpoints.keep(state, own.weights, own.over)
                summary(row, network)
                if training.on_metric and judge:
                    training.on_metric(row[judge.name])
    except (KeyboardInterrupt, DivergedError) as error:
        if not own.history:
            raise  # there is nothing yet that could be kept
        training.stop(error)
    network.set_weights(own.weights)
    return own.history


def own_step(network: Model) -> Step:
    """The step (x, y) -> loss of a compiled network. Metrics are reset before each: some versions of Keras would return
    the mean over all batches since the last reset."""

    def step(x: Any, y: Any) -> Any:
        network.reset_metrics()
        return network.train_on_batch(x, y)

    return step


@dataclass
class _Phase:
    """A training of a network, epoch by epoch; what `train` explains, and where it stands."""

    network: Model
    batches: Batches
    epochs: int
    training: Training
    judge: EarlyStoppingCriterion | None
    patience: int
    step: Step
    counted: Count
    state: dict[str, Any]  # what a checkpoint holds beside arrays
    weights: list[NDArray]  # of the best epoch so far

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows of the epochs so far."""
        return self.state["history"]

    @property
    def over(self) -> bool:
        """Whether there is no further epoch: all are trained, or none of the last `patience` was better."""
        done = len(self.history)
        return done >= self.epochs or bool(self.judge and done and done - self.state["best_epoch"] >= self.patience)

    def epoch(self, bar: Callable[[int, int, float, dict[str, Any]], None]) -> dict[str, Any]:
        """Train on every batch once, and judge; returns the row of the history.

        The loss of an epoch is the mean of what its steps return, each weighted by what that is a mean over: of masked
        MSE the ratings that are judged, of losses of likes the users; of `joint` the ratings, the likes' part of it,
        too; of `recvae` it is over the passes of encoder and decoder alike. It holds the penalties on the weights, and
        is taken before the step changes them, but of L-BFGS after."""
        number, start, total, count = len(self.history), time.perf_counter(), 0.0, 0
        for done, (x, y) in enumerate(self.batches(number), 1):
            loss = _finite(self.step(x, y), "loss", number, f", batch {done} of {self.batches.steps}")
            n = self.counted(x, y)
            total, count = total + n * loss, count + n
            bar(number, done, total / max(count, 1), self.state)
        row = {"epoch": number + 1, "loss": total / max(count, 1)}
        if self.judge:
            row[self.judge.name] = _finite(self.judge.measure(), "validation figure", number)
        row["seconds"] = time.perf_counter() - start
        if self.training.monitor:
            row["monitored"] = self.training.monitor()
        self.history.append(row)
        if not self.judge or self.judge.best(self.history) is row:
            self.state["best_epoch"], self.weights = number + 1, self.network.get_weights()
        return row


def _finite(value: Any, what: str, number: int, where: str = "") -> float:
    value = float(value)
    if not np.isfinite(value):
        cause = "the weights grew without bound: a lower --learning-rate may do"
        raise DivergedError(f"the {what} became {value} in epoch {number + 1}{where}; {cause}")
    return value


class _Checkpoints:
    """The checkpoint of a phase, and the clock that says when it is due to be written again. Of workers the first
    writes it, and beside it how far they have come."""

    def __init__(self, network: Model, training: Training, phase: str, epochs: int) -> None:
        self.network, self.training, self.epochs = network, training, epochs
        self.phase = re.sub(r"-\d+", "", phase)  # as it is shown
        self.path = training.checkpoints / f"{phase}.npz" if training.checkpoints else None
        self.saved = -math.inf  # the first epoch is saved, so that there is something to go on from

    def restored(self) -> tuple[dict[str, Any], list[NDArray]]:
        """(state, best weights) to go on from, with which the network is as the checkpoint says; or to begin with."""
        if self.path and is_there(self.path):
            return _restore(self.network, self.path, self.training.signature)
        return {"history": [], "best_epoch": 0, "signature": self.training.signature}, self.network.get_weights()

    def keep(self, state: dict[str, Any], weights: list[NDArray], over: bool) -> None:
        """Write what an epoch has left, where that is due: after the first, the last, and every so often."""
        worker = self.training.worker
        if not self.path or (worker and not worker.first):
            return
        if worker:
            _write_progress(self.path, self.phase, self.epochs, state["history"])
        if over or time.perf_counter() - self.saved >= self.training.checkpoint_every:
            _save(self.network, self.path, state, weights)
            self.saved = time.perf_counter()


def _save(network: Model, path: Path, state: dict[str, Any], weights: list[NDArray]) -> None:
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


PROGRESS = "progress.json"  # beside the checkpoints of workers: how far they are, for the process that shows bars


def _write_progress(checkpoint: Path, phase: str, epochs: int, history: list[dict]) -> None:
    """Replace what lies beside the checkpoints of workers about a phase; about the phases before it stays."""
    path = checkpoint.with_name(PROGRESS)
    with _unwritten(path):
        beside = path.with_suffix(".part")
        known = progress(path.parent) | {phase: {"epochs": epochs, "history": history}}
        beside.write_text(json.dumps(known), encoding="utf-8")
        beside.replace(path)


def progress(checkpoints: Path) -> dict[str, dict]:
    """{phase: {"epochs": at most, "history": rows so far}} of a training by workers, in the order of the phases; empty
    before the first epoch is over."""
    try:
        found = json.loads((checkpoints / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # which costs no more than a bar
        return {}
    return found if isinstance(found, dict) else {}


def _restore(network: Model, path: Path, signature: str) -> tuple[dict[str, Any], list[NDArray]]:
    """Return (state, best weights) of a checkpoint, after putting its variables back into network and optimiser."""
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
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        if refuses(error):
            raise unreadable(path, error) from None
        raise UserError(f"{path} is damaged; train without --resume to start anew") from None
    for name in ("variable", "optimizer"):
        for variable, value in zip(kept[name], values[name], strict=True):
            variable.assign(value)
    return state, values["best"]
