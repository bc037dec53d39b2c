"As many epochs as fit into the minutes that a training may take, by the time of its first steps."

import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import chain, islice, repeat
from statistics import median

import torch
import torch.nn.functional as F
from accelerate.utils import broadcast_object_list
from fastai.torch_core import num_distrib, rank_distrib
from torch import nn

from ..callbacks.checkpoint import innermost, rng_state, set_rng_state
from ..config import TrainConfig
from ..data.crops import CROPS, VALIDATED, crops_of_epoch
from ..learner import LandmarkLearner
from .out_of_memory import or_say_what_fits

SPARE = 0.95  # share of the minutes that the epochs are to take; the rest is for reading, pictures and the report
SECOND = 0.5  # share of these that the second stage gets
WARM, TIMED = 1, 5  # steps: the first also sets up memory and threads


def fit_minutes(config: TrainConfig, learn: LandmarkLearner) -> TrainConfig:
    """`config` with the epochs of both stages that fit into its `minutes`, one at least, which is said.

    The erosion of `learn`, the first stage, is told of them; else it stays as it was, random numbers included.
    """
    first, *second = or_say_what_fits(lambda: time_epochs(config, learn), learn, config, started=False)
    seconds = 60 * config.minutes * SPARE
    share = 1. if config.keeps_first_stage else SECOND if config.refine else 0.  # of the second stage
    told = []
    if share < 1:
        epochs = max(int(seconds * (1 - share) / first) - config.n_frozen, 1)
        config = replace(config, epochs=epochs)
        learn.erosion_schedule.total_epochs = epochs
        told.append(f'{config.n_epochs} epochs of about {first:.1f} s')
    if share > 0:
        config = replace(config, refine_epochs=max(int(seconds * share / second[0]), 1))
        told.append(f'{config.refine_epochs} of about {second[0]:.1f} s in the second stage')
    if not rank_distrib(): print(f'{config.minutes:g} minutes: {", ".join(told)}', flush=True)
    return config


def time_epochs(config: TrainConfig, learn: LandmarkLearner) -> list[float]:
    """Seconds of an epoch of the first stage and, where there is to be one, of the second.

    Those of the first process, where there are several, with its share of the images.
    """
    n_processes = max(num_distrib(), 1)
    random, loaders = rng_state(), [innermost(dl) for dl in learn.dls.loaders]
    shuffles = [dl.rng.getstate() for dl in loaders]
    trial = deepcopy(learn.model), learn.loss_func
    batches = [tuple(part[:config.batch_size // n_processes] for part in batch)
               for batch in islice(chain.from_iterable(repeat(learn.dls.train)), WARM + TIMED)]
    n_valid, n = len(learn.dls.valid_ds) / n_processes, len(learn.dls.names)
    seconds = [len(learn.dls.train) * time_step(*trial, batches) + n_valid * time_image(*trial, batches)]
    if config.refine:
        crops = [small(batch, config.refine_resize) for batch in batches]
        n_steps = math.ceil(crops_of_epoch(learn.dls.annotations.state[learn.dls.split == 'train']) /
                            (CROPS * config.batch_size))
        seconds.append(n_steps * time_step(*trial, crops) + n_valid * min(n, VALIDATED) * time_image(*trial, crops))
    set_rng_state(random)
    for dl, state in zip(loaders, shuffles, strict=True): dl.rng.setstate(state)
    return broadcast_object_list(seconds) if num_distrib() > 1 else seconds


def small(batch: tuple, side: int) -> tuple:
    "A batch of as many images of `side` px as a step of the second stage has crops, made of the images of `batch`."
    image, mask, *others = (torch.cat([part.as_subclass(torch.Tensor)] * CROPS) for part in batch)
    return F.interpolate(image, side), F.interpolate(mask.float(), side).to(mask.dtype), *others


def time_step(model: nn.Module, loss_func: Callable, batches: Sequence[tuple]) -> float:
    "Seconds of a step, by the last of `batches`; gradients are left in `model`."
    def step(image, *y):
        loss = loss_func(model(image), *y)
        loss.backward()
        loss.item()

    model.train()
    return usual_time(step, batches)


def time_image(model: nn.Module, loss_func: Callable, batches: Sequence[tuple]) -> float:
    "Seconds that one image of the last of `batches` takes without a gradient."
    model.eval()
    with torch.no_grad():
        return usual_time(lambda image, *y: loss_func(model(image), *y).item(), batches) / len(batches[-1][0])


def usual_time(work: Callable, batches: Sequence[tuple]) -> float:
    """The median of the seconds that `work` takes on each of `batches` but the first.

    A mean would count what held up one of them. `work` has to end with `item()`, which waits for all that a device has
    been asked for.
    """
    seconds = []
    for batch in batches:
        started = time.perf_counter()
        work(*batch)
        seconds.append(time.perf_counter() - started)
    return median(seconds[WARM:])
