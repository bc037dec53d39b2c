"A canvas on which body parts add up what they absorb of X-rays, and the shapes that are drawn on it, in mm."

from collections.abc import Iterable, Sequence
from copy import copy

import cv2
import numpy as np

MARGIN = 12.  # mm around a body part, beyond the blur of its lines
STEPS = 6  # of a curve from point to point
SHARPER = 2  # outlines are filled this much finer than the canvas: half pixels keep cortical edges smooth


class Canvas:
    """Attenuation summed over body parts in a `layer` (H, W); `affine` (2, 3) takes body mm to pixel indices.

    `detail` is how many times as fine a film is as one of the usual size, where it is 1: so much crisper are its edges.
    """

    def __init__(self, shape: tuple[int, int], affine: np.ndarray, detail: float = 1.):
        self.affine = affine
        self.detail = detail
        self.mm = float(np.linalg.det(affine[:, :2])) ** -0.5  # of a pixel
        self.layer = np.zeros(shape, np.float32)
        back = cv2.invertAffineTransform(affine).astype(np.float32)
        y, x = np.indices(shape, np.float32)
        self.x, self.y = (row[0] * x + row[1] * y + row[2] for row in back)  # body mm of each pixel

    def around(self, *outlines: np.ndarray) -> 'Canvas':
        "The part of this canvas that `outlines` lie on; what is drawn on it is drawn on this canvas."
        if self.detail == 1: return self  # all of it: a blur rounds otherwise where its window begins elsewhere
        points, (height, width) = self.place(np.concatenate(outlines)), self.layer.shape
        reach = MARGIN / self.mm
        left, top = np.clip(np.floor(points.min(0) - reach).astype(int), 0, (width - 1, height - 1))
        right, bottom = np.maximum(np.ceil(points.max(0) + reach).astype(int), (left + 1, top + 1))
        part = copy(self)
        part.affine = self.affine - [(0, 0, left), (0, 0, top)]
        part.layer, part.x, part.y = (each[top:bottom, left:right] for each in (self.layer, self.x, self.y))
        return part

    def place(self, points: np.ndarray) -> np.ndarray:
        "`points` (..., 2) in body mm as pixel indices."
        return points @ self.affine[:, :2].T + self.affine[:, 2]

    def depth(self, outlines: Iterable[np.ndarray], holes: Iterable[np.ndarray] = ()) -> np.ndarray:
        "How many mm each pixel lies inside the union of closed `outlines` less `holes`."
        height, width = self.layer.shape
        fine = np.zeros((height * SHARPER, width * SHARPER), np.uint8)
        for parts, value in ((outlines, 1), (holes, 0)):
            for part in parts:  # + 0.5 and - 0.5: pixel indices name pixel centres, also on the finer grid
                points = (self.place(self.curve(part)) + 0.5) * SHARPER - 0.5
                cv2.fillPoly(fine, [_sixteenths(points)], value, shift=4)
        depth = cv2.distanceTransform(fine, cv2.DIST_L2, 3)
        return cv2.resize(depth, (width, height), interpolation=cv2.INTER_AREA) * (self.mm / SHARPER)

    def curve(self, points: np.ndarray, closed: bool = True) -> np.ndarray:
        "The `spline` through `points`, in steps as fine as the film."
        return spline(points, closed, STEPS * round(self.detail))

    def strokes(self, lines: Iterable[np.ndarray], width: float) -> np.ndarray:
        "Soft lines about `width` mm wide, 1 in their middle."
        return self._lines(lines, width, width / 3)

    def borders(self, lines: Iterable[np.ndarray], width: float) -> np.ndarray:
        "As `strokes`, of cortical bone seen end on: thinner and crisper on a finer film."
        return self._lines(lines, width / self.detail ** 0.5, width / 3 / self.detail)

    def _lines(self, lines: Iterable[np.ndarray], width: float, softness: float) -> np.ndarray:
        drawn = np.zeros(self.layer.shape, np.uint8)
        thickness = max(1, round(width / self.mm))
        for line in lines:
            points = _sixteenths(self.place(self.curve(line, closed=False)))
            cv2.polylines(drawn, [points], False, 255, thickness, cv2.LINE_AA, shift=4)
        return self.blur(drawn.astype(np.float32) / 255, softness)

    def ellipsoid(self, centre: Sequence[float], axes: np.ndarray) -> np.ndarray:
        "Thickness, 1 in the middle, of an ellipsoid whose half axes in mm are the columns of `axes` (2, 2)."
        inverse = np.linalg.inv(axes).astype(np.float32)
        x, y = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        square = (inverse[0, 0] * x + inverse[0, 1] * y) ** 2 + (inverse[1, 0] * x + inverse[1, 1] * y) ** 2
        return np.sqrt(np.maximum(1 - square, 0))

    def blur(self, layer: np.ndarray, mm: float) -> np.ndarray:
        "`layer` (H, W) under a Gaussian with a standard deviation of `mm`; a wide one on a fine film in larger pixels."
        sigma = max(mm / self.mm, 0.3)
        larger = min(int(self.detail), int(sigma / 4))
        if larger < 2: return cv2.GaussianBlur(layer, (0, 0), sigma)
        height, width = layer.shape
        small = cv2.resize(layer, (-(-width // larger), -(-height // larger)), interpolation=cv2.INTER_AREA)
        return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / larger), (width, height))


def _sixteenths(points: np.ndarray) -> np.ndarray:
    "`points` as cv2 takes them with `shift=4`."
    return np.rint(points * 16).astype(np.int32)


def draw_strokes(image: np.ndarray, line: np.ndarray, grey: int, thickness: int):
    "Draw the straight `line` (n, 2), in px, onto `image`."
    cv2.polylines(image, [_sixteenths(line)], False, grey, thickness, cv2.LINE_AA, shift=4)


# --- shapes

def spline(points: np.ndarray, closed: bool, steps: int) -> np.ndarray:
    "A Catmull-Rom curve (n, 2) through `points`, with a corner at one that is written three times."
    same = np.isclose(points, np.roll(points, 1, 0)).all(1)
    corners = np.flatnonzero(same & np.roll(same, -1))
    if len(corners) and closed: return spline(np.roll(points, -corners[0] - 1, 0)[:-1], False, steps)
    if len(corners):
        first, *others = np.split(points, corners)
        return np.concatenate([spline(arc, False, steps) for arc in (first, *(other[1:] for other in others))])
    padded = np.pad(points, ((1, 2 if closed else 1), (0, 0)), 'wrap' if closed else 'edge')
    a, b, c, d = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.arange(steps)[:, None, None] / steps
    curve = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return curve.transpose(1, 0, 2).reshape(-1, 2)


def both_halves(points: np.ndarray) -> np.ndarray:
    "The outline of which `points` are one half, from midline to midline."
    return np.concatenate([points, points[::-1] * (-1, 1)])


def circle(corners: int = 12) -> np.ndarray:
    "Points (corners, 2) on a circle of radius 1."
    angle = np.arange(corners)[:, None] * 2 * np.pi / corners
    return np.hstack([np.cos(angle), np.sin(angle)])


def turn(degrees: float) -> np.ndarray:
    "The matrix (2, 2) of a rotation."
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([(c, -s), (s, c)])


# --- layers

def ramp(values: np.ndarray, start: float, stop: float) -> np.ndarray:
    "0 where `values` are below `start`, 1 above `stop`, smooth in between."
    t = np.clip((values - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def chord(depth: np.ndarray, radius: float) -> np.ndarray:
    "Length of a ray through a cylinder of `radius` that enters its shadow `depth` below the edge; flat past the axis."
    depth = np.clip(depth, 0, radius)
    return 2 * np.sqrt(depth * (2 * radius - depth))


def tube(depth: np.ndarray, radius: float, wall: float | np.ndarray, hard: float,
         marrow: float | np.ndarray) -> np.ndarray:
    "Attenuation of a tube: per mm `hard` in its `wall` (mm), `marrow` inside. The wall's rim is what shines."
    inside = chord(depth - wall, radius - wall)
    return hard * (chord(depth, radius) - inside) + marrow * inside


def clouds(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    "Smooth noise about 1 strong, with blobs of about `grain` pixels."
    coarse = rng.standard_normal([int(n / grain) + 4 for n in shape]).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def mesh(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    "Thin lines, 1 in their middle, that part and meet about every `grain` pixels, as trabeculae do."
    return np.exp(-(3 * clouds(rng, shape, grain)) ** 2)
