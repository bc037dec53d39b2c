"A synthetic set of AP pelvis radiographs, labelled with the centres of both femoral heads, to try the toolkit on."

import csv
from pathlib import Path

import cv2
import numpy as np

from ..errors import UsageError
from ..files import atomic
from .radiograph import LANDMARKS, _radiograph


def _check_count(name, value, least):
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f'{name} is {value!r}, expected a whole number of at least {least}')


def _check_free(root, csv_path, image_dir):
    for path in (root, csv_path.parent, csv_path, image_dir):
        if path.is_file() or path == image_dir and path.is_dir() and any(path.iterdir()):
            raise UsageError(f'{path} is there already and nothing is overwritten; pass another --output_dir')


def _write_csv(path, rows):
    header = ['image_name', 'image_width', 'image_height', 'n_landmarks',
              *(f'{name}_{axis}' for name in LANDMARKS for axis in 'xy'), 'pixel_spacing']
    with atomic(path) as temporary, open(temporary, 'w', newline='', encoding='utf-8') as f:
        csv.writer(f, lineterminator='\n').writerows([header, *rows])


def write_sample(
    output_dir='data', # gets train_images/hip_001.png … and labels/train_annotation.csv
    n_images=60, # at least 2, so that one can be held out
    seed=42, # image k depends on the seed and on k alone
):
    """Write `n_images` synthetic pelvis films and their annotation CSV to `output_dir`, and return the CSV's path.

    The landmarks are the centres of the femoral heads in pixel indices, `pixel_spacing` is mm per pixel. The CSV comes
    last: a run that was killed leaves none. Raises UsageError before anything is written if an argument is off, or if
    the CSV or any image is there already.
    """
    _check_count('n_images', n_images, 2)
    _check_count('seed', seed, 0)
    root = Path(output_dir)
    csv_path, image_dir = root / 'labels' / 'train_annotation.csv', root / 'train_images'
    _check_free(root, csv_path, image_dir)
    rows = []
    for k in range(1, n_images + 1):
        image, points, spacing = _radiograph(np.random.default_rng([seed, k]))
        name, (height, width) = f'hip_{k:03d}.png', image.shape
        with atomic(image_dir / name) as temporary: temporary.write_bytes(cv2.imencode('.png', image)[1].tobytes())
        coordinates = [f'{value:.2f}' for point in points.values() for value in point]
        rows.append([name, width, height, len(points), *coordinates, f'{spacing:.4f}'])
    _write_csv(csv_path, rows)
    return csv_path
