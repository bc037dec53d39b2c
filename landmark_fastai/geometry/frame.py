"""Where an image lies on the square that the network sees: its frame, and points taken from one space to another.

Coordinates are pixel indices, x right and y down: (0, 0) is the centre of the top-left pixel. An index `i` enters
continuous space as `i + 0.5` and leaves as `x - 0.5`. Three spaces occur:

- original px: the image file as it is looked at (EXIF rotation applied);
- network px: the black-padded square of side S that the network sees;
- unit: the same square as [-1, 1], where `grid_sample(align_corners=False)` and fastai's affine transforms live.

Everything here is plain arithmetic, on NumPy arrays and on tensors alike.
"""

from typing import NamedTuple, TypeVar

import numpy as np

Array = TypeVar('Array')  # a NumPy array or a tensor


class Frame(NamedTuple):
    """Where an image lies on the square of the network, and how large its pixels are.

    Arrays or tensors, whose leading axes broadcast against those of points. Items hold a `Frame`; a batch holds a row
    of 7 numbers an image, the fields one after the other (see `row` and `of`).
    """
    size: Array     # (..., 2) width and height of the original image, px
    padding: Array  # (..., 2) black columns on its left and rows above it, original px
    scale: Array    # (..., 1) network px per original px
    spacing: Array  # (..., 2) mm per original px in x and in y, NaN where unknown

    @classmethod
    def of(cls, row: Array) -> 'Frame':
        "The frame, or frames, in the last axis of `row` (..., 7)."
        return cls(row[..., :2], row[..., 2:4], row[..., 4:5], row[..., 5:])

    def row(self) -> np.ndarray:
        "The frame of one image, of NumPy arrays, as (7,): what a batch can hold."
        return np.concatenate(self)


def to_network(points: Array, frame: Frame) -> Array:
    "Map `points` (..., 2) from original px to network px."
    return (points + 0.5 + frame.padding) * frame.scale - 0.5


def to_original(points: Array, frame: Frame) -> Array:
    "Map `points` (..., 2) from network px to original px: the inverse of `to_network`."
    return (points + 0.5) / frame.scale - 0.5 - frame.padding


def cut(frame: Frame, corner: Array) -> Frame:
    "The frame of the image on a piece of the square of `frame` that begins at `corner` (..., 2), px of that square."
    return frame._replace(padding=frame.padding - corner / frame.scale)


def to_unit(points: Array, size: int) -> Array:
    "Map `points` from network px of a square of side `size` to [-1, 1]."
    return (points + 0.5) * (2 / size) - 1


def from_unit(points: Array, size: int) -> Array:
    "Map `points` from [-1, 1] to network px of a square of side `size`: the inverse of `to_unit`."
    return (points + 1) * (size / 2) - 0.5


def inside(points: Array, size: int) -> Array:
    "Which of `points` (..., 2) in network px round to a pixel of the square of side `size`; NaN does not."
    return ((points >= -0.5) & (points < size - 0.5)).all(-1)
