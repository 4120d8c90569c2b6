"""How far the map of movies keeps what is near in latent space: results/maps.csv.

python benchmarks/maps.py RUN ...      replaces the line of each run's data, and the table in docs/page.md

Trustworthiness at 10 (Venna and Kaski 2001; scikit-learn's): how few of the 10 nearest on the map are not near in
latent space, by centred cosine; 1 is best. Of the map that the page and the report show, and of the two first principal
components of the same movies."""

import sys
from pathlib import Path

import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
NEAREST = 10


def measure(folder):
    """The line of one run."""
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.manifold import trustworthiness

    import models
    from utils.report import latent_maps
    from utils.runs import run_folder
    from utils.scoring.latent import unit

    saved = models.open_run(run_folder.find(folder))
    points = latent_maps.kept_map(saved)["points"]
    vectors = saved.space.movies[[point["movie"] for point in points]]
    units, row = unit(vectors - vectors.mean(axis=0)), {"data": saved.run.config["data"], "model": saved.model_name}
    row["movies"] = len(points)
    places = {"t-SNE": np.array([(point["x"], point["y"]) for point in points])}
    places["principal components"] = PCA(2).fit_transform(units)
    row |= {name: f"{trustworthiness(units, at, n_neighbors=NEAREST):.3f}" for name, at in places.items()}
    return [row | {"commit": run_folder.commit()}]


def table():
    """The table in docs/page.md."""
    columns = {"data": "data", "movies": "movies", "t-SNE": "t-SNE", "principal components": "principal components"}
    return tables.markdown(tables.read("maps.csv"), columns)


if __name__ == "__main__":
    tables.of_runs("maps", __doc__, measure, table, path=tables.DOCS / "page.md")
