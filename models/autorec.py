"""AutoRec: a rating row through a bottleneck and back (Sedhain et al., WWW 2015).

The paper reconstructs stars from stars. Here, by default and each with its switch: what is reconstructed is the rating
less the bias baseline, which is what makes small data work; the encoder also sees which movies were rated at all; and a
share of the ratings is hidden from it in training, as in a denoising autoencoder. The paper's own network is
`--no-baseline --no-implicit --no-normalise --dropout 0 --hidden 500 --activation sigmoid`.
"""

from dataclasses import dataclass
from typing import Literal

import keras

from models import _autoencoder
from utils.latent import ACTIVATIONS
from utils.options import Sizes


@dataclass(frozen=True)
class Config(_autoencoder.Config):
    """Options of `autorec`."""

    hidden: Sizes = (128,)
    """sizes of the hidden layers up to the latent one, such as 500,200; the decoder mirrors them"""
    activation: Literal[ACTIVATIONS] = "tanh"
    """of the hidden layers; the output is linear"""

    def __post_init__(self):
        super().__post_init__()
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden sizes must be 1 or more, got {self.hidden}")


class Model(_autoencoder.Autoencoder):
    """Dense layers down to the latent vector and, mirrored, up again."""

    def coders(self, features, n_columns):
        """See `Autoencoder.coders`."""
        config, x = self.config, features

        for i, units in enumerate(config.hidden):
            x = self._dense(units, config.activation, f"encoder_{i}")(x)
        decoder = keras.Sequential([keras.Input((config.hidden[-1],), name="latent")], name="decoder")
        for i, units in enumerate(reversed(config.hidden[:-1])):
            decoder.add(self._dense(units, config.activation, f"decoder_{i}"))
        decoder.add(self._dense(n_columns, "linear", "residual"))
        return x, decoder
