"""Describe a latent space: what its dimensions mean, nearest movies, and maps of it in two dimensions."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import likes
from utils.recommend import recommendations
from utils.scoring import latent
from utils.scoring.latent import unit

if TYPE_CHECKING:
    from utils.recommend.profile import Profile
    from utils.recommend.saved import Saved
    from utils.scoring.protocols import Floats, Indices

KNOWN = 12  # most rated movies whose neighbours are shown
NEAR = 5  # neighbours of each
FEW = 5  # ratings that a movie needs to be on the map
MOST = 3000  # points on a map
GENRES = 7  # as many as there are colours that everybody can tell apart
AMID = 10  # movies at whose mean position a person is drawn on a map
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


def embedded(vectors: Floats) -> tuple[str, NDArray[Any]]:
    """Embed vectors, (n, latent), in two dimensions: (method, positions (n, 2)). By UMAP (McInnes et al. 2018) or t-SNE
    (Poličar et al. 2019) of cosines where umap-learn or openTSNE is installed, else by the two principal components of
    the unit vectors."""
    if len(vectors) > 50:
        with contextlib.suppress(ImportError):
            from umap import UMAP

            return "UMAP", UMAP(metric="cosine", random_state=0, n_jobs=1).fit_transform(vectors)
        with contextlib.suppress(ImportError):
            from openTSNE import TSNE

            return "t-SNE", np.asarray(TSNE(metric="cosine", random_state=0, n_jobs=1).fit(vectors))
    units = unit(vectors - vectors.mean(axis=0))  # cosines depend on directions only
    units -= units.mean(axis=0)
    _, directions = np.linalg.eigh((units.T @ units).astype(np.float64))
    components = units @ directions[:, :-3:-1]
    return "PCA", np.pad(components, ((0, 0), (0, 2 - components.shape[1])))


def movie_map(saved: Saved, most: int | None = MOST) -> dict[str, Any]:
    """Map the most rated movies, at most `most`, all where None: {"method", "points": [{"movie": its index, "title",
    "x", "y", "genre", "decade", "ratings"}]}, the most rated first. genre: the rarest of the movie's genres that are in
    `distinctive_genres`; None where there is none."""
    movies, count = saved.run.movies, saved.ratings.movie_known
    shown = np.argsort(-count, kind="stable")[:most]
    shown = shown[count[shown] >= min(FEW, count.max())]
    vectors = saved.space.movies[shown]
    genres = distinctive_genres(vectors, [movies.genres[movie] for movie in shown])
    method, places = embedded(vectors)
    points = []
    for movie, (x, y) in zip(shown.tolist(), places.tolist(), strict=True):
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
    return {"method": method, "points": points}


def place(saved: Saved, user_profile: Profile, points: Sequence[dict[str, Any]]) -> list[float]:
    """Return the position [x, y] of a person on a `movie_map` with these points: the mean of the AMID movies that are
    nearest to their latent vector."""
    places = {point["movie"]: (point["x"], point["y"]) for point in points}
    codes, whitening = saved.encode(user_profile, user_profile.rows), saved.space.whitenings["movies"]
    pool = np.array(list(places))
    nearest, _ = latent.near(saved.space.movies, codes, min(AMID, len(pool)), pool, [-1], whitening)
    return np.mean([places[movie] for movie in nearest[0].tolist()], axis=0).tolist()


def distinctive_genres(vectors: Floats, genres: Sequence[list[str]]) -> list[str]:
    """Return the GENRES genres that the latent space separates best, the rarest first: those whose mean vector lies
    farthest from the mean of all vectors."""
    names, flags = _flags(genres)
    count = flags.sum(axis=0)
    means = (flags / count).T @ (vectors - vectors.mean(axis=0))
    best = np.argsort(-np.linalg.norm(means, axis=1), kind="stable")[:GENRES]
    return [names[i] for i in best[np.argsort(count[best], kind="stable")]]


def user_map(saved: Saved) -> dict[str, Any]:
    """Map the training users, a fixed sample of at most MOST: {"method", "points": [{"user", "x", "y", "genre",
    "ratings"}]}. genre: the one whose share of the user's likes exceeds its share of all likes most, where it is among
    the GENRES most frequent ones; None otherwise."""
    split, names = saved.split, saved.run.movies.genre_names
    users, ratings = split.trained_users, np.diff(split.known.indptr)
    if len(users) > MOST:
        users = np.sort(np.random.default_rng(0).choice(users, MOST, replace=False))
    liked = likes(split.known, split.ratings.like) @ saved.genre_shares
    shares = liked[users] / np.maximum(liked[users].sum(axis=1, keepdims=True), 1)
    above = shares - liked.sum(axis=0) / max(liked.sum(), 1)
    favourite = above.argmax(axis=1) if names else np.zeros(len(users), int)
    frequent = np.argsort(-np.bincount(favourite, minlength=len(names)), kind="stable")[:GENRES]
    shown = np.isin(favourite, frequent) & shares.any(axis=1)
    method, places = embedded(saved.space.users[users])
    points = []
    for i, (user, (x, y)) in enumerate(zip(users.tolist(), places.tolist(), strict=True)):
        genre = names[favourite[i]] if shown[i] else None
        point = {"user": split.ratings.user_ids[user].item(), "x": round(x, 4), "y": round(y, 4), "genre": genre}
        points.append(point | {"ratings": int(ratings[user])})
    return {"method": method, "points": points}
