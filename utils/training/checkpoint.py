"""The checkpoint of a training: everything the next epoch depends on, so that a resumed training ends with the very
weights of one that was not interrupted."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import time
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.errors import UnwrittenError, UserError
from utils.runs.files import flush_folder
from utils.runs.paths import is_there, refuses, unreadable

if TYPE_CHECKING:
    from keras import Model

    from utils.training.training import Training


BESIDE = 2**29  # bytes up to which a checkpoint is written while the training goes on, since that needs a copy


def shown_name(phase: str) -> str:
    """Return the name of a phase without the numbers in it."""
    return re.sub(r"-\d+", "", phase)


class Checkpoint:
    """The checkpoint of a phase, and the clock that says when it is due to be written again. Of workers the first
    writes it, and beside it how far they have come."""

    def __init__(self, network: Model, training: Training, phase: str, epochs: int) -> None:
        self.network, self.training, self.phase, self.epochs = network, training, phase, epochs
        self.path = training.checkpoints / f"{phase}.npz" if training.checkpoints else None
        self.saved = -math.inf  # the first epoch is saved, so that there is something to go on from
        self.writer = ThreadPoolExecutor(1)  # so that the training goes on while the disk takes its time
        self.writing: Future[None] | None = None

    def restore(self) -> tuple[dict[str, Any], dict[str, list[NDArray]]]:
        """Return (state, {"best": weights, "average": weights or none}) to go on from, with which the network is as the
        checkpoint says; or to begin with."""
        if self.path and is_there(self.path):
            return _restore(self.network, self.path, self.training.signature)
        state = {"history": [], "best_epoch": 0, "signature": self.training.signature}
        return state, {"best": self.network.get_weights(), "average": []}

    def write(self, state: dict[str, Any], weights: dict[str, list[NDArray]], over: bool) -> None:
        """Write what an epoch has left, where that is due: after the first, the last, and every so often. weights: as
        `restore` returns them."""
        worker = self.training.worker
        if not self.path or (worker and not worker.first):
            return
        if worker:
            _write_progress(self.path, shown_name(self.phase), self.epochs, state["history"])
        if over or time.perf_counter() - self.saved >= self.training.checkpoint_every:
            self.finish()
            arrays = _arrays(self.network, weights) | {"state": np.array(json.dumps(state))}
            if over or sum(array.nbytes for array in arrays.values()) > BESIDE:
                _save(self.path, arrays)
            else:
                self.writing = self.writer.submit(_save, self.path, {name: v.copy() for name, v in arrays.items()})
            self.saved = time.perf_counter()

    def finish(self) -> None:
        """Wait until what is being written is there; an `UnwrittenError` where it could not be."""
        if self.writing:
            writing, self.writing = self.writing, None
            writing.result()


def _arrays(network: Model, weights: dict[str, list[NDArray]]) -> dict[str, NDArray]:
    """Return everything the next epoch depends on."""
    kept = {"variable": network.variables, "optimizer": network.optimizer.variables, **weights}
    return {f"{name}{i}": np.asarray(array) for name, arrays in kept.items() for i, array in enumerate(arrays)}


def _save(path: Path, arrays: dict[str, Any]) -> None:
    """Write the arrays of a checkpoint; beside the path, then renamed, so that a kill leaves the old one."""
    beside = path.with_suffix(".part")
    with _unwritten(path):
        try:
            with open(beside, "wb") as file:
                np.savez(file, **arrays)
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


def _restore(network: Model, path: Path, signature: str) -> tuple[dict[str, Any], dict[str, list[NDArray]]]:
    """Return what `Checkpoint.restore` does, after putting the variables back into network and optimiser."""
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = dict(file)
        state = json.loads(str(stored["state"]))
        if state["signature"] != signature:
            other = "a training with other data, options or versions"
            raise UserError(f"{path} is of {other}; train without --resume to start anew")
        network.optimizer.build(network.trainable_variables)
        kept = {"variable": network.variables, "optimizer": network.optimizer.variables, "best": network.weights}
        kept["average"] = network.weights if "average0" in stored else []
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
    return state, {name: values[name] for name in ("best", "average")}
