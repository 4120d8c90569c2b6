"""Search for a model's best options: python tune.py MODEL [--trials N] [--minutes M] [options].

Each trial trains with other options and is judged on the validation ratings; the test is never read. Options that are
said stay as they are, the others are searched where the model's Config says so. The same command goes on with a search
that was interrupted, and may run several times at once."""

import shlex
import time
from dataclasses import asdict, dataclass

import numpy as np
from rich.table import Table

from models import _command
from utils import options, runs, tabular, tuned
from utils.errors import UserError

TRIALS = 30
SHOWN = 10


@dataclass(frozen=True)
class Options(_command.Source):
    """Options of a search."""

    trials: int | None = None
    """the search is over after so many trials, with those of earlier and of other processes (default: 30, or as many as
    there is time for)"""
    minutes: float | None = None
    """this process ends after so many minutes"""
    out: options.Folder = None
    """folder of the search (default: runs/tune/<data>-<protocol>-<model>-s<seed>)"""

    def __post_init__(self):
        if self.trials is not None and self.trials < 1:
            raise ValueError(f"trials must be 1 or more, got {self.trials}")
        if self.minutes is not None and not 0 < self.minutes < np.inf:
            raise ValueError(f"minutes must be above 0, got {self.minutes:g}")


def parse(argv):
    """(model name, `Options`, the model's Config, {option: space} of those to search)."""
    name, chosen, config = _command.parse(argv, Options, "tune.py", __doc__)
    spaces = {one: space for one, space in tuned.spaces(config).items() if not _command.given(one, argv)}
    spaces = {one: space for one, space in spaces.items() if space.holds(getattr(config, one))}
    if not spaces:
        why = "all of them are given" if tuned.spaces(config) else "there is nothing that could be chosen better"
        raise UserError(f"{name} has no options to search for: {why}")
    return name, chosen, config, spaces


def search(study, objective, chosen, say):
    """Add trials until there are enough or the time is over. Returns whether Ctrl-C ended it."""
    import optuna

    from models._search import OutOfTimeError
    from utils.study import FINISHED, numbered

    most = chosen.trials or (None if chosen.minutes else TRIALS)
    seconds = chosen.minutes and 60 * chosen.minutes
    objective.deadline = time.perf_counter() + (seconds or np.inf)

    def enough(study, _=None):
        if most and len(study.get_trials(deepcopy=False, states=FINISHED)) >= most:
            study.stop()

    try:
        if not most or len(study.get_trials(deepcopy=False, states=FINISHED)) < most:
            drawing = numbered(study, chosen.holding.seed, objective)
            study.optimize(drawing, timeout=seconds, callbacks=[say, enough], catch=(OutOfTimeError,))
    except KeyboardInterrupt:
        return True
    except optuna.exceptions.StorageInternalError as error:
        raise UserError(f"the search can't be written: {error.__cause__ or error}") from None
    return False


def differing(line, defaults):
    """The options of a trial that are not the defaults, as text."""
    said = (f"{one.replace('_', '-')} {line[one]}" for one in defaults if line[one] != defaults[one])
    return ", ".join(said) or "the defaults"


def trial_line(study, trial, figure, defaults):
    """What is said of a trial that is over."""
    noted = trial.user_attrs
    if trial.state.name == "COMPLETE":
        found = f"{figure} {noted['figure']:.4f}" + " (best so far)" * (study.best_trial.number == trial.number)
    else:
        found = f"given up, {noted['why']}" if trial.state.name == "PRUNED" else "no time left for its end"
    return f"trial {trial.number}, {noted['seconds']:.0f} s: {found}: {differing(noted['options'], defaults)}"


def table(found, defaults, figure):
    """The table of the best trials, with the defaults (trial 0)."""
    shown = [line for line in found if line["state"] == "complete"][:SHOWN]
    shown += [line for line in found if line["trial"] == 0 and line not in shown]
    out = Table(**tabular.STYLE)
    for name in ("", "trial", figure, "epochs", "seconds", "options that differ from the defaults"):
        out.add_column(name, justify="left" if name.startswith("options") else "right", overflow="fold")
    for line in shown:
        value = "" if line["figure"] == "" else f"{line['figure']:.4f}"
        cells = (found.index(line) + 1, line["trial"], value, line["epochs"] or "", line["seconds"])
        out.add_row(*map(str, cells), differing(line, defaults))
    return out


def tell(study, found, folder, asked, objective, console):
    """Print the table of the trials, which options mattered and what to do next; write the files."""
    from models import _search
    from utils import study as studies

    name, chosen, config, spaces = asked
    defaults = {one: tuned.as_text(getattr(config, one)) for one in spaces}
    best = {one: space.draw(study.best_trial, one) for one, space in spaces.items()}
    facts = {"figure": objective.figure, "value": found[0]["figure"]}
    facts["defaults"] = next((line["figure"] for line in found if line["trial"] == 0), "")
    facts |= {"trials": len(found), "data": chosen.data, "protocol": chosen.protocol, "seed": chosen.holding.seed}
    facts |= {"importance": {one: round(share, 3) for one, share in studies.importance(study).items()}}
    studies.write(folder, found, _search.options_of(name, config, best), facts)
    console.print(table(found, defaults, objective.figure))
    if facts["importance"]:
        said = ", ".join(f"{one.replace('_', '-')} {share:.0%}" for one, share in facts["importance"].items())
        console.print(f"what the differences come from: {said}", style="dim", soft_wrap=True)
    if len(found) > 1:
        note = "the best of several is a little lucky on the ratings it was chosen by; its test figure says more"
        console.print(note, style="dim", soft_wrap=True)
    said, usual = (
        asdict(one.holding) | {"data": one.data, "protocol": one.protocol, "scale": one.scale}
        for one in (chosen, Options())
    )
    words = tuned.typed({one: value for one, value in said.items() if value != usual[one]})
    again = shlex.join(["python", "train.py", "--config", f"{folder}/best.json", *words])
    console.print(f"saved in {folder}; next: {again}", soft_wrap=True)


def main(argv=None):
    """Search, print, write. Returns the folder."""
    name, chosen, config, spaces = asked = parse(argv or [])
    console = tabular.console()
    data, split = _command.read(chosen)
    if not split.validation.hidden.nnz:
        raise UserError(
            "there are no validation ratings to judge options by; a higher --validation-share sets aside some"
        )
    from models._search import Objective
    from utils import study as studies

    seed = chosen.holding.seed
    objective = Objective(name, config, spaces, data, split, seed)
    _command.check(objective.model, name, split, chosen.protocol)
    defaults = {one: tuned.as_text(getattr(config, one)) for one in spaces}
    kept = {one: value for one, value in asdict(config).items() if one not in spaces}
    signature = {"model": name, "split": split.fingerprint(), "options": kept, "spaces": [*spaces]}
    folder = chosen.out or runs.RUNS / "tune" / f"{data.name}-{chosen.protocol}-{name}-s{seed}"
    start = {one: space.stored(getattr(config, one)) for one, space in spaces.items()}
    study = studies.opened(folder, signature, objective.higher, start)
    said = ", ".join(one.replace("_", "-") for one in spaces)
    console.print(f"{name} on {data.name}, protocol {chosen.protocol}: searching {said}", soft_wrap=True)
    if earlier := len(studies.lines(study, defaults)):
        console.print(f"  going on after {earlier} trials", style="dim")

    def say(study, trial):
        console.print(trial_line(study, trial, objective.figure, defaults), style="dim", soft_wrap=True)

    stopped = search(study, objective, chosen, say)
    found = studies.lines(study, defaults)
    if not found or found[0]["state"] != "complete":
        if stopped:
            raise KeyboardInterrupt
        raise UserError("the time was over before any trial was; the same command with more --minutes goes on")
    tell(study, found, folder, asked, objective, console)
    if stopped:
        console.print("stopped early; the same command goes on")
    return folder


if __name__ == "__main__":
    options.run(main)
