"""Search for a model's best options: python tune.py MODEL [--trials N] [--minutes M] [options].

Each trial trains with other options and is judged on the validation ratings; the test is never read. Options that are
given stay as they are, the others are searched where the model's Config says so. The same command goes on with a search
that was interrupted, and may run several times at once."""

import math
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial
from rich.console import Console
from rich.table import Table

import models
from models.base import Recommender
from utils.command_line import options
from utils.data.datasets import Dataset
from utils.data.splits import Split
from utils.errors import UserError
from utils.report import search_results, tables
from utils.runs import run_folder
from utils.training import search_space, training_command
from utils.training import study as studies
from utils.training.objective import Objective, OutOfTimeError

Line = dict[str, Any]  # a trial as `utils.training.study.lines` describes it
Report = Callable[[optuna.Study, FrozenTrial], None]
TRIALS = 30
SHOWN = 10


@dataclass(frozen=True)
class Options(training_command.Source):
    """Options of a search."""

    trials: int | None = None
    """the search is over after so many trials, with those of earlier and of other processes (default: 30, or as many as
    there is time for)"""
    minutes: float | None = None
    """this process ends after so many minutes, a trial without epochs (closed form, sampling) with its end"""
    out: options.Folder = None
    """folder of the search (default: runs/tune/<data>-<protocol>-<model>-s<seed>)"""

    def __post_init__(self) -> None:
        if self.trials is not None and self.trials < 1:
            raise ValueError(f"trials must be 1 or more, got {self.trials}")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise ValueError(f"minutes must be above 0, got {self.minutes:g}")


@dataclass(frozen=True)
class Command:
    """What was typed. config: the model's. spaces: {option: space} of the options to search for. listed: names of these
    and of the options that were given, all of which best.json lists."""

    model: str
    args: Options
    config: Any
    spaces: dict[str, search_space.Space]
    listed: list[str]

    @property
    def defaults(self) -> dict[str, str]:
        """The options to search for as the search begins with them, as text."""
        return {name: search_space.as_text(getattr(self.config, name)) for name in self.spaces}

    def signature(self, data: Dataset, split: Split) -> dict[str, Any]:
        """Return what the search depends on: a search of anything else is refused in the same folder."""
        return {
            "model": self.model,
            "split": split.fingerprint(),
            "options": {name: value for name, value in asdict(self.config).items() if name not in self.spaces},
            "start": {name: space.stored(getattr(self.config, name)) for name, space in self.spaces.items()},
            "scale": list(data.ratings.scale),
            "like": data.ratings.like,
            "spaces": {name: repr(space) for name, space in self.spaces.items()},
        }


def parse(argv: list[str]) -> Command:
    """Read the arguments and find the options to search for."""
    name, args, config = training_command.parse(argv, models, Options, "tune.py", __doc__)
    given = [option for option in asdict(config) if training_command.given(option, argv)]
    tunable = search_space.spaces(config)
    spaces = {o: space for o, space in tunable.items() if o not in given and space.contains(getattr(config, o))}
    if not spaces:
        why = "all of them are given" if tunable else "there is nothing that could be chosen better"
        raise UserError(f"{name} has no options to search for: {why}")
    listed = {*training_command.read_config(argv, models)[1], *given, *spaces}
    return Command(name, args, config, spaces, [option for option in asdict(config) if option in listed])


def search(study: optuna.Study, objective: Objective, args: Options, report: Report) -> bool:
    """Add trials until there are enough or the time is over. Returns whether Ctrl-C ended it."""
    most = args.trials or (sys.maxsize if args.minutes else TRIALS)
    seconds = args.minutes and 60 * args.minutes
    objective.deadline = time.perf_counter() + (seconds or math.inf)
    if len(study.get_trials(deepcopy=False, states=studies.FINISHED)) >= most:
        return False
    sample = studies.numbered(study, args.holding.seed, objective)
    enough = MaxTrialsCallback(most, studies.FINISHED)
    try:
        study.optimize(sample, timeout=seconds, callbacks=[report, enough], catch=(OutOfTimeError,))
    except KeyboardInterrupt:
        return True
    except OSError as error:
        raise UserError(f"the search can't be written: {error}") from None
    return False


def differing(line: Line, defaults: dict[str, str]) -> str:
    """Say which options of a trial are not the defaults."""
    changed = (f"{name.replace('_', '-')} {line[name]}" for name in defaults if line[name] != defaults[name])
    return ", ".join(changed) or "the defaults"


def describe(study: optuna.Study, trial: FrozenTrial, figure: str, defaults: dict[str, str]) -> str:
    """Describe a finished trial in a line."""
    facts = trial.user_attrs
    if trial.state.name == "COMPLETE":
        best = " (best so far)" if study.best_trial.number == trial.number else ""
        result = f"{figure} {facts['figure']:.4f}{best}"
    else:
        result = f"given up, {facts['why']}" if trial.state.name == "PRUNED" else "no time left for its end"
    return f"trial {trial.number}, {facts['seconds']:.0f} s: {result}: {differing(facts['options'], defaults)}"


def with_defaults(lines: list[Line], defaults: dict[str, str]) -> Line | None:
    """Return the complete trial with the default options; None where there is none."""
    same = (line for line in lines if line["state"] == "complete" and defaults.items() <= line.items())
    return next(same, None)


def table(lines: list[Line], defaults: dict[str, str], figure: str) -> Table:
    """Make the table of the best trials, with the one that has the default options."""
    shown, first = [line for line in lines if line["state"] == "complete"][:SHOWN], with_defaults(lines, defaults)
    if first is not None and first not in shown:
        shown.append(first)
    out = Table(**tables.STYLE)
    for name in ("", "trial", figure, "epochs", "seconds", "options that differ from the defaults"):
        out.add_column(name, justify="left" if name.startswith("options") else "right", overflow="fold")
    for line in shown:
        cells = (lines.index(line) + 1, line["trial"], f"{line['figure']:.4f}", line["epochs"] or "", line["seconds"])
        out.add_row(*map(str, cells), differing(line, defaults))
    return out


def write(folder: Path, command: Command, study: optuna.Study, lines: list[Line], figure: str) -> dict[str, float]:
    """Write trials.csv, search.png and best.json; returns {option: importance}."""
    args, first = command.args, with_defaults(lines, command.defaults)
    best = study.get_trials(deepcopy=False)[lines[0]["trial"]]
    values = asdict(command.config) | {name: space.draw(best, name) for name, space in command.spaces.items()}
    importance = {name: round(share, 3) for name, share in studies.importance(study).items()}
    facts = {
        "figure": figure,
        "value": lines[0]["figure"],
        "defaults": first["figure"] if first else "",
        "trials": len(lines),
        "data": args.data,
        "protocol": args.protocol,
        "seed": args.holding.seed,
        "like": args.like,
        "importance": importance,
    }
    config = {"model": command.model, "options": {name: values[name] for name in command.listed}}
    search_results.write(folder, lines, config, facts)
    return importance


def training_words(args: Options) -> list[str]:
    """Return the words for train.py that differ from its defaults: data, protocol, scale, like."""

    def values(source: Options) -> dict[str, Any]:
        shared = {name: getattr(source, name) for name in ("data", "protocol", "scale", "like")}
        return asdict(source.holding) | shared

    defaults = values(Options())
    return search_space.typed({name: value for name, value in values(args).items() if value != defaults[name]})


def print_results(
    console: Console, folder: Path, command: Command, lines: list[Line], figure: str, importance: dict[str, float]
) -> None:
    """Print the table of the trials, which options mattered and what to do next."""
    console.print(table(lines, command.defaults, figure))
    if importance:
        shares = ", ".join(f"{name.replace('_', '-')} {share:.0%}" for name, share in importance.items())
        console.print(f"what the differences come from: {shares}", style="dim", soft_wrap=True)
    if len(lines) > 1:
        note = "the best of several is a little lucky on the ratings it was chosen by; its test figure says more"
        console.print(note, style="dim", soft_wrap=True)
    again = shlex.join(["python", "train.py", "--config", f"{folder}/best.json", *training_words(command.args)])
    console.print(f"saved in {folder}; next: {again}", soft_wrap=True)


def begin(command: Command, data: Dataset, split: Split) -> tuple[Objective, Path, optuna.Study]:
    """Make the objective and open the study; returns (objective, folder of the search, study)."""
    args, seed = command.args, command.args.holding.seed

    def build(config: Any) -> Recommender:
        return models.for_data(command.model, config, data, seed)

    objective = Objective(build, command.config, command.spaces, data, split)
    training_command.check(objective.model, command.model, split, args.protocol)
    objective.check()
    folder = args.out or run_folder.RUNS / "tune" / f"{data.name}-{args.protocol}-{command.model}-s{seed}"
    return objective, folder, studies.opened(folder, command.signature(data, split), objective.higher)


def main(argv: list[str] | None = None) -> Path:
    """Search, print, write. Returns the folder."""
    command, console = parse(argv or []), tables.console()
    data, split = training_command.read(command.args)
    objective, folder, study = begin(command, data, split)
    names = ", ".join(name.replace("_", "-") for name in command.spaces)
    console.print(
        f"{command.model} on {data.name}, protocol {command.args.protocol}: searching {names}", soft_wrap=True
    )
    if earlier := studies.lines(folder, study):
        console.print(f"  going on after {len(earlier)} trials", style="dim")
    objective.succeeded = any(line["state"] == "complete" for line in earlier)

    def report(study: optuna.Study, trial: FrozenTrial) -> None:
        console.print(describe(study, trial, objective.figure, command.defaults), style="dim", soft_wrap=True)

    stopped = search(study, objective, command.args, report)
    lines = studies.lines(folder, study)
    if not lines or lines[0]["state"] != "complete":
        if stopped:
            raise KeyboardInterrupt
        why = next((f"they were given up, {line['why']}" for line in lines if line["why"]), "the time was over before")
        raise UserError(f"no trial came to its end: {why}; the same command, with more time, goes on")
    importance = write(folder, command, study, lines, objective.figure)
    print_results(console, folder, command, lines, objective.figure, importance)
    if stopped:
        console.print("stopped early; the same command goes on")
    return folder


if __name__ == "__main__":
    options.run(main)
