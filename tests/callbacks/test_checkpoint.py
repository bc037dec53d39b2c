"What is saved of a training: the best weights, and all that the last epoch leaves."

import json
import math
import random

import numpy as np
import torch
from helpers import After, run_callbacks

from landmark_fastai.callbacks import checkpoint
from landmark_fastai.callbacks.checkpoint import rng_state, set_rng_state
from landmark_fastai.callbacks.history import History
from landmark_fastai.model.metrics import LandmarkError
from landmark_fastai.model.state import write_checkpoint


def pretend(monkeypatch, errors):
    "Let the mean error in original px be what `errors` says, epoch by epoch."
    told = iter(errors)
    monkeypatch.setattr(LandmarkError, 'mean', lambda self, unit: next(told) if unit == 'px' else 1.)
    monkeypatch.setattr(LandmarkError, 'value', 0.)


def test_best_is_the_smallest_error_never_the_largest(make_learner, tmp_path, monkeypatch):
    kept, learn = {}, make_learner()
    history, cbs = run_callbacks(tmp_path, total=4)
    def keep(cb): kept[cb.epoch + 1] = {key: value.clone() for key, value in cb.model.state_dict().items()}
    pretend(monkeypatch, [9., 5., math.nan, 7.])
    learn.fit(4, 1e-3, cbs=[*cbs[:2], After(keep, order=90)])
    best = torch.load(tmp_path / 'weight' / 'best.pth', weights_only=True)
    assert history.best['epoch'] == 2
    assert all(torch.equal(best[key], kept[2][key]) for key in best)
    assert any(not torch.equal(best[key], kept[4][key]) for key in best)


def test_all_errors_unknown_saves_the_last_weights_and_no_best(make_learner, tmp_path, monkeypatch):  # trap 12
    history, cbs = run_callbacks(tmp_path)
    pretend(monkeypatch, [math.nan] * 2)
    make_learner().fit(2, 1e-3, cbs=cbs[:2])
    assert history.best is None and not (tmp_path / 'weight' / 'best.pth').exists()
    assert torch.load(tmp_path / 'weight' / 'last.ckpt', weights_only=True)['history'][-1]['epoch'] == 2


def test_last_checkpoint_holds_network_optimiser_epoch_and_erosion(make_learner, tmp_path):
    learn = make_learner()
    history, cbs = run_callbacks(tmp_path)
    learn.fit_one_cycle(2, 1e-3, cbs=cbs)
    last = torch.load(tmp_path / 'weight' / 'last.ckpt', weights_only=True)
    assert len(last['history']) == last['erosion']['finished'] == 2
    assert all(torch.equal(value, last['model'][key]) for key, value in learn.model.state_dict().items())
    state, own = last['optimizer'], learn.opt.state_dict()
    assert len(state['state']) == len(own['state']) and len(state['hypers']) == 2
    torch.testing.assert_close(state['state'][0]['grad_avg'], own['state'][0]['grad_avg'])
    assert last['history'] == history.rows and json.dumps(last['history'])


def test_weights_that_are_no_numbers_are_not_saved(make_learner, tmp_path):
    _, cbs = run_callbacks(tmp_path)
    def spoil(cb):
        if cb.epoch == 1: next(cb.model.parameters()).data.fill_(math.nan)
    make_learner().fit(2, 1e-3, cbs=[*cbs[:2], After(spoil, order=History.order)])
    assert torch.load(tmp_path / 'weight' / 'last.ckpt', weights_only=True)['history'][-1]['epoch'] == 1


# --- the parts of a training

def test_every_part_is_restored_once():
    assert sorted([*checkpoint.WITH_FIT, *checkpoint.WITH_EPOCH]) == sorted(checkpoint.PARTS)


def test_random_numbers_go_on_from_a_saved_state(tmp_path):
    def draw(): return random.random(), np.random.rand(), torch.rand(()).item()
    write_checkpoint(tmp_path / 'rng.ckpt', rng_state())
    drawn = draw()
    assert draw() != drawn
    set_rng_state(torch.load(tmp_path / 'rng.ckpt', weights_only=True))
    assert draw() == drawn
