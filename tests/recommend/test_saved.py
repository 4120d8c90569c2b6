"""A saved run against its model: what it says of anybody, by every strategy, for users in any order."""

from copy import copy
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from literal import pairs
from trained import PARTS, TABLE, train_on, trained

import models
from utils.data.datasets import Dataset
from utils.data.movies import Movies
from utils.data.ratings import likes
from utils.errors import UserError
from utils.recommend import profile, saved, strategies
from utils.runs import run_folder
from utils.runs.user_ratings import UserRatings
from utils.scoring.biases import Biases
from utils.scoring.latent import weighted_neighbours
from utils.scoring.profile_rows import ProfileRows

N_USERS, N_MOVIES = TABLE.shape
USERS = np.random.default_rng(0).permutation(N_USERS)[:17]
SOME = np.array([20, 3, 24, 0, 11])  # movies in no order
OPTIONS = {"blend": {"parts": PARTS}, "joint": {"linear_l2": 5.0, "signed": True}, "multdae": {"signed": True}}
LATENT = [(name, None) for name in ("autorec", "joint", "multdae", "multvae", "deeprec", "cdae", "elsa")]
LATENT.append(("sparsefc", "users"))


@lru_cache
def run_of(name, rows=None):
    """(`Saved` of a run of the model, the model itself, its split), with a test that nothing may know."""
    options = OPTIONS.get(name, {}) | ({"rows": rows} if rows else {})
    model, split = trained(name, **options)
    model = copy(model)  # other tests have the same one
    if model.blends:
        model.parts = [copy(part) for part in model.parts]
    model.encode_all(split.known)
    if name == "joint":  # no trained user's weights are those that anybody with their ratings would have
        path, rng = model.star_path, np.random.default_rng(3)
        weights = rng.normal(size=path.weights.shape).astype(np.float32)
        model.star_path = replace(path, weights=weights, share=np.float32(0.5))
    folder = Path(mkdtemp()) / "run"
    about = {"model": name, "options": asdict(model.config), "seed": 0}
    chosen = strategies.default_choice(model)
    if model.has_latent_space:
        size = {"neighbours": 25, "movies": 6}  # of so many users some have a negative cosine, and weigh nothing
        neighbourhoods = {name: replace(start, size=size[name], shrink=2.0) for name, start in strategies.START.items()}
        chosen["neighbourhoods"] = {name: asdict(neighbourhood) for name, neighbourhood in neighbourhoods.items()}
        model.latent = strategies.with_whitenings(model.latent, split, neighbourhoods)
    data = Dataset("table", TABLE, Movies.untitled(TABLE.movie_ids))
    run_folder.save(folder, model, split, data, about, model.history, chosen)
    return models.open_run(run_folder.Run(folder)), model, split


def known(split, user):
    return profile.of_user(UserRatings.of(split), str(TABLE.user_ids[user]))


def stranger(split, row):
    """Somebody who rated as the user of this row did, but for one movie."""
    stars = dict(zip(row.indices[1:].tolist(), row.data[1:].tolist(), strict=True))
    found = profile.of_ratings(UserRatings.of(split), stars)
    assert found.excluded < 0
    return found


OPEN = [*LATENT, *((name, None) for name in ("ease", "itemknn", "bias", "popularity", "blend"))]
ALL = [*OPEN, ("bayesfm", None), ("autorec", "movies")]
VOTED = [("autorec", None), ("joint", None), ("multdae", None), ("autorec", "movies")]


@pytest.mark.parametrize(("name", "rows"), ALL)
def test_known_users_get_what_the_model_says_of_them(name, rows):
    asked, model, split = run_of(name, rows)
    strategy = "decoder" if model.has_latent_space else "model"
    everybody = model.score(split.known, np.arange(N_USERS))
    for user in (13, 0):
        them = known(split, user)
        found = asked.scores(them, strategy, SOME)[0]
        np.testing.assert_allclose(found, everybody[user, SOME], atol=1e-4)
        stars = asked.stars(them, SOME)
        if not model.predicts_ratings:
            assert stars is None
            continue
        expected = model.predict(split.known, np.full(len(SOME), user), SOME)
        np.testing.assert_allclose(asked.raw_stars(them, SOME), expected, atol=1e-4)
        np.testing.assert_allclose(stars, np.clip(expected, 0.5, 5.0), atol=1e-4)


@pytest.mark.parametrize(("name", "rows"), ALL)
def test_many_users_at_once_get_what_each_gets(name, rows):
    asked, model, split = run_of(name, rows)
    strategy = "decoder" if model.has_latent_space else "model"
    given, everybody = split.known[USERS], model.score(split.known, np.arange(N_USERS))
    np.testing.assert_allclose(asked.scorer(strategy)(given, USERS), everybody[USERS], atol=1e-4)
    row, movies = (of[::3] for of in pairs((len(USERS), N_MOVIES)))
    found = asked.raw_stars_of(given, USERS, row, movies)
    if not model.predicts_ratings:
        assert found is asked.stars_of(given, USERS, row, movies) is None
        return
    expected = model.predict(split.known, USERS[row], movies)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(asked.stars_of(given, USERS, row, movies), np.clip(expected, 0.5, 5.0), atol=1e-4)


@pytest.mark.parametrize(("name", "rows"), OPEN)
def test_strangers_get_what_the_model_says_of_their_ratings(name, rows):
    asked, model, split = run_of(name, rows)
    strategy = "decoder" if model.has_latent_space else "model"
    them = stranger(split, split.known[[13]])
    whole = them.rows.matrix(N_MOVIES)
    np.testing.assert_allclose(asked.scores(them, strategy, SOME)[0], model.score(whole)[0, SOME], atol=1e-4)
    stars = asked.raw_stars(them, SOME)
    if model.predicts_strangers:
        expected = model.predict(whole, np.zeros(len(SOME), int), SOME)
        np.testing.assert_allclose(stars, expected, atol=1e-4)
    else:
        assert stars is None
    without = them.rows.without_each()
    several = asked.scores(them, strategy, SOME, without)
    np.testing.assert_allclose(several, model.score(without.matrix(N_MOVIES))[:, SOME], atol=1e-4)


@pytest.mark.parametrize(("name", "rows"), VOTED)
def test_neighbours_and_movies_vote_with_likes_that_are_known(name, rows):
    """Literally: who vouches, and what of theirs is liked and no test."""
    asked, model, split = run_of(name, rows)
    dense = split.known.toarray() > 3.5
    assert (dense != (TABLE.matrix().toarray() > 3.5)).any()  # some likes are hidden
    space, neighbourhoods = model.latent, asked.neighbourhoods
    count, pool = dense.sum(axis=1), split.trained_users
    of_movies, movies = dense.sum(axis=0), np.flatnonzero(dense.any(axis=0))
    for user in (13, 0):
        codes = space.users[[user]]
        who, weight = weighted_neighbours(
            space.users, codes, neighbourhoods["neighbours"], count, pool, [user], space.whitenings["neighbours"]
        )
        assert user not in who[0]
        expected = sum(w * dense[v] for v, w in zip(who[0], weight[0], strict=True))
        them = known(split, user)
        np.testing.assert_allclose(asked.scores(them, "neighbours", SOME)[0], expected[SOME], atol=1e-5)
        np.testing.assert_allclose(asked.scorer("neighbours")(None, np.array([user]))[0], expected, atol=1e-5)
        nearest = [v for v, w in zip(who[0], weight[0], strict=True) if w > 0]
        liked, n = asked.liked_by_nearest(them, SOME)
        assert n == len(nearest) < 25
        assert liked.tolist() == [sum(dense[v, m] for v in nearest) for m in SOME]

        expected = np.zeros(N_MOVIES)
        for movie in np.flatnonzero(dense[user]):
            codes, whitening = space.movies[[movie]], space.whitenings["movies"]
            near, weight = weighted_neighbours(
                space.movies, codes, neighbourhoods["movies"], of_movies, movies, [movie], whitening
            )
            expected[near[0]] += weight[0]
        np.testing.assert_allclose(asked.scores(them, "movies", SOME)[0], expected[SOME], atol=1e-4)
        given = split.known[[user]]
        np.testing.assert_allclose(asked.scorer("movies")(given, np.array([user]))[0], expected, atol=1e-4)


def test_strangers_have_neighbours_and_their_twin_is_none_of_them():
    asked, model, split = run_of("autorec")
    row = split.known[[13]]
    twin = profile.of_ratings(UserRatings.of(split), dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)))
    assert twin.excluded == 13
    assert 13 not in asked.nearest(twin)[0]
    same = asked.scores(known(split, 13), "neighbours", SOME)
    np.testing.assert_allclose(asked.scores(twin, "neighbours", SOME), same, atol=1e-4)
    other = stranger(split, row)
    codes = asked.encode(other, other.rows)
    np.testing.assert_allclose(codes, model.encode(other.rows.matrix(N_MOVIES)), atol=1e-5)
    index, _ = asked.nearest(other)
    np.testing.assert_array_equal(index, asked.nearest(other, codes)[0])
    assert 13 in index  # who differs by one rating


def test_the_users_vector_of_cdae_goes_with_variants_of_their_ratings():
    asked, model, split = run_of("cdae")
    them = known(split, 13)
    without = them.rows.without_each()
    users = np.full(len(without.stars), 13)
    expected = model.encode(without.matrix(N_MOVIES), users)
    np.testing.assert_allclose(asked.encode(them, without), expected, atol=1e-5)


def test_ways_are_those_that_the_run_has():
    of_stars, _, split = run_of("autorec")
    plain, _, _ = run_of("itemknn")
    movies, _, _ = run_of("autorec", "movies")
    assert of_stars.strategies == ("neighbours", "movies", "decoder")
    assert (of_stars.strategy("best"), of_stars.strategy("movies")) == ("neighbours", "movies")
    of_stars = copy(of_stars)  # other tests have the same one
    of_stars.best = "decoder"
    assert of_stars.strategy("best") == "decoder"
    assert plain.strategies == ("model",)
    with pytest.raises(UserError, match="itemknn has no latent space, so there is no --by movies"):
        plain.strategy("movies")
    with pytest.raises(UserError, match="autorec recommends --by neighbours, movies, decoder, not model"):
        of_stars.strategy("model")
    with pytest.raises(UserError, match="itemknn has no latent space"):
        plain.space  # noqa: B018
    assert of_stars.takes_strangers
    assert not movies.takes_strangers
    assert (of_stars.run.has_file("encoder.npz"), movies.run.has_file("encoder.npz")) == (True, False)
    them = known(split, 3)
    with pytest.raises(UserError, match="can't leave out one rating of a user"):
        movies.encode(them, them.rows.without_each())
    with pytest.raises(UserError, match="knows no users but those"):
        movies.encode(stranger(split, split.known[[3]]), them.rows)
    assert movies.stars(stranger(split, split.known[[3]]), SOME) is None
    knows, _, _ = run_of("bayesfm")
    with pytest.raises(UserError, match="bayesfm knows its users' own ratings only"):
        knows.scores(them, "model", SOME, them.rows.without_each())


def test_a_baseline_of_nothing_deviates_nowhere():
    model, split = train_on(TABLE, "autorec", baseline=False)
    folder = Path(mkdtemp()) / "run"
    about = {"model": "autorec", "options": asdict(model.config), "seed": 0}
    model.encode_all(split.known)
    ages = pd.DataFrame({"age": np.arange(N_USERS) + 20})
    data = Dataset("table", TABLE, Movies.untitled(TABLE.movie_ids), ages)
    run_folder.save(folder, model, split, data, about, model.history, strategies.default_choice(model))
    lines = [f"{user},{age}" for user, age in zip(TABLE.user_ids, ages["age"], strict=True)]
    assert (folder / "users.csv").read_text().splitlines() == ["userId,age", *lines]
    asked, them = models.open_run(run_folder.Run(folder)), stranger(split, split.known[[13]])
    expected = model.predict(them.rows.matrix(N_MOVIES), np.zeros(len(SOME), int), SOME)
    np.testing.assert_allclose(asked.raw_stars(them, SOME), expected, atol=1e-4)


def test_the_deviation_of_anybody_is_the_damped_mean_of_what_they_rated():
    """Of stars below 1 and below 0, too; of a user with all their ratings that of the run."""
    fitted = Biases(3.0, np.array([0.5, 0.75], np.float32), np.array([0.0, 0.5, 0.0, -1.0], np.float32))
    options = {"baseline": True, "user_damping": 2.0}
    run = SimpleNamespace(space=SimpleNamespace(biases=fitted), run=SimpleNamespace(config={"options": options}))
    one = ProfileRows.of([1, 3], [0.5, -2.0])  # 3 and 4 below the baseline
    rows, stranger, user = one.without_each(), SimpleNamespace(user=None, rows=one), SimpleNamespace(user=1, rows=one)
    for of in (stranger, user):
        np.testing.assert_allclose(saved.Saved._deviation(run, of, rows), [-7 / 4, -4 / 3, -3 / 3], rtol=1e-6)
    np.testing.assert_allclose(saved.Saved._deviation(run, stranger, one), [-7 / 4], rtol=1e-6)
    assert saved.Saved._deviation(run, user, one) == [0.75]
    options["baseline"] = False
    assert saved.Saved._deviation(run, stranger, rows) == 0


def test_many_users_lists_come_from_what_is_above_the_threshold_of_the_run(monkeypatch):
    for name in ("by_movies", "by_neighbours"):
        monkeypatch.setattr(strategies, name, lambda *of: of)
    monkeypatch.setattr(strategies, "possible_neighbours", lambda trained: f"some of {trained}")
    run = SimpleNamespace(
        split=SimpleNamespace(known=TABLE.matrix(), trained_users="trained"), ratings=SimpleNamespace(like=2.0),
        space="space", neighbourhoods={"movies": "of movies", "neighbours": "of users"},
    )  # fmt: skip
    expected = likes(TABLE.matrix(), 2.0).toarray()
    assert (expected != likes(TABLE.matrix()).toarray()).any()
    space, neighbourhood, liked = saved.Saved.scorer(run, "movies")
    assert (space, neighbourhood) == ("space", "of movies")
    np.testing.assert_array_equal(liked.toarray(), expected)
    space, neighbourhood, liked, pool = saved.Saved.scorer(run, "neighbours")
    assert (space, neighbourhood, pool) == ("space", "of users", "some of trained")
    np.testing.assert_array_equal(liked.toarray(), expected)
