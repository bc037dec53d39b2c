"""The delicate maths, in pure torch: pixel rule, diamond masks, erosion stairs, decoding, distances.

Coordinates are pixel indices, x right and y down: (0, 0) is the centre of the top-left pixel. An index `i` enters
continuous space as `i + 0.5` and leaves as `x - 0.5`. Three spaces occur:

- original px: the image file as it is looked at (EXIF rotation applied);
- network px: the black-padded square of side S that the network sees;
- unit: the same square as [-1, 1], where `grid_sample(align_corners=False)` and fastai's affine transforms live.

A *frame* ties them together, a row of seven numbers per image:
width, height, left, top (original px), scale (network px per original px), mm per px in x and in y (NaN if unknown).
"""

import torch

REFERENCE_SIZE, REFERENCE_EPOCHS = 512, 350  # what the erosion arguments of `auto_radius` are understood at
NEAR = 0.04  # of the square's side: the expected error at which the confidence is a half


# --- pixel rule

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


# --- diamonds

def draw_diamonds(points, radius, size):
    """Boolean masks (..., size, size) of the pixels with |dx| + |dy| <= `radius` around each rounded point.

    `points` (..., 2) in network px; a NaN point gets an empty mask, a diamond is clipped by the square. Whole, it has
    `diamond_area(radius)` pixels and equals `radius` binary dilations of one pixel with the cross-shaped element.
    """
    far = 2 * (size + radius)  # out of reach of every pixel
    centre = torch.floor(points + 0.5).nan_to_num(far).clamp(-far, far).to(torch.int16)
    x, y = centre.unbind(-1)
    n_rows = min(2 * radius + 1, size)  # only these can hold a part of a diamond: the others are never looked at
    grid = torch.arange(size, device=points.device, dtype=torch.int16)
    rows = (y - radius).clamp(0, size - n_rows)[..., None] + grid[:n_rows]
    dx, dy = (grid - x[..., None]).abs(), (rows - y[..., None]).abs()
    masks = torch.zeros(*x.shape, size, size, device=points.device, dtype=torch.bool)
    first = size * torch.arange(x.numel(), device=points.device).view(*x.shape, 1)
    masks.view(-1, size)[(first + rows).flatten()] = (dx[..., None, :] <= (radius - dy)[..., :, None]).view(-1, size)
    return masks


def diamond_area(radius):
    "Number of pixels of a whole diamond: 1 + 2 r (r + 1)."
    return 1 + 2 * radius * (radius + 1)


def fixed_radius(epoch, dilation_iters=65, erosion_freq=50, erosion_iters=10):
    "Radius (px) in `epoch` (from 0): `erosion_iters` less every `erosion_freq` epochs, at least 1 (0 if it starts so)."
    return max(dilation_iters - erosion_iters * (epoch // erosion_freq), min(1, dilation_iters))


def auto_radius(epoch, total, size, dilation_iters=65, erosion_freq=50, erosion_iters=10):
    """Radius (px) in `epoch` of `total`: the stairs of `fixed_radius` as fractions of the run and of the image side.

    The arguments are understood at 350 epochs and 512 px, where both functions agree.
    """
    radius = fixed_radius(epoch * REFERENCE_EPOCHS // total, dilation_iters, erosion_freq, erosion_iters)
    return max(int(radius * size / REFERENCE_SIZE + 0.5), min(1, dilation_iters))


# --- decoding

def content(frame, size):
    "Boolean (B, 1, size, size): the pixels whose centre lies on the original image, not on its padding."
    original = (torch.arange(size, device=frame.device) + 0.5) / frame[:, 4, None, None] - frame[:, 2:4, None]
    x, y = ((original > 0) & (original < frame[:, :2, None])).unbind(1)
    return (y[:, :, None] & x[:, None, :])[:, None]


def decode_argmax(logits, allowed):
    "Points (B, N, 2) in network px at the largest of `logits` (B, N, S, S) that is `allowed` (B, 1, S, S)."
    allowed_logits = logits.where(allowed, -torch.inf)
    y = allowed_logits.amax(-1).argmax(-1)  # the row first: a search through all pixels at once takes 4 times as long
    x = allowed_logits.gather(2, y[..., None, None].expand(*y.shape, 1, logits.shape[-1])).argmax(-1).squeeze(-1)
    return torch.stack([x, y], -1).float()


def decode_centroid(logits, allowed):
    """Sub-pixel points (B, N, 2) in network px: the centroid of the peak of each channel's softmax.

    The peak is the largest of `logits` (B, N, S, S) that is `allowed` (B, 1, S, S), a rectangle. The window around it
    follows its extent: a softmax that is flat over n pixels has the value 1/n, a diamond of n pixels the radius
    sqrt(n / 2), and twice that radius reaches across the diamond from any of its corners. So a flat diamond is found at
    its centre, wherever its largest value is, and also where a part of it lies on the padding.
    """
    peak, size = decode_argmax(logits, allowed), logits.shape[-1]
    weight = (logits - _at(logits, peak)).clamp_(max=0).exp_()
    columns, rows = (allowed.any(axis).to(logits.dtype).expand(*peak.shape[:2], size) for axis in (2, 3))
    extent = _sum_over(weight, rows, columns)
    reach = torch.ceil(2 * (extent / 2).sqrt()) + 1
    grid = torch.arange(size, device=logits.device, dtype=logits.dtype)
    near_x, near_y = (((grid - peak[..., axis, None]).abs() <= reach[..., None]).to(logits.dtype) for axis in (0, 1))
    mass = _sum_over(weight, near_y, near_x)
    return torch.stack([_sum_over(weight, near_y, near_x * grid), _sum_over(weight, near_y * grid, near_x)],
                       -1) / mass[..., None]


def _at(logits, points):
    "The values (B, N, 1, 1) of `logits` (B, N, S, S) at `points` (B, N, 2), whole numbers."
    x, y = points.long().unbind(-1)
    return logits.flatten(2).gather(2, (y * logits.shape[-1] + x)[..., None])[..., None]


def _sum_over(weight, rows, columns):
    "Sums (B, N) of `weight` (B, N, S, S), weighted by `rows` and `columns` (B, N, S)."
    return (rows[..., None, :] @ (weight @ columns[..., None]))[..., 0, 0]


DECODERS = {'argmax': decode_argmax, 'centroid': decode_centroid}


def decode(logits, frame=None, method='centroid'):
    """Points (B, N, 2) in network px from `logits` (B, N, S, S), in float32, by one of `DECODERS`.

    With the `frame` (B, 7) of the images the peak is looked for on the original image only, and the point lies on it.
    """
    logits, size = logits.float(), logits.shape[-1]
    if frame is None: return DECODERS[method](logits, logits.new_ones(1, 1, size, size, dtype=torch.bool))
    points, frame = DECODERS[method](logits, content(frame, size)), frame[:, None]
    first = torch.zeros_like(frame[..., :2])
    return points.clamp(to_network(first, frame), to_network(frame[..., :2] - 1, frame))


def is_present(logits, frame):
    "Which landmarks (B, N) are on the image: the largest sigmoid of `logits` (B, N, S, S) on it is at least 0.5."
    return logits.masked_fill(~content(frame, logits.shape[-1]), -torch.inf).amax((2, 3)) >= 0


def scatter(logits, points, frame):
    """How far (B, N), in network px, the softmax of each channel lies from `points` (B, N, 2; network px).

    The expected distance along x and that along y, as the sides of a right angle: unlike the expected distance itself
    they are sums over rows and columns. The softmax is over the pixels of the image, not of its padding.
    """
    logits, allowed = logits.float(), content(frame, logits.shape[-1])
    allowed_logits = logits.where(allowed, -torch.inf)
    weight = (allowed_logits - allowed_logits.amax((2, 3), keepdim=True)).exp_()
    grid = torch.arange(logits.shape[-1], device=logits.device, dtype=weight.dtype)
    far_x, far_y = ((grid - points.nan_to_num()[..., axis, None]).abs() for axis in (0, 1))
    ones = torch.ones_like(far_x)
    return torch.hypot(_sum_over(weight, ones, far_x), _sum_over(weight, far_y, ones)) / _sum_over(weight, ones, ones)


def confidence(expected_error, size):
    """Confidence, 0 to 1, for an expected error in network px on a square of side `size`.

    1 / (1 + error / (4 % of the side)): 0.8 where 1 % of the side is expected, 0.5 where 4 %. It ranks the landmarks
    of a model, and is no probability of being right.
    """
    return 1 / (1 + expected_error / (NEAR * size))


def spread(points):
    """How far apart (B, N) the `points` (M, B, N, 2) of M models lie, in their px: the standard deviation of the
    distance from their mean; NaN for one model."""
    return (points - points.mean(0)).square().sum((0, -1)).div(len(points) - 1).sqrt()


# --- distances

def radial_errors(pred, true, frame):
    """Distances (B, N) between `pred` and `true` (B, N, 2; network px) as a dict with the keys network, px and mm.

    Network px, original px, and mm per axis by the pixel spacing; NaN where a point is NaN or the spacing unknown.
    """
    network = pred - true
    original = network / frame[:, None, 4:5]
    offsets = {'network': network, 'px': original, 'mm': original * frame[:, None, 5:7]}
    return {unit: torch.linalg.vector_norm(offset, dim=-1) for unit, offset in offsets.items()}
