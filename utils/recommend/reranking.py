"""Filter the movies of a list and rerank them: genres, years, diversity, calibration."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Literal, TypeAlias

import numpy as np
import tyro
from numpy.typing import NDArray

from utils.data.movies import Movies
from utils.errors import UserError
from utils.evaluation.beyond_accuracy import divergence
from utils.scoring.latent import cosine
from utils.scoring.protocols import Floats, Indices
from utils.scoring.ranking import top_k

NO_GENRES = "this data names no genres"
POPULAR = 0.9  # quantile of the numbers of ratings of the rated movies from which on a movie is popular
POOL = 10  # times the length of the list: the best movies, among which --diverse and --calibrated choose
STEP = 0.5  # --calibrated: weight of the genres beside the scores
# from the positions of the best, their scores from 0 to 1, and n, to the places of the n to show
Reorder: TypeAlias = Callable[[Indices, NDArray[np.float64], int], list[int]]


@dataclass(frozen=True)
class Options:
    """Filters and re-ranking of lists."""

    genre: Annotated[tuple[str, ...], tyro.conf.arg(metavar="G ...", help_behavior_hint="")] = ()
    """only movies of one of these genres"""
    without_genre: Annotated[tuple[str, ...], tyro.conf.arg(metavar="G ...", help_behavior_hint="")] = ()
    """no movies of any of these genres"""
    years: Annotated[str | None, tyro.conf.arg(metavar="A-B", help_behavior_hint="")] = None
    """only movies of these years: 1980-1989, 1980-, -1989 or 1985"""
    min_ratings: int = 0
    """only movies with at least this many known ratings"""
    max_ratings: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """only movies with at most this many"""
    popularity: Literal["low", "any", "high"] = "any"
    """high: the tenth of the movies that most people rated; low: the others that anybody rated"""
    include_seen: bool = False
    """include movies that were rated already"""
    diverse: float = 0.0
    """0 to 1: how much a movie must differ in latent space from those above it (0.3 is a good start)"""
    calibrated: bool = False
    """genres in the proportions of the likes"""
    discover: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """the last so many of the list are movies with 3 to 99 ratings that suit this person more than most people
    (default: up to 3 of ten, as the training chose on validation; none with --diverse, --calibrated, --include-seen,
    --popularity, --min-ratings, --max-ratings or --watchlist)"""

    def __post_init__(self) -> None:
        if not 0 <= self.diverse <= 1:
            raise ValueError(f"diverse must be from 0 to 1, got {self.diverse}")
        if self.min_ratings < 0:
            raise ValueError(f"min-ratings must be 0 or more, got {self.min_ratings}")
        if self.max_ratings is not None and self.max_ratings < self.min_ratings:
            raise ValueError(f"max-ratings must be {self.min_ratings} or more, got {self.max_ratings}")
        if self.discover is not None and (type(self.discover) is not int or self.discover < 0):  # Python may give any
            raise ValueError(f"discover must be a whole number from 0, got {self.discover}")
        if self.diverse and self.calibrated:
            raise ValueError("--diverse and --calibrated are two ways to put a list together; give one")
        span(self.years)

    @property
    def is_by_score(self) -> bool:
        """Whether the scores alone order a list of unseen movies, whatever their number of ratings."""
        by_count = self.min_ratings or self.max_ratings is not None or self.popularity != "any"
        return not (self.diverse or self.calibrated or self.include_seen or by_count)


def no_more(count: int) -> str:
    """Say that a list is shorter than requested."""
    if count < 2:
        return "there is no more than this one" if count else "no movie fits"
    return f"there are no more than these {count}"


def span(years: str | None) -> tuple[int, int] | None:
    """Read (first, last) from a text such as 1980-1989, 1980-, -1989 or 1985; None from None."""
    if years is None:
        return None
    ends = [end.strip() for end in years.split("-")]
    if len(ends) > 2 or not any(ends) or not all(re.fullmatch(r"(\d{4})?", end) for end in ends):
        raise ValueError(f"--years takes 1980-1989, 1980-, -1989 or 1985; got {years!r}")
    first, last = int(ends[0] or 0), int(ends[-1] or 9999)
    if first > last:
        raise ValueError(f"--years {years}: {first} is after {last}")
    return first, last


def allowed(movies: Movies, options: Options, count: Indices) -> NDArray[np.bool_]:
    """Tell which movies the options let through, (n_movies,). count: known ratings of each."""
    fits = count >= options.min_ratings
    if options.max_ratings is not None:
        fits &= count <= options.max_ratings
    if options.popularity != "any":
        is_popular = count >= np.quantile(count[count > 0], POPULAR) if count.any() else count > 0
        fits &= is_popular if options.popularity == "high" else (count > 0) & ~is_popular
    if options.genre:
        fits &= _of_genres(movies, options.genre)
    if options.without_genre:
        fits &= ~_of_genres(movies, options.without_genre)
    if options.calibrated and not any(movies.genres):
        raise UserError(NO_GENRES)
    if limits := span(options.years):
        if not any(movies.years):
            raise UserError("this data names no years")
        first, last = limits
        fits &= np.array([year is not None and first <= year <= last for year in movies.years])
    return fits


def _of_genres(movies: Movies, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Tell which movies are of one of these genres; a `UserError` for one that no movie has."""
    known = {name.casefold(): name for name in movies.genre_names}
    wanted = {name.casefold(): name for name in names}
    for key, name in wanted.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {known[near[0]]}?" if near else f"there are: {', '.join(movies.genre_names)}"
            raise UserError(f"no movie has the genre {name!r}; {hint}" if known else NO_GENRES)
    return np.array([any(genre.casefold() in wanted for genre in genres) for genres in movies.genres])


def best(scores: NDArray, n: int, reorder: Reorder | None = None) -> NDArray[np.intp]:
    """Return the positions of the `n` best of `scores` (m,), best first, without those of -inf."""
    top = top_k(scores[None], n if reorder is None else n * POOL)[0]
    top = top[np.isfinite(scores[top])]
    return top if reorder is None else top[reorder(top, scaled(scores[top]), min(n, len(top)))]


def scaled(scores: NDArray) -> NDArray[np.float64]:
    """Scale scores to [0, 1], from the lowest to the highest."""
    low, high = scores.min(initial=np.inf), scores.max(initial=-np.inf)
    return np.ones(len(scores)) if not high > low else (scores.astype(np.float64) - low) / (high - low)


def mmr_rerank(vectors: Floats, candidates: Indices, weight: float) -> Reorder:
    """Make the `Reorder` of maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998). Each next movie has the
    largest (1 - weight) * score - weight * (largest cosine with a movie above it).
    vectors: of all movies, (n_movies, latent). candidates: (m,), the movies that have scores."""

    def reorder(top: Indices, score: NDArray[np.float64], n: int) -> list[int]:
        cosines = cosine(vectors[candidates[top]], vectors[candidates[top]])

        def gain(taken: list[int]) -> NDArray[np.float64]:
            relevance = (1 - weight) * score
            return relevance - weight * cosines[taken].max(axis=0) if taken else relevance

        return _greedily(n, gain)

    return reorder


def calibrated_rerank(shares: NDArray[np.float64], candidates: Indices, wanted: NDArray[np.float64]) -> Reorder:
    """Make the `Reorder` to the wanted proportions of genres, (n_genres,) (Steck, RecSys 2018). Each next movie makes
    (1 - STEP) * (sum of scores) - STEP * KL(wanted || genres of the list) largest. shares: (n_movies, n_genres), from
    `genre_shares`. candidates: (m,), the movies that have scores."""

    def reorder(top: Indices, score: NDArray[np.float64], n: int) -> list[int]:
        share = shares[candidates[top]]

        def gain(taken: list[int]) -> NDArray[np.float64]:
            listed = (share[taken].sum(axis=0) + share) / (len(taken) + 1)
            return (1 - STEP) * score - STEP * divergence(wanted, listed)

        return _greedily(n, gain)

    return reorder


def _greedily(n: int, gain: Callable[[list[int]], NDArray[np.float64]]) -> list[int]:
    """Take n places one after the other, each with the largest gain beside those taken before."""
    taken: list[int] = []
    for _ in range(n):
        gains = gain(taken)
        gains[taken] = -np.inf
        taken.append(int(gains.argmax()))
    return taken
