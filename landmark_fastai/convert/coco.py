"COCO keypoints, as CVAT writes them: one JSON file, one instance an image."

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from ..errors import UsageError
from .files import point_of, read_json, size_of, told_of
from .films import Film, Reading
from .images import Images
from .notes import Notes

HIDDEN, SEEN = 1, 2  # v of a keypoint; 0 is not labelled
CATEGORY = 'landmarks'


def read(source: Path, images: Images, notes: Notes) -> Reading:
    "The instances of the one category that has keypoints. Raises UsageError for several of them on an image."
    with told_of(source.name, 'COCO keypoints: images, annotations and categories'):
        data = read_json(source)
        names_of = {each['id']: each['keypoints'] for each in data['categories'] if each.get('keypoints')}
        instances = defaultdict(list)
        for each in data['annotations']:
            if each['category_id'] in names_of and each.get('keypoints'): instances[each['image_id']].append(each)
        entries = [(each['id'], each['file_name'], each) for each in data['images']]
    used = {each['category_id'] for of_image in instances.values() for each in of_image} or set(names_of)
    if len(used) != 1:
        raise UsageError(f'{source.name}: {len(used)} categories with keypoints, expected one, of the landmarks')
    names, films = names_of[used.pop()], []
    for number, file, entry in entries:
        where = f'{source.name}, image {number} ({file})'
        with told_of(where, 'width, height and keypoints x, y, v'):
            name = images.find(where, file)
            film = Film(name, where, images.size(where, name, size_of([entry['width'], entry['height']])))
            if len(instances[number]) > 1:
                raise UsageError(f'{where}: {len(instances[number])} instances, expected one')
            for each in instances[number]: _add(film, names, each['keypoints'], notes)
        films.append(film)
    return Reading(films, [name.strip() for name in names])


def _add(film, names, keypoints, notes):
    if len(keypoints) != 3 * len(names):
        raise ValueError(f'{len(keypoints)} numbers for {len(names)} landmarks')
    for name, x, y, seen in zip(names, *(keypoints[i::3] for i in range(3)), strict=True):
        if seen: film.add(name, point_of((x, y)))
        if seen == HIDDEN: notes.add('hidden point', 'of v = 1, read as visible', film.name)


def write(films: list[Film], names: list[str], target: Path, notes: Notes) -> str:
    "The JSON file; images without a point have no instance."
    entries = [{'id': i, 'width': film.size[0], 'height': film.size[1], 'file_name': film.name}
               for i, film in enumerate(films, 1)]
    instances = [{'id': i, 'image_id': i, 'category_id': 1, 'iscrowd': 0, **_instance(film, names)}
                 for i, film in enumerate(films, 1) if film.marks]
    category = {'id': 1, 'name': CATEGORY, 'supercategory': '', 'keypoints': names, 'skeleton': []}
    return json.dumps({'licenses': [], 'info': {}, 'categories': [category], 'images': entries,
                       'annotations': instances}, ensure_ascii=False)


def _instance(film, names):
    "The keypoints, and the box around them, which tools need."
    keypoints = [[*film.marks[name], SEEN] if name in film.marks else [0, 0, 0] for name in names]
    points = np.array(list(film.marks.values()))
    corner, sides = points.min(0), np.ptp(points, 0)
    return {'keypoints': [number for point in keypoints for number in point], 'num_keypoints': len(points),
            'bbox': [*corner.tolist(), *sides.tolist()], 'area': float(sides.prod()), 'segmentation': []}
