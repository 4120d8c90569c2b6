"""Which stars a rating can have: found from the ratings, and held against each of them."""

import numpy as np

from utils.errors import UserError

TOPS = (5, 10, 100)  # the usual scales end at one of these and start at 1 or 0.5
STRAY = 1000  # one in so many ratings may be a mistake that does not widen the scale


def find_scale(rating):
    """(lowest, highest) of the smallest usual scale, 0.5-5, 1-5, 1-10, 0.5-10, 1-100 or 0-100, that holds the ratings.

    A rating in a thousand (in small files a single one) doesn't widen it: that one is an error, as `check_scale` says.
    A rating of 0 is one on a scale up to 100 only: on others it mostly says that there is none.
    """
    found = _of_positive(rating[rating > 0])
    return (0.0, 100.0) if (rating > TOPS[-2]).any() and found[1] == 100 and (rating == 0).any() else found


def _of_positive(rating):
    allowed = max(1, len(rating) // STRAY)
    for top in TOPS:
        inside = rating[rating <= top]
        if len(inside) and len(rating) - len(inside) <= allowed:
            break
    else:
        return 1.0, float(TOPS[-1])  # ratings above 100: check_scale names the first
    whole = top != 5 or not (inside % 1).any()  # half stars are usual on the five-star scale, which then starts at one
    return (1.0 if top == 100 or (whole and inside.min() >= 1) else 0.5), float(top)


def check_scale(rating, scale, where, given):
    """UserError at the first rating that is outside `scale`, or 0 where it does not begin there. where: row ->
    "file:line"; given: whether the scale is the user's own, or was found from the ratings."""
    wrong = (rating < 0) | ((rating == 0) & (scale[0] > 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        meant = f"; give --scale 0,{max(scale[1], rating.max()):g} if it is meant" if rating[row] == 0 else ""
        why = f"ratings must be above 0, which means 'not rated'{meant}"
        raise UserError(f"{where(row)}: rating {rating[row]:g}: {why}")
    low, high = np.float32(scale[0]), np.float32(scale[1])  # compared as stored: 0.7 is not 0.7 as float32
    outside = (rating < low) | (rating > high)
    if outside.any():
        row = int(np.argmax(outside))
        wider = f"{min(scale[0], rating.min()):g},{max(scale[1], rating.max()):g}"
        few = outside.sum() <= max(1, len(rating) // STRAY)
        of = "" if given else " of the other ratings" if few else ", and no usual scale holds all ratings"
        raise UserError(
            f"{where(row)}: rating {rating[row]:g} is outside the scale {scale[0]:g} to {scale[1]:g}{of}; "
            f"give --scale {wider} if it is meant"
        )
