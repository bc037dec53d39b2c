"""What a run takes over from an earlier one: itself, when it is resumed, or another that it starts from.

`earlier` is a `config.TrainConfig`; values are flags by name, as a command line and a file say them. No torch here.
"""

from dataclasses import fields
from pathlib import Path

from .errors import UsageError
from .flags import Flags, saved

NETWORK = 'arch', 'encoder_name', 'color'  # what weights are bound to
HANDED_ON = 'image_resize', 'decode', 'normalization'  # what else a run hands on to one that starts from it


def started(earlier: Flags, values: dict, typed: dict) -> dict:
    """`values` with the network of the run `from_run`, with its image size and decoding unless they say otherwise.

    Weights among those flags that the user has `typed` beside it contradict it. Raises UsageError.
    """
    run = values['from_run']
    for name in NETWORK:
        if name in values and values[name] != getattr(earlier, name):
            raise UsageError(f'{name} is {values[name]!r}, but {run} was trained with {getattr(earlier, name)!r}; '
                             'leave it out')
    if typed.get('encoder_weights', 'none') != 'none':
        raise UsageError(f'encoder_weights beside from_run: all weights are those of {run}; leave it out')
    inherited = {name: getattr(earlier, name) for name in (*NETWORK, *HANDED_ON)}
    return inherited | values | {'encoder_weights': 'none'}


def refined(earlier: Flags, values: dict) -> dict:
    """`values` with all others of the run `from_run`, whose first stage is kept, to which a second one is added.

    Only flags of the second stage, and those that a resumed run may change, may have other values. Raises UsageError.
    """
    run = values['from_run']
    if earlier.refine: raise UsageError(f'{run} has a second stage already; leave refine out to train on from it')
    of_second = {each.name for each in fields(earlier) if each.metadata['group'] == 'second stage'}
    free = (of_second | may_change(earlier) | {'from_run', 'minutes'}) - {'epochs'}
    check_unchanged(earlier, values, free, Path(run))
    return saved(earlier) | values | {'encoder_weights': 'none'}


def resumed(earlier: Flags, values: dict, folder: Path) -> dict:
    "Those of `values` that the run in `folder` may be given anew. Raises UsageError where others are not its own."
    free = may_change(earlier)
    check_unchanged(earlier, values, free, folder)
    check_more_epochs(earlier, values.get('epochs', earlier.epochs), folder)
    return {name: value for name, value in values.items() if name in free}


def may_change(flags: Flags) -> set[str]:
    "The flags that a resumed run may be given another value of."
    return {each.name for each in fields(flags) if each.metadata['may_change']}


def check_unchanged(earlier: Flags, values: dict, free: set[str], folder: Path):
    "Raise UsageError where `values`, but for the `free` flags, are not those of the `earlier` run in `folder`."
    for name, value in values.items():
        if name in free or value == getattr(earlier, name): continue
        raise UsageError(f'{folder} was started with {name} {getattr(earlier, name)!r}, not {value!r}; leave it out, '
                         'or start another run with --experiment_name')


def check_more_epochs(earlier: Flags, epochs: int, folder: Path):
    "Raise UsageError unless the `earlier` run in `folder` may be given so many `epochs`."
    if epochs == earlier.epochs: return
    steady = (earlier.schedule, earlier.erosion_schedule, earlier.folds, earlier.refine) == ('constant', 'fixed', 0, 0)
    if epochs < earlier.epochs or not steady:
        raise UsageError(f'{folder} was started with epochs {earlier.epochs}, not {epochs}, and its schedules are made '
                         'for them: more can only be given to a constant rate with fixed erosion, without folds and '
                         'refine; see --from_run')
