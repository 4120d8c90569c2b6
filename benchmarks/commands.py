"""How long recommend.py takes from the shell, its start included: results/commands.csv.

python benchmarks/commands.py RUN ...     the median of 5 times a command and run, replacing the lines of its data"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tables

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
TIMES = 5
COMMANDS = {
    "--user 42": ["--user", "42"],
    "--user 42 --by neighbours": ["--user", "42", "--by", "neighbours"],
    "--user 42 --by movies": ["--user", "42", "--by", "movies"],
    "--rate TITLE=STARS (2 of them)": ["--rate", "Toy Story=5", "heat 1995=4.5"],
    "--user U --explain (U has the most ratings)": ["--user", "{most}", "--explain"],
    "--like-movie alien": ["--like-movie", "alien 1979"],
    "--similar-users 42": ["--similar-users", "42"],
    "--all-users --csv FILE": ["--all-users", "--csv", "{file}"],
}


def measure(folder):
    """The lines of one run."""
    import numpy as np

    from utils.runs import run_folder

    run = run_folder.find(folder)
    ratings, model = run.split.ratings, run.config["model"]
    most = str(ratings.user_ids[np.bincount(ratings.user).argmax()])
    with tempfile.TemporaryDirectory() as scratch:
        for name, command in COMMANDS.items():
            words = [word.format(most=most, file=Path(scratch) / "all.csv") for word in command]
            line = [sys.executable, "recommend.py", *words, "--run", str(Path(folder).resolve())]
            seconds = []
            for _ in range(TIMES):
                start = time.perf_counter()
                subprocess.run(line, cwd=HERE.parent, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
                seconds.append(time.perf_counter() - start)
            about = {"data": run.config["data"], "model": model, "command": name, "best": f"{min(seconds):.2f}"}
            cores = len(os.sched_getaffinity(0))
            yield about | {"median": f"{statistics.median(seconds):.2f}", "cores": cores, "commit": run_folder.commit()}


def table():
    """The table in results/README.md."""
    rows = [row | {"command": f"`{row['command']}`"} for row in tables.read("commands.csv")]
    columns = {"data": "data", "command": "`recommend.py`", "median": "median, s", "best": "best, s"}
    return tables.markdown(rows, columns, 2)


if __name__ == "__main__":
    tables.of_runs("commands", __doc__, measure, table)
