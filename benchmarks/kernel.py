"""What the kernel of `joint`'s regression of stars brings, and its constants: results/kernel.csv, docs/experiments.md.

python benchmarks/kernel.py [WHERE ...]     all of WHERE where none is named
python benchmarks/kernel.py --table         the table only, of what was measured

RMSE of validation ratings, by which the regression's penalty and share are chosen anew for each line; one training of
the rest for all lines. Differences are paired over users, with 95% intervals."""

import argparse
import shlex
import sys
import time
from pathlib import Path
from unittest import mock

import tables
from rows import BUNDLED, ROWS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import models
import train
from models import joint
from models.ensemble import kernel_features
from models.networks.rating_autoencoder import Autoencoder
from utils.evaluation import bootstrap, holdout_metrics
from utils.training.training import Training

PAGE = tables.DOCS / "experiments.md"
WHERE = {"bundled": ("joint", BUNDLED), "u1": ROWS["u1/joint-side"][:2], "ML-1M": ROWS["ml-1m/joint-side"][:2]}
AS_IT_IS = "the default"
LANDMARKS, CONSTANT, CLOSE = joint.Config().movie_landmarks, kernel_features.CONSTANT, kernel_features.CLOSE
NOTHING = 1e-9
TRIED = {  # landmarks, and what `kernel_features` has in the place of CONSTANT and CLOSE
    AS_IT_IS: (LANDMARKS, CONSTANT, CLOSE),
    "linear, `--movie-landmarks 0`": (0, CONSTANT, CLOSE),
    "linear and a constant": (1, CONSTANT, NOTHING),
    "no constant": (LANDMARKS, NOTHING, CLOSE),
    "closeness at half the weight": (LANDMARKS, CONSTANT, CLOSE / 2),
    "closeness at twice the weight": (LANDMARKS, CONSTANT, CLOSE * 2),
    "`--movie-landmarks 64`": (64, CONSTANT, CLOSE),
    "`--movie-landmarks 512`": (512, CONSTANT, CLOSE),
}


def measure(where):
    """Yield a line for each of TRIED."""
    command, words = WHERE[where]
    name, chosen, config = train.parse([*shlex.split(command), *words.split()])
    data, split = train.read(chosen)
    model, validation = models.for_data(name, config, data, 0), split.validation
    model.fit(split.train, validation, Training(show=sys.stderr.isatty()))
    if not (rows := model.movie_rows):
        sys.exit(f"{where}: the regression has no share in the stars, so there is nothing to compare")
    base, hidden = model._baseline(validation.given), validation.hidden.tocoo()
    stars = Autoencoder.predict(model, validation.given, hidden.row, hidden.col)
    squared = {}
    for what, (landmarks, constant, close) in TRIED.items():
        start, rows.landmarks = time.perf_counter(), landmarks
        with mock.patch.multiple(kernel_features, CONSTANT=constant, CLOSE=close):
            rows.choose(validation, base, stars, model.scale)
            model.star_path = rows.path(validation.given, base)
        seconds = time.perf_counter() - start
        squared[what] = holdout_metrics.rating_metrics(model.predict, validation, model.scale)["rmse"]
        less = bootstrap.difference(squared[what], squared[AS_IT_IS])
        line = {"where": where, "command": f"{command} {words}", "what": what, "rmse": f"{squared[what].value:.5f}"}
        line |= {key: f"{less[key]:.5f}" for key in ("value", "low", "high")}
        yield line | {"factor": rows.factor, "share": rows.share, "seconds": round(seconds, 1)}


def table():
    """The table of docs/experiments.md."""
    lines = {(line["where"], line["what"]): line for line in tables.read("kernel.csv")}
    places = [where for where in WHERE if (where, AS_IT_IS) in lines]
    rows = []
    for what in TRIED:
        row = {"what": what}
        for where in places:
            line = lines[where, what]
            value, low, high = (float(line[key]) for key in ("value", "low", "high"))
            less = "" if what == AS_IT_IS else f", {value:+.4f} ({low:+.4f} to {high:+.4f})"
            row[where] = f"{float(line['rmse']):.4f}{less}"
        rows.append(row)
    return tables.markdown(rows, {"what": "regression", **{where: where for where in places}})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", nargs="*", metavar="WHERE", help=f"of {', '.join(WHERE)}")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.where) - set(WHERE):
        parser.error(f"no such data: {', '.join(unknown)}")
    for where in [] if arguments.table else arguments.where or WHERE:
        new = []
        for line in measure(where):
            print(line, flush=True)
            new.append(line)
        others = [line for line in tables.read("kernel.csv") if line["where"] != where]
        tables.write("kernel.csv", sorted(others + new, key=lambda line: list(WHERE).index(line["where"])))
    if tables.read("kernel.csv"):
        tables.replace("kernel", table(), PAGE)
