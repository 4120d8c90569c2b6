"""A score function over a hold-out becomes figures with intervals.

Everything is kept a user: a metric is a total and a count for each user, its value the ratio of the sums. So ratings of
one user stay together when the bootstrap resamples users, and two models are compared on the same resampled users.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from utils import metrics, ranking
from utils.ratings import likes

BLOCK = 512  # users scored at a time
RESAMPLES = 1000


@dataclass(frozen=True)
class Metric:
    """total, count: (n_users,) sums over each user's judged ratings (or the one value of a ranking metric, count 1).
    root: the value is the square root of the mean (RMSE)."""

    total: np.ndarray
    count: np.ndarray
    root: bool = False

    @property
    def value(self):
        """The mean over everything counted (nan where nothing is)."""
        return float(self.of_users(np.ones((1, len(self.count))))[0])

    def of_users(self, weights):
        """Value of the metric when user i counts weights[j, i] times: (len(weights),)."""
        sums = np.stack([self.total, self.count], axis=1)
        total, count = np.concatenate([part @ sums for part in np.array_split(weights, -(-len(weights) // 50))]).T
        with np.errstate(invalid="ignore"):
            mean = total / count
        return np.sqrt(mean) if self.root else mean


def rating_metrics(predict, holdout, scale):
    """{"mse", "rmse", "mae"} of the hidden ratings, predictions clipped to the data's own scale. `predict` is a model's
    `predict(given, users, movies)`."""
    hidden = holdout.hidden.tocoo()
    stars = np.clip(predict(holdout.given, hidden.row, hidden.col), *scale)
    n = holdout.hidden.shape[0]
    count = np.bincount(hidden.row, minlength=n)
    squared = np.bincount(hidden.row, metrics.squared_error(hidden.data, stars), n)
    absolute = np.bincount(hidden.row, metrics.absolute_error(hidden.data, stars), n)
    return {"mse": Metric(squared, count), "rmse": Metric(squared, count, root=True), "mae": Metric(absolute, count)}


def judged_users(holdout, most=None):
    """Indices, ascending, of the users with a hidden like; a fixed sample of `most` of them where there are more."""
    judged = np.flatnonzero(np.diff(likes(holdout.hidden, holdout.like).indptr))
    if most is None or len(judged) <= most:
        return judged
    return np.sort(np.random.default_rng(0).choice(judged, most, replace=False))


def ranking_metrics(score, holdout, most=None):
    """{"ndcg@100", "recall@20", "recall@50"} of the hidden likes among all movies not given. `score` is a model's
    `score(given, users)`. Users with no hidden like count 0. most: judge at most this many users, a fixed sample."""
    hidden = likes(holdout.hidden, holdout.like)
    n_hidden = np.diff(hidden.indptr)
    values = {name: np.zeros(len(n_hidden)) for name in metrics.CUTS}
    judged = judged_users(holdout, most)
    for start in range(0, len(judged), BLOCK):
        users = judged[start : start + BLOCK]
        given = holdout.given[users]
        scores = ranking.hide_seen(score(given, users), given)
        if holdout.candidates is not None:
            scores[:, ~holdout.candidates] = -np.inf
        top = ranking.top_k(scores, max(k for _, k in metrics.CUTS.values()))
        hit = metrics.hits(top, hidden[users])
        for name, (metric, k) in metrics.CUTS.items():
            values[name][users] = metric(hit, n_hidden[users], k)
    count = np.bincount(judged, minlength=len(n_hidden)).astype(float)
    return {name: Metric(value, count) for name, value in values.items()}


@lru_cache(maxsize=1)
def _resampled(n_users):
    """(RESAMPLES, n_users) uint8: how often each user is drawn in each bootstrap sample; the same at every call, so
    that two models are always compared on the same samples."""
    rng = np.random.default_rng(0)
    drawn = np.empty((RESAMPLES, n_users), np.uint8)  # more than 255 draws of one user do not happen
    for row in drawn:
        row[:] = np.bincount(rng.integers(n_users, size=n_users), minlength=n_users)
    return drawn


def _with_interval(value, samples, n):
    low, high = np.nanpercentile(samples, [2.5, 97.5])
    return {"value": value, "low": float(low), "high": float(high), "n": int(n)}


def estimates(found):
    """{name: {"value", "low", "high", "n"}}, 95% bootstrap intervals over users; a metric over nothing is absent."""
    return {name: _estimate(metric) for name, metric in found.items() if metric.count.any()}


def _estimate(metric):
    return _with_interval(metric.value, metric.of_users(_resampled(len(metric.count))), metric.count.sum())


def difference(a, b):
    """`a` minus `b` (the same metric of two models on the same hold-out), with its paired 95% bootstrap interval."""
    weights = _resampled(len(a.count))
    return _with_interval(a.value - b.value, a.of_users(weights) - b.of_users(weights), a.count.sum())


def differences(a, b):
    """{name: `difference`} of the metrics that both define."""
    return {name: difference(a[name], b[name]) for name in a if name in b and a[name].count.any()}
