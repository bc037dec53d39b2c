"The annotation CSV: read, check, split, write."

import csv
import hashlib
import math
import re
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from .errors import UsageError
from .files import atomic

VISIBLE, ABSENT, UNLABELLED = 0, 1, 2

_REQUIRED = ('image_name', 'image_width', 'image_height')
_OF_IMAGE = (*_REQUIRED, 'image_spacing_source')
_RESERVED = ('n_landmarks', 'pixel_spacing', 'pixel_spacing_x', 'pixel_spacing_y', 'patient_id', 'split')
_PER_IMAGE = ('image_names', 'rows', 'sizes', 'points', 'state', 'spacing', 'spacing_source', 'patient_id', 'split')
_ESTIMATES = ('confidence', 'spread')  # columns of predictions, ignored on reading
_SPLITS = ('train', 'val', 'test')
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


def split_rows(annotations, val_fraction=0.2, seed=42):
    """Side of each image, (n,) of 'train', 'val' or 'test'.

    The `split` column where there is one. Else ceil(n * `val_fraction`) images are drawn for validation; where
    `patient_id` is known, whole patients until there are at least so many. The training side is never empty.
    Raises `UsageError` if one side would be.
    """
    if annotations.split is not None: return _given_split(annotations)
    if not 0 < val_fraction < 1: raise UsageError(f'val_fraction is {val_fraction}, expected a number between 0 and 1')
    groups = annotations.patient_id if annotations.patient_id is not None else annotations.image_names
    size_of = Counter(groups)
    unique = list(size_of)
    if len(size_of) < 2: raise UsageError(_too_few(annotations))
    n_val = math.ceil(len(annotations) * val_fraction - 1e-9)  # 100 * 0.07 is a little over 7
    drawn, n_drawn = set(), 0
    for i in np.random.default_rng(seed).permutation(len(unique))[:-1]:
        if n_drawn >= n_val: break
        drawn.add(unique[i]); n_drawn += size_of[unique[i]]
    return np.array(['val' if group in drawn else 'train' for group in groups])


def split_folds(annotations, n_folds, seed=42):
    """The fold of each image, (n,) from 1 to `n_folds`, for cross-validation; 0 for `test` images, which are in none.

    Folds are of equal size, as nearly as whole patients allow where `patient_id` is known. Raises `UsageError` for
    fewer images or patients than folds.
    """
    kept = [i for i in range(len(annotations)) if annotations.split is None or annotations.split[i] != 'test']
    groups = annotations.patient_id if annotations.patient_id is not None else annotations.image_names
    size_of = Counter(groups[i] for i in kept)
    if not 2 <= n_folds <= len(size_of):
        what = 'images' if annotations.patient_id is None else 'patients'
        raise UsageError(f'folds is {n_folds}; {annotations.path.name} has {len(size_of)} {what} to train on, expected '
                         f'2 to {len(size_of)}, or 0 for no cross-validation')
    unique, sizes, fold_of = list(size_of), [0] * n_folds, {}
    shuffled = [unique[i] for i in np.random.default_rng(seed).permutation(len(unique))]
    for group in sorted(shuffled, key=size_of.get, reverse=True):  # the largest first, each to the smallest fold
        fold_of[group] = sizes.index(min(sizes)) + 1
        sizes[fold_of[group] - 1] += size_of[group]
    folds = np.zeros(len(annotations), int)
    folds[kept] = [fold_of[groups[i]] for i in kept]
    return folds


# the table

@dataclass(frozen=True)
class _Row:
    "One line of the file that is not blank."
    path: Path
    line: int
    cells: dict[str, str]  # column -> stripped text

    def error(self, message):
        "The `UsageError` that says `message` of this row."
        return UsageError(f'{_where(self.path, self.line, self.cells.get("image_name"))}: {message}')


def _where(path, line, image):
    return f'{path.name}, row {line} ({image})' if image else f'{path.name}, row {line}'


def _read_table(path):
    "Column names, and line number and cells of each row, of the CSV at `path`."
    lines = _read_lines(path)
    if not lines: raise UsageError(f'{path.name}: the file is empty, expected a header line image_name,image_width,…')
    (_, header), *data = lines
    _check_header(path, header)
    if not data: raise UsageError(f'{path.name}: no rows below the header, expected one row an image')
    return header, data


def _read_lines(path):
    "Line number and stripped cells of every line of the file at `path` that is not blank."
    try:
        with open(path, encoding='utf-8-sig', newline='') as f:
            reader = csv.reader(f, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except OSError as e: raise UsageError(f'{path}: {e.strerror.lower()}, expected the annotation CSV') from None
    except UnicodeDecodeError:
        raise UsageError(f'{path.name}: is not UTF-8 text, expected a CSV; save it as "CSV UTF-8"') from None
    except csv.Error as e:
        raise UsageError(f'{path.name}, row {reader.line_num}: is not valid CSV ({e}); check its quotes') from None
    lines = [(line, cells) for line, cells in lines if any(cells)]
    _check_nul(path, lines)
    return lines


def _check_nul(path, lines):
    for line, cells in lines:
        if any('\0' in cell for cell in cells):
            raise UsageError(f'{path.name}, row {line}: NUL bytes, expected text; save the file as "CSV UTF-8"')


def _check_header(path, header):
    for separator, word in ((';', 'semicolons'), ('\t', 'tabs')):
        if len(header) == 1 and separator in header[0]:
            raise UsageError(f'{path.name}: the columns are separated by {word}, expected commas; save it with commas')
    repeated = [name for name, n in Counter(header).items() if name and n > 1]
    if repeated: raise UsageError(f'{path.name}: the header has {repeated[0]} twice, expected each column once')
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise UsageError(f'{path.name}: the header has no {", ".join(missing)}, expected {",".join(_REQUIRED)},…; '
                         f'found {_listed(header)}')


def _row(path, line, header, cells):
    row = _Row(path, line, dict(zip(header, cells, strict=False)))
    if len(cells) != len(header): raise row.error(f'{len(cells)} values, expected {len(header)} as in the header')
    return row


def _listed(names): return ', '.join(names[:5]) + (f', … ({len(names)} in all)' if len(names) > 5 else '')


# the header

def _is_reserved(column): return column.startswith('image_') or column in _RESERVED


def _landmark_names(path, header):
    "Names of the `<name>_x,<name>_y` pairs of `header`, in its order."
    columns = [c for c in header if c.endswith(('_x', '_y')) and not _is_reserved(c)]
    names = list(dict.fromkeys(c[:-2] for c in columns))
    for name in names:
        if not name: raise UsageError(f'{path.name}: a column is named _x or _y alone, expected <name>_x,<name>_y')
        for have, need in ((f'{name}_x', f'{name}_y'), (f'{name}_y', f'{name}_x')):
            if need not in columns:
                raise UsageError(f'{path.name}: the header has {have} but no {need}, expected both for a landmark')
    if 'mean_error' in names:
        raise UsageError(f'{path.name}: a landmark is named mean_error, as a column of the training log; rename it')
    if not names:
        raise UsageError(f'{path.name}: the header has no <name>_x,<name>_y, expected a pair for each landmark; '
                         f'found {_listed(header)}')
    return names


def _check_count(path, names, n_landmarks):
    if n_landmarks is not None and n_landmarks != len(names):
        raise UsageError(f'{path.name}: {len(names)} landmarks in the header ({_listed(names)}), '
                         f'expected {n_landmarks} as in n_landmarks; correct it, or leave it out')


def _warn_ignored(path, header, names):
    known = {f'{name}_{end}' for name in names for end in ('x', 'y', *_ESTIMATES)}
    ignored = [repr(c) for c in header if c not in known and c not in _RESERVED + _OF_IMAGE]
    if ignored: warnings.warn(f'{path.name}: ignored, no known column: {", ".join(ignored)}', stacklevel=3)


def _check_spacing_columns(path, header):
    both, x, y = (c in header for c in ('pixel_spacing', 'pixel_spacing_x', 'pixel_spacing_y'))
    if both and (x or y):
        raise UsageError(f'{path.name}: pixel_spacing beside pixel_spacing_x or pixel_spacing_y, expected one kind; '
                         'drop the other')
    if x != y: raise UsageError(f'{path.name}: one of pixel_spacing_x and pixel_spacing_y alone, expected both')


# the cells

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


# splitting

def _given_split(annotations):
    for side in ('train', 'val'):
        if side not in annotations.split:
            raise UsageError(f'{annotations.path.name}: no row has split {side}, expected train and val; '
                             'mark some, or leave the column out')
    return np.array(annotations.split)


def _too_few(annotations):
    what = 'image' if annotations.patient_id is None or len(annotations) < 2 else 'patient'
    return f'{annotations.path.name}: only one {what}, expected at least 2 to train and validate; add {what}s'


# writing

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
