"Work in threads: decoding images lets go of Python's lock, so all cores take part."

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

_most = None  # threads of this process, see `keep_to`


def keep_to(n: int):
    "Let this process, one of several that share a machine, read and write in no more than `n` threads at a time."
    global _most
    _most = n


def limit() -> int | None:
    "Threads that this process keeps to, None where it has the machine for itself."
    return _most


def cores() -> int:
    "Threads that keep busy what this process may use of the machine."
    return limit() or (len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count())


def in_threads(function: Callable, items: Iterable, ahead: int = 8) -> Iterator:
    "Yield `function(item)` of each of `items`, in order; threads stay `ahead` items ahead, however many there are."
    with ThreadPoolExecutor(cores()) as pool:
        waiting = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead: yield waiting.popleft().result()
        while waiting: yield waiting.popleft().result()
