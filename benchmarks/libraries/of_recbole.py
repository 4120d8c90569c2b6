"""RecBole: MultiVAE and RecVAE, variational autoencoders of likes, on torch. It chooses its epochs on the validation
likes, as it is meant to, and is not trained on these."""

import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed

BLOCK = 512
FIXED = {
    "load_col": {"inter": ["user_id", "item_id"]},
    "benchmark_filename": ["train", "valid", "test"],
    "metrics": ["NDCG", "Recall"],
    "topk": [100],
    "valid_metric": "NDCG@100",
    "eval_args": {"order": "RO", "mode": "full", "group_by": "user"},
    "train_neg_sample_args": None,
    "use_gpu": False,
    "show_progress": False,
    "state": "ERROR",
    "seed": 0,
    "eval_batch_size": 1_000_000,
}


def prepare(model, options, data):
    """See `run.py`."""
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp())
    (folder / "ml").mkdir()
    liked = data.rating > data.like
    parts = {"train": liked & ~data.validation, "valid": liked & data.validation}
    parts["test"] = parts["valid"]  # it wants one; the test stays with us
    for name, chosen in parts.items():
        rows = "\n".join(f"{user}\t{movie}" for user, movie in zip(data.user[chosen], data.movie[chosen], strict=True))
        (folder / "ml" / f"ml.{name}.inter").write_text(f"user_id:token\titem_id:token\n{rows}\n", encoding="utf-8")
    asked = FIXED | {"data_path": str(folder), "checkpoint_dir": str(folder)} | options
    config = Config(model=model, dataset="ml", config_dict=asked)
    init_seed(0, True)
    known = create_dataset(config)
    train, valid, _ = data_preparation(config, known)
    return model, config, train, valid


def fit(prepared):
    """See `run.py`."""
    model, config, train, valid = prepared
    network = get_model(model)(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, network)
    times, epoch = [], trainer._train_epoch

    def timed(*arguments, **named):
        start = time.perf_counter()
        loss = epoch(*arguments, **named)
        times.append(time.perf_counter() - start)
        return loss

    trainer._train_epoch = timed
    load = torch.load
    torch.load = lambda *arguments, **named: load(*arguments, **{**named, "weights_only": False})
    trainer.fit(train, valid, saved=True, show_progress=False)
    network.load_state_dict(torch.load(trainer.saved_model_file)["state_dict"])
    network.eval()
    return (network, train.dataset), float(np.median(times))


def _blocks(fitted):
    """(their own indices of users, scores of all items) a block of users at a time."""
    network, known = fitted
    n = known.num(known.uid_field)
    with torch.no_grad():
        for start in range(1, n, BLOCK):  # 0 is padding
            users = torch.arange(start, min(start + BLOCK, n))
            found = network.full_sort_predict(Interaction({known.uid_field: users}))
            yield users, found.view(len(users), -1)


def rank(fitted, _data, k):
    """See `run.py`: what RecBole's full_sort_topk does, a block of users at a time."""
    matrix, best = fitted[1].inter_matrix(form="csr"), []
    for users, scores in _blocks(fitted):
        seen = matrix[users.numpy()].tocoo()
        scores[:, 0] = -np.inf
        scores[seen.row, seen.col] = -np.inf
        best.append(torch.topk(scores, k)[1])
    return best


def score(fitted, data):
    """See `run.py`."""
    known, found = fitted[1], np.full(data.shape, -np.inf, np.float32)
    movies = known.field2id_token[known.iid_field][1:].astype(int)
    names = known.field2id_token[known.uid_field]
    for users, scores in _blocks(fitted):
        found[np.ix_(names[users.numpy()].astype(int), movies)] = scores[:, 1:].numpy()
    return found
