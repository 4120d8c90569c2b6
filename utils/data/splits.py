"""Split ratings into training, validation and test. Each protocol is a function that labels each rating with one part,
so that the parts can't overlap, and a run folder records a split as one small array."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import LIKE, Ratings
from utils.errors import UserError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Labels = NDArray[np.int8]
"""One `Subset` a rating."""


class Subset(IntEnum):
    """What a rating is used for."""

    TRAIN = 0
    VALIDATION = 1  # hidden while options and epochs are chosen; after that a model may learn from it
    TEST = 2  # hidden from everything until the one evaluation
    GIVEN = 3  # of a held-out user: shown to the model when it recommends, never trained on
    LEFT_OUT = 4  # the protocol does not use it


KNOWN = (Subset.TRAIN, Subset.VALIDATION, Subset.GIVEN)  # everything but the test


@dataclass(frozen=True)
class Holdout:
    """Two CSR matrices, users x movies: the model sees the ratings `given` and is evaluated on those `hidden`.

    candidates: mask (n_movies,) of the movies that are ranked; all where None. like: stars above which a rating is a
    like."""

    given: "csr_array"
    hidden: "csr_array"
    candidates: NDArray[np.bool_] | None = None
    like: float = LIKE


@dataclass(frozen=True)
class Split:
    """The rating table with the part of each rating, and the matrices that follow from it.

    notes: sentences for the user about what the protocol did."""

    ratings: Ratings
    part: Labels
    notes: list[str] = field(default_factory=list)

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the ratings, their order and their parts."""
        return hashlib.sha256(self.ratings.fingerprint().encode() + self.part.tobytes()).hexdigest()

    def test_fingerprint(self) -> str:
        """Return the sha256 (hex) of the test ratings and the given ratings of the test users: the same for splits that
        differ only in what is validation."""
        judged = self.part == Subset.TEST
        shown = self.is_known & np.isin(self.ratings.user, self.ratings.user[judged])
        prints = [self.ratings.only(where).fingerprint() for where in (judged, shown)]
        return hashlib.sha256("".join(prints).encode()).hexdigest()

    def _matrix(self, *parts: Subset) -> "csr_array":
        return self.ratings.matrix(np.isin(self.part, parts))

    def _holdout(self, given: "csr_array", hidden: Subset) -> Holdout:
        return Holdout(given, self._matrix(hidden), self.candidates, self.ratings.like)

    @property
    def holds_users_out(self) -> bool:
        """Whether the test users are held out of training altogether (strong generalization)."""
        return bool((self.part == Subset.GIVEN).any())

    @property
    def train(self) -> "csr_array":
        """Return the training ratings, on which models are fitted while epochs and options are chosen."""
        return self._matrix(Subset.TRAIN)

    @property
    def refit(self) -> "csr_array":
        """Return the ratings on which the final model is fitted: training and validation together, but training alone
        where validation users are held out (as Liang et al. 2018 do)."""
        return self.train if self.holds_users_out else self._matrix(Subset.TRAIN, Subset.VALIDATION)

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Return the mask (n_ratings,) of all ratings but the test."""
        return np.isin(self.part, KNOWN)

    @property
    def known(self) -> "csr_array":
        """Return all ratings but the test: those that recommendations may use."""
        return self._matrix(*KNOWN)

    @property
    def candidates(self) -> NDArray[np.bool_] | None:
        """Return the mask (n_movies,) of the movies that are ranked: where users are held out, the movies that training
        users like; None, for all, otherwise."""
        if not self.holds_users_out:
            return None
        liked = (self.part == Subset.TRAIN) & (self.ratings.rating > self.ratings.like)
        return np.bincount(self.ratings.movie[liked], minlength=self.ratings.shape[1]) > 0

    @property
    def trained_users(self) -> NDArray[np.int32]:
        """Return the indices of the training users, who can be neighbours of others."""
        return np.unique(self.ratings.user[self.part == Subset.TRAIN])

    @property
    def validation(self) -> Holdout:
        """Return the holdout on which epochs, options and strategies are chosen."""
        return self._holdout(self._matrix(Subset.TRAIN, Subset.GIVEN), Subset.VALIDATION)

    @cached_property
    def test(self) -> Holdout:
        """Return the holdout of the one final evaluation. Validation ratings are given: by then they are known."""
        return self._holdout(self.known, Subset.TEST)


# -- the protocols: (ratings, options, rng) -> labels, or labels and notes ---------------------------------------------


@dataclass(frozen=True)
class Options:
    """Options of the protocols."""

    seed: int = 0
    """draws the split and the starting weights"""
    test_share: float = 0.1
    """share of the ratings that is the test (random), or of each user's ratings (temporal)"""
    validation_share: float = 0.05
    """share of the remaining ratings that is validation"""
    test: Path | None = None
    """file with the test ratings (fixed)"""
    held_out: int | None = None
    """number of users held out for validation, and as many for the test (strong, strong-ratings; default: a tenth)"""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be from 0 to 2**32 - 1, got {self.seed}")
        if not 0 < self.test_share < 1 or not 0 < self.validation_share < 1:
            raise ValueError("test-share and validation-share must be above 0 and below 1")
        if self.held_out is not None and self.held_out < 1:
            raise ValueError(f"held-out must be 1 or more, got {self.held_out}")


def _with_validation(part: Labels, options: Options, rng: np.random.Generator) -> Labels:
    """Turn a random share of the TRAIN labels into VALIDATION, in place, and return `part`."""
    rest = np.flatnonzero(part == Subset.TRAIN)
    part[rng.permutation(rest)[: round(options.validation_share * len(rest))]] = Subset.VALIDATION
    return part


def random(ratings: Ratings, options: Options, rng: np.random.Generator) -> Labels:
    """Draw a share of all ratings as the test, without regard to user or movie."""
    part = np.zeros(len(ratings), np.int8)
    part[rng.permutation(len(ratings))[: round(options.test_share * len(ratings))]] = Subset.TEST
    return _with_validation(part, options, rng)


def train_on_all(ratings: Ratings, options: Options, rng: np.random.Generator) -> Labels:
    """Hold out no test (protocol `all`): only a validation share, which chooses the epochs. For use, not evaluation."""
    return _with_validation(np.zeros(len(ratings), np.int8), options, rng)


def fixed(ratings: Ratings, options: Options, rng: np.random.Generator, test: NDArray[np.integer]) -> Labels:
    """Take the ratings at the indices `test` as the test: those of the file --test, or of a published fold."""
    part = np.zeros(len(ratings), np.int8)
    part[test] = Subset.TEST
    return _with_validation(part, options, rng)


def temporal(ratings: Ratings, options: Options, rng: np.random.Generator) -> Labels:
    """Take each user's latest share of ratings as the test, the latest of the others as validation; a user whose share
    is less than half a rating has no test. Equal times are put in a random order."""
    age = _from_the_end(ratings, rng, needs_time="temporal")
    count = np.bincount(ratings.user, minlength=ratings.shape[0])
    n_test = np.floor(options.test_share * count + 0.5).astype(int)
    n_validation = np.floor(options.validation_share * (count - n_test) + 0.5).astype(int)
    part = np.zeros(len(ratings), np.int8)
    part[age < (n_test + n_validation)[ratings.user]] = Subset.VALIDATION
    part[age < n_test[ratings.user]] = Subset.TEST
    return part


FEW = ((0, 0), (1, 4), (5, 19), (20, 99))  # ratings that a cold user or movie keeps: lowest and highest number


def cold(ratings: Ratings, options: Options, rng: np.random.Generator) -> Labels:
    """Split as `random` does, and make the same share of users and of movies cold: each keeps a number of ratings drawn
    from one of the ranges of FEW, and its other ratings are test, too."""
    part = np.where(rng.random(len(ratings)) < options.test_share, Subset.TEST, Subset.TRAIN).astype(np.int8)
    for who, n in zip((ratings.user, ratings.movie), ratings.shape, strict=True):
        low, high = np.array(FEW)[rng.integers(len(FEW), size=n)].T
        kept = np.where(rng.random(n) < options.test_share, rng.integers(low, high + 1), len(ratings))
        part[_place_within(who, n, rng.random(len(ratings))) >= kept[who]] = Subset.TEST
    return _with_validation(part, options, rng)


def leave_one_out(ratings: Ratings, options: Options, rng: np.random.Generator) -> Labels:
    """Take each user's latest rating as the test and the one before it as validation, as long as one remains to train
    on; in a random order where there are no timestamps."""
    age = _from_the_end(ratings, rng)
    count = np.bincount(ratings.user, minlength=ratings.shape[0])[ratings.user]
    part = np.zeros(len(ratings), np.int8)
    part[(age == 1) & (count >= 3)] = Subset.VALIDATION
    part[(age == 0) & (count >= 2)] = Subset.TEST
    return part


def _from_the_end(ratings: Ratings, rng: np.random.Generator, needs_time: str | None = None) -> NDArray[np.int64]:
    """Count, for each rating, the same user's later ratings: 0 for a user's last one; ties are put in a random order.

    needs_time: the protocol that a UserError names where there are no timestamps."""
    if needs_time and ratings.timestamp is None:
        raise UserError(f"protocol {needs_time} needs timestamps, and this data has none (or the same everywhere)")
    times = () if ratings.timestamp is None else (-ratings.timestamp,)
    return _place_within(ratings.user, ratings.shape[0], rng.random(len(ratings)), *times)


def _place_within(user: NDArray[np.integer], n_users: int, *keys: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place (from 0) of each entry among those of the same user (or movie), sorted by the last key, then by
    the one before."""
    order = np.lexsort((*keys, user))
    count = np.bincount(user, minlength=n_users)
    place = np.empty(len(user), np.int64)
    place[order] = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
    return place


def strong(ratings: Ratings, options: Options, rng: np.random.Generator) -> tuple[Labels, list[str]]:
    """Hold users out (Liang et al. 2018): only likes, of users with at least five; only movies that training users
    like. Of each held-out user's likes a fifth, rounded down, is hidden and the rest given; all are given where fewer
    than five are left."""
    return _strong(ratings, options, rng, Subset.LEFT_OUT)


def strong_ratings(ratings: Ratings, options: Options, rng: np.random.Generator) -> tuple[Labels, list[str]]:
    """Hide the same likes as `strong`, and use all other ratings as well, the low ones too: of training users to train
    on; of held-out users they are given, so that those movies are not ranked."""
    return _strong(ratings, options, rng, Subset.GIVEN)


def _strong(ratings: Ratings, options: Options, rng: np.random.Generator, low: Subset) -> tuple[Labels, list[str]]:
    """Hold users out. low: `Subset.GIVEN` uses ratings that are no likes, `Subset.LEFT_OUT` does not."""
    n_users, n_movies = ratings.shape
    liked = ratings.rating > ratings.like
    usable = np.flatnonzero(np.bincount(ratings.user[liked], minlength=n_users) >= 5)
    size = options.held_out or max(len(usable) // 10, 1)
    if 2 * size >= len(usable):
        raise UserError(
            f"{len(usable):,} users have five likes (ratings above {ratings.like:g}): too few to hold out {size:,} for "
            "validation and as many for the test; a lower --like may do"
            + (", or a smaller --held-out" if size > 1 else "")
        )
    shuffled = rng.permutation(usable)
    role = np.full(n_users, Subset.LEFT_OUT, np.int8)
    role[usable] = Subset.TRAIN
    role[shuffled[:size]], role[shuffled[size : 2 * size]] = Subset.VALIDATION, Subset.TEST

    role_of = role[ratings.user]
    part = np.where(liked, role_of, Subset.LEFT_OUT).astype(np.int8)
    vocabulary = np.bincount(ratings.movie[part == Subset.TRAIN], minlength=n_movies) > 0
    outside = liked & np.isin(role_of, (Subset.VALIDATION, Subset.TEST)) & ~vocabulary[ratings.movie]
    part[outside] = Subset.LEFT_OUT

    # hide a fifth of each held-out user's likes: the first in a random order
    held = np.flatnonzero(np.isin(part, (Subset.VALIDATION, Subset.TEST)))
    count = np.bincount(ratings.user[held], minlength=n_users)
    place = _place_within(ratings.user[held], n_users, rng.random(len(held)))
    n_hidden = np.where(count >= 5, count // 5, 0)
    part[held[place >= n_hidden[ratings.user[held]]]] = Subset.GIVEN

    if low == Subset.GIVEN:
        part[~liked & (role_of == Subset.TRAIN)] = Subset.TRAIN
        part[~liked & np.isin(role_of, (Subset.VALIDATION, Subset.TEST))] = Subset.GIVEN
    dropped, of_test = (int(np.count_nonzero(which)) for which in (outside, outside & (role_of == Subset.TEST)))
    unused = int(np.count_nonzero(part == Subset.LEFT_OUT)) - dropped
    return part, _strong_notes(size, dropped, of_test, unused, None if low == Subset.GIVEN else ratings.like)


def _strong_notes(size: int, dropped: int, of_test: int, unused: int, like: float | None) -> list[str]:
    """Word what `_strong` held out. like: its threshold where only likes are used."""
    notes = [f"{size:,} users held out for validation and {size:,} others for the test"]
    if dropped:
        notes.append(
            f"{dropped:,} of their likes left out before a fifth is hidden, {of_test:,} of them of test users: no "
            "training user likes those movies"
        )
    if unused:
        low = "" if like is None else f"are {like:g} stars or lower, or "
        notes.append(f"{unused:,} ratings are not used: they {low}are of users with fewer than five likes")
    return notes


FOLDS = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")  # published with ml-100k; `utils.data.test_file` reads them
PROTOCOLS: dict[str, Callable[..., Labels | tuple[Labels, list[str]]]] = {
    "random": random,
    "temporal": temporal,
    "cold": cold,
    "leave-one-out": leave_one_out,
    "strong": strong,
    "strong-ratings": strong_ratings,
    "fixed": fixed,
    "all": train_on_all,
    **dict.fromkeys(FOLDS, fixed),
}


def split(ratings: Ratings, protocol: str, options: Options, test: NDArray[np.integer] | None = None) -> Split:
    """Split the ratings by the protocol of that name. test: indices of the test ratings, for the protocols that take
    them from a file."""
    rng = np.random.default_rng(options.seed)
    labels = PROTOCOLS[protocol](ratings, options, rng, *(() if test is None else (test,)))
    part, notes = labels if isinstance(labels, tuple) else (labels, [])
    if not (part == Subset.TRAIN).any():
        raise UserError(f"protocol {protocol} leaves nothing to train on: every rating is held out")
    return Split(ratings, part, notes)
