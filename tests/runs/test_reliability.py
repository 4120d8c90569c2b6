"""Trainings that are killed, disks that fill, files that are damaged, losses that explode: what docs/reliability.md
promises. The long ones are marked slow."""

import contextlib
import csv
import errno
import hashlib
import itertools
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, eagerly, write_checkerboard

import evaluate
import recommend
import train
from utils.data.reading import textfiles
from utils.errors import UserError
from utils.runs import arrays, atomic, evaluation_results, run_folder
from utils.training import checkpoint, fit

QUICK = ("--hidden", "8", "--epochs", "2")


def script(name, *arguments, **options):
    """A script of the repository as a process of its own."""
    words = [sys.executable, str(REPOSITORY / name), *map(str, arguments)]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, **piped | options)


def weights(folder):
    """sha256 of what the networks of a run have learned."""
    digest, run = hashlib.sha256(), run_folder.Run(folder)
    for file in filter(run.has_file, ("latent.npz", "stars.npz")):
        for name, values in sorted(run.arrays(file).items()):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


# -- killed ------------------------------------------------------------------------------------------------------------

TRAININGS = {
    "keras": "autorec --hidden 16 --epochs 400 --patience 40 --batch-size 8",
    "default": "joint --hidden 16 --epochs 400 --patience 10 --batch-size 8",
    # a kill costs several epochs
    "seldom": "joint --hidden 16 --epochs 400 --patience 10 --batch-size 8 --checkpoint-every 0.5",
    "lbfgs": "autorec --hidden 16 --epochs 250 --patience 40 --optimizer lbfgs --dropout 0",
    "alternating": "recvae --hidden 16,8 --epochs 150 --patience 40",
}


def epochs_done(checkpoints):
    """{phase: epochs that its checkpoint holds}."""
    epochs = {}
    for path in checkpoints.glob("*.npz"):
        with contextlib.suppress(OSError), np.load(path) as stored:  # done and deleted meanwhile
            epochs[path.stem] = len(json.loads(str(stored["state"]))["history"])
    return epochs


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRAININGS)
def test_a_training_killed_twenty_times_ends_with_the_same_weights(kind, tmp_path):
    """The kills are spread over the epochs of all phases: before validation stops the training, of movies' rows where
    the model has them, and of training again."""
    write_checkerboard(tmp_path / "data", 120, 60)
    often = [] if "--checkpoint-every" in TRAININGS[kind] else ["--checkpoint-every", "0"]
    command = [*TRAININGS[kind].split(), *often, "--data", tmp_path / "data", "--run"]
    start = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    assert script("train.py", *command, tmp_path / "whole", **quiet).wait() == 0
    run, rng, killed = run_folder.Run(tmp_path / "whole"), np.random.default_rng(0), []
    epoch = run.config["seconds"] / len(run.history)  # seconds
    first = sum(row["phase"] == "train" for row in run.history)
    assert first < run.config["options"]["epochs"]  # early stopping has ended it
    options = run.config["options"]
    more = [options["movie_epochs"]] if "movie_epochs" in options else []  # the history lacks them
    targets = sorted(rng.choice(np.arange(1, len(run.history) + sum(more) - 1), 20, replace=False).tolist())
    checkpoints = tmp_path / "killed.checkpoint"
    while not (tmp_path / "killed" / "MANIFEST").exists():
        resume = ["--resume"] if epochs_done(checkpoints) else []
        process = script("train.py", *command, tmp_path / "killed", *resume, **quiet)
        while len(killed) < 20 and process.poll() is None:
            time.sleep(epoch / 4)
            done = epochs_done(checkpoints)
            if sum(done.values()) >= targets[len(killed)]:
                time.sleep(rng.uniform(0, 2 * epoch))  # anywhere in an epoch, a checkpoint being written included
                process.send_signal(signal.SIGKILL)
                if process.wait() == -signal.SIGKILL:
                    killed.append(len(done))
        assert process.wait() in (0, -signal.SIGKILL)
    assert len(killed) == 20
    assert set(killed) == {*range(1, 3 + len(more))}  # in every phase
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "killed", "whole"]
    print(f"{kind}: {time.perf_counter() - start:.0f} s")


def test_a_second_training_into_a_folder_is_refused_and_a_dead_one_holds_no_lock(planted, tmp_path):
    folder = tmp_path / "run"
    command = ["bias", "--data", str(planted[0]), "--run", str(folder)]
    with run_folder.locked(folder), pytest.raises(UserError, match="is being trained into by another process"):
        train.main(command)
    assert not folder.exists()
    holder = (
        "import sys, time; from utils.runs import run_folder; lock = run_folder.locked(sys.argv[1]);"
        "lock.__enter__(); print('held', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", holder, str(folder)]
    process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="is being trained into"):
        train.main(command)
    process.kill()
    process.wait()
    train.main(command)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


# -- disk full ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk(limit):
    """Files can grow to `limit` bytes, which stands for what is left on the disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("name", ["bias", "autorec", "blend"])
def test_a_disk_that_is_full_at_any_write_leaves_what_was_there(name, run_of, planted, tmp_path, capsys):
    """For each file of the run, once, there is room for three quarters of it."""
    more = {"autorec": QUICK, "blend": ("--parts", "itemknn,bias"), "bias": ()}[name]
    folder = tmp_path / "run"
    shutil.copytree(run_of(name, *more), folder)
    for extra in ("reconstruction.png", "findings.json"):  # which evaluate.py writes
        (folder / extra).unlink(missing_ok=True)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    recommend.main(["--user", "1", "--run", str(folder), "--csv", "-"])
    answer = capsys.readouterr().out
    limits = sorted({len(content) * 3 // 4 for path, content in before.items() if path.suffix != ".png"})
    for limit in [0, *limits]:
        with full_disk(limit), eagerly(), pytest.raises(UserError, match=r"can't be written"):
            train.main([name, *more, "--data", str(planted[0]), "--run", str(folder)])
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        capsys.readouterr()
        recommend.main(["--user", "1", "--run", str(folder), "--csv", "-"])
        assert capsys.readouterr().out == answer
        left = {path.name for path in tmp_path.iterdir()}
        assert left <= {"run", "run.checkpoint", "run.parts"}, left
    with eagerly():
        train.main([name, *more, "--data", str(planted[0]), "--run", str(folder)])
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize("name", ["bias", "autorec"])
@pytest.mark.parametrize("call", ["fsync", "rename", "replace"])
def test_a_disk_that_is_full_when_names_are_written_leaves_what_was_there(name, call, planted, tmp_path, monkeypatch):
    """The n-th call fails, for every n until none is left to fail; of autorec only the first, a checkpoint's."""
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    command = [name, *(QUICK if name == "autorec" else ()), "--data", str(planted[0]), "--run", str(tmp_path / "run")]
    train.main(["bias", *command[-4:]])
    content = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    real, refused, failed = getattr(os, call), 0, 0
    for n in range(1, 2 if name == "autorec" else 100):
        calls = itertools.count(1)

        def failing(*arguments, n=n, calls=calls):
            if next(calls) == n:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments)

        monkeypatch.setattr(os, call, failing)
        try:
            with eagerly():
                train.main(command)
        except UserError as error:
            failed += 1
            refused += "can't be written: No space left" in str(error)
            assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == content
            assert {path.name for path in tmp_path.iterdir()} <= {"run", "run.checkpoint"}
        else:  # a folder's own flush may fail without a loss; or there was no n-th call
            if next(calls) <= n:
                break
            content = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
        monkeypatch.setattr(os, call, real)
    assert failed == refused
    assert refused or (name, call) in {("bias", "replace"), ("autorec", "rename")}


def test_logs_that_can_not_be_written_end_in_a_sentence(planted, tmp_path, monkeypatch, capsys):
    command = ["autorec", *QUICK, "--data", str(planted[0]), "--run", str(tmp_path / "run"), "--tensorboard"]
    (tmp_path / "run.tensorboard").touch()
    with eagerly(), pytest.raises(UserError, match=r"run\.tensorboard can't be written: .*is not a directory"):
        train.main(command)
    (tmp_path / "run.tensorboard").unlink()
    monkeypatch.setattr(checkpoint, "_save", lambda *_: None)  # checkpoints, which are larger, would fail first
    with full_disk(1000), eagerly(), pytest.raises(UserError, match=r"run\.tensorboard can't be written"):
        train.main(command)
    assert not (tmp_path / "run").exists()


def test_a_run_that_nothing_can_be_left_beside_is_judged_all_the_same(run_of, painted, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run_of("autorec", *QUICK), folder)
    for name in ("reconstruction.png", "findings.json"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()  # what refuses root, too
    capsys.readouterr()
    evaluate.main(["--run", str(folder), "--json", str(tmp_path / "r.json")])
    printed = capsys.readouterr()
    assert json.loads((tmp_path / "r.json").read_text())["runs"][0]["metrics"]["rmse"]["value"] > 0
    assert "rmse" in printed.out.lower()
    assert printed.err.count("can't be written") == 2


def test_answers_that_can_not_be_written_leave_nothing(run_of, tmp_path):
    folder = run_of("autorec", *QUICK)
    for options in ("--user 1 --json", "--user 1 --csv", "--all-users --csv", "--all-users --parquet"):
        with full_disk(40), pytest.raises(UserError, match="can't be written"):
            recommend.main([*options.split(), str(tmp_path / "out"), "--run", str(folder)])
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [40, 4000])
def test_judging_on_a_full_disk_leaves_what_was_there(limit, run_of, painted, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run_of("autorec", *QUICK), folder)
    (folder / "reconstruction.png").write_bytes(b"earlier")
    command = ["--run", str(folder), "--report", str(tmp_path / "r.html"), "--json", str(tmp_path / "r.json")]
    with full_disk(limit), pytest.raises(UserError, match="can't be written"):
        evaluate.main(command)
    assert (folder / "reconstruction.png").read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole_below", [arrays.WHOLE, 0], ids=["whole", "in part"])
@pytest.mark.parametrize("flips", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_flipped_bytes_never_give_a_wrong_answer(flips, whole_below, run_of, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(arrays, "WHOLE", whole_below)  # arrays of this size are read in part
    whole, copy = run_of("autorec", *QUICK), tmp_path / "copy"
    shutil.copytree(whole, copy)
    questions = (["--user", "3"], ["--rate", "planted 3=5"], ["--like-movie", "planted 5"])
    capsys.readouterr()

    def answers():
        """The answers to the three questions, or the message of a refusal."""
        try:
            for arguments in questions:
                recommend.main([*arguments, "--run", str(copy), "--csv", "-"])
        except UserError as error:
            return str(error)
        return capsys.readouterr().out

    right, rng, noticed = answers(), np.random.default_rng(1), 0
    files = sorted(path for path in copy.iterdir() if path.name not in run_folder.ADDED)
    for path in itertools.islice(itertools.cycle(files), flips):  # each file equally often
        content = path.read_bytes()
        at = int(rng.integers(len(content)))
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :])
        with pytest.raises(UserError, match=f"{path.name} is damaged|MANIFEST|is no run folder|damaged or missing"):
            run_folder.Run(copy).verify()
        answer = answers()
        noticed += answer != right  # a damaged file that is not read changes nothing
        assert answer == right or path.name in answer or path.name == "MANIFEST"
        capsys.readouterr()
        path.write_bytes(content)
    assert noticed > 0.4 * flips
    for path in files:
        content = path.read_bytes()
        last_line = content.rstrip(b"\n").rfind(b"\n") + 1 if path.name == "MANIFEST" else len(content) - 1
        for length in (0, len(content) // 2, last_line):
            path.write_bytes(content[:length])
            with pytest.raises(UserError, match=path.name if path.name != "MANIFEST" else "MANIFEST|damaged"):
                run_folder.Run(copy).verify()
        path.write_bytes(content)
    assert answers() == right


def test_no_verify_reads_without_comparing(run_of, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run_of("bias"), folder)
    text = (folder / "movies.json").read_text()
    (folder / "movies.json").write_text(text.replace("Planted", "Changed"))
    with pytest.raises(UserError, match=r"movies\.json is damaged"):
        recommend.main(["--user", "1", "--run", str(folder)])
    recommend.main(["--user", "1", "--run", str(folder), "--no-verify"])
    assert "Changed" in capsys.readouterr().out


# -- no code from data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("title", ['=HYPERLINK("http://x")', "+1", "-2+3", "@SUM(A1)", "<script>alert(1)</script>"])
def test_titles_are_text_in_tables(title, tmp_path, capsys):
    write_checkerboard(tmp_path / "d")
    with open(tmp_path / "d" / "movies.csv", "w", newline="") as file:
        rows = [[m + 1, f"{title} {m}", title] for m in range(24)]
        csv.writer(file).writerows([["movieId", "title", "genres"], *rows])
    train.main(["bias", "--data", str(tmp_path / "d"), "--run", str(tmp_path / "run")])
    capsys.readouterr()
    recommend.main(["--user", "1", "--run", str(tmp_path / "run"), "--csv", "-"])
    of_one = capsys.readouterr().out
    recommend.main(["--all-users", "--run", str(tmp_path / "run"), "--csv", str(tmp_path / "all.csv")])
    for text in (of_one, (tmp_path / "all.csv").read_text()):
        for row in list(csv.reader(text.splitlines()))[1:]:
            assert not any(value.startswith(("=", "+", "@", "-2")) for value in row)
            assert any(value.removeprefix("'").startswith(title) for value in row)


# -- numbers stay numbers ----------------------------------------------------------------------------------------------


def test_a_loss_that_explodes_ends_the_training_and_keeps_the_best_weights(planted, tmp_path, monkeypatch, capsys):
    real, calls = fit._finite, []

    def exploding(value, what, number, *where):
        calls.append(number)
        return real(np.nan if number == 2 and what == "loss" else value, what, number, *where)

    monkeypatch.setattr(fit, "_finite", exploding)
    command = ["autorec", "--hidden", "8", "--epochs", "9", "--data", str(planted[0]), "--run", str(tmp_path / "run")]
    message = r"loss became nan in epoch 3, batch 1 of \d+; .*--learning-rate.* best weights .* saved"
    with pytest.raises(UserError, match=message):
        train.main(command)
    run = run_folder.Run(tmp_path / "run")
    assert [row["epoch"] for row in run.history] == ["1", "2"]
    assert not run.config["refit"]
    recommend.main(["--user", "1", "--run", str(tmp_path / "run")])
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_loss_that_explodes_at_once_leaves_nothing(planted, tmp_path):
    command = ["autorec", "--hidden", "8", "--optimizer", "sgd", "--learning-rate", "1e30", "--batch-size", "8"]
    with pytest.raises(UserError, match=r"became (nan|inf) in epoch 1, batch"):
        train.main([*command, "--data", str(planted[0]), "--run", str(tmp_path / "run")])
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_can_not_be_resumed_is_kept(planted, tmp_path):
    checkpoint = tmp_path / "run.checkpoint" / "train.npz"
    checkpoint.parent.mkdir()
    command = ["autorec", *QUICK, "--data", str(planted[0]), "--run", str(tmp_path / "run"), "--resume"]
    np.savez(checkpoint, state=json.dumps({"signature": "another"}))
    for message in ("other data, options or versions", "is damaged"):
        before = checkpoint.read_bytes()
        with eagerly(), pytest.raises(UserError, match=message):
            train.main(command)
        assert checkpoint.read_bytes() == before
        checkpoint.write_bytes(before[:-50])


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_checkpoint_that_can_not_be_read_is_not_called_damaged_and_is_kept(number, planted, tmp_path, monkeypatch):
    checkpoint = tmp_path / "run.checkpoint" / "train.npz"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"days of work")
    load = np.load

    def refused(path, **options):
        if path != checkpoint:
            return load(path, **options)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(np, "load", refused)
    command = ["autorec", *QUICK, "--data", str(planted[0]), "--run", str(tmp_path / "run"), "--resume"]
    with eagerly(), pytest.raises(UserError) as error:
        train.main(command)
    assert str(error.value).startswith(f"{checkpoint} can't be read ({os.strerror(number)})")
    assert ("chmod" in str(error.value)) == (number == errno.EACCES)
    assert "anew" not in str(error.value)
    assert checkpoint.read_bytes() == b"days of work"


def test_a_kill_between_two_renames_loses_no_run(planted, run_of, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(run_of("bias"), folder)
    folder.rename(tmp_path / ".run.abcd_123.old")  # as a kill leaves it where the system can't exchange names
    shutil.copytree(run_of("bias"), tmp_path / ".run.abcd_123")
    with run_folder.locked(folder):
        run_folder.Run(folder).verify()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]

    before = (folder / "MANIFEST").stat().st_mtime_ns
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    rename = Path.rename

    def stopped(path, target):
        if Path(target) == folder and not path.name.endswith(".old"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt):
        train.main(["bias", "--data", str(planted[0]), "--run", str(folder)])
    assert (folder / "MANIFEST").stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_cut_file_is_named_without_checksums_too(run_of, tmp_path):
    for name in ("config.json", "metrics.json", "ratings.npz", "weights.npz", "movies.json"):
        folder = tmp_path / name
        shutil.copytree(run_of("bias"), folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(UserError, match=re.escape(name)):
            recommend.main(["--user", "1", "--run", str(folder), "--no-verify"])


@pytest.mark.parametrize(("number", "message"), [(1, "an older version"), (99, "a newer version"), ("x", "is damaged")])
def test_a_run_of_another_version_is_refused_with_what_to_do(number, message, run_of, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_of("bias"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"format": number}))
    with pytest.raises(UserError, match=rf"{message}.*train again"):
        recommend.main(["--user", "1", "--run", str(folder), "--no-verify"])


def test_findings_are_those_of_the_run_beside_them(run_of, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    shutil.copytree(run_of("bias"), one)
    shutil.copytree(run_of("itemknn"), other)
    run = run_folder.Run(one)
    evaluation_results.write(run, {"model": "bias"})
    assert evaluation_results.read(run) == {"model": "bias"}
    shutil.copy(one / evaluation_results.NAME, other)  # as when a training replaces the run that is being judged
    assert evaluation_results.read(run_folder.Run(other)) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("more", [["--user", "1"], ["--all-users", "--csv", "-"]])
def test_a_full_standard_output_is_a_sentence(more, run_of):
    with open("/dev/full", "w") as full:
        process = script("recommend.py", *more, "--run", run_of("bias"), stdout=full)
        _, error = process.communicate()
    assert process.returncode == 2
    assert "can't be written" in error
    assert "Traceback" not in error


def test_no_name_steers_the_terminal(planted, run_of, tmp_path, capsys):
    folder = tmp_path / "run\x1b[31m"
    shutil.copytree(run_of("bias"), folder)
    evaluate.main(["--run", str(folder)])
    recommend.main(["--user", "1", "--run", str(folder), "--csv", str(tmp_path / "\x1b.csv")])
    recommend.main(["--all-users", "--run", str(folder), "--csv", str(tmp_path / "\x1b.csv")])
    train.main(["bias", "--data", str(planted[0]), "--run", str(folder)])
    printed = capsys.readouterr()
    assert "run" in printed.out
    assert "\x1b" not in printed.out + printed.err


def test_a_line_without_an_end_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"title,rating\nHeat,5\n" + b"0" * (3 << 20))
    with pytest.raises(UserError, match=r"a\.csv:3: a line of 1,048,576 characters or more"):
        list(textfiles.rows(path, ",", 1))


# -- load --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_eight_processes_answer_right_while_a_training_writes_another_run(run_of, planted, tmp_path):
    folder = run_of("autorec", *QUICK)

    def ask(user):
        process = script("recommend.py", "--user", user, "--run", folder, "--json", "-")
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        return [(item["movieId"], item["score"]) for item in json.loads(out)["items"]]

    alone = {user: ask(user) for user in range(1, 9)}
    words = (*TRAININGS["keras"].replace("patience 40", "patience 400").split(), "--data", planted[0])
    words += ("--run", tmp_path / "other")
    beside = script("train.py", *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with ThreadPoolExecutor(8) as pool:
        rounds = 0
        while beside.poll() is None:
            assert dict(zip(alone, pool.map(ask, alone), strict=True)) == alone
            rounds += 1
    assert rounds > 1
    assert beside.returncode == 0


@pytest.mark.slow
def test_a_gigabyte_of_garbage_is_refused_without_being_read(tmp_path):
    with open(tmp_path / "big.csv", "wb") as file:
        block = np.random.default_rng(0).integers(32, 127, 1 << 20, np.uint8).tobytes().replace(b",", b";")
        for _ in range(1024):
            file.write(block)
    start = time.perf_counter()
    command = [sys.executable, str(REPOSITORY / "train.py"), "bias", "--data", "big.csv", "--run", "run"]
    limited = ["bash", "-c", 'ulimit -v 4000000; exec "$@"', "bash", *command]
    process = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert process.returncode == 2, process.stderr
    assert len(process.stderr.strip().splitlines()) <= 2
    assert "big.csv" in process.stderr
    assert time.perf_counter() - start < 60
    assert not (tmp_path / "run").exists()


def test_evaluate_says_nothing_of_a_run_that_is_not_whole(run_of, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_of("bias"), folder)
    (folder / "weights.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"weights\.npz is damaged"):
        evaluate.main(["--run", str(folder)])
