"""The run folder: all that a training leaves behind, enough to evaluate and recommend after the data is gone.

    config.json    model, options, protocol, seed, scale, data fingerprint, library versions, git commit, when it was
                   trained
    ratings.npz    the rating table with the part of the split each rating belongs to
    movies.csv     titles, years, genres       users.csv     age, gender, occupation, where the data tells them
    history.csv    one row an epoch, drawn in learning_curve.png
    metrics.json   what validation chose       MANIFEST      sha256 of each file
    findings.json  what evaluate.py found, with a sha256 of its own; reconstruction.png beside it
    and what the model saves: encoder.keras and decoder.keras, with latent.npz and encoder.npz, which answer without
    Keras; or weights.npz; of a blend a folder a part, each a run folder without ratings.

It is written beside its place and renamed when whole. A file is compared with MANIFEST when it is read, so that damage
is a sentence and never a wrong answer; nothing in it is code.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils.data.movies import Movies
from utils.data.ratings import Ratings
from utils.data.splits import Split
from utils.errors import UserError
from utils.runs.atomic import recover, replacing
from utils.runs.paths import is_file, is_folder, is_there, names_in, refuses, resolved, unreadable
from utils.runs.provenance import commit, now, versions

if TYPE_CHECKING:
    from utils.data.datasets import Dataset
    from utils.scoring.protocols import TrainableModel

RUNS = Path("runs")
ADDED = ("learning_curve.png", "reconstruction.png", "findings.json")  # beside the files of MANIFEST: to look at
WRITTEN = (".json", ".csv", ".npz", ".keras")  # what a run is made of
BROKEN = (OSError, EOFError, ValueError, LookupError, RuntimeError, zipfile.BadZipFile, zlib.error, csv.Error)
FORMAT = 5  # raised when what is written changes; runs of an older or a newer format are refused


class Run:
    """A run folder opened for reading. Every file it hands out has been compared with MANIFEST, unless `verified` is
    False. whole: the run that it is a part of, whose ratings are its own."""

    def __init__(self, folder: str | Path, whole: Run | None = None, verified: bool = True) -> None:
        self.folder, self.whole, self.verified = Path(folder), whole, verified
        try:
            self._sha256, self.sha256 = _manifest(self.folder)
        except UserError:
            raise
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{self.folder} is no run folder: it holds no MANIFEST") from None
        except OSError as error:
            raise unreadable(self.folder / "MANIFEST", error) from None
        except ValueError:
            raise self._damaged("MANIFEST") from None
        self.config: dict[str, Any] = self.json("config.json")
        if not isinstance(self.config, dict) or not isinstance(self.config.get("format"), int):
            raise self._damaged("config.json")
        if self.config["format"] != FORMAT:
            newer = self.config["format"] > FORMAT
            age = "a newer version of Reelspace; update, or" if newer else "an older version of Reelspace;"
            raise UserError(f"{self.folder} was written by {age} train again")

    def _damaged(self, name: str) -> UserError:
        return UserError(f"{self.folder / name} is damaged or missing (not what MANIFEST says); train again")

    def path(self, name: str) -> Path:
        """Return the path of a file of the run, which is whole; otherwise a `UserError` that names the file."""
        try:
            if not is_file(self.folder / name):  # nor a pipe, which would never end
                raise FileNotFoundError
            with open(self.folder / name, "rb") as file:
                expected = self._sha256.get(name)
                found = hashlib.file_digest(file, "sha256").hexdigest() if self.verified else expected
        except FileNotFoundError:
            found = None
        except OSError as error:
            raise unreadable(self.folder / name, error) from None
        if found is None or found != expected:
            raise self._damaged(name)
        return self.folder / name

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[Path]:
        """Hand out the path of a file, where what can't be read in it, as without `verified`, is a `UserError` that
        names it."""
        path = self.path(name)
        try:
            yield path
        except BROKEN as error:
            raise (unreadable(path, error) if refuses(error) else self._damaged(name)) from None

    def verify(self) -> None:
        """Compare every file with MANIFEST; a `UserError` names the first that is not whole, MANIFEST where it has lost
        the line of a file that is there."""
        for name in self._sha256:
            self.path(name)
        found = {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.suffix in WRITTEN}
        if found - self._sha256.keys() - set(ADDED):
            raise self._damaged("MANIFEST")

    def has_file(self, name: str) -> bool:
        """Tell whether the run has a file of that name."""
        return name in self._sha256

    def part(self, name: str) -> Run:
        """Open the `Run` of a part, a folder within this one."""
        self.path(f"{name}/MANIFEST")
        return Run(self.folder / name, self, self.verified)

    def json(self, name: str) -> Any:
        """Read the contents of a JSON file of the run."""
        with self._reading(name) as path:
            return json.loads(path.read_text(encoding="utf-8"))

    def arrays(self, name: str) -> dict[str, NDArray]:
        """Read {name: array} of an .npz file of the run; nothing pickled is read."""
        with self._reading(name) as path, np.load(path, allow_pickle=False) as stored:
            return dict(stored)

    @cached_property
    def split(self) -> Split:
        """Return the `Split` it was trained on."""
        if self.whole:
            return self.whole.split
        stored = self.arrays("ratings.npz")
        part, scale = stored.pop("part"), tuple(self.config["scale"])
        return Split(
            Ratings(timestamp=stored.pop("timestamp", None), scale=scale, threshold=self.config["like"], **stored), part
        )

    @cached_property
    def movies(self) -> Movies:
        """Return the `Movies` in column order."""
        ids = self.split.ratings.movie_ids
        with self._reading("movies.csv") as path:
            return Movies.read(path, ids)

    @cached_property
    def users(self) -> dict[str, NDArray[np.str_]] | None:
        """What is known of the users, {column: array of text, "" where unknown} in row order; None where nothing is."""
        if not self.has_file("users.csv"):
            return None
        rows = self._table("users.csv")
        return {name: np.array([row[name] for row in rows]) for name in rows[0] if name != "userId"}

    @cached_property
    def history(self) -> list[dict[str, str]]:
        """Return the rows of history.csv, one dict an epoch, values as text."""
        return self._table("history.csv")

    def _table(self, name: str) -> list[dict[str, str]]:
        with self._reading(name) as path, open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def _manifest(folder: Path) -> tuple[dict[str, str], str]:
    """Read ({name: sha256} of the files of a run folder, sha256 of MANIFEST itself)."""
    if is_there(folder / "MANIFEST") and not is_file(folder / "MANIFEST"):
        raise ValueError("a pipe, which would never end, or a folder")
    content = (folder / "MANIFEST").read_bytes()
    lines = content.decode("utf-8").splitlines()
    files = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    return files, hashlib.sha256(content).hexdigest()


def check_free(folder: str | Path) -> bool:
    """Refuse to train into a folder that can't be written, or that holds anything but a run: it would be replaced.
    Returns whether it holds a run."""
    folder = Path(folder)
    try:
        found = is_there(folder) and (not is_folder(folder) or bool(names_in(folder)))
        if found and not _holds_only_a_run(folder):
            raise UserError(f"{folder} exists and is no run folder; give another --run, nothing there is overwritten")
        place = resolved(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.rmdir(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    except OSError as error:
        raise UserError(f"{folder} can't be written: {error.strerror}; give another --run") from None
    return found


@contextlib.contextmanager
def locked(folder: Path, doing: str = "trained into", option: str = "--run") -> Iterator[None]:
    """Hold the right to write a folder; a `UserError` where another process has it. The lock is the system's own on a
    file beside the folder, so that it ends with the process, however that ends."""
    folder = resolved(folder)
    path = folder.with_name(f".{folder.name}.lock")
    try:
        opened = path.open("w", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder} can't be written ({path}: {error.strerror}); give another {option}") from None
    with opened as file:
        if not _lock(file):
            raise UserError(f"{folder} is being {doing} by another process; wait for it, or give another {option}")
        try:
            recover(folder)
            yield
        finally:
            with contextlib.suppress(OSError):  # some systems keep what is open
                path.unlink()


def _lock(file: IO[str]) -> bool:
    """Lock an open file; return whether the lock could be had."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_nlink == 0:  # whoever had it has just finished and removed it
                return False
    except OSError:
        return False
    return True


def _holds_only_a_run(folder: Path) -> bool:
    try:  # of this version or another
        own = {*_manifest(folder)[0], "MANIFEST", *ADDED}
    except PermissionError as error:
        raise unreadable(folder / "MANIFEST", error) from None
    except (ValueError, OSError):
        return False
    own |= {parent.as_posix() for name in own for parent in Path(name).parents}
    found = list(folder.rglob("*"))
    return {path.relative_to(folder).as_posix() for path in found} <= own and not any(p.is_symlink() for p in found)


def save(
    folder: Path,
    model: TrainableModel,
    split: Split,
    data: Dataset,
    config: dict[str, Any],
    history: list[dict[str, Any]],
    chosen: dict[str, Any],
) -> None:
    """Write a run folder whole: beside its place, flushed to disk, then renamed over the older run of that name. data:
    the `utils.data.datasets.Dataset` it was trained on."""
    with replacing(resolved(folder), ADDED) as new:
        model.save(new)
        table = split.ratings
        times: dict[str, Any] = {} if table.timestamp is None else {"timestamp": table.timestamp}
        np.savez_compressed(
            new / "ratings.npz", user=table.user, movie=table.movie, rating=table.rating, user_ids=table.user_ids,
            movie_ids=table.movie_ids, part=split.part, **times,
        )  # fmt: skip
        data.movies.write(new / "movies.csv")
        if data.users is not None:
            data.users.set_axis(table.user_ids).to_csv(new / "users.csv", index_label="userId", lineterminator="\n")
        columns = list(dict.fromkeys(key for row in history for key in row))
        with open(new / "history.csv", "w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, columns, lineterminator="\n")
            out.writeheader()
            out.writerows(history)
        if history:
            from utils.report import figures, pictures  # which what only reads runs does without

            plots = figures.learning(figures.curves(history))
            pictures.write(new / "learning_curve.png", plots, len(plots))
        facts = {"format": FORMAT, **config, "trained": now(), "scale": list(table.scale), "like": table.like}
        facts |= {"shape": list(table.shape), "sha256": table.fingerprint(), "split_sha256": split.fingerprint()}
        facts |= {"versions": versions(), "git_commit": commit()}
        (new / "config.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        (new / "metrics.json").write_text(json.dumps(chosen, indent=1), encoding="utf-8")


def save_model(folder: Path, model: TrainableModel, config: dict[str, Any], chosen: Any, **arrays: Any) -> None:
    """Write a model without its ratings as a run folder, with more arrays, {key: array}, as name.npz each."""
    with replacing(resolved(folder), ADDED) as new:
        model.save(new)
        (new / "metrics.json").write_text(json.dumps(chosen), encoding="utf-8")
        for name, several in arrays.items():
            np.savez(new / f"{name}.npz", **several)
        (new / "config.json").write_text(json.dumps({"format": FORMAT, **config}, indent=1), encoding="utf-8")


def find(folder: str | Path | None = None, verified: bool = True) -> Run:
    """Open the `Run` in `folder`, or the one trained last under runs/ when none is named."""
    if folder is not None:
        if not is_folder(folder):
            near = get_close_matches(str(folder), [str(path) for path in every()], 1)
            raise UserError(f"there is no run {folder}" + (f"; did you mean {near[0]}?" if near else ""))
        return Run(folder, verified=verified)
    known = every()
    if not known:
        raise UserError("no run trained yet: python train.py")
    return Run(known[0], verified=verified)


def every() -> list[Path]:
    """Return the run folders under runs/, the one trained last first, as they say themselves: a copy is as old as what
    it is a copy of. One that can't be read counts by its date, so that no older one answers in its place without a
    word; those of an older format come last. A `UserError` where runs/ can't be read."""
    folders = []
    for name in names_in(RUNS) if is_folder(RUNS) else []:
        with contextlib.suppress(UserError):  # one that can't be looked into may be a run
            if not is_there(RUNS / name / "MANIFEST"):
                continue
        if not name.startswith("."):
            folders.append(RUNS / name)
    return sorted(folders, key=_trained, reverse=True)


def _trained(folder: Path) -> str:
    """Return when a run was trained, as text that sorts by time; "" of an older format, which does not say."""
    try:
        if is_file(folder / "config.json"):
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            trained = config["trained"] if config["format"] == FORMAT else config.get("trained", "")
            if isinstance(trained, str):
                return trained
    except (OSError, UserError, ValueError, LookupError, TypeError, AttributeError):
        pass  # damaged or unreadable, which is for whoever opens it to say
    for path in (folder / "config.json", folder):
        with contextlib.suppress(OSError):
            return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="microseconds")
    return ""
