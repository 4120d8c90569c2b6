"""README.md, CONTRIBUTING.md and docs/: what they link to, name and show is there, and the example of a model works."""

import contextlib
import importlib
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import REPOSITORY
from packaging.specifiers import SpecifierSet

import models
import train
from models.ensemble import blend_parts
from utils.errors import UserError

README, CONTRIBUTING = REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"
PAGES = [README, CONTRIBUTING, REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
FOLDERS = ("benchmarks", "docs", "models", "tests", "utils")  # a path that begins so is one of the repository
SCRIPTS = ("train", "tune", "evaluate", "recommend", "export")
FOREIGN = {"--logdir", "--server"}  # options of TensorBoard and Streamlit
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )?(?:\.venv/bin/)?python (?:-m )?([\w./]+)(.*)")
EXAMPLE = "slopeone"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def inline(page: Path) -> list[str]:
    """What stands in single backticks, outside of blocks."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", FENCED.sub("", text_of(page)))]


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """(script or module, arguments) of every Python command on a page, in blocks and in the text."""
    blocks = "\n".join(FENCED.findall(text_of(page))).splitlines()
    found = [COMMAND.match(line) for line in [*blocks, *inline(page)]]
    return [(match[1], shlex.split(match[2], comments=True)) for match in found if match]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def options_of(script: str, model: str | None = None) -> set[str]:
    """The options that the help of a script lists, of train.py and tune.py with those of a model."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # without an encoding the help has no box
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        importlib.import_module(script).main([*([model] if model else []), "--help"])
    printed.seek(0)
    entries = re.findall(r"^│ (-.*)", printed.read(), re.MULTILINE)
    return {name for entry in entries for name in re.findall(r"--?[a-z][\w-]*", entry.split("  ")[0])}


def known_options(script: str, arguments: list[str]) -> set[str]:
    """The options that a script or module of the repository takes."""
    if script.removesuffix(".py") in SCRIPTS:
        model = arguments[0] if arguments and arguments[0] in models.MODELS else None
        extra = {"--list"} if script == "train.py" else set()
        return options_of(script.removesuffix(".py"), model) | extra
    path = REPOSITORY / (script if script.endswith(".py") else script.replace(".", "/") + ".py")
    return set(re.findall(r"--[a-z][\w-]*", text_of(path)))


@EVERY_PAGE
def test_no_page_has_two_versions_of_a_passage(page):
    assert not re.findall(r"^(?:<{7}|>{7}|={7}$).*", text_of(page), re.MULTILINE)


@EVERY_PAGE
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text_of(page))):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@EVERY_PAGE
def test_every_command_names_options_that_there_are(page):
    for script, arguments in commands(page):
        if arguments[:1] == [EXAMPLE]:
            continue
        if script == "pytest":
            assert all((REPOSITORY / argument).exists() for argument in arguments if "/" in argument), arguments
            continue
        options = {argument.split("=")[0] for argument in arguments if re.match(r"--?[a-z]", argument)}
        assert options <= known_options(script, arguments), (script, arguments)


@EVERY_PAGE
def test_every_training_command_is_understood(page):
    for script, arguments in commands(page):
        placeholder = any(re.search(r"\b[A-Z]{4,}\b|\.\.\.", argument) for argument in arguments)
        if script == "train.py" and not placeholder and not {"--list", "--help", "--config", EXAMPLE} & set(arguments):
            name, _, config = train.parse(arguments)
            assert name == (train.DEFAULT if not arguments or arguments[0].startswith("-") else arguments[0])
            if name == "blend":
                for part in blend_parts.split(config.parts):
                    blend_parts.read(part)


@EVERY_PAGE
def test_every_option_in_the_text_is_one_of_a_script_or_of_a_model(page):
    known = set().union(*(options_of(script) for script in SCRIPTS)) | {"--list"}
    for name in models.MODELS:
        fields = {field.replace("_", "-") for field in models.module(name).Config.__dataclass_fields__}
        known |= {f"--{prefix}{field}" for field in fields for prefix in ("", "no-")}
    named = {name for code in inline(page) if code.startswith("--") for name in re.findall(r"--[a-z][\w-]*", code)}
    assert named <= known | FOREIGN


@EVERY_PAGE
def test_every_file_that_is_named_is_there(page):
    for code in inline(page):
        if EXAMPLE in code or "MODEL" in code:
            continue
        if re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./-]*", code):
            assert (REPOSITORY / code).exists(), code
        elif re.fullmatch(r"\w+\.py|requirements[\w-]*\.txt", code):
            places = (REPOSITORY.glob(code), (REPOSITORY / "benchmarks").glob(code), (REPOSITORY / "tests").rglob(code))
            assert any(any(place) for place in places), code


@EVERY_PAGE
def test_every_test_that_is_named_is_there(page):
    functions = "".join(map(text_of, (REPOSITORY / "tests").rglob("test_*.py")))
    for code in inline(page):
        if re.fullmatch(r"test_\w+", code):
            assert f"def {code}(" in functions, code


def test_the_readme_is_short():
    lines = text_of(README).splitlines()
    assert len(lines) <= 220
    assert [line for line in lines if len(line) > 150 and not line.startswith("|")] == []


def test_the_readme_has_a_line_for_every_model():
    rows = re.findall(r"^\| `(\w+)`.*\|$", text_of(README).split("## Models")[1].split("\n## ")[0], re.MULTILINE)
    assert sorted(rows) == models.names(), "the table under Models in README.md has a row for each model"


@pytest.mark.parametrize("name", sorted(set(models.MODELS) - {"blend"}))
def test_the_readme_says_which_models_take_new_users(name):
    told = re.search(rf"^\| `{name}`[^|]*\|[^|]*\| ([^|]*) \|", text_of(README), re.MULTILINE)[1]

    def takes_new_users(*options: str) -> bool:
        return models.build(name, (3, 4), train.parse([name, *options])[2]).takes_new_users

    able, default = {}, takes_new_users()
    for rows in ("users", "movies"):
        with contextlib.suppress(UserError):  # of models that don't have this option, or not this value
            able[rows] = takes_new_users("--rows", rows)
    if able == {"users": True, "movies": False}:
        assert told == ("yes, with users as rows" if default else "with `--rows users`")
    else:
        assert told == ("yes" if default else "no")


def test_every_page_of_docs_is_listed_in_the_readme():
    listed = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", text_of(README).split("## Documentation")[1]))
    assert listed == {page.name for page in PAGES if page.parent.name == "docs"}


def test_hosted_tests_and_pre_commit_take_the_versions_that_make_takes():
    hosted = re.search(r"python: \[(.*)\]", text_of(REPOSITORY / ".github" / "workflows" / "ci.yml"))[1]
    assert hosted.replace('"', "") == "3.11, 3.12, 3.13"
    version = re.search(r"ruff-pre-commit\n +rev: v(\S+)", text_of(REPOSITORY / ".pre-commit-config.yaml"))[1]
    allowed = re.search(r"^ruff(\S+)", text_of(REPOSITORY / "requirements-dev.txt"), re.MULTILINE)[1]
    assert version in SpecifierSet(allowed)


DRIVER = """
import sys
sys.path[:0] = [".", "tests"]
import recommend, test_{name}, train
test_{name}.{test}()
train.main(["{name}", "--data", "ratings.csv", "--protocol", "all", "--run", "run", "--damping", "0.01"])
for user in range(9):
    recommend.main(["--run", "run", "--user", str(user), "-n", "1", "--json", f"{{user}}.json"])
"""


def write_additive(file: Path) -> dict[int, tuple[int, float]]:
    """Ratings of 8 movies by 9 users, each the sum of what the movie and what the user adds. A user lacks two movies:
    {user: (the better one, the rating that it would get)}."""
    lines, better = ["userId,movieId,rating"], {}
    for user in range(9):
        lacks, adds = (user % 8, (user + 3) % 8), 0.5 + user // 3 / 2
        lines += [f"{user},{movie},{movie / 2 + adds}" for movie in range(8) if movie not in lacks]
        better[user] = max(lacks), max(lacks) / 2 + adds
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return better


def test_the_example_of_a_model_works(tmp_path):
    model, line, its_test = re.findall(r"^```python\n(.*?)^```$", text_of(CONTRIBUTING), re.MULTILINE | re.DOTALL)
    for name in ("models", "utils"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train.py", "recommend.py"):
        shutil.copy(REPOSITORY / name, tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / f"test_{EXAMPLE}.py").write_text(its_test, encoding="utf-8")
    (tmp_path / "models" / f"{EXAMPLE}.py").write_text(model, encoding="utf-8")
    table = tmp_path / "models" / "__init__.py"
    before, after = text_of(table).split('    "sparsefc": ', 1)
    table.write_text(f'{before}{line}    "sparsefc": {after}', encoding="utf-8")
    better = write_additive(tmp_path / "ratings.csv")

    driver = DRIVER.format(name=EXAMPLE, test=re.search(r"^def (\w+)", its_test, re.MULTILINE)[1])
    ended = subprocess.run([sys.executable, "-c", driver], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    for user, (movie, stars) in better.items():
        first = json.loads(text_of(tmp_path / f"{user}.json"))["items"][0]
        assert first["movieId"] == movie
        assert first["predicted_rating"] == pytest.approx(stars, abs=0.01)
