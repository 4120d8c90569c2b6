"""The second path to stars of `joint`: vectors of movies, from an autoencoder of movies' rows, on which the ratings of
each person are regressed (`StarPath`).

With movies as rows stars are predicted better than with users as rows (docs/experiments.md), but the output layer of
such an autoencoder has weights for the users that it was trained on alone. The regression gives anybody theirs: the
weights that minimise the loss of the output layer on a person's ratings. Its penalty and its share in the stars are
chosen on validation."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
from scipy.sparse import csr_array

from models import autorec
from models.base import Recommender
from utils.data.splits import Holdout
from utils.scoring.biases import Biases
from utils.scoring.encoders import Centred, Encoder
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

    def _refit_phase(self) -> str:
        return self.phase


class MovieRows:
    """factor: what the penalty is multiplied by. share: of the regression's stars; 0 before `choose`."""

    encoder: Encoder | None = None  # of movies' rows, once it is trained

    def __init__(self, factor: float = 1.0, share: float = 0.0) -> None:
        self.factor, self.share = factor, share

    def train(self, model: Recommender, matrix: csr_array, training: Training, phase: str) -> None:
        """Train the autoencoder for `model` on a matrix of stars, as stars of five: its options suit no other scale.
        Interrupted, what was trained before is kept."""
        config, star, (low, high) = model.config, model.star, model.scale
        options = {name: getattr(config, name) for name in ("user_damping", "movie_damping")}
        options |= {
            "hidden": (config.movie_size,),
            "epochs": config.movie_epochs,
            "decay": END ** (1 / config.movie_epochs),
        }
        autoencoder = _Autoencoder(model.shape, replace(OPTIONS, **options), model.seed, (low / star, high / star))
        autoencoder.phase = phase
        autoencoder.refit(cast(csr_array, matrix / star), training)
        if not training.interrupted:
            encoder = cast(Centred, autoencoder._plain_encoder())
            self.encoder = replace(encoder, mean=star * encoder.mean, column=star * encoder.column, star=star)

    def path(self, known: csr_array) -> StarPath:
        """Return the path to stars, once trained, with the vectors of movies that have these ratings."""
        vectors = cast(Encoder, self.encoder).of_matrix(known.T.tocsr())
        penalty = self.factor * OPTIONS.l2 * np.sqrt(known.nnz)  # as the output layer's: see `Autoencoder`
        return StarPath(vectors, np.float32(penalty), np.float32(self.share))

    def choose(self, validation: Holdout, base: Biases, stars: Floats, scale: Scale) -> None:
        """Choose factor and share by the RMSE of the hidden ratings. base: the baseline of the given ones. stars: what
        the decoder predicts for the hidden ones, in the order of `tocoo`."""
        self.factor = 1.0
        hidden, path = validation.hidden.tocoo(), self.path(validation.given)

        def errors(factor: float) -> Iterator[tuple[float, float, float]]:
            """Yield (mean squared error, factor, share)."""
            regression = replace(path, l2=np.float32(factor * path.l2))
            regressed = regression.regressed(validation.given, base, hidden.row, hidden.col)
            for share in SHARES:
                mixed = np.clip(stars + share * (regressed - stars), *scale)
                yield float(np.mean((hidden.data - mixed) ** 2)), factor, share

        _, self.factor, self.share = min(found for factor in FACTORS for found in errors(factor))
