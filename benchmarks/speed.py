"""How much of the machine's own speed an epoch of autorec gets: results/speed.csv.

python benchmarks/speed.py            a line for each batch size; bfloat16 where the processor has it

The machine's rate is that of a 4000 x 4000 float32 product in TensorFlow. An epoch on ML-1M, movies as rows, 500
hidden, does 10 x rows x columns x hidden operations: 4 forward and 6 back, since the input needs no gradient; nothing
else (the centring, the loss, Adam, making the batches) counts as work, though it takes time. The second block of inputs
would double the encoder's work, so it is left out; movies without a training rating are counted, though no batch holds
them (ML-1M: 1 in 250). Both are the best of several, taken in turn in one process.
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
    import train
    from utils import runs
    from utils.training import Training

    command = f"autorec --rows movies --hidden {HIDDEN} --no-implicit --batch-size {batch_size} --data ml-1m"
    command += f" --precision {precision} --epochs {TIMES}"
    name, chosen, config = train.parse(command.split())
    data, split = train.read(chosen)
    model = train.build(name, config, data, 0)
    history = model.refit(split.refit, Training(watch=product_rate))
    seconds, product = min(row["seconds"] for row in history), max(row["watched"] for row in history)
    users, movies = data.ratings.shape
    own = 10 * movies * users * HIDDEN / seconds / 1e9
    return {
        "batch_size": batch_size,
        "precision": precision,
        "epoch_seconds": round(seconds, 3),
        "epoch_gflops": round(own),
        "product_gflops": round(product),
        "ratio": round(own / product, 3),
        "commit": runs.commit(),
    }


if __name__ == "__main__":
    rows = [measure(size, "float32") for size in (64, 256, 1024)]
    if has_bfloat16():
        rows.append(measure(1024, "bfloat16"))
    tables.write("speed.csv", rows)
    for row in rows:
        print(row)
