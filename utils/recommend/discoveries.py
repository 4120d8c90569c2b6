"""Discoveries: movies with few ratings that suit a person more than most people, in the last places of a list.

Scores alone name the same few movies to many people. A discovery is a movie whose score is high for this person, and
above all higher than for others. How many of ten places are theirs is chosen on validation, so that lists lose little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.data.splits import Split
from utils.evaluation.holdout_metrics import Arrange, arranged_lists, judged_users, of_lists
from utils.recommend import strategies
from utils.scoring.protocols import CSR, Floats, Indices, Pick, ScoreFunction, TrainableModel
from utils.scoring.ranking import top_k

RATED = range(3, 100)  # known ratings of a discovery: with fewer its score is chance, and with more it is well known
ABOVE = 2.0  # weight of how far a score is above the movie's mean, beside the score; both in standard deviations
SAME = 1e-3  # of the largest deviation of a movie's scores: with less, all people have the same score
USERS = 200  # whose scores say what is typical of a movie
TEN, MOST = 10, 3  # places of a list, and how many of them discoveries have by default at most
LOSS = 0.0075  # share of NDCG@100 that they may cost on validation: under a hundredth on other users, too
LEAST = 100  # users with lists on validation; fewer can't tell so small a loss


@dataclass(frozen=True)
class Typical:
    """What is typical of each movie, (n_movies,): mean and standard deviation of its scores over some users, and its
    number of known ratings."""

    mean: Floats
    deviation: Floats
    count: Indices

    @classmethod
    def of(cls, score: ScoreFunction, known: CSR, users: Indices, count: Indices) -> Typical:
        """Compute mean and deviation over `USERS` of these users, evenly spread, with these known ratings."""
        users = strategies.spread(users, USERS)
        scores = score(known[users], users)
        return cls(scores.mean(axis=0), scores.std(axis=0), count)

    @cached_property
    def can(self) -> NDArray[np.bool_]:
        """Which movies can be discoveries, (n_movies,)."""
        return np.isin(self.count, RATED) & (self.deviation > SAME * self.deviation.max(initial=0.0))

    @cached_property
    def unit(self) -> np.floating | float:
        """Mean deviation of the movies that can be discoveries, in which scores count."""
        return self.deviation[self.can].mean() if self.can.any() else 1.0

    def suits(self, scores: Floats, movies: Pick) -> Floats:
        """Tell how well these movies suit each person as discoveries: the scores, (n, len(movies)), plus `ABOVE` times
        how far they are above the mean in standard deviations of the movie. -inf for what can't be one, what suits most
        people as well, and for a person whose scores are all the same."""
        suits = np.full(scores.shape, -np.inf, np.float32)
        at = np.flatnonzero(self.can[movies])
        some, mean, deviation = scores[:, at], self.mean[movies][at], self.deviation[movies][at]
        above = some - mean
        suits[:, at] = np.where(above > 0, ABOVE * above / deviation + some / self.unit, -np.inf)
        lowest = scores.min(axis=1, initial=np.inf, where=scores > -np.inf)
        suits[lowest >= scores.max(axis=1, initial=-np.inf)] = -np.inf
        return suits


def counted(places: int) -> str:
    """Write a number of discoveries."""
    return f"{places} discover{'ies' if places > 1 else 'y'}"


def discover(top: NDArray[np.intp], suits: NDArray, n: int, places: int) -> tuple[NDArray[np.intp], int]:
    """Give the last places of a list of `n` to those that suit a person best and are not above: (positions, how many
    of the last are such). top: positions of the list, best first. suits: (m,), of all that may be listed, -inf for
    what is no discovery."""
    above = top[: max(n - places, 0)]
    suits = suits.copy()
    suits[above] = -np.inf
    found = top_k(suits[None], min(n, places))[0]
    found = found[np.isfinite(suits[found])]
    filling = top[len(above) :][~np.isin(top[len(above) :], found)]  # where there are not so many discoveries
    return np.concatenate([above, filling[: n - len(above) - len(found)], found]), len(found)


def arrange(typical: Typical, *numbers: int) -> Arrange:
    """Make the function that gives the last places of the first ten to discoveries; those they replace come next. Each
    of the numbers of places makes lists of its own."""

    def arranged(scores: Floats, lists: Indices) -> list[Indices]:
        suits = typical.suits(scores, slice(None))
        return [_with_discoveries(lists, suits, places) for places in numbers]

    return arranged


def _with_discoveries(lists: Indices, suits: Floats, places: int) -> Indices:
    found = np.full_like(lists, -1)
    for row, listed in enumerate(lists):
        listed = listed[listed >= 0]
        ten, _ = discover(listed, suits[row], TEN, places)
        whole = np.concatenate([ten, listed[~np.isin(listed, ten)]])[: found.shape[1]]
        found[row, : len(whole)] = whole
    return found


def choose(model: TrainableModel, split: Split, chosen: dict[str, Any]) -> dict[str, Any]:
    """Choose on validation how many of ten places are discoveries' by default: the most that cost up to `LOSS`. Only
    where a decoder of likes ranks: other scores compare people badly, or are slow to compute for so many.

    chosen: what `strategies.choose` returns. Returns, for metrics.json, {"discoveries": {"places": number, "ndcg":
    NDCG@100 with them}}, or {} for none."""
    validation = split.validation
    if chosen["best"] != "decoder" or not model.learns_likes or len(judged_users(validation)) < LEAST:
        return {}
    count = np.bincount(validation.given.indices, minlength=validation.given.shape[1])
    typical = Typical.of(model.score, validation.given, split.trained_users, count)
    if not typical.can.any():
        return {}
    arranged = arrange(typical, *range(1, MOST + 1))
    _, *listed = arranged_lists(model.score, validation, arranged, strategies.MOST)
    ndcg = [of_lists(lists, validation.hidden.shape[0])["ndcg@100"].value for lists in listed]
    cheap = [n for n, value in enumerate(ndcg) if value >= (1 - LOSS) * chosen["validation"]["decoder"]]
    return {"discoveries": {"places": cheap[-1] + 1, "ndcg": ndcg[cheap[-1]]}} if cheap else {}


def arrays(model: TrainableModel, split: Split, chosen: dict[str, Any]) -> dict[str, dict[str, NDArray]]:
    """Return {"typical": {name: array}}, what a run keeps so that discoveries are found quickly; {} where there
    are none by default. chosen: the contents of metrics.json."""
    if "discoveries" not in chosen:
        return {}
    typical = Typical.of(model.score, split.known, split.trained_users, split.known_count)
    return {"typical": {"mean": typical.mean, "deviation": typical.deviation}}
