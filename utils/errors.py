"""Errors whose message tells the user in a sentence what is wrong."""

import os
import sys


class UserError(ValueError):
    """The user's input can't be used. The message says what was found, where, and what to do; the scripts print it on
    standard error and exit with status 2. Any other exception is a bug and keeps its traceback.

    Unprintable characters are escaped: they can't move the cursor of the terminal or add lines."""

    def __init__(self, text: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


class UnwrittenError(UserError):
    """A checkpoint, or a log beside it, can't be written; the checkpoint before it is whole."""


def only_tensorflow(what: str, instead: str) -> None:
    """Refuse what needs TensorFlow where another Keras backend is in use or set in the environment."""
    keras = sys.modules.get("keras")
    if (keras.backend.backend() if keras else os.environ.get("KERAS_BACKEND", "tensorflow")) != "tensorflow":
        raise UserError(f"{what} by TensorFlow only: {instead}")


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception, Python's or TensorFlow's, says that there is too little memory."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
