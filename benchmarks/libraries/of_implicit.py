"""implicit: alternating least squares for likes."""

import implicit.als
import numpy as np


def prepare(model, options, data):
    """See `run.py`."""
    return getattr(implicit.als, model)(random_state=0, use_gpu=False, **options), data.likes


def fit(prepared):
    """See `run.py`."""
    model, likes = prepared
    model.fit(likes, show_progress=False)
    return model, None


def rank(fitted, data, k):
    """See `run.py`."""
    return fitted.recommend(np.arange(data.shape[0]), data.likes, N=k, filter_already_liked_items=True)[0]


def score(fitted, _data):
    """See `run.py`."""
    return fitted.user_factors @ fitted.item_factors.T
