"""3D Slicer: a markups file (.mrk.json) for each image, whose points are in mm.

A film lies in Slicer with its first pixel at the origin and its sides along the axes, with the spacing of its DICOM
header, else 1 mm a pixel.
"""

import json
from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..formats.images import image_spacing
from .files import files_of, point_of, read_json, told_of
from .films import Film, Reading
from .images import Images
from .notes import Notes

SUFFIX = '.mrk.json'
SCHEMA = 'https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/' \
         'markups-schema-v1.0.3.json#'
TO_LPS = {'LPS': (1, 1), 'RAS': (-1, -1), '0': (-1, -1), '1': (1, 1)}  # numbers: of older versions
UPRIGHT = [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0]
DEFINED, MISSING = 'defined', 'missing'


def read(source: Path, images: Images, notes: Notes) -> Reading:
    "The point lists of a folder; the image of a file has its name."
    if not images.folder: raise UsageError(f'{source}: in mm, and of images without name; pass --image_dir')
    films, names = [], {}
    for path, stem in files_of(source, SUFFIX):
        with told_of(str(path), 'markups of 3D Slicer'):
            name = images.find(str(path), stem)
            film = Film(name, str(path), images.size(str(path), name))
            spacing = _spacing(Path(images.folder, name), name, notes)
            for markup in read_json(path)['markups']:
                if markup['type'] != 'Fiducial':
                    notes.add('markup', 'of another kind than a point list, left out', name)
                    continue
                scale = np.array(TO_LPS[str(markup.get('coordinateSystem', 'LPS'))]) / spacing
                for each in markup['controlPoints']:
                    names[each['label'].strip()] = True
                    _add(film, each, scale)
        films.append(film)
    return Reading(films, list(names))


def _spacing(path, name, notes):
    spacing, source = image_spacing(path)
    if source: return np.array(spacing)
    notes.add('spacing', 'taken as 1 mm a pixel, as Slicer opens what is no DICOM', name)
    return np.ones(2)


def _add(film, point, scale):
    status = point.get('positionStatus', DEFINED)
    if status == MISSING: film.add(point['label'], None)
    if status == DEFINED: film.add(point['label'], tuple((point_of(point['position'][:2]) * scale).tolist()))


def write(film: Film, names: list[str], target: Path, notes: Notes) -> str:
    "The point list of one image."
    if not film.path: raise UsageError(f'{target}: points of 3D Slicer are in mm; pass --image_dir')
    spacing = _spacing(film.path, film.name, notes)
    points = [_point(i, name, film, spacing) for i, name in enumerate(names, 1)]
    markup = {'type': 'Fiducial', 'coordinateSystem': 'LPS', 'coordinateUnits': 'mm', 'locked': False,
              'fixedNumberOfControlPoints': False, 'labelFormat': '%N-%d', 'lastUsedControlPointNumber': len(names),
              'controlPoints': points, 'measurements': []}
    return json.dumps({'@schema': SCHEMA, 'markups': [markup]}, indent=1, ensure_ascii=False)


def _point(number, name, film, spacing):
    mark = film.marks.get(name)
    status = DEFINED if mark else MISSING if name in film.marks else 'undefined'
    position = [*(mark * spacing).tolist(), 0.] if mark else ''
    return {'id': str(number), 'label': name, 'description': '', 'associatedNodeID': '', 'position': position,
            'orientation': UPRIGHT, 'selected': True, 'locked': False, 'visibility': True, 'positionStatus': status}
