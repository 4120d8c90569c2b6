"""A search for options: what is tried, what is found, that it goes on, and that the test is not read."""

import csv
import errno
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
import tensorflow as tf
from conftest import REPOSITORY, eagerly, write_checkerboard

import models
import train
import tune
from utils.command_line import options
from utils.data import splits
from utils.data.ratings import likes
from utils.errors import UserError
from utils.evaluation import holdout_metrics
from utils.report import tables
from utils.training import search_space, training_command
from utils.training import study as studies
from utils.training.objective import Objective, OutOfTimeError
from utils.training.training import DivergedError, Training


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "board"
    write_checkerboard(folder)
    return folder


def trials(folder):
    """The lines of trials.csv in the order of the trials."""
    with open(folder / "trials.csv", newline="", encoding="utf-8") as file:
        return sorted(csv.DictReader(file), key=lambda line: int(line["trial"]))


@pytest.mark.parametrize("name", models.names())
def test_what_is_searched_holds_the_default_and_can_be_typed(name):
    config = models.module(name).Config
    spaces, edges = search_space.spaces(config), {}
    for option, space in spaces.items():
        assert space.contains(getattr(config(), option)), option
        values = space.values.values() if isinstance(space, search_space.Choice) else (space.low, space.high)
        # a dropout of 0 and hidden targets do not go together, and are given up
        edges[option] = [value for value in values if (option, value) not in (("dropout", 0.0), ("target", "hidden"))]
    for place in range(max(map(len, edges.values()), default=0)):
        asked = {option: values[place % len(values)] for option, values in edges.items()}
        found = train.parse([name, *search_space.typed(asked)])[2]
        assert {option: getattr(found, option) for option in asked} == asked


@pytest.mark.parametrize("value", [80.0, 0.1, 0.123456789, 1 / 3, 1e-7])
def test_numbers_are_typed_as_short_as_they_are_exact(value):
    words = search_space.typed({"l2": value})
    assert train.parse(["ease", *words])[2].l2 == value
    assert search_space.as_text(80.0) == "80"


@pytest.mark.parametrize(("drawn", "kept"), [(0.0123456, 0.0123), (123.456, 123.0), (1e-7, 1e-7)])
def test_three_digits_of_a_number_are_enough(drawn, kept):
    trial = SimpleNamespace(suggest_float=lambda *_, **__: drawn, suggest_int=lambda *_, **__: 123456)
    assert search_space.Range(0, 200.0).draw(trial, "l2") == kept
    assert search_space.Range(1, 200_000).draw(trial, "anneal") == 123456


def test_a_search_draws_from_the_space_and_keeps_what_it_draws():
    study = optuna.create_study()
    spaces = {
        "whole": search_space.Range(2, 9),
        "log": search_space.Range(1e-6, 1e-2, log=True),
        "sizes": search_space.Choice((5,), (7, 3)),
        "on": search_space.Choice(True, False),
    }
    seen = []

    def drawn(trial):
        seen.append({name: space.draw(trial, name) for name, space in spaces.items()})
        return 0

    study.optimize(drawn, n_trials=40)
    assert {one["whole"] for one in seen} <= set(range(2, 10))
    assert len({one["whole"] for one in seen}) > 4
    assert {one["sizes"] for one in seen} == {(5,), (7, 3)}
    assert {one["on"] for one in seen} == {True, False}
    assert all(1e-6 <= one["log"] <= 1e-2 and one["log"] == float(f"{one['log']:.3g}") for one in seen)
    assert np.median([one["log"] for one in seen]) < 1e-3  # small ones as often as large ones
    again = {name: space.draw(study.trials[7], name) for name, space in spaces.items()}
    assert again == seen[7]


def test_the_best_options_have_the_best_figure_and_train_takes_them(board, tmp_path, capsys, monkeypatch, painted):
    monkeypatch.chdir(tmp_path)
    folder = tune.main(["ease", "--data", str(board), "--trials", "7", "--validation-share", "0.2"])
    said, lines = capsys.readouterr().out, trials(folder)
    assert folder == tmp_path.__class__("runs/tune/board-random-ease-s0")
    assert (folder / "search.png").stat().st_size > 9999
    assert len(lines) == 7
    assert (lines[0]["l2"], lines[0]["dropout"]) == tuned_defaults("ease", "l2", "dropout")
    best = json.loads((folder / "best.json").read_text())
    assert best["found"]["value"] == max(float(line["figure"]) for line in lines)
    assert best["found"]["defaults"] == float(lines[0]["figure"])
    assert str(folder / "best.json") in said

    run = train.main(["--config", str(folder / "best.json"), "--data", str(board), "--validation-share", "0.2"])
    options = json.loads((run / "config.json").read_text())["options"]
    assert options["l2"] == best["options"].get("l2", float(lines[0]["l2"]))
    assert best["found"]["value"] == pytest.approx(literal_ndcg(board, best["options"]), abs=1e-5)


def tuned_defaults(name, *options):
    return tuple(search_space.as_text(getattr(models.module(name).Config(), option)) for option in options)


def literal_ndcg(board, options):
    """NDCG@100 of EASE on the validation likes, user by user."""
    words = ["ease", "--data", str(board), "--validation-share", "0.2", *search_space.typed(options)]
    name, chosen, config = train.parse(words)
    data, split = train.read(chosen)
    model = models.for_data(name, config, data, 0)
    model.refit(split.train)
    found, given, hidden = [], split.validation.given.toarray(), likes(split.validation.hidden, 3.5).toarray()
    scores = model.score(split.validation.given)
    for user in range(len(hidden)):
        if hidden[user].any():
            open_ = [movie for movie in range(hidden.shape[1]) if not given[user, movie]]
            order = sorted(open_, key=lambda movie: (-scores[user, movie], movie))[:100]
            gain = sum(1 / np.log2(place + 2) for place, movie in enumerate(order) if hidden[user, movie])
            found.append(gain / sum(1 / np.log2(place + 2) for place in range(int(hidden[user].sum()))))
    return np.mean(found)


def test_a_search_goes_on_where_it_was(board, tmp_path):
    command = ["bias", "--data", str(board), "--out", str(tmp_path / "one")]
    tune.main([*command, "--trials", "2"])
    first = trials(tmp_path / "one")
    tune.main([*command, "--trials", "4"])
    lines = trials(tmp_path / "one")
    assert lines[:2] == first
    assert len(lines) == 4
    assert len({(line["user_damping"], line["movie_damping"]) for line in lines}) == 4  # nothing is drawn again
    tune.main([*command, "--trials", "4"])
    assert trials(tmp_path / "one") == lines


def test_processes_share_a_search(board, tmp_path):
    options = ["--data", board, "--out", tmp_path / "one", "--trials", "4"]
    script = [sys.executable, REPOSITORY / "tune.py", "bias", *options]
    at_once = [subprocess.Popen(script, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in at_once]
    assert [process.returncode for process in at_once] == [0, 0], said
    lines = trials(tmp_path / "one")
    assert 4 <= len(lines) <= 5  # both may have begun the last
    assert len({(line["user_damping"], line["movie_damping"]) for line in lines}) == len(lines)


def test_processes_that_begin_at_once_begin_with_different_options(tmp_path):
    """A second study is opened before the first has a trial, and the trial of each begins while the other's runs."""
    space, start = search_space.Range(0.0, 1.0), {"x": 0.25, "y": 0.5}
    one, two = (studies.opened(tmp_path / "one", {"start": start}, True) for _ in range(2))
    seen = {}

    def drawn(trial):
        seen[trial.number] = {name: space.draw(trial, name) for name in start}
        return trial.number

    def meanwhile(trial):
        if trial.number < 3:
            two.optimize(studies.numbered(two, 7, drawn), n_trials=1)
        first = space.draw(trial, "x")
        if trial.number < 3:
            two.optimize(studies.numbered(two, 7, drawn), n_trials=1)
        seen[trial.number] = {"x": first, "y": space.draw(trial, "y")}
        if trial.number == 0:
            raise OutOfTimeError
        return trial.number

    one.optimize(studies.numbered(one, 7, meanwhile), n_trials=3, catch=OutOfTimeError)
    assert [number for number, options in seen.items() if options == start] == [0, 3]  # the first, which fails
    assert len(seen) == len({tuple(options.items()) for options in seen.values()}) + 1 >= 5


@pytest.mark.parametrize(
    ("states", "succeeded"), [((), False), (("pruned", "fail"), False), (("pruned", "complete"), True)]
)
def test_an_error_is_the_datas_fault_until_a_trial_was_complete(states, succeeded, board, tmp_path, monkeypatch):
    monkeypatch.setattr(tune.Search, "lines", lambda _: [{"state": state} for state in states])
    search = tune.Search(["bias", "--data", str(board), "--out", str(tmp_path / "one")], tables.console())
    search.open()
    assert search.objective.succeeded is succeeded


def test_the_models_of_a_search_have_its_seed(board, tmp_path, monkeypatch):
    make, seeds = models.for_data, set()
    monkeypatch.setattr(models, "for_data", lambda *of: seeds.add(of[-1]) or make(*of))
    tune.main(["bias", "--data", str(board), "--out", str(tmp_path / "one"), "--trials", "1", "--seed", "3"])
    assert seeds == {3}


def test_trials_that_are_given_up_count_as_trials(board, tmp_path, monkeypatch):
    fit, begun = Objective._fit, []

    def some(self, *arguments):
        begun.append(arguments)
        if len(begun) in (2, 3):
            raise optuna.TrialPruned("no good")
        return fit(self, *arguments)

    monkeypatch.setattr(Objective, "_fit", some)
    states = ["complete", "pruned", "pruned"]
    for most, expected in (("3", states), ("3", states), ("4", [*states, "complete"])):
        tune.main(["bias", "--data", str(board), "--out", str(tmp_path / "one"), "--trials", most])
        assert [line["state"] for line in trials(tmp_path / "one")] == expected


def test_the_test_is_never_read(board, tmp_path, monkeypatch):
    monkeypatch.setattr(splits.Split, "test", property(lambda _: pytest.fail("the test was read")))
    monkeypatch.setattr(splits.Split, "refit", property(lambda _: pytest.fail("validation was trained on")))
    with eagerly():
        tune.main(["autorec", "--data", str(board), "--out", str(tmp_path / "one"), "--trials", "2", "--epochs", "2"])
    assert len(trials(tmp_path / "one")) == 2


class Told:
    """An Optuna trial that takes the defaults and is given up after some epochs."""

    number = 1

    def __init__(self, epochs):
        self.epochs, self.reported, self.noted = epochs, [], {}

    def report(self, value, step):
        self.reported.append((step, value))

    def should_prune(self):
        return len(self.reported) >= self.epochs

    def set_user_attr(self, name, value):
        self.noted[name] = value


def objective(board, *words):
    name, chosen, config = train.parse([*words, "--data", str(board), "--validation-share", "0.2"])
    data, split = train.read(chosen)
    return Objective(lambda asked: models.for_data(name, asked, data, 0), config, {}, split)


def test_a_trial_is_given_up_between_epochs_and_not_beyond_the_time(board):
    search = objective(board, "multdae", "--epochs", "9", "--hidden", "4")
    assert (search.figure, search.higher) == ("ndcg@100", True)
    trial = Told(epochs=3)
    with eagerly(), pytest.raises(optuna.TrialPruned):
        search(trial)
    assert [step for step, _ in trial.reported] == [1, 2, 3]
    assert trial.noted["epochs"] == 3
    assert trial.noted["why"] == "behind the median at epoch 3"
    search.deadline = time.perf_counter()
    with eagerly(), pytest.raises(OutOfTimeError):
        search(Told(epochs=99))


@pytest.mark.parametrize("end", [None, ZeroDivisionError])
def test_the_networks_of_a_trial_leave_nothing_in_memory(board, monkeypatch, end):
    search, kept = objective(board, "autorec", "--epochs", "1", "--hidden", "4"), []

    def value(model):
        kept.append(model)
        if end:
            raise end
        return 1.0

    monkeypatch.setattr(search, "value", value)
    with pytest.raises(end) if end else nullcontext():
        search(Told(epochs=99))
    (network,) = (model.network for model in kept)
    weights = [*network.variables, *network.optimizer.variables]
    assert len(weights) > 8
    for weight in weights:
        assert tf.raw_ops.ReadVariableOp(resource=weight.value.handle, dtype=weight.dtype).shape == ()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_does_not_grow_with_trials(board):
    """The weights and moments of a trial take 108 MB, more than all that the following five may add."""
    search, megabytes = objective(board, "autorec", "--epochs", "1", "--hidden", "3000,3000"), []
    for _ in range(7):
        search(Told(epochs=99))
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
    assert megabytes[-1] - megabytes[1] < 108


@pytest.mark.parametrize(
    ("words", "figure"),
    [("bias", "rmse"), ("ease", "ndcg@100"), ("joint", "ndcg@100 - rmse"), ("joint --protocol strong", "ndcg@100")],
)
def test_a_model_is_judged_by_what_it_is_for(board, words, figure):
    assert objective(board, *words.split()).figure == figure


def test_options_that_do_not_go_together_are_given_up(board):
    search = objective(board, "autorec")
    search.spaces = {"dropout": search_space.Choice(0.0), "target": search_space.Choice("hidden")}
    trial = optuna.trial.FixedTrial({"dropout": "0", "target": "hidden"}, number=1)
    with pytest.raises(optuna.TrialPruned, match="nothing would be hidden"):
        search(trial)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("popularity", "popularity has no options to search for: there is nothing"),
        (
            "ease --l2 3 --dropout=0.5 --relax 0 --user-norm 0 --movie-norm 0",
            "ease has no options to search for: all of them are given",
        ),
        ("", "which model?"),
        ("ease --trials 0", "trials must be 1 or more"),
        ("ease --minutes nan", "minutes must be above 0"),
        ("autorec --rows movies --protocol strong", "knows only those it is trained on"),
        ("bias --protocol leave-one-out --data BOARD2 --out OTHER", "holds no search; give another --out"),
    ],
)
def test_what_cannot_be_searched_is_refused(board, tmp_path, words, said):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    argv = [word.replace("OTHER", str(tmp_path / "other")).replace("BOARD2", str(board)) for word in words.split()]
    argv += ["--data", str(board)] if words and "--data" not in argv else []
    with pytest.raises(UserError, match=said):
        tune.main(argv)
    assert (tmp_path / "other" / "mine.txt").read_text() == "mine"


def test_another_search_or_a_damaged_one_is_not_gone_on_with(board, tmp_path):
    out = ["--out", str(tmp_path / "one"), "--trials", "1"]
    tune.main(["bias", "--data", str(board), *out])
    with pytest.raises(UserError, match="with other split; give another --out"):
        tune.main(["bias", "--data", str(board), "--seed", "1", *out])
    with pytest.raises(UserError, match="other model"):
        tune.main(["itemknn", "--data", str(board), *out])
    for damaged in (b"no journal" * 1000, b"no journal\n" * 1000):
        (tmp_path / "one" / "study.jsonl").write_bytes(damaged)
        with pytest.raises(UserError, match=r"it is damaged.*; give another --out"):
            tune.main(["bias", "--data", str(board), *out])


def test_a_search_of_an_earlier_version_is_refused_and_kept(board, tmp_path):
    (tmp_path / "study.db").write_bytes(b"SQLite format 3")
    with pytest.raises(UserError, match="is a search of an earlier version; give another --out"):
        tune.main(["bias", "--data", str(board), "--out", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_a_full_disk_ends_a_search_with_a_sentence(board, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def value(*_):
        monkeypatch.setattr(studies.JournalFileBackend, "append_logs", full)
        return 1.0

    monkeypatch.setattr(Objective, "value", value)
    with pytest.raises(UserError, match=r"the search can't be written: .*No space left"):
        tune.main(["bias", "--data", str(board), "--out", str(tmp_path / "one")])


def test_a_search_goes_on_after_a_line_that_was_written_in_part(board, tmp_path):
    command = ["bias", "--data", str(board), "--out", str(tmp_path / "one"), "--trials"]
    tune.main([*command, "2"])
    first, journal = trials(tmp_path / "one"), tmp_path / "one" / "study.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker')  # the disk was full
    tune.main([*command, "3"])
    assert trials(tmp_path / "one")[:2] == first
    assert len(trials(tmp_path / "one")) == 3
    assert all(json.loads(line) for line in journal.read_text().splitlines())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "not what tune.py writes"),
        ('{"model": "ease"}', "not what tune.py writes"),
        ('{"model": "eas", "options": {}}', "did you mean ease"),
        ('{"model": "ease", "options": {"l3": 1}}', "ease has no option l3"),
        ('{"model": "ease", "options": {"l2": "much"}}', "l2"),
        ('{"model": "ease", "options": {"l2": [[]]}}', "l2"),
        ('{"model": "ease", "options": {"l2": -1}}', "l2 must be above 0"),
        ('{"model": "ease", "options": {"l2": null}}', "c.json: l2 can't be null"),
        ('{"model": "ease", "options": {"signed": "yes"}}', "c.json: signed can't be"),
    ],
)
def test_a_config_that_is_none_is_refused(tmp_path, content, said):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(UserError, match=said):
        train.parse(["--config", str(tmp_path / "c.json")])


def test_what_is_said_beside_a_config_comes_first(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(
        json.dumps({"model": "multdae", "options": {"hidden": [30, 20], "signed": True, "l2": 1e-5, "sample": None}})
    )
    name, _, config = train.parse([f"--config={path}"])
    assert (name, config.hidden, config.signed, config.sample) == ("multdae", (30, 20), True, None)
    _, _, config = train.parse(["multdae", "--no-signed", "--hidden=7", "--config", str(path)])
    assert (config.hidden, config.signed, config.l2) == ((7,), False, 1e-5)
    with pytest.raises(UserError, match="--config is of multdae, not of ease"):
        train.parse(["ease", "--config", str(path)])
    with pytest.raises(UserError, match="--config is given twice"):
        train.parse([f"--config={path}", f"--config={path}"])
    with pytest.raises(UserError, match="can't be read"):
        train.parse(["--config", str(tmp_path / "none.json")])
    assert options.given("batch_size", ["--batch-size=3"])
    assert not options.given("batch_size", ["--batch"])


def test_the_start_is_tried_again_where_it_did_not_come_to_its_end(board, tmp_path):
    command = ["bias", "--data", str(board), "--out", str(tmp_path / "what?mode=memory#x {}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Objective, "value", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tune.main([*command, "--trials", "1"])
    tune.main([*command, "--trials", "1"])
    folder = tmp_path / "what?mode=memory#x {}"
    complete = [line for line in trials(folder) if line["state"] == "complete"]
    assert [line["user_damping"] for line in complete] == list(tuned_defaults("bias", "user_damping"))
    assert json.loads((folder / "best.json").read_text())["found"]["defaults"] == float(complete[0]["figure"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name]


def test_a_trial_whose_process_was_killed_is_tried_again(board, tmp_path):
    """A process that is killed leaves a trial that runs, under its number. Here it only leaves."""
    command = ["bias", "--data", str(board), "--trials", "2", "--out", str(tmp_path / "one")]
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies.os, "getpid", lambda: gone.pid)
        patch.setattr(Objective, "value", lambda *_: sys.exit())
        with pytest.raises(SystemExit):
            tune.main(command)
    tune.main(command)
    lines = trials(tmp_path / "one")
    complete = [line for line in lines if line["state"] == "complete"]
    assert (complete[0]["user_damping"], len(complete)) == (*tuned_defaults("bias", "user_damping"), 2)
    assert [(line["trial"], line["state"]) for line in lines] == [("0", "fail"), ("1", "complete"), ("2", "complete")]


def test_data_that_nothing_can_be_judged_on_is_refused_each_time(tmp_path, board):
    lines = [f"{user},{movie},{1 + (user + movie) % 3}" for user in range(30) for movie in range(20)]
    (tmp_path / "few.csv").write_text("\n".join(["userId,movieId,rating", "1,99,5", *lines]) + "\n")
    with pytest.raises(UserError, match="no validation likes"):
        tune.main(["ease", "--data", str(tmp_path / "few.csv"), "--out", str(tmp_path / "one")])
    for _ in range(2):
        with pytest.raises(UserError, match=r"learns from likes alone: no rating is above 5, so none is a like"):
            tune.main(["ease", "--like", "5", "--data", str(board), "--trials", "2", "--out", str(tmp_path / "two")])


def test_what_was_said_stays_said_and_another_start_is_another_search(board, tmp_path):
    common = ["--data", str(board), "--protocol", "strong-ratings", "--held-out", "5", "--trials", "1", "--out"]
    folder = tune.main(["ease", "--no-signed", *common, str(tmp_path / "one")])
    defaults = {"l2": 80.0, "dropout": 0.52, "relax": 0.4, "user_norm": 0.0, "movie_norm": 0.1}
    assert json.loads((folder / "best.json").read_text())["options"] == defaults | {"signed": False}
    _, _, config = train.parse(["--config", str(folder / "best.json"), "--protocol", "strong-ratings"])
    assert not config.signed
    (tmp_path / "c.json").write_text(json.dumps({"model": "ease", "options": {"l2": 30, "signed": False}}))
    with pytest.raises(UserError, match="with other start"):
        tune.main(["--config", str(tmp_path / "c.json"), *common, str(tmp_path / "one")])


def test_a_study_with_damage_inside_is_refused(board, tmp_path):
    command = ["bias", "--data", str(board), "--out", str(tmp_path / "one"), "--trials", "1"]
    tune.main(command)
    journal = tmp_path / "one" / "study.jsonl"
    whole = journal.read_text()
    for part, damage in (('"user_attr":{', '"user_attr":{oops'), ('"op_code":8', '"op_code":99')):
        assert part in whole
        journal.write_text(whole.replace(part, damage))
        with pytest.raises(UserError, match=r"it is damaged.*; give another --out"):
            tune.main(command)


def test_a_search_is_of_the_scale_and_the_likes_of_its_data(planted, tmp_path, monkeypatch):
    seen = []

    def opened(folder, signature, higher):
        seen.append((signature["scale"], signature["like"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(studies, "opened", opened)
    for more in (["--scale", "0,5"], ["--scale", "1,5", "--like", "2"]):
        with pytest.raises(KeyboardInterrupt):
            tune.main(["itemknn", "--data", str(planted[0]), "--out", str(tmp_path / "out"), *more])
    assert seen[0][0] == [0.0, 5.0]
    assert seen[1] == ([1.0, 5.0], 2.0)


@pytest.mark.parametrize(
    "words",
    [
        "--like 2.5",
        "--scale 0,10",
        "--protocol strong --held-out 7",
        "--seed 3",
        "--data ml-1m",
        "--test-share 0.2",
        "--min-count 3",
    ],
)
def test_the_next_command_has_all_that_the_search_was_about(words):
    source = training_command.parse(["bias", *words.split()], models, tune.Options, "tune.py", "")[1]
    typed = train.parse(["bias", *tune.training_words(source)])[1]
    for name in ("data", "protocol", "scale", "like", "min_count", "holding"):
        assert getattr(typed, name) == getattr(source, name), name
    assert tune.training_words(source)


def judging(figure, higher, **more):
    """An `Objective` that is not of any data."""
    judge = object.__new__(Objective)
    split = SimpleNamespace(validation="validation", ratings=SimpleNamespace(scale=(1, 10)))
    vars(judge).update(figure=figure, higher=higher, split=split, spaces={}, trained=None, deadline=np.inf, **more)
    return judge


@pytest.mark.parametrize(
    ("figure", "higher", "value"),
    [("rmse", False, 0.8), ("ndcg@100", True, 0.3), ("ndcg@100 - rmse", True, 0.3 - 0.8 / 2)],
)
def test_the_figure_of_a_trial_is_of_validation_and_in_stars_of_five(figure, higher, value, monkeypatch):
    metrics = {"ndcg@100": SimpleNamespace(value=0.3), "rmse": SimpleNamespace(value=0.8)}
    asked = []
    for name in ("ranking_metrics", "rating_metrics"):
        monkeypatch.setattr(holdout_metrics, name, lambda *of: asked.append(of) or metrics)
    model = SimpleNamespace(score="score", predict="predict", star=2.0)  # on a scale up to 10
    assert judging(figure, higher, model=model).value(model) == pytest.approx(value)
    ranked, rated = [("score", "validation")], [("predict", "validation", (1, 10))]
    assert asked == {"rmse": rated, "ndcg@100": ranked, "ndcg@100 - rmse": ranked + rated}[figure]


def test_how_a_trial_ended_decides_what_becomes_of_it():
    ended = {}

    def fit(values, training):
        vars(training).update(ended)
        return "model"

    judge = judging("rmse", False)
    judge._fit, judge.value, judge.succeeded = fit, lambda model: ended.get("value", 0.123456), False
    ended = {"failed": "diverged", "interrupted": True}
    trial = Told(epochs=99)
    with pytest.raises(optuna.TrialPruned, match="diverged"):
        judge(trial)
    assert (trial.noted["why"], judge.succeeded) == ("diverged", False)
    ended = {"failed": "", "interrupted": True}
    with pytest.raises(KeyboardInterrupt):
        judge(trial)
    ended = {"value": np.inf}
    with pytest.raises(optuna.TrialPruned, match="its figure is inf"):
        judge(trial)
    ended = {}
    assert judge(trial) == 0.123456
    assert (trial.noted["figure"], judge.succeeded) == (0.12346, True)


@pytest.mark.parametrize("succeeded", [True, False])
def test_an_error_is_the_datas_fault_until_a_trial_has_come_to_its_end(succeeded):
    judge, wrong = (
        judging("rmse", False, config=models.module("bias").Config(), succeeded=succeeded),
        UserError("wrong"),
    )

    def build(config):
        def fit(*_):
            raise wrong

        return SimpleNamespace(fit=fit)

    judge.build, judge.split.train = build, None
    with pytest.raises(optuna.TrialPruned if succeeded else UserError, match="wrong"):
        judge._fit({}, Training())
    wrong = DivergedError("diverged")
    with pytest.raises(optuna.TrialPruned, match="diverged"):
        judge._fit({"user_damping": 3.0}, Training())
    wrong = MemoryError()
    with pytest.raises(optuna.TrialPruned, match="too little memory"):
        judge._fit({}, Training())


@pytest.mark.parametrize("higher", [True, False])
def test_a_study_looks_for_the_better_side_and_gives_up_after_five(higher, tmp_path):
    study = studies.opened(tmp_path / "one", {"start": {}}, higher)
    assert study.direction.name == ("MAXIMIZE" if higher else "MINIMIZE")
    assert (study.pruner._n_startup_trials, study.pruner._n_warmup_steps) == (5, 5)
    for value in (0.5, 0.7, 0.6):
        study.add_trial(optuna.trial.create_trial(value=value, user_attrs={"options": {"a": "1"}, "figure": value}))
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED, user_attrs={"options": {"a": "1"}}))
    figures = [line["figure"] for line in studies.lines(tmp_path / "one", study)]
    assert figures == [*sorted([0.5, 0.6, 0.7], reverse=higher), ""]


def test_a_trial_whose_process_is_gone_has_failed_and_one_that_runs_goes_on(tmp_path):
    study = studies.opened(tmp_path / "one", {"start": {}}, True)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for process in (gone.pid, os.getpid()):
        study.ask().set_user_attr("process", process)
    again = studies.opened(tmp_path / "one", {"start": {}}, True)
    assert [trial.state.name for trial in again.trials] == ["FAIL", "RUNNING"]


def test_a_search_that_did_not_say_what_counts_today_is_another(tmp_path):
    before = {"start": {}, "split": "a"}
    for _ in range(2):
        study = studies.opened(tmp_path / "one", before, True)
        study.add_trial(optuna.trial.create_trial(value=0.5, user_attrs={"options": {}}))
    with pytest.raises(UserError, match="is a search with other like, seed; give another --out"):
        studies.opened(tmp_path / "one", before | {"like": 3.5, "seed": 1}, True)


def test_few_trials_tell_no_importance():
    def study(*values):
        complete = optuna.trial.TrialState.COMPLETE
        return SimpleNamespace(trials=[SimpleNamespace(state=complete, value=value) for value in values])

    assert studies.importance(study(1, 2, 3, 4)) == studies.importance(study(*[1] * 9)) == {}
