"Which landmarks drift between the readers of a panel, or between groups of its images: as rows, and in sentences."

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from ..formats.columns import SPLITS
from ..quality.drift import Drift, drift_of_groups, drift_of_readers
from ..quality.shapes import FEW
from .readers import Panel

GROUP = 10  # images that make a group; a folder of fewer may be that of one patient


class Compared(NamedTuple):
    "A comparison: two readers on the same images, or two groups of images in the points of one reader."
    what: str  # 'AB - CD', or 'test - train', which is also the direction of the offsets
    reader: str  # whose points are compared where groups are; ''
    drift: Drift


def reader_drifts(panel: Panel) -> list[Compared]:
    "How each pair of readers drifts on the images that both have read, in the unit of the `panel`."
    points, readers = panel.points_in(panel.unit), panel.readers
    return [Compared(f'{readers[i]} - {readers[j]}', '', drift_of_readers(points[:, i], points[:, j]))
            for i, j in combinations(range(len(readers)), 2)]


def group_drifts(panel: Panel, groups: Sequence[str]) -> list[Compared]:
    """How groups of images drift in the points of each reader; `groups` names that of each image, '' is none.

    Of two groups the second is compared with the first, of more each with all others. Groups of fewer than `GROUP`
    images are left out, and few landmarks are no shape: they have no expected place.
    """
    if len(panel.names) < FEW: return []
    points, groups, found = panel.points_in(panel.unit), np.array(groups), []
    for j, reader in enumerate(panel.readers):
        seen = np.isfinite(points[:, j]).all(-1).any(-1)
        sizes = Counter(groups[seen].tolist())
        kept = [name for name in dict.fromkeys(groups.tolist()) if name and sizes[name] >= GROUP]
        kept = sorted(kept, key=lambda name: (SPLITS.index(name) if name in SPLITS else 0, name))
        if len(kept) < 2: continue
        for name in kept[1:] if len(kept) == 2 else kept:
            other = kept[0] if len(kept) == 2 else 'others'
            rows = seen & np.isin(groups, kept)
            drift = drift_of_groups(points[rows, j], groups[rows] == name)
            found.append(Compared(f'{name} - {other}', reader, drift))
    return found


def groups_of(panel: Panel, by: str) -> list[str]:
    "The group of each image: its 'split', or the first 'folder' of its name; '' where there is none."
    if by == 'split': return panel.split
    return [name.split('/')[0] if len(PurePosixPath(name).parts) > 1 else '' for name in panel.image_names]


def drift_rows(found: list[Compared], names: list[str], unit: str) -> list[dict]:
    "The rows of drift.csv: one for each comparison and landmark."
    return [{'comparison': each.what, 'reader': each.reader, 'landmark': name, 'unit': unit,
             'n': ' + '.join(map(str, each.drift.n[k].tolist())),
             'x': each.drift.offset[k, 0], 'x_se': each.drift.error[k, 0],
             'y': each.drift.offset[k, 1], 'y_se': each.drift.error[k, 1],
             'p': each.drift.p[k], 'drifts': bool(each.drift.flagged[k])}
            for each in found for k, name in enumerate(names)]


def drift_notes(rows: list[dict]) -> list[str]:
    "What drifts, in a sentence a landmark, the furthest first."
    rows = sorted((row for row in rows if row['drifts']), key=lambda row: -np.hypot(row['x'], row['y']))
    return [f'{row["landmark"]} drifts by {np.hypot(row["x"], row["y"]):.2f} {row["unit"]} in {row["comparison"]}'
            f'{", points of " * bool(row["reader"])}{row["reader"]} ({_way(row["x"], "right", "left")}, '
            f'{_way(row["y"], "down", "up")}): more than chance ({_chance(row["p"])})' for row in rows]


def _way(value, positive, negative): return f'{abs(value):.2f} {positive if value > 0 else negative}'


def _chance(p): return f'p = {p:.3f}' if p >= 0.001 else 'p < 0.001'
