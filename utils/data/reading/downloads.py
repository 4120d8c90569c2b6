"""Get the known MovieLens sets: from data/, from an archive placed there, or by a verified download."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from utils.data.reading.archives import extract
from utils.errors import UserError
from utils.runs.paths import is_file, is_folder, is_there

if TYPE_CHECKING:
    import requests

BASE_URL = "https://files.grouplens.org/datasets/movielens"
LICENCE = (
    "MovieLens data come from GroupLens, University of Minnesota, for research: no endorsement implied, no commercial "
    "use without permission, cite Harper & Konstan (2015), doi:10.1145/2827872; the README in {folder} has the terms."
)
TRIES = 4  # connections that may break in a row before giving up; each continues where the last one stopped
BLOCK = 1 << 14  # bytes written at a time: an unfinished block is lost when a connection breaks
PAUSE = 1.0  # seconds before the second try, doubled for each further one


@dataclass(frozen=True)
class Known:
    """A known set. folder: its name in the archive. checksum: sha256 of the archive, or "md5:...", as pooch takes it;
    None where it changes with each release (the publisher's .md5 file is used). counts: of ratings, movies, users."""

    folder: str
    checksum: str | None = None
    counts: tuple[int, int, int] | None = None


KNOWN = {
    "ml-100k": Known(
        "ml-100k", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229", (100_000, 1_682, 943)
    ),
    "ml-1m": Known(
        "ml-1m", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20", (1_000_209, 3_706, 6_040)
    ),
    "ml-10m": Known(
        "ml-10M100K", "813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862", (10_000_054, 10_677, 69_878)
    ),
    "ml-20m": Known(
        "ml-20m", "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3", (20_000_263, 26_744, 138_493)
    ),
    "ml-25m": Known("ml-25m", "md5:6b51fb2759a8657d3bfcbfc42b592ada", (25_000_095, 59_047, 162_541)),
    "ml-32m": Known("ml-32m", "md5:d472be332d4daa821edc399621853b57", (32_000_204, 84_432, 200_948)),
    "ml-latest-small": Known("ml-latest-small"),
    "ml-latest": Known("ml-latest"),
}


def fetch(name: str, data_dir: Path, base_url: str = BASE_URL) -> Path:
    """Return the folder of the known set `name` under `data_dir`; if it is absent, unpack `<name>.zip` from there, or
    download it. Progress goes to standard error.

    Raises UserError, with the address and the place for the archive, where the set can't be downloaded or verified.
    """
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
            f"{name}: can't be downloaded: {error}\n"
            f"fetch {url} by other means and place it at {archive}: it is verified and unpacked from there"
        ) from None
    except OSError as error:
        raise UserError(f"{name}: can't be stored in {data_dir}: {error.strerror or error}") from None
    extract(archive, known.folder, data_dir)
    if not placed:
        archive.unlink()
    print(LICENCE.format(folder=folder), file=sys.stderr)
    return folder


class DownloadError(Exception):
    """A download failed; the message says why in a few words."""


def _verify_placed(archive: Path, checksum: str | None) -> None:
    """Raise a UserError unless the user's archive has the known checksum, or the one in the .md5 file beside it."""
    import pooch

    beside = archive.with_name(archive.name + ".md5")
    if checksum is None and is_file(beside):
        checksum = _md5_in(beside.read_text(encoding="utf-8", errors="replace"), beside)
    if checksum is None:
        print(f"{archive}: no checksum is known for it; place {beside.name} beside it to verify it", file=sys.stderr)
        return
    kind, expected = pooch.hashes.hash_algorithm(checksum), checksum.split(":")[-1]
    actual = pooch.file_hash(archive, kind)
    if actual != expected:
        raise UserError(
            f"{archive}: not the published archive, or cut short: {kind} {actual}, published {expected}; fetch it again"
        )


def _md5_in(text: str, where: str | Path) -> str:
    """Return the checksum in the text of an .md5 file, as "md5:..."."""
    match = re.search(r"\b[0-9a-f]{32}\b", text.lower())
    if not match:
        raise DownloadError(f"{where} holds no md5 checksum")
    return f"md5:{match[0]}"


def _published_md5(url: str) -> str:
    """Download the checksum that the publisher gives beside an archive that changes with each release."""
    import requests

    try:
        response = requests.get(f"{url}.md5", timeout=30)
        response.raise_for_status()
    except requests.RequestException as error:
        raise DownloadError(_explain(error, f"{url}.md5")) from None
    return _md5_in(response.text, f"{url}.md5")


def _download(url: str, archive: Path, checksum: str) -> None:
    """Download to `archive`, which appears only when it is complete and has the checksum. What an earlier download left
    in `<archive>.part` is continued; if the checksum is then wrong, the file is downloaded once from the start."""
    import pooch

    part = archive.with_name(archive.name + ".part")
    continued = part.exists()
    _receive(url, part)
    if continued and not pooch.hashes.hash_matches(part, checksum):
        part.unlink()
        _receive(url, part)
    if not pooch.hashes.hash_matches(part, checksum):
        part.unlink()
        raise DownloadError(f"what {url} gives does not have the published checksum")
    part.replace(archive)


def _receive(url: str, part: Path) -> None:
    """Append to `part` what it lacks, in at most TRIES connections; each continues where the last one stopped."""
    import requests

    for attempt in range(TRIES):
        try:
            return _receive_once(url, part)
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else 500
            hopeless = isinstance(error, requests.exceptions.SSLError) or status < 500
            if hopeless or attempt == TRIES - 1:
                raise DownloadError(_explain(error, url)) from None
            time.sleep(PAUSE * 2**attempt)


def _receive_once(url: str, part: Path) -> None:
    """Append to `part` what it lacks, in one connection; start anew where the server can't continue."""
    import requests
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

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
    import requests

    if error.response is not None:
        return f"{url} answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate can't be verified"
    if isinstance(error, requests.Timeout):
        return "the server doesn't answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection breaks off each time"
    return f"no connection to {url.split('/')[2]}"
