"""DeepRecommender: a deep SELU autoencoder, trained again on its own output (Kuchaiev and Ginsburg, 2017).

The paper's network takes and gives stars: `--no-baseline --no-implicit --no-normalise --dropout 0 --optimizer sgd
--learning-rate 0.005 --batch-size 128 --hidden 512,512,1024 --code-dropout 0.8 --last-activation selu --l2 0`. There
the learning rate falls at given epochs, momentum is not Nesterov's, and the f(x) that is fed back is that of the step
before; here it is computed again, with other dropout. The loss in the history is that of the steps on ratings alone."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.sparse import csr_array

from models.networks import layers, rating_autoencoder
from models.networks.training_step import Step
from utils.command_line.options import Sizes
from utils.training.batches import ColumnSampler
from utils.training.search_space import Choice, Range, tuned


@dataclass(frozen=True)
class Config(rating_autoencoder.Config):
    """Options of `deeprec`."""

    hidden: Sizes = tuned((512, 512, 1024), Choice((128, 128, 256), (256, 256, 512), (512, 512, 1024)))
    """sizes of the hidden layers up to the latent one; the decoder mirrors them"""
    activation: layers.Activation = tuned("selu", Choice("selu", "tanh", "relu"))
    """of the hidden layers"""
    last_activation: layers.Activation = "linear"
    """of the output; the paper's is selu"""
    learning_rate: float = tuned(1e-4, Range(2e-5, 2e-3, log=True))
    """step size of the optimiser in the first epoch"""
    code_dropout: float = tuned(0.5, Range(0.0, 0.8))
    """share of the latent vector set to 0 in training, 0 <= p < 1"""
    refeed: int = tuned(1, Choice(0, 1, 2))
    """training steps on each batch's own output, after the step on its ratings (dense re-feeding)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.code_dropout < 1 or self.refeed < 0:
            raise ValueError("code-dropout must be in [0, 1) and refeed 0 or more")
        if self.sample and self.refeed:
            raise ValueError("sample must be 0 with refeed: what is fed back has all columns")
        if self.optimizer == "lbfgs" and self.code_dropout:
            raise ValueError("lbfgs needs --code-dropout 0: it can't search along a loss that is drawn anew each time")


class Model(rating_autoencoder.Autoencoder):
    """Dense layers down to the latent vector, dropout on it, and layers of the mirrored sizes up again."""

    config: Config

    def coders(self, features: keras.KerasTensor, n_columns: int) -> tuple[keras.KerasTensor, keras.Model]:
        """See `Autoencoder.coders`."""
        config = self.config
        dropout = keras.layers.Dropout(config.code_dropout, seed=self.seed, name="code_dropout")
        latent = self._down(features)
        return latent, self._up(config.hidden[-2::-1], n_columns, config.last_activation, before=[dropout])

    def _sampler(self, rows: csr_array, size: int) -> ColumnSampler | None:
        return None if self.config.refeed else super()._sampler(rows, size)  # what is fed back has all columns

    def _step(self) -> Step | None:
        if not self.config.refeed:
            return super()._step()
        gradient_step = tf.function(self.network.gradient_step, reduce_retracing=True, autograph=False)
        train_on_batch, config = super()._step() or gradient_step, self.config

        def refeeding(given: Any, judged: Any) -> float:
            losses = []
            for _ in range(config.refeed):
                output = keras.ops.convert_to_numpy(self.network(given, training=True))  # f(x) before the step on x
                losses.append(float(train_on_batch(given, judged)))
                # a share of the output is hidden, as of any row; the draw depends on the step alone, so that a training
                # resumes exactly
                rng = np.random.default_rng((self.seed, int(self.network.optimizer.iterations)))
                fed = keras.ops.convert_to_tensor(np.where(rng.random(output.shape) < config.dropout, 0, output))
                given, judged = [fed, *given[1:]] if config.side else fed, output
            losses.append(float(train_on_batch(given, judged)))
            return losses[0] if np.isfinite(losses).all() else np.nan

        return refeeding
