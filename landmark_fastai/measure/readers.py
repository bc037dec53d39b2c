"What readers, or models, have clicked on the same images, side by side; from annotation CSVs. No torch."

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..formats.annotations import ABSENT, UNLABELLED, VISIBLE, Annotations, hide_corner, in_order, read_readers
from ..formats.spreadsheet import is_formula
from .agreement import Readings

ROUNDED = 1e-3  # relative: what two files say of the spacing of one image may be rounded


@dataclass(frozen=True)
class Panel:
    "What k readers have clicked on n images with N landmarks; an image is there if one of them has seen it."
    readers: list[str]
    names: list[str]  # of the landmarks
    image_names: list[str]
    points: np.ndarray  # (n, k, N, 2) float64: original px, NaN unless visible
    absent: np.ndarray  # (n, k, N) bool
    sizes: np.ndarray  # (n, 2) int: width, height
    spacing: np.ndarray  # (n, 2) float64: mm per pixel in x and y, NaN where unknown
    split: list[str]  # 'train', 'val', 'test', or '' where no file tells

    @property
    def both(self) -> np.ndarray:
        "Which landmarks (n, N) two readers or more have clicked."
        return np.isfinite(self.points).all(-1).sum(1) > 1

    @property
    def unit(self) -> str:
        "'mm' if every image that tells something of agreement has a spacing, else 'px'."
        compared = self.both.any(1)
        return 'mm' if compared.any() and np.isfinite(self.spacing[compared]).all() else 'px'

    def points_in(self, unit: str) -> np.ndarray:
        "The points (n, k, N, 2) in px or mm; NaN where the spacing is not known."
        return self.points * self.spacing[:, None, None] if unit == 'mm' else self.points

    def of(self, j: int) -> Annotations:
        "What reader `j` has clicked, on all images of the panel."
        visible = np.isfinite(self.points[:, j]).all(-1)
        state = np.select([visible, self.absent[:, j]], [VISIBLE, ABSENT], UNLABELLED).astype(np.uint8)
        n = len(self.image_names)
        return Annotations(Path(self.readers[j]), self.names, self.image_names, list(range(2, n + 2)), self.sizes,
                           self.points[:, j], state, self.spacing, np.full(n, '', object), None, None)


def read_panel(paths: Iterable[str], readers: Sequence[str] | None = None, invisible_landmarks: bool = False) -> Panel:
    """Read the CSV files `paths`, each of one reader, or of several that its column `reader` tells apart.

    `readers` are names for all, in that order, in place of those in the files. Raises UsageError where these contradict
    each other or have nothing in common.
    """
    found = [each for path in paths for each in read_readers(path).items()]
    if invisible_landmarks: found = [(reader, hide_corner(annotations)) for reader, annotations in found]
    names = _checked_names([reader for reader, _ in found], [annotations for _, annotations in found], readers)
    return join([annotations for _, annotations in found], names)


def join(annotations: list[Annotations], readers: list[str]) -> Panel:
    "The `annotations` of each of `readers` as a panel; the landmarks are in the order of the first. Raises UsageError."
    first = annotations[0]
    annotations = [in_order(each, first.names, first.path.name) for each in annotations]
    _check_common_images(annotations, readers)
    image_names = list(dict.fromkeys(name for each in annotations for name in each.image_names))
    row_of = {name: i for i, name in enumerate(image_names)}
    n, k, n_landmarks = len(image_names), len(readers), len(first.names)
    points, absent = np.full((n, k, n_landmarks, 2), np.nan), np.zeros((n, k, n_landmarks), bool)
    for j, each in enumerate(annotations):
        rows = [row_of[name] for name in each.image_names]
        points[rows, j] = np.where((each.state == VISIBLE)[..., None], each.points, np.nan)
        absent[rows, j] = each.state == ABSENT
    return Panel(readers, first.names, image_names, points, absent, *_facts(annotations, image_names))


def landmark_readings(panel: Panel) -> list[Readings]:
    "The points of each landmark, and their x and y, in px, and in mm where a spacing is known."
    units = ['px', 'mm'] if np.isfinite(panel.points_in('mm')).any() else ['px']
    values = {unit: panel.points_in(unit) for unit in units}
    return [Readings(name, kind, unit, values[unit][:, :, k] if axis is None else values[unit][:, :, k, axis])
            for k, name in enumerate(panel.names) for unit in units
            for kind, axis in (('landmark', None), ('x', 0), ('y', 1))]


# --- what must agree before anything is compared

def _checked_names(of_files, annotations, given):
    "The names of the readers: those `given`, or those of the files."
    paths = ', '.join(dict.fromkeys(str(each.path) for each in annotations))
    if len(of_files) < 2:
        raise UsageError(f'{paths} holds the rows of one reader ({of_files[0]}), expected two readers or models or '
                         'more; pass --csvs a.csv,b.csv, or one CSV with a column reader')
    if given is not None and len(given) != len(of_files):
        raise UsageError(f'readers names {len(given)} ({", ".join(given)}), {paths} hold the rows of {len(of_files)} '
                         f'({", ".join(of_files)}); expected a name for each, in that order')
    names = list(given or of_files)
    for i, name in enumerate(names):
        if is_formula(name):
            raise UsageError(f'{annotations[i].path}: its reader is called {name!r}, which a spreadsheet would take '
                             'for a formula; pass --readers with other names')
        if name in names[:i]:
            raise UsageError(f'{annotations[names.index(name)].path} and {annotations[i].path} are both of the reader '
                             f'{name}; pass --readers with a name for each of {len(names)} readers')
    return names


def _check_common_images(annotations, readers):
    for i, each in enumerate(annotations):
        of_others = {name for j, other in enumerate(annotations) if j != i for name in other.image_names}
        if of_others.isdisjoint(each.image_names):
            raise UsageError(f'{each.path}: no image of {readers[i]} (such as {each.image_names[0]}) is one of the '
                             f'other readers (such as {min(of_others)}); expected the same image_name in both')


def _facts(annotations, image_names):
    "Size, spacing (n, 2) and side of the split of each image, from whichever file tells; they must agree."
    sizes = _agreed(annotations, 'image size', lambda each, i: tuple(each.sizes[i].tolist()))
    spacing = _agreed(annotations, 'pixel spacing', _spacing_of, _alike)
    split = _agreed(annotations, 'split', lambda each, i: each.split and each.split[i])
    return (np.array([sizes[name] for name in image_names]),
            np.array([spacing.get(name, (np.nan, np.nan)) for name in image_names]),
            [split.get(name, '') for name in image_names])


def _spacing_of(each, i):
    return tuple(each.spacing[i].tolist()) if np.isfinite(each.spacing[i]).all() else None


def _alike(spacing, other):
    return np.allclose(spacing, other, rtol=ROUNDED)


def _agreed(annotations, what, value_of, same=operator.eq):
    "What the files that tell it say of each image, by its name. Raises UsageError where two differ."
    known = {}
    for each in annotations:
        for i, name in enumerate(each.image_names):
            value = value_of(each, i)
            if value is None: continue
            other, j, earlier = known.setdefault(name, (each, i, value))
            if not same(value, earlier):
                raise UsageError(f'{each.where(i)}: {what} is {value}, but {earlier} in {other.where(j)}; expected the '
                                 'same of one image')
    return {name: value for name, (*_, value) in known.items()}
