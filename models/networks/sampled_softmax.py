"""Training on some of the movies at a time, for catalogues so large that the first and the last layer are most of the
work: a batch is computed on the movies that occur in it and on a sample of the others."""

import contextlib

import keras
import numpy as np
from keras import ops

from utils.errors import only_tensorflow

_columns = []


@contextlib.contextmanager
def of(index, n):
    """Where the first and the last layer compute with the movies of these indices, (m,), of all n alone."""
    _columns.append((index, n))
    try:
        yield
    finally:
        _columns.pop()


@keras.saving.register_keras_serializable("reelspace")
class FromMovies(keras.layers.Dense):
    """A dense layer whose inputs are movies."""

    def call(self, inputs, training=None):
        """See Keras."""
        if not _columns:
            return super().call(inputs, training)
        index, n = _columns[-1]
        index = ops.concatenate([index + start for start in range(0, self.kernel.shape[0], n)])  # of each block
        kernel = ops.take(self.kernel, index, axis=0)
        return self.activation(ops.matmul(ops.take(inputs, index, axis=1), kernel) + self.bias)


@keras.saving.register_keras_serializable("reelspace")
class ToMovies(keras.layers.Dense):
    """A dense layer whose outputs are movies, of the dtype of its weights whatever it computes in."""

    def call(self, inputs, training=None):
        """See Keras."""
        if not _columns:
            return ops.cast(super().call(inputs, training), self.variable_dtype)
        index, _ = _columns[-1]
        kernel, bias = ops.take(self.kernel, index, axis=1), ops.take(self.bias, index)
        return ops.cast(self.activation(ops.matmul(inputs, kernel) + bias), self.variable_dtype)


def sampling(epoch, sample, seed):
    """The (given, judged) batches of an epoch, a function of its number, as ((given, movies that are computed with,
    what each stands for), judged) batches: those that occur stand for themselves, and `sample` of the others, drawn
    anew each time, for all of them."""

    def sampled(number):
        for step, (given, judged) in enumerate(epoch(number)):
            n = judged.shape[1]
            occurs = judged.any(axis=0) | given.reshape(len(given), -1, n).any(axis=(0, 1))
            others = np.flatnonzero(~occurs)
            drawn = np.random.default_rng((seed, number, step)).permutation(others)[:sample]
            index = np.concatenate([np.flatnonzero(occurs), np.sort(drawn)])
            stands = np.ones(len(index), np.float32)
            stands[len(index) - len(drawn) :] = len(others) / max(len(drawn), 1)
            yield (given, index.astype(np.int32), stands), judged

    sampled.steps = epoch.steps
    return sampled


def step(network):
    """The function ((given, movies, what each stands for), judged) -> loss that trains a compiled network on a batch:
    the multinomial loss, with a softmax whose sum over all movies is estimated without bias from those at hand
    (importance sampling, Bengio and Senecal 2008; uniform, since popular movies occur in most batches anyway)."""
    only_tensorflow("--sample is computed", "leave it out, or KERAS_BACKEND")
    import tensorflow as tf

    weights = network.trainable_variables
    network.optimizer.build(weights)
    rows, judged = (tf.TensorSpec((None, shape[1])) for shape in (network.input_shape, network.output_shape))

    @tf.function(input_signature=[rows, tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,)), judged])
    def update(given, index, stands, judged):
        with tf.GradientTape() as tape, of(index, network.output_shape[1]):
            logits = network(given, training=True)
            total = tf.reduce_logsumexp(logits + tf.math.log(stands), axis=1, keepdims=True)
            likes = tf.gather(judged, index, axis=1)
            loss = -tf.reduce_mean(tf.reduce_sum(likes * (logits - total), axis=1))
            loss = tf.add_n([loss, *network.losses])
        found = tape.gradient(loss, [weight.value for weight in weights])
        network.optimizer.apply([tf.convert_to_tensor(one) for one in found], weights)
        return loss

    return lambda x, judged: update(*x, judged)
