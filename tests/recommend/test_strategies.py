"""Which strategy of recommending validation prefers: found by the literal search, without building anything twice."""

from collections import Counter
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import random_ratings

from utils.data import splits
from utils.data.ratings import likes
from utils.evaluation import holdout_metrics
from utils.recommend import strategies
from utils.scoring import latent
from utils.scoring.latent import LatentSpace


@pytest.fixture(scope="module", params=["random", "strong"])
def problem(request):
    """(model with a latent space that says something, split)."""
    table = random_ratings(90, 60, 2500)
    table = replace(table, rating=np.where(table.movie == 11, 3, table.rating).astype(np.float32))  # which nobody likes
    split, rng = splits.split(table, request.param, splits.Options(validation_share=0.3)), np.random.default_rng(1)
    left, values, right = np.linalg.svd(split.known.toarray(), full_matrices=False)
    users, movies = (left * values)[:, :12], (right.T * values)[:, :12]
    space = LatentSpace(*(v.astype(np.float32) for v in (users, movies)), None, [], "users")
    noise = rng.random(table.shape, np.float32)
    return SimpleNamespace(has_latent_space=True, latent=space, score=lambda given, users: noise[users]), split


def literal(model, split):
    """The search written out: every option by fresh scorers, kept where it is better than the best so far."""
    best, value_of = dict(strategies.START), {}
    for method, tried in strategies.TRIED.items():

        def value(neighbourhood, method=method):
            ways = strategies.scorers(model, split.validation, split.trained_users, best | {method: neighbourhood})
            return strategies.ndcg(ways[method], split.validation)

        value_of[method] = value(best[method])
        for name, values in tried.items():
            for option in values:
                found = value(replace(best[method], **{name: option}))
                if found > value_of[method]:
                    best[method], value_of[method] = replace(best[method], **{name: option}), found
    value_of["decoder"] = strategies.ndcg(model.score, split.validation)
    return best, value_of


def test_the_possible_neighbours_of_a_large_run_are_spread_over_its_users(monkeypatch):
    trained = 3 * np.arange(10)
    assert strategies.possible_neighbours(trained).tolist() == trained.tolist()
    monkeypatch.setattr(strategies, "NEIGHBOURS", 4)
    assert strategies.possible_neighbours(trained).tolist() == [0, 9, 18, 27]
    assert strategies.possible_neighbours(trained[:4]).tolist() == [0, 3, 6, 9]
    assert strategies.possible_neighbours(trained[:0]).tolist() == []


@pytest.mark.parametrize("problem", ["random"], indirect=True)
def test_the_choice_is_made_with_the_neighbours_that_answers_have(problem, monkeypatch):
    pools, (model, split) = [], problem
    monkeypatch.setattr(strategies, "NEIGHBOURS", 30)
    monkeypatch.setattr(strategies, "by_neighbours", lambda *a: pools.append(a[3].tolist()) or model.score)
    strategies.choose(model, split)
    assert pools[0] == strategies.possible_neighbours(split.trained_users).tolist()
    assert len(pools[0]) == 30


def test_the_choice_is_that_of_the_literal_search(problem, monkeypatch):
    monkeypatch.setattr(holdout_metrics, "BLOCK", 20)  # of up to 90 users
    best, value_of = literal(*problem)
    found = strategies.choose(*problem)
    assert found["validation"] == value_of
    assert found["neighbourhoods"] == {method: asdict(neighbourhood) for method, neighbourhood in best.items()}
    assert found["best"] == max(value_of, key=value_of.get)
    assert best != strategies.START  # something was chosen


def test_all_that_the_users_of_a_sample_like_votes(problem, monkeypatch):
    monkeypatch.setattr(strategies, "MOST", 5)
    assert strategies.choose(*problem)["validation"] == literal(*problem)[1]


@pytest.mark.parametrize("shrink", [0.0, 4.0])
def test_the_scores_of_both_ways_are_the_literal_sums(shrink, problem, monkeypatch):
    monkeypatch.setattr(strategies, "ROWS", 5)
    (model, split), neighbourhood = problem, latent.Neighbourhood(size=7, power=2, shrink=shrink, whiten=0.0)
    ways = strategies.scorers(
        model, split.validation, split.trained_users, {"neighbours": neighbourhood, "movies": neighbourhood}
    )
    liked = (split.validation.given.toarray() > 3.5).astype(float)
    some = np.array([3, 60, 89, 4, 5, 6, 7])

    def weights(vectors, pool, one, likes):
        found = np.zeros(len(vectors))
        left = vectors - vectors[pool].mean(axis=0)
        for other in set(pool.tolist()) - {one}:
            near = left[one] @ left[other] / np.linalg.norm(left[one]) / np.linalg.norm(left[other])
            found[other] = max(near, 0) ** 2 * likes[other] / (likes[other] + shrink)
        found[np.argsort(-found)[7:]] = 0
        return found

    pool = split.trained_users
    expected = [weights(model.latent.users, pool, user, liked.sum(axis=1)) @ liked for user in some]
    np.testing.assert_allclose(ways["neighbours"](None, some), expected, atol=1e-4)
    pool = np.flatnonzero(liked.any(axis=0))
    near = np.zeros((60, 60))
    for movie in pool:
        near[movie] = weights(model.latent.movies, pool, movie, liked.sum(axis=0))
    np.testing.assert_allclose(ways["movies"](None, some), liked[some] @ near, atol=1e-4)
    assert ways["decoder"] == model.score


def test_without_a_hidden_like_the_start_stands(problem):
    model, split = problem
    split = replace(split, part=np.where(split.part == splits.Subset.VALIDATION, splits.Subset.LEFT_OUT, split.part))
    found = strategies.choose(model, split)
    assert found["validation"] == {"neighbours": 0.0, "movies": 0.0, "decoder": 0.0}
    assert found["neighbourhoods"] == {method: asdict(start) for method, start in strategies.START.items()}


def test_each_neighbourhood_is_built_once_and_none_but_those_asked_for(problem, monkeypatch):
    built, seen, taken = Counter(), Counter(), Counter()
    one = latent.Whitening.cosines

    def counted(name):
        build = getattr(strategies, name)

        def by(space, neighbourhood, *others):
            built[name, neighbourhood] += 1
            return build(space, neighbourhood, *others)

        monkeypatch.setattr(strategies, name, by)

    counted("by_neighbours")
    counted("by_movies")
    nearest, searched = strategies.near, []
    monkeypatch.setattr(strategies, "near", lambda *args: searched.append(args[2]) or nearest(*args))
    view_of = latent.Whitening.of.__func__

    def of(cls, vectors, pool, whiten):
        seen[len(vectors), whiten] += 1
        return view_of(cls, vectors, pool, whiten)

    def cosines(whitening, vectors, queries):
        taken[len(vectors), whitening.turn.tobytes(), queries.tobytes()] += 1
        return one(whitening, vectors, queries)

    monkeypatch.setattr(latent.Whitening, "of", classmethod(of))
    monkeypatch.setattr(latent.Whitening, "cosines", cosines)
    strategies.choose(*problem)
    assert set(built.values()) == {1}
    assert sum(name == "by_movies" for name, _ in built) in (6, 7)  # the start, and each option that is another
    assert sum(name == "by_neighbours" for name, _ in built) in (10, 11)
    assert seen == {(n, whiten): 1 for n in (90, 60) for whiten in (0.0, 0.25)}
    assert searched == [320, 320]  # once for each strategy to see the users, whatever size and power
    assert set(taken.values()) == {1}
    assert len(taken) == 4  # so many users and movies are one block


def test_where_there_is_no_room_cosines_are_taken_again(problem, monkeypatch):
    found = strategies.choose(*problem)
    monkeypatch.setattr(strategies, "ROOM", 0)
    assert strategies.choose(*problem) == found


def test_a_model_without_a_latent_space_has_one_way(problem):
    model, split = problem
    plain = SimpleNamespace(has_latent_space=False, score=model.score)
    value = strategies.ndcg(model.score, split.validation)
    assert strategies.choose(plain, split) == {"best": "model", "validation": {"model": value}}
    assert value > 0


def test_what_is_liked_in_the_test_alone_shapes_no_view(problem):
    model, split = problem
    hidden = split.part == splits.Subset.TEST
    movie = split.ratings.movie[hidden][0]
    stars = np.where(split.ratings.movie == movie, np.where(hidden, 5, 2), split.ratings.rating).astype(np.float32)
    split = splits.Split(replace(split.ratings, rating=stars), split.part)
    found = strategies.with_whitenings(model.latent, split, strategies.START).whitenings["movies"]
    known = np.unique(split.ratings.movie[(stars > 3.5) & np.isin(split.part, splits.KNOWN)])
    assert movie not in known
    np.testing.assert_array_equal(found.centre, model.latent.movies[known].mean(axis=0))


def test_the_decoder_is_judged_on_validation_and_the_test_is_not_read(problem, monkeypatch):
    model, split = problem
    figures = strategies.choose(model, split)["validation"]
    assert figures["decoder"] == strategies.ndcg(model.score, split.validation)
    assert figures["decoder"] != strategies.ndcg(model.score, split.test)
    plain = SimpleNamespace(has_latent_space=False, score=model.score)
    assert strategies.choose(plain, split)["validation"] == {"model": figures["decoder"]}

    def read(_):
        raise AssertionError("the test was read")

    monkeypatch.setattr(splits.Split, "test", property(read))
    assert strategies.choose(model, split)["validation"] == figures


@pytest.mark.parametrize("strategy", ["neighbours", "movies"])
def test_votes_are_what_is_above_the_threshold_of_the_holdout(strategy, problem):
    model, split = problem
    holdout, pool, start = replace(split.validation, like=4.5), split.trained_users, strategies.START
    liked, some = likes(holdout.given, 4.5), holdout_metrics.judged_users(holdout)[:4]
    if strategy == "movies":
        expected = strategies.by_movies(model.latent, start[strategy], liked)(None, some)
    else:
        expected = strategies.by_neighbours(model.latent, start[strategy], liked, pool)(None, some)
    ways = strategies.scorers(model, holdout, pool, start)
    np.testing.assert_allclose(ways[strategy](None, some), expected, atol=1e-5)
    tried = strategies.scorer_of(strategy, model.latent, holdout, pool)(start[strategy])
    np.testing.assert_allclose(tried(None, some), expected, atol=1e-4)
    other = strategies.scorers(model, split.validation, pool, start)[strategy](None, some)
    assert np.abs(other - expected).max() > 0.01


def test_cosines_that_are_kept_stay_what_they_are_whatever_becomes_of_those_given_out():
    rng = np.random.default_rng(0)
    vectors, queries = rng.normal(size=(12, 4)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    plain = strategies.Whitening.of(vectors, np.arange(12), 0.25)
    caching = strategies._CachedWhitening.of(vectors, np.arange(12), 0.25)
    for _ in range(3):
        found = caching.cosines(vectors, queries)
        np.testing.assert_array_equal(found, plain.cosines(vectors, queries))
        found[:] = -1
    assert len(caching.cached) == 1
