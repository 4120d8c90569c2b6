"""Joint: one latent space for stars and for likes, from one encoder with two decoders; ours.

Which movies people choose says most about what they will choose; how they rate, about how they will rate. The encoder
sees both: the rating less the bias baseline, which movies were rated, which were liked. From the latent vector one
decoder gives stars (`decoder`, masked MSE, as in `autorec`), the other likes (`ranker`, multinomial or logistic, as in
`multdae`). The loss is the first plus `--weight` times the second, each a mean over ratings or likes. A like weighs one
over the root of its user's number of likes, since NDCG counts every user alike.

Both have a second path, trained separately, whose share is chosen on validation. Movies are ranked by the logits and by
EASE in closed form (`--linear`, `models/ensemble/linear_path.py`). Stars are those of the decoder and of a regression
on vectors of movies (`--movie-rows`, `models/ensemble/movie_rows.py`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import KerasTensor
from scipy.sparse import csr_array

from models.base import History
from models.ensemble import linear_path
from models.ensemble.movie_rows import MovieRows
from models.networks import rating_autoencoder
from models.networks.columns import ToColumns
from models.networks.latent_model import ValidationRatings
from models.networks.losses import logistic_by_user, masked_mse, multinomial_by_user
from models.networks.training_step import Network, any_width
from utils.command_line.options import Names, Sizes, UsualFloat, UsualInt
from utils.data import side_features
from utils.data.datasets import Dataset
from utils.data.ratings import same
from utils.data.splits import Holdout
from utils.evaluation.holdout_metrics import judged_users, of_sample, ranking_metrics
from utils.runs.run_folder import Run
from utils.scoring.latent import decode
from utils.scoring.linear_scorer import StarPath
from utils.scoring.protocols import Floats, Indices
from utils.training.search_space import Choice, Range, tuned
from utils.training.training import EarlyStoppingCriterion, Training

MOVIE_ROWS_MOST = 5_000_000  # ratings up to which there are movies' rows
MANY_USERS = 10_000  # from which on an epoch has so many steps that they must be smaller
BATCH = 256
STEP = 0.006 / BATCH  # size of a step for each user of a batch (linear scaling, Goyal et al. 2017)
MORE_EPOCHS = 5  # of `fit_all`: as good as 10, and as all epochs from the start
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
    linear_relax: float = tuned(0.4, Range(0.0, 0.8))
    """--relax of that EASE"""
    linear_movie_norm: float = tuned(0.1, Range(-0.2, 0.5))
    """--movie-norm of that EASE"""
    signed: bool = False
    """in EASE, movies rated without being liked are inputs, too (default under strong-ratings: on)"""
    movie_rows: bool = True
    """predict stars also from movies' rows: the ratings of each person are regressed on vectors of movies (takes
    --baseline, and up to 5,000,000 ratings, beyond which it would take most of the time)"""
    movie_size: int = tuned(128, Choice(64, 128, 256, 512))
    """length of these vectors"""
    movie_landmarks: int = 256
    """how many movies the others are compared with, by which the regression learns that who likes a movie likes those
    with similar vectors; 0: none, so that it is linear in the vectors"""
    movie_epochs: int = 25
    """epochs that they are trained for, while the step size falls to a sixtieth"""
    movie_l2: float = tuned(0.02, Range(0.005, 0.1, log=True))
    """--l2 of that training; fewer ratings take more"""
    movie_batch_size: int = tuned(256, Choice(64, 128, 256))
    """movies per step of it; the step size goes with it"""
    movie_side: Names = side_features.OF_MOVIES
    """what goes into these vectors beside ratings, of genres,year, where the data tells it; '' for nothing"""
    learning_rate: UsualFloat = tuned(None, Choice(None, 0.0005, 0.001, 0.002, 0.004, 0.008))
    """step size of the optimiser in the first epoch (default: 0.006 with batches of 256, and in proportion to others;
    from 10,000 users on 0.001)"""
    average: UsualFloat = None
    """after each epoch judge and keep a moving average of the weights, in which the epochs before have this share; 0:
    the weights as they are (default: 0.85, from 10,000 users on 0)"""
    batch_size: UsualInt = tuned(None, Choice(None, 32, 64, 128, 256))
    """users in a training step (default: 256, from 10,000 users on 64, from 20,000 on 250)"""
    patience: int = 6
    """epochs without a better validation figure, NDCG@100 less RMSE in stars of five, before training stops"""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.ease
        if self.rows != "users":
            raise ValueError("rows of joint are users: likes are ranked for them")
        if self.optimizer == "lbfgs":
            raise ValueError("joint is trained by adam or sgd")
        if self.movie_landmarks < 0:
            raise ValueError(f"movie-landmarks must be 0 or more, got {self.movie_landmarks}")
        if min(self.movie_size, self.movie_epochs, self.movie_batch_size) < 1:
            raise ValueError("movie-size, movie-epochs and movie-batch-size must be 1 or more")
        if not 0 < self.movie_l2 < np.inf:  # with 0 many weights explain few ratings equally well
            raise ValueError(f"movie-l2 must be above 0, got {self.movie_l2:g}")
        if unknown := set(self.movie_side) - set(side_features.OF_MOVIES):
            known = ", ".join(side_features.OF_MOVIES)
            raise ValueError(f"movie-side takes {known}; got {', '.join(sorted(unknown))}")
        if not all(0 <= share < np.inf for share in (self.weight, self.likes_l2)):
            raise ValueError("weight and likes-l2 must not be negative")

    @property
    def user_side(self) -> Names:
        """The names of --side that are of users."""
        return tuple(name for name in self.side if name not in side_features.OF_MOVIES)

    @property
    def ease(self) -> linear_path.Options:
        """The options of EASE."""
        shape = {"relax": self.linear_relax, "movie_norm": self.linear_movie_norm}
        return linear_path.options(self.linear_l2, self.linear_dropout, self.signed, **shape)


class Model(linear_path.BesideEase, rating_autoencoder.Autoencoder):
    """Dense layers down to the latent vector, and two stacks of mirrored ones up again."""

    learns_likes = True
    saved = ("encoder", "decoder", "ranker")
    config: Config
    movie_rows: MovieRows | None = None
    star_path: StarPath | None = None  # of the movie rows; its vectors know the ratings last trained on, or encoded
    _encoded: tuple[Any, Any, csr_array] | None = None  # what the path is of: autoencoder, biases, ratings
    movie_side: side_features.Side | None = None  # of movies and, with --side, users, where the data tells any

    def attach_data(self, data: Dataset) -> None:
        """See `Recommender.attach_data`: side features of the rows, and those of movies' rows."""
        super().attach_data(data)
        names = {*self.config.user_side, *side_features.told(data, self.config.movie_side)}
        self.movie_side = side_features.features(data, names) if names else None

    def fit(self, train_matrix: csr_array, validation: Holdout, training: Training) -> History:
        """See `BesideEase.fit`. Where no stars of trained users are hidden to choose its share by, there is no path by
        movies' rows."""
        self.movie_rows = self.star_path = self._encoded = None  # epochs are chosen by what the autoencoder does alone
        history = super().fit(train_matrix, validation, training)
        asked = self.config.movie_rows and self.config.baseline and train_matrix.nnz <= MOVIE_ROWS_MOST
        if asked and validation.hidden.nnz and validation.candidates is None and not training.interrupted:
            self._fit_movie_rows(train_matrix, validation, training)
        return history

    def _fit_movie_rows(self, matrix: csr_array, validation: Holdout, training: Training) -> None:
        rows, (sample, _) = MovieRows(self.config.movie_landmarks), of_sample(validation)
        rows.train(self, self.movie_side, matrix, training, "movies")
        if rows.autoencoder:
            hidden = sample.hidden.tocoo()
            stars = self.predict(sample.given, hidden.row, hidden.col)
            rows.choose(sample, self._baseline(sample.given), stars, self.scale)
        if rows.share:
            self.movie_rows = rows
            self._encode_movie_rows(matrix)

    def _encode_movie_rows(self, known: csr_array) -> None:
        """Make the path to stars know these ratings, which takes long, unless it is of them already."""
        rows = self.movie_rows
        if not rows or not rows.autoencoder:
            return
        if self._encoded:
            autoencoder, biases, ratings = self._encoded
            if autoencoder is rows.autoencoder and biases is self.biases and same(ratings, known):
                return
        self.star_path = rows.path(known, self._baseline(known))
        self._encoded = rows.autoencoder, self.biases, known

    def fit_all(self, matrix: csr_array, training: Training) -> History:
        """See `Recommender.fit_all`: a few epochs from the weights of `fit`; the autoencoder of movies' rows stays."""
        start = [keras.ops.convert_to_numpy(weight) for weight in self.network.trainable_variables]
        history = self._again(matrix, training, start, epochs=min(MORE_EPOCHS, self.config.epochs))
        self._encode_movie_rows(matrix)
        return history

    def refit(self, matrix: csr_array, training: Training, *start: Any, **options: Any) -> History:
        """See `Autoencoder.refit`; the other paths keep their shares."""
        history = self._again(matrix, training, *start, **options)
        if self.movie_rows and not training.interrupted:
            self.movie_rows.train(self, self.movie_side, matrix, training, "movies-again")
        self._encode_movie_rows(matrix)
        return history

    def _again(self, matrix: csr_array, training: Training, *start: Any, **options: Any) -> History:
        history = super().refit(matrix, training, *start, **options)
        if training.interrupted:
            self._join()  # the networks of `fit`, which are put back
        return history

    def coders(self, features: KerasTensor, n_columns: int) -> tuple[KerasTensor, keras.Model]:
        """See `Autoencoder.coders`."""
        config, mirrored = self.config, self.config.hidden[-2::-1]
        latent, decoder = self._down(features), self._up(mirrored, n_columns)
        self.ranker = keras.Sequential([keras.Input((config.hidden[-1],), name="latent")], name="ranker")
        for i, units in enumerate(mirrored):
            self.ranker.add(self._dense(units, config.activation, f"ranker_{i}", config.likes_l2))
        self.ranker.add(self._dense(n_columns, "linear", "logits", config.likes_l2, ToColumns))
        return latent, decoder

    def _usual_options(self, config: rating_autoencoder.Config, rows: int) -> dict[str, float]:
        """See `Autoencoder._usual_options`. Large steps do not settle where an epoch has many."""
        if rows >= MANY_USERS:
            return super()._usual_options(config, rows) | {"learning_rate": 0.001, "average": 0.0}
        return {"batch_size": BATCH, "learning_rate": STEP * (config.batch_size or BATCH), "average": 0.85}

    def _centring(self) -> tuple:
        return *super()._centring(), self.like, self.star

    def _join(self) -> None:
        super()._join()
        inputs = self.network.inputs if self.config.side else self.network.inputs[0]
        logits = self.ranker(self.codes)
        self.ranking = keras.Model(inputs, logits, name="ranking")
        self.network = Network(inputs, [*self.network.outputs, logits], name="autoencoder")
        any_width(self.network)

    def _outputs(self, judged: Floats, whole: Floats) -> list[Floats]:
        return [judged, (whole > self.like).astype(np.float32)]

    def _judged_ratings(self, x: Any, y: Any) -> Any:
        """See `Autoencoder`: an epoch's loss is weighted by ratings, the likes' part of it too."""
        return super()._judged_ratings(x, y[0])

    def _losses(self) -> dict[str, Any]:
        losses = [masked_mse, LOSSES[self.config.likes_loss]]
        return {"loss": losses, "loss_weights": [self.star**-2, self.config.weight]}

    def _judge(self, validation: Holdout) -> EarlyStoppingCriterion:
        if not len(judged_users(validation)):
            return super()._judge(validation)
        sample, most = of_sample(validation)
        judged = ValidationRatings(self, sample)

        def ndcg_less_rmse() -> float:
            codes, ranker = judged.codes(), self._arrays("ranker")
            score = lambda _, users: decode(ranker, codes[judged.place[users]])  # noqa: E731
            return ranking_metrics(score, sample, most)["ndcg@100"].value - judged.rmse(codes) / self.star

        return EarlyStoppingCriterion(ndcg_less_rmse, "val_both", True)

    def encode_all(self, known: csr_array) -> None:
        """See `LatentModel.encode_all`; movies' rows are encoded, too."""
        super().encode_all(known)
        self._encode_movie_rows(known)

    def predict(self, given: csr_array, users: Indices, movies: Indices) -> Floats:
        """Predict the stars of each pair by the decoder and, once it is fitted, the regression."""
        stars = super().predict(given, users, movies)
        if not self.star_path:
            return stars
        path, base = self.star_path, self._baseline(given)
        is_trained = given.shape[0] == self.shape[0]  # or strangers
        pairs = (users, movies)
        return path.mix(stars, path.of_users(base, *pairs) if is_trained else path.regressed(given, base, *pairs))

    def _ranked(self, stars: KerasTensor) -> KerasTensor:
        return self.ranking(stars, training=False)

    def notes(self) -> list[str]:
        """Return also the share of the regression in the stars, where it was asked for."""
        share = self.movie_rows.share if self.movie_rows else 0.0
        stars = [f"{share:.0%} of predicted stars from movies' rows"] if self.config.movie_rows else []
        return [*super().notes(), *stars]

    def save(self, folder: Path) -> None:
        """Write what `BesideEase.save` does, and stars.npz of the path to stars."""
        super().save(folder)
        if self.movie_rows and self.star_path:
            np.savez(folder / "stars.npz", factor=self.movie_rows.factor, **vars(self.star_path))

    def load(self, run: Run) -> None:
        """Read what `save` wrote."""
        if path := StarPath.load(run):
            factor = run.arrays("stars.npz", "vectors")["factor"]
            rows = MovieRows(self.config.movie_landmarks, float(factor), float(path.share))
            self.star_path, self.movie_rows = path, rows
        super().load(run)
