"""What it is worth to ask new users about the movies that the page asks about: results/elicitation.csv.

python benchmarks/elicitation.py RUN ...       adds lines for each run, replacing those of its data

Of each test user the model is given nothing but the ratings of the first movies of
`utils.app.elicitation.order`, or of the most rated movies, where they rated them; judged by NDCG@100 on their
hidden likes, among all movies they have not rated. The paired difference has its 95% interval over users."""

import sys
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
ASKED = (6, 12, 24, 48)


def measure(folder):
    """The lines of one run."""
    import scipy.sparse as sp

    from models import load
    from utils.app import elicitation
    from utils.evaluation import bootstrap, holdout_metrics
    from utils.runs import run_folder

    run = run_folder.find(folder)
    model, split, config = load(run), run.split, run.config
    test = split.test

    def judged(movies):
        keep = np.zeros(split.ratings.shape[1], np.float32)
        keep[movies] = 1
        asked = sp.diags_array(keep)
        found = holdout_metrics.lists(lambda given, _: model.score((given @ asked).tocsr(), None), test)
        answered = float(np.diff((test.given[found.users] @ asked).tocsr().indptr).mean())
        return {"ndcg": holdout_metrics.of_lists(found, split.ratings.shape[0])["ndcg@100"]}, answered

    ours, popular = elicitation.order(split), np.argsort(-split.known_count, kind="stable")
    for k in ASKED:
        (chosen, answered), (rated, _) = judged(ours[:k]), judged(popular[:k])
        less = bootstrap.differences(chosen, rated)["ndcg"]
        about = {
            "data": config["data"],
            "protocol": config["protocol"],
            "seed": config["seed"],
            "model": config["model"],
        }
        figures = {"chosen": chosen["ndcg"].value, "most rated": rated["ndcg"].value, "less": less["value"]}
        figures |= {"low": less["low"], "high": less["high"]}
        shown = {name: f"{value:.4f}" for name, value in figures.items()}
        yield about | {"asked": k, "answered": f"{answered:.1f}"} | shown | {"commit": run_folder.commit()}


def table():
    """The table in results/README.md."""
    rows = [
        row | {"less": f"{float(row['less']):+.4f} ({float(row['low']):+.4f} to {float(row['high']):+.4f})"}
        for row in tables.read("elicitation.csv")
    ]
    columns = {"data": "data", "model": "model", "asked": "asked", "answered": "answered", "most rated": "most rated"}
    return tables.markdown(rows, columns | {"chosen": "chosen", "less": "difference (95% interval)"}, 2)


if __name__ == "__main__":
    tables.of_runs("elicitation", __doc__, measure, table)
