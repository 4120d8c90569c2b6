"""The ways of recommending that one trained model offers (`--by`), and which of them validation prefers."""

from dataclasses import asdict
from itertools import product

import numpy as np

from utils.evaluation import judged_users, ranking_metrics
from utils.latent import Neighbourhood, liked_by, near_users
from utils.ratings import likes

SIZES, POWERS = (20, 40, 80, 160), (1, 2, 4)  # neighbourhoods tried on validation
MOST = 2000  # users that the choice is made on: beyond that it takes long and changes nothing


def unchosen(model):
    """What stands in for `choose` when there was no time for it."""
    if not model.has_latent_space:
        return {"best": "model", "validation": {}}
    return {"best": "neighbours", "validation": {}, "neighbourhood": asdict(Neighbourhood())}


def scorers(model, holdout, pool, neighbourhood):
    """{method: score function of (given, users)}: "neighbours", "decoder" of an autoencoder, "model" of any other.
    The users `pool` vouch for what they like of what the `Holdout` gives."""
    if not model.has_latent_space:
        return {"model": model.score}
    liked = likes(holdout.given, holdout.like)

    def neighbours(_, users):
        return liked_by(*near_users(model.latent.users, users, neighbourhood.size, pool), liked, neighbourhood)

    return {"neighbours": neighbours, "decoder": model.score}


def choose(model, split):
    """What the validation hold-out of the `Split` prefers, as plain values for metrics.json: {"best": method,
    "neighbourhood": {...} or absent, "validation": {method: NDCG@100}}."""
    validation, chosen, found = split.validation, {}, {}
    users = judged_users(validation, MOST)
    if model.has_latent_space:
        index, near = near_users(model.latent.users, users, max(SIZES), split.trained_users)
        liked = likes(validation.given, validation.like)

        def of(neighbourhood):
            def score(_, users_):
                rows = np.searchsorted(users, users_)
                return liked_by(index[rows], near[rows], liked, neighbourhood)

            return ndcg(score, validation)

        best = max((Neighbourhood(*both) for both in product(SIZES, POWERS)), key=of)
        chosen["neighbourhood"], found["neighbours"] = asdict(best), of(best)
    found["decoder" if model.has_latent_space else "model"] = ndcg(model.score, validation)
    return {"best": max(found, key=found.get), "validation": found, **chosen}


def ndcg(score, holdout):
    """NDCG@100 of a score function over at most `MOST` users of a `Holdout`, as a number."""
    metric = ranking_metrics(score, holdout, MOST)["ndcg@100"]
    return metric.value if metric.count.any() else 0.0  # too little data to have a hidden like: the first one stands
