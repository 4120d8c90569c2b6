"""LensKit: alternating least squares and item-kNN, for ratings and for likes; EASE and SLIM of likes."""

import numpy as np
import pandas as pd
from lenskit.als import BiasedMFScorer, ImplicitMFScorer
from lenskit.batch import predict, recommend
from lenskit.data import ItemList, ItemListCollection, RecQuery, UserIDKey, from_interactions_df
from lenskit.knn import EASEScorer, ItemKNNScorer, SLIMScorer
from lenskit.pipeline import predict_pipeline, topn_pipeline

JOBS = 1  # more of its processes took longer on two cores
SCORERS = (BiasedMFScorer, ImplicitMFScorer, ItemKNNScorer, EASEScorer, SLIMScorer)
MODELS = {scorer.__name__: scorer for scorer in SCORERS}


def prepare(model, options, data):
    """See `run.py`."""
    scorer = MODELS[model](**options)
    stars = model == "BiasedMFScorer" or (model == "ItemKNNScorer" and scorer.config.explicit)
    if stars:
        table = {"user_id": data.user, "item_id": data.movie, "rating": data.rating}
    else:
        liked = data.likes.tocoo()
        table = {"user_id": liked.row, "item_id": liked.col}
    known = from_interactions_df(pd.DataFrame(table))
    fitted = predict_pipeline(scorer) if stars else topn_pipeline(scorer, n=100)
    return fitted, known


def fit(prepared):
    """See `run.py`."""
    model, known = prepared
    model.train(known)
    return (model, known), None


def rate(fitted, _data, users, movies):
    """See `run.py`."""
    pairs = pd.DataFrame({"user_id": users, "item_id": movies})
    asked = ItemListCollection.from_df(pairs, UserIDKey)
    found = predict(fitted[0], asked, n_jobs=JOBS).to_df()
    return pairs.merge(found, on=["user_id", "item_id"], how="left")["score"].to_numpy()


def rank(fitted, _data, k):
    """See `run.py`."""
    model, known = fitted
    return recommend(model, known.users.ids(), n=k, n_jobs=JOBS)


def score(fitted, data):
    """See `run.py`."""
    model, known = fitted
    found, movies = np.full(data.shape, -np.inf, np.float32), known.items.ids()
    scorer = model.node("scorer").component
    for user in known.users.ids():
        query = RecQuery(user_id=user, user_items=known.user_row(user))
        found[user, movies] = scorer(query=query, items=ItemList(item_ids=movies)).scores("numpy")
    return np.nan_to_num(found, nan=-np.inf, neginf=-np.inf)
