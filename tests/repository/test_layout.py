"""Where things live: packages by topic, imports that point one way, Keras only where it belongs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

import models

SCRIPTS = {"train", "evaluate", "recommend", "tune", "export", "app"}
FILES = sorted(p for place in ("*.py", "models/**/*.py", "utils/**/*.py") for p in REPOSITORY.glob(place))
KERAS = {"keras", "tensorflow"}
MAY_IMPORT = {  # package of utils: the others that it may import; errors, runs and command_line serve all
    "data": {"distributed"},  # a folder of shards is a rating file, too
    "scoring": {"data"},
    "evaluation": {"data", "scoring"},
    "training": {"data", "scoring", "evaluation"},
    "recommend": {"data", "scoring", "evaluation", "distributed"},
    "personal": {"data", "scoring"},
    "report": {"data", "scoring", "evaluation", "training", "recommend"},
    "distributed": {"data", "training"},
    "app": {"data", "scoring", "evaluation", "recommend", "report", "personal"},
    "runs": {"data"},
    "command_line": set(),
    "errors": set(),
}


def imported(path: Path) -> list[str]:
    """Every dotted name that a file imports anywhere in it, from-imports with the imported name; those for the type
    checker alone are left out."""
    tree, names = ast.parse(path.read_text(encoding="utf-8")), []
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_imports_point_one_way(path):
    place = path.relative_to(REPOSITORY).parts if path.parent != REPOSITORY else ("scripts",)
    for name in imported(path):
        top, second = [*name.split("."), ""][:2]
        assert top not in SCRIPTS, f"{path.name} imports the script {top}"
        if place[0] == "utils":
            assert top != "models", f"{path.name} imports {name}"
            own = place[1].removesuffix(".py")
            if top == "utils" and second not in {own, "errors", "runs", "command_line"}:
                assert second in MAY_IMPORT[own], f"{path.name} imports {name}"
        beside = ("linear_path.py", "movie_rows.py")  # EASE and AutoRec as second paths of other models
        if place[0] == "models" and place[-1] not in beside:
            assert not (top == "models" and second in models.MODELS), f"{path.name} imports the model {name}"
        assert top != "streamlit" or path.name == "app.py" or place[:2] == ("utils", "app"), (
            f"{path.name} imports {name}"
        )
        if top in KERAS:
            assert place[0] == "models" or place[1] in ("training", "distributed"), f"{path.name} imports {name}"


def test_no_import_goes_in_a_circle():
    """Of all modules, wherever in the file they import: also within functions, and for the type checker alone."""
    graph = {}
    for path in FILES:
        tree, place = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(REPOSITORY).with_suffix("").parts
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        graph[".".join(place)] = [f"{node.module}.{alias.name}" for node in froms for alias in node.names]
    edges = {m: {o for o in graph for n in names if n == o or n.startswith(f"{o}.")} for m, names in graph.items()}

    def reached(start: str) -> set[str]:
        seen, todo = set(), list(edges[start])
        while todo:
            if (one := todo.pop()) not in seen:
                seen.add(one)
                todo += edges[one]
        return seen

    assert not [module for module in edges if module in reached(module)]


def test_folders_are_small():
    folders = [
        REPOSITORY / "models" / "networks",
        REPOSITORY / "models" / "ensemble",
        *(REPOSITORY / "utils").glob("**/"),
    ]
    for folder in folders:
        names = [path.name for path in folder.glob("*.py")]
        assert len(names) <= 10, f"{folder.name}: {names}"
    assert {path.name for path in (REPOSITORY / "utils").glob("*.py")} == {"__init__.py", "errors.py"}


def test_the_table_of_models_is_the_folder():
    files = {path.stem for path in (REPOSITORY / "models").glob("*.py")} - {"__init__", "base"}
    assert set(models.MODELS) == files == set(models.names())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_no_file_is_longer_than_350_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


def test_reading_metrics_and_closed_form_models_do_not_import_tensorflow():
    code = (
        "import sys, models; from utils.data import datasets, splits; from utils.evaluation import holdout_metrics;"
        "from utils.scoring import latent, biases; from utils.recommend import strategies;"
        "from utils.runs import run_folder; from utils.training import training;"
        "[models.module(m) for m in ('bias', 'popularity', 'itemknn')];"
        "sys.exit(bool({'tensorflow', 'keras', 'sklearn', 'torch', 'jax'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0
