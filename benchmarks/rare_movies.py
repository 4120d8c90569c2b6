"""What it would cost to rank movies of 5 to 19 ratings higher: results/rare_movies.csv, docs/experiments.md.

python benchmarks/rare_movies.py            three splits of the bundled data
python benchmarks/rare_movies.py --table    the table only, of what was measured

Validation lists of `joint`. From the 11th place on, the scores of movies with 5 to 19 training ratings are raised by a
constant, and by a factor times how far they are from the movie's mean over people, in standard deviations of that
movie; both in mean standard deviations of a movie with 3 to 99 ratings. NDCG@100 of the lists, and that of a like of
these movies, each like alone in its list. Intervals are over the users, of whom each counts once a split."""

import sys
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import models
import train
from utils.evaluation import bootstrap, holdout_metrics
from utils.evaluation.bootstrap import Metric
from utils.recommend import discoveries
from utils.scoring import ranking
from utils.training.training import Training

PAGE, SEEDS, RARE = tables.DOCS / "experiments.md", 3, range(5, 20)
RAISED = ((0.2, 0.0), (0.4, 0.0), (0.8, 0.0), (0.2, 0.2), (0.4, 0.2), (0.2, 0.4), (0.4, 0.4))  # constant, factor
COLUMNS = {"constant": "constant", "factor": "factor", "ndcg": "NDCG@100"}
COLUMNS |= {"less": "less that by scores alone (95%)", "like": "of a like, 5 to 19 ratings"}


def raised(typical, is_rare):
    """The lists for each of RAISED, as `Arrange` makes them."""

    def arranged(scores, lists):
        some = typical.can & np.isfinite(scores)  # not of movies that the user has rated
        off = np.where(some, (scores - typical.mean) / np.maximum(typical.deviation, 1e-9), 0)
        first = lists[:, : discoveries.TEN]
        found = []
        for constant, factor in RAISED:
            new = np.where(is_rare, scores + typical.unit * (constant + factor * off), scores)
            np.put_along_axis(new, first, np.inf, axis=1)  # ties: the earlier index first
            rest = ranking.top_k(new, lists.shape[1])
            rest = [row[~np.isin(row, ten)] for row, ten in zip(rest, first, strict=True)]
            found.append(np.concatenate([first, np.stack(rest)], axis=1).astype(lists.dtype))
        return found

    return arranged


def measure(seed):
    """The metrics of one split, by scores alone and for each of RAISED: [(NDCG@100, that of a like of rare movies)]."""
    name, chosen, config = train.parse(["joint", "--seed", str(seed)])
    data, split = train.read(chosen)
    model, validation = models.for_data(name, config, data, seed), split.validation
    model.fit(split.train, validation, Training())
    model.encode_all(validation.given)
    count, n = np.bincount(validation.given.indices, minlength=model.shape[1]), model.shape[0]
    typical = discoveries.Typical.of(model.score, validation.given, split.trained_users, count)
    is_rare = np.isin(count, RARE)
    kinds = holdout_metrics.arranged_lists(model.score, validation, raised(typical, is_rare))
    return [
        (holdout_metrics.of_lists(lists, n)["ndcg@100"], holdout_metrics.like_ndcg(lists, n, is_rare))
        for lists in kinds
    ]


def together(metrics):
    """One metric of the users of all splits."""
    return Metric(np.concatenate([one.total for one in metrics]), np.concatenate([one.count for one in metrics]))


def lines():
    """The lines of the results."""
    kinds = [
        [together(figure) for figure in zip(*splits, strict=True)]
        for splits in zip(*(measure(seed) for seed in range(SEEDS)), strict=True)
    ]
    alone = kinds[0][0]
    for (constant, factor), (ndcg, like) in zip(((0.0, 0.0), *RAISED), kinds, strict=True):
        less = bootstrap.differences({"ndcg": ndcg}, {"ndcg": alone})["ndcg"]
        percent = {f"{key}_percent": f"{100 * less[key] / alone.value:.2f}" for key in ("value", "low", "high")}
        figures = {"ndcg": f"{ndcg.value:.4f}", **percent, "like": f"{like.value:.4f}"}
        yield {"constant": constant, "factor": factor, **figures}


def table():
    """The table of docs/experiments.md."""
    rows = tables.read("rare_movies.csv")
    for row in rows:
        value, low, high = (row[f"{key}_percent"] for key in ("value", "low", "high"))
        row["less"] = f"{value}% ({low} to {high})" if float(row["constant"]) else ""
    return tables.markdown(rows, COLUMNS, 2)


if __name__ == "__main__":
    if "--table" not in tables.words(__doc__):
        tables.write("rare_movies.csv", list(lines()))
    tables.replace("rare-movies", table(), PAGE)
