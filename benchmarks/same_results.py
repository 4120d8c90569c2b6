"""Train every model with the code of another commit and with this one, and compare what comes out:
python benchmarks/same_results.py COMMIT [MODEL ...].

Each is trained quickly on the ratings of 120 users of the bundled set, from the same seed, judged, and asked for lists.
Compared are the arrays of the run, the weights of its Keras models, and what evaluate.py and recommend.py write as
JSON."""

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import tables

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
BUNDLED = REPOSITORY / "data" / "ml-latest-small-2016"
USERS = 120
QUICK = ("--hidden", "16", "--epochs", "3")
OPTIONS = {  # quick ones; others are trained as they are
    **dict.fromkeys(("autorec", "sparsefc", "joint", "multdae", "multvae", "cdae", "elsa"), QUICK),
    "bayesfm": ("--samples", "20", "--rank", "4"),
    "glocalk": (*QUICK, "--global-epochs", "2"),
    "deeprec": ("--hidden", "16,16,16", "--epochs", "3"),
    "recvae": ("--hidden", "16,8", "--epochs", "2"),
    "blend": ("--parts", "ease, bias, autorec --hidden 8 --epochs 2", "--folds", "3"),
}
SCRIPTS = (("evaluate", ()), ("user", ("--user", "42")), ("typed", ("--rate", "Toy Story (1995)=5", "--explain")))
TIMES = ("seconds", "trained", "run", "commit", "versions", "sources", "sha256", "command", "time")  # of names


def write_data(folder: Path) -> None:
    """Write the first users' ratings, and all titles."""
    folder.mkdir()
    lines = (BUNDLED / "ratings.csv").read_text(encoding="utf-8").splitlines()
    few = [line for line in lines[1:] if int(line.split(",")[0]) <= USERS]
    (folder / "ratings.csv").write_text("\n".join([lines[0], *few]) + "\n", encoding="utf-8")
    (folder / "movies.csv").write_bytes((BUNDLED / "movies.csv").read_bytes())


def results(code: Path, model: str, data: Path, folder: Path) -> dict[str, np.ndarray | object]:
    """Train and ask with the code of one commit: {name: array or plain value}."""
    run, out = folder / model, folder / f"{model}.json"
    _call(code, "train.py", model, *OPTIONS.get(model, ()), "--data", str(data), "--run", str(run))
    found: dict[str, np.ndarray | object] = dict(_arrays(run))
    for name, words in SCRIPTS:
        script = "evaluate.py" if name == "evaluate" else "recommend.py"
        try:
            _call(code, script, *words, "--run", str(run), "--json", str(out))
            found |= {f"{name}: {key}": value for key, value in _flat(json.loads(out.read_text(encoding="utf-8")))}
        except subprocess.CalledProcessError as error:
            found[f"{name}: refused"] = error.stderr.strip().splitlines()[-1]
    return found


def _call(code: Path, *command: str) -> None:
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    subprocess.run([sys.executable, *command], cwd=code, env=env, check=True, capture_output=True, text=True)  # noqa: S603


def _git(*words: str) -> None:
    subprocess.run(["git", *words], cwd=REPOSITORY, check=True)  # noqa: S603, S607


def _arrays(run: Path):
    """Yield (name, array) of everything numeric in a run folder."""
    for path in sorted(run.rglob("*")):
        place = str(path.relative_to(run))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                yield from ((f"{place}: {name}", file[name]) for name in file.files)
        elif path.suffix == ".keras":
            with zipfile.ZipFile(path) as file, h5py.File(io.BytesIO(file.read("model.weights.h5"))) as weights:
                names: list[str] = []
                weights.visit(names.append)
                for name in names:
                    if isinstance(weights[name], h5py.Dataset) and "seed_generator" not in name:
                        yield f"{place}: {name}", np.asarray(weights[name])


def _flat(value: object, place: str = ""):
    """Yield (place, value) of every leaf of JSON, apart from times and names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in TIMES:
                yield from _flat(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _flat(inner, f"{place}[{i}]")
    else:
        yield place, value


def compare(old: dict, new: dict) -> tuple[int, int, float, list[str]]:
    """Return (how many are equal bit for bit, how many other numbers there are, their largest difference, what else
    differs, in words)."""
    equal, numbers, largest, other = 0, 0, 0.0, []
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in old or name not in new:
            other.append(f"{'only before' if name in old else 'only now'}: {name}")
            continue
        before, now = np.asarray(old[name]), np.asarray(new[name])
        if before.shape == now.shape and before.tobytes() == now.tobytes():
            equal += 1
        elif before.shape == now.shape and before.dtype.kind == now.dtype.kind == "f":
            numbers += 1
            difference = float(np.max(np.abs(before.astype(float) - now.astype(float))))
            largest = max(largest, difference)
            if difference > 1e-3:
                other.append(f"{name}: differs by up to {difference:.2g}")
        else:
            other.append(f"{name}: {str(old[name])[:60]} -> {str(new[name])[:60]}")
    return equal, numbers, largest, other


def main() -> None:
    """Print a line a model: how much is equal, and what is not."""
    import models

    commit, *names = tables.words(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _git("worktree", "add", "--quiet", "--detach", str(folder / "old"), commit)
        try:
            write_data(folder / "data")
            for model in names or models.names():
                (folder / "of_old").mkdir(exist_ok=True)
                (folder / "of_new").mkdir(exist_ok=True)
                old = results(folder / "old", model, folder / "data", folder / "of_old")
                new = results(REPOSITORY, model, folder / "data", folder / "of_new")
                equal, numbers, largest, other = compare(old, new)
                print(f"{model}: {equal} equal bit for bit, {numbers} differ by at most {largest:.1e}", flush=True)
                for line in other:
                    print(f"    {line}", flush=True)
        finally:
            _git("worktree", "remove", "--force", str(folder / "old"))


if __name__ == "__main__":
    main()
