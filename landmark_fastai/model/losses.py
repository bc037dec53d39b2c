"Losses over landmark masks, by name, right for the three states of a landmark."

from torch import Tensor, nn

from ..config import TrainConfig
from ..data.tensors import TensorLandmarks
from ..errors import UsageError
from ..flags import check_values
from ..formats.annotations import UNLABELLED, VISIBLE
from ..geometry.decoding import decode
from .formulas import balance, weighted_sum
from .fused import FusedSum

LOSSES = {
    'bce': ('bce',),
    'dice': ('dice',),
    'dice_bce': ('dice', 'bce'),
    'spatial_ce': ('spatial_ce',),
    'dice_bce_spatial': ('dice', 'bce', 'spatial_ce'),
}


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
        self.reduction = 'mean'
        self.decoder = TrainConfig.decode  # that `decodes` uses; the learner sets its own
        weights = {'dice': dice_weight, 'bce': bce_weight, 'spatial_ce': spatial_weight}
        self.weights = weights if len(LOSSES[name]) > 1 else dict.fromkeys(weights, 1.)
        self.parts = tuple(part for part in LOSSES[name] if self.weights[part])
        if not self.parts: raise UsageError(f'all weights of the loss {name} are 0, so that nothing can be learned')

    @property
    def needs_prior(self) -> bool:
        "Whether BCE is unweighted, so that a network should begin with little in its masks."
        return 'bce' in self.parts and self.name != 'bce'

    def forward(self, pred: Tensor, mask: Tensor, points: Tensor, state: Tensor, frame: Tensor,
                radius: Tensor) -> Tensor:
        "The loss of the batch, or per image (B,) where `reduction` is 'none', as fastai's `get_preds` asks for."
        pred = pred.float().as_subclass(Tensor)  # fastai's tensors take detours
        mask = mask.as_subclass(Tensor)
        visible = self._share(state == VISIBLE)
        labelled = self._share(state != UNLABELLED)
        shares = {part: self.weights[part] * (labelled if part == 'bce' else visible) for part in self.parts}
        pos_weight = balance(radius, pred.shape[-1]) if self.name == 'bce' else None
        on_cpu = pred.device.type == 'cpu'  # an accelerator is faster with all channels at once
        values = (FusedSum.apply if on_cpu else weighted_sum)(pred, mask, shares, pos_weight)
        return values.sum() if self.reduction == 'mean' else values.sum(1)

    def _share(self, counted):
        "The share (B, N) of each `counted` landmark in a mean over all of them, or over those of its image."
        total = counted.sum() if self.reduction == 'mean' else counted.sum(1, keepdim=True)
        return counted / total.clamp(min=1)

    def decodes(self, pred: Tensor) -> TensorLandmarks:
        "Landmarks (B, N, 2) in network px from logits, also on padding, for fastai's `show_results` and `get_preds`."
        return TensorLandmarks(decode(pred, method=self.decoder))
