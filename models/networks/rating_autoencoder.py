"""What every Keras autoencoder of ratings shares: options, centring, the two orientations, training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import keras
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.base import History
from models.networks.columns import FromColumns, ToColumns
from models.networks.latent_model import LatentModel, ValidationRatings, check_options
from models.networks.layers import Activation, BySide, Centre, plain_encoder, sparse_where_few_are_filled
from models.networks.losses import masked_mse
from models.networks.training_step import PRECISIONS, Network, Step, any_width, lbfgs_step, optimizer
from utils.command_line.options import Float, Names, Sizes, UsualInt
from utils.data import side_features
from utils.data.datasets import Dataset
from utils.data.splits import Holdout
from utils.evaluation.holdout_metrics import of_sample
from utils.runs.run_folder import Run
from utils.scoring import biases
from utils.scoring.biases import Biases
from utils.scoring.encoders import Centred
from utils.training import batches
from utils.training.fit import train
from utils.training.search_space import Choice, Range, tuned
from utils.training.training import EarlyStoppingCriterion, Training

keras.ops.zeros(())  # the backend looks for devices now, while what it prints about them is kept from the screen

USUAL_BATCH = 64


@dataclass(frozen=True)
class Config:
    """Options that all autoencoders of ratings have."""

    rows: Literal["users", "movies"] = "users"
    """what a row of the input is: a user's ratings, or a movie's (which takes no new users)"""
    hidden: Sizes = tuned((128,), Choice((64,), (128,), (256,), (500,), (256, 128)))
    """sizes of the hidden layers up to the latent one, such as 500,200; the decoder mirrors them"""
    activation: Activation = tuned("tanh", Choice("tanh", "sigmoid", "selu"))
    """of the hidden layers; the output is linear"""
    baseline: bool = True
    """reconstruct the rating less the bias baseline; without it, the stars themselves"""
    implicit: bool = True
    """give the encoder a second block of inputs: which movies were rated, whatever the stars"""
    normalise: bool = True
    """divide the encoder's input by the root of the number of ratings in the row"""
    dropout: float = tuned(0.2, Range(0.0, 0.8))
    """share of a row's ratings hidden from the encoder, drawn anew each epoch; 0 <= p < 1"""
    target: Literal["all", "hidden"] = tuned("all", Choice("all", "hidden"))
    """the loss of the stars counts all of a row's ratings, or only those hidden from the encoder"""
    l2: float = tuned(0.06, Range(0.005, 0.5, log=True))
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
    learning_rate: Float = tuned(1e-3, Range(2e-4, 5e-3, log=True))
    """step size of the optimiser in the first epoch"""
    decay: float = tuned(1.0, Range(0.9, 1.0))
    """what the step size is multiplied by after each epoch, 0 < d <= 1"""
    average: Float = 0.0
    """after each epoch judge and keep a moving average of the weights, in which the epochs before have this share,
    such as 0.9; 0: the weights as they are"""
    precision: PRECISIONS = "float32"
    """what the matrix products of training are computed in; bfloat16 is faster only where the processor has it"""
    batch_size: UsualInt = tuned(None, Choice(None, 32, 64, 128, 256))
    """rows in a training step (default: 64, from 20,000 rows on 250)"""
    epochs: int = 200
    """most epochs; of more than 75,000 rows an epoch is a part of a pass over them, of about 50,000"""
    patience: int = 8
    """epochs without a better validation RMSE before training stops"""
    sample: UsualInt = None
    """columns that a training step is computed on beside those that occur in its batch, where the loss counts all (that
    of `joint`); 0: always all columns (default: all up to 10,000, 1,000 beyond)"""
    user_damping: float = 5.0
    """damping of the bias baseline, as in `bias`"""
    movie_damping: float = 4.0
    """the same for movies"""

    def __post_init__(self) -> None:
        biases.check_damping(self.user_damping, self.movie_damping)
        check_options(self)
        if self.target == "hidden" and self.dropout == 0:
            raise ValueError("target hidden needs a dropout above 0: nothing would be hidden, and nothing learned")
        if self.iterations < 1:
            raise ValueError("iterations must be 1 or more")
        if self.sample and self.optimizer == "lbfgs":
            raise ValueError("sample must be 0 with lbfgs, which takes all rows and columns at once")
        if unknown := set(self.side) - set(side_features.NAMES):
            raise ValueError(f"side takes {', '.join(side_features.NAMES)}; got {', '.join(sorted(unknown))}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be in (0, 1], got {self.decay}")
        if not 0 < self.side_weight < np.inf:
            raise ValueError(f"side-weight must be above 0, got {self.side_weight}")


class Autoencoder(LatentModel):
    """An architecture gives `coders`; the rest is here, and what it does once it is trained in `LatentModel`.

    The decoder gives what is left over the baseline, the network stars. With side features encoder and network take
    (stars, features of the row)."""

    side: side_features.Side = None  # type: ignore[assignment]  # to be set before `fit` where the config names any
    built = (*LatentModel.built, "biases")
    biases: Biases = None  # type: ignore[assignment]  # until the model is fitted or loaded

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.takes_new_users = self.by_user

    def attach_data(self, data: Dataset) -> None:
        """See `Recommender.attach_data`: side features."""
        if self.config.side:
            self.side = side_features.features(data, self.config.side)

    def coders(self, features: keras.KerasTensor, n_columns: int) -> tuple[keras.KerasTensor, keras.Model]:
        """(latent tensor made of the features tensor, decoder: a Keras model from latent to n_columns outputs)."""
        raise NotImplementedError

    def _down(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """The hidden layers of the config on top of a tensor: the latent tensor."""
        for i, units in enumerate(self.config.hidden):
            kind = FromColumns if i == 0 else None
            features = self._dense(units, self.config.activation, f"encoder_{i}", kind=kind)(features)
        return features

    def _up(
        self, hidden: Sequence[int], n_columns: int, last_activation: str = "linear", before: Sequence = ()
    ) -> keras.Model:
        """The decoder: layers `before`, dense ones of these sizes, and one that leads to n_columns outputs."""
        decoder = keras.Sequential([keras.Input((self.config.hidden[-1],), name="latent"), *before], name="decoder")
        for i, units in enumerate(hidden):
            decoder.add(self._dense(units, self.config.activation, f"decoder_{i}"))
        decoder.add(self._last(n_columns, last_activation))
        return decoder

    def _last(self, n_columns: int, activation: str) -> keras.layers.Layer:
        """The output layer; with side features of the columns, one that has a part in common for columns of a kind."""
        if not self.config.side or not self._side()[1].shape[1]:
            return self._dense(n_columns, activation, "residual", kind=ToColumns)
        inner, l2 = self._dense(n_columns, "linear", "own", kind=ToColumns), self.config.l2 * self.per_rating
        return BySide(inner, self.config.side_weight * self._side()[1], activation, l2, name="residual")

    def _side(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Side features (of the rows, of the columns)."""
        return self.side.of(self.config.rows)

    def _beside(self) -> int:
        """Number of the encoder's inputs behind those of columns."""
        return self._side()[0].shape[1] if self.config.side else 0

    def _dense(
        self,
        units: int,
        activation: str,
        name: str,
        l2: float | None = None,
        kind: type[FromColumns | ToColumns] | None = None,
    ) -> keras.layers.Layer:
        """A dense layer, of the class `kind` where its inputs or outputs are columns, with the penalty l2, the config's
        where None."""
        l2 = (self.config.l2 if l2 is None else l2) * self.per_rating
        if kind:
            return kind(units, activation, l2, self._beside() if kind is FromColumns else 0, name=name)
        return keras.layers.Dense(units, activation, kernel_regularizer=keras.regularizers.L2(l2), name=name)

    # -- training ------------------------------------------------------------------------------------------------

    def fit(self, train_matrix: csr_array, validation: Holdout, training: Training) -> History:
        """See `Recommender.fit`: early stopping on the RMSE of the validation ratings."""
        self._build(train_matrix)
        # with too little data to hold any out, all epochs are trained
        judge = self._judge(validation) if validation.hidden.nnz else None
        history = self._train(train_matrix, self.config, training, "train", judge)
        self.chosen = self._choose(history, judge)
        return history

    def _judge(self, validation: Holdout) -> EarlyStoppingCriterion:
        """What chooses the number of epochs."""
        judged = ValidationRatings(self, of_sample(validation)[0])
        return EarlyStoppingCriterion(lambda: judged.rmse(judged.codes()))

    def _refit_phase(self) -> str:
        return "-".join(["refit", *map(str, self.chosen.values())])  # a checkpoint of another length is another

    def _train(
        self,
        matrix: csr_array,
        config: Any,
        training: Training,
        phase: str,
        judge: EarlyStoppingCriterion | None = None,
    ) -> History:
        self._copies, rows = None, self._rows(matrix)
        trained, usual = np.arange(rows.shape[0]), self._usual_options(config, rows.shape[0])
        config = replace(config, **{name: value for name, value in usual.items() if getattr(config, name) is None})
        size = rows.shape[0] if config.optimizer == "lbfgs" else config.batch_size

        def batch(index: NDArray, given: NDArray, judged: NDArray, whole: NDArray) -> tuple[Any, Any]:
            return self._inputs(rows, index, trained, given), self._outputs(judged, whole)

        sampler = self._sampler(rows, size)
        epochs = batches.denoising(rows, size, config.dropout, config.target, self.seed, batch, sampler)
        epoch = epochs.in_parts(len(trained))
        self.training_notes = batches.describe(size, len(trained), sampler, self.by_user)
        sparse_where_few_are_filled(self.encoder, rows)
        self.network.compile(
            optimizer(config, epoch.steps), self._step, self._judged_ratings, config.precision,
            rows.shape[1] if sampler else 0, **self._losses(),
        )  # fmt: skip
        history = train(self.network, epoch, config, training, phase, judge)
        self._copies = {}
        return history

    def _usual_options(self, config: Any, rows: int) -> dict[str, float]:
        """Return the values of the options that may be None, for a training on so many rows."""
        return {"batch_size": batches.size(None, rows, USUAL_BATCH)}

    def _sampler(self, rows: csr_array, size: int) -> batches.ColumnSampler | None:
        """What chooses the columns that each batch is computed on; None for all."""
        if self.config.optimizer == "lbfgs":
            return None
        return batches.sampler(self.config, rows, rows.shape[1], size, self.seed, counts_all=self.learns_likes)

    def _outputs(self, judged: NDArray[np.float32], whole: NDArray[np.float32]) -> Any:
        """What the network is to give: the stars of a batch of rows that are judged."""
        return judged

    def _judged_ratings(self, x: Any, y: Any) -> Any:
        """Count the ratings that the masked MSE of a batch is a mean over."""
        return keras.ops.count_nonzero(y)

    def _losses(self) -> dict[str, Any]:
        """What `compile` takes of losses."""
        return {"loss": masked_mse}

    def _step(self) -> Step | None:
        """Make the function that trains on a batch; None for a step along the gradients."""
        return lbfgs_step(self.network, self.config.iterations) if self.config.optimizer == "lbfgs" else None

    def _build(self, matrix: csr_array) -> None:
        """Fresh networks from the seed, centred on the biases of `matrix`."""
        self._copies = None
        keras.utils.set_random_seed(self.seed)
        config, n = self.config, self._rows(matrix).shape[1]
        self.per_rating = 1 / np.sqrt(matrix.nnz)  # penalties are given for a data set of one rating
        self.biases = biases.fit(matrix, config.user_damping, config.movie_damping)
        damping, column = config.movie_damping, self.biases.user
        if config.rows == "users":
            damping, column = config.user_damping, self.biases.movie
        centre = self._centre(damping)
        inputs = [keras.Input((self.rows_in * n,), name="ratings")]
        features, _ = centre(inputs[0])
        if config.side:
            inputs.append(keras.Input(self._side()[0].shape[1:], name="side"))
            weighed = keras.layers.Rescaling(config.side_weight, name="weighed")(inputs[1])
            features = keras.layers.Concatenate(name="beside")([features, weighed])
        latent, self.decoder = self.coders(features, n)
        self.encoder = keras.Model(inputs if config.side else inputs[0], latent, name="encoder")
        centre.mean.assign(self.biases.mean)
        centre.column.assign(column)
        self._join()

    def _centre(self, damping: float) -> Centre:
        return Centre(damping, *self._centring(), name="centre")

    def _centring(self) -> tuple:
        config = self.config
        return config.baseline, config.implicit, config.normalise, config.dropout

    def _join(self) -> None:
        """The network of encoder and decoder."""
        inputs = [keras.Input(i.shape[1:], name=i.name) for i in self.encoder.inputs]
        _, baseline = self.encoder.get_layer("centre")(inputs[0])
        inputs = inputs if self.config.side else inputs[0]
        self.codes = self.encoder(inputs)
        stars = keras.layers.Add(name="stars")([baseline, self.decoder(self.codes)])
        self.network = Network(inputs, stars, name="autoencoder")
        any_width(self.encoder, self.network)

    # -- using ---------------------------------------------------------------------------------------------------

    def exported(self, stars: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        """See `Recommender.exported`."""
        if not self.takes_new_users or self.rows_in != 1 or self.config.side:
            return super().exported(stars)
        return {"scores": self._ranked(stars), "latent": self.encoder(stars, training=False)}

    def _ranked(self, stars: keras.KerasTensor) -> keras.KerasTensor:
        return self.network(stars, training=False)

    def _plain_encoder(self) -> Centred | None:
        return plain_encoder(self.encoder)

    def _inputs(self, rows: csr_array, index: NDArray, who: NDArray | None = None, dense: NDArray | None = None) -> Any:
        stars = super()._inputs(rows, index, who, dense)
        if not self.config.side:
            return stars
        side, _ = self._side()
        return [stars, np.zeros((len(index), side.shape[1]), np.float32) if who is None else side[who[index]]]

    def _baseline(self, known: csr_array) -> Biases:
        """See `LatentModel`; zeros without `--baseline`."""
        if not self.config.baseline:
            return biases.Biases(0.0, *(np.zeros(n, np.float32) for n in (known.shape[0], self.shape[1])))
        mean, config = self.biases.mean, self.config
        if self.by_user:
            return biases.of_rows(known, mean, self.biases.movie, config.user_damping)
        of_movies = biases.of_rows(self._rows(known), mean, self.biases.user, config.movie_damping)
        return biases.Biases(mean, self.biases.user, of_movies.user)

    def _column_vectors(self) -> NDArray[np.float32]:
        """The latent vector of a column: where a row lands that rated it alone, one star above what was expected, less
        where an empty row lands. So a movie and the users who like it point the same way."""
        centre = self.encoder.get_layer("centre")
        mean, column = (keras.ops.convert_to_numpy(w) for w in (centre.mean, centre.column))
        n, stars = len(column), mean + column + centre.star
        if not self.config.baseline:
            stars = np.full(n, self.biases.mean + centre.star, np.float32)
        nothing = self._encode(cast(csr_array, sp.csr_array((1, n), dtype=np.float32)))
        return self._encode(sp.diags_array(stars.astype(np.float32)).tocsr()) - nothing

    def save(self, folder: Path) -> None:
        """Write what `LatentModel.save` does, and side.npz."""
        super().save(folder)
        if self.side:
            np.savez(folder / "side.npz", users=self.side.users, movies=self.side.movies)

    def load(self, run: Run) -> None:
        """Read what `save` wrote."""
        super().load(run)
        if self.config.side:
            self.side = side_features.Side(**run.arrays("side.npz"))
        self._join()
        self.biases = cast(Biases, self.latent.biases)
