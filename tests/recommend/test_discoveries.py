"""Discoveries: which movies they are, how many places are theirs, and lists with them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import eagerly
from trained import tastes

import evaluate
import models
import recommend
import train
from utils.data import splits
from utils.evaluation import holdout_metrics
from utils.evaluation.beyond_accuracy import coverage
from utils.recommend import discoveries, profile, recommendations, reranking, strategies
from utils.recommend.discoveries import Typical
from utils.runs import run_folder


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (1, [3, 1, 0, 5]),  # 5 suits best of 2, 4, 5; 1 is above already
        (2, [3, 1, 5, 2]),
        (4, [1, 5, 2, 4]),  # all places
        (9, [1, 5, 2, 4]),
    ],
)
def test_the_last_places_are_of_what_suits_best(places, expected):
    top, suits = np.array([3, 1, 0, 6]), np.array([-np.inf, 9.0, 2.0, -np.inf, 1.0, 3.0, -np.inf])
    found, n = discoveries.discover(top, suits, 4, places)
    assert (found.tolist(), n) == (expected, min(places, 4))
    assert suits[1] == 9  # as given


def test_without_enough_discoveries_the_list_is_as_long_as_before():
    top, suits = np.array([3, 1, 0, 6]), np.array([-np.inf, -np.inf, 2.0, -np.inf, -np.inf, -np.inf, -np.inf])
    for given, expected in ((top, [3, 1, 0, 2]), (top[:2], [3, 1, 2])):  # the second has fewer than asked for
        found, n = discoveries.discover(given, suits, 4, 3)
        assert (found.tolist(), n) == (expected, 1)
    in_list = np.array([-np.inf, -np.inf, -np.inf, -np.inf, -np.inf, -np.inf, 1.0])
    assert discoveries.discover(top, in_list, 4, 2)[0].tolist() == [3, 1, 0, 6]


def test_discoveries_are_said_as_many_as_end_the_list():
    start, end = "discoveries, movies with 3 to 99 ratings: ", " this person more than most people"
    about, asked, count = recommendations.about_discoveries, reranking.Options(discover=3), np.array([2, 3, 500])
    for found, said in ((3, "the last 3 suit"), (1, "the last one suits")):
        assert about(asked, found, count) == [start + said + end]
    above = "none further down the list scores higher for this person than on average"
    assert about(asked, 0, count) == [start + above]
    for none_is_rare in ([], [2, 100, 500]):  # as with --min-ratings 100
        message = [start + "none is among the movies that may be listed"]
        assert about(asked, 0, np.array(none_is_rare)) == message
    assert about(reranking.Options(), 0, count) == []  # by default nothing is said of none
    assert about(reranking.Options(), 2, count) == [start + "the last 2 suit" + end]
    assert about(reranking.Options(discover=0), 0, count) == []


TASTES = tastes(60, 70, 1300)
TYPICAL = Typical(
    np.array([1.0, 2, 3, 0, 5], np.float32),
    np.array([0.5, 1, 2, 4, 1e-4], np.float32),
    np.array([3, 99, 100, 2, 50]),
)


def test_what_suits_a_person_is_high_and_higher_than_for_others():
    scores = np.array([[2.0, 3, 9, 9, 9], [0.5, 4, 9, 9, 9], [-np.inf, 2, 9, 9, 9]], np.float32)
    found, unit = TYPICAL.suits(scores, slice(None)), (0.5 + 1) / 2  # of the first two, which alone can be discoveries
    no = -np.inf
    expected = [[2 * 2 + 2 / unit, 2 * 1 + 3 / unit], [no, 2 * 2 + 4 / unit], [no, no]]
    np.testing.assert_allclose(found[:, :2], expected, rtol=1e-6)
    assert np.isinf(found[:, 2:]).all()  # too many ratings, too few, the same score for everybody
    same = np.array([[2.0, 2, 2, 2, 2], [9, -np.inf, 9, 9, -np.inf]], np.float32)  # tells no two movies apart
    assert np.isinf(TYPICAL.suits(same, slice(None))).all()
    some = TYPICAL.suits(scores[:, [2, 1]], np.array([2, 1]))
    np.testing.assert_array_equal(some, found[:, [2, 1]])


def test_where_nothing_can_be_one_nothing_suits():
    none = replace(TYPICAL, count=np.array([0, 1, 2, 100, 500]))
    assert np.isinf(none.suits(np.full((2, 5), 9, np.float32), slice(None))).all()


def test_what_is_typical_is_of_some_users_evenly_spread(monkeypatch):
    monkeypatch.setattr(discoveries, "USERS", 3)
    known, users = np.eye(9), np.array([8, 2, 4, 5, 7])
    seen = []
    scores = np.array([[1.0, 5], [2, 5], [6, 5]], np.float32)
    found = Typical.of(lambda given, of: seen.append((given, of)) or scores, known, users, np.array([3, 4]))
    ((given, of),) = seen
    assert of.tolist() == [8, 4, 7]
    np.testing.assert_array_equal(given, known[[8, 4, 7]])
    np.testing.assert_allclose(found.mean, [3, 5])
    np.testing.assert_allclose(found.deviation, [np.sqrt(14 / 3), 0], rtol=1e-6)


def test_in_a_long_list_the_first_ten_end_with_discoveries():
    n = 40
    scores = np.arange(n, 0, -1, dtype=np.float32)[None].repeat(2, axis=0)
    scores[1, 12:] = -np.inf  # a list of twelve
    mean, count = np.zeros(n, np.float32), np.full(n, 500)
    count[[11, 13, 30]] = 5
    typical = Typical(mean, np.where(np.arange(n) == 30, 0.1, 1).astype(np.float32), count)
    lists = np.where(np.isfinite(scores), np.arange(n), -1)[:, :20]
    (found,) = discoveries.arrange(typical, 2)(scores, lists)
    assert found[0].tolist() == [*range(8), 30, 11, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18]  # 19 has no place any more
    assert found[1].tolist() == [*range(8), 8, 11, 9, 10, *[-1] * 8]  # one alone


def test_one_is_not_said_as_several():
    assert [discoveries.counted(n) for n in (1, 2, 3)] == ["1 discovery", "2 discoveries", "3 discoveries"]


# -- how many ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def choosing(monkeypatch):
    """(model, split, what `strategies.choose` would return), where few users suffice."""
    split = splits.split(TASTES, "random", splits.Options())
    model = models.build("ease", TASTES.shape, scale=TASTES.scale, like=TASTES.like)
    model.refit(split.train)
    monkeypatch.setattr(discoveries, "LEAST", 2)
    monkeypatch.setattr(discoveries, "RATED", range(1, 14))
    plain = strategies.ndcg(model.score, split.validation)
    return model, split, {"best": "decoder", "validation": {"decoder": plain}}


def with_places(model, split, places):
    """NDCG@100 on validation with so many discoveries, from lists put together one by one."""
    validation = split.validation
    known = split.train.toarray()
    count = (known != 0).sum(axis=0)
    users = strategies.spread(split.trained_users, 200)
    of_some = model.score(split.train[users], users)
    can = np.isin(count, discoveries.RATED) & (of_some.std(axis=0) > 1e-3 * of_some.std(axis=0).max())
    lists = holdout_metrics.lists(model.score, validation)
    gains = []
    for user, top in zip(lists.users, lists.top, strict=True):
        scores = model.score(split.train[[user]], np.array([user]))[0]
        z = (scores - of_some.mean(axis=0)) / of_some.std(axis=0)
        suits = np.where(can & (z > 0) & (known[user] == 0), 2 * z + scores / of_some.std(axis=0)[can].mean(), -np.inf)
        top = top[top >= 0]
        above = top[: 10 - places]
        suits[above] = -np.inf
        best = [movie for movie in np.argsort(-suits, kind="stable")[:places] if np.isfinite(suits[movie])]
        ten = [*above, *[m for m in top[10 - places : 10] if m not in best][: places - len(best)], *best]
        whole = [*ten, *[movie for movie in top if movie not in ten]]
        hidden = validation.hidden[[user]].toarray()[0] > validation.like
        discount = 1 / np.log2(np.arange(len(whole)) + 2)
        gains.append((hidden[whole] * discount).sum() / discount[: hidden.sum()].sum())
    return float(np.mean(gains))


@pytest.mark.parametrize("places", [0, 1, 2, 3])
def test_the_most_places_that_cost_little_are_chosen(places, choosing, monkeypatch):
    model, split, chosen = choosing
    plain, costs = chosen["validation"]["decoder"], {}
    for n in (1, 2, 3):
        costs[n] = 1 - with_places(model, split, n) / plain
    assert costs[3] > costs[2] > costs[1] > 0  # so that each is a choice of its own
    monkeypatch.setattr(discoveries, "LOSS", costs[places] + 1e-6 if places else costs[1] - 1e-6)
    found = discoveries.choose(model, split, chosen)
    if places:
        assert found["discoveries"]["places"] == places
        assert found["discoveries"]["ndcg"] == pytest.approx((1 - costs[places]) * plain, rel=1e-6)
    else:
        assert found == {}


def test_few_users_or_no_discovery_at_all_give_no_places(choosing, monkeypatch):
    model, split, chosen = choosing
    monkeypatch.setattr(discoveries, "LOSS", 1.0)
    assert discoveries.choose(model, split, chosen)["discoveries"]["places"] == discoveries.MOST == 3
    n = len(holdout_metrics.judged_users(split.validation))
    for name, value, none in (("LEAST", n, False), ("LEAST", n + 1, True), ("RATED", range(900, 999), True)):
        with monkeypatch.context() as patched:
            patched.setattr(discoveries, name, value)
            assert (discoveries.choose(model, split, chosen) == {}) is none
    assert discoveries.choose(model, split, chosen | {"best": "movies"}) == {}
    monkeypatch.setattr(type(model), "learns_likes", False)
    assert discoveries.choose(model, split, chosen) == {}


# -- in a run ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose lists end with discoveries."""
    folder = tmp_path_factory.mktemp("found")
    columns = {"userId": TASTES.user_ids[TASTES.user], "movieId": TASTES.movie_ids[TASTES.movie]}
    pd.DataFrame(columns | {"rating": TASTES.rating}).to_csv(folder / "ratings.csv", index=False)
    with pytest.MonkeyPatch.context() as patched, eagerly():
        patched.setattr(discoveries, "LEAST", 2)
        patched.setattr(discoveries, "LOSS", 1.0)
        words = [
            "joint",
            "--data",
            str(folder / "ratings.csv"),
            "--hidden",
            "8",
            "--epochs",
            "3",
            "--test-share",
            "0.3",
        ]
        train.main([*words, "--no-movie-rows", "--run", str(folder / "run")])
    return run_folder.Run(folder / "run")


def test_a_run_keeps_what_is_typical_of_its_scores(run):
    saved = models.open_run(run)
    assert saved.discoveries == 3
    assert saved.best in saved.strategies
    kept = saved.typical(saved.best)
    users = strategies.spread(run.split.trained_users, 200)
    scores = saved.scorer(saved.best)(run.split.known[users], users)
    np.testing.assert_allclose(kept.mean, scores.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(kept.deviation, scores.std(axis=0), atol=1e-4)
    np.testing.assert_array_equal(kept.count, run.split.known_count)


@pytest.mark.parametrize(
    ("options", "n", "expected"),
    [
        ({}, 10, 3),
        ({}, 20, 3),
        ({}, 100, 3),
        ({}, 9, 2),
        ({}, 3, 0),
        ({"years": "1950-", "genre": ("a",)}, 10, 3),
        ({"include_seen": True}, 10, 0),
        *(({name: value}, 10, 0) for name, value in (("diverse", 0.3), ("calibrated", True), ("popularity", "low"))),
        *(({name: 5}, 10, 0) for name in ("min_ratings", "max_ratings")),
        ({"discover": 0}, 10, 0),
        ({"discover": 5, "diverse": 0.3}, 10, 5),
    ],
)
def test_places_are_in_proportion_and_none_where_more_than_scores_decide(options, n, expected, run):
    saved = models.open_run(run)
    assert saved.places(saved.best, reranking.Options(**options), n) == expected
    other = next(strategy for strategy in saved.strategies if strategy != saved.best)
    assert saved.places(other, reranking.Options(**options), n) == options.get("discover", 0)


def test_lists_end_with_discoveries_by_default(run):
    saved = models.open_run(run)
    with_some = 0
    for user in run.split.ratings.user_ids[:20]:
        them = profile.of_user(saved.ratings, str(user))
        found, plain, asked = (
            recommendations.recommend(saved, them, "best", 10, reranking.Options(discover=places))
            for places in (None, 0, 3)
        )
        assert found["items"] == asked["items"]
        marked = [item.get("discovery", False) for item in found["items"]]
        assert any(marked) == ("discovery" in found["items"][0])  # all are marked, or none
        columns = recommendations.as_csv(found).splitlines()[0].split(",")
        assert ("discovery" in columns) == any(marked)
        n = sum(marked)
        assert marked == [False] * (len(marked) - n) + [True] * n
        assert [item["movieId"] for item in found["items"][:7]] == [item["movieId"] for item in plain["items"][:7]]
        assert not any("discovery" in item for item in plain["items"])
        assert any(note.startswith("discoveries, ") for note in found["notes"]) == (n > 0)
        with_some += n > 0
    assert with_some > 10


def test_a_watchlist_has_no_discoveries_by_default(run):
    saved = models.open_run(run)
    them = profile.of_user(saved.ratings, str(run.split.ratings.user_ids[0]))
    every = range(run.split.ratings.shape[1])
    found = recommendations.recommend(saved, them, "best", 10, watchlist=every)
    plain = recommendations.recommend(saved, them, "best", 10, reranking.Options(discover=0))
    assert found["items"] == plain["items"]


def test_training_says_how_many_places_they_have(run, capsys):
    from utils.report import tables

    model, preferred = models.load(run), run.json("metrics.json")
    for places, said in ((3, "the last 3 of ten places go"), (1, "the last of ten places goes")):
        found = {"places": places, "ndcg": 0.12345}
        train.print_results(model, preferred | {"discoveries": found}, tables.console())
        assert f"{said} to discoveries: NDCG@100 0.1235" in capsys.readouterr().out


def test_evaluation_judges_the_lists_that_are_given(run, tmp_path, capsys):
    evaluate.main(["--run", str(run.folder), "--json", str(tmp_path / "a.json")])
    facts = json.loads((tmp_path / "a.json").read_text())["runs"][0]
    saved, lists, gains = models.open_run(run), [], []
    hidden, known = run.split.test.hidden.toarray() > run.split.test.like, run.split.known
    score, everything = saved.scorer(saved.best), np.arange(hidden.shape[1])
    for user in np.flatnonzero(hidden.any(axis=1)):
        scores = score(known[[user]], np.array([user]))[0]
        scores[known[[user]].indices] = -np.inf
        ten, _ = recommendations.pick(saved, saved.best, reranking.Options(), 10, scores, everything, None)
        rest = [
            movie for movie in np.argsort(-scores, kind="stable") if np.isfinite(scores[movie]) and movie not in ten
        ]
        found = np.array([*ten, *rest])[:100]
        lists.append(ten)
        discount = 1 / np.log2(np.arange(len(found)) + 2)
        gains.append((hidden[user][found] * discount).sum() / discount[: hidden[user].sum()].sum())
    listed = facts["listed"]
    assert listed["discoveries"] == 3
    assert listed["metrics"]["ndcg@100"]["value"] == pytest.approx(np.mean(gains), abs=1e-6)
    expected = coverage(np.array(lists), hidden.shape[1]).value
    assert listed["metrics"]["coverage@10"]["value"] == pytest.approx(expected)
    difference = np.mean(gains) - facts["metrics"]["ndcg@100"]["value"]
    assert listed["less_scores"]["ndcg@100"]["value"] == pytest.approx(difference, abs=1e-6)
    assert difference != 0
    said = capsys.readouterr().out
    assert f"NDCG@100 vs lists without discoveries: {difference:+.4f}" in said
    assert "with 3 discoveries" in said


def test_everyone_is_told_how_many_end_each_list(run, tmp_path):
    words = ["--run", str(run.folder), "--all-users", "--csv", str(tmp_path / "all.csv")]
    config = recommend.options.parse(recommend.Options, words, "", "")
    assert recommend.for_everyone(run, config).endswith("; each list ends with up to 3 discoveries")
    saved = models.open_run(run)
    written = pd.read_csv(tmp_path / "all.csv").groupby("userId")["movieId"]
    for user in run.split.ratings.user_ids[::7]:
        them = profile.of_user(saved.ratings, str(user))
        alone = [item["movieId"] for item in recommendations.recommend(saved, them, "best", 10)["items"]]
        assert written.get_group(user).tolist() == alone
