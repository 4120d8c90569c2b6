"""Matrix rows become dense float32 batches for Keras, in a seeded order.

The matrix stays CSR and each batch is made dense when its turn comes: writing a batch's few ratings into zeros costs
under a hundredth of the matrix products that follow, and memory holds two dense batches, since `fit` asks for the next
one while it trains."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from utils.scoring.protocols import Indices


@dataclass(frozen=True)
class Columns:
    """The columns of the matrix that a batch is computed on.

    index: (m,) int32. importance: (m,) float32, how many columns each stands for in a sum over all: of `ColumnSampler`
    1 where it occurs in the batch, and those sampled stand for all that do not. rarity: (m,) float32, one over the
    share of batches that each is in. all_given: whether the network takes all columns, and these are those that it
    scores."""

    index: NDArray[np.int32]
    importance: NDArray[np.float32]
    rarity: NDArray[np.float32]
    n: int
    all_given: bool = False

    def taken(self, rows: csr_array) -> csr_array:
        """Return what the network takes of CSR rows."""
        return rows if self.all_given else self.only(rows)

    def scored(self, rows: csr_array) -> csr_array:
        """Return what the network's scores are judged by of CSR rows."""
        return rows[:, self.index] if self.all_given else self.only(rows)

    def only(self, rows: csr_array) -> csr_array:
        """Return CSR rows with these columns alone, in this order, which hold all their entries. Rows may be of several
        blocks of columns side by side."""
        place = np.empty(self.n, np.int32)
        place[self.index] = np.arange(len(self.index))
        block, column = np.divmod(rows.indices, self.n)
        shape = rows.shape[0], rows.shape[1] // self.n * len(self.index)
        return type(rows)((rows.data, place[column] + block * len(self.index), rows.indptr), shape)

    @property
    def arrays(self) -> tuple[NDArray, NDArray, NDArray]:
        """The arrays that a training step takes."""
        return self.index, self.importance, self.rarity


LARGE_ROWS = 20_000  # rows of a matrix from which on batches are larger
LARGE_BATCH = 250  # rows of a batch then, unless an option says otherwise
PART_ROWS = 50_000  # rows of an epoch, about, where a pass over all has more
ALL_COLUMNS = 10_000  # columns up to which batches are computed on all of them
SAMPLED_COLUMNS = 1_000  # beyond, columns sampled beside those that occur in a batch


def sampler(
    config: Any,
    rows: csr_array,
    n: int,
    size: int,
    seed: int,
    counts_all: bool,
    summed: Callable[[NDArray], NDArray] = np.asarray,
) -> ColumnSampler | None:
    """Make the `ColumnSampler` that the option `sample` of a model asks for; None where batches are computed on all
    columns. counts_all: whether the loss counts other columns than those that occur in a batch. summed: adds up numbers
    over the workers, each of which has some of the rows."""
    sample = config.sample
    if sample is None:
        sample = SAMPLED_COLUMNS if n > ALL_COLUMNS else 0
    return ColumnSampler(rows, n, size, sample if counts_all else 0, seed, summed) if sample else None


def share_of_batches(count: NDArray, filled: int, size: int) -> NDArray[np.float64]:
    """Compute the expected share of an epoch's batches that hold one of `count` rows at least, where `filled` rows are
    put into batches of `size` at random: one less the chance that none of them is in a batch, which is hypergeometric,
    mean over the batches, of which the last may be smaller."""
    whole, last = divmod(filled, size)
    count, absent = np.minimum(count, filled), np.zeros(len(count))
    for batches, rows in ((whole, size), (1, last)):
        if batches and rows:
            others = filled - rows - count  # logarithms of the binomial coefficients (n - rows, count), (n, count)
            logs = gammaln(filled - rows + 1) - gammaln(np.maximum(others, 0) + 1)
            logs -= gammaln(filled + 1) - gammaln(filled - count + 1)
            absent += batches * np.where(others >= 0, np.exp(logs), 0)
    return 1 - absent / max(whole + (last > 0), 1)


class ColumnSampler:
    """Choose the `Columns` of each batch: those that occur in its rows, and `sample` others.

    rows: CSR, whose columns may be several blocks of the n. size: rows of a batch. summed: see `sampler`. The draws
    depend on (seed, epoch, step) alone."""

    all_given = False

    def __init__(
        self,
        rows: csr_array,
        n: int,
        size: int,
        sample: int,
        seed: int,
        summed: Callable[[NDArray], NDArray] = np.asarray,
    ) -> None:
        self.n, self.sample, self.seed = n, sample, seed
        counts = summed(np.append(np.bincount(rows.indices % n, minlength=n), np.count_nonzero(np.diff(rows.indptr))))
        occurs = share_of_batches(counts[:n], int(counts[n]), size)
        others = max(n - occurs.sum(), 1)
        self.rarity = (1 / np.maximum(occurs + (1 - occurs) * min(sample / others, 1), 1 / n)).astype(np.float32)

    def __call__(self, rows: csr_array, epoch: int, step: int) -> Columns:
        """Return the columns of a batch with these rows."""
        occurs = np.zeros(self.n, bool)
        occurs[rows.indices % self.n] = True
        return self.with_sample(occurs, epoch, step)

    def with_sample(self, occurs: NDArray[np.bool_], epoch: int, step: int) -> Columns:
        """Return the columns of a batch in which those that the mask `occurs`, (n,), has occur."""
        index = np.flatnonzero(occurs)
        importance, others = np.ones(len(index), np.float32), self.n - len(index)
        if self.sample and others:
            drawn = np.random.default_rng((self.seed, epoch, step, 1)).choice(
                np.flatnonzero(~occurs), min(self.sample, others), replace=False
            )
            index = np.concatenate([index, np.sort(drawn)])
            importance = np.append(importance, np.full(len(drawn), others / len(drawn), np.float32))
        return Columns(index.astype(np.int32), importance, self.rarity[index], self.n)


class ScoreSampler:
    """Choose the `Columns` that a batch is scored on: a share of all, the more often the more entries they have. What
    the network takes is whole.

    The loss is estimated from them, and from what is liked of them, by one over the chance of each to be drawn (Horvitz
    and Thompson 1952). rows: CSR. The draws depend on (seed, epoch, step) alone."""

    all_given = True

    def __init__(self, rows: csr_array, share: float, seed: int) -> None:
        self.n, self.seed = rows.shape[1], seed
        self.sample = min(max(2, round(share * self.n)), self.n)  # one alone has a softmax of 1, whatever its score
        self.chance = chances(np.bincount(rows.indices, minlength=self.n) + 1, self.sample)

    def __call__(self, rows: csr_array, epoch: int, step: int) -> Columns:
        """Return the columns of a batch, whatever is in its rows."""
        rng = np.random.default_rng((self.seed, epoch, step, 2))
        order = rng.permutation(self.n)
        passed = np.floor(np.cumsum(self.chance[order]) + rng.random())  # systematic sampling
        drawn = np.sort(order[np.diff(passed, prepend=0) > 0])
        weight = (1 / self.chance[drawn]).astype(np.float32)
        return Columns(drawn.astype(np.int32), weight, weight, self.n, self.all_given)


def chances(counts: NDArray, sample: int) -> NDArray[np.float64]:
    """Compute the chance of each to be in a sample of this size: in proportion to the counts, positive
    numbers, and 1 at most."""
    certain = np.zeros(len(counts), bool)
    while True:
        chance = np.where(certain, 1, counts * ((sample - certain.sum()) / max(counts[~certain].sum(), 1)))
        if not (chance > 1).any():
            return chance
        certain |= chance > 1


def parts(rows: int) -> int:
    """Return how many epochs make a pass over so many rows."""
    return max(1, round(rows / PART_ROWS))


def size(given: int | None, rows: int, usual: int) -> int:
    """Return the number of rows of a batch: what an option gives or, where that is None, the usual of a model or
    `LARGE_BATCH`."""
    return given or (usual if rows < LARGE_ROWS else max(usual, LARGE_BATCH))


def describe(size: int, rows: int, columns: ColumnSampler | ScoreSampler | None, by_user: bool = True) -> list[str]:
    """Return sentences for the user about steps and epochs that are not over everything. size: of a batch. by_user:
    whether rows are users and columns movies."""
    notes, names = [], ("users", "movies") if by_user else ("movies", "users")
    if isinstance(columns, ScoreSampler):
        sampled = f"{columns.sample:,} of the {columns.n:,} {names[1]}"
        notes.append(f"each step computed the scores of {sampled}, much liked ones more often (--score-share)")
    elif columns:
        others = f", and on {columns.sample:,} others, a sample" if columns.sample else ""
        notes.append(f"each step was computed on the {names[1]} that occur in its batch{others} (--sample)")
    if (n := parts(rows)) > 1:
        notes.append(f"an epoch was 1/{n} of a pass over the ratings, in batches of {size} {names[0]}")
    return notes


@dataclass
class Epochs:
    """The batches of an epoch, as a function of its number (from 0)."""

    draw: Callable[[int, int], Iterator[Any]]  # (number of the epoch, step that it begins with)
    steps: int  # batches an epoch
    on_columns: bool = False  # whether each batch is computed on `Columns` of its own

    def __call__(self, number: int, /) -> Iterator[Any]:
        """Return the batches of an epoch."""
        return self.draw(number, 0)

    def in_parts(self, rows: int) -> Epochs:
        """Return epochs that are parts of these, one behind another, where a pass is of many rows, so that a long
        training is judged, and can end, more often."""
        n = parts(rows)
        steps = -(-self.steps // n)

        def part(number: int, start: int) -> Iterator[Any]:
            first = number * steps + start
            while first < (number + 1) * steps:
                whole, at = divmod(first, self.steps)
                end = min(self.steps, at + (number + 1) * steps - first)
                yield from itertools.islice(self.draw(whole, at), end - at)
                first += end - at

        return self if n == 1 else replace(self, draw=part, steps=steps)


def _as_they_are(index: Indices, given: NDArray, judged: NDArray, whole: NDArray) -> tuple[NDArray, NDArray]:
    return given, judged


def denoising(
    matrix: csr_array,
    size: int,
    hide: float,
    target: str,
    seed: int,
    batch: Callable[[Indices, NDArray, NDArray, NDArray], Any] = _as_they_are,
    sampler: ColumnSampler | None = None,
) -> Epochs:
    """Make an epoch of (given, judged) batches, as a function of the epoch's number.

    Each batch holds `size` rows (the last one may hold fewer; rows without ratings are left out). A share `hide` of its
    ratings, drawn anew each epoch, is taken out of `given`; `judged` holds what the loss counts: those hidden ratings
    (target "hidden") or all of them ("all"). Both are dense stars with 0 where there is nothing.
    batch: function (index of the rows, given, judged, whole rows) that makes of them what the network takes and gives.
    sampler: chooses the columns of each batch, which then is ((given, *arrays of its `Columns`), judged).
    The draws depend on (seed, epoch) alone, so a resumed training sees what an uninterrupted one would."""
    filled = np.flatnonzero(np.diff(matrix.indptr))

    def epoch(number: int, begin: int) -> Iterator[Any]:
        rng = np.random.default_rng((seed, number))
        order = rng.permutation(filled)
        for step, start in enumerate(range(0, len(order), size)):
            index = order[start : start + size]
            if step < begin:
                rng.random(np.diff(matrix.indptr)[index].sum())  # what that batch would have drawn
                continue
            part = matrix[index]
            columns = sampler(part, number, step) if sampler else None
            part = columns.only(part) if columns else part
            hidden = rng.random(part.nnz) < hide
            whole = part.toarray()
            dense, row = whole.copy(), np.repeat(np.arange(len(index)), np.diff(part.indptr))
            dense[row[hidden], part.indices[hidden]] = 0
            judged = np.where(dense == 0, whole, 0) if target == "hidden" else whole
            given, judged = batch(index, dense, judged, whole)
            yield (given, *columns.arrays) if columns else given, judged

    return Epochs(epoch, -(-len(filled) // size), on_columns=sampler is not None)


def rows(
    given: csr_array,
    judged: csr_array,
    size: int,
    seed: int,
    inputs: Callable[[Indices, NDArray], Any],
    sampler: ColumnSampler | ScoreSampler | None = None,
) -> Epochs:
    """Make an epoch of (given, judged) batches, as a function of the epoch's number: `size` rows of the CSR matrix
    `judged`, dense, in an order that depends on (seed, epoch) alone; rows with nothing in them are left out. inputs:
    function of the index of the rows, and of these rows of `given`, dense, that gives what the network takes. sampler:
    as in `denoising`."""
    epochs = _orders(np.diff(judged.indptr), size, seed)

    def epoch(number: int, begin: int) -> Iterator[Any]:
        for step, index in enumerate(epochs.draw(number, begin), begin):
            taken, wanted = given[index], judged[index]
            columns = sampler(taken, number, step) if sampler else None
            if columns:
                taken, wanted = columns.taken(taken), columns.scored(wanted)
            x = inputs(index, taken.toarray())
            yield (x, *columns.arrays) if columns else x, wanted.toarray()

    return Epochs(epoch, epochs.steps, on_columns=sampler is not None)


def shared(
    given: csr_array,
    judged: csr_array,
    filled: NDArray,
    size: int,
    seed: int,
    inputs: Callable[[Indices, NDArray], Any],
    columns: int = 0,
) -> Epochs:
    """Make the same batches where `judged` has but the rows of one worker: ((given, places of the own rows in the
    batch, number of its rows), judged). filled: a number for each row, not 0 where some worker has something in it.

    columns: the number of all, where the workers compute each batch on some. What is given and judged are then those
    columns that occur in the worker's own rows, and behind the number of rows come their indices, and the numbers of
    epoch and step."""
    epochs, mine = _orders(filled, size, seed), np.diff(judged.indptr) > 0

    def epoch(number: int, begin: int) -> Iterator[Any]:
        for step, index in enumerate(epochs.draw(number, begin), begin):
            at = np.flatnonzero(mine[index])
            taken, wanted, more = given[index[at]], judged[index[at]], tuple[Any, ...]()
            if columns:
                own = np.unique(taken.indices % columns).astype(np.int32)
                chosen = Columns(own, np.ones(len(own), np.float32), np.ones(len(own), np.float32), columns)
                taken, wanted = chosen.only(taken), chosen.only(wanted)
                more = own, np.int32(number), np.int32(step)
            x = inputs(index[at], taken.toarray())
            yield (x, at.astype(np.int32), np.int32(len(index)), *more), wanted.toarray()

    return Epochs(epoch, epochs.steps, on_columns=columns > 0)


def _orders(filled: NDArray, size: int, seed: int) -> Epochs:
    """Draw the indices of the rows of each batch of an epoch, as a function of the epoch's number."""
    filled = np.flatnonzero(filled)

    def epoch(number: int, begin: int) -> Iterator[Any]:
        order = np.random.default_rng((seed, number)).permutation(filled)
        return (order[start : start + size] for start in range(begin * size, len(order), size))

    return Epochs(epoch, -(-len(filled) // size))
