"""How long models take to score and rank everything for all of ML-1M's users: results/answering.csv.

python benchmarks/answering.py        a line a model; the best of several times, all in one process

Models are trained as `train.py MODEL --data ml-1m` does, one epoch where there are epochs: how long scoring takes does
not depend on what was learned. Ranking leaves out what a user has rated and keeps the best 100."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
MODELS = ("popularity", "itemknn", "ease", "multdae", "multvae", "recvae", "autorec", "joint")
BLOCK, K, TIMES = 512, 100, 3


def measure(name):
    """A line of the results."""
    import models
    import train
    from utils.runs import run_folder
    from utils.scoring import ranking
    from utils.training.training import Training

    epochs = [] if "epochs" not in models.module(name).Config.__dataclass_fields__ else ["--epochs", "1"]
    _, chosen, config = train.parse([name, "--data", "ml-1m", *epochs])
    data, split = train.read(chosen)
    model = models.for_data(name, config, data, 0)
    model.fit(split.train, split.validation, Training())
    known, best = split.known, float("inf")
    for _ in range(TIMES):
        start = time.perf_counter()
        for first in range(0, known.shape[0], BLOCK):
            users = np.arange(first, min(first + BLOCK, known.shape[0]))
            given = known[users]
            ranking.top_k(ranking.hide_seen(model.score(given, users), given), K)
        best = min(best, time.perf_counter() - start)
    users, movies = split.ratings.shape
    counts = {"users": users, "movies": movies, "cores": len(os.sched_getaffinity(0))}
    return {"model": name, "seconds": round(best, 2), **counts, "commit": run_folder.commit()}


if __name__ == "__main__":
    tables.words(__doc__)
    rows = [measure(name) for name in MODELS]
    tables.write("answering.csv", rows)
    for row in rows:
        print(row)
