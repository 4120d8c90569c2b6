"""Reconstructions of known ratings and predictions of unknown ones: the numbers behind the plots."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import Movies, spoken
from utils.data.ratings import given
from utils.data.splits import Split
from utils.evaluation.bootstrap import Metric, estimates
from utils.scoring.latent import unit
from utils.scoring.protocols import Floats, Indices, PredictFunction, Scale

BLOCK = 40  # users and movies shown
BINS = 10  # groups of test ratings, by their prediction
MOST = 1500  # test ratings of one number of stars that a violin is drawn of


def block(
    predict: PredictFunction, split: Split, movies: Movies, vectors: tuple[Floats, Floats] | None = None
) -> dict[str, list]:
    """Return the most active users' ratings of the most rated movies, and the reconstruction of all these pairs, as
    plain values: {"users": ids, "movies": titles, "original": rows of stars, None where not rated, "reconstruction":
    rows}. Users and movies are clustered by cosine (average linkage), so that neighbours are alike.

    predict: a model's `predict(given, users, movies)`. vectors: latent vectors (of users, of movies); where None, the
    ratings themselves are compared."""
    ratings, scale = split.ratings, split.ratings.scale
    everything = ratings.matrix()
    users = np.argsort(-np.diff(everything.indptr), kind="stable")[:BLOCK]
    columns = np.argsort(-np.bincount(ratings.movie, minlength=ratings.shape[1]), kind="stable")[:BLOCK]
    shared = everything[users][:, columns].toarray()
    of_users, of_movies = (shared, shared.T) if vectors is None else (vectors[0][users], vectors[1][columns])
    by_row, by_column = _alike(of_users), _alike(of_movies)
    users, columns, original = users[by_row], columns[by_column], shared[np.ix_(by_row, by_column)]
    cells = np.repeat(users, len(columns)), np.tile(columns, len(users))
    predicted = np.clip(predict(split.test.given, *cells), *scale).reshape(original.shape)
    return {
        "users": ratings.user_ids[users].tolist(),
        "movies": [spoken(movies.titles[m]) for m in columns],
        "original": np.where(original, given(original, scale), np.array(None)).tolist(),
        "reconstruction": predicted.astype(float).round(3).tolist(),
    }


def _alike(vectors: NDArray) -> Indices:
    """Return an order of the vectors, (n,) indices, in which neighbours are alike."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # its import takes a third of a second

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
    groups = [group for group in np.array_split(np.argsort(predicted, kind="stable"), BINS) if len(group)]
    means = {
        i: Metric(np.bincount(users[group], actual[group], n_users), np.bincount(users[group], minlength=n_users))
        for i, group in enumerate(groups)
    }
    intervals = estimates(means)
    calibration = [{"predicted": float(predicted[g].mean()), **intervals[i]} for i, g in enumerate(groups)]
    reach = scale[1] - scale[0]
    counts, edges = np.histogram(predicted - actual, bins=48, range=(-reach, reach))
    stars = []
    for value in np.unique(actual):
        predictions = predicted[actual == value]
        low, median, high = np.percentile(predictions, [25, 50, 75]).tolist()
        stars.append({"actual": float(value), "n": len(predictions), "low": low, "median": median, "high": high})
    residuals = {"edges": edges.tolist(), "counts": counts.tolist()}
    return {"calibration": calibration, "residuals": residuals, "stars": stars}


def violins(predicted: NDArray, actual: NDArray) -> list[dict[str, Any]]:
    """Return [{"actual": stars, "predicted": a fixed sample of at most MOST predictions}] for each number of stars."""
    rng, rows = np.random.default_rng(0), []
    for value in np.unique(actual):
        sample = predicted[actual == value]
        if len(sample) > MOST:
            sample = rng.choice(sample, MOST, replace=False)
        rows.append({"actual": float(value), "predicted": sample.astype(float).round(2).tolist()})
    return rows
