"""The ways of recommending that one trained model offers (`--by`), and which of them validation prefers."""

from dataclasses import asdict
from itertools import product

from utils.evaluation import ranking_metrics
from utils.latent import Neighbourhood, neighbour_scores
from utils.ratings import likes

SIZES, POWERS = (20, 40, 80, 160), (1, 2, 4)  # neighbourhoods tried on validation
MOST = 2000  # users that the choice is made on: beyond that it takes long and changes nothing


def scorers(model, given, pool, neighbourhood):
    """{method: score function of (given, users)}: "neighbours", "decoder" of an autoencoder, "model" of any other.
    given: CSR of all users' known ratings, of which the users `pool` vouch for what they like."""
    if not model.has_latent_space:
        return {"model": model.score}
    liked = likes(given)
    return {
        "neighbours": lambda _, users: neighbour_scores(model.latent.users, liked, users, neighbourhood, pool),
        "decoder": model.score,
    }


def choose(model, split):
    """What the validation hold-out of the `Split` prefers, as plain values for metrics.json: {"best": method,
    "neighbourhood": {...} or absent, "validation": {method: NDCG@100}}."""
    validation, pool = split.validation, split.trained_users
    candidates = [Neighbourhood(size, power) for size, power in product(SIZES, POWERS)]
    best, found = Neighbourhood(), {}
    if model.has_latent_space:
        ndcg = {
            hood: _ndcg(scorers(model, validation.given, pool, hood)["neighbours"], validation) for hood in candidates
        }
        best = max(ndcg, key=ndcg.get)
    for method, score in scorers(model, validation.given, pool, best).items():
        found[method] = _ndcg(score, validation)
    chosen = {"best": max(found, key=found.get), "validation": found}
    return chosen | ({"neighbourhood": asdict(best)} if model.has_latent_space else {})


def _ndcg(score, holdout):
    metric = ranking_metrics(score, holdout, MOST)["ndcg@100"]
    return metric.value if metric.count.any() else 0.0  # too little data to have a hidden like: the first one stands
