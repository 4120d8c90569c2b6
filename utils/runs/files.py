"""Files that are written whole or not at all, and standard output as one of them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from utils.errors import UserError
from utils.runs.paths import is_folder, resolved


def check_target(target: str | Path) -> None:
    """Refuse a file that could not be written at the end, before the work for it is done; - is standard output."""
    place = resolved(target)
    if str(target) == "-" or (not os.path.isdir(place) and os.access(place.parent, os.W_OK | os.X_OK)):
        return
    why = "it is a folder"
    if not os.path.isdir(place):
        there = is_folder(place.parent)
        why = f"you may not write to {place.parent}" if there else f"there is no folder {place.parent} to write to"
    raise UserError(f"{target}: can't be written ({why}); give another file")


def write_text(target: str | Path, text: str) -> None:
    """Write `text` to a file, as `whole` does, or to standard output where `target` is -."""
    if target == "-":
        with standard_output() as file:
            file.write(text)
    else:
        with whole(target) as path:  # a name of a file may hold what is no character
            path.write_text(text, encoding="utf-8", newline="", errors="backslashreplace")


@contextlib.contextmanager
def standard_output() -> Iterator[io.TextIOWrapper]:
    """Open standard output as a file of UTF-8 text, whatever the terminal's encoding: what goes there is data."""
    with _said("standard output"):
        sys.stdout.flush()
        file = io.TextIOWrapper(sys.stdout.buffer, "utf-8", "backslashreplace", newline="")
        try:
            yield file
            file.flush()
        finally:
            file.detach()


def flush_folder(path: Path) -> None:
    """Have the system write the names in a folder to disk, where it can."""
    with contextlib.suppress(OSError):
        place = os.open(path, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)


@contextlib.contextmanager
def whole(target: str | Path) -> Iterator[Path]:
    """Hand out a path to write to, which becomes the file `target` when all is written; otherwise nothing is left. What
    is no plain file (a pipe, a device) is written to as it is."""
    path = resolved(target)
    special = os.path.exists(path) and not os.path.isfile(path)  # of what is denied writing says so
    beside = path if special else path.with_name(f".{path.name}.{os.getpid()}.part")  # others may write it, too
    try:
        with _said(target):
            yield beside
            if not special:
                with open(beside, "rb") as file:
                    os.fsync(file.fileno())
                beside.replace(path)
    finally:
        if not special:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _said(target: str | Path) -> Iterator[None]:
    """Turn a failure to write into a `UserError`; a reader who has left is for `run` to see."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"{target}: can't be written ({error.strerror or error})") from None
