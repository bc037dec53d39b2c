"""Callbacks: the erosion schedule, what a run writes and says, and when it stops; `saving` has those of its weights.

`landmark_learner` attaches `ErosionSchedule`; the others are made by `run.train` and passed to `fit`, so that
`validate`, `get_preds` and `lr_find` never touch a file. Each counts epochs over all fits that it is passed to.
"""

import math
import sys
import time

import pandas as pd
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.torch_core import maybe_gather, rank_distrib
from fastcore.basics import first
from tqdm.auto import tqdm

from .draw import BLUE, RED, draw_landmarks, draw_masks, write_gif, write_png
from .errors import UsageError
from .files import write_text
from .geometry import auto_radius, decode, fixed_radius
from .metrics import DiceScore, LandmarkError
from .plots import plot_history

CPU_ENCODERS = ('resnet34', 'resnet18', 'timm-tf_efficientnet_lite0')  # each faster on a CPU than the one before


class ErosionSchedule(Callback):
    """Set the radius of the masks before each training epoch; several fits count on.

    The radius is a function of the epochs finished by earlier fits + `learn.epoch`, and of `total_epochs` (by default
    all epochs so far and those of the current fit); it never grows again. An epoch with a frozen encoder does not use
    up the schedule. `validate`, `get_preds` and `lr_find` leave it alone.
    """
    def __init__(self, schedule='auto', dilation_iters=25, erosion_freq=35, erosion_iters=10, total_epochs=None):
        if schedule not in ('auto', 'fixed'):
            raise UsageError(f'erosion_schedule {schedule!r} is unknown; choose auto or fixed')
        for name, value, least in (('dilation_iters', dilation_iters, 0), ('erosion_freq', erosion_freq, 1),
                                   ('erosion_iters', erosion_iters, 0)):
            if value < least: raise UsageError(f'{name} is {value}; expected at least {least}')
        self.schedule, self.total_epochs = schedule, total_epochs
        self.stairs = dilation_iters, erosion_freq, erosion_iters
        self.finished = self.offset = 0

    def after_create(self):
        self._find_masks()
        self.masks.radius = self.radius_at(0, 1)

    def _find_masks(self):
        "Keep the `DrawMasks` that all batches share: while several processes train, their loaders hide it."
        self.masks = self.dls.train.after_batch.draw_masks

    def radius_at(self, epoch, total):
        "Radius in network px in `epoch` (from 0) of `total`."
        if self.schedule == 'fixed': return fixed_radius(epoch, *self.stairs)
        return auto_radius(epoch, max(total, 1), self.masks.image_resize, *self.stairs)

    def before_fit(self):
        self._find_masks()
        self.offset = self.finished

    def before_train(self):
        if not self._counts: return
        radius = self.radius_at(self.offset + self.epoch, self.total_epochs or self.offset + self.n_epoch)
        self.masks.radius = min(radius, self.masks.radius)

    def after_train(self):
        if self._counts: self.finished = self.offset + self.epoch + 1

    @property
    def _counts(self): return is_training_run(self.learn) and not self.opt.frozen_idx


def is_training_run(learn):
    "Whether the current fit trains: `lr_find` and `get_preds` go through the same events."
    return not hasattr(learn, 'lr_finder') and not hasattr(learn, 'gather_preds')


class RunCallback(Callback):
    "Base of the callbacks that are passed to `fit`."
    def before_fit(self): self.run = is_training_run(self.learn)


class History(RunCallback):
    """Keep and write the training log, `path`: a row an epoch, written whole after each.

    Columns: epoch (from 1), train_loss (plain mean over the epoch's images), val_loss, mean_dist, landmark{k}_dist
    (network px), mean_dice, landmark{k}_dice, mean_error_px, <name>_px (original px), with a known pixel spacing
    mean_error_mm, <name>_mm, with absent landmarks presence_accuracy, then radius (network px) and lr.
    """
    order = 51  # after the Recorder, before everything that reads `rows`

    def __init__(self, path, names): self.path, self.names, self.rows = path, names, []

    def before_train(self): self.loss_sum = self.n_images = 0

    def after_batch(self):
        if not self.training: return
        n = getattr(self.dl, 'n_batch', len(self.xb[0]))  # of all processes: they have the same number of batches
        self.loss_sum += self.loss.detach() * n
        self.n_images += n

    def after_epoch(self):
        values = dict(zip(self.recorder.metric_names[1:], self.recorder.values[-1], strict=False))
        train_loss = float(maybe_gather(self.loss_sum)) / max(self.n_images, 1)  # a mean over processes, too
        row = {'epoch': len(self.rows) + 1, 'train_loss': train_loss, 'val_loss': values['valid_loss']}
        row |= self._errors('network', 'mean_dist', [f'landmark{k}_dist' for k in range(1, len(self.names) + 1)])
        row |= self._columns(self._metric(DiceScore), 'dice', 'mean_dice',
                             [f'landmark{k}_dice' for k in range(1, len(self.names) + 1)])
        row |= self._errors('px', 'mean_error_px', [f'{name}_px' for name in self.names])
        if 'mean_error_mm' in values: row |= self._errors('mm', 'mean_error_mm', [f'{name}_mm' for name in self.names])
        if 'presence_accuracy' in values: row['presence_accuracy'] = values['presence_accuracy']
        self.rows.append(row | {'radius': self.erosion_schedule.masks.radius, 'lr': self.opt.hypers[-1]['lr']})
        if not rank_distrib(): write_text(self.path, self.frame.to_csv(index=False))

    def _metric(self, cls): return first(self.learn.metrics, lambda metric: isinstance(metric, cls))

    def _errors(self, unit, mean, each): return self._columns(self._metric(LandmarkError), unit, mean, each)

    def _columns(self, metric, value, mean, each):
        return {mean: metric.mean(value)} | dict(zip(each, metric.per_landmark(value).tolist(), strict=False))

    @property
    def frame(self):
        "The log so far as a DataFrame."
        return pd.DataFrame(self.rows)

    @property
    def best(self): return best_row(self.rows)


def best_row(rows):
    "The row of the log with the smallest mean error in original px; None where no epoch has one."
    scored = [row for row in rows if math.isfinite(row['mean_error_px'])]
    return min(scored, key=lambda row: row['mean_error_px'], default=None)


class CheckLoss(RunCallback):
    """Stop before a loss that is no number reaches the weights; `problem` then says where it was, else it is None.

    For a single process: of several, one cannot stop alone.
    """
    problem = None

    def after_loss(self):
        if not self.training or torch.isfinite(self.loss): return
        names = ', '.join(film.name for film in self.dls.train.films(self.iter))
        self.problem = (f'epoch {len(self.history.rows) + 1}, batch {self.iter + 1}: the loss is {self.loss.item()} on '
                        f'the images {names}')
        raise CancelFitException


class EarlyStop(RunCallback):
    """Stop after `patience` epochs without a smaller mean error in original px; at once where a run resumes after that.

    The first `n_frozen` epochs, of a frozen encoder, do not count.
    """
    order = History.order + 20  # after everything that is written after an epoch

    def __init__(self, patience, n_frozen=0): self.patience, self.n_frozen = patience, n_frozen

    @property
    def is_over(self): return is_stale(self.history.rows, self.patience, self.n_frozen)

    def before_fit(self):
        super().before_fit()
        if self.run and self.learn.first_epoch and self.is_over: raise CancelFitException

    def after_epoch(self):
        if not self.is_over: return
        print(f'stopped early: no smaller mean error in {self.patience} epochs')
        raise CancelFitException


def is_stale(rows, patience, n_frozen):
    "Whether the last `patience` of the epochs of a log, without its first `n_frozen`, had no smaller mean error."
    best = best_row(rows)
    return len(rows) - max(best['epoch'] if best else 0, n_frozen) >= patience


class Pictures(RunCallback):
    """Draw a fixed handful of validation images and the curves, every `every` epochs and at the last.

    `visualization/Epoch{n}/` gets, per image, the true and the predicted masks and the coordinates; `graph/` the
    curves. With `gif`, frames of the first image are kept every epoch and made into GIFs.
    """
    order = History.order + 11
    n_images = 4

    def __init__(self, folder, names, total, every=10, gif=False):
        self.folder, self.names, self.total, self.every, self.gif = folder, names, total, every, gif

    def _is_due(self, epoch): return epoch % self.every == 0 or epoch == self.total

    def before_validate(self):
        self.kept, epoch = [], len(self.history.rows) + 1
        self.wanted = self.n_images if self._is_due(epoch) else int(self.gif)

    def after_batch(self):
        if self.training or len(self.kept) >= self.wanted: return
        left = self.wanted - len(self.kept)
        mask, true, _, frame, _ = (self._first(y, left) for y in self.yb)
        logits = self._first(self.pred.detach().float(), left)
        batch = mask, logits.sigmoid(), true, decode(logits, frame, self.loss_func.decoder)
        self.kept += zip(*(values.numpy() for values in batch), strict=True)

    def _first(self, values, n):
        "The first `n` of a batch of `values`, which several processes share in order, on the CPU."
        return maybe_gather(values[:n])[:n].cpu()

    def after_epoch(self):
        if rank_distrib(): return
        epoch = len(self.history.rows)
        if self.gif: self._frame(epoch)
        if not self._is_due(epoch): return
        for k in range(len(self.kept)): self._overlay(self.folder / 'visualization' / f'Epoch{epoch}', k)
        plot_history(self.history.frame, self.names, self.folder / 'graph')
        if self.gif: self._gifs()

    def after_fit(self):
        epoch = len(self.history.rows)
        if rank_distrib() or not epoch or self._is_due(epoch): return  # drawn already, unless it was stopped early
        plot_history(self.history.frame, self.names, self.folder / 'graph')

    def _image(self, k): return self.dls.valid_ds[k][0].permute(1, 2, 0).squeeze(-1).numpy()

    def _overlay(self, folder, k):
        mask, pred_mask, true, pred = self.kept[k]
        stem = f'{k + 1}_{safe_name(self.dls.valid_ds.items[k].name)}'
        image = self._image(k)
        write_png(folder / f'{stem}_true_masks.png', draw_masks(image, mask, self.names, BLUE))
        write_png(folder / f'{stem}_predicted_masks.png', draw_masks(image, pred_mask, self.names, RED))
        write_png(folder / f'{stem}_coordinates.png', draw_landmarks(image, true, pred, self.names))

    def _frame(self, epoch):
        if not self.kept: return
        _, pred_mask, true, pred = self.kept[0]
        image, frames = self._image(0), self.folder / 'train_results' / 'frames'
        write_png(frames / 'coordinates' / f'{epoch:04}.png', draw_landmarks(image, true, pred, self.names))
        write_png(frames / 'masks' / f'{epoch:04}.png', draw_masks(image, pred_mask, self.names, RED))

    def _gifs(self):
        for frames in (self.folder / 'train_results' / 'frames').iterdir():
            pictures = sorted(frames.glob('[0-9]*.png'))  # and no half a picture of a killed process
            write_gif(self.folder / 'train_results' / f'{frames.name}.gif', pictures, seconds=0.2)


def safe_name(name):
    "The end of an image name, 100 bytes, as a part of a file name: letters, digits, dot, dash and underscore stay."
    return ''.join(c if c.isalnum() or c in '._-' else '_' for c in name).encode()[-100:].decode(errors='ignore')


def in_words(row):
    "The mean error of a `row` of the log, in original px and, where it is known, in mm."
    mm = row.get('mean_error_mm', math.nan)
    return f"{row['mean_error_px']:.2f} px" + (f' = {mm:.2f} mm' if math.isfinite(mm) else '')


class Console(RunCallback):
    """A progress bar on a terminal, and one plain line an epoch; the time an epoch takes on a CPU, early on.

    Bar and lines tell the loss, the mean error, the radius and the time left of `total` epochs.
    """
    order = History.order + 13  # after `saving.SaveWeights`: a line tells of what is kept
    n_warm, n_timed = 1, 3  # batches: the first also sets up memory and threads

    def __init__(self, total, encoder_name):
        self.total, self.encoder_name, self.bar = total, encoder_name, None

    def before_train(self):
        if self.bar is not None: return
        self.started, self.earlier = time.time(), len(self.history.rows)  # of a run that is resumed
        n = len(self.dls.train)
        self.bar = tqdm(total=self.total * n, initial=self.earlier * n, unit='batch', disable=not sys.stderr.isatty())

    def before_batch(self):
        if self.training and self._first_epoch and self.iter == self.n_warm: self.clock = time.time()

    def after_batch(self):
        if not self.training: return
        if not self.bar.disable: self.bar.set_postfix(self._postfix(), refresh=False)  # the loss waits for a GPU
        self.bar.update()
        if self._first_epoch and self.iter + 1 == self.n_warm + self.n_timed: self._estimate()

    def after_epoch(self):
        row = self.history.rows[-1]
        left = (time.time() - self.started) / (row['epoch'] - self.earlier) * (self.total - row['epoch'])
        self._say(f"epoch {row['epoch']}/{self.total}  train loss {row['train_loss']:.4f}  "
                  f"val loss {row['val_loss']:.4f}  mean error {in_words(row)}  "
                  f"dice {row['mean_dice']:.3f}  radius {row['radius']}  {tqdm.format_interval(left)} left")
        if row['epoch'] == self.total: self.bar.close()

    @property
    def _first_epoch(self): return len(self.history.rows) == self.earlier

    def _postfix(self):
        postfix = {'loss': f'{self.loss.item():.3f}'}
        if self.history.rows: postfix['error'] = f"{self.history.rows[-1]['mean_error_px']:.1f} px"
        return postfix

    def _estimate(self):
        if self.xb[0].device.type != 'cpu': return
        seconds = (time.time() - self.clock) / self.n_timed * len(self.dls.train)
        known = self.encoder_name in CPU_ENCODERS
        faster = CPU_ENCODERS[CPU_ENCODERS.index(self.encoder_name) + 1:] if known else CPU_ENCODERS
        hint = f'--encoder_name {" or ".join(faster)} is faster' if faster else 'a smaller --image_resize is faster'
        self._say(f'on this CPU an epoch takes about {tqdm.format_interval(seconds)} and all {self.total} about '
                  f'{tqdm.format_interval(seconds * self.total)}; {hint}')

    def _say(self, line): self.bar.write(line, file=sys.stdout)
