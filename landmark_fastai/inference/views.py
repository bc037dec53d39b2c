"A trained network on new images: from the folder of a run, or from weights of the original system."

import torch
import torch.nn.functional as F

# scale, shift right and down of the views that `tta` averages over; the square is [-1, 1] wide, so 1 / 32 is S / 64 px
VIEWS = ((1, 0., 0.), (0.95, 0., 0.), (1.05, 0., 0.),
         (1, 1 / 32, 0.), (1, -1 / 32, 0.), (1, 0., 1 / 32), (1, 0., -1 / 32))


def warp(images, zoom, shift):
    "`images` (B, C, S, S) such that (x, y) in [-1, 1] shows what was at `zoom` * (x, y) + `shift`; zeros outside."
    theta = torch.cat([torch.diag(zoom), shift[:, None]], 1).to(images)
    grid = F.affine_grid(theta.expand(len(images), 2, 3), images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
