"""The run folder: all that a training leaves, enough to evaluate and recommend without the data. What each file holds:
docs/run-folder.md. The folder of a blend has a folder for each part, which is a run folder without ratings.

It is written under another name and renamed when complete. A file is compared with MANIFEST when it is read, an array
with the checksums in arrays.json (`utils.runs.arrays`), so that damage gives an error and never a wrong answer. Nothing
in it is code."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import Links, Movies, as_links, read_links
from utils.data.splits import Split
from utils.data.titles import Titles, keys_of
from utils.errors import UserError
from utils.runs import arrays
from utils.runs.atomic import directory_with_manifest, recover
from utils.runs.paths import is_file, is_folder, is_there, names_in, refuses, resolved, unreadable
from utils.runs.provenance import commit, now, versions
from utils.runs.user_ratings import UserRatings

if TYPE_CHECKING:
    from utils.data.datasets import Dataset
    from utils.scoring.protocols import TrainableModel

RUNS = Path("runs")
Facts: TypeAlias = dict[str, Any]  # what becomes JSON
ADDED = ("learning_curve.png", "reconstruction.png", "findings.json", "map.json")  # files that are not in MANIFEST
WRITTEN = (".json", ".csv", ".npz", ".keras")  # the endings of those that are
BROKEN = (OSError, EOFError, ValueError, LookupError, RuntimeError, zipfile.BadZipFile, zlib.error, csv.Error)
FORMAT = 9  # raised when what is written changes; runs of an older or a newer format are refused


class Run:
    """A run folder opened for reading. Each file is compared with MANIFEST before it is used, unless `verified` is
    False. blend: the run of which this one is a part, and whose ratings it shares."""

    def __init__(self, folder: str | Path, blend: Run | None = None, verified: bool = True) -> None:
        self.folder, self.blend, self.verified = Path(folder), blend, verified
        if not is_there(self.folder / "MANIFEST"):
            raise UserError(f"{self.folder} is no run folder: it holds no MANIFEST")
        with self._errors("MANIFEST"):
            self._sha256, self.sha256 = _manifest(self.folder)
        self.config: Facts = self.json("config.json")
        with self._errors("config.json"):
            if not isinstance(self.config, dict) or not isinstance(self.config["format"], int):
                raise ValueError
        if self.config["format"] != FORMAT:
            newer = self.config["format"] > FORMAT
            by = "a newer version of Reelspace; update, or" if newer else "an older version of Reelspace;"
            raise UserError(f"{self.folder} was written by {by} train again")

    @contextlib.contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Turn an error in reading a file into a `UserError` that names it: the file is unreadable, or damaged."""
        try:
            yield
        except UserError:
            raise
        except BROKEN as error:
            path = self.folder / name
            damaged = UserError(f"{path} is damaged or missing (not what MANIFEST says); train again")
            raise (unreadable(path, error) if refuses(error) else damaged) from None

    def path(self, name: str) -> Path:
        """Return the path of a file of the run; a `UserError` that names it unless it is what MANIFEST says."""
        with self._errors(name):
            path = self._existing(name)
            with open(path, "rb") as file:
                expected = self._sha256[name]
                if self.verified and hashlib.file_digest(file, "sha256").hexdigest() != expected:
                    raise ValueError
        return path

    def _existing(self, name: str) -> Path:
        """Return the path of a file of the run; an error where it is no plain file: a pipe would never end."""
        if not is_file(self.folder / name):
            raise FileNotFoundError
        return self.folder / name

    def verify(self) -> None:
        """Compare every file with MANIFEST; a `UserError` names the first that is damaged: MANIFEST itself where it
        lacks a file that is there."""
        for name in self._sha256:
            self.path(name)
        names = {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.suffix in WRITTEN}
        with self._errors("MANIFEST"):
            if names - self._sha256.keys() - set(ADDED):
                raise ValueError

    def has_file(self, name: str) -> bool:
        """Tell whether MANIFEST lists a file of that name."""
        return name in self._sha256

    def part(self, name: str) -> Run:
        """Open the `Run` of a part of a blend, a folder within this one."""
        self.path(f"{name}/MANIFEST")
        return Run(self.folder / name, self, self.verified)

    def json(self, name: str) -> Any:
        """Read the contents of a JSON file of the run."""
        with self._errors(name):
            return json.loads(self.path(name).read_text(encoding="utf-8"))

    @cached_property
    def _arrays(self) -> Facts:
        """What arrays.json says about the .npz files."""
        return self.json(arrays.NAME)

    def arrays(self, name: str, in_part: str = "") -> dict[str, NDArray]:
        """Read {name: array} of an .npz file of the run; nothing pickled is read. in_part: regular expression of the
        names of arrays that, where they are large, are read as far as needed (`StoredArray`, to be indexed alike)."""
        with self._errors(name):
            errors = partial(self._errors, name)
            stored = arrays.File(self._existing(name), self._arrays[name], self.verified, errors).arrays
            left = {key for key in stored if re.fullmatch(in_part, key) and stored[key].nbytes > arrays.WHOLE}
            return {key: cast("NDArray", array) if key in left else array.whole for key, array in stored.items()}

    @cached_property
    def ratings(self) -> UserRatings:
        """Return the ratings that it was trained on by user, which are read as far as needed."""
        if self.blend:
            return self.blend.ratings
        stored: Facts = self.arrays("ratings.npz", UserRatings.IN_PART)
        facts = {"like": self.config["like"], "min_count": self.config.get("min_count", 1)}
        return UserRatings(**stored, scale=tuple(self.config["scale"]), **facts)

    @cached_property
    def split(self) -> Split:
        """Return the `Split` it was trained on."""
        return self.blend.split if self.blend else self.ratings.split()

    @cached_property
    def movies(self) -> Movies:
        """Return the `Movies` in column order, with the rare ones."""
        with self._errors("movies.json"):
            return Movies.read(self.path("movies.json"), self.ratings.movie_ids)

    @cached_property
    def links(self) -> Links:
        """Return the ids that the movies, with the rare ones behind, have at IMDb and TMDB."""
        if self.blend:
            return self.blend.links
        return as_links(self.json("links.json") if self.has_file("links.json") else None)

    @cached_property
    def titles(self) -> Titles:
        """Return the index that finds a movie by what somebody types."""
        return Titles(self.movies, self.ratings.movie_known)

    @cached_property
    def users(self) -> dict[str, NDArray[np.str_]] | None:
        """Return {column: array of text, "" where unknown} of the users in row order; None where nothing is known."""
        if not self.has_file("users.csv"):
            return None
        rows = self._table("users.csv")
        return {name: np.array([row[name] for row in rows]) for name in rows[0] if name != "userId"}

    @cached_property
    def history(self) -> list[dict[str, str]]:
        """Return the rows of history.csv, one dict an epoch, values as text."""
        return self._table("history.csv")

    def _table(self, name: str) -> list[dict[str, str]]:
        with self._errors(name), open(self.path(name), newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def _manifest(folder: Path) -> tuple[dict[str, str], str]:
    """Read ({name: sha256} of the files of a run folder, sha256 of MANIFEST itself)."""
    path = folder / "MANIFEST"
    if is_there(path) and not is_file(path):
        raise ValueError("a folder, or a pipe, which would never end")
    content = path.read_bytes()
    lines = [line.split("  ", 1) for line in content.decode("utf-8").splitlines()]
    return {name: digest for digest, name in lines}, hashlib.sha256(content).hexdigest()


def check_free(folder: str | Path) -> bool:
    """Refuse to train into a folder that holds anything but a run, which is replaced. Returns whether it holds one."""
    folder = Path(folder)
    if not is_there(folder) or (is_folder(folder) and not names_in(folder)):
        return False
    try:
        names = {*_manifest(folder)[0], "MANIFEST", *ADDED}  # a run of any version
    except PermissionError as error:
        raise unreadable(folder / "MANIFEST", error) from None
    except (ValueError, OSError):
        names = set()
    names |= {parent.as_posix() for name in names for parent in Path(name).parents}
    paths = list(folder.rglob("*"))
    if not names or any(path.is_symlink() or path.relative_to(folder).as_posix() not in names for path in paths):
        raise UserError(f"{folder} exists and is no run folder; give another --run, nothing there is overwritten")
    return True


@contextlib.contextmanager
def locked(folder: Path, doing: str = "trained into", option: str = "--run") -> Iterator[None]:
    """Hold the lock on writing a folder; a `UserError` where another process has it. The system locks a file beside the
    folder, and unlocks it when the process ends, however that ends."""
    path = resolved(folder).with_name(f".{resolved(folder).name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("w", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder} can't be written: {error.strerror} ({path}); give another {option}") from None
    with opened as file:
        if not _lock(file):
            raise UserError(f"{folder} is being {doing} by another process; wait for it, or give another {option}")
        try:
            recover(resolved(folder))
            yield
        finally:
            with contextlib.suppress(OSError):  # some systems do not delete open files
                path.unlink()


def _lock(file: IO[str]) -> bool:
    """Lock an open file; return False where another process has locked it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            return True
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(file.fileno()).st_nlink > 0  # 0: the process that held the lock has deleted the file
    except OSError:
        return False


def save(
    folder: Path,
    model: TrainableModel,
    split: Split,
    data: Dataset,
    config: Facts,
    history: list[Facts],
    chosen: Facts,
    draw: Callable[[Path, list[Facts]], None] | None = None,
    **more: Any,
) -> None:
    """Write a trained model, its data and how it was trained as a run folder, which replaces an older run. draw: writes
    learning_curve.png of the history. more: as `save_model` takes them."""
    ratings = split.ratings
    config = config | {"trained": now(), "scale": list(ratings.scale), "like": ratings.like}
    config |= {"shape": list(ratings.shape), "sha256": ratings.fingerprint(), "split_sha256": split.fingerprint()}
    with directory_with_manifest(resolved(folder), ADDED) as new:
        _write_model(new, model, config | {"versions": versions(), "git_commit": commit()}, chosen)
        columns: Facts = UserRatings.of(split).arrays()
        for name, content in {"ratings": columns, **more}.items():
            np.savez(new / f"{name}.npz", **content)
        _describe_arrays(new)
        replace(data.movies, keys=keys_of(data.movies.with_rare)).write(new / "movies.json")
        if links := read_links(data.folder, data.movies.with_rare.ids.tolist()):
            (new / "links.json").write_text(json.dumps(links), encoding="utf-8")
        if data.users is not None:
            data.users.set_axis(ratings.user_ids).to_csv(new / "users.csv", index_label="userId", lineterminator="\n")
        with open(new / "history.csv", "w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, dict.fromkeys(key for row in history for key in row), lineterminator="\n")
            out.writeheader()
            out.writerows(history)
        if history and draw:
            draw(new / "learning_curve.png", history)


def save_model(folder: Path, model: TrainableModel, config: Facts, chosen: Facts, **more: Any) -> None:
    """Write a model without its ratings as a run folder, and each of `more`, a {name: array}, as an .npz file."""
    with directory_with_manifest(resolved(folder), ADDED) as new:
        _write_model(new, model, config, chosen)
        for name, content in more.items():
            np.savez(new / f"{name}.npz", **content)
        _describe_arrays(new)


def _write_model(folder: Path, model: TrainableModel, config: Facts, chosen: Facts) -> None:
    """Write what every run folder has: the model, config.json and metrics.json."""
    model.save(folder)
    (folder / "config.json").write_text(json.dumps({"format": FORMAT, **config}, indent=1), encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps(chosen, indent=1), encoding="utf-8")


def _describe_arrays(folder: Path) -> None:
    """Write arrays.json, once all .npz files are in the folder."""
    (folder / arrays.NAME).write_text(json.dumps(arrays.describe(folder)), encoding="utf-8")


def find(folder: str | Path | None = None, verified: bool = True) -> Run:
    """Open the `Run` in `folder`, or the one trained last under runs/ when none is named."""
    if folder is None:
        runs = list_runs()
        if not runs:
            raise UserError("no run trained yet: python train.py")
        folder = runs[0]
    elif not is_folder(folder):
        near = get_close_matches(str(folder), [str(path) for path in list_runs()], 1)
        raise UserError(f"there is no run {folder}" + (f"; did you mean {near[0]}?" if near else ""))
    return Run(folder, verified=verified)


def list_runs() -> list[Path]:
    """List the run folders under runs/, the one trained last first, by config.json: a copy is as old as its original. A
    run that can't be read counts by its date, so that no older run silently takes its place; runs of an older format
    come last. A `UserError` where runs/ can't be read."""
    folders = []
    for name in names_in(RUNS) if is_folder(RUNS) else []:
        with contextlib.suppress(UserError):  # a folder that is denied may be a run
            if name.startswith(".") or not is_there(RUNS / name / "MANIFEST"):
                continue
        folders.append(RUNS / name)
    return sorted(folders, key=_trained, reverse=True)


def _trained(folder: Path) -> str:
    """Return when a run was trained, as text that sorts by time; "" of an older format, which does not say."""
    path = folder / "config.json"
    try:
        if is_file(path):
            config = json.loads(path.read_text(encoding="utf-8"))
            trained = config["trained"] if config["format"] == FORMAT else config.get("trained", "")
            if isinstance(trained, str):
                return trained
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass  # `Run` says what is wrong with it
    for dated in (path, folder):
        with contextlib.suppress(OSError):
            return datetime.fromtimestamp(dated.stat().st_mtime, UTC).isoformat(timespec="microseconds")
    return ""
