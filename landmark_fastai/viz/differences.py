"Figures of the differences between readers: Bland-Altman, identity, and drift. PNG, SVG and PDF of each."

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from .axes import say_empty, shorten
from .paper import COLUMN, PAGE, in_print, print_figure, save_forms

COLUMNS = 4  # tiles side by side
TILES = 28   # at most: they fit on a page
TITLE = 25   # characters above one


class Tile(NamedTuple):
    "The values of two readers of one thing, and what came of them."
    title: str  # with its unit
    first: np.ndarray  # (n,) NaN where there is none
    second: np.ndarray  # (n,)
    bias: float  # of the first less the second, NaN where there is none
    low: float  # limits of agreement
    high: float


def plot_bland_altman(tiles: list[Tile], readers: tuple[str, str], path: Path):
    """Write the differences of two `readers` over the means of both to `path`, a tile each.

    The line is the bias, the broken ones are the limits of agreement. Of more than 28 `tiles` those with the widest
    limits are shown.
    """
    first, second = (shorten(reader, 12) for reader in readers)
    _draw_tiles(tiles, _bland_altman, f'{first} - {second} (vertical) over the mean of both', path)


def plot_identity(tiles: list[Tile], readers: tuple[str, str], path: Path):
    "Write the values of the second of `readers` over those of the first to `path`; on the line both are the same."
    first, second = (shorten(reader, 12) for reader in readers)
    _draw_tiles(tiles, _identity, f'{second} (vertical) over {first}', path)


@in_print
def plot_drift(offset: np.ndarray, error: np.ndarray, flagged: np.ndarray, names: list[str], unit: str, title: str,
               path: Path):
    """Write the mean `offset` (N, 2) of each landmark in `unit` to `path`, right and down, with its 95 % interval.

    `error` (N, 2) are standard errors; landmarks that are `flagged` (N,) stand out. NaN where there is nothing.
    """
    figure = print_figure(PAGE, 2.6 + 0.4 * len(names))
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    rows = np.arange(len(names))
    for axis, (ax, way) in enumerate(zip(axes, ('to the right', 'downwards'), strict=True)):
        ax.axvline(0, color='grey', linewidth=1)
        for which, color, mark in ((~flagged, 'C0', 'o'), (flagged, 'C3', 'D')):
            ax.errorbar(offset[which, axis], rows[which], xerr=1.96 * error[which, axis], fmt=mark, color=color,
                        markersize=4, capsize=2.5)
        ax.set(xlabel=f'{way}, {unit}')
        ax.grid(axis='x', alpha=0.3)
        if not np.isfinite(offset).any(): say_empty(ax)
    labels = [f'{k} {shorten(name)}' for k, name in enumerate(names, 1)]
    axes[0].set_yticks(rows, labels)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    for label in axes[0].get_yticklabels(): label.set_parse_math(False)
    figure.suptitle(title, parse_math=False)
    save_forms(figure, path)


@in_print
def _draw_tiles(tiles: list[Tile], draw: Callable[[Axes, Tile], None], title: str, path: Path):
    width = [tile.high - tile.low if np.isfinite(tile.bias) else -1 for tile in tiles]
    shown = sorted(np.argsort(width, kind='stable')[::-1][:TILES].tolist())
    columns = min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    width = PAGE if columns > 2 else COLUMN
    figure = print_figure(width, 1.2 + rows * max(3.4, 0.6 * width / columns))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[len(shown):]: ax.axis('off')
    for ax, k in zip(axes, shown, strict=False):
        draw(ax, tiles[k])
        ax.set_title(shorten(tiles[k].title, TITLE), fontsize=6.5, parse_math=False)
        ax.grid(alpha=0.3)
    few = f'\nthe {len(shown)} of {len(tiles)} with the widest limits' if len(shown) < len(tiles) else ''
    figure.suptitle(title + few, parse_math=False)
    save_forms(figure, path)


def _bland_altman(ax, tile):
    difference = tile.first - tile.second
    ax.plot((tile.first + tile.second) / 2, difference, 'o', color='C0', markersize=2.5, alpha=0.6, markeredgewidth=0)
    if not np.isfinite(difference).any(): return say_empty(ax)
    ax.axhline(0, color='grey', linewidth=0.7)
    ax.axhline(tile.bias, color='C3', linewidth=1.3)
    for limit in (tile.low, tile.high):
        if np.isfinite(limit): ax.axhline(limit, color='C3', linewidth=1, linestyle=(0, (4, 2)))
    lowest, highest = (extreme([tile.low, tile.high, 0, extreme(difference)])
                       for extreme in (np.nanmin, np.nanmax))
    margin = 0.12 * (highest - lowest or 1)
    ax.set_ylim(lowest - margin, highest + margin)


def _identity(ax, tile):
    there = np.isfinite(tile.first) & np.isfinite(tile.second)
    ax.plot(tile.first[there], tile.second[there], 'o', color='C0', markersize=2.5, alpha=0.6, markeredgewidth=0)
    if not there.any(): return say_empty(ax)
    ends = [extreme([tile.first[there], tile.second[there]]) for extreme in (np.min, np.max)]
    ax.plot(ends, ends, color='grey', linewidth=1, zorder=0)
    ax.set(aspect='equal')
