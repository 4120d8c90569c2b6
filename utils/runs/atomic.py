"""A folder takes the place of another, so that whatever happens in between, one of them has the name."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from utils.errors import UserError
from utils.runs.files import flush_folder

OLD = ".old"  # what the hidden name of a folder ends with that is being replaced


@contextlib.contextmanager
def atomic_directory(folder: Path) -> Iterator[Path]:
    """Make a new folder beside `folder`, to be written; it takes its place when all is written, and goes otherwise."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = _made(folder)
    try:
        yield new
        take_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def replacing(folder: Path, added: Collection[str]) -> Iterator[Path]:
    """Make a folder anew with MANIFEST, the sha256 of its files but those named in `added`; all is flushed to disk."""
    try:
        with atomic_directory(folder) as new:
            yield new
            lines = []
            for path in sorted(path for path in new.rglob("*") if path.is_file() and path.name not in added):
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                    lines.append(f"{digest}  {path.relative_to(new).as_posix()}\n")
                    os.fsync(file.fileno())
            with open(new / "MANIFEST", "w", encoding="utf-8", newline="") as file:
                file.write("".join(lines))
                file.flush()
                os.fsync(file.fileno())
            for place in (*(path for path in new.rglob("*") if path.is_dir()), new):
                flush_folder(place)
        flush_folder(folder.parent)
    except OSError as error:
        raise UserError(f"{folder} can't be written: {error.strerror}; nothing was changed") from None


def _made(folder: Path) -> Path:
    """Make a new folder beside `folder` with a hidden name, for those whom the user's umask lets in: one of
    `tempfile.mkdtemp` would be for its owner alone."""
    while True:
        new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        try:
            new.mkdir()
        except FileExistsError:
            continue
        return new


def take_place(new: Path, folder: Path) -> None:
    """Rename `new` to `folder`; what was there before goes only when it has."""
    if not os.path.lexists(folder):
        new.rename(folder)
        return
    old = new
    if not _exchange(new, folder):
        old = new.with_name(new.name + OLD)
        folder.rename(old)  # a kill right here leaves no run of that name: `recover` gives it back
        try:
            new.rename(folder)
        except BaseException:
            old.rename(folder)
            raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Give two folders each other's name in one step, so that no kill can fall in between; False where the system has
    no such step."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    return renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def recover(folder: Path) -> None:
    """Undo what a training left that was killed while it wrote this run folder: the run that it was about to replace
    gets its name back, what was not whole goes."""
    name = re.compile(rf"\.{re.escape(folder.name)}\.[a-z0-9_]{{8}}({re.escape(OLD)})?")
    left = [path for path in folder.parent.iterdir() if name.fullmatch(path.name)]
    for path in left:
        if path.name.endswith(OLD) and not os.path.lexists(folder):
            path.rename(folder)
        else:
            shutil.rmtree(path, ignore_errors=True)
