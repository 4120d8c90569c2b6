"""The ways of recommending that one trained model offers (`--by`), and which of them validation prefers."""

from dataclasses import asdict, dataclass, field, replace
from functools import cache

import numpy as np

from utils.data.ratings import likes
from utils.evaluation.holdout_metrics import ranking_metrics
from utils.scoring.latent import Neighbourhood, View, near, votes, vouching
from utils.scoring.parallel import parallel_rows

START = {"neighbours": Neighbourhood(80, 2, 0.0, 0.25), "movies": Neighbourhood(200, 2, 100.0, 0.25)}
TRIED = {  # on validation, one field after the other; how many movies near each liked one count hardly matters
    "neighbours": {"whiten": (0.0, 0.25), "size": (20, 40, 80, 160, 320), "power": (1, 2, 4, 6), "shrink": (0.0, 10.0)},
    "movies": {"whiten": (0.0, 0.25), "shrink": (30.0, 300.0, 1000.0), "power": (1, 2)},
}
LONGEST = max(TRIED["neighbours"]["size"])
ROWS = 128  # users whose scores one core adds up at a time
ROOM = 2**26  # cosines that are kept while neighbourhoods are tried: 256 MB
MOST = 2000  # users that the choice is made on: beyond that it takes long and changes nothing


def unchosen(model):
    """What stands in for `choose` when there was no time for it."""
    if not model.has_latent_space:
        return {"best": "model", "validation": {}}
    hoods = {method: asdict(hood) for method, hood in START.items()}
    return {"best": "neighbours", "validation": {}, "neighbourhoods": hoods}


def neighbourhoods(chosen):
    """{method: `Neighbourhood`} of what metrics.json says; {} of a model without a latent space."""
    return {method: Neighbourhood(**hood) for method, hood in chosen.get("neighbourhoods", {}).items()}


def viewed(space, split, hoods):
    """The `LatentSpace` with the `View`s that the neighbourhoods take of it when everything but the test is known."""
    ratings = split.ratings
    liked = np.unique(ratings.movie[(ratings.rating > ratings.like) & split.is_known])
    views = {
        "neighbours": View.of(space.users, split.trained_users, hoods["neighbours"].whiten),
        "movies": View.of(space.movies, liked, hoods["movies"].whiten),
    }
    return replace(space, views=views)


def by_neighbours(space, hood, liked, pool, vouch=vouching):
    """Score function of (given, users): what the users nearest to them like, as far as the CSR matrix `liked` says.
    pool: indices of the users who can vouch. vouch: `vouching`, or what finds the same sooner."""
    count, view = np.diff(liked.indptr), space.views.get("neighbours") or View.of(space.users, pool, hood.whiten)

    def score(_, users):
        index, weight = vouch(space.users, space.users[users], hood, count, pool, users, view)
        return _product(votes(index, weight, len(count)), liked)

    return score


def by_movies(space, hood, liked):
    """Score function of (given, users): what is near the movies that they like."""
    count = np.bincount(liked.indices, minlength=liked.shape[1])
    pool = np.flatnonzero(count)
    index, weight = vouching(space.movies, space.movies[pool], hood, count, pool, pool, space.views.get("movies"))
    voted, liking = votes(index, weight, len(count)), liked[:, pool]

    def score(_, users):
        return _product(liking[users], voted)

    return score


def _product(left, right):
    """The dense product of two CSR matrices."""
    found = np.empty((left.shape[0], right.shape[1]), np.float32)

    def multiply(rows: slice) -> None:
        found[rows] = (left[rows] @ right).toarray()

    parallel_rows(multiply, len(found), ROWS)
    return found


def scorers(model, holdout, pool, hoods):
    """{method: score function of (given, users)}: "neighbours", "movies" and "decoder" of an autoencoder, "model" of
    any other. The users `pool` vouch for what they like of what the `Holdout` gives."""
    if not model.has_latent_space:
        return {"model": model.score}
    liked = likes(holdout.given, holdout.like)
    return {
        "neighbours": by_neighbours(model.latent, hoods["neighbours"], liked, pool),
        "movies": by_movies(model.latent, hoods["movies"], liked),
        "decoder": model.score,
    }


def choose(model, split):
    """What the validation hold-out of the `Split` prefers, as plain values for metrics.json: {"best": method,
    "neighbourhoods": {method: {...}} or absent, "validation": {method: NDCG@100}}."""
    validation, found, hoods = split.validation, {}, {}
    if not model.has_latent_space:
        return {"best": "model", "validation": {"model": ndcg(model.score, validation)}}
    for method in TRIED:
        way = trier(method, model.latent, validation, split.trained_users)
        judge = cache(lambda hood, way=way: ndcg(way(hood), validation))
        hoods[method] = search(START[method], TRIED[method], judge)
        found[method] = judge(hoods[method])
    found["decoder"] = ndcg(model.score, validation)
    stored = {method: asdict(hood) for method, hood in hoods.items()}
    return {"best": max(found, key=found.get), "validation": found, "neighbourhoods": stored}


def search(best, tried, judge):
    """The `Neighbourhood` found from `best` by trying the values of one field after the other: the one that `judge`
    gives the most, the first one of several."""
    for field_name, values in tried.items():
        best = max([best, *(replace(best, **{field_name: value}) for value in values)], key=judge)
    return best


def trier(method, space, holdout, pool):
    """Function from a `Neighbourhood` to the score function that `scorers` has for one of the two ways by it. What
    neighbourhoods of the same `whiten` have in common is found once."""
    liked = likes(holdout.given, holdout.like)
    if method == "neighbours":
        viewed = cache(lambda whiten: replace(space, views={method: _Keeping.of(space.users, pool, whiten)}))
        vouch = _longest_once()
        return lambda hood: by_neighbours(viewed(hood.whiten), hood, liked, pool, vouch)
    movies = np.unique(liked.indices)
    viewed = cache(lambda whiten: replace(space, views={method: _Keeping.of(space.movies, movies, whiten)}))
    return lambda hood: by_movies(viewed(hood.whiten), hood, liked)


def _longest_once():
    """`vouching` that finds the nearest once where they weigh by nothing but their cosines: those of a smaller
    neighbourhood, or of another power, come first among the LONGEST."""
    kept = {}

    def vouch(vectors, queries, hood, likes, pool, own, view):
        if hood.shrink or hood.size > LONGEST:
            return vouching(vectors, queries, hood, likes, pool, own, view)
        asked = hood.whiten, own.tobytes()
        if asked not in kept:
            kept[asked] = near(vectors, queries, LONGEST, pool, own, view)
        index, cosines = (part[:, : hood.size] for part in kept[asked])
        return index, hood.weigh(cosines, likes)

    return vouch


@dataclass(frozen=True)
class _Keeping(View):
    """A `View` of one set of vectors that keeps the cosines it has taken with them, as far as there is ROOM."""

    kept: dict = field(default_factory=dict)

    def cosines(self, vectors, queries):
        """See `View.cosines`."""
        asked = queries.tobytes()
        if asked not in self.kept:
            found = super().cosines(vectors, queries)
            if sum(cosines.size for cosines in self.kept.values()) + found.size > ROOM:
                return found
            self.kept[asked] = found
        return self.kept[asked].copy()  # which is written into


def ndcg(score, holdout):
    """NDCG@100 of a score function over at most `MOST` users of a `Holdout`, as a number."""
    metric = ranking_metrics(score, holdout, MOST)["ndcg@100"]
    return metric.value if metric.count.any() else 0.0  # too little data to have a hidden like: the first one stands
