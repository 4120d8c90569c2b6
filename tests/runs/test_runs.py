"""Run folders: which one was trained last, and that a run is on the disk before it takes a name."""

import hashlib
import json
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import answer

import evaluate
import recommend
import train
from utils.errors import UserError
from utils.runs import atomic, files, paths, provenance, run_folder


@pytest.fixture(scope="module")
def two(planted, tmp_path_factory):
    """A working folder with two runs, of which `b` was trained first."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("b", "a"):
        train.main(["bias", "--data", str(planted[0]), "--run", str(folder / "runs" / name)])
    return folder


@pytest.fixture
def house(two, tmp_path, monkeypatch):
    """The same, to be changed."""
    shutil.copytree(two, tmp_path / "house")
    monkeypatch.chdir(tmp_path / "house")
    return Path("runs")


def say(run, **facts):
    """Change what a run says of itself, without its MANIFEST being told."""
    config = json.loads((run / "config.json").read_text()) | facts
    (run / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def names():
    return [path.name for path in run_folder.list_runs()]


def test_the_run_trained_last_is_no_copy_of_an_older_one(house, capsys):
    shutil.copytree(house / "b", house / "copy", copy_function=shutil.copy)  # as `cp -r` does, with new dates
    for path in (house / "b").rglob("*"):
        os.utime(path)
    assert names()[0] == "a"
    assert set(names()) == {"a", "b", "copy"}
    assert answer(capsys, "--user", 1)["run"] == "runs/a"
    for script, arguments in ((recommend, ["--user", "1"]), (evaluate, [])):
        script.main(arguments)
        line = capsys.readouterr().out.splitlines()[0]
        assert line.removeprefix("run: ") == "runs/a"
    say(house / "copy", trained=provenance.now())
    assert names() == ["copy", "a", "b"]


def test_a_run_says_when_it_was_trained_to_the_microsecond(two, planted, monkeypatch, tmp_path):
    before = datetime.now(UTC)
    folder = train.main(["bias", "--data", str(planted[0]), "--run", str(tmp_path / "c")])
    trained = run_folder.Run(folder).config["trained"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", trained)
    assert before <= datetime.fromisoformat(trained) <= datetime.now(UTC)
    first, second = (run_folder.Run(two / "runs" / name).config["trained"] for name in "ba")
    assert first < second < trained  # as text, too
    monkeypatch.setattr(provenance, "datetime", type("", (), {"now": lambda zone: datetime(2030, 1, 2, tzinfo=zone)}))
    assert provenance.now() == "2030-01-02T00:00:00.000000+00:00"  # zeros are not left out


def test_runs_that_do_not_say_come_last_and_a_damaged_one_by_its_date(house):
    shutil.copytree(house / "b", house / "old")
    say(house / "old", format=run_folder.FORMAT - 1, trained=None)
    shutil.copytree(house / "b", house / "gone")
    (house / "gone" / "config.json").unlink()
    os.utime(house / "gone", (0, 0))
    shutil.copytree(house / "b", house / ".hidden")
    (house / "empty").mkdir()
    (house / "file").write_text("")
    assert names() == ["a", "b", "gone", "old"]
    shutil.copytree(house / "b", house / "damaged")
    this = {"format": run_folder.FORMAT}
    for damage in ("{", "{}", "[]", json.dumps(this | {"trained": 1}), json.dumps(this)):
        (house / "damaged" / "config.json").write_text(damage)
        with pytest.raises(UserError, match=r"damaged/config\.json is damaged"):  # nothing older is answered instead
            run_folder.find()
    os.utime(house / "damaged" / "config.json", (0, 0))
    assert set(names()[:3]) == {"a", "b", "damaged"}
    assert names()[-1] == "old"
    with pytest.raises(UserError, match="older version of Reelspace; train again"):
        run_folder.find(house / "old", verified=False)


def test_every_file_is_on_the_disk_before_manifest_says_so_and_the_folder_before_it_is_renamed(
    two, planted, tmp_path, monkeypatch
):
    folder, flushed, renamed = tmp_path / "run", [], []
    fsync, take = os.fsync, atomic.take_place

    def noting(descriptor):
        new = next((path for path in tmp_path.glob(".run.*") if path.is_dir()), folder)  # hidden until it is renamed
        status = os.fstat(descriptor)
        at = {path.stat().st_ino: path for path in (*new.rglob("*"), new, tmp_path)}
        name = at[status.st_ino].relative_to(new).as_posix() if at[status.st_ino] != tmp_path else ".."
        size = status.st_size if at[status.st_ino].is_file() else None
        flushed.append((name, size, (new / "MANIFEST").exists(), bool(renamed)))
        fsync(descriptor)

    def taking(*places):
        take(*places)
        renamed.append(True)

    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(atomic, "take_place", taking)
    train.main(["itemknn", "--data", str(planted[0]), "--run", str(folder)])
    flushed = [call for call in flushed if call[0] not in run_folder.ADDED and not call[0].startswith(".run.")]
    size = {path.name: path.stat().st_size for path in folder.iterdir() if path.name not in run_folder.ADDED}
    assert size.keys() > {"config.json", "ratings.npz", "movies.json", "history.csv", "metrics.json", "MANIFEST"}
    first = sorted(size.keys() - {"MANIFEST"})
    expected = [(name, size[name], False, False) for name in first]
    expected += [("MANIFEST", size["MANIFEST"], True, False), (".", None, True, False), ("..", None, True, True)]
    assert flushed == expected


def test_what_was_replaced_goes_when_a_kill_left_it_and_what_stands_stays(tmp_path):
    for name in ("run", ".run.abcd_123.old", ".run.0123abcd", ".run.other", ".ran.0123abcd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "of").write_text(name)
    atomic.recover(tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ran.0123abcd", ".run.other", "run"]
    assert (tmp_path / "run" / "of").read_text() == "run"


def test_nothing_is_left_where_the_system_can_not_exchange_names(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    for text in ("first", "second"):
        with atomic.atomic_directory(tmp_path / "run") as new:
            (new / "of").write_text(text)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (tmp_path / "run" / "of").read_text() == "second"


def test_a_run_with_a_link_in_it_is_not_replaced(house):
    assert run_folder.check_free(house / "a")
    shutil.move(house / "a" / "movies.json", house / "movies.json")
    (house / "a" / "movies.json").symlink_to(house / "movies.json")
    with pytest.raises(UserError, match="is no run folder"):
        run_folder.check_free(house / "a")


def test_a_run_says_which_split_and_which_ratings_it_is_of(two):
    run = run_folder.Run(two / "runs" / "a")
    assert run.config["split_sha256"] == run.split.fingerprint()
    assert run.config["sha256"] == run.split.ratings.fingerprint()


def test_a_lock_on_a_file_that_its_owner_has_removed_is_none(tmp_path):
    with open(tmp_path / "lock", "w") as file:
        assert run_folder._lock(file)
    with open(tmp_path / "lock", "w") as file:
        (tmp_path / "lock").unlink()  # by who held it, between our opening and locking it
        assert not run_folder._lock(file)


def test_what_is_known_of_users_is_read_by_column_without_their_ids(tmp_path, monkeypatch):
    (tmp_path / "users.csv").write_text('userId,age,job\n7,25,"a, b"\n9,,c\n')
    run = object.__new__(run_folder.Run)
    run.folder, run.verified = tmp_path, True
    run._sha256 = {"users.csv": hashlib.sha256((tmp_path / "users.csv").read_bytes()).hexdigest()}
    assert {name: values.tolist() for name, values in run.users.items()} == {"age": ["25", ""], "job": ["a, b", "c"]}
    none = object.__new__(run_folder.Run)
    none._sha256 = {}
    assert none.users is None


def test_a_part_of_a_blend_has_the_ratings_and_the_links_of_the_blend():
    part, blend = object.__new__(run_folder.Run), SimpleNamespace(links="links", ratings="ratings", split="split")
    part.blend = blend
    assert (part.links, part.ratings, part.split) == ("links", "ratings", "split")


def test_what_is_added_to_a_run_later_is_no_damage_and_anything_else_is(house):
    run = run_folder.Run(house / "a")
    for name in ("findings.json", "map.json", "notes.txt"):
        (house / "a" / name).write_text("{}")
        run.verify()
    (house / "a" / "more.json").write_text("{}")
    with pytest.raises(UserError, match="MANIFEST is damaged"):
        run.verify()


@pytest.mark.parametrize("verified", [True, False])
def test_a_part_of_a_blend_is_verified_as_the_blend_is(verified, monkeypatch):
    made, blend = [], SimpleNamespace(folder=Path("blend"), verified=verified, path=lambda name: made.append(name))
    part = run_folder.Run.part
    monkeypatch.setattr(run_folder, "Run", lambda *of: of)
    assert part(blend, "part2") == (Path("blend/part2"), blend, verified)
    assert made == ["part2/MANIFEST"]


def test_a_lock_is_hidden_beside_the_folder_and_goes(tmp_path):
    with run_folder.locked(tmp_path / "run"):
        assert [path.name for path in tmp_path.iterdir()] == [".run.lock"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_in_one_step(tmp_path):
    target = tmp_path / "target"
    files.write_text(target, "first")
    with open(target) as reader:
        files.write_text(target, "second")
        assert (reader.read(), target.read_text()) == ("first", "second")
    with pytest.raises(ZeroDivisionError), files.atomic_file(target) as path:
        path.write_text(f"half{path.write_text('half') // 0}")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert target.read_text() == "second"


def test_text_is_written_as_it_is_and_bytes_that_are_no_characters_so_that_they_can_be_seen(tmp_path, capfdbinary):
    for target in (str(tmp_path / "a"), "-"):
        files.write_text(target, "é\udcff\r\n\n")  # the name of a file may hold such bytes
    written = [(tmp_path / "a").read_bytes(), capfdbinary.readouterr().out]
    assert written == [b"\xc3\xa9\\udcff\r\n\n"] * 2


def test_a_newest_run_that_can_not_be_read_is_said_and_no_older_one_answers(house):
    """Whatever is the matter with its config.json: it counts by its date, which is the latest."""
    for damage in ("{", None):
        newest = house / "newest"
        shutil.copytree(house / "b", newest)
        path = newest / "config.json"
        path.unlink()
        path.mkdir() if damage is None else path.write_text(damage)
        assert run_folder.list_runs()[0].name == "newest"
        with pytest.raises(UserError, match=r"newest/config\.json is damaged"):
            run_folder.find()
        shutil.rmtree(newest)


def test_a_pipe_in_the_place_of_a_manifest_ends_in_a_sentence(house):
    (house / "b" / "MANIFEST").unlink()
    os.mkfifo(house / "b" / "MANIFEST")
    with pytest.raises(UserError, match="MANIFEST is damaged"):
        run_folder.Run(house / "b")


def test_a_manifest_that_has_lost_any_of_its_lines_is_damaged(planted, tmp_path):
    folder = train.main(["bias", "--data", str(planted[0]), "--run", str(tmp_path / "run")])
    lines = (folder / "MANIFEST").read_text().splitlines(keepends=True)
    assert len(lines) > 4
    for lost in lines:
        (folder / "MANIFEST").write_text("".join(line for line in lines if line != lost))
        with pytest.raises(UserError, match="is damaged"):
            run_folder.Run(folder).verify()
    (folder / "MANIFEST").write_text("".join(lines))
    run_folder.Run(folder).verify()
    (folder / "part1").mkdir()
    (folder / "part1" / "weights.npz").touch()  # of a part of a blend, whose lines are lost
    with pytest.raises(UserError, match="MANIFEST is damaged"):
        run_folder.Run(folder).verify()


def test_a_users_file_among_those_of_a_run_is_never_replaced_whatever_its_name(tmp_path, monkeypatch):
    listed = {"config.json": "0", "part1/weights.npz": "0"}
    monkeypatch.setattr(run_folder, "_manifest", lambda _: (listed, ""))
    for name in listed:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert run_folder.check_free(tmp_path)
    (tmp_path / "part1" / "config.json").touch()
    with pytest.raises(UserError, match="is no run folder; give another --run, nothing there is overwritten"):
        run_folder.check_free(tmp_path)


def test_the_history_has_a_column_for_each_fact_of_any_of_its_rows(planted, tmp_path, monkeypatch):
    rows = [{"phase": "train", "epoch": 1, "loss": 0.5}, {"phase": "refit", "epoch": 1, "part": "a", "loss": 0.25}]
    fit = train.fit
    monkeypatch.setattr(train, "fit", lambda *of: (rows, *fit(*of)[1:]))
    folder = train.main(["bias", "--data", str(planted[0]), "--run", str(tmp_path / "run")])
    assert (folder / "history.csv").read_text() == "phase,epoch,loss,part\ntrain,1,0.5,\nrefit,1,0.25,a\n"
    assert (folder / "learning_curve.png").exists()
    assert "learning_curve.png" not in (folder / "MANIFEST").read_text()  # it may be drawn anew, or deleted


def test_names_are_in_the_order_of_the_alphabet_whatever_the_system_says(monkeypatch):
    monkeypatch.setattr(os, "listdir", lambda _: ["b", "B", "a"])
    assert paths.names_in("anywhere") == ["B", "a", "b"]


def test_a_folder_whose_name_is_a_pattern_takes_no_others_leftovers(tmp_path):
    for name in (".run.0123abcd", ".ru..0123abcd"):
        (tmp_path / name).mkdir()
    atomic.recover(tmp_path / "ru.")
    assert [path.name for path in tmp_path.iterdir()] == [".run.0123abcd"]


def test_a_file_is_on_the_disk_before_it_takes_its_name_and_each_process_writes_its_own(tmp_path, monkeypatch):
    calls, fsync, rename = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("flushed") or fsync(descriptor))
    monkeypatch.setattr(Path, "replace", lambda path, target: calls.append("renamed") or rename(path, target))
    with files.atomic_file(tmp_path / "a") as part:
        assert str(os.getpid()) in part.name
        part.write_text("all")
    assert calls == ["flushed", "renamed"]


def test_a_run_that_is_misspelt_is_guessed(house):
    with pytest.raises(UserError, match=r"there is no run runs/ab; did you mean runs/[ab]\?"):
        run_folder.find("runs/ab")
    with pytest.raises(UserError, match=r"there is no run elsewhere$"):
        run_folder.find("elsewhere")


def test_every_change_of_the_code_is_another_code_and_of_a_changed_tree_the_commit_says_so(tmp_path, monkeypatch):
    def sources(number, changed=None, text="9"):
        folder = tmp_path / str(number)
        for name in ("models/a.py", "utils/b/c.py", "docs/d.py"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text if name == changed else "1")
        return provenance.sources(folder)

    first, docs = sources(0), sources(1, "docs/d.py")
    assert first == docs
    assert len({first, sources(2, "models/a.py"), sources(3, "utils/b/c.py"), sources(4, "models/a.py", "8")}) == 4
    asked = []

    def run(command, **how):
        asked.append((command, how["cwd"]))
        raise OSError

    monkeypatch.setattr(provenance.subprocess, "run", run)
    assert provenance.commit() is None
    ((command, where),) = asked
    assert (where, "--dirty=+" in command) == (provenance.ROOT, True)
