"""The parts of a blend: what `--parts` says, and finished parts cached until the blend is saved. No Keras here."""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models import check, module, names
from models.base import Recommender
from utils.command_line import options
from utils.errors import UserError, out_of_memory
from utils.recommend import strategies
from utils.runs import run_folder
from utils.runs.paths import UnreadableError, is_folder
from utils.runs.provenance import ROOT, sources, versions
from utils.training.training import Training

SEEDS = 2**32  # seeds are below; those of parts wrap around


@contextlib.contextmanager
def errors_about(subject: str) -> Iterator[None]:
    """Name the subject in the errors raised inside."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{subject}: {error}") from None
    except Exception as error:
        if out_of_memory(error):
            raise UserError(f"{subject} does not fit into memory") from None
        error.add_note(f"in {subject} of the blend")
        raise


def split(parts: str) -> list[str]:
    """Return the text of each part, which must differ. A comma begins a new part where the name of a model follows, so
    options of a part may have commas: `joint,autorec --side genres,year,joint --seed 1` are three parts."""
    texts = [" ".join(text.split()) for text in re.split(rf",(?=\s*(?:{'|'.join(names())})(?:[\s,]|$))", parts)]
    with errors_about("--parts"):
        for text in texts:
            for name in text.split(" ")[0].split(","):
                if not name:
                    raise UserError("a part is empty")
                if name == "blend":
                    raise UserError("a blend is no part of a blend")
                check(name)
            if texts.count(text) > 1:
                raise UserError(f"{text} is there twice; --seed 1 behind one starts it from other weights")
    return texts


def read(text: str, signed: bool = False) -> tuple[str, Any, int]:
    """Read the text of a part: (name of its model, `Config`, seed to add to the blend's).

    signed: the default of its --signed, where the model has that."""
    name, seed, rest = text.split()[0], "0", text
    if match := re.search(r"\s--seed[=\s](\S*)", text):
        seed, rest = match[1], text.replace(match[0], "", 1)
    config = module(name).Config
    with errors_about(f"--parts {text}"):
        if {"--help", "-h"} & set(text.split()):
            raise UserError(f"for its options type python train.py {name} --help")
        if not seed.isdecimal() or not seed.isascii() or int(seed) >= SEEDS:
            raise UserError(f"the seed must be a whole number below 2**32, got {seed!r}")
        start = config(signed=True) if signed and "signed" in config.__dataclass_fields__ else config()
        return name, options.parse(config, rest.split()[1:], f"--parts {name}", "", start), int(seed)


def build(text: str, blend: Recommender) -> Recommender:
    """Build the untrained model of a part of a blend, for the same data."""
    name, config, seed = read(text, blend.config.signed)
    return module(name).Model(blend.shape, config, (blend.seed + seed) % SEEDS, blend.scale, blend.like)


def save(folder: Path, model: Recommender, **arrays: dict[str, Any]) -> None:
    """Write a trained part as a run folder without ratings, which `models.load` and `Saved` read."""
    best = {"best": "decoder"} if model.has_latent_space else {}
    run_folder.save_model(folder, model, model.facts(), strategies.default_choice(model) | best, **arrays)


def training_in(training: Training, folder: str) -> Training:
    """Return the `Training` of one part, with checkpoints and logs in folders of its own."""
    checkpoints = training.checkpoints and training.checkpoints / folder
    logs = training.tensorboard and training.tensorboard / folder
    return replace(training, checkpoints=checkpoints, tensorboard=logs)


class PartCache:
    """Finished parts in a folder, each a small run folder named by a digest of all that it depends on; a part is found
    again only if none of that has changed. folder: None caches nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def folder_of(self, model: Recommender, stage: Any, *matrices: csr_array) -> Path | None:
        """Return the folder of a part that is trained on these CSR matrices, None where nothing is cached.

        stage: what else it depends on, as JSON."""
        if not self.folder:
            return None
        digest = hashlib.sha256(json.dumps([model.facts(), stage, sources(ROOT), versions()]).encode())
        if hasattr(model, "terms"):
            matrices += (model.terms,)
        arrays = [array for matrix in matrices for array in (matrix.data, matrix.indices, matrix.indptr)]
        for known in (getattr(model, name, None) for name in ("side", "movie_side", "dates")):
            arrays += vars(known).values() if known else []
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return self.folder / digest.hexdigest()[:16]

    def load(self, folder: Path | None, model: Recommender) -> dict[str, NDArray] | None:
        """Read a part into `model`; return the arrays saved with it, None where there is no undamaged one."""
        if not folder or not is_folder(folder):
            return None
        try:
            run = run_folder.Run(folder)
            run.verify()
            model.load(run)
            arrays = run.arrays("kept.npz")
        except UnreadableError:
            raise
        except UserError:
            return None  # damaged: it is trained again
        if "chosen" in arrays:
            model.chosen = json.loads(str(arrays.pop("chosen")))  # type: ignore[attr-defined]  # of autoencoders
        return arrays

    def save(self, folder: Path | None, model: Recommender, **arrays: Any) -> None:
        """Save a trained model, and arrays with it."""
        if folder:
            chosen = {"chosen": json.dumps(model.chosen)} if hasattr(model, "chosen") else {}
            save(folder, model, kept=arrays | chosen)
