"Label Studio: one JSON file of tasks with keypoint labels, in per cent of the image."

import json
import re
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, quote, unquote, urlsplit

from ..errors import UsageError
from .files import point_of, read_json, size_of, told_of
from .films import Film, Reading, names_in
from .images import Images
from .notes import Notes

KIND = 'keypointlabels'
DECIMALS = 10  # of per cents
DOT = 0.3  # per cent of the image that a point is drawn with
LOCAL = '/data/local-files/?d='


def read(source: Path, images: Images, notes: Notes) -> Reading:
    "The tasks of an export as JSON. Of several annotations of a task it is the ground truth, else the latest."
    data = read_json(source)
    if not isinstance(data, list): raise UsageError(f'{source.name}: no list of tasks, expected an export as JSON')
    films = []
    for number, task in enumerate(data, 1):
        where, task_of = f'{source.name}, task {number}', 'a task of an export as JSON: data and annotations'
        with told_of(where, task_of): url = _url_of(task['data'], where)
        where = f'{where} ({url})'
        with told_of(where, task_of):
            name = images.find(where, *_names(url))
            regions = _regions(task, name, notes)
            points = [each for each in regions if each['type'] == KIND]
            if len(points) < len(regions):
                notes.add('region', f'of another kind than {KIND}, left out', name, len(regions) - len(points))
            stated = {size_of((each['original_width'], each['original_height'])) for each in points}
            if len(stated) > 1: raise ValueError(f'several sizes of one image: {sorted(stated)}')
            film = Film(name, where, images.size(where, name, *stated))
            for each in points: _add(film, each)
        films.append(film)
    return Reading(films, names_in(films))


def _url_of(data, where):
    "The address of the image: `image`, else the one text that looks like a file."
    if isinstance(data.get('image'), str): return data['image']
    found = [text for text in data.values() if isinstance(text, str) and re.search(r'\.\w{1,5}(\?.*)?$', text)]
    if len(found) == 1: return found[0]
    raise UsageError(f'{where}: {len(found)} of the data could be the image, expected it under image')


def _names(url):
    "What the image may be called: what is uploaded gets eight letters and a dash in front."
    parts = urlsplit(url)
    local = parse_qs(parts.query).get('d')
    if local: return local
    path = unquote(parts.path)
    last = PurePosixPath(path).name
    return [re.sub('^[0-9a-f]{8}-', '', last), last] if '/upload/' in path else [path]


def _regions(task, name, notes):
    "What was drawn in the annotation that counts."
    there = [each for each in task['annotations'] if not each.get('was_cancelled')]
    there.sort(key=lambda each: (bool(each.get('ground_truth')), str(each.get('updated_at', ''))))
    if len(there) > 1:
        notes.add('further annotation', 'left out, the ground truth or else the latest counts', name, len(there) - 1)
    return [each for each in there[-1]['result'] if 'value' in each] if there else []


def _add(film, region):
    if region.get('image_rotation'): raise ValueError(f'an image turned by {region["image_rotation"]} degrees')
    x, y = point_of((region['value']['x'], region['value']['y']))
    label, = region['value'][KIND]
    film.add(label, (x / 100 * film.size[0], y / 100 * film.size[1]))


def write(films: list[Film], names: list[str], target: Path, notes: Notes) -> str:
    "Tasks to import, whose images lie in a folder that Label Studio serves."
    tasks = [{'id': i, 'data': {'image': LOCAL + quote(film.name)},
              'annotations': [{'result': [_region(film, name) for name in names if name in film.marks]}]}
             for i, film in enumerate(films, 1)]
    return json.dumps(tasks, ensure_ascii=False)


def _region(film, name):
    (x, y), (width, height) = film.marks[name], film.size
    place = {'x': round(x / width * 100, DECIMALS), 'y': round(y / height * 100, DECIMALS)}
    return {'original_width': width, 'original_height': height, 'image_rotation': 0,
            'value': place | {'width': DOT, KIND: [name]}, 'from_name': 'landmarks', 'to_name': 'image',
            'type': KIND, 'origin': 'manual'}
