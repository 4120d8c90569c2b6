"""`--like`: one threshold, for training, validation, evaluation, lists and the page."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import answer, eagerly
from trained import TABLE

import evaluate
import models
import train
from utils.data import splits
from utils.data.ratings import likes
from utils.errors import UserError
from utils.evaluation.holdout_metrics import judged_users
from utils.recommend import profile
from utils.runs import run_folder
from utils.training.training import Training

QUICK = {
    "multdae": ["--hidden", "4", "--epochs", "1"],
    "joint": ["--hidden", "4", "--epochs", "1", "--movie-epochs", "2"],
    "blend": ["--parts", "ease,bias,itemknn", "--folds", "3"],
}
MODELS = [name for name in models.names() if models.module(name).Model.learns_likes]


@pytest.fixture(scope="module")
def varied(tmp_path_factory):
    """A rating file with all of 1 to 5 stars, whose likes above 2.5 and above 3.5 differ."""
    folder, rng = tmp_path_factory.mktemp("varied"), np.random.default_rng(0)
    cells = rng.choice(40 * 30, 600, replace=False)
    lines = [f"{c // 30 + 1},{c % 30 + 1},{stars}" for c, stars in zip(cells, rng.integers(1, 6, 600), strict=True)]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating", *lines]) + "\n")
    titles = [f"{m},Movie {m} ({1970 + m}),{('Drama', 'War|Comedy')[m % 2]}" for m in range(1, 31)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *titles]) + "\n")
    return folder


def test_models_that_learn_likes_are_known():
    others = {"bias", "autorec", "deeprec", "sparsefc", "glocalk", "bayesfm"}
    assert set(MODELS) == set(models.names()) - others


@pytest.mark.parametrize("name", MODELS)
def test_no_model_has_a_threshold_of_its_own(name):
    assert "like" not in models.module(name).Config.__dataclass_fields__
    assert models.build(name, (4, 5)).like == 3.5
    assert models.build(name, (4, 5), scale=(1, 10)).like == 7
    assert models.build(name, (4, 5), scale=(1, 10), like=8).like == 8


def test_the_threshold_does_not_change_what_a_star_is():
    """What joint divides by is a fifth of the scale, whatever counts as a like."""
    assert models.build("joint", (4, 5), like=2).star == 1
    assert models.build("joint", (4, 5), scale=(1, 10), like=9).star == 2


def test_it_reaches_training_validation_evaluation_lists_and_the_run(varied, tmp_path, capsys):
    run = tmp_path / "run"
    options = ["--data", str(varied), "--like", "2.5", "--run", str(run)]
    train.main(["popularity", *options])
    saved = run_folder.Run(run)
    split = saved.split
    assert saved.config["like"] == split.ratings.like == split.validation.like == split.test.like == 2.5
    np.testing.assert_array_equal(saved.arrays("weights.npz")["likes"], (split.refit.toarray() > 2.5).sum(axis=0))
    assert models.load(saved).like == 2.5
    assert len(judged_users(split.test)) == np.count_nonzero(np.diff(likes(split.test.hidden, 2.5).indptr))

    evaluate.main(["--run", str(run), "--json", str(tmp_path / "e.json")])
    facts = json.loads((tmp_path / "e.json").read_text())["runs"][0]
    assert facts["protocol"]["like"] == 2.5
    assert facts["protocol"]["test_users_with_likes"] == len(judged_users(split.test))
    capsys.readouterr()
    found = answer(capsys, "--user", 7, "--run", run)["items"]
    assert [item["score"] for item in found] == sorted((item["score"] for item in found), reverse=True)


def test_who_is_held_out_under_strong_is_counted_by_it():
    low, high = (
        splits.split(replace(TABLE, threshold=like), "strong", splits.Options(held_out=1)) for like in (1.5, 3.0)
    )
    for split, like in ((low, 1.5), (high, 3.0)):
        assert (split.ratings.rating[split.part != splits.Subset.LEFT_OUT] > like).all()


@pytest.mark.parametrize("name", ["ease", "itemknn", "multdae", "joint", "blend"])  # one of each kind
@eagerly()
def test_a_model_that_learns_likes_learns_others(name, varied, tmp_path):
    scores = []
    for like in ("2.5", "4"):
        run = tmp_path / like
        train.main([name, *QUICK.get(name, []), "--data", str(varied), "--like", like, "--run", str(run)])
        saved = run_folder.Run(run)
        model = models.load(saved)
        assert model.like == float(like)
        assert all(part.like == float(like) for part in getattr(model, "parts", ()))
        scores.append(model.score(saved.split.known, np.arange(40)))
        if model.has_latent_space:  # recommend.py reads arrays instead of the model
            stranger = profile.of_ratings(saved.ratings, {2: 3.0, 5: 5.0, 9: 1.0, 20: 4.0})
            found = models.open_run(saved).scores(stranger, "decoder", np.arange(30))
            np.testing.assert_allclose(found, model.score(stranger.rows.matrix(30)), atol=1e-4)
    assert np.abs(scores[0] - scores[1]).max() > 1e-3


def test_runs_with_other_likes_are_not_compared(varied, tmp_path):
    for like in ("2.5", "3.5"):
        train.main(["popularity", "--data", str(varied), "--like", like, "--run", str(tmp_path / like)])
    with pytest.raises(UserError, match=r"a like is a rating above 2\.5 stars in one, above 3\.5 in the other"):
        evaluate.main(["--run", str(tmp_path / "2.5"), str(tmp_path / "3.5")])


@pytest.mark.parametrize("name", ["popularity", "ease", "multdae", "bias", "joint"])
@eagerly()
def test_where_nothing_is_a_like_it_is_said_at_once(name, varied, tmp_path, capsys):
    command = [name, *QUICK.get(name, []), "--data", str(varied), "--like", "5", "--run", str(tmp_path / "run")]
    said = "no rating is above 5, so none is a like to rank by; --like 2 makes those above it likes"
    if name in ("bias", "joint"):
        train.main(command)
        assert said in capsys.readouterr().out
    else:
        with pytest.raises(UserError, match=f"^{name} learns from likes alone: {said}"):
            train.main(command)


def test_a_part_that_has_nothing_to_learn_from_is_named_before_any_is_trained(varied, tmp_path, monkeypatch):
    monkeypatch.setattr(models.module("bias").Model, "refit", None)
    command = ["blend", "--parts", "bias,ease --l2 5", "--data", str(varied), "--like", "5"]
    with pytest.raises(UserError, match=r"^ease --l2 5 learns from likes alone: no rating is above 5"):
        train.main([*command, "--run", str(tmp_path / "run")])


def test_what_a_blend_learns_its_weights_on_is_judged_by_the_same_threshold():
    table = replace(TABLE, threshold=2.5)
    split = splits.split(table, "random", splits.Options())
    model = models.build("blend", table.shape, models.module("blend").Config(parts="bias", folds=3, rounds=2), like=2.5)
    held = [each.holdout for each in model._rounds(split.train, split.validation) if each.holdout]
    assert [holdout.like for holdout in held] == [2.5, 2.5]


def test_the_data_is_described_by_it(varied, capsys):
    train.main(["bias", "--data", str(varied), "--like", "2", "--describe"])
    liked = sum(line.split(",")[2] > "2" for line in (varied / "ratings.csv").read_text().splitlines()[1:])
    assert f"{liked:,}, ratings above 2 ({liked / 600:.1%})" in capsys.readouterr().out


def test_a_test_file_with_higher_stars_widens_the_scale(tmp_path):
    for name, stars in (("train", (1, 2, 3, 4)), ("test", (5, 1, 2))):
        lines = [f"{u},{m},{s}" for u in range(1, 9) for m, s in enumerate(stars, 1 if name == "train" else 11)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["userId,movieId,rating", *lines]) + "\n")
    command = ["bias", "--data", str(tmp_path / "train.csv"), "--protocol", "fixed"]
    train.main([*command, "--test", str(tmp_path / "test.csv"), "--run", str(tmp_path / "run")])
    ratings = run_folder.Run(tmp_path / "run").split.ratings
    assert ratings.scale == (1, 5)
    assert ratings.like == 3.5
    with pytest.raises(UserError, match="rating 5 is outside the scale 1 to 4"):
        train.main([*command, "--scale", "1,4", "--test", str(tmp_path / "test.csv"), "--run", str(tmp_path / "run")])


def test_a_test_file_that_widens_the_scale_leaves_no_note_of_the_narrower_one_and_no_0_a_like(tmp_path):
    """The training stars alone are all likes of a scale up to 15; with the test, which goes up to 20, some are."""
    for name, stars in (("train", (0, 11, 12, 15)), ("test", (20, 17, 18))):
        lines = [f"{u},{m},{s}" for u in range(1, 9) for m, s in enumerate(stars, 1 if name == "train" else 11)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["userId,movieId,rating", *lines]) + "\n")
    words = ["bias", "--data", str(tmp_path / "train.csv"), "--protocol", "fixed", "--test", str(tmp_path / "test.csv")]
    _, chosen, _ = train.parse([*words, "--like", "0"])
    data, _ = train.read(chosen)
    ratings = data.ratings
    assert ratings.scale == (0, 20)
    assert not (ratings.rating[ratings.rating < 1] > ratings.like).any()
    assert [note for note in data.notes if note.startswith("scale ")] == [
        "scale 0 to 20 found from these ratings and those of the test"
    ]


def test_on_the_scale_of_a_test_file_it_is_said_anew_whether_anything_is_a_like(tmp_path):
    for name, stars in (("train", (2, 4, 5)), ("test", (10, 9))):
        lines = [f"{u},{m},{s}" for u in range(1, 9) for m, s in enumerate(stars, 1 if name == "train" else 11)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["userId,movieId,rating", *lines]) + "\n")
    words = ["bias", "--data", str(tmp_path / "train.csv"), "--protocol", "fixed", "--test", str(tmp_path / "test.csv")]
    data, _ = train.read(train.parse(words)[1])
    assert data.ratings.like == 7
    assert any(note.startswith("no rating is above 7, so none is a like to rank by") for note in data.notes)


@pytest.mark.parametrize("name", ["multdae", "elsa", "cdae"])
def test_models_of_likes_are_trained_on_what_is_above_it(name):
    config = models.module(name).Config(hidden=(4,), batch_size=100, epochs=1)
    model, seen = models.build(name, TABLE.shape, config, like=2.0), []
    model._step = lambda: lambda given, judged: seen.append(np.asarray(judged)) or 0.0
    matrix = TABLE.matrix()
    model.refit(matrix, Training())
    (judged,) = seen
    assert judged.sum() == (matrix.data > 2.0).sum() > (matrix.data > 3.5).sum()
