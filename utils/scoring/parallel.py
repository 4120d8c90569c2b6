"""Rows of arrays shared among the processor's cores: NumPy's and SciPy's own loops let other threads run."""

import os

MOST = 8  # at once: each holds its own part of the result


def each(call, n, size):
    """[call(rows), ...] for the slices of `size` that n rows fall into, several at once where there are several."""
    parts = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    if len(parts) < 2:
        return [call(rows) for rows in parts]
    from concurrent.futures import ThreadPoolExecutor  # which few rows do without

    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST)) as pool:
        return list(pool.map(call, parts))
