"The training log: a row an epoch."

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from fastai.torch_core import maybe_gather, rank_distrib
from fastcore.basics import first

from ..files import write_text
from ..model.metrics import DiceScore, LandmarkError
from ..viz.curves import MEDIAN, error_column
from .core import RunCallback


class History(RunCallback):
    """Keep and write the training log, `path`: a row an epoch, written whole after each.

    Columns: epoch (from 1), train_loss (plain mean over the epoch's images), val_loss, mean_dist, landmark{k}_dist
    (network px), mean_dice, landmark{k}_dice, mean_error_px, <name>_px (original px), with `by_median`
    median_error_px, with a known pixel spacing mean_error_mm, <name>_mm, with absent landmarks presence_accuracy, then
    radius (network px) and lr.
    """
    order = 51  # after the Recorder, before everything that reads `rows`

    def __init__(self, path: Path, names: Sequence[str], by_median: bool = False):
        self.path, self.names, self.by_median = path, names, by_median
        self.rows = []  # a dict an epoch, of all fits

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
        if self.by_median: row[MEDIAN] = self._metric(LandmarkError).median('px')
        if 'mean_error_mm' in values: row |= self._errors('mm', 'mean_error_mm', [f'{name}_mm' for name in self.names])
        if 'presence_accuracy' in values: row['presence_accuracy'] = values['presence_accuracy']
        self.rows.append(row | {'radius': self.erosion_schedule.masks.radius, 'lr': self.opt.hypers[-1]['lr']})
        if not rank_distrib(): write_text(self.path, self.table.to_csv(index=False))

    def _metric(self, cls): return first(self.learn.metrics, lambda metric: isinstance(metric, cls))

    def _errors(self, unit, mean, each): return self._columns(self._metric(LandmarkError), unit, mean, each)

    def _columns(self, metric, value, mean, each):
        return {mean: metric.mean(value)} | dict(zip(each, metric.per_landmark(value).tolist(), strict=False))

    @property
    def table(self) -> pd.DataFrame:
        "The log so far."
        return pd.DataFrame(self.rows)

    @property
    def best(self) -> dict | None:
        "The row of the best epoch; None where no epoch has an error."
        return best_row(self.rows)


def best_row(rows: Sequence[dict]) -> dict | None:
    "The row of the log with the smallest error, see `error_column`; None where no epoch has one."
    scored = [row for row in rows if math.isfinite(row[error_column(row)])]
    return min(scored, key=lambda row: row[error_column(row)], default=None)


def describe_errors(row: dict) -> str:
    "The mean error of a `row` of the log, in original px and, where it is known, in mm."
    mm = row.get('mean_error_mm', math.nan)
    return f"{row['mean_error_px']:.2f} px" + (f' = {mm:.2f} mm' if math.isfinite(mm) else '')
