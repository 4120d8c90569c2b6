"""A search for options as Optuna keeps it: an SQLite file that any number of processes add trials to, and what is
written of it for people: trials.csv, search.png, best.json, which `train.py --config` takes."""

import contextlib
import csv
import json
import logging
import random
import time
import warnings

import optuna
import sqlalchemy.exc
from optuna.trial import TrialState

from utils import options
from utils.errors import UserError

FILE, NAME = "study.db", "search"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
ALIVE = 30  # seconds between a process' signs of life; after four times as long without one its trial counts as failed
FIRST = 5  # trials that are trained to their end before any is given up early, and epochs before one is

optuna.logging.set_verbosity(optuna.logging.ERROR)
logging.getLogger("alembic").setLevel(logging.WARNING)


@contextlib.contextmanager
def _experimental():
    """Where Optuna does not say which of its parts may still change: requirements.txt holds its version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _storage(path):
    """The SQLite file, made where there is none. Processes that begin at once make it at once: one of them fails."""
    for _ in range(9):
        with contextlib.suppress(sqlalchemy.exc.IntegrityError, sqlalchemy.exc.OperationalError):
            return _connected(path)
        time.sleep(random.uniform(0.2, 1))
    return _connected(path)


def _connected(path):
    with _experimental():
        return optuna.storages.RDBStorage(
            f"sqlite:///{path.resolve()}",
            engine_kwargs={"connect_args": {"timeout": 100}},  # while another process writes
            heartbeat_interval=ALIVE,
            grace_period=4 * ALIVE,
        )


def numbered(study, seed, objective):
    """The objective with draws that depend on the trial's number and what is known by then: processes that share a
    study, and those that go on with one, draw what none has drawn."""

    def drawing(trial):
        with _experimental():
            study.sampler = optuna.samplers.TPESampler(seed=seed + trial.number, multivariate=True, constant_liar=True)
        return objective(trial)

    return drawing


def opened(folder, signature, higher, start):
    """The study kept in `folder`, or a new one there that begins with the options `start`.

    signature: what is searched for what, plain values; a study of anything else is refused. higher: whether a higher
    figure is better. Trials are drawn by the tree-structured Parzen estimator (Bergstra et al., 2011) and given up once
    their best epoch so far is worse than the median of the others' at that epoch (Golovin et al., 2017)."""
    path, signature = folder / FILE, json.loads(json.dumps(signature))
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not path.exists())):
        raise UserError(f"{folder} exists and holds no search; give another --out, nothing there is overwritten")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        storage = _storage(path)
        study = optuna.create_study(
            storage=storage,
            study_name=NAME,
            direction="maximize" if higher else "minimize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST, n_warmup_steps=FIRST),
        )
        if not study.trials:
            study.set_user_attr("signature", signature)
            study.enqueue_trial(start, skip_if_exists=True)
        kept = study.user_attrs.get("signature")
    except (OSError, sqlalchemy.exc.SQLAlchemyError, AssertionError) as error:
        why = getattr(error, "strerror", None) or str(getattr(error, "orig", "")) or "it is damaged"
        raise UserError(f"{path} can't be used ({why}); give another --out") from None
    if kept != signature:
        other = [name for name in signature if not kept or kept.get(name) != signature[name]]
        raise UserError(f"{path} is a search with other {', '.join(other)}; give another --out")
    return study


def lines(study, defaults):
    """One dict a trial, the best first, then those given up, the best of them first: trial, state, figure, what else
    was noted of it, and its options (those it did not get to are as in `defaults`)."""
    higher = study.direction == optuna.study.StudyDirection.MAXIMIZE

    def rank(trial):
        value = trial.value if trial.state in FINISHED else None
        missing = value is None or value != value
        return trial.state != TrialState.COMPLETE, missing, 0 if missing else -value if higher else value, trial.number

    found = []
    for trial in sorted(study.get_trials(deepcopy=False), key=rank):
        if trial.state == TrialState.WAITING:
            continue
        noted = {name: trial.user_attrs.get(name, "") for name in ("figure", "epochs", "seconds", "why")}
        chosen = trial.user_attrs.get("options", {})
        found.append({"trial": trial.number, "state": trial.state.name.lower(), **noted, **(chosen or defaults)})
    return found


def importance(study):
    """{option: share of the figures' variance that it explains}, the largest first, by fANOVA (Hutter et al., 2014); {}
    where too few trials tell."""
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    if len(complete) < FIRST or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def write(folder, found, best, facts):
    """Write trials.csv of the `lines` found, best.json of the options `best` with the facts about the search, and
    search.png."""
    from utils.report import pictures

    with options.whole(folder / "trials.csv") as path, open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, found[0].keys(), lineterminator="\n")
        out.writeheader()
        out.writerows(found)
    with options.whole(folder / "search.png") as path:
        pictures.search(path, found, facts)
    options.write_text(str(folder / "best.json"), json.dumps(best | {"found": facts}, indent=1) + "\n")
