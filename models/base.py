"""The contract every model keeps, closed form and Keras alike. Nothing here needs Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from utils.data.ratings import default_like
from utils.errors import UserError

History = list[dict[str, Any]]  # what a training writes down, one row an epoch

if TYPE_CHECKING:
    from pathlib import Path

    from keras import KerasTensor
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from utils.data.datasets import Dataset
    from utils.data.splits import Holdout
    from utils.runs.run_folder import Run
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
        self,
        shape: tuple[int, int],
        config: Any,
        seed: int = 0,
        scale: tuple[float, float] = (0.5, 5.0),
        like: float | None = None,
    ) -> None:
        """Keep the facts about model and data; nothing is computed yet.

        shape: (users, movies). config: the model's `Config`. scale: (lowest, highest) stars of the data. like: stars
        above which a rating is a like; `utils.data.ratings.default_like` of the scale where None."""
        self.shape, self.scale = (shape[0], shape[1]), (scale[0], scale[1])  # of JSON they are lists
        self.config, self.seed = config, seed
        self.like = default_like(scale) if like is None else like

    @property
    def star(self) -> float:
        """One star of five in the stars of the data, so that what is learned does not depend on the scale."""
        return self.scale[1] / 5

    @property
    def predicts_strangers(self) -> bool:
        """Whether `predict` gives stars for rows that were not trained on."""
        return self.predicts_ratings and self.takes_new_users

    def attach_data(self, data: Dataset) -> None:
        """Take what the model uses beside ratings, such as side features and dates. Called before `fit`."""

    def fit(self, train: csr_array, validation: Holdout, training: Training) -> History:
        """Fit on the stars `train`, and choose what has to be chosen (the number of epochs) on `validation`.

        Returns the history: one dict an epoch, [] where there are none."""
        self.refit(train, training)
        return []

    def refit(self, matrix: csr_array, training: Training) -> History | None:
        """Fit again from the start on `matrix`, with everything as `fit` chose it.

        Returns the history where there is one."""
        raise NotImplementedError

    def encode_all(self, known: csr_array) -> None:
        """Encode users and movies for `latent` in a model with a latent space; others have nothing to do.

        Called after a fit with the ratings of all users that are known."""

    def score(self, given: csr_array, users: NDArray[np.integer] | None = None) -> NDArray[np.float32]:
        """Score all movies for each row, (n, n_movies): higher is better, on any scale. Movies in `given` are not
        masked."""
        raise NotImplementedError

    def predict(self, given: csr_array, users: NDArray[np.integer], movies: NDArray[np.integer]) -> NDArray[np.float32]:
        """Predict the stars of each pair (users[i], movies[i]), (n,): row of `given`, movie index. Not clipped."""
        raise NotImplementedError

    def exported(self, stars: KerasTensor) -> dict[str, KerasTensor]:
        """Compute, in Keras operations, what export.py writes.

        stars: (n, n_movies), 0 = not rated. Returns {"scores": (n, n_movies) as `score` gives them, "latent": (n,
        latent) vectors where there is a latent space}. A `UserError` where the model is no graph."""
        name = type(self).__module__.removeprefix("models.")
        raise UserError(f"{name} can't be exported: it is no function of a person's ratings that is a graph")

    def notes(self) -> list[str]:
        """Return sentences about what was trained, for the user."""
        return []

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
    """A model that is a handful of arrays, computed rather than trained: they are all there is to save."""

    arrays: tuple[str, ...] = ()  # names of the attributes that make up the fitted model: arrays, or CSR matrices

    def save(self, folder: Path) -> None:
        """Write the arrays to `weights.npz`."""
        flat: dict[str, Any] = {}
        for name in self.arrays:
            value = getattr(self, name)
            parts = ("data", "indices", "indptr", "shape") if hasattr(value, "indptr") else ("",)
            flat |= {f"{name}.{p}" if p else name: getattr(value, p) if p else value for p in parts}
        np.savez(folder / "weights.npz", **flat)

    def load(self, run: Run) -> None:
        """Read the arrays from `weights.npz`."""
        stored = run.arrays("weights.npz")
        for name in self.arrays:
            if name in stored:
                setattr(self, name, stored[name])
            else:
                import scipy.sparse as sp  # a quarter of a second that recommending does without

                data, indices, indptr, shape = (stored[f"{name}.{p}"] for p in ("data", "indices", "indptr", "shape"))
                setattr(self, name, sp.csr_array((data, indices, indptr), shape=tuple(shape)))
