"""Replace a folder by a new one so that at any moment one of them is whole."""

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

OLD = ".old"  # the hidden name of a folder that is being replaced ends with this


@contextlib.contextmanager
def atomic_directory(folder: Path) -> Iterator[Path]:
    """Hand out a new folder to write to, which replaces `folder` at the end, and is deleted after an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    new.mkdir()  # with the permissions of the umask; `tempfile.mkdtemp` would give them to the owner alone
    try:
        yield new
        take_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def directory_with_manifest(folder: Path, added: Collection[str]) -> Iterator[Path]:
    """Write a folder as `atomic_directory` does, with a MANIFEST: the sha256 of each file but those named in `added`.
    All is flushed to disk."""
    try:
        with atomic_directory(folder) as new:
            yield new
            lines = []
            for path in sorted(path for path in new.rglob("*") if path.is_file() and path.name not in added):
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                    os.fsync(file.fileno())
                lines.append(f"{digest}  {path.relative_to(new).as_posix()}\n")
            with open(new / "MANIFEST", "w", encoding="utf-8", newline="") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
            for subfolder in (*(path for path in new.rglob("*") if path.is_dir()), new):
                flush_folder(subfolder)
        flush_folder(folder.parent)
    except OSError as error:
        raise UserError(f"{folder} can't be written: {error.strerror}; nothing was changed") from None


def take_place(new: Path, folder: Path) -> None:
    """Rename `new` to `folder`; a folder of that name is deleted afterwards."""
    if not os.path.lexists(folder):
        new.rename(folder)
    elif _exchange(new, folder):
        shutil.rmtree(new, ignore_errors=True)  # the old folder, by now
    else:
        old = new.with_name(new.name + OLD)
        folder.rename(old)  # after a kill right here no folder has the name, until `recover` gives it back
        try:
            new.rename(folder)
        except BaseException:
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap the names of two folders in one step, which no kill interrupts; False where the system has none."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    return renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def recover(folder: Path) -> None:
    """Clean up after a process that was killed while it wrote `folder`: delete its new folder, which may not be whole,
    and give the folder that it was replacing its name back."""
    name = re.compile(rf"\.{re.escape(folder.name)}\.[a-z0-9_]{{8}}({re.escape(OLD)})?")
    for path in [path for path in folder.parent.iterdir() if name.fullmatch(path.name)]:
        if path.name.endswith(OLD) and not os.path.lexists(folder):
            path.rename(folder)
        else:
            shutil.rmtree(path, ignore_errors=True)
