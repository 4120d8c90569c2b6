"""How well a blend and its parts do for those with few ratings: by the ratings that user or movie had in training.

python train.py blend --parts ... --protocol cold
python benchmarks/coldstart.py RUN [RUN ...]    writes results/coldstart.csv, its tables and coldstart.png

RMSE of the test ratings whose user (or movie) is in the range; NDCG@100 of the test likes of users in the range, and of
the test likes whose movie is in it, each user's list being all movies not rated in training. Differences are paired
over users, with 95% intervals.
"""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
RANGES = ((0, 0), (1, 4), (5, 19), (20, 99), (100, None))
NAMES = ["0", "1-4", "5-19", "20-99", "100+"]
FIGURES = {"rmse": ("RMSE", "test ratings"), "ndcg@100": ("NDCG@100", "users")}


def metrics_of(model, test, scale):
    """{(kind of count, range, figure): `Metric`} of a model, for the figures it has; counts are those in training."""
    from utils.evaluation import holdout_metrics
    from utils.evaluation.holdout_metrics import Predicted

    hidden = test.hidden.tocoo()
    of_movies = np.bincount(test.given.indices, minlength=hidden.shape[1])
    counts = {"user": (np.diff(test.given.indptr), hidden.row), "movie": (of_movies, hidden.col)}
    predicted = holdout_metrics.predicted(model.predict, test, scale) if model.predicts_ratings else None
    found = {}
    for of, (count, index) in counts.items():
        for (low, high), label in zip(RANGES, NAMES, strict=True):
            cells = ((count >= low) & (count <= (count.max() if high is None else high)))[index]
            few = type(hidden)((hidden.data[cells], (hidden.row[cells], hidden.col[cells])), hidden.shape).tocsr()
            figures = holdout_metrics.ranking_metrics(model.score, replace(test, hidden=few))
            if predicted:
                some = Predicted(*(array[cells] for array in vars(predicted).values()))
                figures |= holdout_metrics.of_predicted(some, hidden.shape[0])
            found |= {(of, label, figure): figures[figure] for figure in FIGURES if figure in figures}
    return found


def measure(folder):
    """The lines of one run: a line a model, kind of count, range and figure, with what the blend is ahead or behind."""
    import models
    from utils.evaluation.bootstrap import differences
    from utils.runs import run_folder

    run = run_folder.Run(folder)
    blend, test, scale = models.load(run), run.split.test, run.split.ratings.scale
    of_blend = metrics_of(blend, test, scale)
    for name, model in {"blend": blend, **dict(zip(blend.weights(), blend.parts, strict=True))}.items():
        found = of_blend if model is blend else metrics_of(model, test, scale)
        less = differences(of_blend, found)
        for (of, label, figure), metric in found.items():
            line = {"data": run.config["data"], "model": name, "of": of, "ratings": label, "figure": figure}
            line |= {"n": metric.counted, "value": round(metric.value, 4) if metric.counted else ""}
            row = {} if model is blend else less.get((of, label, figure), {})
            yield line | {f"less_{key}": round(row[key], 4) if row else "" for key in ("value", "low", "high")}


def table():
    """A table for each figure and kind of count: every model, and what the blend is ahead or behind of it."""
    lines, text = tables.read("coldstart.csv"), []
    for data in dict.fromkeys(line["data"] for line in lines):
        for of, (figure, (title, counted)) in itertools.product(("user", "movie"), FIGURES.items()):
            own = [o for o in lines if (o["data"], o["of"], o["figure"]) == (data, of, figure)]
            heads = [f"{label} ({next(int(o['n']) for o in own if o['ratings'] == label):,})" for label in NAMES]
            text += ["", f"{data}: {title} ({counted}) by ratings of the {of}", "", f"| model | {' | '.join(heads)} |"]
            text.append("|---|" + "---:|" * len(NAMES))
            for model in dict.fromkeys(line["model"] for line in own):
                of_model = {o["ratings"]: o for o in own if o["model"] == model}
                text.append(f"| `{model}` | {' | '.join(of_model[label]['value'] for label in NAMES)} |")
                if model != "blend":
                    text.append(f"| blend less it | {' | '.join(_interval(of_model[label]) for label in NAMES)} |")
    return "\n".join(text[1:])


def _interval(line):
    """The difference of a line with its interval; empty where nothing was judged."""
    value, low, high = (line[f"less_{key}"] for key in ("value", "low", "high"))
    return f"{float(value):+.4f} ({float(low):+.4f} to {float(high):+.4f})" if value else ""


def plot(path):
    """The same as a picture: a panel a figure and kind of count, a line a model."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    lines = tables.read("coldstart.csv")
    lines = [line for line in lines if line["data"] == lines[0]["data"]]
    figure, panels = plt.subplots(2, 2, figsize=(10, 7), constrained_layout=True)
    for row, (figure_name, (title, _)) in zip(panels, FIGURES.items(), strict=True):
        for panel, of in zip(row, ("user", "movie"), strict=True):
            for i, model in enumerate(dict.fromkeys(line["model"] for line in lines)):
                own = {
                    o["ratings"]: o["value"]
                    for o in lines
                    if (o["model"], o["of"], o["figure"]) == (model, of, figure_name)
                }
                points = [(x, float(own[label])) for x, label in enumerate(NAMES) if own.get(label)]
                style = {"color": "black", "linewidth": 3} if model == "blend" else {"color": f"C{i - 1}"}
                marker = "osv^DPX<>"[i % 9]
                if points:
                    panel.plot(*zip(*points, strict=True), marker=marker, label=model, **style)
            panel.set_xticks(range(len(NAMES)), NAMES)
            panel.set_xlabel(f"ratings of the {of} in training")
            panel.set_ylabel(title)
            panel.grid(alpha=0.3)
    panels[1, 1].legend(fontsize=8)  # where every model has figures
    figure.suptitle(f"Few ratings: {lines[0]['data']}, protocol cold")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    tables.of_runs("coldstart", __doc__, measure, table)
    plot(tables.RESULTS / "coldstart.png")
