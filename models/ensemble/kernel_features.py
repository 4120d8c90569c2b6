"""Features of movies on which a linear regression is one with a kernel: a Gaussian process for each person.

The kernel of two vectors x and y is x'y + (`CONSTANT` l)^2 + `CLOSE` l^2 exp(-|x - y|^2 / l^2), where l is the root
mean square of the vectors' lengths: what a person thinks of a movie is linear in its vector, plus a level of that
person's, plus what they think of the movies close to it. The last part is approximated from some movies, the landmarks
(Nyström's method; Williams and Seeger 2001), which k-means++ spreads over all (Arthur and Vassilvitskii 2007)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.scoring.protocols import Floats

CONSTANT, CLOSE = 2.0, 2.0  # both on validation, of ML-100K, ML-1M and the bundled data
SHORTEST = np.float32(1e-6)  # in the place of a length of 0
LEAST = 1e-5  # of the largest eigenvalue of the landmarks' kernel; directions with less are noise


@dataclass(frozen=True)
class KernelFeatures:
    """From vectors to features whose products are the kernel. landmarks: (n, k), vectors. whitening: (n, d), with d up
    to n. length: l."""

    landmarks: Floats
    whitening: Floats
    length: np.float32

    @classmethod
    def of(cls, vectors: Floats, landmarks: int) -> KernelFeatures:
        """Choose so many landmarks, or all where there are fewer, among vectors, (n, k) float32."""
        from sklearn.cluster import kmeans_plusplus

        length = np.maximum(np.sqrt((vectors**2).sum(axis=1).mean()), SHORTEST)
        chosen, _ = kmeans_plusplus(vectors, min(landmarks, len(vectors)), random_state=0)
        values, directions = np.linalg.eigh(_closeness(chosen, chosen, length))
        kept = values > LEAST * values[-1]
        whitening = length * directions[:, kept] / np.sqrt(values[kept] / CLOSE)
        return cls(chosen, whitening.astype(np.float32), length)

    def __call__(self, vectors: Floats) -> Floats:
        """Return the features, (m, k + 1 + d), of vectors, (m, k): themselves, a constant, and closeness."""
        constant = np.full((len(vectors), 1), CONSTANT * self.length, np.float32)
        close = _closeness(vectors, self.landmarks, self.length) @ self.whitening
        return np.concatenate([vectors, constant, close], axis=1)


def _closeness(vectors: Floats, landmarks: Floats, length: np.float32) -> Floats:
    """Return exp(-|x - y|^2 / l^2) of every vector and landmark, (m, n)."""
    squares = (vectors**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1) - 2 * vectors @ landmarks.T
    return np.exp(-np.maximum(squares, 0) / length**2)
