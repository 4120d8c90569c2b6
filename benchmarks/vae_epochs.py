"""An epoch of variational autoencoders of the same sizes, in RecBole, Cornac and here: results/vae_epochs.csv.

python benchmarks/vae_epochs.py             all rows, and the table of docs/results.md
python benchmarks/vae_epochs.py multvae     those of a model and its rivals; the others stay as they are
python benchmarks/vae_epochs.py --table     the table, of what was measured

Data, split, options and environments are those of `peers.py`, float32 everywhere. Rows named `--score-share` are ours
where each training step computes the scores of a third of the movies. Run it on a machine that does nothing else."""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import peers
import tables

SHARE = "--score-share 0.33"
RIVALS = {"multvae": ("recbole MultiVAE", "cornac VAECF"), "recvae": ("recbole RecVAE", "cornac RecVAE")}
ROWS = {}  # of each model: {name: row}
for _model, _rivals in RIVALS.items():
    _words = peers.ROWS[f"ours {_model}"].options["command"]
    ROWS[_model] = {name: peers.ROWS[name] for name in (*_rivals, f"ours {_model}")}
    ROWS[_model][f"ours {_model} {SHARE}"] = peers.ours("likes", _model, f"{_words} {SHARE}")
ORDER = [name for rows in ROWS.values() for name in rows]


def metric(found, split):
    """NDCG@100 of each test user, by scores of all users."""
    from utils.evaluation import holdout_metrics

    return holdout_metrics.ranking_metrics(lambda _, users: found[users].copy(), split.test)["ndcg@100"]


def measure(model, folder, data, split):
    """The lines of a model and its rivals; what fails is said and left out."""
    from utils.evaluation import bootstrap
    from utils.runs import run_folder

    kept, commit = {}, run_folder.commit()
    for name, row in ROWS[model].items():
        options = {"command": peers.said(row)} if row.library == "reelspace" else row.options
        if not (times := peers.trained(name, row, options, folder, "data.npz")):
            continue
        found = np.load(folder / "found.npy")
        line = {"row": name, "model": model, "options": peers.said(row)} | peers.judged(row, found, data, split)
        kept[name] = metric(found, split)
        line |= {"change": "", "change_low": "", "change_high": ""}
        if name.endswith(SHARE) and f"ours {model}" in kept:
            change = bootstrap.difference(kept[name], kept[f"ours {model}"])
            of = {"change": change["value"], "change_low": change["low"], "change_high": change["high"]}
            line |= {key: f"{value:+.4f}" for key, value in of.items()}
        line |= {key: times[key] for key in ("epoch_seconds", "fit_seconds", "peak_mb", "version")}
        yield line | {"cores": len(os.sched_getaffinity(0)), "commit": commit}


def table():
    """The table of docs/results.md."""
    lines, rows = {line["row"]: line for line in tables.read("vae_epochs.csv")}, []
    for name, line in lines.items():
        seconds, ours = float(line["epoch_seconds"]), name.startswith("ours ")
        rivals = [lines[rival] for rival in RIVALS[line["model"]] if rival in lines] if ours else []
        ratios = [f"{rival['row']} {float(rival['epoch_seconds']) / seconds:.1f}" for rival in rivals]
        change = line["change"] and f"{line['change']} ({line['change_low']} to {line['change_high']})"
        rows.append({"row": f"**`{name.removeprefix('ours ')}`**" if ours else name, "epoch": f"{seconds:.2f}"})
        rows[-1] |= {"ratio": ", ".join(ratios), "ndcg": f"{float(line['ndcg@100']):.4f}", "change": change}
    columns = {"row": "row", "epoch": "s an epoch", "ratio": "times as fast as", "ndcg": "NDCG@100"}
    return tables.markdown(rows, columns | {"change": "less that of all scores (95%)"})


def main():
    """Measure the models that are asked for, each line written as it comes, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"{' or '.join(ROWS)} (default: both)")
    parser.add_argument("--table", action="store_true", help="write the table from the result file")
    args = parser.parse_args()
    if args.table and not tables.read("vae_epochs.csv"):
        parser.error("there is no result yet")
    if unknown := set(args.models) - set(ROWS):
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    (peers.REPOSITORY / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=peers.REPOSITORY / "runs", prefix="peers.") as folder:
        data, split = (None, None) if args.table else peers.exchanged(Path(folder))
        for model in [] if args.table else args.models or ROWS:
            for line in measure(model, Path(folder), data, split):
                print(line, flush=True)
                lines = [other for other in tables.read("vae_epochs.csv") if other["row"] != line["row"]]
                tables.write("vae_epochs.csv", sorted([*lines, line], key=lambda one: ORDER.index(one["row"])))
    tables.replace("vae-epochs", table())


if __name__ == "__main__":
    main()
