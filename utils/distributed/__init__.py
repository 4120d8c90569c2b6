"""Several workers, by Ray and tf.distribute."""
