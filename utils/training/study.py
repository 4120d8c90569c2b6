"""A search for options as Optuna keeps it: a journal that any number of processes add trials to."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.trial import FrozenTrial, TrialState

from utils.errors import UserError
from utils.runs.paths import is_folder, is_there, names_in

FILE, NAME = "study.jsonl", "search"
OLD_FILE = "study.db"  # of earlier versions
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
# what Optuna raises for a damaged journal
DAMAGED = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
FIRST = 5  # trials that are trained to their end before any is given up early, and epochs before one is

Objective = Callable[[optuna.Trial], float]

optuna.logging.set_verbosity(optuna.logging.ERROR)


def _storage(path: Path) -> JournalStorage:
    """Open the journal, made where there is none. A last line without its end, as a full disk leaves one, is removed:
    what is written next would continue it."""
    lock = JournalFileOpenLock(str(path))
    backend = JournalFileBackend(str(path), lock)
    lock.acquire()
    try:
        with path.open("rb+") as file:
            content = file.read()
            if content.startswith(b"{"):
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()
    return JournalStorage(backend)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the error about a file that can't be read or written, or is damaged, into a `UserError`."""
    try:
        yield
    except (OSError, *DAMAGED) as error:
        why = getattr(error, "strerror", None) or "it is damaged"
        raise UserError(f"{path} can't be used ({why}); give another --out") from None


def _alive(process: int | None) -> bool:
    """Tell whether a process of this machine may still be running; where the system is not POSIX, it may."""
    if process is not None and os.name == "posix":
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # another user's
            return True
    return True


def numbered(study: optuna.Study, seed: int, objective: Objective) -> Objective:
    """Return the objective with a sampler that is seeded by the trial's number, so that processes that share or
    continue a study do not repeat each other's draws. The first trial has the options that the search begins with, or
    the next one where the first did not complete."""
    start = study.user_attrs["signature"]["start"]

    def starts(trial: FrozenTrial) -> bool:
        """Tell whether a trial has the options of the start, or is running and may be about to draw them."""
        running = trial.state == TrialState.RUNNING
        return trial.params == start or (running and trial.params.items() <= start.items())

    def sample(trial: optuna.Trial) -> float:
        trial.set_user_attr("process", os.getpid())
        # the journal numbers the trials: of processes that begin at once only one sees no start before its own trial
        earlier = [other for other in study.get_trials(deepcopy=False) if other.number < trial.number]
        started = any(starts(other) for other in earlier if other.state != TrialState.FAIL)
        with warnings.catch_warnings():  # that the interface may change: requirements.txt holds the version
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.sampler = optuna.samplers.TPESampler(seed=seed + trial.number, multivariate=True, constant_liar=True)
            if not started:
                study.sampler = optuna.samplers.PartialFixedSampler(start, study.sampler)
        return objective(trial)

    return sample


def opened(folder: Path, signature: dict[str, Any], higher: bool) -> optuna.Study:
    """Open the study kept in `folder`, or a new one there.

    signature: what is searched for what, plain values, among them the options `start` that it begins with; a study of
    anything else is refused. higher: whether a higher figure is better. Trials are drawn by the tree-structured Parzen
    estimator (Bergstra et al., 2011) and given up once their best epoch so far is worse than the median of the others'
    at that epoch (Golovin et al., 2017)."""
    path, signature = folder / FILE, json.loads(json.dumps(signature))
    if is_there(folder):
        names = names_in(folder) if is_folder(folder) else [folder.name]  # it is a file
        if names and FILE not in names:
            what = "is a search of an earlier version" if OLD_FILE in names else "exists and holds no search"
            raise UserError(f"{folder} {what}; give another --out, nothing there is overwritten")
    with _reading(path):
        folder.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=_storage(path),
            study_name=NAME,
            direction="maximize" if higher else "minimize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST, n_warmup_steps=FIRST),
        )
        if not study.trials:
            study.set_user_attr("signature", signature)
        saved = study.user_attrs.get("signature") or {}
        for trial in study.trials:
            if trial.state == TrialState.RUNNING and not _alive(trial.user_attrs.get("process")):
                study.tell(trial.number, state=TrialState.FAIL)
        other = [name for name in signature if saved.get(name) != signature[name]]
    if other:
        raise UserError(f"{path} is a search with other {', '.join(other)}; give another --out")
    lines(folder, study)  # or it is damaged
    return study


def lines(folder: Path, study: optuna.Study) -> list[dict[str, Any]]:
    """Return one dict for each trial that has begun, the best first, then those given up: trial, state, figure, what
    else was noted of it, and its options as text."""
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1

    def rank(trial: FrozenTrial) -> tuple[bool, float, int]:
        if trial.state != TrialState.COMPLETE or trial.value is None:
            return True, 0.0, trial.number
        return False, sign * trial.value, trial.number

    made = []
    with _reading(folder / FILE):
        for trial in sorted(study.get_trials(deepcopy=False), key=rank):
            noted = {name: trial.user_attrs.get(name, "") for name in ("figure", "epochs", "seconds", "why")}
            if options := trial.user_attrs.get("options"):
                made.append({"trial": trial.number, "state": trial.state.name.lower(), **noted, **options})
    return made


def importance(study: optuna.Study) -> dict[str, float]:
    """Return {option: share of the figures' variance that it explains}, the largest first, by fANOVA (Hutter et al.,
    2014); {} where too few trials tell."""
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    if len(complete) < FIRST or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
