"From the logits of a network to points. Frames of a batch are rows of 7 numbers, see `Frame`."

from collections.abc import Callable

import torch
from torch import Tensor

from .frame import Frame, to_network
from .masks import content


def decode_argmax(logits: Tensor, allowed: Tensor) -> Tensor:
    "Points (B, N, 2) in network px at the largest of `logits` (B, N, S, S) that is `allowed` (B, 1, S, S)."
    allowed_logits = logits.where(allowed, -torch.inf)
    y = allowed_logits.amax(-1).argmax(-1)  # the row first: a search through all pixels at once takes 4 times as long
    x = allowed_logits.gather(2, y[..., None, None].expand(*y.shape, 1, logits.shape[-1])).argmax(-1).squeeze(-1)
    return torch.stack([x, y], -1).float()


def decode_centroid(logits: Tensor, allowed: Tensor) -> Tensor:
    """Sub-pixel points (B, N, 2) in network px: the centroid of the peak of each channel's softmax.

    The peak is the largest of `logits` (B, N, S, S) that is `allowed` (B, 1, S, S), a rectangle. The window around it
    follows its extent: a softmax that is flat over n pixels has the value 1/n, a diamond of n pixels the radius
    sqrt(n / 2), and twice that radius reaches across the diamond from any of its corners. So a flat diamond is found at
    its centre, wherever its largest value is, and also where a part of it lies on the padding.
    """
    size = logits.shape[-1]
    peak = decode_argmax(logits, allowed)
    weight = (logits - _at(logits, peak)).clamp_(max=0).exp_()
    columns, rows = (allowed.any(axis).to(logits.dtype).expand(*peak.shape[:2], size) for axis in (2, 3))
    extent = _sum_over(weight, rows, columns)
    reach = torch.ceil(2 * (extent / 2).sqrt()) + 1
    grid = torch.arange(size, device=logits.device, dtype=logits.dtype)
    near_x, near_y = (((grid - peak[..., axis, None]).abs() <= reach[..., None]).to(logits.dtype) for axis in (0, 1))
    mass = _sum_over(weight, near_y, near_x)
    x = _sum_over(weight, near_y, near_x * grid) / mass
    y = _sum_over(weight, near_y * grid, near_x) / mass
    return torch.stack([x, y], -1)


def _at(logits: Tensor, points: Tensor) -> Tensor:
    "The values (B, N, 1, 1) of `logits` (B, N, S, S) at `points` (B, N, 2), whole numbers."
    x, y = points.long().unbind(-1)
    return logits.flatten(2).gather(2, (y * logits.shape[-1] + x)[..., None])[..., None]


def _sum_over(weight: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    "Sums (B, N) of `weight` (B, N, S, S), weighted by `rows` and `columns` (B, N, S)."
    return (rows[..., None, :] @ (weight @ columns[..., None]))[..., 0, 0]


DECODERS: dict[str, Callable] = {'argmax': decode_argmax, 'centroid': decode_centroid}


def decode(logits: Tensor, frames: Tensor | None = None, method: str = 'centroid') -> Tensor:
    """Points (B, N, 2) in network px from `logits` (B, N, S, S), in float32, by one of `DECODERS`.

    With the `frames` (B, 7) of the images the peak is looked for on the original image only, and the point lies on it.
    """
    logits = logits.float()
    size = logits.shape[-1]
    if frames is None: return DECODERS[method](logits, logits.new_ones(1, 1, size, size, dtype=torch.bool))
    points = DECODERS[method](logits, content(frames, size))
    frame = Frame.of(frames[:, None])
    first_pixel = to_network(torch.zeros_like(frame.size), frame)
    last_pixel = to_network(frame.size - 1, frame)
    return points.clamp(first_pixel, last_pixel)


def is_present(logits: Tensor, frames: Tensor) -> Tensor:
    """Which landmarks (B, N, bool) are on the image: their largest sigmoid on it is at least 0.5.

    `logits` (B, N, S, S), `frames` (B, 7).
    """
    return logits.masked_fill(~content(frames, logits.shape[-1]), -torch.inf).amax((2, 3)) >= 0


def scatter(logits: Tensor, points: Tensor, frames: Tensor) -> Tensor:
    """How far (B, N), in network px, the softmax of each channel lies from `points` (B, N, 2; network px).

    The expected distance along x and that along y, as the sides of a right angle: unlike the expected distance itself
    they are sums over rows and columns. The softmax of `logits` (B, N, S, S) is over the pixels of the image, not of
    its padding; `frames` (B, 7).
    """
    logits = logits.float()
    allowed_logits = logits.where(content(frames, logits.shape[-1]), -torch.inf)
    weight = (allowed_logits - allowed_logits.amax((2, 3), keepdim=True)).exp_()
    grid = torch.arange(logits.shape[-1], device=logits.device, dtype=weight.dtype)
    far_x, far_y = ((grid - points.nan_to_num()[..., axis, None]).abs() for axis in (0, 1))
    ones = torch.ones_like(far_x)
    return torch.hypot(_sum_over(weight, ones, far_x), _sum_over(weight, far_y, ones)) / _sum_over(weight, ones, ones)
