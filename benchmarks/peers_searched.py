"""Every library with options that were searched for, in the same time, beside ours: results/peers_searched.csv.

python benchmarks/peers_searched.py                       all rows on both data sets, and the tables of docs/results.md
python benchmarks/peers_searched.py filmtrust "ours ease"     some data, some rows; the others stay as they are
python benchmarks/peers_searched.py --table               the tables, of what was measured

Options are tried in a random order, the first of each list at first, until fitting has taken `SECONDS` of the data set,
or `MOST` are tried; what is running then is finished. Validation ratings choose, by RMSE or NDCG@100. With what they
chose each is fitted on all ratings but the test (ours: its epochs on validation first), and judged on the test by our
metrics, as in `peers.py`, whose environments this takes."""

import itertools
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import peers
import tables
from peers import Row
from rows import FILMTRUST

DATA = {"ml-1m": peers.DATA, "filmtrust": f"{FILMTRUST} --seed 0"}
SECONDS = {"ml-1m": 20, "filmtrust": 10}
MOST = 5  # options that are tried
L2 = (300, 100, 30, 1000, 600, 200, 2000, 50)
DROPOUT = (0.5, 0.3, 0.7)
# (what, library, model): what is tried for each option
ROWS = {
    "surprise SVD": ("stars", "surprise", "SVD"),
    "lenskit ALS": ("stars", "lenskit", "BiasedMFScorer"),
    "lenskit item-kNN": ("stars", "lenskit", "ItemKNNScorer"),
    "ours autorec": ("stars", "reelspace", "autorec --rows movies"),
    "ours itemknn": ("stars", "reelspace", "itemknn"),
    "ours joint": ("stars", "reelspace", "joint"),
    "irspack EASE": ("likes", "irspack", "DenseSLIMRecommender"),
    "irspack EDLAE": ("likes", "irspack", "EDLAERecommender"),
    "irspack iALS": ("likes", "irspack", "IALSRecommender"),
    "implicit ALS": ("likes", "implicit", "AlternatingLeastSquares"),
    "rectools EASE": ("likes", "rectools", "EASEModel"),
    "rectools iALS": ("likes", "rectools", "ImplicitALSWrapperModel"),
    "cornac EASE": ("likes", "cornac", "EASE"),
    "lenskit EASE": ("likes", "lenskit", "EASEScorer"),
    "lenskit SLIM": ("likes", "lenskit", "SLIMScorer"),
    "lenskit item-kNN of likes": ("likes", "lenskit", "ItemKNNScorer"),
    "lenskit implicit ALS": ("likes", "lenskit", "ImplicitMFScorer"),
    "ours ease": ("likes", "reelspace", "ease"),
    "ours elsa": ("likes", "reelspace", "elsa"),
    "ours joint of likes": ("likes", "reelspace", "joint"),
}
ALS = {"factors": (64, 128, 32), "regularization": (1.0, 0.1, 10.0, 30.0), "alpha": (1.0, 5.0, 20.0)}
TRIED = {
    "surprise SVD": {"n_factors": (100, 50, 20), "reg_all": (0.05, 0.02, 0.1), "n_epochs": (20, 40)},
    "lenskit ALS": {"embedding_size": (64, 32, 16), "regularization": (0.1, 0.03, 0.3)},
    "lenskit item-kNN": {"max_nbrs": (20, 30, 50), "min_sim": (1e-6, 0.05)},
    "ours autorec": {"hidden": (500, 200), "dropout": DROPOUT, "l2": (0.03, 0.1)},
    "ours itemknn": {"neighbours": (40, 20, 80)},
    "ours joint": {"movie-l2": (0.02, 0.06)},
    "irspack EASE": {"reg": L2},
    "irspack EDLAE": {"reg": L2, "dropout_p": DROPOUT},
    "irspack iALS": {"n_components": (128, 64, 256), "alpha0": (0.1, 0.03, 0.3), "reg": (0.003, 0.001, 0.01)},
    "implicit ALS": ALS,
    "rectools EASE": {"regularization": L2},
    "rectools iALS": ALS,
    "cornac EASE": {"lamb": L2},
    "lenskit EASE": {"regularization": L2},
    "lenskit SLIM": {"l1_reg": (1.0, 0.3, 3.0), "l2_reg": (1.0, 10.0, 50.0), "max_nbrs": (200, 100)},
    "lenskit item-kNN of likes": {"max_nbrs": (100, 20, 50, 200), "feedback": ("implicit",)},
    "lenskit implicit ALS": {"embedding_size": (64, 128, 32), "regularization": (0.1, 1.0), "weight": (40, 10, 5)},
    "ours ease": {"l2": L2, "dropout": DROPOUT},
    "ours elsa": {"dropout": (0.0, 0.3), "patience": (10,)},
    "ours joint of likes": {"weight": (0.3, 1.0), "likes-loss": ("multinomial", "logistic")},
}


def tries(name):
    """Up to `MOST` options of a row, {option: value} each, in the order in which they are tried."""
    values = [dict(zip(TRIED[name], of, strict=True)) for of in itertools.product(*TRIED[name].values())]
    rest = values[1:]
    random.Random(name).shuffle(rest)  # the same in every run
    return [values[0], *rest][:MOST]


def row_with(name, options, words, is_search):
    """(`Row`, what `run.py` gets as its options)."""
    what, library, model = ROWS[name]
    if library != "reelspace":
        return Row(what, library, model, options), options
    model, *rest = model.split()
    command = " ".join([*rest, *(f"--{key} {value}" for key, value in options.items()), words])
    return Row(what, library, model, {"command": command}), {"command": command, "validation": is_search}


def search(name, folder, data, split, words, seconds):
    """(the options that validation chose or None where all failed, how many were tried)."""
    best, taken, n = None, 0.0, 0
    for options in tries(name):
        row, given = row_with(name, options, words, True)
        n += 1
        times = peers.trained(name, row, given, folder, "search.npz", "once")
        if not times:
            continue
        found = peers.judged(row, np.load(folder / "found.npy"), data, split, True)
        figure = -found["rmse"] if row.what == "stars" else found["ndcg@100"]
        best = max(best or (figure, options), (figure, options), key=lambda of: of[0])
        taken += times["fit_seconds"]
        if taken > seconds:
            break
    return (best[1] if best else None), n


def measure(name, folder, data, split, place):
    """One row on one data set: a line of the results, or None where the library fails."""
    words = DATA[place]
    options, n = search(name, folder, data, split, words, SECONDS[place])
    if options is None:
        return None
    row, given = row_with(name, options, words, False)
    times = peers.trained(name, row, given, folder, "data.npz")
    if not times:
        return None
    said = " ".join(f"{key}={value}" for key, value in options.items())
    line = {"data": place, "row": name, "what": row.what, "library": row.library, "model": row.model}
    line |= {"options": said, "tried": n, "of": len(tries(name)), "seconds": SECONDS[place]}
    line |= peers.judged(row, np.load(folder / "found.npy"), data, split) | times
    return line | {"cores": len(os.sched_getaffinity(0))}


def table():
    """The tables of docs/results.md: stars and likes on each data set."""
    parts = []
    for place, what in itertools.product(DATA, peers.FIGURES):
        lines, rows = [line for line in tables.read("peers_searched.csv") if line["data"] == place], []
        for line, cells in peers.shown(lines, what):
            rows.append(cells | {"options": f"`{line['options']}`", "tried": f"{line['tried']} of {line['of']}"})
        names = {"row": place, "options": "options that validation chose", "tried": "tried", **peers.FIGURES[what]}
        names.pop("recall@50", None)  # for want of room
        names |= {"fit_seconds": "s to fit", "answer_seconds": "s to answer", "peak_mb": "peak MB"}
        parts.append(tables.markdown(rows, names, left=3))
    return "\n\n".join(parts)


def main(places, rows):
    """Measure rows; what a library can't do is said and left out."""
    from utils.runs import run_folder

    (peers.REPOSITORY / "runs").mkdir(exist_ok=True)
    commit = run_folder.commit()  # before the results change
    for place in places:
        with tempfile.TemporaryDirectory(dir=peers.REPOSITORY / "runs", prefix="peers.") as folder:
            data, split = peers.exchanged(Path(folder), DATA[place])
            for name in rows:
                line = measure(name, Path(folder), data, split, place)
                if not line:
                    continue
                print(line, flush=True)
                others = [of for of in tables.read("peers_searched.csv") if (of["data"], of["row"]) != (place, name)]
                order = lambda of: (list(DATA).index(of["data"]), list(ROWS).index(of["row"]))  # noqa: E731
                tables.write("peers_searched.csv", sorted([*others, line | {"commit": commit}], key=order))


if __name__ == "__main__":
    words = sys.argv[1:]
    if unknown := set(words) - set(DATA) - set(ROWS) - {"--table"}:
        sys.exit(f"no such data or row: {', '.join(sorted(unknown))}\n\n{__doc__}")
    if words != ["--table"]:
        main([word for word in words if word in DATA] or DATA, [word for word in words if word in ROWS] or ROWS)
    tables.replace("peers-searched", table())
