"""Write the recommendations to many users into one CSV or Parquet file, block by block, whole or not at all."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import cell
from utils.runs import files

if TYPE_CHECKING:
    from utils.runs.run_folder import Run
    from utils.scoring.protocols import Floats, Indices

Columns: TypeAlias = dict[str, NDArray]
Write: TypeAlias = Callable[["Indices", "Indices", "Floats", "Floats | None"], None]  # (users, movies, scores, stars)


@contextlib.contextmanager
def writing(target: str | Path, parquet: bool, run: Run) -> Iterator[Write]:
    """Hand out a function (users, movies, scores, stars or None) that writes one line per recommendation, the lines of
    a user together, best first. users, movies: indices in the `Run`. target: a path, or - for standard output."""
    with contextlib.ExitStack() as stack:
        if target == "-" and not parquet:
            write_columns = _csv_writer(stack.enter_context(files.standard_output()))
        else:
            path = stack.enter_context(files.atomic_file(target))
            if parquet:
                write_columns = stack.enter_context(_parquet_writer(path))
            else:
                write_columns = _csv_writer(stack.enter_context(open(path, "w", newline="", encoding="utf-8")))
        yield lambda users, movies, scores, stars: write_columns(_columns(run, users, movies, scores, stars))


def _columns(run: Run, users: Indices, movies: Indices, scores: Floats, stars: Floats | None) -> Columns:
    """Return {column: array} of a block."""
    starts = np.flatnonzero(np.diff(users, prepend=-1))  # the first line of each user
    about = [run.movies.describe(movie) for movie in movies]
    columns = {
        "userId": run.split.ratings.user_ids[users],
        "rank": np.arange(len(users)) - np.repeat(starts, np.diff(starts, append=len(users))) + 1,
        "movieId": run.split.ratings.movie_ids[movies],
        "title": np.array([movie["title"] for movie in about], object),
        "year": np.array([movie["year"] for movie in about], object),
        "genres": np.array(["|".join(movie["genres"]) for movie in about], object),
        "score": scores.astype(np.float64).round(5),
    }
    return columns if stars is None else columns | {"predicted_rating": stars.astype(np.float64).round(3)}


def _csv_writer(file: IO[str]) -> Callable[[Columns], None]:
    writer = csv.writer(file)
    heading: list[str] = []

    def write(columns: Columns) -> None:
        if not heading:
            heading.extend(columns)
            writer.writerow(heading)
        safe = [map(cell, column.tolist()) for column in columns.values()]
        writer.writerows(zip(*safe, strict=True))

    return write


@contextlib.contextmanager
def _parquet_writer(path: Path) -> Iterator[Callable[[Columns], None]]:
    import pyarrow as pa
    from pyarrow import parquet

    types = {"title": pa.string(), "year": pa.int64(), "genres": pa.string()}  # not to be seen in an empty block

    with contextlib.ExitStack() as stack:
        writer: Any = None

        def write(columns: Columns) -> None:
            nonlocal writer
            table = pa.table(columns | {name: pa.array(columns[name].tolist(), kind) for name, kind in types.items()})
            writer = writer or stack.enter_context(parquet.ParquetWriter(path, table.schema))
            writer.write_table(table)

        yield write
