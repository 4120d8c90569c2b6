"""Ranking, metrics and intervals against scikit-learn, literal loops and arithmetic written out."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import mean_absolute_error, mean_squared_error, ndcg_score

from utils.data.ratings import likes
from utils.data.splits import Holdout
from utils.evaluation import bootstrap, holdout_metrics, metrics
from utils.evaluation.bootstrap import Metric
from utils.scoring import ranking


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.integers(-3, 3)),
    st.integers(1, 12),
)
def test_top_k_is_the_full_sort_by_score_then_index(scores, k):
    expected = [sorted(range(scores.shape[1]), key=lambda m: (-row[m], m))[:k] for row in scores]
    assert ranking.top_k(scores, k).tolist() == expected


def test_top_k_of_many_rows_is_that_of_each():
    rng = np.random.default_rng(0)
    scores = np.round(rng.normal(size=(2 * ranking.ROWS + 5, 40)).astype(np.float32), 1)
    scores[7, 3] = scores[200] = np.nan  # which no model scores, and which must not make the others wrong
    expected = [np.argsort(-row, kind="stable")[:9].tolist() for row in scores]
    assert ranking.top_k(scores, 9).tolist() == expected


@pytest.mark.parametrize("k", [1, 7, 30])
def test_top_k_of_few_among_many_is_the_full_sort(k):
    rng = np.random.default_rng(k)
    scores = rng.normal(size=(6, 403)).astype(np.float32)  # the last three are in no group of eight
    scores[0] = np.round(scores[0], 1)  # ties
    scores[1, 3:] = -np.inf  # fewer than k
    scores[2, -3:] = 9, 8, 9
    scores[3, 5:9] = np.inf
    scores[4] = 0
    damaged = scores.copy()
    damaged[5, rng.integers(0, 403, 30)] = np.nan
    whole = np.arange(6 * 403).reshape(6, 403) * 7 % 100
    for each in (scores[:4], scores, damaged[[0, 3, 5]], scores[:4][:, ::-1], np.asfortranarray(scores), whole):
        assert ranking.top_k(each, k).tolist() == np.argsort(-each, axis=1, kind="stable")[:, :k].tolist()


def test_top_k_treats_seen_movies_as_worst_of_all():
    scores = np.array([[-5.0, -7.0, 9.0, -6.0]], np.float32)
    seen = sp.csr_array(np.array([[0, 0, 4.0, 0]]))
    assert ranking.top_k(ranking.hide_seen(scores, seen), 3).tolist() == [[0, 3, 1]]


def literal(order, hidden, k):
    """(NDCG@k, recall@k) of one user, written out."""
    dcg = sum(1 / np.log2(rank + 2) for rank, movie in enumerate(order[:k]) if movie in hidden)
    ideal = sum(1 / np.log2(rank + 2) for rank in range(min(k, len(hidden))))
    return dcg / ideal, sum(movie in hidden for movie in order[:k]) / min(k, len(hidden))


@pytest.mark.parametrize("k", [1, 5, 20, 100])
def test_ndcg_and_recall_agree_with_literal_loops_and_scikit_learn(k):
    rng = np.random.default_rng(k)
    scores = rng.normal(size=(30, 60)).astype(np.float32)
    hidden = rng.random((30, 60)) < 0.15
    hidden[3] = False
    hidden[4] = True
    hidden_csr = sp.csr_array(hidden.astype(np.float32))
    n_hidden = hidden.sum(axis=1)
    hit = metrics.hits(ranking.top_k(scores, k), hidden_csr)
    ndcg, recall = metrics.ndcg(hit, n_hidden, k), metrics.recall(hit, n_hidden, k)
    assert np.isnan(ndcg[3])
    assert np.isnan(recall[3])
    for user in set(range(30)) - {3}:
        expected = literal(np.argsort(-scores[user]).tolist(), set(np.flatnonzero(hidden[user])), k)
        assert (ndcg[user], recall[user]) == pytest.approx(expected)
        assert ndcg[user] == pytest.approx(ndcg_score(hidden[[user]], scores[[user]], k=k, ignore_ties=True))


def test_a_hold_outs_figures_agree_with_irspack(holdout):
    import irspack

    scores = np.random.default_rng(5).normal(size=holdout.hidden.shape).astype(np.float32)
    found = holdout_metrics.ranking_metrics(lambda given, users: scores[users].copy(), holdout)
    judged = holdout_metrics.judged_users(holdout)
    shown = ranking.hide_seen(scores[judged].copy(), holdout.given[judged])
    for name, (_, k) in metrics.CUTS.items():
        truth = sp.csr_matrix(likes(holdout.hidden)[judged])
        evaluator = irspack.Evaluator(truth, cutoff=k, recall_with_cutoff=True)
        theirs = evaluator.get_score_from_score_matrix(shown)
        assert found[name].value == pytest.approx(theirs[name.split("@")[0]], abs=1e-6), name


def test_a_hand_computed_case():
    # ranks 1..4: hit, miss, hit, miss; three hidden. DCG = 1 + 1/log2(4) = 1.5; ideal = 1 + 1/log2(3) + 1/2
    hit = np.array([[True, False, True, False]])
    assert metrics.ndcg(hit, np.array([3]), 4)[0] == pytest.approx(1.5 / (1.5 + 1 / np.log2(3)))
    assert metrics.recall(hit, np.array([3]), 4)[0] == pytest.approx(2 / 3)
    assert metrics.recall(hit, np.array([3]), 2)[0] == pytest.approx(1 / 2)


@pytest.fixture
def holdout():
    rng = np.random.default_rng(0)
    part = rng.integers(0, 4, (50, 130))  # 0, 1 nothing, 2 given, 3 hidden
    stars = rng.integers(1, 11, (50, 130)) / 2
    stars[9] = np.minimum(stars[9], 3.5)  # a user who likes nothing
    part[10][part[10] == 3] = 0  # and one of whom nothing is hidden
    return Holdout(sp.csr_array(stars * (part == 2)), sp.csr_array(stars * (part == 3)))


def test_rating_metrics_agree_with_scikit_learn_after_clipping(holdout):
    def predict(given, users, movies):
        assert given is holdout.given
        return (users * 7 + movies * 3) % 9 - 1.0

    cells = holdout.hidden.tocoo()
    expected = np.clip((cells.row * 7 + cells.col * 3) % 9 - 1.0, 0.5, 5)
    found = holdout_metrics.rating_metrics(predict, holdout, (0.5, 5))
    assert found["mse"].value == pytest.approx(mean_squared_error(cells.data, expected))
    assert found["rmse"].value == pytest.approx(np.sqrt(mean_squared_error(cells.data, expected)))
    assert found["mae"].value == pytest.approx(mean_absolute_error(cells.data, expected))
    assert found["rmse"].count.sum() == holdout.hidden.nnz


@pytest.mark.parametrize("like", [3.5, 2.0])
@pytest.mark.parametrize("limited", [False, True])
def test_ranking_metrics_judge_hidden_likes_among_candidates_not_given(limited, like, holdout, monkeypatch):
    monkeypatch.setattr(holdout_metrics, "BLOCK", 5)  # of 48 users, so that there are ten
    candidates = np.random.default_rng(4).random(130) < 0.6 if limited else None
    holdout = replace(holdout, candidates=candidates, like=like)
    scores = np.random.default_rng(1).normal(size=(50, 130)).astype(np.float32)

    def score(given, users):
        np.testing.assert_array_equal(given.toarray(), holdout.given[users].toarray())
        return scores[users].copy()

    lists, found = holdout_metrics.lists(score, holdout), holdout_metrics.ranking_metrics(score, holdout)
    expected, n = {"ndcg@100": [], "recall@20": [], "recall@50": []}, 0
    for user in range(50):
        hidden = {m for m in range(130) if holdout.hidden[user, m] > like}
        if hidden:
            ranked = (m for m in range(130) if holdout.given[user, m] == 0 and (not limited or candidates[m]))
            order = sorted(ranked, key=lambda m: -scores[user, m])
            top, hit = lists.top[n], lists.hit[n]
            assert lists.users[n] == user
            assert top[top >= 0].tolist() == order[:100]
            assert hit.tolist() == [m in hidden for m in top.tolist()]
            assert set(lists.hidden[[n]].indices.tolist()) == hidden
            for name, k in (("recall@20", 20), ("recall@50", 50), ("ndcg@100", 100)):
                expected[name].append(literal(order, hidden, k)[name.startswith("recall")])
                assert found[name].total[user] == pytest.approx(expected[name][-1])
            n += 1
    for name, values in expected.items():
        assert found[name].value == pytest.approx(np.mean(values))
        assert found[name].count.sum() == len(values) == n == {3.5: 48, 2.0: 49}[like]


@pytest.mark.parametrize("block", [7, 512])
def test_lists_arranged_otherwise_are_beside_those_by_score_and_take_no_more_scores(block, holdout, monkeypatch):
    monkeypatch.setattr(holdout_metrics, "BLOCK", block)
    scores, asked = np.random.default_rng(1).normal(size=(50, 130)).astype(np.float32), []

    def score(_, users):
        asked.extend(users)
        return scores[users].copy()

    def arrange(of_users, lists):
        np.testing.assert_array_equal(np.isinf(of_users), holdout.given[asked[-len(lists) :]].toarray() != 0)
        return [lists[:, ::-1], np.roll(lists, 1, axis=1)]

    by_score, backwards, rolled = holdout_metrics.arranged_lists(score, holdout, arrange)
    assert asked == by_score.users.tolist()
    plain = holdout_metrics.lists(score, holdout)
    np.testing.assert_array_equal(by_score.top, plain.top)
    np.testing.assert_array_equal(by_score.hit, plain.hit)
    for found, top in ((backwards, plain.top[:, ::-1]), (rolled, np.roll(plain.top, 1, axis=1))):
        np.testing.assert_array_equal(found.top, top)
        hidden = holdout.hidden[found.users].toarray() > holdout.like
        np.testing.assert_array_equal(found.hit, np.take_along_axis(hidden, top, axis=1) & (top >= 0))
        assert found.users.tolist() == plain.users.tolist()


def test_a_sample_of_users_is_judged_as_each_of_them_is(holdout):
    scores = np.random.default_rng(1).normal(size=(50, 130)).astype(np.float32)
    of = lambda given, users: scores[users].copy()  # noqa: E731
    whole, some = holdout_metrics.lists(of, holdout), holdout_metrics.lists(of, holdout, most=7)
    assert len(some.users) == 7
    assert (np.diff(some.users) > 0).all()
    assert some.users.tolist() != whole.users[:7].tolist()
    assert holdout_metrics.lists(of, holdout, most=7).users.tolist() == some.users.tolist()
    place = np.searchsorted(whole.users, some.users)
    assert whole.users[place].tolist() == some.users.tolist()
    np.testing.assert_array_equal(some.top, whole.top[place])
    assert holdout_metrics.judged_users(holdout, 48).tolist() == whole.users.tolist()
    assert holdout_metrics.ranking_metrics(of, holdout, 7)["ndcg@100"].count.sum() == 7


def test_intervals_are_those_of_a_literal_bootstrap_over_users():
    rng = np.random.default_rng(2)
    count = rng.integers(0, 9, 40)
    metric = Metric(rng.random(40) * count, count, root=True)
    values = []
    for _ in range(4000):
        users = rng.integers(0, 40, 40)
        values.append(np.sqrt(metric.total[users].sum() / metric.count[users].sum()))
    found = bootstrap.estimates({"rmse": metric})["rmse"]
    assert found["value"] == pytest.approx(np.sqrt(metric.total.sum() / count.sum()))
    assert [found["low"], found["high"]] == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=0.01)
    assert found["n"] == count.sum()


def test_a_paired_difference_is_narrower_than_the_two_intervals():
    rng = np.random.default_rng(3)
    base = rng.random(200)
    a, b = Metric(base + 0.02, np.ones(200)), Metric(base, np.ones(200))
    row = bootstrap.difference(a, b)
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.02, 0.02, 0.02))


def test_a_metric_over_nothing_is_absent():
    nothing = Metric(np.zeros(3), np.zeros(3))
    assert bootstrap.estimates({"ndcg@100": nothing}) == {}
    assert bootstrap.differences({"ndcg@100": nothing}, {"ndcg@100": nothing}) == {}


def test_likes_beyond_the_end_of_a_list_count_without_a_gain():
    """NDCG@100 of a like is a mean over all hidden likes, those that no list holds too."""
    rng = np.random.default_rng(0)
    scores, hidden = rng.random((3, 250)).astype(np.float32), np.zeros((3, 250), np.float32)
    for row in hidden:
        row[rng.choice(250, 12, replace=False)] = 5
    given = sp.csr_array((3, 250), dtype=np.float32)
    lists = holdout_metrics.lists(lambda _, users: scores[users].copy(), Holdout(given, sp.csr_array(hidden)))
    found = holdout_metrics.like_ndcg(lists, 3)
    assert found.count.tolist() == [12, 12, 12]
    for user in range(3):
        liked = np.flatnonzero(hidden[user])
        ranks = [1 + sum(scores[user, m] > scores[user, like] for m in range(250) if m not in liked) for like in liked]
        above = [sum(scores[user] > scores[user, like]) for like in liked]  # of a list of 100
        gains = [1 / np.log2(rank + 1) for rank, place in zip(ranks, above, strict=True) if place < 100]
        assert 0 < len(gains) < 12
        assert found.total[user] == pytest.approx(sum(gains))


def test_epochs_of_many_users_are_judged_by_a_fixed_sample(monkeypatch):
    rng = np.random.default_rng(0)
    hidden = np.where(rng.random((30, 9)) < 0.4, 4.0, 0).astype(np.float32)
    hidden[::2] = 0  # of every other user nothing is hidden
    whole = Holdout(sp.csr_array((30, 9), dtype=np.float32), sp.csr_array(hidden), None, 3.5)
    filled = np.flatnonzero(hidden.any(axis=1))
    assert holdout_metrics.of_sample(whole) == (whole, None)
    monkeypatch.setattr(holdout_metrics, "JUDGED_USERS", len(filled))
    assert holdout_metrics.of_sample(whole) == (whole, None)
    monkeypatch.setattr(holdout_metrics, "JUDGED_USERS", 11)
    sample, most = holdout_metrics.of_sample(whole)
    kept = np.flatnonzero(np.diff(sample.hidden.indptr))
    assert (kept.tolist(), most) == (sorted(np.random.default_rng(0).choice(filled, 11, replace=False)), 2_500)
    np.testing.assert_array_equal(sample.hidden.toarray()[kept], hidden[kept])
    again, _ = holdout_metrics.of_sample(whole)
    np.testing.assert_array_equal(again.hidden.toarray(), sample.hidden.toarray())
    np.testing.assert_array_equal(whole.hidden.toarray(), hidden)
