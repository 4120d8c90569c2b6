"""Recommend to several people together, each movie with what it is for each of them.

Scores of different people are not comparable, so ranks are joined instead (Baltrunas, Makcinskas and Ricci, RecSys
2010): for each person the rank of a movie among all candidates, the mean rank where several have one score. The joins
are those of Masthoff ("Group Recommender Systems", 2011): `average` sorts by the mean of the ranks, `least-misery` by
the worst of them, and `fair` takes for each person in turn the best movie that is not listed yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from utils.recommend import recommendations, reranking
from utils.recommend.profile import Profile
from utils.scoring.profile_rows import ProfileRows
from utils.scoring.protocols import Floats

if TYPE_CHECKING:
    from utils.recommend.saved import Saved

Join: TypeAlias = Literal["average", "least-misery", "fair"]
Person: TypeAlias = tuple[int | str, Profile]  # an id of the data or the name of a file, and the profile


def recommend(
    saved: Saved,
    people: Sequence[Person],
    by: str,
    n: int,
    join: Join,
    filters: reranking.Options = recommendations.ALL,
    watchlist: Collection[int] | None = None,
) -> dict[str, Any]:
    """Recommend `n` movies to all of these people by a strategy of --by, none that one of them has seen.

    Each item has `people`: of each who, the rank, the score, and the predicted rating where the model has one. Its
    `score` is the share of the candidates behind its joined rank; of `fair`, `turn` says whose turn it was.
    watchlist: indices of the only movies to recommend, or None."""
    strategy, profiles = saved.strategy(by), [profile for _, profile in people]
    seen = reduce(np.union1d, [profile.seen for profile in profiles])
    candidates, notes = recommendations.find_candidates(saved, filters, seen, watchlist)
    notes = [*(note for profile in profiles for note in profile.notes), *notes]
    scores = np.stack([saved.scores(profile, strategy, candidates)[0] for profile in profiles])
    listed = np.isfinite(scores).all(axis=0)
    candidates, scores = candidates[listed], scores[:, listed]
    ranks = ranks_of(recommendations.ranking_scores(scores, saved.ratings.movie_known[candidates]))
    if join == "fair":
        top, turns = take_turns(ranks, n)
        joined = ranks[turns, top]
    else:
        total = ranks.mean(axis=0) if join == "average" else ranks.max(axis=0)
        below_a_rank = ranks.mean(axis=0) / (len(candidates) + 1)
        reorder = recommendations.reorder(saved, filters, candidates, _all_ratings(profiles))
        notes += recommendations.about_calibration(filters, reorder)
        top = reranking.best(-total - below_a_rank, n, reorder)
        joined, turns = total[top], top[:0]
    behind = (1 - (joined - 1) / max(len(candidates) - 1, 1)).astype(np.float32)
    items = recommendations.ranked(saved.run.movies, candidates[top], behind)
    for item, row in zip(items, turns.tolist(), strict=join == "fair"):
        item["turn"] = people[row][0]
    for (who, profile), rank, score in zip(people, ranks[:, top], scores[:, top], strict=True):
        _add_person(items, who, rank, score, saved.stars(profile, candidates[top]))
    facts = {"people": [who for who, _ in people], "join": join, "method": strategy, "run": str(saved.run.folder)}
    return facts | {"items": items, "notes": notes}


def _all_ratings(profiles: Sequence[Profile]) -> ProfileRows:
    """Return the ratings of all of them as one row, for the genres that they like."""
    rows = [profile.rows for profile in profiles]
    return ProfileRows.of(np.concatenate([r.movies for r in rows]), np.concatenate([r.stars[0] for r in rows]))


def _add_person(
    items: list[dict[str, Any]], who: int | str, ranks: Floats, scores: Floats, stars: Floats | None
) -> None:
    """Put into the items what they are for this person."""
    for place, item in enumerate(items):
        facts = {"who": who, "rank": float(ranks[place]), "score": float(scores[place])}
        facts |= {} if stars is None else {"predicted_rating": round(float(stars[place]), 3)}
        item.setdefault("people", []).append(facts)


def ranks_of(scores: Floats) -> Floats:
    """Return the rank of each score in its row, 1 for the highest, the mean rank where several are the same."""
    ranks = np.empty(scores.shape, np.float32)
    for row, values in zip(ranks, scores, strict=True):
        _, place, count = np.unique(-values, return_inverse=True, return_counts=True)
        row[:] = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def take_turns(ranks: Floats, n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return (columns, rows): for each row of `ranks` (n_people, m) in turn its best column that was not taken before;
    of columns of one rank that with the best mean."""
    orders = [iter(np.lexsort((ranks.mean(axis=0), row)).tolist()) for row in ranks]
    taken = dict[int, int]()
    while len(taken) < min(n, ranks.shape[1]):
        whose = len(taken) % len(orders)
        taken[next(column for column in orders[whose] if column not in taken)] = whose
    return np.array([*taken], np.intp), np.array([*taken.values()], np.intp)
