"""Recommendations of many users into one file, CSV or Parquet, as they come: whole at the end, or not there at all."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import csv_safe
from utils.runs import files

if TYPE_CHECKING:
    from utils.runs.run_folder import Run
    from utils.scoring.protocols import Floats, Indices

COLUMNS = ("userId", "rank", "movieId", "title", "year", "genres", "score", "predicted_rating")
Write: TypeAlias = Callable[["Indices", "Indices", "Floats", "Floats | None"], None]  # (users, movies, scores, stars)


@contextlib.contextmanager
def writing(target: str | Path, parquet: bool, run: Run) -> Iterator[Write]:
    """Hand out a function (users, movies, scores, stars or None) that writes one line a recommendation, a user's lines
    together and best first; users and movies are indices into the data of the `Run`. target: a path, or - for standard
    output."""
    if target == "-" and not parquet:
        with files.standard_output() as file:
            yield _csv(file, run)
        return
    with files.whole(target) as path, _parquet(path, run) if parquet else _csv_file(path, run) as write:
        yield write


def _columns(run: Run) -> Callable[[Indices, Indices, Floats, Floats | None], dict[str, NDArray]]:
    """Make the function from what is to be written to {column: array}."""
    ratings, movies = run.split.ratings, run.movies
    titles, years = np.array(movies.titles, object), np.array(movies.years, object)
    genres = np.array(["|".join(names) for names in movies.genres], object)

    def columns(users: Indices, at: Indices, scores: Floats, stars: Floats | None) -> dict[str, NDArray]:
        new = np.flatnonzero(np.diff(users, prepend=-1))  # where the lines of a user begin
        rank = np.arange(len(users)) - np.repeat(new, np.diff(new, append=len(users))) + 1
        known = (
            ratings.user_ids[users],
            rank,
            ratings.movie_ids[at],
            titles[at],
            years[at],
            genres[at],
            _rounded(scores, 5),
        )
        found = dict(zip(COLUMNS, known, strict=False))
        return found if stars is None else found | {COLUMNS[-1]: _rounded(stars, 3)}

    return columns


def _rounded(values: Floats, digits: int) -> NDArray[np.float64]:
    return values.astype(np.float64).round(digits)


def _csv(file: IO[str], run: Run) -> Write:
    out, columns = csv.writer(file), _columns(run)
    heading: list[str] = []

    def write(users: Indices, movies: Indices, scores: Floats, stars: Floats | None) -> None:
        found = columns(users, movies, scores, stars)
        if not heading:
            heading.extend(found)
            out.writerow(heading)
        safe = [map(csv_safe, column.tolist()) for column in found.values()]
        out.writerows(zip(*safe, strict=True))

    return write


@contextlib.contextmanager
def _csv_file(path: Path, run: Run) -> Iterator[Write]:
    with open(path, "w", newline="", encoding="utf-8") as file:
        yield _csv(file, run)


@contextlib.contextmanager
def _parquet(path: Path, run: Run) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow import parquet

    columns = _columns(run)
    writers: list[Any] = []  # none before the first lines, whose schema it takes
    text = {"title": pa.string(), "year": pa.int64(), "genres": pa.string()}  # known even where a block is empty

    def write(users: Indices, movies: Indices, scores: Floats, stars: Floats | None) -> None:
        found = columns(users, movies, scores, stars)
        table = pa.table(found | {name: pa.array(found[name].tolist(), kind) for name, kind in text.items()})
        if not writers:
            writers.append(parquet.ParquetWriter(path, table.schema))
        writers[0].write_table(table)

    try:
        yield write
    finally:
        for writer in writers:
            writer.close()
