"""Unpack a zip archive that is not trusted: nothing outside the folder, no links, no zip bombs, all or nothing."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from utils.errors import UserError

LARGEST = 20 << 30  # bytes unpacked; the largest MovieLens set takes 1 GB
DENSEST = 50  # bytes unpacked for one in the archive; MovieLens' text takes 3 to 6
MOST_FILES = 10_000


def extract(archive: Path, name: str, parent: Path) -> Path:
    """Unpack the folder `name` of a zip archive as `parent`/`name`, and return that path.

    It is unpacked under a temporary name and renamed at the end, so that the folder is either whole or absent. Raises
    UserError where the archive is damaged, has no such folder, or holds what `check` refuses.
    """
    try:
        with zipfile.ZipFile(archive) as file, tempfile.TemporaryDirectory(dir=parent, prefix=f".{name}-") as beside:
            members = check(file, archive)
            for member in members:
                _unpack(file, member, Path(beside))
            inside = Path(beside) / name
            if not inside.is_dir():
                tops = sorted({PurePosixPath(member.filename).parts[0] for member in members})
                raise UserError(f"{archive}: no folder {name} in this archive; found: {', '.join(tops[:8])}")
            os.rename(inside, parent / name)
    except UserError:
        raise
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError) as error:
        # RuntimeError: encrypted, or an unusual way of packing; ValueError: a name that is no text
        raise UserError(f"{archive}: the archive can't be unpacked: {error}; delete it and fetch it again") from None
    except OSError as error:
        raise UserError(f"{archive}: can't be unpacked into {parent}: {error.strerror or error}") from None
    return parent / name


def check(file: zipfile.ZipFile, archive: Path) -> list[zipfile.ZipInfo]:
    """Return the files of an open archive. Raises UserError where one would be written outside the folder or is a link,
    or where they are too many or too large. Sizes are the declared ones, which zipfile never exceeds in reading."""
    members = [member for member in file.infolist() if not member.is_dir()]
    for member in members:
        path = PurePosixPath(member.filename)
        if (
            path.is_absolute()
            or not path.parts
            or ".." in path.parts
            or "\\" in member.filename
            or ":" in path.parts[0]
        ):
            raise UserError(f"{archive}: refused: {member.filename[:80]!r} would be written outside the folder")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise UserError(f"{archive}: refused: {member.filename[:80]!r} is a link or a device, not a file")
    packed, unpacked = os.path.getsize(archive), sum(member.file_size for member in members)
    if len(members) > MOST_FILES or unpacked > min(LARGEST, DENSEST * packed + (1 << 20)):
        raise UserError(f"{archive}: refused: {len(members):,} files of {unpacked:,} bytes packed in {packed:,}")
    return members


def _unpack(file: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / PurePosixPath(member.filename)
    target.parent.mkdir(parents=True, exist_ok=True)
    with file.open(member) as source, open(target, "xb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
