"""Joint: one latent space for stars and for likes, from one encoder with two decoders; ours.

Predicting stars well is not the same as recommending well: which movies people choose says most about what they will
choose, how they rate them most about how they will rate. The encoder sees both: the rating less the bias baseline,
which movies were rated, which were liked. From the latent vector one decoder gives stars (`decoder`, masked MSE, as in
`autorec`), the other which movies are liked (`ranker`, multinomial or logistic, as in `multdae`). The loss is the first
plus `--weight` times the second, each a mean over what it counts, ratings or likes. A like weighs one over the root of
its user's number of likes: NDCG counts every user alike, a plain sum would listen to those who rate most.

Movies are ranked by the logits and, beside them, by EASE in closed form (`--linear`, `_linear.py`): what a narrow
latent vector forgets about single pairs of movies, it knows. Both are trained on their own; the share is chosen on
validation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import scipy.sparse as sp
from keras import KerasTensor
from numpy.typing import NDArray

from models.base import History
from models.ensemble import linear_path
from models.networks import rating_autoencoder
from models.networks.latent_model import ValidationRatings
from models.networks.losses import logistic_by_user, masked_mse, multinomial_by_user
from models.networks.training_step import Network
from utils.command_line.options import Sizes
from utils.data.splits import Holdout
from utils.evaluation.holdout_metrics import judged_users, ranking_metrics
from utils.runs.run_folder import Run
from utils.scoring.latent import decode
from utils.scoring.linear_scorer import LEAST
from utils.training.search_space import Choice, Range, tuned
from utils.training.training import EarlyStoppingCriterion, Training

LOSSES = {"multinomial": multinomial_by_user, "logistic": logistic_by_user}


@dataclass(frozen=True)
class Config(rating_autoencoder.Config):
    """Options of `joint`."""

    hidden: Sizes = tuned((200,), Choice((100,), (200,), (400,)))
    """sizes of the hidden layers up to the latent one, such as 500,200; the decoders mirror them"""
    dropout: float = tuned(0.3, Range(0.0, 0.8))
    """share of a row's ratings hidden from the encoder, drawn anew each epoch; 0 <= p < 1"""
    weight: float = tuned(0.3, Range(0.03, 3.0, log=True))
    """weight of the likes in the loss"""
    likes_loss: Literal["multinomial", "logistic"] = "multinomial"
    """multinomial: which movies the user's likes fall on; logistic: each movie liked or not"""
    likes_l2: float = tuned(0.0, Choice(0.0, 0.003, 0.01, 0.03))
    """weight of the sum of the squared kernels of the decoder of likes, over the root of the number of ratings"""
    linear: bool = True
    """EASE beside the decoder of likes"""
    linear_l2: float = tuned(200.0, Range(20.0, 2000.0, log=True))
    """--l2 of that EASE"""
    linear_dropout: float = tuned(0.5, Range(0.0, 0.8))
    """--dropout of that EASE"""
    signed: bool = False
    """in EASE, movies rated without being liked are inputs, too (default under strong-ratings: on)"""
    patience: int = 15
    """epochs without a better validation figure, NDCG@100 less RMSE in stars of five, before training stops"""

    def __post_init__(self) -> None:
        super().__post_init__()
        linear_path.config(vars(self))  # which checks its own
        if self.rows != "users":
            raise ValueError("rows of joint are users: likes are ranked for them")
        if self.optimizer == "lbfgs":
            raise ValueError("joint is trained by adam or sgd")
        if not 0 <= self.weight < np.inf or not 0 <= self.likes_l2 < np.inf:
            raise ValueError("weight and likes-l2 must not be negative")


class Model(rating_autoencoder.Autoencoder):
    """Dense layers down to the latent vector, and two stacks of mirrored ones up again."""

    learns_likes = True
    saved = ("encoder", "decoder", "ranker")
    config: Config
    linear: linear_path.Linear | None = None

    def fit(self, train_matrix: sp.csr_array, validation: Holdout, training: Training) -> History:
        """See `Recommender.fit`. Where nobody likes anything there is no linear path."""
        linear = None
        if self.config.linear and (train_matrix.data > self.like).any():
            linear = linear_path.Linear(self.shape, linear_path.config(vars(self.config)), 0, self.scale, self.like)
            linear.refit(train_matrix)  # first, since it takes most memory
        self.linear = None  # epochs are chosen by what the autoencoder ranks on its own
        history = super().fit(train_matrix, validation, training)
        if linear:
            linear.choose(validation, self.score)
            self.linear = linear
        return history

    def refit(self, matrix: sp.csr_array, training: Training) -> History:
        """See `Autoencoder.refit`; the linear path keeps its share."""
        history = super().refit(matrix, training)
        if training.interrupted:
            self._join()  # of the parts that are kept
        elif self.linear:
            self.linear.refit(matrix)
        return history

    def coders(self, features: KerasTensor, n_columns: int) -> tuple[KerasTensor, keras.Model]:
        """See `Autoencoder.coders`."""
        config, up = self.config, self.config.hidden[-2::-1]
        latent, decoder = self._down(features), self._up(up, n_columns)
        self.ranker = keras.Sequential([keras.Input((config.hidden[-1],), name="latent")], name="ranker")
        for i, units in enumerate(up):
            self.ranker.add(self._dense(units, config.activation, f"ranker_{i}", config.likes_l2))
        self.ranker.add(self._dense(n_columns, "linear", "logits", config.likes_l2))
        return latent, decoder

    def _centring(self) -> tuple:
        return *super()._centring(), self.like, self.star

    def _join(self) -> None:
        super()._join()
        inputs, stars = self.network.inputs, self.network.outputs
        logits = self.ranker(self.encoder(inputs if self.config.side else inputs[0]))
        self.ranking = keras.Model(inputs if self.config.side else inputs[0], logits, name="ranking")
        self.network = Network(self.ranking.input, [*stars, logits], name="autoencoder")

    def _outputs(self, judged: NDArray[np.float32], whole: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [judged, (whole > self.like).astype(np.float32)]

    def _judged_ratings(self, x: Any, y: Any) -> Any:
        """As in `Autoencoder`: an epoch's loss is weighted by ratings, the likes' part of it too."""
        return super()._judged_ratings(x, y[0])

    def _losses(self) -> dict[str, Any]:
        return {
            "loss": [masked_mse, LOSSES[self.config.likes_loss]],
            "loss_weights": [self.star**-2, self.config.weight],
        }

    def _judge(self, validation: Holdout) -> EarlyStoppingCriterion:
        if not len(judged_users(validation)):
            return super()._judge(validation)
        judged = ValidationRatings(self, validation)

        def both() -> float:
            codes, layers = judged.codes(), self._arrays("ranker")

            def logits(_: sp.csr_array, users: NDArray) -> NDArray[np.float32]:
                return decode(layers, codes[judged.place[users]])

            return ranking_metrics(logits, validation)["ndcg@100"].value - judged.rmse(codes) / self.star

        return EarlyStoppingCriterion(both, "val_both", True)

    def score(self, given: sp.csr_array, users: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """Logits of every movie, with those of the linear path once it is fitted, float32 (n, n_movies)."""
        logits = super().score(given, users)
        return self.linear.path.mix_with_decoder(given, logits) if self.linear else logits

    @property
    def held(self) -> int:
        """Bytes that an export holds as constants."""
        return self.linear.held if self.linear else 0

    def _ranked(self, stars: KerasTensor) -> KerasTensor:
        logits = self.ranking(stars, training=False)
        if not self.linear:
            return logits
        own = self.linear.exported(stars)["scores"]
        return keras.ops.log(keras.ops.maximum(own, LEAST)) + self.linear.share * logits

    def save(self, folder: Path) -> None:
        """Write what `Autoencoder.save` does, and weights.npz of the linear path."""
        super().save(folder)
        if self.linear:
            self.linear.save(folder)

    def load(self, run: Run) -> None:
        """Read them back."""
        self.linear = linear_path.load(run)
        super().load(run)
