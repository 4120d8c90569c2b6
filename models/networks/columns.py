"""Training on some of the columns of the matrix. A batch is computed on those that occur in it, in small dense blocks:
the rows of the weights that belong to them are gathered, and only these rows and their moments are updated. A loss that
counts all movies, such as a softmax, is estimated from these and a sample of the others. Or the network takes all
columns, and scores a sample of them (`--score-share`).

So an epoch costs what its ratings cost, not users times movies. Weights that belong to columns have a row for each:
`take` gives layers those they need."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras import KerasTensor, ops
from numpy.typing import NDArray

from utils.distributed.batch_share import share_of


class Columns:
    """The columns that a batch is computed on, within a gradient tape.

    index: (m,) of all `n`. importance: (m,), how many columns each stands for in a sum over all. rarity: (m,), one over
    the share of batches that each is in. all_given: whether the network takes all columns, and these are those that it
    scores. taken: [(weight, indices of its rows, these rows)] once layers have asked."""

    def __init__(
        self, index: Any, importance: Any, rarity: Any, n: int, tape: tf.GradientTape, all_given: bool = False
    ) -> None:
        self.index, self.importance, self.rarity, self.n, self.tape = index, importance, rarity, n, tape
        self.all_given = all_given
        self.taken: list[tuple[keras.Variable, Any, Any]] = []

    def take(self, weight: keras.Variable, beside: int = 0) -> Any:
        """Return the rows of a weight that has one, or several blocks of one, for each column that the network takes,
        and behind them `beside` others, which all batches need."""
        if self.all_given:
            return weight
        end = weight.shape[0] - beside
        blocks = [self.index + start for start in range(0, end, self.n)]
        return self.gather(weight, tf.concat([*blocks, tf.range(end, end + beside)], 0))

    def gather(self, weight: keras.Variable, index: Any) -> Any:
        """Return rows of a weight, of which these alone are updated; none may be there twice."""
        for known, _, rows in self.taken:
            if known is weight:
                return rows
        rows = tf.gather(weight.value, index)
        self.tape.watch(rows)
        self.taken.append((weight, index, rows))
        return rows


_columns: list[Columns] = []  # of the batch in progress; none where it is computed on all


@contextlib.contextmanager
def computed_on(columns: Columns) -> Iterator[Columns]:
    """Let layers and losses compute with these columns only."""
    _columns.append(columns)
    try:
        yield columns
    finally:
        _columns.pop()


def take(weight: keras.Variable, beside: int = 0) -> Any:
    """Return the rows of a weight that belong to the columns of the batch: all of them outside `computed_on`. beside:
    its last rows that belong to none."""
    return _columns[-1].take(weight, beside) if _columns else weight


def take_scored(weight: keras.Variable) -> Any:
    """Return the rows of a weight that belong to the columns that the batch is scored on; all outside `computed_on`."""
    return _columns[-1].gather(weight, _columns[-1].index) if _columns else weight


def on_some_columns() -> bool:
    """Tell whether the network takes some of the columns of a batch."""
    return bool(_columns) and not _columns[-1].all_given


def take_rows(weight: keras.Variable, index: Any) -> Any:
    """Return rows of a weight that are no columns', such as users', within `computed_on`."""
    return _columns[-1].gather(weight, index)


def width(n: int) -> Any:
    """Return the number of columns that the network takes of a batch, of n in all."""
    return ops.shape(_columns[-1].index)[0] if on_some_columns() else n


def total(values: KerasTensor) -> KerasTensor:
    """Sum values, (batch, columns), over all columns: an estimate where they are those of a sample."""
    return ops.sum(values * _columns[-1].importance if _columns else values, axis=-1)


def log_softmax(logits: KerasTensor) -> KerasTensor:
    """Compute the logarithm of the softmax over all columns, (batch, columns). From a sample its sum is estimated
    without bias (importance sampling, Bengio and Senecal 2008), its logarithm nearly so."""
    if not _columns:
        return ops.log_softmax(logits, axis=-1)
    weight = ops.log(_columns[-1].importance)
    return ops.log_softmax(logits + weight, axis=-1) - weight


def squares(rows: KerasTensor, beside: int = 0, scored: bool = False) -> KerasTensor:
    """Sum the squares of all rows of a weight, those taken of it given. Each counts one over the share of batches that
    it is in, so that the penalty of an epoch is, on average, that of all rows in each of its steps. beside: as in
    `take`. scored: whether they are of `take_scored`."""
    if not (on_some_columns() or (scored and _columns)):
        return _squares(tf.convert_to_tensor(rows))
    rarity = _columns[-1].rarity
    of_blocks = tf.tile(rarity, [(tf.shape(rows)[0] - beside) // tf.shape(rarity)[0]])
    return _weighted_squares(rows, tf.concat([of_blocks, tf.ones(beside)], 0))


@tf.custom_gradient
def _squares(rows: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Sum the squares of rows; value and gradient are one pass over them each."""
    return 2 * tf.nn.l2_loss(rows), lambda slope: rows * (2 * slope)


@tf.custom_gradient
def _weighted_squares(rows: Any, weight: Any) -> tuple[Any, Callable[[Any], tuple[Any, None]]]:
    """Sum the squares of rows, each times its weight; the gradient is taken in one pass over the rows."""

    def gradient(slope: Any) -> tuple[Any, None]:
        return rows * (2 * slope * weight)[:, None], None

    return tf.reduce_sum(weight * tf.reduce_sum(tf.square(rows), axis=1)), gradient


def filled(rows: KerasTensor) -> tf.SparseTensor:
    """Return the filled cells of rows, (batch, n)."""
    return tf.sparse.from_dense(rows)


def of_rows(cells: tf.SparseTensor, values: Any) -> Any:
    """Sum values, one for each cell, over the cells of each row: (batch,)."""
    return tf.math.unsorted_segment_sum(values, cells.indices[:, 0], cells.dense_shape[0])


@tf.custom_gradient
def _product(indices: Any, values: Any, shape: Any, kernel: Any) -> tuple[Any, Callable[[Any], tuple]]:
    """Multiply sparse rows and a kernel; both this and the kernel's gradient pass over the filled cells alone."""
    cells = tf.raw_ops.SparseTensorToCSRSparseMatrix(indices=indices, values=values, dense_shape=shape)

    def gradient(slope: Any) -> tuple[None, None, None, Any]:
        transposed = tf.raw_ops.SparseMatrixTranspose(input=cells, type=tf.float32)
        return None, None, None, tf.raw_ops.SparseMatrixMatMul(a=transposed, b=slope)

    return tf.raw_ops.SparseMatrixMatMul(a=cells, b=kernel), gradient


def product(rows: Any, kernel: Any) -> Any:
    """Multiply rows, (batch, inputs), by a kernel, (inputs, units). rows: an array or, where few cells are filled, a
    `tf.SparseTensor`, whose indices have to ascend by row alone; it gets no gradient."""
    if not isinstance(rows, tf.SparseTensor):
        return ops.matmul(rows, kernel)
    values = tf.cast(rows.values, tf.float32)
    weights = tf.cast(tf.convert_to_tensor(kernel), tf.float32)
    product = _product(rows.indices, values, rows.dense_shape, weights)
    return tf.cast(tf.ensure_shape(product, (None, kernel.shape[1])), kernel.dtype)


class _OfColumns(keras.layers.Layer):
    """A dense layer whose kernel has a row for each column of the matrix. l2: weight of its sum of squares. beside: the
    last of its rows that are no columns', such as those of side features."""

    def __init__(self, units: int, activation: Any = "linear", l2: float = 0.0, beside: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.l2, self.beside = units, l2, beside
        self.activation, self.initializer = keras.activations.get(activation), keras.initializers.get("glorot_uniform")

    def _create(self, shape: tuple[int | None, ...], initializer: Callable[..., Any]) -> None:
        """Create kernel and bias; `take` and `rows` say what of them is computed with, and in which precision."""
        self.kernel = self.add_weight(shape=shape, initializer=initializer, name="kernel", autocast=False)
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias", autocast=False)

    def rows(self, scored: bool = False) -> Any:
        """Return the rows of the kernel that the batch needs, after adding their penalty to the loss. scored: whether
        those of `take_scored`."""
        rows = take_scored(self.kernel) if scored else take(self.kernel, self.beside)
        if self.l2 and self.trainable:
            self.add_loss(share_of(self.l2 * squares(rows, self.beside, scored)))
        return ops.cast(rows, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for saving."""
        arguments = {"units": self.units, "activation": self.activation.__name__, "l2": self.l2, "beside": self.beside}
        return super().get_config() | arguments


@keras.saving.register_keras_serializable("reelspace")
class FromColumns(_OfColumns):
    """A dense layer whose inputs are columns, in one block or several; see `product` for what they may be."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create kernel, (inputs, units), and bias."""
        self._create((input_shape[-1], self.units), self.initializer)

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Compute the layer."""
        return self.activation(product(inputs, self.rows()) + ops.cast(self.bias, self.compute_dtype))

    def dense(self) -> tuple[NDArray, NDArray]:
        """Return (kernel, bias) of the dense layer that computes the same."""
        return ops.convert_to_numpy(self.kernel), ops.convert_to_numpy(self.bias)


@keras.saving.register_keras_serializable("reelspace")
class ToColumns(_OfColumns):
    """A dense layer whose outputs are columns, of the dtype of its weights whatever it computes in."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create kernel, transposed: (units, inputs), and bias."""
        self._create(
            (self.units, input_shape[-1]), lambda shape, dtype: ops.transpose(self.initializer(shape[::-1], dtype))
        )

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Compute the layer."""
        product = tf.matmul(inputs, self.rows(scored=True), transpose_b=True)
        product += ops.cast(take_scored(self.bias), self.compute_dtype)
        return ops.cast(self.activation(product), self.variable_dtype)

    def dense(self) -> tuple[NDArray, NDArray]:
        """Return (kernel, bias) of the dense layer that computes the same."""
        return ops.convert_to_numpy(self.kernel).T, ops.convert_to_numpy(self.bias)
