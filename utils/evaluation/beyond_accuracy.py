"""Properties of lists of recommendations beyond accuracy: catalogue coverage, novelty, diversity, calibration.

They are computed on the first N = 10 movies of each judged user. `popularity` of a movie is the number of users who are
known to have rated it. Every figure but the first two is a mean over users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import likes
from utils.evaluation.bootstrap import Metric, Overall
from utils.scoring.latent import unit

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from utils.evaluation.holdout_metrics import RankedLists
    from utils.scoring.protocols import Floats, Indices

SMOOTH = 0.01  # share of the wanted genres mixed into those of a list, so that a missing one is no infinite loss

N = 10
ABOUT = {
    "coverage@10": "share of all movies that are on at least one list",
    "gini@10": "how unequally movies are recommended: 0 all as often, 1 one movie alone",
    "novelty@10": "bits that a recommended movie tells: -log2 of the share of users who rated it",
    "diversity_genres@10": "mean distance (1 - cosine) in genre of two movies of a list",
    "diversity_latent@10": "the same in latent space",
    "popularity_lift@10": "how much more popular recommended movies are than those their users rated",
    "calibration@10": "KL divergence of the genres of a list from those of the likes (0 is best)",
}


def beyond(
    lists: RankedLists, given: csr_array, like: float, shares: NDArray[np.float64], vectors: Floats | None = None
) -> dict[str, Metric | Overall]:
    """Return {name of ABOUT: `Metric` or `Overall`} of the lists; where the data names no genres, or there is no latent
    space, the figures that need those are absent.

    given: CSR (n_users, n_movies), stars that are known. like: above this a rating is a like. shares: (n_movies,
    n_genres), from `movies.genre_shares`. vectors: (n_movies, latent)."""
    top, users = lists.top[:, :N], lists.users
    if not len(users):
        return {}
    n_users, n_movies = given.shape
    popularity = np.bincount(given.indices, minlength=n_movies)
    figures: dict[str, Metric | Overall] = {"coverage@10": coverage(top, n_movies), "gini@10": gini(top, n_movies)}
    figures["novelty@10"] = _placed(novelty(top, popularity, n_users), users, n_users)
    if shares.shape[1]:
        figures["diversity_genres@10"] = _placed(diversity(top, shares), users, n_users)
    if vectors is not None:
        figures["diversity_latent@10"] = _placed(diversity(top, vectors), users, n_users)
    figures["popularity_lift@10"] = popularity_lift(top, given, popularity, users)
    if shares.shape[1]:
        figures["calibration@10"] = _placed(calibration(top, given[users], like, shares), users, n_users)
    return figures


def _placed(values: NDArray[np.float64], users: Indices, n_users: int) -> Metric:
    """Make the `Metric` of one value for each judged user, nan where there is none."""
    there = np.isfinite(values)
    total = np.zeros(n_users)
    total[users[there]] = values[there]
    return Metric(total, np.bincount(users[there], minlength=n_users).astype(float))


def mean_over(top: Indices, values: NDArray) -> NDArray[np.float64]:
    """Return the mean over each list of a value of its movies, (n,), nan for an empty list. top: (n, k), -1 where there
    is no movie; values: (n_movies,)."""
    there = top >= 0
    with np.errstate(invalid="ignore"):
        return np.where(there, values[top], 0).sum(axis=1) / there.sum(axis=1)


def counts_of(top: Indices, n_movies: int) -> NDArray[np.intp]:
    """Count on how many lists each movie is, (n_movies,)."""
    return np.bincount(top[top >= 0], minlength=n_movies)


def coverage(top: Indices, n_movies: int) -> Overall:
    """Return the catalogue coverage in [0, 1] (Ge, Delgado-Battenfeld and Jannach, RecSys 2010)."""
    count = counts_of(top, n_movies)
    alone = np.where(top >= 0, count[top] == 1, False).sum(axis=1)
    reached = np.count_nonzero(count)
    return Overall(reached / n_movies, (reached - alone) / n_movies)


def gini(top: Indices, n_movies: int) -> Overall:
    """Return the Gini index of how often movies are recommended (Fleder and Hosanagar, Management Science 2009):
    sum over movies in ascending order i = 1..M of (2i - M - 1) count_i, over M times the sum of the counts."""
    count = counts_of(top, n_movies)
    ascending = np.sort(count)
    weight = 2 * np.arange(1, n_movies + 1) - n_movies - 1
    total, area = count.sum(), weight @ ascending
    # without a list each of its movies is counted one less: of those with an equal count the first in order
    counts = np.sort(np.where(top >= 0, count[top], 0), axis=1)
    place = np.searchsorted(ascending, counts) + np.arange(counts.shape[1]) - _first_of_equal(counts)
    lost = np.where(counts > 0, weight[np.minimum(place, n_movies - 1)], 0).sum(axis=1)
    left = np.maximum(total - (top >= 0).sum(axis=1), 1)
    return Overall(area / (n_movies * max(total, 1)), (area - lost) / (n_movies * left))


def _first_of_equal(rows: Indices) -> Indices:
    """Return for each value of ascending rows, (n, k), the place of the first that equals it."""
    new = np.diff(rows, axis=1, prepend=-1) > 0
    return np.maximum.accumulate(np.where(new, np.arange(rows.shape[1]), 0), axis=1)


def novelty(top: Indices, popularity: Indices, n_users: int) -> NDArray[np.float64]:
    """Return the mean self-information of the movies of each list in bits, (n,): -log2(popularity / users) (Zhou et
    al., PNAS 2010); a movie without ratings counts as one with a single rating."""
    return mean_over(top, -np.log2(np.maximum(popularity, 1) / n_users))


def diversity(top: Indices, vectors: NDArray) -> NDArray[np.float64]:
    """Return the intra-list diversity, (n,) in [0, 2]: the mean of 1 - cosine over all pairs of a list (Ziegler et al.,
    WWW 2005, sum up similarities instead). Movies with a zero vector (no genres, no ratings) are left out; nan where no
    pair is left."""
    directions = unit(vectors)
    there = (top >= 0) & np.append(np.any(directions != 0, axis=1), False)[top]
    k = there.sum(axis=1)
    total = np.zeros((len(top), directions.shape[1]), np.float64)
    for column, known in zip(top.T, there.T, strict=True):  # the sum of all pairs' cosines is |sum of vectors|^2
        total[known] += directions[column[known]]
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = ((total**2).sum(axis=1) - k) / (k * (k - 1))
    return np.where(k > 1, 1 - cosines, np.nan)


def popularity_lift(top: Indices, given: csr_array, popularity: Indices, users: Indices) -> Metric:
    """Return the popularity lift (Abdollahpouri et al., RMSE workshop at RecSys 2019): the mean popularity of what is
    recommended to a user less that of what the user rated, both averaged over users, as a share of the latter."""
    n_users = given.shape[0]
    each = given[users]
    rated = np.diff(each.indptr)
    sums = np.add.reduceat(np.append(popularity[each.indices], 0), np.minimum(each.indptr[:-1], each.nnz))
    rated_popularity = np.divide(sums, rated, out=np.full(len(users), np.nan), where=rated > 0)
    gain = mean_over(top, popularity) - rated_popularity
    there = np.isfinite(gain)
    total, count = np.zeros(n_users), np.zeros(n_users)
    total[users[there]], count[users[there]] = gain[there], rated_popularity[there]
    return Metric(total, count, n=int(there.sum()))


def calibration(top: Indices, given: csr_array, like: float, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return KL(genres of the user's likes || genres of the list), (n,), the latter smoothed (Steck, RecSys 2018, with
    alpha = .01, all ratings and places weighing the same); nan where no genre is known of either."""
    wanted, listed = likes(given, like) @ shares, np.zeros((len(top), shares.shape[1]))
    for column in top.T:
        listed += np.where(column[:, None] >= 0, shares[column], 0)
    values = np.full(len(top), np.nan)
    for i in np.flatnonzero((wanted.sum(axis=1) > 0) & (listed.sum(axis=1) > 0)):
        values[i] = divergence(wanted[i] / wanted[i].sum(), listed[i : i + 1] / listed[i].sum())[0]
    return values


def divergence(wanted: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return KL(wanted || shares), (m,), 0 where they agree. wanted: (n_genres,); shares: (m, n_genres), smoothed with
    SMOOTH of what is wanted."""
    shares = (1 - SMOOTH) * shares + SMOOTH * wanted
    there = wanted > 0
    return (wanted[there] * np.log(wanted[there] / shares[:, there])).sum(axis=1)
