"How far points lie apart, and what is to be expected of it."

import torch
from torch import Tensor

from .frame import Array, Frame

NEAR = 0.04  # of the square's side: the expected error at which the confidence is a half


def confidence(expected_error: Array, size: int) -> Array:
    """Confidence, 0 to 1, for an expected error in network px on a square of side `size`.

    1 / (1 + error / (4 % of the side)): 0.8 where 1 % of the side is expected, 0.5 where 4 %. It ranks the landmarks
    of a model, and is no probability of being right.
    """
    return 1 / (1 + expected_error / (NEAR * size))


def spread(points: Tensor) -> Tensor:
    """How far apart (B, N) the `points` (M, B, N, 2) of M models lie, in their px: the standard deviation of the
    distance from their mean; NaN for one model."""
    return (points - points.mean(0)).square().sum((0, -1)).div(len(points) - 1).sqrt()


def radial_errors(pred: Tensor, true: Tensor, frames: Tensor) -> dict[str, Tensor]:
    """Distances (B, N) between `pred` and `true` (B, N, 2; network px) as a dict with the keys network, px and mm.

    Network px, original px, and mm per axis by the pixel spacing; NaN where a point is NaN or the spacing unknown.
    `frames` (B, 7), see `Frame`.
    """
    frame = Frame.of(frames[:, None])
    network = pred - true
    original = network / frame.scale
    offsets = {'network': network, 'px': original, 'mm': original * frame.spacing}
    return {unit: torch.linalg.vector_norm(offset, dim=-1) for unit, offset in offsets.items()}
