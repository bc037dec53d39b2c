"Memory of a training on a CPU: what a step frees is kept for the next one, not given back and asked for again."

import ctypes

from fastai.callback.core import Callback

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # of mallopt(3)
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: -1}
LARGEST = 2 ** 25  # where glibc's own, moving threshold ends, which it stops to move once it is told anything
GIVE_BACK = {MMAP_MAX: 65536, MMAP_THRESHOLD: LARGEST, TRIM_THRESHOLD: 2 * LARGEST}


def find_glibc():
    "The C library of this process where it is glibc, the one whose `malloc` can be told; else None."
    try: library = ctypes.CDLL(None)
    except (OSError, TypeError): return None  # Windows
    return library if hasattr(library, 'gnu_get_libc_version') else None


GLIBC = find_glibc()


class KeepMemory(Callback):
    """While a fit runs on a CPU under glibc, keep freed memory in this process; give it back afterwards.

    Else the system takes and hands out large blocks in each step, page by page and filled with zeros: a fifth of the
    time of all steps but the first, for a sixth more memory.
    """
    def before_fit(self):
        if self._can: tell(KEEP)

    def after_fit(self):
        if not self._can: return
        tell(GIVE_BACK)
        GLIBC.malloc_trim(0)

    @property
    def _can(self): return GLIBC is not None and self.dls.device.type == 'cpu'


def tell(options):
    "Set the `options` of glibc's allocator."
    for option, value in options.items(): GLIBC.mallopt(option, value)


def keep_freed_memory():
    "Keep what is freed in this process."
    if GLIBC is not None: tell(KEEP)
