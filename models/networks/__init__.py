"""What the Keras models share: the two autoencoders, layers, losses, optimizers."""
