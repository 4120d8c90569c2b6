"""Errors whose message tells the user in a sentence what is wrong."""


class UserError(ValueError):
    """The user's input can't be used. The message says what was found, where, and what to do; the scripts print it on
    standard error and exit with status 2. Any other exception is a bug and keeps its traceback.

    Unprintable characters are escaped: they can't move the cursor of the terminal or add lines."""

    def __init__(self, text: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


class NotInRunError(UserError):
    """What a question names is not in the data of the run that is asked."""


class UnwrittenError(UserError):
    """A checkpoint, or a log beside it, can't be written; the checkpoint before it is whole."""


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception, Python's or TensorFlow's, says that there is too little memory."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
