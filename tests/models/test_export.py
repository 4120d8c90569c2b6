"""export.py: what is exported says what the run says, of every model that can be exported."""

import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from trained import quick

import export
import models
import recommend
from utils.errors import UserError
from utils.runs import run_folder

# as they are by default
UNABLE = {
    "bayesfm",
    "bias",
    "blend",
    "content",
    "glocalk",
    "itemknn",
    "popularity",
    "sparsefc",
}
ABLE = sorted(set(models.names()) - UNABLE)


def ours(folder, n=40):
    """(ratings, scores, latent vectors or None) of users whom the model does not know, one of them without ratings;
    their stars are half ones, too."""
    run, rng = run_folder.Run(folder), np.random.default_rng(0)
    stars = rng.integers(1, 11, (n, run.split.ratings.shape[1])) / 2
    stars = np.where(rng.random(stars.shape) < 0.3, stars, 0).astype(np.float32)
    stars[3] = 0
    given, model = sp.csr_array(stars), models.load(run)
    latent = model.encode(given) if model.has_latent_space else None
    return stars, model.score(given), latent


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


LONG = {"recvae", "deeprec", "cdae", "elsa", "multdae"}  # what each gives is compared in numpy in the tests of wiring


@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in ABLE),
        "ease --signed",
        "multvae --signed",
    ],
)
def test_a_saved_model_says_what_the_run_says(name, run_of, tmp_path):
    import tensorflow as tf

    name, *options = name.split()
    run = run_of(name, *quick(name), *options)
    export.main(["--to", "savedmodel", "--run", str(run), "--out", str(tmp_path / "x")])
    served = tf.saved_model.load(str(tmp_path / "x" / "1")).signatures["serving_default"]
    ratings, scores, latent = ours(run)
    found = served(ratings=tf.constant(ratings))
    agree(found["scores"].numpy(), scores)
    assert ("latent" in found) == (latent is not None)
    if latent is not None:
        agree(found["latent"].numpy(), latent)
    with open(tmp_path / "x" / "movies.csv", newline="") as file:
        movies = list(csv.DictReader(file))
    assert [int(row["movieId"]) for row in movies] == run_folder.Run(run).split.ratings.movie_ids.tolist()
    assert [row["title"] for row in movies] == list(run_folder.Run(run).movies.titles)


@pytest.mark.parametrize("name", ["joint", "multvae", "recvae", "ease"])
def test_onnx_says_what_the_run_says(name, run_of, tmp_path):
    pytest.importorskip("tf2onnx", reason="requirements-scale.txt is not installed")
    onnxruntime = pytest.importorskip("onnxruntime")
    run = run_of(name, *quick(name))
    export.main(["--to", "onnx", "--run", str(run), "--out", str(tmp_path / "x")])
    session = onnxruntime.InferenceSession(tmp_path / "x" / "model.onnx")
    ratings, scores, latent = ours(run)
    found = dict(zip([one.name for one in session.get_outputs()], session.run(None, {"ratings": ratings}), strict=True))
    agree(found["scores"], scores)
    assert ("latent" in found) == (latent is not None)
    if latent is not None:
        agree(found["latent"], latent)


@pytest.mark.parametrize("name", sorted(UNABLE - {"blend", "glocalk"}))
def test_what_is_no_function_of_ones_ratings_is_refused(name, run_of, tmp_path):
    with pytest.raises(UserError, match=f"{name} can't be exported"):
        export.main(["--to", "savedmodel", "--run", str(run_of(name, *quick(name))), "--out", str(tmp_path / "x")])
    assert list(tmp_path.iterdir()) == []


def test_nothing_but_an_earlier_export_is_replaced(run_of, tmp_path):
    command = ["--to", "savedmodel", "--run", str(run_of("ease", "--l2", "5")), "--out"]
    export.main([*command, str(tmp_path / "x")])
    export.main([*command, str(tmp_path / "x")])
    assert json.loads((tmp_path / "x" / "about.json").read_text())["model"] == "ease"
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "thesis.txt").touch()
    with pytest.raises(UserError, match="is no export"):
        export.main([*command, str(tmp_path / "y")])
    recommend.main(["--all-users", *command[2:4], "--out", str(tmp_path / "z")])
    with pytest.raises(UserError, match="is no export"):
        export.main([*command, str(tmp_path / "z")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "y", "z"]


def test_an_export_tells_which_movie_each_column_is_and_replaces_only_exports(run_of, tmp_path, monkeypatch, capsys):
    from models.networks import export as graph

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(graph, "save", lambda model, to, folder: (folder / "model.onnx").write_bytes(bytes(2_500_000)))
    run = run_folder.Run(run_of("bias"))
    run.movies.titles[0] = "=1+1"
    run.movies = replace(run.movies, rare=run.movies.take([0]))  # too few ratings for a column (--min-count)
    monkeypatch.setattr(run_folder, "find", lambda *_: run)
    for _ in range(2):
        out = export.main(["--to", "onnx"])
    assert out == tmp_path / "exports" / "bias-onnx"
    assert f"exports/bias-onnx, 2.5 MB: ratings of {len(run.movies.ids)} movies in" in capsys.readouterr().out
    table = pd.read_csv(out / "movies.csv")
    assert list(table.columns) == ["column", "movieId", "title"]
    assert table.column.tolist() == list(range(len(table)))
    assert table.movieId.tolist() == run.movies.ids.tolist()
    assert table.title.tolist() == ["'=1+1", *run.movies.titles[1:]]
    (out / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="exists and is no export"):
        export.main(["--to", "onnx"])
    other = tmp_path / "other"
    other.mkdir()
    export.check_free(other)
    (other / "about.json").write_text("{}")
    with pytest.raises(UserError, match="exists and is no export"):
        export.check_free(other)
    (other / "about.json").write_text('{"exported": "onnx"}')
    export.check_free(other)
    verified = []
    monkeypatch.setattr(run, "verify", lambda: verified.append(True), raising=False)
    export.main(["--to", "onnx", "--out", str(other)])
    assert verified
