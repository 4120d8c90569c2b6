"""What the options of `ease` for rarer movies cost and bring: results/longtail.csv, docs/experiments.md.

python benchmarks/longtail.py            three splits of the bundled data and of ML-1M (`strong`)
python benchmarks/longtail.py --table    the table and the curve only, of what was measured

Everything is of the validation hold-out: this is what the defaults were chosen by. NDCG@100 of the lists, that of a
like by how many training ratings its movie has (each like alone in its list), and how many movies the first tens of all
lists name."""

import sys
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
DATA = {"ml-latest-small-2016": "random", "ml-1m": "strong"}
SETTINGS = {  # as in the papers, then what is added
    "EDLAE": "--relax 0 --movie-norm 0",
    "RDLAE": "--movie-norm 0",
    "default": "",
    "more movie-norm": "--movie-norm 0.2",
    "most movie-norm": "--movie-norm 0.4",
    "user-norm": "--user-norm 0.15",
    "less l2": "--l2 20",
}
L2 = {"ml-latest-small-2016": 80, "ml-1m": 200}
GROUPS = {"under 20": (0, 20), "20 to 99": (20, 100), "100 and more": (100, np.inf)}
COLUMNS = {
    "data": "data",
    "what": "`ease`",
    "options": "options",
    "ndcg@100": "NDCG@100",
    "coverage@10": "movies named",
}
COLUMNS |= {name: f"of a like, {name} ratings" for name in GROUPS}


def measure(data, seed):
    """The lines of one split."""
    import models
    import train
    from utils.evaluation import holdout_metrics

    for what, options in SETTINGS.items():
        l2 = [] if "--l2" in options else ["--l2", str(L2[data])]
        words = ["ease", "--data", data, "--protocol", DATA[data], "--seed", str(seed), "--dropout", "0.5"]
        name, chosen, config = train.parse([*words, *l2, *options.split()])
        dataset, split = train.read(chosen)
        model = models.for_data(name, config, dataset, seed)
        model.refit(split.train)
        lists, n_users = holdout_metrics.lists(model.score, split.validation), split.ratings.shape[0]
        line = {"data": data, "seed": seed, "what": what, "options": " ".join([*l2, *options.split()])}
        line["ndcg@100"] = f"{holdout_metrics.of_lists(lists, n_users)['ndcg@100'].value:.4f}"
        line["coverage@10"] = len(np.unique(lists.top[:, :10][lists.top[:, :10] >= 0]))
        count = np.bincount(split.train.indices, minlength=split.train.shape[1])
        for group, (low, high) in GROUPS.items():
            inside = (count >= low) & (count < high)
            line[group] = f"{holdout_metrics.like_ndcg(lists, n_users, inside).value:.4f}"
        yield line


def means():
    """The mean of each figure over the seeds: {(data, what): line}."""
    found = {}
    for line in tables.read("longtail.csv"):
        found.setdefault((line["data"], line["what"]), []).append(line)
    figures = ("ndcg@100", "coverage@10", *GROUPS)
    return {
        key: lines[0] | {name: np.mean([float(line[name]) for line in lines]) for name in figures}
        for key, lines in found.items()
    }


def table():
    """The table of docs/experiments.md."""
    rows = []
    for line in means().values():
        figures = {name: f"{line[name]:.4f}" for name in ("ndcg@100", *GROUPS)}
        rows.append(line | figures | {"coverage@10": f"{line['coverage@10']:.0f}", "options": f"`{line['options']}`"})
    return tables.markdown(rows, COLUMNS, 3)


def draw():
    """The curve of coverage over NDCG, a panel a data set."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(DATA), figsize=(9, 3.6), layout="constrained")
    for panel, data in zip(panels, DATA, strict=True):
        points = {what: line for (name, what), line in means().items() if name == data}
        for what, line in points.items():
            place = line["ndcg@100"], line["coverage@10"]
            panel.scatter(*place, color="C1" if what == "default" else "C0")
            left = what != "most movie-norm" and what != "less l2"  # of the point: to its right there is no room
            panel.annotate(
                what, place, xytext=(-7 if left else 7, -3), textcoords="offset points",
                ha="right" if left else "left", size=8, weight="bold" if what == "default" else "normal",
            )  # fmt: skip
        panel.margins(0.18)
        panel.set(title=data, xlabel="NDCG@100 on validation", ylabel="movies in the first tens of all lists")
    figure.savefig(tables.DOCS / "longtail.png", dpi=110)


if __name__ == "__main__":
    if "--table" not in tables.words(__doc__):
        lines = [line for data in DATA for seed in range(3) for line in measure(data, seed)]
        tables.write("longtail.csv", lines)
    tables.replace("longtail", table(), tables.DOCS / "experiments.md")
    draw()
