"""Profiles to recommend to: a user of the data, or anybody who says how they rated some movies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import Movies, shortened
from utils.data.ratings import by_id, given, zero_sentinel
from utils.data.titles import ALONE, Found, Titles
from utils.errors import NotInRunError, UserError
from utils.runs.user_ratings import UserRatings
from utils.scoring.profile_rows import ProfileRows
from utils.scoring.protocols import Scale


@dataclass(frozen=True)
class Profile:
    """rows: their known ratings, one row. seen: indices of the movies not to recommend: all that a user of the data has
    rated, known or not; of others those that they typed. user: their index in the data, or None. excluded: the user who
    can't be their neighbour, themselves or the one with exactly the same known ratings; -1 where there is none. name:
    raw id of the user, or None. notes: about how their ratings were read."""

    rows: ProfileRows
    seen: NDArray[np.integer]
    user: int | None = None
    excluded: int = -1
    name: int | str | None = None
    notes: list[str] = field(default_factory=list)


def of_user(ratings: UserRatings, text: str) -> Profile:
    """Return the `Profile` whose raw id is `text`."""
    user = find_user(ratings, text)
    movies, stars, known = ratings.of_user(user)
    return Profile(ProfileRows.of(movies[known], stars[known]), movies, user, user, ratings.user_ids[user].item())


def of_ratings(
    ratings: UserRatings, stars: dict[int, float], notes: Iterable[str] = (), seen: Iterable[int] = ()
) -> Profile:
    """Return the `Profile` who rated as `stars` says: {index of a movie: stars}, and has seen movies without rating
    them. A user with exactly these known ratings is left out of their neighbours, so that both get the same scores."""
    rows = ProfileRows.of(list(stars), list(stars.values()))
    # only what they typed is seen, so that the test ratings of a user with the same known ratings stay secret
    all_seen = np.union1d(rows.movies, np.array(sorted(seen), np.intp)) if seen else rows.movies
    return Profile(rows, all_seen, excluded=ratings.twin(rows.movies, rows.stars[0]), notes=list(notes))


def find_user(ratings: UserRatings, text: str) -> int:
    """Find the index of the user whose raw id is `text`; a `NotInRunError` says which there are."""
    ids = ratings.user_ids
    user = by_id(ids, text)
    if user < 0:
        near = [] if ids.dtype.kind == "i" else get_close_matches(text, ids.tolist(), 1)
        which = f"{len(ids):,} users" + ("" if near else f", with ids {ids[0]} to {ids[-1]}")
        if ratings.min_count > 1:
            least = ratings.min_count
            which += f"; it leaves out users with fewer than {least} ratings (--min-count {least})"
        hint = f"; did you mean {near[0]}?" if near else ""
        raise NotInRunError(f"there is no user {text}: the run has {which}{hint}")
    return user


def find_movie(titles: Titles, text: str) -> int:
    """Find the index of the movie that `text` names; a `UserError` for a rare one, too."""
    movie = _find(titles, text).movie
    if movie >= titles.n_columns:
        raise _too_rare(titles.movies.titles[movie])
    return movie


def _find(titles: Titles, text: str) -> Found:
    """Find the movie, which may be rare: by its title, or by an id of the data that is no title."""
    raw, named = text.strip(), titles.movies.titles
    of_id = by_id(titles.movies.ids, raw) if raw.isdecimal() else -1
    if of_id >= 0 and raw not in titles.by_key:
        return Found(of_id, "by its id")
    found = titles.find(text)
    if of_id < 0 or found.movie == of_id:
        return found
    return Found(found.movie, f"by its title, not its id, which is that of {named[of_id]}")


def _too_rare(names: str) -> UserError:
    return UserError(f"{names}: known, but with too few ratings to count (--min-count); name another movie")


RARE = "have too few ratings to count (--min-count)"
NAMED = 5  # titles named of those that are left out


def without_rare(movies: Movies, stars: dict[int, float]) -> tuple[dict[int, float], list[str]]:
    """Leave out the movies that have no column, with a note; a `UserError` where nothing is left."""
    known = {movie: value for movie, value in stars.items() if movie < len(movies.ids)}
    rare = shortened([movies.with_rare.titles[movie] for movie in stars if movie not in known], NAMED)
    if rare and not known:
        raise _too_rare(rare)
    return known, [f"left out, since they {RARE}: {rare}"] if rare else []


# -- typed: --rate "Toy Story=5" ---------------------------------------------------------------------------------------


def read_typed(titles: Titles, scale: Scale, texts: Iterable[str]) -> tuple[dict[int, float], list[str]]:
    """Read ({index of a movie: stars}, notes) from texts such as `Toy Story=5`; see `of_titles`."""
    pairs = []
    for text in texts:
        title, equals, number = text.rpartition("=")
        value = to_finite(number)
        if not equals or not title.strip() or value is None:
            raise UserError(f'--rate takes TITLE=STARS, such as "Toy Story=5"; got {text!r}')
        pairs.append((title, value))
    return of_titles(titles, scale, pairs, "--rate ")


def of_titles(
    titles: Titles, scale: Scale, pairs: Iterable[tuple[str, float]], where: str = ""
) -> tuple[dict[int, float], list[str]]:
    """Find ({index of a movie: stars}, notes) of pairs of a title or an id, and stars; of the rare movies, too (see
    `Titles`). A note says which movie was taken for what is not its title. where: what an error begins with."""
    stars, notes = dict[int, float](), list[str]()
    for title, value in pairs:
        if not scale[0] <= value <= scale[1]:
            got = f"{where}'{title}={value:g}'"
            raise UserError(f"{got}: stars are from {scale[0]:g} to {scale[1]:g}")
        found, value = _find(titles, title), value or zero_sentinel(scale)
        movie = found.movie
        if found.how not in ("", ALONE):
            notes.append(f"{title.strip()} read as {titles.movies.titles[movie]}, {found.how}")
        if stars.setdefault(movie, value) != value:
            both = " and ".join(f"{given(rating, scale):g}" for rating in (stars[movie], value))
            raise UserError(f"{titles.movies.titles[movie]} is rated twice, with {both} stars")
    return stars, notes


def to_finite(text: str) -> float | None:
    """Read a finite number from a text; None where there is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
