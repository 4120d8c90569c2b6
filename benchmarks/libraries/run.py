"""Train one model of one library on a split from `peers.py`, in the library's own environment, and time it.

python run.py stars|likes LIBRARY MODEL OPTIONS DATA.npz OUT.npy [once]     prints its line as JSON, last of its output

Only numpy and scipy are needed beside the library. A library is a module of_LIBRARY here with

    prepare(model, options, data) -> prepared: imports, the library's own kind of data; options are keyword arguments
    fit(prepared) -> (fitted, seconds of an epoch or None); it is timed, the best of three where it is quick
    rate(fitted, data, users, movies) -> stars of the pairs                     for the task stars
    rank(fitted, data, k) -> the k best unseen movies of every user, in the library's own quickest way; it is timed
    score(fitted, data) -> float32 (users, movies), by which it is judged       both for the task likes

`data` holds what is known: user, movie, rating and validation (whether a rating is one), parallel arrays; shape; scale;
`likes`, a CSR matrix of 1 for what is known and liked; and the pairs of the test, without their stars."""

import importlib
import json
import os
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp

PACKAGES = {"surprise": "scikit-surprise", "reelspace": "tensorflow"}
K, QUICK = 100, 10  # movies in a list; seconds of a fit that is timed three times


def loaded(path):
    """The split that `peers.py` wrote."""
    with np.load(path) as file:
        data = SimpleNamespace(**{name: file[name] for name in file.files})
    data.shape, data.scale, data.path = tuple(map(int, data.shape)), tuple(map(float, data.scale)), path
    liked = data.rating > data.like
    cells = (data.user[liked], data.movie[liked])
    data.likes = sp.csr_matrix((np.ones(liked.sum(), np.float32), cells), shape=data.shape)
    return data


def peak_memory():
    """The most memory this process has held, in MB; `ru_maxrss` of a child is at least what its parent held."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def timed(call, *arguments):
    """(what a call returns, seconds)."""
    start = time.perf_counter()
    found = call(*arguments)
    return found, round(time.perf_counter() - start, 2)


def main(task, name, model, options, path, out, once=""):
    """See the module. once: fit only once, and rank nothing."""
    library, data, seconds = importlib.import_module(f"of_{name}"), loaded(path), np.inf
    for _ in range(3):
        np.random.seed(0)
        fitted = None  # the one before, if any, takes no memory
        prepared = library.prepare(model, json.loads(options), data)
        (fitted, epoch), took = timed(library.fit, prepared)
        seconds = min(seconds, took)
        if once or took > QUICK:
            break
    if task == "stars":
        found, answering = timed(library.rate, fitted, data, data.test_user, data.test_movie)
    elif once:
        answering = ""
    else:
        times = [timed(library.rank, fitted, data, K)[1] for _ in range(3 if seconds < 600 else 1)]
        answering = min(times)
    peak = peak_memory()  # before all scores are kept
    if task == "likes":
        found = library.score(fitted, data)
    np.save(out, np.asarray(found, np.float32))
    line = {"fit_seconds": seconds, "epoch_seconds": "" if epoch is None else round(epoch, 3)}
    line |= {"answer_seconds": answering, "peak_mb": peak, "version": version(PACKAGES.get(name, name))}
    print(json.dumps(line))


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    arguments, sys.argv = sys.argv[1:], sys.argv[:1]  # RecBole reads these, too
    main(*arguments)
