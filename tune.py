"""Search for a model's best options: python tune.py MODEL [--trials N] [--minutes M] [options].

Each trial trains with other options and is judged on the validation ratings; the test is never read. Options that are
said stay as they are, the others are searched where the model's Config says so. The same command goes on with a search
that was interrupted, and may run several times at once."""

import shlex
import time
from dataclasses import asdict, dataclass

import numpy as np
from rich.table import Table

import models
from utils.command_line import options
from utils.errors import UserError
from utils.report import tables
from utils.runs import run_folder
from utils.training import search_space, training_command

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

    def __post_init__(self):
        if self.trials is not None and self.trials < 1:
            raise ValueError(f"trials must be 1 or more, got {self.trials}")
        if self.minutes is not None and not 0 < self.minutes < np.inf:
            raise ValueError(f"minutes must be above 0, got {self.minutes:g}")


def parse(argv):
    """(model name, `Options`, the model's Config, {option: space} of those to search, names of these and of the options
    that were said)."""
    name, chosen, config = training_command.parse(argv, models, Options, "tune.py", __doc__)
    spaces = {one: space for one, space in search_space.spaces(config).items() if not training_command.given(one, argv)}
    spaces = {one: space for one, space in spaces.items() if space.holds(getattr(config, one))}
    if not spaces:
        why = "all of them are given" if search_space.spaces(config) else "there is nothing that could be chosen better"
        raise UserError(f"{name} has no options to search for: {why}")
    known = {
        **training_command.configured(argv, models)[1],
        **{one: None for one in asdict(config) if training_command.given(one, argv)},
    }
    return name, chosen, config, spaces, [one for one in asdict(config) if one in known or one in spaces]


def search(study, objective, chosen, say):
    """Add trials until there are enough or the time is over. Returns whether Ctrl-C ended it."""
    import optuna

    from utils.training.objective import OutOfTimeError
    from utils.training.study import FINISHED, numbered

    most = chosen.trials or (None if chosen.minutes else TRIALS)
    seconds = chosen.minutes and 60 * chosen.minutes
    objective.deadline = time.perf_counter() + (seconds or np.inf)

    def enough():
        return most and len(study.get_trials(deepcopy=False, states=FINISHED)) >= most

    def stop(study, _):
        if enough():
            study.stop()

    try:
        if not enough():
            drawing = numbered(study, chosen.holding.seed, objective)
            study.optimize(drawing, timeout=seconds, callbacks=[say, stop], catch=(OutOfTimeError,))
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


def as_begun(found, defaults):
    """The line of the trial that had the options that the search began with; None where it did not come to its end."""
    same = (line for line in found if line["state"] == "complete" and not any(line[o] != defaults[o] for o in defaults))
    return next(same, None)


def table(found, defaults, figure):
    """The table of the best trials, with the one that the search began with."""
    complete, begun = [line for line in found if line["state"] == "complete"], as_begun(found, defaults)
    shown = complete[:SHOWN] + [begun] * (begun is not None and begun not in complete[:SHOWN])
    out = Table(**tables.STYLE)
    for name in ("", "trial", figure, "epochs", "seconds", "options that differ from the defaults"):
        out.add_column(name, justify="left" if name.startswith("options") else "right", overflow="fold")
    for line in shown:
        cells = (found.index(line) + 1, line["trial"], f"{line['figure']:.4f}", line["epochs"] or "", line["seconds"])
        out.add_row(*map(str, cells), differing(line, defaults))
    return out


def tell(study, found, trials, folder, asked, objective, console):
    """Print the table of the trials, which options mattered and what to do next; write the files."""
    from utils.report import search_results
    from utils.training import study as studies

    name, chosen, config, spaces, said = asked
    defaults = {one: search_space.as_text(getattr(config, one)) for one in spaces}
    first = next(trial for trial in trials if trial.number == found[0]["trial"])
    best = asdict(config) | {one: space.draw(first, one) for one, space in spaces.items()}
    facts = {"figure": objective.figure, "value": found[0]["figure"]}
    facts["defaults"] = (as_begun(found, defaults) or {"figure": ""})["figure"]
    facts |= {"trials": len(found), "data": chosen.data, "protocol": chosen.protocol, "seed": chosen.holding.seed}
    facts |= {"importance": {one: round(share, 3) for one, share in studies.importance(study).items()}}
    search_results.write(folder, found, {"model": name, "options": {one: best[one] for one in said}}, facts)
    console.print(table(found, defaults, objective.figure))
    if facts["importance"]:
        mattered = ", ".join(f"{one.replace('_', '-')} {share:.0%}" for one, share in facts["importance"].items())
        console.print(f"what the differences come from: {mattered}", style="dim", soft_wrap=True)
    if len(found) > 1:
        note = "the best of several is a little lucky on the ratings it was chosen by; its test figure says more"
        console.print(note, style="dim", soft_wrap=True)
    own, usual = (
        asdict(one.holding) | {"data": one.data, "protocol": one.protocol, "scale": one.scale, "like": one.like}
        for one in (chosen, Options())
    )
    words = search_space.typed({one: value for one, value in own.items() if value != usual[one]})
    again = shlex.join(["python", "train.py", "--config", f"{folder}/best.json", *words])
    console.print(f"saved in {folder}; next: {again}", soft_wrap=True)


def main(argv=None):
    """Search, print, write. Returns the folder."""
    name, chosen, config, spaces, _ = asked = parse(argv or [])
    console = tables.console()
    data, split = training_command.read(chosen)
    from utils.training import study as studies
    from utils.training.objective import Objective

    seed = chosen.holding.seed
    objective = Objective(lambda asked: models.for_data(name, asked, data, seed), config, spaces, data, split)
    training_command.check(objective.model, name, split, chosen.protocol)
    objective.check()
    defaults = {one: search_space.as_text(getattr(config, one)) for one in spaces}
    start = {one: space.stored(getattr(config, one)) for one, space in spaces.items()}
    kept = {one: value for one, value in asdict(config).items() if one not in spaces}
    signature = {"model": name, "split": split.fingerprint(), "options": kept, "start": start}
    signature |= {"scale": list(data.ratings.scale), "like": data.ratings.like}
    signature["spaces"] = {one: repr(space) for one, space in spaces.items()}
    folder = chosen.out or run_folder.RUNS / "tune" / f"{data.name}-{chosen.protocol}-{name}-s{seed}"
    study = studies.opened(folder, signature, objective.higher)
    searched = ", ".join(one.replace("_", "-") for one in spaces)
    console.print(f"{name} on {data.name}, protocol {chosen.protocol}: searching {searched}", soft_wrap=True)
    earlier = studies.lines(folder, studies.trials(folder, study), study.direction)
    objective.succeeded = any(line["state"] == "complete" for line in earlier)
    if earlier:
        console.print(f"  going on after {len(earlier)} trials", style="dim")

    def say(study, trial):
        console.print(trial_line(study, trial, objective.figure, defaults), style="dim", soft_wrap=True)

    stopped = search(study, objective, chosen, say)
    trials = studies.trials(folder, study)
    found = studies.lines(folder, trials, study.direction)
    if not found or found[0]["state"] != "complete":
        if stopped:
            raise KeyboardInterrupt
        why = next((f"they were given up, {line['why']}" for line in found if line["why"]), "the time was over before")
        raise UserError(f"no trial came to its end: {why}; the same command, with more time, goes on")
    tell(study, found, trials, folder, asked, objective, console)
    if stopped:
        console.print("stopped early; the same command goes on")
    return folder


if __name__ == "__main__":
    options.run(main)
