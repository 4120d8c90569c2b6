"""Losses over observed cells."""

from keras import ops


def masked_mse(ratings, predicted):
    """Mean squared error over observed cells: the data term of AutoRec (Sedhain et al., WWW 2015), divided by the
    number of ratings so that it does not grow with the batch. ratings, predicted: (batch, n), stars; 0 = not rated.
    Returns a scalar in stars**2, 0 when nothing is observed."""
    observed = ops.cast(ops.not_equal(ratings, 0), predicted.dtype)
    return ops.sum(observed * ops.square(ratings - predicted)) / ops.maximum(ops.sum(observed), 1)
