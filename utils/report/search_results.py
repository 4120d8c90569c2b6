"""Write the results of a search for options: trials.csv, search.png, best.json."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from utils.report import figures, pictures
from utils.runs import files


def write(folder: Path, trials: list[dict[str, Any]], best: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write trials.csv of the trials (from `utils.training.study.lines`), best.json of the best options with the facts
    about the search, and search.png."""
    with files.whole(folder / "trials.csv") as path, open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, trials[0].keys(), lineterminator="\n")
        out.writeheader()
        out.writerows(trials)
    pictures.write(folder / "search.png", figures.search(trials, facts), 2)
    files.write_text(folder / "best.json", json.dumps(best | {"found": facts}, indent=1) + "\n")
