"""Train a model on ratings and save it as a run folder: python train.py [MODEL] [options]."""

import json
import time
from dataclasses import asdict, dataclass, field, make_dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table

import models
from utils import datasets, methods, options, runs, splits
from utils.errors import UserError
from utils.training import Training

DEFAULT = "autorec"


@dataclass(frozen=True)
class Options:
    """What every model takes."""

    data: str = "ml-latest-small-2016"
    """a known set's name, a folder in a MovieLens layout, or a file with userId, movieId, rating[, timestamp]"""
    protocol: Literal[tuple(splits.PROTOCOLS)] = "random"
    """what is held out; random: 10% of the ratings are the test, 5% of the rest validation"""
    seed: int = 0
    """draws the split and the starting weights"""
    run: options.Folder = None
    """folder to save to (default: runs/<data>-<protocol>-<model>-s<seed>)"""
    refit: bool = True
    """once validation has chosen the epochs, train again on training and validation ratings together"""
    resume: bool = False
    """go on with a training of the same command that was interrupted"""
    tensorboard: bool = False
    """write TensorBoard logs to the run folder's name with .tensorboard behind it"""

    def __post_init__(self):
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")


def parse(argv):
    """(model name, `Options`, the model's Config). Only the named model is imported, and none for general help."""
    named = bool(argv) and not argv[0].startswith("-")
    name, rest = (argv[0], argv[1:]) if named else (DEFAULT, argv)
    about = __doc__ + "\nModels: " + ", ".join(models.names()) + f" (default: {DEFAULT}; --list says what each is)."
    if not named and {"-h", "--help"} & set(argv):
        options.parse(
            Options, argv, "train.py [MODEL]", about + " `train.py MODEL --help` adds the model's own options."
        )
    for word in rest:
        if word in models.names():
            raise UserError(f"the model comes first: python train.py {word} ...")
    config = models.module(name).Config
    kinds = [("options", Options, field(default_factory=Options)), ("config", config, field(default_factory=config))]
    command = options.parse(make_dataclass("Command", kinds), rest, f"train.py {name}", models.paper(name))
    return name, command.options, command.config


def show_models(console):
    """Print every model with its source."""
    table = Table("model", "what it is")
    for name in models.names():
        table.add_row(name, models.paper(name))
    console.print(table)


def signature(facts, ratings):
    """What a checkpoint is of: all that its weights depend on, which the length of the training is not part of."""
    weighty = {name: value for name, value in facts["options"].items() if name not in ("epochs", "patience")}
    return json.dumps([facts | {"options": weighty}, ratings.fingerprint()], sort_keys=True)


def main(argv=None):
    """Data, split, model, training, run folder. Returns the folder."""
    console = Console()
    if argv == ["--list"]:
        return show_models(console)
    name, chosen, config = parse(argv or [])

    data = datasets.load(chosen.data)
    ratings = data.ratings
    folder = chosen.run or runs.RUNS / f"{data.name}-{chosen.protocol}-{name}-s{chosen.seed}"
    checkpoints = folder.with_name(folder.name + ".checkpoint")
    if chosen.resume and not checkpoints.exists():
        raise UserError(f"nothing to resume: there is no {checkpoints}")
    runs.check_free(folder)
    split = splits.split(ratings, chosen.protocol, chosen.seed)
    console.print(f"{data.name}: {len(ratings):,} ratings of {ratings.shape[1]:,} movies by {ratings.shape[0]:,} users")
    for note in data.notes:
        console.print(f"  {note}", style="dim")

    start = time.perf_counter()
    facts = {
        "model": name,
        "options": asdict(config),
        "seed": chosen.seed,
        "protocol": chosen.protocol,
        "data": data.name,
    }
    training = Training(
        checkpoints=checkpoints,
        resume=chosen.resume,
        signature=signature(facts, ratings),
        tensorboard=folder.with_name(folder.name + ".tensorboard") if chosen.tensorboard else None,
        show=True,
    )
    if not chosen.resume:
        training.forget()
    model = models.build(name, ratings.shape, config, chosen.seed)
    history = model.fit(split.train, split.validation, training)
    preferred = methods.choose(model, split.validation)
    refit = chosen.refit and not training.interrupted
    if refit:
        again = model.refit(split.refit, training)
        refit = not training.interrupted
        history = [{"phase": "train", **row} for row in history] + [{"phase": "refit", **row} for row in again or []]
    seconds = time.perf_counter() - start

    facts |= {"refit": refit, "seconds": round(seconds, 2)}
    runs.save(folder, model, split, data.movies, facts, history, preferred)
    console.print(f"{name} trained in {seconds:.0f} s, saved in {folder}")
    if training.interrupted:
        console.print("stopped early: the best weights so far are saved; add --resume to the same command to go on")
    else:
        training.forget()
    return folder


if __name__ == "__main__":
    options.run(main)
