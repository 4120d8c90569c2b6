"""The factorization machine against myFM's own predictions and the formula written out."""

import myfm
import numpy as np
import pytest
import scipy.sparse as sp
from conftest import answer
from trained import TABLE, train_on

import models
import recommend
from utils import evaluation, splits
from utils.errors import UserError
from utils.side import Side

SPLIT = splits.split(TABLE, "random", splits.Options())


def features(matrix, implicit=True, side=None):
    """One row of features a cell, as a plain matrix: what the two relation blocks stand for."""
    seen = (matrix.toarray() != 0).astype(float)
    by_user = seen / np.sqrt(np.maximum(seen.sum(axis=1, keepdims=True), 1))
    by_movie = (seen / np.sqrt(np.maximum(seen.sum(axis=0), 1))).T
    own = [[np.eye(len(part)), *([part] if implicit else [])] for part in (by_user, by_movie)]
    if side:
        own[0].append(side.users)
        own[1].append(side.movies)
    users, movies = (np.hstack(part) for part in own)
    shapes = [block.shape[1] for part in own for block in part]
    n_users, n_movies = matrix.shape
    pairs = np.divmod(np.arange(n_users * n_movies), n_movies)
    return np.hstack([users[pairs[0]], movies[pairs[1]]]), shapes


@pytest.mark.parametrize("options", [{}, {"implicit": False}, {"side": ("genres",)}])
def test_predictions_are_the_mean_of_the_samples_predictions(options):
    side = Side(np.zeros((30, 0), np.float32), np.eye(25, 4, dtype=np.float32))
    config = models.module("bayesfm").Config(rank=3, samples=12, burn_in=7, **options)
    model = models.build("bayesfm", TABLE.shape, config, seed=5)
    model.side = side if config.side else None
    model.refit(SPLIT.train)
    plain, shapes = features(SPLIT.train, config.implicit, model.side)
    cells = SPLIT.train.tocoo()
    rows, width = cells.row * 25 + cells.col, 30 + 25 * config.implicit
    blocks = [
        myfm.RelationBlock(cells.row.tolist(), sp.csr_array(plain[np.arange(30) * 25, :width])),
        myfm.RelationBlock(cells.col.tolist(), sp.csr_array(plain[:25, width:])),
    ]
    machine = myfm.MyFMRegressor(3, random_seed=5)
    shapes = [n for n in shapes if n]
    machine.fit(None, cells.data.astype(float), blocks, n_iter=12, n_kept_samples=5, group_shapes=shapes)
    literal = 0
    for sample in machine.predictor_.samples:
        own = plain @ sample.V
        literal += sample.w0 + plain @ sample.w + ((own**2).sum(1) - plain**2 @ (sample.V**2).sum(1)) / 2
    np.testing.assert_allclose(model.score(SPLIT.train).ravel(), literal / 5, atol=1e-4)
    found = model.predict(SPLIT.train, cells.row, cells.col)
    np.testing.assert_allclose(found, literal[rows] / 5, atol=1e-4)


def test_it_predicts_better_than_the_biases():
    model, split = train_on(TABLE, "bayesfm", samples=60, rank=4)
    bias, _ = train_on(TABLE, "bias")
    error = lambda m: evaluation.rating_metrics(m.predict, split.test, TABLE.scale)["rmse"].value  # noqa: E731
    assert error(model) < 0.85 * error(bias)


def test_its_users_are_recommended_to_and_others_are_told(run_of, capsys):
    folder = run_of("bayesfm", "--samples", "20", "--rank", "3")
    found = answer(capsys, "--user", 3, "--run", folder)["items"]
    assert found[0]["score"] == pytest.approx(found[0]["predicted_rating"], abs=0.01) or found[0]["score"] > 5
    for asked in (["--rate", "planted 3=5"], ["--user", "3", "--explain"]):
        with pytest.raises(UserError, match="bayesfm knows its users' own ratings only"):
            recommend.main([*asked, "--run", str(folder)])
