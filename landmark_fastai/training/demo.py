"The `demo` command: sample images, a short training, and held-out images to look at."

from itertools import count
from pathlib import Path

import numpy as np
import torch

from ..config import DemoConfig, SampleConfig
from ..data.items import annotated_images
from ..data.sample import write_sample
from ..flags import takes
from ..formats.annotations import read_annotations
from ..formats.dataset import check_images
from ..formats.images import read_image
from ..geometry.frame import to_network, to_original
from ..inference.loading import load
from ..model.weights import LITE0
from ..processes import check_single_process
from ..viz.overlays import contact_sheet, draw_landmarks, write_png
from .train import train

DEMO = dict(image_resize=128, epochs=30, encoder_name=LITE0)


@takes(SampleConfig)
def sample(config: SampleConfig) -> Path:
    "Write synthetic radiographs where `train` looks for them by default; returns the path of the CSV."
    csv_file = write_sample(config.output_dir, config.n_images, config.seed)
    print(f'{config.n_images} synthetic radiographs and their landmarks: {csv_file}')
    return csv_file


@takes(DemoConfig)
def demo(config: DemoConfig) -> tuple[float, float]:
    """Sample data, a short training with a small encoder, and a sheet of held-out images, in the next free folder.

    The held-out images are drawn apart and take no part in the training, nor in choosing the best epoch. Returns the
    mean error on them and that of predicting the mean position, in original px.
    """
    check_single_process('demo')
    folder = free_folder(Path(config.output_dir), 'demo')
    csv_file = sample(output_dir=folder / 'data')
    learn = train(train_image_dir=folder / 'data' / 'train_images', label_dir=csv_file.parent,
                  train_csv_file=csv_file.name, output_dir=folder, experiment_name='run', **DEMO)
    images = read_annotated(write_sample(folder / 'held_out', n_images=12, seed=43), folder / 'held_out' / 'train_images')
    points = load(folder / 'run').predict([image.path for image in images]).points
    error, baseline = mean_error(points, images), mean_error(mean_positions(learn.dls.train_ds.items, images), images)
    write_png(folder / 'held_out.png', sheet(images[:6], points[:6], learn.dls.annotations.names))
    print(f'{len(images)} held-out images: mean error {error:.2f} px; predicting the mean position: {baseline:.1f} px, '
          f"{baseline / error:.0f} times as far; pictures: {folder / 'held_out.png'}")
    return error, baseline


def free_folder(parent, name):
    "The first of `name`, `name_2`, `name_3`... that is not in `parent`."
    return next(path for k in count(1) if not (path := parent / (name if k == 1 else f'{name}_{k}')).exists())


def read_annotated(csv_file, image_dir):
    "The images that `csv_file` annotates, checked."
    return annotated_images(*check_images(read_annotations(csv_file), image_dir), DEMO['image_resize'])


def mean_error(points, images):
    "Mean radial error of `points`, (N, 2) in original px for each of `images`."
    return float(np.nanmean([np.linalg.norm(p - image.points, axis=1) for p, image in zip(points, images, strict=True)]))


def mean_positions(train_images, images):
    "The landmarks of each of `images` (original px) if they lay where they lie on average on the training squares."
    mean = torch.stack([to_network(*as_tensors(image)) for image in train_images]).nanmean(0)
    return [to_original(mean, as_tensors(image)[1]).numpy() for image in images]


def as_tensors(image):
    "The points (N, 2) and the frame (7,) of `image`."
    return torch.from_numpy(image.points).float(), torch.from_numpy(image.frame)


def sheet(images, points, names):
    "A contact sheet of `images` with true and predicted landmarks, on the images as they are."
    pictures = [draw_landmarks(read_image(image.path), image.points, p, names, 'errors in original px')
                for image, p in zip(images, points, strict=True)]
    return contact_sheet(pictures, [image.name for image in images], columns=2)
