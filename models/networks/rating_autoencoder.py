"""What every Keras autoencoder of ratings shares: centring, the two orientations, training, latent vectors, saving."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.base import History, Recommender
from models.networks.layers import BySide, Centre, dense_layers, outputs, plain_encoder
from models.networks.losses import Judged, masked_mse
from models.networks.optimizers import Step, computed_in, lbfgs_step, optimizer
from utils.data import side_features
from utils.data.datasets import Dataset
from utils.data.splits import Holdout
from utils.runs.run_folder import Run
from utils.scoring import biases, encoders
from utils.scoring.biases import Biases
from utils.scoring.latent import LatentSpace, decode_cells
from utils.training import batches
from utils.training.loop import DivergedError, Judge, Training, own_step, train

BLOCK = 512  # rows made dense at a time outside training
keras.ops.zeros(())  # the backend looks for devices now, while what it prints about them is kept from the screen


class Autoencoder(Recommender):
    """An architecture gives `coders`; the rest is here.

    Three Keras models share their layers: `encoder` (stars of a row -> latent vector), `decoder` (latent vector -> what
    is left over the baseline, a row) and `network` (stars of a row -> predicted stars of the row). With side features
    encoder and network take (stars, features of the row)."""

    has_latent_space = True
    rows_in = 1  # rows of the matrix that make up one input
    config: Any
    side: side_features.Side = None  # type: ignore[assignment]  # to be set before `fit` where the config names any
    encoder: keras.Model = None
    decoder: keras.Model = None
    network: keras.Model = None
    biases: Biases = None  # type: ignore[assignment]  # until the model is fitted or loaded
    latent: LatentSpace
    ranker: keras.Model = None  # Keras model from the latent vector to scores, where that is not the decoder's work
    _copies: dict[str, Any] | None = None  # of a trained model {network: its weights as arrays}; None while they change

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.chosen: dict[str, int] = {}  # the options that `fit` chose
        self.takes_new_users = self.config.rows == "users"

    def know(self, data: Dataset) -> None:
        """See `Recommender.know`: side features."""
        if self.config.side:
            self.side = side_features.features(data, self.config.side)

    def coders(self, features: keras.KerasTensor, n_columns: int) -> tuple[keras.KerasTensor, keras.Model]:
        """(latent tensor made of the features tensor, decoder: a Keras model from latent to n_columns outputs)."""
        raise NotImplementedError

    def _down(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """The hidden layers of the config on top of a tensor: the latent tensor."""
        for i, units in enumerate(self.config.hidden):
            features = self._dense(units, self.config.activation, f"encoder_{i}")(features)
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
            return self._dense(n_columns, activation, "residual")
        inner, l2 = self._dense(n_columns, "linear", "own"), self.config.l2 * self.per_rating
        return BySide(inner, self.config.side_weight * self._side()[1], activation, l2, name="residual")

    def _side(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Side features (of the rows, of the columns)."""
        return self.side.of(self.config.rows)

    def _dense(self, units: int, activation: str, name: str, l2: float | None = None) -> keras.layers.Layer:
        """A dense layer with the penalty l2, the config's where None."""
        l2 = keras.regularizers.L2((self.config.l2 if l2 is None else l2) * self.per_rating)
        return keras.layers.Dense(units, activation, kernel_regularizer=l2, name=name)

    # -- training ------------------------------------------------------------------------------------------------

    def fit(self, train_matrix: csr_array, validation: Holdout, training: Training) -> History:
        """See `Recommender.fit`: early stopping on the RMSE of the validation ratings."""
        self._build(train_matrix)
        # with too little data to hold any out, all epochs are trained
        judge = self._judge(validation) if validation.hidden.nnz else None
        history = self._train(train_matrix, self.config, training, "train", judge)
        self.chosen = self._choose(history, judge)
        return history

    def _judge(self, validation: Holdout) -> Judge:
        """What chooses the number of epochs."""
        judged = Judged(self, validation)
        return Judge(lambda: judged.rmse(judged.codes()))

    def _choose(self, history: History, judge: Judge | None) -> dict[str, int]:
        """The options that the history of `fit` speaks for; all epochs where nothing judged them."""
        return {"epochs": judge.best(history)["epoch"] if judge else len(history)}

    def refit(self, matrix: csr_array, training: Training) -> History:
        """See `Recommender.refit`: as many epochs as were best for `fit`. Interrupted, what `fit` left is kept."""
        kept = self.encoder, self.decoder, self.ranker, self.network, self.biases
        self._build(matrix)
        history: History = []
        try:
            phase = "-".join(["refit", *map(str, self.chosen.values())])  # a checkpoint of another length is another
            history = self._train(matrix, replace(self.config, **self.chosen), training, phase)
        except (KeyboardInterrupt, DivergedError) as error:  # before its first epoch was over
            training.stop(error)
        if training.interrupted:
            self.encoder, self.decoder, self.ranker, self.network, self.biases = kept
            self._copies = {}
        return history

    def _train(
        self, matrix: csr_array, config: Any, training: Training, phase: str, judge: Judge | None = None
    ) -> History:
        self._copies = None
        rows = self._rows(matrix)
        trained = np.arange(rows.shape[0])
        size = rows.shape[0] if config.optimizer == "lbfgs" else config.batch_size

        def batch(index: NDArray, given: NDArray, judged: NDArray, whole: NDArray) -> tuple[Any, Any]:
            return self._inputs(rows, index, trained, given), self._outputs(judged, whole)

        epoch = batches.denoising(rows, size, config.dropout, config.target, self.seed, batch)
        self.network.compile(optimizer(config, epoch.steps), **self._losses(), jit_compile=False)
        step = computed_in(config.precision, self._step(), self.network)
        history = train(
            self.network, epoch, config.epochs, training, phase, judge,
            patience=config.patience, step=step, counted=self._judged_ratings,
        )  # fmt: skip
        self._copies = {}
        return history

    def _outputs(self, judged: NDArray[np.float32], whole: NDArray[np.float32]) -> Any:
        """What the network is to give: the stars of a batch of rows that are judged."""
        return judged

    def _judged_ratings(self, x: Any, y: NDArray[np.float32]) -> int:
        """How many ratings the masked MSE of a batch is a mean over."""
        return int(np.count_nonzero(y))

    def _losses(self) -> dict[str, Any]:
        """What `compile` takes of losses."""
        return {"loss": masked_mse}

    def _step(self) -> Step:
        """The function (given, judged) -> loss that trains on a batch."""
        lbfgs = self.config.optimizer == "lbfgs"
        return lbfgs_step(self.network, self.config.iterations) if lbfgs else own_step(self.network)

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
        stars = keras.layers.Add(name="stars")([baseline, self.decoder(self.encoder(inputs))])
        self.network = keras.Model(inputs, stars, name="autoencoder")

    # -- using ---------------------------------------------------------------------------------------------------

    def score(self, given: csr_array, users: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """Predicted stars of every movie, float32 (n, n_movies)."""
        if self.config.rows == "users":
            return self._apply(self.network, given, users)
        users = self._known(given, users)
        movies = (self.latent.movies[start : start + BLOCK] for start in range(0, self.shape[1], BLOCK))
        residual = np.concatenate([outputs(self.decoder, block)[:, users] for block in movies])
        return residual.T + cast(Biases, self.latent.biases).predict(users[:, None], np.arange(self.shape[1]))

    def predict(self, given: csr_array, users: NDArray[np.integer], movies: NDArray[np.integer]) -> NDArray[np.float32]:
        """Predicted stars of each pair."""
        if self.config.rows == "users":
            return self._predict(given, self._baseline(given), users, movies)
        self._known(given, None)
        return self._predict(self._rows(given), self._baseline(given), movies, users)

    def exported(self, stars: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        """See `Recommender.exported`."""
        if not self.takes_new_users or self.rows_in != 1 or self.config.side:
            return super().exported(stars)
        return {"scores": self._ranked(stars), "latent": self.encoder(stars, training=False)}

    def _ranked(self, stars: keras.KerasTensor) -> keras.KerasTensor:
        return self.network(stars, training=False)

    def encode(self, given: csr_array, users: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """Latent vectors of users, float32 (n, latent); users: their indices, of whom side features are known."""
        if self.config.rows == "users":
            return self._encode(given, users)
        return self.latent.users[self._known(given, None)]

    def movie_vectors(self) -> NDArray[np.float32]:
        """Latent vectors of all movies, float32 (n_movies, latent), in the same space as the users'."""
        return self.latent.movies

    def _known(self, given: csr_array, users: NDArray[np.integer] | None) -> NDArray[np.integer]:
        """Indices of the trained users behind the rows of `given`: a movie's autoencoder has one input a user."""
        if users is None and given.shape[0] != self.shape[0]:
            raise ValueError("an autoencoder with movies as rows knows only the users it was trained on")
        return np.arange(self.shape[0]) if users is None else users

    def _rows(self, matrix: csr_array) -> csr_array:
        return matrix if self.config.rows == "users" else matrix.T.tocsr()

    def _inputs(
        self, matrix: csr_array, index: NDArray, who: NDArray | None = None, stars: NDArray | None = None
    ) -> Any:
        """What encoder and network take for the rows `index` of `matrix`. who: the trained rows that the rows of
        `matrix` are, None for strangers, of whom nothing but stars is known. stars: dense, instead of the rows'."""
        stars = matrix[index].toarray() if stars is None else stars
        if not self.config.side:
            return stars
        side, _ = self._side()
        return [stars, np.zeros((len(index), side.shape[1]), np.float32) if who is None else side[who[index]]]

    def _encode(self, rows: csr_array, who: NDArray | None = None, index: NDArray | None = None) -> NDArray:
        """Latent vectors, (n, latent), of the rows `index` of a CSR matrix, all where None; who: as in `_inputs`."""
        if plain := self._arrays("encoder"):
            return plain.of_matrix(rows if index is None else rows[index])
        return self._apply(self.encoder, rows, who, index)

    def _arrays(self, name: str) -> Any:
        """Return the weights of "encoder", "decoder" or "ranker" as arrays (`plain_encoder`, `dense_layers`). They are
        copied at every call while they change, and of a trained model once: `_build`, `_train` and `remember` drop the
        copies, and so must whatever else changes weights."""
        copied: Any = plain_encoder if name == "encoder" else dense_layers
        copies = {} if self._copies is None else self._copies
        if name not in copies:
            copies[name] = copied(getattr(self, name))
        return copies[name]

    def _apply(
        self, network: keras.Model, rows: csr_array, who: NDArray | None = None, index: NDArray | None = None
    ) -> NDArray:
        """Outputs of a Keras model for the rows `index` of a CSR matrix, in blocks; rows beside one may go in, too."""
        index = np.arange(rows.shape[0]) if index is None else index
        blocks = (index[start : start + BLOCK] for start in range(0, max(len(index), 1), BLOCK))
        return np.concatenate([outputs(network, self._inputs(rows, block, who)) for block in blocks])

    def _predict(self, matrix: csr_array, baseline: Biases, rows: NDArray, columns: NDArray) -> NDArray[np.float32]:
        """Stars of the cells (rows[i], columns[i]); only the rows that are asked for are encoded."""
        wanted, place = np.unique(rows, return_inverse=True)
        n_rows = self.shape[0] if self.config.rows == "users" else self.shape[1]
        codes = self._encode(matrix, np.arange(n_rows) if matrix.shape[0] == n_rows else None, wanted)  # or strangers'
        users, movies = (rows, columns) if self.config.rows == "users" else (columns, rows)
        return decode_cells(self._arrays("decoder"), codes, place, columns) + baseline.predict(users, movies)

    # -- the latent space ----------------------------------------------------------------------------------------

    def _baseline(self, known: csr_array) -> Biases:
        """`Biases` as the network sees them: users' deviations from their known ratings; nothing without baseline."""
        if not self.config.baseline:
            return biases.Biases(0.0, *(np.zeros(n, np.float32) for n in self.shape))
        mean, config = self.biases.mean, self.config
        if config.rows == "users":
            return biases.of_rows(known, mean, self.biases.movie, config.user_damping)
        of_movies = biases.of_rows(self._rows(known), mean, self.biases.user, config.movie_damping)
        return biases.Biases(mean, self.biases.user, of_movies.user)

    def remember(self, known: csr_array) -> None:
        """Encode the rows, and for each column what the encoder makes of it."""
        rows: Any = self._rows(known)
        self._copies = {}
        rows = self._encode(rows, np.arange(rows.shape[0]))
        columns = self._column_vectors()
        users, movies = (rows, columns) if self.config.rows == "users" else (columns, rows)
        ranker, decoder = self._arrays("ranker") if self.ranker else [], self._arrays("decoder")
        self.latent = LatentSpace(users, movies, self._baseline(known), decoder, self.config.rows, ranker)

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

    # -- saving --------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """encoder.keras and decoder.keras; latent.npz and, of most models, encoder.npz, which answer without Keras."""
        self.encoder.save(folder / "encoder.keras")
        self.decoder.save(folder / "decoder.keras")
        self.latent.save(folder / "latent.npz")
        if self.takes_new_users and (plain := self._arrays("encoder")):
            encoders.save(folder / "encoder.npz", plain)
        if self.side:
            np.savez(folder / "side.npz", users=self.side.users, movies=self.side.movies)

    def load(self, run: Run) -> None:
        """Read them back; `.keras` in safe mode, so that no code comes with the weights."""
        self.encoder = keras.models.load_model(run.path("encoder.keras"), safe_mode=True)
        self.decoder = keras.models.load_model(run.path("decoder.keras"), safe_mode=True)
        if self.config.side:
            self.side = side_features.Side(**run.arrays("side.npz"))
        self._join()
        self.latent, self._copies = LatentSpace.load(run), {}
        self.biases = cast(Biases, self.latent.biases)
