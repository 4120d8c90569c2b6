"""Keras layers that the autoencoders share."""

import keras
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
