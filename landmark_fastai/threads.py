"Work in threads: decoding images lets go of Python's lock, so all cores take part."

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor


def in_threads(function: Callable, items: Iterable, ahead: int = 8) -> Iterator:
    "Yield `function(item)` of each of `items`, in order; threads stay `ahead` items ahead, however many there are."
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead: yield waiting.popleft().result()
        while waiting: yield waiting.popleft().result()
