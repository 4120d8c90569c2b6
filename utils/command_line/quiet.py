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

    The standard error of the whole process is redirected, so nothing is done where other threads could write to it, as
    on the page."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the training step is written for it
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow keeps freed memory for the next batch; without this, allocating it took a quarter of an epoch
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    saved: int | None = None
    if "tensorflow" not in sys.modules and threading.active_count() == 1:
        with contextlib.suppress(OSError, AttributeError):  # closed by the caller of the script
            sys.stderr.flush()
            saved = os.dup(2)
    if saved is None:
        yield
        return
    failed = True
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            log.seek(0)
            for line in log.read().decode(errors="replace").splitlines(keepends=True):
                if failed or not NOISE.match(line):
                    sys.stderr.write(line)
