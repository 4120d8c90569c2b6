"""What TensorFlow writes while it is imported, kept from standard error."""

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

NOISE = re.compile(  # as absl writes log lines, and as TensorFlow did before; an F is fatal and no noise
    r"WARNING: All log messages before absl::|To enable the following instructions: "
    r"|[IWE]\d{4} \d\d:\d\d:|\d{4}-\d\d-\d\d [\d:.]+ [IWE] "
)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep the log lines that TensorFlow's C++ writes while it is imported from standard error: half a dozen about GPUs
    that are not there, before its own log level counts. What else is written meanwhile follows, after a failure all.

    For that the standard error of the whole process is turned aside, so only where no other thread could write to it,
    as in a script; on the page the lines stand among those of its server."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow keeps freed memory for the next batch; asked for anew each time, it cost a quarter of an epoch
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    kept, dropped = None, NOISE
    if "tensorflow" not in sys.modules and threading.active_count() == 1:
        with contextlib.suppress(OSError, AttributeError):  # closed by whoever started the script
            sys.stderr.flush()
            kept = os.dup(2)
    if kept is None:
        yield
        return
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            dropped = None
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            for line in said.read().decode(errors="replace").splitlines(keepends=True):
                if not dropped or not dropped.match(line):
                    sys.stderr.write(line)
