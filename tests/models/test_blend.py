"""The blend: its weights against scikit-learn and plain arithmetic, its parts against themselves, the test unseen."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import answer, eagerly
from scipy.special import log_softmax
from scipy.stats import rankdata
from sklearn.linear_model import Ridge
from trained import TABLE, tastes, trained

import evaluate
import models
import train
from models import joint
from models.blend import FEW
from models.ensemble import blend_parts, stacking
from utils.data import splits
from utils.data.movies import Movies
from utils.errors import UserError
from utils.evaluation import holdout_metrics
from utils.evaluation.holdout_metrics import judged_users
from utils.runs import run_folder
from utils.training.training import Training

RNG = np.random.default_rng(0)
FAST = "autorec --hidden 4 --epochs 2"
JOINT = "joint --hidden 4 --epochs 2 --movie-size 4 --movie-epochs 2"


# -- what --parts says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("joint,sparsefc,bayesfm,itemknn", ["joint", "sparsefc", "bayesfm", "itemknn"]),
        ("autorec --side genres,year, autorec --seed 1", ["autorec --side genres,year", "autorec --seed 1"]),
        ("autorec --hidden 500,100,ease", ["autorec --hidden 500,100", "ease"]),
    ],
)
def test_a_comma_begins_a_part_where_a_model_follows(text, parts):
    assert blend_parts.split(text) == parts


@pytest.mark.parametrize("nothing", ["''", '""'])
def test_nothing_is_written_as_on_the_command_line(nothing):
    assert blend_parts.read(f"joint --movie-side {nothing} --epochs 3")[1] == joint.Config(movie_side=(), epochs=3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("joint,sparsfc", "unknown model 'sparsfc'; did you mean sparsefc"),
        ("joint,blend", "a blend is no part of a blend"),
        ("", "a part is empty"),
        ("ease,", "a part is empty"),
        ("ease,ease --l2 5, ease", "ease is there twice; --seed 1"),
        ("ease --seed 4294967296", "the seed must be a whole number below"),
        ("ease --help", "python train.py ease --help"),
        ("ease --l3 5", "ease --l3 5: unknown option --l3"),
        ("ease --seed x", "got 'x'"),
        ("ease --l2 -1", "l2"),
    ],
)
def test_what_is_no_part_is_said(text, said):
    with pytest.raises(UserError, match=said):
        [blend_parts.read(part) for part in blend_parts.split(text)]


def test_a_part_has_its_options_and_a_seed_of_its_own():
    name, config, seed = blend_parts.read("ease --l2 7 --seed=3", signed=True)
    assert (name, config.l2, config.signed, seed) == ("ease", 7, True, 3)
    assert blend_parts.build("ease --l2 7 --seed=3", models.build("blend", (5, 4), seed=10)).seed == 13
    assert not blend_parts.read("ease --no-signed", signed=True)[1].signed


# -- weights -----------------------------------------------------------------------------------------------------------


def predictions(n=4000, errors=(0.5, 1.0)):
    """(what parts with independent errors of these sizes predict, the truth, counts)."""
    stars = RNG.normal(3.5, 1, n)
    return np.stack([stars + RNG.normal(0, e, n) for e in errors], axis=1), stars, RNG.integers(1, 100, (n, 2))


def test_star_weights_are_those_of_ridge_regression():
    said, stars, counts = predictions()
    ours = stacking.Stars("ridge", by_count=False)
    ours.fit(said, stars, counts)
    fitted = min(
        (Ridge(alpha, fit_intercept=False).fit(said - stars.mean(), stars - stars.mean()) for alpha in (0.01, 1, 10)),
        key=lambda r: np.abs(r.coef_ - ours.coefficients).max(),
    )
    np.testing.assert_allclose(ours.coefficients, fitted.coef_, atol=1e-3)
    np.testing.assert_allclose(ours.blend(said, counts), fitted.predict(said - stars.mean()) + stars.mean(), atol=0.01)
    better = ours.coefficients
    assert better[0] > 3 * better[1] > 0  # as the inverse of the variances, 4 to 1


def test_a_part_that_harms_has_no_weight_in_nnls():
    said, stars, counts = predictions()
    said[:, 1] = -stars + RNG.normal(0, 0.1, len(stars)) + 7
    ours = stacking.Stars("nnls", by_count=False)
    ours.fit(said, stars, counts)
    assert ours.coefficients[1] == 0 < ours.coefficients[0]


def test_weights_by_count_find_out_which_part_knows_the_rare():
    said, stars, counts = predictions(8000, errors=(0, 0))
    rare = counts[:, 1] < 20
    said[:, 0] += RNG.normal(0, np.where(rare, 0.1, 2.0))
    said[:, 1] += RNG.normal(0, np.where(rare, 2.0, 0.1))
    errors = []
    for by_count in (False, True):
        ours = stacking.Stars("ridge", by_count)
        ours.fit(said[::2], stars[::2], counts[::2])
        errors.append(np.sqrt(np.mean((ours.blend(said[1::2], counts[1::2]) - stars[1::2]) ** 2)))
    assert errors[1] < 0.9 * errors[0]


def test_weights_by_count_do_not_go_on_outside_of_what_they_were_learned_on():
    said, stars, counts = predictions()
    ours = stacking.Stars("ridge", by_count=True)
    ours.fit(said, stars, counts)
    edge = np.percentile(counts, [5, 90], axis=0)
    for outside, last in (([0, 1000], edge[[0, 1], [0, 1]]), ([1000, 0], edge[[1, 0], [0, 1]])):
        blended = [ours.blend(said[:1], np.array([at])) for at in (outside, last)]
        np.testing.assert_array_equal(*blended)
    assert ours.blend(said[:1], edge[:1]) != ours.blend(said[:1], edge[1:])


def test_with_hardly_any_ratings_all_parts_count_alike():
    said, stars, counts = predictions(20)
    ours = stacking.Stars("ridge", by_count=True)
    ours.fit(said, stars, counts)
    np.testing.assert_allclose(ours.blend(said, counts), said.mean(axis=1), atol=1e-5)


def test_like_weights_make_the_hidden_likes_most_probable():
    """No weights on a grid are better, and choices drawn with known weights give these back."""
    n, n_movies, true = 800, 30, np.array([1.5, 0.5, 0.0])
    scores = [stacking.standardised(RNG.normal(size=(n, n_movies))) for _ in true]
    logits = sum(w * s for w, s in zip(true, scores, strict=True)) + RNG.gumbel(size=(n, n_movies))
    candidates = RNG.random((n, n_movies)) < 0.9
    liked = (logits == np.where(candidates, logits, -np.inf).max(axis=1, keepdims=True)) & candidates
    ours = stacking.Likes()
    ours.fit(scores, liked, candidates)
    np.testing.assert_allclose(ours.coefficients, true, atol=0.15)
    assert (ours.coefficients >= 0).all()

    def loss(weights):
        blended = np.where(candidates, sum(w * s for w, s in zip(weights, scores, strict=True)), -np.inf)
        return -log_softmax(blended, axis=1)[liked].sum()

    for shift in np.vstack([np.eye(3), -np.eye(3)]) * 0.05:
        assert loss(ours.coefficients) <= loss(np.maximum(ours.coefficients + shift, 0)) + 1e-3


def test_standardised_scores_are_logarithms_of_ranks():
    scores = np.vstack([RNG.normal(5, 3, (4, 50)), np.full((1, 50), 2.0), RNG.integers(0, 4, (1, 50))])
    expected = -np.log(rankdata(-scores, axis=1) + stacking.OFFSET)
    np.testing.assert_allclose(stacking.standardised(scores), expected, atol=1e-6)


def test_a_part_with_long_tails_does_not_drown_the_others():
    """Of two parts that rank equally well, one in powers of e: both count."""
    truth = RNG.normal(size=(300, 60))
    parts = [truth + RNG.normal(size=truth.shape) for _ in range(2)]
    liked = truth > np.sort(truth, axis=1)[:, -4:-3]
    ours = stacking.Likes()
    ours.fit([stacking.standardised(np.exp(4 * parts[0])), stacking.standardised(parts[1])], liked, liked | True)
    assert 0.7 < ours.coefficients[0] / ours.coefficients[1] < 1.4


# -- the whole ---------------------------------------------------------------------------------------------------------


def test_it_says_the_weighed_sum_of_what_its_parts_say():
    blend, split = trained("blend")
    pairs = np.arange(25), np.arange(25)[::-1]
    said = np.stack([m.predict(split.train, *pairs) for m in blend.parts], axis=1)
    counts = [[split.train[[u]].nnz, split.train[:, [m]].nnz] for u, m in zip(*pairs, strict=True)]
    weights = blend.learned.stars["all"]
    inside = np.clip(counts, *weights.count_range)
    centred, log = said - weights.centre, (np.log1p(inside) - weights.count_mean) / weights.count_spread
    literal = np.full(25, weights.centre)
    for i in range(4):
        own, by_user, by_movie = weights.coefficients[[i, 4 + i, 8 + i]]
        literal += centred[:, i] * (own + by_user * log[:, 0] + by_movie * log[:, 1])
    np.testing.assert_allclose(blend.predict(split.train, *pairs), literal, atol=1e-4)

    users = np.arange(30)
    scores = [stacking.standardised(m.score(split.train, users)) for m in blend.parts]
    literal = sum(w * s for w, s in zip(blend.learned.likes["all"].coefficients, scores, strict=True))
    np.testing.assert_allclose(blend.score(split.train, users), literal, atol=1e-5)


def test_strangers_are_served_by_the_parts_that_can():
    blend, split = trained("blend")
    assert [part.name for part in blend.parts] == ["autorec", "bayesfm", "joint", "itemknn"]
    rows = split.train[[4, 9]]
    open_ = [blend.parts[i] for i in (0, 2, 3)]
    literal = sum(
        w * stacking.standardised(m.score(rows))
        for w, m in zip(blend.learned.likes["open"].coefficients, open_, strict=True)
    )
    np.testing.assert_allclose(blend.score(rows), literal, atol=1e-5)
    assert np.isfinite(blend.predict(rows, np.array([0, 1]), np.array([3, 3]))).all()


def rounds_of(n, split=None, **options):
    """(the rounds of a blend, its split) where n folds are predicted."""
    config = models.module("blend").Config(parts="bias", folds=n, rounds=n, **options)
    split = split or splits.split(TABLE, "random", splits.Options())
    return models.build("blend", split.train.shape, config)._rounds(split.train, split.validation), split


@pytest.mark.parametrize("by_count", [True, False])
def test_no_part_sees_the_fold_it_predicts(by_count):
    rounds, split = rounds_of(3, by_count=by_count)
    whole = split.train.toarray()
    assert len(rounds) == 3
    for i, one in enumerate(rounds):
        np.testing.assert_array_equal(one.judged.toarray(), one.stars.toarray())
        given, hidden = one.matrix.toarray(), one.judged.toarray()
        np.testing.assert_array_equal(one.holdout.given.toarray(), given)
        assert not (given * hidden).any()
        assert (one.validation is None) == (i > 0)
        assert (given + hidden <= whole).all()
        assert ((given + hidden < whole).any()) == by_count
    np.testing.assert_array_equal(sum(one.judged.toarray() for one in rounds), whole)


@pytest.mark.parametrize("other", [{"by_count": False}, {"weigh": "nnls"}])
def test_each_user_is_new_in_one_of_the_folds_where_weights_depend_on_counts(other):
    wide = splits.split(tastes(100, 60, 4000), "random", splits.Options())
    rounds, split = rounds_of(10, wide)
    whole = split.train.toarray() > 0
    fold = np.stack([one.judged.toarray() > 0 for one in rounds])
    left_out = whole & ~fold & (np.stack([one.matrix.toarray() for one in rounds]) == 0)
    is_new = left_out.any(axis=2)
    assert is_new.sum(axis=0).max() == 1
    assert is_new.sum() > 95  # others have fewer ratings than they would keep
    kept = [one.matrix[[u]].indices for one, new in zip(rounds, is_new, strict=True) for u in np.flatnonzero(new)]
    counts = np.array([len(movies) for movies in kept])
    assert FEW / 2 < counts.max() < FEW
    assert 0.15 < (counts == 0).mean() < 0.35  # log 2 / log 21, and where the only ones are of the fold
    assert np.median(counts) < 6  # few more often than many
    assert 25 < np.mean(np.concatenate(kept)) < 35  # any of the 60 movies
    for i, one in enumerate(rounds):
        new = np.flatnonzero(is_new[i])
        assert not one.holdout.hidden[new].nnz  # weights of likes are not theirs
        assert one.judged.tocsr()[new].nnz
        hidden = one.holdout.hidden.toarray() > 0
        np.testing.assert_array_equal(np.delete(hidden, new, axis=0), np.delete(fold[i], new, axis=0))
    again = rounds_of(10, wide)[0]
    for one, two in zip(rounds, again, strict=True):
        np.testing.assert_array_equal(one.matrix.toarray(), two.matrix.toarray())
    for one in rounds_of(10, wide, **other)[0]:
        np.testing.assert_array_equal(one.matrix.toarray() + one.holdout.hidden.toarray(), split.train.toarray())


def test_with_few_folds_no_more_users_are_new():
    (one, two), split = rounds_of(2, splits.split(tastes(300, 60, 9000), "random", splits.Options()))
    for round_ in (one, two):
        lost = np.diff(split.train.indptr) - np.diff(round_.matrix.indptr) - np.diff(round_.judged.tocsr().indptr)
        assert 10 < (lost > 0).sum() < 50


def test_weights_of_stars_are_learned_on_new_users_too():
    split = splits.split(TABLE, "random", splits.Options())
    config = models.module("blend").Config(parts="bias,bias --user-damping 9", folds=4)
    model = models.build("blend", TABLE.shape, config)
    model.cache, model.first_folder = blend_parts.PartCache(None), {}
    (one,) = model._rounds(split.train, split.validation)
    truth, judged = model._truth(one), one.judged
    np.testing.assert_array_equal(truth["stars"], judged.data)
    np.testing.assert_array_equal(truth["counts"][:, 0], np.diff(one.matrix.indptr)[judged.row])
    np.testing.assert_array_equal(truth["counts"][:, 1], np.bincount(one.matrix.indices, minlength=25)[judged.col])
    assert len(truth["liked"]) == len(judged_users(one.holdout))
    asked = []
    for part in model.parts:
        part.predict = lambda given, users, movies: asked.append((given, users, movies)) or np.ones(len(users))
    model._train(one, Training())
    for given, users, movies in asked:
        assert given is one.matrix
        np.testing.assert_array_equal(users, judged.row)
        np.testing.assert_array_equal(movies, judged.col)
    assert len(asked) == 2


LEAKS = [
    ("random", f"{FAST},bayesfm --samples 8 --rank 2,itemknn", {}),
    ("cold", "bayesfm --samples 8 --rank 2 --dates --ordinal --side genres,content,itemknn", {"rounds": 2}),
    ("strong", f"{FAST},itemknn", {}),
]


@pytest.mark.parametrize(("protocol", "parts", "options"), LEAKS)
def test_the_stars_of_the_test_change_no_weight_and_no_prediction(protocol, parts, options):
    """The ratings of the test permuted among themselves: everything the blend learns and says stays as it is."""
    table = tastes(60, 25, 900)
    table = replace(table, timestamp=np.arange(len(table)) * 5_000)
    split = splits.split(table, protocol, splits.Options(held_out=8 if protocol == "strong" else None))
    test = np.flatnonzero(split.part == splits.Subset.TEST)
    stars = split.ratings.rating.copy()
    stars[test] = 5.5 - stars[test] / 10 if protocol == "strong" else np.roll(stars[test], 1)
    assert (stars != split.ratings.rating).any()
    other = replace(split, ratings=replace(split.ratings, rating=stars))
    movies = Movies(table.movie_ids, ["title"] * 25, [None] * 25, [["Drama"] if m % 2 else ["War"] for m in range(25)])
    found = []
    for one in (split, other):
        model = models.build("blend", table.shape, models.module("blend").Config(parts=parts, folds=4, **options))
        model.attach_data(SimpleNamespace(name="planted", ratings=one.ratings, movies=movies, users=None, tags=None))
        with eagerly():
            train.fit(model, one, Training(), refit=True)
        pairs = table.user[test], table.movie[test]
        weights = [w.coefficients for kind in (model.learned.stars, model.learned.likes) for w in kind.values()]
        found.append([*weights, model.predict(one.known, *pairs), model.score(one.known, np.arange(60))])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_where_users_are_held_out_no_part_may_know_only_its_own():
    parts = "itemknn,bayesfm,ease --l2 9,glocalk"
    split = splits.split(TABLE, "strong", splits.Options(held_out=2))
    model = models.build("blend", TABLE.shape, models.module("blend").Config(parts=parts))
    with pytest.raises(UserError, match=r"bayesfm, glocalk can't .*; give --parts 'itemknn,ease --l2 9'$"):
        model.fit(split.train, split.validation, Training())


# -- scripts -----------------------------------------------------------------------------------------------------------


def test_a_run_of_it_is_judged_recommends_and_tells_its_weights(run_of, capsys):
    folder = run_of("blend", "--parts", f"{JOINT},bayesfm --samples 10,itemknn")
    said = capsys.readouterr()
    run = run_folder.Run(folder)
    run.verify()
    weights = run.json("parts.json")
    assert weights.keys() == {JOINT, "bayesfm --samples 10", "itemknn"}
    assert all(weights["bayesfm --samples 10"].keys() == {"stars", "likes"} for _ in said)
    assert run.part("part2").config["model"] == "bayesfm"
    assert not folder.with_name("blend.parts").exists()
    evaluate.main(["--run", str(folder), "--json", str(folder.with_name("judged.json"))])
    judged = json.loads(folder.with_name("judged.json").read_text())["runs"][0]
    assert [part["part"] for part in judged["parts"]] == list(weights)
    for part, number in zip(judged["parts"], (1, 2, 3), strict=True):
        model = models.load(run.part(f"part{number}"))
        test = run.split.test
        alone = holdout_metrics.rating_metrics(model.predict, test, run.split.ratings.scale)["rmse"].value
        assert part["metrics"]["rmse"]["value"] == pytest.approx(alone)
        less = judged["metrics"]["rmse"]["value"] - alone
        assert part["blend_less_part"]["rmse"]["value"] == pytest.approx(less)
    assert "RMSE vs part " in capsys.readouterr().out
    known = answer(capsys, "--user", 3, "--run", folder)
    assert known["items"][0]["predicted_rating"] is not None
    other = answer(capsys, "--rate", "planted 3=5", "--run", folder)
    assert other["items"][0]["predicted_rating"] is not None
    model, split = models.load(run), run.split
    for user in (0, 7):
        found = answer(capsys, "--user", split.ratings.user_ids[user], "--run", folder, "-n", 5, "--include-seen")
        batch = model.score(split.known[[user]], np.array([user]))[0]
        stars = model.predict(split.known, np.full(24, user), np.arange(24))
        for item in found["items"]:
            movie = split.ratings.movie_ids.tolist().index(item["movieId"])
            assert item["score"] == pytest.approx(batch[movie], abs=1e-4)
            assert item["predicted_rating"] == pytest.approx(np.clip(stars[movie], *split.ratings.scale), abs=1e-3)
    row = split.known[[0]].copy()
    row.data[:] = 6 - row.data
    titles = [f"{run.movies.titles[m]}={r:g}" for m, r in zip(row.indices, row.data, strict=True)]
    found = answer(capsys, *(a for t in titles for a in ("--rate", t)), "--run", folder, "-n", 3)
    for item in found["items"]:
        movie = split.ratings.movie_ids.tolist().index(item["movieId"])
        assert item["score"] == pytest.approx(model.score(row)[0, movie], abs=1e-4)
        stars = np.clip(model.predict(row, np.array([0]), np.array([movie])), *split.ratings.scale)
        assert item["predicted_rating"] == pytest.approx(stars[0], abs=1e-3)
    because = answer(capsys, "--user", 3, "--explain", "--run", folder)
    assert because["items"][0]["because"]


def test_strangers_get_no_stars_where_only_known_users_have_some(run_of, capsys):
    folder = run_of("blend", "--parts", "bayesfm --samples 10,ease")
    assert "predicted_rating" in answer(capsys, "--user", 3, "--run", folder)["items"][0]
    assert "predicted_rating" not in answer(capsys, "--rate", "planted 3=5", "--run", folder)["items"][0]


def failing(*_):
    raise UserError("no memory")


@eagerly()
def test_finished_parts_are_kept_when_one_fails(planted, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"
    arguments = ["blend", "--data", str(planted[0]), "--run", str(folder)]
    with monkeypatch.context() as patch:
        patch.setattr(models.module("ease").Model, "refit", failing)
        with pytest.raises(UserError, match=r"part ease: no memory .*finished parts are kept"):
            train.main([*arguments, "--parts", f"{FAST},ease"])
    assert not folder.exists()
    fitted = []
    autorec = models.module("autorec").Model
    monkeypatch.setattr(autorec, "fit", lambda *_: fitted.append("autorec"))
    train.main([*arguments, "--parts", f"{FAST},ease"])
    assert not fitted
    assert "finished before" in capsys.readouterr().err
    alone = tmp_path / "alone"
    monkeypatch.undo()
    train.main(["blend", "--data", str(planted[0]), "--run", str(alone), "--parts", f"{FAST},ease"])
    for name in ("parts.json", "weights.npz"):
        assert (alone / name).read_bytes() == (folder / name).read_bytes()


@eagerly()
def test_every_finished_part_is_found_again(planted, tmp_path, capsys, monkeypatch):
    """Stopped in the last part on all ratings, the same command trains nothing but that, and the run is the one that
    was never stopped."""
    parts = ["autorec --rows movies --hidden 4,3 --epochs 2", "bayesfm --samples 8 --dates --ordinal", "content"]
    options = ["--data", str(planted[0]), "--parts", ",".join([*parts, JOINT, "bias"])]
    train.main(["blend", *options, "--run", str(tmp_path / "whole")])
    bias, calls = models.module("bias").Model, []

    def stopped(self, matrix, training=None):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return refit(self, matrix, training)

    refit = bias.refit
    monkeypatch.setattr(bias, "refit", stopped)
    with pytest.raises(KeyboardInterrupt):
        train.main(["blend", *options, "--run", str(tmp_path / "run")])
    monkeypatch.undo()
    capsys.readouterr()
    train.main(["blend", *options, "--run", str(tmp_path / "run"), "--resume"])
    assert capsys.readouterr().err.count("finished before") == 9
    for name in ("weights.npz", "parts.json", "history.csv", "part2/weights.npz"):
        whole, again = ((tmp_path / run / name).read_bytes() for run in ("whole", "run"))
        assert name == "history.csv" or whole == again
        assert whole.count(b"\n") == again.count(b"\n")
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").open(newline="")))
    assert {row["part"] for row in rows} == {parts[0], JOINT}
    assert all(None not in row for row in rows)


def test_what_is_not_ours_beside_a_run_stays(planted, tmp_path):
    (tmp_path / "run.parts").mkdir()
    (tmp_path / "run.parts" / "notes.txt").write_text("precious")
    for model in (["bias"], ["blend", "--parts", "bias,itemknn"]):
        train.main([*model, "--data", str(planted[0]), "--run", str(tmp_path / "run")])
        assert [path.name for path in (tmp_path / "run.parts").iterdir()] == ["notes.txt"]
    (tmp_path / "run" / "mine").mkdir()
    with pytest.raises(UserError, match="is no run folder"):
        train.main(["bias", "--data", str(planted[0]), "--run", str(tmp_path / "run")])


def test_kept_parts_of_other_data_or_options_are_not_taken(tmp_path):
    cache = blend_parts.PartCache(tmp_path)
    split = splits.split(TABLE, "random", splits.Options())
    places = set()
    for words, stage, matrix in (
        ("ease", "a", split.train), ("ease --l2 5", "a", split.train), ("ease --seed 1", "a", split.train),
        ("ease", "b", split.train), ("ease", "a", split.refit),
    ):  # fmt: skip
        places.add(cache.folder_of(blend_parts.build(words, models.build("blend", TABLE.shape)), stage, matrix))
    other = models.build("blend", TABLE.shape, like=4)
    places.add(cache.folder_of(blend_parts.build("ease", other), "a", split.train))
    assert len(places) == 6


def test_kept_parts_of_other_code_are_not_taken(tmp_path, monkeypatch):
    for name in ("models/a.py", "utils/deep/b.py", "tests/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(blend_parts, "ROOT", tmp_path)
    monkeypatch.setattr(run_folder, "commit", lambda: "0" * 40 + "+")  # which all changed trees share
    cache, part, matrix = blend_parts.PartCache(tmp_path / "kept"), "itemknn", TABLE.matrix()

    def place():
        blend_parts.sources.cache_clear()
        return cache.folder_of(blend_parts.build(part, models.build("blend", TABLE.shape)), "whole", matrix)

    found = [place()]
    (tmp_path / "tests/c.py").write_text("x = 2\n")
    assert place() == found[0]  # which trains nothing
    for name, text in (("models/a.py", "x = 2\n"), ("utils/deep/b.py", "x = 2\n"), ("models/new.py", "")):
        (tmp_path / name).write_text(text)
        found.append(place())
    (tmp_path / "models/new.py").rename(tmp_path / "models/newer.py")
    found.append(place())
    assert len(set(found)) == 5
    blend_parts.sources.cache_clear()
    monkeypatch.undo()
    assert len(blend_parts.sources(blend_parts.ROOT)) == 64
    assert blend_parts.sources(blend_parts.ROOT) != blend_parts.sources(tmp_path)


def test_kept_parts_of_other_versions_of_libraries_are_not_taken(tmp_path, monkeypatch):
    cache, part, found = blend_parts.PartCache(tmp_path), "itemknn", []
    for version in ("2.20", "2.21", "2.21"):
        monkeypatch.setattr(blend_parts, "versions", lambda version=version: {"tensorflow": version})
        model = blend_parts.build(part, models.build("blend", TABLE.shape))
        found.append(cache.folder_of(model, "whole", TABLE.matrix()))
    assert found[0] != found[1] == found[2]


def test_a_damaged_kept_part_is_trained_again(tmp_path):
    part, split = "ease", splits.split(TABLE, "random", splits.Options())
    model = blend_parts.build(part, models.build("blend", TABLE.shape))
    model.refit(split.train)
    cache, place = blend_parts.PartCache(tmp_path), tmp_path / "one"
    cache.save(place, model, scores=np.arange(3))
    again = blend_parts.build(part, models.build("blend", TABLE.shape))
    assert cache.load(place, again)["scores"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(again.score(split.train), model.score(split.train))
    (place / "kept.npz").write_bytes((place / "kept.npz").read_bytes()[:-5])
    assert cache.load(place, again) is None
    assert json.loads((place / "config.json").read_text())["model"] == "ease"


@pytest.mark.parametrize("parts", ["ease,popularity", "popularity,multdae --hidden 4 --epochs 1"])
@eagerly()
def test_a_blend_of_parts_that_learn_likes_alone_says_its_weights(parts, planted, tmp_path, capsys):
    train.main(["blend", "--parts", parts, "--data", str(planted[0]), "--run", str(tmp_path / "run")])
    weights, out = json.loads((tmp_path / "run" / "parts.json").read_text()), " ".join(capsys.readouterr().out.split())
    assert list(weights) == parts.split(",")
    for part, kinds in weights.items():
        assert list(kinds) == ["likes"]
        assert f"{part} likes {kinds['likes']:.2f}" in out
    assert "learn weights of stars" not in out  # which no part predicts
