"""Ratings as Parquet files by user, so that each of several workers reads those of its own users only.

python -m utils.distributed.shards LOG FOLDER [--files N] [--ray ADDRESS]    of a log of any size, CSV or Parquet

A folder of shards holds shard=K/*.parquet with the ratings of the users u with u % files = K (columns user and movie,
which are indices, rating, and timestamp where the log has them; of a split also its part), shards.json, and what a log
was read from: the ids, ids.npz."""

import csv
import json
import re
import shutil
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
from utils.data.datasets import SHARDS
from utils.data.ratings import Ratings
from utils.data.reading.tables import NEEDED, SPELLINGS, Table
from utils.data.reading.textfiles import PARQUET, find_columns, first_line, head, shown
from utils.data.splits import Split
from utils.distributed import cluster
from utils.errors import UserError
from utils.runs import atomic
from utils.runs.paths import is_file, is_folder, is_there, names_in, resolved

IDS, MOVIES = "ids.npz", "movies.csv"


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
    """Write the ratings of a `Split`, with their part, as so many shards into a new folder."""
    folder.mkdir(parents=True)
    ratings, order = split.ratings, np.argsort(split.ratings.user % files, kind="stable")
    bounds = np.searchsorted((ratings.user % files)[order], np.arange(files + 1))
    for k in range(files):
        own = order[bounds[k] : bounds[k + 1]]
        columns = {"user": ratings.user[own], "movie": ratings.movie[own], "rating": ratings.rating[own]}
        (folder / f"shard={k}").mkdir()
        parquet.write_table(pa.table(columns | {"part": split.part[own]}), folder / f"shard={k}" / "0.parquet")
    candidates = split.candidates
    about: dict[str, Any] = {"files": files, "shape": ratings.shape, "scale": ratings.scale, "like": ratings.like}
    about["candidates"] = None if candidates is None else np.flatnonzero(candidates).tolist()
    (folder / SHARDS).write_text(json.dumps(about), encoding="utf-8")


def own(folder: Path, rank: int, n: int) -> tuple[Split, NDArray[np.bool_] | None]:
    """Read (`Split` of the users of every n-th shard from the one numbered `rank`, candidates of the whole split): all
    users and movies have their index, and those of other workers no ratings."""
    about = json.loads((folder / SHARDS).read_text(encoding="utf-8"))
    read = [of_shard(folder, k) for k in range(rank, about["files"], n)]
    columns = {name: np.concatenate([one[name] for one in read]) for name in ("user", "movie", "rating", "part")}
    users, movies = (np.arange(length) for length in about["shape"])
    lowest, highest = about["scale"]
    ratings = Ratings(
        columns["user"], columns["movie"], columns["rating"], None, users, movies, (lowest, highest), about["like"]
    )
    candidates = None
    if about["candidates"] is not None:
        candidates = np.zeros(ratings.shape[1], bool)
        candidates[about["candidates"]] = True
    return Split(ratings, columns["part"]), candidates


def of_shard(folder: Path, k: int) -> dict[str, NDArray]:
    """Read {column: array} of the k-th shard; a `UserError` names the file that can't be read."""
    found, shard = [], folder / f"shard={k}"
    names = names_in(shard) if is_folder(shard) else []
    for path in (shard / name for name in names if name.endswith(".parquet")):
        try:
            found.append(parquet.ParquetFile(path).read())
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path}: this shard can't be read: {str(error).splitlines()[0]}") from None
    if not found:
        raise UserError(f"{folder}: shard {k} is missing; make the shards anew")
    table = pa.concat_tables(found)
    return {name: table[name].to_numpy() for name in table.column_names}


# -- a log of any size -------------------------------------------------------------------------------------------------


def of_log(log: Path, folder: Path, files: int) -> tuple[int, int, int]:
    """Write the shards of a log of ratings, which never is in memory as a whole; Ray has to be `connected`. Returns
    (ratings, users, movies)."""
    import ray

    if is_there(folder):
        raise UserError(f"{folder} exists; give a folder that is to be made")
    checked = _read(log)
    known = [_numbered(sorted(checked.unique(column))) for column in ("userId", "movieId")]
    ids = [ids for ids, _, _ in known]
    places = [ray.put(pair) for _, *pair in known]
    indexed = checked.map_batches(_indexed, fn_args=(places, files), batch_format="numpy")
    folder.parent.mkdir(parents=True, exist_ok=True)
    atomic.recover(resolved(folder))
    with atomic.atomic_directory(resolved(folder)) as new:
        indexed.write_parquet(str(new), partition_cols=["shard"])
        np.savez(new / IDS, users=ids[0], movies=ids[1])
        users, movies, ratings = len(ids[0]), len(ids[1]), checked.count()
        about = {"files": files, "shape": [users, movies], "ratings": ratings, "log": log.name}
        (new / SHARDS).write_text(json.dumps(about), encoding="utf-8")
        if is_file(log.parent / MOVIES):
            shutil.copyfile(log.parent / MOVIES, new / MOVIES)  # without its permissions
    return ratings, users, movies


def _read(log: Path) -> Any:
    """Open the Ray dataset of what is needed of a file or a folder of them, checked."""
    import ray
    from pyarrow.csv import ConvertOptions

    paths = [log / name for name in names_in(log) if is_file(log / name)] if is_folder(log) else [log]
    if not paths or not all(map(is_there, paths)):
        raise UserError(f"{log}: there is no such file, or nothing in the folder")
    packed = head(paths[0]).startswith(PARQUET)
    names = parquet.read_schema(paths[0]).names if packed else next(csv.reader([first_line(paths[0])[1]]))
    found = find_columns(log, names, SPELLINGS)
    if missing := [column for column in NEEDED if column not in found]:
        raise UserError(f"{log}: missing column(s) {', '.join(missing)}; found: {shown(names)}")
    columns = {column: names[place] for column, place in found.items()}
    files = [str(path.resolve()) for path in paths]
    if packed:
        ratings = ray.data.read_parquet(files, include_paths=True)
    else:  # as text, so that it is we who say what is wrong
        text = ConvertOptions(column_types=dict.fromkeys(columns.values(), pa.string()))
        ratings = ray.data.read_csv(files, include_paths=True, convert_options=text)
    return ratings.map_batches(_checked, fn_args=(columns,), batch_format="pyarrow").materialize()


def _checked(table: pa.Table, columns: dict[str, str]) -> pa.Table:
    """Return the columns of a block that are needed, by their own names; a `UserError` where a value can't be used."""
    path, found = table["path"][0].as_py(), {}
    for column, name in columns.items():
        values = table[name].combine_chunks()
        number = {"rating": pa.float64(), "timestamp": pa.int64()}.get(column)
        if number and pa.types.is_string(values.type):
            values = _numbers(values, number, f"{path}: the {column}")
        able = pa.types.is_integer(values.type) or (column == "rating" and pa.types.is_floating(values.type))
        able |= number is None and (pa.types.is_string(values.type) or pa.types.is_large_string(values.type))
        if not able:
            raise UserError(f"{path}: the column {name} holds {values.type}")
        if values.null_count or (number is None and pc.any(pc.equal(pc.cast(values, pa.string()), "")).as_py()):
            raise UserError(f"{path}: the {column} is empty in some rows")
        found[column] = values
    rating = found["rating"].to_numpy(zero_copy_only=False).astype(np.float32)
    if not np.isfinite(rating).all():
        raise UserError(f"{path}: the rating is {rating[~np.isfinite(rating)][0]} in some rows")
    return pa.table(found | {"rating": pa.array(rating)})


def _numbers(texts: pa.Array, kind: pa.DataType, what: str) -> pa.Array:
    """Return texts as numbers; the `UserError` names the first that is none."""
    try:
        return pc.cast(texts, kind)
    except pa.ArrowInvalid as error:
        raise UserError(f"{what} is no number: {str(error).splitlines()[0]}") from None


def _numbered(ids: list[Any]) -> tuple[NDArray, NDArray, NDArray[np.int64]]:
    """Return (ids in the order of their indices, the same ids as they are sorted in the log, the index of each of
    these): as numbers where all are."""
    keys = np.array(ids)
    if keys.dtype.kind != "U" or not all(re.fullmatch(r"-?\d{1,18}", one) for one in ids):
        return keys, keys, np.arange(len(keys))
    numbers = np.array(ids, np.int64)
    order = np.argsort(numbers)
    if (np.diff(numbers[order]) == 0).any():  # 7 and 007
        return keys, keys, np.arange(len(keys))
    return numbers[order], keys, np.argsort(order)


def _indexed(block: dict[str, NDArray], places: list[Any], files: int) -> dict[str, NDArray]:
    """Return a block with indices in the place of ids, and the shard of each rating. places: where Ray keeps the keys
    of users and of movies, and the index of each."""
    import ray

    (users, user_at), (movies, movie_at) = (ray.get(one) for one in places)
    user = user_at[np.searchsorted(users, block["userId"].astype(users.dtype))].astype(np.int32)
    movie = movie_at[np.searchsorted(movies, block["movieId"].astype(movies.dtype))].astype(np.int32)
    found = {"user": user, "movie": movie}
    found |= {name: block[name] for name in ("rating", "timestamp") if name in block}
    return found | {"shard": user % files}


def table(folder: Path) -> Table:
    """Read the `Table` of the shards of a log, by user and movie."""
    about = json.loads((folder / SHARDS).read_text(encoding="utf-8"))
    read = [of_shard(folder, k) for k in range(about["files"]) if is_folder(folder / f"shard={k}")]
    columns = {name: np.concatenate([one[name] for one in read]) for name in read[0]}
    if len(columns["user"]) != about["ratings"]:
        raise UserError(
            f"{folder}: {len(columns['user']):,} ratings of {about['ratings']:,} are there; make the shards anew"
        )
    order = np.lexsort((columns["movie"], columns["user"]))
    columns = {name: values[order] for name, values in columns.items()}
    with np.load(folder / IDS, allow_pickle=False) as ids:
        users, movies = ids["users"], ids["movies"]
    if users.dtype.kind == "U":
        users, movies = (one.astype(str) for one in (users, movies))

    def where(row: int) -> str:
        return f"{folder}: the rating numbered {int(row) + 1} by user and movie"

    return Table(
        columns["user"], users, columns["movie"], movies, columns["rating"], columns.get("timestamp"), where
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Make the shards of a log."""
    chosen = options.parse(Options, argv or [], "python -m utils.distributed.shards", __doc__.splitlines()[0])
    with cluster.connected(chosen.ray), cluster.ray_errors():
        ratings, users, movies = of_log(chosen.log, chosen.folder, chosen.files)
    print(f"{ratings:,} ratings of {movies:,} movies by {users:,} users in {chosen.files} shards: {chosen.folder}")


if __name__ == "__main__":
    options.run(main)
