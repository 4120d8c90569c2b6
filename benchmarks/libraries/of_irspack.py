"""irspack: EASE, EDLAE and iALS of likes."""

import irspack
import numpy as np
from irspack.utils import IDMapper


def prepare(model, options, data):
    """See `run.py`."""
    return getattr(irspack, model)(data.likes.astype(np.float64), **options)


def fit(prepared):
    """See `run.py`."""
    return prepared.learn(), None


def rank(fitted, data, k):
    """See `run.py`."""
    users, movies = (list(range(n)) for n in data.shape)
    return IDMapper(users, movies).recommend_for_known_user_batch(fitted, users, cutoff=k)


def score(fitted, data):
    """See `run.py`."""
    return fitted.get_score(np.arange(data.shape[0]))
