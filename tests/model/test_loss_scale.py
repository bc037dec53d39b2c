"The loss is scaled in fp16: small gradients survive, an overflow skips a step; hand-computed on one weight."

import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.training import GradientClip
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.optimizer import SGD
from torch import nn

from landmark_fastai.model.precision import LossScale


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(3.))

    def forward(self, x): return self.weight * x


def fit(loss, n=2, cbs=()):
    "The weight after a step of rate 1 for each of `n` batches of ones, and the factors after each, 65536 at first."
    batches = DataLoader([(torch.ones(()), torch.zeros(()))] * n, bs=1)
    dls = DataLoaders(batches, batches, device=torch.device('cpu'))
    learn = Learner(dls, Line(), loss_func=loss, opt_func=SGD, lr=1., cbs=[LossScale(), *cbs])
    factors = []
    class Note(Callback):
        def after_batch(self):
            if self.training: factors.append(self.learn.loss_scale.scaler.get_scale())
    with learn.no_bar(), learn.no_logging(): learn.fit(1, cbs=[Note()])
    return learn.model.weight.item(), factors


def test_steps_are_those_without_a_scale():
    weight, factors = fit(lambda pred, target: (0.25 * pred).sum())
    assert weight == pytest.approx(3 - 2 * 0.25) and factors == [65536., 65536.]


def test_a_step_with_an_infinite_gradient_is_left_out_and_halves_the_factor():
    calls = []
    def overflows_first(pred, target):
        calls.append(1)
        return (pred * (float('inf') if len(calls) == 1 else 0.5)).sum()
    weight, factors = fit(overflows_first)
    assert weight == pytest.approx(3 - 0.5) and factors == [32768., 32768.]


def test_gradients_are_clipped_at_their_true_size():
    weight, _ = fit(lambda pred, target: (40 * pred).sum(), n=1, cbs=[GradientClip(0.5)])
    assert weight == pytest.approx(3 - 0.5, abs=1e-5)
