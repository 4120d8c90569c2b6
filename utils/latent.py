"""Cosine neighbours in latent space, exact: one product of unit vectors.

A zero vector has no direction: its cosine with everything is 0 (scikit-learn's `cosine_similarity`, the oracle in the
tests, says the same; it is not imported here because that takes seconds).
"""

from dataclasses import dataclass, field

import numpy as np

from utils.biases import Biases
from utils.ranking import top_k
from utils.ratings import index_of

BLOCK = 512  # queries whose cosines with everybody are in memory at a time
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


def nearest(vectors, queries, k, own=None, weigh=None):
    """The `k` rows of `vectors` nearest to each row of `queries` by cosine: (indices, cosines), both (n, k), nearest
    first, ties by index. `own[i]`, where given, is the row that query i itself is, or -1: it is left out, its place at
    the end filled with a cosine of -1 when there are not `k` others. With `weigh`, a function from a block of cosines
    to weights of 0 or more, the largest weights count, and they are returned."""
    vectors, found, least = unit(vectors), [], -1 if weigh is None else 0
    for start in range(0, max(len(queries), 1), BLOCK):
        near = unit(queries[start : start + BLOCK]) @ vectors.T
        near = near if weigh is None else weigh(near)
        if own is not None:
            mine = np.asarray(own[start : start + BLOCK])
            near[np.flatnonzero(mine >= 0), mine[mine >= 0]] = -np.inf
        index = top_k(near, k)
        found.append((index, np.maximum(np.take_along_axis(near, index, axis=1), least)))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


@dataclass(frozen=True)
class View:
    """How vectors are seen when cosines are taken: less their mean, since what all share says nothing about who is
    near, and turned and scaled by `whiten`, as `Neighbourhood` says."""

    centre: np.ndarray
    turn: np.ndarray | None

    @classmethod
    def of(cls, vectors, whiten):
        """The view that suits these vectors, (n, latent)."""
        centre = vectors.mean(axis=0) if len(vectors) else np.float32(0)
        if not whiten or len(vectors) < 2:
            return cls(centre, None)
        variance, directions = np.linalg.eigh(np.atleast_2d(np.cov(vectors.T.astype(np.float64))))
        scale = np.maximum(variance, max(FLATTEST * variance[-1], np.finfo(np.float32).tiny)) ** -whiten
        return cls(centre, (directions * scale).astype(np.float32))

    def __call__(self, vectors):
        """The vectors as they are seen, same shape."""
        return vectors - self.centre if self.turn is None else (vectors - self.centre) @ self.turn


def near(vectors, queries, size, pool, own, whiten):
    """(indices, cosines), both (len(queries), size), of the users, or movies, nearest to the latent vectors `queries`.

    vectors: those of all users, or movies, (n, latent). pool: indices of those who can be neighbours, ascending. own:
    for each query the one who can't, because the query is theirs, or -1. whiten: as in `Neighbourhood`."""
    view = View.of(vectors[pool], whiten)
    index, near = nearest(view(vectors[pool]), view(queries), size, index_of(pool, own))
    return pool[index], near


def vouching(vectors, queries, neighbourhood, likes, pool, own):
    """(indices, weights), both (len(queries), size), of those among `pool` who weigh most for each query, as the
    `Neighbourhood` says; weights are 0 where there are fewer. vectors, queries, pool, own: as in `near`.
    likes: (n,) number of likes of each of the vectors' owners."""
    view, likes = View.of(vectors[pool], neighbourhood.whiten), np.asarray(likes)[pool]
    seen, own = view(vectors[pool]), index_of(pool, own)
    index, weight = nearest(seen, view(queries), neighbourhood.size, own, lambda near: neighbourhood.weigh(near, likes))
    return pool[index], weight


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
    scores of all movies, where the model has a decoder for that alone."""

    users: np.ndarray
    movies: np.ndarray
    biases: Biases | None
    decoder: list
    decodes: str
    ranker: list = field(default_factory=list)

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
        np.savez(path, users=self.users, movies=self.movies, decodes=self.decodes, **arrays)

    @classmethod
    def load(cls, run):
        """Read it from a `utils.runs.Run`."""
        stored = run.arrays("latent.npz")
        decoder, ranker = read_layers("", stored), read_layers("ranker_", stored)
        biases = None
        if "mean" in stored:
            biases = Biases(float(stored["mean"]), stored["user_bias"], stored["movie_bias"])
        return cls(stored["users"], stored["movies"], biases, decoder, str(stored["decodes"]), ranker)


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


def through(layers, codes):
    """What dense layers, as in `decode`, make of vectors (n, in): (n, out)."""
    for kernel, bias, activation in layers:
        codes = activate(activation, codes @ kernel + bias)
    return codes


def activate(name, x):
    """The activation of that name."""
    return _ACTIVATIONS[name](x)
