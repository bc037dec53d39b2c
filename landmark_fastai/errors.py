"The exceptions that end a command with one line: mistakes a user can mend, and what failed while it ran."


class UsageError(Exception):
    """A mistake of the caller's, told in one line: what was found, where, what was expected, what to do.

    The command line prints it to stderr without a traceback and exits with code 2. Line breaks in what was found, such
    as a name in a CSV, become spaces.
    """
    def __init__(self, message): super().__init__(' '.join(str(message).splitlines()))


class Diverged(ArithmeticError):
    "The loss of a training is no number any more."


class Incomplete(OSError):
    "Some images could not be read; all others were dealt with: what came of them is written, and the `result`."
    def __init__(self, message, result):
        super().__init__(message)
        self.result = result
