"""A search for options as Optuna keeps it: an SQLite file that any number of processes add trials to, and what is
written of it for people: trials.csv, search.png, best.json, which `train.py --config` takes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from utils.errors import UserError
from utils.runs.paths import is_folder, is_there, names_in, resolved

FILE, NAME = "study.db", "search"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
DAMAGED = (AssertionError, RuntimeError, LookupError, ValueError, optuna.exceptions.StorageInternalError)
ALIVE = 30  # seconds between a process' signs of life; after four times as long without one its trial counts as failed
FIRST = 5  # trials that are trained to their end before any is given up early, and epochs before one is

Objective = Callable[[optuna.Trial], float]

optuna.logging.set_verbosity(optuna.logging.ERROR)
logging.getLogger("alembic").setLevel(logging.WARNING)


@contextlib.contextmanager
def _experimental() -> Iterator[None]:
    """Keep Optuna from saying which of its parts may still change: requirements.txt holds its version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _storage(path: Path) -> optuna.storages.RDBStorage:
    """Open the SQLite file, made where there is none. Processes that begin at once make it at once: one of them
    fails."""
    for _ in range(9):
        with contextlib.suppress(sqlalchemy.exc.IntegrityError, sqlalchemy.exc.OperationalError):
            return _connected(path)
        time.sleep(random.uniform(0.2, 1))
    return _connected(path)


def _connected(path: Path) -> optuna.storages.RDBStorage:
    with _experimental():
        # not as a URL, in which a path may mean anything
        connect = partial(sqlite3.connect, resolved(path), timeout=100, check_same_thread=False)
        return optuna.storages.RDBStorage(
            "sqlite:///study",
            engine_kwargs={"creator": connect},
            heartbeat_interval=ALIVE,
            grace_period=4 * ALIVE,
        )


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the error about a file that can't be read or written, or is damaged, into a `UserError`."""
    try:
        yield
    except UserError:
        raise
    except (OSError, sqlalchemy.exc.SQLAlchemyError, *DAMAGED) as error:
        why = getattr(error, "strerror", None) or str(getattr(error, "orig", "")) or "it is damaged"
        raise UserError(f"{path} can't be used ({why}); give another --out") from None


def _alive(process: int | None) -> bool:
    """Tell whether a process of this machine may still be there; elsewhere than on POSIX its heartbeat has to tell."""
    if process is None or os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def numbered(study: optuna.Study, seed: int, objective: Objective) -> Objective:
    """Return the objective with draws that depend on the trial's number and what is known by then: processes that share
    a study, and those that go on with one, draw what none has drawn. One trial has the options that the search begins
    with: the first, or where it did not come to its end the next one."""
    start = study.user_attrs["signature"]["start"]

    def drawing(trial: optuna.Trial) -> float:
        trial.set_user_attr("process", os.getpid())
        with _experimental():
            sampler: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(
                seed=seed + trial.number, multivariate=True, constant_liar=True
            )
            if not _begun(study, trial.number, start):
                sampler = optuna.samplers.PartialFixedSampler(start, sampler)
        study.sampler = sampler
        return objective(trial)

    return drawing


def _begun(study: optuna.Study, number: int, start: dict[str, Any]) -> bool:
    """Tell whether a trial before this one has these options, or runs and may be about to draw them. Numbers are given
    by the database, so that of processes that begin at once only one sees no such trial before its own."""

    def has(trial: FrozenTrial) -> bool:
        drawn = trial.params
        return drawn == start or (trial.state == TrialState.RUNNING and drawn.items() <= start.items())

    earlier = [trial for trial in study.get_trials(deepcopy=False) if trial.number < number]
    return any(has(trial) for trial in earlier if trial.state != TrialState.FAIL)


def opened(folder: Path, signature: dict[str, Any], higher: bool) -> optuna.Study:
    """Open the study kept in `folder`, or a new one there.

    signature: what is searched for what, plain values, among them the options `start` that it begins with; a study of
    anything else is refused. higher: whether a higher figure is better. Trials are drawn by the tree-structured Parzen
    estimator (Bergstra et al., 2011) and given up once their best epoch so far is worse than the median of the others'
    at that epoch (Golovin et al., 2017)."""
    path, signature = folder / FILE, json.loads(json.dumps(signature))
    if is_there(folder) and (not is_folder(folder) or (names_in(folder) and not is_there(path))):
        raise UserError(f"{folder} exists and holds no search; give another --out, nothing there is overwritten")
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
        kept = study.user_attrs.get("signature")
        if kept != signature:
            other = [name for name in signature if not kept or kept.get(name) != signature[name]]
            raise UserError(f"{path} is a search with other {', '.join(other)}; give another --out")
        for trial in study.trials:
            if trial.state == TrialState.RUNNING and not _alive(trial.user_attrs.get("process")):
                study.tell(trial.number, state=TrialState.FAIL)
        tried = [trial for trial in study.trials if trial.state != TrialState.FAIL]
        if tried:
            lines(folder, tried, study.direction)  # or it is damaged
    return study


def trials(folder: Path, study: optuna.Study) -> list[FrozenTrial]:
    """Return all trials so far."""
    with _reading(folder / FILE):
        return study.get_trials(deepcopy=False)


def lines(folder: Path, found: Iterable[FrozenTrial], direction: optuna.study.StudyDirection) -> list[dict[str, Any]]:
    """Return one dict a trial that has begun, the best first, then those given up: trial, state, figure, what else was
    noted of it, and its options as text."""
    higher = direction == optuna.study.StudyDirection.MAXIMIZE

    def rank(trial: FrozenTrial) -> tuple[bool, float, int]:
        complete = trial.state == TrialState.COMPLETE
        value = trial.value if complete and trial.value is not None else 0.0
        return not complete, -value if higher else value, trial.number

    made = []
    with _reading(folder / FILE):
        for trial in sorted(found, key=rank):
            noted = {name: trial.user_attrs.get(name, "") for name in ("figure", "epochs", "seconds", "why")}
            if chosen := trial.user_attrs.get("options"):
                made.append({"trial": trial.number, "state": trial.state.name.lower(), **noted, **chosen})
    return made


def importance(study: optuna.Study) -> dict[str, float]:
    """Return {option: share of the figures' variance that it explains}, the largest first, by fANOVA (Hutter et al.,
    2014); {} where too few trials tell."""
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    if len(complete) < FIRST or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
