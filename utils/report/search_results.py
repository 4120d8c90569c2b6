"""Write the results of a search for options: trials.csv, search.png, best.json."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from utils.report import pictures
from utils.runs import files


def write(folder: Path, found: list[dict[str, Any]], best: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write trials.csv of the trials `found` (from `utils.training.study.lines`), best.json of the options `best` with
    the facts about the search, and search.png."""
    with files.atomic_file(folder / "trials.csv") as path, open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, found[0].keys(), lineterminator="\n")
        out.writeheader()
        out.writerows(found)
    with files.atomic_file(folder / "search.png") as path:
        pictures.search(path, found, facts)
    files.write_text(str(folder / "best.json"), json.dumps(best | {"found": facts}, indent=1) + "\n")
