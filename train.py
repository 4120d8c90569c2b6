"""Train a model on ratings and save it as a run folder: python train.py [MODEL] [options]."""

import contextlib
import hashlib
import json
import math
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

import models
from models.base import History, Recommender
from utils.command_line import options
from utils.data import datasets, splits
from utils.data.movies import quantity
from utils.distributed import cluster
from utils.errors import UserError, out_of_memory
from utils.evaluation import holdout_metrics, prediction_ranges
from utils.recommend import discoveries, strategies
from utils.report import pictures, projector, tables
from utils.runs import provenance, run_folder
from utils.runs.paths import is_there
from utils.scoring.latent import is_latent
from utils.training import training_command
from utils.training.training import DivergedError, Training
from utils.training.training_command import Source, read

DEFAULT = "joint"
REFIT_MOST = 5_000_000  # ratings from which on a model is not trained again on those of validation, too


@dataclass(frozen=True)
class Options(Source):
    """What every model takes."""

    describe: bool = False
    """print what the data looks like, and train nothing"""
    run: options.Folder = None
    """folder to save to (default: runs/<data>-<protocol>-<model>-s<seed>)"""
    refit: bool = True
    """once validation has chosen the epochs, train again on training and validation ratings together (default: off from
    5,000,000 ratings on, where those of validation are not missed)"""
    resume: bool = False
    """go on with an interrupted training of the same command"""
    checkpoint_every: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = Training.checkpoint_every
    """write a checkpoint after the first epoch, then at most this often, and at the end of a phase; 0: after every
    epoch. A kill costs this much time and the epoch it falls into"""
    workers: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """train with N workers, each of which holds the ratings of its own users only; takes requirements-scale.txt"""
    ray: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS", help_behavior_hint="")] = None
    """the Ray cluster of the workers (default: one on this machine that lasts as long as the training)"""
    tensorboard: bool = False
    """write TensorBoard logs (loss, metrics, weights, the latent space) to the folder <run>.tensorboard"""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be 1 or more, got {self.workers}")
        if not 0 <= self.checkpoint_every < math.inf:
            raise ValueError(f"checkpoint-every must be 0 seconds or more, got {self.checkpoint_every:g}")
        if self.ray and not self.workers:
            raise ValueError("--ray takes --workers N, too")
        if self.workers and self.tensorboard:
            raise ValueError("--tensorboard is for a training by one process, without --workers")


def parse(argv: Sequence[str]) -> tuple[str, Options, Any]:
    """Return (model name, `Options`, the model's Config); see `utils.training.training_command.parse`."""
    return training_command.parse(argv, models, Options, "train.py", __doc__, DEFAULT)


def print_data(data: datasets.Dataset, split: splits.Split, console: Console) -> None:
    """Print what was read and held out."""
    users, movies = data.ratings.shape
    counts = f"{quantity(len(data.ratings), 'rating')} of {quantity(movies, 'movie')}"
    console.print(tables.plain(f"{data.name}: {counts} by {quantity(users, 'user')}"))
    sparse, dense = 8 * len(data.ratings) / 1e6, 4 * users * movies / 1e6
    matrix = f"matrix kept sparse, {sparse:,.1f} MB (dense {dense:,.1f}); only batches are made dense"
    for note in (*data.notes, *split.notes, matrix):
        console.print(f"  {tables.plain(note)}", style="dim", soft_wrap=True)


def signature(facts: dict[str, Any], split: splits.Split, data: datasets.Dataset) -> str:
    """Return what a checkpoint depends on: all that its weights depend on, but not the length of the training."""
    weighty = {name: value for name, value in facts["options"].items() if name not in ("epochs", "patience")}
    users = "" if data.users is None else data.users.to_csv()
    side = json.dumps([data.movies.titles, data.movies.years, data.movies.genres, users])
    code = [provenance.versions(), provenance.sources(provenance.ROOT)]
    known = hashlib.sha256(side.encode()).hexdigest()
    return json.dumps([facts | {"options": weighty}, split.fingerprint(), known, *code], sort_keys=True)


def fit(model: Any, split: splits.Split, training: Training, refit: bool) -> tuple[History, dict[str, Any], bool]:
    """Train, choose the strategy on validation, then train again on all but the test.

    Returns (history, what validation preferred, whether it was trained again)."""
    refit = refit and not split.holds_users_out
    if training.workers and model.has_latent_space:
        training.workers.train(model, training, refit)
    history = [{"phase": "train", **row} for row in model.fit(split.train, split.validation, training)]
    model.encode_all(split.validation.given)
    preferred = strategies.default_choice(model)
    try:
        preferred = strategies.choose(model, split)
        preferred |= ranges(model, split)
        preferred |= discoveries.choose(model, split, preferred)
    except KeyboardInterrupt:  # what is chosen by then counts
        training.interrupted = True
    refit = refit and not training.interrupted
    if refit:
        if training.workers:
            training.workers.parts = (splits.Subset.TRAIN, splits.Subset.VALIDATION)
        history += [{"phase": "refit", **row} for row in model.fit_all(split.refit, training) or []]
    model.encode_all(split.known)
    if model.has_latent_space:
        model.latent = strategies.with_whitenings(model.latent, split, strategies.read_neighbourhoods(preferred))
    return history, preferred, refit and not training.interrupted


def ranges(model: Any, split: splits.Split) -> dict[str, Any]:
    """Learn the ranges around predicted stars from the errors of a model on validation; {} where it predicts none."""
    if not model.predicts_ratings or split.holds_users_out:
        return {}
    validation, _ = holdout_metrics.of_sample(split.validation)
    predicted = holdout_metrics.predicted(model.predict, validation, split.ratings.scale)
    return {"ranges": prediction_ranges.learn(predicted, validation.given)}


@contextlib.contextmanager
def explain_errors(name: str, config: Any, training: Training, console: Console) -> Iterator[None]:
    """Say what is kept when a training is interrupted or fails, and what would help."""
    try:
        yield
    except KeyboardInterrupt:
        if training.has_parts:
            console.print("\nthe same command goes on after the parts that are finished")
        if training.checkpoints and is_there(training.checkpoints):
            console.print("\nthe same command with --resume goes on from the last checkpoint")
        raise
    except UserError as error:
        if isinstance(error, DivergedError):
            training.forget()  # it would fail again
        if not training.has_parts:
            raise
        kept = "finished parts are kept: with this one mended the same command goes on"
        raise UserError(f"{error} ({kept})") from None
    except Exception as error:
        if not out_of_memory(error):
            raise
        smaller = {"linear": "--no-linear", "hidden": "smaller --hidden sizes"}
        hints = " or ".join(hint for option, hint in smaller.items() if getattr(config, option, None))
        hint = f"; {hints} may do" if hints else ": its weights are as many as pairs of movies"
        raise UserError(f"this {name} does not fit into memory{hint}") from None


@contextlib.contextmanager
def with_workers(name: str, args: Options, folder: Path, split: splits.Split, training: Training) -> Iterator[None]:
    """Give the training its workers, if any are asked for."""
    if not args.workers:
        yield
        return
    from utils.distributed import training_workers

    shards = folder.with_name(f".{folder.name}.shards")
    training.workers = training_workers.Workers(name, args.workers, shards, models.restore)
    with cluster.connected(args.ray, args.workers), training.workers.sharded(split):
        yield


def print_results(model: Recommender, preferred: dict[str, Any], console: Console) -> None:
    """Print how the strategies did on validation, and the notes of the model."""
    ndcg = preferred["validation"]
    if len(ndcg) > 1 and any(ndcg.values()):
        ranked = ", ".join(f"{strategy} {ndcg[strategy]:.4f}" for strategy in sorted(ndcg, key=lambda s: -ndcg[s]))
        console.print(f"  NDCG@100 on validation: {ranked}", style="dim", soft_wrap=True)
    if found := preferred.get("discoveries"):
        places = (
            f"the last {found['places']} of ten places go" if found["places"] > 1 else "the last of ten places goes"
        )
        console.print(f"  {places} to discoveries: NDCG@100 {found['ndcg']:.4f}", style="dim", soft_wrap=True)
    for note in model.notes():
        console.print(f"  {note}", style="dim", soft_wrap=True)


def facts_of(name: str, args: Options, model: Recommender, data: datasets.Dataset) -> dict[str, Any]:
    """Return the facts about a training that config.json and its checkpoints keep."""
    holding = asdict(args.holding) | {"test": str(args.holding.test) if args.holding.test else None}
    seed = holding.pop("seed")
    return {
        "model": name,
        "options": asdict(model.config),
        "data": data.name,
        "protocol": args.protocol,
        "seed": seed,
        "scale": list(data.ratings.scale),
        "like": data.ratings.like,
        "min_count": args.min_count,
        "holding": holding,
        **{name: value for name, value in asdict(args.reading()).items() if value != getattr(datasets.AS_IT_IS, name)},
    }


def check(name: str, args: Options, model: Any, split: splits.Split) -> None:
    """Refuse what the model can't be trained on or by."""
    training_command.check(model, name, split, args.protocol)
    if args.workers and not model.shares:
        raise UserError(f"{name} is trained by one process only; docs/scale.md says which models take --workers")
    if args.workers and getattr(model.config, "score_share", 1) < 1:
        raise UserError("--score-share is for a training by one process, without --workers")


def without_refit(args: Options, model: Recommender, split: splits.Split, is_given: bool) -> Options:
    """Return the options without refit, with a note, where the ratings are many and nobody asked for it. Parts of a
    blend lack a fold of the training ratings without it."""
    if is_given or not args.refit or split.holds_users_out or model.blends or len(split.ratings) < REFIT_MOST:
        return args
    split.notes.append("not trained again on validation ratings, which so large data does not miss; --refit does")
    return replace(args, refit=False)


def train(name: str, args: Options, config: Any, command: str, console: Console) -> Path:
    """Read the data, train the model and save the run folder, which is returned."""
    data, split = read(args)
    folder = args.run or run_folder.RUNS / f"{data.name}-{args.protocol}-{name}-s{args.holding.seed}"
    replaced = run_folder.check_free(folder)
    model = models.for_data(name, config, data, args.holding.seed)
    args = without_refit(args, model, split, options.given("refit", shlex.split(command)))
    facts = facts_of(name, args, model, data)
    training = Training(
        checkpoints=folder.with_name(folder.name + ".checkpoint"),
        checkpoint_every=args.checkpoint_every,
        finished=folder.with_name(folder.name + ".parts") if model.blends else None,
        signature=signature(facts, split, data),
        tensorboard=folder.with_name(folder.name + ".tensorboard") if args.tensorboard else None,
        show=True,
    )
    check(name, args, model, split)
    with run_folder.locked(folder):
        if not args.resume and training.checkpoints and is_there(training.checkpoints):
            console.print(f"{training.checkpoints}, from which --resume would go on, is deleted", soft_wrap=True)
        training.start(args.resume)
        print_data(data, split, console)
        start = time.perf_counter()
        with explain_errors(name, config, training, console), with_workers(name, args, folder, split, training):
            history, preferred, refitted = fit(model, split, training, args.refit)
        seconds = time.perf_counter() - start
        facts |= {"refit": refitted, "seconds": round(seconds, 2), "command": command}
        kept = discoveries.arrays(model, split, preferred)
        run_folder.save(folder, model, split, data, facts, history, preferred, pictures.learning_curve, **kept)
        if training.tensorboard and is_latent(model):
            projector.write(training.tensorboard, model.latent, data)
        print_results(model, preferred, console)
        where = f"{folder}, replacing the earlier run there" if replaced else folder
        console.print(f"{name} trained in {seconds:.0f} s, saved in {where}", soft_wrap=True)
        if training.failed or not training.interrupted:
            training.done()
    if training.failed:
        raise UserError(f"{training.failed}; the best weights before that are saved in {folder}")
    if training.interrupted:
        console.print("stopped early: the best weights so far are saved; the same command with --resume goes on")
    return folder


def main(argv: list[str] | None = None) -> Path | None:
    """Do what the arguments ask for. Returns the run folder; None where nothing is trained."""
    console, argv = tables.console(), argv or []
    if argv == ["--list"]:
        table = Table("model", "what it is", **tables.STYLE)
        for model in models.names():
            table.add_row(model, models.MODELS[model])
        console.print(table)
        return None
    name, args, config = parse(argv)
    if args.describe:
        tables.print_facts(datasets.keep_core(args.load(), args.min_count)[0], console)
        return None
    if args.workers:
        cluster.check(args.ray)
    return train(name, args, config, shlex.join(["train.py", *argv]), console)


if __name__ == "__main__":
    options.run(main)
