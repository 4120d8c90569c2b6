"""What one epoch takes on a made-up set of ML-20M's shape: seconds and peak memory of the whole training process, from
reading the CSV to the saved run.

python benchmarks/scale.py [FILE]    writes benchmarks/results/scale.csv; FILE keeps the generated CSV for another time
"""

import csv
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
from benchmarks import tables  # noqa: E402
from benchmarks.generate import write_csv  # noqa: E402

TRAIN = ("autorec", "--hidden", "64", "--epochs", "1", "--batch-size", "256", "--no-refit")
LIMIT_GB = 6


def main():
    """Generate, train one epoch in a process of its own, write what it took."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "generated.csv"
        if not table.exists():
            write_csv(table)
        run = Path(folder) / "run"
        code = "import resource, sys, train; train.main(sys.argv[1:]); print('peak', resource.getrusage(0).ru_maxrss)"
        command = [sys.executable, "-c", code, *TRAIN, "--data", str(table), "--run", str(run)]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)  # noqa: S603
        seconds = time.perf_counter() - start
        with open(run / "history.csv", encoding="utf-8") as file:
            epoch = next(csv.DictReader(file))
        size = sum(path.stat().st_size for path in run.iterdir()) / 1e6
    row = {"command": " ".join(TRAIN), "data": "138,000 users x 26,700 movies, 20,000,000 ratings"}
    row |= {"epoch_seconds": round(float(epoch["seconds"]), 1), "process_seconds": round(seconds, 1)}
    row |= {"peak_gb": round(int(re.search(r"peak (\d+)", done.stdout)[1]) / 1e6, 2), "limit_gb": LIMIT_GB}
    row |= {"run_mb": round(size), "cores": os.cpu_count(), "python": platform.python_version()}
    tables.write("scale.csv", [row])
    print(row)


if __name__ == "__main__":
    main()
