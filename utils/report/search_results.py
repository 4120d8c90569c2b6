"""Write the results of a search for options: trials.csv, search.png, best.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from utils.report import figures, pictures
from utils.runs import files


def write(folder: Path, trials: list[dict[str, Any]], best: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write trials.csv of the trials (from `utils.training.study.lines`), best.json of the best options with the facts
    about the search, and search.png."""
    files.write_text(folder / "trials.csv", pd.DataFrame(trials).to_csv(index=False, lineterminator="\n"))
    pictures.write(folder / "search.png", figures.search(trials, facts), 2)
    files.write_text(folder / "best.json", json.dumps(best | {"found": facts}, indent=1) + "\n")
