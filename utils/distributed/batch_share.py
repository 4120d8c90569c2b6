"""The part of a training batch that one of several workers has. Nothing else in `models` knows how many there are.

All workers walk through the same batches; each has the rows of its own users. A mean over a batch is then the own sum
over the rows of all workers, so that what the workers have adds up to what one alone would have, and random numbers are
drawn for the whole batch, of which each takes those of its rows. The sum of the workers' gradients is then the gradient
of one process, to rounding."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras import ops

if TYPE_CHECKING:
    from keras import KerasTensor


@dataclass(frozen=True)
class Share:
    """rows: number of rows of the whole batch. at: (n,) the places of the own rows in it."""

    rows: KerasTensor
    at: KerasTensor


_shares: list[Share] = []  # innermost last


@contextlib.contextmanager
def of(rows: KerasTensor, at: KerasTensor) -> Iterator[None]:
    """Let the layers and losses see these rows of a larger batch."""
    _shares.append(Share(rows, at))
    try:
        yield
    finally:
        _shares.pop()


def shared() -> bool:
    """Tell whether the rows are a share of a larger batch."""
    return bool(_shares)


def global_mean(values: KerasTensor) -> KerasTensor:
    """Return the mean over the rows of the batch, of one value a row; what a share adds to it."""
    return ops.sum(values) / ops.cast(_shares[-1].rows, values.dtype) if _shares else ops.mean(values)


def sample_shared(draw: Callable[[Any], KerasTensor], like: KerasTensor) -> KerasTensor:
    """Return draw(shape) of random numbers for the rows of the batch, of the shape of the tensor `like`."""
    if not _shares:
        return draw(ops.shape(like))
    share = _shares[-1]
    return ops.take(draw((share.rows, *like.shape[1:])), share.at, axis=0)
