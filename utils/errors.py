"""What the user's input can do wrong, said in a sentence."""

import os
import sys


class UserError(ValueError):
    """The user's input can't be used. The message says what was found, where, and what would do; the scripts print it
    on standard error and exit with status 2. Anything else that is raised is a bug and keeps its traceback.

    What no terminal prints (of an argument, of a file) is escaped, so that it can't move the cursor or add lines."""

    def __init__(self, text: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


class UnwrittenError(UserError):
    """A checkpoint, or a log beside it, that could not be written; the checkpoint before it is whole."""


def only_tensorflow(what: str, instead: str) -> None:
    """Refuse, where another Keras backend is in use or asked for, what TensorFlow alone can do."""
    keras = sys.modules.get("keras")
    if (keras.backend.backend() if keras else os.environ.get("KERAS_BACKEND", "tensorflow")) != "tensorflow":
        raise UserError(f"{what} by TensorFlow only: {instead}")


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception says that there is too little memory: Python's or TensorFlow's own."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
