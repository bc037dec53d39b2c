"""The formulas of the losses: per image and channel, never pooled.

Masks are boolean, or shares in 0..1 of pixels that lie on a mask in part.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry.masks import diamond_area

MIN_AREA = 2e-7  # that an empty mask is taken for where something is divided by its area


def dice(pred: Tensor, mask: Tensor) -> Tensor:
    "Dice loss (B, N) of logits `pred` against `mask`, both (B, N, S, S)."
    share = pred.sigmoid()
    total = share.sum((2, 3)) + mask.sum((2, 3), dtype=pred.dtype)
    return 1 - 2 * (share * mask).sum((2, 3)) / total.clamp(min=MIN_AREA)


def bce(pred: Tensor, mask: Tensor, pos_weight: Tensor | None = None) -> Tensor:
    "Binary cross-entropy (B, N), a mean over pixels; `pos_weight` (B,) weighs the pixels of the mask."
    if pos_weight is not None: pos_weight = pos_weight[:, None, None, None]
    target = mask.to(pred.dtype)
    return F.binary_cross_entropy_with_logits(pred, target, pos_weight=pos_weight, reduction='none').mean((2, 3))


def spatial_ce(pred: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy (B, N) of the softmax over a channel's pixels against the mask as a distribution.

    -sum(t log p) with t = mask / area is the log-sum-exp of the logits less their mean over the mask. An empty mask has
    no distribution, its value means nothing; a clipped diamond is the distribution over what is left of it.
    """
    area = mask.sum((2, 3), dtype=pred.dtype).clamp(min=MIN_AREA)
    on_mask = torch.where(mask > 0, mask * pred, 0).sum((2, 3)) / area
    return torch.logsumexp(pred.flatten(2), -1) - on_mask


def balance(radius: Tensor, size: int) -> Tensor:
    """Weight (B,) that makes the pixels of a diamond count as much as all others: (S^2 - n) / n, n the diamond's area.

    At least 1: a diamond of more than half the square is clipped, and its area says nothing.
    """
    area = diamond_area(radius.float())
    return ((size ** 2 - area) / area).clamp(min=1)


def weighted_sum(pred: Tensor, mask: Tensor, shares: dict[str, Tensor], pos_weight: Tensor | None = None) -> Tensor:
    """The sum (B, N) of the losses that `shares` names, each times its share (B, N).

    `pred` and `mask` (B, N, S, S); `pos_weight` (B,), of BCE.
    """
    values = {'dice': lambda: dice(pred, mask),
              'bce': lambda: bce(pred, mask, pos_weight),
              'spatial_ce': lambda: spatial_ce(pred, mask)}
    return sum(share * values[part]() for part, share in shares.items())
