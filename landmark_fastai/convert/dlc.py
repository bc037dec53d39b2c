"DeepLabCut, of a single animal: one CSV with three header rows, scorer, bodyparts and coords."

import csv
import io
import math
from pathlib import Path, PurePosixPath

from ..errors import UsageError
from ..formats.csv_table import read_table
from .files import point_of, told_of
from .films import Film, Reading
from .images import Images
from .notes import Notes

HEADER = 'scorer', 'bodyparts', 'coords'
COORDS = 'x', 'y', 'likelihood'
FOLDER = 'labeled-data'
FILE = 'CollectedData_'  # and the scorer, as DeepLabCut calls what was clicked


def read(source: Path, images: Images, notes: Notes) -> Reading:
    "The rows of a CSV of clicked points, or of predictions on a folder of images. Blank is not labelled."
    header, rows = read_table(source)
    columns = _columns(source, [header, *(cells for _, cells in rows[:2])])
    n_index = min(min(of.values()) for of in columns.values())
    films = []
    for line, cells in rows[2:]:
        path = '/'.join(filter(None, cells[:n_index]))
        where = f'{source.name}, row {line} ({path})'
        if path.isdigit(): raise UsageError(f'{where}: a frame of a video, expected the path of an image')
        name = images.find(where, path)
        film = Film(name, where, images.size(where, name))
        for landmark, of in columns.items():
            with told_of(where, f'x and y of {landmark} in {len(header)} cells'): _add(film, landmark, of, cells)
        films.append(film)
    return Reading(films, list(columns))


def _columns(source, header):
    "Where x, y and perhaps likelihood of each landmark stand: {landmark: {coordinate: column}}."
    if any(cells[:1] == ['individuals'] for cells in header):
        raise UsageError(f'{source.name}: of several animals, expected one; filter the rows of one individual')
    if tuple(cells[0] for cells in header) != HEADER:
        raise UsageError(f'{source.name}: begins with {", ".join(cells[0] for cells in header)}; expected the header '
                         f'rows {", ".join(HEADER)}')
    found = {}
    for column, (landmark, coordinate) in enumerate(zip(*header[1:], strict=False)):
        if coordinate in COORDS: found.setdefault(landmark, {})[coordinate] = column
    if not found or not all({'x', 'y'} <= of.keys() for of in found.values()):
        raise UsageError(f'{source.name}: the row coords is {", ".join(header[2])}; expected x and y of each bodypart')
    return found


def _add(film, landmark, of, cells):
    values = {coordinate: float(cells[column] or 'nan') for coordinate, column in of.items()}
    if math.isnan(values['x']) and math.isnan(values['y']): return
    film.add(landmark, point_of((values['x'], values['y'])))
    film.confidence[landmark] = values.get('likelihood', math.nan)


def write(films: list[Film], names: list[str], target: Path, notes: Notes) -> str:
    "The CSV of clicked points; the scorer is that of a target called CollectedData_<scorer>.csv."
    scorer = target.stem.removeprefix(FILE) if target.stem.startswith(FILE) else 'landmark_fastai'
    text = io.StringIO()
    rows = csv.writer(text, lineterminator='\n')
    for word, cells in zip(HEADER, ([scorer] * 2 * len(names), [name for name in names for _ in 'xy'],
                                    [*'xy'] * len(names)), strict=True):
        rows.writerow([word, '', '', *cells])
    for film in films:
        path = PurePosixPath(film.name)
        folder = target.absolute().parent.name if len(path.parts) == 1 else str(path.parent)
        points = [film.marks.get(name, ('', '')) for name in names]
        rows.writerow([FOLDER, folder, path.name, *(value for point in points for value in point)])
    return text.getvalue()
