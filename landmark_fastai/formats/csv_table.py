"The annotation CSV as a table of text: its rows, and where each stands, for messages."

import csv
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .columns import listed

WORKBOOKS = b'PK\3\4', b'\xd0\xcf\x11\xe0'  # the first bytes of .xlsx and .ods, and of .xls


@dataclass(frozen=True)
class Row:
    "A line of the file below its header, that is not blank."
    path: Path
    line: int
    cells: dict[str, str]  # column -> stripped text

    def error(self, message: str, see: str = '') -> UsageError:
        "The `UsageError` that says `message` of this row, and to `see` a section of the page of help."
        return UsageError(f'{where(self.path, self.line, self.cells.get("image_name"))}: {message}', see)


def where(path: Path, line: int, image: str | None) -> str:
    "Where an image stands, for messages: `train_annotation.csv, row 7 (a.png)`."
    return f'{path.name}, row {line} ({image})' if image else f'{path.name}, row {line}'


def read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    "Column names, and line number and cells of each row, of the CSV at `path`. Raises UsageError where it is none."
    lines = _read_lines(path)
    if not lines: raise UsageError(f'{path.name}: the file is empty, expected a header line image_name,image_width,…')
    (_, header), *data = lines
    _check_separator(path, header)
    if not data: raise UsageError(f'{path.name}: no rows below the header, expected one row an image')
    return header, data


def read_rows(path: Path, header: list[str], lines: list[tuple[int, list[str]]]) -> list[Row]:
    "The rows of the table that `read_table` has read. Raises UsageError for one of another length than `header`."
    rows = [Row(path, line, dict(zip(header, cells, strict=False))) for line, cells in lines]
    for row, (_, cells) in zip(rows, lines, strict=True):
        if len(cells) == len(header): continue
        more = '; were decimal commas taken for columns? Write points' if len(cells) > len(header) else ''
        raise row.error(f'{len(cells)} values, expected {len(header)} as in the header{more}',
                        see='commas-and-semicolons')
    return rows


def _read_lines(path):
    "Line number and stripped cells of every line of the file at `path` that is not blank."
    try:
        _check_workbook(path)
        with open(path, encoding='utf-8-sig', newline='') as f:
            reader = csv.reader(f, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except OSError as e:
        raise UsageError(f'{path}: {e.strerror.lower()}, expected the annotation CSV{_others(path)}',
                         see='wrong-folder') from None
    except UnicodeDecodeError:
        raise UsageError(f'{path.name}: is not UTF-8 text, expected a CSV; save it as "CSV UTF-8"',
                         see='excel-and-encodings') from None
    except csv.Error as e:
        raise UsageError(f'{path.name}, row {reader.line_num}: is not valid CSV ({e}); check its quotes') from None
    lines = [(line, cells) for line, cells in lines if any(cells)]
    _check_nul(path, lines)
    return lines


def _others(path):
    "The CSV files in the folder of `path`, which is none, to end a message."
    there = sorted(each.name for each in path.parent.glob('*.csv') if each.is_file())
    return f'; that folder has {listed(there)}' if there else ''


def _check_workbook(path):
    with open(path, 'rb') as f: start = f.read(4)
    if start in WORKBOOKS:
        raise UsageError(f'{path.name}: is a workbook of Excel or LibreOffice, expected a CSV; save it there as "CSV '
                         'UTF-8"', see='excel-and-encodings')


def _check_nul(path, lines):
    for line, cells in lines:
        if any('\0' in cell for cell in cells):
            raise UsageError(f'{path.name}, row {line}: NUL bytes, expected text; save the file as "CSV UTF-8"',
                             see='excel-and-encodings')


def _check_separator(path, header):
    for separator, word in ((';', 'semicolons'), ('\t', 'tabs')):
        if len(header) == 1 and separator in header[0]:
            raise UsageError(f'{path.name}: the columns are separated by {word}, expected commas; save it with commas, '
                             'and with points in numbers', see='commas-and-semicolons')
