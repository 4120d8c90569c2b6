"""Properties of lists of recommendations beyond accuracy: catalogue coverage, novelty, diversity, calibration.

Every figure but the first two is a mean over test users. `popularity` of a movie is the number of its known ratings;
`top`, (n, k), holds the movie indices of n lists, -1 where there are no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import likes
from utils.evaluation.bootstrap import Metric, Overall
from utils.scoring.latent import unit
from utils.scoring.protocols import CSR, Floats, Indices

if TYPE_CHECKING:
    from utils.evaluation.holdout_metrics import RankedLists

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
    lists: RankedLists, given: CSR, like: float, shares: NDArray[np.float64], vectors: Floats | None = None
) -> dict[str, Metric | Overall]:
    """Return {name of ABOUT: `Metric` or `Overall`} of the lists, without those that need genres or vectors where there
    are none. given: CSR (n_users, n_movies), known stars. like: above this a rating is a like. shares: (n_movies,
    n_genres), from `movies.genre_shares`. vectors: (n_movies, latent)."""
    top, users = lists.top[:, :N], lists.users
    if not len(users):
        return {}
    n_users, n_movies = given.shape
    popularity = np.bincount(given.indices, minlength=n_movies)
    values = {"novelty@10": novelty(top, popularity, n_users)}
    if vectors is not None:
        values["diversity_latent@10"] = diversity(top, vectors)
    if shares.shape[1]:
        values["diversity_genres@10"] = diversity(top, shares)
        values["calibration@10"] = calibration(top, given[users], like, shares)
    figures: dict[str, Metric | Overall] = {
        "coverage@10": coverage(top, n_movies),
        "gini@10": gini(top, n_movies),
        "popularity_lift@10": popularity_lift(top, given, popularity, users),
        **{name: Metric.of_users(of_user, users, n_users) for name, of_user in values.items()},
    }
    return {name: figures[name] for name in ABOUT if name in figures}


def mean_over(top: Indices, values: NDArray) -> NDArray[np.float64]:
    """Return the mean over each list of a value of its movies, (n,), nan for an empty list. values: (n_movies,)."""
    listed = top >= 0
    with np.errstate(invalid="ignore"):
        return np.where(listed, values[top], 0).sum(axis=1) / listed.sum(axis=1)


def coverage(top: Indices, n_movies: int) -> Overall:
    """Return the catalogue coverage in [0, 1] (Ge, Delgado-Battenfeld and Jannach, RecSys 2010)."""
    count = np.bincount(top[top >= 0], minlength=n_movies)
    only_here = ((top >= 0) & (count[top] == 1)).sum(axis=1)
    covered = np.count_nonzero(count)
    return Overall(covered / n_movies, (covered - only_here) / n_movies)


def gini(top: Indices, n_movies: int) -> Overall:
    """Return the Gini index of how often movies are recommended (Fleder and Hosanagar, Management Science 2009):
    sum over movies in ascending order i = 1..M of (2i - M - 1) count_i, over M times the sum of the counts."""
    count = np.bincount(top[top >= 0], minlength=n_movies)
    ascending = np.sort(count)
    weight = 2 * np.arange(1, n_movies + 1) - n_movies - 1
    total, area = count.sum(), weight @ ascending
    # without a list each of its movies is counted one less: of those with an equal count the first in order
    counts = np.sort(np.where(top >= 0, count[top], 0), axis=1)
    column = np.arange(counts.shape[1])
    first_of_equal = np.maximum.accumulate(np.where(np.diff(counts, axis=1, prepend=-1) > 0, column, 0), axis=1)
    place = np.searchsorted(ascending, counts) + column - first_of_equal
    lost = np.where(counts > 0, weight[np.minimum(place, n_movies - 1)], 0).sum(axis=1)
    total_without = np.maximum(total - (top >= 0).sum(axis=1), 1)
    return Overall(area / (n_movies * max(total, 1)), (area - lost) / (n_movies * total_without))


def novelty(top: Indices, popularity: Indices, n_users: int) -> NDArray[np.float64]:
    """Return the mean self-information of the movies of each list in bits, (n,): -log2(popularity / users) (Zhou et
    al., PNAS 2010); a movie without ratings counts as one with a single rating."""
    return mean_over(top, -np.log2(np.maximum(popularity, 1) / n_users))


def diversity(top: Indices, vectors: NDArray) -> NDArray[np.float64]:
    """Return the intra-list diversity, (n,) in [0, 2]: the mean of 1 - cosine over all pairs of a list (Ziegler et al.,
    WWW 2005). Movies with a zero vector (no genres, no ratings) are left out; nan where no pair is left."""
    directions = unit(vectors)
    counts = (top >= 0) & np.any(directions != 0, axis=1)[top]
    k = counts.sum(axis=1)
    total = np.zeros((len(top), directions.shape[1]), np.float64)
    for column in range(top.shape[1]):  # the sum of all pairs' cosines is |sum of vectors|^2
        rows = counts[:, column]
        total[rows] += directions[top[rows, column]]
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = ((total**2).sum(axis=1) - k) / (k * (k - 1))
    return np.where(k > 1, 1 - cosines, np.nan)


def popularity_lift(top: Indices, given: CSR, popularity: Indices, users: Indices) -> Metric:
    """Return the popularity lift (Abdollahpouri et al., RMSE workshop at RecSys 2019): the mean popularity of what is
    recommended to a user less that of what the user rated, both averaged over users, as a share of the latter."""
    rated = given[users].astype(bool)
    with np.errstate(invalid="ignore"):
        rated_popularity = rated @ popularity / np.diff(rated.indptr)
    gain = mean_over(top, popularity) - rated_popularity
    lift = Metric.of_users(gain, users, given.shape[0])
    count = np.zeros(given.shape[0])
    count[users] = np.where(np.isfinite(gain), rated_popularity, 0)
    return Metric(lift.total, count, n=lift.counted)


def calibration(top: Indices, given: CSR, like: float, shares: NDArray[np.float64]) -> NDArray[np.float64]:
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
    """Return KL(wanted || shares), (m,). wanted: (n_genres,); shares: (m, n_genres), which are smoothed."""
    shares = (1 - SMOOTH) * shares + SMOOTH * wanted
    positive = wanted > 0
    return (wanted[positive] * np.log(wanted[positive] / shares[:, positive])).sum(axis=1)
