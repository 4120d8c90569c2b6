"""The strategies that one trained model offers (`--by`), and which of them is best on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from utils.data.ratings import likes
from utils.evaluation.holdout_metrics import ranking_metrics
from utils.scoring.latent import Neighbourhood, View, near, votes, vouching
from utils.scoring.parallel import parallel_rows
from utils.scoring.protocols import is_latent

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from utils.data.splits import Holdout, Split
    from utils.scoring.latent import LatentSpace
    from utils.scoring.protocols import Floats, Indices, Model, ScoreFunction

Vouch: TypeAlias = Callable[..., tuple[NDArray[np.integer], NDArray[np.float32]]]  # called as `vouching` is

START = {"neighbours": Neighbourhood(80, 2, 0.0, 0.25), "movies": Neighbourhood(200, 2, 100.0, 0.25)}
# tried on validation, one field after the other; how many movies near each liked one count hardly matters
TRIED: dict[str, dict[str, tuple[Any, ...]]] = {
    "neighbours": {"whiten": (0.0, 0.25), "size": (20, 40, 80, 160, 320), "power": (1, 2, 4, 6), "shrink": (0.0, 10.0)},
    "movies": {"whiten": (0.0, 0.25), "shrink": (30.0, 300.0, 1000.0), "power": (1, 2)},
}
LONGEST = max(TRIED["neighbours"]["size"])
ROWS = 128  # users whose scores one core adds up at a time
ROOM = 2**26  # cosines that are kept while neighbourhoods are tried: 256 MB
MOST = 2000  # users that the choice is made on: beyond that it takes long and changes nothing


def unchosen(model: Model) -> dict[str, Any]:
    """Return what `choose` would, without trying anything: for when there was no time."""
    if not model.has_latent_space:
        return {"best": "model", "validation": {}}
    hoods = {method: asdict(hood) for method, hood in START.items()}
    return {"best": "neighbours", "validation": {}, "neighbourhoods": hoods}


def neighbourhoods(chosen: dict[str, Any]) -> dict[str, Neighbourhood]:
    """Return {strategy: `Neighbourhood`} of the contents of metrics.json; {} for a model without a latent space."""
    return {method: Neighbourhood(**hood) for method, hood in chosen.get("neighbourhoods", {}).items()}


def viewed(space: LatentSpace, split: Split, hoods: dict[str, Neighbourhood]) -> LatentSpace:
    """Return the `LatentSpace` with the `View`s that the neighbourhoods need, fitted to everything but the test."""
    ratings = split.ratings
    liked = np.unique(ratings.movie[(ratings.rating > ratings.like) & split.is_known])
    views = {
        "neighbours": View.of(space.users, split.trained_users, hoods["neighbours"].whiten),
        "movies": View.of(space.movies, liked, hoods["movies"].whiten),
    }
    return replace(space, views=views)


def by_neighbours(
    space: LatentSpace, hood: Neighbourhood, liked: csr_array, pool: Indices, vouch: Vouch = vouching
) -> ScoreFunction:
    """Make the score function of (given, users) that scores what the users nearest to them like. liked: CSR likes that
    are known. pool: indices of the possible neighbours. vouch: `vouching`, or something faster with the same result."""
    count, view = np.diff(liked.indptr), space.views.get("neighbours") or View.of(space.users, pool, hood.whiten)

    def score(_: csr_array, users: Indices) -> Floats:
        index, weight = vouch(space.users, space.users[users], hood, count, pool, users, view)
        return _product(votes(index, weight, len(count)), liked)

    return score


def by_movies(space: LatentSpace, hood: Neighbourhood, liked: csr_array) -> ScoreFunction:
    """Make the score function of (given, users) that scores what is near the movies that they like."""
    count = np.bincount(liked.indices, minlength=liked.shape[1])
    pool = np.flatnonzero(count)
    index, weight = vouching(space.movies, space.movies[pool], hood, count, pool, pool, space.views.get("movies"))
    voted, liking = votes(index, weight, len(count)), liked[:, pool]

    def score(_: csr_array, users: Indices) -> Floats:
        return _product(liking[users], voted)

    return score


def _product(left: csr_array, right: csr_array) -> Floats:
    """Multiply two CSR matrices into a dense one."""
    product = np.empty((left.shape[0], right.shape[1]), np.float32)

    def multiply(rows: slice) -> None:
        product[rows] = (left[rows] @ right).toarray()

    parallel_rows(multiply, len(product), ROWS)
    return product


def scorers(model: Model, holdout: Holdout, pool: Indices, hoods: dict[str, Neighbourhood]) -> dict[str, ScoreFunction]:
    """Return {strategy: score function of (given, users)}: "neighbours", "movies" and "decoder" of an autoencoder,
    "model" of any other. The likes are those that the `Holdout` gives; pool: indices of the possible neighbours."""
    if not is_latent(model):
        return {"model": model.score}
    liked = likes(holdout.given, holdout.like)
    return {
        "neighbours": by_neighbours(model.latent, hoods["neighbours"], liked, pool),
        "movies": by_movies(model.latent, hoods["movies"], liked),
        "decoder": model.score,
    }


def choose(model: Model, split: Split) -> dict[str, Any]:
    """Choose strategy and neighbourhoods on the validation hold-out of the `Split`; plain values for metrics.json:
    {"best": strategy, "neighbourhoods": {strategy: {...}} or absent, "validation": {strategy: NDCG@100}}."""
    validation, figures, hoods = split.validation, dict[str, float](), dict[str, Neighbourhood]()
    if not is_latent(model):
        return {"best": "model", "validation": {"model": ndcg(model.score, validation)}}
    for method in TRIED:
        way = trier(method, model.latent, validation, split.trained_users)
        judge = cache(lambda hood, way=way: ndcg(way(hood), validation))
        hoods[method] = search(START[method], TRIED[method], judge)
        figures[method] = judge(hoods[method])
    figures["decoder"] = ndcg(model.score, validation)
    stored = {method: asdict(hood) for method, hood in hoods.items()}
    return {"best": max(figures, key=lambda method: figures[method]), "validation": figures, "neighbourhoods": stored}


def search(
    best: Neighbourhood, tried: Mapping[str, Sequence[Any]], judge: Callable[[Neighbourhood], float]
) -> Neighbourhood:
    """Search from `best` by trying the values of one field after the other: return the `Neighbourhood` with the
    highest value of `judge`, the first one of several."""
    for field_name, values in tried.items():
        best = max([best, *(replace(best, **{field_name: value}) for value in values)], key=judge)
    return best


def trier(method: str, space: LatentSpace, holdout: Holdout, pool: Indices) -> Callable[[Neighbourhood], ScoreFunction]:
    """Return the function from a `Neighbourhood` to the score function of one of the two strategies with it. What
    neighbourhoods of the same `whiten` have in common is computed once."""
    liked = likes(holdout.given, holdout.like)
    if method == "neighbours":
        viewed = cache(lambda whiten: replace(space, views={method: _Keeping.of(space.users, pool, whiten)}))
        vouch = _longest_once()
        return lambda hood: by_neighbours(viewed(hood.whiten), hood, liked, pool, vouch)
    movies = np.unique(liked.indices)
    viewed = cache(lambda whiten: replace(space, views={method: _Keeping.of(space.movies, movies, whiten)}))
    return lambda hood: by_movies(viewed(hood.whiten), hood, liked)


def _longest_once() -> Vouch:
    """Make a `vouching` that computes the nearest once where weights depend on cosines alone: those of a smaller
    neighbourhood, or of another power, come first among the LONGEST."""
    kept: dict[tuple[float, bytes], tuple[Indices, Floats]] = {}

    def vouch(
        vectors: Floats,
        queries: Floats,
        hood: Neighbourhood,
        likes: Indices,
        pool: Indices,
        own: Indices,
        view: View,
    ) -> tuple[Indices, Floats]:
        if hood.shrink or hood.size > LONGEST:
            return vouching(vectors, queries, hood, likes, pool, own, view)
        key = hood.whiten, own.tobytes()
        if key not in kept:
            kept[key] = near(vectors, queries, LONGEST, pool, own, view)
        index, cosines = kept[key]
        return index[:, : hood.size], hood.weigh(cosines[:, : hood.size], likes)

    return vouch


@dataclass(frozen=True)
class _Keeping(View):
    """A `View` of one set of vectors that keeps the cosines it has taken with them, as far as there is ROOM."""

    kept: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)

    def cosines(self, vectors: Floats, queries: Floats) -> Floats:
        """See `View.cosines`."""
        asked = queries.tobytes()
        if asked not in self.kept:
            computed = super().cosines(vectors, queries)
            if sum(cosines.size for cosines in self.kept.values()) + computed.size > ROOM:
                return computed
            self.kept[asked] = computed
        return self.kept[asked].copy()  # the caller writes into it


def ndcg(score: ScoreFunction, holdout: Holdout) -> float:
    """Return NDCG@100 of a score function over at most `MOST` users of a `Holdout`."""
    metric = ranking_metrics(score, holdout, MOST)["ndcg@100"]
    return metric.value if metric.count.any() else 0.0  # so little data that no like is hidden
