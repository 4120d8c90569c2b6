"""Side features: what is known about users and movies apart from ratings, as numbers for an encoder."""

from dataclasses import dataclass

import numpy as np

from utils.errors import UserError

NAMES = ("genres", "year", "age", "gender", "occupation")
AGES = (18, 25, 35, 45, 50, 56)  # bands of age start here, as in ml-1m, which tells only the band
DECADES = range(1920, 2030, 10)


@dataclass(frozen=True)
class Side:
    """users: float32 (n_users, f), movies: float32 (n_movies, g); each feature is 0 or 1, all 0 where it is unknown. Of
    width 0 where none of the asked features is about them."""

    users: np.ndarray
    movies: np.ndarray

    def of(self, rows):
        """(features of the rows, features of the columns) where rows are "users" or "movies"."""
        return (self.users, self.movies) if rows == "users" else (self.movies, self.users)


def features(data, names):
    """The `Side` of a `Dataset` for some of NAMES, in the order of NAMES; a `UserError` where the data lacks one."""
    n_users, n_movies = data.ratings.shape
    users, movies = [np.zeros((n_users, 0))], [np.zeros((n_movies, 0))]
    for name in (name for name in NAMES if name in names):
        if name in ("genres", "year"):
            values = data.movies.genres if name == "genres" else [[_decade(y)] if y else [] for y in data.movies.years]
            movies.append(_flags(values, None if name == "genres" else DECADES))
        elif data.users is not None and data.users[name].notna().any():
            known, values = data.users[name].notna(), data.users[name]
            values = [[_band(v) if name == "age" else v] if k else [] for v, k in zip(values, known, strict=True)]
            users.append(_flags(values))
        else:
            users.append(np.zeros((n_users, 0)))
        if not (movies if name in ("genres", "year") else users)[-1].any():
            raise UserError(f"--side {name}: {data.name} does not tell it")
    return Side(*(np.concatenate(parts, axis=1).astype(np.float32) for parts in (users, movies)))


def _decade(year):
    return min(max(year // 10 * 10, DECADES[0]), DECADES[-1])


def _band(age):
    return int(np.searchsorted(AGES, age, side="right"))


def _flags(values, known=None):
    """(len(values), n) of 0 and 1 for lists of values, a column for each of `known` or of those that occur, sorted."""
    place = {v: i for i, v in enumerate(known or sorted({v for row in values for v in row}))}
    flags = np.zeros((len(values), len(place)))
    for i, row in enumerate(values):
        flags[i, [place[v] for v in row]] = 1
    return flags
