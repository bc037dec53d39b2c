"""Memory of a process: what a step or a batch frees is kept for the next one, not given back and asked for again.

For a program whose process this is, as the command line: no import and no learner changes the allocator of a host.
"""

import ctypes

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # options of mallopt(3)


def keep_freed_memory():
    """Keep what is freed in this process until it ends, where its C library is glibc; elsewhere nothing happens.

    Else the system takes and hands out large blocks in each step of a training on a CPU, page by page and filled with
    zeros: a fifth of the time of all steps but the first, for a sixth more memory.
    """
    if not (library := glibc()): return
    library.mallopt(MMAP_MAX, 0)
    library.mallopt(TRIM_THRESHOLD, -1)


def give_back_freed_memory():
    "Give what is kept back once, such as that of a step that was too large, so that others than malloc find room."
    if library := glibc(): library.malloc_trim(0)


def glibc() -> ctypes.CDLL | None:
    "The C library of this process if it is glibc."
    try: library = ctypes.CDLL(None)
    except (OSError, TypeError): return None  # Windows
    return library if hasattr(library, 'gnu_get_libc_version') else None  # not that of macOS, nor musl
