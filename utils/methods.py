"""The ways of recommending that one trained model offers (`--by`), and which of them validation prefers."""

from dataclasses import asdict
from itertools import product

from utils.evaluation import ranking_metrics
from utils.latent import Neighbourhood, neighbour_scores
from utils.ratings import likes

SIZES, POWERS = (20, 40, 80, 160), (1, 2, 4)  # neighbourhoods tried on validation


def scorers(model, given, neighbourhood):
    """{method: score function of (given, users)}: "neighbours", "decoder" of an autoencoder, "model" of any other.
    given: CSR of all users' known ratings, whose likes the neighbours vouch for."""
    if not model.has_latent_space:
        return {"model": model.score}
    liked = likes(given)
    return {
        "neighbours": lambda _, users: neighbour_scores(model.latent.users, liked, users, neighbourhood),
        "decoder": model.score,
    }


def choose(model, validation):
    """What validation prefers, as plain values for metrics.json: {"best": method, "neighbourhood": {...} or absent,
    "validation": {method: NDCG@100}}."""
    candidates = [Neighbourhood(size, power) for size, power in product(SIZES, POWERS)]
    best, found = Neighbourhood(), {}
    if model.has_latent_space:
        ndcg = {hood: _ndcg(scorers(model, validation.given, hood)["neighbours"], validation) for hood in candidates}
        best = max(ndcg, key=ndcg.get)
    for method, score in scorers(model, validation.given, best).items():
        found[method] = _ndcg(score, validation)
    chosen = {"best": max(found, key=found.get), "validation": found}
    return chosen | ({"neighbourhood": asdict(best)} if model.has_latent_space else {})


def _ndcg(score, holdout):
    metric = ranking_metrics(score, holdout)["ndcg@100"]
    return metric.value if metric.count.any() else 0.0  # too little data to have a hidden like: the first one stands
