"Silence of a library while it reads a file, in all threads, after which all is as it was."

import re
import threading
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps


class Quiet:
    """A context in which warnings of `category` from modules that match `module` are not shown; threads share it.

    `warnings.catch_warnings` would not do: threads undo each other's, and each change by the functions of `warnings`
    makes Python repeat what it says once. So the entry of `warnings.filters` is put there, and taken away again by the
    last thread that leaves.
    """
    def __init__(self, category: type[Warning], module: str = ''):
        self.entry = 'ignore', None, category, re.compile(module), 0
        self.lock = threading.Lock()
        self.n_inside = 0
        self.changed = []  # the lists that have the entry: another thread may exchange `warnings.filters`
        self.undo = ExitStack()

    def start(self):
        "What else the first thread does; for subclasses, which have it undone by `undo`."

    def __enter__(self):
        with self.lock:
            if self.n_inside == 0: self.start()
            self.n_inside += 1
            if warnings.filters[:1] == [self.entry]: return
            warnings.filters.insert(0, self.entry)
            self.changed.append(warnings.filters)

    def __exit__(self, *_):
        with self.lock:
            self.n_inside -= 1
            if self.n_inside: return
            self.undo.close()
            for filters in (*self.changed, warnings.filters):
                filters[:] = [entry for entry in filters if entry is not self.entry]
            self.changed.clear()

    def during(self, function: Callable) -> Callable:
        "A decorator: the silence of calls of `function`."
        @wraps(function)
        def quietly(*args, **kwargs):
            with self: return function(*args, **kwargs)
        return quietly
