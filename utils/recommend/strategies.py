"""The strategies that one trained model offers (`--by`), and which of them is best on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from utils.data.ratings import likes
from utils.data.splits import Holdout, Split
from utils.evaluation.holdout_metrics import judged_users, ranking_metrics
from utils.scoring.latent import (
    LatentSpace,
    Neighbourhood,
    Whitening,
    is_latent,
    near,
    vote_matrix,
    weighted_neighbours,
)
from utils.scoring.parallel import parallel_rows
from utils.scoring.protocols import CSR, Floats, Indices, Model, Neighbours, ScoreFunction

Find: TypeAlias = Callable[..., Neighbours]  # called as `weighted_neighbours` is
Neighbourhoods: TypeAlias = dict[str, Neighbourhood]  # by strategy: "neighbours", "movies"

START = {"neighbours": Neighbourhood(80, 2, 0.0, 0.25), "movies": Neighbourhood(200, 2, 100.0, 0.25)}
# tried on validation, one field after the other; how many movies near each liked one count hardly matters
TRIED: dict[str, dict[str, tuple[Any, ...]]] = {
    "neighbours": {"whiten": (0.0, 0.25), "size": (20, 40, 80, 160, 320), "power": (1, 2, 4, 6), "shrink": (0.0, 10.0)},
    "movies": {"whiten": (0.0, 0.25), "shrink": (30.0, 300.0, 1000.0), "power": (1, 2)},
}
LONGEST = max(TRIED["neighbours"]["size"])
ROWS = 128  # users whose scores one core adds up at a time
ROOM = 2**26  # cosines that are cached while neighbourhoods are tried: 256 MB
MOST = 2000  # users that the choice is made on: beyond that it takes long and changes nothing
NEIGHBOURS = 100_000  # possible neighbours, so that answering everybody takes time in proportion to the users


def possible_neighbours(trained: Indices) -> Indices:
    """Return the users who can be neighbours: these training users, or `NEIGHBOURS` of them."""
    return spread(trained, NEIGHBOURS)


def spread(users: Indices, most: int) -> Indices:
    """Return these users, or `most` of them, evenly spread."""
    return users[np.linspace(0, len(users) - 1, min(most, len(users))).astype(np.intp)]


def default_choice(model: Model) -> dict[str, Any]:
    """Return what `choose` returns where nothing is tried, for when there was no time."""
    if not model.has_latent_space:
        return {"best": "model", "validation": {}}
    return {"best": "neighbours", "validation": {}, "neighbourhoods": _plain(START)}


def _plain(neighbourhoods: Neighbourhoods) -> dict[str, Any]:
    return {strategy: asdict(neighbourhood) for strategy, neighbourhood in neighbourhoods.items()}


def read_neighbourhoods(metrics: dict[str, Any]) -> Neighbourhoods:
    """Read the neighbourhoods from the contents of metrics.json; {} for a model without a latent space."""
    return {strategy: Neighbourhood(**fields) for strategy, fields in metrics.get("neighbourhoods", {}).items()}


def with_whitenings(space: LatentSpace, split: Split, neighbourhoods: Neighbourhoods) -> LatentSpace:
    """Return the space with the `Whitening`s that the neighbourhoods need, fitted to everything but the test."""
    ratings, neighbours = split.ratings, possible_neighbours(split.trained_users)
    liked = np.flatnonzero(np.bincount(ratings.movie[(ratings.rating > ratings.like) & split.is_known]))
    whitenings = {
        "neighbours": Whitening.of(space.users, neighbours, neighbourhoods["neighbours"].whiten),
        "movies": Whitening.of(space.movies, liked, neighbourhoods["movies"].whiten),
    }
    return replace(space, whitenings=whitenings)


def by_neighbours(
    space: LatentSpace, neighbourhood: Neighbourhood, liked: CSR, pool: Indices, find: Find = weighted_neighbours
) -> ScoreFunction:
    """Make the score function of what the users nearest to each like. liked: CSR, the known likes. pool: indices of
    the possible neighbours. find: `weighted_neighbours`, or something faster with the same result."""
    count = np.diff(liked.indptr)
    whitening = space.whitenings.get("neighbours") or Whitening.of(space.users, pool, neighbourhood.whiten)

    def score(_: CSR, users: Indices) -> Floats:
        index, weight = find(space.users, space.users[users], neighbourhood, count, pool, users, whitening)
        return _product(vote_matrix(index, weight, len(count)), liked)

    return score


def by_movies(
    space: LatentSpace, neighbourhood: Neighbourhood, liked: CSR, voting: Indices | None = None
) -> ScoreFunction:
    """Make the score function of what is near the movies that each user likes. voting: indices of those movies, where
    not all users are scored."""
    count = np.bincount(liked.indices, minlength=liked.shape[1])
    pool, vectors, whitening = np.flatnonzero(count), space.movies, space.whitenings.get("movies")
    voting = pool if voting is None else voting
    index, weight = weighted_neighbours(vectors, vectors[voting], neighbourhood, count, pool, voting, whitening)
    votes, liked = vote_matrix(index, weight, len(count)), liked[:, voting]
    return lambda _, users: _product(liked[users], votes)


def _product(left: CSR, right: CSR) -> Floats:
    """Multiply two CSR matrices into a dense one."""
    product = np.empty((left.shape[0], right.shape[1]), np.float32)

    def multiply(rows: slice) -> None:
        product[rows] = (left[rows] @ right).toarray()

    parallel_rows(multiply, len(product), ROWS)
    return product


def scorers(model: Model, holdout: Holdout, pool: Indices, neighbourhoods: Neighbourhoods) -> dict[str, ScoreFunction]:
    """Return {strategy: score function}: "neighbours", "movies" and "decoder" of an autoencoder, "model" of any other.
    The likes are those that the `Holdout` gives; pool: indices of the possible neighbours."""
    if not is_latent(model):
        return {"model": model.score}
    liked = likes(holdout.given, holdout.like)
    return {
        "neighbours": by_neighbours(model.latent, neighbourhoods["neighbours"], liked, pool),
        "movies": by_movies(model.latent, neighbourhoods["movies"], liked),
        "decoder": model.score,
    }


# -- the choice on validation ------------------------------------------------------------------------------------------


def choose(model: Model, split: Split) -> dict[str, Any]:
    """Choose strategy and neighbourhoods on the validation hold-out of the `Split`; plain values for metrics.json:
    {"best": strategy, "neighbourhoods": {strategy: {...}} or absent, "validation": {strategy: NDCG@100}}."""
    validation, figures, neighbourhoods = split.validation, dict[str, float](), dict[str, Neighbourhood]()
    if not is_latent(model):
        return {"best": "model", "validation": {"model": ndcg(model.score, validation)}}
    for strategy in TRIED:
        scorer = scorer_of(strategy, model.latent, validation, possible_neighbours(split.trained_users))
        judge = cache(lambda neighbourhood, scorer=scorer: ndcg(scorer(neighbourhood), validation))
        neighbourhoods[strategy] = search(START[strategy], TRIED[strategy], judge)
        figures[strategy] = judge(neighbourhoods[strategy])
    figures["decoder"] = ndcg(model.score, validation)
    best = max(figures, key=lambda strategy: figures[strategy])
    return {"best": best, "validation": figures, "neighbourhoods": _plain(neighbourhoods)}


def search(
    best: Neighbourhood, tried: Mapping[str, Sequence[Any]], judge: Callable[[Neighbourhood], float]
) -> Neighbourhood:
    """Find the `Neighbourhood` that `judge` values highest, the first of several, one field after the other."""
    for field_name, values in tried.items():
        best = max([best, *(replace(best, **{field_name: value}) for value in values)], key=judge)
    return best


def scorer_of(
    strategy: str, space: LatentSpace, holdout: Holdout, pool: Indices
) -> Callable[[Neighbourhood], ScoreFunction]:
    """Return the function from a `Neighbourhood` to the score function of a strategy with it, which computes once what
    neighbourhoods of the same `whiten` have in common."""
    liked = likes(holdout.given, holdout.like)
    by_users, find_neighbours = strategy == "neighbours", _cached_neighbours()
    vectors, fitted_to = (space.users, pool) if by_users else (space.movies, np.unique(liked.indices))
    voting = np.unique(liked[judged_users(holdout, MOST)].indices)

    @cache
    def whitened(whiten: float) -> LatentSpace:
        return replace(space, whitenings={strategy: _CachedWhitening.of(vectors, fitted_to, whiten)})

    def scorer(neighbourhood: Neighbourhood) -> ScoreFunction:
        if by_users:
            return by_neighbours(whitened(neighbourhood.whiten), neighbourhood, liked, pool, find_neighbours)
        return by_movies(whitened(neighbourhood.whiten), neighbourhood, liked, voting)

    return scorer


def _cached_neighbours() -> Find:
    """Make a `weighted_neighbours` that computes the nearest once where weights depend on cosines alone: those of a
    smaller neighbourhood, or of another power, come first among the LONGEST."""
    nearest: dict[tuple[float, bytes], Neighbours] = {}

    def find_neighbours(
        vectors: Floats,
        queries: Floats,
        neighbourhood: Neighbourhood,
        likes: Indices,
        pool: Indices,
        excluded: Indices,
        whitening: Whitening,
    ) -> Neighbours:
        if neighbourhood.shrink or neighbourhood.size > LONGEST:
            return weighted_neighbours(vectors, queries, neighbourhood, likes, pool, excluded, whitening)
        key = neighbourhood.whiten, excluded.tobytes()
        if key not in nearest:
            nearest[key] = near(vectors, queries, LONGEST, pool, excluded, whitening)
        index, cosines = nearest[key]
        return index[:, : neighbourhood.size], neighbourhood.weigh(cosines[:, : neighbourhood.size], likes)

    return find_neighbours


@dataclass(frozen=True)
class _CachedWhitening(Whitening):
    """A `Whitening` of one set of vectors that caches the cosines it takes with them, as far as there is ROOM."""

    cached: dict[bytes, Floats] = field(default_factory=dict)

    def cosines(self, vectors: Floats, queries: Floats) -> Floats:
        """See `Whitening.cosines`."""
        key = queries.tobytes()
        if key in self.cached:
            return self.cached[key].copy()  # the caller writes into it
        cosines = super().cosines(vectors, queries)
        if sum(block.size for block in self.cached.values()) + cosines.size <= ROOM:
            self.cached[key] = cosines.copy()
        return cosines


def ndcg(score: ScoreFunction, holdout: Holdout) -> float:
    """Return NDCG@100 of a score function over at most `MOST` users of a `Holdout`."""
    metric = ranking_metrics(score, holdout, MOST)["ndcg@100"]
    return metric.value if metric.count.any() else 0.0  # so little data that no like is hidden
