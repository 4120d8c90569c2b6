"""What the user's input can do wrong, said in a sentence."""


class UserError(ValueError):
    """The user's input can't be used. The message says what was found, where, and what would do; the scripts print it
    on standard error and exit with status 2. Anything else that is raised is a bug and keeps its traceback."""


def out_of_memory(error):
    """Whether an exception says that there is too little memory: Python's or TensorFlow's own."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
