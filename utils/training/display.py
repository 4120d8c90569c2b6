"""Progress bars on standard error."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

if TYPE_CHECKING:
    from utils.training.training import Training


@contextlib.contextmanager
def bar(training: Training | None, name: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Hand out a function (completed, facts) that moves a progress bar on; does nothing where nothing is to be
    shown."""
    if not (training and training.show):
        yield lambda *_: None
        return
    from rich.console import Console

    clock = TimeElapsedColumn(Column(no_wrap=True, min_width=7))  # in 80 columns the bar gives way, not the time
    columns = (TextColumn("{task.description}"), BarColumn(16), TextColumn("{task.fields[facts]}"), clock)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{name:<6}", total=total, facts="")
        yield lambda completed, facts: progress.update(task, completed=completed, facts=facts)
        if progress.tasks[0].completed:
            progress.update(task, total=progress.tasks[0].completed)  # early stopping: a full bar, not a stuck one
