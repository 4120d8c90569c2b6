"""Models by file name: `models/foo.py` is the model `foo`. Nothing is registered, and nothing imported before its name
is asked for, so that the help and the closed-form models do not wait for TensorFlow."""

import ast
import contextlib
import importlib
import os
import re
import sys
import tempfile
import threading
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path

from utils.errors import UserError

LINEAR_MOST = 20_000  # movies; solving for the weights then takes some 10 GB
_FOLDER = Path(__file__).parent
_NOISE = re.compile(  # as absl writes log lines, and as TensorFlow did before; an F is fatal and no noise
    r"WARNING: All log messages before absl::|To enable the following instructions: "
    r"|[IWE]\d{4} \d\d:\d\d:|\d{4}-\d\d-\d\d [\d:.]+ [IWE] "
)


def names():
    """The names of all models, sorted."""
    return sorted(p.stem for p in _FOLDER.glob("*.py") if not p.stem.startswith("_"))


def paper(name):
    """The first line of a model's docstring, which names what it is and its source; the module is not imported."""
    return ast.get_docstring(ast.parse((_FOLDER / f"{name}.py").read_text(encoding="utf-8"))).splitlines()[0]


def check(name):
    """Refuse a name that no model has; the `UserError` says the nearest."""
    if name not in names():
        near = get_close_matches(name, names(), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"unknown model {name!r}{hint} (models: {', '.join(names())})")


def module(name):
    """The imported module of the model `name`; an unknown name is refused."""
    check(name)
    with _quietly():
        return importlib.import_module(f"models.{name}")


@contextlib.contextmanager
def _quietly():
    """Keep the log lines that TensorFlow's C++ writes while it is imported from standard error: half a dozen about GPUs
    that are not there, before its own log level counts. What else is written meanwhile follows, after a failure all.

    For that the standard error of the whole process is turned aside, so only where no other thread could write to it,
    as in a script; on the page the lines stand among those of its server."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow keeps freed memory for the next batch; asked for anew each time, it cost a quarter of an epoch
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    kept, dropped = None, _NOISE
    if "tensorflow" not in sys.modules and threading.active_count() == 1:
        with contextlib.suppress(OSError, AttributeError):  # closed by whoever started the script
            sys.stderr.flush()
            kept = os.dup(2)
    if kept is None:
        yield
        return
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            dropped = None
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            for line in said.read().decode(errors="replace").splitlines(keepends=True):
                if not dropped or not dropped.match(line):
                    sys.stderr.write(line)


def resolved(config, n_movies):
    """The config without a `linear` path where its weights between all pairs of movies would fill the memory."""
    if getattr(config, "linear", False) and n_movies > LINEAR_MOST:
        return replace(config, linear=False)
    return config


def build(name, shape, config=None, seed=0, scale=(0.5, 5.0), like=None):
    """An untrained model for a users x movies matrix of this shape; `config` defaults to the model's own. scale, like:
    the data's, see `Recommender`."""
    found = module(name)
    return found.Model(shape, config or found.Config(), seed, scale, like)


def load(run):
    """The trained model of a `utils.runs.run_folder.Run`."""
    found = module(run.config["model"])
    known = {f.name for f in fields(found.Config)}
    if unknown := set(run.config["options"]) - known:
        raise UserError(f"{run.folder}: saved with options this version does not know: {sorted(unknown)}; train again")
    about = run.config
    config = found.Config(**about["options"])
    model = found.Model(about["shape"], config, about["seed"], about["scale"], about["like"])
    model.load(run)
    return model
