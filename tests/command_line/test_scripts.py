"""The scripts as a user meets them: answers, files, errors."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import BUNDLED, REPOSITORY, answer, eagerly, real

import evaluate
import models
import recommend
import train
from utils.command_line import options
from utils.errors import UserError
from utils.evaluation import holdout_metrics
from utils.runs import provenance, run_folder

QUICK = ("--hidden", "16", "--epochs", "20", "--dropout", "0.2", "--learning-rate", "0.02")


def script(*arguments, code=0, cwd=REPOSITORY):
    """(standard output, standard error) of a script started as a user does, after checking its exit status."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": ""},
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize(("name", "quick"), [("autorec", QUICK), ("itemknn", ())])
def test_the_planted_movie_is_followed_from_csv_to_printed_title(name, quick, planted, run_of, capsys):
    run, right = run_of(name, *quick), 0
    for user, title in planted[1].items():
        found = answer(capsys, "--user", user, "-n", "1", "--run", run)["items"]
        right += found[0]["title"] == title
    assert right >= 38  # of 40: a tenth of the planted ratings is held out, so that a few users lack two movies


def test_the_table_shows_title_year_genres_and_stars_in_order(run_of, capsys):
    found = answer(capsys, "--user", "3", "-n", "2", "--run", run_of("itemknn"))["items"]
    recommend.main(["--user", "3", "--run", str(run_of("itemknn")), "-n", "2"])
    lines = capsys.readouterr().out.splitlines()[-2:]
    for line, item in zip(lines, found, strict=True):
        cells = [str(item["rank"]), *item["title"].split(" (")[0].split(), str(item["year"]), "Drama,", "Comedy"]
        assert line.split() == [*cells, f"{item['predicted_rating']:.1f}", f"{item['score']:.3g}"]


@pytest.mark.parametrize("by", ["neighbours", "decoder"])
def test_nothing_a_user_has_rated_is_recommended_whatever_its_part(by, planted, run_of, capsys):
    with open(planted[0] / "ratings.csv") as file:
        rated = {(row["userId"], row["movieId"]) for row in csv.DictReader(file)}
    for user in (1, 8, 40):
        found = answer(capsys, "--user", user, "-n", 100, "--by", by, "--run", run_of("autorec", *QUICK))
        movies = {str(item["movieId"]) for item in found["items"]}
        assert movies == {str(m) for m in range(1, 25)} - {m for u, m in rated if u == str(user)}
        assert found["method"] == by
        assert [item["rank"] for item in found["items"]] == list(range(1, len(movies) + 1))
        scores = [item["score"] for item in found["items"]]
        assert scores == sorted(scores, reverse=True)
        assert all(0.5 <= item["predicted_rating"] <= 5 for item in found["items"])


def test_json_and_csv_files_say_the_same(run_of, tmp_path, capsys):
    recommend.main(
        [
            "--user",
            "5",
            "-n",
            "4",
            "--run",
            str(run_of("itemknn")),
            "--json",
            str(tmp_path / "a.json"),
            "--csv",
            str(tmp_path / "a.csv"),
        ]
    )
    facts = json.loads((tmp_path / "a.json").read_text())
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert "Planted" in capsys.readouterr().out
    assert facts["user"] == 5
    assert [int(r["movieId"]) for r in rows] == [item["movieId"] for item in facts["items"]]
    assert rows[0]["title"] == facts["items"][0]["title"]
    assert facts["items"][0]["genres"] == ["Drama", "Comedy"]
    assert facts["items"][0]["year"] == 1949 + facts["items"][0]["movieId"]


def test_recommending_to_a_known_user_imports_no_tensorflow(run_of):
    code = (
        "import sys, recommend; recommend.main(sys.argv[1:]);"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'torch', 'jax', 'scipy', 'pandas'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    out, _ = script("-c", code, "--user", 3, "--run", run_of("autorec", *QUICK))
    assert "Planted" in out


def test_evaluate_judges_exactly_the_test_ratings(run_of, painted, capsys):
    folder = run_of("autorec", *QUICK)
    capsys.readouterr()
    evaluate.main(["--run", str(folder), "--json", "-"])
    facts = json.loads(capsys.readouterr().out)["runs"][0]
    run = run_folder.Run(folder)
    test = run.split.test.hidden.tocoo()
    predicted = np.clip(models.load(run).predict(run.split.test.given, test.row, test.col), 1, 5)
    errors = [(p - r) ** 2 for p, r in zip(predicted, test.data, strict=True)]
    assert facts["metrics"]["mse"]["value"] == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    assert facts["metrics"]["rmse"]["value"] == pytest.approx(np.sqrt(np.mean(errors)), rel=1e-5)
    assert facts["metrics"]["rmse"]["n"] == facts["protocol"]["test_ratings"] == len(errors) == test.nnz
    assert facts["metrics"]["ndcg@100"] == facts["methods"][facts["method"]]["ndcg@100"]
    assert set(facts["baselines"]) == {"mean", "bias", "popularity", "itemknn"}
    assert "rmse" not in facts["baselines"]["popularity"]
    assert "ndcg@100" not in facts["baselines"]["mean"]
    assert (folder / "reconstruction.png").read_bytes().startswith(b"\x89PNG")


@eagerly()
@pytest.mark.parametrize(
    ("words", "most", "refits"),
    [
        ("bias", 10**9, True), ("bias", 2, False), ("bias --refit", 2, True), ("bias --no-refit", 10**9, False),
        ("blend --parts bias,popularity", 2, True),
    ],
)  # fmt: skip
def test_many_ratings_are_not_trained_on_again_unless_asked_for(words, most, refits, planted, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "REFIT_MOST", most)
    folder = train.main([*words.split(), "--data", str(planted[0]), "--run", str(tmp_path / "run")])
    assert run_folder.Run(folder).config["refit"] is refits


@eagerly()
def test_changing_the_test_stars_changes_no_weight(planted, tmp_path):
    source = (planted[0] / "ratings.csv").read_text().splitlines()
    first, second = tmp_path / "first", tmp_path / "second"
    train.main(["autorec", "--data", str(planted[0]), "--run", str(first), *QUICK[:2], "--epochs", "3"])
    split = run_folder.Run(first).split
    for i in np.flatnonzero(split.part == 2):
        line = source[i + 1].split(",")
        line[2] = str(6 - float(line[2]))
        source[i + 1] = ",".join(line)
    (tmp_path / "changed.csv").write_text("\n".join(source) + "\n")
    train.main(["autorec", "--data", str(tmp_path / "changed.csv"), "--run", str(second), *QUICK[:2], "--epochs", "3"])
    a, b = (run_folder.Run(folder).arrays("latent.npz") for folder in (first, second))
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_comparing_runs_of_different_splits_is_refused(planted, run_of, capsys):
    other = run_of("bias", "--seed", "1")
    with pytest.raises(UserError, match="can't be compared"):
        evaluate.main(["--run", str(run_of("bias")), str(other)])
    one, two = str(run_of("bias")), str(run_of("itemknn"))
    capsys.readouterr()
    evaluate.main(["--run", one, two, "--json", "-"])
    (pair,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert pair["metrics"]["rmse"]["low"] <= pair["metrics"]["rmse"]["value"] <= pair["metrics"]["rmse"]["high"]


# -- protocols ---------------------------------------------------------------------------------------------------------


def test_ratings_of_a_test_file_are_judged_and_never_trained_on(tmp_path, capsys):
    train_file, test_file = tmp_path / "train.csv", tmp_path / "test.csv"
    rows = [f"{u},{m},{1 + (u * m) % 5}" for u in range(1, 13) for m in range(1, 11) if (u + m) % 3]
    new = ["3,3,5", "13,2,4", "2,99,1"]  # a cell that is new, a user and a movie that are new
    train_file.write_text("\n".join(["userId,movieId,rating", *rows]) + "\n")
    test_file.write_text("\n".join(["userId,movieId,rating", *new, rows[0]]) + "\n")
    run = tmp_path / "run"
    options_ = ["--data", str(train_file), "--protocol", "fixed", "--test", str(test_file), "--run", str(run)]
    train.main(["bias", *options_])
    split = run_folder.Run(run).split
    ids = split.ratings.user_ids, split.ratings.movie_ids
    hidden = split.test.hidden.tocoo()
    cells = {f"{ids[0][u]},{ids[1][m]},{r:g}" for u, m, r in zip(hidden.row, hidden.col, hidden.data, strict=True)}
    assert cells == {*new, rows[0]}
    assert split.refit.nnz == len(rows) - 1
    capsys.readouterr()
    evaluate.main(["--run", str(run), "--json", "-"])
    assert json.loads(capsys.readouterr().out)["runs"][0]["protocol"]["test_ratings"] == 4
    test_file.write_text("userId,movieId,rating\n1,1,5\n")
    with pytest.raises(UserError, match=r"test\.csv: user 1's rating of movie 1 is 5 stars here and 2 in the data"):
        train.main(["bias", *options_])


def test_a_run_on_all_ratings_recommends_but_is_not_judged(planted, run_of, capsys):
    run = run_of("itemknn", "--protocol", "all")
    first = {user: answer(capsys, "--user", user, "-n", 1, "--run", run)["items"][0]["title"] for user in planted[1]}
    assert first == planted[1]
    with pytest.raises(UserError, match="trained on every rating"):
        evaluate.main(["--run", str(run)])


@pytest.mark.parametrize("protocol", ["strong", "strong-ratings"])
def test_held_out_users_are_judged_on_likes_and_can_be_recommended_to(protocol, run_of, capsys):
    run = run_of("autorec", *QUICK, "--protocol", protocol, "--held-out", "6")
    capsys.readouterr()
    evaluate.main(["--run", str(run), "--json", "-"])
    facts = json.loads(capsys.readouterr().out)["runs"][0]
    assert "rmse" not in facts["metrics"]
    assert facts["metrics"]["ndcg@100"]["n"] == 6
    assert facts["metrics"]["ndcg@100"]["value"] > facts["baselines"]["popularity"]["ndcg@100"]["value"]
    split = run_folder.Run(run).split
    user = int(split.ratings.user_ids[np.flatnonzero(np.diff(split.test.hidden.indptr))[0]])
    assert answer(capsys, "--user", user, "--run", run)["items"]


def test_movie_rows_refuse_a_protocol_that_holds_users_out(planted, tmp_path):
    options_ = ["--data", str(planted[0]), "--protocol", "strong", "--held-out", "4", "--run", str(tmp_path / "run")]
    with pytest.raises(UserError, match="knows only those it is trained on"):
        train.main(["autorec", "--rows", "movies", *options_])


@pytest.mark.realdata
@pytest.mark.parametrize("fold", ["u1", "u2", "u3", "u4", "u5", "ua", "ub"])
def test_a_published_fold_trains_on_exactly_its_base_file(fold, tmp_path):
    train.main(["popularity", "--data", str(real("ml-100k")), "--protocol", fold, "--run", str(tmp_path / "run")])
    split = run_folder.Run(tmp_path / "run").split
    found = split.refit.tocoo()
    with open(real("ml-100k") / f"{fold}.base") as file:
        base = {tuple(map(int, line.split("\t")[:3])) for line in file}
    ids = split.ratings.user_ids[found.row], split.ratings.movie_ids[found.col]
    assert set(zip(ids[0].tolist(), ids[1].tolist(), found.data.astype(int).tolist(), strict=True)) == base


@pytest.mark.realdata
def test_strong_on_ml_1m_has_the_published_counts(tmp_path):
    options_ = ["--protocol", "strong", "--held-out", "600", "--run", str(tmp_path / "run")]
    train.main(["popularity", "--data", str(real("ml-1m")), *options_])
    split = run_folder.Run(tmp_path / "run").split
    part, likes = split.part, split.ratings.rating > 3.5
    eligible = np.bincount(split.ratings.user[likes]) >= 5
    assert (eligible.sum(), likes[eligible[split.ratings.user]].sum()) == (6034, 575_272)
    assert len(split.trained_users) == 4834
    assert len(np.unique(split.ratings.user[part == 2])) == 600


# -- what bad input gets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train.py", "autorek"], "unknown model 'autorek'; did you mean autorec?"),
        (["train.py", "bias", "--user-dampin", "3"], "unknown option --user-dampin; did you mean --user-damping?"),
        (["train.py", "bias", "--seed", "x"], "--seed takes a whole number, got 'x'"),
        (["train.py", "autorec", "--batch-size", "1.5"], "--batch-size takes a whole number, got '1.5'"),
        (["train.py", "autorec", "--dropout", "x"], "--dropout takes a number, got 'x'"),
        (["train.py", "autorec", "--dropout", "it's"], """--dropout takes a number, got "it's\""""),
        (["train.py", "autorec", "--hidden", "5x,3"], "whole numbers separated by commas are needed, got 5x,3"),
        (["train.py", "bias", "--scale", "0.5;5"], "2 numbers separated by a comma are needed, got 0.5;5"),
        (["recommend.py", "-n", "1.5"], "-n takes a whole number, got '1.5'"),
        (["train.py", "bias", "--user-damping", "-1"], "damping must be 0 or more, got -1"),
        (["train.py", "--seed", "1", "bias"], "the model comes first: python train.py bias"),
        (["train.py", "bias", "--data", "nowhere.csv"], "nowhere.csv"),
        (["train.py", "bias", "--resume", "--run", "runs/never"], "nothing to resume"),
        (["train.py", "bias", "--run", "utils"], "utils exists and is no run folder"),
        (["recommend.py"], "one of --user, --rate, --ratings, --for-all, --like-movie, --similar-users, --all-users"),
        (["recommend.py", "--user", "1", "--run", "utils"], "utils is no run folder"),
        (["recommend.py", "--user", "1", "--by", "magic"], "neighbours"),
        (["evaluate.py", "--run", "runs/never"], "there is no run runs/never"),
    ],
)  # fmt: skip
def test_bad_arguments_get_a_sentence(arguments, said, monkeypatch, capfd):
    monkeypatch.chdir(REPOSITORY)
    name, *words = arguments
    with pytest.raises(UserError) as refused:
        {"train.py": train, "recommend.py": recommend, "evaluate.py": evaluate}[name].main(words)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 2
    assert capfd.readouterr().out == ""


def test_a_process_ends_with_the_sentence_alone_and_status_2():
    out, err = script("train.py", "bias", "--user-damping", "-1", code=2)
    assert err.startswith("train.py: ")
    assert len(err.strip().splitlines()) <= 2
    assert out == ""


def test_without_a_run_the_command_to_type_is_told(tmp_path, monkeypatch):
    _, err = script(REPOSITORY / "recommend.py", "--user", 1, code=2, cwd=tmp_path)
    assert "no run trained yet: python train.py" in err
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no run trained yet: python train\.py"):
        evaluate.main([])


def test_an_unknown_user_is_told_who_there_is(run_of):
    with pytest.raises(UserError, match="no user 41: the run has 40 users, with ids 1 to 40"):
        recommend.main(["--user", "41", "--run", str(run_of("bias"))])
    with pytest.raises(UserError, match="no user Ann"):
        recommend.main(["--user", "Ann", "--run", str(run_of("bias"))])


def test_damaged_ratings_leave_nothing_behind(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("userId,movieId,rating\n1,1,4\n1,2,five\n")
    with pytest.raises(UserError, match=r"mine\.csv:3"):
        train.main(["bias", "--data", str(table), "--run", str(tmp_path / "run")])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.csv"]


def test_every_byte_of_a_run_that_is_read_is_checked(run_of, tmp_path):
    whole = run_of("bias")
    names = [line.split("  ")[1] for line in (whole / "MANIFEST").read_text().splitlines()]
    expected = {
        "config.json",
        "history.csv",
        "metrics.json",
        "movies.json",
        "ratings.npz",
        "weights.npz",
        "arrays.json",
    }
    assert set(names) == expected
    for name in set(names) - {"history.csv"}:
        for damage in ("flip", "cut", "gone"):
            copy = tmp_path / f"{name}-{damage}"
            shutil.copytree(whole, copy)
            content = bytearray((copy / name).read_bytes())
            content[len(content) // 2] ^= 1
            (copy / name).write_bytes(content if damage == "flip" else content[:-1])
            if damage == "gone":
                (copy / name).unlink()
            with pytest.raises(UserError, match=f"{name} is damaged or missing"):
                recommend.main(["--user", "1", "--run", str(copy)])


def test_a_failing_save_leaves_the_older_run_whole(run_of, planted, monkeypatch):
    folder = run_of("popularity")
    before = (folder / "MANIFEST").read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("utils.data.movies.Movies.write", full)
    with pytest.raises(UserError, match="No space left"):
        train.main(["popularity", "--data", str(planted[0]), "--run", str(folder)])
    assert (folder / "MANIFEST").read_text() == before
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_a_users_folder_is_never_replaced(planted, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is no run folder"):
        train.main(["bias", "--data", str(planted[0]), "--run", str(tmp_path / "mine")])
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_crash_is_status_1_and_a_sentence_status_2(monkeypatch, capsys):
    def fails(argv):
        raise UserError("the sentence")

    with pytest.raises(SystemExit) as exited:
        options.run(fails)
    assert exited.value.code == 2
    assert capsys.readouterr().err.endswith(": the sentence\n")


def test_a_module_that_is_missing_is_a_bug_with_its_traceback():
    def fails(argv):
        import nosuchmodule  # noqa: F401

    with pytest.raises(ModuleNotFoundError):
        options.run(fails)


def test_help_and_list_answer_without_importing_tensorflow():
    code = """
import sys, train
for argument in sys.argv[1:]:
    try: train.main([argument])
    except SystemExit: pass
    print("end of", argument)
sys.exit("keras" in sys.modules)
"""
    out, _ = script("-c", code, "--help", "--list")
    usage, listed = out.split("end of --help")
    assert "autorec" in usage
    assert "autorec" in listed


def test_the_bundled_data_is_what_its_readme_says():
    with open(BUNDLED / "ratings.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100_004
    assert len({row["userId"] for row in rows}) == 671
    assert len({row["movieId"] for row in rows}) == 9_066


# -- what a careful reader found, and must not come back --------------------------------------------------------------


def small_csv(path, top=5, n=400, seed=0, user="{}", movie="{}"):
    """Write random ratings from 1 to `top` as CSV."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(25 * 30, n, replace=False)
    lines = [f"{user.format(c // 30 + 1)},{movie.format(c % 30 + 1)},{rng.integers(1, top + 1)}" for c in cells]
    path.write_text("\n".join(["userId,movieId,rating", *lines]) + "\n")
    return path


def test_a_baseline_with_other_options_keeps_its_own_row(tmp_path, capsys):
    run = tmp_path / "run"
    data = ["--data", str(small_csv(tmp_path / "a.csv")), "--run", str(run)]
    train.main(["bias", *data, "--user-damping", "500", "--movie-damping", "500"])
    capsys.readouterr()
    evaluate.main(["--run", str(run), "--json", str(tmp_path / "e.json")])
    shown = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("bias ")]
    facts = json.loads((tmp_path / "e.json").read_text())["runs"][0]
    expected = [f"{place['rmse']['value']:.4f}" for place in (facts["metrics"], facts["baselines"]["bias"])]
    assert [row[2] for row in shown[:2]] == expected  # the table of errors; below it that of what lists are like
    assert expected[0] != expected[1]


def test_a_checkpoint_of_another_split_is_not_resumed(tmp_path):
    data = small_csv(tmp_path / "a.csv")
    lines = data.read_text().splitlines()
    signatures = []
    for name, rows in (("ta.csv", lines[1:41]), ("tb.csv", lines[41:81])):
        (tmp_path / name).write_text("\n".join([lines[0], *rows]) + "\n")
        _, chosen, _ = train.parse(["bias", "--data", str(data), "--protocol", "fixed", "--test", str(tmp_path / name)])
        dataset, split = train.read(chosen)
        signatures.append(train.signature({"options": {}}, split, dataset))
    assert signatures[0] != signatures[1]


def test_a_checkpoint_of_other_code_versions_or_scale_is_not_resumed(tmp_path, monkeypatch):
    _, chosen, _ = train.parse(["bias", "--data", str(small_csv(tmp_path / "a.csv"))])
    dataset, split = train.read(chosen)
    facts = {"options": {}, "scale": [0.5, 5.0]}
    found = [train.signature(facts, split, dataset)]
    assert train.signature(facts, split, dataset) == found[0]
    for name, value in (
        ("sources", "1"),
        ("versions", {"keras": "0"}),
    ):
        monkeypatch.setattr(provenance, name, lambda *_, value=value: value)
        found.append(train.signature(facts, split, dataset))
    found.append(train.signature(facts | {"scale": [0.0, 5.0]}, split, dataset))
    assert len(set(found)) == 4


def test_the_scale_is_among_what_a_checkpoint_is_of(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(train, "signature", lambda facts, *_: seen.append(facts["scale"]) or "")
    for scale in ("0,5", "0.5,5"):
        data = ["--data", str(small_csv(tmp_path / "a.csv")), "--scale", scale]
        train.main(["bias", *data, "--run", str(tmp_path / "run")])
    assert seen == [[0.0, 5.0], [0.5, 5.0]]


def test_runs_judged_on_other_test_ratings_are_not_compared(tmp_path):
    data = small_csv(tmp_path / "a.csv")
    lines = data.read_text().splitlines()
    for name, rows in (("ta", lines[1:41]), ("tb", lines[41:81])):
        (tmp_path / f"{name}.csv").write_text("\n".join([lines[0], *rows]) + "\n")
        test = ["--protocol", "fixed", "--test", str(tmp_path / f"{name}.csv")]
        train.main(["bias", "--data", str(data), *test, "--run", str(tmp_path / name)])
    with pytest.raises(UserError, match="can't be compared"):
        evaluate.main(["--run", str(tmp_path / "ta"), str(tmp_path / "tb")])


def test_a_folder_with_a_manifest_of_its_own_is_never_replaced(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "MANIFEST").write_text("include thesis.txt\n")
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is no run folder"):
        train.main(["bias", "--data", str(small_csv(tmp_path / "a.csv")), "--run", str(mine)])
    run = tmp_path / "run"
    arguments = ["bias", "--data", str(tmp_path / "a.csv"), "--run", str(run)]
    train.main(arguments)
    train.main(arguments)  # a run is replaced
    (run / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is no run folder"):
        train.main(arguments)
    assert (run / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(("top", "like"), [(5, 3.5), (10, 7), (100, 70)])
def test_a_like_follows_the_scale(top, like, tmp_path):
    train.main(["popularity", "--data", str(small_csv(tmp_path / "a.csv", top, 600)), "--run", str(tmp_path / "run")])
    run = run_folder.Run(tmp_path / "run")
    refit = run.split.refit.toarray()
    assert run.split.test.like == run.config["like"] == like
    np.testing.assert_array_equal(run.arrays("weights.npz")["likes"], (refit > like).sum(axis=0))


def test_titles_that_look_like_markup_are_printed_as_they_are(tmp_path, capsys):
    small_csv(tmp_path / "ratings.csv", movie="[/m{}]")
    titles = [f'[/m{m}],"[b]ig :star: {m} [i](2001)",Drama' for m in range(1, 31)]
    (tmp_path / "movies.csv").write_text("\n".join(["movieId,title,genres", *titles]) + "\n")
    train.main(["itemknn", "--data", str(tmp_path / "ratings.csv"), "--run", str(tmp_path / "run")])
    capsys.readouterr()
    recommend.main(["--user", "3", "-n", "3", "--run", str(tmp_path / "run")])
    assert capsys.readouterr().out.count("[b]ig :star:") == 3


def test_outputs_go_through_links_and_never_leave_parts(run_of, tmp_path):
    (tmp_path / "target.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "target.json")
    (tmp_path / "folder").mkdir()
    run = ["--user", "1", "--run", str(run_of("bias"))]
    recommend.main([*run, "--json", str(tmp_path / "link.json")])
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "target.json").read_text())["user"] == 1
    for target in ("folder", "missing/a.json"):
        with pytest.raises(UserError, match="can't be written"):
            recommend.main([*run, "--json", str(tmp_path / target)])
    with pytest.raises(UserError, match="can't be written"):
        recommend.main([*run, "--json", str(tmp_path / "whole.json"), "--csv", str(tmp_path / "missing" / "a.csv")])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "link.json", "target.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bias", "--user-damping", "nan"], "damping must be 0 or more"),
        (["itemknn", "--shrink", "nan"], "damping must be 0 or more"),
        (["popularity", "--like", "nan"], "like must be a number of stars, got nan"),
        (["bias", "--seed", "4294967296"], "seed must be from 0 to"),
        (["bias", "--run", "a.csv/x"], "can't be written"),
        (["bias", "--run", "x" * 300], "can't be written"),
        (["bias", "--protocol", "fixed", "--test", "a.csv"], "nothing to train on"),
        (["bias", "--epochs", "3"], "unknown option --epochs; --help"),
        (["bias", "--seed", "1", "--seed", "2"], "--seed is given twice"),
        (["bias", "--held-out", "0"], "held-out must be 1 or more, got 0"),
        (["bias", "--protocol", "strong", "--held-out", "90"], "or a smaller --held-out"),
    ],
)  # fmt: skip
def test_more_bad_arguments_get_a_sentence(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_csv(tmp_path / "a.csv")
    with pytest.raises(UserError) as refused:
        train.main([*arguments, "--data", "a.csv"])
    assert said in str(refused.value)
    assert "options." not in str(refused.value)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "runs") == ["a.csv"]


def test_an_option_may_have_the_name_of_a_model_as_its_value(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_csv(tmp_path / "a.csv")
    train.main(["bias", "--data", "a.csv", "--run", "bias"])
    assert run_folder.Run("bias").config["model"] == "bias"


@pytest.mark.parametrize("text", ["1_2", "+3", "３", " 3", "3.0"])
def test_only_a_plain_number_names_a_user(text, run_of):
    with pytest.raises(UserError, match="there is no user"):
        recommend.main(["--user", text, "--run", str(run_of("bias"))])


def test_evaluate_checks_every_file_of_the_run(run_of, tmp_path):
    for name in ("movies.json", "history.csv"):
        shutil.copytree(run_of("bias"), tmp_path / name)
        (tmp_path / name / name).write_text("")
        with pytest.raises(UserError, match=f"{name} is damaged or missing"):
            evaluate.main(["--run", str(tmp_path / name)])


@pytest.mark.parametrize("known", ["titles", "years", "genres"])
def test_a_checkpoint_knows_what_is_beside_the_ratings(known, tmp_path):
    _, chosen, _ = train.parse(["bias", "--data", str(small_csv(tmp_path / "a.csv"))])
    dataset, split = train.read(chosen)
    before = train.signature({"options": {}}, split, dataset)
    other = {"titles": "Another", "years": 1900, "genres": ("Western",)}[known]
    getattr(dataset.movies, known)[3] = other
    assert train.signature({"options": {}}, split, dataset) != before


@pytest.mark.parametrize("again", [True, False])
def test_baselines_learn_from_what_the_model_learned_from(again, run_of, tmp_path):
    """A model that was not trained again has not seen the validation ratings, and neither have they."""
    folder = run_of("bias", *([] if again else ["--no-refit"]))
    split = run_folder.Run(folder).split
    matrix = split.refit if again else split.train
    evaluate.main(["--run", str(folder), "--json", str(tmp_path / "f.json")])
    facts = json.loads((tmp_path / "f.json").read_text())["runs"][0]
    hidden = split.test.hidden.tocoo().data
    expected = np.sqrt(np.mean((hidden - matrix.data.mean()) ** 2))
    assert facts["baselines"]["mean"]["rmse"]["value"] == pytest.approx(expected, rel=1e-6)
    assert split.refit.data.mean() != split.train.data.mean()
    popularity = models.build("popularity", matrix.shape)
    popularity.refit(matrix)
    lists = holdout_metrics.ranking_metrics(popularity.score, split.test)
    assert facts["baselines"]["popularity"]["ndcg@100"]["value"] == pytest.approx(lists["ndcg@100"].value, rel=1e-6)


def test_what_is_typed_goes_before_what_the_file_says(run_of, tmp_path, capsys):
    (tmp_path / "mine.csv").write_text("title,rating\nplanted 3,5\nplanted 4,2\n")
    folder = run_of("itemknn")
    known = answer(capsys, "--ratings", tmp_path / "mine.csv", "--rate", "planted 3=1", "--run", folder)
    assert {row["title"].lower().split(" (")[0]: row["rating"] for row in known["given"]} == {
        "planted 3": 1.0, "planted 4": 2.0,
    }  # fmt: skip


def test_each_strategy_is_evaluated_as_recommend_uses_it(run_of, tmp_path):
    """With the votes of all known likes, those of validation too."""
    folder = run_of("autorec", "--hidden", "8", "--epochs", "2")
    evaluate.main(["--run", str(folder), "--json", str(tmp_path / "f.json")])
    methods = json.loads((tmp_path / "f.json").read_text())["runs"][0]["methods"]
    saved = models.open_run(run_folder.Run(folder))
    assert set(methods) == set(saved.strategies)
    for strategy, metrics in methods.items():
        expected = holdout_metrics.ranking_metrics(saved.scorer(strategy), saved.split.test)["ndcg@100"].value
        assert metrics["ndcg@100"]["value"] == pytest.approx(expected, rel=1e-4), strategy
