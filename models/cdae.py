"""CDAE: a denoising autoencoder of likes with a vector of its own for each user (Wu et al., WSDM 2016).

latent = activation(W x + v_user + b), scores = W' latent + b', with the logistic loss. The paper samples a few movies
that were not liked for each one that was; here all count. Users that were not trained on have v = 0, which the penalty
pulls all v towards."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops
from scipy.sparse import csr_array

from models.base import History
from models.networks import likes_autoencoder
from models.networks.columns import FromColumns, on_some_columns, take_rows
from models.networks.losses import logistic
from utils.data.ratings import likes
from utils.scoring.protocols import Floats, Indices
from utils.training.search_space import Range, tuned


@dataclass(frozen=True)
class Config(likes_autoencoder.Config):
    """Options of `cdae`."""

    l2: float = tuned(1e-5, Range(1e-6, 1e-4, log=True))
    """weight of the sum of the squared kernels and user vectors in the loss"""


@keras.saving.register_keras_serializable("reelspace")
class UserVectors(keras.layers.Layer):
    """A learned vector for each of n users, (batch, units) for indices (batch, 1); 0 for the index n, a stranger."""

    def __init__(self, n_users: int, units: int, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n_users, self.units, self.l2 = n_users, units, l2
        self.n_drawn = 0  # users with likes, each of whom is in one batch of an epoch; set before a training

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the vectors, all 0."""
        self.vectors = self.add_weight(shape=(self.n_users, self.units), initializer="zeros", name="vectors")

    def call(self, users: KerasTensor) -> KerasTensor:
        """Look up the vectors; see the class."""
        if on_some_columns():  # in training, where all users are known
            vectors = take_rows(self.vectors, users[:, 0])
            share = ops.shape(users)[0] / (self.n_drawn or self.n_users)  # of the users that an epoch draws
            self.add_loss(self.l2 * ops.sum(vectors**2) / ops.cast(share, "float32"))
            return vectors
        known = ops.cast(users < self.n_users, self.compute_dtype)
        vectors = ops.take(self.vectors, ops.minimum(users[:, 0], self.n_users - 1), axis=0) * known
        self.add_loss(self.l2 * ops.sum(self.vectors**2))
        return vectors

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        return super().get_config() | {"n_users": self.n_users, "units": self.units, "l2": self.l2}


class Model(likes_autoencoder.LikesAutoencoder):
    """One hidden layer that the user's own vector is added to."""

    config: Config
    loss = staticmethod(logistic)

    def coders(self, unit: KerasTensor, *more: KerasTensor) -> tuple[KerasTensor, keras.Model]:
        """Build the layers; see `LikesAutoencoder.coders`."""
        *sizes, latent = self.config.hidden
        kind = None if sizes else FromColumns
        of_likes = self._dense(latent, "linear", "own_likes", kind)(self._down(self._hide(unit), sizes))
        of_user = UserVectors(self.shape[0], latent, self.config.l2, name="vector")(more[0])
        total = keras.layers.Add(name="with_user")([of_likes, of_user])
        return keras.layers.Activation(self.config.activation, name="latent")(total), self._up(sizes[::-1])

    def _train(self, matrix: csr_array, *arguments: Any, **options: Any) -> History:
        drawn = int(np.count_nonzero(np.diff(likes(matrix, self.like).indptr)))
        self.encoder.get_layer("vector").n_drawn = drawn
        return super()._train(matrix, *arguments, **options)

    def _more_inputs(self) -> list[KerasTensor]:
        return [keras.Input((1,), dtype="int32", name="user")]

    def _stranger(self, given: KerasTensor) -> list[KerasTensor]:
        return [given, ops.full((ops.shape(given)[0], 1), self.shape[0], "int32")]

    def _inputs(self, rows: csr_array, index: Indices, who: Indices | None = None, dense: Floats | None = None) -> Any:
        users = np.full(len(index), self.shape[0]) if who is None else np.asarray(who)[index]
        return [super()._inputs(rows, index, who, dense), users[:, None].astype(np.int32)]
