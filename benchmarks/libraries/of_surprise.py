"""Surprise: matrix factorizations of ratings."""

import numpy as np
import surprise


def prepare(model, options, data):
    """See `run.py`."""
    rows = list(
        zip(data.user.tolist(), data.movie.tolist(), data.rating.tolist(), [None] * len(data.user), strict=True)
    )
    known = surprise.Dataset(surprise.Reader(rating_scale=data.scale)).construct_trainset(rows)
    return getattr(surprise, model)(random_state=0, **options), known


def fit(prepared):
    """See `run.py`."""
    model, known = prepared
    return model.fit(known), None


def rate(fitted, _data, users, movies):
    """See `run.py`."""
    pairs = zip(users.tolist(), movies.tolist(), strict=True)
    return np.array([fitted.predict(user, movie).est for user, movie in pairs])
