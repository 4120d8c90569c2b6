"""The table of the bundled data in docs/results.md: train and judge every model on the bundled data over several seeds.

python benchmarks/bundled.py [MODEL ...] [--seeds 3]    writes benchmarks/results/bundled.csv, all models or those named
python benchmarks/bundled.py --table                    writes the table of docs/results.md from that file
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import tables

HERE = Path(__file__).resolve().parent
RUNS = (
    "joint",
    "autorec",
    "autorec --rows movies",
    "ease --l2 200 --dropout 0.5",
    "multdae",
    "multvae --hidden 200",
    "recvae",
    "bayesfm",
    "itemknn",
    "bias",
    "popularity",
)
METRICS = ("rmse", "mae", "ndcg@100", "recall@20", "recall@50")


def judged(command, seed, folder):
    """evaluate.py's entry of one run, trained here."""
    run = str(Path(folder) / "run")
    python = [sys.executable]
    train = [*python, "train.py", *command.split(), "--seed", str(seed), "--run", run]
    subprocess.run(train, cwd=HERE.parent, check=True)  # noqa: S603
    evaluate = [*python, "evaluate.py", "--run", run, "--json", "-"]
    done = subprocess.run(evaluate, cwd=HERE.parent, check=True, capture_output=True, text=True)  # noqa: S603
    return json.loads(done.stdout)["runs"][0]


def measure(commands, seeds):
    """Write one row a model, way of recommending and seed."""
    rows = [row for row in tables.read("bundled.csv") if row["model"] in RUNS and row["model"] not in commands]
    for command in commands:
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                found = judged(command, seed, folder)
            for method, ranking in found["methods"].items():
                values = {name: found["metrics"].get(name, {}).get("value", "") for name in METRICS[:2]}
                values |= {name: ranking[name]["value"] for name in METRICS[2:]}
                rounded = {name: value and round(value, 5) for name, value in values.items()}
                seconds = round(found["seconds"]["train"], 1)
                rows.append({"model": command, "by": method, "seed": seed, **rounded, "seconds": seconds})
    tables.write("bundled.csv", sorted(rows, key=lambda row: RUNS.index(row["model"])))


def table():
    """The table of docs/results.md: means over the seeds, the spread between splits behind the RMSE and NDCG."""
    rows = tables.read("bundled.csv")
    lines = ["| model | by | RMSE | MAE | NDCG@100 | Recall@20 | Recall@50 | seconds |", "|---|---|" + "---:|" * 6]
    for model, by in dict.fromkeys((row["model"], row["by"]) for row in rows):
        own = [row for row in rows if (row["model"], row["by"]) == (model, by)]
        cells = [tables.mean([row[name] for row in own], name in ("rmse", "ndcg@100")) for name in METRICS]
        seconds = statistics.mean(float(row["seconds"]) for row in own)
        lines.append(f"| `{model}` | {by} | {' | '.join(cells)} | {seconds:.0f} |")
    said = f"Means over {len(own)} seeds, each with its own split; ± is the standard deviation. Seconds are those of "
    return "\n".join([*lines, "", said + "training on one thread of a shared machine."])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="with its options, as one argument")
    parser.add_argument("--seeds", type=int, default=3, metavar="N")
    parser.add_argument("--table", action="store_true")
    chosen = parser.parse_args()
    if unknown := set(chosen.models) - set(RUNS):
        parser.error(f"no such model: {', '.join(sorted(unknown))} (there are: {', '.join(RUNS)})")
    if not chosen.table:
        measure(chosen.models or RUNS, chosen.seeds)
    tables.replace("bundled", table())
