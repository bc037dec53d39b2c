"""Parts of a work, done by the processes of a Ray cluster; each is answered once, whatever dies meanwhile.

Ray Data hands the parts out, starts a dead process again, on another machine if its own is gone, and gives it the
parts that it had once more, as often as need be. So a part may be done twice, and must leave the same behind; its
answer comes once. Ray would also try for ever what kills each process that tries it: that is counted here.
"""

import logging
import math
import socket
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from ..errors import UsageError

TRIES = 6  # of a part whose process dies, and of starting processes one after another that die at once


class Job(Protocol):
    "What is to be done, as it travels to the machines: it is pickled."

    def start(self, n_threads: int) -> Callable[[list[str]], bytes]:
        """Make ready, in a process of its own that may use `n_threads`; returns what does a part.

        Raises UsageError, here or there, where this machine cannot do it.
        """


class Workers(NamedTuple):
    "The processes that do the work."
    n: int     # of them, once there is place
    now: int   # for which there is place now
    cpus: int  # of each, which are its threads
    gpus: int  # of each, 0 or 1


class Answer(NamedTuple):
    "What became of a part."
    result: bytes
    warnings: list[str]


def count_workers(ray: ModuleType, n: int | None, cpus: int | None, use_gpus: bool) -> Workers:
    """The processes of a cluster, each with `cpus`: `n`, which may be more than fit now, else as many as fit.

    Where there are GPUs, and they are used, one for each, which share the CPUs of their machine; else one a CPU.
    Raises UsageError where none fits.
    """
    machines = [Counter(node['Resources']) for node in ray.nodes() if node['Alive']]  # 0 of what is not there
    with_gpu = [machine for machine in machines if use_gpus and machine['GPU'] >= 1]
    shares = [int(machine['CPU'] // machine['GPU']) for machine in with_gpu]
    cpus = cpus or max(min(shares, default=1), 1)
    fitting = int(sum(min(machine['CPU'] // cpus, machine['GPU'] if with_gpu else math.inf)
                      for machine in with_gpu or machines))
    if not fitting:
        gpu = ' and a GPU' if with_gpu else ''
        raise UsageError(f'no machine of the cluster has {cpus} CPUs{gpu} for a worker; pass a smaller --worker_cpus')
    return Workers(n or fitting, min(n or fitting, fitting), cpus, int(bool(with_gpu)))


def share(ray: ModuleType, job: Job, parts: Iterable[Sequence[str]], workers: Workers) -> Iterator[Answer]:
    """Yield the answer to each of `parts`, in any order, as they come from `workers` that do the `job`.

    Raises the UsageError or OSError of a worker, and OSError where the work cannot go on.
    """
    rows = [{'part': list(part)} for part in parts]
    if not rows: return
    tries = ray.remote(Tries).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    logging.getLogger('ray.data').setLevel(logging.ERROR)
    # one row a block, and a block a task: a process that dies costs the parts it was given, and those are tried again
    data = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        Worker, fn_constructor_args=[job, workers.cpus, tries], batch_size=1, num_cpus=workers.cpus,
        num_gpus=workers.gpus,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers.n, initial_size=workers.now))
    data.context.enable_progress_bars = data.context.print_on_execution_start = False
    data.context.max_consecutive_actor_init_deaths = TRIES - 1
    try:
        for batch in data.iter_batches(batch_size=None, prefetch_batches=0):
            for result, error, usage, said in zip(*(batch[name] for name in Worker.COLUMNS), strict=True):
                if error: raise (UsageError if usage else OSError)(error)
                yield Answer(result, list(said))
    except ray.exceptions.RayError as e:
        raise OSError(f'the cluster gave up: {cause_of(e)}') from None


class Tries:
    "How often each part was begun, in a process apart from those that may die of it."
    def __init__(self): self.n = Counter()

    def begin(self, part: Sequence[str]) -> int:
        "Count that the `part` is begun; returns how often it was."
        self.n[part[0]] += 1
        return self.n[part[0]]


class Worker:
    "A process of the cluster, which Ray Data calls with a part at a time."
    COLUMNS = 'result', 'error', 'usage', 'warnings'  # of what it returns, a row

    def __init__(self, job: Job, n_threads: int, tries: Any):
        self.error, self.tries = None, tries
        with warnings.catch_warnings(record=True) as caught:
            try: self.work = job.start(n_threads)
            except (UsageError, OSError) as e: self.error = e  # told by the first part: else Ray would try for ever
        self.said = user_warnings(caught)

    def __call__(self, batch: dict) -> dict:
        part, result, error = list(batch['part'][0]), b'', self.error
        with warnings.catch_warnings(record=True) as caught:
            try:
                if error is None: result = self.once_more(part)
            except (UsageError, OSError) as e: error = e
        text = f'{socket.gethostname()}: {error}' if error else ''
        values = result, text, isinstance(error, UsageError), self.said + user_warnings(caught)
        return {name: [value] for name, value in zip(self.COLUMNS, values, strict=True)}

    def once_more(self, part: list[str]) -> bytes:
        "The answer to `part`. Raises OSError where too many processes have died of it."
        import ray
        if ray.get(self.tries.begin.remote(part)) <= TRIES: return self.work(part)
        raise OSError(f'{TRIES} workers died over {part[0]} to {part[-1]}: one of these may be too large for the '
                      'memory of a worker, or broken')


def user_warnings(caught: list[warnings.WarningMessage]) -> list[str]:
    "What each UserWarning says, once: ours are of that kind, those of libraries about each other of another."
    return list(dict.fromkeys(str(each.message) for each in caught if each.category is UserWarning))


def cause_of(error: Exception) -> str:
    "What an error of Ray says has gone wrong: what its first traceback ends with, if it has one, else its first line."
    lines = str(error).partition('\n\nThe above exception was')[0].strip().splitlines()
    frames = [k for k, line in enumerate(lines) if line.startswith('  File ')]
    if not frames: return lines[0]
    return ' '.join(line.strip() for line in lines[frames[-1] + 1:] if not line.startswith('    '))
