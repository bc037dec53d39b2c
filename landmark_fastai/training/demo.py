"The `demo` command: sample images, a short training, and held-out images to look at."

from itertools import count
from pathlib import Path

import numpy as np

from ..config import DemoConfig
from ..data.items import AnnotatedImage, annotated_images
from ..data.sample import sample, write_sample
from ..flags import takes
from ..formats.annotations import read_annotations
from ..formats.dataset import check_images
from ..formats.images import read_image
from ..geometry.frame import to_network, to_original
from ..inference.loading import load
from ..viz.overlays import contact_sheet, draw_landmarks, write_png
from .train import train

DEMO = dict(image_resize=128, epochs=30)  # minutes on two cores
HELD_OUT = dict(n_images=12, seed=43)  # drawn apart from those of the training
SHOWN = 6  # held-out images on the sheet


@takes(DemoConfig)
def demo(config: DemoConfig) -> tuple[float, float]:
    """Sample data, a short training, and a sheet of held-out images, in the next free folder.

    The held-out images take no part in the training, nor in choosing the best epoch. Returns the mean error on them and
    that of predicting the mean position, in original px.
    """
    folder = free_folder(Path(config.output_dir), 'demo')
    csv_file = sample(output_dir=folder / 'data')
    learn = train(train_image_dir=folder / 'data' / 'train_images', label_dir=csv_file.parent,
                  train_csv_file=csv_file.name, output_dir=folder, experiment_name='run', **DEMO)
    held_out = folder / 'held_out'
    images = read_annotated(write_sample(held_out, **HELD_OUT), held_out / 'train_images')
    points = load(folder / 'run').predict([image.path for image in images]).points
    error = mean_error(points, images)
    baseline = mean_error(mean_positions(learn.dls.train_ds.items, images), images)
    picture = folder / 'held_out.png'
    write_png(picture, sheet(images[:SHOWN], points[:SHOWN], learn.dls.annotations.names))
    print(f'{len(images)} held-out images: mean error {error:.2f} px; predicting the mean position: {baseline:.1f} px, '
          f'{baseline / error:.0f} times as far; pictures: {picture}')
    return error, baseline


def free_folder(parent: Path, name: str) -> Path:
    "The first of `name`, `name_2`, `name_3`... that is not in `parent`."
    return next(path for k in count(1) if not (path := parent / (name if k == 1 else f'{name}_{k}')).exists())


def read_annotated(csv_file: Path, image_dir: Path) -> list[AnnotatedImage]:
    "The images that `csv_file` annotates, checked."
    return annotated_images(*check_images(read_annotations(csv_file), image_dir), DEMO['image_resize'])


def mean_error(points: list[np.ndarray], images: list[AnnotatedImage]) -> float:
    "Mean radial error of `points`, (N, 2) in original px for each of `images`."
    errors = [np.linalg.norm(found - image.points, axis=1) for found, image in zip(points, images, strict=True)]
    return float(np.nanmean(errors))


def mean_positions(train_images: list[AnnotatedImage], images: list[AnnotatedImage]) -> list[np.ndarray]:
    "The landmarks of each of `images` (original px) if they lay where they lie on average on the training squares."
    mean = np.nanmean([to_network(image.points, image.frame) for image in train_images], axis=0)
    return [to_original(mean, image.frame) for image in images]


def sheet(images: list[AnnotatedImage], points: list[np.ndarray], names: list[str]) -> np.ndarray:
    "A contact sheet of `images` with true and predicted landmarks, on the images as they are."
    pictures = [draw_landmarks(read_image(image.path), image.points, found, names, 'errors in original px')
                for image, found in zip(images, points, strict=True)]
    return contact_sheet(pictures, [image.name for image in images], columns=2)
