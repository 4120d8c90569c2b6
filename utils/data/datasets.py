"""Load a data set: ratings with what is known about its movies and users, by name of a known set, folder or file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from utils.data.movies import Movies
from utils.data.ratings import Indices, Ratings, Scale, given, pair_order, zero_sentinel
from utils.data.reading.formats import SHARDS
from utils.data.reading.places import KNOWN, find, name_of, rating_files
from utils.data.reading.scales import check_scale, find_scale
from utils.data.reading.sidetables import read_movies, read_tags, read_users
from utils.data.reading.tables import AS_IT_IS, Reading, Table, read_ratings
from utils.data.reading.values import positions, refuse_where
from utils.errors import UserError
from utils.runs.paths import is_folder

FOUND = "found from the ratings"
READ = " ratings read"  # in the note that counts the lines
YEAR = 365 * 24 * 3600  # seconds


@dataclass(frozen=True)
class Dataset:
    """Ratings with their movies, users and tags.

    users: table of age, gender, occupation, one row a matrix row, or None where the source has none.
    notes: sentences for the user about how the source was read. folder: the folder of the rating file."""

    name: str
    ratings: Ratings
    movies: Movies
    users: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)
    folder: Path | None = None

    @cached_property
    def tags(self) -> pd.DataFrame | None:
        """Return the tags that users gave movies, read on first use; None where the source has none.

        Columns: user, movie, tag, timestamp; user and movie are indices, -1 where the matrix lacks them."""
        return read_tags(self.folder, self.ratings.user_ids, self.ratings.movie_ids) if self.folder else None


def load(
    source: str | Path,
    data_dir: str | Path = Path("data"),
    scale: Scale | None = None,
    like: float | None = None,
    reading: Reading = AS_IT_IS,
) -> Dataset:
    """Load a data set from a known set's name, a folder or a file.

    A known set is downloaded to `data_dir` if it is not there. scale: (lowest, highest) stars; found from the ratings
    where None. like: stars above which a rating is a like; by the scale where None. Raises UserError, with file and
    line, for whatever can't be read exactly."""
    if (place := find(source, Path(data_dir))) is None:
        from utils.data.reading.downloads import fetch  # needs a library for the web

        place = fetch(str(source), Path(data_dir))
    path, table = read_table(place, reading)
    name, notes = name_of(path), list(table.notes)
    check_options(scale, like)
    low, high = map(float, scale or table.form.scale or find_scale(table.rating))
    if scale is None:
        notes.append(f"scale {low:.9g} to {high:.9g} {'of ' + table.form.name if table.form.scale else FOUND}")
    check_scale(table.rating, (low, high), table.where, given=scale is not None)
    table = settle_duplicates(table, reading.duplicates)
    notes.append(about_lines(table))
    rating, timestamp, sentinel = table.rating, table.timestamp, zero_sentinel((low, high))
    if n_zeros := np.count_nonzero(rating == 0):
        rating = np.where(rating == 0, np.float32(sentinel), rating)
        notes.append(f"ratings of 0, {n_zeros:,} of them, are kept as {sentinel:g}: 0 would mean 'not rated'")
    if timestamp is not None and timestamp.min() == timestamp.max():
        timestamp = None
        notes.append("every timestamp is the same: treated as no timestamps")
    if timestamp is not None and timestamp.min() >= 0 and timestamp.max() < YEAR:
        notes.append("every timestamp is of 1970: is this column a time? --columns without time leaves it out")
    ratings = Ratings(table.user, table.movie, rating, timestamp, table.user_ids, table.movie_ids, (low, high), like)
    notes += about_likes(ratings)
    movies, more = read_movies(path, ratings.movie_ids, table.form.beside)
    users, about_users = read_users(path, ratings.user_ids)
    notes += [*more, *about_users, *check_counts(name, ratings)]
    return Dataset(name, ratings, movies, users, notes, path if is_folder(path) else path.parent)


def read_table(place: Path, reading: Reading = AS_IT_IS) -> tuple[Path, Table]:
    """Read the ratings at a path: (the rating file, or the folder of its parts; the table). Scale, duplicates are not
    checked."""
    path, files = rating_files(place)
    if path.name != SHARDS:
        return path, read_ratings(files, reading)
    from utils.distributed import shards  # needs Ray

    return path, shards.read_table(path.parent)


def keep_core(data: Dataset, least: int, test: Indices | None = None) -> tuple[Dataset, Indices | None]:
    """Leave out users and movies with fewer than `least` ratings, until none is left: (data, indices of the ratings
    `test` among those that stay). The movies are kept as `Movies.rare`."""
    if least < 1:
        raise UserError(f"--min-count must be 1 or more, got {least}")
    ratings = data.ratings
    keep = ratings.core(least)
    if keep.all():
        return data, test
    if not keep.any():
        raise UserError(f"--min-count {least} leaves no rating of {data.name}; give a smaller number")
    user, users = positions([ratings.user[keep]])
    movie, movies = positions([ratings.movie[keep]])
    kept = replace(ratings.only(keep), user=user, user_ids=ratings.user_ids[users])
    kept = replace(kept, movie=movie, movie_ids=ratings.movie_ids[movies])
    rare = data.movies.take(np.setdiff1d(np.arange(ratings.shape[1]), movies))
    names = replace(data.movies.take(movies), rare=rare if len(rare.ids) else None)
    counts = f"{len(rare.ids):,} movies, {ratings.shape[0] - len(users):,} users and {np.sum(~keep):,} ratings"
    stale = about_likes(ratings)
    notes = [note for note in data.notes if note not in stale] + about_likes(kept)
    notes.append(f"{counts} left out: each that stays has {least} or more (--min-count)")
    table = None if data.users is None else data.users.iloc[users].reset_index(drop=True)
    place = None if test is None else (np.cumsum(keep) - 1)[test[keep[test]]]
    return replace(data, ratings=kept, movies=names, users=table, notes=notes), place


def check_options(scale: Scale | None, like: float | None) -> None:
    """Raise a UserError for a scale, or a threshold of likes, that makes no sense."""
    if scale is not None and not (-np.inf < scale[0] < scale[1] < np.inf and scale[1] > 0):
        raise UserError(
            f"scale {scale[0]:g},{scale[1]:g}: give lowest,highest, such as 1,5 or -10,10, the highest above 0"
        )
    if like is not None and not np.isfinite(like):
        raise UserError(f"--like must be a number of stars, got {like:g}")


def about_likes(ratings: Ratings) -> list[str]:
    """Return a sentence where no rating is a like, or every one is, with the option that helps; otherwise []."""
    liked = np.count_nonzero(ratings.rating > ratings.like)
    if 0 < liked < len(ratings):
        return []
    stars, like = given(ratings.rating, ratings.scale), given(ratings.like, ratings.scale)
    values = np.unique(stars)
    if len(values) == 1:
        problem = f"every rating is {values[0]:g}, so stars say nothing; "
        if liked:
            return [f"{problem}each counts as a like, and what is learned is who rated what"]
        return [f"{problem}--like {values[0] / 2:g} makes each a like, to learn from who rated what"]
    least = max(values[values < max(np.median(stars), values[1])])  # likes are then about the better half
    if liked:
        return [f"every rating is above {like:g}, so each is a like; --like {least:g} leaves those above it"]
    return [f"no rating is above {like:g}, so none is a like to rank by; --like {least:g} makes those above it likes"]


def check_counts(name: str, ratings: Ratings) -> list[str]:
    """Return a sentence for the user where a known set is not as it was published; otherwise []."""
    published = KNOWN[name].counts if name in KNOWN else None
    counted = (len(ratings), *reversed(ratings.shape))
    if published is None or counted == published:
        return []
    has, had = ("{:,} ratings, {:,} movies, {:,} users".format(*counts) for counts in (counted, published))
    return [f"this copy of {name} is not the published one: it has {has}, published were {had}"]


def settle_duplicates(table: Table, duplicates: str) -> Table:
    """Return the table with one rating of each pair: the last by time, or in the file where there are no times, or the
    mean, at the time of the last. A UserError with both lines with "refuse", where a user has rated a movie twice."""
    if len(pair_order(table.user, table.movie)) == len(table.user):
        return table
    pair = table.user.astype(np.int64) * len(table.movie_ids) + table.movie
    if duplicates == "refuse":

        def problem(row: int) -> str:
            first = table.where(int(np.argmax(pair == pair[row])))
            user, movie = table.user_ids[table.user[row]].item(), table.movie_ids[table.movie[row]].item()
            again = f"user {user!r} has already rated movie {movie!r} ({first})"
            return f"{again}; keep one, or give --duplicates last or mean"

        refuse_where(pd.Series(pair).duplicated().to_numpy(), table.where, problem)
    order = slice(None) if table.timestamp is None else np.argsort(table.timestamp, kind="stable")
    last = np.arange(len(pair))[order][~pd.Series(pair[order]).duplicated(keep="last").to_numpy()]
    last.sort()
    rating = table.rating[last]
    if duplicates == "mean":
        rating = pd.Series(table.rating, dtype=float).groupby(pair).mean()[pair[last]].to_numpy(np.float32)
    times = None if table.timestamp is None else table.timestamp[last]
    why = f"of a pair rated again, of which the {duplicates} counts"
    left_out = table.left_out | {why: len(pair) - len(last)}
    user, movie = table.user[last], table.movie[last]
    return replace(table, user=user, movie=movie, rating=rating, timestamp=times, left_out=left_out)


def about_lines(table: Table) -> str:
    """Say how many ratings were read, and how many lines were left out and why."""
    left_out = ", ".join(f"{n:,} {why}" for why, n in table.left_out.items())
    return f"{len(table.rating):,}{READ}, {'left out: lines ' + left_out if left_out else 'no line left out'}"
