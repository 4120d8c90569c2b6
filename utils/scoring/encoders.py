"""Encoders as arrays: stars of anybody -> latent vectors, without Keras, whose import takes 5 to 10 seconds.

Only the columns that are filled are computed with, so that a row and its hundreds of variants take milliseconds. The
output is that of Keras's encoder, to rounding: the tests compare both for every model that has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from utils.scoring import biases
from utils.scoring.biases import EPSILON
from utils.scoring.latent import activate, flat_layers, read_layers, through
from utils.scoring.parallel import parallel_rows

if TYPE_CHECKING:
    from pathlib import Path

    from scipy.sparse import csr_array

    from utils.runs.run_folder import Run
    from utils.scoring.profile_rows import Rows
    from utils.scoring.protocols import Floats, Indices, Layer


ROWS = 128  # encoded at a time


@dataclass(frozen=True)
class Centred:
    """`models.networks.layers.Centre`, which explains the fields, followed by dense layers."""

    layers: list[Layer]
    mean: float
    column: Floats
    damping: float
    baseline: bool
    implicit: bool
    normalise: bool
    like: float | None
    star: float

    def __call__(self, rows: Rows) -> Floats:
        """Return the latent vectors, (n, latent), of the `Rows`."""
        stars, n = rows.stars, len(self.column)
        observed = (stars != 0).astype(np.float32)
        count = observed.sum(axis=1, keepdims=True)
        residual = stars * 1
        if self.baseline:
            residual = observed * (stars - self.mean - self.column[rows.movies])
            deviation = residual.sum(axis=1, keepdims=True) / np.maximum(count + self.damping, EPSILON)
            residual -= observed * deviation
        blocks = [residual / np.float32(self.star)]
        if self.implicit:
            blocks.append(observed)
        if self.like is not None:
            blocks.append((stars > self.like).astype(np.float32))
        features = np.concatenate(blocks, axis=1)
        if self.normalise:
            features /= np.sqrt(np.maximum(count, 1))
        inputs = np.concatenate([rows.movies + i * n for i in range(len(blocks))])
        return from_columns(self.layers, features, inputs)

    def of_matrix(self, given: csr_array) -> Floats:
        """Return the latent vectors, (n, latent), of CSR rows of stars: the same for many rows, each of which fills a
        few of the columns. Only what is rated is computed with, which at MovieLens' densities takes a fiftieth of the
        products of the dense rows."""
        import scipy.sparse as sp  # a quarter of a second that a recommendation does without

        count = np.diff(given.indptr)
        rows, residual = np.repeat(np.arange(given.shape[0]), count), given.data
        if self.baseline:
            baseline = biases.of_rows(given, self.mean, self.column, self.damping)
            residual = given.data - baseline.predict(rows, given.indices)
        blocks = [residual / np.float32(self.star)]
        if self.implicit:
            blocks.append(np.ones_like(given.data))
        if self.like is not None:
            blocks.append((given.data > self.like).astype(np.float32))
        (kernel, bias, activation), *others = self.layers
        total, n = np.zeros((given.shape[0], kernel.shape[1]), np.float32), len(self.column)
        for i, data in enumerate(blocks):
            data = data / np.sqrt(count[rows]).astype(np.float32) if self.normalise else data
            block = sp.csr_array((data.astype(np.float32, copy=False), given.indices, given.indptr), given.shape)
            weights = kernel[i * n : (i + 1) * n]

            def add(some: slice, block: csr_array = block, weights: Floats = weights) -> None:
                total[some] += block[some] @ weights

            parallel_rows(add, len(total), ROWS)
        return through(others, activate(activation, total + bias))


@dataclass(frozen=True)
class OfLikes:
    """What was liked and, with `signed`, what was rated without being liked: rows divided by their length, followed by
    dense layers."""

    layers: list[Layer]
    n_movies: int
    like: float
    signed: bool

    def __call__(self, rows: Rows) -> Floats:
        """Return the latent vectors, (n, latent), of the `Rows`."""
        liked = rows.stars > self.like
        blocks = [liked, (rows.stars != 0) & ~liked] if self.signed else [liked]
        features = np.concatenate(blocks, axis=1).astype(np.float32)
        features /= np.sqrt(np.maximum(features.sum(axis=1, keepdims=True), 1))
        inputs = np.concatenate([rows.movies + i * self.n_movies for i in range(len(blocks))])
        return from_columns(self.layers, features, inputs)


Encoder: TypeAlias = Centred | OfLikes
KINDS: dict[str, type[Encoder]] = {kind.__name__: kind for kind in (Centred, OfLikes)}


def from_columns(layers: list[Layer], features: Floats, inputs: Indices) -> Floats:
    """Return the output, (n, out), of dense layers for inputs that are 0 except in the columns `inputs`: `features`."""
    (kernel, bias, activation), *others = layers
    return through([(kernel[inputs], bias, activation), *others], features)


def save(path: Path, encoder: Encoder) -> None:
    """Write an encoder as one .npz."""
    fields: dict[str, Any] = {
        name: value for name, value in vars(encoder).items() if name != "layers" and value is not None
    }
    np.savez(path, kind=type(encoder).__name__, **fields | flat_layers("", encoder.layers))


def load(run: Run) -> Encoder:
    """Read an encoder from encoder.npz of a run."""
    stored = run.arrays("encoder.npz")
    kind = KINDS[str(stored["kind"])]
    names = [name for name in kind.__dataclass_fields__ if name != "layers"]
    values = {name: stored.get(name) for name in names}
    plain: dict[str, Any] = {
        name: value.item() if value is not None and value.ndim == 0 else value for name, value in values.items()
    }
    return kind(read_layers("", stored), **plain)
