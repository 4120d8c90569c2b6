"""Ranges around predicted stars that hold a given share of the true ratings, such as 90%.

They are learned from the errors on validation ratings, as in split conformal prediction (Papadopoulos et al., ECML
2002), within groups of ratings (as in Gibbs, Cherian and Candes 2023): by how many known ratings the user and the movie
have, and by the predicted stars. Each end of a range is the sum of one offset a group, fitted by turns so that the
share holds in every group. Unlike there, the offsets take no part of the rating to be judged, which matters only where
validation ratings are few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from utils.evaluation.holdout_metrics import Predicted
    from utils.evaluation.subgroups import Slice
    from utils.scoring.protocols import CSR, Scale

LEVEL = 0.9  # share of the true ratings that a range is to hold
COUNTS = (1, 5, 20, 100)  # where groups by number of known ratings begin, after that of none
STARS = 4  # groups by predicted stars, of as many validation ratings each
LEAST = 100  # validation ratings of a group that has offsets of its own; a smaller one joins its neighbour
ROUNDS = 50  # of the fit, each over all groups

Numbers: TypeAlias = NDArray[np.floating] | NDArray[np.integer] | float


@dataclass(frozen=True)
class PredictionRanges:
    """edges: of the groups by user, movie and predicted stars. low, high: for each of these the offsets of its groups,
    which are added to the predicted stars. share: of the true ratings within."""

    edges: Sequence[Sequence[float]]
    low: Sequence[Sequence[float]]
    high: Sequence[Sequence[float]]
    share: float = LEVEL

    @classmethod
    def fit(cls, stars: NDArray, actual: NDArray, of_user: NDArray, of_movie: NDArray, share: float = LEVEL) -> Self:
        """Learn the ranges from predicted and actual stars of ratings that the model was not trained on, (n,) each, n
        at least 1. of_user, of_movie: number of the other known ratings of the user and of the movie."""
        keys = (of_user, of_movie, stars)
        quantiles = np.unique(np.quantile(stars, np.arange(1, STARS) / STARS))
        tried: tuple[Sequence[float], ...] = COUNTS, COUNTS, quantiles.tolist()
        edges = [_merged(key, edge) for key, edge in zip(keys, tried, strict=True)]
        groups = [np.digitize(key, edge) for key, edge in zip(keys, edges, strict=True)]
        error, beyond = np.asarray(actual, float) - stars, (1 - share) / 2
        low, high = _offsets(-error, groups, beyond), _offsets(error, groups, beyond)
        return cls(edges, [(-offset).tolist() for offset in low], [offset.tolist() for offset in high], share)

    def around(
        self, stars: NDArray, of_user: Numbers, of_movie: Numbers, scale: tuple[float, float]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (lowest, highest) stars of the ranges around predicted stars (n,), within the scale. of_user,
        of_movie: as in `fit`, (n,) or one number."""
        low = high = np.asarray(stars, float)
        for key, edges, below, above in zip((of_user, of_movie, stars), self.edges, self.low, self.high, strict=True):
            group = np.digitize(key, edges)
            low, high = low + np.asarray(below)[group], high + np.asarray(above)[group]
        return np.clip(np.minimum(low, stars), *scale), np.clip(np.maximum(high, stars), *scale)

    def of(self, predicted: Predicted, given: CSR, scale: Scale) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (lowest, highest) stars of the ranges of predicted ratings, (n,). given: CSR of the known ratings."""
        return self.around(predicted.stars, *_counts(predicted, given), scale)


def learn(predicted: Predicted, given: CSR) -> dict[str, Any]:
    """Learn the ranges from the predicted ratings of a validation hold-out: plain values for JSON, from which
    `PredictionRanges(**values)` is made; {} where there are too few. given: CSR of the known ratings."""
    if len(predicted.stars) < LEAST:
        return {}
    return asdict(PredictionRanges.fit(predicted.stars, predicted.actual, *_counts(predicted, given)))


def _counts(predicted: Predicted, given: CSR) -> tuple[NDArray, NDArray]:
    """Return the numbers of known ratings of the user and of the movie of each predicted one."""
    of_movie = np.bincount(given.indices, minlength=given.shape[1])
    return np.diff(given.indptr)[predicted.users], of_movie[predicted.movies]


def judge(
    ranges: PredictionRanges, predicted: Predicted, given: CSR, scale: Scale, parts: list[Slice]
) -> dict[str, Any]:
    """Return as plain values what ranges around predicted test ratings hold: {"share": what they are to hold, "held":
    what they do, "width": their mean width in stars, "slices": what they hold of each `Slice` with LEAST ratings}."""
    low, high = ranges.of(predicted, given, scale)
    held = (low <= predicted.actual) & (predicted.actual <= high)
    slices = []
    for part in parts:
        inside = part.inside[predicted.users if part.of == "users" else predicted.movies]
        if np.count_nonzero(inside) >= LEAST:
            row = {"by": part.by, "slice": part.name, "ratings": int(inside.sum()), "held": float(held[inside].mean())}
            slices.append(row)
    return {"share": ranges.share, "held": float(held.mean()), "width": float((high - low).mean()), "slices": slices}


def _merged(key: NDArray, edges: Sequence[float]) -> list[float]:
    """Return the edges without those that begin or end a group of fewer than LEAST."""
    kept = list(edges)
    while kept:
        sizes = np.bincount(np.digitize(key, kept), minlength=len(kept) + 1)
        smallest = int(sizes.argmin())
        if sizes[smallest] >= LEAST:
            break
        neighbours = [group for group in (smallest - 1, smallest + 1) if 0 <= group < len(sizes)]
        joined = min(neighbours, key=lambda group: sizes[group])
        kept.pop(min(smallest, joined))
    return [float(edge) for edge in kept]


def _offsets(error: NDArray[np.float64], groups: list[NDArray[np.intp]], beyond: float) -> list[NDArray[np.float64]]:
    """Fit offsets whose sum is exceeded by the share `beyond` of the errors of each group, less one standard error of
    that share: few errors say little about those to come."""
    offsets = [np.zeros(group.max() + 1) for group in groups]
    for _ in range(ROUNDS):
        before = np.concatenate(offsets)
        for axis, group in enumerate(groups):
            rest = error - sum(offsets[i][groups[i]] for i in range(len(groups)) if i != axis)
            for number in range(len(offsets[axis])):
                inside = rest[group == number]
                level = min(1 - beyond + np.sqrt(beyond * (1 - beyond) / len(inside)), 1)
                offsets[axis][number] = np.quantile(inside, level)
        if np.abs(np.concatenate(offsets) - before).max() < 1e-3:
            break
    return offsets
