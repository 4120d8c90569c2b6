"""What every model keeps, found by file name, and what each one claims for itself."""

import inspect
import json
from dataclasses import asdict
from types import SimpleNamespace
from typing import get_args, get_type_hints

import keras
import numpy as np
import pytest
import scipy.sparse as sp
from trained import TABLE, train_on, trained

import models
from utils.data.datasets import Dataset
from utils.data.movies import Movies
from utils.errors import UserError
from utils.runs import run_folder
from utils.scoring import biases, latent
from utils.scoring.ranking import hide_seen, top_k
from utils.training import batches, search_space
from utils.training.training import Training

VARIANTS = [(name, {}) for name in models.names()] + [("autorec", {"rows": "movies"}), ("autorec", {"hidden": (12, 5)})]


def test_the_choices_of_an_option_are_those_that_the_code_has():
    from models.networks.layers import Activation

    assert get_args(Activation) == tuple(latent.ACTIVATIONS)
    for name, option in (("multdae", "loss"), ("joint", "likes_loss")):
        module = models.module(name)
        assert get_args(get_type_hints(module.Config)[option]) == tuple(module.LOSSES), name


DAMPED = {"user_damping": 5.0, "movie_damping": 4.0}
STARS = DAMPED | {
    "rows": "users", "hidden": (128,), "activation": "tanh", "baseline": True, "implicit": True, "normalise": True,
    "dropout": 0.2, "target": "all", "l2": 0.06, "side": (), "side_weight": 0.3, "optimizer": "adam", "iterations": 10,
    "learning_rate": 0.001, "decay": 1.0, "precision": "float32", "batch_size": None, "epochs": 200, "patience": 8,
    "sample": None, "average": 0.0,
}  # fmt: skip
KERNELS = STARS | {
    "rows": "movies", "hidden": (500,), "dropout": 0.16, "l2": 0.017, "learning_rate": 0.0015, "decay": 0.95,
    "batch_size": 256, "dimensions": 5, "sparsity": 2.5e-7,
}  # fmt: skip
LIKES = {
    "hidden": (200,), "activation": "tanh", "dropout": 0.5, "signed": False, "l2": 1e-5, "learning_rate": 0.001,
    "batch_size": None, "epochs": 200, "patience": 20, "precision": "float32", "sample": None, "score_share": 1.0,
    "average": 0.0,
}  # fmt: skip
DEFAULTS = {  # those that the results of the documentation were measured with
    "autorec": STARS,
    "bayesfm": {
        "rank": 10, "samples": 300, "burn_in": 5, "implicit": True, "ordinal": False, "dates": False, "side": (),
    },
    "bias": DAMPED,
    "blend": {
        "parts": "joint,sparsefc,bayesfm,ease --l2 200 --dropout 0.5", "folds": 10, "rounds": 1, "weigh": "ridge",
        "by_count": True, "signed": False,
    },
    "cdae": LIKES,
    "content": DAMPED | {"l2": 10.0, "movie_l2": 30.0, "tags": True},
    "deeprec": STARS | {
        "hidden": (512, 512, 1024), "activation": "selu", "learning_rate": 0.0001, "last_activation": "linear",
        "code_dropout": 0.5, "refeed": 1,
    },
    "ease": {"l2": 80.0, "dropout": 0.52, "signed": False, "relax": 0.4, "user_norm": 0.0, "movie_norm": 0.1},
    "elsa": {
        "hidden": (256,), "dropout": 0.0, "relu": False, "signed": False, "learning_rate": 0.1, "batch_size": 500,
        "epochs": 200, "patience": 20, "sample": None, "average": 0.0,
    },
    "glocalk": KERNELS | {"global_epochs": 50, "global_rate": 0.0003},
    "itemknn": DAMPED | {"neighbours": 100, "shrink": 20.0},
    "joint": STARS | {
        "hidden": (200,), "dropout": 0.3, "weight": 0.3, "likes_loss": "multinomial", "likes_l2": 0.0, "linear": True,
        "linear_l2": 200.0, "linear_dropout": 0.5, "linear_relax": 0.4, "linear_movie_norm": 0.1, "signed": False,
        "movie_rows": True, "movie_size": 128, "movie_landmarks": 256, "movie_epochs": 25, "movie_l2": 0.02,
        "movie_batch_size": 256, "movie_side": ("genres", "year"), "learning_rate": None, "average": None,
        "batch_size": None, "patience": 6,
    },
    "multdae": LIKES | {"loss": "multinomial"},
    "multvae": LIKES | {
        "hidden": (100,), "dropout": 0.32, "l2": 0.0, "learning_rate": 0.0019, "beta": 0.04, "anneal": 13000,
    },
    "popularity": {},
    "recvae": LIKES | {
        "hidden": (600, 200), "l2": 0.0, "learning_rate": 0.0005, "gamma": 0.005, "encoder_epochs": 3,
        "linear": False, "linear_l2": 200.0,
    },
    "sparsefc": KERNELS,
}  # fmt: skip


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_defaults_are_those_that_were_measured(name):
    assert asdict(models.module(name).Config()) == DEFAULTS[name]


OF_STARS = "hidden activation dropout target l2 learning_rate decay batch_size"
SEARCHED = {
    "autorec": OF_STARS,
    "bayesfm": "rank implicit ordinal",
    "bias": "user_damping movie_damping",
    "blend": "",
    "cdae": "hidden activation dropout l2 learning_rate batch_size",
    "content": "l2 movie_l2 user_damping movie_damping",
    "deeprec": f"{OF_STARS} code_dropout refeed",
    "ease": "l2 dropout relax user_norm movie_norm",
    "elsa": "hidden dropout learning_rate batch_size",
    "glocalk": f"{OF_STARS} sparsity global_rate",
    "itemknn": "neighbours shrink user_damping movie_damping",
    "joint": f"{OF_STARS} weight likes_l2 linear_l2 linear_dropout linear_relax linear_movie_norm"
    " movie_size movie_l2 movie_batch_size",
    "multdae": "hidden activation dropout l2 learning_rate batch_size",
    "multvae": "hidden activation dropout learning_rate batch_size beta anneal",
    "popularity": "",
    "recvae": "hidden dropout learning_rate batch_size gamma encoder_epochs",
    "sparsefc": f"{OF_STARS} sparsity",
}


@pytest.mark.parametrize("name", SEARCHED)
def test_these_options_are_searched_and_no_others(name):
    assert set(search_space.spaces(models.module(name).Config)) == set(SEARCHED[name].split())


@pytest.fixture(params=VARIANTS, ids=lambda v: "-".join([v[0], *map(str, v[1].values())]))
def model_and_split(request):
    name, options = request.param
    return trained(name, **options)


def test_scores_are_finite_float32_for_every_movie(model_and_split):
    model, split = model_and_split
    scores = model.score(split.train)
    assert scores.shape == TABLE.shape
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_scores_do_not_depend_on_the_batch(model_and_split):
    model, split = model_and_split
    users = np.array([3, 17, 4])
    np.testing.assert_allclose(
        model.score(split.train[users], users), model.score(split.train, np.arange(30))[users], atol=1e-5
    )


def test_predictions_are_the_same_alone_and_together(model_and_split):
    model, split = model_and_split
    if not model.predicts_ratings:
        pytest.skip("predicts no ratings")
    users, movies = np.array([5, 2, 5, 29]), np.array([0, 24, 3, 7])
    together = model.predict(split.train, users, movies)
    alone = [model.predict(split.train, users[[i]], movies[[i]])[0] for i in range(4)]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_user_without_ratings_is_served(model_and_split):
    model, _ = model_and_split
    if model.takes_new_users:
        assert np.isfinite(model.score(sp.csr_array((1, TABLE.shape[1]), dtype=np.float32))).all()


def test_a_saved_model_scores_the_same(model_and_split, tmp_path):
    model, split = model_and_split
    facts = {"model": type(model).__module__.removeprefix("models."), "options": asdict(model.config), "seed": 0}
    data = Dataset("table", TABLE, Movies.untitled(TABLE.movie_ids))
    run_folder.save(tmp_path / "run", model, split, data, facts, model.history, {})
    again = models.load(run_folder.Run(tmp_path / "run"))
    np.testing.assert_array_equal(again.score(split.train), model.score(split.train))
    if model.predicts_ratings:
        pairs = np.arange(25), np.arange(25)[::-1]
        np.testing.assert_array_equal(again.predict(split.train, *pairs), model.predict(split.train, *pairs))


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_the_same_seed_gives_the_same_model(name, options):
    model, split = trained(name, **options)
    again, _ = train_on(TABLE, name, **options)
    np.testing.assert_array_equal(again.score(split.train), model.score(split.train))


NETWORKS = [name for name in models.names() if "epochs" in models.module(name).Config.__dataclass_fields__]


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_orders_columns_and_noise_are_all_drawn_by_the_seed(name, monkeypatch):
    from models.networks import likes_autoencoder, rating_autoencoder

    drawn = {}

    def noted(where, name):
        function = getattr(where, name)
        parameters = inspect.signature(function)

        def call(*of, **named):
            drawn.setdefault(name, set()).add(parameters.bind(*of, **named).arguments["seed"])
            return function(*of, **named)

        monkeypatch.setattr(where, name, call)

    noted(keras.utils, "set_random_seed")
    for function in ("sampler", "denoising", "rows"):
        noted(batches, function)
    for where in (likes_autoencoder, rating_autoencoder):
        monkeypatch.setattr(where, "train", lambda *_, **__: [])
    options = {"hidden": (8, 4) if name == "recvae" else (8,), "movie_rows": False, "global_epochs": 0}
    known = models.module(name).Config.__dataclass_fields__
    config = models.module(name).Config(**{key: value for key, value in options.items() if key in known})
    model = models.build(name, TABLE.shape, config, seed=5)
    model.refit(TABLE.matrix(), Training())
    assert drawn.pop("set_random_seed") == {5}
    assert set(drawn) >= {"rows"} or set(drawn) >= {"denoising"}
    assert all(seeds == {5} for seeds in drawn.values())
    seeds = {layer.seed for layer in model.network._flatten_layers() if getattr(layer, "seed", None) is not None}
    assert seeds == (set() if name in ("autorec", "glocalk", "joint", "sparsefc") else {5})  # of layers that draw


@pytest.mark.parametrize("name", ["deeprec", "joint"])
def test_a_training_that_is_compiled_first_ends_with_the_same_weights(name):
    """Most tests train as `conftest.eagerly` says; what is trained in use is compiled."""
    model, split = trained(name)
    compiled, _ = train_on(TABLE, name, compiled=True)
    np.testing.assert_allclose(compiled.score(split.train), model.score(split.train), atol=1e-5)


@pytest.mark.parametrize("name", ["itemknn", "ease"])
def test_the_one_missing_movie_of_ones_kind_comes_first(name):
    kind = np.indices((40, 24)).sum(axis=0) % 2 == 0
    stars = np.where(kind, 5.0, 0).astype(np.float32)
    lacks = np.array([np.flatnonzero(kind[u])[u // 2 % 12] for u in range(40)])
    stars[np.arange(40), lacks] = 0
    model = models.build(name, stars.shape)
    matrix = sp.csr_array(stars)
    model.refit(matrix)
    assert top_k(hide_seen(model.score(matrix), matrix), 1)[:, 0].tolist() == lacks.tolist()


def test_popularity_counts_likes():
    model, split = trained("popularity")
    expected = [sum(r > 3.5 for r in split.train[:, [m]].data) for m in range(TABLE.shape[1])]
    assert model.score(split.train[[0]])[0].tolist() == expected


def test_the_bias_model_predicts_mean_and_deviations():
    model, split = trained("bias")
    fitted = biases.fit(split.train, 5.0, 4.0)
    expected = fitted.mean + fitted.user[[1, 2]] + fitted.movie[[3, 4]]
    np.testing.assert_allclose(model.predict(split.train, np.array([1, 2]), np.array([3, 4])), expected, atol=1e-5)


def test_itemknn_agrees_with_literal_loops():
    model, split = trained("itemknn", neighbours=3, shrink=2.0)
    stars = split.train.toarray()
    liked = stars > 3.5
    n = stars.shape[1]

    def like_similarity(i, j):
        common = (liked[:, i] & liked[:, j]).sum()
        return common / max(np.sqrt(liked[:, i].sum() * liked[:, j].sum()) + 2.0, 1)

    fitted = biases.fit(split.train, 5.0, 4.0)
    residual = np.where(stars > 0, stars - fitted.mean - fitted.user[:, None] - fitted.movie, 0)

    def star_similarity(i, j):
        common = ((stars[:, i] > 0) & (stars[:, j] > 0)).sum()
        norms = np.sqrt((residual[:, i] ** 2).sum() * (residual[:, j] ** 2).sum())
        return residual[:, i] @ residual[:, j] / max(norms, 1e-9) * common / max(common + 2.0, 1)

    for movie in (0, 11):
        others = [j for j in range(n) if j != movie]
        kept = sorted(others, key=lambda j: (-like_similarity(movie, j), j))[:3]
        expected = [sum(like_similarity(movie, j) for j in kept if liked[u, j]) for u in range(len(stars))]
        np.testing.assert_allclose(model.score(split.train)[:, movie], expected, atol=1e-5)

        kept = sorted(others, key=lambda j: (-abs(star_similarity(movie, j)), j))[:3]
        for user in (0, 9, 20):
            weight = sum(abs(star_similarity(movie, j)) for j in kept if stars[user, j])
            total = sum(star_similarity(movie, j) * residual[user, j] for j in kept)
            expected = fitted.mean + fitted.user[user] + fitted.movie[movie] + total / max(weight, 1e-9)
            found = model.predict(split.train, np.array([user]), np.array([movie]))[0]
            assert found == pytest.approx(expected, abs=1e-4)


def test_an_unknown_model_is_answered_with_the_nearest_name():
    with pytest.raises(UserError, match="did you mean autorec"):
        models.module("autorek")


@pytest.mark.parametrize("like", [None, 0.0, 8.5])
def test_a_model_is_restored_as_config_json_describes_it(like):
    config = models.module("itemknn").Config(neighbours=7)
    model = models.build("itemknn", (4, 5), config, 3, (1.0, 10.0), like)
    again = models.restore(json.loads(json.dumps(model.facts())))
    assert (again.name, again.config, again.shape, again.seed) == ("itemknn", config, (4, 5), 3)
    assert (again.scale, again.like, again.star) == ((1.0, 10.0), 7.0 if like is None else like, 2.0)


def test_a_run_with_options_that_are_not_known_any_more_is_refused_by_their_names():
    about = {"model": "bias", "options": {"user_damping": 5.0, "older": 1, "oldest": 2}}
    with pytest.raises(
        UserError, match=r"f: saved with options this version does not know: \['older', 'oldest'\]; train"
    ):
        models.load(SimpleNamespace(config=about, folder="f"))


@pytest.mark.parametrize(
    ("name", "options", "able"),
    [
        ("bias", {}, (True, True)),
        ("bayesfm", {}, (True, False)),
        ("itemknn", {}, (True, True)),
        ("multdae", {}, (False, True)),
        ("autorec", {"rows": "movies"}, (True, False)),
        ("autorec", {"rows": "users"}, (True, True)),
    ],
)
def test_stars_of_strangers_take_a_model_that_predicts_and_takes_new_users(name, options, able):
    model = models.build(name, (5, 4), models.module(name).Config(**options))
    assert (model.predicts_ratings, model.takes_new_users) == able
    assert model.predicts_strangers == all(able)


def test_a_model_for_data_gets_what_the_data_tell_beside_ratings():
    n = TABLE.shape[1]
    movies = Movies(
        TABLE.movie_ids,
        [f"Alien {i % 3}" for i in range(n)],
        [1979] * n,
        [["Horror", "War"][: i % 3] for i in range(n)],
    )
    config = models.module("content").Config()
    model = models.for_data("content", config, Dataset("small", TABLE, movies), 7)
    assert model.terms.shape[0] == n
    assert model.terms.shape[1] >= 3  # two genres and a word at least
    assert (model.config, model.seed, model.shape) == (config, 7, TABLE.shape)
    assert (model.scale, model.like) == (TABLE.scale, TABLE.like)
