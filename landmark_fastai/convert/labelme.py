"labelme: a JSON file for each image, whose landmarks are shapes of the type point."

import json
import os
from pathlib import Path, PurePosixPath

from .files import files_of, point_of, read_json, size_of, told_of
from .films import Film, Reading, names_in
from .images import Images
from .notes import Notes

SUFFIX = '.json'
VERSION = '5.5.0'  # of labelme, whose form this is


def read(source: Path, images: Images, notes: Notes) -> Reading:
    "The points of a folder of files. An image has the name that its file says, or lies where its file does."
    films = []
    for path, stem in files_of(source, SUFFIX):
        with told_of(str(path), 'a file of labelme: imagePath, imageWidth, imageHeight and shapes'):
            data = read_json(path)
            stated = str(PurePosixPath(data['imagePath'].replace('\\', '/')))
            beside = str(PurePosixPath(stem).parent / PurePosixPath(stated).name)
            name = images.find(str(path), beside, stated)
            film = Film(name, str(path), images.size(str(path), name,
                                                     size_of((data['imageWidth'], data['imageHeight']))))
            for shape in data['shapes']:
                if shape['shape_type'] != 'point':
                    notes.add('shape', 'of another type than point, left out', name)
                    continue
                point, = shape['points']
                film.add(shape['label'], point_of(point))
        films.append(film)
    return Reading(films, names_in(films))


def write(film: Film, names: list[str], target: Path, notes: Notes) -> str:
    "The file of one image, which says where its image lies, seen from the file."
    image = os.path.relpath(film.path, target.parent) if film.path else PurePosixPath(film.name).name
    shapes = [{'label': name, 'points': [list(film.marks[name])], 'group_id': None, 'description': '',
               'shape_type': 'point', 'flags': {}, 'mask': None} for name in names if name in film.marks]
    return json.dumps({'version': VERSION, 'flags': {}, 'shapes': shapes, 'imagePath': Path(image).as_posix(),
                       'imageData': None, 'imageHeight': film.size[1], 'imageWidth': film.size[0]},
                      indent=2, ensure_ascii=False)
