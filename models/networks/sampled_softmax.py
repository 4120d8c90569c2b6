"""Training on some of the movies at a time, for catalogues so large that the first and the last layer are most of the
work: a batch is computed on the movies that occur in it and on a sample of the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import KerasTensor, ops
from numpy.typing import NDArray

from utils.training.batches import Epochs

_columns: list[tuple[KerasTensor, int]] = []  # (indices, number of all movies), innermost last


@contextlib.contextmanager
def of(index: KerasTensor, n: int) -> Iterator[None]:
    """Let the first and the last layer compute only with the movies of these indices, (m,), of all n."""
    _columns.append((index, n))
    try:
        yield
    finally:
        _columns.pop()


@keras.saving.register_keras_serializable("reelspace")
class FromMovies(keras.layers.Dense):
    """A dense layer whose inputs are movies."""

    def call(self, inputs: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Compute the layer, with the sampled movies alone inside `of`."""
        if not _columns:
            return super().call(inputs, training)
        index, n = _columns[-1]
        index = ops.concatenate([index + start for start in range(0, self.kernel.shape[0], n)])  # of each block
        kernel = ops.take(self.kernel, index, axis=0)
        return self.activation(ops.matmul(ops.take(inputs, index, axis=1), kernel) + self.bias)


@keras.saving.register_keras_serializable("reelspace")
class ToMovies(keras.layers.Dense):
    """A dense layer whose outputs are movies, of the dtype of its weights whatever it computes in."""

    def call(self, inputs: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Compute the layer, for the sampled movies alone inside `of`."""
        if not _columns:
            return ops.cast(super().call(inputs, training), self.variable_dtype)
        index, _ = _columns[-1]
        kernel, bias = ops.take(self.kernel, index, axis=1), ops.take(self.bias, index)
        return ops.cast(self.activation(ops.matmul(inputs, kernel) + bias), self.variable_dtype)


def sampling(epoch: Epochs, sample: int, seed: int) -> Epochs:
    """Turn (given, judged) batches into ((given, indices of the sampled movies, importance weights), judged) batches.

    Movies that occur in the batch are sampled with weight 1; `sample` of the others, drawn anew each time, share the
    weight of all the others."""

    def sampled(number: int) -> Iterator[tuple[Any, NDArray[np.float32]]]:
        for step, (given, judged) in enumerate(epoch(number)):
            n = judged.shape[1]
            occurs = judged.any(axis=0) | given.reshape(len(given), -1, n).any(axis=(0, 1))
            others = np.flatnonzero(~occurs)
            drawn = np.random.default_rng((seed, number, step)).permutation(others)[:sample]
            index = np.concatenate([np.flatnonzero(occurs), np.sort(drawn)])
            importance = np.ones(len(index), np.float32)
            importance[len(index) - len(drawn) :] = len(others) / max(len(drawn), 1)
            yield (given, index.astype(np.int32), importance), judged

    return Epochs(sampled, epoch.steps)


def step(network: keras.Model) -> Callable[[tuple, NDArray[np.float32]], KerasTensor]:
    """Make the function (a batch of `sampling`) -> loss that trains a compiled network.

    The loss is the multinomial one, with a softmax whose sum over all movies is estimated without bias from the sampled
    ones (importance sampling, Bengio and Senecal 2008; uniform, since popular movies occur in most batches anyway)."""
    weights = network.trainable_variables
    network.optimizer.build(weights)
    rows, judged = (tf.TensorSpec((None, shape[1])) for shape in (network.input_shape, network.output_shape))

    @tf.function(
        input_signature=[rows, tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,)), judged], autograph=False
    )
    def update(given: KerasTensor, index: KerasTensor, importance: KerasTensor, judged: KerasTensor) -> KerasTensor:
        with tf.GradientTape() as tape, of(index, network.output_shape[1]):
            logits = network(given, training=True)
            total = tf.reduce_logsumexp(logits + tf.math.log(importance), axis=1, keepdims=True)
            likes = tf.gather(judged, index, axis=1)
            loss = -tf.reduce_mean(tf.reduce_sum(likes * (logits - total), axis=1))
            loss = tf.add_n([loss, *network.losses])
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        network.optimizer.apply([tf.convert_to_tensor(gradient) for gradient in gradients], weights)
        return loss

    return lambda x, judged: update(*x, judged)
