"""Adam with TensorFlow's fused update."""

import keras


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
