"""Keras layers that the autoencoders share."""

import keras
import numpy as np
from keras import ops

from utils.biases import EPSILON


@keras.saving.register_keras_serializable("reelspace")
class Centre(keras.layers.Layer):
    """Stars become what is left to explain. Input: (batch, n) stars, 0 = not rated.

    Returns (features, baseline). baseline, (batch, n) stars: global mean + column deviation + the row's own deviation,
    the damped mean of what its ratings leave over (the formula of `utils.biases`); so an unseen row is centred like a
    known one. features, (batch, n or 2n): the ratings less the baseline, 0 where not rated, and with `implicit` a
    second block that is 1 where rated: which movies somebody chose to rate says as much as the stars (SVD++, Koren
    2008). With `normalise` both are divided by the root of the row's number of ratings (SVD++ likewise), so that heavy
    and light raters look alike to the encoder.

    Mean and column deviations are weights, but not trained: `set_weights([mean, column])`. Without `baseline` the
    stars pass as they are and the baseline is 0."""

    def __init__(self, damping=5.0, baseline=True, implicit=True, normalise=True, **kwargs):
        super().__init__(**kwargs)
        self.damping, self.baseline, self.implicit, self.normalise = damping, baseline, implicit, normalise

    def build(self, input_shape):
        """Create mean, (), and column deviations, (n,)."""
        self.mean = self.add_weight(shape=(), initializer="zeros", trainable=False, name="mean")
        self.column = self.add_weight(shape=(input_shape[-1],), initializer="zeros", trainable=False, name="column")

    def call(self, ratings):
        """See the class."""
        observed = ops.cast(ops.not_equal(ratings, 0), ratings.dtype)
        count = ops.sum(observed, axis=1, keepdims=True)
        if self.baseline:
            expected = self.mean + self.column
            total = ops.sum(observed * (ratings - expected), axis=1, keepdims=True)
            baseline = expected + total / ops.maximum(count + self.damping, EPSILON)
        else:
            baseline = ops.zeros_like(ratings)
        features = observed * (ratings - baseline)
        if self.implicit:
            features = ops.concatenate([features, observed], axis=1)
        if self.normalise:
            features = features / ops.sqrt(ops.maximum(count, 1))
        return features, baseline

    def get_config(self):
        """The arguments, for saving."""
        mine = {name: getattr(self, name) for name in ("damping", "baseline", "implicit", "normalise")}
        return super().get_config() | mine


@keras.saving.register_keras_serializable("reelspace")
class GlobalKernel(Centre):
    """`Centre` of rows whose ratings, once centred, are spread to neighbours (Han et al., CIKM 2021).

    Input: (batch, 3 n) stars, each row between the rows before and after it. The features are those of `Centre`, but
    that the ratings less the baseline of the three rows are convolved with a 3 x 3 kernel: the one that changes
    nothing, plus the mean over movies i of pooled_i * spread_i. pooled, (n_movies,), is the average output for the
    movie, in stars, and stays; spread, (n_movies, 3, 3), is learned from 0. As in the paper a ReLU follows where there
    is no baseline, so that what is spread are stars."""

    def __init__(self, n_movies, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.n_movies = n_movies

    def build(self, input_shape):
        """Create the weights of `Centre`, and those of the kernel."""
        super().build((None, input_shape[-1] // 3))
        self.pooled = self.add_weight(shape=(self.n_movies,), initializer="zeros", trainable=False, name="pooled")
        self.spread = self.add_weight(shape=(self.n_movies, 3, 3), initializer="zeros", name="spread")

    def kernel(self):
        """The 3 x 3 kernel, rows x columns."""
        same = np.zeros((3, 3), np.float32)
        same[1, 1] = 1
        return same + ops.einsum("i,irc->rc", self.pooled, self.spread) / self.n_movies

    def call(self, ratings):
        """See `Centre`."""
        n = ratings.shape[-1] // 3
        features, baseline = super().call(ops.reshape(ratings, (-1, n)))
        centred = ops.reshape(features[:, :n], (-1, 3, n))
        left, same, right = ops.unstack(ops.einsum("brn,rc->cbn", centred, self.kernel()), 3)
        spread = same + ops.pad(left[:, :-1], ((0, 0), (1, 0))) + ops.pad(right[:, 1:], ((0, 0), (0, 1)))
        own = [spread if self.baseline else ops.relu(spread)]
        if self.implicit:
            own.append(features[1::3, n:])
        return ops.concatenate(own, axis=1), baseline[1::3]

    def get_config(self):
        """The arguments, for saving."""
        return super().get_config() | {"n_movies": self.n_movies}


@keras.saving.register_keras_serializable("reelspace")
class KernelDense(keras.layers.Layer):
    """A dense layer whose weights are thinned by a kernel (Muller, Martel and Indiveri, Kernelized Synaptic Weight
    Matrices, ICML 2018): y = activation(x (W * K) + b), with K_ij = max(0, 1 - |u_i - v_j|**2) for learned places u_i
    of the inputs and v_j of the units in a space of few dimensions; units far from an input have no connection to it.

    The loss gets l2 * sum W**2 + sparsity * sum K**2; W is penalised as it is before thinning, as in the authors' code.
    """

    def __init__(self, units, activation="linear", l2=0.0, sparsity=0.0, dimensions=5, **kwargs):
        super().__init__(**kwargs)
        self.units, self.l2, self.sparsity, self.dimensions = units, l2, sparsity, dimensions
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        """Create W and b, and the places of inputs and units, close together so that K starts near 1."""
        near = keras.initializers.TruncatedNormal(stddev=1e-3)
        n = input_shape[-1]
        self.kernel = self.add_weight(shape=(n, self.units), initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        self.inputs = self.add_weight(shape=(n, self.dimensions), initializer=near, name="inputs")
        self.outputs = self.add_weight(shape=(self.units, self.dimensions), initializer=near, name="outputs")

    def thinning(self):
        """K, (inputs, units), in [0, 1]."""
        squares = ops.sum(self.inputs**2, axis=1)[:, None] + ops.sum(self.outputs**2, axis=1)
        return ops.relu(1 - squares + 2 * ops.matmul(self.inputs, ops.transpose(self.outputs)))

    def call(self, x):
        """See the class."""
        thinning = self.thinning()
        self.add_loss(self.l2 * ops.sum(self.kernel**2) + self.sparsity * ops.sum(thinning**2))
        return self.activation(ops.matmul(x, self.kernel * thinning) + self.bias)

    def get_config(self):
        """The arguments, for saving."""
        mine = {name: getattr(self, name) for name in ("units", "l2", "sparsity", "dimensions")}
        return super().get_config() | mine | {"activation": self.activation.__name__}

    def dense(self):
        """(kernel, bias) of the dense layer that computes the same, as numpy."""
        return [ops.convert_to_numpy(self.kernel * self.thinning()), ops.convert_to_numpy(self.bias)]


def dense(layer):
    """(kernel, bias), numpy, of a dense layer of either kind."""
    return layer.dense() if isinstance(layer, KernelDense) else layer.get_weights()


@keras.saving.register_keras_serializable("reelspace")
class Profile(keras.layers.Layer):
    """How a row rates each kind of column. Input: (ratings, baseline), both (batch, n) stars. Returns (batch, 2 f): for
    each of the f features of columns what the row's ratings of such columns leave over the baseline, added up and
    divided by the root of the row's number of ratings, and the share of its ratings that such columns have. The
    features, (n, f) of 0 and 1, are given by `set_weights`."""

    def __init__(self, n_features, **kwargs):
        super().__init__(**kwargs)
        self.n_features = n_features

    def build(self, input_shape):
        """Create the place for the features."""
        shape = (input_shape[0][-1], self.n_features)
        self.features = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="features")

    def call(self, inputs):
        """See the class."""
        ratings, baseline = inputs
        observed = ops.cast(ops.not_equal(ratings, 0), ratings.dtype)
        n = ops.maximum(ops.sum(observed, axis=1, keepdims=True), 1)
        left = ops.matmul(observed * (ratings - baseline), self.features) / ops.sqrt(n)
        return ops.concatenate([left, ops.matmul(observed, self.features) / n], axis=1)

    def get_config(self):
        """The arguments, for saving."""
        return super().get_config() | {"n_features": self.n_features}
