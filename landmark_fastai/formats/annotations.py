"The annotation CSV: read, check, split, write."

import hashlib
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..files import atomic
from .splits import _SPLITS
from .table import (
    _ESTIMATES,
    _check_count,
    _check_spacing_columns,
    _landmark_names,
    _read_table,
    _row,
    _warn_ignored,
    _where,
)

VISIBLE, ABSENT, UNLABELLED = 0, 1, 2
_PER_IMAGE = ('image_names', 'rows', 'sizes', 'points', 'state', 'spacing', 'spacing_source', 'patient_id', 'split')
# float() alone would also take 1_0, nan, inf and digits of other scripts
_NUMBER = re.compile(r'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?')
_MAX_SIDE = 2**31 - 1  # more fits no image format, and much more no integer of numpy


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
    split: list[str] | None  # 'train', 'val' or 'test'

    def __len__(self): return len(self.image_names)

    def where(self, i):
        "Where image `i` stands, for messages: `train_annotation.csv, row 7 (a.png)`."
        return _where(self.path, self.rows[i], self.image_names[i])

    def subset(self, indices):
        "The annotations of the images `indices` (or a mask of them), in that order."
        indices = np.arange(len(self))[indices]
        def taken(field):
            column = getattr(self, field)
            if isinstance(column, np.ndarray): return column[indices]
            return None if column is None else [column[i] for i in indices]
        return replace(self, **{field: taken(field) for field in _PER_IMAGE})


def read_annotations(path, n_landmarks=None, invisible_landmarks=False):
    """Read the annotation CSV at `path` into `Annotations`, checking every cell.

    `n_landmarks`, when given, must be the number of `<name>_x,<name>_y` pairs in the header. `invisible_landmarks`
    takes a point clicked into the top-left corner box (100 px if the longer side is over 1000, else 50) for absent.
    Columns without a meaning draw a warning. Raises `UsageError` with file, row and column for anything wrong.
    """
    path = Path(path)
    header, lines = _read_table(path)
    names = _landmark_names(path, header)
    _check_count(path, names, n_landmarks)
    _warn_ignored(path, header, names)
    _check_spacing_columns(path, header)
    rows = [_row(path, line, header, cells) for line, cells in lines]
    images = [_image_name(row) for row in rows]
    _check_duplicates(rows, images)
    for row in rows: _check_row_count(row, names)
    sizes = [(_side(row, 'image_width'), _side(row, 'image_height')) for row in rows]
    points = np.array([[_point(row, name, size) for name in names] for row, size in zip(rows, sizes, strict=True)])
    spacing = np.array([_spacing(row) for row in rows])
    known = ~np.isnan(spacing).any(1)
    sources = np.array([_spacing_source(row) if k else '' for row, k in zip(rows, known, strict=True)], object)
    result = Annotations(path, names, images, [row.line for row in rows], np.array(sizes), *_states(points),
                         spacing, sources, _patients(header, rows), _splits(header, rows))
    _check_patient_splits(result)
    if invisible_landmarks: _hide_corner(result)
    return result


def write_annotations(path, annotations, confidence=None, spread=None):
    """Write `annotations` as CSV to `path`, whole or not at all; reading it gives the same values to the last bit.

    Blank is not labelled, `-1,-1` absent. Spacing, `patient_id` and `split` are written where known, and `confidence`
    and `spread` (n, N) as `<name>_confidence` and `<name>_spread` with three decimals, blank for NaN.
    """
    columns = {'image_name': annotations.image_names, 'image_width': annotations.sizes[:, 0],
               'image_height': annotations.sizes[:, 1], 'n_landmarks': len(annotations.names)}
    points = np.where(annotations.state[..., None] == ABSENT, -1, annotations.points)
    for k, name in enumerate(annotations.names):
        for axis, letter in enumerate('xy'): columns[f'{name}_{letter}'] = _texts(points[:, k, axis])
    columns |= _spacing_columns(annotations)
    if annotations.patient_id is not None: columns['patient_id'] = annotations.patient_id
    if annotations.split is not None: columns['split'] = annotations.split
    for column, values in zip(_ESTIMATES, (confidence, spread), strict=True):
        if values is not None: columns |= _estimate_columns(annotations.names, column, values)
    with atomic(path) as temporary: pd.DataFrame(columns).to_csv(temporary, index=False, lineterminator='\n')


def in_corner(annotations):
    "Which visible points (n, N) lie in the top-left corner box: 100 px if the longer side is over 1000, else 50."
    box = np.where(annotations.sizes.max(1) > 1000, 100, 50)
    return (annotations.points < box[:, None, None]).all(-1)


def fingerprint(annotations, split):
    "A hash of what a run trains on: landmarks, images, points, spacing and the side or fold (n,) of each image."
    parts = (annotations.names, annotations.image_names, annotations.sizes.tolist(), annotations.state.tolist(),
             annotations.points.tolist(), annotations.spacing.tolist(), list(map(str, split)))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def fill_spacing(annotations, spacing, source):
    """`annotations` with their unknown spacings taken from `spacing`: a number, (2,), or (n, 2) with NaN where unknown.

    `source` is noted of those that were filled: one text, or one an image. Raises `UsageError` if a spacing for all
    images is not above 0.
    """
    if np.ndim(spacing) < 2: check_spacing(spacing, source)
    spacing = np.broadcast_to(spacing, annotations.spacing.shape)
    filled = np.isnan(annotations.spacing).any(1) & ~np.isnan(spacing).any(1)
    return replace(annotations, spacing=np.where(filled[:, None], spacing, annotations.spacing),
                   spacing_source=np.where(filled, source, annotations.spacing_source))


def check_spacing(spacing, name):
    "Raise UsageError unless `spacing`, which the message calls `name`, is above 0 mm per pixel."
    if (np.isfinite(spacing) & np.greater(spacing, 0)).all(): return
    raise UsageError(f'{name} is {spacing}; expected millimetres per pixel, more than 0')


def _number(row, column, what):
    "The number in `column`; `what` says in the message what was expected."
    text = row.cells[column]
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise row.error(f'{column} is {text!r}, expected {what}')
    return float(text)


def _image_name(row):
    "The POSIX path in `row`, normalised."
    text = row.cells['image_name']
    if not text: raise row.error('image_name is blank, expected the path of an image below the image folder')
    if any(c in text for c in '\\\r\n'):
        raise row.error(f'image_name is {text!r}, expected one line with / between folders')
    path = PurePosixPath(text)
    if path.is_absolute() or PureWindowsPath(text).drive or '..' in path.parts:
        raise row.error(f'image_name is {text!r}, expected a path below the image folder, such as sub/a.png')
    return str(path)


def _check_duplicates(rows, images):
    first = {}
    for row, image in zip(rows, images, strict=True):
        if image in first:
            raise row.error(f'the image is already in row {first[image]}, expected one row an image; drop one')
        first[image] = row.line


def _check_row_count(row, names):
    if not row.cells.get('n_landmarks'): return
    what = f'{len(names)}, the number of landmarks in the header'
    if _number(row, 'n_landmarks', what) != len(names):
        raise row.error(f'n_landmarks is {row.cells["n_landmarks"]}, expected {what}')


def _side(row, column):
    what = 'a whole number of pixels above 0'
    value = _number(row, column, what)
    if not value.is_integer() or not 0 < value <= _MAX_SIDE:
        raise row.error(f'{column} is {row.cells[column]}, expected {what}')
    return int(value)


def _point(row, name, size):
    "x and y of landmark `name`: NaN if not labelled, -1 if absent."
    columns = f'{name}_x', f'{name}_y'
    texts = [row.cells[c] for c in columns]
    if not any(texts): return math.nan, math.nan
    if not all(texts):
        raise row.error(f'landmark {name} is {",".join(texts)!r}, expected both coordinates, or both blank')
    x, y = (_number(row, c, 'a pixel coordinate such as 12.5') for c in columns)
    inside = 0 <= x <= size[0] - 1 and 0 <= y <= size[1] - 1
    if not inside and (x, y) != (-1, -1):
        raise row.error(f'landmark {name} is at {texts[0]},{texts[1]}, outside the image; expected x in '
                        f'[0, {size[0] - 1}] and y in [0, {size[1] - 1}], or -1,-1 for absent')
    return x, y


def _states(points):
    "`points` with NaN unless visible, and their states."
    absent = (points == -1).all(-1)
    state = np.select([absent, np.isnan(points).any(-1)], [ABSENT, UNLABELLED], VISIBLE).astype(np.uint8)
    return np.where(absent[..., None], np.nan, points), state


def _hide_corner(annotations):
    "Make the visible points in the corner box absent, in place."
    hidden = in_corner(annotations)
    annotations.points[hidden] = np.nan
    annotations.state[hidden] = ABSENT


def _spacing(row):
    "mm per pixel in x and y, NaN if unknown."
    if 'pixel_spacing' in row.cells: columns = ['pixel_spacing'] * 2
    elif 'pixel_spacing_x' in row.cells: columns = ['pixel_spacing_x', 'pixel_spacing_y']
    else: return math.nan, math.nan
    texts = [row.cells[c] for c in columns]
    if not any(texts): return math.nan, math.nan
    if not all(texts): raise row.error('one of pixel_spacing_x and pixel_spacing_y is blank, expected both or none')
    return tuple(_positive(row, c) for c in columns)


def _spacing_source(row): return row.cells.get('image_spacing_source') or 'CSV'


def _positive(row, column):
    what = 'mm per pixel above 0, or blank'
    value = _number(row, column, what)
    if value <= 0: raise row.error(f'{column} is {row.cells[column]}, expected {what}')
    return value


def _patients(header, rows):
    if 'patient_id' not in header: return None
    for row in rows:
        if not row.cells['patient_id']:
            raise row.error('patient_id is blank, expected one for each image; fill it, or leave the column out')
    return [row.cells['patient_id'] for row in rows]


def _splits(header, rows):
    if 'split' not in header: return None
    for row in rows:
        if row.cells['split'] not in _SPLITS:
            raise row.error(f'split is {row.cells["split"]!r}, expected train, val or test; '
                            'fill it, or leave the column out')
    return [row.cells['split'] for row in rows]


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
    return {f'{name}_{column}': ['' if np.isnan(value) else f'{value:.3f}' for value in of_landmark]
            for name, of_landmark in zip(names, np.transpose(values), strict=True)}
