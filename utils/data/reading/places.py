"""Where ratings lie: the file or files of a known set, a folder or a path, and what a data set is called."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from utils.data.reading.formats import SHARDS
from utils.errors import UserError
from utils.runs.paths import is_file, is_folder, is_there, names_in, resolved

REPOSITORY = Path(__file__).resolve().parents[3]
RATING_FILES = (
    *("ratings.csv", "u.data", "ratings.dat", "ratings.csv.gz", "ratings.tsv", "ratings.parquet", SHARDS),
    *("rating.csv", "rating.csv.gz", "Ratings.csv", "BX-Book-Ratings.csv", "BX_Book_Ratings.csv"),  # of sets on Kaggle
)
ENDINGS = (".csv", ".tsv", ".dat", ".data", ".txt", ".parquet", ".json", ".jsonl", ".inter", ".base", ".test")  # or .gz
PARTS = (r".+\.parquet", r"combined_data_\d+\.txt(\.gz)?", r"mv_\d+\.txt")  # of one table, the last two of Netflix
SPLITS = r"(train|valid|validation|dev|test)|.+=.*"  # names of folders whose parts belong to one table


@dataclass(frozen=True)
class Known:
    """A known set. folder: its name in the archive. checksum: sha256 of the archive, or "md5:..." where it is md5;
    None where it changes with each release (the publisher's .md5 file is used). counts: of ratings, movies, users."""

    folder: str
    checksum: str | None = None
    counts: tuple[int, int, int] | None = None


KNOWN = {
    "ml-100k": Known(
        "ml-100k", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229", (100_000, 1_682, 943)
    ),
    "ml-1m": Known(
        "ml-1m", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20", (1_000_209, 3_706, 6_040)
    ),
    "ml-10m": Known(
        "ml-10M100K", "813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862", (10_000_054, 10_677, 69_878)
    ),
    "ml-20m": Known(
        "ml-20m", "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3", (20_000_263, 26_744, 138_493)
    ),
    "ml-25m": Known("ml-25m", "md5:6b51fb2759a8657d3bfcbfc42b592ada", (25_000_095, 59_047, 162_541)),
    "ml-32m": Known("ml-32m", "md5:d472be332d4daa821edc399621853b57", (32_000_204, 84_432, 200_948)),
    "ml-latest-small": Known("ml-latest-small"),
    "ml-latest": Known("ml-latest"),
}


def find(source: str | Path, data_dir: Path) -> Path | None:
    """Return the folder or file that `source` names: a path, or a name under `data_dir` or the repository's data/;
    None for a known set that has to be downloaded. A UserError suggests similar names."""
    text = str(source)
    if is_there(text):
        return Path(text)
    parents, folder = [data_dir, REPOSITORY / "data"], KNOWN[text].folder if text in KNOWN else text
    for parent in parents:
        if text and is_there(parent / folder):
            return parent / folder
    if text in KNOWN:
        return None
    names = set(KNOWN)
    for parent in (*parents, Path(text).parent):
        with contextlib.suppress(OSError):  # a hint only
            names.update(os.listdir(parent))
    near = difflib.get_close_matches(Path(text).name, sorted(names), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known sets: {', '.join(KNOWN)}"
    raise UserError(f"{text}: no such file, folder or known set; {hint}")


def rating_files(path: Path) -> tuple[Path, list[Path]]:
    """Return (the rating file in a folder, or the folder of its parts; the files that are read as one table)."""
    if is_file(path):
        return path, [path]
    if not is_folder(path):
        raise UserError(f"{path}: neither a file nor a folder")
    for name in RATING_FILES:
        if is_file(path / name):
            return path / name, [path / name]
        if name.endswith(".parquet") and (parts := _parts(path / name)):
            return path / name, parts
    names = names_in(path)
    if len(interactions := [name for name in names if name.endswith(".inter")]) == 1:
        return path / interactions[0], [path / interactions[0]]  # of RecBole
    if parts := _parts(path):
        return path, parts
    # a hint only: it does not matter here what can't be read in other folders
    inside = [name for name in names if any(os.path.isfile(path / name / file) for file in RATING_FILES)]
    hint = f"; {path / inside[0]} has one" if inside else ""
    raise UserError(f"{path}: no ratings in this folder (looked for {', '.join(RATING_FILES)}){hint}")


def _parts(folder: Path, depth: int = 2) -> list[Path]:
    """Return the parts of one table in a folder, or else in its only folder with such parts, or in those of splits; []
    where there are none, or they are denied."""
    with contextlib.suppress(OSError):
        names = sorted(os.listdir(folder))
        for pattern in PARTS:
            if parts := [folder / name for name in names if re.fullmatch(pattern, name)]:
                return parts
        inner = {name: _parts(folder / name, depth - 1) for name in names if depth and os.path.isdir(folder / name)}
        inner = {name: parts for name, parts in inner.items() if parts}
        if len(inner) > 1 and not all(re.fullmatch(SPLITS, name) for name in inner):
            inner = {name: parts for name, parts in inner.items() if name in ("ratings", "rating", "reviews")}
        return [part for parts in inner.values() for part in parts]
    return []


def name_of(path: Path) -> str:
    """Return a data set's short name: the folder's where the file has a standard name such as ratings.csv, otherwise
    the file's without the ending of its format. Never empty; without leading dots, which would hide its runs."""
    if path.name not in RATING_FILES:
        bare = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
        stem, dot, ending = bare.rpartition(".")
        return (stem if dot + ending.lower() in ENDINGS else bare).strip(".") or "ratings"
    folder = resolved(path).parent.name
    return next((name for name, known in KNOWN.items() if known.folder == folder), folder.lstrip(".") or "ratings")
