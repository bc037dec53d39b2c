"Whether a bundle finds what PyTorch finds: on real images when it is exported, and on squares that go with it."

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..data.items import make_frame
from ..inference.bundle import Check
from ..inference.engine import Engine
from ..inference.predictor import Prediction, Predictor

EXACT = 0.01   # network px that a point of float32 may move
N_CHECK = 4    # squares of a check, of each kind
COARSE = 8     # px of the side of the noise that is enlarged to one of them: shades, without an edge


@dataclass
class Parity:
    "How far points of a bundle are from those of PyTorch, network px; of points that both see."
    n_images: int
    n_points: int
    exact: float  # share within `EXACT`
    mean: float
    most: float
    error: float  # the largest difference of expected errors
    states: float  # share of landmarks that both see, or both call absent

    def __str__(self):
        return (f'{self.n_points} points of {self.n_images} images: {self.exact:.2%} within {EXACT} network px of '
                f"PyTorch's, {self.mean:.4f} in the mean, {self.most:.3f} at most")


def compare(expected: Prediction, bundle: Predictor, images: Sequence[Path]) -> Parity:
    "How far the points of `bundle` on `images` are from the `expected` ones, of PyTorch."
    found = bundle.predict(images)
    scale = (bundle.config.image_resize / expected.size.max(-1))[:, None]  # network px per original px
    apart = np.linalg.norm(found.points - expected.points, axis=-1) * scale
    errors = np.abs(found.expected_error - expected.expected_error) * scale
    both = np.isfinite(apart)
    apart = apart[both]
    if not len(apart): apart = errors = np.zeros(1)
    return Parity(len(images), int(both.sum()), float((apart <= EXACT).mean()), float(apart.mean()),
                  float(apart.max()), float(np.nanmax(errors)), float((found.state == expected.state).mean()))


def make_check(reference: Engine, engine: Engine, side: int, n_channels: int, n_landmarks: int, of_crops: bool,
               exact: bool) -> Check:
    """Squares of shades, which are of no patient, and where `engine` has found points on them.

    With `exact`, those points are left out that `reference` has found elsewhere: of two peaks of one height.
    """
    rng = np.random.default_rng(0)
    squares = np.stack([shades(rng, side, n_channels) for _ in range(N_CHECK)])
    frames = np.stack([make_frame((side, side), (np.nan, np.nan), side).row()] * N_CHECK)
    landmarks = np.arange(N_CHECK) % n_landmarks if of_crops else np.arange(0)
    check = Check(squares, frames, landmarks, np.empty(0))
    points = check.run(engine).points
    if exact:
        apart = np.linalg.norm(points - check.run(reference).points, axis=-1, keepdims=True)
        points = np.where(apart <= EXACT, points, np.nan)
    return check._replace(points=points)


def shades(rng: np.random.Generator, side: int, n_channels: int) -> np.ndarray:
    "A picture (C, S, S) uint8 of soft shades."
    coarse = rng.integers(0, 256, (n_channels, COARSE, COARSE), np.uint8)
    return np.stack([cv2.resize(each, (side, side), interpolation=cv2.INTER_CUBIC) for each in coarse])
