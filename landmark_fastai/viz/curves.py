"Curves of a training run and of a learning-rate search, as PNG files."

from collections.abc import Container
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .axes import STYLES, add_legend, label_log, label_plainly, new_figure, save_figure, say_empty, shorten

UNITS = {'px': 'original px', 'mm': 'mm'}
LOSSES = {'loss': {'training': 'train_loss', 'validation': 'val_loss'}}
RADII = 10            # labels of the radius, at most
LEGEND_ROWS = 24      # per column and panel


MEDIAN = 'median_error_px'  # column of a training log


def error_column(log: Container[str]) -> str:
    "The column, in original px, that the best epoch of a log, or of a row of one, is the smallest of."
    return MEDIAN if MEDIAN in log else 'mean_error_px'


def plot_history(history: pd.DataFrame, names: list[str], folder: Path):
    """Write the curves of a run into `folder`: loss, mean and per-landmark error (linear and log) and dice.

    `history` is the DataFrame of training_log.csv, NaN anywhere, `names` the landmarks in the order of its columns.
    Errors are in original px, with a second panel in mm where the log has them. Every figure shows the best epoch, by
    its `error_column`, and where the radius changes.
    """
    folder = Path(folder)
    history = history.replace([np.inf, -np.inf], np.nan)
    labels = [f'{k} {shorten(name)}' for k, name in enumerate(names, 1)]
    units = {unit: f'error, {full}' for unit, full in UNITS.items() if f'mean_error_{unit}' in history}
    mean = {axis: {'mean': f'mean_error_{unit}'} for unit, axis in units.items()}
    if MEDIAN in history: mean[units['px']]['median'] = MEDIAN
    each = {axis: {label: f'{name}_{unit}' for label, name in zip(labels, names, strict=True)}
            for unit, axis in units.items()}
    dice = {'dice': {label: f'landmark{k}_dice' for k, label in enumerate(labels, 1)}}
    _plot(folder / 'loss_curve.png', 'Loss', history, LOSSES)
    _plot(folder / 'mean_landmark_error.png', 'Mean landmark error', history, mean)
    _plot(folder / 'mean_landmark_error_log.png', 'Mean landmark error', history, mean, log=True)
    _plot(folder / 'mean_dice_score.png', 'Mean dice score', history, {'dice': {'mean': 'mean_dice'}}, top=1)
    _plot(folder / 'per_landmark_error.png', 'Error of each landmark', history, each)
    _plot(folder / 'per_landmark_error_log.png', 'Error of each landmark', history, each, log=True)
    _plot(folder / 'per_landmark_dice.png', 'Dice score of each landmark', history, dice, top=1)


def plot_lr_find(lrs: list[float], losses: list[float], suggestion: float, path: Path):
    "Write the loss over the learning rates `lrs`, as measured and smoothed, to `path`, with the `suggestion` marked."
    lrs, losses = np.asarray(lrs, float), np.asarray(losses, float)
    measured = np.isfinite(losses)
    lrs, losses = lrs[measured], losses[measured]
    smooth = smooth_losses(losses)
    figure = new_figure(8, 5)
    ax = figure.subplots()
    ax.plot(lrs, losses, color='C0', alpha=0.35, linewidth=1, label='measured')
    ax.plot(lrs, smooth, color='C0', linewidth=2, label='smoothed')
    ax.plot(suggestion, np.interp(np.log(suggestion), np.log(lrs), smooth), 'o', color='C3', markersize=9,
            label=f'suggestion {suggestion:.2g}')
    ax.set(xscale='log', xlabel='learning rate', ylabel='training loss', title='Learning rate search')
    ax.grid(alpha=0.3)
    add_legend(figure, ax, rows=LEGEND_ROWS)
    save_figure(figure, path)


def progress_figure(history: pd.DataFrame) -> Figure:
    "Loss and mean error over the epochs of a log so far, with the columns that `plot_history` takes of them."
    history = history.replace([np.inf, -np.inf], np.nan)
    return _figure('', history, LOSSES | {f'error, {UNITS["px"]}': {'mean': 'mean_error_px'}}, width=5, height=2.6)


def _plot(path, title, history, panels, log=False, top=None):
    "Write the figure of these `panels` to `path`."
    save_figure(_figure(title, history, panels, log, top), path)


def _figure(title, history, panels, log=False, top=None, width=8, height=4.2):
    "A figure with a panel, of that size, for each axis label of `panels`, its curves given as {legend label: column}."
    curves = next(iter(panels.values()))
    rows = LEGEND_ROWS * len(panels)
    figure = new_figure(width + 2.9 * np.ceil(len(curves) / rows), 1 + height * len(panels))
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for ax, (ylabel, curves) in zip(axes, panels.items(), strict=True):
        _draw_curves(ax, history, curves)
        _scale(ax, history[list(curves.values())].to_numpy(float), log, top)
        _mark_best(ax, history)
        _mark_radii(ax, history, labelled=ax is axes[0])
        ax.set_ylabel(ylabel)
        ax.grid(axis='y', alpha=0.3)
    axes[-1].set_xlabel('epoch')
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[-1].set_xlim(history.epoch.min() - 0.5, history.epoch.max() + 0.5)
    axes[0].set_title(title)
    add_legend(figure, axes[0], rows)
    return figure


def _draw_curves(ax, history, curves):
    "Draw the columns of `curves`, each in its own colour and line style."
    colors = cycle(colormaps['tab10'].colors)
    for k, (label, column) in enumerate(curves.items()):
        values = history[column].astype(float)
        color = next(colors)
        style = STYLES[k // 10 % len(STYLES)]
        ax.plot(history.epoch, values, label=label, color=color, linestyle=style)
        ax.plot(history.epoch, values.where(isolated(values)), 'o', color=color, markersize=4)
    if not history[list(curves.values())].notna().to_numpy().any(): say_empty(ax)


def isolated(values: pd.Series) -> pd.Series:
    "Which of `values` have no neighbour: a line would not show them."
    there = values.notna()
    return there & ~there.shift(1, fill_value=False) & ~there.shift(-1, fill_value=False)


def _scale(ax, values, log, top):
    "Set the y axis: from 0 to `top`, or logarithmic, linear below the smallest value only where there are zeros."
    positive = values[values > 0]
    if not log or not positive.size: return ax.set_ylim(0, top and 1.02 * top)
    if (values == 0).any():
        ax.set_yscale('symlog', linthresh=positive.min())
        label_plainly(ax.yaxis)
    else:
        ax.set_yscale('log')
        label_log(ax.yaxis)


def _mark_best(ax, history):
    "Mark the epoch with the smallest error."
    errors = history[error_column(history)].dropna()
    if errors.empty: return
    best = errors.idxmin()
    epoch, error = history.epoch[best], errors[best]
    label = f'best: epoch {epoch:g}, {"median " * (errors.name == MEDIAN)}{error:.2f} px'
    ax.axvline(epoch, color='green', linewidth=1.2, linestyle=(0, (2, 2)), label=label)


def _mark_radii(ax, history, labelled):
    "Draw a faint line where the radius changes and, if `labelled`, write some of the radii above the panel."
    radii = history.radius.dropna()
    radii = radii[radii != radii.shift()]
    epochs = history.epoch[radii.index]
    for epoch in epochs[1:]: ax.axvline(epoch, color='grey', linewidth=0.8, alpha=0.35, zorder=0)
    if not labelled: return
    shown = _spread(epochs, (history.epoch.max() - history.epoch.min()) / RADII)
    top = ax.secondary_xaxis('top')
    top.set_xticks(epochs[shown], [f'r {radius:g}' for radius in radii[shown]], fontsize=8, color='grey')
    top.tick_params(length=2, color='grey')


def _spread(epochs, gap):
    "The labels of those `epochs` that lie at least `gap` after the last one kept."
    kept = []
    for label, epoch in epochs.items():
        if not kept or epoch - epochs[kept[-1]] >= gap: kept.append(label)
    return kept


def smooth_losses(losses: np.ndarray) -> np.ndarray:
    "The centred Gaussian mean of `losses`, over a thirtieth of their number: it does not lag behind."
    steps = np.arange(len(losses))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / max(1, len(losses) / 30)) ** 2)
    return weights @ losses / weights.sum(1)
