"""Mult-DAE: a denoising autoencoder of likes with a multinomial loss (Liang et al., WWW 2018)."""

from dataclasses import dataclass

from models import _likes


@dataclass(frozen=True)
class Config(_likes.Sampled):
    """Options of `multdae`."""

    l2: float = 1e-5
    """weight of the sum of the squared kernels in the loss; the paper's code has .01 / 500"""


class Model(_likes.LikesAutoencoder):
    """Dense layers down to the latent vector and, mirrored, up to the logits."""

    shares = True

    def coders(self, unit):
        """See `LikesAutoencoder.coders`."""
        return self._down(self._hide(unit), self.config.hidden), self._up(self.config.hidden[-2::-1])
