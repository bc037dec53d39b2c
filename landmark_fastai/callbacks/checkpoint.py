"""What a training consists of, saved after each epoch, and how one that was stopped goes on from there.

`PARTS` lists all of it. Each part says how its state is captured and how it is restored; what is to survive a stop is
added there.
"""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.core import CancelFitException
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.torch_core import get_model, num_distrib, rank_distrib, set_seed, to_device
from torch import nn

from ..model.state import write_checkpoint
from .core import RunCallback
from .history import History

# --- the parts of a training


class Part:
    "A part of a training: `restore` takes what `capture` gave, tensors and plain Python values, perhaps as lists."
    owner = None  # name of the callback that it is the state of; without that callback there is no such part

    def capture(self, learn: Learner) -> Any: raise NotImplementedError
    def restore(self, learn: Learner, saved: Any): raise NotImplementedError


class Log(Part):
    "The rows of the training log, one for each epoch that is finished: where in the schedules the training is."
    def capture(self, learn): return learn.history.rows
    def restore(self, learn, saved): learn.history.rows = list(saved)


class Weights(Part):
    "The weights that are validated, the average where there is one, with the statistics of BatchNorm."
    def capture(self, learn):
        if hasattr(learn, 'average_weights'): return learn.average_weights.average
        return get_model(learn.model).state_dict()

    def restore(self, learn, saved): get_model(learn.model).load_state_dict(saved)


class Average(Part):
    "Beside an average, which `Weights` has restored: the number of its steps, and the weights that are trained."
    owner = 'average_weights'

    def capture(self, learn):
        return {'n_steps': learn.average_weights.n_steps, 'trained': get_model(learn.model).state_dict()}

    def restore(self, learn, saved):
        learn.average_weights.start(saved['n_steps'])
        # where a fit begins, the one before has left the average
        if learn.first_epoch: get_model(learn.model).load_state_dict(saved['trained'])


class Optimizer(Part):
    "Learning rates, momenta, and what the optimizer keeps of each weight."
    def capture(self, learn): return learn.opt.state_dict()
    def restore(self, learn, saved): learn.opt.load_state_dict(to_device(saved, learn.dls.device))


class LossFactor(Part):
    "The factor of the loss in fp16; not restored on another device, in another precision."
    owner = 'loss_scale'

    def capture(self, learn): return learn.loss_scale.scaler.state_dict()
    def restore(self, learn, saved): learn.loss_scale.scaler.load_state_dict(saved)


class Erosion(Part):
    "The epochs that count for the erosion, of all fits, and the radius. A resumed fit begins with its `first_epoch`."
    def capture(self, learn):
        return {'finished': learn.erosion_schedule.finished, 'radius': learn.erosion_schedule.masks.radius}

    def restore(self, learn, saved):
        erosion = learn.erosion_schedule
        erosion.finished = saved['finished']
        erosion.offset = saved['finished'] - (learn.first_epoch if erosion.counts else 0)
        erosion.masks.radius = saved['radius']


class RngState(Part):
    "The state of all random number generators. Only the first process saves its own: others, and it, are seeded anew."
    def capture(self, learn): return rng_state()

    def restore(self, learn, saved):
        if num_distrib() > 1: set_seed(len(learn.history.rows) * num_distrib() + rank_distrib())
        else: set_rng_state(saved)


class Shuffles(Part):
    "The RNG state of each loader, by which it shuffles."
    def capture(self, learn): return [innermost(dl).rng.getstate() for dl in learn.dls.loaders]

    def restore(self, learn, saved):
        for dl, state in zip(learn.dls.loaders, saved, strict=True): innermost(dl).rng.setstate(as_python_state(state))


PARTS = {  # by their name in last.ckpt
    'history': Log(), 'model': Weights(), 'average': Average(), 'optimizer': Optimizer(), 'loss_scale': LossFactor(),
    'erosion': Erosion(), 'rng_state': RngState(), 'shuffles': Shuffles()}
WITH_FINISHED_FIT = 'history', 'model'  # restored as a fit begins which was finished, and ends at once
WITH_FIT = *WITH_FINISHED_FIT, 'average', 'optimizer', 'loss_scale', 'erosion'  # in this order, as the other begins
WITH_NEW_FIT = *WITH_FINISHED_FIT, 'average', 'erosion'  # as one begins that has no epoch yet: its optimizer is new
WITH_EPOCH = 'rng_state', 'shuffles'  # as its first epoch begins: what begins a fit may draw random numbers
ALWAYS = [name for name, part in PARTS.items() if part.owner is None]  # parts that no training is without


def capture(learn: Learner) -> dict:
    "The state of the training of `learn`, between two epochs."
    return {name: part.capture(learn) for name, part in PARTS.items() if has_part(learn, part)}


def restore(learn: Learner, state: dict, names: Iterable[str]):
    "Give `learn` the parts `names` of `state`, but for those that one of the two does not have."
    for name in names:
        if name in state and has_part(learn, PARTS[name]): PARTS[name].restore(learn, state[name])


def has_part(learn: Learner, part: Part) -> bool:
    "Whether the training of `learn` has that `part`."
    return part.owner is None or hasattr(learn, part.owner)


# --- random numbers

def rng_state() -> dict:
    "The RNG states of Python, NumPy and torch, and of each GPU."
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {'python': random.getstate(), 'numpy': np.random.get_state(), 'torch': torch.get_rng_state(), 'cuda': cuda}


def set_rng_state(state: dict):
    "Set what `rng_state` gave; states of GPUs are left out where their number is another."
    random.setstate(as_python_state(state['python']))
    np.random.set_state(tuple(state['numpy']))
    torch.set_rng_state(state['torch'])
    if len(state['cuda']) == torch.cuda.device_count(): torch.cuda.set_rng_state_all(state['cuda'])


def as_python_state(state: Iterable) -> tuple:
    "What `random.setstate` takes, from what `random.getstate` gave, with lists in place of tuples."
    version, numbers, gauss = state
    return version, tuple(numbers), gauss


def innermost(dl: DataLoader) -> DataLoader:
    "The loader that shuffles: that inside `dl` where several processes share it."
    return innermost(dl.dl) if hasattr(dl, 'dl') else dl


# --- callbacks

class SaveWeights(RunCallback):
    """Save into `folder` what loads with `weights_only=True`, whole or not at all.

    `best.pth`, a plain state dict, whenever an epoch is the best so far, see `History.best`; `last.ckpt`, all that
    `Resume` needs, after each epoch, unless the weights are no numbers any more. Raises OSError.
    """
    order = History.order + 12  # the last of those that write: what it has saved is not done again

    def __init__(self, folder: Path): self.folder = folder

    def after_epoch(self):
        if not is_finite(get_model(self.model)): return  # the weights of the epoch before are better than none
        state, best = capture(self.learn), self.history.best
        if best is not None and best['epoch'] == len(self.history.rows):
            write_checkpoint(self.folder / 'best.pth', state['model'])
        write_checkpoint(self.folder / 'last.ckpt', state)


def is_finite(model: nn.Module) -> bool:
    "Whether all parameters of `model` are numbers."
    return all(torch.isfinite(parameter).all() for parameter in model.parameters())


class Resume(RunCallback):
    """Go on where the run stopped whose last.ckpt held `state`: everything is as it was after its last epoch.

    The fits are called as at the start; those that were finished end at once, and the one that was not begins after its
    last finished epoch.
    """
    order = History.order + 5  # after everything that begins a fit

    def __init__(self, state: dict):
        self.state = state
        self.n_earlier = 0  # epochs of earlier fits

    def before_fit(self):
        super().before_fit()
        if not self.run or self.state is None: return
        first_epoch = len(self.state['history']) - self.n_earlier
        self.n_earlier += self.n_epoch
        if first_epoch >= self.n_epoch:
            restore(self.learn, self.state, WITH_FINISHED_FIT)
            raise CancelFitException
        self.learn.first_epoch = first_epoch
        restore(self.learn, self.state, WITH_FIT if first_epoch else WITH_NEW_FIT)

    def before_epoch(self):
        if self.state is None: return
        restore(self.learn, self.state, WITH_EPOCH)
        self.state = None

    def after_fit(self): self.learn.first_epoch = 0
