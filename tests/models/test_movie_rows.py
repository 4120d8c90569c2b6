"""The second path to stars of `joint`: the regression on vectors of movies, its choice, and what it is fitted on."""

from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import eagerly
from literal import assert_same_weights, pairs, rmse
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge
from trained import TABLE

import models
from models import autorec, blend, joint
from models.ensemble import movie_rows
from models.ensemble.kernel_features import KernelFeatures
from models.ensemble.movie_rows import END, OPTIONS, MovieRows
from models.networks import rating_autoencoder
from utils.data import side_features, splits
from utils.data.datasets import Dataset
from utils.data.movies import Movies
from utils.runs.run_folder import Run
from utils.scoring import biases, linear_scorer
from utils.scoring.linear_scorer import SparseRows, StarPath, ridge
from utils.training import fit
from utils.training.training import Training

QUICK = {"hidden": (8,), "epochs": 1, "batch_size": 15, "linear": False, "movie_size": 6, "movie_epochs": 3}
QUICK |= {"movie_batch_size": 10, "movie_landmarks": 0}
PART = (
    "joint --hidden 8 --epochs 1 --no-linear --movie-size 6 --movie-epochs 3 --movie-batch-size 10 --movie-landmarks 0"
)
STEP = 0.005 / 10  # so that few movies have steps that are large enough
L2 = 0.02


def fitted(split, **options):
    model = models.build("joint", TABLE.shape, joint.Config(**QUICK | options))
    with eagerly():
        model.fit(split.train, split.validation, Training())
    return model


@pytest.fixture(scope="module")
def half():
    """(a model fitted on half of the ratings, its split), with a short training of movies' rows."""
    split = splits.split(TABLE, "random", splits.Options(validation_share=0.3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(movie_rows, "STEP", STEP)
        patch.setattr(movie_rows, "FACTORS", (2.0,))
        patch.setattr(movie_rows, "SHARES", (0.75,))
        return fitted(split), split


def regression(vectors, l2, given, base, row, movie):
    """The stars of one pair by scikit-learn's ridge regression."""
    rated = given.indices[given.indptr[row] : given.indptr[row + 1]]
    baseline = base.predict(row, movie)
    if not len(rated):
        return baseline
    left = given.data[given.indptr[row] : given.indptr[row + 1]] - base.predict(row, rated)
    return baseline + Ridge(l2, fit_intercept=False).fit(vectors[rated], left).predict(vectors[[movie]])[0]


@pytest.mark.parametrize("k", [3, 12])  # fewer and more than the movies of most
def test_stars_are_those_of_a_ridge_regression_of_each_person(k):
    rng = np.random.default_rng(0)
    given = sp.random_array((9, 20), density=0.35, rng=rng, dtype=np.float32, format="csr")
    given.data = 1 + np.round(4 * given.data)
    given = sp.vstack([given[:4], sp.csr_array((1, 20), dtype=np.float32), given[4:]], format="csr")
    base = biases.fit(given, 5.0, 4.0)
    vectors, weights = (rng.normal(size=(n, k)).astype(np.float32) for n in (20, 10))
    path = StarPath(vectors, weights, np.float32(1.7), np.float32(0.3))
    rows, movies = rng.integers(0, 10, 40), rng.integers(0, 20, 40)
    rows[:2] = 4  # who rated nothing
    expected = [regression(path.vectors, 1.7, given, base, *pair) for pair in zip(rows, movies, strict=True)]
    np.testing.assert_allclose(path.regressed(given, base, rows, movies), expected, atol=1e-5)
    mixed = path.mix(np.full(40, 2.0, np.float32), np.array(expected))
    np.testing.assert_allclose(mixed, 0.7 * 2 + 0.3 * np.array(expected), atol=1e-5)
    alone = SparseRows(given.data, given.indices, given.indptr, None)  # as of one person, without scipy
    np.testing.assert_allclose(path.regressed(alone, base, rows[5:6], movies[5:6]), expected[5:6], atol=1e-5)


def test_trained_users_have_weights_of_their_own(monkeypatch):
    """However many pairs are predicted at a time, and of one user alone."""
    rng = np.random.default_rng(0)
    base = biases.Biases(3.0, *(rng.normal(size=n).astype(np.float32) for n in (10, 20)))
    vectors, weights = (rng.normal(size=(n, 4)).astype(np.float32) for n in (20, 10))
    path = StarPath(vectors, weights, np.float32(1.7), np.float32(0.3))
    users, movies = rng.integers(0, 10, 40), rng.integers(0, 20, 40)
    expected = [base.predict(u, m) + vectors[m] @ weights[u] for u, m in zip(users, movies, strict=True)]
    np.testing.assert_allclose(path.of_users(base, users, movies), expected, atol=1e-5)
    monkeypatch.setattr(linear_scorer, "PAIRS", 7)
    np.testing.assert_allclose(path.of_users(base, users, movies), expected, atol=1e-5)
    one = users == users[0]
    np.testing.assert_allclose(path.of_users(base, users[one], movies[one]), np.array(expected)[one], atol=1e-5)


@pytest.mark.parametrize("shape", [(9, 3), (3, 9)])
def test_ridge_is_scikit_learns(shape):
    rng = np.random.default_rng(0)
    vectors, left = rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[0]).astype(np.float32)
    found = ridge(vectors, left, [np.float32(0.5), np.float32(2)])
    expected = [Ridge(l2, fit_intercept=False).fit(vectors, left).coef_ for l2 in (0.5, 2)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


SIDE = side_features.Side(
    *(
        np.random.default_rng(2).integers(0, 2, (n, width)).astype(np.float32)
        for n, width in zip(TABLE.shape, (3, 2), strict=True)
    )
)


@pytest.fixture(scope="module", params=[1.0, 2.0], ids=["of five", "of ten"])
def sided(request):
    """(a model with side features of movies and users, its ratings, stars that are one of five)."""
    split, star = splits.split(TABLE, "random", splits.Options(validation_share=0.3)), request.param
    config = joint.Config(**QUICK | {"side": ("age",), "movie_side": ("genres",), "side_weight": 0.7})
    model = joint.Model(TABLE.shape, config, 0, (0.5 * star, 5 * star))
    model.side, model.movie_side = replace(SIDE, movies=SIDE.movies[:, :0]), SIDE
    hidden, given = star * split.validation.hidden, star * split.validation.given
    with eagerly(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(movie_rows, "STEP", STEP)
        patch.setattr(movie_rows, "FACTORS", (2.0,))
        patch.setattr(movie_rows, "SHARES", (0.75,))
        model.fit(star * split.train, replace(split.validation, hidden=hidden, given=given), Training())
    return model, (star * split.train).tocsr(), star


def test_movies_vectors_are_those_of_the_encoder_and_lack_what_is_left_out(sided):
    """The encoder is Keras's; a rating left out is one that was never there, but for the movie's mean."""
    model, known, star = sided
    autoencoder = model.movie_rows.autoencoder
    assert (autoencoder.config.side, autoencoder.config.side_weight) == (("genres", "age"), 0.7)
    vectors = movie_rows.Vectors(autoencoder, known, star)
    rows = known.T.toarray() / star
    expected = autoencoder.encoder([rows, SIDE.movies]).numpy()
    np.testing.assert_allclose(vectors.whole, expected, atol=1e-5)
    np.testing.assert_array_equal(model.star_path.vectors, vectors.whole)
    user, centre = 7, autoencoder.encoder.get_layer("centre")
    movies, stars = vectors.rated(user)
    np.testing.assert_array_equal(stars, known.toarray()[user, movies])
    n, count = len(TABLE.user_ids), (rows != 0).sum(axis=1)
    left = np.where(rows != 0, rows - float(centre.mean) - centre.column.numpy(), 0)
    deviation = left.sum(axis=1) / (count + 4.0)
    features = np.concatenate([np.where(rows != 0, left - deviation[:, None], 0), rows != 0], axis=1)
    features[:, [user, n + user]] = 0  # what this user has rated is nothing now
    features /= np.sqrt(np.maximum(count - 1, 1))[:, None]
    layer = autoencoder.encoder.get_layer("encoder_0")
    kernel, bias = layer.get_weights()
    expected = np.tanh(np.concatenate([features, 0.7 * SIDE.movies], axis=1) @ kernel + bias)[movies]
    np.testing.assert_allclose(vectors.without(user), expected, atol=1e-5)
    assert np.abs(vectors.without(user) - vectors.whole[movies]).max() > 1e-3


def test_a_trained_users_weights_leave_their_own_ratings_out_and_start_from_what_is_known_of_them(sided):
    model, known, star = sided
    rows, path, base = model.movie_rows, model.star_path, model._baseline(known)
    vectors = movie_rows.Vectors(rows.autoencoder, known, star)
    told = star * 0.7 * SIDE.users @ rows.autoencoder.decoder.layers[-1].kinds.numpy().T
    assert np.abs(told).max() > 1e-3
    assert path.l2 == pytest.approx(2.0 * L2 * np.sqrt(known.nnz))
    for user in range(TABLE.shape[0]):
        movies, stars = vectors.rated(user)
        own = vectors.without(user)
        left = stars - base.predict(user, movies) - own @ told[user]
        expected = told[user] + Ridge(path.l2, fit_intercept=False).fit(own, left).coef_
        np.testing.assert_allclose(path.weights[user], expected, atol=1e-4)
    nothing = known.copy()
    nothing.data[slice(*nothing.indptr[3:5])] = 0
    nothing.eliminate_zeros()
    np.testing.assert_allclose(rows.path(nothing, base).weights[3], told[3], atol=1e-6)


def test_with_landmarks_the_regression_is_on_features_of_the_vectors(sided):
    """The landmarks are among the movies that have ratings; what side features tell is of the vectors alone."""
    model, known, star = sided
    known = known.copy()
    known.data[known.indices == 3] = 0
    first, last = known.indptr[4:6]
    known.data[first + 1 : last] = 0  # so that one user has a single rating
    known.eliminate_zeros()
    rows = MovieRows(5, 2.0, 0.75)
    rows.autoencoder, rows.star = model.movie_rows.autoencoder, star
    base, vectors = model._baseline(known), movie_rows.Vectors(rows.autoencoder, known, star)
    path = rows.path(known, base)
    features = KernelFeatures.of(np.delete(vectors.whole, 3, axis=0), 5)
    np.testing.assert_array_equal(path.vectors, features(vectors.whole))
    assert path.vectors.shape[1] == 6 + 1 + 5
    told = star * 0.7 * SIDE.users @ rows.autoencoder.decoder.layers[-1].kinds.numpy().T
    assert np.diff(known.indptr)[4] == 1
    for user in range(TABLE.shape[0]):
        movies, stars = vectors.rated(user)
        own = vectors.without(user)
        left = stars - base.predict(user, movies) - own @ told[user]
        expected = Ridge(path.l2, fit_intercept=False).fit(features(own), left).coef_
        expected[:6] += told[user]
        np.testing.assert_allclose(path.weights[user], expected, atol=1e-4)


def test_an_option_says_how_many_landmarks_there_are(half, monkeypatch):
    monkeypatch.setattr(movie_rows, "STEP", STEP)
    monkeypatch.setattr(movie_rows, "SHARES", (0.75,))
    model, split = fitted(half[1], movie_landmarks=4), half[1]
    for known in (split.train, split.known):
        model.encode_all(known)
        assert model.star_path.vectors.shape[1] == model.star_path.weights.shape[1] == 6 + 1 + 4
    users, movies = pairs(TABLE.shape)
    path, base = model.star_path, model._baseline(split.known)
    expected = path.mix(
        rating_autoencoder.Autoencoder.predict(model, split.known, users, movies), path.of_users(base, users, movies)
    )
    np.testing.assert_allclose(model.predict(split.known, users, movies), expected, atol=1e-5)


def test_the_path_is_made_once_for_the_same_ratings_after_the_same_training(half, monkeypatch):
    model, split, made = copy(half[0]), half[1], []
    path = MovieRows.path
    monkeypatch.setattr(MovieRows, "path", lambda self, known, base: made.append(known) or path(self, known, base))
    model._encoded = None
    for known, n in ((split.train, 1), (split.train, 1), (split.known, 2), (split.known, 2), (split.train, 3)):
        model.encode_all(known)
        assert len(made) == n
    other = split.train.copy()
    other.data[0] += 0.5
    model.encode_all(other)
    assert len(made) == 4
    model.biases = replace(model.biases)
    model.encode_all(other)
    assert len(made) == 5
    model.movie_rows = copy(model.movie_rows)
    model.movie_rows.autoencoder = copy(model.movie_rows.autoencoder)
    model.encode_all(other)
    assert len(made) == 6
    expected = path(model.movie_rows, other, model._baseline(other))
    np.testing.assert_array_equal(model.star_path.weights, expected.weights)


def test_stars_of_trained_users_are_by_their_weights_those_of_others_by_their_ratings(sided):
    model, known, _ = sided
    (users, movies), bare, path = pairs(TABLE.shape), copy(model), model.star_path
    bare.star_path = None
    regressed = path.of_users(model._baseline(known), users, movies)
    expected = 0.25 * bare.predict(known, users, movies) + 0.75 * regressed
    np.testing.assert_allclose(model.predict(known, users, movies), expected, atol=1e-4)
    row, first, every = known[[7]], np.zeros(25, int), np.arange(25)
    alone = path.regressed(row, model._baseline(row), first, every)
    expected = 0.25 * bare.predict(row, first, every) + 0.75 * alone
    np.testing.assert_allclose(model.predict(row, first, every), expected, atol=1e-4)
    assert np.abs(alone - regressed.reshape(TABLE.shape)[7]).max() > 1e-3


@pytest.mark.parametrize(("factor", "share"), [(4.0, 1.0), (0.5, 0.25), (1.0, 0.75)])
def test_factor_and_share_are_those_of_the_least_rmse_on_validation(half, factor, share):
    """The hidden ratings are what the regression with this factor and a decoder with errors say between them."""
    model, split = half
    validation, base = split.validation, biases.fit(split.validation.given, 5.0, 4.0)
    cells, rows = validation.hidden.tocoo(), copy(model.movie_rows)
    rows.factor = factor
    path = rows.path(validation.given, base)
    regressed = path.of_users(base, cells.row, cells.col)
    decoded = np.random.default_rng(0).normal(3, 1, len(regressed)).astype(np.float32)
    hidden = csr_array((share * regressed + (1 - share) * decoded, (cells.row, cells.col)), TABLE.shape)
    rows.choose(replace(validation, hidden=hidden), base, decoded, (-50.0, 50.0))
    assert (rows.factor, rows.share) == (factor, share)
    hidden.data[:] = 5.0  # so stars above the scale are as good as its end, and the first of equal ones is taken
    rows.choose(replace(validation, hidden=hidden), base, np.full(len(decoded), 9.0, np.float32), (0.5, 5.0))
    assert rows.share == 0.0


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_they_are_trained_on_what_is_trained_on_and_chosen_on_a_sample_of_what_is_hidden(share, half, monkeypatch):
    asked, (model, split), training = [], half, Training()

    class Noted(MovieRows):
        autoencoder = "trained"

        def train(self, *of):
            asked.append(of)

        def choose(self, *of):
            asked.append(of)
            self.share = share

        def path(self, known, base):
            return "path", known, base.user.tolist()

    model, train, validation = copy(model), split.train, split.validation
    model.movie_rows = model.star_path = None
    model.movie_side = SIDE
    some = validation.hidden[::2]  # the users of the sample have other ratings than those with their numbers
    sample = splits.Holdout(validation.given[::2], some)
    expected = model.predict(sample.given, *some.tocoo().coords)
    monkeypatch.setattr(joint, "MovieRows", Noted)
    monkeypatch.setattr(joint, "of_sample", lambda of: (sample, None) if of is validation else None)
    model._fit_movie_rows(train, validation, training)
    (of, side, matrix, how, phase), (judged, base, stars, scale) = asked
    same = ((of, model), (side, SIDE), (matrix, train), (how, training), (judged, sample))
    assert all(one is other for one, other in same)
    assert (phase, scale) == ("movies", (0.5, 5.0))
    np.testing.assert_array_equal(base.user, model._baseline(sample.given).user)
    np.testing.assert_array_equal(stars, expected)
    if share:
        assert model.movie_rows.share == 0.5
        assert model.star_path == ("path", train, model._baseline(train).user.tolist())
    else:
        assert model.movie_rows is model.star_path is None


def test_the_penalty_is_that_of_the_output_layer_times_the_factor(half):
    model, split = half
    path = model.movie_rows.path(split.train, model._baseline(split.train))
    assert path.l2 == pytest.approx(2.0 * L2 * np.sqrt(split.train.nnz))
    assert path.share == np.float32(0.75)
    model.movie_rows.factor = 1.0
    assert model.movie_rows.path(split.train, model._baseline(split.train)).l2 == pytest.approx(path.l2 / 2)
    model.movie_rows.factor = 2.0


def test_a_stranger_gets_the_regression_of_their_own_ratings_beside_the_decoder(half):
    model, split = half
    bare, path, row = copy(model), model.star_path, split.train[[7]]
    bare.star_path = None
    first, movies = np.zeros(25, int), np.arange(25)
    base = model._baseline(row)
    expected = [regression(path.vectors, path.l2, row, base, 0, movie) for movie in movies]
    expected = 0.25 * bare.predict(row, first, movies) + 0.75 * np.ravel(expected)
    np.testing.assert_allclose(model.predict(row, first, movies), expected, atol=1e-4)


def test_vectors_know_later_ratings_by_an_autoencoder_that_does_not(half):
    """fit_all leaves the autoencoder as it is; refit trains it on its own ratings alone."""
    model, split = copy(half[0]), half[1]
    model.movie_rows = copy(model.movie_rows)
    autoencoder = model.movie_rows.autoencoder
    encoder = autoencoder._plain_encoder()
    model.encode_all(split.known)
    np.testing.assert_allclose(model.star_path.vectors, encoder.of_matrix(split.known.T.tocsr()), atol=1e-6)
    assert np.abs(model.star_path.vectors - encoder.of_matrix(split.train.T.tocsr())).max() > 0.01
    with eagerly(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(movie_rows, "STEP", STEP)
        model.encode_all(split.train)
        model.fit_all(split.refit, Training())
        assert model.movie_rows.autoencoder is autoencoder
        np.testing.assert_allclose(model.star_path.vectors, encoder.of_matrix(split.refit.T.tocsr()), atol=1e-6)
        model.refit(split.refit, Training())
        trained_by = replace(
            OPTIONS, hidden=(6,), epochs=3, decay=END ** (1 / 3), l2=L2, batch_size=10, learning_rate=0.005
        )
        alone = autorec.Model(TABLE.shape, trained_by, 0, TABLE.scale, TABLE.threshold)
        alone.refit(split.refit, Training())
    encoder = model.movie_rows.autoencoder._plain_encoder()
    np.testing.assert_array_equal(encoder.layers[0][0], alone._plain_encoder().layers[0][0])
    assert (model.movie_rows.factor, model.movie_rows.share) == (2.0, 0.75)
    expected = encoder.of_matrix(split.refit.T.tocsr())
    np.testing.assert_allclose(model.star_path.vectors, expected, atol=1e-6)


def test_a_saved_run_predicts_the_same_and_can_be_trained_again(half, tmp_path):
    model, split = half
    model.encode_all(split.train)
    model.save(tmp_path)
    stored = np.load(tmp_path / "stars.npz")
    assert {name: stored[name].shape for name in stored} == {
        "vectors": (25, 6), "weights": (30, 6), "l2": (), "share": (), "factor": (),
    }  # fmt: skip
    again = models.build("joint", TABLE.shape, replace(model.config, movie_landmarks=9))

    class Folder(Run):
        def __init__(self):
            self.folder, self.config = tmp_path, {"model": "joint"}

        def arrays(self, name, in_part=""):
            return dict(np.load(tmp_path / name))

        has_file = lambda self, name: (tmp_path / name).is_file()  # noqa: E731
        path = lambda self, name: tmp_path / name  # noqa: E731

    again.load(Folder())
    users, movies = pairs(TABLE.shape)
    expected = model.predict(split.train, users, movies)
    np.testing.assert_allclose(again.predict(split.train, users, movies), expected, atol=1e-5)
    rows = again.movie_rows
    assert (rows.landmarks, rows.factor, rows.share, rows.autoencoder) == (9, 2.0, 0.75, None)
    again.encode_all(split.known)  # without an autoencoder the vectors stay
    np.testing.assert_array_equal(again.star_path.vectors, model.star_path.vectors)


@pytest.mark.parametrize("options", [{"movie_rows": False}, {"baseline": False}])
def test_an_option_leaves_it_out(options):
    split = splits.split(TABLE, "random", splits.Options())
    model = fitted(split, **options)
    assert model.movie_rows is model.star_path is None
    assert ("0% of predicted stars from movies' rows" in model.notes()) is model.config.movie_rows


def test_so_many_ratings_that_it_would_take_long_have_none(monkeypatch):
    split = splits.split(TABLE, "random", splits.Options())
    monkeypatch.setattr(joint, "MOVIE_ROWS_MOST", split.train.nnz - 1)
    assert fitted(split).movie_rows is None
    monkeypatch.setattr(joint, "MOVIE_ROWS_MOST", split.train.nnz)
    monkeypatch.setattr(movie_rows, "STEP", STEP)
    monkeypatch.setattr(movie_rows, "SHARES", (0.5,))
    assert fitted(split).movie_rows.share == 0.5


def test_where_users_are_held_out_or_nothing_is_hidden_there_is_none(monkeypatch):
    monkeypatch.setattr(joint.Model, "_fit_movie_rows", None)  # never called
    strong = splits.split(TABLE, "strong", splits.Options(held_out=2))
    assert fitted(strong).movie_rows is None
    split = splits.split(TABLE, "random", splits.Options())
    nothing = replace(split.validation, hidden=sp.csr_array(TABLE.shape, dtype=np.float32))
    model = models.build("joint", TABLE.shape, joint.Config(**QUICK))
    with eagerly():
        model.fit(split.train, nothing, Training())
    assert model.movie_rows is None


def test_an_interrupted_training_keeps_what_was_there(half, monkeypatch):
    model, split = half
    rows, training = copy(model.movie_rows), Training()

    def interrupted(self, matrix, training):
        training.interrupted = True
        self._encode = None  # never asked

    monkeypatch.setattr(autorec.Model, "refit", interrupted)
    rows.train(model, None, split.train, training, "movies")
    assert rows.autoencoder is model.movie_rows.autoencoder
    fresh = MovieRows(0)
    fresh.train(model, None, split.train, training, "movies")
    assert (fresh.autoencoder, fresh.share) == (None, 0.0)


def test_the_autoencoder_has_what_the_model_has(monkeypatch):
    made = []

    def refit(self, matrix, training):
        made.append(self)
        training.interrupted = True

    monkeypatch.setattr(autorec.Model, "refit", refit)
    config = joint.Config(user_damping=7.0, movie_damping=2.0, movie_size=9, movie_epochs=4)
    config = replace(config, movie_l2=0.03, movie_batch_size=64)
    MovieRows(0).train(joint.Model((3, 4), config, 5, (1.0, 10.0)), None, csr_array((3, 4)), Training(), "again")
    own = {"hidden": (9,), "epochs": 4, "decay": END**0.25, "l2": 0.03, "batch_size": 64, "learning_rate": 0.005 / 4}
    assert made[0].config == replace(OPTIONS, user_damping=7.0, movie_damping=2.0, **own)
    assert (made[0].shape, made[0].seed, made[0].scale) == ((3, 4), 5, (0.5, 5.0))
    assert made[0]._refit_phase() == "again"
    config = replace(config, side=("age",), side_weight=0.2)
    MovieRows(0).train(joint.Model((3, 4), config, 5, (1.0, 10.0)), SIDE, csr_array((3, 4)), Training(), "again")
    with_side = {"side": ("genres", "year", "age"), "side_weight": 0.2}
    assert made[1].config == replace(OPTIONS, user_damping=7.0, movie_damping=2.0, **own, **with_side)
    assert made[1].side is SIDE


@pytest.mark.parametrize(
    ("genres", "side", "movie_side", "widths"),
    [
        (["Drama", "Comedy"], (), ("genres", "year"), (0, 2)),  # no year is told
        (["Drama", "Comedy"], (), (), None),
        (["Drama", "Comedy"], ("genres", "gender"), (), (2, 0)),  # genres are for the rows of users alone
        (["Drama", "Comedy"], ("genres",), (), None),
        (["Drama", "Comedy"], ("gender",), ("year",), (2, 0)),
        (["Drama", "Comedy"], ("genres", "gender"), ("genres",), (2, 2)),
        ([], (), ("genres", "year"), None),
    ],
)
def test_what_is_known_of_movies_goes_in_without_being_asked_for_what_is_known_of_users_is_asked_for(
    genres, side, movie_side, widths
):
    n = TABLE.shape[1]
    movies = Movies(TABLE.movie_ids, n * ["A"], n * [None], n * [genres])
    users = pd.DataFrame({"gender": ["F", "M"] * (TABLE.shape[0] // 2)})
    model = joint.Model(TABLE.shape, joint.Config(side=side, movie_side=movie_side), 0, TABLE.scale)
    model.attach_data(Dataset("table", TABLE, movies, users))
    found = model.movie_side and (model.movie_side.users.shape[1], model.movie_side.movies.shape[1])
    assert found == widths
    assert (model.side is not None) is bool(side)


@eagerly()
@pytest.mark.parametrize("landmarks", [0, 4])
def test_what_it_learns_does_not_depend_on_the_scale(landmarks, half, monkeypatch):
    monkeypatch.setattr(movie_rows, "STEP", STEP)
    split, found = half[1], []
    for star in (1, 20):
        model = joint.Model(TABLE.shape, joint.Config(**QUICK), 0, (star * 0.5, star * 5.0))
        rows, matrix = MovieRows(landmarks), star * split.train
        rows.train(model, None, matrix, Training(), "movies")
        base = biases.fit(matrix, 5.0, 4.0)
        path, pair = rows.path(matrix, base), pairs(TABLE.shape)
        regressed = (path.of_users(base, *pair), path.regressed(matrix, base, *pair))
        found.append((path.vectors, *(stars / star for stars in regressed)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-3)


def test_the_least_mean_squared_error_is_chosen_not_the_least_absolute_one(half, monkeypatch):
    """Of two hidden ratings the decoder misses one by 2.4, the regression both by 1.5."""
    monkeypatch.setattr(movie_rows, "SHARES", (0.0, 1.0))
    base = SimpleNamespace(predict=lambda *_: np.array([2.5, 2.5]))
    monkeypatch.setattr(movie_rows.Regression, "weights", lambda self, _: np.zeros((5, self.whole.shape[1])))
    rows, hidden = copy(half[0].movie_rows), csr_array(([4.0, 4.0], ([0, 1], [2, 3])), TABLE.shape)
    rows.choose(replace(half[1].validation, hidden=hidden), base, np.array([4.0, 1.6]), (0.5, 5.0))
    assert rows.share == 1.0


@eagerly()
def test_a_training_interrupted_among_movies_rows_goes_on_to_the_same_stars(half, tmp_path, monkeypatch):
    model, split = half
    for name, value in {"STEP": STEP, "FACTORS": (2.0,), "SHARES": (0.75,)}.items():
        monkeypatch.setattr(movie_rows, name, value)
    cut, resumed, ended = Training(tmp_path), copy(model), fit.EpochRecord.on_epoch_end

    def stop(self, epoch, logs=None):
        ended(self, epoch, logs)
        if (self.checkpoint.phase, epoch) == ("movies", 1):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit.EpochRecord, "on_epoch_end", stop)
        resumed.fit(split.train, split.validation, cut)
    assert cut.interrupted
    assert resumed.movie_rows is resumed.star_path is None  # nor those of an earlier training
    assert sorted(path.name for path in tmp_path.iterdir()) == ["movies.npz", "train.npz"]
    resumed.fit(split.train, split.validation, Training(tmp_path))
    assert_same_weights(resumed, model)
    np.testing.assert_array_equal(
        resumed.star_path.vectors, model.movie_rows.path(split.train, model._baseline(split.train)).vectors
    )


@eagerly()
def test_an_interrupted_refit_does_not_train_movies_rows(half, monkeypatch):
    model, split = copy(half[0]), half[1]
    model.movie_rows, autoencoder, training = copy(model.movie_rows), model.movie_rows.autoencoder, Training()
    monkeypatch.setattr(rating_autoencoder, "train", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(MovieRows, "train", None)  # never called
    model.refit(split.refit, training)
    assert training.interrupted
    assert model.movie_rows.autoencoder is autoencoder


def test_it_gains_stars_on_ratings_with_something_to_learn(half):
    """On two kinds of users and movies the regression finds what the baseline can't."""
    split, long = half[1], {"movie_size": 128, "movie_epochs": 25, "movie_batch_size": 256}
    model = models.build("joint", TABLE.shape, joint.Config(**QUICK | long))
    given, hidden = split.validation.given, split.validation.hidden.toarray()
    base, rows = biases.fit(given, 5.0, 4.0), MovieRows(0)
    with eagerly():
        rows.train(model, None, split.train, Training(), "movies")
    stars = rows.path(given, base).regressed(given, base, *pairs(TABLE.shape)).reshape(TABLE.shape)
    bare = base.predict(*pairs(TABLE.shape)).reshape(TABLE.shape)
    assert rmse(stars, hidden) < rmse(bare, hidden) - 0.05


@eagerly()
def test_a_part_of_a_blend_read_from_the_cache_is_refitted_as_if_it_had_not_been(half, tmp_path, monkeypatch):
    split = half[1]
    for name, value in {"STEP": STEP, "FACTORS": (2.0,), "SHARES": (0.75,)}.items():
        monkeypatch.setattr(movie_rows, name, value)
    users, movies = pairs(TABLE.shape)

    def trained(cached):
        """Of parts kept in the cache: none, those of `fit`, all."""
        config = blend.Config(f"{PART},bias", folds=4)
        model = models.build("blend", TABLE.shape, config, 0, TABLE.scale, TABLE.threshold)
        model.fit(split.train, split.validation, Training(finished=tmp_path / "parts"))
        if cached == "those of fit":
            assert model.parts[0].movie_rows.autoencoder is None
            model.cache.folder = None
        model.refit(split.refit, Training())
        model.encode_all(split.known)
        return model

    whole, *others = (trained(cached) for cached in ("none", "those of fit", "all"))
    path = whole.parts[0].star_path
    assert path.l2 == pytest.approx(2.0 * L2 * np.sqrt(split.refit.nnz))
    for other in others:
        np.testing.assert_array_equal(other.parts[0].star_path.vectors, path.vectors)
        expected = whole.predict(split.known, users, movies)
        np.testing.assert_array_equal(other.predict(split.known, users, movies), expected)
    others[1].parts[0].save(tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "stars.npz")["vectors"], path.vectors)
