"""SparseFC: an autoencoder with kernelised weights (Muller, Martel and Indiveri, ICML 2018).

The paper's network takes and gives stars, has two sigmoid layers and is trained on all movies at once: `--hidden
500,500 --activation sigmoid --no-baseline --no-implicit --no-normalise --dropout 0 --optimizer lbfgs`. The default has
the input of `autorec` and one layer of tanh, and is trained by Adam in a fraction of the time."""

from dataclasses import dataclass

from models.networks import kernels


@dataclass(frozen=True)
class Config(kernels.Config):
    """Options of `sparsefc`."""


class Model(kernels.Kernelised):
    """Kernelised layers, and nothing else."""

    config: Config
