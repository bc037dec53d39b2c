"The annotation CSV: what is read from it, and how it is written."

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..files import atomic
from .cells import (
    check_count,
    read_image_names,
    read_patients,
    read_point,
    read_reader_names,
    read_sides,
    read_size,
    read_source,
    read_spacing,
)
from .columns import BOUND_LEVEL, read_names, warn_ignored
from .csv_table import read_rows, read_table, where
from .spacing import PLAUSIBLE, is_doubtful, spacing_text
from .spreadsheet import safe_name

VISIBLE, ABSENT, UNLABELLED = 0, 1, 2
_PER_IMAGE = ('image_names', 'rows', 'sizes', 'points', 'state', 'spacing', 'spacing_source', 'patient_id', 'split')


@dataclass(frozen=True)
class Annotations:
    "The content of one annotation CSV with n images and N landmarks; everything is in the order of the file."
    path: Path
    names: list[str]  # of the landmarks
    image_names: list[str]  # POSIX paths below the image folder
    rows: list[int]  # line of each image in the file, the header is row 1; for messages
    sizes: np.ndarray  # (n, 2) int: width, height
    points: np.ndarray  # (n, N, 2) float64: x, y as pixel indices of the original image, NaN unless visible
    state: np.ndarray  # (n, N) uint8: VISIBLE, ABSENT or UNLABELLED
    spacing: np.ndarray  # (n, 2) float64: mm per pixel in x and y, NaN where unknown
    spacing_source: np.ndarray  # (n,) object: where each spacing is from, '' where it is unknown
    patient_id: list[str] | None
    split: list[str] | None  # of `columns.SPLITS`

    def __len__(self): return len(self.image_names)

    def where(self, i: int) -> str:
        "Where image `i` stands, for messages: `train_annotation.csv, row 7 (a.png)`."
        return where(self.path, self.rows[i], self.image_names[i])

    def subset(self, indices: Sequence[int] | np.ndarray) -> 'Annotations':
        "The annotations of the images `indices` (or a mask of them), in that order."
        indices = np.arange(len(self))[indices]
        def taken(field):
            column = getattr(self, field)
            if isinstance(column, np.ndarray): return column[indices]
            return None if column is None else [column[i] for i in indices]
        return replace(self, **{field: taken(field) for field in _PER_IMAGE})

    def new_empty(self) -> 'Annotations':
        "The landmarks, without any image or file."
        return replace(self.subset([]), path=Path())


def read_annotations(path: str | Path, n_landmarks: int | None = None,
                     invisible_landmarks: bool = False) -> Annotations:
    """Read the annotation CSV at `path`, checking every cell.

    `n_landmarks`, when given, must be the number of `<name>_x,<name>_y` pairs in the header. `invisible_landmarks`
    takes a point clicked into the top-left corner box (100 px if the longer side is over 1000, else 50) for absent.
    Columns without a meaning draw a warning. Raises `UsageError` with file, row and column for anything wrong.
    """
    path = Path(path)
    header, lines = read_table(path)
    names = read_names(path, header, n_landmarks)
    warn_ignored(path, header, names)
    result = _annotations(path, names, header, read_rows(path, header, lines))
    return hide_corner(result) if invisible_landmarks else result


def read_readers(path: str | Path) -> dict[str, Annotations]:
    """The annotations of each reader in the CSV at `path`, by the name of the reader, in the order of the file.

    A file with a column `reader` holds a row for each image and reader; else the name of the file, without its suffix,
    is that of its reader. Raises `UsageError` as `read_annotations` does, and where it is not known who a row is of.
    """
    path = Path(path)
    header, lines = read_table(path)
    names = read_names(path, header)
    warn_ignored(path, header, names)
    rows = read_rows(path, header, lines)
    readers, rows_of = read_reader_names(rows) or [path.stem] * len(rows), {}
    for reader, row in zip(readers, rows, strict=True): rows_of.setdefault(reader, []).append(row)
    return {reader: _annotations(path, names, header, of_reader) for reader, of_reader in rows_of.items()}


def write_annotations(path: str | Path, annotations: Annotations, estimates: dict[str, np.ndarray] | None = None,
                      bound_level: float | None = None):
    """Write `annotations` as CSV to `path`, whole or not at all; reading it gives the same values to the last bit.

    Blank is not labelled, `-1,-1` absent. Spacing, `patient_id` and `split` are written where known, and `estimates`,
    each (n, N) by one of `columns.ESTIMATES`, as `<name>_confidence` and so on, numbers with three decimals, blank for
    NaN; `bound_level` says how many points lie within their bounds. An image name that would be a formula in a
    spreadsheet gets `./` in front, which reading takes off.
    """
    columns = {'image_name': list(map(safe_name, annotations.image_names)), 'image_width': annotations.sizes[:, 0],
               'image_height': annotations.sizes[:, 1], 'n_landmarks': len(annotations.names)}
    points = np.where(annotations.state[..., None] == ABSENT, -1, annotations.points)
    for k, name in enumerate(annotations.names):
        for axis, letter in enumerate('xy'): columns[f'{name}_{letter}'] = _texts(points[:, k, axis])
    columns |= _spacing_columns(annotations)
    if annotations.patient_id is not None: columns['patient_id'] = annotations.patient_id
    if annotations.split is not None: columns['split'] = annotations.split
    if bound_level is not None: columns[BOUND_LEVEL] = bound_level
    for column, values in (estimates or {}).items(): columns |= _estimate_columns(annotations.names, column, values)
    with atomic(path) as temporary: pd.DataFrame(columns).to_csv(temporary, index=False, lineterminator='\n')


def in_corner(annotations: Annotations) -> np.ndarray:
    "Which visible points (n, N) lie in the top-left corner box."
    return (annotations.points < corner_box(annotations.sizes)[:, None, None]).all(-1)


def corner_box(sizes: np.ndarray) -> np.ndarray:
    "Side of the corner box of images of `sizes` (..., 2): 100 px if the longer side is over 1000, else 50."
    return np.where(np.max(sizes, -1) > 1000, 100, 50)


def hide_corner(annotations: Annotations) -> Annotations:
    "`annotations` with the visible points in the corner box absent."
    hidden = in_corner(annotations)
    return replace(annotations, points=np.where(hidden[..., None], np.nan, annotations.points),
                   state=np.where(hidden, ABSENT, annotations.state).astype(np.uint8))


def in_order(annotations: Annotations, names: list[str], whose: str) -> Annotations:
    "`annotations` with the landmarks in the order of `names`. Raises UsageError, naming `whose` they are, for others."
    theirs = annotations.names
    if sorted(theirs) == sorted(names): return with_landmarks(annotations, names)
    raise UsageError(f'{annotations.path.name} has {len(theirs)} landmarks ({", ".join(theirs)}), {whose} has '
                     f'{len(names)} ({", ".join(names)}); expected the same names')


def with_landmarks(annotations: Annotations, names: list[str]) -> Annotations:
    "The landmarks of `annotations` called `names` alone, in that order."
    order = [annotations.names.index(name) for name in names]
    return replace(annotations, names=names, points=annotations.points[:, order], state=annotations.state[:, order])


def fingerprint(annotations: Annotations, split: Sequence) -> str:
    "A hash of what a run trains on: landmarks, images, points, spacing and the side or fold (n,) of each image."
    parts = (annotations.names, annotations.image_names, annotations.sizes.tolist(), annotations.state.tolist(),
             annotations.points.tolist(), annotations.spacing.tolist(), list(map(str, split)))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def fill_spacing(annotations: Annotations, spacing: float | Sequence,
                 source: str | Sequence[str]) -> Annotations:
    """`annotations` with their unknown spacings taken from `spacing`: a number, (2,), or (n, 2) with NaN where unknown.

    `source` is noted of those that were filled: one text, or one an image.
    """
    spacing = np.broadcast_to(spacing, annotations.spacing.shape)
    filled = np.isnan(annotations.spacing).any(1) & ~np.isnan(spacing).any(1)
    return replace(annotations, spacing=np.where(filled[:, None], spacing, annotations.spacing),
                   spacing_source=np.where(filled, source, annotations.spacing_source))


def warn_doubtful(annotations: Annotations):
    "Warn the caller of the caller of spacings that are hardly ones in mm; to be called once all are filled in."
    doubtful = np.flatnonzero(is_doubtful(annotations.spacing))
    if not doubtful.size: return
    first = doubtful[0]
    warnings.warn(
        f'{annotations.path.name}: {doubtful.size} of {len(annotations)} images have a pixel spacing outside '
        f'{PLAUSIBLE[0]} to {PLAUSIBLE[1]} mm, such as row {annotations.rows[first]} '
        f'({annotations.image_names[first]}) with {spacing_text(annotations.spacing[first])} mm '
        f'({annotations.spacing_source[first]}): their errors in mm are doubtful; was it given in micrometres, or in '
        'dpi?', stacklevel=3)


def _annotations(path, names, header, rows):
    "The annotations in `rows`, of which no two are of the same image."
    image_names = read_image_names(rows)
    for row in rows: check_count(row, names)
    sizes = [read_size(row) for row in rows]
    points = np.array([[read_point(row, name, size) for name in names] for row, size in zip(rows, sizes, strict=True)])
    points, state = _states(points)
    spacing = np.array([read_spacing(row) for row in rows])
    sources = [read_source(row) for row in rows]
    result = Annotations(path, names, image_names, [row.line for row in rows], np.array(sizes), points, state, spacing,
                         np.where(np.isnan(spacing).any(1), '', np.array(sources, object)),
                         read_patients(header, rows), read_sides(header, rows))
    _check_patient_splits(result)
    return result


def _states(points):
    "`points` with NaN unless visible, and their states."
    absent = (points == -1).all(-1)
    state = np.select([absent, np.isnan(points).any(-1)], [ABSENT, UNLABELLED], VISIBLE).astype(np.uint8)
    return np.where(absent[..., None], np.nan, points), state


def _check_patient_splits(annotations):
    "Refuse a patient on two sides of the split."
    if annotations.patient_id is None or annotations.split is None: return
    first = {}
    for i, (patient, side) in enumerate(zip(annotations.patient_id, annotations.split, strict=True)):
        j = first.setdefault(patient, i)
        if annotations.split[j] != side:
            raise UsageError(f'{annotations.where(i)}: patient {patient} is in {side}, but in {annotations.split[j]} '
                             f'in row {annotations.rows[j]}; expected one side a patient')


def _texts(values):
    "Shortest texts that read as the same floats; blank for NaN."
    return ['' if np.isnan(v) else str(int(v)) if v.is_integer() else repr(v) for v in values.tolist()]


def _spacing_columns(annotations):
    "Spacing: none if nothing is known, one column if both axes agree, else two; and its source, unless that is a CSV."
    x, y = annotations.spacing.T
    if np.isnan(x).all(): return {}
    same = np.array_equal(x, y, equal_nan=True)
    columns = {'pixel_spacing': _texts(x)} if same else {'pixel_spacing_x': _texts(x), 'pixel_spacing_y': _texts(y)}
    if set(annotations.spacing_source) <= {'CSV', ''}: return columns
    return columns | {'image_spacing_source': annotations.spacing_source}


def _estimate_columns(names, column, values):
    def text(value): return value if isinstance(value, str) else '' if np.isnan(value) else f'{value:.3f}'
    return {f'{name}_{column}': list(map(text, of_landmark))
            for name, of_landmark in zip(names, np.transpose(values), strict=True)}
