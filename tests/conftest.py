"""Small ratings with known answers, and runs trained on them once for all tests."""

import gc
import json
import os
import shutil
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tyro import _docstrings

import recommend
import train
from utils.data.ratings import Ratings

REPOSITORY = Path(__file__).resolve().parent.parent
BUNDLED = REPOSITORY / "data" / "ml-latest-small-2016"


def real(name):
    """Folder of a MovieLens set that may not be redistributed; the test is skipped where there is none."""
    folder = Path(os.environ.get("REELSPACE_DATA", REPOSITORY.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not at {folder}")
    return folder


@contextmanager
def eagerly():
    """Train without compiling first, which takes seconds and pays off after a hundred steps; these take a handful. The
    weights are the same, which `test_models.py` makes sure of."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def answer(capsys, *arguments):
    """What recommend.py --json - prints."""
    capsys.readouterr()  # what training printed
    recommend.main([*map(str, arguments), "--json", "-"])
    return json.loads(capsys.readouterr().out)


def random_ratings(n_users=40, n_movies=30, n=500, seed=0, half_stars=True):
    """A random rating table without duplicates."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(n_users * n_movies, n, replace=False)
    stars = rng.integers(1, 11, n) / 2 if half_stars else rng.integers(1, 6, n)
    return Ratings(
        (cells // n_movies).astype(np.int32), (cells % n_movies).astype(np.int32), stars.astype(np.float32), None,
        np.arange(1, n_users + 1), np.arange(10, 10 + n_movies), (0.5, 5.0),
    )  # fmt: skip


def write_checkerboard(folder, n_users=40, n_movies=24):
    """A MovieLens folder in which even users love even movies and odd users odd ones, all but one each: the movie that
    user u of a group lacks is the answer to what to recommend, and every other movie of the other group is hated by
    half the group. Returns {user id: title of the one missing movie of the user's own kind}."""
    lines, missing = ["userId,movieId,rating,timestamp"], {}
    for u in range(n_users):
        own = [m for m in range(n_movies) if m % 2 == u % 2]
        lacks = own[u // 2 % len(own)]
        missing[u + 1] = f"Planted {lacks} (19{50 + lacks})"
        for m in range(n_movies):
            if m != lacks and (m in own or (m + u // 2) % 4 == 0):
                lines.append(f"{u + 1},{m + 1},{5.0 if m in own else 1.0},{1_000_000 + m}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    titles = [f"{m + 1},Planted {m} (19{50 + m}),Drama|Comedy" for m in range(n_movies)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *titles]) + "\n")
    return missing


GENRES = ("Action", "Comedy", "Drama", "Horror")


def write_varied(folder, n_users=43, n_movies=34, seed=0):
    """A MovieLens folder with half stars, movies of no genre to three, years (one is unknown) and times that differ,
    and users who love one genre and hate another; how much users rate and movies are rated differs, too."""
    rng = np.random.default_rng(seed)
    of = rng.random((n_movies, len(GENRES))) < 0.4
    loves, hates = rng.permuted(np.tile(np.arange(len(GENRES)), (n_users, 1)), axis=1).T[:2]
    stars = 3 + 1.5 * of[:, loves].T - 1.5 * of[:, hates].T + rng.normal(0, 0.6, (n_users, n_movies))
    stars = np.clip(np.round(2 * stars) / 2, 0.5, 5)
    rated = rng.random((n_users, n_movies)) < np.outer(rng.uniform(0.3, 1, n_users), rng.uniform(0.3, 1, n_movies))
    lines = [
        f"{user + 1},{3 * movie + 5},{stars[user, movie]},{rng.integers(1_000_000, 9_000_000)}"
        for user, movie in np.argwhere(rated)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    titles = []
    for movie, row in enumerate(of):
        names = "|".join(np.array(GENRES)[row]) or "(no genres listed)"
        year = f" ({1960 + 7 * movie % 50})" if movie else ""
        titles.append(f"{3 * movie + 5},Varied {movie}{year},{names}")
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *titles]) + "\n")


@pytest.fixture(scope="session", autouse=True)
def unpainted():
    """Pictures are put together but not painted, which takes longer than a short training. Gives what paints them."""
    from matplotlib.figure import Figure

    paint = Figure.savefig
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda figure, file, **_: Path(file).write_bytes(b"unpainted"))
        yield paint


@pytest.fixture
def painted(unpainted, monkeypatch):
    """For tests of the pictures: they are painted as in use."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", unpainted)


LONG = (
    "browser",
    "autoencoders",
    "tune",
    "likes",
    "autoencoder_wiring",
    "recommendations",
    "columns",
    "reliability",
    "scripts",
    "benchmarks",
    "joint",
    "likes_wiring",
    "models",
    "blend",
    "training",
    "workers",
    "app",
    "export",
    "precision",
    "unusual_data",
    "report",
    "movie_rows",
)


def pytest_collection_modifyitems(items):
    """The files that take longest first, so that no process is left with one of them at the end."""
    order = {f"test_{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """Modules, models and runs that are there before a file of tests are left out of what the garbage collector walks
    through, which a full collection, as after each trial of a search, takes up to a second for."""
    gc.collect()
    gc.freeze()


def pytest_collection_finish():
    """tyro reads the source of a class of options for its help each time that words are parsed; here once."""
    _docstrings._ClassTokenization.make = staticmethod(cache(_docstrings._ClassTokenization.make))


@pytest.fixture
def ratings():
    return random_ratings()


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """(folder of the checkerboard, {user: missing title})."""
    folder = tmp_path_factory.mktemp("planted")
    return folder, write_checkerboard(folder)


@pytest.fixture(scope="session")
def varied(tmp_path_factory):
    """The folder that `write_varied` writes."""
    folder = tmp_path_factory.mktemp("varied")
    write_varied(folder)
    return folder


BRIEF = ("--movie-epochs", "2", "--movie-size", "4")  # of joint's two phases of training the one less looked at


def trainer(data, tmp_path_factory):
    """A function from a model's name to the folder of a run of it on a data folder, trained once."""
    made = {}

    def get(name, *options):
        if (name, options) not in made:
            folder = tmp_path_factory.mktemp("runs") / name
            more = () if BRIEF[0] in options or name != "joint" else BRIEF
            with eagerly():
                train.main([name, "--data", str(data), "--run", str(folder), *more, *options])
            made[name, options] = folder
        return made[name, options]

    return get


@pytest.fixture(scope="session")
def run_of(planted, tmp_path_factory):
    """A function from a model's name to the folder of a run of it on the checkerboard, trained once."""
    return trainer(planted[0], tmp_path_factory)


@pytest.fixture(scope="session")
def varied_run_of(varied, tmp_path_factory):
    """The same on the data of `varied`."""
    return trainer(varied, tmp_path_factory)


BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; the test is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser ({', '.join(BROWSERS)}) is installed")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--enable-unsafe-swiftshader"])
        yield running
        running.close()
