"""How long reading takes and how much memory: ML-1M, and a made-up set of ML-20M's shape.

    python benchmarks/reading.py [folder of ml-1m]      # writes benchmarks/results/reading.csv; about 3 minutes

Each row is one `load` in a process of its own: seconds of the call, and the peak memory of the whole process.
"""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from benchmarks import tables  # noqa: E402
from benchmarks.generate import write_csv  # noqa: E402

LIMITS = {"ml-1m": (1.5, None), "generated-20m": (15.0, 2.5)}  # seconds, GB
MEASURE = """
import resource, sys, time
start = time.perf_counter()
from utils.data.datasets import load
imported = time.perf_counter()
dataset = load(sys.argv[1])
seconds = time.perf_counter() - imported
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(len(dataset.ratings), *dataset.ratings.shape, round(imported - start, 2), round(seconds, 2), round(peak, 2))
"""


def measure(name, source, repeats=3):
    """ProfileRows of what reading `source` took, `repeats` times over, as dictionaries."""
    for repeat in range(repeats):
        command = [sys.executable, "-c", MEASURE, str(source)]
        found = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)  # noqa: S603
        ratings, users, movies, imports, seconds, peak = found.stdout.split()
        limit, most = LIMITS[name]
        row = {"data": name, "repeat": repeat, "ratings": ratings, "users": users, "movies": movies}
        row |= {"import_seconds": imports, "load_seconds": seconds, "peak_gb": peak}
        row |= {"limit_seconds": limit, "limit_gb": most or "", "cores": len(os.sched_getaffinity(0))}
        yield row | {"python": platform.python_version()}


def main(argv=None):
    """Measure, print and write benchmarks/results/reading.csv."""
    arguments = tables.words(__doc__) if argv is None else argv
    ml_1m = Path(arguments[0] if arguments else REPOSITORY / "data" / "ml-1m").resolve()
    rows = list(measure("ml-1m", ml_1m)) if ml_1m.is_dir() else []
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "ratings.csv"
        write_csv(made)
        rows += measure("generated-20m", made)
    tables.write("reading.csv", rows)
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
