"""What the scripts hand on: seeds, folders, notes, trials, in the words that are printed."""

import contextlib
import errno
import json
import re
import sys
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import random_ratings

import evaluate
import models
import recommend
import train
import tune
from utils.command_line import options
from utils.data import datasets, splits
from utils.errors import UserError
from utils.evaluation import bootstrap, prediction_ranges, subgroups
from utils.evaluation.bootstrap import Metric
from utils.evaluation.holdout_metrics import Predicted
from utils.recommend import profile, reranking
from utils.report import tables
from utils.runs import files, run_folder
from utils.training import training_command
from utils.training.training import DivergedError, Training

# -- train.py ----------------------------------------------------------------------------------------------------------


def test_a_training_goes_as_the_command_says(planted, tmp_path, monkeypatch):
    seen, make, fit = {}, models.for_data, train.fit
    monkeypatch.setattr(models, "for_data", lambda *of: seen.update(seed=of[-1]) or make(*of))
    monkeypatch.setattr(train, "fit", lambda *of: seen.update(training=of[2]) or fit(*of))
    words = [
        "bias",
        "--data",
        str(planted[0]),
        "--run",
        str(tmp_path / "a b"),
        "--seed",
        "7",
        "--checkpoint-every",
        "5",
    ]
    config, training = run_folder.Run(train.main(words)).config, seen["training"]
    assert (seen["seed"], config["seed"], training.checkpoint_every, training.show) == (7, 7, 5.0, True)
    assert (training.checkpoints, training.finished, training.tensorboard) == (tmp_path / "a b.checkpoint", None, None)
    assert (
        config["command"] == f"train.py bias --data {planted[0]} --run '{tmp_path}/a b' --seed 7 --checkpoint-every 5"
    )
    assert "seed" not in config["holding"]
    assert 0 <= config["seconds"] < 60
    assert not {"columns", "text_ids", "duplicates"} & config.keys()  # which are as by default


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--workers 0", "workers must be 1 or more, got 0"),
        ("--checkpoint-every -1", "checkpoint-every must be 0 seconds or more, got -1"),
        ("--checkpoint-every inf", "checkpoint-every must be 0 seconds or more, got inf"),
        ("--ray a:1", "--ray takes --workers N, too"),
        ("--workers 2 --tensorboard", "--tensorboard is for a training by one process, without --workers"),
    ],
)
def test_options_of_train_that_do_not_go_together_are_refused(words, said):
    with pytest.raises(UserError, match=said):
        train.parse(["bias", *words.split()])
    train.parse(["bias", "--workers", "1", "--ray", "a:1", "--checkpoint-every", "0"])
    assert train.parse(["bias"])[1].checkpoint_every == Training().checkpoint_every == 30


def test_what_was_read_and_held_out_is_printed(capsys):
    data = SimpleNamespace(name="mine", ratings=random_ratings(), notes=["of data"])
    train.print_data(data, SimpleNamespace(notes=["of split"]), tables.console())
    matrix = "matrix kept sparse, 0.0 MB (dense 0.0); only batches are made dense"
    told = ["mine: 500 ratings of 30 movies by 40 users", "  of data", "  of split", f"  {matrix}"]
    assert capsys.readouterr().out.splitlines() == told
    many = SimpleNamespace(__len__=None, shape=(50_000, 2_000))
    large = type("Many", (), {"__len__": lambda _: 3_000_000, "shape": many.shape})()
    train.print_data(SimpleNamespace(name="x", ratings=large, notes=[]), SimpleNamespace(notes=[]), tables.console())
    assert "matrix kept sparse, 24.0 MB (dense 400.0)" in capsys.readouterr().out


def test_strategies_are_printed_the_best_first_and_then_the_notes(capsys):
    model = SimpleNamespace(notes=lambda: ["of model"])
    train.print_results(model, {"validation": {"movies": 0.1, "decoder": 0.3, "neighbours": 0.2}}, tables.console())
    ranked = "  NDCG@100 on validation: decoder 0.3000, neighbours 0.2000, movies 0.1000"
    assert capsys.readouterr().out.splitlines() == [ranked, "  of model"]
    for nothing in ({"model": 0.4}, {"movies": 0.0, "decoder": 0.0}):
        train.print_results(model, {"validation": nothing}, tables.console())
        assert capsys.readouterr().out.splitlines() == ["  of model"]


def test_a_checkpoint_is_of_all_options_but_how_long_it_trains_and_of_who_the_users_are(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text(
        "userId,movieId,rating\n" + "".join(f"{u},{m},{1 + (u + m) % 5}\n" for u in range(9) for m in range(9))
    )
    dataset, split = train.read(train.parse(["bias", "--data", str(table)])[1])
    options_ = asdict(models.module("autorec").Config())

    table.write_text(table.read_text().replace("8,8,2\n", "8,8,5\n"))
    other = train.read(train.parse(["bias", "--data", str(table)])[1])[1]
    assert other.ratings.rating[-1] != split.ratings.rating[-1]

    def signature(users=None, movies=dataset.movies, seed=0, of=split, **changed):
        data = SimpleNamespace(users=users, movies=movies)
        return train.signature({"options": options_ | changed, "seed": seed}, of, data)

    free = [name for name in options_ if signature(**{name: "another"}) == signature()]
    assert free == ["epochs", "patience"]
    old, young = (pd.DataFrame({"age": [age]}) for age in (60, 6))
    others = [replace(dataset.movies, **{name: [[name]] * 9}) for name in ("titles", "years", "genres")]
    changed = [signature(old), signature(young), signature(seed=1), signature(of=other)]
    assert len({signature(), *changed, *map(partial(signature, None), others)}) == 8


@pytest.mark.parametrize("error", [DivergedError("diverged"), UserError("wrong"), KeyboardInterrupt()])
@pytest.mark.parametrize("parts", [True, False])
def test_what_is_kept_of_a_failed_training_is_said(parts, error, tmp_path, capsys):
    forgot = []
    training = SimpleNamespace(has_parts=parts, checkpoints=tmp_path, forget=lambda: forgot.append(True))
    with (
        pytest.raises((UserError, KeyboardInterrupt)) as raised,
        train.explain_errors("bias", None, training, tables.console()),
    ):
        raise error
    out, finished = capsys.readouterr().out, "the same command goes on after the parts that are finished"
    if isinstance(error, KeyboardInterrupt):
        assert (finished in out) is parts
        assert "the same command with --resume goes on from the last checkpoint" in out
        return
    kept = " (finished parts are kept: with this one mended the same command goes on)"
    assert str(raised.value) == str(error) + kept * parts
    assert bool(forgot) is isinstance(error, DivergedError)  # which would fail again


@pytest.mark.parametrize(
    ("refuses", "named"), [(True, "--no-linear or smaller --hidden sizes may do"), (False, "pairs")]
)
def test_too_little_memory_is_said_with_what_would_do(refuses, named):
    config = SimpleNamespace(linear=refuses, hidden=(8,) if refuses else ())
    with pytest.raises(UserError, match=f"this joint does not fit into memory.*{named}"):  # noqa: SIM117
        with train.explain_errors("joint", config, Training(), tables.console()):
            raise MemoryError


@pytest.mark.parametrize(("n", "refit"), [(train.REFIT_MOST - 1, True), (train.REFIT_MOST, False)])
def test_validation_is_not_trained_on_from_five_million_ratings_on(n, refit):
    split = SimpleNamespace(holds_users_out=False, ratings=range(n), notes=[])
    _, args, _ = train.parse(["bias"])
    model = SimpleNamespace(blends=False)
    assert train.without_refit(args, SimpleNamespace(blends=True), split, False).refit  # its parts lack a fold
    assert train.without_refit(args, model, split, False).refit is refit
    assert len(split.notes) == (not refit)
    assert train.without_refit(args, model, split, True).refit  # somebody asked for it


def test_the_mean_that_is_a_baseline_is_of_what_was_trained_on(monkeypatch):
    monkeypatch.setattr(evaluate, "BASELINES", ())
    split = splits.split(random_ratings(), "random", splits.Options())
    found = evaluate.Evaluator(split, np.ones((30, 1)), None).baselines(split.train)
    error = split.test.hidden.data - split.train.data.mean()
    assert found["mean"]["rmse"].value == pytest.approx(np.sqrt((error**2).mean()), rel=1e-6)
    assert split.train.data.mean() != pytest.approx(split.ratings.rating.mean(), abs=1e-3)


@pytest.mark.parametrize(("interrupted", "failed"), [(False, ""), (True, ""), (True, "diverged")])
def test_checkpoints_are_kept_where_a_training_can_go_on(interrupted, failed, planted, tmp_path, monkeypatch, capsys):
    fit, run = train.fit, tmp_path / "run"

    def ended(model, split, training, refit):
        training.checkpoints.mkdir()
        training.interrupted, training.failed = interrupted, failed
        return fit(model, split, training, refit)

    monkeypatch.setattr(train, "fit", ended)
    said = contextlib.nullcontext()
    if failed:
        said = pytest.raises(UserError, match=f"diverged; the best weights before that are saved in {run}")
    with said:
        train.main(["bias", "--data", str(planted[0]), "--run", str(run)])
    goes_on = interrupted and not failed
    assert (tmp_path / "run.checkpoint").exists() is goes_on
    assert ("stopped early: the best weights so far are saved" in capsys.readouterr().out) is goes_on
    assert run_folder.Run(run).config["refit"] is not interrupted


def test_a_choice_that_is_interrupted_is_the_default_and_nothing_is_trained_again(monkeypatch):
    model, steps, training = models.build("bias", (40, 30)), [], Training()
    split = splits.split(random_ratings(), "random", splits.Options())
    monkeypatch.setattr(model, "fit_all", lambda *_: steps.append("again"))
    monkeypatch.setattr(train.strategies, "choose", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(train.strategies, "default_choice", lambda of: {"of": of})
    assert train.fit(model, split, training, True) == ([], {"of": model}, False)
    assert (training.interrupted, training.failed, steps) == (True, "", [])


@pytest.mark.parametrize(("predicts", "held_out"), [(True, False), (False, False), (True, True)])
def test_ranges_are_learned_from_stars_on_the_scale_of_the_data(predicts, held_out, monkeypatch):
    table, told = replace(random_ratings(), scale=(-1.0, 7.0)), []
    split = splits.split(table, "random", splits.Options(validation_share=0.3))
    split.part[:3] = splits.Subset.GIVEN if held_out else split.part[:3]
    model = SimpleNamespace(predicts_ratings=predicts, predict=lambda _, users, __: 99.0 + 0 * users)
    monkeypatch.setattr(prediction_ranges, "learn", lambda *of: told.append(of) or "learned")
    can = predicts and not held_out
    assert train.ranges(model, split) == ({"ranges": "learned"} if can else {})
    assert len(told) == can
    for predicted, given in told:
        assert set(predicted.stars) == {7.0}
        np.testing.assert_array_equal(predicted.actual, split.validation.hidden.data)
        np.testing.assert_array_equal(given.toarray(), split.train.toarray())


def test_every_two_runs_are_compared_and_p_is_adjusted_over_the_pairs_of_a_metric():
    rng = np.random.default_rng(0)
    of = [{"rmse": Metric(rng.random(60) + i / 20, np.ones(60), root=True)} for i in range(3)]
    of[0]["ndcg@100"], of[2]["ndcg@100"] = (Metric(rng.random(60), np.ones(60)) for _ in range(2))
    pairs = evaluate.compare([({"run": name}, metrics) for name, metrics in zip("abc", of, strict=True)])
    assert [(pair["run"], pair["less"]) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    for pair, (first, second) in zip(pairs, [(0, 1), (0, 2), (1, 2)], strict=True):
        less = of[first]["rmse"].value - of[second]["rmse"].value
        assert pair["metrics"]["rmse"]["value"] == pytest.approx(less)
    rows = [pair["metrics"]["rmse"] for pair in pairs]
    assert [row["p_holm"] for row in rows] == pytest.approx(bootstrap.holm([row["p"] for row in rows]))
    assert any(row["p_holm"] > 1.5 * row["p"] for row in rows)
    (row,) = (pair["metrics"]["ndcg@100"] for pair in pairs if "ndcg@100" in pair["metrics"])
    assert row["p_holm"] == row["p"]  # there is but one pair of it
    assert all(row["verdict"] == evaluate.summary.verdict("rmse", row) for row in rows)


def test_what_is_described_is_what_min_count_leaves(monkeypatch):
    steps = []
    monkeypatch.setattr(train.Options, "load", lambda _: "data")
    monkeypatch.setattr(datasets, "keep_core", lambda *of: steps.append(of) or ("kept", None))
    monkeypatch.setattr(tables, "print_facts", lambda data, _: steps.append(data))
    assert train.main(["--describe", "--min-count", "3"]) is None
    assert steps == [("data", 3), "kept"]


def test_the_test_file_is_on_the_scale_of_the_data_and_in_its_words(monkeypatch):
    seen, data = [], SimpleNamespace(ratings=SimpleNamespace(scale=(1, 7)))
    monkeypatch.setattr(datasets, "load", lambda path, **how: seen.append((path, how)) or sys.exit())
    with pytest.raises(SystemExit):
        training_command.test_file.with_test_ratings(data, "fixed", Path("t.csv"), (1, 7), "reading")
    assert seen == [(Path("t.csv"), {"scale": (1, 7), "reading": "reading"})]


def test_strategies_are_chosen_on_vectors_without_the_validation_ratings(monkeypatch):
    steps, split = [], splits.split(random_ratings(), "random", splits.Options())
    model = SimpleNamespace(has_latent_space=False, fit=lambda *_: [], fit_all=lambda *_: [])
    model.encode_all = lambda known: steps.append(known.toarray())
    monkeypatch.setattr(train.strategies, "choose", lambda *_: steps.append("chosen") or {})
    monkeypatch.setattr(train, "ranges", lambda *_: {})
    found = {"discoveries": {"places": 2, "ndcg": 0.5}}
    monkeypatch.setattr(train.discoveries, "choose", lambda *of: steps.append(of) or found)
    preferred = train.fit(model, split, Training(), True)[1]
    assert steps.pop(2) == (model, split, found)  # on the same vectors; what was chosen so far, which it is added to
    assert preferred == found
    np.testing.assert_array_equal(steps[0], split.validation.given.toarray())
    assert steps[1] == "chosen"
    np.testing.assert_array_equal(steps[2], split.known.toarray())


def test_the_test_file_is_read_as_the_data_are(monkeypatch):
    data, steps = SimpleNamespace(ratings="ratings"), []
    monkeypatch.setattr(training_command.Source, "load", lambda _: data)
    for where, name, answer in (
        (training_command.test_file, "with_test_ratings", (data, "test")),
        (training_command.datasets, "keep_core", (data, "place")),
        (training_command.splits, "split", "split"),
    ):
        monkeypatch.setattr(where, name, lambda *of, answer=answer: steps.append(of) or answer)
    words = "bias --protocol fixed --test t.csv --scale 1,7 --min-count 3 --text-ids --duplicates last"
    words += " --columns user=u,movie=m,rating=r"
    args = train.parse(words.split())[1]
    assert training_command.read(args) == (data, "split")
    reading = datasets.Reading(args.columns, True, "last")
    assert args.columns
    assert steps == [
        (data, "fixed", Path("t.csv"), (1.0, 7.0), reading),
        (data, 3, "test"),
        ("ratings", "fixed", args.holding, "place"),
    ]


@pytest.mark.parametrize("stars", [-99, 99])
def test_what_is_predicted_is_cut_to_the_scale_of_the_data(stars):
    split = splits.split(replace(random_ratings(), scale=(-1.0, 7.0)), "random", splits.Options())
    predicted, figures = evaluate.Evaluator(split, np.ones((30, 1)), None).ratings(
        lambda _, users, __: stars + 0 * users
    )
    assert set(predicted.stars) == {np.clip(stars, -1.0, 7.0)}
    assert figures["mae"].value == pytest.approx(abs(split.test.hidden.data - predicted.stars).mean())


@pytest.mark.parametrize("scale", ["1", "1,2,3"])
def test_a_scale_is_two_numbers(scale):
    with pytest.raises(UserError, match=f"2 numbers separated by a comma are needed, got {scale}"):
        train.parse(["bias", f"--scale={scale}"])


def test_workers_are_refused_where_a_model_can_not_be_shared():
    config = SimpleNamespace(score_share=1.0)
    model = SimpleNamespace(takes_new_users=True, shares=True, like=3.5, blends=False, config=config)
    split = SimpleNamespace(holds_users_out=False, train=random_ratings().matrix())
    args = SimpleNamespace(workers=2, protocol="random")
    train.check("multdae", args, model, split)
    config.score_share = 0.9
    with pytest.raises(UserError, match="--score-share is for a training by one process, without --workers"):
        train.check("multdae", args, model, split)
    model.shares = False
    with pytest.raises(UserError, match="multdae is trained by one process only"):
        train.check("multdae", args, model, split)
    args.workers = None
    train.check("multdae", args, model, split)


# -- evaluate.py, recommend.py ----------------------------------------------------------------------------------------


def test_slices_are_by_what_is_given_and_errors_are_what_is_predicted_less_what_is_true(monkeypatch):
    seen = {}
    monkeypatch.setattr(subgroups, "slices", lambda *of: seen.update(slices=of) or "parts")
    monkeypatch.setattr(subgroups, "judge", lambda *of: seen.update(judged=of) or "judged")
    monkeypatch.setattr(prediction_ranges, "judge", lambda *of: seen.update(ranges=of) or "held")
    split = SimpleNamespace(test=SimpleNamespace(given="given"), ratings=SimpleNamespace(shape=(3, 4), scale=(1, 5)))
    saved = SimpleNamespace(run=SimpleNamespace(movies="movies", users="users"), split=split, ranges="learned")
    predicted = Predicted("rows", "columns", np.array([4.0, 2.0]), np.array([3.0, 2.5]))
    assert evaluate.of_slices(saved, "lists", predicted) == {"slices": "judged", "ranges": "held"}
    assert seen["slices"] == ("given", "movies", "users")
    assert seen["ranges"] == ("learned", predicted, "given", (1, 5), "parts")
    *others, (users, movies, error) = seen["judged"]
    assert (others, users, movies, error.tolist()) == (["parts", 3, "lists"], "rows", "columns", [-1.0, 0.5])
    saved.ranges = None
    assert evaluate.of_slices(saved, "lists", predicted)["ranges"] is None
    assert evaluate.of_slices(saved, "lists", None)["ranges"] is seen["judged"][3] is None


@pytest.mark.parametrize(("refit", "places"), [(True, 0), (False, 0), (True, 2)])
def test_a_run_is_judged_by_its_best_strategy_and_baselines_know_what_it_knows(refit, places, monkeypatch):
    steps, arranged = [], {}

    class Evaluator:
        def __init__(self, *of):
            steps.append(of)

        def lists(self, score, arrange):
            arranged[score[0]] = arrange
            values = [score[0], score[0] - 0.125] if arrange else score
            return [(SimpleNamespace(users=score), {"ndcg@100": Metric(np.full(2, v), np.ones(2))}) for v in values]

        def baselines(self, matrix):
            steps.append(matrix)
            return {"bias": {"ndcg@100": Metric(np.full(2, 0.25), np.ones(2))}}

        def parts(self, *_):
            return []

    split = SimpleNamespace(test="test", trained_users="pool", refit="refit", train="train")
    model = SimpleNamespace(predicts_ratings=False, has_latent_space=False)
    config = {"refit": refit, "seconds": 3.0, "command": "train.py x"}
    run = SimpleNamespace(split=split, config=config, history="history", verify=lambda: steps.append("verified"))
    saved = SimpleNamespace(model=model, genre_shares="shares", best="movies", neighbourhoods="near", run=run)
    saved.discoveries, saved.typical = places, lambda by: f"typical of {by}"
    monkeypatch.setattr(evaluate.discoveries, "arrange", lambda *of: of)
    monkeypatch.setattr(models, "open_run", lambda _: saved)
    monkeypatch.setattr(evaluate, "Evaluator", Evaluator)
    monkeypatch.setattr(evaluate, "check_testable", lambda _: steps.append("checked"))
    monkeypatch.setattr(evaluate, "about", lambda _, n: {"likers": n})
    monkeypatch.setattr(evaluate, "of_slices", lambda *of: {"of": of[1:]})
    monkeypatch.setattr(evaluate, "samples", lambda _, users: users)
    monkeypatch.setattr(evaluate.figures, "curves", lambda of: of)
    monkeypatch.setattr(evaluate.summary, "summarise", lambda _: "said")
    monkeypatch.setattr(evaluate.strategies, "possible_neighbours", lambda trained: f"some of {trained}")
    scores = {"neighbours": [0.5], "movies": [0.75], "decoder": [1.0]}
    monkeypatch.setattr(evaluate.strategies, "scorers", lambda *of: steps.append(of) or scores)
    facts, metrics = evaluate.evaluate_run(run)
    assert arranged == {0.5: None, 0.75: ("typical of movies", places) if places else None, 1.0: None}
    if places:
        assert facts["listed"]["discoveries"] == places
        assert facts["listed"]["metrics"]["ndcg@100"]["value"] == 0.625
        assert facts["listed"]["less_scores"]["ndcg@100"]["value"] == -0.125
    else:
        assert facts["listed"] is None
    matrix = "refit" if refit else "train"
    expected = ["verified", "checked", (split, "shares", None), (model, "test", "some of pool", "near"), matrix]
    assert steps == expected
    assert metrics["ndcg@100"].value == 0.75
    assert (facts["method"], facts["metrics"]["ndcg@100"]["value"]) == ("movies", 0.75)
    assert {name: of["ndcg@100"]["value"] for name, of in facts["methods"].items()} == {
        name: score for name, (score,) in scores.items()
    }
    assert facts["baselines"]["bias"]["ndcg@100"]["value"] == 0.25
    assert facts["less_baselines"]["bias"]["ndcg@100"]["value"] == 0.5
    assert (facts["samples"], facts["learning"], facts["said"], facts["latent"]) == ([0.75], "history", "said", None)
    assert (facts["made"]["command"], facts["seconds"]["train"]) == ("train.py x", 3.0)


def test_baselines_like_what_the_data_say_is_a_like(monkeypatch):
    built = []
    monkeypatch.setattr(models, "build", lambda name, shape, **how: built.append((name, shape, how)) or Built())

    class Built:
        predicts_ratings = False
        refit = staticmethod(lambda matrix, _: built.append(matrix))
        score = staticmethod(lambda given, _: np.zeros(given.shape, np.float32))

    table = replace(random_ratings(), threshold=2.5)
    split = splits.split(table, "random", splits.Options())
    found = evaluate.Evaluator(split, np.ones((30, 1)), None).baselines(matrix := split.train)
    assert list(found) == ["mean", "bias", "popularity", "itemknn"]
    how = {"scale": table.scale, "like": 2.5}
    assert built == [step for name in list(found)[1:] for step in ((name, matrix.shape, how), matrix)]


def test_every_two_runs_are_made_sure_to_be_comparable(monkeypatch):
    seen = []
    monkeypatch.setattr(run_folder, "find", lambda folder, verified: folder.name)
    monkeypatch.setattr(evaluate, "check_comparable", lambda *two: seen.append(two))
    monkeypatch.setattr(evaluate, "evaluate_run", lambda *_: sys.exit())
    with pytest.raises(SystemExit):
        evaluate.main(["--run", "A", "B", "C"])
    assert seen == [("A", "B"), ("A", "C"), ("B", "C")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--user 1 -n 0", "n must be 1 or more"),
        ("--like-movie A --explain", "are for recommendations"),
        ("--similar-users 1 --min-ratings 3", "are for recommendations"),
        ("--user 1 --unlike-movie A", "--unlike-movie takes --like-movie"),
        ("--user 1 --ratings-scale 1,5", "--ratings-scale takes the lowest"),
        ("--ratings a.csv --ratings-scale 5,5", "--ratings-scale takes the lowest"),
        ("--similar-users 1 --watchlist w", "--watchlist is for recommendations"),
        ("--all-users --csv a --watchlist w", "--watchlist is for recommendations"),
        ("--for-all 1 1", "--for-all takes two or more people, each once"),
        ("--for-all 1 2 --join fair --calibrated", "--diverse and --calibrated go with"),
        ("--for-all 1 2 --join fair --diverse 0.1", "--diverse and --calibrated go with"),
        ("--user 1 --out d", "--parquet and --out are for --all-users"),
        ("--user 1 --parquet d", "--parquet and --out are for --all-users"),
        ("--user 1 --json - --csv -", "only one of --json and --csv"),
        ("--all-users --csv a --json b", "--all-users writes one of"),
        ("--all-users --csv a --workers 2", "--workers and --ray are for"),
        ("--all-users --out d --workers 0", "--workers must be 1 or more"),
        ("--all-users --out d --ray x", "--ray takes --workers N"),
        ("--all-users --user 1", "more than one was given"),
    ],
)
def test_options_of_recommend_that_do_not_go_together_are_refused(words, said):
    with pytest.raises(UserError, match=said):
        options.parse(recommend.Options, words.split(), "recommend.py", "")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--usr", "did you mean --user?"),
        ("--explian", "did you mean --explain?"),
        ("--zzz", "--help lists the options"),
    ],
)
def test_an_option_that_is_misspelt_is_guessed(typed, said):
    with pytest.raises(UserError, match=f"unknown option {typed}; {re.escape(said)}"):
        options.parse(recommend.Options, [typed, "3"], "recommend.py", "")


def test_a_short_option_ends_the_values_before_it():
    words = ["--rate", "A=1", "B=2", "-n", "5", "--rate", "C=3"]
    found = options.parse(recommend.Options, words, "recommend.py", "")
    assert (found.rate, found.n) == (("A=1", "B=2", "C=3"), 5)


def test_a_profile_is_what_the_file_and_the_typed_ratings_say(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "utils.personal.ratings.read_personal", lambda *of: asked.append(of) or ({1: 5.0, 3: 2.0}, {7}, ["file"])
    )
    monkeypatch.setattr(profile, "read_typed", lambda *of: asked.append(of) or ({2: 1.0, 3: 4.0}, ["typed"]))
    monkeypatch.setattr(
        profile, "without_rare", lambda _, stars: ({m: value for m, value in stars.items() if m != 1}, ["rare"])
    )
    monkeypatch.setattr(profile, "of_ratings", lambda *of: of)
    run = SimpleNamespace(ratings=SimpleNamespace(scale=(1, 5)), titles="titles", movies="movies", links="links")
    words = ["--ratings", "a.csv", "--ratings-scale", "1,10", "--rate", "X=4"]
    found = recommend.read_profile(run, options.parse(recommend.Options, words, "recommend.py", ""))
    assert found == (run.ratings, {2: 1.0, 3: 4.0}, ["file", "typed", "rare"], {7})
    assert asked == [(Path("a.csv"), "titles", (1, 5), "links", (1.0, 10.0)), ("titles", (1, 5), ("X=4",))]


def test_the_people_of_a_group_are_users_files_or_neither(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2").write_text("a file called as a user")
    (tmp_path / "ann").write_text("a file without an ending")
    read = {"2": ["2: of 2"], "ann": ["of ann"], "none.csv": ["of none"]}
    monkeypatch.setattr("utils.personal.ratings.read_personal", lambda path, *_: ({1: 5.0}, {7}, read[str(path)]))
    ratings = SimpleNamespace(scale=(1, 5), user_ids=np.array([2, 3]))
    run = SimpleNamespace(ratings=ratings, titles="titles", links="links")

    @dataclass
    class Found:
        user: int
        notes: list

    monkeypatch.setattr(profile, "of_ratings", lambda *of: of)
    monkeypatch.setattr(profile, "of_user", lambda _, text: Found({"2": 0, "3": 1}[text], []))
    asked = options.parse(recommend.Options, ["--for-all", "3", "2", "ann", "--ratings", "none.csv"], "", "")
    assert recommend.read_people(run, asked) == [
        (3, Found(1, [])),
        (2, Found(0, ["2 is read as a user of the data; ./2 is the file"])),
        ("ann", (ratings, {1: 5.0}, ["ann: of ann"], {7})),
        ("none.csv", (ratings, {1: 5.0}, ["none.csv: of none"], {7})),
    ]
    asked = options.parse(recommend.Options, ["--for-all", "3", "--ratings", "2"], "", "")
    assert recommend.read_people(run, asked)[1] == ("2", (ratings, {1: 5.0}, ["2: of 2"], {7}))  # --ratings takes files
    with pytest.raises(KeyError, match="nobody"):  # of_user says that there is no such user
        recommend.read_people(run, options.parse(recommend.Options, ["--for-all", "3", "nobody"], "", ""))


@pytest.mark.parametrize("many", [False, True])
def test_what_is_answered_is_what_the_options_ask_for(many, monkeypatch):
    asked = []
    monkeypatch.setattr(models, "open_run", lambda run: f"saved {run}")
    monkeypatch.setattr(recommend, "read_listed", lambda *_: ({4}, ["of the list"]))
    monkeypatch.setattr(recommend, "read_profile", lambda *_: "profile")
    monkeypatch.setattr(recommend, "read_people", lambda *_: "people")
    for where in (recommend.recommendations, recommend.group):
        monkeypatch.setattr(where, "recommend", lambda *of: asked.append(of) or {"notes": ["of the rest"]})
    words = ["--by", "movies", "-n", "7", "--genre", "War", "--watchlist", "w", "--join", "least-misery"]
    words = [*words, "--for-all", "1", "2"] if many else [*words[:-2], "--user", "1", "--explain"]
    facts = recommend.answer("run", options.parse(recommend.Options, words, "", ""))
    filters = reranking.Options(genre=("War",))
    more = ("least-misery", filters, {4}) if many else (filters, True, {4})
    assert asked == [("saved run", "people" if many else "profile", "movies", 7, *more)]
    assert facts["notes"] == ["of the list", "of the rest"]
    assert 0 <= facts["seconds"] < 10


@pytest.mark.parametrize("parts", [False, True])
def test_everybody_gets_what_the_options_ask_for(parts, monkeypatch, tmp_path):
    asked = []
    saved = SimpleNamespace(strategy=str.upper, places=lambda *of: asked.append(of) or 2 * (not parts))
    monkeypatch.setattr(models, "open_run", lambda run: saved)
    monkeypatch.setattr(recommend.everyone, "write", lambda *of: asked.append(of) or 1234)
    monkeypatch.setattr(recommend.everyone, "write_parts", lambda *of: asked.append(of) or (1234, 5, 2))
    of_files = ["--parquet", "all.parquet", "--discover", "2"]
    where = ["--out", str(tmp_path / "d"), "--workers", "3"] if parts else of_files
    words = ["--all-users", "--by", "movies", "-n", "7", "--genre", "War", *where]
    said = recommend.for_everyone("run", options.parse(recommend.Options, words, "", ""))
    filters = reranking.Options(genre=("War",), discover=None if parts else 2)
    request = recommend.everyone.Request("movies", 7, filters)
    assert asked.pop() == ("MOVIES", filters, 7)
    if parts:
        assert asked == [(saved, request, tmp_path / "d", models.open_run, 3, None)]
        assert said.endswith(f"s, written to {tmp_path / 'd'}, 5 parts, of which 2 were there")
    else:
        assert asked == [(saved, request, "all.parquet", True)]
        assert said.endswith("s, written to all.parquet; each list ends with up to 2 discoveries")
    assert said.startswith("1,234 users in ")


def test_an_answer_goes_where_the_options_say(monkeypatch, tmp_path, capsys):
    seen, facts = [], {"items": [], "notes": ["said"]}
    monkeypatch.setattr(run_folder, "find", lambda *of: seen.append(of) or SimpleNamespace(folder="runs/x"))
    monkeypatch.setattr(recommend, "answer", lambda *_: facts)
    words = ["--user", "1", "--run", "r", "--no-verify", "--save-preset", str(tmp_path / "a.toml")]
    recommend.main([*words, "--json", str(tmp_path / "a.json"), "--csv", str(tmp_path / "a.csv")])
    assert seen == [(Path("r"), False)]
    preset = (tmp_path / "a.toml").read_text().splitlines()
    assert [text.split(" = ")[0] for text in preset] == ["user", "run", "verify", "json", "csv"]
    assert preset[:3] == ['user = "1"', 'run = "r"', "verify = false"]
    assert json.loads((tmp_path / "a.json").read_text()) == facts
    assert (tmp_path / "a.csv").read_text().startswith("rank,movieId,title,")
    assert capsys.readouterr().out.splitlines() == ["said", "run: runs/x", "no movie fits"]
    recommend.main(["--user", "1", "--csv", "-"])
    assert capsys.readouterr().out.splitlines() == ["rank,movieId,title,name,year,genres,score,predicted_rating"]


def test_a_list_shows_up_to_eight_ratings_and_says_where_it_ends():
    def told(n_given, n_items, **config):
        given = [{"title": f"M{i} (1990)", "rating": i + 0.5} for i in range(n_given)]
        items = [{"rank": 1, "user": 1, "cosine": 0.5, "both_rated": 1, "both_like": []}] * n_items
        facts = {"given": given, "items": items, "user": 3, "notes": ["said"]}
        asked = options.parse(recommend.Options, ["--similar-users", "3", "-n", "2"], "recommend.py", "")
        return recommend.notes_and_lines(asked, facts)

    notes, lines = told(9, 2)
    assert notes[0] == "said"
    assert notes[1] == f"your ratings: {'; '.join(f'M{i} {i + 0.5:g}' for i in range(8))} and 1 more"
    assert len(lines) == 1
    assert told(0, 1)[0] == ["said"]
    assert told(0, 1)[1][1:] == ["there is no more than this one"]
    assert told(0, 0)[1] == ["there is no other user"]


# -- tune.py -----------------------------------------------------------------------------------------------------------


def searching(**more):
    """A `Search` that was not opened, of two options."""
    search = object.__new__(tune.Search)
    search.objective = SimpleNamespace(defaults={"l2": "80", "user_norm": "0"}, figure="rmse", deadline=0)
    vars(search).update(more)
    return search


def line(trial, figure, state="complete", **options_):
    of_trial = {"trial": trial, "state": state, "figure": figure, "epochs": 3, "seconds": 1.5, "why": ""}
    return of_trial | {"l2": "80", "user_norm": "0"} | options_


def test_the_table_of_a_search_has_the_best_and_the_defaults():
    lines = [line(i + 1, i / 10, l2=str(i)) for i in range(11)]
    lines += [line(0, 2.0), line(20, "", "pruned", l2="7")]
    search = searching()
    table = search.table(lines)
    assert list(table.columns[0].cells) == [*map(str, range(1, 11)), "12"]
    first, last = ([list(column.cells)[i] for column in table.columns] for i in (0, -1))
    assert first == ["1", "1", "0.0000", "3", "1.5", "l2 0"]
    assert last == ["12", "0", "2.0000", "3", "1.5", "the defaults"]
    assert search.differing(line(3, 1, user_norm="0.2")) == "user-norm 0.2"
    assert search.with_defaults([line(3, 1, "pruned"), line(4, 1, l2="1")]) == []


def test_what_lies_outside_its_space_is_not_searched(tmp_path):
    (tmp_path / "c.json").write_text('{"model": "ease", "options": {"l2": 5000.0, "relax": 0.1}}')
    search = tune.Search(["ease", "--config", str(tmp_path / "c.json"), "--dropout", "0.2"], tables.console())
    assert list(search.spaces) == ["relax", "user_norm", "movie_norm"]
    assert search.listed == ["l2", "dropout", "relax", "user_norm", "movie_norm"]


@pytest.mark.parametrize(
    ("stopped", "lines", "ends"),
    [
        (True, [], KeyboardInterrupt),
        (True, [{"state": "pruned", "why": "x"}], KeyboardInterrupt),
        (False, [], "no trial came to its end: the time was over before; the same command, with more time, goes on"),
        (False, [{"state": "pruned", "why": ""}, {"state": "pruned", "why": "x"}], "they were given up, x; the same"),
        (True, [{"state": "complete"}], "stopped early; the same command goes on"),
        (False, [{"state": "complete"}], ""),
    ],
)
def test_how_a_search_ends_is_said(stopped, lines, ends, monkeypatch, capsys):
    search = SimpleNamespace(open=lambda: None, run=lambda: stopped, lines=lambda: lines, folder="folder")
    search.write, search.print_results = lambda of: of, lambda *of: print("results", of == (lines, lines))
    monkeypatch.setattr(tune, "Search", lambda *_: search)
    if lines and lines[0]["state"] == "complete":
        assert tune.main([]) == "folder"
        assert capsys.readouterr().out.split("\n") == ["results True", *filter(None, [ends]), ""]
    else:
        with pytest.raises(KeyboardInterrupt if stopped else UserError, match=None if stopped else ends):
            tune.main([])


def test_a_search_is_of_its_split_its_scale_and_the_options_that_are_not_searched():
    search = tune.Search(["ease", "--l2", "5", "--signed"], tables.console())
    ratings = SimpleNamespace(scale=(1.0, 5.0), like=3.0)
    split = SimpleNamespace(ratings=ratings, fingerprint=lambda: "all", test_fingerprint=lambda: "test")
    found = search.signature(split)
    assert (found["model"], found["split"], found["scale"], found["like"]) == ("ease", "all", [1.0, 5.0], 3.0)
    assert found["options"] == {"l2": 5.0, "signed": True}
    assert list(found["start"]) == list(found["spaces"]) == ["dropout", "relax", "user_norm", "movie_norm"]
    assert found["spaces"]["dropout"] == repr(search.spaces["dropout"])
    assert found["start"]["dropout"] == 0.52


def test_the_table_of_a_search_has_no_trial_that_was_given_up():
    assert searching().table([line(0, 0.5), line(1, "", "pruned")]).row_count == 1
    assert searching().table([line(n, 0.5, l2=str(n)) for n in range(12)]).row_count == 10


@pytest.mark.parametrize("n", [1, 2])
def test_the_best_of_several_is_said_to_be_lucky(n, capsys):
    search = searching(console=tables.console(), folder="folder", args=tune.Options(like=3.0))
    search.print_results([line(i, 0.5, l2=str(i)) for i in range(n)], {})
    said = " ".join(capsys.readouterr().out.split())
    assert ("the best of several is a little lucky" in said) is (n > 1)
    assert said.endswith("saved in folder; next: python train.py --config folder/best.json --like 3")


def test_the_options_of_the_best_trial_are_written(monkeypatch):
    written, space = [], SimpleNamespace(draw=lambda trial, name: f"{name} of {trial}")
    study = SimpleNamespace(get_trials=lambda deepcopy: ["none", "one", "two"])
    search = searching(study=study, spaces={"l2": space}, listed=["l2", "dropout"], model="ease", folder="folder")
    search.args, search.config = tune.Options(like=3.0, min_count=2), models.module("ease").Config(dropout=0.25)
    monkeypatch.setattr(tune.studies, "importance", lambda _: {"l2": 0.98765})
    monkeypatch.setattr(tune.search_results, "write", lambda *of: written.append(of))
    lines = [line(2, 0.9, l2="70"), line(0, 0.8), line(1, "", "pruned")]
    assert search.write(lines) == {"l2": 0.988}
    ((folder, table, config, facts),) = written
    assert (folder, table) == ("folder", lines)
    assert config == {"model": "ease", "options": {"l2": "l2 of two", "dropout": 0.25}}
    assert (facts["value"], facts["defaults"], facts["trials"]) == (0.9, 0.8, 3)
    assert (facts["like"], facts["min_count"], facts["seed"], facts["figure"]) == (3.0, 2, 0, "rmse")
    search.write(lines[:1])
    assert written[1][3]["defaults"] == ""  # no trial had them


def test_a_trial_is_printed_with_what_became_of_it(capsys):
    search = searching(console=tables.console())
    study = SimpleNamespace(best_trial=SimpleNamespace(number=4))

    def told(number, state, **facts):
        noted = {"options": line(0, 0), "seconds": 12.4, "figure": 0.12345} | facts
        search.print_trial(study, SimpleNamespace(number=number, user_attrs=noted, state=SimpleNamespace(name=state)))
        return capsys.readouterr().out.strip()

    assert told(4, "COMPLETE") == "trial 4, 12 s: rmse 0.1235 (best so far): the defaults"
    assert told(5, "COMPLETE") == "trial 5, 12 s: rmse 0.1235: the defaults"
    assert told(5, "PRUNED", why="behind") == "trial 5, 12 s: given up, behind: the defaults"
    assert told(5, "FAIL") == "trial 5, 12 s: no time left for its end: the defaults"


@pytest.mark.parametrize(
    ("trials", "minutes", "finished", "most", "seconds"),
    [(None, None, 29, 30, None), (7, None, 6, 7, None), (None, 2, 99, sys.maxsize, 120), (7, 0.5, 0, 7, 30)],
)
def test_a_search_ends_with_its_trials_or_its_time(trials, minutes, finished, most, seconds, monkeypatch):
    asked, done = {}, [None] * finished
    study = SimpleNamespace(
        get_trials=lambda **_: done,
        optimize=lambda sample, **how: asked.update(how),
        user_attrs={"signature": {"start": {}}},
    )
    args = SimpleNamespace(trials=trials, minutes=minutes, holding=SimpleNamespace(seed=0))
    search = searching(args=args, study=study)
    monkeypatch.setattr(tune.time, "perf_counter", lambda: 1000.0)
    assert search.run() is False
    assert (asked["timeout"], asked["callbacks"][1]._n_trials) == (seconds, most)
    assert search.objective.deadline == 1000 + (seconds or np.inf)
    if most < 100:
        asked.clear()
        done += [None] * (most - finished)
        assert search.run() is False
        assert not asked


# -- options.py --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "argv", "there"),
    [
        ("refit", ["--no-refit"], True),
        ("refit", ["--refit"], True),
        ("no_verify", ["--verify"], False),
        ("n", ["-n", "3"], True),
        ("batch_size", ["--batch_size=3"], True),
        ("seed", ["--data", "seed"], False),
    ],
)
def test_an_option_is_given_in_whatever_spelling(name, argv, there):
    assert options.given(name, argv) is there


@pytest.mark.parametrize(
    ("argv", "value"),
    [(["--a", "1", "--config", "x"], "x"), (["--config=x=y"], "x=y"), (["--config"], None), (["--configs", "x"], None)],
)
def test_the_value_of_an_option_is_the_word_behind_it(argv, value):
    assert options.value_of("--config", argv) == value


def test_words_of_a_list_end_with_the_next_option():
    asked = options.parse(
        recommend.Options, ["--rate", "A=1", "B=2", "-n", "3", "--rate=C=3", "D=4"], "recommend.py", ""
    )
    assert (asked.rate, asked.n) == (("A=1", "B=2", "C=3", "D=4"), 3)
    for wrong in ("1,5,9", "1"):
        with pytest.raises(UserError, match=f"2 numbers separated by a comma are needed, got {wrong}"):
            options.parse(train.Options, ["--scale", wrong], "train.py", "")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("wrong"), 2, "x.py: wrong"),
        (MemoryError(), 2, "x.py: there is not enough memory for this"),
        (KeyboardInterrupt(), 130, "stopped"),
        (OSError(errno.EROFS, "Read-only", "a"), 2, "x.py: a can not be used (Read-only)"),
        (OSError(errno.EACCES, "denied"), None, ""),  # of no file: a bug
        (OSError(errno.ENOENT, "No such file", "a"), None, ""),
    ],
)
def test_a_script_ends_with_its_status_and_a_sentence(error, status, said, monkeypatch, capsys):
    def main(_):
        raise error

    monkeypatch.setattr(sys, "argv", ["/somewhere/x.py"])
    with pytest.raises(type(error) if status is None else SystemExit) as ended:
        options.run(main)
    assert status is None or ended.value.code == status
    assert capsys.readouterr().err.strip() == said


def test_a_pipe_whose_reader_has_stopped_is_no_error(monkeypatch, capsys):
    def stopped(_):
        with files._write_errors("-"):
            raise BrokenPipeError

    monkeypatch.setattr(sys.stderr, "close", lambda: None)
    with pytest.raises(BrokenPipeError):
        stopped([])
    options.run(stopped)  # returns: status 0
    assert capsys.readouterr().err == ""


def test_each_way_in_which_a_disk_is_full_is_one():
    assert set(options.UNWRITTEN) == {errno.ENOSPC, errno.EIO, errno.EDQUOT}
