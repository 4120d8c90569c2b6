"""The only masking and the only top-k: score descending, then movie index ascending."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from utils.scoring.parallel import parallel_rows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from utils.scoring.protocols import Indices

ROWS = 128  # ranked at a time
GROUP = 8  # scores, of which only the best is looked at first


def hide_seen(scores: NDArray, seen: csr_array | tuple[Indices, Indices]) -> NDArray:
    """Set the score of every seen cell to -inf, in place; returns `scores` (n, n_movies). seen: CSR matrix, of which
    the stored cells count, or (rows, movies). -inf, not 0: a score may be negative, and 0 would then still win."""
    if not isinstance(seen, tuple):
        seen = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr)), seen.indices
    scores[seen] = -np.inf
    return scores


def top_k(scores: NDArray, k: int) -> NDArray[np.intp]:
    """Return the movie indices of the `k` best scores of each row: (n, min(k, n_movies)), best first, equal scores by
    index. A row with fewer finite scores than that ends in movies scored -inf: callers that print must drop those."""
    k = min(k, scores.shape[1])
    top = np.empty((len(scores), k), np.intp)

    def rank(rows: slice) -> None:
        top[rows] = _top_k_of_groups(scores[rows], k)

    parallel_rows(rank, len(scores) if k else 0, ROWS)
    return top


def _top_k_of_groups(scores: NDArray, k: int) -> NDArray[np.intp]:
    """Do what `_top_k` does, several times as fast for few of many: only scores that reach the k-th best of the best of
    groups need ranking, which at least k scores do."""
    n = scores.shape[1]
    groups = n // GROUP
    if groups < k:
        return _top_k(scores, k)
    best = scores[:, :groups]
    for start in range(groups, GROUP * groups, groups):
        best = np.maximum(best, scores[:, start : start + groups])
    reaches = scores >= np.partition(best, groups - k, axis=1)[:, [groups - k]]
    count = np.count_nonzero(reaches, axis=1)
    if count.min() < k or count.max() > n // 2:  # some are no numbers, or many tie
        return _top_k(scores, k)
    at, filled = np.flatnonzero(reaches), np.arange(count.max()) < count[:, None]
    worse, place = np.full(filled.shape, np.inf, np.result_type(scores, np.float32)), np.zeros(filled.shape, np.intp)
    worse[filled], place[filled] = -scores.take(at), at % n  # by index: the sort leaves ties so
    return np.take_along_axis(place, np.argsort(worse, axis=1, kind="stable")[:, :k], axis=1)


def _top_k(scores: NDArray, k: int) -> NDArray[np.intp]:
    # what reaches the k-th best score; where ties reach it, too, or scores are no numbers, these are not k
    reaches = scores >= np.partition(scores, scores.shape[1] - k, axis=1)[:, [scores.shape[1] - k]]
    unlike = np.count_nonzero(reaches, axis=1) != k
    reaches[unlike] = False
    top = np.empty((len(scores), k), np.intp)
    top[~unlike] = (np.flatnonzero(reaches) % scores.shape[1]).reshape(-1, k)  # by index: the sort leaves ties so
    top[unlike] = np.argsort(-scores[unlike], axis=1, kind="stable")[:, :k]
    return np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable"), 1)
