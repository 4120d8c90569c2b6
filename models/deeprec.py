"""DeepRecommender: a deep SELU autoencoder, trained again on its own output (Kuchaiev and Ginsburg, 2017).

The paper's network takes stars and gives stars: `--no-baseline --no-implicit --no-normalise --dropout 0 --optimizer sgd
--learning-rate 0.005 --batch-size 128 --hidden 512,512,1024 --code-dropout 0.8 --last-activation selu`. The paper's
learning rate falls at given epochs; here it stays."""

from dataclasses import dataclass
from typing import Literal

import keras

from models import _autoencoder, _options
from utils.latent import ACTIVATIONS
from utils.options import Sizes


@dataclass(frozen=True)
class Config(_options.Config):
    """Options of `deeprec`."""

    hidden: Sizes = (512, 512, 1024)
    """sizes of the hidden layers up to the latent one; the decoder mirrors them"""
    activation: Literal[ACTIVATIONS] = "selu"
    """of the hidden layers"""
    last_activation: Literal[ACTIVATIONS] = "linear"
    """of the output; the paper's is selu"""
    learning_rate: float = 1e-4
    """step size of the optimiser in the first epoch"""
    code_dropout: float = 0.5
    """share of the latent vector set to 0 in training, 0 <= p < 1"""
    refeed: int = 1
    """training steps on each batch's own output, after the step on its ratings (dense re-feeding)"""

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.code_dropout < 1 or self.refeed < 0:
            raise ValueError("code-dropout must be in [0, 1) and refeed 0 or more")


class Model(_autoencoder.Autoencoder):
    """Dense layers down to the latent vector, dropout on it, and layers of the mirrored sizes up again."""

    def coders(self, features, n_columns):
        """See `Autoencoder.coders`."""
        config = self.config
        dropout = keras.layers.Dropout(config.code_dropout, seed=self.seed, name="code_dropout")
        latent = self._down(features)
        return latent, self._up(config.hidden[-2::-1], n_columns, config.last_activation, before=[dropout])

    def _step(self):
        train_on_batch = super()._step()

        def refeeding(given, judged):
            loss = train_on_batch(given, judged)
            for _ in range(self.config.refeed):
                stars, *side = given if self.config.side else [given]
                stars = keras.ops.convert_to_numpy(self.network(given, training=True))
                given = [stars, *side] if side else stars
                train_on_batch(given, stars)  # no cell is empty now, and all are judged
            return loss

        return refeeding
