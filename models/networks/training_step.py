"""How weights are updated: the training step that `fit` calls, on all columns or on those of a batch; the optimizers;
L-BFGS on a whole batch at once by SciPy; matrix products in bfloat16."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Literal

import keras
import numpy as np
import scipy.optimize
import tensorflow as tf
from keras import KerasTensor, ops, tree
from numpy.typing import NDArray

from models.networks.columns import Columns, computed_on
from models.networks.losses import masked_mse

Loss = Callable[[KerasTensor, KerasTensor], KerasTensor]  # (what is judged, output of the network) -> scalar
Step = Callable[[Any, Any], Any]  # trains on a batch: (what the network takes, what is judged) -> loss, a scalar
Differentiated = Callable[[Any, Any], tuple[KerasTensor, list[KerasTensor]]]  # the same -> (loss, gradients)
Count = Callable[[Any, Any], Any]  # (what the network takes, what is judged) -> what the loss is a mean over
PRECISIONS = Literal["float32", "bfloat16"]


class Network(keras.Model):
    """A Keras model whose `fit` takes steps of any kind, and records losses that are means over what they count.

    The loss of an epoch is the mean of what its steps return, each weighted by what that is a mean over: of masked MSE
    the ratings that are judged, of losses of likes the users; of `joint` the ratings, the likes' part of it, too; of
    `recvae` it is over the passes of encoder and decoder alike. It holds the penalties on the weights, and is taken
    before the step changes them, but of L-BFGS after."""

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer,
        make_step: Callable[[], Step | None] = lambda: None,
        count: Count | None = None,
        precision: str = "float32",
        columns: int = 0,
        all_given: bool = False,
        **losses: Any,
    ) -> None:
        """Compile like any Keras model. make_step: gives the function that trains on a batch, for which the optimizer
        is there already; `gradient_step` where it gives None. count: what the loss of a batch is a mean over; its rows
        where None. precision: of the matrix products of a step. columns: the number of all, where batches come with
        those that they are computed on. all_given: see `on_columns`."""
        super().compile(optimizer, **losses, jit_compile=False)
        if columns:
            self.optimizer.build(self.trainable_variables)
        self.columns, self.all_given = columns, all_given
        step = make_step()
        self.run_eagerly = step is not None  # such a step compiles what it is made of itself
        gradient_step: Step = self.gradient_step
        if columns:
            gradient_step = on_columns(self, columns, self.compute_loss, self.optimizer, all_given=all_given)
        self.step = computed_in(precision, step or gradient_step, self)
        self.count = count or (lambda x, y: ops.shape(tree.flatten(y)[0])[0])

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on a batch (x, y); returns the mean of the losses since the epoch began."""
        x, y = (list(part) if isinstance(part, tuple) else part for part in data[:2])
        self._loss_tracker.update_state(self.step(x, y), sample_weight=ops.cast(self.count(x, y), "float32"))
        return {"loss": self._loss_tracker.result()}

    def gradient_step(self, x: Any, y: Any) -> KerasTensor:
        """Update the weights by the gradients of loss and penalties; returns their sum as it was before."""
        weights = self.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True), training=True)
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss


def any_width(*networks: keras.Model) -> None:
    """Let models of layers that can be computed on some of the columns take batches of these."""
    for network in networks:
        network.input_spec = None


def on_columns(
    network: keras.Model,
    n: int,
    loss_of: Callable[..., KerasTensor],
    optimizer: Any,
    weights: list[keras.Variable] | None = None,
    summed: Callable[[list[Any]], list[Any]] = lambda values: values,
    all_given: bool = False,
) -> Step:
    """Make the training step on the columns of a batch, of n in all: x is (what the network takes, and
    the arrays of `utils.training.batches.Columns`). loss_of: function of x, y, y_pred and training, with the losses
    of the layers. optimizer: one of those below, built. weights: those that are trained, all where None. summed: adds
    up the loss and gradients of the workers that share a batch. all_given: whether the network takes all columns, and
    those of the batch are those that it scores.

    The loss of stars, which counts ratings alone, and its gradients are those of all columns; a loss that counts all
    columns is estimated; so are penalties, see `squares`. Rows of the weights of other columns, and the moments of
    these, stay as they are, so that a moment is of the batches that its row was in (lazy Adam)."""
    trained = network.trainable_variables if weights is None else weights

    def step(x: Any, y: Any) -> KerasTensor:
        given, index, importance, rarity = x
        given = list(given) if isinstance(given, tuple) else given
        with tf.GradientTape() as tape, computed_on(Columns(index, importance, rarity, n, tape, all_given)) as columns:
            loss = loss_of(x=given, y=y, y_pred=network(given, training=True), training=True)
        rows = [taken for taken in columns.taken if any(taken[0] is weight for weight in trained)]
        whole = [weight for weight in trained if all(taken[0] is not weight for taken in rows)]
        slopes = tape.gradient(loss, [*(weight.value for weight in whole), *(taken for _, _, taken in rows)])
        loss, *slopes = summed([loss, *slopes])
        rate = tf.cast(optimizer.learning_rate, tf.float32)
        if hasattr(optimizer, "begin_step"):
            optimizer.begin_step()
        for slope, weight in zip(slopes[: len(whole)], whole, strict=True):
            optimizer.update_step(slope, weight, rate)
        for slope, (weight, places, taken) in zip(slopes[len(whole) :], rows, strict=True):
            update_rows(optimizer, weight, places, taken, slope, rate)
        optimizer.iterations.assign_add(1)
        return loss

    return step


def update_rows(
    optimizer: Any, weight: keras.Variable, index: Any, rows: Any, slope: KerasTensor, rate: KerasTensor
) -> None:
    """Update the rows `index` of a weight, and of the optimizer's moments of it, by their gradient."""
    moments = [moment.value for moment in optimizer.moments(weight)]
    updated = optimizer.updated(slope, rate, rows, *(tf.gather(moment, index) for moment in moments))
    for variable, values in zip([weight.value, *moments], updated, strict=True):
        tf.raw_ops.ResourceScatterUpdate(resource=variable.handle, indices=index, updates=values)


def differentiate(network: keras.Model, weights: list[keras.Variable], loss: Loss) -> Differentiated:
    """Make the function (x, y) -> (loss, gradients of `weights`, some of the network's) for training: of loss(y,
    network(x)) plus the losses that layers add."""
    x, y = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape), (network.input, network.output))

    @tf.function(input_signature=[x, y], autograph=False)
    def differentiated(given: Any, judged: KerasTensor) -> tuple[KerasTensor, list[KerasTensor]]:
        with tf.GradientTape() as tape:
            total = tf.add_n([loss(judged, network(given, training=True)), *network.losses])
        return total, [tf.convert_to_tensor(g) for g in tape.gradient(total, [w.value for w in weights])]

    return differentiated


def computed_in(precision: str, step: Step, network: keras.Model) -> Step:
    """Make layers with kernels compute in `precision`, "float32" or "bfloat16", during a training step of the network.

    Weights, the optimizer's moments and all that is computed outside the step stay float32, so that the network is
    judged, saved and used like any other (mixed precision, Micikevicius et al., ICLR 2018; without loss scaling, which
    bfloat16 does not need)."""
    if precision == "float32":
        return step

    @wraps(step)
    def lower(given: Any, judged: Any) -> Any:
        with _computing(network, "mixed_bfloat16"):
            return step(given, judged)

    return lower


@contextlib.contextmanager
def _computing(network: keras.Model, policy: str) -> Iterator[None]:
    every = network._flatten_layers()
    layers = [layer for layer in every if isinstance(getattr(layer, "kernel", None), keras.Variable)]
    try:
        for layer in layers:
            layer.dtype_policy = policy
        yield
    finally:
        for layer in layers:
            layer.dtype_policy = "float32"


class Adam(keras.optimizers.Adam):
    """Keras's Adam (Kingma and Ba, ICLR 2015) with one fused kernel of TensorFlow a weight: Keras's own dozen
    operations pass over weights and moments a dozen times, which at batches of 256 took a fifth of the epoch."""

    def build(self, variables: list[keras.Variable]) -> None:
        """Create the moments, and for each shape of rows variables that hold some while the kernel updates them."""
        super().build(variables)
        shapes = {tuple(variable.shape[1:]) for variable in variables}
        self._held = {
            shape: [tf.Variable(tf.zeros((0, *shape)), trainable=False, shape=(None, *shape)) for _ in range(3)]
            for shape in shapes
        }

    def moments(self, variable: keras.Variable) -> list[keras.Variable]:
        """Return the moving means of a weight's gradients and of their squares."""
        index = self._get_variable_index(variable)
        return [self._momentums[index], self._velocities[index]]

    def update_step(self, gradient: KerasTensor, variable: keras.Variable, learning_rate: KerasTensor) -> None:
        """Update one weight; see `keras.optimizers.Adam`."""
        mean, square = self.moments(variable)
        steps, rate = tf.cast(self.iterations + 1, tf.float32), tf.cast(learning_rate, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=mean.value.handle, v=square.value.handle,
            beta1_power=self.beta_1**steps, beta2_power=self.beta_2**steps, lr=rate, beta1=self.beta_1,
            beta2=self.beta_2, epsilon=self.epsilon, grad=gradient,
        )  # fmt: skip

    def updated(self, gradient: Any, rate: Any, *rows: Any) -> list[Any]:
        """Return some rows of a weight and of its moments after a step, by the same kernel."""
        steps, held = tf.cast(self.iterations + 1, tf.float32), self._held[tuple(gradient.shape[1:])]
        for variable, values in zip(held, rows, strict=True):
            variable.assign(values)
        weight, mean, square = (variable.handle for variable in held)
        tf.raw_ops.ResourceApplyAdam(
            var=weight, m=mean, v=square, beta1_power=self.beta_1**steps, beta2_power=self.beta_2**steps, lr=rate,
            beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon, grad=gradient,
        )  # fmt: skip
        return [variable.read_value() for variable in held]


class Momentum(keras.optimizers.SGD):
    """Keras's SGD with Nesterov momentum, which can update some rows of a weight."""

    def moments(self, variable: keras.Variable) -> list[keras.Variable]:
        """Return the momentum of a weight."""
        return [self.momentums[self._get_variable_index(variable)]]

    def updated(self, gradient: Any, rate: Any, rows: Any, momentum: Any) -> tuple[Any, Any]:
        """Return some rows of a weight and their momentum after a step."""
        momentum = momentum * self.momentum - gradient * rate
        return rows + momentum * self.momentum - gradient * rate, momentum


class Nadam(keras.optimizers.Nadam):
    """Keras's NAdam (Dozat 2016), which can update some rows of a weight."""

    def begin_step(self) -> None:
        """Take note of the product of the momenta so far."""
        self._u_product.assign(self._u_product * self._momentum(self.iterations + 1))

    def _momentum(self, step: Any) -> Any:
        return self.beta_1 * (1 - 0.5 * 0.96 ** tf.cast(step, tf.float32))

    def moments(self, variable: keras.Variable) -> list[keras.Variable]:
        """Return the moving means of a weight's gradients and of their squares."""
        index = self._get_variable_index(variable)
        return [self._momentums[index], self._velocities[index]]

    def updated(self, gradient: Any, rate: Any, rows: Any, mean: Any, square: Any) -> tuple[Any, Any, Any]:
        """Return some rows of a weight and their moments after a step."""
        now, following = (self._momentum(self.iterations + 1 + ahead) for ahead in (0, 1))
        product, steps = self._u_product.value, tf.cast(self.iterations + 1, tf.float32)
        mean = mean + (gradient - mean) * (1 - self.beta_1)
        square = square + (gradient * gradient - square) * (1 - self.beta_2)
        ahead = following * mean / (1 - product * following) + (1 - now) * gradient / (1 - product)
        return rows - rate * ahead / (tf.sqrt(square / (1 - self.beta_2**steps)) + self.epsilon), mean, square


def optimizer(config: Any, steps: int) -> keras.optimizers.Optimizer:
    """Make the optimizer that the options of an autoencoder of ratings ask for; steps: those of an epoch, after each of
    which the step size falls."""
    decay = keras.optimizers.schedules.ExponentialDecay
    rate = decay(config.learning_rate, max(steps, 1), config.decay, staircase=True)
    return {
        "adam": lambda: Adam(rate),
        "sgd": lambda: Momentum(rate, momentum=0.9, nesterov=True),
        "lbfgs": keras.optimizers.SGD,  # stands in: SciPy does the work and keeps nothing between two steps
    }[config.optimizer]()


def lbfgs_step(network: keras.Model, iterations: int) -> Step:
    """Make a training step (given, judged) -> loss: `iterations` of L-BFGS-B with a memory of 10 on the masked MSE and
    the network's penalties.

    Each step starts with an empty memory, as each round of the authors' code does; so a step depends on nothing but the
    weights, and a training resumes exactly."""
    weights = network.trainable_variables
    cuts = np.cumsum([np.prod(w.shape) for w in weights])[:-1]

    def assign(flat: NDArray[np.float64]) -> None:
        for weight, part in zip(weights, np.split(flat, cuts), strict=True):
            weight.assign(part.reshape(weight.shape).astype(np.float32))

    differentiated = differentiate(network, weights, masked_mse)

    def minimise(given: Any, judged: Any) -> float:
        given, judged = tree.map_structure(ops.convert_to_tensor, (given, judged))

        def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            assign(flat)
            loss, gradients = differentiated(given, judged)
            return float(loss), np.concatenate([np.ravel(g) for g in gradients]).astype(np.float64)

        start = np.concatenate([np.ravel(w) for w in weights]).astype(np.float64)
        minimum = scipy.optimize.minimize(
            objective, start, jac=True, method="L-BFGS-B",
            options={"maxiter": iterations, "maxcor": 10, "ftol": 0, "gtol": 0},
        )  # fmt: skip
        assign(minimum.x)
        return minimum.fun

    return minimise
