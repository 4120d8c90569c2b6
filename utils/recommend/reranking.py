"""Filter the movies of a list and rerank them: genres, years, diversity, calibration."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, TypeAlias

import numpy as np
import tyro
from numpy.typing import NDArray

from utils.data.movies import Movies
from utils.errors import UserError
from utils.evaluation.beyond_accuracy import divergence
from utils.scoring.latent import cosine
from utils.scoring.ranking import top_k

NO_GENRES = "this data names no genres"
POOL = 10  # times the length of the list: the best movies among which a diverse or calibrated one is looked for
Reorder: TypeAlias = Callable[[NDArray[np.intp], NDArray[np.float64], int], list[int]]
STEP = 0.5  # --calibrated: weight of the genres beside the scores


@dataclass(frozen=True)
class Options:
    """What lists are made of."""

    genre: Annotated[tuple[str, ...], tyro.conf.arg(metavar="G ...", help_behavior_hint="")] = ()
    """only movies of one of these genres"""
    years: Annotated[str | None, tyro.conf.arg(metavar="A-B", help_behavior_hint="")] = None
    """only movies of these years: 1980-1989, 1980-, -1989 or 1985"""
    min_ratings: int = 0
    """only movies that so many people are known to have rated"""
    include_seen: bool = False
    """movies that were rated already, too"""
    diverse: float = 0.0
    """0 to 1: how much a movie must differ in latent space from those above it (0.3 is a good start)"""
    calibrated: bool = False
    """genres in the proportions of what was liked"""

    def __post_init__(self) -> None:
        if not 0 <= self.diverse <= 1:
            raise ValueError(f"diverse must be from 0 to 1, got {self.diverse}")
        if self.min_ratings < 0:
            raise ValueError(f"min-ratings must be 0 or more, got {self.min_ratings}")
        if self.diverse and self.calibrated:
            raise ValueError("--diverse and --calibrated are two ways to put a list together; give one")
        span(self.years)


def no_more(count: int) -> str:
    """Say that a list is shorter than was asked for."""
    if count < 2:
        return "there is no more than this one" if count else "no movie fits"
    return f"there are no more than these {count}"


def span(years: str | None) -> tuple[int, int] | None:
    """Read (first, last) from a text such as 1980-1989, 1980-, -1989 or 1985; None from None."""
    if years is None:
        return None
    match = re.fullmatch(r"(\d{4})?\s*(-)?\s*(\d{4})?", years.strip())
    if not match or not (match[1] or match[3]) or (match[1] and match[3] and not match[2]):
        raise ValueError(f"--years takes 1980-1989, 1980-, -1989 or 1985; got {years!r}")
    first = int(match[1]) if match[1] else 0
    last = int(match[3]) if match[3] else 9999 if match[2] else first
    if first > last:
        raise ValueError(f"--years {years}: {first} is after {last}")
    return first, last


def allowed(movies: Movies, options: Options, count: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Tell which movies the options let through, (n_movies,). count: known ratings of each."""
    fits = count >= options.min_ratings
    if options.genre:
        known = {name.casefold(): name for name in movies.genre_names}
        for name in options.genre:
            if name.casefold() not in known:
                near = get_close_matches(name.casefold(), known, 1)
                hint = f"did you mean {known[near[0]]}?" if near else f"there are: {', '.join(sorted(known.values()))}"
                raise UserError(f"no movie has the genre {name!r}; {hint}" if known else NO_GENRES)
        wanted = {name.casefold() for name in options.genre}
        fits &= np.array([not wanted.isdisjoint(map(str.casefold, names)) for names in movies.genres])
    if options.calibrated and not any(movies.genres):
        raise UserError(NO_GENRES)
    if limits := span(options.years):
        if not any(movies.years):
            raise UserError("this data names no years")
        first, last = limits
        fits &= np.array([year is not None and first <= year <= last for year in movies.years])
    return fits


def best(scores: NDArray, n: int, reorder: Reorder | None = None) -> NDArray[np.intp]:
    """Return the positions of the `n` best of `scores` (m,), best first, without those of -inf. reorder: a function
    from the positions and scores of more of them, and n, to the places of the n to show."""
    top = top_k(scores[None], n if reorder is None else n * POOL)[0]
    top = top[np.isfinite(scores[top])]
    return top if reorder is None else top[reorder(top, scaled(scores[top]), min(n, len(top)))]


def scaled(scores: NDArray) -> NDArray[np.float64]:
    """Scale scores to [0, 1], from the lowest to the highest."""
    low, high = scores.min(initial=np.inf), scores.max(initial=-np.inf)
    return np.ones(len(scores)) if not high > low else (scores.astype(np.float64) - low) / (high - low)


def mmr_rerank(vectors: NDArray[np.float32], candidates: NDArray[np.integer], weight: float) -> Reorder:
    """Make a `reorder` for `best`: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998). Each next movie is
    the one with the largest (1 - weight) * score - weight * (largest cosine with a movie taken before).
    vectors: of all movies, (n_movies, latent). candidates: (m,), the movies that have scores."""

    def reorder(top: NDArray[np.intp], score: NDArray[np.float64], n: int) -> list[int]:
        listed = vectors[candidates[top]]
        near, worst = cosine(listed, listed), np.zeros(len(top))
        taken: list[int] = []
        for _ in range(n):
            gain = (1 - weight) * score - weight * worst
            gain[taken] = -np.inf
            taken.append(int(gain.argmax()))
            worst = near[taken[-1]] if len(taken) == 1 else np.maximum(worst, near[taken[-1]])
        return taken

    return reorder


def calibrated_rerank(
    shares: NDArray[np.float64], candidates: NDArray[np.integer], wanted: NDArray[np.float64]
) -> Reorder:
    """Make a `reorder` for `best`: genres in the wanted proportions (Steck, RecSys 2018). Each next movie is the one
    that makes (1 - STEP) * (sum of scores) - STEP * KL(wanted || genres of the list) largest.
    shares: (n_movies, n_genres), from `genre_shares`. candidates: (m,), the movies that have scores. wanted:
    (n_genres,)."""

    def reorder(top: NDArray[np.intp], score: NDArray[np.float64], n: int) -> list[int]:
        share, total = shares[candidates[top]], np.zeros(shares.shape[1])
        taken: list[int] = []
        for place in range(1, n + 1):
            gain = (1 - STEP) * score - STEP * divergence(wanted, (total + share) / place)
            gain[taken] = -np.inf
            taken.append(int(gain.argmax()))
            total += share[taken[-1]]
        return taken

    return reorder
