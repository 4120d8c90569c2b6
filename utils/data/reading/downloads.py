"""Get the known MovieLens sets: from data/, from an archive placed there, or by a verified download."""

import hashlib
import lzma
import re
import stat
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path, PureWindowsPath

import requests
from requests.exceptions import ChunkedEncodingError, SSLError
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

from utils.data.reading.places import KNOWN
from utils.errors import UserError
from utils.runs.paths import is_file, is_folder, is_there

BASE_URL = "https://files.grouplens.org/datasets/movielens"
LICENCE = (
    "MovieLens data come from GroupLens, University of Minnesota, for research: no endorsement implied, no commercial "
    "use without permission, cite Harper & Konstan (2015), doi:10.1145/2827872; the README in {folder} has the terms."
)
TRIES = 4  # connections that may break in a row before giving up; each continues where the last one stopped
BLOCK = 1 << 14  # bytes written at a time: an unfinished block is lost when a connection breaks
PAUSE = 1.0  # seconds before the second try, doubled for each further one
LARGEST = 20 << 30  # bytes unpacked; the largest MovieLens set takes 1 GB
DENSEST = 50  # bytes unpacked per byte of the archive; MovieLens' text takes 3 to 6
MOST_FILES = 10_000


def fetch(name: str, data_dir: Path, base_url: str = BASE_URL) -> Path:
    """Return the folder of the known set `name` under `data_dir`; if it is absent, unpack `<name>.zip` from there, or
    download it. Progress goes to standard error.

    Raises UserError, with the address and the place for the archive, where the set can't be downloaded or verified."""
    known, data_dir = KNOWN[name], Path(data_dir)
    folder, archive, url = data_dir / known.folder, data_dir / f"{name}.zip", f"{base_url}/{name}.zip"
    if is_folder(folder):
        return folder
    placed = is_there(archive)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if placed:
            _verify_placed(archive, known.checksum)
        else:
            print(f"{name}: downloading {url}", file=sys.stderr)
            _download(url, archive, known.checksum or _published_md5(url))
    except DownloadError as error:
        raise UserError(
            f"{name}: can't be downloaded: {error}; fetch {url} by other means and place it at {archive}: it is "
            f"verified and unpacked from there"
        ) from None
    except OSError as error:
        raise UserError(f"{name}: can't be stored in {data_dir}: {error.strerror or error}") from None
    _extract(archive, known.folder, data_dir)
    if not placed:
        archive.unlink()
    print(LICENCE.format(folder=folder), file=sys.stderr)
    return folder


class DownloadError(Exception):
    """A download failed; the message says why in a few words."""


def _verify_placed(archive: Path, checksum: str | None) -> None:
    """Raise a UserError unless the user's archive has the known checksum, or the one in the .md5 file beside it."""
    beside = archive.with_name(archive.name + ".md5")
    if checksum is None and is_file(beside):
        checksum = _md5_in(beside.read_text(encoding="utf-8", errors="replace"), beside)
    if checksum is None:
        print(f"{archive}: no checksum is known for it; place {beside.name} beside it to verify it", file=sys.stderr)
        return
    actual = _checksum(archive, checksum)
    if actual != checksum:
        raise UserError(
            f"{archive}: not the published archive, or cut short: checksum {actual}, published {checksum}; "
            "fetch it again"
        )


def _checksum(path: Path, published: str) -> str:
    """Return the checksum of a file, of the kind of the published one."""
    with open(path, "rb") as file:
        if published.startswith("md5:"):
            return f"md5:{hashlib.file_digest(file, 'md5').hexdigest()}"
        return hashlib.file_digest(file, "sha256").hexdigest()


def _md5_in(text: str, where: str | Path) -> str:
    """Return the checksum in the text of an .md5 file, as "md5:..."."""
    match = re.search(r"\b[0-9a-f]{32}\b", text.lower())
    if not match:
        raise DownloadError(f"{where} holds no md5 checksum")
    return f"md5:{match[0]}"


def _published_md5(url: str) -> str:
    """Download the checksum that the publisher gives beside an archive that changes with each release."""
    try:
        response = requests.get(f"{url}.md5", timeout=30)
        response.raise_for_status()
    except requests.RequestException as error:
        raise DownloadError(_explain(error, f"{url}.md5")) from None
    return _md5_in(response.text, f"{url}.md5")


def _download(url: str, archive: Path, checksum: str) -> None:
    """Download to `archive`, which appears only when it is complete and has the checksum. What an earlier download left
    in `<archive>.part` is continued; if the checksum is then wrong, the file is downloaded once from the start."""
    part = archive.with_name(archive.name + ".part")
    continued = part.exists()
    _receive(url, part)
    if continued and _checksum(part, checksum) != checksum:
        part.unlink()
        _receive(url, part)
    if _checksum(part, checksum) != checksum:
        part.unlink()
        raise DownloadError(f"what {url} gives does not have the published checksum")
    part.replace(archive)


def _receive(url: str, part: Path) -> None:
    """Append to `part` what it lacks, in at most TRIES connections; each continues where the last one stopped."""
    for attempt in range(TRIES):
        try:
            return _receive_once(url, part)
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else 500
            hopeless = isinstance(error, SSLError) or status < 500
            if hopeless or attempt == TRIES - 1:
                raise DownloadError(_explain(error, url)) from None
            time.sleep(PAUSE * 2**attempt)


def _receive_once(url: str, part: Path) -> None:
    """Append to `part` what it lacks, in one connection; start anew where the server can't continue."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # the checksum is of the archive as it is
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=30) as response:
        if have and response.status_code == 416:  # nothing is left; the checksum tells whether `part` is of this file
            return
        response.raise_for_status()
        have = have if response.status_code == 206 else 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else None
        columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress, open(part, "ab" if have else "wb") as file:
            bar = progress.add_task(part.stem, total=total, completed=have)
            for block in response.iter_content(BLOCK):
                file.write(block)
                progress.advance(bar, len(block))


def _explain(error: requests.RequestException, url: str) -> str:
    """Say briefly why a request failed."""
    if error.response is not None:
        return f"{url} answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, SSLError):
        return "the server's certificate can't be verified"
    if isinstance(error, requests.Timeout):
        return "the server doesn't answer in time"
    if isinstance(error, ChunkedEncodingError):
        return "the connection breaks off each time"
    return f"no connection to {url.split('/')[2]}"


# -- unpack an archive that is not trusted: all or nothing, no links, no zip bombs -------------------------------------


def _extract(archive: Path, name: str, parent: Path) -> Path:
    """Unpack the folder `name` of a zip archive as `parent`/`name`, and return that path.

    It is unpacked under a temporary name and renamed at the end, so that the folder is either complete or absent.
    Raises UserError where the archive is damaged, has no such folder, or holds what `_check` refuses."""
    try:
        with zipfile.ZipFile(archive) as file, tempfile.TemporaryDirectory(dir=parent, prefix=f".{name}-") as temporary:
            members = _check(file, archive)
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


def _check(file: zipfile.ZipFile, archive: Path) -> list[zipfile.ZipInfo]:
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
