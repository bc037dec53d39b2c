"A session with a Ray cluster: joined or started quietly, and left as it was found. Ray is imported when it is needed."

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from ..errors import UsageError

LOCAL = 'local'
STORE = 256 * 2 ** 20  # bytes of the object store of one machine: names of files and rows of tables, never pixels
WAIT = 10  # seconds for an answer


def load_ray() -> ModuleType:
    "The module `ray`, with `ray.data`. Raises UsageError where it is not installed."
    # before Ray is imported: it reports its use over the internet, and its backend writes to stderr, unless told
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    os.environ.setdefault('RAY_BACKEND_LOG_LEVEL', 'fatal')
    try:
        import ray
        import ray.data
    except ImportError:
        raise UsageError('Ray Data, which shares work between machines, is not installed; pip install '
                         '"landmark-fastai[cluster]"', see='missing-packages') from None
    return ray


@contextmanager
def connected(address: str, n_cpus: int | None = None) -> Iterator[ModuleType]:
    """Yield `ray`, connected to the cluster at `address`: HOST:PORT, auto, or local for one of this machine alone.

    A connection that the program has is used and kept; one that is made here is ended here. A local cluster has
    `n_cpus` places for processes, as many as this machine has cores when left out. Raises UsageError where no cluster
    can be joined.
    """
    if address not in (LOCAL, 'auto'): check_answers(address)
    ray = load_ray()
    if ray.is_initialized():
        yield ray
        return
    quiet = dict(log_to_driver=False, logging_level=logging.ERROR)
    own = dict(num_cpus=n_cpus, object_store_memory=STORE, include_dashboard=False) if address == LOCAL else {}
    try: ray.init(address, **quiet, **own)
    except (ConnectionError, RuntimeError) as e:  # no cluster on this machine, or one of another Ray or Python
        raise UsageError(f'no Ray cluster can be joined at {address}: {str(e).strip()}') from None
    try: yield ray
    finally: ray.shutdown()


def check_answers(address: str):
    "Raise UsageError unless a machine answers at `address`, HOST:PORT; Ray itself would ask for minutes."
    host, _, port = address.rpartition(':')
    if not host or not port.isdecimal() or '/' in address:
        raise UsageError(f'cluster is {address!r}; expected HOST:PORT, auto or local, on one of the machines of the '
                         'cluster')
    try: socket.create_connection((host, int(port)), WAIT).close()
    except (OSError, OverflowError):
        raise UsageError(f'nothing answers at {address}; expected a Ray cluster, which `ray start --head` starts there'
                         ) from None
