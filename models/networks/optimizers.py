"""How weights are updated: gradients as one compiled function, Adam by TensorFlow's fused kernel, L-BFGS on a whole
batch at once by SciPy, matrix products in bfloat16."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Literal

import keras
import numpy as np
import scipy.optimize
from keras import KerasTensor, ops, tree
from numpy.typing import NDArray

from models.networks.losses import masked_mse

Loss = Callable[[KerasTensor, KerasTensor], KerasTensor]  # (what is judged, output of the network) -> scalar
Step = Callable[[Any, Any], Any]  # trains on a batch: (what the network takes, what is judged) -> loss, a scalar
Differentiated = Callable[[Any, Any], tuple[KerasTensor, list[KerasTensor]]]  # the same -> (loss, gradients)


def differentiate(network: keras.Model, weights: list[keras.Variable], loss: Loss) -> Differentiated:
    """Make the function (x, y) -> (loss, gradients of `weights`, some of the network's) for training: of loss(y,
    network(x)) plus the losses that layers add."""
    if keras.backend.backend() == "jax":
        return _by_jax(network, weights, loss)
    import tensorflow as tf

    x, y = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape), (network.input, network.output))

    @tf.function(input_signature=[x, y])
    def differentiated(given: Any, judged: KerasTensor) -> tuple[KerasTensor, list[KerasTensor]]:
        with tf.GradientTape() as tape:
            total = tf.add_n([loss(judged, network(given, training=True)), *network.losses])
        return total, [tf.convert_to_tensor(g) for g in tape.gradient(total, [w.value for w in weights])]

    return differentiated


def _by_jax(network: keras.Model, weights: list[keras.Variable], loss: Loss) -> Differentiated:
    import jax

    trained, others = network.trainable_variables, network.non_trainable_variables
    place = {id(weight): i for i, weight in enumerate(trained)}

    def total(
        chosen: list[KerasTensor], values: list[KerasTensor], state: list[KerasTensor], x: Any, y: Any
    ) -> tuple[KerasTensor, list[KerasTensor]]:
        values = list(values)
        for weight, value in zip(weights, chosen, strict=True):
            values[place[id(weight)]] = value
        predicted, state, losses = network.stateless_call(values, state, x, training=True, return_losses=True)
        return loss(y, predicted) + sum(losses), state

    compiled = jax.jit(jax.value_and_grad(total, has_aux=True))

    def differentiated(x: Any, y: Any) -> tuple[KerasTensor, list[KerasTensor]]:
        chosen, values, state = ([variable.value for variable in of] for of in (weights, trained, others))
        (value, state), gradients = compiled(chosen, values, state, x, y)
        for variable, new in zip(others, state, strict=True):  # such as how often random numbers were drawn
            variable.assign(new)
        return value, gradients

    return differentiated


def compiled(step: Step) -> Step:
    """Compile a step that calls what `differentiate` gives, together with it, where the backend can."""
    if keras.backend.backend() != "tensorflow":
        return step
    import tensorflow as tf

    return tf.function(step, reduce_retracing=True)


PRECISIONS = Literal["float32", "bfloat16"]


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
    """Keras's Adam (Kingma and Ba, ICLR 2015) with one fused kernel of TensorFlow a weight where that is the backend:
    Keras's own dozen operations pass over weights and moments a dozen times, which at batches of 256 took a fifth of
    the epoch."""

    def update_step(self, gradient: KerasTensor, variable: keras.Variable, learning_rate: KerasTensor) -> None:
        """Update one weight; see `keras.optimizers.Adam`."""
        if keras.backend.backend() != "tensorflow":
            return super().update_step(gradient, variable, learning_rate)
        import tensorflow as tf

        index = self._get_variable_index(variable)
        steps, rate = tf.cast(self.iterations + 1, tf.float32), tf.cast(learning_rate, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=self._momentums[index].value.handle, v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**steps, beta2_power=self.beta_2**steps, lr=rate, beta1=self.beta_1,
            beta2=self.beta_2, epsilon=self.epsilon, grad=gradient,
        )  # fmt: skip


def optimizer(config: Any, steps: int) -> keras.optimizers.Optimizer:
    """Make the optimizer that the options of an autoencoder of ratings ask for; steps: those of an epoch, after each of
    which the step size falls."""
    decay = keras.optimizers.schedules.ExponentialDecay
    rate = decay(config.learning_rate, max(steps, 1), config.decay, staircase=True)
    return {
        "adam": lambda: Adam(rate),
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
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
