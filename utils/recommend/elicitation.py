"""Which movies to ask somebody new about: well known, and told apart by what the answers say about all others."""

import numpy as np

from utils.data.ratings import likes
from utils.recommend.recommendations import known_count

CANDIDATES = 300  # best-known movies, among which there is a choice
TOLD = 2000  # best-known movies, about which the answers are to tell
CHOSEN = 60  # movies that are chosen; the other candidates follow, the best known first


def order(split):
    """Indices of the best-known movies, the one to ask about first in front.

    Each next movie is the one whose likes, beside those of the movies before it, explain most of the variance of the
    likes of TOLD movies by least squares: greedy column subset selection (Farahat et al., ICDM 2011), as Liu et al.
    (RecSys 2011) ask new users about the columns that represent a rating matrix best. A like weighs one over the root
    of its user's number of likes, so that no few users decide. A movie that few know explains little, so that what is
    asked can mostly be answered."""
    count = known_count(split)
    known = np.argsort(-count, kind="stable")[:TOLD]
    known = known[count[known] > 0]
    liked = likes(split.known, split.ratings.like).astype(np.float64)
    liked.data /= np.sqrt(np.repeat(np.diff(liked.indptr), np.diff(liked.indptr)))
    liked, n = liked[:, known], min(CANDIDATES, len(known))
    mean = liked.sum(axis=0) / liked.shape[0]
    shared = (liked[:, :n].T @ liked).toarray() - liked.shape[0] * np.outer(mean[:n], mean)
    chosen = []
    for _ in range(min(CHOSEN, n)):
        own = np.maximum(np.diagonal(shared), 0)  # what of each candidate is not explained yet
        told = np.divide((shared**2).sum(axis=1), own, out=np.zeros(n), where=own > 1e-9 * (own.max() + 1))
        told[chosen] = -1
        chosen.append(int(told.argmax()))
        row = shared[chosen[-1]]
        if own[chosen[-1]] > 0:
            shared = shared - np.outer(row[:n], row) / own[chosen[-1]]
    return np.concatenate([known[chosen], np.delete(known[:n], chosen)])
