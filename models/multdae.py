"""Mult-DAE: a denoising autoencoder of likes with a multinomial loss (Liang et al., WWW 2018)."""

from dataclasses import dataclass
from typing import Any, Literal

import keras

from models.networks import likes_autoencoder
from models.networks.losses import logistic, multinomial, squared
from utils.training.search_space import Range, tuned

LOSSES = {"multinomial": multinomial, "logistic": logistic, "squared": squared}


@dataclass(frozen=True)
class Config(likes_autoencoder.Config):
    """Options of `multdae`."""

    l2: float = tuned(1e-5, Range(1e-6, 1e-4, log=True))
    """weight of the sum of the squared kernels in the loss; the paper's code has .01 / 500"""
    loss: Literal["multinomial", "logistic", "squared"] = "multinomial"
    """multinomial: which movies the user's likes fall on; logistic: each movie liked or not; squared: the error of 1
    for what is liked and 0 for all else"""


class Model(likes_autoencoder.LikesAutoencoder):
    """Dense layers down to the latent vector and, mirrored, up to the logits."""

    config: Config
    shares = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.loss = LOSSES[self.config.loss]

    def coders(self, unit: keras.KerasTensor, *more: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.Model]:
        """Build the layers; see `LikesAutoencoder.coders`."""
        return self._down(self._hide(unit), self.config.hidden), self._up(self.config.hidden[-2::-1])
