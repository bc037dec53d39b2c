"The training log: its columns, its best row, and when it is written."

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from helpers import After, run_callbacks, write_unlabelled_validation

from landmark_fastai import landmark_dls
from landmark_fastai.callbacks.console import Console
from landmark_fastai.callbacks.history import History, best_row


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


def test_by_the_median_few_large_errors_do_not_choose_the_best_epoch(make_learner, tmp_path):
    history = History(tmp_path / 'log.csv', ['head', 'knee'], by_median=True)
    learn = make_learner()
    learn.fit(1, 1e-3, cbs=history)
    learn.validate()
    errors = torch.cat(learn.metrics[0].kept['px']).ravel()
    assert history.rows[0]['median_error_px'] == pytest.approx(np.median(errors))
    rows = [{'epoch': k, 'mean_error_px': mean, 'median_error_px': median}
            for k, (mean, median) in enumerate([(5., 3.), (9., 2.), (4., np.nan)], 1)]
    assert best_row(rows)['epoch'] == 2
    assert best_row([{name: row[name] for name in ('epoch', 'mean_error_px')} for row in rows])['epoch'] == 3


def test_log_is_on_disk_after_each_epoch(make_learner, tmp_path):  # trap 13
    def stop(cb):
        if cb.epoch == 1: raise KeyboardInterrupt
    _, cbs = run_callbacks(tmp_path, total=5)
    with pytest.raises(KeyboardInterrupt): make_learner().fit(5, 1e-3, cbs=[*cbs, After(stop, order=90)])
    assert len(pd.read_csv(tmp_path / 'log.csv')) == 2
    assert (tmp_path / 'weight' / 'last.ckpt').exists() and (tmp_path / 'weight' / 'best.pth').exists()


def test_validation_set_without_any_label_trains(tmp_path, make_learner):
    csv_file, images = write_unlabelled_validation(tmp_path)
    history, cbs = run_callbacks(tmp_path / 'run')
    make_learner(landmark_dls(csv_file, images, image_resize=64, batch_size=4)).fit(2, 1e-3, cbs=cbs)
    assert history.best is None and np.isnan(history.table.mean_error_px).all()
    assert (tmp_path / 'run' / 'graph' / 'loss_curve.png').exists()


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
