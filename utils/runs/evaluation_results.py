"""What is computed of a run once and kept in its folder: the metrics of evaluate.py for the page, the map of movies."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from utils.errors import UserError
from utils.runs import files
from utils.runs.paths import unreadable

if TYPE_CHECKING:
    from utils.runs.run_folder import Run

NAME = "findings.json"


def write(run: Run, facts: dict[str, Any], name: str = NAME) -> None:
    """Write a run's entry of `evaluate.py --json`, or other facts, into a file of its folder, with a checksum and the
    sha256 of the run."""
    facts = {key: value for key, value in facts.items() if key != "pictured"}  # which only the report's plots need
    text = json.dumps(facts, allow_nan=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    files.write_text(run.folder / name, json.dumps({"run": run.sha256, "sha256": digest, "facts": text}) + "\n")


def read(run: Run, name: str = NAME) -> dict[str, Any] | None:
    """Read what `write` wrote; None where it was not written for this training of the run. A `UserError` where the file
    is damaged."""
    path = run.folder / name
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.get("run") != run.sha256:  # the run was trained again since
            return None
        if hashlib.sha256(stored["facts"].encode()).hexdigest() != stored["sha256"]:
            raise ValueError
        return json.loads(stored["facts"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged; python evaluate.py --run {run.folder} writes it again") from None
