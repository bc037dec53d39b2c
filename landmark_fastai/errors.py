"The exceptions that end a command with one line: mistakes a user can mend, and what failed while it ran."

import re

# of CUDA, MPS and OpenCV, of the CPU, of cuDNN and cuBLAS, of oneDNN
NO_MEMORY = r"out ?of ?memory|can't allocate memory|STATUS_ALLOC_FAILED|could not create a (primitive|memory)"
HELP = 'docs/troubleshooting.md'  # a section for each of the mistakes that are made most


def see_also(section: str) -> str:
    "The end of a message that the `section` of the page of help explains: its anchor there."
    return f' ({HELP}#{section})'


class UsageError(Exception):
    """A mistake of the caller's, told in one line: what was found, where, what was expected, what to do.

    The command line prints it to stderr without a traceback and exits with code 2. Line breaks in what was found, such
    as a name in a CSV, become spaces. `see` is the section of the page of help, if there is one: it is named last, so
    that it stays last where the message is told within another.
    """
    def __init__(self, message, see: str = ''):
        super().__init__(' '.join(str(message).splitlines()) + (see_also(see) if see else ''))


class Diverged(ArithmeticError):
    "The loss of a training is no number any more."


class OutOfMemory(MemoryError):
    "A training step does not fit into the memory; the message says what does."
    def __init__(self, message): super().__init__(f'{message}{see_also("out-of-memory")}')


def is_out_of_memory(error: Exception) -> bool:
    "Whether `error`, of Python, torch (on any device) or OpenCV, says that memory does not suffice."
    return isinstance(error, MemoryError) or re.search(NO_MEMORY, str(error), re.IGNORECASE) is not None


class Incomplete(OSError):
    "Some images could not be read; all others were dealt with: what came of them is written, and the `result`."
    def __init__(self, message, result):
        super().__init__(message)
        self.result = result
