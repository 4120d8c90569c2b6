"""What a model makes of the ratings it was shown, and of those it was not: the numbers behind the plots."""

import numpy as np

from utils.data.movies import spoken
from utils.data.ratings import given
from utils.evaluation.bootstrap import Metric, estimates
from utils.scoring.latent import unit

BLOCK = 40  # users and movies shown
BINS = 10  # groups of test ratings, by what is predicted
MOST = 1500  # test ratings of one number of stars that a violin is drawn of


def block(predict, split, movies, vectors=None):
    """The most active users' ratings of the most rated movies, and the reconstruction of all these pairs, as plain
    values: {"users": ids, "movies": titles, "original": rows of stars, None where not rated, "reconstruction": rows}.

    Neighbours stand beside each other: both are ordered by the tree that clusters them by cosine (average linkage, its
    branches turned so that likes are near). predict: a model's `predict(given, users, movies)`. vectors: latent vectors
    (users, movies); those who share ratings are near where None."""
    ratings, scale = split.ratings, split.ratings.scale
    everything = ratings.matrix()
    users = np.argsort(-np.diff(everything.indptr), kind="stable")[:BLOCK]
    columns = np.argsort(-np.bincount(ratings.movie, minlength=ratings.shape[1]), kind="stable")[:BLOCK]
    own = everything[users][:, columns].toarray()
    of_users, of_movies = (own, own.T) if vectors is None else (vectors[0][users], vectors[1][columns])
    users, columns = users[_alike(of_users)], columns[_alike(of_movies)]
    original = everything[users][:, columns].toarray()
    cells = np.repeat(users, len(columns)), np.tile(columns, len(users))
    found = np.clip(predict(split.test.given, *cells), *scale).reshape(original.shape)
    return {
        "users": ratings.user_ids[users].tolist(),
        "movies": [spoken(movies.titles[m]) for m in columns],
        "original": np.where(original, given(original, scale), None).tolist(),
        "reconstruction": found.astype(float).round(3).tolist(),
    }


def _alike(vectors):
    """An order of the vectors in which each is like those beside it."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # a third of a second that others do without

    if len(vectors) < 3:
        return np.arange(len(vectors))
    seen = unit(vectors - vectors.mean(axis=0))
    distance = 1 - np.clip((seen @ seen.T)[np.triu_indices(len(seen), 1)].astype(np.float64), -1, 1)
    return leaves_list(linkage(distance, "average", optimal_ordering=True))


def predicted_beside_actual(users, predicted, actual, n_users, scale):
    """What predictions of test ratings are worth, as plain values. users: (n,) indices; predicted, actual: (n,) stars.

    calibration: BINS groups of as many ratings, by the prediction: its mean ("predicted") and the mean of the actual
    stars ("value", with its 95% interval over users). residuals: counts of predicted less actual stars, between
    "edges". stars: for each number of actual stars the quartiles of what was predicted."""
    order = np.argsort(predicted, kind="stable")
    groups = [group for group in np.array_split(order, BINS) if len(group)]
    means = {
        i: Metric(np.bincount(users[g], actual[g], n_users), np.bincount(users[g], minlength=n_users))
        for i, g in enumerate(groups)
    }
    found = estimates(means)
    calibration = [{"predicted": float(predicted[g].mean()), **found[i]} for i, g in enumerate(groups)]
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


def violins(predicted, actual):
    """[{"actual": stars, "predicted": a fixed sample of at most MOST predictions}], for each number of stars."""
    rng, found = np.random.default_rng(0), []
    for value in np.unique(actual):
        of = predicted[actual == value]
        of = of if len(of) <= MOST else rng.choice(of, MOST, replace=False)
        found.append({"actual": float(value), "predicted": of.astype(float).round(2).tolist()})
    return found
