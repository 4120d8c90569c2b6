"""Describe a latent space: what its dimensions mean, nearest movies, and maps of it in two dimensions."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import likes
from utils.errors import UserError
from utils.recommend import recommendations
from utils.runs import evaluation_results
from utils.scoring import latent
from utils.scoring.latent import unit
from utils.scoring.profile_rows import ProfileRows

if TYPE_CHECKING:
    from utils.recommend.profile import Profile
    from utils.recommend.saved import Saved
    from utils.scoring.protocols import Floats, Indices

Point = dict[str, Any]
"""An entry of "points" of `movie_map` or `user_map`."""
KNOWN = 12  # most rated movies whose neighbours are shown
NEAR = 5  # neighbours of each
FEW = 5  # ratings that a movie needs to be on the map
MOST = 3000  # movies on the map
PEOPLE = 1000  # users on theirs
STEPS = 500  # of t-SNE; 1,000 take twice as long and are no truer
KEPT = "map.json"  # the file of a run that keeps its map
GENRES = 7  # as many as there are colours that everybody can tell apart
AMID = 10  # movies amid which a person is drawn on a map
TRAIL = 8  # positions of a person that are shown
LEAST = 20  # movies that a genre needs to be shown


def about(saved: Saved) -> dict[str, Any]:
    """Describe the latent space of a run for --json: its `dimensions`, and the `neighbours` of well-known movies."""
    count = saved.ratings.movie_known
    pool = np.flatnonzero(count >= min(FEW, count.max()))
    return {
        "dimensions": dimensions(saved.space.movies, saved.run.movies.genres, pool),
        "neighbours": neighbours(saved, count),
    }


def dimensions(vectors: Floats, genres: Sequence[list[str]], pool: Indices) -> list[dict[str, Any]]:
    """Describe each latent dimension, the one with most variance first.

    Each is {"unit": its number, "variance": its share of the variance of the movies `pool`, "leans_to", "away_from":
    the genres with the highest and the lowest correlation}. vectors: (n_movies, latent); genres: the names for each
    movie."""
    chosen = vectors[pool].astype(np.float64)
    variance = chosen.var(axis=0)
    share = variance / (variance.sum() or 1)
    names, flags = _flags([genres[movie] for movie in pool])
    if names:
        with np.errstate(invalid="ignore", divide="ignore"):  # what does not vary correlates with nothing
            correlation = np.nan_to_num(np.corrcoef(chosen.T, flags.T)[: len(share), len(share) :])
    rows = []
    for dimension in np.argsort(-share, kind="stable").tolist():
        row: dict[str, Any] = {"unit": dimension, "variance": float(share[dimension])}
        if names:
            of = correlation[dimension]
            for side, genre in (("leans_to", of.argmax()), ("away_from", of.argmin())):
                row[side] = {"genre": names[genre], "correlation": float(of[genre])}
        rows.append(row)
    return rows


def _flags(genres: Sequence[list[str]]) -> tuple[list[str], NDArray[np.float64]]:
    """Encode genres as 0 and 1: (names of those that at least LEAST movies have, flags (n, names))."""
    every = sorted({name for names in genres for name in names})
    flags = np.array([[name in names for name in every] for names in genres], np.float64).reshape(len(genres), -1)
    common = np.flatnonzero(flags.sum(axis=0) >= LEAST)
    return [every[i] for i in common], flags[:, common]


def neighbours(saved: Saved, count: Indices) -> list[dict[str, Any]]:
    """List the KNOWN most rated movies with the NEAR movies nearest to each, as `recommendations.movies_like` does.
    count: known ratings of each movie."""
    rows = []
    for movie in np.argsort(-count, kind="stable")[:KNOWN]:
        if count[movie]:
            similar = recommendations.movies_like(saved, [int(movie)], NEAR)
            near = [{"title": item["title"], "cosine": item["score"]} for item in similar["items"]]
            rows.append({"title": similar["like"][0]["title"], "near": near})
    return rows


def embedded(vectors: Floats) -> NDArray[np.floating]:
    """Embed vectors, (n, latent), in two dimensions, (n, 2), by t-SNE (van der Maaten 2014) of their centred cosines,
    which begins at the principal components."""
    from sklearn.manifold import TSNE

    units = unit(vectors - vectors.mean(axis=0))
    if len(units) < 4 or not units.any():  # nothing to put in order
        return np.zeros((len(units), 2))
    units = np.pad(units, ((0, 0), (0, 2)))  # two components, even of a single dimension
    perplexity = min(30, (len(units) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", max_iter=STEPS, random_state=0).fit_transform(units)


def kept_map(saved: Saved) -> dict[str, Any]:
    """Return the `movie_map` of a run from its folder, which keeps it from the first time on."""
    with contextlib.suppress(UserError):  # a damaged file is written again
        if (kept := evaluation_results.read(saved.run, KEPT)) is not None:
            return kept
    made = movie_map(saved)
    with contextlib.suppress(UserError):  # a folder that can't be written, so each process computes it
        evaluation_results.write(saved.run, made, KEPT)
    return made


def movie_map(saved: Saved) -> dict[str, Any]:
    """Map the most rated movies, at most MOST: {"points": [{"movie": its index, "title", "x", "y", "genre", "decade",
    "ratings"}]}, the most rated first. genre: the rarest of the movie's genres that are in
    `distinctive_genres`; None where there is none."""
    movies, count = saved.run.movies, saved.ratings.movie_known
    shown = np.argsort(-count, kind="stable")[:MOST]
    shown = shown[count[shown] >= min(FEW, count.max())]
    vectors = saved.space.movies[shown]
    genres = distinctive_genres(vectors, [movies.genres[movie] for movie in shown])
    points = []
    for movie, (x, y) in zip(shown.tolist(), embedded(vectors).tolist(), strict=True):
        year = movies.years[movie]
        points.append(
            {
                "movie": movie,
                "title": movies.titles[movie],
                "x": round(x, 4),
                "y": round(y, 4),
                "genre": next((name for name in genres if name in movies.genres[movie]), None),
                "decade": year // 10 * 10 if year else None,
                "ratings": int(count[movie]),
            }
        )
    return {"points": points}


def places(saved: Saved, vectors: Floats, points: Sequence[Point]) -> NDArray[np.float64]:
    """Return the positions, (m, 2), of latent vectors of people or movies, (m, latent), on a map with these points: the
    median of the AMID movies that are nearest to each."""
    at = np.array([(point["x"], point["y"]) for point in points])
    pool = np.array([point["movie"] for point in points])
    order = np.argsort(pool)
    k, whitening = min(AMID, len(pool)), saved.space.whitenings["movies"]
    nearest, _ = latent.near(saved.space.movies, vectors, k, pool, [-1] * len(vectors), whitening)
    return np.median(at[order[np.searchsorted(pool, nearest, sorter=order)]], axis=1)


def trail(saved: Saved, user_profile: Profile, rated: Sequence[int], points: Sequence[Point]) -> NDArray[np.float64]:
    """Return the positions, (m, 2), of a person after each of their last ratings, at most TRAIL, the present one last.
    rated: the movies of the profile in the order of rating."""
    rows, m = user_profile.rows, min(TRAIL, len(rated))
    when = np.argsort(np.asarray(rated))  # of each movie of the row, which is in ascending order
    steps = np.arange(len(rated) - m, len(rated))
    stars = np.where(when <= steps[:, None], rows.stars, 0)
    return places(saved, saved.encode(user_profile, ProfileRows(rows.movies, stars)), points)


def distinctive_genres(vectors: Floats, genres: Sequence[list[str]]) -> list[str]:
    """Return the GENRES genres that the latent space separates best, the rarest first: those whose mean vector lies
    farthest from the mean of all vectors, in standard errors, which are as 1 / sqrt(movies)."""
    names, flags = _flags(genres)
    count = flags.sum(axis=0)
    means = (flags / count).T @ (vectors - vectors.mean(axis=0))
    best = np.argsort(-np.linalg.norm(means, axis=1) * np.sqrt(count), kind="stable")[:GENRES]
    return [names[i] for i in best[np.argsort(count[best], kind="stable")]]


def user_map(saved: Saved) -> dict[str, Any]:
    """Map the training users, a fixed sample of at most PEOPLE: {"points": [{"user", "x", "y", "genre", "ratings"}]}.
    genre: the one whose share of the user's likes exceeds its share of all likes most, where it is among the GENRES
    most frequent ones; None otherwise."""
    split, names = saved.split, saved.run.movies.genre_names
    users, ratings = split.trained_users, np.diff(split.known.indptr)
    if len(users) > PEOPLE:
        users = np.sort(np.random.default_rng(0).choice(users, PEOPLE, replace=False))
    liked = likes(split.known, split.ratings.like) @ saved.genre_shares
    shares = liked[users] / np.maximum(liked[users].sum(axis=1, keepdims=True), 1)
    above = shares - liked.sum(axis=0) / max(liked.sum(), 1)
    favourite = above.argmax(axis=1) if names else np.zeros(len(users), int)
    frequent = np.argsort(-np.bincount(favourite, minlength=len(names)), kind="stable")[:GENRES]
    shown = np.isin(favourite, frequent) & shares.any(axis=1)
    places, points = embedded(saved.space.users[users]), []
    for i, (user, (x, y)) in enumerate(zip(users.tolist(), places.tolist(), strict=True)):
        genre = names[favourite[i]] if shown[i] else None
        point = {"user": split.ratings.user_ids[user].item(), "x": round(x, 4), "y": round(y, 4), "genre": genre}
        points.append(point | {"ratings": int(ratings[user])})
    return {"points": points}
