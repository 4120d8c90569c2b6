"""The second path to stars of `joint`: vectors of movies, from an autoencoder of movies' rows, on which the ratings of
each person are regressed (`StarPath`).

With movies as rows stars are predicted better than with users as rows (docs/experiments.md), but the output layer of
such an autoencoder has weights for the users that it was trained on alone. The regression gives anybody theirs: the
weights that minimise the loss of the output layer on a person's ratings. With `--movie-landmarks` it has features of
the vectors beside them, which make it a regression with a kernel (`kernel_features.py`). Its penalty and its share in
the stars are chosen on validation.

The vector of a movie knows the ratings of trained users, their own too, and a regression on it would explain a rating
partly by itself. So a trained user's ratings are regressed on vectors that lack that user's rating, as in the training
(`--target hidden`): `Vectors.without`. Others' ratings are in no vector.

What is known of movies (`--movie-side`) goes into the encoder. What is known of users (`--side`) says which weights to
expect before any rating: the part in common of the output layer's, towards which the penalty draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from scipy.sparse import csr_array

from models import autorec
from models.ensemble.kernel_features import KernelFeatures
from models.networks.layers import BySide, dense
from models.networks.rating_autoencoder import Autoencoder
from utils.data.side_features import Side
from utils.data.splits import Holdout
from utils.scoring import biases
from utils.scoring.biases import Biases
from utils.scoring.linear_scorer import StarPath, ridge
from utils.scoring.parallel import parallel_rows
from utils.scoring.protocols import Floats, Indices, Scale
from utils.training.training import Training

FACTORS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the penalty that the output layer has in training
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the regression's stars
OPTIONS = autorec.Config(rows="movies", target="hidden", dropout=0.5)
STEP = 0.005 / 256  # size of a step by Adam for each movie of a batch (linear scaling, Goyal et al. 2017)
END = 0.017  # the step size after the last epoch, as a share of that of the first
USERS = 256  # regressed at a time


class _Autoencoder(autorec.Model):
    """The autoencoder; its checkpoint lies beside those of other phases of the training."""

    phase = "movies"

    def _refit_phase(self) -> str:
        return self.phase


class Vectors:
    """Latent vectors of movies: of all their ratings, or without those of one user. The encoder is one layer of tanh
    over sums of what each rating adds, so that to leave one out is to subtract it.

    known: users x movies, the stars that the movies have. star: how many of them are one of the autoencoder's."""

    def __init__(self, autoencoder: _Autoencoder, known: csr_array, star: float) -> None:
        centre, config = autoencoder.encoder.get_layer("centre"), autoencoder.config
        self.known, self.star, n = known, star, known.shape[0]
        self.mean, self.user = float(centre.mean.numpy()), centre.column.numpy()
        kernel, bias = dense(autoencoder.encoder.get_layer("encoder_0"))
        self.of_star, self.of_rating = kernel[:n], kernel[n : 2 * n]
        side = autoencoder._side()[0] if config.side else np.zeros((known.shape[1], 0), np.float32)
        self.constant: Floats = bias + np.float32(config.side_weight) * (side @ kernel[2 * n :])
        rows = known.T.tocsr()
        left = (rows.data / star - self.mean - self.user[rows.indices]).astype(np.float32)
        self.count: Floats = np.diff(rows.indptr).astype(np.float32)
        total = np.add.reduceat(np.append(left, 0), rows.indptr[:-1])  # any number where a movie has no ratings
        self.deviation = biases.deviation(total, self.count, config.movie_damping).astype(np.float32)
        left -= np.repeat(self.deviation, np.diff(rows.indptr))
        of_rows = (rows.indices, rows.indptr)
        stars, is_rated = (csr_array((of, *of_rows), rows.shape) for of in (left, np.ones_like(left)))
        self.sums: Floats = stars @ self.of_star + is_rated @ self.of_rating

    @property
    def whole(self) -> Floats:
        """The vectors with all ratings, (n_movies, latent)."""
        return self._of(self.sums, self.count, self.constant)

    def without(self, user: int) -> Floats:
        """Return the vectors of the movies that a user has rated, (n, latent), without these ratings. The movies' mean
        deviations are as with them, for simplicity: one rating hardly moves them."""
        movies, stars = self.rated(user)
        own = stars / self.star - self.mean - self.user[user] - self.deviation[movies]
        sums = self.sums[movies] - own[:, None] * self.of_star[user] - self.of_rating[user]
        return self._of(sums, self.count[movies] - 1, self.constant[movies])

    def rated(self, user: int) -> tuple[Indices, Floats]:
        """Return (movies, stars) of the ratings of a user."""
        cells = slice(*self.known.indptr[user : user + 2])
        return self.known.indices[cells], self.known.data[cells]

    @staticmethod
    def _of(sums: Floats, count: Floats, constant: Floats) -> Floats:
        return np.tanh(sums / np.sqrt(np.maximum(count, np.float32(1)))[:, None] + constant)


class MovieRows:
    """landmarks: of the features, 0: without. factor: what the penalty is multiplied by. share: of the regression's
    stars; 0 before `choose`."""

    autoencoder: _Autoencoder | None = None  # of movies' rows, once it is trained; of stars of five

    def __init__(self, landmarks: int, factor: float = 1.0, share: float = 0.0) -> None:
        self.landmarks, self.factor, self.share = landmarks, factor, share

    def train(self, model: Autoencoder, side: Side | None, matrix: csr_array, training: Training, phase: str) -> None:
        """Train the autoencoder for `model` on a matrix of stars, as stars of five: its options suit no other scale.
        Interrupted, what was trained before is kept. side: what is known of movies and users."""
        config, star, (low, high) = model.config, model.star, model.scale
        names = ("user_damping", "movie_damping", "side_weight")
        options = {name: getattr(config, name) for name in names}
        options |= {
            "side": (*config.movie_side, *config.user_side) if side else (),
            "hidden": (config.movie_size,),
            "epochs": config.movie_epochs,
            "l2": config.movie_l2,
            "batch_size": config.movie_batch_size,
            "learning_rate": STEP * config.movie_batch_size,
            "decay": END ** (1 / config.movie_epochs),
        }
        autoencoder = _Autoencoder(model.shape, replace(OPTIONS, **options), model.seed, (low / star, high / star))
        autoencoder.phase = phase
        if side:
            autoencoder.side = side
        autoencoder.refit(cast(csr_array, matrix / star), training)
        if not training.interrupted:
            self.autoencoder, self.star = autoencoder, star

    def path(self, known: csr_array, base: Biases) -> StarPath:
        """Return the path to stars, with vectors and weights from these ratings. base: the baseline of these users."""
        regression = Regression(self, known, base, (self.factor,))
        weights = np.empty_like(regression.expected)

        def regress(users: slice) -> None:
            for user in range(users.start, users.stop):
                weights[user] = regression.weights(user)[0]

        parallel_rows(regress, len(weights), USERS)
        return StarPath(regression.whole, weights, regression.penalties[0], np.float32(self.share))

    def choose(self, validation: Holdout, base: Biases, stars: Floats, scale: Scale) -> None:
        """Choose factor and share by the RMSE of the hidden ratings. base: the baseline of the given ones. stars: what
        the decoder predicts for the hidden ones, in the order of `tocoo`."""
        regression, hidden = Regression(self, validation.given, base, FACTORS), validation.hidden
        cells = hidden.tocoo()
        regressed = np.tile(base.predict(cells.row, cells.col), (len(FACTORS), 1))

        def regress(users: slice) -> None:
            for user in range(users.start, users.stop):
                own = slice(*hidden.indptr[user : user + 2])
                if own.start < own.stop:
                    regressed[:, own] += regression.weights(user) @ regression.whole[hidden.indices[own]].T

        parallel_rows(regress, hidden.shape[0], USERS)
        found = []  # (mean squared error, factor, share)
        for factor, of_factor in zip(FACTORS, regressed, strict=True):
            for share in SHARES:
                mixed = np.clip(stars + share * (of_factor - stars), *scale)
                found.append((float(np.mean((cells.data - mixed) ** 2)), factor, share))
        _, self.factor, self.share = min(found)


class Regression:
    """The regression of each trained user's ratings, for several factors of the penalty.

    whole: (n_movies, k), what a movie that the user has not rated is predicted from. expected: (n_users, k), the
    weights that side features tell, 0 where they tell none. penalties: one for each factor."""

    def __init__(self, rows: MovieRows, known: csr_array, base: Biases, factors: Sequence[float]) -> None:
        autoencoder = cast(_Autoencoder, rows.autoencoder)
        self.vectors, self.base = Vectors(autoencoder, known, rows.star), base
        vectors, is_rated = self.vectors.whole, self.vectors.count > 0
        # landmarks know all ratings, each user's too, for simplicity: one hardly moves them
        self.features: Callable[[Floats], Floats] = lambda vectors: vectors
        if rows.landmarks:
            self.features = KernelFeatures.of(vectors[is_rated], rows.landmarks)
        self.whole = self.features(vectors)
        self.expected = np.zeros((known.shape[0], self.whole.shape[1]), np.float32)
        if isinstance(output := autoencoder.decoder.layers[-1], BySide):
            self.expected[:, : vectors.shape[1]] = np.float32(rows.star) * output.common().T
        l2 = autoencoder.config.l2 * np.sqrt(known.nnz)  # see `Autoencoder`
        self.penalties = [np.float32(factor * l2) for factor in factors]

    def weights(self, user: int) -> Floats:
        """Return the weights of a user for each factor, (n_factors, k)."""
        movies, stars = self.vectors.rated(user)
        weights = np.tile(self.expected[user], (len(self.penalties), 1))
        if len(movies):
            own = self.features(self.vectors.without(user))
            left = stars - self.base.predict(np.full(len(movies), user), movies) - own @ self.expected[user]
            weights += ridge(own, left, self.penalties)
        return weights
