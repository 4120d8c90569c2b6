"""A score function over a hold-out becomes figures, kept a user so that intervals and slices can be made of them."""

from dataclasses import dataclass

import numpy as np

from utils.data.ratings import likes
from utils.evaluation import metrics
from utils.evaluation.bootstrap import Metric
from utils.scoring import ranking

BLOCK = 512  # users scored at a time
DEPTH = max(k for _, k in metrics.CUTS.values())


@dataclass(frozen=True)
class Lists:
    """What is recommended to the users judged. users: (n,) their indices, ascending. top: (n, DEPTH) movie indices,
    best first, -1 where there are no more; hit: whether each is a hidden like. hidden: CSR (n, n_movies), those."""

    users: np.ndarray
    top: np.ndarray
    hit: np.ndarray
    hidden: object


@dataclass(frozen=True)
class Predicted:
    """Test ratings beside what is predicted for them, (n,) each: users, movies: indices; actual, stars: predictions,
    clipped to the data's own scale."""

    users: np.ndarray
    movies: np.ndarray
    actual: np.ndarray
    stars: np.ndarray


def predicted(predict, holdout, scale):
    """The `Predicted` of the hidden ratings. `predict` is a model's `predict(given, users, movies)`."""
    hidden = holdout.hidden.tocoo()
    stars = np.clip(predict(holdout.given, hidden.row, hidden.col), *scale)
    return Predicted(hidden.row, hidden.col, hidden.data, stars)


def rating_metrics(predict, holdout, scale):
    """{"mse", "rmse", "mae"} of the hidden ratings; the arguments are those of `predicted`."""
    return of_predicted(predicted(predict, holdout, scale), holdout.hidden.shape[0])


def of_predicted(found, n_users):
    """The rating metrics of what is `Predicted` in a data of so many users."""
    count = np.bincount(found.users, minlength=n_users)
    squared = np.bincount(found.users, metrics.squared_error(found.actual, found.stars), n_users)
    absolute = np.bincount(found.users, metrics.absolute_error(found.actual, found.stars), n_users)
    return {"mse": Metric(squared, count), "rmse": Metric(squared, count, root=True), "mae": Metric(absolute, count)}


def judged_users(holdout, most=None):
    """Indices, ascending, of the users with a hidden like; a fixed sample of `most` of them where there are more."""
    judged = np.flatnonzero(np.diff(likes(holdout.hidden, holdout.like).indptr))
    if most is None or len(judged) <= most:
        return judged
    return np.sort(np.random.default_rng(0).choice(judged, most, replace=False))


def lists(score, holdout, most=None):
    """The `Lists` of the users with a hidden like, among all movies not given. `score` is a model's
    `score(given, users)`. most: judge at most this many users, a fixed sample."""
    users = judged_users(holdout, most)
    hidden = likes(holdout.hidden, holdout.like)[users]
    top = np.full((len(users), min(DEPTH, hidden.shape[1])), -1, np.int32)
    hit = np.zeros(top.shape, bool)
    for start in range(0, len(users), BLOCK):
        block = users[start : start + BLOCK]
        given = holdout.given[block]
        scores = ranking.hide_seen(score(given, block), given)
        if holdout.candidates is not None:
            scores[:, ~holdout.candidates] = -np.inf
        rows, best = slice(start, start + len(block)), ranking.top_k(scores, DEPTH)
        top[rows] = np.where(np.isfinite(np.take_along_axis(scores, best, axis=1)), best, -1)
        hit[rows] = metrics.hits(top[rows], hidden[rows])
    return Lists(users, top, hit, hidden)


def ranking_metrics(score, holdout, most=None):
    """{"ndcg@100", "recall@20", "recall@50"} of the hidden likes; the arguments are those of `lists`. Users with no
    hidden like count 0."""
    return of_lists(lists(score, holdout, most), holdout.hidden.shape[0])


def of_lists(found, n_users):
    """The ranking metrics of `Lists` in a data of so many users."""
    hit, n_hidden = found.hit, np.diff(found.hidden.indptr)
    judged = n_hidden > 0
    count = np.bincount(found.users[judged], minlength=n_users).astype(float)

    def placed(values):
        total = np.zeros(n_users)
        total[found.users[judged]] = values[judged]
        return Metric(total, count)

    return {name: placed(metric(hit, n_hidden, k)) for name, (metric, k) in metrics.CUTS.items()}


def like_ndcg(found, n_users, movies=slice(None)):
    """NDCG@100 of each hidden like as if it were the only one, as a `Metric`: the user's other hidden likes are left
    out of the list, so that it says the same of few likes as of many. movies: bool (n_movies,), of these alone."""
    before = np.cumsum(found.hit, axis=1) - found.hit
    gain = found.hit / np.log2(np.arange(2, found.hit.shape[1] + 2) - before)
    inside = np.zeros(found.hidden.shape[1] + 1, bool)  # the last is that of no movie
    inside[:-1][movies] = True
    total, count = np.zeros(n_users), np.zeros(n_users)
    total[found.users] = np.where(inside[found.top], gain, 0).sum(axis=1)
    count[found.users] = found.hidden @ inside[:-1].astype(np.float64)
    return Metric(total, count)
