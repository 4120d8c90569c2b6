"""Matrix rows become dense float32 batches for Keras, in a seeded order.

The matrix stays CSR and each batch is made dense when its turn comes: writing a batch's few ratings into zeros costs
under a hundredth of the matrix products that follow, and memory holds two dense batches, since `fit` asks for the next
one while it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from utils.scoring.protocols import Indices


@dataclass
class Epochs:
    """The batches of an epoch, as a function of its number (from 0)."""

    draw: Callable[[int], Iterator[Any]]
    steps: int  # batches an epoch

    def __call__(self, number: int, /) -> Iterator[Any]:
        """Return the batches of an epoch."""
        return self.draw(number)


def _as_they_are(index: Indices, given: NDArray, judged: NDArray, whole: NDArray) -> tuple[NDArray, NDArray]:
    return given, judged


def denoising(
    matrix: csr_array,
    size: int,
    hide: float,
    target: str,
    seed: int,
    batch: Callable[[Indices, NDArray, NDArray, NDArray], Any] = _as_they_are,
) -> Epochs:
    """Make an epoch of (given, judged) batches, as a function of the epoch's number.

    Each batch holds `size` rows (the last one may hold fewer; rows without ratings are left out). A share `hide` of its
    ratings, drawn anew each epoch, is taken out of `given`; `judged` holds what the loss counts: those hidden ratings
    (target "hidden") or all of them ("all"). Both are dense stars with 0 where there is nothing.
    batch: function (index of the rows, given, judged, whole rows) that makes of them what the network takes and gives.
    The draws depend on (seed, epoch) alone, so a resumed training sees what an uninterrupted one would."""
    filled = np.flatnonzero(np.diff(matrix.indptr))

    def epoch(number: int) -> Iterator[Any]:
        rng = np.random.default_rng((seed, number))
        order = rng.permutation(filled)
        for start in range(0, len(order), size):
            index = order[start : start + size]
            part = matrix[index]
            hidden = rng.random(part.nnz) < hide
            whole = part.toarray()
            dense, row = whole.copy(), np.repeat(np.arange(len(index)), np.diff(part.indptr))
            dense[row[hidden], part.indices[hidden]] = 0
            yield batch(index, dense, np.where(dense == 0, whole, 0) if target == "hidden" else whole, whole)

    return Epochs(epoch, -(-len(filled) // size))


def rows(judged: csr_array, size: int, seed: int, inputs: Callable[[Indices], Any]) -> Epochs:
    """Make an epoch of (given, judged) batches, as a function of the epoch's number: `size` rows of the CSR matrix
    `judged`, dense, in an order that depends on (seed, epoch) alone; rows with nothing in them are left out. inputs:
    function of the index of the rows that gives what the network takes."""
    epochs = _orders(np.diff(judged.indptr), size, seed)

    def epoch(number: int) -> Iterator[Any]:
        for index in epochs(number):
            yield inputs(index), judged[index].toarray()

    return Epochs(epoch, epochs.steps)


def shared(judged: csr_array, filled: NDArray, size: int, seed: int, inputs: Callable[[Indices], Any]) -> Epochs:
    """Make the same batches where `judged` has but the rows of one worker: ((given, places of the own rows in the
    batch, number of its rows), judged). filled: (n,), not 0 for each row that has something in it with some worker."""
    epochs, mine = _orders(filled, size, seed), np.diff(judged.indptr) > 0

    def epoch(number: int) -> Iterator[Any]:
        for index in epochs(number):
            at = np.flatnonzero(mine[index])
            yield (inputs(index[at]), at.astype(np.int32), np.int32(len(index))), judged[index[at]].toarray()

    return Epochs(epoch, epochs.steps)


def _orders(filled: NDArray, size: int, seed: int) -> Epochs:
    """Draw the indices of the rows of each batch of an epoch, as a function of the epoch's number."""
    filled = np.flatnonzero(filled)

    def epoch(number: int) -> Iterator[Any]:
        order = np.random.default_rng((seed, number)).permutation(filled)
        return (order[start : start + size] for start in range(0, len(order), size))

    return Epochs(epoch, -(-len(filled) // size))
