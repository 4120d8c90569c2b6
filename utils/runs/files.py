"""Write a file whole or not at all, and standard output as if it were one."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from utils.errors import UserError
from utils.runs.paths import is_folder, resolved


def check_targets(*targets: str | Path | None) -> None:
    """Refuse files that can't be written, before the work for them is done; - is standard output."""
    for target in targets:
        if target and str(target) != "-":
            _check_target(target)


def _check_target(target: str | Path) -> None:
    path = resolved(target)
    if os.path.isdir(path):
        why = "it is a folder"
    elif os.access(path.parent, os.W_OK | os.X_OK):
        return
    elif is_folder(path.parent):
        why = f"you may not write to {path.parent}"
    else:
        why = f"there is no folder {path.parent} to write to"
    raise UserError(f"{target}: can't be written ({why}); give another file")


def write_text(target: str | Path, text: str) -> None:
    """Write `text` to a file, whole or not at all, or to standard output where `target` is -."""
    if target == "-":
        with standard_output() as file:
            file.write(text)
    else:
        with atomic_file(target) as path:  # the name of a file may hold bytes that are no characters
            path.write_text(text, encoding="utf-8", newline="", errors="backslashreplace")


@contextlib.contextmanager
def standard_output() -> Iterator[io.TextIOWrapper]:
    """Open standard output as UTF-8 text, whatever the terminal's encoding: what is written is data."""
    with _write_errors("standard output"):
        sys.stdout.flush()
        file = io.TextIOWrapper(sys.stdout.buffer, "utf-8", "backslashreplace", newline="")
        try:
            yield file
            file.flush()
        finally:
            file.detach()


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, on systems that can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def atomic_file(target: str | Path) -> Iterator[Path]:
    """Hand out a path to write to. It becomes the file `target` at the end, and is deleted after an error. A pipe or a
    device is written to directly."""
    path = resolved(target)
    if os.path.exists(path) and not os.path.isfile(path):
        with _write_errors(target):
            yield path
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # other processes may write the same file
    try:
        with _write_errors(target):
            yield part
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _write_errors(target: str | Path) -> Iterator[None]:
    """Turn a failure to write into a `UserError`, except a closed pipe, which `options.run` handles."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"{target}: can't be written ({error.strerror or error})") from None
