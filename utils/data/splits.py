"""Who or what is held out. Each protocol is one function from the ratings to one label a rating, so that training,
validation and test are disjoint and complete by construction, and a run folder records a split as one small array."""

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.data.ratings import LIKE, Ratings
from utils.errors import UserError

if TYPE_CHECKING:
    import scipy.sparse


class Part(IntEnum):
    """What a rating is used for."""

    TRAIN = 0
    VALIDATION = 1  # hidden while options and epochs are chosen; after that a model may learn from it
    TEST = 2  # hidden from everything until the one evaluation
    GIVEN = 3  # of a held-out user: shown to the model when it recommends, never trained on
    LEFT_OUT = 4  # the protocol does not use it


KNOWN = (Part.TRAIN, Part.VALIDATION, Part.GIVEN)  # everything but the test


@dataclass(frozen=True)
class Holdout:
    """Two CSR matrices of the users x movies shape: `given` is shown to the model, `hidden` is judged. candidates:
    bool (n_movies,), the movies that are ranked; all where None. like: stars above which a rating is a like."""

    given: "scipy.sparse.csr_array"
    hidden: "scipy.sparse.csr_array"
    candidates: np.ndarray | None = None
    like: float = LIKE


@dataclass(frozen=True)
class Split:
    """The rating table with one `Part` a rating (int8 array `part`), and the matrices that follow from it.

    notes: sentences for the user about what the protocol did."""

    ratings: Ratings
    part: np.ndarray
    notes: list = field(default_factory=list)

    def fingerprint(self):
        """sha256 (hex) of the ratings, their order and the part each belongs to."""
        return hashlib.sha256(self.ratings.fingerprint().encode() + self.part.tobytes()).hexdigest()

    def test_fingerprint(self):
        """sha256 (hex) of what is judged: the test ratings and, of the users they are of, what is given. It is the same
        for splits that differ in nothing but what is validation."""
        judged = self.part == Part.TEST
        shown = self.is_known & np.isin(self.ratings.user, self.ratings.user[judged])
        prints = [self.ratings.only(where).fingerprint() for where in (judged, shown)]
        return hashlib.sha256("".join(prints).encode()).hexdigest()

    def _matrix(self, *parts):
        return self.ratings.matrix(np.isin(self.part, parts))

    def _holdout(self, given, hidden):
        return Holdout(given, self._matrix(hidden), self.candidates, self.ratings.like)

    @property
    def holds_users_out(self):
        """Whether held-out users are judged, of whom nothing was trained on (strong generalization)."""
        return bool((self.part == Part.GIVEN).any())

    @property
    def train(self):
        """What a model is fitted on while anything is still being chosen."""
        return self._matrix(Part.TRAIN)

    @property
    def refit(self):
        """What the final model is fitted on once everything is chosen: training and validation ratings together, but
        the training ratings alone where validation users are other people (as Liang et al. 2018 do)."""
        return self.train if self.holds_users_out else self._matrix(Part.TRAIN, Part.VALIDATION)

    @property
    def is_known(self):
        """Bool, one a rating: everything but the test."""
        return np.isin(self.part, KNOWN)

    @property
    def known(self):
        """Everything but the test: what may be built on when recommending."""
        return self._matrix(*KNOWN)

    @property
    def candidates(self):
        """Movies that are ranked, None for all: those that training users like where users are held out."""
        if not self.holds_users_out:
            return None
        liked = (self.part == Part.TRAIN) & (self.ratings.rating > self.ratings.like)
        return np.bincount(self.ratings.movie[liked], minlength=self.ratings.shape[1]) > 0

    @property
    def trained_users(self):
        """Indices of the users who are trained on: the ones who can vouch for others as neighbours."""
        return np.unique(self.ratings.user[self.part == Part.TRAIN])

    @property
    def validation(self):
        """The hold-out that chooses epochs, options and methods."""
        return self._holdout(self._matrix(Part.TRAIN, Part.GIVEN), Part.VALIDATION)

    @cached_property
    def test(self):
        """The hold-out that is read once. Validation ratings are given: by then they are known like any other."""
        return self._holdout(self.known, Part.TEST)


# -- the protocols: (ratings, options, rng) -> int8 labels, or labels and notes ----------------------------------------


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

    def __post_init__(self):
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be from 0 to 2**32 - 1, got {self.seed}")
        if not 0 < self.test_share < 1 or not 0 < self.validation_share < 1:
            raise ValueError("test-share and validation-share must be above 0 and below 1")
        if self.held_out is not None and self.held_out < 1:
            raise ValueError(f"held-out must be 1 or more, got {self.held_out}")


def _with_validation(part, options, rng):
    """Turn a random share of the TRAIN labels into VALIDATION, in place; returns `part`."""
    rest = np.flatnonzero(part == Part.TRAIN)
    part[rng.permutation(rest)[: round(options.validation_share * len(rest))]] = Part.VALIDATION
    return part


def random(ratings, options, rng):
    """A share of all ratings is the test, drawn without regard to user or movie."""
    part = np.zeros(len(ratings), np.int8)
    part[rng.permutation(len(ratings))[: round(options.test_share * len(ratings))]] = Part.TEST
    return _with_validation(part, options, rng)


def train_on_all(ratings, options, rng):
    """Protocol `all`: no test; a validation slice chooses the epochs. For using, not for measuring."""
    return _with_validation(np.zeros(len(ratings), np.int8), options, rng)


def fixed(ratings, options, rng, test):
    """The ratings at the indices `test` are the test: those of the file --test, or of a published fold."""
    part = np.zeros(len(ratings), np.int8)
    part[test] = Part.TEST
    return _with_validation(part, options, rng)


def temporal(ratings, options, rng):
    """Each user's latest share of ratings is the test, the latest of what remains validation; a user with too few for
    half a rating of test has none. Equal times are put in a random order."""
    age = _from_the_end(ratings, rng, needs_time="temporal")
    count = np.bincount(ratings.user, minlength=ratings.shape[0])
    n_test = np.floor(options.test_share * count + 0.5).astype(int)
    n_validation = np.floor(options.validation_share * (count - n_test) + 0.5).astype(int)
    part = np.zeros(len(ratings), np.int8)
    part[age < (n_test + n_validation)[ratings.user]] = Part.VALIDATION
    part[age < n_test[ratings.user]] = Part.TEST
    return part


FEW = ((0, 0), (1, 4), (5, 19), (20, 99))  # ratings that a cold user or movie keeps: from, to


def cold(ratings, options, rng):
    """As `random`, and beside it a share of the users and of the movies as large as the test's keeps few ratings, drawn
    from one of the ranges of FEW: all others of theirs are test, too."""
    part = np.where(rng.random(len(ratings)) < options.test_share, Part.TEST, Part.TRAIN).astype(np.int8)
    for who, n in zip((ratings.user, ratings.movie), ratings.shape, strict=True):
        low, high = np.array(FEW)[rng.integers(len(FEW), size=n)].T
        kept = np.where(rng.random(n) < options.test_share, rng.integers(low, high + 1), len(ratings))
        part[_place_within(who, n, rng.random(len(ratings))) >= kept[who]] = Part.TEST
    return _with_validation(part, options, rng)


def leave_one_out(ratings, options, rng):
    """Each user's latest rating is the test and the one before it validation, as long as one remains to train on; a
    random order stands in where there are no timestamps."""
    age = _from_the_end(ratings, rng)
    count = np.bincount(ratings.user, minlength=ratings.shape[0])[ratings.user]
    part = np.zeros(len(ratings), np.int8)
    part[(age == 1) & (count >= 3)] = Part.VALIDATION
    part[(age == 0) & (count >= 2)] = Part.TEST
    return part


def _from_the_end(ratings, rng, needs_time=None):
    """How many of the same user's ratings are later: 0 for a user's last one; ties are put in a random order."""
    if needs_time and ratings.timestamp is None:
        raise UserError(f"protocol {needs_time} needs timestamps, and this data has none (or the same everywhere)")
    times = () if ratings.timestamp is None else (-ratings.timestamp,)
    return _place_within(ratings.user, ratings.shape[0], rng.random(len(ratings)), *times)


def _place_within(user, n_users, *keys):
    """Place (from 0) of each entry among those of the same user (or movie), sorted by the last key, then by the one
    before."""
    order = np.lexsort((*keys, user))
    count = np.bincount(user, minlength=n_users)
    place = np.empty(len(user), np.int64)
    place[order] = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
    return place


def strong(ratings, options, rng):
    """Held-out users (Liang et al. 2018): only likes, of users with at least five; the movies are those the training
    users like. Of each held-out user a fifth of the likes, rounded down, is hidden and the rest given; one with fewer
    than five such movies has all given."""
    return _strong(ratings, options, rng, Part.LEFT_OUT)


def strong_ratings(ratings, options, rng):
    """As `strong`, with the same likes hidden; but all other ratings are used as well, the low ones too: of training
    users to train on, of held-out users given, which makes those movies no candidates."""
    return _strong(ratings, options, rng, Part.GIVEN)


def _strong(ratings, options, rng, low):
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
    role = np.full(n_users, Part.LEFT_OUT, np.int8)
    role[usable] = Part.TRAIN
    role[shuffled[:size]], role[shuffled[size : 2 * size]] = Part.VALIDATION, Part.TEST

    role_of = role[ratings.user]
    part = np.where(liked, role_of, Part.LEFT_OUT).astype(np.int8)
    vocabulary = np.bincount(ratings.movie[part == Part.TRAIN], minlength=n_movies) > 0
    outside = liked & np.isin(role_of, (Part.VALIDATION, Part.TEST)) & ~vocabulary[ratings.movie]
    part[outside] = Part.LEFT_OUT

    # hide a fifth of each held-out user's likes: the first ones in a random order of each user's own
    held = np.flatnonzero(np.isin(part, (Part.VALIDATION, Part.TEST)))
    count = np.bincount(ratings.user[held], minlength=n_users)
    place = _place_within(ratings.user[held], n_users, rng.random(len(held)))
    n_hidden = np.where(count >= 5, count // 5, 0)
    part[held[place >= n_hidden[ratings.user[held]]]] = Part.GIVEN

    if low == Part.GIVEN:
        part[~liked & (role_of == Part.TRAIN)] = Part.TRAIN
        part[~liked & np.isin(role_of, (Part.VALIDATION, Part.TEST))] = Part.GIVEN
    notes = [f"{size:,} users held out for validation and {size:,} others for the test"]
    if dropped := int(np.count_nonzero(outside)):
        test = int(np.count_nonzero(outside & (role_of == Part.TEST)))
        notes.append(
            f"{dropped:,} of their likes left out before a fifth is hidden, {test:,} of them of test users: no "
            "training user likes those movies"
        )
    if others := int(np.count_nonzero(part == Part.LEFT_OUT)) - dropped:
        low = "" if low == Part.GIVEN else f"are {ratings.like:g} stars or lower, or "
        notes.append(f"{others:,} ratings are not used: they {low}are of users with fewer than five likes")
    return part, notes


FOLDS = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")  # published with ml-100k; `utils.data.test_file` reads them
PROTOCOLS = {
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


def split(ratings, protocol, options, test=None):
    """The `Split` of a rating table by the protocol of that name. test: indices of the test ratings, for the protocols
    that take them from a file."""
    rng = np.random.default_rng(options.seed)
    found = PROTOCOLS[protocol](ratings, options, rng, *(() if test is None else (test,)))
    part, notes = found if isinstance(found, tuple) else (found, [])
    if not (part == Part.TRAIN).any():
        raise UserError(f"protocol {protocol} leaves nothing to train on: every rating is held out")
    return Split(ratings, part, notes)
