"""Ray, which starts work on the processors of one machine or of many."""

import contextlib
import logging
import os
import re
from pathlib import Path

from utils.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent
LEFT = ["data", "runs", "exports", ".git", ".venv", "docs", "tests", "benchmarks"]  # what no worker needs


@contextlib.contextmanager
def connected(address):
    """Ray: the cluster at this address, or one on this machine alone where that is None."""
    try:
        import ray
    except ImportError:
        raise UserError("several workers take Ray: pip install -r requirements-scale.txt") from None
    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    code = {"working_dir": str(REPOSITORY), "excludes": LEFT, "env_vars": {"RAY_TRAIN_V2_ENABLED": "1"}}
    try:
        ray.init(address, runtime_env=code, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except ConnectionError as error:
        raise UserError(f"no Ray cluster answers at {address}: {str(error).splitlines()[0]}") from None
    logging.disable(logging.ERROR)  # what goes wrong is said in a sentence
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        ray.shutdown()


def cause(error):
    """What went wrong in a worker: the `UserError` that Ray's own error tells of, or the beginning of that."""
    if said := re.findall(r"UserError: (.+)", str(error)):
        return UserError(said[-1])
    return str(getattr(error, "cause", None) or error).split("Please check")[0].splitlines()[0]
