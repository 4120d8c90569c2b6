"""Reelspace itself, as train.py trains: epochs chosen on the validation ratings, and again on all that is known."""

import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
BLOCK = 512


def prepare(model, options, _data):
    """See `run.py`. options: {"command": the words behind the model, "validation": true where nothing is trained on
    validation ratings, since these judge it}."""
    import scipy.linalg  # noqa: F401  which is no part of fitting

    import models
    import train

    name, chosen, config = train.parse([model, *options["command"].split()])
    dataset, split = train.read(chosen)
    return models.for_data(name, config, dataset, chosen.holding.seed), split, options.get("validation", False)


def fit(prepared):
    """See `run.py`."""
    from models.base import ClosedForm
    from utils.training.training import Training

    fitted, split, is_judged = prepared
    whole, known = (split.train, split.train) if is_judged else (split.refit, split.known)
    closed_form, history = isinstance(fitted, ClosedForm), []
    if not closed_form:  # which has nothing to choose on validation
        fitted.fit(split.train, split.validation, Training())
    if closed_form or not is_judged:
        history = fitted.fit_all(whole, Training()) or []
    fitted.encode_all(known)
    epoch = statistics.median(row["seconds"] for row in history) if history else None
    return (fitted, known), epoch


def rate(fitted, _data, users, movies):
    """See `run.py`."""
    model, known = fitted
    return model.predict(known, users, movies)


def _blocks(fitted):
    model, known = fitted
    for start in range(0, known.shape[0], BLOCK):
        users = np.arange(start, min(start + BLOCK, known.shape[0]))
        yield known[users], model.score(known[users], users)


def rank(fitted, _data, k):
    """See `run.py`."""
    from utils.scoring import ranking

    return [ranking.top_k(ranking.hide_seen(scores, given), k) for given, scores in _blocks(fitted)]


def score(fitted, _data):
    """See `run.py`."""
    return np.concatenate([scores for _, scores in _blocks(fitted)])
