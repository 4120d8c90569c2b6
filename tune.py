"""Search for a model's best options: python tune.py MODEL [--trials N] [--minutes M] [options].

Each trial trains with other options and is judged on the validation ratings; the test is never read. Options that are
given stay as they are, the others are searched where the model's Config says so. The same command goes on with a search
that was interrupted, and may run several times at once."""

import math
import shlex
import sys
import time
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
from utils.data.splits import Split
from utils.errors import UserError
from utils.report import search_results, tables
from utils.runs import run_folder
from utils.training import search_space, training_command
from utils.training import study as studies
from utils.training.objective import Objective, OutOfTimeError

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
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise ValueError(f"minutes must be above 0, got {self.minutes:g}")


class Search:
    """A search for options, kept in a folder.

    model, args, config: what was typed. spaces: {option: space} of the options to search for. listed: names of these
    and of the options that were given, all of which best.json lists."""

    def __init__(self, argv: list[str], console: Console) -> None:
        self.console = console
        self.model, self.args, self.config = training_command.parse(argv, models, Options, "tune.py", __doc__)
        names = list(asdict(self.config))
        given = [name for name in names if options.given(name, argv)]
        tunable = search_space.spaces(self.config)
        free = [name for name in tunable if name not in given and tunable[name].contains(getattr(self.config, name))]
        if not free:
            why = "all of them are given" if tunable else "there is nothing that could be chosen better"
            raise UserError(f"{self.model} has no options to search for: {why}")
        self.spaces = {name: tunable[name] for name in free}
        listed = {*training_command.read_config(argv, models)[1], *given, *free}
        self.listed = [name for name in names if name in listed]

    def open(self) -> None:
        """Read the data and open the study in its folder."""
        args, seed = self.args, self.args.holding.seed
        data, split = training_command.read(args)

        def build(config: Any) -> Recommender:
            return models.for_data(self.model, config, data, seed)

        self.objective = Objective(build, self.config, self.spaces, split)
        training_command.check(self.objective.model, self.model, split, args.protocol)
        self.objective.check()
        self.folder = args.out or run_folder.RUNS / "tune" / f"{data.name}-{args.protocol}-{self.model}-s{seed}"
        self.study = studies.opened(self.folder, self.signature(split), self.objective.higher)
        names = ", ".join(name.replace("_", "-") for name in self.spaces)
        self.console.print(f"{self.model} on {data.name}, protocol {args.protocol}: searching {names}", soft_wrap=True)
        if earlier := self.lines():
            self.console.print(f"  going on after {len(earlier)} trials", style="dim")
        self.objective.succeeded = any(line["state"] == "complete" for line in earlier)

    def signature(self, split: Split) -> dict[str, Any]:
        """Return what the search depends on: a search of anything else is refused in the same folder."""
        config = asdict(self.config)
        return {
            "model": self.model,
            "split": split.fingerprint(),
            "options": {name: value for name, value in config.items() if name not in self.spaces},
            "start": {name: space.stored(config[name]) for name, space in self.spaces.items()},
            "scale": list(split.ratings.scale),
            "like": split.ratings.like,
            "spaces": {name: repr(space) for name, space in self.spaces.items()},
        }

    def lines(self) -> list[Line]:
        """Return the trials so far, the best first."""
        return studies.lines(self.folder, self.study)

    def run(self) -> bool:
        """Add trials until there are enough or the time is over. Returns whether Ctrl-C ended it."""
        args = self.args
        most = args.trials or (sys.maxsize if args.minutes else TRIALS)
        seconds = args.minutes and 60 * args.minutes
        self.objective.deadline = time.perf_counter() + (seconds or math.inf)
        if len(self.study.get_trials(deepcopy=False, states=studies.FINISHED)) >= most:
            return False
        sample = studies.numbered(self.study, args.holding.seed, self.objective)
        enough = MaxTrialsCallback(most, studies.FINISHED)
        try:
            self.study.optimize(sample, timeout=seconds, callbacks=[self.print_trial, enough], catch=(OutOfTimeError,))
        except KeyboardInterrupt:
            return True
        except (OSError, AssertionError) as error:
            # Optuna fails an assertion of its own when it can't write how a trial ended
            reason = error.__context__ if isinstance(error, AssertionError) else error
            if not isinstance(reason, OSError):
                raise
            raise UserError(f"the search can't be written: {reason}") from None
        return False

    def print_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Print a line about a finished trial."""
        facts = trial.user_attrs
        if trial.state.name == "COMPLETE":
            best = " (best so far)" if study.best_trial.number == trial.number else ""
            result = f"{self.objective.figure} {facts['figure']:.4f}{best}"
        else:
            result = f"given up, {facts['why']}" if trial.state.name == "PRUNED" else "no time left for its end"
        text = f"trial {trial.number}, {facts['seconds']:.0f} s: {result}: {self.differing(facts['options'])}"
        self.console.print(text, style="dim", soft_wrap=True)

    def differing(self, line: Line) -> str:
        """Say which options of a trial are not the defaults."""
        changed = {name: line[name] for name, default in self.objective.defaults.items() if line[name] != default}
        return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in changed.items()) or "the defaults"

    def with_defaults(self, lines: list[Line]) -> list[Line]:
        """Return the complete trial with the default options, if there is one."""
        defaults = self.objective.defaults.items()
        return [line for line in lines if line["state"] == "complete" and defaults <= line.items()][:1]

    def table(self, lines: list[Line]) -> Table:
        """Make the table of the best trials, with the one that has the default options."""
        shown = [line for line in lines if line["state"] == "complete"][:SHOWN]
        shown += [line for line in self.with_defaults(lines) if line not in shown]
        table = Table(**tables.STYLE)
        for name in ("", "trial", self.objective.figure, "epochs", "seconds", "options that differ from the defaults"):
            table.add_column(name, justify="left" if name.startswith("options") else "right", overflow="fold")
        for line in shown:
            rank, figure = lines.index(line) + 1, f"{line['figure']:.4f}"
            cells = (rank, line["trial"], figure, line["epochs"] or "", line["seconds"], self.differing(line))
            table.add_row(*map(str, cells))
        return table

    def write(self, lines: list[Line]) -> dict[str, float]:
        """Write trials.csv, search.png and best.json; returns {option: importance}."""
        args, first = self.args, self.with_defaults(lines)
        best = self.study.get_trials(deepcopy=False)[lines[0]["trial"]]
        values = asdict(self.config) | {name: space.draw(best, name) for name, space in self.spaces.items()}
        importance = {name: round(share, 3) for name, share in studies.importance(self.study).items()}
        facts = {
            "figure": self.objective.figure,
            "value": lines[0]["figure"],
            "defaults": first[0]["figure"] if first else "",
            "trials": len(lines),
            "data": args.data,
            "protocol": args.protocol,
            "seed": args.holding.seed,
            "like": args.like,
            "min_count": args.min_count,
            "importance": importance,
        }
        config = {"model": self.model, "options": {name: values[name] for name in self.listed}}
        search_results.write(self.folder, lines, config, facts)
        return importance

    def print_results(self, lines: list[Line], importance: dict[str, float]) -> None:
        """Print the table of the trials, which options mattered and what to do next."""
        self.console.print(self.table(lines))
        if importance:
            shares = ", ".join(f"{name.replace('_', '-')} {share:.0%}" for name, share in importance.items())
            self.console.print(f"what the differences come from: {shares}", style="dim", soft_wrap=True)
        if len(lines) > 1:
            note = "the best of several is a little lucky on the ratings it was chosen by; its test figure says more"
            self.console.print(note, style="dim", soft_wrap=True)
        best = ["--config", f"{self.folder}/best.json", *training_words(self.args)]
        self.console.print(f"saved in {self.folder}; next: {shlex.join(['python', 'train.py', *best])}", soft_wrap=True)


def training_words(args: Options) -> list[str]:
    """Return the words for train.py that differ from its defaults: data, protocol, scale, like."""

    def values(source: Options) -> dict[str, Any]:
        names = ("data", "protocol", "scale", "like", "min_count")
        return asdict(source.holding) | {name: getattr(source, name) for name in names}

    defaults = values(Options())
    return search_space.typed({name: value for name, value in values(args).items() if value != defaults[name]})


def main(argv: list[str] | None = None) -> Path:
    """Search, print, write. Returns the folder."""
    console = tables.console()
    search = Search(argv or [], console)
    search.open()
    stopped = search.run()
    lines = search.lines()
    if not lines or lines[0]["state"] != "complete":
        if stopped:
            raise KeyboardInterrupt
        why = next((f"they were given up, {line['why']}" for line in lines if line["why"]), "the time was over before")
        raise UserError(f"no trial came to its end: {why}; the same command, with more time, goes on")
    search.print_results(lines, search.write(lines))
    if stopped:
        console.print("stopped early; the same command goes on")
    return search.folder


if __name__ == "__main__":
    options.run(main)
