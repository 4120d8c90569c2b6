"""Types of arrays and functions, and what utils calls of a model (`models.base.Recommender` keeps it)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import Indices as Indices
from utils.data.ratings import Scale as Scale

if TYPE_CHECKING:
    from pathlib import Path

    from scipy.sparse import csr_array

    from utils.data.splits import Holdout
    from utils.training.training import Training

CSR: TypeAlias = "csr_array"  # that of scipy.sparse, whose import takes a quarter of a second
Floats: TypeAlias = NDArray[np.float32]
Pick: TypeAlias = Indices | slice  # indices, or a slice of all
Neighbours: TypeAlias = tuple[Indices, Floats]  # (indices, their cosines or weights), both (n_queries, k)
Layer: TypeAlias = tuple[NDArray, NDArray, str]  # a dense layer: kernel (in, out), bias (out,), name of the activation
ScoreFunction: TypeAlias = Callable[[CSR, Indices], Floats]  # (given, users) -> (n, n_movies)
PredictFunction: TypeAlias = Callable[[CSR, Indices, Indices], NDArray]  # (given, users, movies) -> stars (n,)
Weigh: TypeAlias = Callable[[NDArray, Any], NDArray]  # (cosines, indices they are with) -> weights of the same shape


class PredictingModel(Protocol):
    """A model that may predict stars."""

    predicts_ratings: bool  # `predict` gives stars

    def predict(self, given: CSR, users: Indices, movies: Indices) -> Floats:
        """Return the predicted stars, (n,), of the pairs (row of `given`, movie)."""


class Model(PredictingModel, Protocol):
    """A trained model as utils calls it. `given` is a CSR matrix of stars, one row a user."""

    takes_new_users: bool  # `score` and `predict` work for rows that were not trained on
    wants_users: bool  # `predict` serves trained users only from the matrix of all of them
    has_latent_space: bool  # it is a `latent.HasLatentSpace`
    blends: bool  # it is an `Ensemble`

    @property
    def predicts_strangers(self) -> bool:
        """Whether `predict` gives stars for rows that were not trained on."""

    def score(self, given: CSR, users: Indices | None = None) -> Floats:
        """Return the scores, (n, n_movies), of the rows; users: their indices if they were trained on."""


class Ensemble(Model, Protocol):
    """A model that is made of other models."""

    @property
    def parts(self) -> Sequence[Model]:
        """The models that it is made of."""

    def weights(self) -> dict[str, dict[str, float]]:
        """Return {words of the part: {"stars": weight, "likes": weight}} in the order of `parts`."""


class TrainableModel(Model, Protocol):
    """A model as what trains and saves it calls it."""

    config: Any  # the model's `Config`
    seed: int
    like: float  # stars above which a rating is a like
    learns_likes: bool  # what it ranks by is learned from likes

    @property
    def star(self) -> float:
        """One star of five on the scale of the data."""

    def fit(self, train: CSR, validation: Holdout, training: Training) -> list[dict[str, Any]]:
        """Train and choose on validation; returns one row an epoch."""

    def refit(self, matrix: CSR, training: Training) -> list[dict[str, Any]] | None:
        """Train again on all of the matrix; returns one row an epoch."""

    def save(self, folder: Path) -> None:
        """Write the model into a folder."""


def is_ensemble(model: Model) -> TypeGuard[Ensemble]:
    """Tell whether the model is made of other models."""
    return model.blends
