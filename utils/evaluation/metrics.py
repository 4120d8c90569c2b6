"""Ranking metrics in plain numpy: one value for each user, never a mean, from which intervals and slices are computed.

They follow Liang et al. 2018 (Mult-VAE): binary relevance, gain 1/log2(rank + 1), ideal cut at min(k, hidden); recall
divides by min(k, hidden) so that 1 can be reached. A user with nothing hidden has no value (nan)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utils.scoring.protocols import CSR, Indices


def hits(top: Indices, hidden: CSR) -> NDArray[np.bool_]:
    """Tell for each movie of `top`, (n, k), -1 where there is none, whether it is stored in that row of `hidden`."""
    is_hidden = np.zeros((hidden.shape[0], hidden.shape[1] + 1), bool)  # the last column is that of -1
    is_hidden[np.repeat(np.arange(hidden.shape[0]), np.diff(hidden.indptr)), hidden.indices] = True
    return np.take_along_axis(is_hidden, top, axis=1)


def ndcg(hit: NDArray[np.bool_], n_hidden: Indices, k: int) -> NDArray[np.float64]:
    """Return NDCG@k, (n,) in [0, 1]. hit: (n, >= min(k, n_movies)) from `hits`; n_hidden: (n,) hidden likes a user."""
    hit = hit[:, :k]
    gain = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(gain)])[np.minimum(n_hidden, k)]
    return np.divide(hit @ gain[: hit.shape[1]], ideal, out=np.full(len(hit), np.nan), where=n_hidden > 0)


def recall(hit: NDArray[np.bool_], n_hidden: Indices, k: int) -> NDArray[np.float64]:
    """Return recall@k, (n,) in [0, 1], over min(k, hidden)."""
    most = np.minimum(n_hidden, k)
    return np.divide(hit[:, :k].sum(axis=1), most, out=np.full(len(hit), np.nan), where=n_hidden > 0)


CUTS = {"ndcg@100": (ndcg, 100), "recall@20": (recall, 20), "recall@50": (recall, 50)}  # the metrics of every ranking
