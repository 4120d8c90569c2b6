"""Split ratings into training, validation and test. Each protocol is a function that labels each rating with one part,
so that the parts can't overlap, and a run folder records a split as one small array."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import LIKE, Indices, Mask, Ratings, pair_order
from utils.errors import UserError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Labels: TypeAlias = NDArray[np.int8]  # one `Subset` a rating


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

    candidates: movies that are ranked, (n_movies,); all where None. like: stars above which a rating is a like."""

    given: csr_array
    hidden: csr_array
    candidates: Mask | None = None
    like: float = LIKE


@dataclass(frozen=True)
class Split:
    """The rating table with the part of each rating, and the matrices that follow from it.

    notes: sentences for the user about what the protocol did."""

    ratings: Ratings
    part: Labels
    notes: list[str] = field(default_factory=list)

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the ratings and their parts, in whatever order they are."""
        part = self.part[self.ratings.order()]
        return hashlib.sha256(self.ratings.fingerprint().encode() + part.tobytes()).hexdigest()

    def test_fingerprint(self) -> str:
        """Return the sha256 (hex) of the test ratings and the known ratings of the test users: the same for splits
        that differ only in what is validation."""
        test = self.part == Subset.TEST
        given = self.is_known & np.isin(self.ratings.user, self.ratings.user[test])
        prints = [self.ratings.only(mask).fingerprint() for mask in (test, given)]
        return hashlib.sha256("".join(prints).encode()).hexdigest()

    def _matrix(self, *parts: Subset) -> csr_array:
        return self.ratings.matrix(np.isin(self.part, parts))

    @property
    def holds_users_out(self) -> bool:
        """Whether the test users are held out of training altogether (strong generalization)."""
        return bool((self.part == Subset.GIVEN).any())

    @property
    def train(self) -> csr_array:
        """Return the training ratings, on which models are fitted while epochs and options are chosen."""
        return self._matrix(Subset.TRAIN)

    @property
    def refit(self) -> csr_array:
        """Return the ratings on which the final model is fitted: training and validation, but training alone where
        validation users are held out (as Liang et al. 2018 do)."""
        return self.train if self.holds_users_out else self._matrix(Subset.TRAIN, Subset.VALIDATION)

    @property
    def is_known(self) -> Mask:
        """Return the mask (n_ratings,) of all ratings but the test."""
        return np.isin(self.part, KNOWN)

    @property
    def known_count(self) -> NDArray[np.intp]:
        """Return the number of known ratings of each movie, (n_movies,)."""
        return np.bincount(self.ratings.movie[self.is_known], minlength=self.ratings.shape[1])

    @property
    def known(self) -> csr_array:
        """Return all ratings but the test: those that recommendations may use."""
        return self._matrix(*KNOWN)

    @property
    def candidates(self) -> Mask | None:
        """Return the mask (n_movies,) of the movies that are ranked: those that training users like, where users are
        held out; None, for all, otherwise."""
        if not self.holds_users_out:
            return None
        liked = (self.part == Subset.TRAIN) & (self.ratings.rating > self.ratings.like)
        return np.bincount(self.ratings.movie[liked], minlength=self.ratings.shape[1]) > 0

    @property
    def trained_users(self) -> NDArray[np.int32]:
        """Return the indices of the training users, who can be neighbours of others."""
        count = np.bincount(self.ratings.user[self.part == Subset.TRAIN], minlength=self.ratings.shape[0])
        return np.flatnonzero(count).astype(np.int32)

    @property
    def validation(self) -> Holdout:
        """Return the holdout on which epochs, options and strategies are chosen."""
        given, hidden = self._matrix(Subset.TRAIN, Subset.GIVEN), self._matrix(Subset.VALIDATION)
        return Holdout(given, hidden, self.candidates, self.ratings.like)

    @cached_property
    def test(self) -> Holdout:
        """Return the holdout of the one final evaluation. Validation ratings are given: by then they are known."""
        return Holdout(self.known, self._matrix(Subset.TEST), self.candidates, self.ratings.like)


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


def fixed(ratings: Ratings, options: Options, rng: np.random.Generator, test: Indices | Mask) -> Labels:
    """Take the ratings `test` (those of the file --test, or of a published fold) as the test, and draw the validation
    share from the others."""
    part = np.zeros(len(ratings), np.int8)
    part[test] = Subset.TEST
    rest = np.flatnonzero(part == Subset.TRAIN)
    part[rng.permutation(rest)[: round(options.validation_share * len(rest))]] = Subset.VALIDATION
    return part


def random(ratings: Ratings, options: Options, rng: np.random.Generator) -> Labels:
    """Draw a share of all ratings as the test, without regard to user or movie."""
    return fixed(ratings, options, rng, rng.permutation(len(ratings))[: round(options.test_share * len(ratings))])


def train_on_all(ratings: Ratings, options: Options, rng: np.random.Generator) -> Labels:
    """Hold out no test (protocol `all`): only a validation share, which chooses the epochs. For use, not evaluation."""
    return fixed(ratings, options, rng, np.array([], int))


def temporal(ratings: Ratings, options: Options, rng: np.random.Generator) -> Labels:
    """Take each user's latest share of ratings as the test, the latest of the others as validation; a user whose share
    is less than half a rating has no test. Equal times are put in a random order."""
    if ratings.timestamp is None:
        raise UserError("protocol temporal needs timestamps, and this data has none (or the same everywhere)")
    n_later = _count_later(ratings, rng)
    count = np.bincount(ratings.user, minlength=ratings.shape[0])
    n_test = np.floor(options.test_share * count + 0.5).astype(int)
    n_validation = np.floor(options.validation_share * (count - n_test) + 0.5).astype(int)
    part = np.zeros(len(ratings), np.int8)
    part[n_later < (n_test + n_validation)[ratings.user]] = Subset.VALIDATION
    part[n_later < n_test[ratings.user]] = Subset.TEST
    return part


def leave_one_out(ratings: Ratings, options: Options, rng: np.random.Generator) -> Labels:
    """Take each user's latest rating as the test and the one before it as validation, as long as one remains to train
    on; in a random order where there are no timestamps."""
    n_later = _count_later(ratings, rng)
    count = np.bincount(ratings.user)[ratings.user]
    part = np.zeros(len(ratings), np.int8)
    part[(n_later == 1) & (count >= 3)] = Subset.VALIDATION
    part[(n_later == 0) & (count >= 2)] = Subset.TEST
    return part


FEW = ((0, 0), (1, 4), (5, 19), (20, 99))  # ratings that a cold user or movie keeps: lowest and highest number


def cold(ratings: Ratings, options: Options, rng: np.random.Generator) -> Labels:
    """Split as `random` does, and make the same share of users and of movies cold: each keeps a number of ratings drawn
    from one of the ranges of FEW, and its other ratings are test, too."""
    test = rng.random(len(ratings)) < options.test_share
    for rated, n in ((ratings.user, ratings.shape[0]), (ratings.movie, ratings.shape[1])):
        low, high = np.array(FEW)[rng.integers(len(FEW), size=n)].T
        n_kept = np.where(rng.random(n) < options.test_share, rng.integers(low, high + 1), len(ratings))
        test |= _rank_within(rated, rng.random(len(ratings))) >= n_kept[rated]
    return fixed(ratings, options, rng, test)


def _count_later(ratings: Ratings, rng: np.random.Generator) -> NDArray[np.int32]:
    """Count, for each rating, the same user's later ratings; equal times are put in a random order."""
    times = () if ratings.timestamp is None else (-ratings.timestamp,)
    return _rank_within(ratings.user, rng.random(len(ratings)), *times)


def _rank_within(user: Indices, *keys: NDArray[Any]) -> NDArray[np.int32]:
    """Return the rank (from 0) of each entry among those of the same user (or movie), sorted by the last key, then by
    the one before."""
    order = pair_order(user, np.arange(len(user), dtype=np.int32))
    keys = tuple(key[order] for key in keys)
    rank, start = np.empty(len(user), np.int32), 0
    for end in np.cumsum(np.bincount(user)).tolist():  # a sort of all at once takes four times as long
        rows, start = slice(start, end), end
        rank[order[rows][np.lexsort([key[rows] for key in keys])]] = np.arange(len(order[rows]))
    return rank


def strong(ratings: Ratings, options: Options, rng: np.random.Generator, low: Subset) -> tuple[Labels, list[str]]:
    """Hold users out (Liang et al. 2018): only likes, of users with at least five; only movies that training users
    like. Of each held-out user's likes a fifth, rounded down, is hidden and the rest given.

    low: what becomes of ratings that are not likes. LEFT_OUT: not used (protocol `strong`). GIVEN: those of training
    users are trained on, those of held-out users given, so that these movies are not ranked (`strong-ratings`)."""
    liked = ratings.rating > ratings.like
    usable = np.flatnonzero(np.bincount(ratings.user[liked]) >= 5)
    size = options.held_out or max(len(usable) // 10, 1)
    if 2 * size >= len(usable):
        smaller = ", or a smaller --held-out" if size > 1 else ""
        raise UserError(
            f"{len(usable):,} users have five likes (ratings above {ratings.like:g}): too few to hold out {size:,} for "
            f"validation and as many for the test; a lower --like may do{smaller}"
        )
    shuffled = rng.permutation(usable)
    role = np.full(ratings.shape[0], Subset.LEFT_OUT, np.int8)
    role[usable] = Subset.TRAIN
    role[shuffled[:size]], role[shuffled[size : 2 * size]] = Subset.VALIDATION, Subset.TEST
    role = role[ratings.user]
    is_held_out = np.isin(role, (Subset.VALIDATION, Subset.TEST))

    part = np.where(liked, role, Subset.LEFT_OUT).astype(np.int8)
    vocabulary = np.bincount(ratings.movie[part == Subset.TRAIN], minlength=ratings.shape[1]) > 0
    outside = liked & is_held_out & ~vocabulary[ratings.movie]
    part[outside] = Subset.LEFT_OUT
    likes = np.flatnonzero(liked & is_held_out & ~outside)
    user = ratings.user[likes]
    n_hidden = np.bincount(user)[user] // 5
    part[likes[_rank_within(user, rng.random(len(likes))) >= n_hidden]] = Subset.GIVEN
    if low == Subset.GIVEN:
        part[~liked & (role == Subset.TRAIN)] = Subset.TRAIN
        part[~liked & is_held_out] = Subset.GIVEN
    low_stars = "" if low == Subset.GIVEN else f"are {ratings.like:g} stars or lower, or "
    return part, _strong_notes(size, part, outside, role, low_stars)


def _strong_notes(size: int, part: Labels, outside: Mask, role: Labels, low_stars: str) -> list[str]:
    """Say what `strong` held out and left out. outside: mask of the likes of movies that no training user likes."""
    notes = [f"{size:,} users held out for validation and {size:,} others for the test"]
    dropped = np.count_nonzero(outside)
    unused = np.count_nonzero(part == Subset.LEFT_OUT) - dropped
    if dropped:
        of_test = np.count_nonzero(outside & (role == Subset.TEST))
        notes.append(
            f"{dropped:,} of their likes left out before a fifth is hidden, {of_test:,} of them of test users: no "
            "training user likes those movies"
        )
    if unused:
        notes.append(f"{unused:,} ratings are not used: they {low_stars}are of users with fewer than five likes")
    return notes


FOLDS = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")  # published with ml-100k; `utils.data.test_file` reads them
PROTOCOLS: dict[str, Callable[..., Labels | tuple[Labels, list[str]]]] = {
    "random": random,
    "temporal": temporal,
    "cold": cold,
    "leave-one-out": leave_one_out,
    "strong": partial(strong, low=Subset.LEFT_OUT),
    "strong-ratings": partial(strong, low=Subset.GIVEN),
    "fixed": fixed,
    "all": train_on_all,
    **dict.fromkeys(FOLDS, fixed),
}


def split(ratings: Ratings, protocol: str, options: Options, test: Indices | None = None) -> Split:
    """Split the ratings by the protocol of that name. test: indices of the test ratings, for the protocols that take
    them from a file."""
    rng = np.random.default_rng(options.seed)
    labels = PROTOCOLS[protocol](ratings, options, rng) if test is None else fixed(ratings, options, rng, test)
    part, notes = labels if isinstance(labels, tuple) else (labels, [])
    if not (part == Subset.TRAIN).any():
        raise UserError(f"protocol {protocol} leaves nothing to train on: every rating is held out")
    return Split(ratings, part, notes)
