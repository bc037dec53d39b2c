"Callbacks: the erosion schedule across fits, and what a run writes."

import json
import math

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from helpers import write_unlabelled_validation

from landmark_fastai import landmark_dls
from landmark_fastai.callbacks.averaging import AverageWeights
from landmark_fastai.callbacks.checkpoint import SaveWeights
from landmark_fastai.callbacks.console import Console
from landmark_fastai.callbacks.erosion import ErosionSchedule
from landmark_fastai.callbacks.history import History
from landmark_fastai.callbacks.pictures import Pictures, as_file_name
from landmark_fastai.callbacks.stopping import CheckLoss
from landmark_fastai.geometry.erosion import auto_radius
from landmark_fastai.model.metrics import LandmarkError

STAIRS = dict(dilation_iters=65, erosion_freq=50, erosion_iters=10)  # of the original


class Radii(Callback):
    "Keep the radius of every epoch."
    order = History.order

    def __init__(self): self.rows = []

    def after_epoch(self): self.rows.append(self.erosion_schedule.masks.radius)


class After(Callback):
    "Call `do`, with the callback, after each epoch."
    def __init__(self, do, order): self.do, self.order = do, order

    def after_epoch(self): self.do(self)


def radii(learn, *fits):
    "The radius in each epoch of `fits`, functions of the learner and its callbacks."
    spy = Radii()
    for fit in fits: fit(learn, spy)
    return spy.rows


def epochs(n): return lambda learn, spy: learn.fit(n, 1e-4, cbs=spy)


def test_fixed_schedule_erodes_as_the_original(make_learner):
    learn = make_learner(erosion_schedule='fixed', dilation_iters=20, erosion_freq=2, erosion_iters=9)
    assert radii(learn, epochs(7)) == [20, 20, 11, 11, 2, 2, 1]


def test_auto_schedule_is_the_original_squeezed_into_the_run(make_learner):
    got = radii(make_learner(**STAIRS), epochs(7))
    assert got == [auto_radius(epoch, 7, 64) for epoch in range(7)]
    assert got == [8, 7, 6, 4, 3, 2, 1]  # 65, 55 ... 5 px at 512 px, an eighth of each, rounded half up


def test_several_fits_count_on_and_looking_does_not(make_learner):
    learn = make_learner(erosion_schedule='fixed', dilation_iters=9, erosion_freq=1, erosion_iters=2)
    def look(learn, _):
        learn.validate()
        learn.get_preds()
        learn.lr_find(num_it=4, show_plot=False)
    assert radii(learn, epochs(2), look, epochs(1), look, epochs(2)) == [9, 7, 5, 3, 1]


def test_radius_stays_what_it_was_while_looking(make_learner):
    learn = make_learner(erosion_schedule='fixed', dilation_iters=9, erosion_freq=1, erosion_iters=2)
    learn.fit(3, 1e-4)
    for look in (learn.validate, learn.get_preds, lambda: learn.lr_find(num_it=4, show_plot=False)):
        look()
        assert learn.erosion_schedule.masks.radius == 5


def test_a_frozen_stage_does_not_use_up_the_schedule(make_learner):
    learn = make_learner(erosion_schedule='fixed', dilation_iters=9, erosion_freq=1, erosion_iters=2)
    assert radii(learn, lambda learn, spy: learn.fine_tune(3, freeze_epochs=2, cbs=spy)) == [9, 9, 9, 7, 5]


def test_the_radius_never_grows_again(make_learner):
    assert [auto_radius(epoch, 3, 64) for epoch in range(3)] == [8, 6, 3]
    assert [auto_radius(epoch, 6, 64) for epoch in (3, 4, 5)] == [4, 3, 2]
    assert radii(make_learner(**STAIRS), epochs(3), epochs(3)) == [8, 6, 3, 3, 3, 2]


def test_radius_zero_is_kept(make_learner):  # trap 7
    assert radii(make_learner(erosion_schedule='fixed', dilation_iters=0), epochs(1)) == [0]


def test_schedule_is_a_function_of_the_epoch_alone(make_learner):
    learn, schedule = make_learner(), ErosionSchedule('fixed', **STAIRS)
    schedule.learn = learn
    assert [schedule.radius_at(epoch, 350) for epoch in (0, 49, 50, 349)] == [65, 65, 55, 5]


def run_callbacks(folder, total=2, **kwargs):
    names = ['head', 'knee']
    history = History(folder / 'log.csv', names)
    return history, [history, SaveWeights(folder / 'weight'), Pictures(folder, names, total, **kwargs)]


def test_log_has_the_promised_columns_and_true_numbers(make_learner, tmp_path):
    learn = make_learner()
    history, cbs = run_callbacks(tmp_path)
    losses = []
    class Spy(Callback):
        def after_batch(self):
            if self.training: losses.append((self.loss.item(), len(self.xb[0])))
    learn.fit(2, 1e-3, cbs=[*cbs, Spy()])
    log = pd.read_csv(tmp_path / 'log.csv')
    assert list(log.columns) == [
        'epoch', 'train_loss', 'val_loss', 'mean_dist', 'landmark1_dist', 'landmark2_dist', 'mean_dice',
        'landmark1_dice', 'landmark2_dice', 'mean_error_px', 'head_px', 'knee_px', 'radius', 'lr']
    assert list(log.epoch) == [1, 2]
    half = losses[:len(losses) // 2]
    assert log.train_loss[0] == pytest.approx(sum(loss * n for loss, n in half) / sum(n for _, n in half), rel=1e-5)
    final = learn.validate()
    assert log.val_loss[1] == pytest.approx(final[0], rel=1e-4)
    assert log.mean_error_px[1] == pytest.approx(final[1], rel=1e-4)
    assert log.mean_error_px[1] == pytest.approx((log.head_px[1] + log.knee_px[1]) / 2, rel=1e-4)


def test_log_is_on_disk_after_each_epoch(make_learner, tmp_path):  # trap 13
    def stop(cb):
        if cb.epoch == 1: raise KeyboardInterrupt
    _, cbs = run_callbacks(tmp_path, total=5)
    with pytest.raises(KeyboardInterrupt): make_learner().fit(5, 1e-3, cbs=[*cbs, After(stop, order=90)])
    assert len(pd.read_csv(tmp_path / 'log.csv')) == 2
    assert (tmp_path / 'weight' / 'last.ckpt').exists() and (tmp_path / 'weight' / 'best.pth').exists()


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


def test_attached_callbacks_sleep_while_looking(make_learner, tmp_path):
    learn = make_learner()
    history, cbs = run_callbacks(tmp_path / 'run')
    learn.add_cbs([*cbs, Console(2, 'resnet18')])
    learn.get_preds()
    learn.lr_find(num_it=4, show_plot=False)
    assert history.rows == [] and not (tmp_path / 'run').exists()


def test_looking_writes_nothing(make_learner, tmp_path):
    learn = make_learner()
    _, cbs = run_callbacks(tmp_path / 'run')
    learn.fit(2, 1e-3, cbs=cbs)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')}
    learn.validate()
    learn.get_preds()
    learn.lr_find(num_it=4, show_plot=False)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')} == before


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


def test_pictures_show_the_same_handful_at_the_promised_epochs(make_learner, tmp_path):  # trap 10
    _, cbs = run_callbacks(tmp_path, total=5, every=2)
    make_learner().fit(5, 1e-3, cbs=cbs)
    folders = sorted(path.name for path in (tmp_path / 'visualization').iterdir())
    assert folders == ['Epoch2', 'Epoch4', 'Epoch5']
    files = [sorted(path.name for path in (tmp_path / 'visualization' / folder).iterdir()) for folder in folders]
    assert files[0] == files[1] == files[2] and len(files[0]) == 2 * 3  # two validation images
    assert not (tmp_path / 'train_results').exists()  # no frames without --gif


def test_gif_has_a_frame_an_epoch_kept_as_files(make_learner, tmp_path):
    _, cbs = run_callbacks(tmp_path, total=3, every=2, gif=True)
    make_learner().fit(3, 1e-3, cbs=cbs)
    for kind in ('coordinates', 'masks'):
        assert len(list((tmp_path / 'train_results' / 'frames' / kind).glob('*.png'))) == 3
        assert len(iio.imread(tmp_path / 'train_results' / f'{kind}.gif', index=None)) == 3


def test_console_says_loss_error_and_time(make_learner, make_dls, tmp_path, capsys):
    history, cbs = run_callbacks(tmp_path)
    learn = make_learner(make_dls(batch_size=1))
    learn.fit(2, 1e-3, cbs=[cbs[0], Console(2, 'resnet34')])
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith('on this CPU an epoch takes about') and 'resnet18 or timm-tf_efficientnet_lite0' in out[0]
    assert out[1].startswith('epoch 1/2  train loss ') and 'mean error ' in out[1] and ' px' in out[1]
    assert out[2].endswith('00:00 left') and len(out) == 3
    assert '\r' not in ''.join(out)


@pytest.mark.parametrize('name, safe', [('a.png', 'a.png'), ('sub/b c.png', 'sub_b_c.png'), ('../x', '.._x'),
                                        ('Hüfte<1>.png', 'Hüfte_1_.png'), (200 * '膝', 33 * '膝')])
def test_as_file_name(name, safe): assert as_file_name(name) == safe


def test_validation_set_without_any_label_trains(tmp_path, make_learner):
    csv_file, images = write_unlabelled_validation(tmp_path)
    history, cbs = run_callbacks(tmp_path / 'run')
    make_learner(landmark_dls(csv_file, images, image_resize=64, batch_size=4)).fit(2, 1e-3, cbs=cbs)
    assert history.best is None and np.isnan(history.table.mean_error_px).all()
    assert (tmp_path / 'run' / 'graph' / 'loss_curve.png').exists()


# --- averaged weights

def weights_of(learn): return {key: value.clone() for key, value in learn.model.state_dict().items()}


def test_averaged_weights_are_the_moving_average_of_every_step(make_learner):
    learn, average = make_learner(), AverageWeights(0.5)
    seen = []
    class Spy(Callback):
        order = average.order + 1
        def after_step(self): seen.append(weights_of(self.learn))
    learn.fit(2, 1e-2, cbs=[average, Spy()])
    key = next(key for key, value in seen[0].items() if value.is_floating_point() and value.ndim == 4)
    expected, decays = seen[0][key], []  # the first step is taken as it is
    for t, weights in enumerate(seen[1:], 2):
        decays.append(min(0.5, (1 + t) / (10 + t)))
        expected = decays[-1] * expected + (1 - decays[-1]) * weights[key]
    assert decays[0] == 0.25 and len(seen) == 4
    torch.testing.assert_close(learn.model.state_dict()[key], expected)  # which the network is left with


def test_averaging_changes_what_is_validated_and_saved_and_not_the_training(make_learner, make_dls, tmp_path):
    lasts, validated = [], []
    class Spy(Callback):
        order = AverageWeights.order + 1
        def before_validate(self): validated.append(weights_of(self.learn))
    for name, averaging in (('plain', []), ('averaged', [AverageWeights(0.9)])):
        torch.manual_seed(0)
        learn = make_learner(make_dls(augment='none'))
        _, cbs = run_callbacks(tmp_path / name)
        torch.manual_seed(1)
        learn.dls.train.rng.seed(1)
        learn.fit(2, 1e-2, cbs=[*cbs[:2], *averaging, Spy()])
        lasts.append(torch.load(tmp_path / name / 'weight' / 'last.ckpt', weights_only=True))
    plain, averaged = lasts
    assert 'average' not in plain and averaged['average']['n_steps'] == 4
    assert all(torch.equal(plain['model'][k], averaged['average']['trained'][k]) for k in plain['model'])
    assert any(not torch.equal(plain['model'][k], averaged['model'][k]) for k in plain['model'])
    assert all(torch.equal(averaged['model'][k], validated[-1][k]) for k in averaged['model'])
    assert all(torch.equal(averaged['model'][k], value) for k, value in learn.model.state_dict().items())


# --- numbers that are none

def test_a_loss_that_is_no_number_stops_before_it_reaches_the_weights(make_learner, tmp_path):
    learn, check = make_learner(), CheckLoss()
    history, cbs = run_callbacks(tmp_path)
    before = weights_of(learn)
    class Poison(Callback):
        order = -1
        def after_loss(self):
            if self.training and self.epoch == self.iter == 1: self.learn.loss = self.loss * math.nan
    learn.fit(3, 1e-3, cbs=[*cbs, check, Poison()])
    names = [film.name for film in learn.dls.train.images_of(1)]
    assert check.problem == f'epoch 2, batch 2: the loss is nan on the images {", ".join(names)}' and len(names) == 4
    assert len(history.rows) == 1 and all(value.isfinite().all() for value in learn.model.state_dict().values())
    assert any(not torch.equal(value, before[key]) for key, value in learn.model.state_dict().items())


def test_weights_that_are_no_numbers_are_not_saved(make_learner, tmp_path):
    _, cbs = run_callbacks(tmp_path)
    def spoil(cb):
        if cb.epoch == 1: next(cb.model.parameters()).data.fill_(math.nan)
    make_learner().fit(2, 1e-3, cbs=[*cbs[:2], After(spoil, order=History.order)])
    assert torch.load(tmp_path / 'weight' / 'last.ckpt', weights_only=True)['history'][-1]['epoch'] == 1
