"""Ray, which starts work on the processors of one machine or of many."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from utils.errors import UserError, only_tensorflow

REPOSITORY = Path(__file__).resolve().parents[2]
SENT = ("models", "utils")  # of the repository, what workers need
WAIT = 5  # seconds for an address to answer


@contextlib.contextmanager
def connected(address: str | None, n: int = 1) -> Iterator[None]:
    """Use Ray: the cluster at this address, or one on this machine alone where that is None. A `UserError` where it has
    no processor for each of `n` workers, which would be waited for without end."""
    check(address)
    import ray

    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # of the repository itself: without the slash, the folder `data` would take utils/data with it
    left = [f"/{path.name}" for path in REPOSITORY.iterdir() if path.name not in SENT]
    code = {"working_dir": str(REPOSITORY), "excludes": left, "env_vars": {"RAY_TRAIN_V2_ENABLED": "1"}}
    try:
        ray.init(address, runtime_env=code, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"Ray could not be had: {str(error).splitlines()[0]}") from None
    logging.disable(logging.ERROR)  # what goes wrong is said in a sentence
    try:
        cores = int(ray.cluster_resources().get("CPU", 0))
        if cores < n:
            raise UserError(f"{n} workers take a processor each, and Ray has {cores} here; ask for {cores} at most")
        yield
    finally:
        logging.disable(logging.NOTSET)
        ray.shutdown()


def check(address: str | None) -> None:
    """Refuse to go on without Ray, or with an address where nobody listens: Ray itself would ask for minutes."""
    only_tensorflow("several workers train", "leave out --workers, or KERAS_BACKEND")
    if not find_spec("ray"):
        raise UserError("several workers take Ray: pip install -r requirements-scale.txt")
    if not address:
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"--ray takes HOST:PORT, such as 10.0.0.1:6379; got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=WAIT).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"no Ray cluster answers at {address}: {error}") from None


@contextlib.contextmanager
def ray_errors() -> Iterator[None]:
    """Turn what Ray reports into a `UserError`; an error in our own code, which is a bug, stays what it is."""
    import ray

    try:
        yield
    except (ray.exceptions.RayError, ConnectionError) as error:
        said = str(error)
        if ours := re.findall(r"UserError: (.+)", said):
            raise UserError(ours[-1]) from None
        unread = re.findall(r"Failed to read CSV file: (.+?)\. Please", said)
        if isinstance(error, ray.exceptions.RayTaskError) and not unread and "OSError" not in said:
            raise
        reason = re.findall(r"OSError: .*", said) or [said.splitlines()[0]]
        raise UserError(f"{unread[-1]}: its lines are not all alike" if unread else f"Ray: {reason[-1]}") from None
