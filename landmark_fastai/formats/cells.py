"The cells of the annotation CSV: numbers, names, points and spacings; mistakes name file, row and column."

import math
import re
from pathlib import PurePosixPath, PureWindowsPath

from .columns import SPLITS
from .csv_table import Row
from .spacing import FLAG_SOURCE
from .spreadsheet import is_formula, plain_name

MAX_SIDE = 2**31 - 1  # more fits no image format, and much more no integer of numpy
# float() alone would also take 1_0, nan, inf and digits of other scripts
_NUMBER = re.compile(r'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?')


def read_image_names(rows: list[Row]) -> list[str]:
    "The POSIX path of each image below the image folder, in its one spelling."
    names, first = [_image_name(row) for row in rows], {}
    for row, name in zip(rows, names, strict=True):
        if name in first:
            readers = [each.cells.get('reader') for each in (first[name], row)]
            remedy = 'drop one' if readers[0] == readers[1] else 'keep the rows of one reader'
            raise row.error(f'the image is already in row {first[name].line}, expected one row an image; {remedy}')
        first[name] = row
    return names


def read_size(row: Row) -> tuple[int, int]:
    "Width and height of the image, px."
    return _side(row, 'image_width'), _side(row, 'image_height')


def read_point(row: Row, name: str, size: tuple[int, int]) -> tuple[float, float]:
    "x and y of landmark `name` in an image of `size`: NaN if not labelled, -1 if absent."
    columns = f'{name}_x', f'{name}_y'
    texts = [row.cells[c] for c in columns]
    if not any(texts): return math.nan, math.nan
    if not all(texts):
        raise row.error(f'landmark {name} is {",".join(texts)!r}, expected both coordinates, or both blank')
    x, y = (_number(row, c, 'a pixel coordinate such as 12.5') for c in columns)
    if not _is_inside(x, y, size) and (x, y) != (-1, -1):
        raise row.error(f'landmark {name} is at {texts[0]},{texts[1]}, outside the image; expected x in '
                        f'[0, {size[0] - 1}] and y in [0, {size[1] - 1}], or -1,-1 for absent'
                        f'{_guess(x, y, size)}', see='points-outside-the-image')
    return x, y


def _is_inside(x, y, size): return 0 <= x <= size[0] - 1 and 0 <= y <= size[1] - 1


def _guess(x, y, size):
    "What may be wrong with a point outside of an image of `size`, to end a message."
    if _is_inside(x - 1, y - 1, size): return '; were pixels counted from 1? The first is 0'
    return '; are x and y swapped?' if _is_inside(y, x, size) else ''


def check_count(row: Row, names: list[str]):
    "Raise UsageError where the cell n_landmarks tells another number than that of `names`."
    if not row.cells.get('n_landmarks'): return
    what = f'{len(names)}, the number of landmarks in the header'
    if _number(row, 'n_landmarks', what) != len(names):
        raise row.error(f'n_landmarks is {row.cells["n_landmarks"]}, expected {what}', see='number-of-landmarks')


def read_spacing(row: Row) -> tuple[float, float]:
    "mm per pixel in x and y, NaN if unknown."
    if 'pixel_spacing' in row.cells: columns = ['pixel_spacing'] * 2
    elif 'pixel_spacing_x' in row.cells: columns = ['pixel_spacing_x', 'pixel_spacing_y']
    else: return math.nan, math.nan
    texts = [row.cells[c] for c in columns]
    if not any(texts): return math.nan, math.nan
    if not all(texts): raise row.error('one of pixel_spacing_x and pixel_spacing_y is blank, expected both or none')
    return tuple(_positive(row, c) for c in columns)


def read_source(row: Row) -> str:
    "Where the spacing is from: CSV, unless there is a text on it."
    text = row.cells.get('image_spacing_source') or 'CSV'
    if text == '--pixel_spacing': return FLAG_SOURCE  # as version 0.4 wrote it
    _check_harmless(row, 'image_spacing_source', text)
    return text


def read_patients(header: list[str], rows: list[Row]) -> list[str] | None:
    "The patient of each image, where there is a column of them."
    if 'patient_id' not in header: return None
    for row in rows:
        if not row.cells['patient_id']:
            raise row.error('patient_id is blank, expected one for each image; fill it, or leave the column out')
        _check_harmless(row, 'patient_id', row.cells['patient_id'])
    return [row.cells['patient_id'] for row in rows]


def read_reader_names(rows: list[Row]) -> list[str] | None:
    "Who clicked each row, where there is a column that tells."
    if not any(row.cells.get('reader') for row in rows): return None
    for row in rows:
        if not row.cells['reader']:
            raise row.error('reader is blank, expected the initials of who clicked, as in other rows; fill it')
        _check_harmless(row, 'reader', row.cells['reader'])
    return [row.cells['reader'] for row in rows]


def read_sides(header: list[str], rows: list[Row]) -> list[str] | None:
    "The side of the split of each image, where there is a column of them."
    if 'split' not in header: return None
    for row in rows:
        if row.cells['split'] not in SPLITS:
            raise row.error(f'split is {row.cells["split"]!r}, expected train, val, cal or test; '
                            'fill it, or leave the column out')
    return [row.cells['split'] for row in rows]


def _image_name(row):
    text = row.cells['image_name']
    if not text: raise row.error('image_name is blank, expected the path of an image below the image folder')
    if any(c in text for c in '\\\r\n'):
        raise row.error(f'image_name is {text!r}, expected one line with / between folders', see='image-names')
    path = PurePosixPath(text)
    if path.is_absolute() or PureWindowsPath(text).drive or '..' in path.parts:
        raise row.error(f'image_name is {text!r}, expected a path below the image folder, such as sub/a.png',
                        see='image-names')
    return plain_name(text)


def _check_harmless(row, column, text):
    if not is_formula(text): return
    raise row.error(f'{column} is {text!r}, which a spreadsheet would take for a formula, as all that begins with '
                    '= + - @; put a letter in front of it')


def _number(row, column, what):
    "The number in `column`; `what` says in the message what was expected."
    text = row.cells[column]
    if _NUMBER.fullmatch(text.replace(',', '.', 1)) and ',' in text:
        raise row.error(f'{column} is {text!r}, expected {what}, with a point; write points for decimal commas',
                        see='commas-and-semicolons')
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise row.error(f'{column} is {text!r}, expected {what}')
    return float(text)


def _side(row, column):
    what = 'a whole number of pixels above 0'
    value = _number(row, column, what)
    if not value.is_integer() or not 0 < value <= MAX_SIDE:
        raise row.error(f'{column} is {row.cells[column]}, expected {what}')
    return int(value)


def _positive(row, column):
    what = 'mm per pixel above 0, or blank'
    value = _number(row, column, what)
    if value <= 0: raise row.error(f'{column} is {row.cells[column]}, expected {what}')
    return value
