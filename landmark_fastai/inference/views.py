"Test-time augmentation: heatmaps averaged over slightly moved views of an image."

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

# scale, shift right and down of the views; the square is [-1, 1] wide, so 1 / 32 is S / 64 px
VIEWS = ((1, 0., 0.), (0.95, 0., 0.), (1.05, 0., 0.),
         (1, 1 / 32, 0.), (1, -1 / 32, 0.), (1, 0., 1 / 32), (1, 0., -1 / 32))


def average_views(network: Callable[[Tensor], Tensor], images: Tensor, mirrored: list[int] | None) -> Tensor:
    """Logits (B, N, S, S) of `network` for `images` (B, C, S, S), averaged over `VIEWS` where each view sees a pixel.

    With `mirrored`, the landmark that each becomes in a mirror image, mirror images take part.
    """
    total = weight = 0
    for scale, right, down in VIEWS:
        for mirror in (1, -1) if mirrored else (1,):
            zoom, shift = torch.tensor([mirror * scale, scale]), torch.tensor([right, down])
            logits = network(warp(images, zoom, shift))
            if mirror < 0: logits = logits[:, mirrored]
            logits = torch.cat([logits, torch.ones_like(logits[:, :1])], 1)  # the last channel: what a view sees
            logits = warp(logits, 1 / zoom, -shift / zoom)
            total, weight = total + logits[:, :-1], weight + logits[:, -1:]
    return total / weight


def warp(images: Tensor, zoom: Tensor, shift: Tensor) -> Tensor:
    "`images` (B, C, S, S) such that (x, y) in [-1, 1] shows what was at `zoom` * (x, y) + `shift`; zeros outside."
    theta = torch.cat([torch.diag(zoom), shift[:, None]], 1).to(images)
    grid = F.affine_grid(theta.expand(len(images), 2, 3), images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
