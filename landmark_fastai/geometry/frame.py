"""The delicate maths, in pure torch: pixel rule, diamond masks, erosion stairs, decoding, distances.

Coordinates are pixel indices, x right and y down: (0, 0) is the centre of the top-left pixel. An index `i` enters
continuous space as `i + 0.5` and leaves as `x - 0.5`. Three spaces occur:

- original px: the image file as it is looked at (EXIF rotation applied);
- network px: the black-padded square of side S that the network sees;
- unit: the same square as [-1, 1], where `grid_sample(align_corners=False)` and fastai's affine transforms live.

A *frame* ties them together, a row of seven numbers per image:
width, height, left, top (original px), scale (network px per original px), mm per px in x and in y (NaN if unknown).
"""




def to_network(points, frame):
    "Map `points` (..., 2) from original px to network px by `frame` (7,) or (..., 7)."
    return (points + 0.5 + frame[..., 2:4]) * frame[..., 4:5] - 0.5


def to_original(points, frame):
    "Map `points` (..., 2) from network px to original px by `frame` (7,) or (..., 7): the inverse of `to_network`."
    return (points + 0.5) / frame[..., 4:5] - 0.5 - frame[..., 2:4]


def to_unit(points, size):
    "Map `points` from network px of a square of side `size` to [-1, 1]."
    return (points + 0.5) * (2 / size) - 1


def from_unit(points, size):
    "Map `points` from [-1, 1] to network px of a square of side `size`: the inverse of `to_unit`."
    return (points + 1) * (size / 2) - 0.5


def inside(points, size):
    "Which of `points` (..., 2) in network px round to a pixel of the square of side `size`; NaN does not."
    return ((points >= -0.5) & (points < size - 0.5)).all(-1)
