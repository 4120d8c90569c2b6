"""How long the exact search for the nearest of n vectors takes, one query at a time: results/nearest.csv.

As recommend.py searches, with the `Whitening` that a run stores; `prepare` is what finding that whitening takes at
training."""

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
    """A line of the results."""
    from utils.runs import run_folder
    from utils.scoring import latent

    vectors, seconds = np.random.default_rng(0).standard_normal((n, LATENT), np.float32), []
    start = time.perf_counter()
    whitening = latent.Whitening.of(vectors, np.arange(n), latent.Neighbourhood.whiten)
    prepare = time.perf_counter() - start
    for own in range(TIMES):
        start = time.perf_counter()
        latent.near(vectors, vectors[[own]], K, np.arange(n), [own], whitening)
        seconds.append(time.perf_counter() - start)
    about = {"vectors": n, "latent": LATENT, "ms": round(1e3 * float(np.median(seconds)), 1)}
    about["prepare_ms"] = round(1e3 * prepare)
    return about | {"cores": len(os.sched_getaffinity(0)), "commit": run_folder.commit()}


if __name__ == "__main__":
    tables.words(__doc__)
    rows = [measure(n) for n in SIZES]
    tables.write("nearest.csv", rows)
    for row in rows:
        print(row)
