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
    try: library = ctypes.CDLL(None)
    except (OSError, TypeError): return  # Windows
    if not hasattr(library, 'gnu_get_libc_version'): return  # macOS, musl
    library.mallopt(MMAP_MAX, 0)
    library.mallopt(TRIM_THRESHOLD, -1)
