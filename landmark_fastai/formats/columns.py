"The columns of the annotation CSV: which of them are landmarks, which are known, and what is refused or ignored."

import warnings
from collections import Counter
from pathlib import Path

from ..errors import UsageError
from .spreadsheet import is_formula

REQUIRED = ('image_name', 'image_width', 'image_height')
BOUND_LEVEL = 'bound_level'  # the share of predicted points that lie within their bounds
OPTIONAL = ('n_landmarks', 'pixel_spacing', 'pixel_spacing_x', 'pixel_spacing_y', 'patient_id', 'split', 'reader',
            'image_spacing_source', BOUND_LEVEL)
SPLITS = ('train', 'val', 'cal', 'test')  # in the column split; cal is for bounds
# what predictions hold beside each landmark, as <name>_confidence; ignored on reading
ESTIMATES = ('confidence', 'spread', 'expected_error', 'expected_error_mm', 'bound', 'bound_mm', 'stage')

REVIEW = ('image_name', 'landmark', 'score', 'reason')  # of review.csv


def read_names(path: Path, header: list[str], n_landmarks: int | None = None) -> list[str]:
    """The names of the landmarks: of the `<name>_x,<name>_y` pairs of `header`, in its order.

    `n_landmarks`, when given, must be their number. Raises UsageError with the file `path` for columns that are
    missing, repeated or contradict each other, and for names that no output could hold.
    """
    _check_columns(path, header)
    names = _landmark_names(path, header)
    for name in names: check_name(path, name)
    if n_landmarks not in (None, len(names)):
        raise UsageError(f'{path.name}: {len(names)} landmarks in the header ({listed(names)}), '
                         f'expected {n_landmarks} as in n_landmarks; correct it, or leave it out',
                         see='number-of-landmarks')
    _check_spacing_columns(path, header)
    return names


def warn_ignored(path: Path, header: list[str], names: list[str]):
    "Name the columns of `header` that mean nothing, in a warning to the caller of the caller."
    known = {f'{name}_{end}' for name in names for end in ('x', 'y', *ESTIMATES)}
    ignored = [repr(c) for c in header if c not in known and c not in REQUIRED + OPTIONAL]
    if ignored: warnings.warn(f'{path.name}: ignored, no known column: {", ".join(ignored)}', stacklevel=3)


def _check_columns(path, header):
    repeated = [name for name, n in Counter(header).items() if name and n > 1]
    if repeated: raise UsageError(f'{path.name}: the header has {repeated[0]} twice, expected each column once')
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise UsageError(f'{path.name}: the header has no {", ".join(missing)}, expected {",".join(REQUIRED)},…; '
                         f'found {listed(header)}')


def _landmark_names(path, header):
    columns = [c for c in header if c.endswith(('_x', '_y')) and not c.startswith('image_') and c not in OPTIONAL]
    names = list(dict.fromkeys(c[:-2] for c in columns))
    for name in names:
        if not name: raise UsageError(f'{path.name}: a column is named _x or _y alone, expected <name>_x,<name>_y')
        for have, need in ((f'{name}_x', f'{name}_y'), (f'{name}_y', f'{name}_x')):
            if need not in columns:
                raise UsageError(f'{path.name}: the header has {have} but no {need}, expected both for a landmark')
    if not names:
        raise UsageError(f'{path.name}: the header has no <name>_x,<name>_y, expected a pair for each landmark; '
                         f'found {listed(header)}')
    return names


def check_name(path: Path, name: str):
    "Raise UsageError for a landmark of the file `path` whose name means something else in a CSV, or is none."
    if not name: raise UsageError(f'{path.name}: a landmark has no name, expected one; name it')
    if f'{name}_x'.startswith('image_') or f'{name}_x' in OPTIONAL:
        raise UsageError(f'{path.name}: a landmark is named {name!r}, as columns that are no landmarks; rename it')
    if name == 'mean_error':
        raise UsageError(f'{path.name}: a landmark is named mean_error, as a column of the training log; rename it')
    if is_formula(name):
        raise UsageError(f'{path.name}: a landmark is named {name!r}, which a spreadsheet would take for a formula, as '
                         'all that begins with = + - @; rename it')
    if name.splitlines() != [name]:
        raise UsageError(f'{path.name}: a landmark is named {name!r}, with a line break; expected one line, rename it')


def _check_spacing_columns(path, header):
    both, x, y = (c in header for c in ('pixel_spacing', 'pixel_spacing_x', 'pixel_spacing_y'))
    if both and (x or y):
        raise UsageError(f'{path.name}: pixel_spacing beside pixel_spacing_x or pixel_spacing_y, expected one kind; '
                         'drop the other')
    if x != y: raise UsageError(f'{path.name}: one of pixel_spacing_x and pixel_spacing_y alone, expected both')


def listed(names: list[str]) -> str:
    "`names` in a sentence, of which five are enough."
    return ', '.join(names[:5]) + (f', … ({len(names)} in all)' if len(names) > 5 else '')
