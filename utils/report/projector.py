"""Write the latent space for TensorBoard's projector, as tab-separated text, which needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.errors import UserError

if TYPE_CHECKING:
    from utils.data.datasets import Dataset
    from utils.scoring.latent import LatentSpace

CONFIG = 'embeddings {{\n  tensor_name: "{0}"\n  tensor_path: "{0}.tsv"\n  metadata_path: "{0}-names.tsv"\n}}\n'


def write(folder: Path, space: LatentSpace, data: Dataset) -> None:
    """Write all latent vectors, with titles of movies and ids of users, into a log folder of TensorBoard."""
    try:
        _write(folder, space, data)
    except OSError as error:
        raise UserError(f"{folder} can't be written: {error.strerror}; the run itself is saved") from None


def _write(folder: Path, space: LatentSpace, data: Dataset) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    movies, users = data.movies, data.ratings.user_ids
    years = ["" if year is None else year for year in movies.years]
    rows = zip(movies.titles, years, map("|".join, movies.genres), strict=True)
    _table(folder / "movies-names.tsv", [("title", "year", "genres"), *rows])
    _table(folder / "users-names.tsv", [(f"user {user}",) for user in users])
    for name, vectors in (("movies", space.movies), ("users", space.users)):
        np.savetxt(folder / f"{name}.tsv", vectors, fmt="%.5g", delimiter="\t")
    config = "".join(map(CONFIG.format, ("movies", "users")))
    (folder / "projector_config.pbtxt").write_text(config, encoding="utf-8")


def _table(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write rows as tab-separated lines; tabs and line ends within values become spaces."""
    lines = ("\t".join(" ".join(str(value).split()) for value in row) for row in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
