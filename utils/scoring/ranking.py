"""Masking and top-k, in the one order of the project: score descending, then movie index ascending."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utils.scoring.parallel import parallel_rows
from utils.scoring.protocols import CSR, Indices

ROWS = 128  # ranked at a time
GROUP = 8  # scores, of which only the best is looked at first


def hide_seen(scores: NDArray, seen: CSR | tuple[Indices, Indices]) -> NDArray:
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
        top[rows] = _top_k(scores[rows], k)

    parallel_rows(rank, len(scores) if k else 0, ROWS)
    return top


def _top_k(scores: NDArray, k: int) -> NDArray[np.intp]:
    """Sort only the scores that reach the k-th best of the best of groups, as at least k do: several times as fast."""
    n = scores.shape[1]
    groups = n // GROUP
    best = scores
    if groups >= k:
        best = scores[:, :groups]
        for start in range(groups, GROUP * groups, groups):
            best = np.maximum(best, scores[:, start : start + groups])
    reaches = scores >= np.partition(best, best.shape[1] - k, axis=1)[:, [-k]]
    count = np.count_nonzero(reaches, axis=1)
    if count.min() < k:  # some are no numbers
        return np.argsort(-scores, axis=1, kind="stable")[:, :k]
    cells, filled = np.flatnonzero(reaches), np.arange(count.max()) < count[:, None]
    negative, movie = np.full(filled.shape, np.inf, np.result_type(scores, np.float32)), np.zeros(filled.shape, np.intp)
    negative[filled], movie[filled] = -scores.take(cells), cells % n  # by index, which a stable sort keeps among ties
    return np.take_along_axis(movie, np.argsort(negative, axis=1, kind="stable")[:, :k], axis=1)
