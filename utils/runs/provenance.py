"""What produced a run or a figure: versions of the libraries, the commit, the code, the time."""

import contextlib
import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_version = cache(version)  # which reads a file each time; a blend asks for each of its parts
TRACKED = ("tensorflow", "keras", "numpy", "scipy", "pandas", "scikit-learn", "myfm", "matplotlib", "plotly", "jinja2")


def now() -> str:
    """Return the time in UTC as ISO 8601 text to the microsecond, which sorts by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def versions() -> dict[str, str]:
    """Return {library: version} of what figures may depend on, with Keras's backend where Keras is in use."""
    known = {}
    for name in TRACKED:
        with contextlib.suppress(PackageNotFoundError):
            known[name] = _version(name)
    if "keras" in sys.modules:
        known["backend"] = sys.modules["keras"].backend.backend()
    return known


def commit() -> str | None:
    """Return the commit of the code, with + where the working tree differs from it; None outside a git checkout."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def sources(root: Path) -> str:
    """Return a sha256 (hex) of all modules of models and utils under `root`. Unlike a commit it tells modified working
    trees apart, and needs no git."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in ("models", "utils") for path in (root / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()} {path.stat().st_size} ".encode() + path.read_bytes())
    return digest.hexdigest()
