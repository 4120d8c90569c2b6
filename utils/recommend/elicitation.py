"""Which movies to ask somebody new about: well known, and informative about all others."""

from __future__ import annotations

import numpy as np

from utils.data.ratings import likes
from utils.data.splits import Split
from utils.recommend.recommendations import known_count
from utils.scoring.protocols import Indices

CANDIDATES = 300  # best-known movies, among which there is a choice
TARGETS = 2000  # best-known movies, whose likes the answers are to predict
CHOSEN = 60  # movies that are chosen; the other candidates follow, the best known first


def order(split: Split) -> Indices:
    """Order the best-known movies by what there is to learn from asking about them: their indices, the first to ask
    first.

    Each next movie is the one whose likes, together with those of the movies before it, explain most of the variance of
    the likes of TARGETS movies by least squares: greedy column subset selection (Farahat et al., ICDM 2011), as Liu et
    al. (RecSys 2011) ask new users about the columns that represent a rating matrix best. A like weighs one over the
    root of its user's number of likes, so that active users do not decide alone. A movie that few know explains little,
    so that most questions can be answered."""
    count = known_count(split)
    known = np.argsort(-count, kind="stable")[:TARGETS]
    known = known[count[known] > 0]
    liked = likes(split.known, split.ratings.like).astype(np.float64)
    liked.data /= np.sqrt(np.repeat(np.diff(liked.indptr), np.diff(liked.indptr)))
    liked, n = liked[:, known], min(CANDIDATES, len(known))
    mean = liked.sum(axis=0) / liked.shape[0]
    shared = (liked[:, :n].T @ liked).toarray() - liked.shape[0] * np.outer(mean[:n], mean)
    chosen: list[int] = []
    for _ in range(min(CHOSEN, n)):
        left = np.maximum(np.diagonal(shared), 0)  # the variance of each candidate that is not explained yet
        explained = np.divide((shared**2).sum(axis=1), left, out=np.zeros(n), where=left > 1e-9 * (left.max() + 1))
        explained[chosen] = -1
        chosen.append(int(explained.argmax()))
        row = shared[chosen[-1]]
        if left[chosen[-1]] > 0:
            shared = shared - np.outer(row[:n], row) / left[chosen[-1]]
    return np.concatenate([known[chosen], np.delete(known[:n], chosen)])
