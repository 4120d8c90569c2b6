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


@dataclass(frozen=True)
class Neighbourhood:
    """How the liking of near users becomes a score. Chosen on validation when training, then stored in the run."""

    size: int = 80
    """users who count: the nearest ones by cosine"""
    power: int = 2
    """a neighbour weighs cosine ** power, so that a higher power trusts the nearest more"""

    def weigh(self, cosines):
        """The weights of neighbours at these cosines; who points the other way has none."""
        return np.maximum(cosines, 0) ** self.power


def unit(vectors):
    """Rows divided by their length; a zero row stays zero. Same shape, float32."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors, dtype=np.float32), where=length > 0)


def cosine(a, b):
    """(len(a), len(b)) cosines of the rows of `a` with the rows of `b`, in [-1, 1]."""
    return unit(a) @ unit(b).T


def nearest(vectors, queries, k, own=None):
    """The `k` rows of `vectors` nearest to each row of `queries` by cosine: (indices, cosines), both (n, k), nearest
    first, ties by index. `own[i]`, where given, is the row that query i itself is, or -1: it is left out, its place at
    the end filled with a cosine of -1 when there are not `k` others."""
    vectors, found = unit(vectors), []
    for start in range(0, max(len(queries), 1), BLOCK):
        near = unit(queries[start : start + BLOCK]) @ vectors.T
        if own is not None:
            mine = np.asarray(own[start : start + BLOCK])
            near[np.flatnonzero(mine >= 0), mine[mine >= 0]] = -np.inf
        index = top_k(near, k)
        found.append((index, np.maximum(np.take_along_axis(near, index, axis=1), -1)))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def near_users(vectors, users, size, pool=None):
    """(indices, cosines), both (len(users), size), of the users nearest to each of `users`, who are not themselves.

    vectors: (n_users, latent), compared after taking off their mean: what all share says nothing about who is near.
    pool: indices of the users who can be neighbours, ascending; all where None."""
    pool = np.arange(len(vectors)) if pool is None else pool
    centre = vectors[pool].mean(axis=0)
    index, near = nearest(vectors[pool] - centre, vectors[users] - centre, size, index_of(pool, users))
    return pool[index], near


def liked_by(index, near, likes, neighbourhood):
    """What near users like, by (indices, cosines) from `near_users`: score[i, m] = sum over the first
    `neighbourhood.size` of them of max(cosine, 0)**power x [likes m], float32 (len(index), n_movies).
    likes: CSR 0/1, users x movies."""
    import scipy.sparse as sp

    index, weight = index[:, : neighbourhood.size], neighbourhood.weigh(near[:, : neighbourhood.size])
    rows = np.repeat(np.arange(len(index)), index.shape[1])
    weights = sp.csr_array((weight.ravel(), (rows, index.ravel())), shape=(len(index), likes.shape[0]))
    return (weights @ likes).toarray().astype(np.float32)


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

    def scores(self, user):
        """What the decoder ranks by: a score of every movie, float32 (n_movies,), for the user of that index."""
        if self.ranker:
            return decode(self.ranker, self.users[[user]])[0]
        return self.stars(user, np.arange(len(self.movies)))

    def stars(self, user, movies):
        """Predicted stars, float32 (len(movies),), of the user of that index for movies of those indices; scores where
        there are no biases."""
        if self.decodes == "users":
            residual = decode(self.decoder, self.users[[user]], movies)[0]
        else:
            residual = decode(self.decoder, self.movies[movies], [user])[:, 0]
        return residual if self.biases is None else residual + self.biases.predict(user, movies)

    def save(self, path):
        """Write everything as one .npz."""
        arrays = _flat("", self.decoder) | _flat("ranker_", self.ranker)
        if self.biases is not None:
            arrays |= {"mean": self.biases.mean, "user_bias": self.biases.user, "movie_bias": self.biases.movie}
        np.savez(path, users=self.users, movies=self.movies, decodes=self.decodes, **arrays)

    @classmethod
    def load(cls, run):
        """Read it from a `utils.runs.Run`."""
        stored = run.arrays("latent.npz")
        decoder, ranker = _layers("", stored), _layers("ranker_", stored)
        biases = None
        if "mean" in stored:
            biases = Biases(float(stored["mean"]), stored["user_bias"], stored["movie_bias"])
        return cls(stored["users"], stored["movies"], biases, decoder, str(stored["decodes"]), ranker)


def _flat(prefix, layers):
    """Dense layers as named arrays; `_layers` is the way back."""
    arrays = {f"{prefix}activations": np.array([activation for _, _, activation in layers], dtype=str)}
    for i, (kernel, bias, _) in enumerate(layers):
        arrays |= {f"{prefix}kernel{i}": kernel, f"{prefix}bias{i}": bias}
    return arrays


def _layers(prefix, stored):
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
