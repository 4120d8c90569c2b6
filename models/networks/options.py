"""The options that all autoencoders of ratings have."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.networks.optimizers import PRECISIONS
from utils.command_line.options import Names, Sizes
from utils.data.side_features import NAMES
from utils.scoring import biases
from utils.training.search_space import Among, Between, tuned

Activation = Literal["linear", "relu", "sigmoid", "tanh", "elu", "selu"]  # those of `utils.scoring.latent.ACTIVATIONS`


@dataclass(frozen=True)
class Config:
    """Options that all autoencoders of ratings have."""

    rows: Literal["users", "movies"] = "users"
    """what a row of the input is: a user's ratings, or a movie's (which takes no new users)"""
    hidden: Sizes = tuned((128,), Among((64,), (128,), (256,), (500,), (256, 128)))
    """sizes of the hidden layers up to the latent one, such as 500,200; the decoder mirrors them"""
    activation: Activation = tuned("tanh", Among("tanh", "sigmoid", "selu"))
    """of the hidden layers; the output is linear"""
    baseline: bool = True
    """reconstruct the rating less the bias baseline; without it, the stars themselves"""
    implicit: bool = True
    """give the encoder a second block of inputs: which movies were rated, whatever the stars"""
    normalise: bool = True
    """divide the encoder's input by the root of the number of ratings in the row"""
    dropout: float = tuned(0.2, Between(0.0, 0.8))
    """share of a row's ratings hidden from the encoder, drawn anew each epoch; 0 <= p < 1"""
    target: Literal["all", "hidden"] = tuned("all", Among("all", "hidden"))
    """the loss of the stars counts all of a row's ratings, or only those hidden from the encoder"""
    l2: float = tuned(0.06, Between(0.005, 0.5, log=True))
    """weight of the sum of the squared kernels in the loss, over the root of the number of ratings"""
    side: Names = ()
    """side features, of genres,year,age,gender,occupation, where the data tells them: those of the rows go into the
    encoder beside the ratings, those of the columns give the output layer a part in common for columns of a kind"""
    side_weight: float = 0.3
    """what side features are multiplied by; the ratings of a row, normalised, have squares that add up to about 1"""
    optimizer: Literal["adam", "sgd", "lbfgs"] = "adam"
    """Adam, SGD with Nesterov momentum 0.9, or L-BFGS on all rows at once (an epoch is --iterations of it; step size,
    decay and batch size do not apply)"""
    iterations: int = 10
    """iterations of L-BFGS in an epoch"""
    learning_rate: float = tuned(1e-3, Between(2e-4, 5e-3, log=True))
    """step size of the optimiser in the first epoch"""
    decay: float = tuned(1.0, Between(0.9, 1.0))
    """what the step size is multiplied by after each epoch, 0 < d <= 1"""
    precision: PRECISIONS = "float32"
    """what the matrix products of training are computed in; bfloat16 is faster only where the processor has it"""
    batch_size: int = tuned(64, Among(32, 64, 128, 256))
    """rows in a training step"""
    epochs: int = 200
    """most epochs"""
    patience: int = 8
    """epochs without a better validation RMSE before training stops"""
    user_damping: float = 5.0
    """damping of the bias baseline, as in `bias`"""
    movie_damping: float = 4.0
    """the same for movies"""

    def __post_init__(self) -> None:
        biases.check_damping(self.user_damping, self.movie_damping)
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden sizes must be 1 or more, got {self.hidden}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.target == "hidden" and self.dropout == 0:
            raise ValueError("target hidden needs a dropout above 0: nothing would be hidden, and nothing learned")
        if min(self.batch_size, self.epochs, self.patience, self.iterations) < 1:
            raise ValueError("batch-size, epochs, patience and iterations must be 1 or more")
        if unknown := set(self.side) - set(NAMES):
            raise ValueError(f"side takes {', '.join(NAMES)}; got {', '.join(sorted(unknown))}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be in (0, 1], got {self.decay}")
        if not 0 < self.side_weight < np.inf:
            raise ValueError(f"side-weight must be above 0, got {self.side_weight}")
        if not 0 < self.learning_rate < np.inf or not 0 <= self.l2 < np.inf:
            raise ValueError(
                f"learning-rate must be above 0 and l2 0 or more, got {self.learning_rate:g} and {self.l2:g}"
            )
