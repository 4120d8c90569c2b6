"""The same code on JAX (KERAS_BACKEND=jax): the same steps, and models as good. Skipped where there is no JAX."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY, random_ratings

import models
from utils.runs import run_folder

pytest.importorskip("jax")
pytestmark = pytest.mark.slow  # each trains in processes of its own

STEPS = """
import sys
import numpy as np
import models
from conftest import random_ratings
from utils.training.loop import Training

name, path = sys.argv[1:]
config = models.module(name).Config
options = dict(hidden=(6,), dropout=0.0, epochs=1, batch_size=16)
matrix = random_ratings().matrix()
model = models.build(name, matrix.shape, config(**options))
build = model._build

def planted(*arguments):
    build(*arguments)
    rng = np.random.default_rng(1)
    for weight in model.network.trainable_variables:
        weight.assign(rng.normal(0, 0.1, weight.shape).astype(np.float32))

model._build = planted
model.chosen = {"epochs": 1}
model.refit(matrix, Training())
np.savez(path, *[np.asarray(weight) for weight in model.network.trainable_variables])
"""


def on(backend, *arguments, cwd=REPOSITORY):
    """Run Python with that backend."""
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    env = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", ["autorec", "multdae", "elsa", "joint"])
def test_an_epoch_on_jax_leaves_the_weights_it_leaves_on_tensorflow(name, tmp_path):
    for backend in ("tensorflow", "jax"):
        on(backend, "-c", STEPS, name, tmp_path / f"{backend}.npz")
    one, other = (np.load(tmp_path / f"{backend}.npz") for backend in ("tensorflow", "jax"))
    assert len(one.files) == len(other.files) > 0
    for key in one.files:
        np.testing.assert_allclose(one[key], other[key], atol=2e-4)  # Adam divides by the roots of tiny squares


@pytest.mark.parametrize(
    ("words", "figure", "apart"),
    [
        ("autorec --epochs 10", "val_rmse", 0.005),
        ("autorec --optimizer lbfgs --dropout 0 --hidden 20 --epochs 4", "val_rmse", 0.005),
        ("multvae --hidden 100 --epochs 20", "val_ndcg", 0.02),
        ("recvae --hidden 100,50 --epochs 8", "val_ndcg", 0.02),
    ],
)
def test_a_model_trained_on_jax_is_as_good_and_serves_on_tensorflow(words, figure, apart, tmp_path):
    found = {}
    for backend in ("tensorflow", "jax"):
        folder = tmp_path / backend
        on(backend, "train.py", *words.split(), "--no-refit", "--run", folder)
        with open(folder / "history.csv", newline="", encoding="utf-8") as file:
            found[backend] = [float(line[figure]) for line in csv.DictReader(file)]
        assert run_folder.Run(folder).config["versions"]["backend"] == backend
    best = {backend: (min if figure == "val_rmse" else max)(values) for backend, values in found.items()}
    assert abs(best["jax"] - best["tensorflow"]) < apart, best
    said = on("tensorflow", "recommend.py", "--user", "42", "--run", tmp_path / "jax")
    assert "For user 42" in said
    model = models.load(run_folder.Run(tmp_path / "jax"))
    assert np.isfinite(model.score(random_ratings(1, model.shape[1], 20).matrix())).all()


def test_what_only_tensorflow_can_is_refused_with_a_sentence(tmp_path):
    env = os.environ | {"KERAS_BACKEND": "jax"}
    for words in ("train.py multdae --sample 100", "train.py multdae --workers 2", "export.py --to onnx"):
        command = [sys.executable, *words.split(), "--run", str(tmp_path / "one")]
        done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True)
        assert done.returncode == 2
        assert "TensorFlow" in done.stderr.strip().splitlines()[-1]
