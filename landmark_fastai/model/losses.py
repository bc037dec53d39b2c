"Losses over landmark masks, by name, right for the three states of a landmark."

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import TrainConfig
from ..data.tensors import TensorLandmarks
from ..flags import check_values
from ..formats.annotations import UNLABELLED, VISIBLE
from ..geometry.decoding import decode
from ..geometry.masks import diamond_area

LOSSES = {
    'bce': ('bce',),
    'dice': ('dice',),
    'dice_bce': ('dice', 'bce'),
    'spatial_ce': ('spatial_ce',),
    'dice_bce_spatial': ('dice', 'bce', 'spatial_ce'),
}


def dice(pred: Tensor, mask: Tensor) -> Tensor:
    "Dice loss (B, N) of logits `pred` against `mask`, both (B, N, S, S): per image and channel, never pooled."
    share = pred.sigmoid()
    total = share.sum((2, 3)) + mask.sum((2, 3))
    return 1 - 2 * (share * mask).sum((2, 3)) / total.clamp(min=2e-7)


def bce(pred: Tensor, mask: Tensor, pos_weight: Tensor | None = None) -> Tensor:
    "Binary cross-entropy (B, N), a mean over pixels; `pos_weight` (B,) weighs the pixels of the mask."
    if pos_weight is not None: pos_weight = pos_weight[:, None, None, None]
    return F.binary_cross_entropy_with_logits(pred, mask.float(), pos_weight=pos_weight, reduction='none').mean((2, 3))


def spatial_ce(pred: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy (B, N) of the softmax over a channel's pixels against the mask as a uniform distribution.

    -sum(t log p) with t = mask / n is the log-sum-exp of the logits less their mean over the mask; an empty mask has no
    distribution, its value means nothing. A clipped diamond is uniform over the pixels that are left of it.
    """
    on_mask = torch.where(mask, pred, 0).sum((2, 3)) / mask.sum((2, 3)).clamp(min=1)
    return torch.logsumexp(pred.flatten(2), -1) - on_mask


def balance(radius: Tensor, size: int) -> Tensor:
    """Weight (B,) that makes the pixels of a diamond count as much as all others: (S^2 - n) / n, n the diamond's area.

    At least 1: a diamond of more than half the square is clipped, and its area says nothing.
    """
    area = diamond_area(radius.float())
    return ((size ** 2 - area) / area).clamp(min=1)


class LandmarkLoss(nn.Module):
    """A sum of Dice, BCE and spatial cross-entropy, weighted, or one of them, in float32; `name` is one of `LOSSES`.

    Called with logits (B, N, S, S) and the targets of a batch as `data.DrawMasks` makes them. Dice and spatial
    cross-entropy count visible landmarks, BCE visible and absent ones (their mask is empty), nothing counts unlabelled
    ones; each is the mean over the landmarks that it counts. BCE alone balances mask and background as the original
    system did (its weight climbs from 30 to over 4,000 as the masks shrink); in a sum Dice or spatial cross-entropy see
    to that, and unweighted BCE keeps the sigmoid an honest probability, which presence needs.
    """
    def __init__(self, name: str = TrainConfig.loss, dice_weight: float = TrainConfig.dice_weight,
                 bce_weight: float = TrainConfig.bce_weight, spatial_weight: float = TrainConfig.spatial_weight):
        super().__init__()
        check_values(TrainConfig, loss=name, dice_weight=dice_weight, bce_weight=bce_weight,
                     spatial_weight=spatial_weight)
        self.name = name
        self.parts = LOSSES[name]
        self.reduction = 'mean'
        self.decoder = TrainConfig.decode  # that `decodes` uses; the learner sets its own
        weights = {'dice': dice_weight, 'bce': bce_weight, 'spatial_ce': spatial_weight}
        self.weights = weights if len(self.parts) > 1 else dict.fromkeys(weights, 1.)

    @property
    def needs_prior(self) -> bool:
        "Whether BCE is unweighted, so that a network should begin with little in its masks."
        return 'bce' in self.parts and self.parts != ('bce',)

    def forward(self, pred: Tensor, mask: Tensor, points: Tensor, state: Tensor, frame: Tensor,
                radius: Tensor) -> Tensor:
        "The loss of the batch, or per image (B,) where `reduction` is 'none', as fastai's `get_preds` asks for."
        pred = pred.float()
        visible = state == VISIBLE
        labelled = state != UNLABELLED
        values = {'dice': lambda: self._reduce(dice(pred, mask), visible),
                  'bce': lambda: self._reduce(bce(pred, mask, self._pos_weight(pred, radius)), labelled),
                  'spatial_ce': lambda: self._reduce(spatial_ce(pred, mask), visible)}
        return sum(self.weights[part] * values[part]() for part in self.parts)

    def _pos_weight(self, pred, radius):
        return None if self.needs_prior or 'bce' not in self.parts else balance(radius, pred.shape[-1])

    def _reduce(self, values, counted):
        dim = None if self.reduction == 'mean' else 1
        return (values * counted).sum(dim) / counted.sum(dim).clamp(min=1)

    def decodes(self, pred: Tensor) -> TensorLandmarks:
        "Landmarks (B, N, 2) in network px from logits, also on padding, for fastai's `show_results` and `get_preds`."
        return TensorLandmarks(decode(pred, method=self.decoder))
