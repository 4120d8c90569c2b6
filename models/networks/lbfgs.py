"""L-BFGS on a whole batch at once, by SciPy: the optimiser of SparseFC and GLocal-K as published."""

import numpy as np
import scipy.optimize
from keras import ops, tree

from models.networks.gradients import differentiate
from models.networks.losses import masked_mse


def step(network, iterations):
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
