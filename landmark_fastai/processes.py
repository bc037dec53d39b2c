"The processes that `accelerate launch` or torchrun starts together, by their environment. No torch here."

import os

from .errors import UsageError


def is_follower() -> bool:
    "Whether a launcher has started this process beside a first one, which speaks for all."
    return 'WORLD_SIZE' in os.environ and os.environ.get('RANK', '0') != '0'


def check_single_process(command: str):
    "Raise UsageError if several processes were started of `command`, which runs in one."
    n = int(os.environ.get('WORLD_SIZE', 1))
    if n > 1:
        raise UsageError(f'{command} runs in one process, but {n} were started; leave out accelerate launch or '
                         'torchrun')
