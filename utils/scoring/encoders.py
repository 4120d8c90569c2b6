"""Encoders as arrays: stars of anybody -> latent vectors, without Keras, whose import takes 5 to 10 seconds.

Only rated columns are computed with, so that a row and its hundreds of variants take milliseconds. The output is that
of Keras's encoder, to rounding: the tests compare both for every model that has one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from utils.data.ratings import like_blocks
from utils.scoring import biases
from utils.scoring.latent import ACTIVATIONS, flat_layers, forward, read_layers
from utils.scoring.parallel import parallel_rows
from utils.scoring.profile_rows import ProfileRows
from utils.scoring.protocols import CSR, Floats, Indices, Layer

if TYPE_CHECKING:
    from utils.runs.run_folder import Run

ROWS = 128  # encoded at a time


class _Encoder:
    """Dense layers behind features of each rating: blocks of inputs side by side, each as wide as the rating matrix."""

    layers: list[Layer]

    def features(self, stars: Floats, row: Indices, movie: Indices, n_rows: int) -> list[Floats]:
        """Return the value of each rating in each block. stars, row, movie: arrays of the same length, by row."""
        raise NotImplementedError

    def __call__(self, rows: ProfileRows) -> Floats:
        """Return the latent vectors, (n, latent), of the `ProfileRows`, whose few columns are computed densely."""
        row, place = np.nonzero(rows.stars)
        blocks = self.features(rows.stars[row, place], row, rows.movies[place], len(rows.stars))
        dense = np.zeros((len(rows.stars), len(blocks), len(rows.movies)), np.float32)
        for i, values in enumerate(blocks):
            dense[row, i, place] = values
        (kernel, bias, activation), *others = self.layers
        inputs = np.concatenate([rows.movies + i * (len(kernel) // len(blocks)) for i in range(len(blocks))])
        return forward([(kernel[inputs], bias, activation), *others], dense.reshape(len(dense), -1))

    def of_matrix(self, given: CSR) -> Floats:
        """Return the latent vectors, (n, latent), of CSR rows of stars."""
        import scipy.sparse as sp  # its import takes a quarter of a second, which recommend.py avoids

        row = np.repeat(np.arange(given.shape[0]), np.diff(given.indptr))
        (kernel, bias, activation), *others = self.layers
        total = np.zeros((given.shape[0], kernel.shape[1]), np.float32)
        for i, values in enumerate(self.features(given.data, row, given.indices, given.shape[0])):
            block = sp.csr_array((values.astype(np.float32, copy=False), given.indices, given.indptr), given.shape)
            weights = kernel[i * given.shape[1] : (i + 1) * given.shape[1]]

            def add(rows: slice, block: CSR = block, weights: Floats = weights) -> None:
                total[rows] += block[rows] @ weights

            parallel_rows(add, len(total), ROWS)
        return forward(others, ACTIVATIONS[activation](total + bias))


@dataclass(frozen=True)
class Centred(_Encoder):
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

    def features(self, stars: Floats, row: Indices, movie: Indices, n_rows: int) -> list[Floats]:
        """See `_Encoder`."""
        count, residual = np.bincount(row, minlength=n_rows), stars
        if self.baseline:
            residual = stars - self.mean - self.column[movie]
            residual = residual - biases.deviation(np.bincount(row, residual, n_rows), count, self.damping)[row]
        blocks = [residual / np.float32(self.star)]
        if self.implicit:
            blocks.append(np.ones_like(stars))
        if self.like is not None:
            blocks.append(like_blocks(stars, self.like)[0].astype(np.float32))
        length = np.sqrt(count[row]).astype(np.float32) if self.normalise else np.float32(1)
        return [block / length for block in blocks]


@dataclass(frozen=True)
class OfLikes(_Encoder):
    """Likes and, with `signed`, ratings that are no likes, in rows of length 1, followed by dense layers."""

    layers: list[Layer]
    n_movies: int
    like: float
    signed: bool

    def features(self, stars: Floats, row: Indices, movie: Indices, n_rows: int) -> list[Floats]:
        """See `_Encoder`."""
        blocks = [block.astype(np.float32) for block in like_blocks(stars, self.like, self.signed)]
        count = np.bincount(row, sum(blocks), n_rows)
        return [block / np.sqrt(np.maximum(count, 1)).astype(np.float32)[row] for block in blocks]


Encoder: TypeAlias = Centred | OfLikes
KINDS: dict[str, type[Encoder]] = {kind.__name__: kind for kind in (Centred, OfLikes)}


def save(path: Path, encoder: Encoder) -> None:
    """Write an encoder as one .npz."""
    fields: dict[str, Any] = {name: value for name, value in vars(encoder).items() if value is not None}
    layers = flat_layers("", fields.pop("layers"))
    np.savez(path, kind=type(encoder).__name__, **fields | layers)


def load(run: Run) -> Encoder:
    """Read an encoder from encoder.npz of a run."""
    stored = run.arrays("encoder.npz", "kernel0")
    kind = KINDS[str(stored["kind"])]
    fields: dict[str, Any] = {name: stored.get(name) for name in kind.__dataclass_fields__ if name != "layers"}
    for name, value in fields.items():
        if value is not None and value.ndim == 0:
            fields[name] = value.item()
    return kind(read_layers("", stored), **fields)
