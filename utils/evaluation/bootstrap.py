"""How sure a figure is: 95% intervals over users, whose ratings stay together, and what two models differ by.

A figure is kept a user (`Metric`): a total and a count for each, its value the ratio of the sums. The bootstrap (Efron
1979) draws users with replacement; two models are compared on the same draws, so that what both find hard does not
count as a difference. Its percentiles are expanded as a t distribution is wider than the normal (Hesterberg 2015),
which matters for few users. What only all lists together have (`Overall`) is left out one user at a time instead, the
jackknife: drawing with replacement draws fewer different users, which cover fewer movies. Its intervals are rather too
wide than too narrow.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 1000
BLOCK = 50  # resamples multiplied at a time
NORMAL = 1.959964  # standard errors to either side that hold 95%


@dataclass(frozen=True)
class Metric:
    """total, count: (n_users,) sums over each user's judged ratings (or the one value of a ranking metric, count 1).
    root: the value is the square root of the mean (RMSE). n: how many were averaged over; the sum of count if None."""

    total: np.ndarray
    count: np.ndarray
    root: bool = False
    n: int | None = None

    @property
    def value(self):
        """The mean over everything counted (nan where nothing is)."""
        return float(self._mean(self.total.sum(), self.count.sum()))

    @property
    def counted(self):
        """How many ratings or users the value is a mean over."""
        return int(self.count.sum()) if self.n is None else self.n

    @property
    def users(self):
        """As how many users of equal weight its users count (Kish): less than they are where few have most ratings."""
        squares = np.square(self.count, dtype=np.float64).sum()
        return float(self.count.sum()) ** 2 / squares if squares else 0.0

    def _mean(self, total, count):
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.divide(total, count)
        return np.sqrt(mean) if self.root else mean


@dataclass(frozen=True)
class Overall:
    """A figure of all users together. value: the figure; without: (n,) what it would be without each one of them."""

    value: float
    without: np.ndarray

    @property
    def counted(self):
        """How many users it is made of."""
        return len(self.without)


@lru_cache(maxsize=1)
def resampled(n_users):
    """(RESAMPLES, n_users) uint8: how often each user is drawn in each bootstrap sample; the same at every call, so
    that two models are always compared on the same samples."""
    rng = np.random.default_rng(0)
    drawn = np.empty((RESAMPLES, n_users), np.uint8)  # more than 255 draws of one user do not happen
    for row in drawn:
        row[:] = np.bincount(rng.integers(n_users, size=n_users), minlength=n_users)
    return drawn


def sampled(metrics):
    """(RESAMPLES, len(metrics)): each `Metric`'s value on each of the resampled users."""
    weights = resampled(len(metrics[0].total))
    sums = np.stack([part for metric in metrics for part in (metric.total, metric.count)], axis=1).astype(np.float64)
    parts = np.array_split(weights, -(-RESAMPLES // BLOCK))
    sums = np.concatenate([part.astype(np.float64) @ sums for part in parts])
    return np.stack([m._mean(sums[:, 2 * i], sums[:, 2 * i + 1]) for i, m in enumerate(metrics)], axis=1)


def estimates(found):
    """{name: {"value", "low", "high", "n"}}, 95% intervals; a metric over nothing is absent."""
    kept = {name: metric for name, metric in found.items() if metric.counted}
    several = {name: metric for name, metric in kept.items() if isinstance(metric, Metric)}
    samples = dict(zip(several, sampled(list(several.values())).T, strict=True)) if several else {}
    return {
        name: _row(metric.value, metric.counted, *_range(samples[name], metric.users))
        if name in samples
        else _jackknifed(metric.value, metric.without)
        for name, metric in kept.items()
    }


def difference(a, b):
    """`a` minus `b` (the same metric of two models on the same hold-out): {"value", "low", "high", "n", "p"}, with the
    paired 95% interval and the two-sided p of no difference. p is that of a t test with the resampled values' standard
    deviation, of an RMSE on the logarithms, whose distribution is less skewed."""
    return differences({"": a}, {"": b})[""]


def differences(a, b):
    """{name: `difference`} of the metrics that both define."""
    names = [name for name in a if name in b and a[name].counted and b[name].counted]
    several = [name for name in names if isinstance(a[name], Metric)]
    samples = {}
    if several:
        both = np.split(sampled([found[name] for found in (a, b) for name in several]), 2, axis=1)
        samples = {name: (ours, theirs) for name, ours, theirs in zip(several, *(part.T for part in both), strict=True)}
    found = {}
    for name in names:
        one, other = a[name], b[name]
        value = one.value - other.value
        if name in samples:
            ours, theirs = samples[name]
            users = min(one.users, other.users)
            row = _row(value, one.counted, *_range(ours - theirs, users))
            p = _p_of_ratio(one, other, ours, theirs, users) if one.root else _p(value, np.nanstd(ours - theirs), users)
        else:
            row = _jackknifed(value, one.without - other.without)
            p = _p(value, (row["high"] - value) / NORMAL, one.counted)
        found[name] = row | {"p": p}
    return found


def _range(samples, users):
    """The interval that holds 95% of the resampled values, for few users more."""
    from scipy import special

    if users <= 1:
        return np.nanmin(samples), np.nanmax(samples)
    level = special.ndtr(-math.sqrt(users / (users - 1)) * special.stdtrit(users - 1, 0.975))
    return np.nanpercentile(samples, [100 * level, 100 - 100 * level])


def _row(value, n, low, high):
    return {"value": value, "low": float(low), "high": float(high), "n": int(n)}


def _jackknifed(value, without):
    n = len(without)
    error = NORMAL * math.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    return _row(float(value), n, value - error, value + error)


def _p(value, error, users):
    """Two-sided p of a value with this standard error, as so many users tell it; 1 of one user, who tells nothing."""
    from scipy import special

    if users <= 1 or value == 0:
        return 1.0
    return float(2 * special.stdtr(users - 1, -abs(value) / (error * math.sqrt(users / (users - 1))))) if error else 0.0


def _p_of_ratio(one, other, ours, theirs, users):
    least = np.finfo(np.float64).tiny  # the logarithm of a resample without any error
    ratio = np.log(np.maximum(ours, least) / np.maximum(theirs, least))
    return _p(np.log(max(one.value, least) / max(other.value, least)), np.nanstd(ratio), users)


def holm(p):
    """p-values, adjusted so that the chance of even one false difference among all is at most what each says (Holm
    1979): a list in the same order."""
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]), 1)
    return adjusted.tolist()


def adjust(rows):
    """Put `p_holm`, adjusted over all of these differences, into each of them."""
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def differs(row):
    """Whether a difference is more than chance: its interval excludes 0 and its p, of one of several its p_holm, is
    below .05."""
    return not row["low"] <= 0 <= row["high"] and row.get("p_holm", row["p"]) < 0.05
