"""Write a trained run as one graph that other programs serve: python export.py --to savedmodel|onnx."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import tyro

import models
from utils.command_line import options
from utils.data.movies import csv_safe
from utils.errors import UserError
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
    """Write the graph, movies.csv (the movie of each column) and about.json into an existing folder."""
    from models.networks import export

    export.save(models.load(run), to, folder)
    movies = pd.DataFrame({"movieId": run.movies.ids, "title": run.movies.titles}).map(csv_safe)
    movies.to_csv(folder / "movies.csv", index_label="column", lineterminator="\n")
    about = {"exported": to, "model": run.config["model"], "run": run.sha256, "scale": run.ratings.scale}
    about |= {"ratings": "(n, movies) float32: stars, 0 where not rated", "versions": run_folder.versions()}
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def check_free(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier export, which is replaced."""
    if not is_there(folder) or (is_folder(folder) and not names_in(folder)):
        return
    names = set(names_in(folder)) if is_folder(folder) else set()
    try:
        replaceable = ABOUT in names and names <= FILES and b"exported" in (folder / ABOUT).read_bytes()
    except OSError as error:
        raise unreadable(folder / ABOUT, error) from None
    if not replaceable:
        raise UserError(f"{folder} exists and is no export; give another --out")


def main(argv: list[str] | None = None) -> Path:
    """Export the run into a folder, whole or not at all; returns the folder."""
    config = options.parse(Options, argv or [], "export.py", __doc__)
    run = run_folder.find(config.run, config.verify)
    out = config.out or Path("exports") / f"{run.folder.name}-{config.to}"
    folder = resolved(out)
    check_free(folder)
    run.verify()
    try:
        with run_folder.locked(folder, "written", "--out"), atomic_directory(folder) as new:
            write(run, config.to, new)
    except OSError as error:
        raise UserError(f"{folder} can't be written: {error.strerror or error}") from None
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    message = f"{out}, {size:.1f} MB: ratings of {len(run.movies.ids):,} movies in, scores out"
    tables.console().print(message, soft_wrap=True)
    return folder


if __name__ == "__main__":
    options.run(main)
