"""Per-user metrics of a scorer on a hold-out; intervals and slices are computed from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import likes
from utils.data.splits import Holdout
from utils.evaluation import metrics
from utils.evaluation.bootstrap import Metric
from utils.scoring import ranking
from utils.scoring.protocols import CSR, Floats, Indices, PredictFunction, Scale, ScoreFunction

# from the scores of some users, (n, n_movies), and the movies of their lists, (n, DEPTH), -1 for none, to other lists,
# of one or several kinds
Arrange: TypeAlias = Callable[[Floats, Indices], Sequence[Indices]]

BLOCK = 512  # users scored at a time
DEPTH = max(k for _, k in metrics.CUTS.values())


@dataclass(frozen=True)
class RankedLists:
    """Lists of the test users. users: (n,) their indices, ascending. top: (n, DEPTH) movie indices, best first,
    -1 where there are no more; hit: (n, DEPTH), whether each is a hidden like. hidden: CSR (n, n_movies) of those."""

    users: Indices
    top: Indices
    hit: NDArray[np.bool_]
    hidden: CSR


@dataclass(frozen=True)
class Predicted:
    """Test ratings and their predictions, (n,) each. users, movies: indices; actual: stars; stars: predictions, clipped
    to the data's scale."""

    users: Indices
    movies: Indices
    actual: Floats
    stars: NDArray


def predicted(predict: PredictFunction, holdout: Holdout, scale: Scale) -> Predicted:
    """Predict the hidden ratings of a hold-out. predict: a model's `predict(given, users, movies)`."""
    hidden = holdout.hidden.tocoo()
    stars = np.clip(predict(holdout.given, hidden.row, hidden.col), *scale)
    return Predicted(hidden.row, hidden.col, hidden.data, stars)


def rating_metrics(predict: PredictFunction, holdout: Holdout, scale: Scale) -> dict[str, Metric]:
    """Return {"mse", "rmse", "mae"} of the hidden ratings; the arguments are those of `predicted`."""
    return of_predicted(predicted(predict, holdout, scale), holdout.hidden.shape[0])


def of_predicted(ratings: Predicted, n_users: int) -> dict[str, Metric]:
    """Return {"mse", "rmse", "mae"} of `Predicted` ratings in data of n_users."""
    error = ratings.actual.astype(np.float64) - ratings.stars
    count = np.bincount(ratings.users, minlength=n_users)
    squared = np.bincount(ratings.users, error**2, n_users)
    absolute = np.bincount(ratings.users, np.abs(error), n_users)
    return {"mse": Metric(squared, count), "rmse": Metric(squared, count, root=True), "mae": Metric(absolute, count)}


JUDGED_USERS = 10_000  # by whose hidden ratings an epoch is judged, where there are more
JUDGED_LISTS = 2_500  # of these, whose lists are ranked


def of_sample(holdout: Holdout) -> tuple[Holdout, int | None]:
    """Return what the epochs of a training are judged by: (the hold-out with the hidden ratings of a fixed sample of
    users, of how many of them lists are ranked). Where it has up to JUDGED_USERS users, all count: (itself, None)."""
    users = np.flatnonzero(np.diff(holdout.hidden.indptr))
    if len(users) <= JUDGED_USERS:
        return holdout, None
    is_judged = np.zeros(holdout.hidden.shape[0], bool)
    is_judged[np.random.default_rng(0).choice(users, JUDGED_USERS, replace=False)] = True
    hidden = holdout.hidden.copy()
    hidden.data[~np.repeat(is_judged, np.diff(hidden.indptr))] = 0
    hidden.eliminate_zeros()
    return replace(holdout, hidden=hidden), JUDGED_LISTS


def judged_users(holdout: Holdout, most: int | None = None) -> NDArray[np.intp]:
    """Return the indices, ascending, of the users with a hidden like; a fixed sample of `most` where there are more."""
    users = np.flatnonzero(np.diff(likes(holdout.hidden, holdout.like).indptr))
    if most is None or len(users) <= most:
        return users
    return np.sort(np.random.default_rng(0).choice(users, most, replace=False))


def lists(score: ScoreFunction, holdout: Holdout, most: int | None = None) -> RankedLists:
    """Return the `RankedLists` of the users with a hidden like, among all movies not given. score: a model's
    `score(given, users)`. most: of at most this many users, a fixed sample."""
    return arranged_lists(score, holdout, None, most)[0]


def arranged_lists(
    score: ScoreFunction, holdout: Holdout, arrange: Arrange | None, most: int | None = None
) -> list[RankedLists]:
    """Return what `lists` does, then the lists that `arrange` makes of these; users are scored once for all."""
    users = judged_users(holdout, most)
    hidden = likes(holdout.hidden, holdout.like)[users]
    shape = 0, min(DEPTH, hidden.shape[1])
    none: tuple[Indices, NDArray[np.bool_]] = np.zeros(shape, np.int32), np.zeros(shape, bool)
    blocks = [] if len(users) else [[none]]  # in each, for each kind of lists, (top, hit)
    for start in range(0, len(users), BLOCK):
        rows = slice(start, start + BLOCK)
        given = holdout.given[users[rows]]
        scores = ranking.hide_seen(score(given, users[rows]), given)
        if holdout.candidates is not None:
            scores[:, ~holdout.candidates] = -np.inf
        best = ranking.top_k(scores, DEPTH)
        by_score = np.where(np.isfinite(np.take_along_axis(scores, best, axis=1)), best, -1).astype(np.int32)
        tops = [by_score, *(arrange(scores, by_score) if arrange else ())]
        blocks.append([(top, metrics.hits(top, hidden[rows])) for top in tops])
    kinds = ((np.concatenate(parts) for parts in zip(*kind, strict=True)) for kind in zip(*blocks, strict=True))
    return [RankedLists(users, top, hit, hidden) for top, hit in kinds]


def ranking_metrics(score: ScoreFunction, holdout: Holdout, most: int | None = None) -> dict[str, Metric]:
    """Return {"ndcg@100", "recall@20", "recall@50"} of the hidden likes; the arguments are those of `lists`."""
    return of_lists(lists(score, holdout, most), holdout.hidden.shape[0])


def of_lists(lists: RankedLists, n_users: int) -> dict[str, Metric]:
    """Return the ranking metrics of `RankedLists` in data of n_users."""
    n_hidden = np.diff(lists.hidden.indptr)
    values = {name: metric(lists.hit, n_hidden, k) for name, (metric, k) in metrics.CUTS.items()}
    return {name: Metric.of_users(of_user, lists.users, n_users) for name, of_user in values.items()}


def like_ndcg(lists: RankedLists, n_users: int, movies: NDArray[np.bool_] | slice = slice(None)) -> Metric:
    """Return NDCG@100 of each hidden like as if it were the only one: the user's other hidden likes are left out of
    the list, so that the figure does not depend on how many there are. movies: bool (n_movies,), those that count."""
    before = np.cumsum(lists.hit, axis=1, dtype=np.int64) - lists.hit
    gain = lists.hit / np.log2(np.arange(2, lists.hit.shape[1] + 2) - before)
    inside = np.zeros(lists.hidden.shape[1] + 1, bool)  # the last is that of no movie
    inside[:-1][movies] = True
    total, count = np.zeros(n_users), np.zeros(n_users)
    total[lists.users] = np.where(inside[lists.top], gain, 0).sum(axis=1)
    count[lists.users] = lists.hidden @ inside[:-1].astype(np.float64)
    return Metric(total, count)
