"""RecVAE with ImplicitSLIM, tried on validation: results/implicit_slim.csv, and its table in docs/experiments.md.

python benchmarks/implicit_slim.py [SEED ...]    RecVAE as it is and with each setting, on ML-1M, protocol strong
python benchmarks/implicit_slim.py --table       the table only, of what was measured

ImplicitSLIM (Shenbin and Nikolenko, ICLR 2024) smooths embeddings of movies, E (size, n_movies), by the co-occurrences
X'X of likes, without a movies x movies matrix: A is E without the columns of rare movies, D = 1 / (likes + l2), N = A
(l2 I + X'X) D^2 (l2 I + X'X), and E becomes E A' (I/a + N A')^-1 N, which the paper writes without that inverse. Here,
as there, every tenth epoch E is the first layer of the encoder, then the weights of the decoder."""

import argparse
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tables
from rows import STRONG

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import train
from models import recvae
from utils.data.ratings import likes
from utils.training.training import Training

EVERY, RARE = 10, 5  # epochs; likes below which a movie is rare
COMMAND = "recvae --patience 6"
SETTINGS = {"as it is": None, **{f"l2 {l2}, a {a:g}": (l2, a) for l2, a in ((10, 1e3), (500, 1e3), (500, 10.0))}}


def smoothed(embeddings, liked, l2, a):
    """Return embeddings, (size, n_movies), after one step; liked: CSR users x movies. a is in units of the mean of the
    diagonal of N A', so that it means the same for embeddings of any scale."""
    count = np.asarray(liked.sum(axis=0))

    def times(rows):
        """Multiply by l2 I + X'X."""
        return l2 * rows + ((liked @ rows.T).T @ liked)

    frequent = np.where(count >= RARE, embeddings, 0)
    n = times(times(frequent) / (count + l2) ** 2)
    product = n @ frequent.T
    ridge = np.trace(product) / len(product) / a * np.eye(len(product))
    return embeddings @ frequent.T @ np.linalg.solve(ridge + product, n)


class Model(recvae.Model):
    """RecVAE whose embeddings of movies are smoothed every tenth epoch."""

    setting = None

    def fit(self, train_matrix, validation, training):
        """See `LikesAutoencoder.fit`."""
        self.liked = likes(train_matrix, self.like).astype(np.float64)
        return super().fit(train_matrix, validation, training)

    def _callbacks(self):
        def smooth(epoch, _):
            if epoch and epoch % EVERY == 0:
                first, last = self.posterior.get_layer("posterior_0").kernel, self.decoder.layers[-1].kernel
                first.assign(smoothed(first.numpy().T.astype(float), self.liked, *self.setting).T)
                rows = last.numpy().astype(float)  # of the decoder: movies in rows or in columns
                by_column = rows.shape[1] == self.shape[1]
                new = smoothed(rows if by_column else rows.T, self.liked, *self.setting)
                last.assign(new if by_column else new.T)

        own = [keras.callbacks.LambdaCallback(on_epoch_begin=smooth)] if self.setting else []
        return own + super()._callbacks()


def trained(what, seed):
    """Return the line of one training."""
    start = time.perf_counter()
    _, chosen, config = train.parse([*COMMAND.split(), *STRONG.split(), "--seed", str(seed)])
    data, split = train.read(chosen)
    model = Model(data.ratings.shape, config, seed, data.ratings.scale, data.ratings.like)
    model.setting = SETTINGS[what]
    history = model.fit(split.train, split.validation, Training())
    best = max(history, key=lambda row: row["val_ndcg"])
    facts = {"epochs": best["epoch"], "seconds": round(time.perf_counter() - start)}
    return {"what": what, "seed": seed, "ndcg": f"{best['val_ndcg']:.5f}", **facts}


def main():
    """Train what is asked for, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    for seed in () if args.table else args.seeds:
        for what in SETTINGS:
            new = trained(what, seed)
            print(new, flush=True)
            name = "implicit_slim.csv"
            known = tables.read(name) if (tables.RESULTS / name).exists() else []
            kept = [row for row in known if (row["what"], row["seed"]) != (what, str(seed))]
            tables.write(name, [*kept, new])


if __name__ == "__main__":
    main()
