"""What evaluate.py found out about a run, left beside it for whoever shows it."""

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
DRAWN = "pictured"  # what only the report's plots take


def write(run: Run, facts: dict[str, Any]) -> None:
    """Write the entry of --json's `runs` into the folder of the `Run`, with a checksum and which run it is of."""
    said = json.dumps({name: value for name, value in facts.items() if name != DRAWN}, allow_nan=False)
    digest = hashlib.sha256(said.encode()).hexdigest()
    files.write_text(run.folder / NAME, json.dumps({"run": run.sha256, "sha256": digest, "facts": said}) + "\n")


def read(run: Run) -> dict[str, Any] | None:
    """Read the facts that `keep` wrote; None where the run was not judged since it was trained. A `UserError` where the
    file is damaged."""
    path = run.folder / NAME
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.get("run") != run.sha256:  # another was trained meanwhile
            return None
        if hashlib.sha256(stored["facts"].encode()).hexdigest() != stored["sha256"]:
            raise ValueError
        return json.loads(stored["facts"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged; python evaluate.py --run {run.folder} writes it anew") from None
