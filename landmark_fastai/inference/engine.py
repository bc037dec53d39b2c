"What runs a trained network, or several: PyTorch, or one of the engines of a bundle. No torch here."

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

MOST = 32  # images that go through the network together: those that wait are in memory at full size


class Decoded(NamedTuple):
    "What the heatmaps of B squares say, in network px."
    points: np.ndarray   # (B, N, 2) float32; those of absent landmarks mean nothing
    scatter: np.ndarray  # (B, N) float32: of the heatmap around the point, see `geometry.decoding`; NaN where absent
    spread: np.ndarray   # (B, N) float32: of the points of several models
    absent: np.ndarray   # (B, N) bool
    # of the P highest peaks of each heatmap, the first of which gives the point; None where the shape is not known
    peaks: np.ndarray | None = None         # (B, N, P, 2) float32
    heights: np.ndarray | None = None       # (B, N, P) float32: the logit
    peak_scatter: np.ndarray | None = None  # (B, N, P) float32: of the heatmap around each


class Engine(Protocol):
    "Networks with what is before and after them."
    name: str        # of `predict_config.ENGINES`
    batch_size: int  # squares that fill it

    def decode(self, squares: np.ndarray, frames: np.ndarray, landmarks: Sequence[int] | None = None,
               tta: bool = False) -> Decoded:
        """What the networks find on `squares` (B, C, S, S) uint8 with `frames` (B, 7) float32, see `Frame`.

        With `landmarks` (B,) only that one on each square, so that N is 1. `tta` averages over views.
        """


def fitting(image_resize: int) -> int:
    "Images of a side that go through a network together: 8 at 512 px, more if smaller."
    return min(max(8 * 512 ** 2 // image_resize ** 2, 1), MOST)
