"""RecVAE: Mult-VAE with a composite prior and alternating updates (Shenbin et al., WSDM 2020).

The prior of a user's latent vector is, in each dimension, a mixture of N(0, 1), of what the encoder gave for that user
before this epoch, and of a wide normal, so that the encoder forgets less while the decoder follows. The KL divergence
of the drawn vector to it weighs `--gamma` times the user's number of likes. An epoch is `--encoder-epochs` passes that
train the encoder on rows with a share hidden, and one that trains the decoder on whole rows. The paper has an Adam for
each; here one has the moments and counts the steps of both, which makes the decoder's first steps larger. With
`--linear` EASE is beside the decoder (`models/ensemble/linear_path.py`)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import KerasTensor, ops
from scipy.sparse import csr_array

from models.ensemble import linear_path
from models.networks import likes_autoencoder
from models.networks.columns import FromColumns, width
from models.networks.layers import Activation
from models.networks.losses import multinomial
from models.networks.training_step import Step, any_width, differentiate, on_columns
from utils.command_line.options import Sizes
from utils.training.batches import Epochs
from utils.training.search_space import Choice, Range, tuned

MIXTURE = (3 / 20, 3 / 4, 1 / 10)  # of N(0, 1), the encoder before, N(0, exp(LOG_WIDE)): the authors' code
LOG_WIDE = 10.0  # logarithm of a variance
LAYERS = 5
LINEAR_DROPOUT = 0.5


@dataclass(frozen=True)
class Config(likes_autoencoder.Config):
    """Options of `recvae`."""

    hidden: Sizes = tuned((600, 200), Choice((300, 100), (300, 200), (600, 100), (600, 200), (600, 400)))
    """width of the five densely connected layers of the encoder, and size of the latent vector"""
    activation: Activation = "tanh"
    """has no effect: the layers of RecVAE are swish"""
    gamma: float = tuned(0.005, Range(0.0005, 0.05, log=True))
    """weight of the KL divergence for each like of a user"""
    encoder_epochs: int = tuned(3, Range(1, 4))
    """passes that train the encoder, before each one that trains the decoder"""
    learning_rate: float = tuned(5e-4, Range(1e-4, 3e-3, log=True))
    """step size of Adam"""

    linear: bool = False
    """EASE beside the decoder, as in `joint`, with the inputs that --signed says; not of the paper"""
    linear_l2: float = 200.0
    """--l2 of that EASE"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.hidden) != 2:
            raise ValueError(f"hidden of recvae is two numbers, got {self.hidden}")
        if not 0 <= self.gamma < np.inf or self.encoder_epochs < 1:
            raise ValueError("gamma must not be negative and encoder-epochs must be 1 or more")
        _ = self.ease

    @property
    def ease(self) -> linear_path.Options:
        """The options of EASE: but for --linear-l2 those that `joint` has by default."""
        return linear_path.options(self.linear_l2, LINEAR_DROPOUT, self.signed)


def log_normal(x: KerasTensor, mean: KerasTensor | float, log_variance: KerasTensor | float) -> KerasTensor:
    """Compute the logarithm of the normal density, of the shape of x."""
    return -0.5 * (log_variance + math.log(2 * math.pi) + (x - mean) ** 2 / ops.exp(log_variance))


@keras.saving.register_keras_serializable("reelspace")
class CompositeSample(keras.layers.Layer):
    """Draw the latent vector, (batch, n), while training; the mean otherwise.

    Inputs: [(mean, log variance) side by side, (batch, 2 n); the same from the encoder of the epoch before; number of
    likes, (batch,)]. Adds the KL divergence to the composite prior to the loss."""

    def __init__(self, gamma: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gamma, self.seed = gamma, seed
        self.noise = keras.random.SeedGenerator(seed)

    def call(self, inputs: list[KerasTensor], training: bool = False) -> KerasTensor:
        """Draw, or take the mean; see the class."""
        (mean, log_variance), before, count = ops.split(inputs[0], 2, axis=-1), inputs[1], inputs[2]
        if not training:
            return mean
        drawn = mean + ops.exp(log_variance / 2) * keras.random.normal(ops.shape(mean), seed=self.noise)
        components = ((0.0, 0.0), ops.split(before, 2, axis=-1), (0.0, LOG_WIDE))  # (mean, log variance) of each
        weighted = [log_normal(drawn, *of) + math.log(share) for of, share in zip(components, MIXTURE, strict=True)]
        prior = ops.logsumexp(ops.stack(weighted), axis=0)
        divergence = ops.sum(log_normal(drawn, mean, log_variance) - prior, axis=-1)
        self.add_loss(self.gamma * ops.mean(count * divergence))
        return drawn

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        return super().get_config() | {"gamma": self.gamma, "seed": self.seed}


@keras.saving.register_keras_serializable("reelspace")
class Count(keras.layers.Layer):
    """Count the likes in each input row."""

    def __init__(self, n_movies: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n_movies = n_movies

    def call(self, unit: KerasTensor) -> KerasTensor:
        """Count the likes, (batch,), of rows (batch, inputs)."""
        return ops.sum(ops.cast(unit[:, : width(self.n_movies)] != 0, unit.dtype), axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        return super().get_config() | {"n_movies": self.n_movies}


class Model(linear_path.BesideEase, likes_autoencoder.LikesAutoencoder):
    """Five densely connected layers to mean and variance of the latent vector, one layer from there to the logits."""

    config: Config

    def coders(self, unit: KerasTensor, *more: KerasTensor) -> tuple[KerasTensor, keras.Model]:
        """Build the layers; see `LikesAutoencoder.coders`."""
        self.posterior = self._posterior(unit.shape[1:], "posterior")
        self.before = self._posterior(unit.shape[1:], "before")
        self.before.trainable = False
        count = Count(self.shape[1], name="count")(unit)
        sample = CompositeSample(self.config.gamma, self.seed, name="latent")
        self.drawn_whole = sample([self.posterior(unit), self.before(unit), count])
        return sample([self.posterior(self._hide(unit)), self.before(unit), count]), self._up(())

    def _build(self, matrix: csr_array | None = None) -> None:
        super()._build(matrix)
        self.whole = keras.Model(self.network.input, self.decoder(self.drawn_whole), name="whole")
        any_width(self.posterior, self.before, self.whole)

    def _posterior(self, shape: tuple[int, ...], name: str) -> keras.Model:
        """Build a Keras model from input rows to (mean, log variance), side by side."""
        width, latent = self.config.hidden
        rows = keras.Input(shape, name="rows")
        x, total = rows, 0
        for i in range(LAYERS):
            x = self._dense(width, "linear", f"{name}_{i}", FromColumns if i == 0 else None)(x) + total
            x = keras.layers.Activation("swish", name=f"{name}_swish_{i}")(x)
            x = keras.layers.LayerNormalization(epsilon=0.1, name=f"{name}_norm_{i}")(x)
            total = x + total
        both = self._dense(2 * latent, "linear", f"{name}_mean_and_log_variance")(x)
        return keras.Model(rows, both, name=name)

    def _batches(self, epoch: Epochs) -> Epochs:
        """Make an epoch of passes for the encoder, then one for the decoder; a batch says whether the encoder is
        trained on it."""
        passes = self.config.encoder_epochs

        def alternating(number: int, begin: int) -> Iterator[tuple[Any, Any]]:
            first, at = divmod(begin, epoch.steps)
            for i in range(first, passes + 1):
                for given, judged in epoch.draw(number * (passes + 1) + i, at if i == first else 0):
                    yield (np.array([i < passes]), given), judged

        return replace(epoch, draw=alternating, steps=epoch.steps * (passes + 1))

    def _callbacks(self) -> list[keras.callbacks.Callback]:
        def remember(*_: Any) -> None:
            self.before.set_weights(self.posterior.get_weights())

        return [keras.callbacks.LambdaCallback(on_epoch_begin=remember)]

    def _step(self) -> Step:
        """Make the training step; x is [whether the encoder is trained, input]."""
        self.network.optimizer.build(self.network.trainable_variables)
        of_encoder = self._updating(self.posterior.trainable_variables, self.network)
        of_decoder = self._updating(self.decoder.trainable_variables, self.whole)

        def step(x: list[Any], judged: Any) -> KerasTensor:
            is_of_encoder, given = x
            return (of_encoder if bool(is_of_encoder[0]) else of_decoder)(given, judged)

        return step

    def _updating(self, weights: list[keras.Variable], network: keras.Model) -> Step:
        """Make the step that trains these weights by the loss of `network`."""
        if n := self.network.columns:

            def loss_of(y: KerasTensor, y_pred: KerasTensor, **_: Any) -> KerasTensor:
                return tf.add_n([multinomial(y, y_pred), *network.losses])

            step = on_columns(network, n, loss_of, self.network.optimizer, weights, all_given=self.network.all_given)
            return tf.function(step, reduce_retracing=True, autograph=False)
        differentiated = differentiate(network, weights, multinomial)

        def update(given: KerasTensor, judged: KerasTensor) -> KerasTensor:
            loss, gradients = differentiated(given, judged)
            self.network.optimizer.apply(gradients, weights)
            return loss

        return tf.function(update, reduce_retracing=True, autograph=False)
