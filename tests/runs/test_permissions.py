"""What the system refuses to read or write gives a sentence, and is not called missing or damaged."""

import errno
import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

import export
import models
import train
from models.ensemble import blend_parts
from utils.command_line import options
from utils.data import datasets
from utils.data.datasets import load
from utils.data.movies import Movies
from utils.data.reading import textfiles
from utils.data.titles import Titles
from utils.distributed import shards
from utils.errors import UserError
from utils.personal.ratings import read_personal
from utils.recommend import everyone
from utils.runs import arrays, atomic, evaluation_results, files, paths, run_folder
from utils.training.training import Training

DRIVER = """
import contextlib, importlib, io, json, os, sys
sys.path.insert(0, sys.argv[1])
os.chdir(sys.argv[2])
from utils.command_line import options
results = []
for command in json.load(sys.stdin):
    sys.argv, errors, status = command, io.StringIO(), 0
    with contextlib.redirect_stderr(errors):
        try:
            options.run(importlib.import_module(command[0].removesuffix(".py")).main)
        except SystemExit as end:
            status = end.code
        except BaseException as error:
            status, errors = 1, io.StringIO(repr(error))
    results.append([status, errors.getvalue()])
sys.stdout.flush()
print("\\n" + json.dumps(results))
"""
DENIED = "can't be read (Permission denied); its owner can allow it (chmod)"


BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]  # root, whom permissions bind


def as_anybody(folder, commands):
    """[(status, standard error), ...] of command lines, run in `folder` by somebody whom permissions bind."""
    before = BOUND if os.geteuid() == 0 else []
    try:
        done = subprocess.run(
            [*before, sys.executable, "-c", DRIVER, str(REPOSITORY), str(folder)],
            input=json.dumps([shlex.split(command) for command in commands]),
            capture_output=True, text=True, timeout=100,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("there is no setpriv, which root needs to be bound by permissions")
    if done.stderr.startswith("setpriv:"):
        pytest.skip(done.stderr)
    return [tuple(one) for one in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture(scope="module")
def place(planted, tmp_path_factory):
    """A folder with data, a run, and the same where something is denied."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copytree(planted[0], folder / "data")
    train.main(["bias", "--data", str(folder / "data"), "--run", str(folder / "runs" / "good")])
    for name, denied in (("nofile", "ratings.csv"), ("nomovies", "movies.csv"), ("nodata", ".")):
        shutil.copytree(folder / "data", folder / name)
        (folder / name / denied).chmod(0)
    for name in ("MANIFEST", "config.json", "."):
        run = folder / "other" / f"without {name}"
        shutil.copytree(folder / "runs" / "good", run)
        (run / name).chmod(0)
    (folder / "shut" / "runs").mkdir(parents=True)
    shutil.copytree(folder / "runs" / "good", folder / "half" / "runs" / "only")
    (folder / "whole" / "runs" / "only").mkdir(parents=True)
    (folder / "whole" / "runs" / "only").chmod(0)
    (folder / "half" / "runs" / "only" / "MANIFEST").chmod(0)
    (folder / "best.json").write_text("{}")
    for name in ("exports", "open"):
        (folder / name).mkdir()
    for name in ("best.json", "exports", "shut/runs"):
        (folder / name).chmod(0)
    for name in ("data", "runs"):
        (folder / name).chmod(0o555)
    yield folder
    for denied in [*folder.glob("*"), *folder.glob("*/*"), *folder.glob("*/runs/*")]:  # or it could not be removed
        denied.chmod(0o755)


def test_what_is_denied_is_a_sentence_in_every_script(place):
    cases = [
        ("train.py bias --data nofile", f"nofile/ratings.csv: can't be read: Permission denied; {paths.ALLOW}"),
        ("train.py bias --data nofile/ratings.csv --describe", "nofile/ratings.csv: can't be read: "),
        ("train.py bias --data nomovies", "nomovies/movies.csv: can't be read: Permission denied"),
        ("train.py bias --data nodata", f"nodata/ratings.csv {DENIED}"),
        ("train.py bias --data nodata/ratings.csv", f"nodata/ratings.csv {DENIED}"),
        ("train.py bias --data data --protocol fixed --test nodata/ratings.csv", DENIED),
        ("train.py bias --data data --run runs/new", "runs/new can't be written: Permission denied"),
        ("train.py bias --data data --run runs/good", "runs/good can't be written: Permission denied"),
        ("train.py bias --data data --run 'other/without .'", f"without . {DENIED}"),
        ("train.py bias --data data --run 'other/without MANIFEST'", f"MANIFEST {DENIED}"),
        ("train.py --config best.json --data data", "best.json: can't be read (Permission denied)"),
        ("recommend.py --user 1 --run 'other/without MANIFEST'", f"without MANIFEST/MANIFEST {DENIED}"),
        ("recommend.py --user 1 --run 'other/without config.json'", f"config.json/config.json {DENIED}"),
        ("recommend.py --user 1 --run 'other/without .'", f"other/without ./MANIFEST {DENIED}"),
        ("recommend.py --ratings nofile/ratings.csv --run runs/good", "nofile/ratings.csv: can't be read: "),
        ("recommend.py --ratings nodata/ratings.csv --run runs/good", "nodata/ratings.csv: can't be read: "),
        ("recommend.py --user 1 --json data/a.json --run runs/good", "data/a.json: can't be written (you may"),
        ("recommend.py --all-users --csv exports/a.csv --run runs/good", "exports/a.csv: can't be written (you may"),
        ("recommend.py --all-users --out exports/a --run runs/good", "exports/a can't be written: Permission denied"),
        ("recommend.py --all-users --out exports --run runs/good", "exports"),
        (f"recommend.py --user 1 --csv open/{'x' * 300} --run runs/good", "can't be written (File name too long)"),
        (f"recommend.py --user 1 --run {'x' * 300}", "there is no run xxx"),
        ("evaluate.py --run 'other/without MANIFEST'", f"MANIFEST {DENIED}"),
        ("evaluate.py --report data/r.html --run runs/good", "can't be written (you may not write to"),
        ("evaluate.py --report exports/r.html --run runs/good", "can't be written (you may not write to"),
        ("evaluate.py --report exports/a/r.html --run runs/good", f"exports/a {DENIED}"),
        ("evaluate.py --report none/r.html --run runs/good", "can't be written (there is no folder"),
        ("export.py --to savedmodel --run runs/good --out exports", f"exports {DENIED}"),
        ("export.py --to savedmodel --run runs/good --out exports/a", f"exports/a {DENIED}"),
        ("tune.py itemknn --data data --out exports", f"exports {DENIED}"),
        ("tune.py itemknn --data data --out exports/a", f"exports/a {DENIED}"),
        ("tune.py itemknn --data data --out runs/a", "runs/a/study.jsonl can't be used (Permission denied)"),
        ("tune.py itemknn --data nofile", "nofile/ratings.csv: can't be read: Permission denied"),
    ]
    results = as_anybody(place, [command for command, _ in cases])
    for (command, message), (status, error) in zip(cases, results, strict=True):
        assert (status, message in error, error.count("\n")) == (2, True, 1), (command, status, error)
        assert error.startswith(f"{command.split()[0]}: "), error


def test_a_folder_of_runs_that_is_denied_is_said_and_not_called_empty(place):
    commands = ["recommend.py --user 1", "evaluate.py", "export.py --to onnx"]
    for status, error in as_anybody(place / "shut", commands):
        assert (status, f"runs {DENIED}" in error, error.count("\n")) == (2, True, 1), error
    for folder, several in (("half", commands), ("whole", commands[:1])):
        for status, error in as_anybody(place / folder, several):
            assert (status, f"runs/only/MANIFEST {DENIED}" in error) == (2, True), error
    ((status, error),) = as_anybody(place / "open", commands[:1])
    assert (status, "no run trained yet: python train.py" in error) == (2, True), error


# -- the same without permissions that bind -----------------------------------------------------------------------


def refusing(monkeypatch, path, *names, number=errno.EACCES):
    """Have the system refuse these calls about a path, and about what is in it."""
    for name in names:
        real = getattr(os, name)

        def refused(target, *arguments, real=real, **options):
            if isinstance(target, str | Path) and Path(path) in (Path(target), *Path(target).parents):
                raise OSError(number, os.strerror(number), str(target))
            return real(target, *arguments, **options)

        monkeypatch.setattr(os, name, refused)


def test_what_is_missing_is_told_from_what_is_denied(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    tests = (paths.is_file, paths.is_folder, paths.is_there)
    for path, expected in (("file", [1, 0, 1]), ("", [0, 1, 1]), ("none", [0] * 3), ("file/x", [0] * 3)):
        assert [test(tmp_path / path) for test in tests] == expected
    for none in ("x" * 5000, "\0"):
        assert not any(test(tmp_path / none) for test in tests)
    for number, hint in ((errno.EACCES, True), (errno.EPERM, True), (errno.EIO, False)):
        with monkeypatch.context() as patch:
            refusing(patch, tmp_path / "file", "stat", number=number)
            for test in tests:
                with pytest.raises(UserError) as error:
                    test(tmp_path / "file")
                assert f"{tmp_path}/file can't be read ({os.strerror(number)})" in str(error.value)
                assert (paths.ALLOW in str(error.value)) == hint
    refusing(monkeypatch, tmp_path, "listdir")
    with pytest.raises(UserError, match="can't be read"):
        paths.names_in(tmp_path)


def test_a_run_that_is_denied_is_not_called_damaged(place, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(place / "runs" / "good", folder)
    opened = open

    def refused(path, *arguments, **options):
        if Path(path).name == denied:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refused)
    monkeypatch.setattr("io.open", refused)
    for denied in ("MANIFEST", "config.json", "findings.json"):
        with pytest.raises(UserError, match=rf"{denied} can't be read \(Permission denied\); its owner"):
            evaluation_results.read(run_folder.Run(folder)) if denied == "findings.json" else run_folder.Run(folder)
    denied = None
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"config\.json is damaged or missing"):
        run_folder.Run(folder)


def test_a_hint_is_no_reason_to_fail(tmp_path, monkeypatch):
    (tmp_path / "denied").mkdir()
    refusing(monkeypatch, tmp_path / "denied", "stat")
    with pytest.raises(UserError, match="no ratings in this folder"):
        datasets.rating_files(tmp_path)
    with pytest.raises(UserError, match="denied can't be read"):
        datasets.rating_files(tmp_path / "denied")


def test_no_read_of_a_text_file_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "r").write_text("x")
    monkeypatch.setattr(
        "builtins.open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(errno.EACCES, "denied"))
    )
    for read in (textfiles.head, textfiles.encoding_of, lambda path: next(textfiles.rows(path, ","))):
        with pytest.raises(UserError, match=r"can't be read.*: denied; its owner can"):
            read(tmp_path / "r")


@pytest.mark.parametrize(("number", "status"), [(errno.EACCES, 2), (errno.EROFS, 2), (errno.ENOENT, None)])
def test_what_is_denied_anywhere_else_is_a_sentence_and_a_bug_is_none(number, status, monkeypatch, capsys):
    def main(_):
        raise OSError(number, os.strerror(number), "some\nfile")

    monkeypatch.setattr(sys, "argv", ["x.py"])
    with pytest.raises(SystemExit if status else OSError) as end:
        options.run(main)
    if status:
        assert end.value.code == status
        assert capsys.readouterr().err == f"x.py: some\\nfile can not be used ({os.strerror(number)})\n"


# -- for whom what is written is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_what_is_written_is_for_those_whom_the_umask_lets_in(mask, planted, tmp_path, monkeypatch):
    before = os.umask(mask)
    try:
        folder = train.main(["bias", "--data", str(planted[0]), "--run", str(tmp_path / "run")])
        monkeypatch.setattr(export, "write", lambda _, __, folder: (folder / "about.json").write_text("exported"))
        made = [folder, export.main(["--to", "onnx", "--run", str(folder), "--out", str(tmp_path / "out")])]
        files.write_text(tmp_path / "text", "")
        with atomic.atomic_directory(tmp_path / "anew") as new:
            within = stat.S_IMODE(new.stat().st_mode)
    finally:
        os.umask(before)
    assert within == 0o777 & ~mask  # from the first
    for path in (*made, tmp_path / "anew"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o777 & ~mask, path
    for path in (*folder.iterdir(), tmp_path / "text"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask, path


def test_new_folders_have_names_that_a_later_run_tidies_up(tmp_path):
    folder = tmp_path / "run"
    contexts = [atomic.atomic_directory(folder) for _ in range(3)]  # never left, as after a kill
    assert len({context.__enter__().name for context in contexts}) == len(list(tmp_path.iterdir())) == 3
    atomic.recover(folder)
    assert not list(tmp_path.iterdir())


def test_a_training_says_which_of_its_folders_it_may_not_look_into(tmp_path, monkeypatch):
    training = Training(checkpoints=tmp_path / "run.checkpoint", finished=tmp_path / "run.parts")
    for name in ("run.checkpoint", "run.parts"):
        with monkeypatch.context() as patch:
            refusing(patch, tmp_path / name, "stat")
            with pytest.raises(UserError, match=rf"{name} can't be read \(Permission denied\)"):
                training.start(resume=True)
    with pytest.raises(UserError, match=r"nothing to resume: there is no .*run\.checkpoint"):
        training.start(resume=True)
    (tmp_path / "run.parts" / "part").mkdir(parents=True)
    assert not training.has_parts
    (tmp_path / "run.parts" / "part" / "MANIFEST").touch()
    assert training.has_parts
    training.start(resume=True)
    monkeypatch.setattr(os, "listdir", lambda _: (_ for _ in ()).throw(PermissionError(errno.EACCES, "denied")))
    with pytest.raises(UserError, match=r"run\.parts can't be read \(denied\)"):
        training.start(resume=True)


def test_finished_parts_parts_of_lists_and_shards_that_are_denied_are_no_missing_ones(tmp_path, monkeypatch, run_of):
    cache = blend_parts.PartCache(tmp_path / "parts")
    place = tmp_path / "parts" / "one"
    shutil.copytree(run_of("bias"), place)
    with monkeypatch.context() as patch:
        refusing(patch, place, "stat")
        with pytest.raises(UserError, match=r"one can't be read \(Permission denied\)"):
            cache.load(place, None)
    with monkeypatch.context() as patch:
        refusing(patch, place / "metrics.json", "stat")
        with pytest.raises(UserError, match=r"metrics\.json can't be read \(Permission denied\)"):
            cache.load(place, None)  # which would be hours of training
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        refusing(patch, out / "part-00000.parquet", "stat")
        with pytest.raises(UserError, match=r"part-00000\.parquet can't be read \(Permission denied\)"):
            everyone.write_parts(
                models.open_run(run_folder.Run(run_of("bias"))), everyone.Request(), out, models.open_run
            )
    shard = tmp_path / "s" / "shard=0"
    shard.mkdir(parents=True)
    (tmp_path / "s" / "shards.json").write_text(json.dumps({"files": 1}))
    refusing(monkeypatch, shard, "stat")
    for read in (lambda: shards.read_shards(tmp_path / "s", [0]), lambda: shards.read_table(tmp_path / "s")):
        with pytest.raises(UserError, match=r"shard=0 can't be read \(Permission denied\)"):
            read()


@pytest.mark.parametrize(("number", "said"), [(errno.EIO, "can't be read"), (None, "is damaged or missing")])
def test_a_file_of_a_run_that_the_system_refuses_is_not_called_damaged(number, said, run_of, monkeypatch):
    run = run_folder.Run(run_of("bias"))
    error = OSError(number, os.strerror(number)) if number else OSError("no archive")
    monkeypatch.setattr(arrays.File, "_check", lambda *_: (_ for _ in ()).throw(error))
    with pytest.raises(UserError, match=rf"weights\.npz {said}"):
        run.arrays("weights.npz")


def test_a_pipe_is_no_file_of_ratings(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UserError, match=r"pipe\.csv: this is not a file"):
        read_personal(tmp_path / "pipe.csv", Titles(Movies.untitled(np.arange(3))), (1, 5))


def test_movies_that_are_no_file_are_said(tmp_path):
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating\n1,1,3\n1,2,4\n")
    assert "no movies.csv beside the ratings: movies are called by their ids" in load(tmp_path).notes
    (tmp_path / "movies.csv").mkdir()
    assert f"{tmp_path / 'movies.csv'} is no file: movies are called by their ids" in load(tmp_path).notes
