"""The factorization machine against myFM's own predictions and the formula written out."""

from dataclasses import replace

import myfm
import numpy as np
import pytest
import scipy.sparse as sp
from conftest import answer
from trained import TABLE, train_on

import evaluate
import models
import recommend
import train
from utils.data import splits
from utils.data.dates import Dates
from utils.data.side_features import Side
from utils.errors import UserError
from utils.evaluation import holdout_metrics
from utils.runs import run_folder

SPLIT = splits.split(TABLE, "random", splits.Options())


def features(matrix, options, side, days):
    """A row of features a cell, as plain matrices of what belongs to the user, the movie and the day; sizes of the
    groups."""
    seen = (matrix.toarray() != 0).astype(float)
    by_user = seen / np.sqrt(np.maximum(seen.sum(axis=1, keepdims=True), 1))
    by_movie = (seen / np.sqrt(np.maximum(seen.sum(axis=0), 1))).T
    own = [[np.eye(len(part)), *([part] if options.get("implicit", True) else [])] for part in (by_user, by_movie)]
    if options.get("side"):
        own[0].append(side.users)
        own[1].append(side.movies)
    users, movies = (np.hstack(part) for part in own)
    shapes = [block.shape[1] for part in own for block in part]
    u, m = np.divmod(np.arange(matrix.shape[0] * matrix.shape[1]), matrix.shape[1])
    parts = [users[u], movies[m]]
    if options.get("dates"):
        parts.append(np.eye(days.max() + 1)[days])
        shapes.append(days.max() + 1)
    return parts, [n for n in shapes if n]


DAYS = np.random.default_rng(0).integers(0, 9, 30 * 25)  # of each cell, rated or not
VARIANTS = [{}, {"implicit": False}, {"side": ("genres",)}, {"dates": True}, {"ordinal": True}]
VARIANTS.append({"ordinal": True, "dates": True, "side": ("genres",)})


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: "-".join(o) or "plain")
def test_predictions_are_the_mean_of_the_samples_predictions(options):
    side = Side(np.zeros((30, 0), np.float32), np.eye(25, 4, dtype=np.float32))
    config = models.module("bayesfm").Config(rank=3, samples=12, burn_in=7, **options)
    model = models.build("bayesfm", TABLE.shape, config, seed=5)
    model.side = side if config.side else None
    cells, cell = SPLIT.train.tocoo(), TABLE.user * 25 + TABLE.movie
    if config.dates:
        days = DAYS.copy()
        days[:9] = np.arange(9)
        dated = replace(TABLE, timestamp=days[cell] * 86_400 + 5)
        model.dates = Dates.of(dated)
        known = np.unique(days[cell])
        days = np.searchsorted(known, days).clip(max=len(known) - 1)
    else:
        days = DAYS
    model.refit(SPLIT.train)
    parts, shapes = features(SPLIT.train, options, side, days)
    plain, rated = np.hstack(parts), cells.row * 25 + cells.col
    blocks = [myfm.RelationBlock(rated.tolist(), sp.csr_array(part)) for part in parts]
    levels, target = np.unique(cells.data, return_inverse=True)
    machine = (myfm.MyFMOrderedProbit if config.ordinal else myfm.MyFMRegressor)(3, random_seed=5)
    target = target if config.ordinal else cells.data.astype(float)
    machine.fit(None, target, blocks, n_iter=12, n_kept_samples=5, group_shapes=shapes)
    number = 0
    for sample in machine.predictor_.samples:
        own = plain @ sample.V
        number += sample.w0 + plain @ sample.w + ((own**2).sum(1) - plain**2 @ (sample.V**2).sum(1)) / 2
    said = model.predict(SPLIT.train, TABLE.user, TABLE.movie)
    everything = [myfm.RelationBlock(cell.tolist(), sp.csr_array(part)) for part in parts]
    stars = machine.predict_proba(None, everything) @ levels if config.ordinal else number[cell] / 5
    np.testing.assert_allclose(said, stars, atol=2e-4)
    if not config.dates:
        np.testing.assert_allclose(model.score(SPLIT.train).ravel(), number / 5, atol=1e-4)


def test_a_movie_that_was_not_rated_is_scored_as_on_the_users_last_known_day():
    table = replace(TABLE, timestamp=np.arange(len(TABLE)) * 20_000)
    split = splits.split(table, "random", splits.Options())
    model = models.build("bayesfm", table.shape, models.module("bayesfm").Config(rank=3, samples=12, dates=True))
    model.dates = Dates.of(table)
    model.refit(split.train)
    user = 4
    known = np.flatnonzero((table.user == user) & (split.part == splits.Subset.TRAIN))
    last = table.timestamp[known].max() // 86_400
    assert np.unique(table.timestamp // 86_400)[model.last_day[user]] == last
    unrated = np.setdiff1d(np.arange(25), table.movie[table.user == user])
    stars = model.predict(split.train, np.full(len(unrated), user), unrated)
    np.testing.assert_allclose(model.score(split.train[[user]], np.array([user]))[0, unrated], stars, atol=1e-4)


def test_dates_need_timestamps_and_come_back_with_the_run(tmp_path, planted, capsys):
    with pytest.raises(UserError, match="--dates: the data does not tell when"):
        Dates.of(TABLE)
    options = ["--dates", "--ordinal", "--samples", "10", "--rank", "2", "--run", str(tmp_path / "run")]
    train.main(["bayesfm", "--data", str(planted[0]), *options])
    evaluate.main(["--run", str(tmp_path / "run")])
    run = run_folder.Run(tmp_path / "run")
    expected = Dates.of(run.split.ratings)
    for name, value in vars(models.load(run).dates).items():
        np.testing.assert_array_equal(value, getattr(expected, name))
    assert answer(capsys, "--user", 3, "--run", tmp_path / "run")["items"][0]["predicted_rating"] is not None


def test_stars_that_are_all_alike_have_no_order():
    table = replace(TABLE, rating=np.full(len(TABLE), 4.0, np.float32))
    model, split = train_on(table, "bayesfm", samples=6, rank=2, ordinal=True)
    assert len(model.levels) == 0
    np.testing.assert_allclose(model.predict(split.train, np.arange(9), np.arange(9)), 4, atol=0.5)


def test_it_predicts_better_than_the_biases():
    model, split = train_on(TABLE, "bayesfm", samples=60, rank=4)
    bias, _ = train_on(TABLE, "bias")
    error = lambda m: holdout_metrics.rating_metrics(m.predict, split.test, TABLE.scale)["rmse"].value  # noqa: E731
    assert error(model) < 0.85 * error(bias)


def test_its_users_are_recommended_to_and_others_are_told(run_of, capsys):
    folder = run_of("bayesfm", "--samples", "20", "--rank", "3")
    found = answer(capsys, "--user", 3, "--run", folder)["items"]
    assert found[0]["score"] == pytest.approx(found[0]["predicted_rating"], abs=0.01) or found[0]["score"] > 5
    for asked in (["--rate", "planted 3=5"], ["--user", "3", "--explain"]):
        with pytest.raises(UserError, match="bayesfm knows its users' own ratings only"):
            recommend.main([*asked, "--run", str(folder)])
