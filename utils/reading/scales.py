"""Which stars a rating can have: found from the ratings, and held against each of them."""

import numpy as np

from utils.errors import UserError

TOPS = (5, 10, 100)  # the usual scales end at one of these and start at 1 or 0.5
STRAY = 1000  # one in so many ratings may be a mistake that does not widen the scale


def find_scale(rating):
    """(lowest, highest) of the smallest usual scale, 0.5-5, 1-5, 1-10, 0.5-10 or 1-100, that holds the ratings.

    A rating in a thousand (in small files a single one) doesn't widen it: that one is an error, as `check_scale` says.
    rating: positive stars.
    """
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
    """UserError at the first rating that is 0, negative or outside `scale`. where: row -> "file:line"; given: whether
    the scale is the user's own, or was found from the ratings."""
    if (rating <= 0).any():
        row = int(np.argmax(rating <= 0))
        raise UserError(f"{where(row)}: rating {rating[row]:g}: ratings must be above 0, which means 'not rated'")
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
