"""95% intervals of figures, over users (whose ratings stay together), and paired differences of two models.

A `Metric` holds a total and a count for each user; its value is the ratio of the sums. The bootstrap (Efron
1979) draws users with replacement; two models are compared on the same draws, so that what both find hard does not
count as a difference. Its percentiles are expanded as a t distribution is wider than the normal (Hesterberg 2015),
which matters for few users. A figure of all lists together (`Overall`) takes the jackknife, which leaves out one user
at a time: drawing with replacement draws fewer different users, which cover fewer movies. Its intervals are too wide
rather than too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Row: TypeAlias = dict[str, Any]  # a figure or a difference as plain values for --json

RESAMPLES = 1000
BLOCK = 50  # resamples multiplied at a time
NORMAL = 1.959964  # standard errors to either side that hold 95%


@dataclass(frozen=True)
class Metric:
    """total, count: (n_users,) sums over each user's judged ratings (or the one value of a ranking metric, count 1).
    root: the value is the square root of the mean (RMSE). n: how many were averaged over; the sum of count if None."""

    total: NDArray
    count: NDArray
    root: bool = False
    n: int | None = None

    @property
    def value(self) -> float:
        """The mean over everything counted (nan where nothing is)."""
        return float(self._mean(self.total.sum(), self.count.sum()))

    @property
    def counted(self) -> int:
        """How many ratings or users the value is a mean over."""
        return int(self.count.sum()) if self.n is None else self.n

    @property
    def users(self) -> float:
        """Kish's effective number of users: below their number where a few have most of the ratings."""
        squares = np.square(self.count, dtype=np.float64).sum()
        return float(self.count.sum()) ** 2 / squares if squares else 0.0

    def _mean(self, total: NDArray, count: NDArray) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.divide(total, count)
        return np.sqrt(mean) if self.root else mean


@dataclass(frozen=True)
class Overall:
    """A figure of all users together. value: the figure; without: (n,) the figure without each one of them."""

    value: float
    without: NDArray[np.float64]

    @property
    def counted(self) -> int:
        """The number of users."""
        return len(self.without)


@lru_cache(maxsize=1)
def resampled(n_users: int) -> NDArray[np.uint8]:
    """Draw the bootstrap samples, (RESAMPLES, n_users): how often each user is drawn; the same at every call, so that
    two models are always compared on the same samples."""
    rng = np.random.default_rng(0)
    drawn = np.empty((RESAMPLES, n_users), np.uint8)  # more than 255 draws of one user do not happen
    for row in drawn:
        row[:] = np.bincount(rng.integers(n_users, size=n_users), minlength=n_users)
    return drawn


def sampled(metrics: Sequence[Metric]) -> NDArray[np.float64]:
    """Return each `Metric`'s value on each of the bootstrap samples, (RESAMPLES, len(metrics))."""
    weights = resampled(len(metrics[0].total))
    sums = np.stack([part for metric in metrics for part in (metric.total, metric.count)], axis=1).astype(np.float64)
    parts = np.array_split(weights, -(-RESAMPLES // BLOCK))
    sums = np.concatenate([part.astype(np.float64) @ sums for part in parts])
    return np.stack([m._mean(sums[:, 2 * i], sums[:, 2 * i + 1]) for i, m in enumerate(metrics)], axis=1)


def estimates(metrics: Mapping[Any, Metric | Overall]) -> dict[Any, Row]:
    """Return {name: {"value", "low", "high", "n"}} with 95% intervals; a metric over nothing is absent."""
    kept = {name: metric for name, metric in metrics.items() if metric.counted}
    several = {name: metric for name, metric in kept.items() if isinstance(metric, Metric)}
    samples = dict(zip(several, sampled(list(several.values())).T, strict=True)) if several else {}
    return {
        name: _row(metric.value, metric.counted, *_range(samples[name], metric.users))
        if isinstance(metric, Metric)
        else _jackknifed(metric.value, metric.without)
        for name, metric in kept.items()
    }


def difference(a: Metric | Overall, b: Metric | Overall) -> Row:
    """Return `a` minus `b` (the same metric of two models on the same hold-out): {"value", "low", "high", "n", "p"},
    with the paired 95% interval and the two-sided p of no difference. p is that of a t test with the resampled values'
    standard deviation, of an RMSE on the logarithms, whose distribution is less skewed."""
    return differences({"": a}, {"": b})[""]


def differences(a: Mapping[Any, Metric | Overall], b: Mapping[Any, Metric | Overall]) -> dict[Any, Row]:
    """Return {name: `difference`} of the metrics that both define."""
    names = [name for name in a if name in b and a[name].counted and b[name].counted]
    several = {name: metric for name in names if isinstance(metric := a[name], Metric)}
    others = [metric for name in several if isinstance(metric := b[name], Metric)]
    samples = {}
    if several:
        both = np.split(sampled([*several.values(), *others]), 2, axis=1)
        samples = {name: pair for name, *pair in zip(several, *(half.T for half in both), strict=True)}
    rows: dict[Any, Row] = {}
    for name in names:
        one, other = a[name], b[name]
        value = one.value - other.value
        if isinstance(one, Metric) and isinstance(other, Metric):
            first, second = samples[name]
            users = min(one.users, other.users)
            row, error = _row(value, one.counted, *_range(first - second, users)), np.nanstd(first - second)
            p = _p_of_ratio(one, other, first, second, users) if one.root else _p(value, error, users)
        elif isinstance(one, Overall) and isinstance(other, Overall):
            row = _jackknifed(value, one.without - other.without)
            p = _p(value, (row["high"] - value) / NORMAL, one.counted)
        rows[name] = row | {"p": p}
    return rows


def _range(samples: NDArray[np.float64], users: float) -> tuple[float, float]:
    """Return the interval that holds 95% of the resampled values, for few users more."""
    from scipy import special

    if users <= 1:
        return float(np.nanmin(samples)), float(np.nanmax(samples))
    level = special.ndtr(-math.sqrt(users / (users - 1)) * special.stdtrit(users - 1, 0.975))
    low, high = np.nanpercentile(samples, [100 * level, 100 - 100 * level])
    return float(low), float(high)


def _row(value: float, n: int, low: float, high: float) -> Row:
    return {"value": value, "low": float(low), "high": float(high), "n": int(n)}


def _jackknifed(value: float, without: NDArray[np.float64]) -> Row:
    n = len(without)
    error = NORMAL * math.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    return _row(float(value), n, value - error, value + error)


def _p(value: float, error: float, users: float) -> float:
    """Return the two-sided p of a value with this standard error, estimated from so many users; 1 for one user."""
    from scipy import special

    if users <= 1 or value == 0:
        return 1.0
    return float(2 * special.stdtr(users - 1, -abs(value) / (error * math.sqrt(users / (users - 1))))) if error else 0.0


def _p_of_ratio(one: Metric, other: Metric, first: NDArray, second: NDArray, users: float) -> float:
    least = np.finfo(np.float64).tiny  # the logarithm of a resample without any error
    ratio = np.log(np.maximum(first, least) / np.maximum(second, least))
    return _p(np.log(max(one.value, least) / max(other.value, least)), np.nanstd(ratio), users)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of even one false difference among all is at most what each says (Holm
    1979). Same order."""
    values, n = np.asarray(p, np.float64), len(p)
    order, adjusted = np.argsort(values, kind="stable"), np.empty(n)
    adjusted[order] = np.minimum(np.maximum.accumulate((n - np.arange(n)) * values[order]), 1)
    return adjusted.tolist()


def adjust(rows: list[Row]) -> list[Row]:
    """Put `p_holm`, adjusted over all of these differences, into each of them."""
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def differs(row: Row) -> bool:
    """Tell whether a difference is significant: its interval excludes 0 and its p, of one of several its p_holm, is
    below .05."""
    return not row["low"] <= 0 <= row["high"] and (row["p_holm"] if "p_holm" in row else row["p"]) < 0.05
