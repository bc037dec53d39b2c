"The one exception for mistakes a user can mend: bad arguments, bad annotations, missing or broken files."


class UsageError(Exception):
    """A mistake of the caller's, told in one line: what was found, where, what was expected, what to do.

    The command line prints it to stderr without a traceback and exits with code 2.
    """
