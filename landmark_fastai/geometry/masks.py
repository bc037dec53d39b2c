"Masks on the square of the network: diamonds around landmarks, and the part that shows the image."

import torch


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


def content(frame, size):
    "Boolean (B, 1, size, size): the pixels whose centre lies on the original image, not on its padding."
    original = (torch.arange(size, device=frame.device) + 0.5) / frame[:, 4, None, None] - frame[:, 2:4, None]
    x, y = ((original > 0) & (original < frame[:, :2, None])).unbind(1)
    return (y[:, :, None] & x[:, None, :])[:, None]
