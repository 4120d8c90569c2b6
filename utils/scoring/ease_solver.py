"""The weights of EASE in closed form (Steck, WWW 2019), solved for all movies at once.

With P = (G + diag(penalty))^-1 and G = Z'Z, the weight from input i to movie j is B_ij = -P_ij / P_jj, and B_jj = 0."""

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.sparse import csr_array

from utils.scoring.parallel import parallel_rows

TILE = 512  # rows and columns mirrored at a time, so that they stay in the cache
LARGE, TRUSTED = 1000, 1e-3  # from how many inputs on float32 is used, and the bound on its error
SINGULAR = 1e-6  # ratio of the smallest pivot to the largest below which only rounding errors are left


def gram(given: csr_array) -> NDArray[np.float64]:
    """Return given' given of a CSR matrix, dense float64."""
    given = given.astype(np.float32)  # which counts exactly up to 16 million, in half the time
    transposed, gram = given.T.tocsr(), np.empty((given.shape[1], given.shape[1]))

    def count(rows: slice) -> None:
        gram[rows] = (transposed[rows] @ given).toarray()

    parallel_rows(count, len(gram), TILE)
    return gram


def weights(gram: NDArray, penalty: NDArray, n: int) -> tuple[NDArray, NDArray, NDArray]:
    """Return the (inputs x n) weights to the first n inputs, float32, from the inverse of gram + diag(penalty), by
    Cholesky: in float32 where that is exact enough, otherwise in float64 in place of gram. Two empty arrays follow,
    since `weights_by_users` returns three. Raises LinAlgError where the matrix is singular."""
    from scipy.linalg import lapack  # its import takes a third of a second, which recommend.py avoids

    gram[np.diag_indices_from(gram)] += penalty
    potrf, potri = lapack.dpotrf, lapack.dpotri
    # the largest eigenvalue is below the largest sum of a row, the smallest above the smallest penalty
    if len(gram) >= LARGE and gram.sum(axis=1).max() / penalty.min() < TRUSTED / np.finfo(np.float32).eps:
        gram, potrf, potri = gram.astype(np.float32), lapack.spotrf, lapack.spotri
    factor, failed = potrf(gram.T, lower=True, overwrite_a=True)  # symmetric: gram.T is gram as LAPACK has it
    if failed or factor.diagonal().min() < SINGULAR * factor.diagonal().max():
        raise LinAlgError
    inverse = potri(factor, lower=True, overwrite_c=True)[0].T  # the upper triangle, rows side by side
    for start in range(0, len(inverse), TILE):
        rows = slice(start, start + TILE)
        inverse[start + TILE :, rows] = inverse[rows, start + TILE :].T
        corner = inverse[rows, rows]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
    weights = np.empty((len(inverse), n), np.float32)
    np.multiply(inverse[:, :n], -1 / inverse.diagonal()[:n], out=weights, casting="same_kind")
    weights[np.diag_indices(n)] = 0
    return weights, np.empty((0, n), np.float32), np.empty(0, np.float32)


def weights_by_users(given: csr_array, penalty: NDArray, n: int) -> tuple[NDArray, NDArray, NDArray]:
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
    return half.T / root[:, None], half[:, :n] * (root[:n] / (1 - explained)), -explained / (1 - explained)
