"""Recommendations to every user of a run, blocks of users at a time: into one file, or into parts that several workers
write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from utils.errors import UserError
from utils.recommend import recommendations, reranking
from utils.runs import files, run_folder, table_writer
from utils.runs.paths import is_there, names_in, unreadable
from utils.scoring import ranking
from utils.scoring.protocols import Indices

if TYPE_CHECKING:
    from utils.recommend.saved import Saved
    from utils.runs.run_folder import Run

BLOCK = 512  # users scored at a time
PART = 4096  # users of a part
ABOUT = "recommendations.json"
UserRange: TypeAlias = tuple[Path, int, int]  # file, first user, end


@dataclass(frozen=True)
class Asked:
    """What is asked for each user. by: the way of recommending, as --by says it. n: how many movies."""

    by: str = "best"
    n: int = 10
    filters: reranking.Options = field(default_factory=reranking.Options)


class Everyone:
    """What recommends to all users of a run: made once, however many parts are written."""

    def __init__(self, saved: Saved, asked: Asked) -> None:
        self.saved, self.asked, split = saved, asked, saved.run.split
        self.count = recommendations.known_count(split)
        self.fits = reranking.allowed(saved.run.movies, asked.filters, self.count)
        self.score = self.saved.scorer(self.saved.strategy(asked.by))
        self.known, self.rated = split.known, split.ratings.matrix()

    def write(self, users: Indices, target: Path | str, parquet: bool) -> None:
        """Write what is recommended to users of these indices to a file."""
        saved, filters = self.saved, self.asked.filters
        with table_writer.writing(target, parquet, saved.run) as line:
            for block in np.array_split(users, -(-len(users) // BLOCK)):
                given = self.known[block]
                scores = np.where(self.fits, self.score(given, block), -np.inf)
                if not filters.include_seen:
                    ranking.hide_seen(scores, self.rated[block])
                rows, top = recommendations.top_lists(saved, self.asked.n, filters, given, scores, self.count)
                line(block[rows], top, scores[rows, top], saved.stars_of(given, block, rows, top))


def write(saved: Saved, asked: Asked, target: Path | str, parquet: bool) -> int:
    """Write what is recommended to each user to a file; returns how many they are."""
    n_users = saved.run.split.ratings.shape[0]
    Everyone(saved, asked).write(np.arange(n_users), target, parquet)
    return n_users


def write_parts(
    saved: Saved,
    asked: Asked,
    folder: Path,
    open_run: Callable[[Run], Saved],
    workers: int | None = None,
    address: str | None = None,
) -> tuple[int, int, int]:
    """Write a Parquet file for every PART users into a folder, each whole or not at all; what is there already, of the
    same run and asked for in the same way, stays. Returns (users, parts, parts that were there). workers: how many Ray
    workers do it, and address: where; this process where None. open_run: `models.open_run`, for workers."""
    run = saved.run
    n_users = run.split.ratings.shape[0]
    bounds = pairwise([*range(0, n_users, PART), n_users])
    parts = [(folder / f"part-{k:05d}.parquet", *pair) for k, pair in enumerate(bounds)]
    saved.strategy(asked.by)  # which refuses what this run does not have
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} can't be written: {error.strerror}") from None
    with run_folder.locked(folder, "written", "--out"):
        _claim(folder, {"run": run.sha256, "part": PART, **asdict(asked)})
        left = [part for part in parts if not is_there(part[0])]
        if workers and left:
            _by_workers(run, asked, left, open_run, min(workers, len(left)), address)
        else:
            _several(saved, asked, left)
    return n_users, len(parts), len(parts) - len(left)


def _claim(folder: Path, about: dict[str, Any]) -> None:
    """Make the folder that of these recommendations; refuse one that holds others."""
    said = json.dumps(about, sort_keys=True)
    found = names_in(folder)
    try:
        own = not found or (ABOUT in found and (folder / ABOUT).read_bytes() == said.encode())
    except OSError as error:
        raise unreadable(folder / ABOUT, error) from None
    if not own:
        raise UserError(f"{folder} holds something else than these recommendations; give another --out")
    for name in found:
        if name.startswith(".") and name.endswith(".part"):  # what a kill left
            (folder / name).unlink()
    files.write_text(folder / ABOUT, said)


def _several(saved: Saved, asked: Asked, parts: list[UserRange]) -> None:
    everyone: Everyone = Everyone(saved, asked) if parts else None  # type: ignore[assignment]  # unused without parts
    for path, first, end in parts:
        everyone.write(np.arange(first, end), path, True)


def _by_workers(
    run: Run, asked: Asked, parts: list[UserRange], open_run: Callable[[Run], Saved], workers: int, address: str | None
) -> None:
    from utils.distributed import cluster  # sockets and logging come with it, which one process does without

    with cluster.connected(address, workers):
        import ray

        folder = run.folder.resolve()
        shares = [parts[i::workers] for i in range(workers)]
        several = [ray.remote(_work).remote(folder, run.sha256, asked, share, open_run) for share in shares]
        with cluster.ray_errors():
            ray.get(several)


def _work(folder: Path, sha256: str, asked: Asked, parts: list[UserRange], open_run: Callable[[Run], Saved]) -> None:
    """What a worker does."""
    run = run_folder.find(folder, verified=False)  # which has been verified
    if run.sha256 != sha256:
        raise UserError(f"{folder} was replaced by another run meanwhile; ask again")
    _several(open_run(run), asked, parts)
