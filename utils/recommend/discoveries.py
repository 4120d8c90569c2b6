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

from utils.data.splits import Holdout, Split
from utils.evaluation.holdout_metrics import Arrange, judged_users
from utils.recommend import strategies
from utils.scoring.protocols import CSR, Floats, Indices, Model, Pick, ScoreFunction
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

    def suits(self, scores: Floats, movies: Pick) -> Floats:
        """Tell how well these movies suit each person as discoveries: the scores, (n, len(movies)), plus `ABOVE` times
        how far they are above the mean in standard deviations of the movie. The scores count in the mean of these
        deviations. -inf for what can't be one, or suits most people as well."""
        can, mean, deviation = self.can, self.mean[movies], self.deviation[movies]
        unit = self.deviation[can].mean() if can.any() else 1.0
        above = scores - mean
        suits = np.full(scores.shape, -np.inf, np.float32)
        where = can[movies] & (above > 0)
        np.divide(above, deviation, out=suits, where=where)
        return np.where(where, ABOVE * suits + scores / unit, suits)


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


def arrange(typical: Typical, places: int) -> Arrange:
    """Make the function that gives the last places of the first ten to discoveries; those they replace come next."""

    def arranged(scores: Floats, lists: Indices) -> Indices:
        suits, found = typical.suits(scores, slice(None)), np.full_like(lists, -1)
        for row, listed in enumerate(lists):
            listed = listed[listed >= 0]
            ten, _ = discover(listed, suits[row], TEN, places)
            whole = np.concatenate([ten, listed[~np.isin(listed, ten)]])[: found.shape[1]]
            found[row, : len(whole)] = whole
        return found

    return arranged


def scorer(model: Model, split: Split, chosen: dict[str, Any], known: Holdout) -> ScoreFunction:
    """Return the score function of the strategy that was chosen (metrics.json). known: `Holdout` with the ratings."""
    pool = strategies.possible_neighbours(split.trained_users)
    return strategies.scorers(model, known, pool, strategies.read_neighbourhoods(chosen))[chosen["best"]]


def choose(model: Model, split: Split, chosen: dict[str, Any]) -> dict[str, Any]:
    """Choose on validation how many of ten places are discoveries' by default: the most that cost up to `LOSS`.

    chosen: what `strategies.choose` returns. Returns, for metrics.json, {"discoveries": {"places": number, "ndcg":
    NDCG@100 with them}}, or {} for none."""
    validation, plain = split.validation, chosen["validation"][chosen["best"]]
    if len(judged_users(validation)) < LEAST:
        return {}
    score, count = scorer(model, split, chosen, validation), np.bincount(validation.given.indices)
    count = np.pad(count, (0, validation.given.shape[1] - len(count)))
    typical = Typical.of(score, validation.given, split.trained_users, count)
    for places in range(MOST if typical.can.any() else 0, 0, -1):
        ndcg = strategies.ndcg(score, validation, arrange(typical, places))
        if ndcg >= (1 - LOSS) * plain:
            return {"discoveries": {"places": places, "ndcg": ndcg}}
    return {}


def arrays(model: Model, split: Split, chosen: dict[str, Any]) -> dict[str, dict[str, NDArray]]:
    """Return {"typical": {name: array}}, what a run keeps so that discoveries are found quickly; {} where there
    are none by default. chosen: the contents of metrics.json."""
    if "discoveries" not in chosen:
        return {}
    typical = Typical.of(scorer(model, split, chosen, split.test), split.known, split.trained_users, split.known_count)
    return {"typical": {"mean": typical.mean, "deviation": typical.deviation}}
