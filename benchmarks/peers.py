"""Every peer beside us: the same split of ML-1M, the same machine, one run; accuracy, time and memory.

python benchmarks/peers.py                  all rows: results/peers.csv, peers.png, and the tables of docs/results.md
python benchmarks/peers.py ROW [ROW ...]    some rows, as "surprise SVD"; the others stay as they are
python benchmarks/peers.py --list           the rows, with their options
python benchmarks/peers.py --table          tables and plot from the result file

Every library gets a virtual environment of its own under .venv-peers/, made when it is first needed, and every row a
process of its own (`libraries/run.py`) with all cores. The split is ours, protocol random, seed 0: a tenth of the
ratings is the test. Stars are learned from all other ratings, likes (above 3.5 stars) from those among them; the
5% that are validation choose epochs for us (before we train again on all) and for RecBole (which then goes without
them). Cornac, implicit, LensKit and Surprise choose nothing. Stars and scores come back and are judged by our metrics.
Seconds to fit: the best of three where that takes under ten. Seconds to answer: of stars, to predict the test; of
likes, to rank the best 100 unseen movies for all users in the library's own quickest way, the best of three. Run it on
a machine that does nothing else."""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tables
from rows import EARLIER_JOINT, EDLAE_BESIDE, LIANG, WIDE
from speed import has_bfloat16

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
sys.path.insert(0, str(REPOSITORY))
FIGURES = {  # of each task, the one that orders the rows first: {name: heading}
    "stars": {"rmse": "RMSE", "mae": "MAE"},
    "likes": {"ndcg@100": "NDCG@100", "recall@20": "Recall@20", "recall@50": "Recall@50"},
}
ENVIRONMENTS = REPOSITORY / ".venv-peers"
DATA = "--data ml-1m --protocol random --seed 0"
NEEDS = {
    "surprise": "scikit-surprise==1.1.5 numpy<2",
    "irspack": "irspack==0.5.2",
    "implicit": "implicit==0.7.3",
    "cornac": "cornac==3.0.1 torch<3",
    "lenskit": "lenskit==2025.8.1",
    "rectools": "rectools==0.19.0",
    "recbole": "recbole==1.2.1 torch<3 numpy<2 pandas<2.3 scipy<1.14 setuptools<80",
}


@dataclass(frozen=True)
class Row:
    """A model of a library. what: stars or likes."""

    what: str
    library: str
    model: str
    options: dict = field(default_factory=dict)


def ours(what, model, command=""):
    """A row of our own: what is behind `python train.py MODEL`."""
    return Row(what, "reelspace", model, {"command": command})


QUICK = "--rows movies --hidden 100 --batch-size 256 --learning-rate 0.003 --l2 0.03 --dropout 0.3 --epochs 6"
VAE = {"train_batch_size": 500, "stopping_step": 5}
ROWS = {
    "surprise SVD": Row("stars", "surprise", "SVD"),
    "surprise SVD++": Row("stars", "surprise", "SVDpp", {"cache_ratings": True}),
    "lenskit ALS": Row("stars", "lenskit", "BiasedMFScorer", {"embedding_size": 64}),
    "lenskit item-kNN": Row("stars", "lenskit", "ItemKNNScorer", {"max_nbrs": 20}),
    "ours autorec": ours("stars", "autorec", "--rows movies --hidden 500 --batch-size 256 --l2 0.03 --dropout 0.5"),
    "ours autorec quick": ours("stars", "autorec", QUICK),
    "ours itemknn": ours("stars", "itemknn"),
    "irspack EASE": Row("likes", "irspack", "DenseSLIMRecommender", {"reg": 600}),
    "irspack EDLAE": Row("likes", "irspack", "EDLAERecommender", {"reg": 200, "dropout_p": 0.5}),
    "irspack iALS": Row(
        "likes", "irspack", "IALSRecommender", {"n_components": 128, "alpha0": 0.1, "reg": 0.003, "train_epochs": 16}
    ),
    "implicit ALS": Row("likes", "implicit", "AlternatingLeastSquares", {"factors": 128, "regularization": 10.0}),
    "cornac VAECF": Row(
        "likes", "cornac", "VAECF",
        {"k": 200, "autoencoder_structure": [600], "batch_size": 500, "beta": 0.2, "n_epochs": 50},
    ),
    "cornac RecVAE": Row("likes", "cornac", "RecVAE", {"batch_size": 500, "n_epochs": 15}),
    "lenskit implicit ALS": Row("likes", "lenskit", "ImplicitMFScorer", {"embedding_size": 128}),
    "lenskit item-kNN of likes": Row("likes", "lenskit", "ItemKNNScorer", {"max_nbrs": 100, "feedback": "implicit"}),
    "recbole MultiVAE": Row(
        "likes", "recbole", "MultiVAE",
        {**VAE, "latent_dimension": 400, "total_anneal_steps": 2000, "learning_rate": 0.001, "epochs": 60},
    ),
    "recbole RecVAE": Row("likes", "recbole", "RecVAE", {**VAE, "learning_rate": 0.0005, "epochs": 15}),
    "ours ease": ours("likes", "ease", "--l2 600 --dropout 0 --relax 0 --movie-norm 0"),
    "ours edlae": ours("likes", "ease", "--l2 200 --dropout 0.5 --relax 0 --movie-norm 0"),
    "ours elsa": ours("likes", "elsa", "--patience 10"),
    "ours multdae": ours("likes", "multdae"),
    "ours multvae": ours("likes", "multvae", f"{WIDE} {LIANG}"),
    "ours multvae bfloat16": ours(
        "likes", "multvae", f"{WIDE} {LIANG} --precision bfloat16"
    ),
    "ours multvae tuned": ours("likes", "multvae"),
    "ours recvae": ours("likes", "recvae", "--batch-size 500 --epochs 15"),
    "ours recvae bfloat16": ours("likes", "recvae", "--batch-size 500 --epochs 15 --precision bfloat16"),
    "ours multdae logistic": ours("likes", "multdae", "--loss logistic"),
    "ours joint": ours("likes", "joint", f"{EDLAE_BESIDE} --no-movie-rows {EARLIER_JOINT}"),
}  # fmt: skip


def python_of(library):
    """The Python of a library's environment, made and filled where there is none yet."""
    if library == "reelspace":
        return sys.executable
    folder = ENVIRONMENTS / library
    python, done = folder / "bin" / "python", folder / NEEDS[library].replace(" ", ",").replace("/", "")
    if not done.exists():
        print(f"installing {NEEDS[library]} in {folder.relative_to(REPOSITORY)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)  # noqa: S603
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *NEEDS[library].split()], check=True)  # noqa: S603
        done.touch()
    return python


def said(row):
    """The options of a row as they are written down."""
    if row.library == "reelspace":
        return f"{row.options['command']} {DATA}"
    return " ".join(f"{name}={json.dumps(value)}" for name, value in row.options.items())


def exchanged(folder, words=None):
    """(`Dataset`, `Split`) of the benchmark, or of other words than `DATA`. Libraries get data.npz in the folder: all
    but the stars of the test; and search.npz: training ratings, and those of validation without their stars."""
    import train
    from utils.data.splits import Subset

    data, split = train.read(train.parse(["popularity", *(words or DATA).split()])[1])
    known = split.part != Subset.TEST
    _write(folder / "data.npz", data.ratings, split.part, known, split.part == Subset.TEST)
    _write(folder / "search.npz", data.ratings, split.part, split.part == Subset.TRAIN, split.part == Subset.VALIDATION)
    return data, split


def _write(path, table, part, known, test):
    from utils.data.splits import Subset

    np.savez(
        path,
        user=table.user[known], movie=table.movie[known], rating=table.rating[known],
        validation=part[known] == Subset.VALIDATION, test_user=table.user[test], test_movie=table.movie[test],
        shape=table.shape, scale=table.scale, like=table.like,
    )  # fmt: skip


def judged(row, found, data, split, is_search=False):
    """What our metrics say of the stars or scores that came back: of the test, or in a search of the validation."""
    from utils.data.splits import Subset
    from utils.evaluation import bootstrap, holdout_metrics

    holdout = split.validation if is_search else split.test
    if row.what == "likes":
        metrics = holdout_metrics.ranking_metrics(lambda _, users: found[users].copy(), holdout)
        names, first = ("ndcg@100", "recall@20", "recall@50"), "ndcg@100"
    else:
        test = split.part == (Subset.VALIDATION if is_search else Subset.TEST)
        table = data.ratings
        pairs = dict(zip(zip(table.user[test], table.movie[test], strict=True), found, strict=True))
        stars = lambda _, users, movies: np.array([pairs[pair] for pair in zip(users, movies, strict=True)])  # noqa: E731
        metrics = holdout_metrics.rating_metrics(stars, holdout, table.scale)
        names, first = ("rmse", "mae"), "rmse"
    estimates = bootstrap.estimates(metrics)
    figures = {"rmse": "", "mae": "", "ndcg@100": "", "recall@20": "", "recall@50": ""}
    figures |= {name: round(estimates[name]["value"], 5) for name in names}
    return figures | {end: round(estimates[first][end], 5) for end in ("low", "high")}


def measure(name, folder, data, split):
    """One row: a line of the results, or None where the library fails, with its reason on the terminal."""
    row = ROWS[name]
    options = {"command": said(row)} if row.library == "reelspace" else row.options
    if not (times := trained(name, row, options, folder, "data.npz")):
        return None
    line = {"row": name, "what": row.what, "library": row.library, "model": row.model, "options": said(row)}
    line |= judged(row, np.load(folder / "found.npy"), data, split) | times
    return line | {"cores": len(os.sched_getaffinity(0))}


def trained(name, row, options, folder, known, *once):
    """Seconds and memory of a training on a file of the folder, which leaves found.npy there; None where it fails."""
    try:
        python = python_of(row.library)
    except subprocess.CalledProcessError:
        print(f"{name}: {row.library} can't be installed here; its reason is above")
        return None
    script, words = HERE / "libraries" / "run.py", [row.what, row.library, row.model, json.dumps(options)]
    command = [python, script, *words, folder / known, folder / "found.npy", *once]
    place = REPOSITORY if row.library == "reelspace" else folder  # RecBole leaves logs where it is
    alone = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(command, cwd=place, env=alone, stdout=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode:
        print(f"{name}: failed with {done.returncode}; its reason is above")
        return None
    return json.loads(done.stdout[done.stdout.rindex('{"fit_seconds"') :])  # behind some progress bar


def shown(lines, what):
    """(line, its cells that all tables have) of the lines of stars or likes, best first."""
    columns = FIGURES[what]
    first = next(iter(columns))
    own = [line for line in lines if line["what"] == what]
    for line in sorted(own, key=lambda line: float(line[first]) * (-1 if what == "likes" else 1)):
        cells = {"row": f"**{line['row']}**" if line["library"] == "reelspace" else line["row"]}
        cells |= {name: f"{float(line[name]):.4f}" for name in columns}
        cells[first] += f" ({float(line['low']):.4f} to {float(line['high']):.4f})"
        cells |= {name: f"{float(line[name]):.1f}" for name in ("fit_seconds", "answer_seconds")}
        yield line, cells | {"peak_mb": line["peak_mb"]}


def table():
    """The tables of docs/results.md: stars, and likes."""
    lines, parts = tables.read("peers.csv"), []
    for what, columns in FIGURES.items():
        rows = []
        for line, cells in shown(lines, what):
            cells["model"] = f"`{line['model']} {line['options'].replace(DATA, '').strip()}`".replace(" `", "`")
            cells["epoch_seconds"] = line["epoch_seconds"] and f"{float(line['epoch_seconds']):.2f}"
            rows.append(cells | {"version": line["version"]})
        names = {
            "row": "row",
            "model": "model and options",
            **columns,
            "fit_seconds": "s to fit",
            "epoch_seconds": "s an epoch",
        }
        names |= {"answer_seconds": "s to answer", "peak_mb": "peak MB", "version": "version"}
        if not any(cells["epoch_seconds"] for cells in rows):
            names.pop("epoch_seconds")
        parts.append(tables.markdown(rows, names, left=2))
    return "\n\n".join(parts)


def plot():
    """Draw accuracy against the time to fit: what is better is further up, what is quicker further left."""
    from matplotlib.figure import Figure

    lines = tables.read("peers.csv")
    figure = Figure(figsize=(13, 6), layout="constrained")
    for axis, (what, name) in zip(figure.subplots(1, 2), (("stars", "rmse"), ("likes", "ndcg@100")), strict=True):
        own = [line for line in lines if line["what"] == what and "bfloat16" not in line["row"]]
        up, taken = (-1 if what == "stars" else 1), []
        points = [(math.log10(float(line["fit_seconds"])), up * float(line[name]), line) for line in own]
        gap = 0.033 * (max(y for _, y, _ in points) - min(y for _, y, _ in points))
        for x, y, line in sorted(points, key=lambda point: point[1]):
            mine, value = line["library"] == "reelspace", float(line[name])
            axis.errorbar(
                10**x, value, [[value - float(line["low"])], [float(line["high"]) - value]],
                fmt="o" if mine else "s", color="#d55e00" if mine else "#0072b2", markersize=6, elinewidth=0.6,
            )  # fmt: skip
            left = any(x < other < x + 0.9 and abs(y - at) < 2 * gap for other, at, _ in points)
            near = [at for other, at, side in taken if side == left and abs(x - other) < 0.9]
            at = max([y, *(other + gap for other in near if other + gap > y - gap)])  # above the labels that are there
            taken.append((x, at, left))
            axis.annotate(
                line["row"], (10**x, value), xytext=(10 ** (x - 0.12 if left else x + 0.12), up * at), fontsize=8.5,
                ha="right" if left else "left", va="center",
                arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "0.5"},
            )  # fmt: skip
        axis.set_xscale("log")
        if what == "stars":
            axis.invert_yaxis()
        axis.margins(x=0.18, y=0.12)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set(xlabel="seconds to fit", ylabel="RMSE" if what == "stars" else "NDCG@100")
        axis.set_title(f"{what}, ML-1M: better is up, quicker is left")
    figure.savefig(tables.RESULTS / "peers.png", dpi=100)


def main(rows):
    """Measure rows; what a library can't do is said and left out."""
    from utils.runs import run_folder

    (REPOSITORY / "runs").mkdir(exist_ok=True)
    commit = run_folder.commit()  # before the results change
    with tempfile.TemporaryDirectory(dir=REPOSITORY / "runs", prefix="peers.") as folder:
        data, split = exchanged(Path(folder))
        for name in rows:
            if "bfloat16" in name and not has_bfloat16():
                print(f"{name}: left out, since this processor does not multiply bfloat16 itself")
                continue
            line = measure(name, Path(folder), data, split)
            others = [other for other in tables.read("peers.csv") if other["row"] in set(ROWS) - {name}]
            if line:
                print(line, flush=True)
                others.append(line | {"commit": commit})
            if others:
                tables.write("peers.csv", sorted(others, key=lambda other: list(ROWS).index(other["row"])))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--list", action="store_true", help="print the rows")
    parser.add_argument("--table", action="store_true", help="write tables and plot from the result file")
    chosen = parser.parse_args()
    if chosen.table and not tables.read("peers.csv"):
        parser.error("there is no result yet")
    if unknown := set(chosen.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; --list prints them")
    if chosen.list:
        for name, row in ROWS.items():
            print(f"{name:26} {row.library} {row.model} {row.options}")
    else:
        if not chosen.table:
            main(chosen.rows or ROWS)
        tables.replace("peers", table())
        plot()
