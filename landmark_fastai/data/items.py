"The items of a data set: annotated images, and where each lies on the square of the network."

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..formats.annotations import Annotations
from ..formats.images import image_size, square_padding
from ..geometry.frame import Frame


@dataclass(frozen=True)
class AnnotatedImage:
    "One annotated image: where it is, what is known of its landmarks, and where it lies on the square."
    path: Path
    name: str           # as in the CSV
    points: np.ndarray  # (N, 2) original px, NaN unless visible
    state: np.ndarray   # (N,) visible, absent or unlabelled
    frame: Frame        # of float32 arrays
    side: int           # of that square, network px


def make_frame(size: tuple[int, int], spacing: tuple[float, float], image_resize: int) -> Frame:
    """The frame of an image that is padded to a square and resized to the side `image_resize`, as float32 arrays.

    `size` is its width and height in px, `spacing` mm per px in x and in y, NaN where unknown.
    """
    left, top, side = square_padding(*(int(n) for n in size))
    fields = Frame(size, padding=(left, top), scale=[image_resize / side], spacing=spacing)
    return Frame(*(np.array(values, np.float32) for values in fields))


def annotated_images(annotations: Annotations, paths: list[Path], image_resize: int) -> list[AnnotatedImage]:
    "One `AnnotatedImage` an image of `annotations`, whose files are `paths`."
    frames = [make_frame(size, spacing, image_resize)
              for size, spacing in zip(annotations.sizes, annotations.spacing, strict=True)]
    columns = paths, annotations.image_names, annotations.points, annotations.state, frames
    return [AnnotatedImage(*image, side=image_resize) for image in zip(*columns, strict=True)]


def image_frame(item: Path | str | np.ndarray, image_resize: int) -> Frame:
    "The frame of the image at a path (its header is read) or of an array; its pixel spacing is not known."
    size = item.shape[1::-1] if isinstance(item, np.ndarray) else image_size(item)[0]
    return make_frame(size, (np.nan, np.nan), image_resize)
