"""How far what export.py writes is from the run, and how soon onnxruntime answers: results/exported.csv.

python benchmarks/exported.py RUN ...     replaces the lines of each run; takes requirements-scale.txt

Differences are the largest of all scores, and of all numbers of the latent vectors, of 100 users."""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tables

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
USERS = 100


def measure(folder):
    """The lines of one run."""
    import onnxruntime
    import tensorflow as tf

    import export
    import models
    from utils.runs import run_folder

    run = run_folder.find(folder)
    model, given = models.load(run), run.split.known[np.arange(USERS)]
    ratings, scores, latent = given.toarray(), model.score(given), model.encode(given)
    with tempfile.TemporaryDirectory() as scratch:
        out = {
            to: export.main(["--to", to, "--run", str(folder), "--out", f"{scratch}/{to}"])
            for to in ("onnx", "savedmodel")
        }
        session = onnxruntime.InferenceSession(out["onnx"] / "model.onnx")
        names = [one.name for one in session.get_outputs()]
        answered = {"onnx": dict(zip(names, session.run(None, {"ratings": ratings}), strict=True))}
        served = tf.saved_model.load(str(out["savedmodel"] / "1")).signatures["serving_default"]
        answered["savedmodel"] = {name: found.numpy() for name, found in served(ratings=tf.constant(ratings)).items()}
        seconds = []
        for row in ratings:
            start = time.perf_counter()
            session.run(None, {"ratings": row[None]})
            seconds.append(time.perf_counter() - start)
        for to, found in answered.items():
            line = {"run": f"{run.config['data']} {run.config['model']} {to}", "movies": ratings.shape[1]}
            line |= {"scores": f"{np.abs(found['scores'] - scores).max():.1e}", "of": f"{np.abs(scores).max():.1f}"}
            line |= {"latent": f"{np.abs(found['latent'] - latent).max():.1e}"}
            spent = f"{1000 * statistics.median(seconds):.2f}" if to == "onnx" else ""
            yield line | {"ms": spent, "commit": run_folder.commit()}


def table():
    """The table in results/README.md."""
    columns = {"run": "data, model, to", "movies": "movies", "scores": "scores differ by", "of": "largest score"}
    columns |= {"latent": "latent vectors differ by", "ms": "one new user, ms"}
    return tables.markdown(tables.read("exported.csv"), columns)


if __name__ == "__main__":
    tables.of_runs("exported", __doc__, measure, table, key="run")
