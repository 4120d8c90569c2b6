"""How weights are updated: gradients as one compiled function, Adam by TensorFlow's fused kernel, L-BFGS on a whole
batch at once by SciPy, matrix products in bfloat16."""

import contextlib
from functools import wraps
from typing import Literal

import keras
import numpy as np
import scipy.optimize
from keras import ops, tree

from models.networks.losses import masked_mse


def differentiate(network, weights, loss):
    """A function (x, y) -> (loss, gradients of `weights`, some of the network's) of loss(y, network(x)) and what its
    layers add to the loss, while training."""
    if keras.backend.backend() == "jax":
        return _by_jax(network, weights, loss)
    import tensorflow as tf

    x, y = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape), (network.input, network.output))

    @tf.function(input_signature=[x, y])
    def differentiated(given, judged):
        with tf.GradientTape() as tape:
            total = tf.add_n([loss(judged, network(given, training=True)), *network.losses])
        return total, [tf.convert_to_tensor(one) for one in tape.gradient(total, [w.value for w in weights])]

    return differentiated


def _by_jax(network, weights, loss):
    import jax

    trained, others = network.trainable_variables, network.non_trainable_variables
    place = {id(weight): i for i, weight in enumerate(trained)}

    def total(own, values, state, x, y):
        values = list(values)
        for weight, value in zip(weights, own, strict=True):
            values[place[id(weight)]] = value
        predicted, state, losses = network.stateless_call(values, state, x, training=True, return_losses=True)
        return loss(y, predicted) + sum(losses), state

    compiled = jax.jit(jax.value_and_grad(total, has_aux=True))

    def differentiated(x, y):
        own, values, state = ([variable.value for variable in of] for of in (weights, trained, others))
        (value, state), gradients = compiled(own, values, state, x, y)
        for variable, new in zip(others, state, strict=True):  # such as how often random numbers were drawn
            variable.assign(new)
        return value, gradients

    return differentiated


def compiled(step):
    """A step that calls what `differentiate` gives, compiled with it where the backend can."""
    if keras.backend.backend() != "tensorflow":
        return step
    import tensorflow as tf

    return tf.function(step, reduce_retracing=True)


PRECISIONS = Literal["float32", "bfloat16"]


def computed_in(precision, step, network):
    """The training step of a network with its layers that have kernels computing in `precision`, "float32" or
    "bfloat16". Weights, the optimizer's moments and all that is computed outside the step stay float32, so what is
    trained so is judged, saved and used like any other (mixed precision, Micikevicius et al., ICLR 2018; no loss
    scaling, which bfloat16 has no need of)."""
    if precision == "float32":
        return step

    @wraps(step)
    def lower(given, judged):
        with _computing(network, "mixed_bfloat16"):
            return step(given, judged)

    return lower


@contextlib.contextmanager
def _computing(network, policy):
    layers = [one for one in network._flatten_layers() if isinstance(getattr(one, "kernel", None), keras.Variable)]
    try:
        for layer in layers:
            layer.dtype_policy = policy
        yield
    finally:
        for layer in layers:
            layer.dtype_policy = "float32"


class Adam(keras.optimizers.Adam):
    """Keras's Adam (Kingma and Ba, ICLR 2015), each weight updated by one kernel of TensorFlow where that is the
    backend: Keras's own dozen operations pass over weights and moments a dozen times, which at batches of 256 took a
    fifth of the epoch."""

    def update_step(self, gradient, variable, learning_rate):
        """See `keras.optimizers.Adam`."""
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


def optimizer(config, steps):
    """The Keras optimizer that the options of an autoencoder of ratings ask for; steps: those of an epoch, after each
    of which the step size falls."""
    decay = keras.optimizers.schedules.ExponentialDecay
    rate = decay(config.learning_rate, max(steps, 1), config.decay, staircase=True)
    return {
        "adam": lambda: Adam(rate),
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        "lbfgs": keras.optimizers.SGD,  # stands in: SciPy does the work and keeps nothing between two steps
    }[config.optimizer]()


def lbfgs_step(network, iterations):
    """A training step (given, judged) -> loss: `iterations` of L-BFGS-B with a memory of 10 on the masked MSE and the
    network's penalties. Each step starts with an empty memory, as each round of the authors' code does; so a step
    depends on nothing but the weights, and a training resumes exactly."""
    weights = network.trainable_variables
    cuts = np.cumsum([np.prod(w.shape) for w in weights])[:-1]

    def assign(flat):
        for weight, part in zip(weights, np.split(flat, cuts), strict=True):
            weight.assign(part.reshape(weight.shape).astype(np.float32))

    differentiated = differentiate(network, weights, masked_mse)

    def minimise(given, judged):
        given, judged = tree.map_structure(ops.convert_to_tensor, (given, judged))

        def objective(flat):
            assign(flat)
            loss, gradients = differentiated(given, judged)
            return float(loss), np.concatenate([np.ravel(one) for one in gradients]).astype(np.float64)

        start = np.concatenate([np.ravel(w) for w in weights]).astype(np.float64)
        options = {"maxiter": iterations, "maxcor": 10, "ftol": 0, "gtol": 0}
        found = scipy.optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        assign(found.x)
        return found.fun

    return minimise
