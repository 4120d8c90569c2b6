"""What tests compare with, in plain loops: figures of validation, and networks that answer without drawing."""

import numpy as np

from models.networks.columns import ToColumns


def ndcg(scores, given, hidden, like=3.5, candidates=None):
    """NDCG@100 user by user: dense stars that are given and hidden, and the scores of all movies."""
    found = []
    for own, shown, wanted in zip(scores, given, hidden, strict=True):
        liked = {m for m in range(len(own)) if wanted[m] > like}
        open_ = [m for m in range(len(own)) if not shown[m] and (candidates is None or candidates[m])]
        order = sorted(open_, key=lambda m: (-own[m], m))[:100]
        gain = sum(1 / np.log2(place + 2) for place, m in enumerate(order) if m in liked)
        if liked:
            found.append(gain / sum(1 / np.log2(place + 2) for place in range(min(len(liked), 100))))
    return np.mean(found)


def rmse(stars, hidden, scale=(0.5, 5.0)):
    """RMSE of the dense stars predicted, cut to the scale, over the cells of the dense `hidden` that are not 0."""
    cells = list(zip(*hidden.nonzero(), strict=True))
    cut = {cell: min(max(float(stars[cell]), scale[0]), scale[1]) for cell in cells}
    return np.sqrt(np.mean([(cut[cell] - float(hidden[cell])) ** 2 for cell in cells]))


def pairs(shape):
    """(users, movies) of all cells, row by row."""
    return np.divmod(np.arange(shape[0] * shape[1]), shape[1])


def own_weights(layer):
    """[kernel, bias, ...] of a dense layer or a kernelised one, the kernel (inputs, units) however it is kept."""
    kernel, *others = layer.get_weights()
    transposed = isinstance(layer, ToColumns) or getattr(layer, "columns", "") == "units"
    return [kernel.T if transposed else kernel, *others]


def assert_same_weights(one, other):
    """The networks of two models have the same weights, to the last bit."""
    for own, others in zip(one.network.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_array_equal(own, others)
