"""The gradient of a network's loss as one compiled function, with TensorFlow or JAX, for training steps that are not
Keras's own."""

import keras


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
