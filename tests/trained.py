"""Models trained once on a small table with something to learn."""

from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache

import numpy as np
from conftest import eagerly, random_ratings

import models
from utils.data import splits
from utils.training.training import Training


def tastes(n_users, n_movies, n, seed=0):
    """A rating table with something to learn: two kinds of users, two kinds of movies, 4.5 stars for one's own kind, 2
    for the other, and noise of up to a star."""
    table, rng = random_ratings(n_users, n_movies, n), np.random.default_rng(seed)
    own = rng.integers(0, 2, n_users)[table.user] == rng.integers(0, 2, n_movies)[table.movie]
    stars = np.where(own, 4.5, 2.0) + rng.integers(-2, 2, n) / 2
    return replace(table, rating=stars.astype(np.float32))


TABLE = tastes(30, 25, 300)
QUICK = {"epochs": 2, "hidden": (8,), "batch_size": 15, "global_epochs": 2}
PARTS = "autorec --hidden 8 --epochs 2, bayesfm --samples 12 --rank 3, joint --hidden 8 --epochs 2 --no-movie-rows"
PARTS += ", itemknn"
ITS = {  # quick options of one model: those whose steps take long take one in each pass
    "recvae": {"hidden": (8, 4), "epochs": 1, "batch_size": 30, "encoder_epochs": 1},
    "deeprec": {"batch_size": 30},
    "glocalk": {"batch_size": 30},
    "sparsefc": {"batch_size": 30},
    "bayesfm": {"samples": 12, "rank": 3},
    "joint": {"movie_epochs": 2, "movie_size": 4},  # so that both the decoder and movies' rows have a share in stars
    "blend": {"parts": PARTS, "folds": 4},
}


def quick(name):
    """Options of the command line that make a model quick."""
    known = models.module(name).Config.__dataclass_fields__
    options = {key: value for key, value in (QUICK | ITS.get(name, {})).items() if key in known}
    if name == "blend":
        options = {"parts": "autorec --hidden 8 --epochs 2,itemknn,bias", "folds": 4}
    said = {
        key: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for key, value in options.items()
    }
    return [word for key, value in said.items() for word in (f"--{key.replace('_', '-')}", value)]


@lru_cache
def trained(name, seed=0, **options):
    """(model, split): trained once on the random split of TABLE, with options that make it quick."""
    return train_on(TABLE, name, seed, **options)


def train_on(table, name, seed=0, compiled=False, like=None, **options):
    table = replace(table, threshold=like)
    known = models.module(name).Config.__dataclass_fields__
    options = {k: v for k, v in QUICK.items() if k in known} | ITS.get(name, {}) | options
    split = splits.split(table, "random", splits.Options())
    model = models.build(name, table.shape, models.module(name).Config(**options), seed, table.scale, table.threshold)
    with nullcontext() if compiled else eagerly():
        model.history = model.fit(split.train, split.validation, Training())
    model.encode_all(split.train)
    return model, split
