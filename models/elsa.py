"""ELSA: the linear autoencoder of likes with a low-rank matrix of weights (Vancura et al., RecSys 2022).

The scores of a user with likes x are x A A' - x, where row i of A is the vector of movie i, of length 1. No movie
predicts itself, as in EASE, but the weights are movies times `--hidden` numbers instead of movies squared. The loss of
a user is the squared distance of scores and likes, each divided by its length: 2 - 2 cos. As in the paper the optimizer
is NAdam. With `--signed`, which is not in the paper, movies rated without being liked have a second set of vectors,
which are inputs only."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops
from scipy.sparse import csr_array

from models.networks import likes_autoencoder
from models.networks.columns import take, total, width
from models.networks.latent_model import check_options
from models.networks.layers import FirstBlock
from models.networks.training_step import Nadam, Network, any_width
from utils.command_line.options import Sizes, UsualInt
from utils.distributed.batch_share import global_mean
from utils.scoring.protocols import Floats
from utils.training.search_space import Choice, Range, tuned

EPSILON = 1e-12


@dataclass(frozen=True)
class Config:
    """Options of `elsa`."""

    hidden: Sizes = tuned((256,), Choice((128,), (256,), (512,)))
    """size of the latent vectors"""
    dropout: float = tuned(0.0, Range(0.0, 0.6))
    """share of the input hidden while training, 0 <= p < 1; the paper has none"""
    relu: bool = False
    """in training scores below 0 count as 0, as in the authors' code; the paper has none of it"""
    signed: bool = False
    """movies rated without being liked are inputs, too (default under strong-ratings: on)"""
    learning_rate: float = tuned(0.1, Range(0.005, 0.3, log=True))
    """step size of NAdam"""
    batch_size: int = tuned(500, Choice(100, 200, 500, 1000))
    """users in a training step"""
    epochs: int = 200
    """most epochs; of more than 75,000 users an epoch is a part of a pass over them, of about 50,000"""
    patience: int = 20
    """epochs without a better validation NDCG@100 before training stops"""
    average: float = 0.0
    """after each epoch judge and keep a moving average of the weights, in which the epochs before have this share,
    such as 0.9; 0: the weights as they are"""
    sample: UsualInt = None
    """movies that a training step is computed on beside those that its users rated, which estimates the loss; 0: all
    (default: all up to 10,000 movies, 1,000 beyond)"""

    def __post_init__(self) -> None:
        check_options(self)
        if len(self.hidden) != 1:
            raise ValueError(f"hidden of elsa is one number, got {self.hidden}")


def cosine_loss(likes: KerasTensor, scores: KerasTensor) -> KerasTensor:
    """Compute 2 - 2 cos of each user's scores and likes, mean over users: a scalar.

    likes: (batch, n) of 0 and 1; scores: (batch, n). Of a sample of columns, all that is liked has to be in it."""
    length = ops.sqrt(ops.sum(likes**2, axis=1) * total(scores**2))
    return global_mean(2 - 2 * ops.sum(likes * scores, axis=1) / ops.maximum(length, EPSILON))


@keras.saving.register_keras_serializable("reelspace")
class UnitVectors(keras.layers.Layer):
    """Compute x A, (batch, units), of rows x, (batch, n), where the n rows of A are learned vectors of length 1."""

    activation = staticmethod(keras.activations.linear)

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the vectors, of any length."""
        self.vectors = self.add_weight((input_shape[-1], self.units), "glorot_uniform", name="vectors")

    def unit(self) -> KerasTensor:
        """Compute A, (n, units): the vectors divided by their length."""
        return ops.normalize(take(self.vectors), axis=1, epsilon=EPSILON)

    def call(self, x: KerasTensor) -> KerasTensor:
        """Compute x A."""
        return ops.matmul(x, self.unit())

    def dense(self) -> tuple[Floats, Floats]:
        """Return (kernel, bias) of the dense layer that computes the same."""
        return ops.convert_to_numpy(self.unit()), np.zeros(self.units, np.float32)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable("reelspace")
class Back(keras.layers.Layer):
    """Compute x A', (batch, n), of latent vectors x, with the first n rows of the A of `UnitVectors`.

    A is that of the layer `vectors`; where there is none, as when reading a file, a new one with `inputs` rows."""

    activation = staticmethod(keras.activations.linear)

    def __init__(self, units: int, n: int, inputs: int, vectors: UnitVectors | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.n, self.inputs = units, n, inputs
        self.vectors = vectors or UnitVectors(units, name="vectors")
        if not vectors:
            self.vectors.build((None, inputs))

    def call(self, codes: KerasTensor) -> KerasTensor:
        """Compute x A'."""
        return ops.matmul(codes, ops.transpose(self.vectors.unit()[: width(self.n)]))

    def dense(self) -> tuple[Floats, Floats]:
        """Return (kernel, bias) of the dense layer that computes the same."""
        return self.vectors.dense()[0][: self.n].T, np.zeros(self.n, np.float32)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        return super().get_config() | {"units": self.units, "n": self.n, "inputs": self.inputs}


class Model(likes_autoencoder.LikesAutoencoder):
    """One matrix A: x A encodes, times A' decodes."""

    config: Config
    shares = True
    loss = staticmethod(cosine_loss)

    def coders(self, unit: KerasTensor, *more: KerasTensor) -> tuple[KerasTensor, keras.Model]:
        """Build the layers; see `LikesAutoencoder.coders`."""
        (latent,) = self.config.hidden
        self.hidden_input = self._hide(unit)
        vectors = UnitVectors(latent, name="vectors")
        codes = vectors(self.hidden_input)
        back = Back(latent, self.shape[1], unit.shape[1], vectors, name="scores")
        return codes, keras.Sequential([keras.Input((latent,), name="latent"), back])

    def _build(self, matrix: csr_array | None = None) -> None:
        super()._build(matrix)
        likes = FirstBlock(self.shape[1], name="likes")(self.hidden_input)
        scores = self.decoder(self.encoder.output) - likes
        scores = ops.relu(scores) if self.config.relu else scores
        self.network = Network(self.encoder.input, scores, name="autoencoder")
        any_width(self.network)

    def _optimizer(self, config: Config) -> keras.optimizers.Optimizer:
        return Nadam(config.learning_rate)
