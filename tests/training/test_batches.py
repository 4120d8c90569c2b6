"""Batches: which rows are in them, in which order, and what is given and judged of each."""

import numpy as np
import pytest
from conftest import random_ratings

from utils.training import batches

MATRIX = random_ratings(23, 30, 120).matrix()[:, :28]
FILLED = np.flatnonzero(np.diff(MATRIX.indptr))
SEEN = [(seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)]


def denoised(hide, target, seed, epoch, size=4):
    """[(index, given, judged, whole)] of an epoch."""
    epochs = batches.denoising(MATRIX, size, hide, target, seed, lambda *batch: (batch[:2], batch[2:]))
    return [(*x, *y) for x, y in epochs(epoch)]


def order(epoch):
    """The rows of an epoch in their order."""
    return np.concatenate([index for index, *_ in epoch]).tolist()


def as_bytes(found):
    """What is in some batches on some columns, and which these are, in their order."""
    return [b"".join(np.ascontiguousarray(part).tobytes() for part in (*x, *own, y)) for (x, *own), y in found]


def test_an_epoch_can_begin_with_any_step_and_be_a_part_of_a_pass(monkeypatch):
    sampler = batches.ColumnSampler(MATRIX, 28, 5, 3, 1)
    whole = batches.denoising(MATRIX, 5, 0.5, "all", 1, lambda *batch: (batch[:2], batch[2]), sampler)
    for epochs in (whole, batches.rows(MATRIX, MATRIX, 5, 1, lambda *inputs: inputs, sampler)):
        passes = [as_bytes(epochs.draw(n, 0)) for n in range(3)]
        assert epochs.steps == len(passes[0]) == 5
        for begin in range(6):
            assert as_bytes(epochs.draw(1, begin)) == passes[1][begin:]
        monkeypatch.setattr(batches, "PART_ROWS", 10)
        assert epochs.in_parts(14) is epochs
        in_parts, behind = epochs.in_parts(16), [batch for one in passes for batch in one]
        assert (in_parts.steps, in_parts.on_columns) == (3, True)
        for number in range(5):
            for begin in range(3):
                found = as_bytes(in_parts.draw(number, begin))
                assert found == behind[3 * number + begin : 3 * number + 3]


@pytest.mark.parametrize("target", ["all", "hidden"])
def test_a_batch_is_of_its_rows_and_judges_what_it_says(target):
    found = denoised(0.4, target, 3, 5)
    assert [len(index) for index, *_ in found] == [4] * (len(FILLED) // 4) + [len(FILLED) % 4][: len(FILLED) % 4]
    for index, given, judged, whole in found:
        np.testing.assert_array_equal(whole, MATRIX[index].toarray())
        assert set(np.unique(given[given != whole])) <= {0}
        np.testing.assert_array_equal(judged, whole if target == "all" else whole - given)
        assert given.dtype == judged.dtype == whole.dtype == np.float32


@pytest.mark.parametrize(("hide", "share"), [(0.0, 1.0), (0.25, 0.75), (1.0, 0.0)])
def test_the_share_given_is_what_is_not_hidden(hide, share):
    given = sum(np.count_nonzero(given) for epoch in range(20) for _, given, *_ in denoised(hide, "all", 0, epoch))
    assert given / (20 * MATRIX.nnz) == pytest.approx(share, abs=0.03 if 0 < share < 1 else 0)


def test_every_row_with_ratings_is_in_an_epoch_once_in_an_order_of_its_seed_and_number():
    for make in (
        lambda seed, epoch: denoised(0.5, "all", seed, epoch),
        lambda seed, epoch: list(batches.rows(MATRIX, MATRIX, 4, seed, lambda index, _: index)(epoch)),
    ):
        orders = {(seed, epoch): order(make(seed, epoch)) for seed, epoch in SEEN}
        assert all(sorted(one) == FILLED.tolist() != one for one in orders.values())
        assert len(set(map(tuple, orders.values()))) == len(SEEN)
        assert order(make(1, 2)) == orders[1, 2]


def test_what_is_hidden_depends_on_seed_and_epoch():
    def hidden(seed, epoch):
        lost = np.zeros(MATRIX.shape, bool)
        for index, given, _, whole in denoised(0.5, "all", seed, epoch):
            lost[index] = given != whole
        return lost.tobytes()

    assert len({hidden(*which) for which in SEEN}) == len(SEEN)


def test_rows_are_those_of_the_matrix_that_is_judged():
    epoch = batches.rows(2 * MATRIX, MATRIX, 4, 2, lambda index, given: (10 * index, given))
    found = list(epoch(1))
    assert epoch.steps == len(found) == -(-len(FILLED) // 4)
    for (inputs, given), judged in found:
        np.testing.assert_array_equal(judged, MATRIX[inputs // 10].toarray())
        np.testing.assert_array_equal(given, 2 * judged)


def test_the_parts_of_several_workers_are_the_batches_of_one():
    owner, filled = np.arange(MATRIX.shape[0]) % 3, np.diff(MATRIX.indptr)
    workers = []
    for worker in range(3):
        own = MATRIX.copy()
        own.data = np.where(np.repeat(owner, filled) == worker, own.data, 0)
        own.eliminate_zeros()
        workers.append(batches.shared(2 * own, own, filled, 4, 7, lambda index, given: (index, given)))
    whole = batches.rows(MATRIX, MATRIX, 4, 7, lambda index, _: index)
    assert {worker.steps for worker in workers} == {whole.steps}
    for (index, judged), *parts in zip(whole(3), *(worker(3) for worker in workers), strict=True):
        put = np.full(judged.shape, -1, np.float32)
        for worker, (((rows, given), at, n), stars) in enumerate(parts):
            assert n == len(index)
            assert at.dtype == np.int32
            assert rows.tolist() == index[at].tolist()
            assert (owner[rows] == worker).all()
            np.testing.assert_array_equal(given, 2 * stars)
            put[at] = stars
        np.testing.assert_array_equal(put, judged)


def test_what_was_not_over_everything_is_said():
    sampler = batches.ColumnSampler(MATRIX, 28, 5, 1234, 1)
    assert batches.describe(64, 74_999, None) == []
    assert batches.describe(250, 125_001, sampler) == [
        "each step was computed on the movies that occur in its batch, and on 1,234 others, a sample (--sample)",
        "an epoch was 1/3 of a pass over the ratings, in batches of 250 users",
    ]
    exact = batches.ColumnSampler(MATRIX, 28, 5, 0, 1)
    assert batches.describe(64, 9, exact, by_user=False) == [
        "each step was computed on the users that occur in its batch (--sample)"
    ]


@pytest.mark.parametrize(
    ("given", "rows", "usual", "size"),
    [(None, 19_999, 64, 64), (None, 20_000, 64, 250), (None, 20_000, 500, 500), (7, 20_000, 64, 7), (900, 9, 64, 900)],
)
def test_batches_of_large_data_are_larger_unless_an_option_says_otherwise(given, rows, usual, size):
    assert batches.size(given, rows, usual) == size
