"""Kernelised weights (Muller, Martel and Indiveri, Kernelized Synaptic Weight Matrices, ICML 2018)."""

from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import KerasTensor, ops
from numpy.typing import NDArray

from models.networks import rating_autoencoder
from models.networks.columns import FromColumns, ToColumns, squares, take
from utils.command_line.options import Sizes
from utils.training.search_space import Choice, Range, tuned

Which = Literal["", "inputs", "units"]  # of a layer, what columns of the matrix are


@keras.saving.register_keras_serializable("reelspace")
class KernelDense(keras.layers.Layer):
    """A dense layer whose weights are thinned by a kernel: y = activation(x (W * K) + b), K_ij = max(0, 1 - |u_i -
    v_j|**2) for learned positions u_i of the inputs and v_j of the units in a space of few dimensions. Units far from
    an input have no connection to it. columns: which of both are columns of the matrix, if any, but for the last
    `beside` of the inputs; where units are, W is kept transposed.

    The loss gets l2 * sum W**2 + sparsity * sum K**2; W is penalised as it is before thinning, as in the authors' code.
    """

    def __init__(
        self,
        units: int,
        activation: str = "linear",
        l2: float = 0.0,
        sparsity: float = 0.0,
        dimensions: int = 5,
        columns: Which = "",
        beside: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.l2, self.sparsity, self.dimensions = units, l2, sparsity, dimensions
        self.columns, self.beside = columns, beside
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create W and b, and the positions of inputs and units, close together so that K starts near 1."""
        near = keras.initializers.TruncatedNormal(stddev=1e-3)
        n = input_shape[-1]
        glorot = keras.initializers.get("glorot_uniform")
        if self.columns == "units":
            self.kernel = self._weight(
                "kernel", (self.units, n), lambda shape, dtype: ops.transpose(glorot(shape[::-1], dtype))
            )
        else:
            self.kernel = self._weight("kernel", (n, self.units), glorot)
        self.bias = self._weight("bias", (self.units,), "zeros")
        self.inputs = self._weight("inputs", (n, self.dimensions), near)
        self.outputs = self._weight("outputs", (self.units, self.dimensions), near)

    def _weight(self, name: str, shape: tuple[int, ...], initializer: Any) -> keras.Variable:
        # float32 whatever the layer computes in: small differences between positions decide what is connected
        return self.add_weight(shape=shape, initializer=initializer, name=name, autocast=False)

    def _parts(self) -> tuple[Any, Any, Any, Any]:
        """Return (W as it is kept, positions of its rows, those of its columns, b), of the batch's columns alone."""
        if self.columns == "units":
            return take(self.kernel), take(self.outputs), self.inputs, take(self.bias)
        if self.columns == "inputs":
            return take(self.kernel, self.beside), take(self.inputs, self.beside), self.outputs, self.bias
        return self.kernel, self.inputs, self.outputs, self.bias

    def thinned(self) -> tuple[Any, Any, Any, Any]:
        """Return (W, K, W * K, each as W is kept, b); K is in [0, 1]."""
        kernel, rows, columns, bias = self._parts()
        near = ops.sum(rows**2, axis=1)[:, None] + ops.sum(columns**2, axis=1)
        thinning = ops.relu(1 - near + 2 * ops.matmul(rows, ops.transpose(columns)))
        return kernel, thinning, kernel * thinning, bias

    def call(self, x: KerasTensor) -> KerasTensor:
        """Compute y; see the class."""
        kernel, thinning, weights, bias = self.thinned()
        total = squares if self.columns else lambda values, _: ops.sum(values**2)
        self.add_loss(self.l2 * total(kernel, self.beside) + self.sparsity * total(thinning, self.beside))
        weights, bias = (ops.cast(w, self.compute_dtype) for w in (weights, bias))
        return self.activation(ops.matmul(x, ops.transpose(weights) if self.columns == "units" else weights) + bias)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        names = ("units", "l2", "sparsity", "dimensions", "columns", "beside")
        arguments = {name: getattr(self, name) for name in names}
        return super().get_config() | arguments | {"activation": self.activation.__name__}

    def dense(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (kernel, bias) of the dense layer that computes the same."""
        _, _, weights, bias = (ops.convert_to_numpy(part) for part in self.thinned())
        return weights.T if self.columns == "units" else weights, bias


@dataclass(frozen=True)
class Config(rating_autoencoder.Config):
    """Options of the kernelised autoencoders."""

    rows: Literal["users", "movies"] = "movies"
    """what a row of the input is: a user's ratings, or a movie's (which takes no new users)"""
    hidden: Sizes = tuned((500,), Choice((128,), (256,), (500,)))
    """sizes of the hidden layers; the last one is the latent vector, from which one layer leads to the ratings"""
    dropout: float = tuned(0.16, Range(0.0, 0.8))
    """share of a row's ratings hidden from the encoder, drawn anew each epoch; 0 <= p < 1"""
    l2: float = tuned(0.017, Range(0.005, 0.5, log=True))
    """weight of the sum of the squared kernels in the loss, over the root of the number of ratings"""
    learning_rate: float = tuned(1.5e-3, Range(2e-4, 5e-3, log=True))
    """step size of the optimiser in the first epoch"""
    decay: float = tuned(0.95, Range(0.9, 1.0))
    """what the step size is multiplied by after each epoch, 0 < d <= 1"""
    batch_size: int | None = tuned(256, Choice(32, 64, 128, 256))
    """rows in a training step"""
    dimensions: int = 5
    """dimensions of the space in which the kernel compares inputs and units"""
    sparsity: float = tuned(2.5e-7, Range(1e-7, 1e-4, log=True))
    """weight of the sum of the squared kernel values in the loss, over the root of the number of ratings"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dimensions < 1 or not 0 <= self.sparsity < float("inf"):
            raise ValueError("dimensions must be 1 or more, and sparsity must not be negative")


class Kernelised(rating_autoencoder.Autoencoder):
    """Kernelised layers down to the latent vector, and one from there to the ratings."""

    config: Config

    def coders(self, features: KerasTensor, n_columns: int) -> tuple[KerasTensor, keras.Model]:
        """Build the layers; see `Autoencoder.coders`."""
        return self._down(features), self._up((), n_columns)

    def _dense(
        self,
        units: int,
        activation: str,
        name: str,
        l2: float | None = None,
        kind: type[FromColumns | ToColumns] | None = None,
    ) -> keras.layers.Layer:
        l2 = (self.config.l2 if l2 is None else l2) * self.per_rating
        columns: Which = "" if kind is None else "inputs" if kind is FromColumns else "units"
        sparsity = self.config.sparsity * self.per_rating
        beside = self._beside() if kind is FromColumns else 0
        return KernelDense(units, activation, l2, sparsity, self.config.dimensions, columns, beside, name=name)
