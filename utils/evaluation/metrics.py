"""Metrics in plain numpy: one value a user or a rating, never a mean, so that intervals and slices can be made of them.

Ranking follows Liang et al. 2018 (Mult-VAE): binary relevance, gain 1/log2(rank + 1), ideal cut at min(k, hidden);
recall divides by min(k, hidden) so that 1 can be reached. A user with nothing hidden has no value (nan): callers leave
those out and count them.
"""

import numpy as np


def hits(top, hidden):
    """(n, k) bool: whether the movie at each place of `top` (n, k), -1 where there is none, is a stored cell of that
    row of the CSR `hidden`."""
    found = np.zeros((hidden.shape[0], hidden.shape[1] + 1), bool)  # the last column is that of -1
    found[np.repeat(np.arange(hidden.shape[0]), np.diff(hidden.indptr)), hidden.indices] = True
    return np.take_along_axis(found, top, axis=1)


def ndcg(hit, n_hidden, k):
    """NDCG@k, (n,) in [0, 1]. hit: (n, >= min(k, n_movies)) from `hits`; n_hidden: (n,) hidden likes a user."""
    hit = hit[:, :k]
    gain = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(gain)])[np.minimum(n_hidden, k)]
    return np.divide(hit @ gain[: hit.shape[1]], ideal, out=np.full(len(hit), np.nan), where=n_hidden > 0)


def recall(hit, n_hidden, k):
    """Recall@k, (n,) in [0, 1], over min(k, hidden)."""
    most = np.minimum(n_hidden, k)
    return np.divide(hit[:, :k].sum(axis=1), most, out=np.full(len(hit), np.nan), where=n_hidden > 0)


def squared_error(actual, predicted):
    """(n,) stars**2; its mean is the MSE, the root of that the RMSE."""
    return (np.asarray(actual, np.float64) - predicted) ** 2


def absolute_error(actual, predicted):
    """(n,) stars; its mean is the MAE."""
    return np.abs(np.asarray(actual, np.float64) - predicted)


CUTS = {"ndcg@100": (ndcg, 100), "recall@20": (recall, 20), "recall@50": (recall, 50)}  # what ranking is judged by
