"""What each protocol promises, over generated tables."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import random_ratings
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.data import splits, test_file
from utils.data.splits import Options, Subset
from utils.errors import UserError

DRAWN = ("random", "cold", "temporal", "leave-one-out", "strong", "strong-ratings", "all")


@st.composite
def tables(draw):
    """Rating tables with users of one rating, movies of none, ties in time, and up to 120 ratings."""
    n_users, n_movies = draw(st.integers(1, 30)), draw(st.integers(1, 20))
    n = draw(st.integers(1, min(120, n_users * n_movies)))
    table = random_ratings(n_users, n_movies, n, seed=draw(st.integers(0, 99)))
    times = np.random.default_rng(n).integers(0, draw(st.integers(1, 50)), n)
    return replace(table, timestamp=draw(st.sampled_from([None, times])))


def split_or_none(table, protocol, **options):
    """The split, or None where the protocol refuses the table with a sentence."""
    refused = {
        "temporal": "needs timestamps",
        "cold": "nothing to train on",
        "strong": "too few",
        "strong-ratings": "too few",
    }
    try:
        return splits.split(table, protocol, Options(**options))
    except UserError as refusal:
        if refused.get(protocol, "never") not in str(refusal):
            raise
        return None


@pytest.mark.parametrize("protocol", DRAWN)
@given(table=tables(), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_every_rating_has_one_part_and_nothing_hidden_is_given(protocol, table, seed):
    split = split_or_none(table, protocol, seed=seed)
    if split is None:
        return
    assert len(split.part) == len(table)
    assert set(split.part.tolist()) <= set(Subset)
    matrix = table.matrix().toarray()
    test, validation = split.test.hidden.toarray(), split.validation.hidden.toarray()
    assert not ((test > 0) & (validation > 0)).any()
    for holdout, hidden in ((split.test, test), (split.validation, validation)):
        assert not ((holdout.given.toarray() > 0) & (hidden > 0)).any()
        assert not ((split.train.toarray() > 0) & (hidden > 0)).any()
    assert not ((split.validation.given.toarray() > 0) & (test > 0)).any()
    assert not ((split.refit.toarray() > 0) & (test > 0)).any()
    assert ((test == 0) | (test == matrix)).all()
    of_known = table.movie[np.isin(split.part, (Subset.TRAIN, Subset.VALIDATION, Subset.GIVEN))].tolist()
    assert split.known_count.tolist() == [of_known.count(movie) for movie in range(table.shape[1])]
    if protocol not in ("strong", "strong-ratings"):  # which leave ratings out
        np.testing.assert_array_equal(split.train.toarray() + validation + test, matrix)


@pytest.mark.parametrize("protocol", DRAWN)
def test_a_seed_gives_the_same_split_and_another_seed_another(protocol):
    table = replace(random_ratings(), timestamp=np.arange(500) // 50)
    one, same, other = (splits.split(table, protocol, Options(seed=seed)).part for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_the_split_of_seed_0_is_the_same_on_every_machine():
    part = splits.split(random_ratings(), "random", Options()).part
    assert np.flatnonzero(part == Subset.TEST)[:6].tolist() == [2, 5, 15, 41, 54, 55]


@pytest.mark.parametrize("n", [1, 2, 7, 500])
def test_random_has_the_stated_sizes(n):
    part = splits.split(random_ratings(n=n), "random", Options(seed=3)).part
    test = round(0.1 * n)
    assert (part == Subset.TEST).sum() == test
    assert (part == Subset.VALIDATION).sum() == round(0.05 * (n - test))


def test_all_keeps_everything_for_training_but_a_validation_slice():
    split = splits.split(random_ratings(), "all", Options())
    assert split.test.hidden.nnz == 0
    assert split.validation.hidden.nnz == 25
    assert split.refit.nnz == 500


@given(table=tables())
@settings(max_examples=60, deadline=None)
def test_temporal_and_leave_one_out_hide_what_is_latest(table):
    n = len(table)
    table = replace(table, timestamp=np.random.default_rng(n).integers(0, 40, n))
    for protocol in ("temporal", "leave-one-out"):
        split = split_or_none(table, protocol)
        if split is None:
            continue
        for user in range(table.shape[0]):
            own = table.user == user
            times = [
                table.timestamp[own & (split.part == part)] for part in (Subset.TRAIN, Subset.VALIDATION, Subset.TEST)
            ]
            count = own.sum()
            if protocol == "temporal":
                assert len(times[2]) == int(0.1 * count + 0.5)
            else:
                assert [len(t) for t in times] == [count - (count > 2) - (count > 1), count > 2, count > 1]
            for earlier, later in ((0, 1), (1, 2), (0, 2)):
                if len(times[earlier]) and len(times[later]):
                    assert times[earlier].max() <= times[later].min()


def test_temporal_refuses_data_without_timestamps():
    with pytest.raises(UserError, match="needs timestamps"):
        splits.split(random_ratings(), "temporal", Options())


def test_cold_leaves_users_and_movies_with_few_ratings_of_every_range():
    table = random_ratings(400, 300, 60_000)
    split = splits.split(table, "cold", Options(test_share=0.2))
    for who, n in ((table.user, 400), (table.movie, 300)):
        kept = np.bincount(who[split.is_known], minlength=n)
        for low, high in splits.FEW[:3]:
            assert ((kept >= low) & (kept <= high)).sum() >= 0.02 * n
        assert (kept > 70).sum() > 0.7 * n


def test_a_cold_user_or_movie_keeps_any_number_of_its_range(monkeypatch):
    drawn, rng = [], np.random.default_rng(0)

    class Drawing:
        random = rng.random

        def integers(self, low, high=None, size=None):
            if size is None:
                drawn.append(set(zip(low.tolist(), high.tolist(), strict=True)))
            return rng.integers(low, high, size)

    monkeypatch.setattr(splits, "fixed", lambda *_: None)
    splits.cold(random_ratings(), Options(), Drawing())
    assert drawn == [{(low, high + 1) for low, high in splits.FEW}] * 2  # numpy's ends are not drawn


@pytest.mark.parametrize("protocol", ["strong", "strong-ratings"])
@given(seed=st.integers(0, 20), n=st.integers(200, 1000))
@settings(max_examples=25, deadline=None)
def test_strong_holds_out_users_as_liang_et_al_do(protocol, seed, n):
    table = random_ratings(60, 25, n, seed=seed)
    split = split_or_none(table, protocol, seed=seed, held_out=4)
    if split is None:
        return
    stars, liked = table.matrix().toarray(), table.matrix().toarray() > 3.5
    train, given_, hidden = split.train.toarray(), split.test.given.toarray(), split.test.hidden.toarray()
    eligible = set(np.flatnonzero(liked.sum(axis=1) >= 5))
    judged = {p: set(table.user[split.part == p]) for p in Subset}
    assert not judged[Subset.TEST] & judged[Subset.VALIDATION]
    assert not (judged[Subset.TEST] | judged[Subset.VALIDATION]) & judged[Subset.TRAIN]
    assert len(eligible - judged[Subset.TRAIN]) == 8
    np.testing.assert_array_equal(split.refit.toarray(), train)  # of users held out nothing is trained on
    vocabulary = (liked & (train > 0)).any(axis=0)
    np.testing.assert_array_equal(split.test.candidates, vocabulary)
    for user in eligible - judged[Subset.TRAIN]:
        usable = (liked[user] & vocabulary).sum()
        n_hidden = max((hidden[user] > 0).sum(), (split.validation.hidden.toarray()[user] > 0).sum())
        assert n_hidden == (usable // 5 if usable >= 5 else 0)
    for user in judged[Subset.TEST]:
        shown = liked[user] & vocabulary & (hidden[user] == 0)
        if protocol == "strong-ratings":
            shown |= (stars[user] > 0) & ~liked[user]
        np.testing.assert_array_equal(given_[user] > 0, shown)
    expected = liked if protocol == "strong" else stars > 0
    for user in eligible & judged[Subset.TRAIN]:
        np.testing.assert_array_equal(train[user] > 0, expected[user])
    assert judged[Subset.TRAIN] <= eligible


def test_the_two_strong_protocols_hide_the_same_likes():
    table = random_ratings(60, 25, 800)
    one, two = (splits.split(table, protocol, Options()).part for protocol in ("strong", "strong-ratings"))
    np.testing.assert_array_equal(one == Subset.TEST, two == Subset.TEST)
    np.testing.assert_array_equal(one == Subset.VALIDATION, two == Subset.VALIDATION)


def test_strong_refuses_data_with_too_few_likers():
    with pytest.raises(UserError, match="too few to hold out"):
        splits.split(random_ratings(5, 9, 40), "strong", Options(held_out=3))


def test_joining_a_test_table_keeps_every_rating_once_and_finds_its_place(tmp_path):
    table = replace(random_ratings(20, 15, 120), timestamp=np.arange(120) * 60)
    keep, part = slice(0, 90), slice(60, 120)  # 30 ratings are in both

    def piece(rows):
        users, movies = np.unique(table.user[rows]), np.unique(table.movie[rows])
        return replace(
            table, user=np.searchsorted(users, table.user[rows]), movie=np.searchsorted(movies, table.movie[rows]),
            rating=table.rating[rows].copy(), user_ids=table.user_ids[users], movie_ids=table.movie_ids[movies],
            timestamp=table.timestamp[rows],
        )  # fmt: skip

    joined, place = test_file.join(piece(keep), piece(part), "test.csv")
    cells = {
        (joined.user_ids[u], joined.movie_ids[m]): r
        for u, m, r in zip(joined.user, joined.movie, joined.rating, strict=True)
    }
    assert cells == {
        (table.user_ids[u], table.movie_ids[m]): r
        for u, m, r in zip(table.user, table.movie, table.rating, strict=True)
    }
    assert len(joined) == 120
    assert test_file.join(replace(piece(keep), threshold=2.5), piece(part), "test.csv")[0].like == 2.5
    np.testing.assert_array_equal(joined.rating[place], table.rating[part])
    np.testing.assert_array_equal(joined.timestamp, table.timestamp)
    np.testing.assert_array_equal(joined.user_ids[joined.user[place]], table.user_ids[table.user[part]])
    wrong = piece(part)
    wrong.rating[3] = 5.5 - wrong.rating[3]
    user, movie = table.user_ids[table.user[part][3]], table.movie_ids[table.movie[part][3]]
    stars = f"{wrong.rating[3]:g} stars here and {5.5 - wrong.rating[3]:g} in the data"
    with pytest.raises(UserError, match=rf"test\.csv: user {user}'s rating of movie {movie} is {stars}"):
        test_file.join(piece(keep), wrong, "test.csv")


@pytest.mark.parametrize("protocol", ["random", "strong", "strong-ratings"])
def test_only_users_who_are_trained_on_vouch_as_neighbours(protocol):
    table = random_ratings(60, 30, 900)
    split = splits.split(table, protocol, Options())
    trained = {
        user for user, part in zip(table.user.tolist(), split.part.tolist(), strict=True) if part == Subset.TRAIN
    }
    assert split.trained_users.tolist() == sorted(trained)
    known = set(table.user[split.is_known].tolist())
    assert (trained < known) == (protocol != "random")


def test_the_validation_share_is_of_what_the_test_leaves():
    table = random_ratings(1, 60, 30)
    table = replace(table, timestamp=np.arange(30, dtype=np.int64))
    part = splits.split(table, "temporal", splits.Options(test_share=0.1, validation_share=0.05)).part
    assert np.flatnonzero(part == Subset.TEST).tolist() == [27, 28, 29]
    assert np.flatnonzero(part == Subset.VALIDATION).tolist() == [26]  # 5% of 27, where 5% of 30 would be two


def test_a_tenth_of_those_with_five_likes_is_held_out_and_what_is_left_out_is_said():
    user, movie = np.divmod(np.arange(100 * 12), 12)
    table = replace(
        random_ratings(), user=user.astype(np.int32), movie=movie.astype(np.int32),
        rating=np.where((movie + user) % 12 < np.where(user < 60, 8, 2), 5, 2).astype(np.float32),
        user_ids=np.arange(100), movie_ids=np.arange(12),
    )  # fmt: skip
    split = splits.split(table, "strong", Options())
    assert [len(set(user[split.part == part])) for part in (Subset.TEST, Subset.VALIDATION)] == [6, 6]
    assert split.notes[0] == "6 users held out for validation and 6 others for the test"
    unused = 60 * 4 + 40 * 12
    few = f"{unused:,} ratings are not used: they are 3.5 stars or lower, or are of users with fewer than five likes"
    assert split.notes[1:] == [few]
    own = np.flatnonzero(split.part == Subset.TEST)[0]  # a movie that of all users only one held out for the test likes
    rating = np.where((movie == movie[own]) & (user != user[own]), 2, table.rating).astype(np.float32)
    split = splits.split(replace(table, rating=rating), "strong-ratings", Options())
    outside = (split.part == Subset.LEFT_OUT) & (rating == 5) & (movie == movie[own])
    assert outside.sum() == 1
    dropped = (
        "1 of their likes left out before a fifth is hidden, 1 of them of test users: no training user likes those"
    )
    assert split.notes[1].startswith(dropped)
    left_out = np.count_nonzero(split.part == Subset.LEFT_OUT) - 1
    assert split.notes[2].startswith(f"{left_out:,} ratings are not used: they are of users with fewer")


def test_what_the_test_is_does_not_depend_on_what_is_validation_but_on_what_is_given_beside_it():
    table = random_ratings(3, 9, 20)
    part = np.zeros(20, np.int8)
    user = table.user[np.argmax(np.bincount(table.user)[table.user])]  # the one with most ratings
    its, others = np.flatnonzero(table.user == user), np.flatnonzero(table.user != user)
    part[its[0]] = Subset.TEST

    def fingerprint(**labels):
        labelled = part.copy()
        for name, where in labels.items():
            labelled[where] = Subset[name]
        return splits.Split(table, labelled).test_fingerprint()

    same = [fingerprint(VALIDATION=its[1]), fingerprint(GIVEN=its[1:3]), fingerprint(LEFT_OUT=others)]
    assert {*same, fingerprint()} == {fingerprint()}
    assert fingerprint() not in (fingerprint(LEFT_OUT=its[1]), fingerprint(TEST=its[:2]), fingerprint(TEST=others[:1]))
