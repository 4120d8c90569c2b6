"""Hidden dropout and dates, tried for the autoencoders of ratings: results/tried.csv, docs/experiments.md.

python benchmarks/tried.py [WHERE ...]     three seeds of each, on all of WHERE where none is named
python benchmarks/tried.py --table         the table only, of what was measured

Everything is of validation ratings, on which the epochs are chosen, too. Hidden dropout: Dropout on the latent vector.
Dates: the encoder also gets when each known rating was given, as two numbers (the date, with mean 0 and deviation 1;
and the place within the time that its user rated in, -.5 to .5), in one of two ways. As inputs: a block more of each,
where rated. As in Modurec (Maroto, Vignac and Frossard, ICASSP 2021): t = MLP(dates), and the ratings x become
a x + b t + c x t where rated. Dates of the ratings to predict are not used."""

import argparse
import shlex
import sys
from pathlib import Path

import keras
import numpy as np
import scipy.sparse as sp
import tables
from keras import ops
from rows import ALL, BUNDLED, ROWS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import train
from models import autorec
from models.networks.layers import Centre
from utils.evaluation import bootstrap, holdout_metrics
from utils.training.training import Training

PAGE = tables.DOCS / "experiments.md"
SEEDS = range(3)
WHERE = {  # (model, data)
    "u1, movies as rows, side features": (f"{ROWS['u1/autorec-movies'][0]} {ALL}", ROWS["u1/autorec-movies"][1]),
    "u1, users as rows": ROWS["u1/autorec-users"][:2],
    "bundled, movies as rows": ("autorec --rows movies", BUNDLED),
}
TRIED = {  # (share of the latent vector that is hidden, what dates become, weight of these inputs or of a penalty)
    "as it is": (0.0, "", 0.0),
    "hidden dropout .3": (0.3, "", 0.0),
    "hidden dropout .5": (0.5, "", 0.0),
    "dates as inputs": (0.0, "inputs", 1.0),
    "dates as inputs, at half the weight": (0.0, "inputs", 0.5),
    "dates as in Modurec": (0.0, "modurec", 0.0),
    "dates as in Modurec, penalised": (0.0, "modurec", 100.0),
}


class Dated(Centre):
    """`Centre` of rows of stars with two rows of dates beside each: (batch, 3 n)."""

    sparse = property(lambda self: False, lambda self, value: None)  # dates are dense

    def __init__(self, how, weight, *arguments, **kwargs):
        super().__init__(*arguments, **kwargs)
        self.how, self.weight = how, weight

    def build(self, input_shape):
        """Create the weights of `Centre`, and those of Modurec: an MLP 2 -> 32 -> 1, and a, b, c."""
        super().build((None, input_shape[-1] // 3))
        glorot = keras.initializers.GlorotUniform(seed=1)
        small = keras.initializers.RandomNormal(stddev=1e-2, seed=1)
        for name, shape, start in (
            ("inner", (2, 32), glorot), ("bias", (32,), "zeros"), ("outer", (32,), glorot),
            ("a", (), "ones"), ("b", (), small), ("c", (), small),
        ):  # fmt: skip
            setattr(self, name, self.add_weight(shape=shape, initializer=start, name=name))

    def call(self, rows, training=False):
        """Compute (features, baseline) with dates; see the top of the file."""
        stars, *dates = ops.split(rows, 3, axis=1)
        features, baseline = super().call(stars, training)
        x, rated = ops.split(features, 2, axis=1)  # both over the root of the number of ratings
        if self.how == "inputs":
            return ops.concatenate([features, *(self.weight * rated * date for date in dates)], axis=1), baseline
        t = ops.matmul(ops.relu(ops.matmul(ops.stack(dates, axis=-1), self.inner) + self.bias), self.outer)
        weights = self.inner, self.outer, self.a - 1, self.b, self.c
        self.add_loss(self.weight * sum(ops.sum(weight**2) for weight in weights))
        return ops.concatenate([self.a * x + self.b * t * rated + self.c * x * t, rated], axis=1), baseline


class Model(autorec.Model):
    """`autorec` with what was tried: hidden, how, weight as in TRIED."""

    hidden, how, weight = 0.0, "", 0.0

    def attach_data(self, data):
        """Take the dates, too."""
        super().attach_data(data)
        self.ratings = data.ratings

    def _up(self, hidden, n_columns, last_activation="linear", before=()):
        before = [keras.layers.Dropout(self.hidden, seed=self.seed)] if self.hidden else []
        return super()._up(hidden, n_columns, last_activation, before)

    def _build(self, matrix):
        if self.how:
            self.rows_in, self.dates = 3, self._rows_of(dates(self.ratings, matrix))
        super()._build(matrix)

    def _rows_of(self, values):
        return values if self.by_user else values.transpose(0, 2, 1)

    def _centre(self, damping):
        if not self.how:
            return super()._centre(damping)
        weight = self.weight if self.how == "inputs" else self.weight * self.config.l2 * self.per_rating
        return Dated(self.how, weight, damping, *self._centring(), name="centre")

    def _inputs(self, rows, index, who=None, dense=None):
        given = super()._inputs(rows, index, who, dense)
        if not self.how:
            return given
        stars, *side = given if self.config.side else [given]
        given = [np.concatenate([stars, *self.dates[:, who[index]]], axis=1), *side]
        return given if side else given[0]


def dates(ratings, known):
    """The two numbers of each known rating's date, (2, users, movies), 0 where there is none."""
    when = sp.csr_array((ratings.timestamp.astype(float), (ratings.user, ratings.movie)), shape=ratings.shape)
    user, movie = known.nonzero()
    time, numbers = when[user, movie], np.zeros((2, *ratings.shape), np.float32)
    first, last = np.full(len(numbers[0]), np.inf), np.zeros(len(numbers[0]))
    np.minimum.at(first, user, time)
    np.maximum.at(last, user, time)
    numbers[0, user, movie] = (time - time.mean()) / time.std()
    numbers[1, user, movie] = (time - first[user]) / np.maximum(last - first, 1)[user] - 0.5
    return numbers


def measure(where, what, seed):
    """(RMSE, epochs, the squared errors of each user) on the validation ratings."""
    command, data = WHERE[where]
    _, chosen, config = train.parse([*shlex.split(command), *data.split(), "--seed", str(seed)])
    data, split = train.read(chosen)
    model = Model(data.ratings.shape, config, seed, data.ratings.scale, data.ratings.like)
    model.hidden, model.how, model.weight = TRIED[what]
    model.attach_data(data)
    model.fit(split.train, split.validation, Training(show=False))
    found = holdout_metrics.rating_metrics(model.predict, split.validation, data.ratings.scale)
    return found["rmse"].value, model.chosen["epochs"], found["mse"]


def lines(where):
    """What was tried on one of WHERE, each beside the model as it is."""
    pooled = {}
    for what in TRIED:
        found = [measure(where, what, seed) for seed in SEEDS]
        total, count = (sum(getattr(mse, name) for *_, mse in found) for name in ("total", "count"))
        pooled[what] = bootstrap.Metric(total, count, root=True)
        less = bootstrap.difference(pooled[what], pooled["as it is"])
        line = {"where": where, "command": " ".join(WHERE[where]), "what": what, "seeds": len(found)}
        for i, (rmse, _, _) in enumerate(found):
            line[f"rmse{i}"] = f"{rmse:.5f}"
        line["epochs"] = f"{np.mean([epochs for _, epochs, _ in found]):.0f}"
        yield line | {name: f"{less[name]:.5f}" for name in ("value", "low", "high")}


def table():
    """The table of docs/experiments.md."""
    shown = []
    for line in tables.read("tried.csv"):
        less = "{:+.4f} ({:+.4f} to {:+.4f})".format(*(float(line[name]) for name in ("value", "low", "high")))
        rmse = tables.mean([line[f"rmse{i}"] for i in SEEDS])
        shown.append(line | {"rmse": rmse, "less": "" if line["what"] == "as it is" else less})
    columns = {"where": "`autorec` on", "what": "with", "rmse": "validation RMSE", "less": "less that as it is"}
    return tables.markdown(shown, columns, left=2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", nargs="*", choices=[*WHERE, []], metavar="WHERE")
    parser.add_argument("--table", action="store_true")
    chosen = parser.parse_args()
    for where in () if chosen.table else chosen.where or WHERE:
        tables.update("tried.csv", list(lines(where)), key="where")
        print(*tables.read("tried.csv"), sep="\n", flush=True)
    tables.replace("tried", table(), PAGE)
