"""How well a blend and its parts do for those with few ratings: by the ratings that user or movie had in training.

python train.py blend --parts ... --protocol cold
python benchmarks/coldstart.py RUN [RUN ...]    writes results/coldstart.csv, its tables and coldstart.png

RMSE of the test ratings whose user (or movie) is in the range; NDCG@100 of the test likes of users in the range, and of
the test likes whose movie is in it, each user's list being all movies not rated in training.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
RANGES = ((0, 0), (1, 4), (5, 19), (20, 99), (100, None))
NAMES = ["0", "1-4", "5-19", "20-99", "100+"]


def measure(folder):
    """The lines of one run: a line a model, kind of count and range."""
    import models
    from utils.evaluation import holdout_metrics
    from utils.runs import run_folder

    run = run_folder.Run(folder)
    blend, test, scale = models.load(run), run.split.test, run.split.ratings.scale
    hidden = test.hidden.tocoo()
    of_movies = np.bincount(test.given.indices, minlength=hidden.shape[1])
    counts = {"user": np.diff(test.given.indptr), "movie": of_movies}
    for name, model in {"blend": blend, **dict(zip(blend.weights(), blend.parts, strict=True))}.items():
        error = None
        if model.predicts_ratings:
            error = (np.clip(model.predict(test.given, hidden.row, hidden.col), *scale) - hidden.data) ** 2
        for of, count in counts.items():
            for (low, high), label in zip(RANGES, NAMES, strict=True):
                inside = (count >= low) & (count <= (count.max() if high is None else high))
                cells = inside[hidden.row if of == "user" else hidden.col]
                line = {"data": run.config["data"], "model": name, "of": of, "ratings": label, "n": int(cells.sum())}
                line["rmse"] = "" if error is None or not cells.any() else round(float(np.sqrt(error[cells].mean())), 4)
                places = hidden.row[cells], hidden.col[cells]
                few = type(hidden)((hidden.data[cells], places), hidden.shape).tocsr()
                among = replace(test, hidden=few)
                ndcg = holdout_metrics.ranking_metrics(model.score, among)["ndcg@100"]
                line |= {"users": int(ndcg.count.sum()), "ndcg@100": round(ndcg.value, 4) if ndcg.count.any() else ""}
                yield line


def table():
    """Both figures of every model, a table each and kind of count."""
    lines, text = tables.read("coldstart.csv"), []
    for data in dict.fromkeys(line["data"] for line in lines):
        for of in ("user", "movie"):
            for figure, n, title in (("rmse", "n", "RMSE (test ratings)"), ("ndcg@100", "users", "NDCG@100 (users)")):
                own = [line for line in lines if line["data"] == data and line["of"] == of]
                heads = [f"{label} ({next(int(o[n]) for o in own if o['ratings'] == label):,})" for label in NAMES]
                text += ["", f"{data}: {title} by ratings of the {of}", "", f"| model | {' | '.join(heads)} |"]
                text.append("|---|" + "---:|" * len(NAMES))
                for model in dict.fromkeys(line["model"] for line in own if line[figure]):
                    cells = [next(o[figure] for o in own if (o["model"], o["ratings"]) == (model, x)) for x in NAMES]
                    text.append(f"| `{model}` | {' | '.join(cells)} |")
    return "\n".join(text[1:])


def plot(path):
    """The same as a picture: a panel a figure and kind of count, a line a model."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    lines = tables.read("coldstart.csv")
    lines = [line for line in lines if line["data"] == lines[0]["data"]]
    figure, panels = plt.subplots(2, 2, figsize=(10, 7), constrained_layout=True)
    for row, (value, title) in zip(panels, (("rmse", "RMSE"), ("ndcg@100", "NDCG@100")), strict=True):
        for panel, of in zip(row, ("user", "movie"), strict=True):
            for i, model in enumerate(dict.fromkeys(line["model"] for line in lines)):
                own = {o["ratings"]: o[value] for o in lines if (o["model"], o["of"]) == (model, of)}
                points = [(x, float(own[label])) for x, label in enumerate(NAMES) if own.get(label)]
                style = {"color": "black", "linewidth": 3} if model == "blend" else {"color": f"C{i - 1}"}
                marker = "osv^DPX<>"[i % 9]
                if points:
                    panel.plot(*zip(*points, strict=True), marker=marker, label=model, **style)
            panel.set_xticks(range(len(NAMES)), NAMES)
            panel.set_xlabel(f"ratings of the {of} in training")
            panel.set_ylabel(title)
            panel.grid(alpha=0.3)
    panels[0, 0].legend(fontsize=8)
    figure.suptitle(f"Few ratings: {lines[0]['data']}, protocol cold")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    tables.of_runs("coldstart", __doc__, measure, table)
    plot(tables.RESULTS / "coldstart.png")
