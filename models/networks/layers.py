"""Keras layers that the autoencoders share."""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import KerasTensor, ops
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.networks.columns import FromColumns, filled, of_rows, on_some_columns, take, width
from utils.distributed.batch_share import uniform
from utils.scoring.biases import EPSILON
from utils.scoring.encoders import Centred

Activation = Literal["linear", "relu", "sigmoid", "tanh", "elu", "selu"]  # those of `utils.scoring.latent.ACTIVATIONS`
FEW = 0.1  # share of filled cells below which rows are sparse in training
DenseLayers = list[tuple[NDArray[np.float32], NDArray[np.float32], str]]  # (kernel, bias, activation name) of each


@keras.saving.register_keras_serializable("reelspace")
class Centre(keras.layers.Layer):
    """Subtract the baseline from stars and make the encoder's features. Input: (batch, n) stars, 0 = not rated.

    Returns (features, baseline). baseline, (batch, n) stars: global mean + column deviation + row deviation, which is
    the damped mean of what the row's ratings leave over (the formula of `utils.scoring.biases`); so an unseen row is
    centred like a known one. features, (batch, n to 3n): the ratings less the baseline, 0 where not rated, and with
    `implicit` a second block that is 1 where rated: which movies somebody chose to rate says as much as the stars
    (SVD++, Koren 2008). With `like` there is one more block, 1 where the stars are above it. `star` stars of the data
    are 1 in the features. With `normalise` all are divided by the root of the row's number of ratings (as in SVD++), so
    that heavy and light raters look alike to the encoder.

    In training batches a share `dropout` of each row's ratings is missing already, and with them that share of the
    encoder's sums; the features are scaled so that the sums are on average those of the whole row.

    Mean and column deviations are weights, but not trained: assign `mean` and `column`. Without `baseline` the stars
    pass as they are and the baseline is 0."""

    sparse = False  # whether the features are a `tf.SparseTensor` in training: set where few cells are filled

    def __init__(
        self,
        damping: float = 5.0,
        baseline: bool = True,
        implicit: bool = True,
        normalise: bool = True,
        dropout: float = 0.0,
        like: float | None = None,
        star: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.damping, self.baseline, self.implicit, self.normalise = damping, baseline, implicit, normalise
        self.dropout, self.like, self.star = dropout, like, star

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create mean, (), and column deviations, (n,)."""
        self.mean = self.add_weight(shape=(), initializer="zeros", trainable=False, name="mean")
        self.column = self.add_weight(shape=(input_shape[-1],), initializer="zeros", trainable=False, name="column")

    def call(self, ratings: KerasTensor, training: bool = False) -> tuple[KerasTensor, KerasTensor]:
        """Compute (features, baseline); see the class."""
        if training and self.sparse and not on_some_columns():
            return self._of_cells(filled(ratings))
        observed = ops.cast(ops.not_equal(ratings, 0), ratings.dtype)
        count = ops.sum(observed, axis=1, keepdims=True)
        if self.baseline:
            expected = self.mean + take(self.column)
            total = ops.sum(observed * (ratings - expected), axis=1, keepdims=True)
            baseline = expected + total / ops.maximum(count + self.damping, EPSILON)
        else:
            baseline = ops.zeros_like(ratings)
        residual = observed * (ratings - baseline)
        blocks = [residual if self.star == 1 else residual / self.star]  # each pass over a batch takes its time
        if self.implicit:
            blocks.append(observed)
        if self.like is not None:
            blocks.append(ops.cast(ratings > self.like, ratings.dtype))
        features = ops.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0]
        if self.normalise:
            features = features / ops.sqrt(ops.maximum(count, 1))
        scale = self._scale(training)
        return features if scale == 1 else features * scale, baseline

    def _of_cells(self, cells: tf.SparseTensor) -> tuple[tf.SparseTensor, KerasTensor]:
        """Compute the same in training from the filled cells of a batch; the features are sparse."""
        stars, (row, column) = cells.values, tf.unstack(cells.indices, axis=1)
        count = of_rows(cells, tf.ones_like(stars))
        if self.baseline:
            expected = self.mean + ops.convert_to_tensor(self.column)
            total = of_rows(cells, stars - tf.gather(expected, column))
            deviation = total / tf.maximum(count + self.damping, EPSILON)
            baseline, residual = expected + deviation[:, None], stars - tf.gather(expected, column)
            residual -= tf.gather(deviation, row)
        else:
            baseline, residual = tf.zeros(cells.dense_shape), stars
        blocks = [residual / self.star]
        if self.implicit:
            blocks.append(tf.ones_like(stars))
        if self.like is not None:
            blocks.append(tf.cast(stars > self.like, stars.dtype))
        scale = self._scale(True) / (tf.sqrt(tf.maximum(count, 1)) if self.normalise else tf.ones_like(count))
        values, (rows, n) = tf.stack(blocks, 1) * tf.gather(scale, row)[:, None], tf.unstack(cells.dense_shape)
        columns = column[:, None] + n * tf.range(len(blocks), dtype=tf.int64)
        indices = tf.stack([tf.repeat(row, len(blocks)), tf.reshape(columns, [-1])], 1)
        return tf.SparseTensor(indices, tf.reshape(values, [-1]), [rows, n * len(blocks)]), baseline

    def _scale(self, training: bool) -> float:
        """Return the factor that makes up for the ratings that are hidden while training."""
        return (1 - self.dropout) ** -(0.5 if self.normalise else 1.0) if training else 1.0

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        names = ("damping", "baseline", "implicit", "normalise", "dropout", "like", "star")
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("reelspace")
class FirstBlock(keras.layers.Layer):
    """Return the first of the blocks of `n` columns that rows, (batch, inputs), are made of."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = n

    def call(self, rows: KerasTensor) -> KerasTensor:
        """Cut off the other blocks."""
        return rows[:, : width(self.n)]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        return super().get_config() | {"n": self.n}


@keras.saving.register_keras_serializable("reelspace")
class Unit(keras.layers.UnitNormalization):
    """Divide rows by their length."""

    sparse = False  # whether they become a `tf.SparseTensor` in training: set where few cells are filled

    def call(self, inputs: KerasTensor, training: bool = False) -> KerasTensor:
        """Compute rows of length 1; those without an entry stay as they are."""
        if not (training and self.sparse) or on_some_columns():
            return super().call(inputs)
        cells = filled(inputs)
        lengths = tf.sqrt(of_rows(cells, tf.square(cells.values)))
        return cells.with_values(cells.values / tf.gather(lengths, cells.indices[:, 0]))


@keras.saving.register_keras_serializable("reelspace")
class Hide(keras.layers.Dropout):
    """Dropout, for which workers that share a batch draw the same random numbers."""

    def call(self, inputs: KerasTensor | tf.SparseTensor, training: bool = False) -> KerasTensor | tf.SparseTensor:
        """Hide a share of the inputs while training."""
        if not (training and self.rate):
            return inputs
        cells = inputs if isinstance(inputs, tf.SparseTensor) else filled(inputs)
        kept = uniform(cells.indices, self.seed_generator.next()) >= self.rate
        hidden = cells.with_values(tf.where(kept, cells.values / (1 - self.rate), 0))
        return hidden if inputs is cells else tf.sparse.to_dense(hidden)


@keras.saving.register_keras_serializable("reelspace")
class GlobalKernel(Centre):
    """`Centre`, whose centred ratings are then convolved with those of neighbouring rows (Han et al., CIKM 2021).

    Input: (batch, 3 n) stars, each row between the rows before and after it. The features are those of `Centre`, except
    that the ratings less the baseline of the three rows are convolved with a 3 x 3 kernel: the identity plus the mean
    over movies i of pooled_i * spread_i. pooled, (n_movies,), is the average output for the movie, in stars, and is not
    trained; spread, (n_movies, 3, 3), is learned from 0. As in the paper a ReLU follows where there is no baseline,
    because the values are stars then."""

    def __init__(self, n_movies: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.n_movies = n_movies

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of `Centre`, and those of the kernel."""
        super().build((None, input_shape[-1] // 3))  # type: ignore[operator]  # only the size of a batch is None
        self.pooled = self.add_weight(shape=(self.n_movies,), initializer="zeros", trainable=False, name="pooled")
        self.spread = self.add_weight(shape=(self.n_movies, 3, 3), initializer="zeros", name="spread")

    def kernel(self) -> KerasTensor:
        """Compute the 3 x 3 kernel, rows x columns."""
        same = np.zeros((3, 3), np.float32)
        same[1, 1] = 1
        return same + ops.einsum("i,irc->rc", self.pooled, self.spread) / self.n_movies

    def call(self, ratings: KerasTensor, training: bool = False) -> tuple[KerasTensor, KerasTensor]:
        """Compute (features, baseline) of the middle rows; see `Centre`."""
        n = ratings.shape[-1] // 3
        features, baseline = super().call(ops.reshape(ratings, (-1, n)))
        scale = self._scale(training)  # nothing is hidden of the rows before and after
        centred = ops.reshape(features[:, :n], (-1, 3, n)) * np.array([1, scale, 1], np.float32)[:, None]
        left, same, right = ops.unstack(ops.einsum("brn,rc->cbn", centred, self.kernel()), 3)
        spread = same + ops.pad(left[:, :-1], ((0, 0), (1, 0))) + ops.pad(right[:, 1:], ((0, 0), (0, 1)))
        blocks = [spread if self.baseline else ops.relu(spread)]
        if self.implicit:
            blocks.append(features[1::3, n:] * scale)
        return ops.concatenate(blocks, axis=1), baseline[1::3]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        return super().get_config() | {"n_movies": self.n_movies}


@keras.saving.register_keras_serializable("reelspace")
class BySide(keras.layers.Layer):
    """An output layer whose kernel has a part that columns with the same side features share.

    y = activation(layer(x) + x V S'), with S (columns, f) the side features of the columns, which are not trained, and
    V (inputs, f) learned, from 0 and with the penalty l2 * sum V**2. What is learned about users or movies with a
    feature serves those with few ratings."""

    def __init__(
        self,
        layer: keras.layers.Layer,
        features: NDArray[np.float32],
        activation: str = "linear",
        l2: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.layer, self.given, self.l2 = layer, features, l2
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create S and V."""
        if not self.layer.built:  # Keras builds it first when it reads a saved one back
            self.layer.build(input_shape)
        self.features = self.add_weight(
            shape=self.given.shape, initializer=lambda shape, dtype: self.given, trainable=False, name="features"
        )
        self.kinds = self.add_weight(shape=(input_shape[-1], self.given.shape[1]), initializer="zeros", name="kinds")

    def call(self, x: KerasTensor) -> KerasTensor:
        """Compute y; see the class."""
        self.add_loss(self.l2 * ops.sum(self.kinds**2))
        by_kind = ops.matmul(ops.matmul(x, self.kinds), ops.transpose(take(self.features)))
        return self.activation(ops.cast(self.layer(x), by_kind.dtype) + by_kind)

    def common(self) -> NDArray[np.float32]:
        """Return the part of the kernel, (inputs, columns), that columns with the same side features share."""
        return ops.convert_to_numpy(ops.matmul(self.kinds, ops.transpose(self.features)))

    def dense(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (kernel, bias) of the dense layer that computes the same."""
        kernel, bias = dense(self.layer)
        return kernel + self.common(), bias

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving; of the features, which are among the weights, only their number."""
        arguments = {"layer": keras.layers.serialize(self.layer), "features": self.given.shape[1], "l2": self.l2}
        return super().get_config() | arguments | {"activation": self.activation.__name__}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BySide:
        """Create the layer with the one inside; the features come with the weights."""
        layer = keras.layers.deserialize(config.pop("layer"))
        return cls(layer, np.zeros((layer.units, config.pop("features")), np.float32), **config)


def sparse_where_few_are_filled(encoder: keras.Model, rows: csr_array) -> None:
    """Let the first layers of an encoder compute with the filled cells of its training batches alone, if that is faster
    on these rows and the layer of weights behind them can."""
    width = encoder.inputs[0].shape[-1]
    few = rows.nnz < FEW * np.count_nonzero(np.diff(rows.indptr)) * width
    kinds = {type(layer) for layer in encoder.layers}
    can = FromColumns in kinds and keras.layers.Concatenate not in kinds
    for layer in encoder.layers:
        if isinstance(layer, Centre | Unit):
            layer.sparse = few and can


def dense_layers(decoder: keras.Model) -> DenseLayers:
    """Return the weights of a decoder of dense layers."""
    return [(*dense(layer), layer.activation.__name__) for layer in decoder.layers if layer.weights]


def plain_layers(encoder: keras.Model, *passing: type) -> DenseLayers | None:
    """Return the weights of the dense layers of an encoder; None where it has layers that are neither dense nor of the
    classes `passing`."""
    others = [layer for layer in encoder.layers if type(layer) not in (keras.layers.InputLayer, *passing)]
    if not all(isinstance(layer, keras.layers.Dense) or hasattr(layer, "dense") for layer in others):
        return None
    return [(*dense(layer), layer.activation.__name__) for layer in others]


def plain_encoder(encoder: keras.Model) -> Centred | None:
    """Return an encoder of stars as arrays; None where it is more than dense layers behind `Centre`."""
    layers = plain_layers(encoder, Centre)
    if not layers:
        return None
    centre = encoder.get_layer("centre")
    mean, column = (ops.convert_to_numpy(weight) for weight in (centre.mean, centre.column))
    names = ("damping", "baseline", "implicit", "normalise", "like", "star")
    return Centred(layers, float(mean), column, *(getattr(centre, name) for name in names))


def dense(layer: keras.layers.Layer) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (kernel, bias) of a dense layer: Keras's, or one that has a method `dense`."""
    return layer.dense() if hasattr(layer, "dense") else layer.get_weights()


def outputs(network: keras.Model, batch: Any) -> NDArray[np.float32]:
    """Return what a Keras model makes of a dense batch, as numpy. Called directly: `predict` would first compile a
    function for every size of batch, which costs more than it saves."""
    found = ops.convert_to_numpy(network(batch, training=False))
    return np.asarray(found, np.float32)  # runs saved before training alone was in bfloat16 compute in it
