"""Is a dense matrix in memory worth it? Seconds to make an epoch's batches from the sparse matrix, and from a dense one
held in memory, on matrices of MovieLens' shapes. Both give the same batches, which is asserted.

python benchmarks/matrix.py    writes benchmarks/results/matrix.csv
"""

import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import tables
from utils.training import batches

SHAPES = {  # rows x columns, ratings: the sets of that size, and one as large as fits densely into 4 GB
    "ml-latest-small": (671, 9_066, 100_004),
    "ml-100k": (943, 1_682, 100_000),
    "ml-1m": (6_040, 3_706, 1_000_209),
    "ml-1m, movies as rows": (3_706, 6_040, 1_000_209),
    "40,000 users of ml-20m": (40_000, 26_744, 5_800_000),
}
SIZE, HIDE, REPEATS = 64, 0.2, 3


def random_matrix(n_rows, n_columns, n, rng):
    """CSR with about `n` stars, columns chosen with the skew of real data (a Zipf-like popularity)."""
    columns = np.minimum(n_columns * rng.random(n) ** 3, n_columns - 1).astype(np.int64)
    cells = np.unique(rng.integers(0, n_rows, n) * n_columns + columns)
    stars = rng.integers(1, 6, len(cells)).astype(np.float32)
    return sp.csr_array((stars, (cells // n_columns, cells % n_columns)), shape=(n_rows, n_columns))


def from_dense(whole, filled, size, hide, seed, number):
    """What `batches.denoising` yields for target "all", from a dense matrix in memory."""
    rng = np.random.default_rng((seed, number))
    order = rng.permutation(filled)
    for start in range(0, len(order), size):
        judged = whole[order[start : start + size]]
        rated = np.flatnonzero(judged)
        given = judged.copy()
        given.ravel()[rated[rng.random(len(rated)) < hide]] = 0
        yield given, judged


def seconds(epoch):
    """Median time to go through the batches once."""
    times = []
    for number in range(REPEATS):
        start = time.perf_counter()
        for _ in epoch(number):
            pass
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main():
    """Measure every shape, write the results."""
    tables.words(__doc__)
    rows = []
    for name, (n_rows, n_columns, n) in SHAPES.items():
        matrix = random_matrix(n_rows, n_columns, n, np.random.default_rng(0))
        whole = matrix.toarray()
        sparse = batches.denoising(matrix, SIZE, HIDE, "all", 0)

        filled = np.flatnonzero(np.diff(matrix.indptr))

        def dense(number, whole=whole, filled=filled):
            return from_dense(whole, filled, SIZE, HIDE, 0, number)

        for one, other in zip(sparse(1), dense(1), strict=True):
            if not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True)):
                raise SystemExit(f"{name}: the batches differ")
        times = seconds(sparse), seconds(dense)
        megabytes = [(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes) / 1e6, whole.nbytes / 1e6]
        row = {
            "matrix": name,
            "ratings": matrix.nnz,
            "sparse_MB": round(megabytes[0], 1),
            "dense_MB": round(megabytes[1]),
        }
        row |= {"sparse_s": round(times[0], 4), "dense_s": round(times[1], 4), "ratio": round(times[1] / times[0], 2)}
        rows.append(row)
        print(row, flush=True)
    tables.write("matrix.csv", rows)


if __name__ == "__main__":
    main()
