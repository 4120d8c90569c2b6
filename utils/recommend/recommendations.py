"""Recommend with a saved run, or find similar movies and users, as the plain values that --json writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import Movies, csv_safe, spoken
from utils.data.ratings import given
from utils.errors import UserError
from utils.recommend import discoveries, profile, reranking
from utils.recommend.profile import Profile
from utils.recommend.reranking import Reorder
from utils.scoring import latent, ranking
from utils.scoring.profile_rows import ProfileRows
from utils.scoring.protocols import CSR, Floats, Indices, Scale

if TYPE_CHECKING:
    from utils.recommend.saved import Saved

FEW = 5  # ratings a movie needs to be named as like another, and two users in common; fewer leave it to chance
SAMPLES = (0.1, 0.5, 0.9)  # samples are of users with more ratings than these shares of the test users
OF_EACH = ("rank", "predicted_rating")  # columns in CSV for each of several people
LONG = 5  # movies of a sample
MOST = 2  # ratings named in a sentence
ALL = reranking.Options()  # nothing filtered
BY_SCORE = reranking.Options(discover=0)  # nor reordered


def reorder(saved: Saved, filters: reranking.Options, candidates: Indices, rows: ProfileRows) -> Reorder | None:
    """Return the function that reranks the best candidates as the filters say; None where the scores alone decide."""
    if filters.diverse:
        return reranking.mmr_rerank(saved.space.movies, candidates, filters.diverse)
    if filters.calibrated:
        liked = rows.movies[rows.stars[0] > saved.ratings.like]
        wanted = saved.genre_shares[liked].sum(axis=0)
        if wanted.any():
            return reranking.calibrated_rerank(saved.genre_shares, candidates, wanted / wanted.sum())
    return None


def about_calibration(filters: reranking.Options, reranker: Reorder | None) -> list[str]:
    """Return a sentence where a list was to be calibrated and can't be; otherwise []."""
    needless = not filters.calibrated or reranker is not None
    return [] if needless else ["no genre is known to be liked, so the list is not calibrated"]


def about_discoveries(filters: reranking.Options, found: int, count: Indices) -> list[str]:
    """Return a sentence about the discoveries that end a list; [] where there are none, and none were asked for. count:
    numbers of known ratings of the movies that may be listed."""
    if not found and not filters.discover:
        return []
    what = f"discoveries, movies with {discoveries.RATED.start} to {discoveries.RATED.stop - 1} ratings:"
    if found:
        which = f"the last {found} suit" if found > 1 else "the last one suits"
        return [f"{what} {which} this person more than most people"]
    if not np.isin(count, discoveries.RATED).any():
        return [f"{what} none is among the movies that may be listed"]
    return [f"{what} none further down the list scores higher for this person than on average"]


def pick(
    saved: Saved,
    strategy: str,
    filters: reranking.Options,
    n: int,
    scores: NDArray,
    candidates: Indices,
    reranker: Reorder | None,
) -> tuple[NDArray[np.intp], int]:
    """Return (positions of the `n` candidates to list, in order, how many of the last are discoveries).
    scores: (len(candidates),), by the strategy."""
    count = saved.ratings.movie_known[candidates]
    top = reranking.best(ranking_scores(scores[None], count)[0], n, reranker)
    if not (places := saved.places(strategy, filters, n)):
        return top, 0
    return discoveries.discover(top, saved.typical(strategy).suits(scores[None], candidates)[0], n, places)


def ranking_scores(scores: NDArray, count: Indices) -> NDArray:
    """Return the scores, (n, m), to order lists by: in rows where all movies have the same, the number of known ratings
    of each. -inf, which is on no list, stays."""
    lowest = scores.min(axis=1, initial=np.inf, where=scores > -np.inf)
    tied = lowest >= scores.max(axis=1, initial=-np.inf)
    if tied.any():
        scores = scores.copy()
        scores[tied] = np.where(np.isfinite(scores[tied]), count.astype(np.float32), -np.inf)
    return scores


def find_candidates(
    saved: Saved, filters: reranking.Options, seen: Indices, watchlist: Collection[int] | None
) -> tuple[Indices, list[str]]:
    """Return (indices of the movies that may be recommended, notes). seen: of a user all that they rated, whichever
    part of the split it fell into. watchlist: indices of the only movies to recommend, or None."""
    fits = reranking.allowed(saved.run.movies, filters, saved.ratings.movie_known)
    unseen = np.ones(len(fits), bool)
    if not filters.include_seen:
        unseen[seen] = False
    if watchlist is None:
        all_seen = fits.any() and not (fits & unseen).any()
        notes = ["every movie that the filters let through was seen already"] if all_seen else []
        return np.flatnonzero(fits & unseen), notes
    listed = np.zeros(len(fits), bool)
    listed[list(watchlist)] = True
    n_seen, n_left, left = int(listed[seen].sum()), int((listed & unseen).sum()), listed & unseen & fits
    note = f"of the watchlist {len(watchlist):,} are in the data, {n_seen:,} seen already, {n_left:,} left"
    fewer = f", {left.sum():,} of them let through by the filters" if left.sum() < n_left else ""
    return np.flatnonzero(left), [note + fewer]


def recommend(
    saved: Saved,
    user_profile: Profile,
    by: str,
    n: int,
    filters: reranking.Options = ALL,
    explained: bool = False,
    watchlist: Collection[int] | None = None,
) -> dict[str, Any]:
    """Recommend `n` movies by a strategy of --by. explained: each with what every rating adds to its score.
    watchlist: indices of the only movies to recommend, or None."""
    run, strategy = saved.run, saved.strategy(by)
    if watchlist is not None and filters.discover is None:
        filters = replace(filters, discover=0)
    candidates, notes = find_candidates(saved, filters, user_profile.seen, watchlist)
    notes = [*user_profile.notes, *notes]
    score = saved.scores(user_profile, strategy, candidates)[0]
    reranker = reorder(saved, filters, candidates, user_profile.rows)
    notes += about_calibration(filters, reranker)
    if len(score) > 1 and score.min() == score.max():
        notes.append(f"by {strategy}, the known ratings tell no two of these movies apart: the most rated come first")
    top, found = pick(saved, strategy, filters, n, score, candidates, reranker)
    movies, notes = candidates[top], notes + about_discoveries(filters, found, saved.ratings.movie_known[candidates])
    items = ranked(run.movies, movies, score[top])
    for item in items if found else ():
        item["discovery"] = item["rank"] > len(items) - found
    _predict(saved, user_profile, movies, items)
    if explained:
        _explain(saved, user_profile, strategy, movies, items)
    facts = {"user": user_profile.name, "method": strategy, "run": str(run.folder), "items": items, "notes": notes}
    if user_profile.user is None:
        facts["given"] = _rated(saved, user_profile.rows.movies, user_profile.rows.stars[0])
    return facts


def _predict(saved: Saved, user_profile: Profile, movies: Indices, items: list[dict[str, Any]]) -> None:
    """Put into each item the predicted stars, and the range around them, where the run has these."""
    if (stars := saved.stars(user_profile, movies)) is None:
        return
    predicted = {"predicted_rating": stars}
    if ranges := saved.star_ranges(user_profile, movies, stars):
        predicted |= {"predicted_rating_low": ranges[0], "predicted_rating_high": ranges[1]}
    for name, values in predicted.items():
        for item, value in zip(items, values, strict=True):
            item[name] = round(float(value), 3)


def _explain(saved: Saved, user_profile: Profile, strategy: str, movies: Indices, items: list[dict[str, Any]]) -> None:
    """Put into each item what every rating of the person adds to its score."""
    rows, scale = user_profile.rows, saved.ratings.scale
    scores = saved.scores(user_profile, strategy, movies, rows.without_each())
    for item, effect in zip(items, (scores[:1] - scores[1:]).T, strict=True):
        item["because"] = explain(saved.run.movies, rows, effect, scale)
    if strategy == "neighbours":
        liked, n_nearest = saved.liked_by_nearest(user_profile, movies)
        for item, count in zip(items, liked.tolist(), strict=True):
            item |= {"liked_by_nearest": count, "nearest": n_nearest}


def explain(movies: Movies, rows: ProfileRows, effect: Floats, scale: Scale) -> list[dict[str, Any]]:
    """List what each rating of the one row of `ProfileRows` adds to one movie's score, most first, as plain values for
    --json. effect: (k,), in the order of the row."""
    order, stars = (-effect).argsort(kind="stable"), given(rows.stars[0], scale)
    return [
        {
            "movieId": movies.ids[rows.movies[i]].item(),
            "title": movies.titles[rows.movies[i]],
            "rating": float(stars[i]),
            "effect": float(effect[i]),
        }
        for i in order
    ]


def sentence(item: dict[str, Any]) -> str:
    """Say in words why an item is recommended."""
    positive = [rating for rating in item["because"][:MOST] if rating["effect"] > 0]
    ratings = " and ".join(f"{spoken(rating['title'])} {rating['rating']:g}" for rating in positive)
    reason = f"because you gave {ratings}" if ratings else "no single rating of yours speaks for it"
    if item.get("nearest"):
        reason += f"; {item['liked_by_nearest']} of your {item['nearest']} nearest liked it"
    return reason


def _rated(saved: Saved, movies: Indices, stars: Floats) -> list[dict[str, Any]]:
    """List the stars that somebody gave to the movies at these indices, as plain values for --json."""
    titles, stars = saved.run.movies.titles, given(stars, saved.ratings.scale)
    return [{"title": titles[m], "rating": value} for m, value in zip(movies, stars.tolist(), strict=True)]


def ranked(movies: Movies, indices: Indices, values: Floats) -> list[dict[str, Any]]:
    """List the movies at these indices, best first, with their scores, as plain values for --json."""
    return [
        {"rank": rank, **movies.describe(m), "score": float(value)}
        for rank, (m, value) in enumerate(zip(indices, values, strict=True), 1)
    ]


def movies_like(saved: Saved, liked: Sequence[int], n: int, unlike: Sequence[int] = ()) -> dict[str, Any]:
    """Find the `n` movies nearest in latent space to the movies at the indices `liked`, by mean cosine, less the mean
    cosine with those of `unlike`."""
    run, vectors, whitening = saved.run, saved.space.movies, saved.space.whitenings["movies"]
    liked, unlike = list(dict.fromkeys(liked)), list(dict.fromkeys(unlike))
    rated, named = saved.ratings.movie_known, [*liked, *unlike]
    if both := set(liked).intersection(unlike):
        raise UserError(
            f"{run.movies.titles[both.pop()]} is among the movies to be like and to be unlike; leave one out"
        )
    for movie in named:
        if not rated[movie]:
            nobody = f"nobody is known to have rated {run.movies.titles[movie]}"
            raise UserError(f"{nobody}, so nothing is known to be like it")
    cosines = whitening.cosines(vectors, vectors[named])
    score = cosines[: len(liked)].mean(axis=0)
    if unlike:
        score -= cosines[len(liked) :].mean(axis=0)
    score[rated < min(FEW, *rated[named])] = -np.inf
    score[named] = -np.inf
    top = reranking.best(score, n)
    facts = {name: [run.movies.describe(m) for m in of] for name, of in (("like", liked), ("unlike", unlike))}
    return facts | {"run": str(run.folder), "items": ranked(run.movies, top, score[top])}


def users_like(saved: Saved, user: int, n: int) -> dict[str, Any]:
    """Find the `n` users whose latent vectors are nearest to that of the user at this index, with what they share."""
    run, ratings = saved.run, saved.ratings
    vectors, whitening = saved.space.users, saved.space.whitenings["neighbours"]

    def rated(user: int) -> dict[int, float]:
        movies, stars, known = ratings.of_user(user)
        return dict(zip(movies[known].tolist(), stars[known].tolist(), strict=True))

    ratings_of_user, items = rated(user), []
    index, near = latent.near(vectors, vectors[[user]], n, np.flatnonzero(ratings.user_trained), [user], whitening)
    for rank, (other, cosine) in enumerate(zip(index[0].tolist(), near[0].tolist(), strict=True), 1):
        if not np.isfinite(cosine):  # there are no more users
            break
        ratings_of_other = rated(other)
        shared = ratings_of_user.keys() & ratings_of_other.keys()
        both_like = [m for m in shared if min(ratings_of_user[m], ratings_of_other[m]) > ratings.like]
        both_like.sort(key=lambda m: -(ratings_of_user[m] + ratings_of_other[m]))
        items.append(
            {
                "rank": rank,
                "user": ratings.user_ids[other].item(),
                "cosine": cosine,
                "both_rated": len(shared),
                "both_like": [run.movies.describe(m) for m in both_like],
            }
        )
    facts = {"user": ratings.user_ids[user].item(), "run": str(run.folder), "items": items}
    unsure = sum(item["both_rated"] < FEW for item in items)
    note = f"{unsure} of these rated fewer than {FEW} movies that this user rated, so they may be near by chance"
    return facts | {"notes": [note] if unsure else []}


def top_lists(
    saved: Saved, strategy: str, n: int, filters: reranking.Options, known: CSR, scores: NDArray
) -> tuple[Indices, Indices]:
    """Return (rows, movies) of the lists of all rows of `scores`, one list after the other. known: CSR rows of stars of
    the same users. scores: by the strategy, -inf for what is not to be listed."""
    places = saved.places(strategy, filters, n)
    if not filters.diverse and not filters.calibrated:
        ordered = ranking_scores(scores, saved.ratings.movie_known)
        top = ranking.top_k(ordered, n)
        listed = np.isfinite(np.take_along_axis(ordered, top, axis=1))
        if not places:
            rows, at = np.nonzero(listed)
            return rows, top[rows, at]
        suits = saved.typical(strategy).suits(scores, slice(None))
        tops = [discoveries.discover(top[i, listed[i]], suits[i], n, places)[0] for i in range(len(top))]
    else:
        tops, everything = [], np.arange(scores.shape[1])
        for row, score in enumerate(scores):
            cells = slice(*known.indptr[row : row + 2])
            stars = ProfileRows.of(known.indices[cells], known.data[cells])
            reranker = reorder(saved, filters, everything, stars)
            tops.append(pick(saved, strategy, filters, n, score, everything, reranker)[0])
    return np.repeat(np.arange(len(tops)), [len(top) for top in tops]), np.concatenate(tops)


def samples(saved: Saved, users: Indices) -> list[dict[str, Any]]:
    """Recommend to three of these users, with few ratings to many: the result of `recommend`, with "ratings", their
    number of known ratings, and "liked", what they rated highest."""
    entries = []
    by_activity = users[np.argsort(saved.ratings.user_known[users], kind="stable")]
    for user in dict.fromkeys(by_activity[int(share * len(users))].item() for share in SAMPLES if len(users)):
        user_profile = profile.of_user(saved.ratings, str(saved.ratings.user_ids[user]))
        try:
            facts = recommend(saved, user_profile, "best", LONG, BY_SCORE, explained=True)
        except UserError:  # a model that can't leave one rating out
            facts = recommend(saved, user_profile, "best", LONG, BY_SCORE)
        for item in facts["items"]:
            if "because" in item:
                item["because"] = item["because"][:MOST]
        rows = user_profile.rows
        best = np.argsort(-rows.stars[0], kind="stable")[:LONG]
        liked = _rated(saved, rows.movies[best], rows.stars[0, best])
        entries.append(facts | {"ratings": len(rows.movies), "liked": liked})
    return entries


def as_csv(facts: dict[str, Any]) -> str:
    """Return the items as the text of a CSV file."""
    first = facts["items"][0] if facts["items"] else {}
    names = ["rank", "movieId", "title", "name", "year", "genres", "score", "predicted_rating"]
    names += [name for name in ("predicted_rating_low", "predicted_rating_high") if name in first]
    if "both_rated" in first:
        names = ["rank", "user", "cosine", "both_rated", "both_like"]
    names += [f"{column} of {person['who']}" for person in first.get("people", ()) for column in OF_EACH]
    names += [name for name in ("discovery", "because") if name in first]
    file = io.StringIO(newline="")
    out = csv.DictWriter(file, names, extrasaction="ignore")
    out.writeheader()
    for item in facts["items"]:
        row = item | {"genres": "|".join(item.get("genres", ()))}
        row["both_like"] = "|".join(movie["title"] for movie in item.get("both_like", ()))
        for person in item.get("people", ()):
            row |= {f"{column} of {person['who']}": person.get(column) for column in OF_EACH}
        if "because" in item:
            row["because"] = sentence(item)
        out.writerow({name: csv_safe(value) for name, value in row.items()})
    return file.getvalue()
