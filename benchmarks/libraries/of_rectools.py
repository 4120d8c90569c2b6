"""RecTools: EASE, and alternating least squares by implicit, of likes."""

import numpy as np
import pandas as pd
from implicit.als import AlternatingLeastSquares
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel, ImplicitALSWrapperModel


def prepare(model, options, data):
    """See `run.py`."""
    liked = data.likes.tocoo()
    table = {Columns.User: liked.row, Columns.Item: liked.col, Columns.Weight: 1.0, Columns.Datetime: "2020-01-01"}
    if model == "ImplicitALSWrapperModel":
        fitted = ImplicitALSWrapperModel(AlternatingLeastSquares(random_state=0, **options))
    else:
        fitted = EASEModel(**options)
    return fitted, Dataset.construct(pd.DataFrame(table))


def fit(prepared):
    """See `run.py`."""
    model, known = prepared
    return (model.fit(known), known), None


def rank(fitted, _data, k):
    """See `run.py`."""
    model, known = fitted
    return model.recommend(users=known.user_id_map.external_ids, dataset=known, k=k, filter_viewed=True)


def score(fitted, data):
    """See `run.py`."""
    (model, known), found = fitted, np.full(data.shape, -np.inf, np.float32)
    if isinstance(model, EASEModel):
        scores = np.asarray(known.get_user_item_matrix(include_weights=True) @ model.weight)
    else:
        users, movies = model.get_vectors()
        scores = users @ movies.T
    found[np.ix_(known.user_id_map.external_ids, known.item_id_map.external_ids)] = scores
    return found
