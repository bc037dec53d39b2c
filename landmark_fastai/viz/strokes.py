"Lines, arcs and values on images: thin, so that the anatomy under them stays to be seen."

from typing import NamedTuple

import cv2
import numpy as np

from .overlays import draw_markers
from .panel import draw_panel
from .text import BLACK, GAP, ROW, TEXT, text_width, write_texts

COLOURS = ((255, 215, 0), (0, 225, 255), (255, 120, 255), (130, 255, 90), (255, 150, 40), (255, 95, 95),
           (120, 170, 255), (255, 255, 255))  # bright ones: films are dark
SHIFT = 4       # bits after the binary point of cv2's coordinates
DASH, HOLE = 6, 5  # px
FARTHEST = 30000   # px beyond which lines are not followed: cv2 takes them as 32-bit numbers
DOT = 2         # radius of an end of a line, px
NEAR, FAR = 6, 30  # distances from its place at which a value may stand, px
UNDER = 6          # px that a value rather stands farther away than on a point of a line


class Stroke(NamedTuple):
    "A path."
    points: np.ndarray  # (k, 2) px of the image, (0, 0) the centre of its top-left pixel
    colour: int         # number of it in `COLOURS`, from which it starts again
    dashed: bool = False
    ends: bool = False  # whether both ends are marked


class Label(NamedTuple):
    "A text beside a place."
    place: np.ndarray  # (2,) px of the image
    text: str
    colour: int


def draw_strokes(image: np.ndarray, strokes: list[Stroke], labels: list[Label], names: list[str], notes: list[str],
                 heading: str) -> np.ndarray:
    """Draw `strokes` and `labels` on `image`, and a list of `names` and `notes` under `heading` on its right.

    `image` is uint8 (H, W) or (H, W, 3) RGB. Returns RGB uint8, sized as by `draw_markers`.
    """
    nothing = np.empty((0, 2))
    picture = draw_markers(image, nothing, nothing)
    ratio = np.divide(picture.shape[1::-1], image.shape[1::-1])
    strokes = [stroke._replace(points=_shown(stroke.points, ratio)) for stroke in strokes]
    for stroke in strokes: _draw(picture, stroke)
    labels = [label._replace(place=_shown(label.place, ratio)) for label in labels]
    picture = _write(picture, _placed(labels, strokes, picture.shape))
    return np.hstack([picture, draw_panel(len(picture), names, notes, {}, heading)])


def _shown(points, ratio): return (np.asarray(points, float) + 0.5) * ratio - 0.5


def _draw(picture, stroke):
    colour = COLOURS[stroke.colour % len(COLOURS)]
    for part in _dashes(stroke.points) if stroke.dashed else [stroke.points]:
        cv2.polylines(picture, [_fixed(part)], False, colour, 1, cv2.LINE_AA, SHIFT)
    for end in stroke.points[[0, -1]] if stroke.ends else []:
        cv2.circle(picture, _fixed(end).tolist(), DOT << SHIFT, colour, -1, cv2.LINE_AA, SHIFT)


def _fixed(points):
    "`points` as cv2 takes them with `SHIFT`."
    return np.rint(points.clip(-FARTHEST, FARTHEST) * (1 << SHIFT)).astype(np.int32)


def _dashes(points):
    "The path of two `points` in pieces."
    start, end = points.clip(-FARTHEST, FARTHEST)
    length = max(np.linalg.norm(end - start), 1e-9)
    way = (end - start) / length
    return [np.stack([start + way * begin, start + way * min(begin + DASH, length)])
            for begin in np.arange(0, length, DASH + HOLE)]


def _placed(labels, strokes, shape):
    "Each label with the middle of its text where it hides least: other labels, then lines, inside the picture."
    lines = np.concatenate([_dotted(stroke.points) for stroke in strokes] or [np.empty((0, 2))])
    taken, placed = [], []
    for label in labels:
        half = np.array([text_width(label.text) / 2 + 2, ROW / 2])
        spots = np.array([label.place + np.multiply(way, half + reach) for reach in (NEAR, FAR)
                          for way in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))])
        spots = spots.clip(half, np.maximum(np.array(shape[1::-1]) - half, half))
        hidden = [sum(np.prod(np.clip(half + other - abs(spot - at), 0, None)) for at, other in taken)
                  + UNDER * (abs(lines - spot) < half).all(-1).sum()
                  + np.linalg.norm((abs(spot - label.place) - half).clip(0))
                  for spot in spots]
        spot = spots[int(np.argmin(hidden))]
        taken.append((spot, half))
        placed.append(label._replace(place=spot))
    return placed


def _dotted(points):
    "Points every few px along a path."
    pieces = [np.linspace(a, b, max(2, min(1000, int(np.linalg.norm(b - a) / GAP))))
              for a, b in zip(points[:-1], points[1:], strict=True)]
    return np.concatenate(pieces)


def _write(picture, labels):
    for colour in {label.colour % len(COLOURS) for label in labels}:
        texts = [(label.place, 'mm', label.text) for label in labels if label.colour % len(COLOURS) == colour]
        picture = write_texts(picture, texts, TEXT, fill=COLOURS[colour], stroke_width=2, stroke_fill=BLACK)
    return picture
