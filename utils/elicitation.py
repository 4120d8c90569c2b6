"""Which movies to ask somebody new about: well known, and told apart by what the answers would say."""

import numpy as np

from utils import latent
from utils.answers import known_count

CANDIDATES = 300  # best-known movies, among which there is a choice


def order(saved):
    """Indices of the best-known movies, the one to ask about first in front.

    Each next movie is the one whose latent vector, as long as the share of users who rated it, sticks out farthest from
    what the ones before it span: QR with column pivoting, the greedy choice of representatives of Liu et al. (RecSys
    2011), weighted here by how likely there is an answer at all. A model without a latent space asks about the most
    rated ones."""
    count = known_count(saved.split)
    pool = np.argsort(-count, kind="stable")[:CANDIDATES]
    pool = pool[count[pool] > 0]
    if not saved.hoods:
        return pool
    from scipy.linalg import qr  # a quarter of a second that recommend.py does without

    vectors = saved.space.movies
    vectors = latent.unit(vectors[pool] - vectors[pool].mean(axis=0))
    share = count[pool] / saved.split.ratings.shape[0]
    chosen = qr((vectors * share[:, None]).T, mode="r", pivoting=True)[1][: vectors.shape[1]]
    return np.concatenate([pool[chosen], np.delete(pool, chosen)])  # what lies in the span of others comes last
