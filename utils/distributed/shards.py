"""Ratings as Parquet files by user, so that each worker reads those of its own users only.

python -m utils.distributed.shards LOG FOLDER [--files N] [--ray ADDRESS]    of a log of any size, CSV or Parquet

A folder of shards holds shard=K/*.parquet with the ratings of the users u with u % files = K: the columns user and
movie, which are indices, rating, and timestamp where the log has it; part where they are of a split. shards.json
describes them. Shards of a log also have ids.npz, the ids in the order of the indices."""

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tyro
from numpy.typing import NDArray
from pyarrow import parquet

from utils.command_line import options
from utils.data.ratings import Ratings
from utils.data.reading.formats import NEEDED, SHARDS, SPELLINGS, TIMES
from utils.data.reading.layouts import check_columns, find_columns
from utils.data.reading.tables import Table
from utils.data.reading.textfiles import PARQUET, head, table_start
from utils.data.splits import Split
from utils.distributed import cluster
from utils.errors import UserError
from utils.runs import atomic
from utils.runs.paths import is_file, is_folder, is_there, names_in, resolved

IDS, MOVIES = "ids.npz", "movies.csv"  # beside the shards of a log


@dataclass(frozen=True)
class Options:
    """Options of python -m utils.distributed.shards."""

    log: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="LOG")]
    """CSV or Parquet file, or a folder of such files: userId, movieId, rating[, timestamp]"""
    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """new folder for the shards, which `train.py --data FOLDER` takes"""
    files: int = 64
    """number of shards"""
    ray: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS", help_behavior_hint="")] = None
    """the Ray cluster that does it (default: one on this machine)"""

    def __post_init__(self) -> None:
        if self.files < 1:
            raise ValueError(f"files must be 1 or more, got {self.files}")


def write(folder: Path, split: Split, files: int) -> None:
    """Write the ratings of a `Split`, with their part, as `files` shards into a new folder."""
    ratings, candidates = split.ratings, split.candidates
    columns: dict[str, NDArray] = {"user": ratings.user, "movie": ratings.movie, "rating": ratings.rating}
    columns["part"] = split.part
    shard_of = ratings.user % files
    for k in range(files):
        in_shard = shard_of == k
        (folder / f"shard={k}").mkdir(parents=True)
        table = pa.table({name: values[in_shard] for name, values in columns.items()})
        parquet.write_table(table, folder / f"shard={k}" / "0.parquet")
    about: dict[str, Any] = {"files": files, "shape": ratings.shape, "scale": ratings.scale, "like": ratings.like}
    about["candidates"] = None if candidates is None else np.flatnonzero(candidates).tolist()
    (folder / SHARDS).write_text(json.dumps(about), encoding="utf-8")


def read_own(folder: Path, rank: int, n: int) -> tuple[Split, NDArray[np.bool_] | None]:
    """Read every n-th shard from number `rank` on: (`Split` of their ratings, candidates of the whole split). Users and
    movies keep their indices."""
    about: dict[str, Any] = json.loads((folder / SHARDS).read_text(encoding="utf-8"))
    columns: dict[str, Any] = read_shards(folder, range(rank, about["files"], n))
    part = columns.pop("part")
    users, movies = (np.arange(size) for size in about["shape"])
    scale, like = tuple(about["scale"]), about["like"]
    ratings = Ratings(**columns, timestamp=None, user_ids=users, movie_ids=movies, scale=scale, threshold=like)
    candidates = None if about["candidates"] is None else np.isin(movies, about["candidates"])
    return Split(ratings, part), candidates


def read_shards(folder: Path, numbers: Iterable[int]) -> dict[str, NDArray]:
    """Read {column: array} of the shards of these numbers, joined; a `UserError` names the file that can't be read."""
    tables = []
    for shard in (folder / f"shard={k}" for k in numbers):
        paths = [shard / name for name in names_in(shard) if name.endswith(".parquet")] if is_folder(shard) else []
        if not paths:
            raise UserError(f"{shard} is missing; make the shards again")
        for path in paths:
            try:
                tables.append(parquet.ParquetFile(path).read())
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"{path}: this shard can't be read: {str(error).splitlines()[0]}") from None
    table = pa.concat_tables(tables)
    return {name: table[name].to_numpy() for name in table.column_names}


# -- a log of any size -------------------------------------------------------------------------------------------------


def write_log(log: Path, folder: Path, files: int) -> tuple[int, int, int]:
    """Write the shards of a log of ratings, which is never in memory as a whole; Ray has to be `connected`. Returns
    (ratings, users, movies)."""
    import ray

    if is_there(folder):
        raise UserError(f"{folder} exists; give a new folder")
    checked = _read(log)
    users, movies = (_numbered(sorted(checked.unique(column))) for column in ("userId", "movieId"))
    keys = [ray.put(pair) for _, *pair in (users, movies)]
    indexed = checked.map_batches(_indexed, fn_args=(keys, files), batch_format="numpy")
    n_ratings, n_users, n_movies = checked.count(), len(users[0]), len(movies[0])
    about = {"files": files, "shape": [n_users, n_movies], "ratings": n_ratings, "log": log.name}
    folder = resolved(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    atomic.recover(folder)
    with atomic.atomic_directory(folder) as new:
        indexed.write_parquet(str(new), partition_cols=["shard"])
        np.savez(new / IDS, users=users[0], movies=movies[0])
        (new / SHARDS).write_text(json.dumps(about), encoding="utf-8")
        if is_file(log.parent / MOVIES):
            shutil.copyfile(log.parent / MOVIES, new / MOVIES)  # without its permissions
    return n_ratings, n_users, n_movies


def _read(log: Path) -> Any:
    """Open a file, or a folder of files, as a Ray dataset of the known columns, checked."""
    import ray
    from pyarrow.csv import ConvertOptions

    paths = [log / name for name in names_in(log) if is_file(log / name)] if is_folder(log) else [log]
    if not paths or not all(map(is_there, paths)):
        raise UserError(f"{log}: there is no such file, or nothing in the folder")
    in_parquet = head(paths[0]).startswith(PARQUET)
    names = parquet.read_schema(paths[0]).names if in_parquet else table_start(paths[0], [","]).fields[","]
    columns = {
        column: names[place] for column, place in find_columns(log, names, SPELLINGS | {"timestamp": TIMES}).items()
    }
    check_columns(log, names, columns, NEEDED)
    files = [str(path.resolve()) for path in paths]
    if in_parquet:
        ratings = ray.data.read_parquet(files, include_paths=True)
    else:  # as text: `_checked` says which value is wrong
        text = ConvertOptions(column_types=dict.fromkeys(columns.values(), pa.string()))
        ratings = ray.data.read_csv(files, include_paths=True, convert_options=text)
    check: Any = _checked  # Ray's types know no other arguments
    return ratings.map_batches(check, fn_args=(columns,), batch_format="pyarrow").materialize()


def _checked(table: pa.Table, columns: dict[str, str]) -> pa.Table:
    """Return the `columns` {name: name in the log} of a block; a `UserError` where a value can't be used."""
    path, checked = table["path"][0].as_py(), {}
    for column, name in columns.items():
        values = table[name].combine_chunks()
        number = {"rating": pa.float64(), "timestamp": pa.int64()}.get(column)
        if number and pa.types.is_string(values.type):
            try:
                values = pc.cast(values, number)
            except pa.ArrowInvalid as error:
                raise UserError(f"{path}: the {column} is no number: {str(error).splitlines()[0]}") from None
        is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        is_float = column == "rating" and pa.types.is_floating(values.type)
        if not (pa.types.is_integer(values.type) or is_float or (is_text and not number)):
            raise UserError(f"{path}: the column {name} holds {values.type}")
        if values.null_count or (is_text and pc.any(pc.equal(values, "")).as_py()):
            raise UserError(f"{path}: the {column} is empty in some rows")
        checked[column] = values
    rating = checked["rating"].to_numpy(zero_copy_only=False).astype(np.float32)
    if not np.isfinite(rating).all():
        raise UserError(f"{path}: the rating is {rating[~np.isfinite(rating)][0]} in some rows")
    return pa.table(checked | {"rating": pa.array(rating)})


def _numbered(ids: list[Any]) -> tuple[NDArray, NDArray, NDArray[np.int64]]:
    """Number the ids of a log, given sorted, as numbers where all are: (ids in the order of their indices, ids as in
    the log, index of each of these)."""
    keys = np.array(ids)
    if keys.dtype.kind == "U" and all(re.fullmatch(r"-?\d{1,18}", key) for key in ids):
        numbers, index = np.unique(keys.astype(np.int64), return_inverse=True)
        if len(numbers) == len(keys):  # otherwise 7 and 007 are two ids
            return numbers, keys, index
    return keys, keys, np.arange(len(keys))


def _indexed(block: dict[str, NDArray], keys: list[Any], files: int) -> dict[str, NDArray]:
    """Replace the ids of a block by indices, and add the shard of each rating. keys: Ray's references to (ids as in the
    log, index of each) of users and of movies."""
    import ray

    def index_of(column: str, reference: Any) -> NDArray[np.int32]:
        ids, index = ray.get(reference)
        return index[np.searchsorted(ids, block[column].astype(ids.dtype))].astype(np.int32)

    user = index_of("userId", keys[0])
    indexed = {"user": user, "movie": index_of("movieId", keys[1]), "shard": user % files}
    return indexed | {name: block[name] for name in ("rating", "timestamp") if name in block}


def read_table(folder: Path) -> Table:
    """Read the `Table` of the shards of a log, by user and movie."""
    about = json.loads((folder / SHARDS).read_text(encoding="utf-8"))
    columns = read_shards(folder, [k for k in range(about["files"]) if is_folder(folder / f"shard={k}")])
    n, expected = len(columns["user"]), about["ratings"]
    if n != expected:
        raise UserError(f"{folder}: {n:,} ratings of {expected:,} are there; make the shards again")
    order = np.lexsort((columns["movie"], columns["user"]))
    columns = {name: values[order] for name, values in columns.items()}
    with np.load(folder / IDS, allow_pickle=False) as stored:
        users, movies = stored["users"], stored["movies"]

    def where(row: int) -> str:
        return f"{folder}: the rating numbered {int(row) + 1} by user and movie"

    times = columns.get("timestamp")
    return Table(columns["user"], users, columns["movie"], movies, columns["rating"], times, where)


def main(argv: list[str] | None = None) -> None:
    """Make the shards of a log."""
    config = options.parse(Options, argv or [], "python -m utils.distributed.shards", __doc__.splitlines()[0])
    with cluster.connected(config.ray), cluster.ray_errors():
        ratings, users, movies = write_log(config.log, config.folder, config.files)
    print(f"{ratings:,} ratings of {movies:,} movies by {users:,} users in {config.files} shards: {config.folder}")


if __name__ == "__main__":
    options.run(main)
