"""What the machine has: free memory, and cores, which share the rows of arrays. NumPy's and SciPy's own loops let other
threads run."""

import os
from collections.abc import Callable
from pathlib import Path
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


def free_memory(root: Path = Path("/")) -> int:
    """Return how many bytes of memory can still be had: what Linux calls available, and no more than the limits of the
    process's control groups leave; elsewhere half of the memory. root: of /proc and /sys."""
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        free = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, StopIteration):
        return _half_of_memory()
    for group in groups:
        _, controllers, name = group.split(":", 2)
        if controllers in ("", "memory"):  # of version 2 and 1
            top = root / "sys/fs/cgroup" / controllers
            folder = top / name.lstrip("/")
            for level in (folder, *folder.parents[: len(folder.parts) - len(top.parts)]):
                free = min(free, _left_in(level, free))
    return free


def _left_in(group: Path, free: int) -> int:
    """Return how many bytes the limit of a control group leaves, free where it has none; caches of files give way."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, now = (int((group / name).read_text(encoding="ascii")) for name in (limit, used))
            stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
            return max(most - now + int(stat.get(cache, 0)), 0)
        except (OSError, ValueError):  # there is no such file, or its limit is "max"
            continue
    return free


def _half_of_memory() -> int:
    """Return half of the bytes of memory that there are; 4 GB where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 4_000_000_000
