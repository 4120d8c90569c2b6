"""The second path to stars of `joint`: vectors of movies, from an autoencoder of movies' rows, on which the ratings of
each person are regressed (`StarPath`).

With movies as rows stars are predicted better than with users as rows (docs/experiments.md), but the output layer of
such an autoencoder has weights for the users that it was trained on alone. The regression gives anybody theirs: the
weights that minimise the loss of the output layer on a person's ratings. Its penalty and its share in the stars are
chosen on validation.

With side features those of movies go into the encoder, and those of users say which weights to expect before any
rating: the part in common of the output layer's, which is then what the regression's penalty draws towards."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
from scipy.sparse import csr_array

from models import autorec
from models.networks.layers import BySide
from models.networks.rating_autoencoder import Autoencoder
from utils.data.splits import Holdout
from utils.scoring.biases import Biases
from utils.scoring.linear_scorer import StarPath
from utils.scoring.protocols import Floats, Scale
from utils.training.training import Training

FACTORS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the penalty that the output layer has in training
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the regression's stars
OPTIONS = autorec.Config(rows="movies", target="hidden", dropout=0.5, l2=0.02, batch_size=256, learning_rate=0.005)
END = 0.017  # the step size of the last epoch, as a share of that of the first


class _Autoencoder(autorec.Model):
    """The autoencoder; its checkpoint lies beside those of other phases of the training."""

    phase = "movies"
    unit: float = 1.0  # the stars of the data that make one of five

    def _refit_phase(self) -> str:
        return self.phase

    def encode_movies(self, known: csr_array) -> Floats:
        """Return the latent vectors of the movies, (n_movies, latent), with these ratings."""
        return self._encode(cast(csr_array, self._rows(known) / np.float32(self.unit)), np.arange(known.shape[1]))

    def expected_weights(self) -> Floats:
        """Return the weights of each user's output that side features tell, (n_users, latent); none without them."""
        output = self.decoder.layers[-1]
        if not isinstance(output, BySide):
            return np.zeros((0, *self.config.hidden[-1:]), np.float32)
        return np.float32(self.unit) * output.common().T


class MovieRows:
    """factor: what the penalty is multiplied by. share: of the regression's stars; 0 before `choose`."""

    autoencoder: _Autoencoder | None = None  # of movies' rows, once it is trained; of stars of five

    def __init__(self, factor: float = 1.0, share: float = 0.0) -> None:
        self.factor, self.share = factor, share

    def train(self, model: Autoencoder, matrix: csr_array, training: Training, phase: str) -> None:
        """Train the autoencoder for `model` on a matrix of stars, as stars of five: its options suit no other scale.
        Interrupted, what was trained before is kept."""
        config, star, (low, high) = model.config, model.star, model.scale
        names = ("user_damping", "movie_damping", "side", "side_weight")
        options = {name: getattr(config, name) for name in names}
        options |= {
            "hidden": (config.movie_size,),
            "epochs": config.movie_epochs,
            "decay": END ** (1 / config.movie_epochs),
        }
        autoencoder = _Autoencoder(model.shape, replace(OPTIONS, **options), model.seed, (low / star, high / star))
        autoencoder.phase, autoencoder.unit, autoencoder.side = phase, star, model.side
        autoencoder.refit(cast(csr_array, matrix / star), training)
        if not training.interrupted:
            self.autoencoder = autoencoder

    def path(self, known: csr_array) -> StarPath:
        """Return the path to stars, once trained, with the vectors of movies that have these ratings."""
        autoencoder = cast(_Autoencoder, self.autoencoder)
        penalty = self.factor * OPTIONS.l2 * np.sqrt(known.nnz)  # as the output layer's: see `Autoencoder`
        vectors, expected = autoencoder.encode_movies(known), autoencoder.expected_weights()
        return StarPath(vectors, expected, np.float32(penalty), np.float32(self.share))

    def choose(self, validation: Holdout, base: Biases, stars: Floats, scale: Scale) -> None:
        """Choose factor and share by the RMSE of the hidden ratings. base: the baseline of the given ones. stars: what
        the decoder predicts for the hidden ones, in the order of `tocoo`."""
        self.factor = 1.0
        hidden, path = validation.hidden.tocoo(), self.path(validation.given)
        everyone = np.arange(validation.given.shape[0])

        def errors(factor: float) -> Iterator[tuple[float, float, float]]:
            """Yield (mean squared error, factor, share)."""
            regression = replace(path, l2=np.float32(factor * path.l2))
            regressed = regression.regressed(validation.given, base, hidden.row, hidden.col, everyone)
            for share in SHARES:
                mixed = np.clip(stars + share * (regressed - stars), *scale)
                yield float(np.mean((hidden.data - mixed) ** 2)), factor, share

        _, self.factor, self.share = min(found for factor in FACTORS for found in errors(factor))
