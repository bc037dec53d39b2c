"""The CSV of the original annotator: whole pixels, landmarks numbered in the order of the clicks.

`n_landmarks` is how many were clicked, and the cells of the others are blank. A click in the top-left corner means
absent, to those who ask for it (`--invisible_landmarks`).
"""

import csv
import io
from pathlib import Path

import numpy as np

from ..formats.annotations import corner_box
from ..formats.cells import read_image_names, read_point, read_size
from ..formats.columns import read_names
from ..formats.csv_table import read_rows, read_table
from ..formats.spreadsheet import safe_name
from .films import Film, Reading, numbered
from .images import Images
from .notes import Notes

CORNER = 0, 0
FLAG = '--invisible_landmarks'


def read(source: Path, images: Images, notes: Notes) -> Reading:
    "The rows. Raises UsageError where `n_landmarks` is neither how many were clicked nor how many there are."
    header, lines = read_table(source)
    names, rows, films = read_names(source, header), read_rows(source, header, lines), []
    for name, row in zip(read_image_names(rows), rows, strict=True):
        where, stated = f'{source.name}, row {row.line} ({name})', read_size(row)
        name = images.find(where, name)
        film = Film(name, where, images.size(where, name, stated))
        points = {landmark: read_point(row, landmark, stated) for landmark in names}
        for landmark, point in points.items():
            if point == (-1, -1): film.add(landmark, None)
            elif not np.isnan(point).any(): film.add(landmark, point)
        told = row.cells.get('n_landmarks', '')
        if told not in ('', str(len(film.marks)), str(len(names))):
            raise row.error(f'n_landmarks is {told}, but {len(film.marks)} were clicked; expected one number')
        films.append(film)
    return Reading(films, names)


def write(films: list[Film], names: list[str], target: Path, notes: Notes) -> str:
    "The CSV; a landmark that is absent is clicked in the corner."
    text = io.StringIO()
    rows = csv.writer(text, lineterminator='\n')
    rows.writerow(['image_name', 'image_width', 'image_height', 'n_landmarks',
                   *(f'{name}_{axis}' for name in numbered(len(names)) for axis in 'xy')])
    for film in films:
        _note_corner(film, notes)
        clicks = [film.marks.get(name, ('', '')) or CORNER for name in names]
        rows.writerow([safe_name(film.name), *film.size, len(film.marks),
                       *(value if value == '' else round(value) for click in clicks for value in click)])
    return text.getvalue()


def _note_corner(film, notes):
    for mark in film.marks.values():
        if mark is None: notes.add('absent landmark', f'a click at 0,0, absent to those who pass {FLAG}', film.name)
        elif max(mark) < corner_box(film.size):
            notes.add('point', f'in the top-left corner, absent to those who pass {FLAG}', film.name)
