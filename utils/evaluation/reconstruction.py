"""Reconstructions of known ratings and predictions of unknown ones: the numbers behind the plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import spoken
from utils.data.ratings import given
from utils.evaluation.bootstrap import Metric, estimates
from utils.scoring.latent import unit

if TYPE_CHECKING:
    from utils.data.movies import Movies
    from utils.data.splits import Split
    from utils.scoring.protocols import Floats, Indices, PredictFunction, Scale

BLOCK = 40  # users and movies shown
BINS = 10  # groups of test ratings, by what is predicted
MOST = 1500  # test ratings of one number of stars that a violin is drawn of


def block(
    predict: PredictFunction, split: Split, movies: Movies, vectors: tuple[Floats, Floats] | None = None
) -> dict[str, list]:
    """Return the most active users' ratings of the most rated movies, and the reconstruction of all these pairs, as
    plain values: {"users": ids, "movies": titles, "original": rows of stars, None where not rated, "reconstruction":
    rows}.

    Users and movies are ordered by the tree that clusters them by cosine (average linkage, its branches turned so that
    neighbours are alike). predict: a model's `predict(given, users, movies)`. vectors: latent vectors (of users, of
    movies); where None, the ratings themselves are compared."""
    ratings, scale = split.ratings, split.ratings.scale
    everything = ratings.matrix()
    users = np.argsort(-np.diff(everything.indptr), kind="stable")[:BLOCK]
    columns = np.argsort(-np.bincount(ratings.movie, minlength=ratings.shape[1]), kind="stable")[:BLOCK]
    shared = everything[users][:, columns].toarray()
    of_users, of_movies = (shared, shared.T) if vectors is None else (vectors[0][users], vectors[1][columns])
    users, columns = users[_alike(of_users)], columns[_alike(of_movies)]
    original = everything[users][:, columns].toarray()
    stars: NDArray = given(original, scale)
    cells = np.repeat(users, len(columns)), np.tile(columns, len(users))
    predicted = np.clip(predict(split.test.given, *cells), *scale).reshape(original.shape)
    return {
        "users": ratings.user_ids[users].tolist(),
        "movies": [spoken(movies.titles[m]) for m in columns],
        "original": np.where(original, stars, np.array(None)).tolist(),
        "reconstruction": predicted.astype(float).round(3).tolist(),
    }


def _alike(vectors: NDArray) -> Indices:
    """Return an order of the vectors, (n,) indices, in which neighbours are alike."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # a third of a second that others do without

    if len(vectors) < 3:
        return np.arange(len(vectors))
    directions = unit(vectors - vectors.mean(axis=0))
    distance = 1 - np.clip((directions @ directions.T)[np.triu_indices(len(directions), 1)].astype(np.float64), -1, 1)
    return leaves_list(linkage(distance, "average", optimal_ordering=True))


def predicted_beside_actual(
    users: Indices, predicted: NDArray, actual: NDArray, n_users: int, scale: Scale
) -> dict[str, Any]:
    """Compare predictions with test ratings, as plain values. users: (n,) indices; predicted, actual: (n,) stars.

    calibration: BINS groups of as many ratings, by the prediction: its mean ("predicted") and the mean of the actual
    stars ("value", with its 95% interval over users). residuals: counts of predicted less actual stars, between
    "edges". stars: for each number of actual stars the quartiles of the predictions."""
    order = np.argsort(predicted, kind="stable")
    groups = [group for group in np.array_split(order, BINS) if len(group)]
    means = {
        i: Metric(np.bincount(users[g], actual[g], n_users), np.bincount(users[g], minlength=n_users))
        for i, g in enumerate(groups)
    }
    intervals = estimates(means)
    calibration = [{"predicted": float(predicted[g].mean()), **intervals[i]} for i, g in enumerate(groups)]
    reach = scale[1] - scale[0]
    counts, edges = np.histogram(predicted - actual, bins=48, range=(-reach, reach))
    stars = []
    for value in np.unique(actual):
        of = predicted[actual == value]
        low, middle, high = np.percentile(of, [25, 50, 75])
        stars.append(
            {"actual": float(value), "n": len(of), "low": float(low), "median": float(middle), "high": float(high)}
        )
    residuals = {"edges": edges.tolist(), "counts": counts.tolist()}
    return {"calibration": calibration, "residuals": residuals, "stars": stars}


def violins(predicted: NDArray, actual: NDArray) -> list[dict[str, Any]]:
    """Return [{"actual": stars, "predicted": a fixed sample of at most MOST predictions}] for each number of stars."""
    rng, rows = np.random.default_rng(0), []
    for value in np.unique(actual):
        of = predicted[actual == value]
        of = of if len(of) <= MOST else rng.choice(of, MOST, replace=False)
        rows.append({"actual": float(value), "predicted": of.astype(float).round(2).tolist()})
    return rows
