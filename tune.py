"""Search for a model's best options: python tune.py MODEL [--trials N] [--minutes M] [options].

Each trial trains with other options and is judged on the validation ratings; the test is never read. Options that are
given stay as they are, the others are searched where the model's Config says so. The same command goes on with a search
that was interrupted, and may run several times at once."""

import shlex
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

import models
from models.base import Recommender
from utils.command_line import options
from utils.data.datasets import Dataset
from utils.data.splits import Split
from utils.errors import UserError
from utils.report import tables
from utils.runs import run_folder
from utils.training import search_space, training_command

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from utils.training.objective import Objective

Line = dict[str, Any]  # a trial as `utils.training.study.lines` describes it
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
        if self.minutes is not None and not 0 < self.minutes < np.inf:
            raise ValueError(f"minutes must be above 0, got {self.minutes:g}")


@dataclass(frozen=True)
class Command:
    """What was typed. config: the model's. spaces: {option: space} of the options to search for. listed: names of these
    and of the options that were given, all of which best.json lists."""

    model: str
    options: Options
    config: Any
    spaces: dict[str, Any]
    listed: list[str]

    @property
    def defaults(self) -> dict[str, str]:
        """The options to search for as the search begins with them, as text."""
        return {name: search_space.as_text(getattr(self.config, name)) for name in self.spaces}

    def signature(self, data: Dataset, split: Split) -> dict[str, Any]:
        """Say what is searched for on what: a search of anything else is refused in the same folder."""
        start = {name: space.stored(getattr(self.config, name)) for name, space in self.spaces.items()}
        kept = {name: value for name, value in asdict(self.config).items() if name not in self.spaces}
        facts = {"model": self.model, "split": split.fingerprint(), "options": kept, "start": start}
        spaces = {name: repr(space) for name, space in self.spaces.items()}
        return facts | {"scale": list(data.ratings.scale), "like": data.ratings.like, "spaces": spaces}


def parse(argv: list[str]) -> Command:
    """Read the arguments and find the options to search for."""
    name, chosen, config = training_command.parse(argv, models, Options, "tune.py", __doc__)
    given = [one for one in asdict(config) if training_command.given(one, argv)]
    spaces = {one: space for one, space in search_space.spaces(config).items() if one not in given}
    spaces = {one: space for one, space in spaces.items() if space.contains(getattr(config, one))}
    if not spaces:
        why = "all of them are given" if search_space.spaces(config) else "there is nothing that could be chosen better"
        raise UserError(f"{name} has no options to search for: {why}")
    listed = {*training_command.configured(argv, models)[1], *given, *spaces}
    return Command(name, chosen, config, spaces, [one for one in asdict(config) if one in listed])


def search(study: "optuna.Study", objective: "Objective", chosen: Options, say: Callable) -> bool:
    """Add trials until there are enough or the time is over. Returns whether Ctrl-C ended it."""
    from utils.training.objective import OutOfTimeError
    from utils.training.study import FINISHED, numbered

    most = chosen.trials or (None if chosen.minutes else TRIALS)
    seconds = chosen.minutes and 60 * chosen.minutes
    objective.deadline = time.perf_counter() + (seconds or np.inf)

    def enough() -> bool:
        return most is not None and len(study.get_trials(deepcopy=False, states=FINISHED)) >= most

    def stop(study: "optuna.Study", _: "FrozenTrial") -> None:
        if enough():
            study.stop()

    try:
        if not enough():
            drawing = numbered(study, chosen.holding.seed, objective)
            study.optimize(drawing, timeout=seconds, callbacks=[say, stop], catch=(OutOfTimeError,))
    except KeyboardInterrupt:
        return True
    except OSError as error:
        raise UserError(f"the search can't be written: {error}") from None
    return False


def differing(line: Line, defaults: dict[str, str]) -> str:
    """Say which options of a trial are not the defaults."""
    changed = (f"{one.replace('_', '-')} {line[one]}" for one in defaults if line[one] != defaults[one])
    return ", ".join(changed) or "the defaults"


def trial_line(study: "optuna.Study", trial: "FrozenTrial", figure: str, defaults: dict[str, str]) -> str:
    """Describe a finished trial in a line."""
    facts = trial.user_attrs
    if trial.state.name == "COMPLETE":
        result = f"{figure} {facts['figure']:.4f}"
        if study.best_trial.number == trial.number:
            result += " (best so far)"
    else:
        result = f"given up, {facts['why']}" if trial.state.name == "PRUNED" else "no time left for its end"
    return f"trial {trial.number}, {facts['seconds']:.0f} s: {result}: {differing(facts['options'], defaults)}"


def as_begun(lines: list[Line], defaults: dict[str, str]) -> Line | None:
    """Return the line of the trial with the options that the search began with; None where it did not complete."""
    same = (line for line in lines if line["state"] == "complete" and not any(line[o] != defaults[o] for o in defaults))
    return next(same, None)


def table(lines: list[Line], defaults: dict[str, str], figure: str) -> Table:
    """Make the table of the best trials, with the one that the search began with."""
    shown, begun = [line for line in lines if line["state"] == "complete"][:SHOWN], as_begun(lines, defaults)
    if begun is not None and begun not in shown:
        shown.append(begun)
    style: dict[str, Any] = tables.STYLE
    out = Table(**style)
    for name in ("", "trial", figure, "epochs", "seconds", "options that differ from the defaults"):
        out.add_column(name, justify="left" if name.startswith("options") else "right", overflow="fold")
    for line in shown:
        cells = (lines.index(line) + 1, line["trial"], f"{line['figure']:.4f}", line["epochs"] or "", line["seconds"])
        out.add_row(*map(str, cells), differing(line, defaults))
    return out


def write_best(
    folder: Path, command: Command, study: "optuna.Study", trials: list["FrozenTrial"], lines: list[Line], figure: str
) -> dict[str, float]:
    """Write trials.csv and best.json; returns {option: importance}."""
    from utils.report import search_results
    from utils.training import study as studies

    chosen, begun = command.options, as_begun(lines, command.defaults)
    first = next(trial for trial in trials if trial.number == lines[0]["trial"])
    best = asdict(command.config) | {name: space.draw(first, name) for name, space in command.spaces.items()}
    importance = {name: round(share, 3) for name, share in studies.importance(study).items()}
    facts = {
        "figure": figure,
        "value": lines[0]["figure"],
        "defaults": begun["figure"] if begun else "",
        "trials": len(lines),
        "data": chosen.data,
        "protocol": chosen.protocol,
        "seed": chosen.holding.seed,
        "like": chosen.like,
        "importance": importance,
    }
    options_of_best = {name: best[name] for name in command.listed}
    search_results.write(folder, lines, {"model": command.model, "options": options_of_best}, facts)
    return importance


def training_words(chosen: Options) -> list[str]:
    """Return the words for train.py that differ from its defaults: data, protocol, scale, like."""

    def typed(one: Options) -> dict[str, Any]:
        return asdict(one.holding) | {"data": one.data, "protocol": one.protocol, "scale": one.scale, "like": one.like}

    usual = typed(Options())
    return search_space.typed({name: value for name, value in typed(chosen).items() if value != usual[name]})


def report(console: Console, folder: Path, command: Command, lines: list[Line], figure: str, importance: dict) -> None:
    """Print the table of the trials, which options mattered and what to do next."""
    console.print(table(lines, command.defaults, figure))
    if importance:
        mattered = ", ".join(f"{name.replace('_', '-')} {share:.0%}" for name, share in importance.items())
        console.print(f"what the differences come from: {mattered}", style="dim", soft_wrap=True)
    if len(lines) > 1:
        note = "the best of several is a little lucky on the ratings it was chosen by; its test figure says more"
        console.print(note, style="dim", soft_wrap=True)
    again = shlex.join(["python", "train.py", "--config", f"{folder}/best.json", *training_words(command.options)])
    console.print(f"saved in {folder}; next: {again}", soft_wrap=True)


def begin(command: Command, data: Dataset, split: Split) -> tuple["Objective", Path, "optuna.Study"]:
    """Make the objective and open the study in its folder; returns both and the folder."""
    from utils.training import study as studies
    from utils.training.objective import Objective

    chosen, seed = command.options, command.options.holding.seed

    def build(config: Any) -> Recommender:
        return models.for_data(command.model, config, data, seed)

    objective = Objective(build, command.config, command.spaces, data, split)
    training_command.check(objective.model, command.model, split, chosen.protocol)
    objective.check()
    folder = chosen.out or run_folder.RUNS / "tune" / f"{data.name}-{chosen.protocol}-{command.model}-s{seed}"
    return objective, folder, studies.opened(folder, command.signature(data, split), objective.higher)


def main(argv: list[str] | None = None) -> Path:
    """Search, print, write. Returns the folder."""
    command, console = parse(argv or []), tables.console()
    data, split = training_command.read(command.options)
    from utils.training import study as studies

    objective, folder, study = begin(command, data, split)
    searched = ", ".join(name.replace("_", "-") for name in command.spaces)
    protocol = command.options.protocol
    console.print(f"{command.model} on {data.name}, protocol {protocol}: searching {searched}", soft_wrap=True)
    earlier = studies.lines(folder, studies.trials(folder, study), study.direction)
    objective.succeeded = any(line["state"] == "complete" for line in earlier)
    if earlier:
        console.print(f"  going on after {len(earlier)} trials", style="dim")

    def say(study: "optuna.Study", trial: "FrozenTrial") -> None:
        console.print(trial_line(study, trial, objective.figure, command.defaults), style="dim", soft_wrap=True)

    stopped = search(study, objective, command.options, say)
    trials = studies.trials(folder, study)
    lines = studies.lines(folder, trials, study.direction)
    if not lines or lines[0]["state"] != "complete":
        if stopped:
            raise KeyboardInterrupt
        why = next((f"they were given up, {line['why']}" for line in lines if line["why"]), "the time was over before")
        raise UserError(f"no trial came to its end: {why}; the same command, with more time, goes on")
    importance = write_best(folder, command, study, trials, lines, objective.figure)
    report(console, folder, command, lines, objective.figure, importance)
    if stopped:
        console.print("stopped early; the same command goes on")
    return folder


if __name__ == "__main__":
    options.run(main)
