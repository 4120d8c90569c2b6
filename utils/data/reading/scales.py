"""The scale of the ratings: find it from them, and check each of them against it."""

import math

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import Scale
from utils.data.reading.values import Where, refuse_where

USUAL = (5, 10, 100)  # scales often end here: where all ratings but a few do, the few above are mistakes
STRAY = 1000  # one in so many ratings may be a mistake that does not widen the scale
ENOUGH = 100  # ratings from which one that is twice as high as all others is a mistake; of fewer, five times as high
ZERO = "ratings must be above 0, which means 'not rated'"
ALL_ZERO = "every rating is 0, which means 'not rated'; give what was rated another number, such as 1"
ALL_BELOW = "the highest rating has to be above 0, which means 'not rated'; add the same number to each"
NONE = -1  # often stands where there is no rating
OFTEN_NONE = ", or leave such lines out: -1 often says that there is no rating"
ZERO_COUNTS = 10  # on scales that end higher a rating of 0 is one; on others it mostly says that there is none


def find_scale(rating: NDArray[np.float32]) -> Scale:
    """Return (lowest, highest) stars of the scale that the ratings are on.

    It ends at the highest rating, as a whole number, and starts at 1; at 0.5 where ratings of up to five have halves,
    or one is below 1; at the lowest rating where that is below 0.5; at 0 where ratings of 0 count (`ZERO_COUNTS`); and
    at the lowest, as a whole number, where that is below 0. A rating in a thousand (in small files a single one)
    doesn't widen it, nor does -1 on other scales than -1 to 1: that one is an error, as `check_scale` says."""
    stars, counts = np.unique(rating, return_counts=True)
    has_zero, positive = bool((stars == 0).any()), stars > 0
    if not positive.any():
        return 1.0, 5.0  # `check_scale` refuses the first
    if (signed := _signed(stars[stars != 0], counts[stars != 0])) is not None:
        return signed
    stars, counts = stars[positive], counts[positive]
    top = math.ceil(_decimal(_highest(stars, counts)))
    if top > ZERO_COUNTS and has_zero:
        return 0.0, float(top)
    inside = stars <= top
    low, halves = _lowest(stars[inside], counts[inside]), bool((stars[inside] % 1).any()) and top <= 5
    if low >= 0.5:
        low = 0.5 if halves or low < 1 else 1.0
    return (low if low < top else top / 2), float(top)


def _highest(stars: NDArray[np.float32], counts: NDArray[np.int64]) -> float:
    """Return the highest rating, without strays: few, and above a usual scale's end or far above all others.

    stars: the different ratings, ascending. counts: how often each occurs."""
    n = int(counts.sum())
    few = min(max(1, n // STRAY), n - 1)
    for last, others, n_above in zip(stars[:0:-1], stars[-2::-1], np.cumsum(counts[:0:-1]), strict=True):
        far = last >= 2 * others if n >= ENOUGH else last > USUAL[0] and last >= 5 * others
        if n_above <= few and (others in USUAL or far):
            return float(others)
    return float(stars[-1])


def _signed(stars: NDArray[np.float32], counts: NDArray[np.int64]) -> Scale | None:
    """Return the scale of ratings of which some are below 0; None where there are none, or only strays."""
    if counts[stars < 0].sum() <= max(1, counts.sum() // STRAY):
        return None
    size, place = np.unique(abs(stars), return_inverse=True)
    inside = stars[abs(stars) <= _highest(size, np.bincount(place, counts).astype(np.int64))]
    low, top = math.floor(_decimal(inside[0])), math.ceil(_decimal(inside[-1]))
    return None if top > 1 and inside[inside < 0].tolist() == [NONE] else (float(low), float(top))


def _lowest(stars: NDArray[np.float32], counts: NDArray[np.int64]) -> float:
    """Return the lowest rating, without strays: few, and below 0.5 where all others are whole or half stars."""
    below = stars < 0.5
    if 0 < counts[below].sum() <= max(1, counts.sum() // STRAY) and not (2 * stars[~below] % 1).any():
        return 0.5
    return _decimal(stars[0])


def _decimal(value: float) -> float:
    """Return the shortest decimal number that is this float32: 0.1, not 0.10000000149."""
    return float(str(np.float32(value)))


def check_scale(rating: NDArray[np.float32], scale: Scale, where: Where, given: bool) -> None:
    """Raise a UserError at the first rating that is outside `scale`, or 0 where it begins above.

    given: whether the scale is the user's own, or was found from the ratings."""
    if (highest := rating.max()) <= 0:
        all_zero = rating.min() == highest == 0
        refuse_where(rating == highest, where, lambda row: f"rating {highest:g}: {ALL_ZERO if all_zero else ALL_BELOW}")
    advice = f"{ZERO}; give --scale 0,{math.ceil(rating.max())} if it is meant"
    refuse_where((rating == 0) & (scale[0] > 0), where, lambda _: f"rating 0: {advice}")
    low, high = np.float32(scale[0]), np.float32(scale[1])  # compared as stored: 0.7 is not 0.7 as float32
    outside = (rating < low) | (rating > high)
    wider = f"{_decimal(min(scale[0], rating.min())):.9g},{_decimal(max(scale[1], rating.max())):.9g}"
    ends = f"{scale[0]:.9g} to {scale[1]:.9g}" + ("" if given else " of the other ratings")
    problem = f"is outside the scale {ends}; give --scale {wider} if it is meant"
    often_none = {NONE: OFTEN_NONE}
    refuse_where(
        outside, where, lambda row: f"rating {_decimal(rating[row]):.9g} {problem}{often_none.get(rating[row], '')}"
    )
