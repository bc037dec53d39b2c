"Figures of the errors of predictions: how large, on which landmark, in which direction. PNG, SVG and PDF of each."

import math
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Circle
from matplotlib.ticker import PercentFormatter

from .axes import STYLES, add_legend, label_log, label_plainly, say_empty, shorten
from .paper import COLUMN, PAGE, in_print, print_figure, save_forms

FEW = 10              # landmarks that each get a curve of their own colour
WORST = 3             # landmarks that do among more
SLANT = 50            # degrees of the labels of thresholds
LABELS = 28           # of them, at most, fit side by side above a panel
LIFT = 0.025          # of the panel's height, that they stand above it
BOX = 5               # values that a box needs, and a group of `GROUPS`
GROUPS = 10           # of confidences, of which the median errors are drawn
TILES = 8             # side by side, of directions
LARGEST = 5.5         # cm of one
LETTERS = 6.5         # of its title in a cm
ROUND = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)  # radii whose halves are round too


@in_print
def plot_cumulative(distances: np.ndarray, names: list[str], thresholds: list[float], unit: str, path: Path):
    """Write the share of landmarks within each distance to `path`, with the rate at each of the ascending `thresholds`.

    `distances` is (n, N) in `unit`, NaN where there is nothing to score and infinite where a landmark was missed, which
    is within no distance. Among more than 10 landmarks only the three with the largest medians are named.
    """
    values = distances[~np.isnan(distances)]
    limit = np.clip(_extent(values), 1.1 * max(thresholds), 6 * max(thresholds))  # else thresholds come too close
    figure = print_figure(PAGE, 9)
    ax = figure.subplots()
    _cumulate(ax, values, limit, color='black', linewidth=1.8, zorder=3, label='all landmarks')
    ranks = _worst_first(distances)
    named, others = (sorted(ranks), []) if len(names) <= FEW else (ranks[:WORST], ranks[WORST:])
    if len(names) == 1: named = []  # all landmarks are that one
    for k, color, style in zip(named, colormaps['tab10'].colors, cycle(STYLES), strict=False):  # also told in grey
        _cumulate(ax, distances[:, k], limit, color=color, linestyle=style, linewidth=1,
                  label=f'{k + 1} {shorten(names[k])}')
    for k in others:
        label = None if k != others[0] else 'the other landmarks'
        _cumulate(ax, distances[:, k], limit, color='grey', linewidth=0.7, alpha=0.35, zorder=1, label=label)
    _mark_thresholds(ax, values, thresholds, limit, unit)
    ax.set(xlim=(0, limit), ylim=(0, 101), ylabel='share of landmarks, %', xlabel=_beyond(values, limit, unit))
    ax.set_title('Landmarks within a distance of the truth')
    ax.grid(alpha=0.3)
    add_legend(figure, ax, rows=24)
    save_forms(figure, path)


@in_print
def plot_boxes(distances: np.ndarray, names: list[str], unit: str, path: Path):
    """Write the spread of the errors of each landmark to `path`, the largest median on top.

    `distances` is (n, N) in `unit`; values that are not finite are left out. A box spans the middle half of the errors,
    its whiskers reach at most 1.5 times as far, and points lie beyond; fewer than five errors are drawn as points.
    """
    columns = [values[np.isfinite(values)] for values in distances.T]
    order = sorted(range(len(names)), key=lambda k: np.median(columns[k]) if len(columns[k]) else -1)
    figure = print_figure(PAGE, 2.2 + 0.4 * len(names))
    ax = figure.subplots()
    for row, k in enumerate(order): _box(ax, columns[k], row)
    log = _box_scale(ax, np.concatenate(columns))
    ax.set_yticks(range(len(order)), [f'{k + 1} {shorten(names[k])} ({len(columns[k]):,})' for k in order])
    for label in ax.get_yticklabels(): label.set_parse_math(False)
    ax.set(ylim=(-0.7, len(order) - 0.3), xlabel=f'error, {unit}' + (', logarithmic' if log else ''))
    ax.set_title('Errors of each landmark (and how many)')
    ax.grid(axis='x', alpha=0.3)
    save_forms(figure, path)


@in_print
def plot_vectors(offsets: np.ndarray, names: list[str], unit: str, path: Path):
    """Write the predictions as seen from the true point to `path`, a tile a landmark, all at the same scale.

    `offsets` is (n, N, 2) predicted - true in `unit`, x right and y down as in the image, NaN where there is none. A
    cross marks the mean, which is the bias. What lies outside the outer circle is drawn on it, hollow.
    """
    lengths = np.linalg.norm(offsets, axis=-1)
    radius = round_up(_extent(lengths))
    columns = min(len(names), TILES, math.ceil(math.sqrt(1.25 * len(names))))
    rows = math.ceil(len(names) / columns)
    width = PAGE if columns > 2 else COLUMN
    tile = min(width / columns, LARGEST)
    figure = print_figure(width, 1.1 + 1.16 * tile * rows)
    ax = figure.subplots()
    for k, name in enumerate(names):
        center = np.array([k % columns * 2.2, k // columns * 2.55]) * radius
        _tile(ax, center, radius, shorten(f'{k + 1} {name}', round(LETTERS * tile)))
        _vectors(ax, center, radius, offsets[:, k])
    ax.set(aspect='equal', xlim=(-1.1 * radius, (2.2 * columns - 1.1) * radius),
           ylim=((2.55 * rows - 1.5) * radius, -1.4 * radius))
    ax.set_title('Predicted minus true, as seen on the image\n'
                 f'circles: {radius / 2:g} and {radius:g} {unit}, cross: mean, hollow: farther')
    ax.axis('off')
    save_forms(figure, path)


@in_print
def plot_confidence(confidence: np.ndarray, distances: np.ndarray, rank: float | None, unit: str, path: Path):
    """Write the errors over the confidences to `path`: a point each, and the median error of ten equal groups.

    `confidence` and `distances` (in `unit`) are (n, N), NaN where there is nothing to score; missed landmarks, of
    infinite distance, are left out. `rank` is Spearman's correlation of the two, None where there is none.
    """
    there = np.isfinite(confidence) & np.isfinite(distances)
    x, y = confidence[there], distances[there]
    figure = print_figure(PAGE, 8.7)
    ax = figure.subplots()
    floor = y.max() / 1000 if y.any() else 1  # where an error of 0 is drawn
    ax.plot(x, y.clip(floor), 'o', color='C0', markersize=3, alpha=0.35, markeredgewidth=0,
            label='a landmark of an image')
    if len(x) >= GROUPS * BOX: _group_medians(ax, x, y)
    if y.any():
        ax.set(yscale='log', ylim=(y.clip(floor).min() / 1.2, 1.3 * y.max()))
        label_log(ax.yaxis)
    else: say_empty(ax)
    known = '' if rank is None else f' (rank correlation {rank:.2f})'
    ax.set(xlabel='confidence', ylabel=f'error, {unit}, logarithmic', title=f'Errors and confidence{known}')
    ax.grid(alpha=0.3)
    add_legend(figure, ax, rows=24)
    save_forms(figure, path)


@in_print
def plot_coverage(levels: Sequence[float], coverage: np.ndarray, path: Path):
    """Write the `coverage` (levels, N) of the bounds of N landmarks, 0 to 1, over their `levels` to `path`.

    Levels at which no landmark has bounds are left out: high ones take more images than there may be.
    """
    known = np.isfinite(coverage).any(1)
    levels, coverage = np.array(levels)[known], coverage[known]
    figure = print_figure(COLUMN, 8)
    ax = figure.subplots()
    ax.plot([levels[0], 1], [levels[0], 1], color='0.5', linestyle='--', linewidth=1, label='as they say')
    for k, of_landmark in enumerate(coverage.T):
        ax.plot(levels, of_landmark, color='C0', alpha=0.35, linewidth=1, label='' if k else 'a landmark')
    ax.plot(levels, np.nanmean(coverage, axis=1), 'o-', color='C3', linewidth=1.5, markersize=4,
            label='mean of the landmarks')
    ax.set(xlabel='level of the bounds', ylabel='share of points within', title='How often bounds hold')
    ax.xaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.yaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.grid(alpha=0.3)
    ax.legend(fontsize='small', frameon=False)
    save_forms(figure, path)


def _group_medians(ax, x, y):
    "Draw the median of `y` in each of `GROUPS` groups by `x`, as many values in each."
    groups = np.array_split(np.argsort(x, kind='stable'), GROUPS)
    medians = [(np.median(x[group]), np.median(y[group])) for group in groups]
    ax.plot(*np.transpose(medians), 'o-', color='C3', linewidth=1.5, markersize=4, label='median of each tenth')


def _extent(distances):
    "How far an axis goes: most of `distances` lie below, and no outlier sets it."
    values = distances[np.isfinite(distances)]
    if not values.size: return 0
    far, most = np.percentile(values, [99, 90], method='lower')
    extent = min(far, 2 * most)
    return values.max() if values.max() <= 1.5 * extent else extent


def _worst_first(distances):
    "The landmarks that have a distance or were missed, the largest median first."
    scored = np.flatnonzero(~np.isnan(distances).all(0))
    return scored[np.argsort(-np.nanmedian(distances[:, scored], axis=0), kind='stable')].tolist()


# Shares

def _cumulate(ax, distances, limit, **style):
    "Draw the share of `distances` that are at most as large as x, in %."
    values = np.sort(distances[~np.isnan(distances)])
    if not values.size: return say_empty(ax)
    near = values[values <= limit]
    shares = np.arange(len(near) + 1) / len(values) * 100
    ax.step([0, *near, limit], [*shares, shares[-1]], where='post', **style)


def _mark_thresholds(ax, values, thresholds, limit, unit):
    "Draw a line at each of `thresholds`, with the share of `values` within it above the panel, which ends at `limit`."
    for threshold in thresholds: ax.axvline(threshold, color='grey', linewidth=1, linestyle=(0, (4, 2)), zorder=0)
    if not values.size: return
    labels = [f'{threshold:g} {unit}: {100 * np.mean(values <= threshold):.1f} %' for threshold in thresholds]
    places = spread_out(thresholds, limit / max(LABELS, len(thresholds)), limit)
    for threshold, place in zip(thresholds, places, strict=True):
        ax.plot([threshold, place], [1, 1 + LIFT], transform=ax.get_xaxis_transform(), color='grey', linewidth=0.8,
                clip_on=False)
    top = ax.secondary_xaxis(1 + LIFT)
    top.spines[:].set_visible(False)
    top.set_xticks(places, labels, rotation=SLANT, ha='left', va='center', rotation_mode='anchor')
    top.tick_params(length=0)


def spread_out(values: Sequence[float], gap: float, limit: float) -> np.ndarray:
    "Places near the ascending `values`, at least `gap` apart and at most `limit`, which leaves room for them all."
    places = np.array(values, float)
    for k in range(1, len(places)): places[k] = max(places[k], places[k - 1] + gap)
    places[-1] = min(places[-1], limit)
    for k in reversed(range(len(places) - 1)): places[k] = min(places[k], places[k + 1] - gap)
    return places


def _beyond(values, limit, unit):
    "The label of the axis that ends at `limit`, and how many of `values` do not show."
    missed = np.isinf(values).sum()
    beyond = np.sum(values > limit) - missed
    hidden = [f'{beyond:,} beyond {limit:.3g} {unit}'] * bool(beyond) + [f'{missed:,} missed'] * bool(missed)
    return f'error, {unit}' + (f'\n(of {len(values):,} landmarks {" and ".join(hidden)})' if hidden else '')


# Boxes

def _box(ax, values, row):
    "Draw the box of `values`, or the values where they are few, in `row`."
    if len(values) < BOX: return ax.plot(values, [row] * len(values), 'o', color='C0', markersize=3, alpha=0.7)
    ax.boxplot([values], positions=[row], orientation='horizontal', widths=0.65, patch_artist=True, manage_ticks=False,
               boxprops={'facecolor': '#cfe0f5', 'edgecolor': 'C0'}, medianprops={'color': 'C3', 'linewidth': 1.4},
               whiskerprops={'color': 'C0'}, capprops={'color': 'C0'},
               flierprops={'markersize': 2.5, 'markeredgecolor': 'none', 'markerfacecolor': 'C0', 'alpha': 0.5})


def _box_scale(ax, values):
    "Set the x axis; return whether it is logarithmic, since a few errors are far larger than most."
    ax.set_xlim(0, 1)
    if not values.size: return say_empty(ax)
    few, most = np.percentile(values, [5, 95])
    log = values.max() > 5 * most > 0
    if log:
        ax.set(xscale='log', xlim=(max(few, most / 50), 1.3 * values.max()))
        label_log(ax.xaxis)
    else:
        label_plainly(ax.xaxis)
        if values.any(): ax.set_xlim(0, 1.05 * values.max())
    return log


# Directions

def round_up(value: float) -> float:
    "The smallest radius of at least `value` whose half is a round number too; 1 for 0."
    if value <= 0: return 1
    power = 10 ** math.floor(math.log10(value))
    return next(digit * power for digit in ROUND if digit * power >= value)


def _tile(ax, center, radius, name):
    "Draw the circles around `center`, its cross hairs, and the `name` above."
    for part in (radius / 2, radius): ax.add_patch(Circle(center, part, fill=False, edgecolor='grey', linewidth=0.7))
    ax.plot(center[0] + [-radius, radius], center[[1, 1]], color='grey', linewidth=0.4)
    ax.plot(center[[0, 0]], center[1] + [-radius, radius], color='grey', linewidth=0.4)
    ax.text(center[0], center[1] - 1.1 * radius, name, ha='center', fontsize='small', parse_math=False)


def _vectors(ax, center, radius, offsets):
    "Draw `offsets` around `center`, those longer than `radius` on its circle, and their mean."
    there = offsets[np.isfinite(offsets).all(-1)]
    if not len(there):
        return ax.text(*center, 'no values', ha='center', va='center', fontsize='small', color='grey',
                       backgroundcolor='w')
    outside = np.linalg.norm(there, axis=-1) > radius
    spots, mean = (center + _shortened(values, radius) for values in (there, there.mean(0)))
    ax.plot(*spots[~outside].T, 'o', color='C0', markersize=2.5, alpha=0.5, markeredgewidth=0)
    ax.plot(*spots[outside].T, 'o', color='C0', markersize=2.5, fillstyle='none', markeredgewidth=0.8)
    ax.plot(*mean, 'x', color='C3', markersize=5, markeredgewidth=1.4)


def _shortened(offsets, radius):
    "`offsets` in their directions, at most `radius` long."
    return offsets * (radius / np.maximum(np.linalg.norm(offsets, axis=-1, keepdims=True), radius))
