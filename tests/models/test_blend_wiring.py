"""Blend: what each part is trained on and asked, and what its weights are learned from, by parts that write it down."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LinearRegression, RidgeCV
from trained import TABLE, tastes, trained

import models
from models import blend
from models.ensemble import blend_parts, stacking
from utils.data import splits
from utils.data.side_features import Side
from utils.errors import UserError
from utils.training.training import Training

N_USERS, N_MOVIES = 40, 25
SEED = 3  # of the blend
STRANGE = 0.01  # what tells one part from another


class Part:
    """A part that writes down what it is called with, and says what can be told apart."""

    def __init__(self, number, stars=True, new=True):
        self.number, self.calls = number, []
        self.predicts_ratings, self.takes_new_users, self.predicts_strangers = stars, new, stars and new
        self.config, self.seed, self.shape = SimpleNamespace(), number, (N_USERS, N_MOVIES)
        self.has_latent_space = False

    def fit(self, matrix, validation, training):
        self.calls.append(("fit", matrix.toarray(), validation, training))
        return [{"epoch": 1}]

    def refit(self, matrix, training):
        self.calls.append(("refit", matrix.toarray(), training))

    def encode_all(self, matrix):
        self.calls.append(("encode_all", matrix.toarray()))

    def predict(self, given, users, movies):
        self.calls.append(("predict", given.toarray(), users, movies))
        return (3 + np.sin(self.number + users) + STRANGE * movies).astype(np.float32)

    def notes(self):
        return [f"part {self.number}", "said"]

    def score(self, given, users=None):
        self.calls.append(("score", given.toarray(), users))
        return np.sin(self.number + 1.0 + np.arange(given.shape[0] * N_MOVIES) ** 1.5).reshape(-1, N_MOVIES)


def blended(monkeypatch, protocol="random", options=None, like=None, **config):
    """(fitted blend of the parts above, its split, what its weights were fitted on)."""
    table = replace(tastes(N_USERS, N_MOVIES, 500), threshold=like)
    split = splits.split(table, protocol, options or splits.Options(validation_share=0.2))
    strong = protocol == "strong"
    parts = [Part(0), Part(1, stars=False), Part(2, new=strong)]
    seen = {}
    for name in ("fit_stars", "fit_likes"):
        fit = getattr(stacking.Weights, name)

        def noted(self, *arguments, name=name, fit=fit):
            seen[name] = arguments
            fit(self, *arguments)

        monkeypatch.setattr(stacking.Weights, name, noted)
    monkeypatch.setattr(blend_parts, "build", lambda part, *_: parts[len(part) - len("bias")])
    monkeypatch.setattr(blend.blend_parts, "split", lambda _: ["bias", "bias ", "bias  "])
    config = blend.Config(folds=4, by_count=False, **config)  # by count: test_blend.py
    model = models.build("blend", table.shape, config, SEED, like=like)
    history = model.fit(split.train, split.validation, Training())
    return model, split, seen, history


def folds_of(split, folds=4):
    """For each fold (dense training ratings without it, dense ratings of it)."""
    rows, columns = split.train.nonzero()
    fold, dense = np.random.default_rng(SEED).integers(folds, size=len(rows)), split.train.toarray()
    for number in range(folds):
        hidden = np.zeros_like(dense)
        hidden[rows[fold == number], columns[fold == number]] = dense[rows[fold == number], columns[fold == number]]
        yield dense - hidden, hidden


def likers(hidden, like=3.5):
    return [user for user in range(len(hidden)) if (hidden[user] > like).any()]


def test_a_part_is_trained_on_remembers_and_is_given_all_but_the_fold_that_it_predicts(monkeypatch):
    model, split, _, history = blended(monkeypatch, rounds=2)
    rounds = list(folds_of(split))[:2]
    for part in model.parts:
        calls = iter(part.calls)
        for number, (kept, hidden) in enumerate(rounds):
            said, matrix, *more = next(calls)
            assert said == ("refit" if number else "fit")
            np.testing.assert_array_equal(matrix, kept)
            if not number:
                np.testing.assert_array_equal(more[0].given.toarray(), kept)
                np.testing.assert_array_equal(more[0].hidden.toarray(), split.validation.hidden.toarray())
            said, matrix = next(calls)
            assert said == "encode_all"
            np.testing.assert_array_equal(matrix, kept)
            if part.predicts_ratings:
                said, given, users, movies = next(calls)
                assert said == "predict"
                np.testing.assert_array_equal(given, kept)
                assert sorted(zip(users, movies, strict=True)) == list(zip(*hidden.nonzero(), strict=True))
            said, given, users = next(calls)
            assert said == "score"
            assert users.tolist() == likers(hidden)
            np.testing.assert_array_equal(given, kept[users])
        assert next(calls, None) is None
    assert [row["stage"] for row in history] == ["without fold 1"] * 3
    np.testing.assert_array_equal(model.learned.rated, (split.train.toarray() > 0).sum(axis=0))


def test_a_part_is_kept_by_its_round_what_it_is_trained_and_judged_on_and_what_chose_its_epochs(monkeypatch):
    asked = []

    def folder_of(self, part, stage, *matrices):
        asked.append((part.number, stage, [matrix.toarray() for matrix in matrices]))
        return Path(f"{part.number}-{len(asked)}")

    monkeypatch.setattr(blend_parts.PartCache, "folder_of", folder_of)
    monkeypatch.setattr(blend_parts.PartCache, "load", lambda *_: None)
    monkeypatch.setattr(blend_parts.PartCache, "save", lambda *_, **__: None)
    model, split, _, _ = blended(monkeypatch, rounds=2)
    model.refit(split.refit, Training())
    (first, of_first), (second, of_second) = list(folds_of(split))[:2]
    validation = split.validation.hidden.toarray()
    expected = [(i, ["without fold 1", None], [first, validation, of_first, of_first]) for i in range(3)]
    firsts = [f"{i}-{i + 1}" for i in range(3)]
    expected += [(i, ["without fold 2", firsts[i]], [second, of_second, of_second]) for i in range(3)]
    expected += [(i, ["on all", firsts[i]], [split.refit.toarray()]) for i in range(3)]
    for (part, stage, matrices), (number, name, dense) in zip(asked, expected, strict=True):
        assert (part, stage) == (number, name)
        for found, whole in zip(matrices, dense, strict=True):
            np.testing.assert_array_equal(found, whole)


def test_all_parts_are_trained_again_on_all_and_the_counts_are_of_all(monkeypatch):
    model, split, _, _ = blended(monkeypatch)
    for part in model.parts:
        part.calls.clear()
    before = model.learned.stars["all"].coefficients.copy()
    model.refit(split.refit, Training())
    for part in model.parts:
        (said, matrix, _), (also, remembered) = part.calls
        assert (said, also) == ("refit", "encode_all")
        np.testing.assert_array_equal(matrix, split.refit.toarray())
        np.testing.assert_array_equal(remembered, split.refit.toarray())
    np.testing.assert_array_equal(model.learned.rated, (split.refit.toarray() > 0).sum(axis=0))
    np.testing.assert_array_equal(model.learned.stars["all"].coefficients, before)


@pytest.mark.parametrize(("most", "like"), [(1000, 3.5), (7, 3.5), (1000, 4.0)])
def test_weights_are_learned_from_what_each_part_says_of_each_fold(most, like, monkeypatch):
    monkeypatch.setattr(blend, "MOST", most)
    model, split, seen, _ = blended(monkeypatch, rounds=2, like=like)
    stars, counts, said, liked, new, users = [], [], {0: [], 2: []}, [], [], []
    for kept, hidden in list(folds_of(split))[:2]:
        for user, movie in zip(*hidden.nonzero(), strict=True):
            stars.append(hidden[user, movie])
            counts.append([(kept[user] > 0).sum(), (kept[:, movie] > 0).sum()])
            for part, of in said.items():
                of.append(3 + np.sin(part + user) + STRANGE * movie)
        judged = likers(hidden, like)
        if most < len(judged):
            judged = sorted(np.random.default_rng(0).choice(judged, most, replace=False))
        users.append(len(judged))
        liked += [hidden[user] > like for user in judged]
        new += [kept[user] == 0 for user in judged]
    predicted, found, of_counts = seen["fit_stars"]
    assert predicted.keys() == said.keys()
    order, ours = (np.lexsort(of) for of in ((found, predicted[0]), (stars, np.float32(said[0]))))
    np.testing.assert_array_equal(found[order], np.float32(stars)[ours])
    np.testing.assert_array_equal(of_counts[order], np.array(counts)[ours])
    for part, of in said.items():
        np.testing.assert_allclose(predicted[part][order], np.array(of)[ours], atol=1e-5)
    scores, likes, candidates = seen["fit_likes"]
    np.testing.assert_array_equal(likes, liked)
    np.testing.assert_array_equal(candidates, new)
    for i, of in enumerate(scores):
        expected = np.concatenate([np.sin(i + 1.0 + np.arange(n * N_MOVIES) ** 1.5).reshape(n, -1) for n in users])
        np.testing.assert_allclose(of, stacking.standardised(expected), atol=1e-6)
    assert (model.learned.groups["open"], model.learned.starred) == ([0, 1], {"all": [0, 2], "open": [0]})


def test_where_users_are_held_out_weights_of_likes_are_learned_on_them_and_none_of_stars(monkeypatch):
    model, split, seen, history = blended(monkeypatch, "strong", splits.Options(held_out=6))
    hidden, given = split.validation.hidden.toarray(), split.validation.given.toarray()
    judged = likers(hidden)
    for part in model.parts:
        said, matrix, validation, _ = part.calls[0]
        assert said == "fit"
        np.testing.assert_array_equal(matrix, split.train.toarray())
        np.testing.assert_array_equal(validation.given.toarray(), given)
        said, shown, users = part.calls[-1]
        assert (said, users.tolist()) == ("score", judged)
        np.testing.assert_array_equal(shown, given[judged])
    assert len(seen["fit_stars"][1]) == 0
    _, liked, candidates = seen["fit_likes"]
    np.testing.assert_array_equal(liked, hidden[judged] > 3.5)
    np.testing.assert_array_equal(candidates, (given[judged] == 0) & split.candidates)
    assert [row["stage"] for row in history] == ["training"] * 3


@pytest.mark.parametrize(("failed", "error"), [("", KeyboardInterrupt), ("diverged", UserError)])
def test_a_part_that_ends_early_ends_the_blend(failed, error, monkeypatch):
    def ended(self, matrix, validation, training):
        training.interrupted, training.failed = True, failed
        return []

    monkeypatch.setattr(Part, "fit", ended)
    with pytest.raises(error, match=failed):
        blended(monkeypatch)


def test_a_blend_can_what_any_of_its_parts_can(monkeypatch):
    abilities = ("predicts_ratings", "takes_new_users", "predicts_strangers")
    for ability in abilities:
        for able in ((True, False), (False, True), (False, False)):
            parts = [SimpleNamespace(**(dict.fromkeys(abilities, False) | {ability: part})) for part in able]
            monkeypatch.setattr(blend_parts, "build", lambda text, _, parts=parts: parts[text == "ease"])
            model = models.build("blend", TABLE.shape, blend.Config(parts="bias,ease"))
            assert getattr(model, ability) == any(able)


def test_without_a_part_for_strangers_rows_of_all_users_are_theirs(monkeypatch):
    model, split, _, _ = blended(monkeypatch)
    for recommender in (model, *model.parts):
        recommender.takes_new_users = False
    weights = model.learned.likes["all"].coefficients
    expected = sum(
        weight * stacking.standardised(part.score(split.train))
        for part, weight in zip(model.parts, weights, strict=True)
    )
    np.testing.assert_allclose(model.score(split.train), expected, atol=1e-5)


def test_options_of_the_blend_reach_the_parts_that_have_them():
    said = "ease,multdae --no-signed,bias,joint --seed 4"
    model = models.build("blend", TABLE.shape, blend.Config(parts=said, signed=True), 2**32 - 2, (1.0, 10.0), 6.5)
    assert [getattr(part.config, "signed", None) for part in model.parts] == [True, False, None, True]
    assert [part.seed for part in model.parts] == [2**32 - 2] * 3 + [2]
    assert [(part.shape, part.scale, part.like) for part in model.parts] == [(TABLE.shape, (1.0, 10.0), 6.5)] * 4
    bare = models.build("blend", TABLE.shape, blend.Config(parts=said))
    assert [getattr(part.config, "signed", None) for part in bare.parts] == [False, False, None, False]


# -- weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "by_count"), [("ridge", True), ("ridge", False), ("nnls", False)])
def test_star_weights_are_scikit_learns_of_features_written_out(kind, by_count):
    rng = np.random.default_rng(0)
    stars, counts = rng.normal(3.5, 1, 90), np.stack([rng.integers(1, 60, 90), rng.integers(3, 900, 90)], axis=1)
    said = np.stack([stars + rng.normal(0, error, 90) for error in (0.4, 0.9, 1.5)], axis=1)
    said[:, 2] = 7 - said[:, 2]
    ours = stacking.Stars(kind, by_count)
    ours.fit(said, stars, counts)
    low, high = np.percentile(counts, 5, axis=0), np.percentile(counts, 90, axis=0)
    logs = [[np.log(1 + min(max(n, a), b)) for n, a, b in zip(row, low, high, strict=True)] for row in counts]
    logs = [[(log - np.mean(of)) / np.std(of) for log, of in zip(row, np.transpose(logs), strict=True)] for row in logs]
    own, left = said - stars.mean(), stars - stars.mean()
    rows = [[*row * user, *row * movie] for row, (user, movie) in zip(own, logs, strict=True)]
    expected, weights = np.zeros(90), []
    for features in [own, rows] if by_count else [own]:  # what the first leave over is what the second explain
        least = RidgeCV(np.logspace(-2, 6, 17), fit_intercept=False)
        if kind == "nnls":
            least = LinearRegression(positive=True, fit_intercept=False)
        weights += least.fit(features, left - expected).coef_.tolist()
        expected = expected + least.predict(features)
    np.testing.assert_allclose(ours.coefficients, weights, atol=1e-6)
    np.testing.assert_allclose(ours.blend(said, counts), expected + stars.mean(), atol=1e-5)
    assert ours.coefficients[2] == 0 if kind == "nnls" else ours.coefficients[2] < 0


@pytest.mark.parametrize("n", [49, 50])
def test_weights_are_learned_from_fifty_on(n):
    rng = np.random.default_rng(0)
    stars = rng.normal(3, 1, n)
    said = np.stack([stars, rng.normal(3, 1, n)], axis=1)
    ours = stacking.Stars("ridge", False)
    ours.fit(said, stars, np.ones((n, 2), int))
    liked = np.eye(n + 5, 8, dtype=bool)[np.arange(n + 5) % 8]
    liked[n:] = False  # these count for nothing
    likes = stacking.Likes()
    likes.fit([liked + rng.random(liked.shape), rng.random(liked.shape)], liked, liked | True)
    for learned, weights in ((ours.learned, ours.coefficients), (likes.learned, likes.coefficients)):
        assert learned == (n == 50)
        assert (weights[0] > 0.9 and abs(weights[1]) < 0.4) if learned else weights.tolist() == [0.5, 0.5]


def uneven(n=120, n_movies=20):
    """(scores of three parts, liked, candidates): half of the users like one movie, as the first part says, the others
    eight, as the second says."""
    rng = np.random.default_rng(5)
    scores = [stacking.standardised(rng.normal(size=(n, n_movies))) for _ in range(3)]
    candidates, liked = rng.random((n, n_movies)) < 0.8, np.zeros((n, n_movies), bool)
    for user in range(n):
        drawn = scores[user % 2][user] + 0.5 * rng.gumbel(size=n_movies)
        liked[user, np.argsort(-drawn)[: 1 + 7 * (user % 2)]] = True
    return scores, liked & candidates, candidates


def test_every_user_counts_alike_however_many_likes_are_hidden():
    scores, liked, candidates = uneven()
    ours = stacking.Likes()
    ours.fit(scores, liked, candidates)

    def loss(weights):
        users = []
        for user in np.flatnonzero(liked.any(axis=1)):
            own = sum(weight * of[user].astype(float) for weight, of in zip(weights, scores, strict=True))
            log_sum = np.log(sum(np.exp(own[m]) for m in np.flatnonzero(candidates[user])))
            users.append(np.mean([log_sum - own[m] for m in np.flatnonzero(liked[user])]))
        return np.mean(users)

    best = minimize(loss, np.full(3, 1 / 3), bounds=[(0, None)] * 3)
    np.testing.assert_allclose(ours.coefficients, best.x, atol=2e-2)
    assert loss(ours.coefficients) <= best.fun + 1e-4
    assert ours.coefficients[0] > 0.3 < ours.coefficients[1]


def test_weights_that_are_read_back_serve_everybody_as_before():
    rng = np.random.default_rng(0)
    weights = stacking.Weights("ridge", True, 3, [0, 2], [1, 2])
    weights.rated = rng.integers(0, 50, N_MOVIES)
    stars, counts = rng.normal(3, 1, 80), rng.integers(1, 50, (80, 2))
    predicted = {0: stars + rng.normal(0, 0.3, 80), 2: stars + rng.normal(0, 0.6, 80)}
    weights.fit_stars(predicted, stars, counts)
    weights.fit_likes(*uneven())
    alone = stacking.Stars("ridge", True), stacking.Likes()  # learned from what the open parts say alone
    alone[0].fit(predicted[2][:, None], stars, counts)
    alone[1].fit(uneven()[0][1:], *uneven()[1:])
    for own, open_ in zip(alone, (weights.stars["open"], weights.likes["open"]), strict=True):
        np.testing.assert_array_equal(open_.coefficients, own.coefficients)
    stored = {name: value.copy() for name, value in weights.arrays().items()}
    run = SimpleNamespace(config={"options": {"weigh": "ridge", "by_count": True}}, json=lambda _: [0, 1, 2])
    run.arrays = lambda _: stored
    again = stacking.Weights.load(run)
    movies, given = rng.integers(0, N_MOVIES, 30), rng.integers(1, 50, 30)
    said = rng.normal(3, 1, (3, 30))
    of_scores = rng.normal(size=(3, 4, N_MOVIES))
    for known, starred, parts in ((True, [0, 2], [0, 1, 2]), (False, [2], [1, 2])):
        group = "all" if known else "open"
        own = weights.stars[group]
        expected = own.blend(said[starred].T, np.stack([given, weights.rated[movies]], axis=1))
        ranked = sum(
            weight * stacking.standardised(of_scores[i])
            for i, weight in zip(parts, weights.likes[group].coefficients, strict=True)
        )
        for one in (weights, again):
            np.testing.assert_allclose(one.blended_stars(known, said.__getitem__, given, movies), expected, atol=1e-6)
            np.testing.assert_allclose(one.blended_scores(known, of_scores.__getitem__), ranked, atol=1e-5)
    assert again.of_parts() == weights.of_parts()
    assert [set(of) for of in weights.of_parts()] == [{"stars", "likes"}, {"likes"}, {"stars", "likes"}]
    coefficients = weights.stars["all"].coefficients, weights.likes["all"].coefficients
    assert weights.of_parts()[2] == {"stars": round(coefficients[0][1], 4), "likes": round(coefficients[1][2], 4)}


def test_only_ridge_weighs_by_count_and_a_group_without_parts_serves_nobody():
    assert not stacking.Weights("nnls", True, 1, [0], [0]).stars["all"].by_count
    bare = stacking.Weights("ridge", False, 2, [1], [])
    assert (bare.groups["all"], bare.groups["open"]) == ([0, 1], [])
    assert bare.blended_stars(False, None, None, None) is None


BLEND = models.build("blend", TABLE.shape)


# -- kept parts --------------------------------------------------------------------------------------------------------


def test_a_kept_part_depends_on_what_is_known_beside_ratings(tmp_path):
    cache, places = blend_parts.PartCache(tmp_path), set()
    for side in (np.zeros((30, 2)), np.ones((30, 2))):
        model = blend_parts.build("autorec --side age", BLEND)
        model.side = Side(side.astype(np.float32), np.zeros((25, 0), np.float32))
        places.add(cache.folder_of(model, "a", TABLE.matrix()))
    for side in (np.zeros((25, 2)), np.ones((25, 2))):
        model = blend_parts.build("joint", BLEND)
        model.movie_side = Side(np.zeros((30, 0), np.float32), side.astype(np.float32))
        places.add(cache.folder_of(model, "a", TABLE.matrix()))
    for scale in (1, 2):
        model = blend_parts.build("content", BLEND)
        model.terms = TABLE.matrix().T.tocsr() * scale
        places.add(cache.folder_of(model, "a", TABLE.matrix()))
    changed = TABLE.matrix()
    changed.indices[:] = (changed.indices + 1) % 25
    model = blend_parts.build("content", BLEND)
    places |= {cache.folder_of(model, "a", TABLE.matrix()), cache.folder_of(model, "a", changed)}
    assert len(places) == 8
    assert blend_parts.PartCache(None).folder_of(model, "a") is None


def test_a_kept_part_comes_back_with_what_it_chose(tmp_path):
    model, split = trained("autorec")
    cache = blend_parts.PartCache(tmp_path)
    cache.save(tmp_path / "one", model)
    again = blend_parts.build("autorec --hidden 8 --epochs 2", BLEND)
    assert cache.load(tmp_path / "one", again) == {}
    assert again.chosen == model.chosen != {}
    np.testing.assert_array_equal(again.score(split.train), model.score(split.train))


def test_each_part_has_checkpoints_and_logs_of_its_own():
    training = replace(Training(checkpoints=Path("a"), tensorboard=Path("b")), signature="s")
    own = blend_parts.training_in(training, "1-on-all")
    assert (own.checkpoints, own.tensorboard) == (Path("a/1-on-all"), Path("b/1-on-all"))
    bare = blend_parts.training_in(Training(), "1")
    assert (bare.checkpoints, bare.tensorboard) == (None, None)


def test_an_error_of_a_part_that_gets_the_data_names_the_part():
    data = SimpleNamespace(name="small", ratings=TABLE, users=None, movies=None)
    model = models.build("blend", TABLE.shape, models.module("blend").Config(parts="bias,autorec --side age"))
    with pytest.raises(UserError, match="part autorec --side age: --side age: small does not tell it"):
        model.attach_data(data)


def test_what_the_parts_say_is_said_with_their_names(monkeypatch):
    notes = blended(monkeypatch)[0].notes()
    assert notes[0].startswith("weights: bias")
    assert notes[-6:] == [f"bias{' ' * i}: {note}" for i in range(3) for note in (f"part {i}", "said")]
