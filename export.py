"""Write a trained run as one graph that other programs serve: python export.py --to savedmodel|onnx."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

import models
from utils.command_line import options
from utils.data.movies import csv_safe
from utils.errors import UserError, only_tensorflow
from utils.report import tables
from utils.runs import run_folder
from utils.runs.atomic import atomic_directory
from utils.runs.paths import is_folder, is_there, names_in, resolved, unreadable
from utils.runs.run_folder import Run

ABOUT = "about.json"
FILES = {"1", "model.onnx", "movies.csv", ABOUT}


@dataclass(frozen=True)
class Options:
    """Options of export.py."""

    to: Literal["savedmodel", "onnx"]
    """savedmodel: for TensorFlow and TensorFlow Serving; onnx: for onnxruntime, takes requirements-scale.txt"""
    run: options.Folder = None
    """run folder (default: the one trained last)"""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """folder to write (default: exports/<run>-<to>)"""
    verify: bool = True
    """compare each file of the run with its checksum before it is used; on huge runs that takes seconds"""


def write(run: Run, to: str, folder: Path) -> None:
    """Write graph, movies.csv (what each column of the graph is) and about.json into an existing folder."""
    from models.networks import export

    export.save(models.load(run), to, folder)
    with open(folder / "movies.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["column", "movieId", "title"])
        for column, (movie, title) in enumerate(zip(run.movies.ids.tolist(), run.movies.titles, strict=True)):
            out.writerow([column, csv_safe(movie), csv_safe(title)])
    ratings = run.split.ratings
    about = {"exported": to, "model": run.config["model"], "run": run.sha256, "scale": ratings.scale}
    about |= {"ratings": "(n, movies) float32: stars, 0 where not rated", "versions": run_folder.versions()}
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def check_free(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier export, which is replaced."""
    if not is_there(folder):
        return
    names = set(names_in(folder)) if is_folder(folder) else {folder.name}
    if names and not (ABOUT in names and names <= FILES and _is_export(folder / ABOUT)):
        raise UserError(f"{folder} exists and is no export; give another --out")


def _is_export(path: Path) -> bool:
    try:
        return "exported" in path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise unreadable(path, error) from None


def main(argv: list[str] | None = None) -> Path:
    """Export the run into a folder, whole or not at all; returns the folder."""
    only_tensorflow("exports are made", "leave out KERAS_BACKEND; runs of any backend can be exported")
    chosen = options.parse(Options, argv or [], "export.py", __doc__)
    run = run_folder.find(chosen.run, chosen.verify)
    out = chosen.out or Path("exports") / f"{run.folder.name}-{chosen.to}"
    folder = resolved(out)
    check_free(folder)
    run.verify()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with run_folder.locked(folder, "written", "--out"), atomic_directory(folder) as new:
            write(run, chosen.to, new)
    except OSError as error:
        raise UserError(f"{folder} can't be written: {error.strerror or error}") from None
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    message = f"{out}, {size:.1f} MB: ratings of {run.split.ratings.shape[1]:,} movies in, scores out"
    tables.console().print(message, soft_wrap=True)
    return folder


if __name__ == "__main__":
    options.run(main)
