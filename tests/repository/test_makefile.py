"""Which Python `make` takes, tried with stand-ins that say what version they are."""

import os
import shutil
import stat
import subprocess
import sys

import pytest
from conftest import REPOSITORY

STUB = """#!/bin/sh
if [ "$1" = -c ]; then
    case "$2" in *ensurepip*) {without} exit 1;; esac
    exec {real} -c "import sys; code = sys.argv[1]; sys.version_info = {version}; exec(code)" "$2"
fi
if [ "$2" = venv ]; then {mkdir} -p "$3/bin"; {copy} "$0" "$3/bin/python"; fi
"""


@pytest.fixture
def made(tmp_path):
    """A function from {name: version} of what is on the PATH, and what make is told, to (status, the commands that it
    prints, errors)."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    tools = {name: shutil.which(name) for name in ("make", "mkdir", "cp", "touch")}
    if not all(tools.values()):
        pytest.skip("there is no make")
    (bin_ / "touch").symlink_to(tools["touch"])

    def run(versions, *words, **more):
        for name, version in versions.items():
            bare, version = len(version) > 2, version[:2]  # a Debian without python3-venv
            text = STUB.format(
                without="" if bare else "true ||",
                real=sys.executable,
                version=(*version, 0),
                mkdir=tools["mkdir"],
                copy=tools["cp"],
            )
            (bin_ / name).write_text(text)
            (bin_ / name).chmod(stat.S_IRWXU)
        venv = tmp_path / "venv"
        outer = {"PYTHON", "VENV", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS"}  # of a `make test` around it
        environment = {name: value for name, value in os.environ.items() if name not in outer}
        command = [tools["make"], f"VENV={venv}", f"{venv}/.requirements", *words]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment | {"PATH": str(bin_)} | more, capture_output=True, text=True
        )
        commands = [line.replace(f"{bin_}/", "").split(" -m ")[0] for line in done.stdout.splitlines()]
        assert (venv / ".requirements").exists() == (done.returncode == 0)
        return done.returncode, commands[0] if commands else None, done.stderr.splitlines()

    return run


ALL = {f"python3.{minor}": (3, minor) for minor in (10, 11, 12, 13, 14)}


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (ALL | {"python3": (3, 14)}, "python3.13"),
        ({"python3.12": (3, 12), "python3.11": (3, 11), "python3": (3, 12)}, "python3.12"),
        ({"python3.11": (3, 11), "python3.14": (3, 14), "python3": (3, 14)}, "python3.11"),
        ({"python3": (3, 11)}, "python3"),
        ({"python3": (3, 13), "python3.14": (3, 14)}, "python3"),
        ({"python3.13": (3, 9), "python3.12": (3, 12)}, "python3.12"),  # which is not what it is called
        ({"python3.13": (3, 13, "without venv"), "python3.12": (3, 12)}, "python3.12"),
    ],
)
def test_make_takes_the_newest_python_that_tensorflow_has(there, taken, made):
    assert made(there) == (0, taken, [])


@pytest.mark.parametrize("there", [{}, {"python3": (3, 14)}, {"python3": (3, 10), "python3.14": (3, 14)}])
def test_where_there_is_none_make_says_what_to_do(there, made):
    status, command, errors = made(there)
    assert (status, command) == (2, None)
    assert errors[0].startswith("no Python from 3.11 to 3.13 is on the PATH")
    assert "make PYTHON=/path/to/python3.13" in errors[0]
    assert len(errors) == 2  # the other is make's own


def test_a_python_that_is_named_is_taken_or_refused(made):
    assert made(ALL, "PYTHON=python3.11") == (0, "python3.11", [])


def test_a_python_that_the_environment_names_is_taken(made):
    assert made(ALL, PYTHON="python3.12") == (0, "python3.12", [])


@pytest.mark.parametrize("name", ["python3.14", "python3.10", "none"])
def test_a_python_that_is_named_and_can_not_be_taken_is_refused(name, made):
    status, command, errors = made(ALL, f"PYTHON={name}")
    assert (status, command) == (2, None)
    assert errors[0].startswith(f"{name} is no Python from 3.11 to 3.13")
    assert len(errors) == 2


def test_the_same_versions_are_named_wherever_they_are():
    text = {name: (REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "Makefile")}
    assert all("Python 3.11, 3.12 or 3.13" in " ".join(said.split()) for said in text.values())
    assert "3.11 or later" not in "".join(text.values())
