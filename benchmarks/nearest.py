"""How long the exact search for the nearest of n unit vectors takes, one query at a time: results/nearest.csv."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
LATENT, K, TIMES = 200, 100, 20
SIZES = (10_000, 60_000, 200_000, 500_000)  # 60,000: more than ml-32m has movies; 200,000: about its users


def measure(n):
    """A line of the results; the product alone, of vectors that are unit already, and the top of it."""
    from utils import latent, ranking, runs

    rng = np.random.default_rng(0)
    vectors = latent.unit(rng.standard_normal((n, LATENT), np.float32))
    seconds = []
    for query in vectors[:TIMES]:
        start = time.perf_counter()
        ranking.top_k((vectors @ query)[None], K)
        seconds.append(time.perf_counter() - start)
    about = {"vectors": n, "latent": LATENT, "ms": round(1e3 * float(np.median(seconds)), 1)}
    return about | {"cores": len(os.sched_getaffinity(0)), "commit": runs.commit()}


if __name__ == "__main__":
    rows = [measure(n) for n in SIZES]
    tables.write("nearest.csv", rows)
    for row in rows:
        print(row)
