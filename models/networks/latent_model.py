"""A trained autoencoder, whatever it has learned from: encode, score, save and load.

Everything that is dense layers is computed in numpy, in `utils.scoring`, with the arrays and the code that
recommend.py uses; what is not (vectors of users, side features, convolutions), by Keras."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.base import History, Recommender
from models.networks.layers import dense_layers, outputs
from utils.data.splits import Holdout
from utils.evaluation.holdout_metrics import rating_metrics
from utils.runs.run_folder import Run
from utils.scoring import encoders
from utils.scoring.biases import Biases
from utils.scoring.encoders import Encoder
from utils.scoring.latent import LatentSpace, decode_cells
from utils.training.training import DivergedError, EarlyStoppingCriterion, Training

BLOCK = 512  # rows made dense at a time outside training


def check_options(config: Any) -> None:
    """Raise a ValueError where an option that autoencoders share has a value that none can be trained with."""
    if not config.hidden or min(config.hidden) < 1:
        raise ValueError(f"hidden sizes must be 1 or more, got {config.hidden}")
    defaults = {option.name: option.default for option in fields(config)}
    for name in ("average", "learning_rate"):
        if getattr(config, name) is None and defaults[name] is not None:
            raise ValueError(f"{name.replace('_', '-')} must be a number")
    for name in ("dropout", "average"):
        if (share := getattr(config, name)) is not None and not 0 <= share < 1:
            raise ValueError(f"{name} must be in [0, 1), got {share}")
    if min(config.epochs, config.patience, 1 if config.batch_size is None else config.batch_size) < 1:
        raise ValueError("batch-size, epochs and patience must be 1 or more")
    if config.learning_rate is not None and not 0 < config.learning_rate < np.inf:
        raise ValueError(f"learning-rate must be above 0, got {config.learning_rate:g}")
    if not 0 <= (penalty := getattr(config, "l2", 0)) < np.inf:
        raise ValueError(f"l2 must be 0 or more, got {penalty:g}")
    if config.sample is not None and config.sample < 0:
        raise ValueError(f"sample must not be negative, got {config.sample}")


class LatentModel(Recommender):
    """Three Keras models that share their layers: `encoder` (a row -> latent vector), `decoder` (latent vector -> a
    row) and `network`, which is both; `joint` has a second decoder, the `ranker`. A row is a user's, or with `rows`
    "movies" a movie's. They exist once the model is fitted or loaded, `latent` once `encode_all` was called."""

    has_latent_space = True
    saved: tuple[str, ...] = ("encoder", "decoder")  # the Keras models that are saved
    built: tuple[str, ...] = ("encoder", "decoder", "ranker", "network")  # what `_build` makes
    rows_in = 1  # rows of the matrix that make up one input
    config: Any
    encoder: keras.Model = None
    decoder: keras.Model = None
    ranker: keras.Model = None  # from the latent vector to scores, where that is not the decoder's work
    network: keras.Model = None
    latent: LatentSpace
    _copies: dict[str, Any] | None = None  # of a trained model {network: its weights as arrays}; None while they change

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.chosen: dict[str, int] = {}  # the options that `fit` chose
        self.training_notes: list[str] = []  # for the user, about what a step and an epoch were

    # -- what an architecture gives ------------------------------------------------------------------------------

    def _plain_encoder(self) -> Encoder | None:
        """Return the encoder as arrays; None where it is more than dense layers."""
        raise NotImplementedError

    def _network_rows(self, stars: csr_array) -> csr_array:
        """Return the rows that go into the network, for CSR rows of stars."""
        return stars

    def _inputs(self, rows: csr_array, index: NDArray, who: NDArray | None = None, dense: NDArray | None = None) -> Any:
        """Return what encoder and network take, an array or a list of them, for the rows `index` of `_network_rows`.

        who: the trained rows that all `rows` are, None for people who are not in the data. dense: instead of the
        rows' own contents."""
        return rows[index].toarray() if dense is None else dense

    def _baseline(self, known: csr_array) -> Biases | None:
        """Return the `Biases` that the decoder's output is added to, with the deviations of these users; None where
        it gives scores."""
        return None

    def _column_vectors(self) -> NDArray[np.float32]:
        """Return the latent vectors of the columns of the matrix."""
        raise NotImplementedError

    def _build(self, matrix: csr_array) -> None:
        """Build untrained networks from the seed."""
        raise NotImplementedError

    def _train(
        self,
        matrix: csr_array,
        config: Any,
        training: Training,
        phase: str,
        judge: EarlyStoppingCriterion | None = None,
    ) -> History:
        """Train the network on a matrix of stars; phase: the name of its checkpoint."""
        raise NotImplementedError

    # -- training ------------------------------------------------------------------------------------------------

    def _choose(self, history: History, judge: EarlyStoppingCriterion | None) -> dict[str, int]:
        """Return the options that `refit` trains with: the best epoch, or all where nothing judged them."""
        return {"epochs": judge.best(history)["epoch"] if judge else len(history)}

    def _refit_phase(self) -> str:
        """Name the checkpoint of `refit`."""
        return "refit"

    def refit(self, matrix: csr_array, training: Training, start: Sequence[NDArray] = (), **options: Any) -> History:
        """Train again, as many epochs as were best in `fit`. Interrupted, what `fit` left is kept. start: the weights
        that are trained, to begin with, random ones where empty. options: of the config, in the place of its own."""
        of_fit = {name: getattr(self, name) for name in self.built}
        self._build(matrix)
        for weight, value in zip(self.network.trainable_variables if start else (), start, strict=True):
            weight.assign(value)
        config = replace(self.config, **self.chosen | options)
        history: History = []
        try:
            history = self._train(matrix, config, training, self._refit_phase())
        except (KeyboardInterrupt, DivergedError) as error:  # before its first epoch was over
            training.stop(error)
        if training.interrupted:
            vars(self).update(of_fit)
            self._copies = {}
        return history

    def notes(self) -> list[str]:
        """See `Recommender.notes`."""
        return self.training_notes

    # -- using ---------------------------------------------------------------------------------------------------

    @property
    def by_user(self) -> bool:
        """Whether a row of the input is a user's."""
        return getattr(self.config, "rows", "users") == "users"

    def encode(self, given: csr_array, users: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """Return the latent vectors of users, (n, latent); users: their indices, if they were trained on."""
        return self._encode(given, users) if self.by_user else self.latent.users[self._known(given, users)]

    def movie_vectors(self) -> NDArray[np.float32]:
        """Return the latent vectors of all movies, (n_movies, latent), in the same space as the users'."""
        return self.latent.movies

    def score(self, given: csr_array, users: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """Return the decoder's scores of all movies, (n, n_movies): stars where it predicts them and does not rank."""
        if not self.by_user:
            users, space = self._known(given, users), self.latent
            return space.scores(space.users, slice(None), space.biases.user[users], users)  # type: ignore[union-attr]
        baseline = self._baseline(given)
        space = self._space(self._encode(given, users), np.empty(0), baseline)
        return space.scores(space.users, deviation=0.0 if baseline is None else baseline.user)

    def predict(self, given: csr_array, users: NDArray[np.integer], movies: NDArray[np.integer]) -> NDArray[np.float32]:
        """Predict the stars of each pair; only the rows that are asked for are encoded."""
        if not self.by_user:
            self._known(given, None)
        rows, columns = (users, movies) if self.by_user else (movies, users)
        wanted, place = np.unique(rows, return_inverse=True)
        stars, n_rows = self._rows(given), self.shape[0] if self.by_user else self.shape[1]
        trained = np.arange(n_rows) if stars.shape[0] == n_rows else None  # or strangers'
        return self._stars(self._encode(stars, trained, wanted), place, columns, self._baseline(given), users, movies)

    def _stars(
        self, codes: NDArray, place: NDArray, columns: NDArray, baseline: Biases | None, users: NDArray, movies: NDArray
    ) -> NDArray[np.float32]:
        """Predict the stars of the pairs (users[i], movies[i]), whose rows have the latent vectors codes[place]."""
        residual = decode_cells(self._arrays("decoder"), codes, place, columns)
        return residual if baseline is None else residual + baseline.predict(users, movies)

    def _rows(self, matrix: csr_array) -> csr_array:
        """Return the rows of the input, as stars, of a users x movies matrix."""
        return matrix if self.by_user else matrix.T.tocsr()

    def _known(self, given: csr_array, users: NDArray[np.integer] | None) -> NDArray[np.integer]:
        """Return the indices of the trained users behind `given`: an encoder of movies has one input for each user."""
        if users is None and given.shape[0] != self.shape[0]:
            raise ValueError("an autoencoder with movies as rows knows only the users it was trained on")
        return np.arange(self.shape[0]) if users is None else users

    def _encode(self, stars: csr_array, who: NDArray | None = None, index: NDArray | None = None) -> NDArray:
        """Return the latent vectors, (n, latent), of the rows `index` of CSR stars, all where None; who: as in
        `_inputs`."""
        if plain := self._arrays("encoder"):
            return plain.of_matrix(stars if index is None else stars[index])
        return self._apply(self.encoder, self._network_rows(stars), who, index)

    def _apply(
        self, network: keras.Model, rows: csr_array, who: NDArray | None = None, index: NDArray | None = None
    ) -> NDArray:
        """Return the outputs of a Keras model for the rows `index` of `_network_rows`, computed in blocks."""
        index = np.arange(rows.shape[0]) if index is None else index
        blocks = (index[start : start + BLOCK] for start in range(0, max(len(index), 1), BLOCK))
        return np.concatenate([outputs(network, self._inputs(rows, block, who)) for block in blocks])

    def _arrays(self, name: str) -> Any:
        """Return the weights of encoder, decoder or ranker as arrays. They are copied at every call while they change,
        and of a trained model once: `_build`, `_train` and `encode_all` drop the copies, and so must whatever else
        changes weights."""
        copies = {} if self._copies is None else self._copies
        if name not in copies:
            copies[name] = self._plain_encoder() if name == "encoder" else dense_layers(getattr(self, name))
        return copies[name]

    def _space(self, users: NDArray, movies: NDArray, baseline: Biases | None) -> LatentSpace:
        """Return the `LatentSpace` with these vectors and the decoders as they are now."""
        decoder, ranker = self._arrays("decoder"), self._arrays("ranker") if self.ranker else []
        return LatentSpace(users, movies, baseline, decoder, "users" if self.by_user else "movies", ranker)

    def encode_all(self, known: csr_array) -> None:
        """Encode the rows, and for each column what the encoder makes of it."""
        self._copies = {}
        stars = self._rows(known)
        rows, columns = self._encode(stars, np.arange(stars.shape[0])), self._column_vectors()
        users, movies = (rows, columns) if self.by_user else (columns, rows)
        self.latent = self._space(users, movies, self._baseline(known))

    # -- saving --------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write the Keras models; latent.npz and, of most models, encoder.npz, which work without Keras."""
        for name in self.saved:
            getattr(self, name).save(folder / f"{name}.keras")
        self.latent.save(folder / "latent.npz")
        if self.takes_new_users and (plain := self._arrays("encoder")):
            encoders.save(folder / "encoder.npz", plain)

    def load(self, run: Run) -> None:
        """Read what `save` wrote; `.keras` in safe mode, so that no code comes with the weights."""
        for name in self.saved:
            setattr(self, name, keras.models.load_model(run.path(f"{name}.keras"), safe_mode=True))
        self.latent, self._copies = LatentSpace.load(run.arrays("latent.npz")), {}


class ValidationRatings:
    """What a model of ratings in training is judged by: the rows with hidden validation ratings. place: of each row,
    among these."""

    def __init__(self, model: LatentModel, validation: Holdout) -> None:
        self.model, self.validation = model, validation
        self.given, self.baseline = model._rows(validation.given), model._baseline(validation.given)
        self.rows = np.flatnonzero(np.diff(model._rows(validation.hidden).indptr))
        self.place, self.trained = np.zeros(self.given.shape[0], np.intp), np.arange(self.given.shape[0])
        self.place[self.rows] = np.arange(len(self.rows))

    def codes(self) -> NDArray:
        """Return the latent vectors of these rows, as the network is now."""
        return self.model._encode(self.given, self.trained, self.rows)

    def rmse(self, codes: NDArray) -> float:
        """Return the RMSE of the hidden ratings, as evaluate.py does, of these vectors."""

        def predict(_: Any, users: NDArray, movies: NDArray) -> NDArray[np.float32]:
            row, column = (users, movies) if self.model.by_user else (movies, users)
            return self.model._stars(codes, self.place[row], column, self.baseline, users, movies)

        return rating_metrics(predict, self.validation, self.model.scale)["rmse"].value
