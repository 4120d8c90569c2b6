"""Training steps whose matrix products are computed in bfloat16."""

import contextlib
from functools import wraps
from typing import Literal

import keras

PRECISIONS = Literal["float32", "bfloat16"]


def computed_in(precision, step, network):
    """The training step of a network with its layers that have kernels computing in `precision`, "float32" or
    "bfloat16". Weights, the optimizer's moments and all that is computed outside the step stay float32, so what is
    trained so is judged, saved and used like any other (mixed precision, Micikevicius et al., ICLR 2018; no loss
    scaling, which bfloat16 has no need of)."""
    if precision == "float32":
        return step

    @wraps(step)
    def lower(given, judged):
        with _computing(network, "mixed_bfloat16"):
            return step(given, judged)

    return lower


@contextlib.contextmanager
def _computing(network, policy):
    layers = [one for one in network._flatten_layers() if isinstance(getattr(one, "kernel", None), keras.Variable)]
    try:
        for layer in layers:
            layer.dtype_policy = policy
        yield
    finally:
        for layer in layers:
            layer.dtype_policy = "float32"
