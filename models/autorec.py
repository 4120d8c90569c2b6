"""AutoRec: a rating row through a bottleneck and back (Sedhain et al., WWW 2015).

The paper reconstructs stars from stars. Here, each with its switch, the rating less the bias baseline is reconstructed,
which makes small data work; the encoder also sees which movies were rated; and a share of the ratings is hidden from it
in training (denoising). The paper's own network is `--no-baseline --no-implicit --no-normalise --dropout 0 --hidden 500
--activation sigmoid`, which it trains by RProp under a penalty chosen on held-out ratings."""

from dataclasses import dataclass

import keras

from models.networks import rating_autoencoder


@dataclass(frozen=True)
class Config(rating_autoencoder.Config):
    """Options of `autorec`."""


class Model(rating_autoencoder.Autoencoder):
    """Dense layers down to the latent vector and, mirrored, up again."""

    config: Config

    def coders(self, features: keras.KerasTensor, n_columns: int) -> tuple[keras.KerasTensor, keras.Model]:
        """Build the layers; see `Autoencoder.coders`."""
        return self._down(features), self._up(self.config.hidden[-2::-1], n_columns)
