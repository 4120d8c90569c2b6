"""How a training goes apart from what is learned: checkpoints, logs, workers, and what its epochs are judged by."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.errors import UserError
from utils.runs.paths import is_file, is_folder, is_there, names_in


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
    monitor: Callable[[], float] | None = None  # called after each epoch; what it returns is only written down
    on_metric: Callable[[float], None] | None = None  # called with each epoch's figure; may end the training by raising
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
