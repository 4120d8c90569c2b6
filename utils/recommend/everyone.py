"""Recommend to every user of a run: into one file, or into parts that several workers write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from utils.errors import UserError
from utils.recommend import recommendations, reranking
from utils.runs import files, run_folder, table_writer
from utils.runs.paths import is_there, names_in, unreadable
from utils.runs.run_folder import Run
from utils.scoring import ranking
from utils.scoring.protocols import Indices

if TYPE_CHECKING:
    from utils.recommend.saved import Saved

BLOCK = 512  # users scored at a time
PART = 4096  # users of a part
ABOUT = "_recommendations.json"  # what begins with _ is left out where the folder is read as one table
Part: TypeAlias = tuple[Path, int, int]  # file, first user, end
OpenRun: TypeAlias = Callable[[Run], "Saved"]  # `models.open_run`


@dataclass(frozen=True)
class Request:
    """What to recommend to each user. by: the strategy, as --by names it. n: how many movies."""

    by: str = "best"
    n: int = 10
    filters: reranking.Options = field(default_factory=reranking.Options)


class Everyone:
    """Recommends to all users of a run; made once, however many parts are written."""

    def __init__(self, saved: Saved, request: Request) -> None:
        self.saved, self.request, split = saved, request, saved.run.split
        self.strategy = saved.strategy(request.by)
        self.fits = reranking.allowed(saved.run.movies, request.filters, saved.ratings.movie_known)
        self.score = saved.scorer(self.strategy)
        self.known, self.rated = split.known, split.ratings.matrix()

    def write(self, users: Indices, target: Path | str, parquet: bool) -> None:
        """Write the recommendations to users of these indices to a file."""
        saved, n, filters = self.saved, self.request.n, self.request.filters
        with table_writer.writing(target, parquet, saved.run) as write:
            for block in np.array_split(users, -(-len(users) // BLOCK)):
                given = self.known[block]
                scores = np.where(self.fits, self.score(given, block), -np.inf)
                if not filters.include_seen:
                    ranking.hide_seen(scores, self.rated[block])
                rows, top = recommendations.top_lists(saved, self.strategy, n, filters, given, scores)
                write(block[rows], top, scores[rows, top], saved.stars_of(given, block, rows, top))


def write(saved: Saved, request: Request, target: Path | str, parquet: bool) -> int:
    """Write the recommendations to each user to a file; returns the number of users."""
    n_users = saved.ratings.shape[0]
    Everyone(saved, request).write(np.arange(n_users), target, parquet)
    return n_users


def write_parts(
    saved: Saved, request: Request, folder: Path, open_run: OpenRun, workers: int | None = None, ray: str | None = None
) -> tuple[int, int, int]:
    """Write a Parquet file for every PART users into a folder, each whole or not at all; parts that are there already,
    of the same run and request, stay. Returns (users, parts, parts that were there). workers: how many Ray workers
    write, at the address `ray`; this process where None. open_run: `models.open_run`, for workers."""
    run = saved.run
    n_users = saved.ratings.shape[0]
    starts = range(0, n_users, PART)
    parts = [(folder / f"part-{i:05d}.parquet", start, min(start + PART, n_users)) for i, start in enumerate(starts)]
    saved.strategy(request.by)  # which refuses what this run does not have
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} can't be written: {error.strerror}") from None
    with run_folder.locked(folder, "written", "--out"):
        _claim(folder, {"run": run.sha256, "part": PART, **asdict(request)})
        missing = [part for part in parts if not is_there(part[0])]
        if workers and missing:
            _write_by_workers(run, request, missing, open_run, min(workers, len(missing)), ray)
        elif missing:
            _write_several(saved, request, missing)
    return n_users, len(parts), len(parts) - len(missing)


def _claim(folder: Path, about: dict[str, Any]) -> None:
    """Mark the folder as that of these recommendations; refuse one that holds others."""
    text, names = json.dumps(about, sort_keys=True), names_in(folder)
    try:
        is_ours = not names or (ABOUT in names and (folder / ABOUT).read_bytes() == text.encode())
    except OSError as error:
        raise unreadable(folder / ABOUT, error) from None
    if not is_ours:
        raise UserError(f"{folder} holds something else than these recommendations; give another --out")
    for name in names:
        if name.startswith(".") and name.endswith(".part"):  # left behind by a killed process
            (folder / name).unlink()
    files.write_text(folder / ABOUT, text)


def _write_several(saved: Saved, request: Request, parts: list[Part]) -> None:
    everyone = Everyone(saved, request)
    for path, first, end in parts:
        everyone.write(np.arange(first, end), path, True)


def _write_by_workers(
    run: Run, request: Request, parts: list[Part], open_run: OpenRun, workers: int, address: str | None
) -> None:
    from utils.distributed import cluster  # imports sockets and logging, which one process does not need

    with cluster.connected(address, workers):
        import ray

        work, folder = ray.remote(_work), run.folder.resolve()
        shares = [parts[i::workers] for i in range(workers)]
        results = [work.remote(folder, run.sha256, request, share, open_run) for share in shares]
        with cluster.ray_errors():
            ray.get(results)


def _work(folder: Path, sha256: str, request: Request, parts: list[Part], open_run: OpenRun) -> None:
    """Write these parts as one of the workers."""
    run = run_folder.find(folder, verified=False)  # which has been verified
    if run.sha256 != sha256:
        raise UserError(f"{folder} was replaced by another run meanwhile; run the command again")
    _write_several(open_run(run), request, parts)
