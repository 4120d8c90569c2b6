"""CDAE: a denoising autoencoder of likes with a vector of its own for each user (Wu et al., WSDM 2016).

latent = activation(W x + v_user + b), scores = W' latent + b', with the logistic loss. The paper samples a few movies
that were not liked for each one that was; here all are counted. Who was not trained on has v = 0, where the penalty
pulls all of them."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from models.networks import likes_autoencoder
from models.networks.losses import logistic
from utils.training.search_space import Between, tuned


@dataclass(frozen=True)
class Config(likes_autoencoder.Config):
    """Options of `cdae`."""

    l2: float = tuned(1e-5, Between(1e-6, 1e-4, log=True))
    """weight of the sum of the squared kernels and user vectors in the loss"""


@keras.saving.register_keras_serializable("reelspace")
class UserVectors(keras.layers.Layer):
    """A learned vector for each of n users, (batch, units) for indices (batch, 1); 0 for the index n, a stranger."""

    def __init__(self, n_users, units, l2=0.0, **kwargs):
        super().__init__(**kwargs)
        self.n_users, self.units, self.l2 = n_users, units, l2

    def build(self, input_shape):
        """Create the vectors, all 0."""
        self.vectors = self.add_weight(shape=(self.n_users, self.units), initializer="zeros", name="vectors")

    def call(self, users):
        """See the class."""
        known = ops.cast(users < self.n_users, self.compute_dtype)
        vectors = ops.take(self.vectors, ops.minimum(users[:, 0], self.n_users - 1), axis=0) * known
        self.add_loss(self.l2 * ops.sum(self.vectors**2))
        return vectors

    def get_config(self):
        """The arguments, for saving."""
        return super().get_config() | {"n_users": self.n_users, "units": self.units, "l2": self.l2}


class Model(likes_autoencoder.LikesAutoencoder):
    """One hidden layer that the user's own vector is added to."""

    loss = staticmethod(logistic)

    def coders(self, unit, user):
        """See `LikesAutoencoder.coders`."""
        config = self.config
        *sizes, latent = config.hidden
        own = self._dense(latent, "linear", "own_likes")(self._down(self._hide(unit), sizes))
        own = keras.layers.Add(name="with_user")(
            [own, UserVectors(self.shape[0], latent, config.l2, name="vector")(user)]
        )
        return keras.layers.Activation(config.activation, name="latent")(own), self._up(sizes[::-1])

    def _more_inputs(self):
        return [keras.Input((1,), dtype="int32", name="user")]

    def _stranger(self, given):
        return [given, ops.full((ops.shape(given)[0], 1), self.shape[0], "int32")]

    def _inputs(self, given, users, index):
        who = np.full(len(index), self.shape[0]) if users is None else np.asarray(users)[index]
        return [super()._inputs(given, users, index), who[:, None].astype(np.int32)]
