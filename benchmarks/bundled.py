"""The results table of the README: train and judge every model on the bundled data over several seeds.

python benchmarks/bundled.py [--seeds 3]    writes benchmarks/results/bundled.csv
python benchmarks/bundled.py --table        writes the README's table from that file
"""

import csv
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import markdown

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "bundled.csv"
RUNS = ("autorec", "autorec --rows movies", "itemknn", "bias", "popularity")
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


def measure(seeds):
    """Write one row a model, way of recommending and seed."""
    rows = []
    for command in RUNS:
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                found = judged(command, seed, folder)
            for method, ranking in found["methods"].items():
                values = {name: found["metrics"].get(name, {}).get("value", "") for name in METRICS[:2]}
                values |= {name: ranking[name]["value"] for name in METRICS[2:]}
                rounded = {name: value and round(value, 5) for name, value in values.items()}
                seconds = round(found["seconds"]["train"], 1)
                rows.append({"model": command, "by": method, "seed": seed, **rounded, "seconds": seconds})
    RESULTS.parent.mkdir(exist_ok=True)
    with open(RESULTS, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, rows[0].keys())
        out.writeheader()
        out.writerows(rows)


def table():
    """The README's table in Markdown: means over the seeds, the spread between splits behind the RMSE and NDCG."""
    with open(RESULTS, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = ["| model | by | RMSE | MAE | NDCG@100 | Recall@20 | Recall@50 | seconds |", "|---|---|" + "---:|" * 6]
    for model, by in dict.fromkeys((row["model"], row["by"]) for row in rows):
        own = [row for row in rows if (row["model"], row["by"]) == (model, by)]
        cells = [mean([row[name] for row in own], name in ("rmse", "ndcg@100")) for name in METRICS]
        seconds = statistics.mean(float(row["seconds"]) for row in own)
        lines.append(f"| `{model}` | {by} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(
        [*lines, "", f"Means over {len(own)} seeds, each with its own split; ± is the standard deviation."]
    )


def mean(values, spread):
    """Mean of the values of a column as text; empty where the model does not define it."""
    if "" in values:
        return ""
    numbers = [float(value) for value in values]
    text = f"{statistics.mean(numbers):.4f}"
    return text + (f" ± {statistics.stdev(numbers):.4f}" if spread and len(numbers) > 1 else "")


if __name__ == "__main__":
    if "--table" not in sys.argv:
        measure(int(sys.argv[sys.argv.index("--seeds") + 1]) if "--seeds" in sys.argv else 3)
    markdown.replace("bundled", table())
