"""Which columns of the matrix a batch is computed on, and what each of them counts."""

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import random_ratings

from utils.training import batches

ROWS, N = 40, 30
MATRIX = random_ratings(ROWS, N, 150).matrix()


def test_the_columns_of_a_batch_are_those_that_occur_and_some_others():
    part, drawn = MATRIX[[3, 8]], []
    occurs = np.unique(part.indices)
    for seed, epoch, step in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 0)):
        chosen = batches.ColumnSampler(MATRIX, N, 2, 6, seed)(part, epoch, step)
        np.testing.assert_array_equal(chosen.index[: len(occurs)], occurs)
        assert len(set(chosen.index.tolist())) == len(occurs) + 6
        assert chosen.importance.sum() == pytest.approx(N)
        np.testing.assert_array_equal(chosen.rarity, batches.ColumnSampler(MATRIX, N, 2, 6, seed).rarity[chosen.index])
        np.testing.assert_array_equal(chosen.importance[: len(occurs)], 1)
        drawn.append(tuple(chosen.index.tolist()))
    assert drawn[0] == drawn[4]
    assert len(set(drawn)) == 4
    assert batches.ColumnSampler(MATRIX, N, 2, 0, 0)(part, 0, 0).index.tolist() == occurs.tolist()
    assert batches.ColumnSampler(MATRIX, N, 2, N, 0)(part, 0, 0).importance.tolist() == [1] * N


def test_rows_of_some_columns_are_those_columns_of_the_rows():
    two = sp.csr_array(sp.hstack([MATRIX, 2 * MATRIX[::-1]]))
    for rows, blocks in ((MATRIX[[5, 1]], 1), (two[[5, 1]], 2)):
        chosen = batches.ColumnSampler(rows, N, 2, 3, 0)(rows, 0, 0)
        index = np.concatenate([chosen.index + N * block for block in range(blocks)])
        found = chosen.only(rows)
        assert found.shape == (2, len(index))
        np.testing.assert_array_equal(found.toarray(), rows.toarray()[:, index])


@pytest.mark.parametrize("size", [2, 3, 4, 6, 9])
def test_how_rare_a_column_is_counts_the_batches_of_all_orders(size):
    matrix = sp.csr_array(np.triu(np.ones((6, 7), np.float32))[:, [0, 1, 2, 5, 4]])
    shares = []
    for order in permutations(range(6)):
        of_order = [matrix.toarray()[list(order[start : start + size])] for start in range(0, 6, size)]
        shares.append(np.mean([batch.any(axis=0) for batch in of_order], axis=0))
    rarity = batches.ColumnSampler(matrix, 5, size, 0, 0).rarity
    np.testing.assert_allclose(1 / rarity, np.mean(shares, axis=0), rtol=1e-5)


def test_how_rare_a_column_is_counts_that_it_is_sampled():
    sampler = batches.ColumnSampler(MATRIX, N, 3, 6, 0)
    epochs = batches.rows(MATRIX, MATRIX, 3, 0, lambda index, dense: dense, sampler)
    seen = np.zeros(N)
    for number in range(60):
        for (_, index, _, _), _ in epochs(number):
            seen[index] += 1
    np.testing.assert_allclose(1 / sampler.rarity, seen / (60 * epochs.steps), atol=0.06)


@pytest.mark.parametrize(
    ("sample", "n", "counts_all", "expected"),
    [(None, 10_000, True, None), (None, 10_001, True, 1000), (0, 10_001, True, None), (7, 30, True, 7),
     (7, 30, False, 0), (None, 10_001, False, 0)],
)  # fmt: skip
def test_how_many_columns_are_sampled(sample, n, counts_all, expected):
    rows = sp.csr_array(([1.0], ([0], [3])), shape=(2, n))
    made = batches.sampler(SimpleNamespace(sample=sample), rows, n, 2, 0, counts_all)
    assert (made and made.sample) == expected


# -- a sample of the columns is scored ---------------------------------------------------------------------------------


def test_the_columns_that_are_scored_are_drawn_by_their_number_of_entries():
    counts = np.bincount(MATRIX.indices, minlength=N) + 1
    sampler, seen, drawn = batches.ScoreSampler(MATRIX, 0.5, 0), np.zeros(N), set()
    for epoch in range(20):
        for step in range(50):
            chosen = sampler(MATRIX[:2], epoch, step)
            assert len(chosen.index) == 15
            assert (chosen.index.dtype, chosen.importance.dtype) == (np.int32, np.float32)
            assert (np.diff(chosen.index) > 0).all()
            np.testing.assert_allclose(chosen.importance, 1 / sampler.chance[chosen.index], rtol=1e-6)
            np.testing.assert_array_equal(chosen.rarity, chosen.importance)
            seen[chosen.index] += 1
            drawn.add(tuple(chosen.index.tolist()))
    np.testing.assert_allclose(seen / 1000, sampler.chance, atol=0.06)
    assert len(drawn) > 950
    less = sampler.chance < 1
    np.testing.assert_allclose(sampler.chance[less] / counts[less], (sampler.chance / counts)[less].max())
    first, again, seeded, other = (
        batches.ScoreSampler(MATRIX, 0.5, seed)(MATRIX, epoch, step).index.tolist()
        for seed, epoch, step in ((0, 2, 1), (0, 2, 1), (1, 2, 1), (0, 1, 2))
    )
    assert first == again
    assert first not in (seeded, other)


@pytest.mark.parametrize(
    ("counts", "sample", "expected"),
    [([1, 2, 3, 4], 1, [0.1, 0.2, 0.3, 0.4]), ([1, 1, 2, 16], 2, [0.25, 0.25, 0.5, 1]),
     ([1, 2, 9, 90], 3, [1 / 3, 2 / 3, 1, 1]), ([1, 1, 9, 90], 4, [1, 1, 1, 1])],
)  # fmt: skip
def test_the_chance_to_be_scored_is_proportional_up_to_certainty(counts, sample, expected):
    np.testing.assert_allclose(batches.chances(np.array(counts), sample), expected)


def test_a_column_without_entries_is_scored_at_times():
    few = sp.csr_array(([1.0] * 5, ([0, 0, 1, 2, 3], [0, 4, 0, 0, 0])), shape=(4, 6))
    np.testing.assert_allclose(batches.ScoreSampler(few, 0.5, 0).chance, [1, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("n", "share", "sample"), [(30, 0.03, 2), (30, 0.1, 3), (2, 0.3, 2), (1, 0.3, 1), (30, 0.99, 30)]
)
def test_two_columns_are_scored_at_least_since_one_alone_says_nothing(n, share, sample):
    sampler = batches.ScoreSampler(sp.csr_array(np.ones((3, n), np.float32)), share, 0)
    assert (sampler.sample, len(sampler(None, 0, 0).index)) == (sample, sample)


def test_what_is_scored_is_some_of_what_is_given():
    chosen = batches.ScoreSampler(MATRIX, 0.3, 0)(MATRIX, 0, 0)
    assert chosen.taken(MATRIX) is MATRIX
    np.testing.assert_array_equal(chosen.scored(MATRIX).toarray(), MATRIX.toarray()[:, chosen.index])
    epochs = batches.rows(MATRIX, 2 * MATRIX, 7, 0, lambda index, dense: dense, batches.ScoreSampler(MATRIX, 0.3, 0))
    assert epochs.on_columns
    for (given, index, *_), judged in epochs(3):
        assert given.shape[1] == N
        np.testing.assert_array_equal(judged, 2 * given[:, index])
