"""How many movies EASE has to cover, and how many of the weights of each it has to keep: NDCG@100 on validation, by the
share of the likes that the most liked movies hold, and the seconds of solving. The solver's limits follow from it.

python benchmarks/ease_coverage.py ml-1m /tmp/ml20m.csv    # the second by `generate.py`; results/ease_coverage.csv
"""

import sys
import time
from pathlib import Path

import tables

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
MOVIES, KEPT = (5_000, 10_000, 15_000, 20_000), (250, 500, 1000, 2000)


def rows(path):
    """Yield a line of the results for each number of movies, then, with as many as the solver takes, for each number of
    weights kept."""
    import models
    import train
    from utils.recommend import strategies
    from utils.runs import run_folder
    from utils.scoring import ease_solver

    name, args, config = train.parse(["ease", "--data", path, "--l2", "500"])
    data, split = train.read(args)
    default, ease_solver.DENSE = ease_solver.MOST, 10**9
    facts = {"data": data.name, "commit": run_folder.commit()}
    ease_solver.by_users = lambda *_: False
    n_liked = len(set(split.train.indices[split.train.data > data.ratings.like].tolist()))

    def line(kept, seconds):
        ndcg, share = strategies.ndcg(model.score, split.validation), 1.0
        if model.note:
            share = float(model.note.split("hold ")[1].split("%")[0]) / 100
        found = {"movies": len(model.outputs), "share": share, "kept": kept, "ndcg": round(ndcg, 5)}
        return facts | found | {"solve_seconds": round(seconds, 1)}

    for movies in sorted({min(most, n_liked) for most in MOVIES}):
        ease_solver.MOST = movies
        model = models.for_data(name, config, data, 0)
        start = time.perf_counter()
        model.refit(split.train)
        seconds = time.perf_counter() - start
        yield line(movies, seconds)
        if movies == min(default, n_liked):
            whole = model.weights
            for kept in KEPT:
                model.weights = ease_solver.largest(whole, kept)
                yield line(kept, seconds)
            del whole


def main():
    """Measure the data sets that the command line names."""
    lines = []
    for path in tables.words(__doc__):
        for line in rows(path):
            lines.append(line)
            print(line, flush=True)
    tables.write("ease_coverage.csv", lines)


if __name__ == "__main__":
    main()
