"""Connect to Ray, which runs workers on one machine or on many."""

import contextlib
import logging
import os
import re
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from utils.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
SENT = ("models", "utils")  # folders of the repository that workers need
WAIT = 5  # seconds for an address to answer


@contextlib.contextmanager
def connected(address: str | None, n: int = 1) -> Iterator[None]:
    """Connect to the Ray cluster at this address, or start one on this machine where it is None. A `UserError` where
    it has fewer than `n` processors: Ray would wait for them for ever."""
    check(address)
    import ray

    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # the slash ties a name to the repository: without it, `data` would exclude utils/data, too
    excludes = [f"/{path.name}" for path in REPOSITORY.iterdir() if path.name not in SENT]
    code = {"working_dir": str(REPOSITORY), "excludes": excludes, "env_vars": {"RAY_TRAIN_V2_ENABLED": "1"}}
    try:
        ray.init(address, runtime_env=code, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"Ray can't be used: {str(error).splitlines()[0]}") from None
    logging.disable(logging.ERROR)  # errors become a `UserError`
    try:
        cores = int(ray.cluster_resources().get("CPU", 0))
        if cores < n:
            raise UserError(f"{n} workers need a processor each, and Ray has {cores} here; ask for {cores} at most")
        yield
    finally:
        logging.disable(logging.NOTSET)
        ray.shutdown()


def check(address: str | None) -> None:
    """Refuse to go on without Ray, or with an address where nothing listens: Ray would try for minutes."""
    if not find_spec("ray"):
        raise UserError("several workers need Ray: pip install -r requirements-scale.txt")
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
    """Turn Ray's errors into a `UserError`; errors in our own code, which are bugs, stay as they are."""
    import ray

    try:
        yield
    except (ray.exceptions.RayError, ConnectionError) as error:
        text = str(error)
        for pattern, message in (
            (r"UserError: (.+)", "{}"),
            (r"Failed to read CSV file: (.+?)\. Please", "{}: its lines are not all alike"),
            (r"(OSError: .*)", "Ray: {}"),
        ):
            if found := re.findall(pattern, text):
                raise UserError(message.format(found[-1])) from None
        if isinstance(error, ray.exceptions.RayTaskError):
            raise
        raise UserError(f"Ray: {text.splitlines()[0]}") from None
