"""What a training shows while it lasts: progress bars, and TensorBoard's logs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from utils.errors import UnwrittenError

if TYPE_CHECKING:
    from utils.training.loop import EarlyStoppingCriterion, Training


@contextlib.contextmanager
def bar(training: Training | None, name: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Hand out a function (completed, facts) that moves a progress bar on; does nothing where nothing is to be
    shown."""
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
def bar_of_steps(
    training: Training | None, phase: str, epochs: int, steps: int, judge: EarlyStoppingCriterion | None
) -> Iterator[Callable[[int, int, float, dict[str, Any]], None]]:
    """Hand out a function (epoch, steps done, loss, state) that moves the progress bar on."""
    with bar(training, phase, epochs * steps) as move:

        def step(number: int, done: int, loss: float, state: dict[str, Any]) -> None:
            facts = f"epoch {number + 1}/{epochs}  loss {loss:.4f}"
            if judge and (history := state["history"]):
                name, best = judge.name, judge.best(history)
                facts += f"  {name} {history[-1][name]:.4f} (best {best[name]:.4f})"
            move(number * steps + done, facts)

        yield step


def _unwritten(folder: Path, error: Any) -> UnwrittenError:
    """Make the error about logs that TensorFlow could not write."""
    why = error.message.splitlines()[0].split("}} ")[-1]  # what is before that is TensorFlow's own
    return UnwrittenError(f"{folder} can't be written: {why}; epochs up to the last checkpoint are kept for --resume")


@contextlib.contextmanager
def summaries(training: Training, phase: str) -> Iterator[Callable[[dict[str, Any], Any], None]]:
    """Hand out a function that writes a history row and histograms of the weights to TensorBoard's logs; does nothing
    when none are asked for."""
    folder = training.tensorboard
    if folder is None:
        yield lambda row, network: None
        return
    import tensorflow as tf

    full: list[UnwrittenError] = []
    try:
        writer = tf.summary.create_file_writer(str(folder / phase))
    except tf.errors.OpError as error:
        raise _unwritten(folder, error) from None

    def write(row: dict[str, Any], network: Any) -> None:
        try:
            for name in row.keys() - {"epoch"}:
                tf.summary.scalar(name, row[name], step=row["epoch"])
            for weight in network.trainable_variables:
                tf.summary.histogram(weight.path, np.asarray(weight, np.float32), step=row["epoch"])
            writer.flush()
        except tf.errors.OpError as error:  # a full disk is to TensorFlow what too little memory is
            full.append(_unwritten(folder, error))
            raise full[0] from None

    try:
        with writer.as_default():
            yield write
    except tf.errors.OpError:  # it could not be closed either
        if full:
            raise full[0] from None
        raise
