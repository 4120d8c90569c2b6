"""Several workers: what they learn is what one process learns, whatever happens to one of them."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import BUNDLED, eagerly, random_ratings, real, write_checkerboard

import evaluate
import models
import recommend
import train
from utils.data import datasets, splits
from utils.data.ratings import likes
from utils.distributed import shards, training_workers
from utils.errors import UserError
from utils.recommend import everyone
from utils.runs import run_folder
from utils.scoring import ease_solver
from utils.training import checkpoint
from utils.training.training import Training

SMALL = ("multvae", "--hidden", "16,8", "--epochs", "6", "--batch-size", "20")


@pytest.fixture(scope="session")
def board(tmp_path_factory):
    """A checkerboard with more users than movies."""
    folder = tmp_path_factory.mktemp("board") / "board"
    write_checkerboard(folder, 120, 60)
    return folder


@pytest.fixture(scope="session")
def nodes():
    """The address of a Ray cluster of two nodes."""
    pytest.importorskip("ray", reason="requirements-scale.txt is not installed")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def inline(monkeypatch):
    """A Ray that runs everything at once in this process."""
    ray = ModuleType("ray")
    ray.__spec__ = ModuleSpec("ray", None)
    ray.remote = lambda function: SimpleNamespace(remote=function)
    ray.get = ray.put = lambda value: value
    ray.init = lambda address, **_: None
    ray.shutdown = lambda: None
    ray.cluster_resources = lambda: {"CPU": 2.0}
    ray.exceptions = SimpleNamespace(RayTaskError=RuntimeError, RayError=RuntimeError)
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


def weights(folder):
    """{name: array} of encoder and decoder of a run, or of a closed form."""
    run = run_folder.Run(folder)
    arrays = run.arrays("weights.npz") if run.has_file("weights.npz") else run.arrays("encoder.npz")
    if run.has_file("latent.npz"):
        arrays |= {f"decoder {name}": values for name, values in run.arrays("latent.npz").items() if name[-1].isdigit()}
    return {name: values for name, values in arrays.items() if values.dtype.kind == "f"}


def test_shards_hold_each_rating_once_and_a_worker_its_own_users(ratings, tmp_path):
    split = splits.split(ratings, "random", splits.Options())
    shards.write(tmp_path / "s", split, 5)
    workers = [shards.read_own(tmp_path / "s", rank, 2)[0] for rank in range(2)]
    seen = [set(one.ratings.user.tolist()) for one in workers]
    assert not seen[0] & seen[1]
    for name in ("train", "refit"):
        whole = sum(getattr(one, name) for one in workers)
        assert abs(whole - getattr(split, name)).nnz == 0
    assert [one.part.tolist().count(splits.Subset.TEST) for one in workers] != [0, 0]


def test_a_shard_that_can_not_be_read_is_named(ratings, tmp_path):
    split = splits.split(ratings, "random", splits.Options())
    shards.write(tmp_path / "s", split, 3)
    (tmp_path / "s" / "shard=1" / "0.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"shard=1/0\.parquet: this shard can't be read"):
        shards.read_own(tmp_path / "s", 0, 1)
    shutil.rmtree(tmp_path / "s" / "shard=1")
    with pytest.raises(UserError, match="shard=1 is missing"):
        shards.read_own(tmp_path / "s", 0, 1)


def test_gram_matrices_of_shards_add_up_to_the_whole(ratings, tmp_path):
    split = splits.split(ratings, "random", splits.Options())
    shards.write(tmp_path / "s", split, 3)
    parts = [shards.read_own(tmp_path / "s", k, 1 << 30)[0].train for k in range(3)]
    gram = sum(ease_solver.gram(likes(part), np.float32) for part in parts)
    x = likes(split.train).toarray()
    np.testing.assert_array_equal(np.triu(gram), np.triu(x.T @ x))


def test_models_that_one_process_trains_refuse_workers(inline, board, tmp_path):
    with pytest.raises(UserError, match="bias is trained by one process only"):
        train.main(["bias", "--workers", "2", "--data", str(board), "--run", str(tmp_path / "r")])


def listed(folder):
    """{user: movies in their order} of all parts in a folder."""
    table = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
    return table.groupby("userId").movieId.agg(list).to_dict()


def test_parts_are_what_one_file_has_and_only_missing_ones_are_written(run_of, tmp_path, capsys, monkeypatch):
    run, out = ["--run", str(run_of("itemknn"))], tmp_path / "out"
    monkeypatch.setattr(everyone, "PART", 7)
    recommend.main(["--all-users", *run, "--parquet", str(tmp_path / "one.parquet"), "-n", "4"])
    recommend.main(["--all-users", *run, "--out", str(out), "-n", "4"])
    assert listed(out) == listed(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(out), pd.read_parquet(tmp_path / "one.parquet"))  # as one table
    names = ["_recommendations.json", *(f"part-{k:05d}.parquet" for k in range(6))]
    assert sorted(path.name for path in out.iterdir()) == names
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    (out / "part-00002.parquet").unlink()
    (out / ".part-00002.parquet.1.part").write_bytes(b"what a kill left")
    recommend.main(["--all-users", *run, "--out", str(out), "-n", "4"])
    assert "6 parts, of which 5 were there" in " ".join(capsys.readouterr().out.split())
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert [name for name in before if after[name] != before[name]] == ["part-00002.parquet"]
    assert len(after) == 7
    assert listed(out) == listed(tmp_path)
    with pytest.raises(UserError, match="something else than these recommendations"):
        recommend.main(["--all-users", *run, "--out", str(out), "-n", "5"])
    with pytest.raises(UserError, match="something else than these recommendations"):
        recommend.main(["--all-users", *run, "--out", str(tmp_path)])


@eagerly()
@pytest.mark.parametrize("sample", [None, 7])
def test_one_worker_trains_what_no_worker_does(sample, board, tmp_path, monkeypatch):
    """The step that several workers take, by one of them in this process."""
    split = train.read(train.parse(["multvae", "--data", str(board)])[1])[1]
    shards.write(tmp_path / "s", split, 3)
    options = {"hidden": (8, 4), "epochs": 3, "batch_size": 20, "l2": 0.01, "sample": sample}
    config = models.module("multvae").Config(**options)
    one = models.build("multvae", split.ratings.shape, config)
    one.fit(split.train, split.validation, Training())
    context = SimpleNamespace(get_world_rank=lambda: 0, get_world_size=lambda: 1)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(train=SimpleNamespace(get_context=lambda: context)))
    monkeypatch.setitem(sys.modules, "ray.train", sys.modules["ray"].train)
    about = {"model": "multvae", "options": asdict(config), "seed": 0}
    job = {"restore": models.restore, "about": about, "refit": True, "signature": "", "checkpoint_every": 30.0}
    job |= {"shards": str(tmp_path / "s"), "checkpoints": str(tmp_path / "c")}
    training_workers.work(job)
    two = models.build("multvae", split.ratings.shape, config)
    history = two.fit(split.train, split.validation, Training(checkpoints=tmp_path / "c"))
    assert [row["epoch"] for row in history] == [1, 2, 3]
    for refitted in (False, True):
        if refitted:
            one.refit(split.refit, Training())
            two.refit(split.refit, Training(checkpoints=tmp_path / "c"))  # what the worker has left
        for expected, learned in zip(one.network.get_weights(), two.network.get_weights(), strict=True):
            np.testing.assert_allclose(learned, expected, atol=1e-5)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["progress.json", "refit.npz", "train.npz"]
    (tmp_path / "s" / "shard=1" / "0.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"shard=1/0\.parquet: this shard can't be read"):
        training_workers.work(job)
    assert "shard=1" in (tmp_path / "s" / "failed").read_text()
    training_workers.work(job)  # started again, it does nothing: it would fail again


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_has_its_own_users_and_the_candidates_of_all(rank, tmp_path, monkeypatch):
    table = replace(random_ratings(60, 30, 500), threshold=2.5)
    split = splits.split(table, "strong", splits.Options(held_out=8))
    shards.write(tmp_path / "s", split, 4)
    asked, restored = [], []
    model = SimpleNamespace(fit=lambda *of: asked.append(of), refit=lambda *of: asked.append(of))
    context = SimpleNamespace(get_world_rank=lambda: rank, get_world_size=lambda: 2)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(train=SimpleNamespace(get_context=lambda: context)))
    monkeypatch.setitem(sys.modules, "ray.train", sys.modules["ray"].train)
    monkeypatch.setattr(training_workers, "Worker", lambda *of: of)
    job = {"restore": lambda about: restored.append(about) or model, "about": {"model": "multdae", "seed": 3}}
    job |= {"signature": "of all", "checkpoint_every": 7.0, "refit": True}
    training_workers.work(job | {"shards": str(tmp_path / "s"), "checkpoints": str(tmp_path / "c")})
    assert restored == [{"model": "multdae", "seed": 3, "shape": (60, 30), "scale": (0.5, 5.0), "like": 2.5}]
    (train_matrix, validation, training), (matrix, again) = asked
    own = np.arange(60) % 2 == rank  # shards 0 and 2, or 1 and 3
    for found, whole in (
        (train_matrix, split.train),
        (validation.given, split.validation.given),
        (validation.hidden, split.validation.hidden),
        (matrix, split.refit),
    ):
        np.testing.assert_array_equal(found.toarray(), whole.toarray() * own[:, None])
    np.testing.assert_array_equal(validation.candidates, split.candidates)
    assert (shards.read_own(tmp_path / "s", rank, 2)[0].candidates != split.candidates).any()
    assert validation.like == 2.5
    assert (training.checkpoints, training.checkpoint_every) == (tmp_path / "c", 7.0)
    assert (training.signature, training.worker, again) == ("of all", (rank, 2), training)


def test_ease_of_summed_gram_matrices_is_ease(board, inline, tmp_path):
    command = ["ease", "--l2", "5", "--data", str(board), "--run"]
    train.main([*command, str(tmp_path / "one")])
    train.main([*command, str(tmp_path / "two"), "--workers", "2"])
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-6, err_msg=name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_workers_write_the_parts_of_one_process(inline, run_of, tmp_path, monkeypatch):
    monkeypatch.setattr(everyone, "PART", 7)
    run = ["--all-users", "--run", str(run_of("itemknn"))]
    recommend.main([*run, "--parquet", str(tmp_path / "one.parquet")])
    recommend.main([*run, "--out", str(tmp_path / "out"), "--workers", "2"])
    assert listed(tmp_path / "out") == listed(tmp_path)


def test_where_no_cluster_answers_it_is_said(inline, board, tmp_path):
    command = ["ease", "--data", str(board), "--run", str(tmp_path / "r"), "--workers"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    for address, message in ((nobody, "no Ray cluster answers at 127"), ("there", "--ray takes HOST:PORT")):
        with pytest.raises(UserError, match=message):
            train.main([*command, "2", "--ray", address])
    with pytest.raises(UserError, match="9 workers need a processor each, and Ray has 2 here"):
        train.main([*command, "9"])
    assert list(tmp_path.iterdir()) == []


def test_shards_of_a_log_are_data(ratings, tmp_path):
    for k in range(2):
        part = ratings.only(ratings.user % 2 == k)
        columns = {"user": part.user, "movie": part.movie, "rating": part.rating}
        (tmp_path / "s" / f"shard={k}").mkdir(parents=True)
        pq.write_table(pa.table(columns), tmp_path / "s" / f"shard={k}" / "a.parquet")
    np.savez(tmp_path / "s" / "ids.npz", users=ratings.user_ids, movies=ratings.movie_ids)
    about = {"files": 2, "shape": ratings.shape, "ratings": len(ratings)}
    (tmp_path / "s" / "shards.json").write_text(json.dumps(about))
    assert datasets.load(tmp_path / "s").ratings.fingerprint() == ratings.fingerprint()
    assert shards.read_table(tmp_path / "s").where(0) == f"{tmp_path}/s: the rating numbered 1 by user and movie"
    names = np.array([f"user {i:03d}" for i in range(ratings.shape[0])])
    np.savez(tmp_path / "s" / "ids.npz", users=names, movies=ratings.movie_ids)
    named = datasets.load(tmp_path / "s").ratings
    np.testing.assert_array_equal(named.user_ids, names)
    np.testing.assert_array_equal(named.movie_ids, ratings.movie_ids)  # numbers all the same
    shutil.rmtree(tmp_path / "s" / "shard=1")
    with pytest.raises(UserError, match=rf" ratings of {len(ratings)} are there; make the shards again"):
        datasets.load(tmp_path / "s")
    (tmp_path / "s" / "shards.json").write_text(json.dumps(about | {"ratings": 1}))
    with pytest.raises(UserError, match="make the shards again"):
        datasets.load(tmp_path / "s")


def test_what_a_block_of_a_log_may_hold():
    columns = {"userId": "user", "movieId": "item", "rating": "stars", "timestamp": "at"}
    good = {"user": [3, 1], "item": ["b", "a"], "stars": ["5", "4.5"], "at": ["9", "8"], "path": ["f.csv"] * 2}
    checked = shards._checked(pa.table(good), columns)
    assert checked.to_pydict() == {"userId": [3, 1], "movieId": ["b", "a"], "rating": [5.0, 4.5], "timestamp": [9, 8]}
    assert checked["rating"].type == pa.float32()
    for wrong, message in (
        ({"stars": [5.0, None]}, "f.csv: the rating is empty"),
        ({"stars": ["5", "x"]}, "f.csv: the rating is no number.*'x'"),
        ({"stars": ["5", ""]}, "f.csv: the rating is no number"),
        ({"stars": [5.0, np.inf]}, "f.csv: the rating is inf"),
        ({"user": [1.5, 2.0]}, "f.csv: the column user holds double"),
        ({"item": ["b", ""]}, "f.csv: the movieId is empty"),
        ({"at": ["9", "soon"]}, "f.csv: the timestamp is no number.*'soon'"),
    ):
        with pytest.raises(UserError, match=message):
            shards._checked(pa.table(good | wrong), columns)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["10", "9", "-1"], [-1, 9, 10]),
        (["1", "10", "100", "2", "3"], [1, 2, 3, 10, 100]),
        (["7", "007"], ["007", "7"]),
        ([4, 2], [2, 4]),
    ],
)
def test_ids_of_a_log_are_numbers_where_all_are(ids, expected, inline):
    numbered, keys, index = shards._numbered(sorted(ids))
    assert numbered.tolist() == expected
    block = {"userId": np.array(ids, object), "movieId": np.array(ids, object), "rating": np.ones(len(ids))}
    indexed = shards._indexed(block, [(keys, index)] * 2, 2)
    assert numbered[indexed["user"]].tolist() == [type(expected[0])(id_) for id_ in ids]
    assert indexed["shard"].tolist() == (indexed["user"] % 2).tolist()


@pytest.mark.slow
def test_two_workers_recommend_what_one_process_does(nodes, run_of, tmp_path, monkeypatch):
    monkeypatch.setattr(everyone, "PART", 7)
    run = ["--all-users", "--run", str(run_of("itemknn"))]
    recommend.main([*run, "--parquet", str(tmp_path / "one.parquet")])
    recommend.main([*run, "--out", str(tmp_path / "out"), "--workers", "2", "--ray", nodes])
    assert listed(tmp_path / "out") == listed(tmp_path)


ELSA, PENALISED = ("elsa", "--hidden", "8", *SMALL[3:]), ("multdae", *SMALL[1:], "--l2", "0.01")
MODELS = (SMALL, ELSA, PENALISED, ("ease", "--l2", "5"))
SHARED = [(protocol, command) for command in MODELS for protocol in ("random", "strong")]
SHARED += [("strong", (*ELSA, "--sample", "7")), ("random", (*PENALISED, "--signed", "--sample", "7"))]


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "command"), SHARED, ids=lambda c: c if isinstance(c, str) else f"{c[0]} {c[-2]}")
def test_two_workers_learn_what_one_process_learns(protocol, command, board, nodes, tmp_path):
    more = ["--data", str(board), "--protocol", protocol]
    train.main([*command, *more, "--run", str(tmp_path / "one")])
    train.main([*command, *more, "--run", str(tmp_path / "two"), "--workers", "2", "--ray", nodes])
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert one
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-5, err_msg=name)
    metrics = [run_folder.Run(tmp_path / name).json("metrics.json") for name in ("one", "two")]
    assert metrics[0]["best"] == metrics[1]["best"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_there_is_a_bar_for_each_phase_of_what_workers_have_written(tmp_path, monkeypatch):
    train = [{"epoch": 1, "loss": 2.0, "val_ndcg": 0.25, "seconds": 9.0}, {"epoch": 2, "loss": 1.0, "val_ndcg": 0.5}]
    refit = [{"epoch": 1, "loss": 0.5, "seconds": 3.0}, {"epoch": 2, "loss": 0.25, "seconds": 3.0}]
    done, shown, alive = threading.Event(), [], []
    meanwhile = [
        lambda: None,  # no epoch is over
        lambda: checkpoint._write_progress(tmp_path / "train.npz", "train", 6, train[:1]),
        lambda: (tmp_path / "progress.json").write_text("{"),  # cut short
        lambda: (
            checkpoint._write_progress(tmp_path / "train.npz", "train", 6, train),
            checkpoint._write_progress(tmp_path / "refit.npz", "refit", 2, refit[:1]),
        ),
        lambda: (checkpoint._write_progress(tmp_path / "refit.npz", "refit", 2, refit), done.set()),
    ]

    @contextlib.contextmanager
    def bar(training, name, total):
        assert not alive  # Rich draws one at a time
        alive.append(name)
        shown.append((name, total))
        yield lambda completed, facts: shown.append((name, completed, facts)) if name in alive else None
        alive.remove(name)

    monkeypatch.setattr(training_workers, "bar", bar)
    fitted = SimpleNamespace(ready=done.is_set, wait=lambda _: meanwhile.pop(0)())
    training_workers._show(fitted, Training(checkpoints=tmp_path), 6)
    assert shown == [
        ("train", 6),
        ("train", 1, "epoch 1/6  loss 2.0000  val_ndcg 0.2500"),
        ("train", 2, "epoch 2/6  loss 1.0000  val_ndcg 0.5000"),
        ("refit", 2),
        ("refit", 1, "epoch 1/2  loss 0.5000"),
        ("refit", 2, "epoch 2/2  loss 0.2500"),
    ]
    assert not alive
    assert not meanwhile


def test_the_first_worker_writes_how_far_each_phase_is(ratings, tmp_path):
    split = splits.split(ratings, "random", splits.Options())
    config = models.module("autorec").Config(hidden=(4,), epochs=2, batch_size=40)
    for first in (False, True):
        model = models.build("autorec", ratings.shape, config)
        training = Training(checkpoints=tmp_path / "c", worker=SimpleNamespace(first=first))
        with eagerly():
            history = model.fit(split.train, split.validation, training)
            again = model.refit(split.refit, training)
        assert checkpoint.progress(tmp_path / "c") == (
            {"train": {"epochs": 2, "history": history}, "refit": {"epochs": len(again), "history": again}}
            if first
            else {}
        )


def kill(rank, checkpoints, epochs):
    """Kill a worker of the training that writes into this folder once it has gone through so many epochs."""
    while True:
        time.sleep(0.05)
        with contextlib.suppress(KeyError):
            if len(checkpoint.progress(checkpoints)["train"]["history"]) >= epochs:
                break
    workers = subprocess.run(["pgrep", "-f", "ray::RayTrainWorker"], capture_output=True, text=True).stdout.split()
    os.kill([int(process) for process in workers if descends(process)][rank], signal.SIGKILL)


def descends(process):
    """Whether a process was started by this one, however many were between."""
    while process not in ("0", str(os.getpid())):
        process = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]
    return process != "0"


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, -1])
def test_a_training_goes_on_when_a_worker_dies(rank, board, nodes, tmp_path):
    command = ["multvae", "--hidden", "16,8", "--epochs", "120", "--patience", "120", "--batch-size", "4"]
    command += ["--data", str(board)]
    train.main([*command, "--run", str(tmp_path / "whole")])
    trained_though_killed([*command, "--workers", "2", "--ray", nodes], tmp_path / "run", rank, 20)
    whole, one = weights(tmp_path / "whole"), weights(tmp_path / "run")
    for name, values in whole.items():
        np.testing.assert_allclose(one[name], values, atol=1e-5, err_msg=name)


def trained_though_killed(command, run, rank, epochs):
    """Train, and meanwhile kill a worker."""
    with ThreadPoolExecutor(1) as aside:
        killed = aside.submit(kill, rank, run.with_name(f"{run.name}.checkpoint"), epochs)
        train.main([*command, "--run", str(run)])
        killed.result(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", [BUNDLED.name, pytest.param("ml-1m", marks=pytest.mark.realdata)])
def test_two_nodes_train_survive_a_death_and_recommend_to_all(name, nodes, tmp_path, capsys):
    data = BUNDLED if name == BUNDLED.name else real(name)
    common, two = ["--data", str(data), "--protocol", "strong", "--held-out", "60"], ["--workers", "2", "--ray", nodes]
    command = ["multvae", "--hidden", "100", "--epochs", "6", *common]
    train.main([*command, "--run", str(tmp_path / "one")])
    trained_though_killed([*command, *two], tmp_path / "two", -1, 3)
    for kind in ("one", "two"):
        train.main(["ease", *common, *(two if kind == "two" else []), "--run", str(tmp_path / f"ease {kind}")])
    for kind in ("", "ease "):
        evaluate.main(["--run", *(str(tmp_path / f"{kind}{n}") for n in ("one", "two")), "--json", str(tmp_path / "j")])
        one, other = (run["metrics"] for run in json.loads((tmp_path / "j").read_text())["runs"])
        for metric, expected in one.items():
            assert other[metric]["value"] == pytest.approx(expected["value"], abs=1e-3), metric
    run = ["--all-users", "--run", str(tmp_path / "two")]
    recommend.main([*run, "--parquet", str(tmp_path / "all.parquet")])
    recommend.main([*run, "--out", str(tmp_path / "all"), *two])
    assert listed(tmp_path / "all") == listed(tmp_path)


@pytest.mark.slow
def test_a_log_becomes_shards_that_are_read_as_it_is(nodes, tmp_path):
    (tmp_path / "log").mkdir()
    lines = (BUNDLED / "ratings.csv").read_text().splitlines()
    for name, part in (("a.csv", lines[1:40_000]), ("b.csv", lines[40_000:])):
        (tmp_path / "log" / name).write_text("\n".join([lines[0], *part]))
    command = [str(tmp_path / "log"), str(tmp_path / "shards"), "--files", "5", "--ray", nodes]
    shards.main(command)
    ratings, whole = datasets.load(tmp_path / "shards").ratings, datasets.load(BUNDLED).ratings
    assert ratings.fingerprint() == whole.fingerprint()
    np.testing.assert_array_equal(ratings.timestamp, whole.timestamp)
    with pytest.raises(UserError, match="exists"):
        shards.main(command)
    shutil.rmtree(tmp_path / "shards" / "shard=3")
    with pytest.raises(UserError, match="make the shards again"):
        datasets.load(tmp_path / "shards")
    shutil.rmtree(tmp_path / "shards")
    for stars, message in (
        ("", r"b\.csv: the rating is no number.*''"),
        ("five", r"b\.csv: the rating is no number.*'five'"),
    ):
        wrong = f"1,31,{stars},1260759144"
        (tmp_path / "log" / "b.csv").write_text("\n".join([lines[0], *lines[40_000:], wrong]))
        with pytest.raises(UserError, match=message):
            shards.main(command)
    (tmp_path / "log" / "b.csv").write_text("\n".join([lines[0], *lines[40_000:], "z1,31,3.5,1260759144"]))
    shards.main(command)
    assert datasets.load(tmp_path / "shards").ratings.user_ids[-1] == "z1"
    shutil.rmtree(tmp_path / "shards")
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
