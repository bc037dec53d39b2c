"Whether bf16 costs accuracy: the same trainings in bf16 and in fp32, on real images."

from contextlib import nullcontext
from statistics import mean
from unittest.mock import patch

import torch
import torch.nn.functional as F
from fastai.torch_core import set_seed
from torch import Tensor
from torch.overrides import TorchFunctionMode

from landmark_fastai import landmark_dls, landmark_learner
from landmark_fastai.callbacks.history import History
from landmark_fastai.model.precision import has_fast_bf16

from .fixtures import LITE0
from .timing import ROOT, row, say

DATA = ROOT.parent / 'shared' / 'data' / 'ct_thorax_20'
QUICK = dict(repetitions=1, epochs=1, image_resize=64)
ROUNDED = {F.conv2d, F.batch_norm, torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__iadd__, torch.cat}


class Rounded(TorchFunctionMode):
    "bf16 as hardware computes it, slowly: operands and results are rounded to it, sums in between are float32."
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is F.conv2d: args = [rounded(arg) for arg in args]
        result = func(*args, **kwargs or {})
        return rounded(result) if func in ROUNDED else result


def rounded(value):
    "`value` with the bits that bf16 keeps, and gradients so, too; what is no tensor of float32 as it is."
    return value.bfloat16().float() if isinstance(value, Tensor) and value.dtype == torch.float32 else value


def run(folder, repetitions=2, epochs=20, image_resize=128):
    "A row, of as many seeds as `repetitions`; none where the images are not on this machine."
    if not DATA.is_dir():
        say(f'{DATA} is not here: left out')
        return []
    fast = has_fast_bf16()
    with nullcontext() if fast else patch('landmark_fastai.model.precision.autocast', lambda *_: Rounded()):
        half, full = ([best_error(folder, precision, seed, epochs, image_resize) for seed in range(repetitions)]
                      for precision in ('bf16', 'fp32'))
    spread = max(max(errors) - min(errors) for errors in (half, full))
    return [row(f'mean error of ct_thorax_20, {LITE0}, {image_resize} px, {epochs} epochs, {repetitions} seeds: bf16; '
                'reference fp32', in_px(half), in_px(full),
                f'means apart by the spread of seeds, {spread:.2f} px, at most',
                abs(mean(half) - mean(full)) <= spread,
                note='' if fast else 'bf16 was emulated by rounding operands and results: this CPU has none.')]


def best_error(folder, precision, seed, epochs, image_resize):
    "Mean error (original px) of the best epoch of a training, on the same validation images for all seeds."
    set_seed(seed, reproducible=True)
    dls = landmark_dls(DATA / 'annotation.csv', DATA / 'images', image_resize=image_resize)
    learn = landmark_learner(dls, encoder_name=LITE0, precision=precision, path=folder)
    history = History(folder / f'{precision}_{seed}.csv', dls.annotations.names)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, 1e-3, cbs=[history])
    say(f"{precision}, seed {seed}: {history.best['mean_error_px']:.2f} px")
    return history.best['mean_error_px']


def in_px(errors):
    "`errors`, in original px, as a cell of a table."
    return ', '.join(f'{error:.2f}' for error in errors) + ' px'
