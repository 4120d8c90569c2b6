"""Unpack a zip archive that is not trusted: nothing outside the folder, no links, no zip bombs, all or nothing."""

import lzma
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PureWindowsPath

from utils.errors import UserError

LARGEST = 20 << 30  # bytes unpacked; the largest MovieLens set takes 1 GB
DENSEST = 50  # bytes unpacked per byte of the archive; MovieLens' text takes 3 to 6
MOST_FILES = 10_000


def extract(archive: Path, name: str, parent: Path) -> Path:
    """Unpack the folder `name` of a zip archive as `parent`/`name`, and return that path.

    It is unpacked under a temporary name and renamed at the end, so that the folder is either complete or absent.
    Raises UserError where the archive is damaged, has no such folder, or holds what `check` refuses.
    """
    try:
        with zipfile.ZipFile(archive) as file, tempfile.TemporaryDirectory(dir=parent, prefix=f".{name}-") as temporary:
            members = check(file, archive)
            file.extractall(temporary, members)
            folder = Path(temporary) / name
            if not folder.is_dir():
                tops = sorted({member.filename.split("/")[0] for member in members})
                raise UserError(f"{archive}: no folder {name} in this archive; found: {', '.join(tops[:8])}")
            return folder.rename(parent / name)
    except UserError:
        raise
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError) as error:
        # RuntimeError: encrypted, or an unknown compression; ValueError: a name that is not text
        raise UserError(f"{archive}: the archive can't be unpacked: {error}; delete it and fetch it again") from None
    except OSError as error:
        raise UserError(f"{archive}: can't be unpacked into {parent}: {error.strerror or error}") from None


def check(file: zipfile.ZipFile, archive: Path) -> list[zipfile.ZipInfo]:
    """Return the files of an open archive. Raises UserError where one would be written outside the folder
    or is a link, or where they are too many or too large (as declared: zipfile never reads more than that)."""
    members = [member for member in file.infolist() if not member.is_dir()]
    for member in members:
        path = PureWindowsPath(member.filename)  # which takes / and \ as separators and knows drives
        if path.anchor or ".." in path.parts or not path.parts:
            raise UserError(f"{archive}: refused: {member.filename[:80]!r} would be written outside the folder")
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise UserError(f"{archive}: refused: {member.filename[:80]!r} is a link or a device, not a file")
    packed, unpacked = archive.stat().st_size, sum(member.file_size for member in members)
    if len(members) > MOST_FILES or unpacked > min(LARGEST, DENSEST * packed + (1 << 20)):
        raise UserError(f"{archive}: refused: {len(members):,} files of {unpacked:,} bytes packed in {packed:,}")
    return members
