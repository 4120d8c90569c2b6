"""Ratings as Parquet files by user, so that each of several workers reads those of its own users only.

python -m utils.shards LOG FOLDER [--files N] [--ray ADDRESS]    makes them of a log of any size, CSV or Parquet

A folder of shards holds shard=K/*.parquet with the ratings of the users u with u % files = K (columns user and movie,
which are indices, rating, and timestamp where the log has them; of a split also its part), shards.json, and what a log
was read from: the ids, ids.npz."""

import json

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from utils.errors import UserError
from utils.ratings import Ratings
from utils.splits import Split

ABOUT, IDS = "shards.json", "ids.npz"


def write(folder, split, files):
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
    about = {"files": files, "shape": ratings.shape, "scale": ratings.scale}
    about["candidates"] = None if candidates is None else np.flatnonzero(candidates).tolist()
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def own(folder, rank, n):
    """(`Split` of the users of every n-th shard from the one numbered `rank`, candidates of the whole split): all users
    and movies have their index, and those of other workers no ratings."""
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    read = [of_shard(folder, k) for k in range(rank, about["files"], n)]
    columns = {name: np.concatenate([one[name] for one in read]) for name in ("user", "movie", "rating", "part")}
    ids = (np.arange(length) for length in about["shape"])
    ratings = Ratings(columns["user"], columns["movie"], columns["rating"], None, *ids, tuple(about["scale"]))
    candidates = None
    if about["candidates"] is not None:
        candidates = np.zeros(ratings.shape[1], bool)
        candidates[about["candidates"]] = True
    return Split(ratings, columns["part"]), candidates


def of_shard(folder, k):
    """{column: array} of the k-th shard; a `UserError` names the file that can't be read."""
    found = []
    for path in sorted((folder / f"shard={k}").glob("*.parquet")):
        try:
            found.append(parquet.ParquetFile(path).read())
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path}: this shard can't be read: {str(error).splitlines()[0]}") from None
    if not found:
        raise UserError(f"{folder}: shard {k} is missing; make the shards anew")
    table = pa.concat_tables(found)
    return {name: table[name].to_numpy() for name in table.column_names}
