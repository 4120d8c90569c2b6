"""Keep what TensorFlow logs while it is imported off standard error."""

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

NOISE = re.compile(  # log lines of absl, and of older TensorFlow; not those of level F, which are fatal
    r"WARNING: All log messages before absl::|To enable the following instructions: "
    r"|[IWE]\d{4} \d\d:\d\d:|\d{4}-\d\d-\d\d [\d:.]+ [IWE] "
)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Drop the log lines that TensorFlow's C++ writes to standard error while it is imported: half a dozen about
    missing GPUs, before its own log level applies. Other lines are written afterwards; after a failure, all of them.

    This redirects the standard error of the whole process, so it is done only where no other thread could write to it,
    as in a script; on the page the lines appear in the log of its server."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow keeps freed memory for the next batch; without this, allocating it took a quarter of an epoch
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    kept: int | None = None
    dropped: re.Pattern[str] | None = NOISE
    if "tensorflow" not in sys.modules and threading.active_count() == 1:
        with contextlib.suppress(OSError, AttributeError):  # closed by the caller of the script
            sys.stderr.flush()
            kept = os.dup(2)
    if kept is None:
        yield
        return
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            dropped = None
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            log.seek(0)
            for line in log.read().decode(errors="replace").splitlines(keepends=True):
                if not dropped or not dropped.match(line):
                    sys.stderr.write(line)
