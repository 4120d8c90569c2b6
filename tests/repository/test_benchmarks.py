"""The benchmarks: every row can be run, and the tables of the documentation are those of the result files."""

import itertools
import json
import shlex
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import accuracy
import bundled
import coldstart
import commands
import elicitation
import experiments
import generate
import irspack_rows
import kernel
import large
import lists
import maps
import numpy as np
import page
import peers
import peers_searched
import published
import pytest
import searches
import tables
import titles
import vae_epochs
import vectors
from conftest import write_checkerboard

import models
import train
from utils.data import datasets, splits
from utils.evaluation import holdout_metrics
from utils.runs import run_folder
from utils.training import search_space


@pytest.mark.parametrize("row", accuracy.ROWS)
def test_every_row_is_a_command_of_train_or_a_model_of_irspack(row):
    command, data, less = accuracy.ROWS[row]
    if command.startswith("irspack "):
        name = irspack_rows.Irspack(command, 3.5).name
        assert (
            hasattr(irspack_rows.irspack, name) or name == "MultVAERecommender"
        )  # which is there once JAX is installed
        command = "popularity"
    name, chosen, _ = train.parse([*shlex.split(command), *data.split()])
    assert name == shlex.split(command)[0]
    assert chosen.data in ("ml-1m", "ml-100k", "ml-latest-small-2016", "data/filmtrust/ratings.csv")
    assert less is None or less in accuracy.ROWS


@pytest.mark.parametrize(
    ("marker", "table"),
    [
        ("bundled", bundled.table),
        ("accuracy", accuracy.table),
        ("side", accuracy.side_table),
        ("ranking", accuracy.ranking_table),
        ("peers", peers.table),
        ("peers-searched", peers_searched.table),
        ("vae-epochs", vae_epochs.table),
    ],
)
def test_the_page_of_results_shows_them_as_they_are(marker, table):
    assert tables.shown(marker) == table()


def test_the_readme_and_the_page_of_blending_show_the_results_as_they_are():
    assert tables.shown("blends", tables.DOCS / "blending.md") == accuracy.blend_table()
    assert tables.shown("summary", tables.README) == accuracy.summary_table()


def test_the_page_of_experiments_shows_what_the_kernel_brings():
    assert tables.shown("kernel", kernel.PAGE) == kernel.table()


@pytest.mark.parametrize("script", [vectors, lists, coldstart, commands, elicitation, titles], ids=lambda s: s.__name__)
def test_the_notes_on_results_show_them_as_they_are(script):
    assert tables.shown(script.__name__, tables.NOTES) == script.table()


def test_the_docs_of_the_page_show_how_quick_it_is_and_how_true_its_map():
    assert tables.shown("page", tables.DOCS / "page.md") == page.table()
    assert tables.shown("maps", tables.DOCS / "page.md") == maps.table()
    assert all(float(row["t-SNE"]) >= 0.9 > float(row["principal components"]) for row in tables.read("maps.csv"))


@pytest.mark.parametrize(
    "marker",
    ["experiments-stars", "experiments-likes", "searches", "architectures-rating", "architectures-ranking"],
)
def test_the_page_of_experiments_shows_them_as_they_are(marker):
    assert tables.shown(marker, experiments.PAGE) == experiments.parts()[marker]


def test_the_page_of_scale_shows_the_large_sets_as_they_are():
    assert tables.shown("large", large.PAGE) == large.table()


def test_every_search_kept_all_its_trials():
    for line in tables.read("searches.csv"):
        trials = tables.read(f"searches/{line['search'].replace('/', '-')}.csv")
        complete = [float(trial["figure"]) for trial in trials if trial["state"] == "complete"]
        best = min(complete) if line["figure"] == "rmse" else max(complete)
        assert (len(trials), best) == (int(line["trials"]), float(line["value"])), line["search"]
        model, *held = searches.SEARCHES[line["search"]][0].split()
        for words in (held, search_space.typed(json.loads(line["options"]))):
            assert train.parse([model, *words])[0] == model


def test_the_page_of_published_figures_is_the_one_of_the_files():
    assert published.PAGE.read_text(encoding="utf-8") == published.page()


def test_each_published_figure_stands_below_the_metric_it_is_of():
    shown, protocol, metric = {}, None, None
    for line in published.page().splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split(" | ")]
        if line.startswith("## "):
            protocol = line[3:]
        elif line.startswith("| model |"):
            metric = cells[1]
            shown.setdefault((protocol, metric), [])
        elif line.startswith("| ") and protocol:
            shown[protocol, metric].append((cells[0].strip("`*"), float(cells[1])))
    said = tables.read(tables.HERE / "published.csv")
    for line in said:
        assert (line["model"], float(line["value"])) in shown[line["protocol"], line["metric"]], line
    assert len({line["metric"] for line in said if line["protocol"] == "ml-1m ranking otherwise"}) == 2
    for (_, metric), rows in shown.items():
        values = [value for _, value in rows]
        assert values == sorted(values, reverse=metric != "RMSE")


def test_ranges_of_cold_start_hold_each_rating_once(run_of, monkeypatch):
    run = run_folder.Run(run_of("blend", "--parts", "bias,itemknn", "--protocol", "cold"))
    lines = {
        (line["model"], line["of"], line["ratings"], line["figure"]): line for line in coldstart.measure(run.folder)
    }
    test, blend = run.split.test, models.load(run)
    hidden = test.hidden.tocoo()
    for model, of in itertools.product(("blend", "bias", "itemknn"), ("user", "movie")):
        assert sum(lines[model, of, label, "rmse"]["n"] for label in coldstart.NAMES) == hidden.nnz

    few = np.isin(np.diff(test.given.indptr)[hidden.row], range(5, 20))
    stars = {"blend": blend, **dict(zip(("bias", "itemknn"), blend.parts, strict=True))}
    rmse = {}
    for name, model in stars.items():
        error = np.clip(model.predict(test.given, hidden.row, hidden.col), *run.split.ratings.scale) - hidden.data
        rmse[name] = np.sqrt(np.mean(error[few] ** 2))
        assert lines[name, "user", "5-19", "rmse"]["value"] == pytest.approx(rmse[name], abs=1e-4)
    row = lines["bias", "user", "5-19", "rmse"]
    assert row["less_value"] == pytest.approx(rmse["blend"] - rmse["bias"], abs=1e-4)
    assert row["less_low"] < row["less_value"] < row["less_high"]
    assert lines["blend", "user", "5-19", "rmse"]["less_value"] == ""

    monkeypatch.setattr(
        tables, "read", lambda _: [{key: str(value) for key, value in line.items()} for line in lines.values()]
    )
    shown = coldstart.table()
    of_bias = shown.split("RMSE (test ratings) by ratings of the user")[1].split("| `bias` |")[1].splitlines()
    assert of_bias[0].split(" | ")[2] == str(row["value"])
    assert of_bias[1].split(" | ")[3].startswith(f"{row['less_value']:+.4f} ({row['less_low']:+.4f} to")


def test_a_row_beside_peers_is_judged_as_a_run_is(tmp_path, monkeypatch, capsys):
    write_checkerboard(tmp_path / "board")
    monkeypatch.setattr(peers, "DATA", f"--data {tmp_path / 'board'} --protocol random --seed 0")
    monkeypatch.setattr(peers, "python_of", lambda _: sys.executable)  # irspack is installed for the tests
    data, split = peers.exchanged(tmp_path)
    with np.load(tmp_path / "data.npz") as file:
        assert not {"test_rating", "stars"} & set(file.files)
        assert len(file["rating"]) == (split.part != splits.Subset.TEST).sum()
        assert len(file["test_user"]) == (split.part == splits.Subset.TEST).sum()
    found = {name: peers.measure(name, tmp_path, data, split) for name in ("irspack EASE", "ours ease", "ours itemknn")}
    assert found["irspack EASE"]["ndcg@100"] == found["ours ease"]["ndcg@100"] > 0.2
    assert found["ours ease"]["answer_seconds"] < 5
    assert found["ours ease"]["peak_mb"] > 50

    name, _, config = train.parse(["itemknn", *peers.DATA.split()])
    model = models.for_data(name, config, data, 0)
    model.refit(split.refit)
    own = holdout_metrics.rating_metrics(model.predict, split.test, data.ratings.scale)["rmse"].value
    assert found["ours itemknn"]["rmse"] == pytest.approx(own, abs=1e-5)
    monkeypatch.setitem(peers.ROWS, "ours none", peers.ours("stars", "nothing"))
    assert peers.measure("ours none", tmp_path, data, split) is None
    assert "ours none: failed" in capsys.readouterr().out


def test_what_was_measured_beside_peers_is_what_the_rows_say():
    for line in tables.read("peers.csv"):
        row = peers.ROWS[line["row"]]
        assert (line["what"], line["library"], line["model"]) == (row.what, row.library, row.model)
        assert line["options"] == peers.said(row), line["row"]
    for line in tables.read("vae_epochs.csv"):
        assert line["options"] == peers.said(vae_epochs.ROWS[line["model"]][line["row"]]), line["row"]


def test_every_row_beside_peers_can_be_run():
    for name, row in (peers.ROWS | vae_epochs.ROWS["multvae"] | vae_epochs.ROWS["recvae"]).items():
        assert (peers.HERE / "libraries" / f"of_{row.library}.py").exists()
        assert row.library == "reelspace" or row.library in peers.NEEDS
        if row.library == "reelspace":
            assert train.parse([row.model, *row.options["command"].split()])[0] == row.model, name


def test_the_options_that_are_tried_are_a_few_of_all_in_an_order_of_their_own():
    assert peers_searched.ROWS.keys() == peers_searched.TRIED.keys()
    for name, tried in peers_searched.TRIED.items():
        found = peers_searched.tries(name)
        assert found == peers_searched.tries(name)
        assert found[0] == {option: values[0] for option, values in tried.items()}
        whole = int(np.prod([len(values) for values in tried.values()]))
        assert len({str(options) for options in found}) == len(found) == min(whole, peers_searched.MOST), name
        assert all(value in tried[option] for options in found for option, value in options.items())
        library = peers_searched.ROWS[name][1]
        assert (peers.HERE / "libraries" / f"of_{library}.py").exists()
        for options in found if library == "reelspace" else ():
            row, given = peers_searched.row_with(name, options, peers_searched.DATA["ml-1m"], True)
            assert train.parse([row.model, *given["command"].split()])[0] == row.model, name
            assert given["validation"] is True


def test_a_search_takes_what_validation_likes_best_within_its_time(tmp_path, monkeypatch):
    write_checkerboard(tmp_path / "board")
    words, seconds = f"--data {tmp_path / 'board'} --protocol random --seed 0", []
    monkeypatch.setattr(peers, "python_of", lambda _: sys.executable)  # irspack is installed for the tests
    monkeypatch.setitem(peers_searched.TRIED, "irspack EASE", {"reg": (1e6, 3.0, 1e5)})
    monkeypatch.setitem(peers_searched.TRIED, "ours ease", {"l2": (1e6, 3.0, 1e5), "dropout": (0,), "relax": (0,)})
    monkeypatch.setitem(peers_searched.DATA, "board", words)
    monkeypatch.setitem(peers_searched.SECONDS, "board", 100)
    data, split = peers.exchanged(tmp_path, words)
    with np.load(tmp_path / "search.npz") as file:
        assert len(file["rating"]) == (split.part == splits.Subset.TRAIN).sum()
        assert len(file["test_user"]) == (split.part == splits.Subset.VALIDATION).sum()
        assert not file["validation"].any()
    lines = {
        name: peers_searched.measure(name, tmp_path, data, split, "board") for name in ("irspack EASE", "ours ease")
    }
    name, _, config = train.parse(["ease", "--l2", "3", "--dropout", "0", "--relax", "0", *words.split()])
    judged = {}
    for l2 in (1e6, 3.0, 1e5):
        model = models.for_data(name, replace(config, l2=l2), data, 0)
        model.refit(split.train)
        judged[l2] = holdout_metrics.ranking_metrics(model.score, split.validation)["ndcg@100"].value
    best = max(judged, key=judged.get)
    model = models.for_data(name, replace(config, l2=best), data, 0)
    model.refit(split.refit)
    of_test = holdout_metrics.ranking_metrics(model.score, split.test)["ndcg@100"].value
    assert lines["ours ease"]["options"] == f"l2={best} dropout=0 relax=0"
    assert lines["ours ease"]["ndcg@100"] == pytest.approx(of_test, abs=1e-5)
    assert [line["tried"] for line in lines.values()] == [3, 3]
    times = {"fit_seconds": 4.0}
    monkeypatch.setattr(peers, "trained", lambda *of: seconds.append(of) or times)
    monkeypatch.setattr(peers, "judged", lambda *of: {"ndcg@100": len(seconds)})  # the last is the best
    np.save(tmp_path / "found.npy", np.zeros(1))
    order = peers_searched.tries("irspack EASE")
    for budget, tried in ((3, 1), (4, 2), (7, 2), (90, 3)):
        assert peers_searched.search("irspack EASE", tmp_path, data, split, words, budget) == (order[tried - 1], tried)
        seconds.clear()
    fails = [None, times]
    monkeypatch.setattr(peers, "trained", lambda *of: seconds.append(of) or fails[len(seconds) % 2])  # each other time
    assert peers_searched.search("irspack EASE", tmp_path, data, split, words, 90) == (order[2], 3)
    monkeypatch.setattr(peers, "trained", lambda *of: None)
    assert peers_searched.measure("irspack EASE", tmp_path, data, split, "board") is None


SMALL = generate.Shape(users=300, movies=120, ratings=9_001, users_a_chunk=70)


def made(shape):
    """User, movie, rating and timestamp of all chunks."""
    return [np.concatenate(parts) for parts in zip(*generate.chunks(shape), strict=True)]


def test_made_up_ratings_keep_their_promises():
    user, movie, rating, seconds = made(SMALL)
    assert len(user) == len(seconds) == 9_001
    assert len(np.unique(user * SMALL.movies + movie)) == 9_001
    assert (np.diff(user) >= 0).all()
    assert np.bincount(user, minlength=300).min() >= 5
    assert np.bincount(movie, minlength=120).min() >= 1
    assert set(np.unique(2 * rating)) <= set(range(1, 11))
    assert 0.35 < (rating > 3.5).mean() < 0.6
    for one, again in zip((user, movie, rating, seconds), made(SMALL), strict=True):
        np.testing.assert_array_equal(one, again)
    assert (made(replace(SMALL, seed=1))[2] != rating).any()


def strongest(values, known):
    """The largest singular value of users x movies, of the known cells less the means of rows and columns."""
    for _ in range(10):
        for axis in (0, 1):
            values = values - known * values.sum(axis, keepdims=True) / known.sum(axis, keepdims=True)
    return np.linalg.svd(values, compute_uv=False)[0]


def test_made_up_ratings_have_taste_in_movies_and_stars(monkeypatch):
    def found():
        user, movie, rating, _ = made(generate.Shape(users=1_000, movies=100, ratings=30_000))
        rated, stars = np.zeros((2, 1_000, 100))
        rated[user, movie], stars[user, movie] = 1, rating
        return np.array([strongest(stars, rated), strongest(rated, np.ones(rated.shape))])

    monkeypatch.setattr(generate, "NOISE", 0.2)  # in its place: more ratings than a test has time for
    with_taste = found()
    monkeypatch.setattr(generate, "TASTE", 0)
    assert (with_taste > 1.8 * found()).all()


def test_the_command_line_writes_the_shape_it_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(generate.SHAPES, "ml-1m", SMALL)
    generate.main([str(tmp_path / "made.csv"), "--shape", "ml-1m", "--seed", "3"])
    assert capsys.readouterr().out == "9,001 ratings written\n"
    data = datasets.load(tmp_path / "made.csv").ratings
    user, movie, rating, _ = made(replace(SMALL, seed=3))
    np.testing.assert_array_equal((data.user, data.movie, data.rating), (user, movie, rating))


def test_every_training_of_the_large_sets_is_a_command(tmp_path):
    args = Namespace(small=False, data=tmp_path, made=tmp_path, run=tmp_path / "run")
    for name in ("ml20m", "ml32m"):
        (tmp_path / f"{name}.csv").write_text("userId,movieId,rating\n")
    found = {}
    for part, case in large.CASES.items():
        if "--run" in case.now and "recommend.py" not in case.now:
            start = 2 if large.TRAINED in case.now else 1
            name, options, _ = train.parse([str(large.resolved(word, "now", part, args)) for word in case.now[start:]])
            assert options.run == large.RUNS / f"{part}-now"
            found[part] = name, Path(options.data).name, options.workers
    made = {"whole-ml-20m": ("joint", "ml20m.csv", None), "whole-ml-32m": ("joint", "ml32m.csv", None)}
    made |= {"ease": ("ease", "ml20m.csv", None), "bundled": ("joint", "ml-latest-small-2016", None)}
    for data, file in (("ml-1m", "ml-1m"), ("ml-20m", "ml20m.csv")):
        made |= {f"workers-{data}-{n}": ("multvae", file, number) for n, number in (("none", None), ("two", 2))}
    assert found == made


def test_the_first_ratings_of_the_large_set_are_its_first_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(large, "MILLION", 10)
    lines = ["userId,movieId,rating,timestamp", *(f"{n},{n},3.5,1" for n in range(80))]
    (tmp_path / "ml32m.csv").write_text("\n".join(lines))
    path = large.resolved("@first-4", "now", "reading-4", Namespace(small=False, made=tmp_path))
    assert path.read_text().splitlines() == lines[:41]


def test_large_sets_are_measured_by_turns_and_the_median_is_divided(monkeypatch):
    asked, seconds = [], iter((8, 2, 30, 6, 10, 4))

    def run(words, folder):
        asked.append((words, folder))
        return next(seconds), 0.5

    monkeypatch.setattr(large, "run", run)
    monkeypatch.setattr(large, "commit", str)
    monkeypatch.setitem(large.CASES, "some", large.Case("some", ("new",), ("old",), 3, 2))
    lines = list(large.measure("some", {"now": "here", "before": "there"}, Namespace(small=False)))
    assert asked == [(["old"], "there"), (["new"], "here")] * 3
    assert [(line["version"], line["seconds"], line["times"]) for line in lines[-2:]] == [
        ("before", "5", 3),
        ("now", "2", 3),
    ]
    monkeypatch.setattr(large.tables, "read", lambda _: lines[-2:])
    assert large.table().splitlines()[-1] == "| some | 5 | 2 | 2.5 | 0.50 | 0.50 |  |"


def test_lines_of_a_part_replace_its_earlier_ones_and_failures_are_said(monkeypatch, capsys):
    kept = [{"part": "ease", "version": version} for version in ("before", "now")]

    def measure(part, trees, args):
        yield {"part": part, "version": "now"}
        raise large.subprocess.CalledProcessError(1, ["train.py"])

    def write(name, lines):
        kept[:] = lines

    monkeypatch.setattr(large.tables, "read", lambda _: list(kept))
    monkeypatch.setattr(large.tables, "write", write)
    monkeypatch.setattr(large, "measure", measure)
    for part in ("bundled", "ease"):
        large.keep(part, {}, Namespace(small=False))
    assert kept == [{"part": "bundled", "version": "now"}, {"part": "ease", "version": "now"}]
    assert "ease: Command '['train.py']' returned non-zero exit status 1" in capsys.readouterr().err


def test_a_process_is_timed_or_says_its_seconds_and_its_peak_memory_counts():
    seconds, peak = large.run(["-c", "print('seconds 123.5')"], ".")
    assert seconds == 123.5
    more = int((peak + 0.1) * 1e9)  # a process starts with what this one holds
    seconds, more_peak = large.run(["-c", f"import time; x = b'1' * {more}; time.sleep(0.2)"], ".")
    assert 0.2 < seconds < 60
    assert peak + 0.1 <= more_peak < peak + 0.2
