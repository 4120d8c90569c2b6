"""SparseFC: AutoRec with kernelised weights (Muller, Martel and Indiveri, ICML 2018)."""

from dataclasses import dataclass
from typing import Literal

import keras

from models import _autoencoder
from models._layers import KernelDense
from utils.latent import ACTIVATIONS
from utils.options import Sizes


@dataclass(frozen=True)
class Config(_autoencoder.Config):
    """Options of `sparsefc`."""

    rows: Literal["users", "movies"] = "movies"
    """what a row of the input is: a user's ratings, or a movie's (which takes no new users)"""
    hidden: Sizes = (500,)
    """sizes of the hidden layers; the last one is the latent vector, from which one layer leads to the ratings"""
    activation: Literal[ACTIVATIONS] = "tanh"
    """of the hidden layers; the output is linear"""
    dimensions: int = 5
    """dimensions of the space in which the kernel compares inputs and units"""
    sparsity: float = 1.5e-5
    """weight of the sum of the squared kernel values in the loss, over the root of the number of ratings"""


class Model(_autoencoder.Autoencoder):
    def coders(self, features, n_columns):
        """See `Autoencoder.coders`."""
        config, x = self.config, features

        def dense(units, activation, name):
            return KernelDense(
                units,
                activation,
                config.l2 * self.per_rating,
                config.sparsity * self.per_rating,
                config.dimensions,
                name=name,
            )

        for i, units in enumerate(config.hidden):
            x = dense(units, config.activation, f"encoder_{i}")(x)
        decoder = keras.Sequential([keras.Input((config.hidden[-1],), name="latent")], name="decoder")
        decoder.add(dense(n_columns, "linear", "residual"))
        return x, decoder
