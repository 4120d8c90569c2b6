"""What lists are like, the intervals, the slices: against irspack, literal loops and known distributions."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import random_ratings
from sklearn.metrics.pairwise import cosine_similarity

from utils.data.movies import Movies, genre_shares
from utils.data.splits import Holdout
from utils.evaluation import beyond_accuracy, bootstrap, holdout_metrics, subgroups
from utils.evaluation.bootstrap import Metric, Overall

N_USERS, N_MOVIES = 40, 30


@pytest.fixture(scope="module")
def known():
    """(CSR of what is given, lists of ten of the users 3 to 32, genres of the movies)."""
    table, rng = random_ratings(N_USERS, N_MOVIES, 400), np.random.default_rng(4)
    popular = rng.permutation(N_MOVIES)
    top = np.array([rng.choice(popular[:24], 10, replace=False) for _ in range(30)])
    top[5, 7:] = -1  # one list is shorter
    genres = [list(rng.choice(["Drama", "Comedy", "War"], rng.integers(0, 3), replace=False)) for _ in range(N_MOVIES)]
    return table.matrix(), SimpleNamespace(users=np.arange(3, 33), top=top), genres


def found_of(known, vectors=None):
    given, own, genres = known
    movies = Movies(np.arange(N_MOVIES), [""] * N_MOVIES, [None] * N_MOVIES, genres)
    longer = SimpleNamespace(
        users=own.users, top=np.hstack([own.top, own.top[::-1, :4]])
    )  # what is behind ten is not seen
    return beyond_accuracy.beyond(longer, given, 3.5, genre_shares(movies), vectors)


def test_coverage_and_gini_agree_with_irspack():
    import irspack

    rng = np.random.default_rng(6)
    scores = rng.normal(size=(N_USERS, N_MOVIES)) + rng.normal(size=N_MOVIES)
    truth = sp.csr_matrix((rng.random((N_USERS, N_MOVIES)) < 0.2) | np.eye(N_USERS, N_MOVIES, dtype=bool)).astype(float)
    keep = np.flatnonzero(np.diff(truth.indptr))
    top = np.argsort(-scores[keep], axis=1)[:, :10]
    theirs = irspack.Evaluator(truth[keep], cutoff=10).get_score_from_score_matrix(scores[keep])
    assert beyond_accuracy.coverage(top, N_MOVIES).value == pytest.approx(theirs["appeared_item"] / N_MOVIES)
    assert beyond_accuracy.gini(top, N_MOVIES).value == pytest.approx(theirs["gini_index"])


@pytest.mark.parametrize("figure", [beyond_accuracy.coverage, beyond_accuracy.gini])
def test_figures_of_all_lists_leave_each_one_out(known, figure):
    top = known[1].top.copy()
    once, twice = np.setdiff1d(np.arange(N_MOVIES), top)[:2]
    top[0, 0], top[1, 1], top[2, 1] = once, twice, twice
    found = figure(top, N_MOVIES)
    literal = [figure(np.delete(top, i, axis=0), N_MOVIES).value for i in range(len(top))]
    np.testing.assert_allclose(found.without, literal)


def test_gini_is_that_of_its_definition(known):
    _, own, _ = known
    count = np.bincount(own.top[own.top >= 0], minlength=N_MOVIES)
    expected = np.abs(count[:, None] - count[None]).mean() / (2 * count.mean())
    assert beyond_accuracy.gini(own.top, N_MOVIES).value == pytest.approx(expected)
    assert beyond_accuracy.gini(np.arange(N_MOVIES)[:, None], N_MOVIES).value == pytest.approx(0)
    assert beyond_accuracy.gini(np.zeros((9, 1), int), N_MOVIES).value == pytest.approx(1 - 1 / N_MOVIES)


def test_what_lists_are_like_agrees_with_literal_loops(known):
    given, own, genres = known
    vectors = np.random.default_rng(7).normal(size=(N_MOVIES, 6)).astype(np.float32)
    vectors[own.top[0, 0]] = 0  # has no direction
    found = found_of(known, vectors)
    dense = given.toarray()
    popularity = (dense > 0).sum(axis=0)
    names = ["Comedy", "Drama", "War"]
    shares = np.array([[(name in of) / max(len(of), 1) for name in names] for of in genres])
    expected = {name: [] for name in ("novelty@10", "diversity_latent@10", "diversity_genres@10", "calibration@10")}
    gains, owns = [], []
    for user, row in zip(own.users, own.top, strict=True):
        movies = [movie for movie in row if movie >= 0]
        expected["novelty@10"].append(np.mean([-np.log2(popularity[m] / N_USERS) for m in movies]))
        for name, space in (("diversity_latent@10", vectors), ("diversity_genres@10", shares)):
            near, there = cosine_similarity(space), [m for m in movies if space[m].any()]
            expected[name].append(np.mean([1 - near[a, b] for a, b in combinations(there, 2)]))
        liked = np.flatnonzero(dense[user] > 3.5)
        wanted, got = shares[liked].sum(axis=0), shares[movies].sum(axis=0)
        wanted, got = wanted / (wanted.sum() or np.nan), got / got.sum()
        mixed = 0.99 * got + 0.01 * wanted
        expected["calibration@10"].append(sum(w * np.log(w / m) for w, m in zip(wanted, mixed, strict=True) if w != 0))
        owns.append(popularity[np.flatnonzero(dense[user])].mean())
        gains.append(np.mean([popularity[m] for m in movies]) - owns[-1])
    for name, values in expected.items():
        assert found[name].value == pytest.approx(np.nanmean(values), rel=1e-5), name
        assert found[name].counted == np.isfinite(values).sum() > 0
    assert found["popularity_lift@10"].value == pytest.approx(np.mean(gains) / np.mean(owns))
    assert found["popularity_lift@10"].counted == 30


def test_what_takes_genres_or_a_latent_space_is_absent_without(known):
    given, own, _ = known
    found = beyond_accuracy.beyond(own, given, 3.5, np.zeros((N_MOVIES, 0)))
    assert set(found) == {"coverage@10", "gini@10", "novelty@10", "popularity_lift@10"}
    assert beyond_accuracy.beyond(SimpleNamespace(users=np.array([], int), top=own.top[:0]), given, 3.5, None) == {}


# -- intervals ---------------------------------------------------------------------------------------------------------


def test_an_interval_covers_what_it_says():
    """The recall of users who each have one hidden like, found with the chance p: a Bernoulli mean."""
    n, p, rng = 400, 0.3, np.random.default_rng(11)
    planted = {i: Metric((rng.random(n) < p).astype(float), np.ones(n)) for i in range(1000)}
    covered = np.mean([row["low"] <= p <= row["high"] for row in bootstrap.estimates(planted).values()])
    assert 0.93 <= covered <= 0.97


def test_a_paired_interval_covers_a_planted_difference():
    n, rng = 300, np.random.default_rng(12)
    base = rng.random(n)
    a = {i: Metric(base + 0.1 + rng.normal(0, 0.5, n), np.ones(n)) for i in range(1000)}
    b = {i: Metric(base, np.ones(n)) for i in range(1000)}
    rows = bootstrap.differences(a, b).values()
    assert 0.93 <= np.mean([row["low"] <= 0.1 <= row["high"] for row in rows]) <= 0.97


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(13).random(50)
    without = (values.sum() - values) / 49
    row = bootstrap.estimates({"": Overall(values.mean(), without)})[""]
    assert row["high"] - row["value"] == pytest.approx(1.959964 * values.std(ddof=1) / np.sqrt(50))


def test_p_is_that_of_a_paired_test():
    from scipy.stats import ttest_1samp

    gain = np.random.default_rng(14).normal(0.02, 0.2, 600)
    row = bootstrap.difference(Metric(gain, np.ones(600)), Metric(np.zeros(600), np.ones(600)))
    assert row["p"] == pytest.approx(ttest_1samp(gain, 0).pvalue, rel=0.25)


def test_few_users_are_told_from_chance_as_rarely_as_promised():
    rng, false, covered = np.random.default_rng(16), 0, []
    for _ in range(60):  # forty slices of twenty users, whose errors are all alike
        squares = {i: np.zeros(800) for i in range(40)}
        errors = rng.normal(size=800)
        for i in squares:
            squares[i][20 * i : 20 * i + 20] = 1
        inside = {i: Metric(errors**2 * of, of, root=True) for i, of in squares.items()}
        outside = {i: Metric(errors**2 * (1 - of), 1 - of, root=True) for i, of in squares.items()}
        false += any(map(bootstrap.differs, bootstrap.adjust(list(bootstrap.differences(inside, outside).values()))))
        covered += [row["low"] <= 1 <= row["high"] for row in bootstrap.estimates(inside).values()]
    assert false <= 9  # 3 expected; without logarithms and t it was 37
    assert np.mean(covered) > 0.85  # percentiles that are not expanded: .85 at most


def test_one_user_tells_nothing():
    one, other = (Metric(np.array([value, 0, 0]), np.array([1.0, 0, 0])) for value in (1.0, 0.9))
    row = bootstrap.difference(one, other)
    assert (row["value"], row["p"]) == (pytest.approx(0.1), 1)
    assert not bootstrap.differs(row)


@pytest.mark.parametrize(
    ("low", "high", "p", "holm", "differs"),
    [
        *((0.1, 0.2, 0.01, None, True), (-0.2, -0.1, 0.01, None, True), (-0.1, 0.2, 0.01, None, False)),
        *((0.0, 0.2, 0.01, None, False), (-0.2, 0.0, 0.01, None, False), (0.1, 0.2, 0.05, None, False)),
        *((0.1, 0.2, 0.01, 0.06, False), (0.1, 0.2, 0.2, 0.04, True), (-0.1, 0.2, 0.2, 0.04, False)),
    ],
)
def test_what_differs_has_an_interval_on_one_side_of_0_and_a_small_p(low, high, p, holm, differs):
    row = {"low": low, "high": high, "p": p} | ({} if holm is None else {"p_holm": holm})
    assert bootstrap.differs(row) is differs


def test_holm_is_that_of_the_textbook():
    p = [0.01, 0.04, 0.03, 0.005]
    assert bootstrap.holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert bootstrap.holm([0.9, 0.8]) == [1, 1]
    assert bootstrap.holm([]) == []


def test_of_many_equal_pairs_hardly_any_is_called_different():
    rng = np.random.default_rng(15)
    false = 0
    for _ in range(100):
        a = {i: Metric(rng.normal(size=100), np.ones(100)) for i in range(10)}
        b = {i: Metric(rng.normal(size=100), np.ones(100)) for i in range(10)}
        rows = bootstrap.adjust(list(bootstrap.differences(a, b).values()))
        false += any(bootstrap.differs(row) for row in rows)
    assert false <= 12  # 5 expected


# -- slices ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged():
    """(hold-out, movies, users' columns, scores) of 120 users, half of whose ratings are hidden."""
    rng = np.random.default_rng(21)
    stars = rng.integers(1, 11, (120, 50)) / 2 * (rng.random((120, 50)) < 0.5)
    hidden = rng.random(stars.shape) < 0.5
    genres = [["Drama"] if m % 3 else ["War", "Drama"] for m in range(50)]
    movies = Movies(np.arange(50), [""] * 50, [1980 + m % 20 for m in range(50)], genres)
    users = {"gender": np.array(["F", "M", ""] * 40), "age": np.array(["17", "25", "56", ""] * 30)}
    return Holdout(sp.csr_array(stars * ~hidden), sp.csr_array(stars * hidden)), movies, users, rng.random((120, 50))


def test_slices_are_literal_loops_over_their_ratings_and_users(judged):
    holdout, movies, users, scores = judged

    def predict(given, who, what):
        return 3 + scores[who, what]

    own = holdout_metrics.lists(lambda given, who: scores[who].copy(), holdout)
    guess = holdout_metrics.predicted(predict, holdout, (0.5, 5))
    errors = guess.users, guess.movies, guess.stars - guess.actual
    parts = subgroups.slices(holdout.given, movies, users)
    rows = {(row["by"], row["slice"]): row for row in subgroups.judge(parts, 120, own, errors)}
    hidden = holdout.hidden.toarray()
    whole = holdout_metrics.ranking_metrics(lambda given, who: scores[who].copy(), holdout)["ndcg@100"]

    def errors_of(cells):
        return [np.clip(3 + scores[u, m], 0.5, 5) - hidden[u, m] for u, m in zip(*np.nonzero(cells), strict=True)]

    assert {name for by, name in rows if by == "gender"} == {"F", "M"}  # of some it is unknown
    women = users["gender"] == "F"
    found = rows["gender", "F"]["metrics"]
    theirs = errors_of(hidden * women[:, None])
    assert found["rmse"]["value"] == pytest.approx(np.sqrt(np.mean(np.square(theirs))))
    assert found["bias"]["value"] == pytest.approx(np.mean(theirs))
    assert found["rmse"]["n"] == len(theirs)
    assert found["ndcg@100"]["value"] == pytest.approx(whole.total[women].sum() / whole.count[women].sum())
    of_war = np.array(["War" in names for names in movies.genres])
    gains = []
    for user in range(120):
        liked = {m for m in range(50) if hidden[user, m] > 3.5}
        order = sorted((m for m in range(50) if holdout.given[user, m] == 0), key=lambda m: -scores[user, m])
        for movie in liked:
            alone = [m for m in order if m == movie or m not in liked]
            gains += [1 / np.log2(alone.index(movie) + 2)] if of_war[movie] else []
    found = rows["genre", "War"]["metrics"]
    assert found["like_ndcg@100"]["value"] == pytest.approx(np.mean(gains))
    assert found["like_ndcg@100"]["n"] == len(gains)
    theirs = errors_of(hidden * of_war)
    rest = errors_of(hidden * ~of_war)
    less = rows["genre", "War"]["less_rest"]["rmse"]
    expected = np.sqrt(np.mean(np.square(theirs))) - np.sqrt(np.mean(np.square(rest)))
    assert less["value"] == pytest.approx(expected)
    assert {"under 18", "25 to 34", "56+"} == {name for by, name in rows if by == "age"}
    assert {"1980s", "1990s"} == {name for by, name in rows if by == "decade"}
    assert rows["all", "all"]["metrics"]["rmse"]["n"] == holdout.hidden.nnz


def test_a_slice_that_is_worse_is_named_and_equal_ones_are_not(judged):
    holdout, movies, users, _ = judged
    hidden = holdout.hidden.tocoo()
    rng = np.random.default_rng(3)
    noise = rng.choice([-0.5, 0.5], hidden.nnz) * np.where(users["gender"][hidden.row] == "M", 3, 1)
    rows = subgroups.judge(subgroups.slices(holdout.given, movies, users), 120, None, (hidden.row, hidden.col, noise))
    named = {(row["by"], row["slice"]) for row in rows if "rmse" in row["differs"]}
    assert ("gender", "M") in named
    assert not {by for by, _ in named} & {"genre", "decade"}
    said = subgroups.sentences(rows, str.upper)
    assert any(line.startswith("RMSE by gender: higher for M (+") for line in said)


def test_slices_of_few_users_are_left_out_and_none_is_compared_with_few():
    n, sizes = 60, (9, 10, 19, 20, 40, 41)
    parts = [subgroups.Slice("size", str(size), "users", np.arange(n) < size) for size in sizes]
    errors = (
        np.arange(2 * n) // 2,
        np.zeros(2 * n, int),
        np.random.default_rng(0).normal(size=2 * n),
    )  # two ratings each
    rows = {row["slice"]: row for row in subgroups.judge(parts, n, None, errors)}
    assert list(rows) == ["all", *map(str, sizes[1:])]
    assert [size for size in rows if rows[size]["less_rest"]] == ["20", "40"]
    assert [row["metrics"]["bias"]["n"] for row in rows.values()] == [2 * size for size in (n, *sizes[1:])]


def test_a_movie_that_nobody_rated_is_as_new_as_one_that_somebody_did():
    top, popularity = np.array([[0], [1], [2]]), np.array([0, 1, 2])
    assert beyond_accuracy.novelty(top, popularity, 8).tolist() == [3, 3, 2]


def test_p_of_a_slice_is_adjusted_over_the_slices_of_its_metric_alone():
    """Six slices of size; the metrics rmse and bias have twelve p together."""
    rng, n = np.random.default_rng(1), 240
    users = np.repeat(np.arange(n), 5)
    error = rng.normal(0, 1, len(users)) + np.where(users < 40, 0.25, 0)
    parts = [subgroups.Slice("size", str(i), "users", np.arange(n) // 40 == i) for i in range(6)]
    rows = subgroups.judge(parts, n, None, (users, np.zeros(len(users), int), error))
    for metric in ("rmse", "bias"):
        less = [row["less_rest"][metric] for row in rows if metric in row["less_rest"]]
        p = np.array([row["p"] for row in less])
        assert len(p) == 6
        order = np.argsort(p)
        expected = np.minimum(np.maximum.accumulate(p[order] * np.arange(6, 0, -1)), 1)
        assert [row["p_holm"] for row in np.array(less, object)[order]] == pytest.approx(expected.tolist())


def test_every_number_of_ratings_is_in_one_range():
    given = sp.csr_array(np.tri(130, 130, dtype=np.float32))  # user i has i + 1 ratings, movie j has 130 - j
    movies = Movies(np.arange(130), [""] * 130, [None] * 130, [[]] * 130)
    for by, count in (("ratings of the user", np.arange(1, 131)), ("ratings of the movie", np.arange(130, 0, -1))):
        ranges = [part for part in subgroups.slices(given, movies) if part.by == by]
        np.testing.assert_array_equal(
            sum(part.inside.astype(int) for part in ranges), 1 * (count >= subgroups.RANGES[0][0])
        )
        for part, (low, high) in zip(ranges, subgroups.RANGES, strict=True):
            literal = [low <= n and (high is None or n <= high) for n in count.tolist()]
            assert part.inside.tolist() == literal, part.name


def test_figures_of_all_lists_are_compared_user_by_user():
    from scipy.stats import t

    rng = np.random.default_rng(17)
    one, other = Overall(0.5, rng.normal(0.5, 0.01, 30)), Overall(0.47, rng.normal(0.47, 0.01, 30))
    row, left = bootstrap.difference(one, other), one.without - other.without
    error = np.sqrt(29 / 30 * np.sum((left - left.mean()) ** 2))
    assert (row["value"], row["n"]) == (pytest.approx(0.03), 30)
    assert [row["low"], row["high"]] == pytest.approx([0.03 - 1.959964 * error, 0.03 + 1.959964 * error])
    assert row["p"] == pytest.approx(2 * t.sf(0.03 / (error * np.sqrt(30 / 29)), 29))


def test_a_difference_is_as_sure_as_the_figure_of_fewer_users():
    rng = np.random.default_rng(18)
    many, one = (Metric(rng.random(50) * of, of) for of in (np.ones(50), 1.0 * (np.arange(50) == 3)))
    samples = bootstrap.sampled({"one": one, "many": many})
    for a, b, left in ((one, many, 1), (many, one, -1)):
        row, less = bootstrap.difference(a, b), left * (samples["one"] - samples["many"])
        assert (row["p"], row["low"], row["high"]) == (1, np.nanmin(less), np.nanmax(less))
    assert Metric(np.zeros(3), np.array([4, 1, 1])).users == pytest.approx(36 / 18)


def test_slices_are_named_by_the_sign_of_their_difference():
    def row(by, name, value, metric="bias"):
        return {"by": by, "slice": name, "differs": [metric], "less_rest": {metric: {"value": value}}}

    rows = [row("age", "18", 0.05), row("age", "56+", -0.02), row("genre", "War", 0.3), row("age", "25", 0.01)]
    assert subgroups.sentences([*rows, row("age", "35", 0.4) | {"differs": []}], str.upper) == [
        "BIAS by age: higher for 18 (+0.050), 25 (+0.010); lower for 56+ (-0.020)",
        "BIAS by genre: higher for War (+0.300)",
    ]


def test_samples_are_drawn_alike_everywhere():
    assert bootstrap.resampled(7)[[0, 999]].tolist() == [[2, 1, 1, 1, 1, 1, 0], [2, 0, 1, 1, 1, 2, 0]]
