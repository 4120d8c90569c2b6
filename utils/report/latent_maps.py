"""Show a latent space: what its dimensions mean, nearest movies, and maps of it in two dimensions."""

from __future__ import annotations

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

KNOWN = 12  # most rated movies whose neighbours are shown
NEAR = 5  # neighbours of each
FEW = 5  # ratings that a movie needs to be on the map
MOST = 3000  # points on a map
GENRES = 7  # as many as there are colours that everybody can tell apart
AMID = 10  # movies at whose mean position a person is drawn on a map
LEAST = 20  # movies that a genre needs to be shown


def about(saved: Saved) -> dict[str, Any]:
    """Describe the latent space of a run for --json: its `dimensions`, and the `neighbours` of well-known movies."""
    count = recommendations.known_count(saved.split)
    pool = np.flatnonzero(count >= min(FEW, count.max()))
    return {
        "dimensions": dimensions(saved.space.movies, saved.run.movies.genres, pool),
        "neighbours": neighbours(saved, count),
    }


def dimensions(
    vectors: NDArray[np.float32], genres: Sequence[list[str]], pool: NDArray[np.intp]
) -> list[dict[str, Any]]:
    """Describe each latent dimension, the one with most variance first.

    Each is {"unit": its number, "variance": its share of the variance of the movies `pool`, "leans_to", "away_from":
    the genres with the highest and the lowest correlation}. vectors: (n_movies, latent); genres: the names for each
    movie."""
    centred = vectors[pool].astype(np.float64)
    centred -= centred.mean(axis=0)
    variance = (centred**2).mean(axis=0)
    names, flags = _flags([genres[m] for m in pool])
    leaning = np.zeros((centred.shape[1], len(names)))
    if names:
        flags -= flags.mean(axis=0)
        length = np.outer(np.sqrt((centred**2).sum(axis=0)), np.sqrt((flags**2).sum(axis=0)))
        leaning = np.divide(centred.T @ flags, length, out=leaning, where=length > 0)
    share = variance / variance.sum() if variance.any() else variance
    rows = []
    for dimension in np.argsort(-share, kind="stable").tolist():
        row: dict[str, Any] = {"unit": dimension, "variance": float(share[dimension])}
        if names:
            lean = leaning[dimension]
            for side, at in (("leans_to", lean.argmax()), ("away_from", lean.argmin())):
                row[side] = {"genre": names[at], "correlation": float(lean[at])}
        rows.append(row)
    return rows


def _flags(genres: Sequence[list[str]]) -> tuple[list[str], NDArray[np.float64]]:
    """Encode genres as 0 and 1: (names of those that at least LEAST movies have, flags (n, names))."""
    every = sorted({name for names in genres for name in names})
    flags = np.array([[name in names for name in every] for names in genres], np.float64).reshape(len(genres), -1)
    common = [i for i, n in enumerate(flags.sum(axis=0)) if n >= LEAST]
    return [every[i] for i in common], flags[:, common]


def neighbours(saved: Saved, count: NDArray[np.integer]) -> list[dict[str, Any]]:
    """List the KNOWN most rated movies with the NEAR movies nearest to each, as `recommendations.movies_like` does.
    count: known ratings of each movie."""
    most = np.argsort(-count, kind="stable")[:KNOWN]
    answers = [recommendations.movies_like(saved, movie, NEAR) for movie in most[count[most] > 0].tolist()]
    return [
        {
            "title": one["movie"]["title"],
            "near": [{"title": item["title"], "cosine": item["score"]} for item in one["items"]],
        }
        for one in answers
    ]


def embedded(vectors: NDArray[np.float32]) -> tuple[str, NDArray[Any]]:
    """Embed vectors, (n, latent), in two dimensions: (method, positions (n, 2)). By UMAP (McInnes et al. 2018) or t-SNE
    (Poličar et al. 2019) of cosines where umap-learn or openTSNE is installed, else by the two principal components of
    the unit vectors."""
    if len(vectors) > 50:
        try:
            from umap import UMAP

            return "UMAP", UMAP(metric="cosine", random_state=0, n_jobs=1).fit_transform(vectors)
        except ImportError:
            pass
        try:
            from openTSNE import TSNE

            return "t-SNE", np.asarray(TSNE(metric="cosine", random_state=0, n_jobs=1).fit(vectors))
        except ImportError:
            pass
    units = unit(vectors - vectors.mean(axis=0))  # cosines depend on directions only
    units -= units.mean(axis=0)
    _, directions = np.linalg.eigh((units.T @ units).astype(np.float64))
    components = units @ directions[:, :-3:-1]
    return "PCA", np.pad(components, ((0, 0), (0, 2 - components.shape[1])))


def movie_map(saved: Saved, most: int | None = MOST) -> dict[str, Any]:
    """Map the most rated movies, at most `most`, all where None: {"method", "points": [{"movie": its index, "title",
    "x", "y", "genre", "decade", "ratings"}]}, the most rated first. genre: the rarest of the movie's genres that are in
    `distinctive_genres`; None where there is none."""
    run, count = saved.run, recommendations.known_count(saved.split)
    shown = np.argsort(-count, kind="stable")[:most]
    shown = shown[count[shown] >= min(FEW, count.max())]
    vectors = saved.space.movies[shown]
    genres_of = [run.movies.genres[m] for m in shown]
    main_genres = distinctive_genres(vectors, genres_of)
    method, places = embedded(vectors)
    points = []
    for movie, genres, (x, y) in zip(shown.tolist(), genres_of, places.tolist(), strict=True):
        year = run.movies.years[movie]
        points.append(
            {
                "movie": movie,
                "title": run.movies.titles[movie],
                "x": round(x, 4),
                "y": round(y, 4),
                "genre": next((name for name in main_genres if name in genres), None),
                "decade": year // 10 * 10 if year else None,
                "ratings": int(count[movie]),
            }
        )
    return {"method": method, "points": points}


def place(saved: Saved, them: Profile, points: Sequence[dict[str, Any]]) -> list[float]:
    """Return the position [x, y] of a person on a `movie_map` with these points: the mean of the AMID movies that are
    nearest to their latent vector."""
    pool = np.array([point["movie"] for point in points])
    codes, whitening = saved.encode(them, them.rows), saved.space.whitenings["movies"]
    index, _ = latent.near(saved.space.movies, codes, min(AMID, len(pool)), pool, [-1], whitening)
    places = {point["movie"]: (point["x"], point["y"]) for point in points}
    return np.mean([places[movie] for movie in index[0].tolist()], axis=0).tolist()


def distinctive_genres(vectors: NDArray[np.float32], genres: Sequence[list[str]]) -> list[str]:
    """Return the GENRES genres that the latent space separates best, the rarest first: those whose mean vector lies
    farthest from the mean of all, relative to the spread of the movies."""
    names, flags = _flags(genres)
    if not names:
        return []
    centred = vectors - vectors.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=1).mean())
    means = (flags / flags.sum(axis=0)).T @ centred
    best = np.argsort(-np.linalg.norm(means, axis=1) / max(spread, 1e-12), kind="stable")[:GENRES]
    return [names[i] for i in best[np.argsort(flags.sum(axis=0)[best], kind="stable")]]


def user_map(saved: Saved) -> dict[str, Any]:
    """Map the training users, a fixed sample of at most MOST: {"method", "points": [{"user", "x", "y", "genre",
    "ratings"}]}. genre: the one whose share of the user's likes exceeds its share of all likes most."""
    split, shares = saved.split, saved.genre_shares
    users = split.trained_users
    if len(users) > MOST:
        users = np.sort(np.random.default_rng(0).choice(users, MOST, replace=False))
    names, known = saved.run.movies.genre_names, split.known
    mix = likes(known, split.ratings.like) @ shares
    overall = mix.sum(axis=0) / max(mix.sum(), 1)
    shares_of = mix[users] / np.maximum(mix[users].sum(axis=1, keepdims=True), 1)
    above = shares_of - overall
    counts = np.bincount(above.argmax(axis=1), minlength=len(names)) if names else np.zeros(0)
    main_genres = set(np.argsort(-counts, kind="stable")[:GENRES].tolist())
    method, places = embedded(saved.space.users[users])
    rated, points = np.diff(known.indptr), []
    for i, (user, (x, y)) in enumerate(zip(users.tolist(), places.tolist(), strict=True)):
        at = int(above[i].argmax()) if names and shares_of[i].any() else None
        genre = names[at] if at is not None and at in main_genres else None
        row = {"user": split.ratings.user_ids[user].item(), "x": round(x, 4), "y": round(y, 4), "genre": genre}
        points.append(row | {"ratings": int(rated[user])})
    return {"method": method, "points": points}
