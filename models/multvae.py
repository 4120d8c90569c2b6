"""Mult-VAE: a variational autoencoder of likes with a multinomial loss (Liang et al., WWW 2018).

Training draws the latent vector from N(mean, deviation**2); recommending takes the mean. The loss of a user is the
multinomial one plus beta times the KL divergence to N(0, 1), summed over the latent dimensions. beta grows linearly to
`--beta` over the first `--anneal` steps, which small data never reaches; in the paper's code to .2 over 40,000 steps.
The paper's network is `--hidden 600,200 --dropout 0.5 --learning-rate 0.001 --beta 0.2`."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops

from models.networks import likes_autoencoder
from models.networks.columns import FromColumns
from models.networks.layers import DenseLayers
from utils.command_line.options import Sizes
from utils.distributed.batch_share import global_mean, sample_shared
from utils.training.search_space import Choice, Range, tuned


@dataclass(frozen=True)
class Config(likes_autoencoder.Config):
    """Options of `multvae`."""

    hidden: Sizes = tuned((100,), Choice((100,), (200,), (400,), (600, 200)))
    """sizes of the hidden layers up to the latent one; the decoder mirrors them"""
    dropout: float = tuned(0.32, Range(0.1, 0.8))
    """share of the input hidden while training, 0 <= p < 1"""
    learning_rate: float = tuned(1.9e-3, Range(2e-4, 5e-3, log=True))
    """step size of Adam"""
    beta: float = tuned(0.04, Range(0.02, 1.0, log=True))
    """weight of the KL divergence once it is annealed"""
    anneal: int = tuned(13000, Range(500, 20000, log=True))
    """training steps until the weight of the KL divergence has grown to beta"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.beta < np.inf or self.anneal < 1:
            raise ValueError("beta must not be negative and anneal must be 1 or more")


@keras.saving.register_keras_serializable("reelspace")
class Sample(keras.layers.Layer):
    """Draw from N(mean, variance), (batch, n), while training; the mean otherwise.

    Input: (mean, log variance) side by side, (batch, 2 n). Adds the annealed KL divergence to N(0, 1), mean over the
    batch, to the loss."""

    def __init__(self, beta: float, anneal: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.beta, self.anneal, self.seed = beta, anneal, seed
        self.noise = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the counter of training steps."""
        self.steps = self.add_weight(shape=(), initializer="zeros", trainable=False, name="steps")

    def call(self, x: KerasTensor, training: bool = False) -> KerasTensor:
        """Draw, or take the mean; see the class."""
        mean, log_variance = ops.split(x, 2, axis=-1)
        if not training:
            return mean
        divergence = 0.5 * ops.sum(ops.exp(log_variance) + mean**2 - 1 - log_variance, axis=1)
        self.add_loss(self.beta * ops.minimum(self.steps / self.anneal, 1) * global_mean(divergence))
        self.steps.assign(self.steps + 1)
        noise = sample_shared(lambda shape: keras.random.normal(shape, seed=self.noise), mean)
        return mean + ops.exp(log_variance / 2) * noise

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        return super().get_config() | {"beta": self.beta, "anneal": self.anneal, "seed": self.seed}


class Model(likes_autoencoder.LikesAutoencoder):
    """Dense layers down to mean and variance of the latent vector, and mirrored ones up to the logits."""

    config: Config
    shares = True

    def coders(self, unit: KerasTensor, *more: KerasTensor) -> tuple[KerasTensor, keras.Model]:
        """Build the layers; see `LikesAutoencoder.coders`."""
        *sizes, latent = self.config.hidden
        kind = None if sizes else FromColumns
        both = self._dense(2 * latent, "linear", "mean_and_log_variance", kind)(self._down(self._hide(unit), sizes))
        return Sample(self.config.beta, self.config.anneal, self.seed, name="latent")(both), self._up(sizes[::-1])

    def _plain_layers(self, *passing: type) -> DenseLayers | None:
        layers = super()._plain_layers(Sample)
        if layers is None:
            return None
        *inner, (kernel, bias, activation) = layers
        latent = self.config.hidden[-1]  # the other half is the log variance
        return [*inner, (kernel[:, :latent], bias[:latent], activation)]
