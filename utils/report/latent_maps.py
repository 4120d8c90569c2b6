"""A latent space to look at: what its dimensions carry, what is near what, and maps of it in two dimensions."""

import numpy as np

from utils.data.ratings import likes
from utils.recommend import recommendations
from utils.scoring import latent
from utils.scoring.latent import unit

KNOWN = 12  # best-known movies whose neighbours are shown
NEAR = 5  # neighbours of each
FEW = 5  # ratings that a movie on the map has at least
MOST = 3000  # points on a map
GENRES = 7  # told apart by colours that everybody can tell apart
AMID = 10  # movies in the midst of which somebody stands on a map
LEAST = 20  # movies of a genre that is told apart


def about(saved):
    """What --json says of the latent space of a run: its `dimensions`, and the `neighbours` of well-known movies."""
    count = recommendations.known_count(saved.split)
    pool = np.flatnonzero(count >= min(FEW, count.max()))
    return {
        "dimensions": dimensions(saved.space.movies, saved.run.movies.genres, pool),
        "neighbours": neighbours(saved, count),
    }


def dimensions(vectors, genres, pool):
    """For each latent dimension, the widest first: {"unit": its number, "variance": its share of the variance of the
    vectors of `pool`, "leans_to", "away_from": the genres whose movies lie farthest to either side, with the
    correlation}. vectors: (n_movies, latent); genres: a list of names for each movie."""
    seen = vectors[pool].astype(np.float64)
    seen -= seen.mean(axis=0)
    variance = (seen**2).mean(axis=0)
    names, flags = _flags([genres[m] for m in pool])
    leaning = np.zeros((seen.shape[1], len(names)))
    if names:
        flags -= flags.mean(axis=0)
        length = np.outer(np.sqrt((seen**2).sum(axis=0)), np.sqrt((flags**2).sum(axis=0)))
        leaning = np.divide(seen.T @ flags, length, out=leaning, where=length > 0)
    share = variance / variance.sum() if variance.any() else variance
    found = []
    for own in np.argsort(-share, kind="stable").tolist():
        row = {"unit": own, "variance": float(share[own])}
        if names:
            for side, at in (("leans_to", leaning[own].argmax()), ("away_from", leaning[own].argmin())):
                row[side] = {"genre": names[at], "correlation": float(leaning[own, at])}
        found.append(row)
    return found


def _flags(genres):
    """(names of the genres that at least LEAST of the movies have, (n, names) of 0 and 1)."""
    every = sorted({name for names in genres for name in names})
    flags = np.array([[name in names for name in every] for names in genres], np.float64).reshape(len(genres), -1)
    common = [i for i, n in enumerate(flags.sum(axis=0)) if n >= LEAST]
    return [every[i] for i in common], flags[:, common]


def neighbours(saved, count):
    """The KNOWN most rated movies with the NEAR movies nearest to each, as `answers.movies_like` says them.
    count: known ratings of each."""
    most = np.argsort(-count, kind="stable")[:KNOWN]
    found = [recommendations.movies_like(saved, movie, NEAR) for movie in most[count[most] > 0].tolist()]
    return [
        {
            "title": one["movie"]["title"],
            "near": [{"title": item["title"], "cosine": item["score"]} for item in one["items"]],
        }
        for one in found
    ]


def embedded(vectors):
    """(method, (n, 2)): where the vectors lie on a map. By UMAP (McInnes et al. 2018) or t-SNE (Poličar et al. 2019) of
    cosines where umap-learn or openTSNE is installed, else by the two principal components of their directions."""
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
    seen = unit(vectors - vectors.mean(axis=0))  # by direction, as cosines see them
    seen -= seen.mean(axis=0)
    _, directions = np.linalg.eigh((seen.T @ seen).astype(np.float64))
    found = seen @ directions[:, :-3:-1]
    return "PCA", np.pad(found, ((0, 0), (0, 2 - found.shape[1])))


def movie_map(saved, most=MOST):
    """The map of the most rated movies, `most` at most: {"method", "points": [{"movie": its index, "title", "x", "y",
    "genre", "decade", "ratings"}]}, the most rated first; genre is the one of `telling` that fewest movies have, None
    where it has none of them."""
    run, count = saved.run, recommendations.known_count(saved.split)
    shown = np.argsort(-count, kind="stable")[:most]
    shown = shown[count[shown] >= min(FEW, count.max())]
    vectors = saved.space.movies[shown]
    own = [run.movies.genres[m] for m in shown]
    told = telling(vectors, own)
    method, places = embedded(vectors)
    points = []
    for movie, genres, (x, y) in zip(shown.tolist(), own, places.tolist(), strict=True):
        year = run.movies.years[movie]
        points.append(
            {
                "movie": movie,
                "title": run.movies.titles[movie],
                "x": round(x, 4),
                "y": round(y, 4),
                "genre": next((name for name in told if name in genres), None),
                "decade": year // 10 * 10 if year else None,
                "ratings": int(count[movie]),
            }
        )
    return {"method": method, "points": points}


def place(saved, them, points):
    """(x, y) of a `Person` on a `movie_map` with these points: amid the AMID movies of it that are nearest to their
    latent vector."""
    pool = np.array([point["movie"] for point in points])
    codes, view = saved.encode(them, them.rows), saved.space.views["movies"]
    index, _ = latent.near(saved.space.movies, codes, min(AMID, len(pool)), pool, [-1], view)
    places = {point["movie"]: (point["x"], point["y"]) for point in points}
    return np.mean([places[movie] for movie in index[0].tolist()], axis=0).tolist()


def telling(vectors, genres):
    """The GENRES that the latent space tells apart best, the rarest first: those whose movies' mean lies farthest from
    the mean of all, in shares of how far a movie does."""
    names, flags = _flags(genres)
    if not names:
        return []
    seen = vectors - vectors.mean(axis=0)
    spread = np.sqrt((seen**2).sum(axis=1).mean())
    means = (flags / flags.sum(axis=0)).T @ seen
    best = np.argsort(-np.linalg.norm(means, axis=1) / max(spread, 1e-12), kind="stable")[:GENRES]
    return [names[i] for i in best[np.argsort(flags.sum(axis=0)[best], kind="stable")]]


def user_map(saved):
    """The map of users that were trained on, a fixed sample of at most MOST: {"method", "points": [{"user", "x", "y",
    "genre", "ratings"}]}; genre is the one that their likes have most above what all likes have."""
    split, shares = saved.split, saved.genre_shares
    users = split.trained_users
    if len(users) > MOST:
        users = np.sort(np.random.default_rng(0).choice(users, MOST, replace=False))
    names, known = saved.run.movies.genre_names, split.known
    mix = likes(known, split.ratings.like) @ shares
    overall = mix.sum(axis=0) / max(mix.sum(), 1)
    own = mix[users] / np.maximum(mix[users].sum(axis=1, keepdims=True), 1)
    above = own - overall
    counts = np.bincount(above.argmax(axis=1), minlength=len(names)) if names else np.zeros(0)
    told = set(np.argsort(-counts, kind="stable")[:GENRES].tolist())
    method, places = embedded(saved.space.users[users])
    rated, points = np.diff(known.indptr), []
    for i, (user, (x, y)) in enumerate(zip(users.tolist(), places.tolist(), strict=True)):
        at = int(above[i].argmax()) if names and own[i].any() else None
        genre = names[at] if at in told else None
        row = {"user": split.ratings.user_ids[user].item(), "x": round(x, 4), "y": round(y, 4), "genre": genre}
        points.append(row | {"ratings": int(rated[user])})
    return {"method": method, "points": points}
