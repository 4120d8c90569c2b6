"""What was tried for the autoencoders of ratings (benchmarks/tried.py) is what its table says."""

import keras
import numpy as np
import pytest
import tables
import tried
from scipy.sparse import csr_array

from models.autorec import Config
from utils.data.ratings import Ratings

STARS = np.array([[4, 0, 2, 5], [0, 3, 0, 1], [5, 1, 0, 0]], np.float32)
DAYS = np.array([[3, 0, 9, 6], [0, 4, 0, 4], [1, 5, 0, 0]])


def ratings():
    user, movie = STARS.nonzero()
    ids = np.arange(3), np.arange(4)
    return Ratings(
        user.astype(np.int32), movie.astype(np.int32), STARS[user, movie], DAYS[user, movie] * 86_400, *ids, (1, 5)
    )


def test_the_page_shows_what_was_measured():
    assert tables.shown("tried", tried.PAGE) == tried.table()
    assert {line["where"] for line in tables.read("tried.csv")} == set(tried.WHERE)
    assert {line["what"] for line in tables.read("tried.csv")} == set(tried.TRIED)


def test_dates_are_those_of_known_ratings_alone():
    known = STARS.copy()
    known[0, 2] = 0  # the day 9 is of a rating to predict
    numbers = tried.dates(ratings(), csr_array(known))
    days = np.array([3, 6, 4, 4, 1, 5])
    expected = (days - days.mean()) / days.std()
    assert numbers[0][known > 0] == pytest.approx(expected, abs=1e-6)
    assert numbers[1].tolist() == [[-0.5, 0, 0, 0.5], [0, -0.5, 0, -0.5], [-0.5, 0.5, 0, 0]]
    assert (numbers[0][known == 0] == 0).all()


@pytest.mark.parametrize("how", ["inputs", "modurec"])
def test_dates_beside_ratings_are_what_a_loop_makes_of_them(how):
    rng = np.random.default_rng(0)
    dates = tried.dates(ratings(), csr_array(STARS))
    layer = tried.Dated(how, 0.5)
    layer.build((None, 12))
    values = {name: rng.normal(size=getattr(layer, name).shape) for name in ("inner", "bias", "outer", "a", "b", "c")}
    for name, value in values.items():
        getattr(layer, name).assign(value)
    layer.mean.assign(3.0)
    layer.column.assign([0.5, 0, -0.5, 0])
    features, _ = layer(np.concatenate([STARS, *dates], axis=1))
    plain, _ = tried.Centre.call(layer, STARS)
    x, rated = np.split(keras.ops.convert_to_numpy(plain), 2, axis=1)
    expected = np.zeros((3, 16 if how == "inputs" else 8))
    for u, i in zip(*STARS.nonzero(), strict=True):
        date = dates[:, u, i]
        if how == "inputs":
            expected[u, [i, 4 + i, 8 + i, 12 + i]] = x[u, i], rated[u, i], *(0.5 * rated[u, i] * date)
        else:
            t = np.maximum(date @ values["inner"] + values["bias"], 0) @ values["outer"]
            expected[u, i] = values["a"] * x[u, i] + values["b"] * t * rated[u, i] + values["c"] * t * x[u, i]
            expected[u, 4 + i] = rated[u, i]
    assert keras.ops.convert_to_numpy(features) == pytest.approx(expected, abs=1e-4)
    if how == "modurec":
        penalty = sum((value**2).sum() for value in values.values()) - (values["bias"] ** 2).sum() - 2 * values["a"] + 1
        assert [float(loss) for loss in layer.losses] == pytest.approx([0.5 * penalty], rel=1e-4)


@pytest.mark.parametrize("rows", ["users", "movies"])
def test_a_row_of_the_network_has_the_dates_of_its_own_ratings(rows):
    model = tried.Model((3, 4), Config(rows=rows, hidden=(2,)))
    model.ratings, model.how = ratings(), "inputs"
    matrix = csr_array(STARS)
    model._build(matrix)
    stars, dates = STARS, tried.dates(ratings(), matrix)
    if rows == "movies":
        stars, dates = stars.T, dates.transpose(0, 2, 1)
    given = model._inputs(model._rows(matrix), np.array([2, 0]), np.arange(len(stars)))
    assert (given == np.concatenate([stars[[2, 0]], dates[0][[2, 0]], dates[1][[2, 0]]], axis=1)).all()


def test_the_latent_vector_is_hidden_in_training_alone():
    model = tried.Model((3, 4), Config(hidden=(64,), dropout=0))
    model.hidden = 0.5
    model._build(csr_array(STARS))
    calm = keras.ops.convert_to_numpy(model.network(STARS, training=False))
    assert model.predict(csr_array(STARS), np.arange(3), np.arange(3)) == pytest.approx(np.diag(calm), abs=1e-5)
    seen = keras.ops.convert_to_numpy(model.network(np.tile(STARS, (400, 1)), training=True)).reshape(400, 3, 4)
    assert np.std(seen, axis=0).min() > 0.01
    assert np.mean(seen, axis=0) == pytest.approx(calm, abs=0.1)
