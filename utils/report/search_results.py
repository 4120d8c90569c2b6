"""What is written of a search for people: trials.csv, search.png, best.json."""

import csv
import json

from utils.report import pictures
from utils.runs import files


def write(folder, found, best, facts):
    """Write trials.csv of the `lines` found, best.json of the options `best` with the facts about the search, and
    search.png."""
    with files.whole(folder / "trials.csv") as path, open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, found[0].keys(), lineterminator="\n")
        out.writeheader()
        out.writerows(found)
    with files.whole(folder / "search.png") as path:
        pictures.search(path, found, facts)
    files.write_text(str(folder / "best.json"), json.dumps(best | {"found": facts}, indent=1) + "\n")
