"""Write the latent space for TensorBoard's projector, as tab-separated text, which needs no TensorFlow."""

from __future__ import annotations

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
    movies = data.movies
    rows = zip(movies.titles, movies.years, map("|".join, movies.genres), strict=True)
    names: dict[str, list[tuple[Any, ...]]] = {
        "movies": [("title", "year", "genres"), *((title, year or "", genres) for title, year, genres in rows)],
        "users": [(f"user {user}",) for user in data.ratings.user_ids],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, vectors in (("movies", space.movies), ("users", space.users)):
            np.savetxt(folder / f"{name}.tsv", vectors, fmt="%.5g", delimiter="\t")
            # tabs and line ends within a title become spaces
            lines = ("\t".join(" ".join(str(cell).split()) for cell in row) for row in names[name])
            (folder / f"{name}-names.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "projector_config.pbtxt").write_text("".join(map(CONFIG.format, names)), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder} can't be written: {error.strerror}; the run itself is saved") from None
