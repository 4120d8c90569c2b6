"""The second path to stars of `joint`: the regression on vectors of movies, its choice, and what it is fitted on."""

from copy import copy
from dataclasses import replace

import numpy as np
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
from models.ensemble.movie_rows import END, OPTIONS, MovieRows
from models.networks import rating_autoencoder
from utils.data import side_features, splits
from utils.runs.run_folder import Run
from utils.scoring import biases
from utils.scoring.linear_scorer import SparseRows, StarPath
from utils.training import fit
from utils.training.training import Training

QUICK = {"hidden": (8,), "epochs": 1, "batch_size": 15, "linear": False, "movie_size": 6, "movie_epochs": 3}
SMALL = replace(OPTIONS, batch_size=10)


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
        patch.setattr(movie_rows, "OPTIONS", SMALL)
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
    vectors, nothing = rng.normal(size=(20, k)).astype(np.float32), np.zeros((0, k), np.float32)
    path = StarPath(vectors, nothing, np.float32(1.7), np.float32(0.3))
    rows, movies = rng.integers(0, 10, 40), rng.integers(0, 20, 40)
    rows[:2] = 4  # who rated nothing
    expected = [regression(path.vectors, 1.7, given, base, *pair) for pair in zip(rows, movies, strict=True)]
    np.testing.assert_allclose(path.regressed(given, base, rows, movies, None), expected, atol=1e-5)
    mixed = path.mix(np.full(40, 2.0, np.float32), given, base, rows, movies, None)
    np.testing.assert_allclose(mixed, 0.7 * 2 + 0.3 * np.array(expected), atol=1e-5)
    alone = SparseRows(given.data, given.indices, given.indptr, None)  # as of one person, without scipy
    np.testing.assert_allclose(path.regressed(alone, base, rows[5:6], movies[5:6], None), expected[5:6], atol=1e-5)


@pytest.mark.parametrize("k", [3, 30])
def test_the_penalty_draws_towards_the_weights_that_side_features_tell(k):
    """Of trained users alone; the residual over them is what is regressed."""
    rng = np.random.default_rng(1)
    given = sp.random_array((9, 20), density=0.35, rng=rng, dtype=np.float32, format="csr")
    given.data = 1 + np.round(4 * given.data)
    base, pair = biases.fit(given, 5.0, 4.0), pairs(given.shape)
    vectors, expected = (rng.normal(size=(n, k)).astype(np.float32) for n in (20, 11))
    path, users = StarPath(vectors, expected, np.float32(1.7), np.float32(1)), rng.permutation(11)[:9]
    found = path.regressed(given, base, *pair, users).reshape(given.shape)
    for row, user in enumerate(users):
        rated, told = given.indices[given.indptr[row] : given.indptr[row + 1]], vectors @ expected[user]
        left = given[[row]].toarray()[0, rated] - base.predict(row, rated) - told[rated]
        ridge = Ridge(1.7, fit_intercept=False).fit(vectors[rated], left) if len(rated) else None
        own = ridge.predict(vectors) if ridge else 0
        np.testing.assert_allclose(found[row], base.predict(row, np.arange(20)) + told + own, atol=1e-4)
    bare = replace(path, expected=expected[:0])
    for others in (path.regressed(given, base, *pair, None), bare.regressed(given, base, *pair, users)):
        np.testing.assert_array_equal(others, bare.regressed(given, base, *pair, None))
    assert np.abs(found.ravel() - others).max() > 0.1


SIDE = side_features.Side(
    *(
        np.random.default_rng(2).integers(0, 2, (n, width)).astype(np.float32)
        for n, width in zip(TABLE.shape, (3, 2), strict=True)
    )
)


@eagerly()
@pytest.mark.parametrize("star", [1.0, 2.0])
def test_side_features_of_movies_are_encoded_and_those_of_users_tell_their_weights(star, monkeypatch):
    split = splits.split(TABLE, "random", splits.Options(validation_share=0.3))
    for name, value in {"OPTIONS": SMALL, "FACTORS": (2.0,), "SHARES": (0.75,)}.items():
        monkeypatch.setattr(movie_rows, name, value)
    config = joint.Config(**QUICK | {"side": ("genres", "age"), "side_weight": 0.7})
    model = joint.Model(TABLE.shape, config, 0, (0.5 * star, 5 * star))
    model.side = SIDE
    hidden, given = star * split.validation.hidden, star * split.validation.given
    model.fit(star * split.train, replace(split.validation, hidden=hidden, given=given), Training())
    autoencoder, path = model.movie_rows.autoencoder, model.star_path
    assert autoencoder.config.side == ("genres", "age")
    assert autoencoder.config.side_weight == 0.7
    known = split.train.T.toarray()
    vectors = autoencoder.encoder.predict([known, SIDE.movies], verbose=0)
    np.testing.assert_allclose(path.vectors, vectors, atol=1e-5)
    output = autoencoder.decoder.layers[-1]
    common = 0.7 * SIDE.users @ output.kinds.numpy().T
    np.testing.assert_allclose(path.expected, star * common, atol=1e-5)
    assert np.abs(common).max() > 1e-3
    given, (users, movies) = star * split.train, pairs(TABLE.shape)
    base, bare = model._baseline(given), copy(model)
    bare.star_path = None
    regressed = path.regressed(given, base, users, movies, np.arange(TABLE.shape[0]))
    decoded = bare.predict(given, users, movies)
    np.testing.assert_allclose(model.predict(given, users, movies), 0.25 * decoded + 0.75 * regressed, atol=1e-4)
    row, all_movies = given[[7]], np.arange(25)
    alone = path.regressed(row, model._baseline(row), 0 * all_movies, all_movies, None)
    expected = 0.25 * bare.predict(row, 0 * all_movies, all_movies) + 0.75 * alone
    np.testing.assert_allclose(model.predict(row, 0 * all_movies, all_movies), expected, atol=1e-4)
    assert np.abs(alone - regressed.reshape(TABLE.shape)[7]).max() > 1e-3


@pytest.mark.parametrize(("factor", "share"), [(4.0, 1.0), (0.5, 0.25), (1.0, 0.75)])
def test_factor_and_share_are_those_of_the_least_rmse_on_validation(half, factor, share):
    """The hidden ratings are what the regression with this factor and a decoder with errors say between them."""
    model, split = half
    validation, base = split.validation, biases.fit(split.validation.given, 5.0, 4.0)
    cells, rows = validation.hidden.tocoo(), copy(model.movie_rows)
    path = replace(rows.path(validation.given), l2=np.float32(factor * OPTIONS.l2 * np.sqrt(validation.given.nnz)))
    regressed = path.regressed(validation.given, base, cells.row, cells.col, None)
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

        def path(self, known):
            return "path", known

    model, train, validation = copy(model), split.train, split.validation
    model.movie_rows = model.star_path = None
    some = validation.hidden[::2]  # the users of the sample have other ratings than those with their numbers
    sample = splits.Holdout(validation.given[::2], some)
    expected = model.predict(sample.given, *some.tocoo().coords)
    monkeypatch.setattr(joint, "MovieRows", Noted)
    monkeypatch.setattr(joint, "of_sample", lambda of: (sample, None) if of is validation else None)
    model._fit_movie_rows(train, validation, training)
    (of, matrix, how, phase), (judged, base, stars, scale) = asked
    assert all(one is other for one, other in ((of, model), (matrix, train), (how, training), (judged, sample)))
    assert (phase, scale) == ("movies", (0.5, 5.0))
    np.testing.assert_array_equal(base.user, model._baseline(sample.given).user)
    np.testing.assert_array_equal(stars, expected)
    if share:
        assert model.movie_rows.share == 0.5
        assert model.star_path == ("path", train)
    else:
        assert model.movie_rows is model.star_path is None


def test_the_penalty_is_that_of_the_output_layer_times_the_factor(half):
    model, split = half
    path = model.movie_rows.path(split.train)
    assert path.l2 == pytest.approx(2.0 * OPTIONS.l2 * np.sqrt(split.train.nnz))
    assert path.share == np.float32(0.75)
    model.movie_rows.factor = 1.0
    assert model.movie_rows.path(split.train).l2 == pytest.approx(path.l2 / 2)
    model.movie_rows.factor = 2.0


def test_predictions_mix_the_decoder_and_the_regression_for_anybody(half):
    model, split = half
    bare = copy(model)
    bare.star_path = None
    users, movies = pairs(TABLE.shape)
    decoded, base = bare.predict(split.train, users, movies), model._baseline(split.train)
    path = model.star_path
    expected = [regression(path.vectors, path.l2, split.train, base, *pair) for pair in zip(users, movies, strict=True)]
    found = model.predict(split.train, users, movies)
    np.testing.assert_allclose(found, 0.25 * decoded + 0.75 * np.array(expected), atol=1e-4)
    alone = model.predict(split.train[[7]], np.zeros(25, int), np.arange(25))  # a stranger with the ratings of one
    np.testing.assert_allclose(alone, found.reshape(TABLE.shape)[7], atol=1e-4)


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
        patch.setattr(movie_rows, "OPTIONS", SMALL)
        model.encode_all(split.train)
        model.fit_all(split.refit, Training())
        assert model.movie_rows.autoencoder is autoencoder
        np.testing.assert_allclose(model.star_path.vectors, encoder.of_matrix(split.refit.T.tocsr()), atol=1e-6)
        model.refit(split.refit, Training())
        trained_by = replace(SMALL, hidden=(6,), epochs=3, decay=END ** (1 / 3))
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
        "vectors": (25, 6), "expected": (0, 6), "l2": (), "share": (), "factor": (),
    }  # fmt: skip
    again = models.build("joint", TABLE.shape, model.config)

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
    assert (again.movie_rows.factor, again.movie_rows.share, again.movie_rows.autoencoder) == (2.0, 0.75, None)
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
    monkeypatch.setattr(movie_rows, "OPTIONS", SMALL)
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
    rows.train(model, split.train, training, "movies")
    assert rows.autoencoder is model.movie_rows.autoencoder
    fresh = MovieRows()
    fresh.train(model, split.train, training, "movies")
    assert (fresh.autoencoder, fresh.share) == (None, 0.0)


def test_the_autoencoder_has_what_the_model_has(monkeypatch):
    made = []

    def refit(self, matrix, training):
        made.append(self)
        training.interrupted = True

    monkeypatch.setattr(autorec.Model, "refit", refit)
    config = joint.Config(user_damping=7.0, movie_damping=2.0, movie_size=9, movie_epochs=4)
    MovieRows().train(joint.Model((3, 4), config, 5, (1.0, 10.0)), csr_array((3, 4)), Training(), "again")
    own = {"hidden": (9,), "epochs": 4, "decay": END**0.25}
    assert made[0].config == replace(OPTIONS, user_damping=7.0, movie_damping=2.0, **own)
    assert (made[0].shape, made[0].seed, made[0].scale) == ((3, 4), 5, (0.5, 5.0))
    assert made[0]._refit_phase() == "again"


@eagerly()
def test_what_it_learns_does_not_depend_on_the_scale(half, monkeypatch):
    monkeypatch.setattr(movie_rows, "OPTIONS", SMALL)
    split, found = half[1], []
    for star in (1, 20):
        model = joint.Model(TABLE.shape, joint.Config(**QUICK), 0, (star * 0.5, star * 5.0))
        rows, matrix = MovieRows(), star * split.train
        rows.train(model, matrix, Training(), "movies")
        path, base = rows.path(matrix), biases.fit(matrix, 5.0, 4.0)
        found.append((path.vectors, path.regressed(matrix, base, *pairs(TABLE.shape), None) / star))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-3)


def test_the_least_mean_squared_error_is_chosen_not_the_least_absolute_one(half, monkeypatch):
    """Of two hidden ratings the decoder misses one by 2.4, the regression both by 1.5."""
    monkeypatch.setattr(movie_rows, "SHARES", (0.0, 1.0))
    monkeypatch.setattr(StarPath, "regressed", lambda *_: np.array([2.5, 2.5]))
    rows, hidden = copy(half[0].movie_rows), csr_array(([4.0, 4.0], ([0, 1], [2, 3])), TABLE.shape)
    rows.choose(replace(half[1].validation, hidden=hidden), None, np.array([4.0, 1.6]), (0.5, 5.0))
    assert rows.share == 1.0


@eagerly()
def test_a_training_interrupted_among_movies_rows_goes_on_to_the_same_stars(half, tmp_path, monkeypatch):
    model, split = half
    for name, value in {"OPTIONS": SMALL, "FACTORS": (2.0,), "SHARES": (0.75,)}.items():
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
    np.testing.assert_array_equal(resumed.star_path.vectors, model.movie_rows.path(split.train).vectors)


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
    split, long = half[1], {"movie_size": 128, "movie_epochs": 25}
    model = models.build("joint", TABLE.shape, joint.Config(**QUICK | long))
    given, hidden = split.validation.given, split.validation.hidden.toarray()
    base, rows = biases.fit(given, 5.0, 4.0), MovieRows()
    with eagerly():
        rows.train(model, split.train, Training(), "movies")
    stars = rows.path(given).regressed(given, base, *pairs(TABLE.shape), None).reshape(TABLE.shape)
    bare = base.predict(*pairs(TABLE.shape)).reshape(TABLE.shape)
    assert rmse(stars, hidden) < rmse(bare, hidden) - 0.05


@eagerly()
def test_a_part_of_a_blend_read_from_the_cache_is_refitted_as_if_it_had_not_been(half, tmp_path, monkeypatch):
    split = half[1]
    for name, value in {"OPTIONS": SMALL, "FACTORS": (2.0,), "SHARES": (0.75,)}.items():
        monkeypatch.setattr(movie_rows, name, value)
    users, movies = pairs(TABLE.shape)

    def trained(cached):
        """Of parts kept in the cache: none, those of `fit`, all."""
        config = blend.Config("joint --hidden 8 --epochs 1 --no-linear --movie-size 6 --movie-epochs 3,bias", folds=4)
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
    assert path.l2 == pytest.approx(2.0 * OPTIONS.l2 * np.sqrt(split.refit.nnz))
    for other in others:
        np.testing.assert_array_equal(other.parts[0].star_path.vectors, path.vectors)
        expected = whole.predict(split.known, users, movies)
        np.testing.assert_array_equal(other.predict(split.known, users, movies), expected)
    others[1].parts[0].save(tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "stars.npz")["vectors"], path.vectors)
