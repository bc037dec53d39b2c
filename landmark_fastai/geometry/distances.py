"How far points lie apart, and what is to be expected of it."

import torch
from torch import Tensor

from .frame import Frame


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
