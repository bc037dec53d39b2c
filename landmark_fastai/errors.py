"The exceptions that end a command with one line: mistakes a user can mend, and images that could not be read."


class UsageError(Exception):
    """A mistake of the caller's, told in one line: what was found, where, what was expected, what to do.

    The command line prints it to stderr without a traceback and exits with code 2.
    """


class Incomplete(OSError):
    "Some images could not be read; all others were dealt with, and what came of them is written."
