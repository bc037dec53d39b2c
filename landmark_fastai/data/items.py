"""From annotations to fastai DataLoaders: points travel through the transforms, masks are drawn last.

A batch is (image B x C x S x S, mask B x N x S x S, points B x N x 2 in network px, state B x N, frame B x 7,
radius B); `learn.yb` is all of it but the image. Batch transforms run where the batch is, on the device:
to float 10, augmentation 20 to 40 (see `augment`), masks 50, normalise 99.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..formats.images import image_size, square_padding


@dataclass(frozen=True)
class AnnotatedImage:
    "One annotated image: where it is, what is known of its landmarks, and its frame (see `geometry`)."
    path: Path
    name: str           # as in the CSV
    points: np.ndarray  # (N, 2) original px, NaN unless visible
    state: np.ndarray   # (N,) visible, absent or unlabelled
    frame: np.ndarray   # (7,)


def make_frame(size, spacing, image_resize):
    "The frame (7,) of an image of `size` (w, h) px and `spacing` (mm per px in x, y), padded and resized to a square."
    left, top, side = square_padding(*(int(n) for n in size))
    return np.array([*size, left, top, image_resize / side, *spacing], np.float32)


def annotated_images(annotations, paths, image_resize):
    "One `AnnotatedImage` an image of `annotations`, whose files are `paths`."
    frames = [make_frame(size, spacing, image_resize)
              for size, spacing in zip(annotations.sizes, annotations.spacing, strict=True)]
    columns = paths, annotations.image_names, annotations.points, annotations.state, frames
    return [AnnotatedImage(*image) for image in zip(*columns, strict=True)]


def image_frame(item, image_resize):
    "The frame (1, 7) of the image at a path (its header is read) or of an array, its pixel spacing unknown."
    size = item.shape[1::-1] if isinstance(item, np.ndarray) else image_size(item)[0]
    return torch.from_numpy(make_frame(size, (np.nan, np.nan), image_resize))[None]
