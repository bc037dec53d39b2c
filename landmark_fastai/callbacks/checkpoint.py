"Weights and checkpoints that `torch.load(weights_only=True)` reads, written whole or not at all; states of chance."

import random

import numpy as np
import torch
from fastai.callback.core import CancelFitException
from fastai.torch_core import get_model, num_distrib, rank_distrib, set_seed, to_device

from ..model.state import as_plain, write_checkpoint
from .core import RunCallback
from .history import History


def random_state():
    "The state of all global random numbers, plain."
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return as_plain({'python': random.getstate(), 'numpy': np.random.get_state(), 'torch': torch.get_rng_state(),
                  'cuda': cuda})


def set_random_state(state):
    "Set what `random_state` gave; states of GPUs that are not here are left out."
    random.setstate(as_python_state(state['python']))
    np.random.set_state(tuple(state['numpy']))
    torch.set_rng_state(state['torch'])
    if len(state['cuda']) == torch.cuda.device_count(): torch.cuda.set_rng_state_all(state['cuda'])


def as_python_state(state):
    "What `random.setstate` takes, from the plain form of what `random.getstate` gave."
    version, numbers, gauss = state
    return version, tuple(numbers), gauss


class SaveWeights(RunCallback):
    """Save `best.pth`, a plain state dict, whenever the mean error in original px is the smallest so far, and
    `last.ckpt` after each epoch: all that `Resume` needs. `weights_only=True` loads both.

    With `AverageWeights` its average is the best and the `model`, and `trained` what the optimiser goes on with. `data`
    tells by what the run is trained, see `annotations.fingerprint`.
    """
    order = History.order + 12  # the last of those that write: what it has saved is not done again

    def __init__(self, folder, data=''): self.folder, self.data = folder, data

    def after_epoch(self):
        if not is_finite(get_model(self.model)): return  # the weights of the last epoch are better than none
        epoch, best, erosion = len(self.history.rows), self.history.best, self.erosion_schedule
        state = {'model': get_model(self.model).state_dict()}
        if hasattr(self.learn, 'average_weights'):
            state = {'model': self.average_weights.average, 'trained': state['model'],
                     'averaged_steps': self.average_weights.n_steps}
        if hasattr(self.learn, 'loss_scale'): state['loss_scale'] = self.loss_scale.scaler.state_dict()
        if best is not None and best['epoch'] == epoch: write_checkpoint(self.folder / 'best.pth', state['model'])
        write_checkpoint(self.folder / 'last.ckpt', state | {
            'opt': self.opt.state_dict(), 'epoch': epoch, 'history': self.history.rows, 'data': self.data,
            'erosion_finished': erosion.finished, 'radius': erosion.masks.radius, 'random': random_state(),
            'shuffles': [innermost(dl).rng.getstate() for dl in self.dls.loaders]})


def is_finite(model):
    "Whether all parameters of `model` are numbers."
    return all(torch.isfinite(parameter).all() for parameter in model.parameters())


def innermost(dl):
    "The loader that shuffles: that inside `dl` where several processes share it."
    return innermost(dl.dl) if hasattr(dl, 'dl') else dl


class Resume(RunCallback):
    """Go on where the run stopped whose last.ckpt held `state`: everything is as it was after its last epoch.

    The fits are called as at the start; those that were finished end at once, and the one that was not begins after its
    last finished epoch.
    """
    order = History.order + 5  # after everything that begins a fit

    def __init__(self, state): self.state, self.before = state, 0

    def before_fit(self):
        super().before_fit()
        if not self.run or self.state is None: return
        first = self.state['epoch'] - self.before
        self.before += self.n_epoch
        if first >= self.n_epoch:
            get_model(self.model).load_state_dict(self.state['model'])  # of the last fit nothing else is left to do
            raise CancelFitException
        self.learn.first_epoch = first
        self._restore(first)

    def _restore(self, first):
        state, model, erosion = self.state, get_model(self.model), self.erosion_schedule
        model.load_state_dict(state.get('trained', state['model']))
        self.opt.load_state_dict(to_device(state['opt'], self.dls.device))
        erosion.finished, erosion.masks.radius = state['erosion_finished'], state['radius']
        erosion.offset = erosion.finished - (0 if self.opt.frozen_idx else first)
        if 'averaged_steps' in state: self.average_weights.start(state['model'], state['averaged_steps'])
        if 'loss_scale' in state and hasattr(self.learn, 'loss_scale'):  # not on another device, in another precision
            self.loss_scale.scaler.load_state_dict(state['loss_scale'])

    def before_epoch(self):  # not earlier: what begins a fit may draw random numbers
        if self.state is None: return
        if num_distrib() > 1: set_seed(self.state['epoch'] * num_distrib() + rank_distrib())  # only one was saved
        else: set_random_state(self.state['random'])
        for dl, shuffle in zip(self.dls.loaders, self.state['shuffles'], strict=True):
            innermost(dl).rng.setstate(as_python_state(shuffle))
        self.state = None

    def after_fit(self): self.learn.first_epoch = 0
