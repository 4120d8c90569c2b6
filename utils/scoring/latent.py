"""Cosine neighbours in latent space, exact: one product of unit vectors.

A zero vector has no direction: its cosine with everything is 0 (scikit-learn's `cosine_similarity`, the oracle in the
tests, says the same; it is not imported here because that takes seconds).
"""

from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from utils.scoring.biases import Biases
from utils.scoring.parallel import parallel_rows
from utils.scoring.ranking import top_k

MANY = 50_000  # vectors, beyond which the nearest of all of them to all of them are searched by faiss
CANDIDATES = 4  # times as many as asked for that faiss finds: the weights order them anew
CELLS = 1 << 16  # of a decoder's output computed at a time
BLOCK = 512  # queries whose cosines with everybody are in memory at a time
ROWS = 128  # of them whose nearest one core looks for at a time
FLATTEST = 1e-6  # of the widest direction's variance: directions that vary less are taken to vary so much


@dataclass(frozen=True)
class Neighbourhood:
    """Who vouches for what, and how much. Chosen on validation when training, then stored in the run."""

    size: int = 160
    """neighbours that count: those of the largest weight"""
    power: int = 4
    """a neighbour weighs cosine ** power, so that a higher power trusts the nearest more"""
    shrink: float = 0.0
    """the weight of a neighbour with n likes is multiplied by n / (n + shrink): a vector that rests on few is chance"""
    whiten: float = 0.25
    """each principal direction is divided by its variance ** whiten before cosines are taken, so that the few widest
    ones do not decide alone; 0 leaves them as they are"""

    def weigh(self, cosines, likes):
        """Weights of neighbours at these cosines who have so many likes; who points the other way has none."""
        weight = np.maximum(cosines, 0) ** self.power
        return weight * (likes / (likes + self.shrink)).astype(np.float32) if self.shrink else weight


def unit(vectors):
    """Rows divided by their length; a zero row stays zero. Same shape, float32."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors, dtype=np.float32), where=length > 0)


def cosine(a, b):
    """(len(a), len(b)) cosines of the rows of `a` with the rows of `b`, in [-1, 1]."""
    return unit(a) @ unit(b).T


@dataclass(frozen=True)
class View:
    """How vectors are seen when cosines are taken: less their mean, since what all share says nothing about who is
    near, and turned and scaled by `whiten`, as `Neighbourhood` says.

    centre: (latent,). turn: (latent, latent). length: (n,) of each vector as it is seen. With them a query takes one
    product with the vectors as they are; to find them takes many times longer, so that a run stores them."""

    centre: np.ndarray
    turn: np.ndarray
    length: np.ndarray

    @classmethod
    def of(cls, vectors, pool, whiten):
        """The view that suits the vectors of `pool`, (n, latent)."""
        centre = vectors[pool].mean(axis=0) if len(pool) else np.zeros(vectors.shape[1], np.float32)
        turn = np.eye(vectors.shape[1], dtype=np.float32)
        if whiten and len(pool) > 1:
            left = vectors[pool] - centre
            variance, directions = np.linalg.eigh((left.T @ left / (len(pool) - 1)).astype(np.float64))
            scale = np.maximum(variance, max(FLATTEST * variance[-1], np.finfo(np.float32).tiny)) ** -whiten
            turn = (directions * scale).astype(np.float32)
        return cls(centre, turn, np.linalg.norm((vectors - centre) @ turn, axis=1))

    def cosines(self, vectors, queries):
        """(len(queries), n) cosines of queries, (m, latent), with all the vectors, as both are seen."""
        seen = unit((queries - self.centre) @ self.turn) @ self.turn.T
        near = seen @ vectors.T - (seen @ self.centre)[:, None]
        return np.divide(near, self.length, out=np.zeros_like(near), where=self.length > 0)


def near(vectors, queries, k, pool, own, view, weigh=None):
    """The `k` of `pool` nearest to each query by cosine: (indices, cosines), both (len(queries), k), nearest first,
    ties by index. vectors, (n, latent), and queries, (m, latent), are of users or of movies.

    pool: indices of those who can be neighbours. own: for each query the one who can't, because the query is theirs, or
    -1. Places at the end are filled with -inf where there are not `k` others. view: the `View`, or a power to whiten
    by. With `weigh`, a function from a block of cosines and the indices they are with to weights of 0 or more, the
    largest weights count, and they are returned, with 0 where there are no others.

    For more than MANY queries among more than MANY faiss, where it is installed, finds the nearest several times
    sooner; where the weights order them anew, those of CANDIDATES times `k` are ordered."""
    if not isinstance(view, View):
        view = View.of(vectors, pool, view)
    if min(len(pool), len(queries)) > MANY and find_spec("faiss"):
        return _near_by_faiss(vectors, queries, k, pool, np.asarray(own), view, weigh)
    outside, found, own = np.ones(len(vectors), bool), [], np.asarray(own)
    outside[pool] = False
    for start in range(0, max(len(queries), 1), BLOCK):
        cosines, mine = view.cosines(vectors, queries[start : start + BLOCK]), own[start : start + BLOCK]

        def best(rows, cosines=cosines, mine=mine):
            return _best(cosines[rows], k, outside, mine[rows], weigh)

        found += parallel_rows(best, len(cosines), ROWS) or [best(slice(0))]
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def _best(block, k, outside, own, weigh):
    """What `near` finds by a block of cosines, which is written into."""
    block = block if weigh is None else weigh(block, slice(None))
    block[:, outside] = -np.inf
    block[np.flatnonzero(own >= 0), own[own >= 0]] = -np.inf
    index = top_k(block, k)
    value = np.take_along_axis(block, index, axis=1)
    return index, value if weigh is None else np.maximum(value, 0)


def _near_by_faiss(vectors, queries, k, pool, own, view, weigh):
    """The same as `near`, by faiss."""
    import faiss

    seen, found = unit((vectors[pool] - view.centre) @ view.turn), []
    index = faiss.IndexFlatIP(seen.shape[1])
    index.add(seen)
    for start in range(0, len(queries), BLOCK):
        asked = unit((queries[start : start + BLOCK] - view.centre) @ view.turn)
        cosines, place = index.search(asked, min(CANDIDATES * k + 1, len(pool)))
        who = pool[place]
        value = cosines if weigh is None else weigh(cosines, who)
        value[who == own[start : start + BLOCK, None]] = -np.inf
        best = top_k(value, k)
        value = np.take_along_axis(value, best, axis=1)
        found.append((np.take_along_axis(who, best, axis=1), value if weigh is None else np.maximum(value, 0)))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def vouching(vectors, queries, neighbourhood, likes, pool, own, view=None):
    """(indices, weights), both (len(queries), size), of those of `pool` who weigh most for each query, as the
    `Neighbourhood` says; weights are 0 where there are fewer. likes: (n,) number of likes of each of the vectors'
    owners. The others: as in `near`."""
    view = neighbourhood.whiten if view is None else view
    if not neighbourhood.shrink:  # then the nearest weigh most
        index, cosines = near(vectors, queries, neighbourhood.size, pool, own, view)
        return index, neighbourhood.weigh(cosines, likes)

    def weigh(cosines, index):
        return neighbourhood.weigh(cosines, likes[index])

    return near(vectors, queries, neighbourhood.size, pool, own, view, weigh)


def votes(index, weight, n):
    """What `vouching` gives as a CSR matrix, (len(index), n): times the likes, users x movies, it is the scores of the
    way `neighbours`; the likes times that of all movies, movies x movies, are the scores of the way `movies`."""
    import scipy.sparse as sp  # a quarter of a second that a recommendation does without

    rows = np.repeat(np.arange(len(index)), index.shape[1])
    return sp.csr_array((weight.ravel(), (rows, index.ravel())), shape=(len(index), n), dtype=np.float32)


@dataclass(frozen=True)
class LatentSpace:
    """What a trained autoencoder knows, as arrays: enough to recommend to its users without Keras, whose import takes
    5 to 10 seconds where this answers in milliseconds.

    users: (n_users, latent), movies: (n_movies, latent), float32, comparable by cosine. decoder: dense layers as
    (kernel, bias, activation name); it takes the vectors of `decodes` ("users" or "movies") and gives stars above
    `biases`, one for each movie or user; where those are None, scores. ranker: layers from the vectors of users to
    scores of all movies, where the model has a decoder for that alone. views: {"neighbours": `View` of the users,
    "movies": of the movies}, once it is known how the two ways see them."""

    users: np.ndarray
    movies: np.ndarray
    biases: Biases | None
    decoder: list
    decodes: str
    ranker: list = field(default_factory=list)
    views: dict = field(default_factory=dict)

    def scores(self, codes, movies=slice(None), deviation=0.0, users=None):
        """What the decoder ranks by, float32 (len(codes), len(movies)); the arguments are those of `stars`."""
        return decode(self.ranker, codes, movies) if self.ranker else self.stars(codes, movies, deviation, users)

    def stars(self, codes, movies=slice(None), deviation=0.0, users=None):
        """Predicted stars, float32 (len(codes), len(movies)), for users of these latent vectors and deviations from the
        mean in stars; scores where there are no biases. users: their indices, which a decoder that takes the vectors of
        movies has to know."""
        if self.decodes == "users":
            residual = decode(self.decoder, codes, movies)
        else:
            residual = decode(self.decoder, self.movies[movies], users).T
        if self.biases is None:
            return residual
        own = np.reshape(np.asarray(deviation, np.float32), (-1, 1))
        return residual + np.float32(self.biases.mean) + self.biases.movie[movies] + own

    def save(self, path):
        """Write everything as one .npz."""
        arrays = flat_layers("", self.decoder) | flat_layers("ranker_", self.ranker)
        if self.biases is not None:
            arrays |= {"mean": self.biases.mean, "user_bias": self.biases.user, "movie_bias": self.biases.movie}
        for way, view in self.views.items():
            arrays |= {f"{way}_{name}": value for name, value in vars(view).items()}
        np.savez(path, users=self.users, movies=self.movies, decodes=self.decodes, **arrays)

    @classmethod
    def load(cls, run):
        """Read it from a `utils.runs.run_folder.Run`."""
        stored = run.arrays("latent.npz")
        decoder, ranker = read_layers("", stored), read_layers("ranker_", stored)
        biases = None
        if "mean" in stored:
            biases = Biases(float(stored["mean"]), stored["user_bias"], stored["movie_bias"])
        views = {
            way: View(*(stored[f"{way}_{name}"] for name in View.__dataclass_fields__))
            for way in ("neighbours", "movies")
            if f"{way}_centre" in stored
        }
        return cls(stored["users"], stored["movies"], biases, decoder, str(stored["decodes"]), ranker, views)


def flat_layers(prefix, layers):
    """Dense layers as named arrays; `read_layers` is the way back."""
    arrays = {f"{prefix}activations": np.array([activation for _, _, activation in layers], dtype=str)}
    for i, (kernel, bias, _) in enumerate(layers):
        arrays |= {f"{prefix}kernel{i}": kernel, f"{prefix}bias{i}": bias}
    return arrays


def read_layers(prefix, stored):
    """The dense layers that `flat_layers` wrote."""
    activations = enumerate(map(str, stored[f"{prefix}activations"]))
    return [(stored[f"{prefix}kernel{i}"], stored[f"{prefix}bias{i}"], activation) for i, activation in activations]


_ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
}
ACTIVATIONS = tuple(_ACTIVATIONS)


def decode(layers, codes, columns=slice(None)):
    """What a decoder of dense layers makes of latent vectors, without Keras: importing it takes 5 to 10 seconds, this
    answers in milliseconds. layers: [(kernel, bias, activation name)]; codes: (n, latent); `columns` picks outputs.
    Returns (n, outputs) float32."""
    *inner, (kernel, bias, activation) = layers
    return activate(activation, through(inner, codes) @ kernel[:, columns] + bias[columns])


def decode_cells(layers: list, codes: NDArray, rows: NDArray, columns: NDArray) -> NDArray[np.float32]:
    """Return what `decode` gives in the cells (rows[i], columns[i]), (n,): of the last layer, which is most of the
    work, only these cells are computed."""
    *inner, (kernel, bias, activation) = layers
    codes, kernel, found = through(inner, codes), np.ascontiguousarray(kernel.T), np.empty(len(rows), np.float32)
    for start in range(0, len(rows), CELLS):
        row, column = rows[start : start + CELLS], columns[start : start + CELLS]
        found[start : start + CELLS] = np.einsum("ij,ij->i", codes[row], kernel[column]) + bias[column]
    return activate(activation, found)


def through(layers, codes):
    """What dense layers, as in `decode`, make of vectors (n, in): (n, out)."""
    for kernel, bias, activation in layers:
        codes = activate(activation, codes @ kernel + bias)
    return codes


def activate(name, x):
    """The activation of that name."""
    return _ACTIVATIONS[name](x)
