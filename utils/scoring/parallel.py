"""Share the rows of arrays among the processor's cores: NumPy's and SciPy's own loops let other threads run."""

import os
from collections.abc import Callable
from typing import Any

MOST = 8  # threads: each holds its own part of the result


def parallel_rows(call: Callable[[slice], Any], n: int, size: int) -> list[Any]:
    """Return [call(rows), ...] for the slices of `size` that n rows fall into, several at once."""
    parts = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    if len(parts) < 2:
        return [call(rows) for rows in parts]
    from concurrent.futures import ThreadPoolExecutor  # not needed for few rows

    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST)) as pool:
        return list(pool.map(call, parts))
