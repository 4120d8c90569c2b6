"""What a saved run answers: recommendations with their reasons, movies like one, users like one, as the plain values
that --json writes. `saved` is always a `utils.recommend.saved.Saved`, or what does the same for a blend."""

import csv
import io

import numpy as np

from utils.data.movies import cell
from utils.data.ratings import given
from utils.errors import UserError
from utils.recommend import explanations, profile, reranking
from utils.scoring import latent, ranking
from utils.scoring.profile_rows import Rows

FEW = 5  # ratings a movie needs to be named as like another; fewer leave its vector to chance
SAMPLES = (0.1, 0.5, 0.9)  # samples are of users with more ratings than these shares of the judged ones
LONG = 5  # movies of a sample
ALL = reranking.Options()  # nothing filtered, in the order of the scores


def known_count(split):
    """How many ratings of each movie are known."""
    return np.bincount(split.ratings.movie[split.is_known], minlength=split.ratings.shape[1])


def reorder(saved, filters, candidates, rows):
    """What puts the list together from the scores of the candidates; None where the scores alone do."""
    if filters.diverse:
        return reranking.diversely(saved.space.movies, candidates, filters.diverse)
    if filters.calibrated:
        liked = rows.movies[rows.stars[0] > saved.split.ratings.like]
        wanted = saved.genre_shares[liked].sum(axis=0)
        return reranking.calibrated(saved.genre_shares, candidates, wanted / wanted.sum()) if wanted.any() else None
    return None


def telling(scores, count):
    """What the lists of each row of `scores` are ordered by: the scores, or, where they tell no two movies apart, how
    many ratings of each are known. (n, m); -inf, which is on no list, stays."""
    highest = scores.max(axis=1, initial=-np.inf)
    tied = np.flatnonzero(
        [not ((row < high) & (row > -np.inf)).any() for row, high in zip(scores, highest, strict=True)]
    )
    if not len(tied):
        return scores
    scores = scores.copy()
    scores[tied] = np.where(np.isfinite(scores[tied]), count.astype(np.float32), -np.inf)
    return scores


def recommend(saved, them, by, n, filters=ALL, explained=False):
    """The best `n` movies for a `Person`, by this way of --by. explained: each with what every rating adds to its
    score."""
    run, way = saved.run, saved.way(by)
    count = known_count(run.split)
    fits = reranking.allowed(run.movies, filters, count)
    if not filters.include_seen:
        fits[them.seen] = False  # whichever part of the split it fell into
    candidates = np.flatnonzero(fits)
    score, notes = saved.scores(them, way, candidates)[0], list(them.notes)
    order, by = reorder(saved, filters, candidates, them.rows), telling(score[None], count[candidates])[0]
    if filters.calibrated and order is None:
        notes.append("no genre is known to be liked, so the list is not calibrated")
    if len(score) > 1 and score.min() == score.max():
        notes.append(f"by {way}, the known ratings tell no two of these movies apart: the most rated come first")
    top = reranking.best(by, n, order)
    movies, score = candidates[top], score[top]
    items = _ranked(run.movies, movies, score)
    if (stars := saved.stars(them, movies)) is not None:
        for item, value in zip(items, stars, strict=True):
            item["predicted_rating"] = round(float(value), 3)
    if explained:
        _explain(saved, them, way, movies, items)
    about = {"user": them.name, "method": way, "run": str(run.folder), "items": items, "notes": notes}
    if them.user is None:
        about["given"] = _rated(saved, them.rows.movies, them.rows.stars[0])
    return about


def _explain(saved, them, way, movies, items):
    """Put into each item what every rating of the person adds to its score."""
    each = them.rows.without_each()
    effect = explanations.effects(saved.scores(them, way, movies, each))
    for item, column in zip(items, effect.T, strict=True):
        item["because"] = explanations.because(saved.run.movies, them.rows, column, saved.split.ratings.scale)
    if way == "neighbours":
        liked, nearest = saved.liked_by_nearest(them, movies)
        for item, count in zip(items, liked.tolist(), strict=True):
            item |= {"liked_by_nearest": count, "nearest": int(nearest)}


def _rated(saved, movies, stars):
    """The stars that somebody gave to the movies at these indices: plain values for --json."""
    titles, stars = saved.run.movies.titles, given(stars, saved.split.ratings.scale)
    return [{"title": titles[m], "rating": value} for m, value in zip(movies, stars.tolist(), strict=True)]


def _ranked(movies, indices, values):
    """The movies at these indices, best first, with their scores: plain values for --json."""
    return [
        {"rank": rank, **movies.describe(m), "score": float(value)}
        for rank, (m, value) in enumerate(zip(indices, values, strict=True), 1)
    ]


def movies_like(saved, movie, n):
    """The `n` movies whose latent vectors are nearest to that of the movie at this index."""
    run, vectors, view = saved.run, saved.space.movies, saved.space.views["movies"]
    rated = known_count(run.split)
    if not rated[movie]:
        raise UserError(f"nobody is known to have rated {run.movies.titles[movie]}, so nothing is known to be like it")
    pool = np.flatnonzero(rated >= min(FEW, rated[movie]))
    index, near = latent.near(vectors, vectors[[movie]], n, pool, [movie], view)
    there = np.isfinite(near[0])  # there may be fewer than n
    items = _ranked(run.movies, index[0, there], near[0, there])
    return {"movie": run.movies.describe(movie), "run": str(run.folder), "items": items}


def users_like(saved, user, n):
    """The `n` users whose latent vectors are nearest to that of the user at this index, with what they share."""
    run, ratings = saved.run, saved.split.ratings
    vectors, view = saved.space.users, saved.space.views["neighbours"]
    known = run.split.is_known

    def rated(who):
        rows = np.flatnonzero(known & (ratings.user == who))
        return dict(zip(ratings.movie[rows].tolist(), ratings.rating[rows].tolist(), strict=True))

    own, items = rated(user), []
    index, near = latent.near(vectors, vectors[[user]], n, run.split.trained_users, [user], view)
    for rank, (other, cosine) in enumerate(zip(index[0].tolist(), near[0].tolist(), strict=True), 1):
        if not np.isfinite(cosine):  # there are no more users
            break
        theirs = rated(other)
        shared = own.keys() & theirs.keys()
        loved = sorted((m for m in shared if min(own[m], theirs[m]) > ratings.like), key=lambda m: -own[m] - theirs[m])
        items.append(
            {
                "rank": rank,
                "user": ratings.user_ids[other].item(),
                "cosine": cosine,
                "both_rated": len(shared),
                "both_like": [run.movies.describe(m) for m in loved],
            }
        )
    return {"user": ratings.user_ids[user].item(), "run": str(run.folder), "items": items}


def best_of_each(saved, n, filters, known, scores, count):
    """(rows, movies) of the lists of all rows of `scores`, one behind the other; known: their CSR rows of stars. count:
    known ratings of each movie."""
    scores = telling(scores, count)
    if not filters.diverse and not filters.calibrated:
        top = ranking.top_k(scores, n)
        rows, places = np.nonzero(np.isfinite(np.take_along_axis(scores, top, axis=1)))
        return rows, top[rows, places]
    tops, everything = [], np.arange(scores.shape[1])
    for row, score in enumerate(scores):
        theirs = slice(*known.indptr[row : row + 2])
        stars = Rows.of(known.indices[theirs], known.data[theirs])
        tops.append(reranking.best(score, n, reorder(saved, filters, everything, stars)))
    return np.repeat(np.arange(len(tops)), [len(top) for top in tops]), np.concatenate(tops)


def samples(saved, users):
    """What some of these users are recommended, few ratings to many: what `recommend` says, and beside it "ratings",
    how many are known of them, and "liked", what they rated highest."""
    known, found = saved.split.known, []
    ordered = users[np.argsort(np.diff(known.indptr)[users], kind="stable")]
    for user in dict.fromkeys(ordered[int(share * len(ordered))].item() for share in SAMPLES if len(ordered)):
        them = profile.in_data(saved.split, str(saved.split.ratings.user_ids[user]))
        try:
            one = recommend(saved, them, "best", LONG, explained=True)
        except UserError:  # a model that can't leave one rating out
            one = recommend(saved, them, "best", LONG)
        for item in one["items"]:
            if "because" in item:
                item["because"] = item["because"][: explanations.MOST]
        best = np.argsort(-them.rows.stars[0], kind="stable")[:LONG]
        liked = _rated(saved, them.rows.movies[best], them.rows.stars[0, best])
        found.append(one | {"ratings": len(them.rows.movies), "liked": liked})
    return found


def as_csv(found):
    """The list of an answer as the text of a CSV file."""
    names = ["rank", "movieId", "title", "year", "genres", "score", "predicted_rating"]
    if "both_rated" in (found["items"] or [{}])[0]:
        names = ["rank", "user", "cosine", "both_rated", "both_like"]
    if "because" in (found["items"] or [{}])[0]:
        names.append("because")
    file = io.StringIO(newline="")
    out = csv.DictWriter(file, names, extrasaction="ignore")
    out.writeheader()
    for item in found["items"]:
        several = {"genres": item.get("genres", ()), "both_like": [m["title"] for m in item.get("both_like", ())]}
        row = item | {name: "|".join(values) for name, values in several.items()}
        row |= {"because": explanations.sentence(item)} if "because" in item else {}
        out.writerow({name: cell(value) for name, value in row.items()})
    return file.getvalue()
