"""The second path of an autoencoder to scores: EASE beside its decoder of likes. EASE keeps the single pairs of movies
that a narrow latent vector forgets; the decoder ranks what EASE has no opinion about. The share of the decoder is
chosen on validation."""

from pathlib import Path
from typing import Any, Self, TypeAlias

import keras
import numpy as np
from keras import KerasTensor
from scipy.sparse import csr_array

from models import ease
from models.base import History, Recommender
from models.networks.latent_model import LatentModel
from utils.data.splits import Holdout
from utils.evaluation.holdout_metrics import judged_users
from utils.recommend.strategies import MOST, ndcg
from utils.runs.run_folder import Run
from utils.scoring.linear_scorer import LEAST, LinearPath
from utils.scoring.protocols import Floats, Indices, ScoreFunction
from utils.training.training import Training

Options: TypeAlias = ease.Config
SHARES = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)  # of the logits beside EASE, tried on validation


def options(*values: Any, **more: Any) -> Options:
    """Return the options of EASE; a `ValueError` that names the model's own option where one is impossible."""
    try:
        return Options(*values, **more)
    except ValueError as error:
        raise ValueError(f"linear-{error}") from None


class Linear(ease.Model):
    """EASE with the share that the decoder's logits get when both are mixed (`LinearPath`)."""

    arrays = (*ease.Model.arrays, "share")
    share = np.float32(0.5)  # where validation has no likes to choose it by

    @classmethod
    def of(cls, model: Recommender) -> Self:
        """Make the untrained linear path of a model, whose config says the options of EASE."""
        return cls(model.shape, model.config.ease, 0, model.scale, model.like)

    @property
    def path(self) -> LinearPath:
        """The weights and the share as what mixes scores with them."""
        return LinearPath(self.scorer, self.share)

    def choose(self, validation: Holdout, score: ScoreFunction) -> None:
        """Choose the share that ranks the validation hold-out best, since both have learned to explain the same likes.

        score: the decoder's logits as a score function."""
        users = judged_users(validation, MOST)
        if not len(users):
            return
        given = validation.given[users]
        linear, logits = self.path.log_scores(given), score(given, users)

        def ndcg_of(share: float) -> float:
            def mixed(_: csr_array, block: Indices) -> Floats:
                rows = np.searchsorted(users, block)
                return linear[rows] + np.float32(share) * logits[rows]

            return ndcg(mixed, validation)

        self.share = np.float32(max(SHARES, key=ndcg_of))


class BesideEase(LatentModel):
    """What a model with a linear path does beside what its architecture does. Its config has `linear`, whether there
    is one, and `ease`, the options of it."""

    linear: Linear | None = None

    def fit(self, train_matrix: csr_array, validation: Holdout, training: Training) -> History:
        """See `Recommender.fit`. Epochs are chosen by what the autoencoder does alone. Where nobody likes anything
        there is no linear path."""
        linear = None
        if self.config.linear and (train_matrix.data > self.like).any():
            linear = Linear.of(self)
            linear.refit(train_matrix)  # first, since it takes most memory
        self.linear = None
        history = super().fit(train_matrix, validation, training)
        if linear:
            linear.choose(validation, self.score)
            self.linear = linear
        return history

    def refit(self, matrix: csr_array, training: Training, *start: Any, **options: Any) -> History:
        """See `LatentModel.refit`; the linear path keeps its share."""
        history = super().refit(matrix, training, *start, **options)
        if self.linear and not training.interrupted:
            self.linear.refit(matrix)
        return history

    def score(self, given: csr_array, users: Indices | None = None) -> Floats:
        """Return the logits of all movies, (n, n_movies), mixed with EASE once it is fitted."""
        logits = super().score(given, users)
        return self.linear.path.mix_with_decoder(given, logits) if self.linear else logits

    @property
    def held(self) -> int:
        """Number of bytes that an export holds as constants."""
        return self.linear.held if self.linear else 0

    def exported(self, stars: KerasTensor) -> dict[str, KerasTensor]:
        """Compute scores and latent vectors in Keras operations; see `Recommender.exported`."""
        found = super().exported(stars)
        if self.linear:
            ease_scores = self.linear.exported(stars)["scores"]
            found["scores"] = keras.ops.log(keras.ops.maximum(ease_scores, LEAST)) + self.linear.share * found["scores"]
        return found

    def notes(self) -> list[str]:
        """Return also what the linear path leaves out."""
        return [*super().notes(), *(self.linear.notes() if self.linear else [])]

    def save(self, folder: Path) -> None:
        """Write what `LatentModel.save` does, and weights.npz of the linear path."""
        super().save(folder)
        if self.linear:
            self.linear.save(folder)

    def load(self, run: Run) -> None:
        """Read what `save` wrote."""
        if run.has_file("weights.npz"):
            self.linear = Linear.of(self)
            self.linear.load(run)
        super().load(run)
