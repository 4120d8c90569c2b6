"""The parts of a blend: what `--parts` says, and finished parts kept until the whole is saved. No Keras here."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models import check, module, names, resolved
from utils.command_line import options
from utils.errors import UserError
from utils.recommend import strategies
from utils.runs import run_folder
from utils.runs.paths import UnreadableError, is_folder
from utils.runs.provenance import ROOT, sources, versions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from models.base import Recommender
    from utils.training.training import Training
SEEDS = 2**32  # seeds are below this; those of the parts go on from 0 behind it


@dataclass(frozen=True)
class BlendPart:
    """said: the words of `--parts`; name: of its model; config: the model's; seed: added to the blend's."""

    said: str
    name: str
    config: object
    seed: int


def split(text: str) -> list[str]:
    """The words of each part, which must differ. A comma begins a new part where the name of a model follows, so the
    options of a part may have commas of their own: `joint,autorec --side genres,year,joint --seed 1` are three."""
    parts = [" ".join(part.split()) for part in re.split(rf",(?=\s*(?:{'|'.join(names())})(?:[\s,]|$))", text)]
    for part in parts:
        for name in part.split()[0].split(",") if part else [""]:
            _check(name)
    if twice := [part for part in parts if parts.count(part) > 1]:
        raise UserError(f"--parts: {twice[0]} is there twice; --seed 1 behind one starts it from other weights")
    return parts


def _check(name: str) -> None:
    """Refuse what is no model, or no part."""
    if not name:
        raise UserError("--parts: a part is empty")
    if name == "blend":
        raise UserError("--parts: a blend is no part of a blend")
    try:
        check(name)
    except UserError as error:
        raise UserError(f"--parts: {error}") from None


def read(said: str, **defaults: Any) -> BlendPart:
    """The `BlendPart` that these words describe. defaults: what its options are unless they are said, where its model
    has them; None leaves the model's own."""
    name, *words = said.split()
    words = [word for both in words for word in (both.split("=", 1) if both.startswith("--seed=") else [both])]
    config, seed = module(name).Config, "0"
    if "--help" in words or "-h" in words:
        raise UserError(f"--parts {said}: for its options type python train.py {name} --help")
    if "--seed" in words[:-1]:
        at = words.index("--seed")
        seed = words[at + 1]
        del words[at : at + 2]
    if not seed.isdecimal() or not seed.isascii() or int(seed) >= SEEDS:
        raise UserError(f"--parts {said}: the seed must be a whole number below 2**32, got {seed!r}")
    known = {f.name for f in fields(config)}
    start = config(**{key: value for key, value in defaults.items() if key in known and value is not None})
    try:
        return BlendPart(said, name, options.parse(config, words, f"--parts {name}", "", start), int(seed))
    except UserError as error:
        raise UserError(f"--parts {said}: {error}") from None


def build(part: BlendPart, blend: Recommender) -> Recommender:
    """The untrained model of a part of a blend, for the same data."""
    config = resolved(part.config, blend.shape[1])
    return module(part.name).Model(blend.shape, config, (blend.seed + part.seed) % SEEDS, blend.scale, blend.like)


def facts(part: BlendPart, model: Recommender) -> dict[str, Any]:
    """What config.json says about the model of a part, enough for `models.load`."""
    about = {"model": part.name, "options": asdict(model.config), "seed": model.seed, "shape": list(model.shape)}
    return about | {"scale": list(model.scale), "like": model.like}


def save(folder: Path, part: BlendPart, model: Recommender, **arrays: dict[str, Any]) -> None:
    """Write a trained part as a run folder without ratings, which `models.load` and `Saved` read."""
    best = {"best": "decoder"} if model.has_latent_space else {}
    run_folder.save_model(folder, model, facts(part, model), strategies.default_choice(model) | best, **arrays)


class Kept:
    """Finished parts in a folder, each a small run folder named by a digest of all that it depends on; a part is found
    again only if none of that has changed. folder: None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def place(
        self, part: BlendPart, model: Recommender, stage: str | list[str | None], *matrices: csr_array
    ) -> Path | None:
        """The folder of a part that is trained on these CSR matrices, None where nothing is kept; stage: what else it
        depends on."""
        if not self.folder:
            return None
        made_by = [sources(ROOT), versions()]
        digest = hashlib.sha256(json.dumps([facts(part, model), stage, *made_by]).encode())
        for matrix in (*matrices, *([model.terms] if hasattr(model, "terms") else [])):
            for array in (matrix.data, matrix.indices, matrix.indptr):
                digest.update(np.ascontiguousarray(array).tobytes())
        for known in (getattr(model, name, None) for name in ("side", "dates")):
            for array in vars(known).values() if known else ():
                digest.update(np.ascontiguousarray(array).tobytes())
        return self.folder / digest.hexdigest()[:16]

    def load(self, place: Path | None, model: Recommender) -> dict[str, NDArray] | None:
        """{name: array} of what was kept beside the model, which is read; None where nothing (whole) is there."""
        if not place or not is_folder(place):
            return None
        try:
            run = run_folder.Run(place)
            run.verify()
            model.load(run)
            found = run.arrays("kept.npz")
        except UnreadableError:
            raise
        except UserError:
            return None  # damaged: it is trained again
        if "chosen" in found:
            model.chosen = json.loads(str(found.pop("chosen")))  # type: ignore[attr-defined]  # where training stored it
        return found

    def save(self, place: Path | None, part: BlendPart, model: Recommender, **arrays: Any) -> None:
        """Keep a trained model, and arrays with it."""
        if place:
            chosen = {"chosen": json.dumps(model.chosen)} if hasattr(model, "chosen") else {}
            save(place, part, model, kept=arrays | chosen)


def without(training: Training, folder: str) -> Training:
    """The `Training` of one part, whose epochs are checkpointed in a folder of its own."""
    checkpoints = training.checkpoints and training.checkpoints / folder
    return replace(
        training, checkpoints=checkpoints, tensorboard=training.tensorboard and training.tensorboard / folder
    )
