"""What lies at a path, where what is missing and what the system won't show are told apart.

`Path.exists` and its like raise for some of the latter and call others missing, differently by version of Python."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from utils.errors import UserError

DENIED = (errno.EACCES, errno.EPERM)
ALLOW = "whoever owns it can allow it (chmod)"
NO_REFUSAL = (None, errno.EINVAL, errno.ENOENT)  # of a library, of a place that no file has, of what has just gone
LONGEST = 120  # characters of a path in a message


class UnreadableError(UserError):
    """A file or folder that is there and that the system won't let us read: nothing says that it is damaged."""


def is_file(path: str | Path) -> bool:
    """Tell whether a plain file is there; a `UserError` where the system won't say."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: str | Path) -> bool:
    """Tell whether a folder is there; errors as `is_file`."""
    return stat.S_ISDIR(_mode(path))


def is_there(path: str | Path) -> bool:
    """Tell whether anything is there; errors as `is_file`."""
    return _mode(path) != 0


def _mode(path: str | Path) -> int:
    """Return the kind of what is there, as `os.stat` tells it; 0 where nothing is or, by its name, could be."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null character in the name
        return 0
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return 0
        raise unreadable(path, error) from None


def names_in(folder: str | Path) -> list[str]:
    """List the names in a folder, sorted; a `UserError` where it can't be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise unreadable(folder, error) from None


def resolved(path: str | Path) -> Path:
    """Return the absolute path without links; one whose links lead nowhere fails when it is used, not here."""
    return Path(os.path.realpath(path))


def refuses(error: BaseException) -> bool:
    """Tell whether an error is the system's refusal to read a file, and not about what the file holds."""
    return isinstance(error, OSError) and error.errno not in NO_REFUSAL


def unreadable(path: str | Path, error: BaseException) -> UnreadableError:
    """Make the `UnreadableError` about what the system would not let us read."""
    why, denied = getattr(error, "strerror", None) or str(error), getattr(error, "errno", None) in DENIED
    hint = f"; {ALLOW}" if denied else ""
    text = str(path)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return UnreadableError(f"{text} can't be read ({why}){hint}")
