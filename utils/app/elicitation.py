"""Which movies to ask somebody new about: well known, and informative about all others."""

from __future__ import annotations

import numpy as np

from utils.data.ratings import likes
from utils.data.splits import Split
from utils.scoring.protocols import Indices

CANDIDATES = 300  # best-known movies, among which there is a choice
TARGETS = 2000  # best-known movies, whose likes the answers are to predict
SELECTED = 60  # movies that are selected; the other candidates follow, the best known first


def order(split: Split) -> Indices:
    """Order the best-known movies by what there is to learn from asking about them; returns their indices.

    Each next movie is the one whose likes, with those of the movies before it, explain most of the variance of the
    likes of TARGETS movies by least squares: greedy column subset selection (Farahat et al., ICDM 2011; for asking new
    users Liu et al., RecSys 2011). A like weighs one over the root of its user's number of likes, so that active users
    do not dominate. A movie that few know explains little, so that most questions can be answered."""
    count = split.known_count
    known = np.argsort(-count, kind="stable")[:TARGETS]
    known = known[count[known] > 0]
    liked = likes(split.known, split.ratings.like).astype(np.float64)
    liked.data /= np.sqrt(np.repeat(np.diff(liked.indptr), np.diff(liked.indptr)))
    liked, n = liked[:, known], min(CANDIDATES, len(known))
    mean = liked.sum(axis=0) / liked.shape[0]
    covariance = (liked[:, :n].T @ liked).toarray() - liked.shape[0] * np.outer(mean[:n], mean)
    selected: list[int] = []
    for _ in range(min(SELECTED, n)):
        variance = np.maximum(np.diagonal(covariance), 0)  # of each candidate, as far as it is not explained yet
        can_explain = variance > 1e-9 * (variance.max() + 1)
        explained = np.divide((covariance**2).sum(axis=1), variance, out=np.zeros(n), where=can_explain)
        explained[selected] = -1
        best = int(explained.argmax())
        selected.append(best)
        if variance[best] > 0:
            covariance = covariance - np.outer(covariance[best, :n], covariance[best]) / variance[best]
    return np.concatenate([known[selected], np.delete(known[:n], selected)])
