"""Which movies the filters let through, and the measures that lists are put together by."""

from types import SimpleNamespace

import numpy as np
import pytest

from utils.data.movies import genre_shares
from utils.errors import UserError
from utils.evaluation.beyond_accuracy import divergence
from utils.recommend import recommendations, reranking

GENRES = [("Drama", "Horror"), ("Horror",), (), ("Comedy", "Drama", "Horror"), ("Comedy",), ("Drama",)]
MOVIES = SimpleNamespace(
    genres=GENRES, genre_names=("Comedy", "Drama", "Horror"), years=[1979, 1980, 1985, 1989, None, 1990]
)
COUNT = np.array([0, 3, 4, 5, 9, 2])


def through(count=COUNT, movies=MOVIES, **options):
    """Indices of the movies that the filters let through."""
    return np.flatnonzero(reranking.allowed(movies, reranking.Options(**options), count)).tolist()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"genre": ("Drama",)}, [0, 3, 5]),
        ({"genre": ("drama", "COMEDY")}, [0, 3, 4, 5]),  # one of them is enough
        ({"years": "1980-1989"}, [1, 2, 3]),
        ({"years": "1985"}, [2]),
        ({"years": "1985-"}, [2, 3, 5]),
        ({"years": "-1985"}, [0, 1, 2]),
        ({"years": " 1980 - 1985 "}, [1, 2]),
        ({"min_ratings": 4}, [2, 3, 4]),
        ({"min_ratings": 1}, [1, 2, 3, 4, 5]),
        ({"max_ratings": 4}, [0, 1, 2, 5]),
        ({"max_ratings": 0}, [0]),
        ({"min_ratings": 3, "max_ratings": 5}, [1, 2, 3]),
        ({"popularity": "high"}, [4]),  # of 2, 3, 4, 5, 9 ratings the quantile .9 is 7.4
        ({"popularity": "low"}, [1, 2, 3, 5]),
        ({"without_genre": ("horror",)}, [2, 4, 5]),
        ({"without_genre": ("Horror", "Comedy")}, [2, 5]),
        ({"genre": ("Drama",), "without_genre": ("Comedy",)}, [0, 5]),
        ({"genre": ("Horror",), "years": "1980-", "min_ratings": 4}, [3]),
    ],
)
def test_a_filter_lets_through_just_these(options, expected):
    assert through(**options) == expected


@pytest.mark.parametrize(
    ("years", "expected"),
    [(None, None), ("1985", (1985, 1985)), ("-1985", (0, 1985)), ("1985-", (1985, 9999)), ("1980-1985", (1980, 1985))],
)
def test_spans_of_years(years, expected):
    assert reranking.span(years) == expected


@pytest.mark.parametrize("years", ["19801985", "1980 1985", "85", "", "1980-85", "1986-1985", "1980--1985"])
def test_what_is_no_span_is_refused(years):
    with pytest.raises(ValueError, match=r"takes 1980-1989|1986 is after 1985"):
        reranking.span(years)


def test_what_the_data_lacks_is_said():
    bare = SimpleNamespace(genres=[()] * 6, genre_names=(), years=[None] * 6)
    for options, said in (
        ({"genre": ("Drama",)}, "this data names no genres"),
        ({"calibrated": True}, "this data names no genres"),
        ({"years": "1980"}, "this data names no years"),
    ):
        with pytest.raises(UserError, match=said):
            through(movies=bare, **options)
    with pytest.raises(UserError, match="no movie has the genre 'Dram'; did you mean Drama"):
        through(without_genre=("Dram",))
    with pytest.raises(ValueError, match="max-ratings must be 5 or more, got 4"):
        reranking.Options(min_ratings=5, max_ratings=4)
    many = SimpleNamespace(genres=[()] * 30, genre_names=(), years=[None] * 30)
    assert through(np.array([*range(1, 11), *[0] * 20]), many, popularity="high") == [
        9
    ]  # movies without ratings don't count
    assert through(count=np.zeros(6, int), popularity="high") == through(count=np.zeros(6, int), popularity="low") == []
    with pytest.raises(UserError, match="no movie has the genre 'Western'; there are: Comedy, Drama, Horror"):
        through(genre=("Drama", "Western"))


def test_filters_are_refused_beyond_the_edge_and_taken_at_it():
    for edge in ({"diverse": 0.0}, {"diverse": 1.0}, {"min_ratings": 0}, {"min_ratings": 5, "max_ratings": 5}):
        reranking.Options(**edge)
    for beyond in ({"diverse": -0.01}, {"diverse": 1.01}, {"min_ratings": -1}, {"diverse": 0.1, "calibrated": True}):
        with pytest.raises(ValueError, match=r"must be|are two ways"):
            reranking.Options(**beyond)


def test_genres_are_shared_out_evenly():
    third = 1 / 3
    expected = [[0, 0.5, 0.5], [0, 0, 1], [0, 0, 0], [third, third, third], [1, 0, 0], [0, 1, 0]]
    np.testing.assert_allclose(genre_shares(MOVIES), expected)


def test_divergence_is_the_relative_entropy_of_smoothed_genres():
    rng = np.random.default_rng(0)
    wanted = np.array([0.6, 0.4, 0.0])
    found = np.vstack([rng.dirichlet(np.ones(3), 5), wanted, [0, 0, 1]])
    smooth = 0.99 * found + 0.01 * wanted
    literal = [sum(w * np.log(w / g) for w, g in zip(wanted[:2], row[:2], strict=True)) for row in smooth]
    np.testing.assert_allclose(divergence(wanted, found), literal, atol=1e-12)
    assert literal[5] == pytest.approx(0)
    assert literal[6] == pytest.approx(np.log(100))  # what is missing altogether is no infinite loss


def test_scores_are_brought_between_nought_and_one():
    np.testing.assert_allclose(reranking.scaled(np.array([3.0, 1.0, 2.0])), [1, 0, 0.5])
    assert reranking.scaled(np.array([2.0, 2.0])).tolist() == [1, 1]
    assert reranking.scaled(np.array([])).tolist() == []


def test_the_best_are_without_what_has_no_score_and_in_the_order_that_is_asked_for():
    scores = np.array([1.0, -np.inf, 5.0, 3.0, -np.inf, 4.0])
    assert reranking.best(scores, 3).tolist() == [2, 5, 3]
    assert reranking.best(scores, 9).tolist() == [2, 5, 3, 0]
    asked = []

    def backwards(top, score, n):
        asked.append((top.tolist(), score.tolist(), n))
        return list(range(len(top)))[::-1][:n]

    assert reranking.best(scores, 2, backwards).tolist() == [0, 3]
    assert reranking.best(scores, 9, backwards).tolist() == [0, 3, 5, 2]
    assert asked == [([2, 5, 3, 0], [1.0, 0.75, 0.5, 0.0], n) for n in (2, 4)]
    many = np.arange(100.0)
    assert reranking.best(many, 3, lambda top, score, n: range(len(top) - n, len(top))).tolist() == [72, 71, 70]


@pytest.mark.parametrize("wrong", ["3", 2.5, True, -1])
def test_a_number_of_discoveries_is_a_whole_number(wrong):
    with pytest.raises(ValueError, match="discover must be a whole number from 0"):
        reranking.Options(discover=wrong)


def test_what_scores_do_not_tell_apart_is_ordered_by_its_ratings():
    scores = np.array([[2, 2, -np.inf, 2], [1, 2, 3, 1], [0, 0, 0, 0], [-np.inf, -np.inf, 5, -np.inf]], np.float32)
    found = recommendations.ranking_scores(scores, np.array([7, 9, 8, 1]))
    assert found.tolist() == [[7, 9, -np.inf, 1], [1, 2, 3, 1], [7, 9, 8, 1], [-np.inf, -np.inf, 8, -np.inf]]


def test_a_calibrated_list_is_in_the_genres_of_what_is_liked():
    rng, shares = np.random.default_rng(0), genre_shares(MOVIES)
    saved = SimpleNamespace(genre_shares=shares, ratings=SimpleNamespace(like=3.5))
    for _ in range(30):
        candidates, score = rng.permutation(6)[:4], rng.random(4)
        movies, stars = rng.choice(6, 4, replace=False), rng.choice([1.0, 3.5, 4.0, 5.0], 4)
        rows = SimpleNamespace(movies=movies, stars=stars[None])
        order = recommendations.reorder(saved, reranking.Options(calibrated=True), candidates, rows)
        wanted = sum(shares[movie] for movie, star in zip(movies, stars, strict=True) if star > 3.5)
        if np.any(wanted):
            assert candidates[reranking.best(score, 3, order)].tolist() == lists_of(shares, candidates, score, wanted)
        else:
            assert order is None


def lists_of(shares, candidates, score, wanted):
    """The calibrated list for liked genres that are wanted so often, by all orders."""
    scaled, wanted = (score - score.min()) / (score.max() - score.min()), np.array(wanted) / np.sum(wanted)
    taken = []
    while len(taken) < 3:
        worth = {}
        for place in set(range(len(score))) - set(taken):
            found = 0.99 * shares[candidates[[*taken, place]]].mean(axis=0) + 0.01 * wanted
            loss = sum(w * np.log(w / g) for w, g in zip(wanted, found, strict=True) if w)
            worth[place] = 0.5 * scaled[place] - 0.5 * loss
        taken.append(max(worth, key=worth.get))
    return candidates[taken].tolist()


@pytest.mark.parametrize(("n_movies", "n"), [(30, 8), (60, 5)])  # of 60 only the best 50 are looked at
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.4, 0.7])
def test_a_diverse_list_is_maximal_marginal_relevance_written_out(weight, n_movies, n):
    rng = np.random.default_rng(2)
    for _ in range(20):
        vectors, score = rng.normal(size=(n_movies, 3)).astype(np.float32), rng.random(n_movies)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        top = np.argsort(-score)[: 10 * n]
        between = (score[top] - score[top].min()) / np.ptp(score[top])
        taken = []
        for _ in range(n):
            gain = [
                -np.inf if i in taken
                else (1 - weight) * between[i] - weight * max([unit[top[i]] @ unit[top[j]] for j in taken], default=0.0)
                for i in range(len(top))
            ]  # fmt: skip
            taken.append(int(np.argmax(gain)))
        catalogue, candidates = np.full((2 * n_movies, 3), np.nan, np.float32), rng.permutation(2 * n_movies)[:n_movies]
        catalogue[candidates] = vectors
        found = reranking.best(score, n, reranking.mmr_rerank(catalogue, candidates, weight))
        assert found.tolist() == top[taken].tolist()
        assert weight or taken == list(range(n))


@pytest.mark.parametrize("liked", [[1, 1, 1, 1], [1, 0, 1, 1]])
def test_a_calibrated_list_weighs_the_genres_of_the_list_so_far(liked):
    """Steck's greedy choice written out: the genres are those of as many movies as are on the list."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        score, wanted = rng.random(25), rng.dirichlet(np.ones(4)) * liked
        wanted /= wanted.sum()
        shares = np.eye(4)[rng.integers(0, 4, 25)] * 0.7 + 0.3 * np.eye(4)[rng.integers(0, 4, 25)]
        top = np.argsort(-score)
        between, taken = (score[top] - score.min()) / np.ptp(score), []
        for place in range(1, 8):
            gain = np.full(25, -np.inf)
            for i in set(range(25)) - set(taken):
                mix = 0.99 * shares[top[[*taken, i]]].sum(axis=0) / place + 0.01 * wanted
                loss = sum(w * np.log(w / m) for w, m in zip(wanted, mix, strict=True) if w)
                gain[i] = 0.5 * between[i] - 0.5 * loss
            taken.append(int(np.argmax(gain)))
        catalogue, candidates = np.full((50, 4), np.nan), rng.permutation(50)[:25]
        catalogue[candidates] = shares
        found = reranking.best(score, 7, reranking.calibrated_rerank(catalogue, candidates, wanted))
        assert found.tolist() == top[taken].tolist()
