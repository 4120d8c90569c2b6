"""Write the recommendations to many users into one CSV or Parquet file, block by block, whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np

from utils.data.movies import csv_safe
from utils.runs import files

if TYPE_CHECKING:
    import pyarrow as pa

    from utils.runs.run_folder import Run
    from utils.scoring.protocols import Floats, Indices

Write: TypeAlias = Callable[["Indices", "Indices", "Floats", "Floats | None"], None]  # (users, movies, scores, stars)


@contextmanager
def writing(target: str | Path, parquet: bool, run: Run) -> Iterator[Write]:
    """Hand out a function (users, movies, scores, stars or None) that writes one line per recommendation, the lines of
    a user together, best first. users, movies: indices in the `Run`. target: a path, or - for standard output."""
    with ExitStack() as stack:
        if target == "-" and not parquet:
            write_table = _csv_writer(stack.enter_context(files.standard_output()))
        else:
            path = stack.enter_context(files.atomic_file(target))
            if parquet:
                write_table = _parquet_writer(path, stack)
            else:
                write_table = _csv_writer(stack.enter_context(open(path, "w", newline="", encoding="utf-8")))
        yield lambda users, movies, scores, stars: write_table(_table(run, users, movies, scores, stars))


def _table(run: Run, users: Indices, movies: Indices, scores: Floats, stars: Floats | None) -> pa.Table:
    """Return the lines of a block as a table."""
    import pyarrow as pa

    starts = np.flatnonzero(np.diff(users, prepend=-1))  # the first line of each user
    about = [run.movies.describe(movie) for movie in movies]
    columns = {
        "userId": run.ratings.user_ids[users],
        "rank": np.arange(len(users)) - np.repeat(starts, np.diff(starts, append=len(users))) + 1,
        "movieId": run.ratings.movie_ids[movies],
        "title": pa.array([movie["title"] for movie in about], pa.string()),  # the types of an empty block
        "year": pa.array([movie["year"] for movie in about], pa.int64()),
        "genres": pa.array(["|".join(movie["genres"]) for movie in about], pa.string()),
        "score": scores.astype(np.float64).round(5),
    }
    return pa.table(columns if stars is None else columns | {"predicted_rating": stars.astype(np.float64).round(3)})


def _csv_writer(file: IO[str]) -> Callable[[pa.Table], None]:
    writer = csv.writer(file)
    heading: list[str] = []

    def write(table: pa.Table) -> None:
        if not heading:
            heading.extend(table.column_names)
            writer.writerow(heading)
        safe = [map(csv_safe, column.to_pylist()) for column in table.columns]
        writer.writerows(zip(*safe, strict=True))

    return write


def _parquet_writer(path: Path, stack: ExitStack) -> Callable[[pa.Table], None]:
    from pyarrow import parquet

    writer: Any = None  # until the first block, whose schema it takes

    def write(table: pa.Table) -> None:
        nonlocal writer
        writer = writer or stack.enter_context(parquet.ParquetWriter(path, table.schema))
        writer.write_table(table)

    return write
