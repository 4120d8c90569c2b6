"""Cornac: VAECF and RecVAE, variational autoencoders of likes, on torch; EASE."""

import time

import cornac
import numpy as np
import torch  # noqa: F401  which Cornac imports when it trains


def prepare(model, options, data):
    """See `run.py`. Cornac's RecVAE judges all users on what it is trained on after each epoch, which is no part of
    training and is left out."""
    from cornac import eval_methods

    eval_methods.ranking_eval = lambda **_: ([0.0], None)
    liked = data.likes.tocoo()
    rows = list(zip(liked.row.tolist(), liked.col.tolist(), liked.data.tolist(), strict=True))
    known = cornac.data.Dataset.from_uir(rows, seed=0)
    fixed = {} if model == "EASE" else {"seed": 0, "use_gpu": False}
    return getattr(cornac.models, model)(**fixed, **options), known


def fit(prepared):
    """See `run.py`."""
    (model, known), start = prepared, time.perf_counter()
    model.fit(known)
    if hasattr(model, "recvae_model"):
        model.recvae_model.eval()  # Cornac itself scores with dropout on, and with a latent vector that is drawn
    epochs = getattr(model, "n_epochs", None)  # None: in closed form
    return (model, known), epochs and (time.perf_counter() - start) / epochs


def rank(fitted, data, k):
    """See `run.py`."""
    model, known = fitted
    users = [user for user in range(data.shape[0]) if user in known.uid_map]  # who liked nothing is no user of Cornac's
    return [model.recommend(user, k=k, remove_seen=True, train_set=known) for user in users]


def score(fitted, data):
    """See `run.py`."""
    model, known = fitted
    found = np.full(data.shape, -np.inf, np.float32)
    columns = np.fromiter(known.iid_map, int)  # in the order of Cornac's own indices
    for user, index in known.uid_map.items():
        found[user, columns] = model.score(index)
    return found
