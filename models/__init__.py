"""The models that can be trained. `models/foo.py` is the model `foo`: its options, `Config`, and `Model`, which keeps
the contract of `models/base.py`. A model is imported when it is needed, so that help does not wait for TensorFlow."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from utils.command_line.quiet import quietly
from utils.errors import UserError

if TYPE_CHECKING:
    from models.base import Recommender
    from utils.data.datasets import Dataset
    from utils.recommend.answers import Answers
    from utils.recommend.saved import Saved
    from utils.runs.run_folder import Run
    from utils.scoring.protocols import Scale

MODELS = {  # name on the command line and of the file: what it is, with its source
    "autorec": "AutoRec: a rating row through a bottleneck and back (Sedhain et al., WWW 2015)",
    "bayesfm": "Bayesian factorization machine with SVD++ terms both ways (Rendle, Zhang and Koren 2019)",
    "bias": "Bias baseline: mean plus damped user and movie deviations (Koren, Bell and Volinsky 2009)",
    "blend": "Other models as parts, weighed by what they predict for unseen ratings (Wolpert 1992)",
    "cdae": "CDAE: denoising autoencoder of likes with a vector for each user (Wu et al., WSDM 2016)",
    "content": "Genres, years and tags (TF-IDF), for movies with hardly a rating; ours",
    "deeprec": "DeepRecommender: deep SELU autoencoder with re-feeding (Kuchaiev and Ginsburg 2017)",
    "ease": "EASE: linear autoencoder in closed form (Steck, WWW 2019); EDLAE (Steck 2020)",
    "elsa": "ELSA: linear autoencoder of likes with low-rank weights (Vancura et al., RecSys 2022)",
    "glocalk": "GLocal-K: SparseFC on ratings spread by a global kernel (Han et al., CIKM 2021)",
    "itemknn": "Item-kNN: likes (Sarwar et al. 2001); stars by shrunken residual cosine (Koren 2010)",
    "joint": "One latent space for stars and likes: one encoder, two decoders, EASE beside; ours",
    "multdae": "Mult-DAE: denoising autoencoder of likes, multinomial loss (Liang et al., WWW 2018)",
    "multvae": "Mult-VAE: variational autoencoder of likes, multinomial loss (Liang et al., WWW 2018)",
    "popularity": "The movies that most users liked, the same for everybody",
    "recvae": "RecVAE: Mult-VAE with a composite prior, alternating updates (Shenbin et al., WSDM 2020)",
    "sparsefc": "SparseFC: autoencoder with kernelised weights (Muller, Martel and Indiveri, ICML 2018)",
}


def names() -> list[str]:
    """Return the names of all models, sorted."""
    return sorted(MODELS)


def check(name: str) -> None:
    """Refuse a name that no model has; the `UserError` suggests the nearest."""
    if name not in MODELS:
        near = get_close_matches(name, MODELS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"unknown model {name!r}{hint} (models: {', '.join(names())})")


def module(name: str) -> ModuleType:
    """Import the module of the model `name`; an unknown name is refused."""
    check(name)
    with quietly():
        return importlib.import_module(f"models.{name}")


def build(
    name: str,
    shape: tuple[int, int],
    config: Any = None,
    seed: int = 0,
    scale: Scale = (0.5, 5.0),
    like: float | None = None,
) -> Recommender:
    """Build an untrained model for a users x movies matrix of this shape; config: the model's defaults where None.
    scale, like: the data's, see `Recommender`."""
    model = module(name)
    return model.Model(shape, config or model.Config(), seed, scale, like)


def for_data(name: str, config: Any, data: Dataset, seed: int) -> Recommender:
    """Build an untrained model for a data set, and give it what it uses beside ratings."""
    ratings = data.ratings
    model = build(name, ratings.shape, config, seed, ratings.scale, ratings.like)
    model.attach_data(data)
    return model


def restore(about: dict[str, Any]) -> Recommender:
    """Build the untrained model that config.json describes: model, options, seed, shape, scale and like."""
    config = module(about["model"]).Config(**about["options"])
    return build(about["model"], about["shape"], config, about["seed"], about["scale"], about["like"])


def load(run: Run) -> Recommender:
    """Read the trained model of a run."""
    known = module(run.config["model"]).Config.__dataclass_fields__
    if unknown := sorted(run.config["options"].keys() - known):
        raise UserError(f"{run.folder}: saved with options this version does not know: {unknown}; train again")
    model = restore(run.config)
    model.load(run)
    return model


def open_run(run: Run) -> Saved:
    """Open a run to recommend with; nothing of it is read before it is needed."""
    from models.ensemble.blended import Blended
    from utils.recommend.saved import Saved

    return (Blended if run.config["model"] == "blend" else Saved)(run, load)


def load_run(folder: str | Path | None = None) -> Answers:
    """Load the run in a folder, or the one trained last, to ask it from Python: see `Answers`."""
    from utils.recommend.answers import Answers
    from utils.runs import run_folder

    return Answers(open_run(run_folder.find(None if folder is None else Path(folder))))
