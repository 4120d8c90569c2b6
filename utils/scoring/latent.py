"""The latent space of a trained autoencoder: its arrays, cosine neighbours in it, and the decoder. All in numpy, since
importing Keras takes 5 to 10 seconds.

A zero vector has no direction: its cosine with everything is 0, as that of scikit-learn's `cosine_similarity`, which is
not used because its import takes seconds; the tests compare both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from utils.scoring.biases import Biases
from utils.scoring.parallel import parallel_rows
from utils.scoring.protocols import CSR, Floats, Indices, Layer, Model, Neighbours, Pick, Weigh
from utils.scoring.ranking import top_k

MANY = 50_000  # queries and vectors beyond which faiss searches
CANDIDATES = 4  # times k: the neighbours that faiss finds, which the weights put into another order
CELLS = 1 << 16  # of a decoder's output, computed at a time
BLOCK = 512  # queries whose cosines with everybody are in memory at a time
ROWS = 128  # of these that one core ranks at a time
FLATTEST = 1e-6  # least variance of a direction, as a share of the largest


@dataclass(frozen=True)
class Neighbourhood:
    """Hyper-parameters of the nearest-neighbour vote. Chosen on validation when training, then stored in the run."""

    size: int = 160
    """neighbours that count: those of the largest weight"""
    power: int = 4
    """a neighbour weighs cosine ** power, so that a higher power trusts the nearest more"""
    shrink: float = 0.0
    """the weight of a neighbour with n likes is multiplied by n / (n + shrink): vectors of few likes are unreliable"""
    whiten: float = 0.25
    """each principal direction is divided by its variance ** whiten before cosines are taken, so that the few with most
    variance do not dominate; 0 leaves them as they are"""

    def weigh(self, cosines: NDArray, likes: NDArray) -> NDArray:
        """Return the weights of neighbours with these cosines and numbers of likes; a negative cosine gets weight 0."""
        weight = np.maximum(cosines, 0) ** self.power
        return weight * (likes / (likes + self.shrink)).astype(np.float32) if self.shrink else weight


def unit(vectors: NDArray) -> Floats:
    """Divide each row by its length; a zero row stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors, dtype=np.float32), where=length > 0)


def cosine(a: NDArray, b: NDArray) -> Floats:
    """Return the cosines, (len(a), len(b)) in [-1, 1], of the rows of `a` with the rows of `b`."""
    return unit(a) @ unit(b).T


@dataclass(frozen=True)
class Whitening:
    """Centre and partially whiten vectors before taking cosines.

    centre: (latent,) mean. turn: (latent, latent), the principal directions scaled by variance ** -whiten. length:
    (n,) of each vector after both. A run stores them, since they take many times longer than the cosines of a query."""

    centre: Floats
    turn: Floats
    length: Floats

    @classmethod
    def of(cls, vectors: Floats, pool: Indices, whiten: float) -> Self:
        """Fit the whitening to the vectors, (n, latent), of `pool`."""
        centre = vectors[pool].mean(axis=0) if len(pool) else np.zeros(vectors.shape[1], np.float32)
        turn = np.eye(vectors.shape[1], dtype=np.float32)
        if whiten and len(pool) > 1:
            centred = vectors[pool] - centre
            variance, directions = np.linalg.eigh((centred.T @ centred / (len(pool) - 1)).astype(np.float64))
            scale = np.maximum(variance, max(FLATTEST * variance[-1], np.finfo(np.float32).tiny)) ** -whiten
            turn = (directions * scale).astype(np.float32)
        return cls(centre, turn, np.linalg.norm((vectors - centre) @ turn, axis=1))

    def directions(self, vectors: Floats) -> Floats:
        """Return whitened vectors of length 1, (n, latent)."""
        return unit((vectors - self.centre) @ self.turn)

    def cosines(self, vectors: Floats, queries: Floats) -> Floats:
        """Return the cosines, (m, n), of queries (m, latent) with all the vectors (n, latent), both whitened."""
        turned = self.directions(queries) @ self.turn.T  # so that the vectors are used as they are
        products = turned @ vectors.T - (turned @ self.centre)[:, None]
        return np.divide(products, self.length, out=np.zeros_like(products), where=self.length > 0)


def near(
    vectors: Floats,
    queries: Floats,
    k: int,
    pool: Indices,
    excluded: Indices | Sequence[int],
    whitening: Whitening | float,
    weigh: Weigh | None = None,
) -> Neighbours:
    """Find the `k` of `pool` nearest to each query by cosine, nearest first, ties by index; -inf where there are fewer.

    vectors: (n, latent) and queries: (m, latent), of users or of movies. pool: indices of the possible neighbours.
    excluded: for each query the index of itself, which is left out, or -1. whitening: the `Whitening`, or a power to
    whiten by. weigh: where given, the largest weights count instead, 0 where there are fewer. For more than MANY
    queries among more than MANY, faiss, where it is installed, is several times as fast; with `weigh`, the
    weights choose among CANDIDATES times `k` that it finds."""
    if not isinstance(whitening, Whitening):
        whitening = Whitening.of(vectors, pool, whitening)
    excluded = np.asarray(excluded)
    if min(len(pool), len(queries)) > MANY and find_spec("faiss"):
        return _near_by_faiss(vectors, queries, k, pool, excluded, whitening, weigh)
    shape = len(queries), min(k, len(vectors))
    index, value = np.empty(shape, np.intp), np.empty(shape, np.float32)
    outside = np.ones(len(vectors), bool)
    outside[pool] = False
    for start in range(0, len(queries), BLOCK):
        cosines = whitening.cosines(vectors, queries[start : start + BLOCK])

        def find(rows: slice, start: int = start, cosines: Floats = cosines) -> None:
            block = cosines[rows] if weigh is None else weigh(cosines[rows], slice(None))
            rows = slice(start + rows.start, start + rows.stop)
            block[:, outside] = -np.inf
            has_excluded = np.flatnonzero(excluded[rows] >= 0)
            block[has_excluded, excluded[rows][has_excluded]] = -np.inf
            index[rows] = top_k(block, k)
            value[rows] = np.take_along_axis(block, index[rows], axis=1)

        parallel_rows(find, len(cosines), ROWS)
    return index, value if weigh is None else np.maximum(value, 0)


def _near_by_faiss(
    vectors: Floats,
    queries: Floats,
    k: int,
    pool: Indices,
    excluded: Indices,
    whitening: Whitening,
    weigh: Weigh | None,
) -> Neighbours:
    import faiss

    n_candidates = min(CANDIDATES * k + 1, len(pool))
    shape = len(queries), min(k, n_candidates)
    index, value = np.empty(shape, np.intp), np.empty(shape, np.float32)
    search = faiss.IndexFlatIP(vectors.shape[1])
    search.add(whitening.directions(vectors[pool]))
    for start in range(0, len(queries), BLOCK):
        rows = slice(start, start + BLOCK)
        cosines, place = search.search(whitening.directions(queries[rows]), n_candidates)
        candidates = pool[place]
        block = cosines if weigh is None else weigh(cosines, candidates)
        block[candidates == excluded[rows, None]] = -np.inf
        best = top_k(block, k)
        index[rows], value[rows] = np.take_along_axis(candidates, best, 1), np.take_along_axis(block, best, 1)
    return index, value if weigh is None else np.maximum(value, 0)


def weighted_neighbours(
    vectors: Floats,
    queries: Floats,
    neighbourhood: Neighbourhood,
    likes: Indices,
    pool: Indices,
    excluded: Indices,
    whitening: Whitening | None = None,
) -> Neighbours:
    """Find the neighbours with the largest weights of the `Neighbourhood` for each query, 0 where there are fewer.
    likes: (n,) number of likes of the user, or of the movie, of each vector. The others: as in `near`."""

    def weigh(cosines: NDArray, index: Any) -> NDArray:
        return neighbourhood.weigh(cosines, likes[index])

    size, seen = neighbourhood.size, neighbourhood.whiten if whitening is None else whitening
    if neighbourhood.shrink:
        return near(vectors, queries, size, pool, excluded, seen, weigh)
    index, cosines = near(vectors, queries, size, pool, excluded, seen)  # without shrinkage the nearest weigh most
    return index, neighbourhood.weigh(cosines, likes)


def vote_matrix(index: Indices, weight: Floats, n: int) -> CSR:
    """Return what `weighted_neighbours` finds as a CSR matrix, (len(index), n). Times the likes, users x movies, it is
    the scores of `neighbours`; the likes times that of all movies, movies x movies, are the scores of `movies`."""
    import scipy.sparse as sp  # its import takes a quarter of a second, which recommend.py avoids

    rows = np.repeat(np.arange(len(index)), index.shape[1])
    value = weight.ravel().astype(np.float32, copy=False)
    return sp.csr_array((value, (rows, index.ravel())), shape=(len(index), n))


@dataclass(frozen=True)
class LatentSpace:
    """The arrays of a trained autoencoder: enough to recommend to its users.

    users: (n_users, latent), movies: (n_movies, latent), float32, comparable by cosine. decoder: dense layers as
    (kernel, bias, activation name); it takes the vectors of `decodes` ("users" or "movies") and gives stars above
    `biases`, one for each movie or user; where those are None, scores. ranker: layers from the vectors of users to
    scores of all movies, where the model has a decoder for that alone. whitenings: {"neighbours": `Whitening` of the
    users, "movies": of the movies}, once both are fitted."""

    users: Floats
    movies: Floats
    biases: Biases | None
    decoder: list[Layer]
    decodes: str
    ranker: list[Layer] = field(default_factory=list)
    whitenings: dict[str, Whitening] = field(default_factory=dict)
    IN_PART: ClassVar[str] = "users|movies|.*kernel.*"  # the arrays of a saved one that may be read in part

    def scores(
        self, codes: Floats, movies: Pick = slice(None), deviation: NDArray | float = 0.0, users: Pick | None = None
    ) -> Floats:
        """Return the decoder's scores, (len(codes), len(movies)); the arguments are those of `stars`."""
        return decode(self.ranker, codes, movies) if self.ranker else self.stars(codes, movies, deviation, users)

    def stars(
        self, codes: Floats, movies: Pick = slice(None), deviation: NDArray | float = 0.0, users: Pick | None = None
    ) -> Floats:
        """Predict stars, (len(codes), len(movies)), for users with these latent vectors and deviations from the mean in
        stars; scores where there are no biases. users: their indices, which a decoder of movies' vectors needs."""
        if self.decodes == "users":
            residual = decode(self.decoder, codes, movies)
        else:
            residual = decode(self.decoder, self.movies[movies], slice(None) if users is None else users).T
        if self.biases is None:
            return residual
        user = np.reshape(np.asarray(deviation, np.float32), (-1, 1))
        return residual + np.float32(self.biases.mean) + self.biases.movie[movies] + user

    def save(self, path: Path) -> None:
        """Write everything as one .npz, the weights of each movie together, so that a few movies are read alone."""
        arrays: dict[str, Any] = flat_layers("", by_output(self.decoder)) | flat_layers(
            "ranker_", by_output(self.ranker)
        )
        if self.biases is not None:
            arrays |= {"mean": self.biases.mean, "user_bias": self.biases.user, "movie_bias": self.biases.movie}
        for strategy, whitening in self.whitenings.items():
            arrays |= {f"{strategy}_{name}": value for name, value in vars(whitening).items()}
        np.savez(path, users=self.users, movies=self.movies, decodes=self.decodes, **arrays)

    @classmethod
    def load(cls, stored: dict[str, NDArray]) -> Self:
        """Make the latent space of the arrays that `save` wrote."""
        has_biases = "mean" in stored
        biases = Biases(float(stored["mean"]), stored["user_bias"], stored["movie_bias"]) if has_biases else None
        whitenings = {
            strategy: Whitening(*(stored[f"{strategy}_{name}"] for name in Whitening.__dataclass_fields__))
            for strategy in ("neighbours", "movies")
            if f"{strategy}_centre" in stored
        }
        decoder, ranker = read_layers("", stored), read_layers("ranker_", stored)
        return cls(stored["users"], stored["movies"], biases, decoder, str(stored["decodes"]), ranker, whitenings)


class HasLatentSpace(Model, Protocol):
    """A model with a latent space."""

    latent: LatentSpace

    def encode(self, given: CSR, users: Indices | None = None) -> Floats:
        """Return the latent vectors, (n, latent), of the rows."""


def is_latent(model: Model) -> TypeGuard[HasLatentSpace]:
    """Tell whether the model has a latent space."""
    return model.has_latent_space


def flat_layers(prefix: str, layers: list[Layer]) -> dict[str, NDArray]:
    """Return dense layers as named arrays; `read_layers` is the inverse."""
    arrays = {f"{prefix}activations": np.array([activation for _, _, activation in layers], dtype=str)}
    for i, (kernel, bias, _) in enumerate(layers):
        arrays |= {f"{prefix}kernel{i}": kernel, f"{prefix}bias{i}": bias}
    return arrays


def by_output(layers: list[Layer]) -> list[Layer]:
    """Return the layers with the last kernel in Fortran order: the weights of each output lie together."""
    return layers[:-1] + [(np.asfortranarray(kernel), bias, activation) for kernel, bias, activation in layers[-1:]]


def read_layers(prefix: str, stored: dict[str, NDArray]) -> list[Layer]:
    """Return the dense layers that `flat_layers` wrote."""
    activations = enumerate(map(str, stored[f"{prefix}activations"]))
    return [(stored[f"{prefix}kernel{i}"], stored[f"{prefix}bias{i}"], activation) for i, activation in activations]


ACTIVATIONS: dict[str, Callable[[NDArray], NDArray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
}


def forward(layers: list[Layer], inputs: Floats) -> Floats:
    """Return the output, (n, out), of dense layers for inputs (n, in)."""
    for kernel, bias, activation in layers:
        inputs = ACTIVATIONS[activation](inputs @ kernel + bias)
    return inputs


def decode(layers: list[Layer], codes: Floats, columns: Pick = slice(None)) -> Floats:
    """Return the output, (n, outputs), of a decoder for latent vectors (n, latent). columns: the wanted outputs."""
    *inner, (kernel, bias, activation) = layers
    if not isinstance(columns, slice) and 2 * len(columns) > len(bias):  # to take columns is to copy them
        return decode(layers, codes)[:, columns]
    return forward([*inner, (kernel[:, columns], bias[columns], activation)], codes)


def decode_cells(layers: list[Layer], codes: Floats, rows: Indices, columns: Indices) -> Floats:
    """Return only the cells (rows[i], columns[i]) of `decode`, (n,)."""
    *inner, (kernel, bias, activation) = layers
    codes, kernel, cells = forward(inner, codes), np.ascontiguousarray(kernel.T), np.empty(len(rows), np.float32)
    for start in range(0, len(rows), CELLS):
        row, column = rows[start : start + CELLS], columns[start : start + CELLS]
        cells[start : start + CELLS] = np.einsum("ij,ij->i", codes[row], kernel[column]) + bias[column]
    return ACTIVATIONS[activation](cells)
