"""The weights of EASE in closed form (Steck, WWW 2019), solved at once for all movies, or for those with most likes.

With P = (G + diag(penalty))^-1 and G = Z'Z, the weight from input i to movie j is B_ij = -P_ij / P_jj, and B_jj = 0.

RDLAE (Moon, Kim and Lee, SIGIR 2023) lets a movie predict itself by up to `relax`: the columns are then scaled by
max((1 - relax) / P_jj, penalty_j), which gives rarer movies more weight. B_jj, which no list needs, is left at 0."""

import os

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.sparse import csr_array

from utils.scoring.parallel import free_memory, parallel_rows

TILE = 512  # rows and columns mirrored at a time, so that they stay in the cache
LARGE, TRUSTED = 1000, 1e-3  # from how many inputs on float32 is used, and the bound on its error
SINGULAR = 1e-6  # ratio of the smallest pivot to the largest below which only rounding errors are left
STEPS = 5  # of the power iteration
MOST = 15_000  # inputs that are solved for; more bring nothing that can be measured (docs/scale.md)
DENSE, KEPT = 10_000, 1000  # up to how many inputs all weights are kept (400 MB), and how many of each beyond
MEMORY = 0.8  # share of the free memory that may be taken


def by_users(n_users: int, n_inputs: int) -> bool:
    """Tell whether `weights_by_users` solves, for less work and fewer numbers."""
    return n_users < min(n_inputs, DENSE)


def chosen(given: csr_array, count: NDArray, penalty: NDArray) -> tuple[NDArray[np.intp], type[np.floating]]:
    """Return (the inputs to solve for, ascending, the type to solve in). Those are the inputs that occur; where there
    are more than MOST, or than fit into memory, those that occur most. count, penalty: of each input."""
    n_inputs = int(np.count_nonzero(count))
    most = n_inputs if by_users(given.shape[0], n_inputs) else min(MOST, n_inputs)
    frequent = np.argsort(-count, kind="stable")[:most]
    inputs = np.sort(frequent)
    dtype, memory, n_users = precision(given[:, inputs], penalty[inputs]), MEMORY * free_memory(), given.shape[0]
    while len(inputs) > 1 and _n_bytes(n_users, len(inputs), dtype) > memory:
        inputs = np.sort(frequent[: int(0.95 * len(inputs))])
    return inputs, dtype


def _n_bytes(n_users: int, n_inputs: int, dtype: type[np.floating]) -> int:
    """Return about how many bytes it takes to solve."""
    if by_users(n_users, n_inputs):
        return 8 * n_users * (4 * n_inputs + 2 * n_users)
    counted = (os.cpu_count() or 1) * TILE * n_inputs * 12  # rows of the Gram matrix in work, sparse and dense
    return n_inputs**2 * (4 if dtype == np.float32 else 12) + counted  # float64 has its weights beside it


def precision(given: csr_array, penalty: NDArray) -> type[np.floating]:
    """Return the type that `weights` is exact enough in: float32 for many inputs, where eps times a bound on the
    condition number is small. The error of Cholesky does not depend on how rows and columns are scaled, so the number
    is that of the matrix scaled to a diagonal of 1. Its smallest eigenvalue is at least the smallest share of the
    penalty in the diagonal; its largest at most max (Av)_i / v_i for any v > 0 (Collatz and Wielandt), here those of a
    power iteration. given: CSR matrix, not negative."""
    if given.shape[1] < LARGE:
        return np.float64
    diagonal = np.asarray(given.power(2).sum(axis=0)).ravel() + penalty
    root, vector, bound = np.sqrt(diagonal), np.ones(len(penalty)), np.inf
    for _ in range(STEPS):
        scaled = vector / root
        product = (given.T @ (given @ scaled) + penalty * scaled) / root
        bound, vector = min(bound, (product / vector).max()), product / product.max()
    condition = bound / (penalty / diagonal).min()
    return np.float32 if condition * np.finfo(np.float32).eps < TRUSTED else np.float64


def gram(given: csr_array, dtype: type[np.floating]) -> NDArray:
    """Return given' given of a CSR matrix, dense; of the part below the diagonal, which `weights` does not
    read, hardly anything."""
    given = given.astype(np.float32)  # which counts ones exactly up to 16 million, in half the time
    transposed, gram = given.T.tocsr(), np.zeros((given.shape[1], given.shape[1]), dtype)

    def count(rows: slice) -> None:
        gram[rows, rows.start :] = (transposed[rows] @ given[:, rows.start :]).toarray()

    parallel_rows(count, len(gram), TILE)
    return gram


def weights(gram: NDArray, penalty: NDArray, n: int, relax: float = 0.0) -> tuple[NDArray, NDArray, NDArray]:
    """Return the (inputs x n) weights to the first n inputs, float32, from the inverse of gram + diag(penalty), by
    Cholesky in place of gram and in its type; of a float32 gram the weights take the place, too. Two empty arrays
    follow, since `weights_by_users` returns three. Raises LinAlgError where the matrix is singular."""
    from scipy.linalg import lapack  # its import takes a third of a second, which recommend.py avoids

    gram[np.diag_indices_from(gram)] += penalty
    single = gram.dtype == np.float32
    potrf, potri = (lapack.spotrf, lapack.spotri) if single else (lapack.dpotrf, lapack.dpotri)
    factor, failed = potrf(gram.T, lower=True, overwrite_a=True)  # symmetric: gram.T is gram as LAPACK has it
    if failed or factor.diagonal().min() < SINGULAR * factor.diagonal().max():
        raise LinAlgError
    inverse = potri(factor, lower=True, overwrite_c=True)[0].T  # the upper triangle, rows side by side
    for start in range(0, len(inverse), TILE):
        rows = slice(start, start + TILE)
        inverse[start + TILE :, rows] = inverse[rows, start + TILE :].T
        corner = inverse[rows, rows]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
    scale = -np.maximum((1 - relax) / inverse.diagonal()[:n], penalty[:n])
    weights = inverse[:, :n] if single else np.empty((len(inverse), n), np.float32)
    np.multiply(inverse[:, :n], scale, out=weights, casting="same_kind")
    weights[np.diag_indices(n)] = 0
    return weights, np.empty((0, n), np.float32), np.empty(0, np.float32)


def largest(weights: NDArray, k: int) -> csr_array:
    """Return a CSR matrix of the k weights of each row that are the largest by magnitude; k is at most their number."""
    columns, kept = np.empty((len(weights), k), np.int32), np.empty((len(weights), k), np.float32)

    def keep(rows: slice) -> None:
        columns[rows] = np.sort(np.argpartition(-np.abs(weights[rows]), k - 1, axis=1)[:, :k], axis=1)
        kept[rows] = np.take_along_axis(weights[rows], columns[rows], axis=1)

    parallel_rows(keep, len(weights), TILE)
    starts = k * np.arange(len(weights) + 1, dtype=np.int32)  # scipy makes columns as wide as these
    return csr_array((kept.ravel(), columns.ravel(), starts), shape=weights.shape)


def weights_by_users(
    given: csr_array, penalty: NDArray, n: int, relax: float = 0.0
) -> tuple[NDArray, NDArray, NDArray]:
    """Return the same from a matrix of users x users, for fewer users than inputs, as (weights, right factor, diagonal
    correction): a row x of inputs scores x weights right_factor + diagonal_correction x. With W = given /
    sqrt(penalty), L L' = I + W W' and H = L^-1 W, the inverse is (I - H' H) / sqrt(penalty penalty') (Woodbury)."""
    from scipy.linalg import cholesky, solve_triangular

    root = np.sqrt(penalty)
    scaled = (given / root).astype(np.float64)
    gram = (scaled @ scaled.T).toarray()
    gram[np.diag_indices_from(gram)] += 1
    half = solve_triangular(cholesky(gram, lower=True), scaled.toarray(), lower=True)
    explained = np.square(half[:, :n]).sum(axis=0)
    if (1 - explained).min(initial=1) < SINGULAR:
        raise LinAlgError
    scale = np.maximum((1 - relax) / (1 - explained), 1)  # of the columns, over the penalty
    return half.T / root[:, None], half[:, :n] * (root[:n] * scale), -explained * scale
