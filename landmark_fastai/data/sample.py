"The `sample` command: synthetic radiographs and their annotation CSV, to try the toolkit on. No torch here."

import csv
from pathlib import Path

import cv2
import numpy as np

from ..config import SampleConfig
from ..errors import UsageError
from ..files import atomic
from ..flags import check_values, takes
from .radiograph import draw_radiograph


@takes(SampleConfig)
def sample(config: SampleConfig) -> Path:
    "Write synthetic radiographs where `train` looks for them by default; returns the path of the CSV."
    csv_file = write_sample(config.output_dir, config.n_images, config.seed, config.image_size, config.landmarks)
    print(f'{config.n_images} synthetic radiographs of up to {config.image_size} px with {config.landmarks} landmarks: '
          f'{csv_file}')
    return csv_file


def write_sample(
    output_dir: str | Path = SampleConfig.output_dir,  # gets train_images/hip_001.png … and labels/train_annotation.csv
    n_images: int = SampleConfig.n_images,  # at least 2, so that one can be held out
    seed: int = SampleConfig.seed,  # image k depends on the seed, on k and on what follows alone
    image_size: int = SampleConfig.image_size,  # px, the longer side of the largest
    landmarks: str = SampleConfig.landmarks,  # '2' or 'all'
) -> Path:
    """Write `n_images` synthetic pelvis radiographs and their annotation CSV to `output_dir`; returns the CSV's path.

    The landmarks are the centres of the femoral heads, or all that `anatomy.landmarks` knows, in pixel indices;
    `pixel_spacing` is mm per pixel. The CSV comes last: a run that was killed leaves none. Raises UsageError before
    anything is written if an argument is off, or if the CSV or any image is there already.
    """
    check_values(SampleConfig, n_images=n_images, seed=seed, image_size=image_size, landmarks=landmarks)
    csv_file = Path(output_dir) / 'labels' / 'train_annotation.csv'
    image_dir = Path(output_dir) / 'train_images'
    _check_free(csv_file, image_dir)
    rows = []
    for k in range(1, n_images + 1):
        radiograph = draw_radiograph(np.random.default_rng([seed, k]), image_size, pointed=landmarks == 'all')
        name = f'hip_{k:03d}.png'
        with atomic(image_dir / name) as temporary:
            temporary.write_bytes(cv2.imencode('.png', radiograph.image)[1].tobytes())
        height, width = radiograph.image.shape
        coordinates = [f'{value:.2f}' for point in radiograph.points.values() for value in point]
        rows.append([name, width, height, len(radiograph.points), *coordinates, f'{radiograph.spacing:.4f}'])
    _write_csv(csv_file, list(radiograph.points), rows)
    return csv_file


def _check_free(csv_file: Path, image_dir: Path):
    "Raise UsageError if the CSV or an image is there already, or a file where a folder is to be."
    for path in (*csv_file.parents[:2], csv_file, image_dir):
        if path.is_file() or path == image_dir and path.is_dir() and any(path.iterdir()):
            raise UsageError(f'{path} is there already and nothing is overwritten; pass another --output_dir')


def _write_csv(path: Path, names: list[str], rows: list[list]):
    "Write `rows` under the header of an annotation CSV of the landmarks `names`, whole or not at all."
    header = ['image_name', 'image_width', 'image_height', 'n_landmarks',
              *(f'{name}_{axis}' for name in names for axis in 'xy'), 'pixel_spacing']
    with atomic(path) as temporary, open(temporary, 'w', newline='', encoding='utf-8') as f:
        csv.writer(f, lineterminator='\n').writerows([header, *rows])
