"The annotation CSV as a table of text: its lines, its header, and where a cell is, for messages."

import csv
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError

_REQUIRED = ('image_name', 'image_width', 'image_height')
_OF_IMAGE = (*_REQUIRED, 'image_spacing_source')
_RESERVED = ('n_landmarks', 'pixel_spacing', 'pixel_spacing_x', 'pixel_spacing_y', 'patient_id', 'split')
_ESTIMATES = ('confidence', 'spread')  # columns of predictions, ignored on reading


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
