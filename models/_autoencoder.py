"""What every Keras autoencoder of ratings shares: centring, the two orientations, training, latent vectors, saving."""

from dataclasses import dataclass, replace
from typing import Literal

import keras
import numpy as np

from models._base import Recommender
from models._layers import Centre
from models._losses import masked_mse
from utils import batches, biases
from utils.latent import LatentSpace
from utils.training import train

BLOCK = 512  # rows made dense at a time outside training
keras.ops.zeros(())  # the backend looks for devices now, while what it prints about them is kept from the screen


@dataclass(frozen=True)
class Config:
    """Options that all autoencoders have."""

    rows: Literal["users", "movies"] = "users"
    """what a row of the input is: a user's ratings, or a movie's (which takes no new users)"""
    baseline: bool = True
    """reconstruct the rating less the bias baseline; without it, the stars themselves"""
    implicit: bool = True
    """give the encoder a second block of inputs: which movies were rated, whatever the stars"""
    normalise: bool = True
    """divide the encoder's input by the root of the number of ratings in the row"""
    dropout: float = 0.2
    """share of a row's ratings hidden from the encoder, drawn anew each epoch; 0 <= p < 1"""
    target: Literal["all", "hidden"] = "all"
    """the loss counts all of a row's ratings, or only those hidden from the encoder"""
    l2: float = 2e-4
    """weight of the sum of the squared kernels in the loss"""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or SGD with Nesterov momentum 0.9"""
    learning_rate: float = 1e-3
    """step size of the optimiser"""
    batch_size: int = 64
    """rows in a training step"""
    epochs: int = 200
    """most epochs"""
    patience: int = 8
    """epochs without a better validation RMSE before training stops"""
    user_damping: float = 5.0
    """damping of the bias baseline, as in `bias`"""
    movie_damping: float = 4.0
    """the same for movies"""

    def __post_init__(self):
        biases.check_damping(self.user_damping, self.movie_damping)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.target == "hidden" and self.dropout == 0:
            raise ValueError("target hidden needs a dropout above 0: nothing would be hidden, and nothing learned")
        if min(self.batch_size, self.epochs, self.patience) < 1:
            raise ValueError("batch-size, epochs and patience must be 1 or more")
        if not 0 < self.learning_rate < np.inf or not 0 <= self.l2 < np.inf:
            raise ValueError("learning-rate must be above 0 and l2 must not be negative")


class Autoencoder(Recommender):
    """An architecture gives `coders`; the rest is here.

    Three Keras models share their layers: `encoder` (stars of a row -> latent vector), `decoder` (latent vector -> what
    is left over the baseline, a row) and `network` (stars of a row -> predicted stars of the row)."""

    has_latent_space = True

    def __init__(self, shape, config, seed=0):
        super().__init__(shape, config, seed)
        self.takes_new_users = config.rows == "users"

    def coders(self, features, n_columns):
        """(latent tensor made of the features tensor, decoder: a Keras model from latent to n_columns outputs)."""
        raise NotImplementedError

    # -- training ------------------------------------------------------------------------------------------------

    def fit(self, train_matrix, validation, training):
        """See `Recommender.fit`: early stopping on the RMSE of the validation ratings."""
        hidden = self._rows(validation.hidden).tocoo()
        self._build(train_matrix)

        def validation_rmse():
            error = self._predict(self._rows(validation.given), hidden.row, hidden.col) - hidden.data
            return np.sqrt(np.mean(np.square(error, dtype=np.float64)))

        validate = validation_rmse if hidden.nnz else None  # too little data to hold any out: all epochs are trained
        history = self._train(train_matrix, self.config, training, "train", validate)
        best = min(history, key=lambda row: row["val_rmse"]) if validate else history[-1]
        self.best_epoch = best["epoch"]
        return history

    def refit(self, matrix, training):
        """See `Recommender.refit`: as many epochs as were best for `fit`. Interrupted, what `fit` left is kept."""
        kept = self.encoder, self.decoder, self.network, self.biases
        self._build(matrix)
        history = []
        try:
            history = self._train(matrix, replace(self.config, epochs=self.best_epoch), training, "refit")
        except KeyboardInterrupt:  # before its first epoch was over
            training.interrupted = True
        if training.interrupted:
            self.encoder, self.decoder, self.network, self.biases = kept
        return history

    def _train(self, matrix, config, training, phase, validate=None):
        epoch = batches.denoising(self._rows(matrix), config.batch_size, config.dropout, config.target, self.seed)
        return train(self.network, epoch, config.epochs, training, phase, validate, config.patience)

    def _build(self, matrix):
        """Fresh networks from the seed, centred on the biases of `matrix`."""
        keras.utils.set_random_seed(self.seed)
        config, rows = self.config, self._rows(matrix)
        self.biases = biases.fit(matrix, config.user_damping, config.movie_damping)
        damping, column = config.movie_damping, self.biases.user
        if config.rows == "users":
            damping, column = config.user_damping, self.biases.movie
        centre = Centre(damping, config.baseline, config.implicit, config.normalise, name="centre")
        ratings = keras.Input((rows.shape[1],), name="ratings")
        features, _ = centre(ratings)
        latent, self.decoder = self.coders(features, rows.shape[1])
        self.encoder = keras.Model(ratings, latent, name="encoder")
        centre.set_weights([np.float32(self.biases.mean), column])
        self._join()

    def _join(self):
        """The network of encoder and decoder, compiled."""
        ratings = keras.Input(self.encoder.input_shape[1:], name="ratings")
        _, baseline = self.encoder.get_layer("centre")(ratings)
        stars = keras.layers.Add(name="stars")([baseline, self.decoder(self.encoder(ratings))])
        self.network = keras.Model(ratings, stars, name="autoencoder")
        rate = self.config.learning_rate
        optimizer = keras.optimizers.Adam(rate)
        if self.config.optimizer == "sgd":
            optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
        self.network.compile(optimizer, loss=masked_mse, jit_compile=False)

    # -- using ---------------------------------------------------------------------------------------------------

    def score(self, given, users=None):
        """Predicted stars of every movie, float32 (n, n_movies)."""
        if self.config.rows == "users":
            return self._apply(self.network, given)
        users = self._known(given, users)
        residual = np.concatenate([_outputs(self.decoder, b)[:, users] for b in _blocks(self.latent.movies)])
        return residual.T + self.latent.biases.predict(users[:, None], np.arange(self.shape[1]))

    def predict(self, given, users, movies):
        """Predicted stars of each pair."""
        if self.config.rows == "users":
            return self._predict(given, users, movies)
        self._known(given, None)
        return self._predict(self._rows(given), movies, users)

    def encode(self, given):
        """Latent vectors of users, float32 (n, latent)."""
        if self.config.rows == "users":
            return self._apply(self.encoder, given)
        return self.latent.users[self._known(given, None)]

    def movie_vectors(self):
        """Latent vectors of all movies, float32 (n_movies, latent), in the same space as the users'."""
        return self.latent.movies

    def _known(self, given, users):
        """Indices of the trained users behind the rows of `given`: a movie's autoencoder has one input a user."""
        if users is None and given.shape[0] != self.shape[0]:
            raise ValueError("an autoencoder with movies as rows knows only the users it was trained on")
        return np.arange(self.shape[0]) if users is None else users

    def _rows(self, matrix):
        return matrix if self.config.rows == "users" else matrix.T.tocsr()

    def _apply(self, network, rows):
        """Outputs of a Keras model for CSR rows, in blocks."""
        return np.concatenate([_outputs(network, part.toarray()) for part in _blocks(rows)])

    def _predict(self, matrix, rows, columns):
        """Stars of the cells (rows[i], columns[i]); only the rows that are asked for pass through the network."""
        wanted, place = np.unique(rows, return_inverse=True)
        stars = np.empty(len(rows), np.float32)
        for start in range(0, len(wanted), BLOCK):
            block = _outputs(self.network, matrix[wanted[start : start + BLOCK]].toarray())
            cells = np.flatnonzero((place >= start) & (place < start + BLOCK))
            stars[cells] = block[place[cells] - start, columns[cells]]
        return stars

    # -- the latent space ----------------------------------------------------------------------------------------

    def _baseline(self, known):
        """`Biases` as the network sees them: users' deviations from their known ratings; nothing without baseline."""
        if not self.config.baseline:
            return biases.Biases(0.0, *(np.zeros(n, np.float32) for n in self.shape))
        if self.config.rows == "movies":
            return self.biases
        return biases.of_rows(known, self.biases.mean, self.biases.movie, self.config.user_damping)

    def remember(self, known):
        """Encode the rows, and for each column what the encoder makes of it."""
        rows = self._apply(self.encoder, self._rows(known))
        columns = self._column_vectors(rows.shape[1])
        users, movies = (rows, columns) if self.config.rows == "users" else (columns, rows)
        layers = [(*layer.get_weights(), layer.activation.__name__) for layer in self.decoder.layers if layer.weights]
        self.latent = LatentSpace(users, movies, self._baseline(known), layers, self.config.rows)

    def _column_vectors(self, width):
        """The latent vector of a column: where a row lands that rated it alone, one star above what was expected, less
        where an empty row lands. So a movie and the users who like it point the same way."""
        n = self.encoder.input_shape[1]
        mean, column = self.encoder.get_layer("centre").get_weights()
        stars = (mean + column + 1) if self.config.baseline else np.full(n, self.biases.mean + 1, np.float32)
        vectors = np.empty((n, width), np.float32)
        for start in range(0, n, BLOCK):
            block = np.arange(start, min(start + BLOCK, n))
            rows = np.zeros((len(block), n), np.float32)
            rows[np.arange(len(block)), block] = stars[block]
            vectors[block] = _outputs(self.encoder, rows)
        return vectors - _outputs(self.encoder, np.zeros((1, n), np.float32))

    # -- saving --------------------------------------------------------------------------------------------------

    def save(self, folder):
        """encoder.keras, decoder.keras, and latent.npz, which answers without Keras."""
        self.encoder.save(folder / "encoder.keras")
        self.decoder.save(folder / "decoder.keras")
        self.latent.save(folder / "latent.npz")

    def load(self, run):
        """Read them back; `.keras` in safe mode, so that no code comes with the weights."""
        self.encoder = keras.models.load_model(run.path("encoder.keras"), safe_mode=True)
        self.decoder = keras.models.load_model(run.path("decoder.keras"), safe_mode=True)
        self._join()
        self.latent = LatentSpace.load(run)


def _outputs(network, batch):
    """What a Keras model makes of a dense batch, as numpy. Called directly: `predict` would first compile a function
    for every size of batch, which costs more than it saves."""
    return keras.ops.convert_to_numpy(network(batch, training=False))


def _blocks(rows):
    return (rows[start : start + BLOCK] for start in range(0, rows.shape[0], BLOCK))
