"""The only masking and the only top-k: score descending, then movie index ascending."""

import numpy as np


def hide_seen(scores, seen):
    """Set the score of every seen cell to -inf, in place; returns `scores` (n, n_movies). seen: CSR matrix, whose
    stored cells are meant, or (rows, movies). -inf, not 0: a score may be negative, and 0 would then still win."""
    if not isinstance(seen, tuple):
        seen = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr)), seen.indices
    scores[seen] = -np.inf
    return scores


def top_k(scores, k):
    """Movie indices of the `k` best scores of each row: (n, min(k, n_movies)) intp, best first, equal scores by
    index. A row with fewer finite scores than that ends in movies scored -inf: callers that print must drop those."""
    k = min(k, scores.shape[1])
    if k == 0:
        return np.empty((len(scores), 0), np.intp)
    # what reaches the k-th best score is a candidate; where ties reach it too, there may be more than k of them
    threshold = np.partition(scores, scores.shape[1] - k, axis=1)[:, [scores.shape[1] - k]]
    ties = (scores >= threshold).sum(axis=1) > k
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    top.sort(axis=1)  # by index first, so that the stable sort below leaves ties in that order
    top = np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable"), 1)
    for row in np.flatnonzero(ties):
        top[row] = np.argsort(-scores[row], kind="stable")[:k]
    return top
