"""How much of the machine's own speed an epoch of autorec gets, results/speed.csv, and EASE, results/speed_ease.csv.

python benchmarks/speed.py            a line for each batch size; bfloat16 where the processor has it
python benchmarks/speed.py --ease     EASE, and a Mult-VAE's epoch beside its matrix products alone (speed_vae.csv)

The machine's rate is that of a 4000 x 4000 float32 product in TensorFlow. An epoch on ML-1M, movies as rows, 500
hidden, does 10 x rows x columns x hidden operations: 4 forward and 6 back, since the input needs no gradient; nothing
else (the centring, the loss, Adam, making the batches) counts as work, though it takes time. The second block of inputs
would double the encoder's work, so it is left out; movies without a training rating are counted, though no batch holds
them (ML-1M: 1 in 250). Both are the best of several, taken in turn in one process.

EASE inverts a matrix of movies x movies by Cholesky: n**3 operations, beside the n**3 / 3 of a factorization alone,
whose rate is the machine's. Counting which movies were liked together, a sparse product, does not count as work either.
"""

import sys
import time
from pathlib import Path

import tables

HERE = Path(__file__).resolve().parent
HIDDEN, SIDE, TIMES = 500, 4000, 5
sys.path.insert(0, str(HERE.parent))


def has_bfloat16():
    """Whether the processor multiplies bfloat16 itself."""
    facts = Path("/proc/cpuinfo")
    return facts.exists() and any(flag in facts.read_text(encoding="utf-8") for flag in ("avx512_bf16", "amx_bf16"))


def product_rate():
    """GFLOP/s of one large float32 product."""
    import tensorflow as tf

    a, b = tf.random.normal((2, SIDE, SIDE))
    start = time.perf_counter()
    tf.linalg.matmul(a, b).numpy()
    return 2 * SIDE**3 / (time.perf_counter() - start) / 1e9


def measure(batch_size, precision):
    """Take epoch and product in turn; returns a line of the results."""
    import models
    import train
    from utils.runs import run_folder
    from utils.training.training import Training

    command = f"autorec --rows movies --hidden {HIDDEN} --no-implicit --batch-size {batch_size} --data ml-1m"
    command += f" --precision {precision} --epochs {TIMES}"
    name, chosen, config = train.parse(command.split())
    data, split = train.read(chosen)
    model = models.for_data(name, config, data, 0)
    history = model.refit(split.refit, Training(monitor=product_rate))
    seconds, product = min(row["seconds"] for row in history), max(row["monitored"] for row in history)
    users, movies = data.ratings.shape
    own = 10 * movies * users * HIDDEN / seconds / 1e9
    return {
        "batch_size": batch_size,
        "precision": precision,
        "epoch_seconds": round(seconds, 3),
        "epoch_gflops": round(own),
        "product_gflops": round(product),
        "ratio": round(own / product, 3),
        "commit": run_folder.commit(),
    }


def ease():
    """Take EASE, its two parts and the factorization in turn, the best of each; returns a line of the results."""
    import numpy as np
    from scipy.linalg import lapack

    import models
    import train
    from utils.runs import run_folder
    from utils.scoring.ease_solver import gram, weights

    name, chosen, config = train.parse(
        ["ease", "--l2", "600", "--dropout", "0", "--relax", "0", "--movie-norm", "0", "--data", "ml-1m"]
    )
    data, split = train.read(chosen)
    model, best = models.for_data(name, config, data, 0), {}

    def timed(what, call, *arguments):
        start = time.perf_counter()
        found = call(*arguments)
        best[what] = min(time.perf_counter() - start, best.get(what, np.inf))
        return found

    for _ in range(TIMES):
        timed("fit", model.refit, split.refit)
        n = len(model.inputs)
        counts = timed("count", gram, model._given(split.refit)[:, model.inputs], np.float32)
        counted, penalty = counts.astype(float), np.full(n, 600.0)
        timed("solve", weights, counts, penalty, n)
        counted[np.diag_indices(n)] += penalty
        timed("factor", lambda: lapack.dpotrf(counted.T, lower=True, overwrite_a=True))  # noqa: B023
    rate = {what: n**3 / (3 if what == "factor" else 1) / seconds / 1e9 for what, seconds in best.items()}
    line = {"movies": n} | {f"{what}_seconds": round(seconds, 3) for what, seconds in best.items()}
    line |= {"cholesky_gflops": round(rate["factor"]), "fit_ratio": round(rate["fit"] / rate["factor"], 3)}
    return line | {"solve_ratio": round(rate["solve"] / rate["factor"], 3), "commit": run_folder.commit()}


def vae(precision):
    """An epoch of Mult-VAE (600 and 200 units, batches of 500 users of ML-1M) and its eleven matrix products alone, in
    turn, the best of each; returns a line of the results."""
    import tensorflow as tf

    import models
    import train
    from utils.runs import run_folder
    from utils.training.training import Training

    command = f"multvae --hidden 600,200 --batch-size 500 --precision {precision} --data ml-1m --epochs {TIMES}"
    name, chosen, config = train.parse(command.split())
    data, split = train.read(chosen)
    model = models.for_data(name, config, data, 0)
    users, movies = data.ratings.shape
    layers = [(movies, 600), (600, 400), (200, 600), (600, movies)]
    batch = min(config.batch_size, users)
    shapes = [((batch, n), (n, m), (batch, m)) for n, m in layers]
    arrays = [[tf.cast(tf.random.normal(shape), precision) for shape in of] for of in shapes]

    @tf.function
    def multiply():
        found = []
        for i, (x, kernel, y) in enumerate(arrays):
            found += [tf.matmul(x, kernel), tf.matmul(x, y, transpose_a=True)]
            if i:  # the input needs no gradient
                found.append(tf.matmul(y, kernel, transpose_b=True))
        return [tf.reduce_max(one) for one in found]

    def products():
        start = time.perf_counter()
        for _ in range(-(-users // batch)):
            multiply()
        return time.perf_counter() - start

    model.chosen = {"epochs": TIMES}
    history = model.refit(split.refit, Training(monitor=products))
    seconds, alone = min(row["seconds"] for row in history), min(row["monitored"] for row in history)
    work = 2 * users * (3 * sum(n * m for n, m in layers) - movies * 600)
    line = {
        "precision": precision,
        "epoch_seconds": round(seconds, 3),
        "products_seconds": round(alone, 3),
        "ratio": round(alone / seconds, 3),
    }
    return line | {"products_gflops": round(work / alone / 1e9), "commit": run_folder.commit()}


if __name__ == "__main__":
    words = tables.words(__doc__)
    tables.write("speed_vae.csv", [vae(precision) for precision in ("float32", *["bfloat16"] * has_bfloat16())])
    print(tables.read("speed_vae.csv"))
    line = ease()
    tables.write("speed_ease.csv", [line])
    print(line)
    if "--ease" in words:
        sys.exit()
    rows = [measure(size, "float32") for size in (64, 256, 1024)]
    if has_bfloat16():
        rows.append(measure(1024, "bfloat16"))
    tables.write("speed.csv", rows)
    for row in rows:
        print(row)
