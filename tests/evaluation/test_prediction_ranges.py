"""Ranges around predicted stars: they hold their share of ratings that were not there when they were learned."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from utils.evaluation import prediction_ranges
from utils.evaluation.holdout_metrics import Predicted
from utils.evaluation.prediction_ranges import PredictionRanges, judge, learn
from utils.evaluation.subgroups import Slice

WIDE = (-100.0, 100.0)


def errors(n, seed):
    """Predicted stars and counts of n ratings, whose errors are wider for new users, and lie above for new movies."""
    rng = np.random.default_rng(seed)
    of_user, of_movie = rng.choice([0, 3, 30, 300], n), rng.choice([0, 3, 30, 300], n)
    stars = rng.uniform(1, 5, n)
    actual = stars + rng.normal(0, np.where(of_user == 0, 2.0, 0.5), n) + np.where(of_movie == 0, 0.5, 0.0)
    return stars, actual, of_user, of_movie


def held(low, high, actual):
    return ((low <= actual) & (actual <= high)).mean()


@pytest.mark.parametrize("share", [0.8, 0.9])
def test_ranges_hold_their_share_of_each_group(share):
    ranges = PredictionRanges.fit(*errors(20_000, 0), share=share)
    stars, actual, of_user, of_movie = errors(20_000, 1)
    low, high = ranges.around(stars, of_user, of_movie, WIDE)
    for inside in (of_user == 0, of_user == 30, of_movie == 0, of_movie == 300, stars < 2, stars > 4):
        assert held(low[inside], high[inside], actual[inside]) == pytest.approx(share, abs=0.03)
        beyond = (actual[inside] > high[inside]).mean()
        assert beyond == pytest.approx((1 - share) / 2, abs=0.03)  # as many above as below
    assert (high - low)[of_user == 0].mean() > 2 * (high - low)[of_user == 30].mean()
    shift = ((low + high) / 2 - stars)[of_movie == 0].mean() - ((low + high) / 2 - stars)[of_movie == 30].mean()
    assert shift == pytest.approx(0.5, abs=0.1)


def test_few_ratings_widen_a_range():
    """By one standard error: of 100, .05 beyond each end, that is .0218 more."""
    error = np.arange(100.0)
    group = [np.zeros(100, np.intp)]
    (offset,) = prediction_ranges._offsets(error, group, 0.05)
    assert offset[0] == pytest.approx(99 * (0.95 + np.sqrt(0.05 * 0.95 / 100)))


def test_small_groups_join_the_smaller_neighbour():
    count = np.repeat([0, 3, 10, 50, 500], [300, 90, 200, 150, 99])
    assert prediction_ranges._merged(count, (1, 5, 20, 100)) == [1, 20]  # 3 joins 10, 500 joins 50
    assert prediction_ranges._merged(count[:99], (1, 5)) == []
    assert prediction_ranges._merged(np.repeat([0, 3], 100), (1,)) == [1]  # 100 are enough
    assert prediction_ranges._merged(np.repeat([0, 3, 10], [150, 90, 300]), (1, 5)) == [5]  # 3 joins 0


def test_a_range_holds_its_prediction_and_ends_with_the_scale():
    ranges = PredictionRanges([[], [], []], [[0.5], [0.0], [0.0]], [[1.0], [1.0], [0.0]])
    low, high = ranges.around(np.array([1.0, 3.0, 4.5]), 7, np.array([1, 2, 3]), (0.5, 5.0))
    assert low.tolist() == [1.0, 3.0, 4.5]  # the low end would be above the prediction
    assert high.tolist() == [3.0, 5.0, 5.0]
    wide = PredictionRanges([[], [], []], [[-2.0], [-0.5], [0.0]], [[0.5], [0.0], [0.25]])
    low, high = wide.around(np.array([1.0, 3.0, 4.5]), 7, np.array([1, 2, 3]), (0.5, 5.0))
    assert (low.tolist(), high.tolist()) == ([0.5, 0.5, 2.0], [1.75, 3.75, 5.0])


def test_ranges_are_learned_by_the_known_ratings_and_judged_by_slice(monkeypatch):
    monkeypatch.setattr(prediction_ranges, "LEAST", 2)
    given = sp.csr_array(np.array([[5, 0, 4.0], [0, 0, 3.0]]))  # users 2 and 1, movies 1, 0 and 2 known ratings
    seen = {}

    def fit(stars, actual, of_user, of_movie):
        seen.update(of_user=of_user.tolist(), of_movie=of_movie.tolist(), error=(actual - stars).tolist())
        return PredictionRanges([[], [], []], [[-1.0], [0], [0]], [[1.0], [0], [0]])

    monkeypatch.setattr(PredictionRanges, "fit", fit)
    predicted = Predicted(np.array([0, 1, 1]), np.array([1, 0, 1]), np.array([4.0, 2, 5]), np.array([3.0, 3.5, 4.5]))
    ranges = PredictionRanges(**learn(predicted, given))
    assert seen == {"of_user": [2, 1, 1], "of_movie": [0, 1, 0], "error": [1.0, -1.5, 0.5]}
    parts = [Slice("u", "second", "users", np.array([False, True])), Slice("m", "first", "movies", np.arange(3) == 0)]
    facts = judge(ranges, predicted, given, (1.0, 5.0), parts)
    assert facts == {
        "share": 0.9,
        "held": pytest.approx(2 / 3),
        "width": pytest.approx((2 + 2 + 1.5) / 3),
        "slices": [{"by": "u", "slice": "second", "ratings": 2, "held": 0.5}],
    }


def test_too_few_validation_ratings_give_no_ranges():
    few = np.zeros(prediction_ranges.LEAST - 1)
    assert learn(SimpleNamespace(stars=few), None) == {}
    none = np.zeros(len(few) + 1, int)
    assert learn(Predicted(none, none, none + 3.0, none + 3.0), sp.csr_array(np.ones((1, 1))))["share"] == 0.9


def test_offsets_are_fitted_by_turns_until_each_group_has_its_share():
    """The two groupings go together, so that the first turn of one takes what belongs to the other."""
    rng = np.random.default_rng(0)
    one = np.arange(800) % 2
    other = np.where(rng.random(800) < 0.25, 1 - one, one)
    error = 3.0 * other + rng.normal(0, 0.1, 800)
    offsets = prediction_ranges._offsets(error, [one, other], 0.1)
    for axis, group in enumerate((one, other)):
        rest = error - offsets[1 - axis][(other, one)[axis]]
        for number in (0, 1):
            n = np.count_nonzero(group == number)
            level = 0.9 + np.sqrt(0.1 * 0.9 / n)
            assert offsets[axis][number] == pytest.approx(np.quantile(rest[group == number], level), abs=0.02)
