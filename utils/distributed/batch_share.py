"""One worker's share of a training batch. Models know nothing else of workers.

All workers walk through the same batches; each has the rows of its own users. The mean over a batch becomes the sum
over a worker's rows, divided by the rows of all; random numbers are drawn for the whole batch, and each worker takes
those of its rows, or are a hash of the cell that they are for. So the sum of the workers' gradients is the gradient of
one process, to rounding."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from keras import ops

if TYPE_CHECKING:
    from keras import KerasTensor

Share: TypeAlias = "tuple[KerasTensor, KerasTensor, int]"  # rows of the batch; own places in it, (n,); workers
_shares: list[Share] = []  # of the batch in progress; none without workers


@contextlib.contextmanager
def sharing(rows: KerasTensor, at: KerasTensor, workers: int) -> Iterator[None]:
    """Tell the layers and losses within that they get the rows at the places `at` of a batch of `rows` rows, which
    `workers` workers share."""
    _shares.append((rows, at, workers))
    try:
        yield
    finally:
        _shares.pop()


def global_mean(values: KerasTensor) -> KerasTensor:
    """Return what these rows, one value each, add to the mean over the batch; without workers that is the mean."""
    return ops.sum(values) / ops.cast(_shares[-1][0], values.dtype) if _shares else ops.mean(values)


def share_of(penalty: KerasTensor) -> KerasTensor:
    """Return what this worker adds of a penalty on the weights, which all compute and which counts once."""
    return penalty / _shares[-1][2] if _shares else penalty


def sample_shared(draw: Callable[[Any], KerasTensor], like: KerasTensor) -> KerasTensor:
    """Return random numbers in the shape of the tensor `like`, where draw(shape) draws for the rows of a batch."""
    if not _shares:
        return draw(ops.shape(like))
    rows, at, _ = _shares[-1]
    return ops.take(draw((rows, *like.shape[1:])), at, axis=0)


def uniform(cells: Any, seed: Any) -> Any:
    """Draw a number in [0, 1) for each cell of a batch, (n, 2) row and column, from a seed of two integers. It is a
    hash of these (the finalizer of MurmurHash3), and so the same whoever has the row."""
    import tensorflow as tf

    row, column = tf.unstack(cells, axis=1)
    if _shares:
        row = tf.gather(_shares[-1][1], row)
    hashed = tf.zeros((), tf.uint32)
    for part in (*tf.unstack(seed), row, column):
        hashed = tf.bitwise.bitwise_xor(hashed, tf.cast(part, tf.uint32))
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            shifted = tf.bitwise.right_shift(hashed, tf.constant(shift, tf.uint32))
            hashed = tf.bitwise.bitwise_xor(hashed, shifted) * tf.constant(factor, tf.uint32)
    return tf.cast(tf.bitwise.right_shift(hashed, tf.constant(8, tf.uint32)), tf.float32) / 2**24
