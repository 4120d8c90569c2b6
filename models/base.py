"""The contract every model keeps, closed form and Keras alike. Nothing here needs Keras."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.data.ratings import default_like, star
from utils.errors import UserError

CSR_FIELDS = ("data", "indices", "indptr", "shape")
History = list[dict[str, Any]]  # of a training, one row an epoch

if TYPE_CHECKING:
    from pathlib import Path

    from keras import KerasTensor
    from scipy.sparse import csr_array

    from utils.data.datasets import Dataset
    from utils.data.splits import Holdout
    from utils.runs.run_folder import Run
    from utils.scoring.protocols import Floats, Indices, Scale
    from utils.training.training import Training


class Recommender:
    """A model of a users x movies rating matrix.

    `given` is always a CSR matrix of stars, one row a user. For a model with `takes_new_users` those may be anybody's
    rows; one without it knows only the users it was trained on, and row i must be user `users[i]` of the training
    matrix (all of them in order when `users` is None).
    """

    predicts_ratings = True  # `predict` gives stars
    learns_likes = False  # what it ranks by is learned from likes
    takes_new_users = True  # `score` and `predict` work for rows that were not trained on
    blends = False  # it is made of `parts`, other models with `weights()`
    wants_users = False  # `predict` needs the whole matrix to serve users that were trained on
    shares = False  # several workers can train it
    has_latent_space = False  # `encode` and `movie_vectors` exist

    def __init__(
        self, shape: tuple[int, int], config: Any, seed: int = 0, scale: Scale = (0.5, 5.0), like: float | None = None
    ) -> None:
        """Store the facts about model and data; nothing is computed yet.

        shape: (users, movies). config: the model's `Config`. scale: (lowest, highest) stars of the data. like: stars
        above which a rating is a like; `utils.data.ratings.default_like` of the scale where None."""
        self.shape, self.scale = (shape[0], shape[1]), (scale[0], scale[1])  # tuples, though JSON gives lists
        self.config, self.seed = config, seed
        self.like = default_like(scale) if like is None else like

    @property
    def name(self) -> str:
        """The name on the command line."""
        return type(self).__module__.removeprefix("models.")

    @property
    def star(self) -> float:
        """One star of five in the stars of the data, so that what is learned does not depend on the scale."""
        return star(self.scale)

    @property
    def predicts_strangers(self) -> bool:
        """Whether `predict` gives stars for rows that were not trained on."""
        return self.predicts_ratings and self.takes_new_users

    def attach_data(self, data: Dataset) -> None:
        """Give the model side features, dates and tags, as far as it uses them. Called before `fit`."""

    def fit(self, train: csr_array, validation: Holdout, training: Training) -> History:
        """Fit on the stars `train`; choose what has to be chosen, such as the number of epochs, on `validation`.

        Returns the history: one dict an epoch, [] where there are none."""
        self.refit(train, training)
        return []

    def refit(self, matrix: csr_array, training: Training) -> History | None:
        """Fit again from the start on `matrix`, with everything as `fit` chose it. Returns the history, if any."""
        raise NotImplementedError

    def fit_all(self, matrix: csr_array, training: Training) -> History | None:
        """Fit on `matrix`, which holds the ratings of `fit` and more, right after it: from the start as `refit` or,
        where that is as good and takes less time, from the weights of `fit`."""
        return self.refit(matrix, training)

    def encode_all(self, known: csr_array) -> None:
        """Encode all users and movies after a fit, where there is a latent space. known: their ratings."""

    def score(self, given: csr_array, users: Indices | None = None) -> Floats:
        """Score all movies for each row, (n, n_movies): higher is better, on any scale. Movies in `given` are not
        masked."""
        raise NotImplementedError

    def predict(self, given: csr_array, users: Indices, movies: Indices) -> Floats:
        """Predict the stars of each pair (users[i], movies[i]), (n,): row of `given`, movie index. Not clipped."""
        raise NotImplementedError

    def exported(self, stars: KerasTensor) -> dict[str, KerasTensor]:
        """Compute, in Keras operations, what export.py writes. stars: (n, n_movies), 0 = not rated.

        Returns {"scores": (n, n_movies) as `score` gives them, "latent": (n, latent) vectors where there is a latent
        space}. A `UserError` where the model can't be computed so."""
        raise UserError(f"{self.name} can't be exported: it is no function of a person's ratings that is a graph")

    def notes(self) -> list[str]:
        """Return sentences about what was trained, for the user."""
        return []

    def facts(self) -> dict[str, Any]:
        """Return what config.json says about the model, enough for `models.restore`."""
        about = {"model": self.name, "options": asdict(self.config), "seed": self.seed, "shape": list(self.shape)}
        return about | {"scale": list(self.scale), "like": self.like}

    def save(self, folder: Path) -> None:
        """Write what `load` needs into the existing folder."""
        raise NotImplementedError

    def load(self, run: Run) -> None:
        """Read what `save` wrote, through the `Run`, which checks that the files are whole."""
        raise NotImplementedError


def check_liked(n: int, like: float) -> None:
    """Refuse ratings of which n = 0 are likes."""
    if not n:
        raise UserError(f"no rating is above {like:g} stars, so there are no likes to learn from; see --like")


class ClosedForm(Recommender):
    """A model that is a handful of arrays, computed rather than trained."""

    arrays: tuple[str, ...] = ()  # attributes that make up the fitted model, and are saved: arrays or CSR matrices

    def save(self, folder: Path) -> None:
        """Write the arrays to `weights.npz`, a CSR matrix as the arrays that it is made of."""
        stored: dict[str, Any] = {}
        for name in self.arrays:
            value = getattr(self, name)
            if hasattr(value, "indptr"):
                stored |= {f"{name}.{field}": getattr(value, field) for field in CSR_FIELDS}
            else:
                stored[name] = value
        np.savez(folder / "weights.npz", **stored)

    def load(self, run: Run) -> None:
        """Read the arrays from `weights.npz`."""
        stored = run.arrays("weights.npz")
        for name in self.arrays:
            if name in stored:
                setattr(self, name, stored[name])
            else:
                import scipy.sparse as sp  # a quarter of a second that train.py --help does without

                data, indices, indptr, shape = (stored[f"{name}.{field}"] for field in CSR_FIELDS)
                setattr(self, name, sp.csr_array((data, indices, indptr), shape=tuple(shape)))
