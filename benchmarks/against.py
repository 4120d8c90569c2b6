"""Accuracy beside an earlier commit: the same models, data and splits, test figures paired over users and seeds.

python benchmarks/against.py joint "multvae --hidden 200" --base DIR     on the bundled data, seeds 0 to 2
python benchmarks/against.py joint --base DIR --data ml-1m --jobs 8      so many trainings at a time, a thread each
python benchmarks/against.py recvae --base DIR --seeds 9 --kept FOLDER   trainings are kept there, and not repeated

Each training is a process of its own in the commit's checkout; validation chooses, then it is trained on validation
ratings, too, as train.py does. The differences (now less before) have 95% bootstrap intervals over all users of all
seeds; results/against.csv, and a table in docs/results.md. Whether an option has another default counts as a change.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tables

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
BEFORE = "ef8a523"
TRAIN = """
import sys
import numpy as np
import train
try:
    from utils.training.training import Training
except ImportError:
    from utils.training import Training
*words, out = sys.argv[1:]
name, chosen, config = train.parse(words)
data, split = train.read(chosen)
build = getattr(train, "build", None) or train.models.for_data
model = build(name, config, data, int(words[words.index("--seed") + 1]))
train.fit(model, split, Training(), True)
test, n = split.test, data.ratings.shape[0]
hidden, found = test.hidden.tocoo(), {}
if model.predicts_ratings and not split.holds_users_out:
    stars = np.clip(model.predict(test.given, hidden.row, hidden.col), *data.ratings.scale)
    found["squared"] = np.bincount(hidden.row, (hidden.data - stars.astype(float)) ** 2, n)
    found["rated"] = np.bincount(hidden.row, minlength=n)
liked = hidden.data > getattr(data.ratings, "like", 3.5)
users, discount = np.unique(hidden.row[liked]), 1 / np.log2(np.arange(100) + 2)
ndcg = np.zeros(n)
for start in range(0, len(users), 512):
    block = users[start:start + 512]
    scores = np.asarray(model.score(test.given[block], block), np.float64)
    scores[test.given[block].toarray() != 0] = -np.inf
    if test.candidates is not None:
        scores[:, ~test.candidates] = -np.inf
    for user, own in zip(block, scores):
        top = np.argsort(-own, kind="stable")[:100]
        wanted = hidden.col[liked & (hidden.row == user)]
        hits = np.isin(top, wanted) & np.isfinite(own[top])
        ndcg[user] = hits @ discount[:len(top)] / discount[:len(wanted)].sum()
found |= {"ndcg": ndcg, "ranked": np.isin(np.arange(n), users).astype(int)}
np.savez(out, **found)
"""


def trained(tree, command, seed, data, folder):
    """{name: (n_users,)} of what a training in a checkout leaves on the test; read where the folder has it."""
    when = "now" if tree == REPOSITORY else "base"
    out = Path(folder) / f"{data}-{command.replace(' ', '_')}-{seed}-{when}.npz"
    if out.is_file():
        return dict(np.load(out))
    words = [*command.split(), "--seed", str(seed), "--data", data, str(out)]
    one = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
    environment = os.environ | one | {"CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, "-c", TRAIN, *words], cwd=tree, env=environment, check=True)  # noqa: S603
    return dict(np.load(out))


def figures(seeds):
    """{"rmse", "ndcg@100"} as metrics of all users of all seeds; only those that the model has."""
    from utils.evaluation.bootstrap import Metric

    joined = {name: np.concatenate([one[name] for one in seeds]) for name in seeds[0]}
    found = {"ndcg@100": Metric(joined["ndcg"], joined["ranked"])}
    if "rated" in joined:
        found["rmse"] = Metric(joined["squared"], joined["rated"], root=True)
    return found


def lines(command, data, before, now):
    """A line of the results for each figure."""
    from utils.evaluation.bootstrap import differences

    old, new = figures(before), figures(now)
    for name, row in differences(new, old).items():
        values = {"before": old[name].value, "now": new[name].value}
        values |= {key: row[key] for key in ("value", "low", "high")}
        rounded = {key: f"{value:.5f}" for key, value in values.items()}
        yield {"data": data, "model": command, "figure": name, "seeds": len(now), **rounded}


def table():
    """The table of docs/results.md."""
    rows = tables.read("against.csv")
    for row in rows:
        row["model"] = f"`{row['model']}`"
        row |= {key: f"{float(row[key]):.4f}" for key in ("before", "now")}
        low, high = (float(row[key]) for key in ("low", "high"))
        row["difference"] = f"{float(row['value']):+.4f} ({low:+.4f} to {high:+.4f})"
    columns = {name: name for name in ("data", "model", "figure", "seeds", "before", "now", "difference")}
    return tables.markdown(rows, columns, left=3)


def main():
    """Train everything, pair, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL", help="with its options, as one argument")
    parser.add_argument("--data", default="ml-latest-small-2016")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--base", type=Path, required=True, help=f"a checkout of {BEFORE}, with the data in data/")
    parser.add_argument("--kept", type=Path, metavar="DIR", help="folder for what trainings leave (default: none)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as none, ThreadPoolExecutor(args.jobs) as pool:
        folder = args.kept or none
        trees = {"before": args.base.resolve(), "now": REPOSITORY}
        jobs = {
            (command, when, seed): pool.submit(trained, tree, command, seed, args.data, folder)
            for command in args.models
            for seed in range(args.seeds)
            for when, tree in trees.items()
        }
        for command in args.models:
            found = [[jobs[command, when, seed].result() for seed in range(args.seeds)] for when in trees]
            new = list(lines(command, args.data, *found))
            print(*new, sep="\n", flush=True)
            others = [row for row in tables.read("against.csv") if (row["data"], row["model"]) != (args.data, command)]
            tables.write(
                "against.csv", sorted(others + new, key=lambda row: (row["data"], row["model"], row["figure"]))
            )
    tables.replace("against", table())


if __name__ == "__main__":
    main()
