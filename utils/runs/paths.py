"""Tell what lies at a path: missing, or there but denied. `Path.exists` and its like mix up the two."""

import errno
import os
import stat
from pathlib import Path

from utils.errors import UserError

DENIED = (errno.EACCES, errno.EPERM)
ALLOW = "its owner can allow it (chmod)"
MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
NO_REFUSAL = (None, errno.EINVAL, errno.ENOENT)  # errors of a library, of an impossible position, of a deleted file
LONGEST = 120  # characters of a path in a message


class UnreadableError(UserError):
    """A file or folder exists, but the system refuses to read it; it need not be damaged."""


def is_file(path: str | Path) -> bool:
    """Tell whether a plain file is there; a `UserError` where the system refuses to say."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: str | Path) -> bool:
    """Tell whether a folder is there; errors as `is_file`."""
    return stat.S_ISDIR(_mode(path))


def is_there(path: str | Path) -> bool:
    """Tell whether anything is there; errors as `is_file`."""
    return _mode(path) != 0


def _mode(path: str | Path) -> int:
    """Return the `st_mode` of what is there, 0 where nothing is."""
    try:
        return os.stat(path).st_mode
    except ValueError:  # a null character in the name
        return 0
    except OSError as error:
        if error.errno in MISSING:
            return 0
        raise unreadable(path, error) from None


def names_in(folder: str | Path) -> list[str]:
    """List the names in a folder, sorted; a `UserError` where it can't be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise unreadable(folder, error) from None


def resolved(path: str | Path) -> Path:
    """Return the absolute path without links; unlike `Path.resolve`, links in a circle are no error here."""
    return Path(os.path.realpath(path))


def refuses(error: BaseException) -> bool:
    """Tell whether an error is the system's refusal to read a file, and not about the file's content."""
    return isinstance(error, OSError) and error.errno not in NO_REFUSAL


def unreadable(path: str | Path, error: BaseException) -> UnreadableError:
    """Make the `UnreadableError` about a path from the system's error."""
    why = getattr(error, "strerror", None) or str(error)
    hint = f"; {ALLOW}" if getattr(error, "errno", None) in DENIED else ""
    name = str(path) if len(str(path)) <= LONGEST else f"{str(path)[:LONGEST]}..."
    return UnreadableError(f"{name} can't be read ({why}){hint}")
