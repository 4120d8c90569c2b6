"""95% intervals of figures over users, and paired differences of two models.

The bootstrap (Efron 1979) draws users with replacement, each with all their ratings. Its percentiles are widened as a
t distribution is wider than the normal (Hesterberg 2015), which matters for few users. `scipy.stats.bootstrap` takes
one statistic at a time; here all metrics of all samples are one matrix product. A figure of all lists together
(`Overall`) takes the jackknife instead: a sample has fewer different users, whose lists cover fewer movies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from utils.scoring.protocols import Indices

Row: TypeAlias = dict[str, Any]  # a figure or a difference as plain values for --json

RESAMPLES = 1000
BLOCK = 50  # resamples multiplied at a time
NORMAL = 1.959964  # standard errors to either side that hold 95%
TINY = float(np.finfo(np.float64).tiny)  # in the place of an error of 0, which has no logarithm


@dataclass(frozen=True)
class Metric:
    """The sum of `total` over that of `count`, (n_users,): of each user's test ratings, or a ranking metric and 1.
    root: the value is the root of that (RMSE). n: how many were averaged over; the sum of count if None."""

    total: NDArray
    count: NDArray
    root: bool = False
    n: int | None = None

    @classmethod
    def of_users(cls, values: NDArray[np.float64], users: Indices, n_users: int) -> Self:
        """Make the metric of one value for each of these users, nan where there is none; all other users count 0."""
        defined = np.isfinite(values)
        total = np.zeros(n_users)
        total[users[defined]] = values[defined]
        return cls(total, np.bincount(users[defined], minlength=n_users).astype(float))

    @property
    def value(self) -> float:
        """The mean over everything counted; nan where nothing is."""
        return float(self.mean(self.total.sum(), self.count.sum()))

    @property
    def counted(self) -> int:
        """How many ratings or users the value is a mean over."""
        return int(self.count.sum()) if self.n is None else self.n

    @property
    def users(self) -> float:
        """Kish's effective number of users: below their number where a few have most of the ratings."""
        squares = np.square(self.count, dtype=np.float64).sum()
        return float(self.count.sum()) ** 2 / squares if squares else 0.0

    def mean(self, total: NDArray, count: NDArray) -> NDArray[np.float64]:
        """Divide sums of totals by sums of counts; with `root`, return the roots."""
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


Metrics: TypeAlias = Mapping[Any, Metric | Overall]  # by name


@lru_cache(maxsize=1)
def resampled(n_users: int) -> NDArray[np.uint8]:
    """Draw how often each user is in each sample, (RESAMPLES, n_users): always the same, so that models compare."""
    rng = np.random.default_rng(0)
    counts = np.empty((RESAMPLES, n_users), np.uint8)  # more than 255 draws of one user do not happen
    for row in counts:
        row[:] = np.bincount(rng.integers(n_users, size=n_users), minlength=n_users)
    return counts


def sampled(metrics: Metrics) -> dict[Any, NDArray[np.float64]]:
    """Return the value of each `Metric` on each bootstrap sample, {name: (RESAMPLES,)}."""
    ratios = {name: metric for name, metric in metrics.items() if isinstance(metric, Metric)}
    if not ratios:
        return {}
    sums = np.stack([part for m in ratios.values() for part in (m.total, m.count)], axis=1).astype(np.float64)
    parts = np.array_split(resampled(len(sums)), -(-RESAMPLES // BLOCK))
    sums = np.concatenate([part.astype(np.float64) @ sums for part in parts])
    return {name: m.mean(sums[:, 2 * i], sums[:, 2 * i + 1]) for i, (name, m) in enumerate(ratios.items())}


def estimates(metrics: Metrics) -> dict[Any, Row]:
    """Return {name: {"value", "low", "high", "n"}} with 95% intervals; a metric over nothing is absent."""
    counted = {name: metric for name, metric in metrics.items() if metric.counted}
    samples, rows = sampled(counted), dict[Any, Row]()
    for name, metric in counted.items():
        if isinstance(metric, Metric):
            rows[name] = _bootstrap_row(metric.value, metric.counted, samples[name], metric.users)
        else:
            rows[name] = _jackknife_row(metric.value, metric.without)
    return rows


def difference(a: Metric | Overall, b: Metric | Overall) -> Row:
    """Return `a` minus `b` (the same metric of two models on the same hold-out) with the paired 95% interval and the
    two-sided p of a t test with the standard deviation of the samples, of an RMSE on their logarithms, which are less
    skewed: {"value", "low", "high", "n", "p"}."""
    return differences({"": a}, {"": b})[""]


def differences(a: Metrics, b: Metrics) -> dict[Any, Row]:
    """Return {name: `difference`} of the metrics that both define."""
    names = [name for name in a if name in b and a[name].counted and b[name].counted]
    samples = sampled({("a", name): a[name] for name in names} | {("b", name): b[name] for name in names})
    rows: dict[Any, Row] = {}
    for name in names:
        first, second = a[name], b[name]
        if isinstance(first, Metric) and isinstance(second, Metric):
            rows[name] = _metric_difference(first, second, samples["a", name], samples["b", name])
        elif isinstance(first, Overall) and isinstance(second, Overall):
            row = _jackknife_row(first.value - second.value, first.without - second.without)
            rows[name] = row | {"p": _p(row["value"], (row["high"] - row["value"]) / NORMAL, row["n"])}
    return rows


def _metric_difference(a: Metric, b: Metric, samples_a: NDArray, samples_b: NDArray) -> Row:
    value, samples, users = a.value - b.value, samples_a - samples_b, min(a.users, b.users)
    row = _bootstrap_row(value, a.counted, samples, users)
    if a.root:
        value = float(np.log(max(a.value, TINY) / max(b.value, TINY)))
        samples = np.log(np.maximum(samples_a, TINY) / np.maximum(samples_b, TINY))
    return row | {"p": _p(value, float(np.nanstd(samples)), users)}


def _bootstrap_row(value: float, n: int, samples: NDArray[np.float64], users: float) -> Row:
    """Return the row of a value with the interval that holds 95% of its samples, for few users more."""
    from scipy import special

    level = 0.0
    if users > 1:
        level = float(special.ndtr(-math.sqrt(users / (users - 1)) * special.stdtrit(users - 1, 0.975)))
    low, high = np.nanpercentile(samples, [100 * level, 100 - 100 * level])
    return {"value": value, "low": float(low), "high": float(high), "n": n}


def _jackknife_row(value: float, without: NDArray[np.float64]) -> Row:
    n = len(without)
    error = float(NORMAL * math.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2)))
    return {"value": float(value), "low": float(value - error), "high": float(value + error), "n": n}


def _p(value: float, error: float, users: float) -> float:
    """Return the two-sided p of a value with this standard error of an estimate from `users`; 1 for one user."""
    from scipy import special

    if users <= 1 or value == 0:
        return 1.0
    return float(2 * special.stdtr(users - 1, -abs(value) / (error * math.sqrt(users / (users - 1))))) if error else 0.0


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of them (Holm 1979), in the same order."""
    # statsmodels' multipletests gives the same, but these lines cost less than its import and installation
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
    """Tell whether a difference is significant: its interval excludes 0, and p (p_holm, if any) is below .05."""
    return excludes_0(row) and p_of(row) < 0.05


def excludes_0(row: Row) -> bool:
    """Tell whether the interval of a difference excludes 0."""
    return not row["low"] <= 0 <= row["high"]


def p_of(row: Row) -> float:
    """Return p_holm of a difference that is one of several, p of any other."""
    return row["p_holm"] if "p_holm" in row else row["p"]
