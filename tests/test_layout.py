"""The import direction of the repository: scripts -> models -> utils, and Keras only where it belongs."""

import ast
import subprocess
import sys

import pytest
from conftest import REPOSITORY

SCRIPTS = {"train", "evaluate", "recommend", "tune", "export", "app"}
FILES = sorted(p for place in ("*.py", "models/*.py", "utils/**/*.py") for p in REPOSITORY.glob(place))
HEAVY = {"keras", "tensorflow", "sklearn"}


def imported(path):
    """Every dotted name that a file imports anywhere in it, from-imports with the imported name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_imports_point_one_way(path):
    place = path.relative_to(REPOSITORY).parts[0] if path.parent != REPOSITORY else "scripts"
    for name in imported(path):
        top, second = [*name.split("."), ""][:2]
        assert top not in SCRIPTS, f"{path.name} imports the script {top}"
        assert not (place == "utils" and top == "models"), f"{path.name} imports {name}"
        if place == "models":
            part = second.startswith("_") or not (REPOSITORY / "models" / f"{second}.py").exists()
            part |= path.name == "_linear.py"  # which is EASE as a part of another model
            assert top != "models" or part, f"{path.name} imports the architecture {name}"
        assert top != "streamlit" or path.name == "app.py" or path.parent.name == "app", f"{path.name} imports {name}"
        if top in HEAVY:
            assert place == "models" or path.name == "training.py", f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_no_file_is_longer_than_350_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


def test_reading_metrics_and_closed_form_models_do_not_import_tensorflow():
    code = (
        "import sys, models; from utils import datasets, splits, evaluation, latent, methods, runs, biases, training;"
        "[models.module(m) for m in ('bias', 'popularity', 'itemknn')];"
        "sys.exit(bool({'tensorflow', 'keras', 'sklearn', 'torch', 'jax'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0
