"Which landmarks drift between the readers of a panel, or between groups of its images: as rows, and in sentences."

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from ..formats.columns import SPLITS
from ..quality.drift import Drift, change_of_readers, drift_of_groups, drift_of_readers
from ..quality.shapes import FEW
from ..viz.report import DASH
from .readers import Panel

SAID = 8    # landmarks of which a sentence tells
GROUP = 10  # images that make a group; a folder of fewer may be that of one patient


class Compared(NamedTuple):
    "A comparison: two readers on the same images, or two groups of images in what was clicked on them."
    what: str  # 'AB - CD', or 'test - train', which is also the direction of the offsets
    within: str  # whose points are compared where groups are: 'AB', or 'AB - CD' for the offsets between both; ''
    drift: Drift


def reader_drifts(panel: Panel) -> list[Compared]:
    "How each pair of readers drifts on the images that both have read, in the unit of the `panel`."
    points = panel.points_in(panel.unit)
    return [Compared(_pair(panel, i, j), '', drift_of_readers(points[:, i], points[:, j]))
            for i, j in combinations(range(len(panel.readers)), 2)]


def group_drifts(panel: Panel, groups: Sequence[str]) -> list[Compared]:
    """How groups of images drift, in the points of each reader and in the offsets between two of them.

    `groups` names that of each image, '' is none. Of two groups the second is compared with the first, of more each
    with all others; groups of fewer than `GROUP` images are left out. The points of one reader take `FEW` landmarks.
    """
    points, groups = panel.points_in(panel.unit), np.array(groups)
    seen, found = np.isfinite(points).all(-1).any(-1), []
    for j, reader in enumerate(panel.readers) if len(panel.names) >= FEW else ():
        for what, rows, is_first in _splits(groups, seen[:, j]):
            found.append(Compared(what, reader, drift_of_groups(points[rows, j], is_first)))
    for i, j in combinations(range(len(panel.readers)), 2):
        for what, rows, is_first in _splits(groups, seen[:, i] & seen[:, j]):
            drift = change_of_readers(points[rows, i], points[rows, j], is_first)
            found.append(Compared(what, _pair(panel, i, j), drift))
    return found


def _pair(panel, i, j): return f'{panel.readers[i]} - {panel.readers[j]}'


def _splits(groups, seen):
    "What is compared with what: a title, the images (n,) that enter, and which of these are of the first group."
    sizes = Counter(groups[seen].tolist())
    kept = [name for name in sizes if name and sizes[name] >= GROUP]
    kept = sorted(kept, key=lambda name: (SPLITS.index(name) if name in SPLITS else 0, name))
    if len(kept) < 2: return
    rows, other = seen & np.isin(groups, kept), kept[0] if len(kept) == 2 else 'others'
    for name in kept[1:] if len(kept) == 2 else kept: yield f'{name} - {other}', rows, groups[rows] == name


def groups_of(panel: Panel, by: str) -> list[str]:
    "The group of each image: its 'split', or the first 'folder' of its name; '' where there is none."
    if by == 'split': return panel.split
    return [name.split('/')[0] if len(PurePosixPath(name).parts) > 1 else '' for name in panel.image_names]


def drift_rows(found: list[Compared], names: list[str], unit: str) -> list[dict]:
    "The rows of drift.csv: one for each comparison and landmark."
    return [{'comparison': each.what, 'within': each.within, 'landmark': name, 'unit': unit,
             'n': ' + '.join(map(str, each.drift.n[k].tolist())),
             'x': each.drift.offset[k, 0], 'x_se': each.drift.error[k, 0],
             'y': each.drift.offset[k, 1], 'y_se': each.drift.error[k, 1],
             'p': each.drift.p[k], 'drifts': bool(each.drift.flagged[k])}
            for each in found for k, name in enumerate(names)]


def drift_notes(rows: list[dict]) -> list[str]:
    "What drifts, in a sentence a landmark, the furthest first; many are only counted."
    rows = sorted((row for row in rows if row['drifts']), key=lambda row: -np.hypot(row['x'], row['y']))
    more = [f'{len(rows) - SAID} more drift, see the table'] if len(rows) > SAID else []
    return [f'{row["landmark"]} drifts by {np.hypot(row["x"], row["y"]):.2f} {row["unit"]} for {row["comparison"]}'
            f'{", in " * bool(row["within"])}{row["within"]} ({_way(row["x"], "right", "left")}, '
            f'{_way(row["y"], "down", "up")}): more than chance (p {chance(row["p"])})' for row in rows[:SAID]] + more


def _way(value, positive, negative): return f'{abs(value):.2f} {positive if value > 0 else negative}'


def chance(p: float) -> str:
    "A chance `p` with three decimals; a dash for NaN."
    if np.isnan(p): return DASH
    return f'= {p:.3f}' if p >= 0.001 else '< 0.001'
