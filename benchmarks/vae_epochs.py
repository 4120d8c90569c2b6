"""An epoch of variational autoencoders of the same sizes, in RecBole, Cornac and here: results/vae_epochs.csv.

python benchmarks/vae_epochs.py                      all rows, and the table of docs/results.md
python benchmarks/vae_epochs.py "ours multvae" ...   some rows; the others stay as they are
python benchmarks/vae_epochs.py --table              the table, of what was measured

Data, split, options and environments are those of `peers.py`, float32 everywhere. Rows named `--score-share` are ours
where each training step scores a third of the movies. Run it on a machine that does nothing else."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import peers
import tables
from rows import LIANG, WIDE

SHARE = "--score-share 0.33"  # chosen on validation, see results/README.md
OPTIONS = {
    "multvae": f"{WIDE} {LIANG}",
    "recvae": "--batch-size 500 --epochs 15",
}
RIVALS = {"multvae": ("recbole MultiVAE", "cornac VAECF"), "recvae": ("recbole RecVAE", "cornac RecVAE")}
ROWS = {}
for model, rivals in RIVALS.items():
    ROWS |= {rival: peers.ROWS[rival] for rival in rivals}
    for more in ("", f" {SHARE}"):
        ROWS[f"ours {model}{more}"] = peers.ours("likes", model, OPTIONS[model] + more)


def metric(found, split):
    """NDCG@100 of each test user, by scores of all users."""
    from utils.evaluation import holdout_metrics

    return holdout_metrics.ranking_metrics(lambda _, users: found[users].copy(), split.test)["ndcg@100"]


def measure(name, folder, data, split, kept):
    """A line of the results; None where the library fails. kept: {row: its metric}, which gets this one."""
    from utils.evaluation import bootstrap

    row = ROWS[name]
    options = {"command": peers.said(row)} if row.library == "reelspace" else row.options
    if not (times := peers.trained(name, row, options, folder, "data.npz")):
        return None
    found = np.load(folder / "found.npy")
    line = {"row": name, "options": peers.said(row)} | peers.judged(row, found, data, split)
    kept[name] = metric(found, split)
    whole = name.removesuffix(f" {SHARE}")
    change = {"change": "", "change_low": "", "change_high": ""}
    if whole != name and whole in kept:
        found = bootstrap.difference(kept[name], kept[whole])
        change = {"change": found["value"], "change_low": found["low"], "change_high": found["high"]}
        change = {key: f"{value:+.4f}" for key, value in change.items()}
    return line | change | {key: times[key] for key in ("epoch_seconds", "fit_seconds", "peak_mb", "version")}


def table():
    """The table of docs/results.md."""
    lines, rows = {line["row"]: line for line in tables.read("vae_epochs.csv")}, []
    for name, line in lines.items():
        seconds, ours = float(line["epoch_seconds"]), ROWS[name].library == "reelspace"
        rivals = [lines[rival] for rival in RIVALS[ROWS[name].model] if rival in lines] if ours else []
        ratios = [f"{float(rival['epoch_seconds']) / seconds:.1f}" for rival in rivals]
        change = line["change"] and f"{line['change']} ({line['change_low']} to {line['change_high']})"
        rows.append({"row": f"**`{name.removeprefix('ours ')}`**" if ours else name, "epoch": f"{seconds:.2f}"})
        rows[-1] |= {"ratio": " and ".join(ratios), "ndcg": f"{float(line['ndcg@100']):.4f}", "change": change}
    columns = {"row": "row", "epoch": "s an epoch", "ratio": "times as fast as RecBole and Cornac"}
    columns |= {"ndcg": "NDCG@100", "change": "less that of all scores (95%)"}
    return tables.markdown(rows, columns)


def main():
    """Measure the rows that are asked for, each line written as it comes, then the table."""
    from utils.runs import run_folder

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--table", action="store_true", help="write the table from the result file")
    args = parser.parse_args()
    if unknown := set(args.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    commit, kept = run_folder.commit(), {}
    with tempfile.TemporaryDirectory(dir=peers.REPOSITORY / "runs", prefix="peers.") as folder:
        data, split = (None, None) if args.table else peers.exchanged(Path(folder))
        for name in [] if args.table else args.rows or ROWS:
            if line := measure(name, Path(folder), data, split, kept):
                print(line, flush=True)
                others = [other for other in tables.read("vae_epochs.csv") if other["row"] in set(ROWS) - {name}]
                others.append(line | {"commit": commit})
                tables.write("vae_epochs.csv", sorted(others, key=lambda other: list(ROWS).index(other["row"])))
    tables.replace("vae-epochs", table())


if __name__ == "__main__":
    main()
