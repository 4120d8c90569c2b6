"""The losses that the autoencoders are trained with."""

from keras import KerasTensor, ops

from models.networks.columns import log_softmax, total
from utils.distributed.batch_share import global_mean


def masked_mse(ratings: KerasTensor, predicted: KerasTensor) -> KerasTensor:
    """Compute the mean squared error over observed cells: the data term of AutoRec (Sedhain et al., WWW 2015), divided
    by the number of ratings so that it does not grow with the batch.

    ratings, predicted: (batch, n), stars; 0 = not rated. Returns a scalar in stars**2, 0 when nothing is observed."""
    observed = ops.cast(ops.not_equal(ratings, 0), predicted.dtype)
    return ops.sum(observed * ops.square(ratings - predicted)) / ops.maximum(ops.sum(observed), 1)


def multinomial(likes: KerasTensor, logits: KerasTensor) -> KerasTensor:
    """Compute the negative log likelihood of each user's likes under the softmax over all movies, mean over users
    (Liang et al., WWW 2018).

    likes: (batch, n) of 0 and 1; logits: (batch, n). Returns a scalar in nats."""
    return -global_mean(total(likes * log_softmax(logits)))


def logistic(likes: KerasTensor, logits: KerasTensor) -> KerasTensor:
    """Compute the cross-entropy of each cell, liked or not, with the sigmoid of its logit: sum over movies, mean over
    users (CDAE, Wu et al., WSDM 2016).

    likes: (batch, n) of 0 and 1; logits: (batch, n). Returns a scalar in nats."""
    return global_mean(total(ops.softplus(logits) - likes * logits))


def squared(likes: KerasTensor, scores: KerasTensor) -> KerasTensor:
    """Compute the squared error of each cell: sum over movies, mean over users, a scalar.

    likes, scores: (batch, n), likes being 0 or 1."""
    return global_mean(total(ops.square(likes - scores)))


def multinomial_by_user(likes: KerasTensor, logits: KerasTensor) -> KerasTensor:
    """Compute `multinomial` as a weighted mean over likes: each has the weight one over the root of its user's number
    of likes. Of a sample of columns, all that is liked has to be in it."""
    weight = _by_user(likes)
    return -ops.sum(weight * log_softmax(logits)) / ops.maximum(ops.sum(weight), 1e-7)


def logistic_by_user(likes: KerasTensor, logits: KerasTensor) -> KerasTensor:
    """Compute `logistic` as a weighted mean over likes: the sum of a user's cells, over the root of the user's number
    of likes, divided by the total weight in `multinomial_by_user`, so that both are a loss per like. Users without
    likes have weight 0. Of a sample of columns, all that is liked has to be in it."""
    weight = _by_user(likes)
    cells = total(ops.softplus(logits)) * ops.max(weight, axis=1) - ops.sum(weight * logits, axis=1)
    return ops.sum(cells) / ops.maximum(ops.sum(weight), 1e-7)


def _by_user(likes: KerasTensor) -> KerasTensor:
    """Compute the weight of each like, (batch, n): one over the root of its user's number of likes."""
    return likes / ops.sqrt(ops.maximum(ops.sum(likes, axis=1, keepdims=True), 1))
