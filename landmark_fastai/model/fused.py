"The losses of `formulas` on a CPU: value and gradient together, while a part of the heatmaps is in its cache."

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd import Function

from .formulas import MIN_AREA, weighted_sum

TILE = 2 ** 17  # numbers that are worked on at a time: a few such tiles of float32 fit into a cache
PARTS = {'dice', 'bce', 'spatial_ce'}  # the losses that `by_odds` knows
SMALL, LARGE = 1e-30, 1e30  # what the odds of a channel must add up to, for float32 to hold all of them that count


class FusedSum(Function):
    """`formulas.weighted_sum` on a CPU, with the same arguments, in a fraction of the time and memory.

    With odds = exp(x) the softmax is odds / sum(odds), the sigmoid odds / (1 + odds) and softplus log(1 + odds): one
    exponential and one logarithm do for all three losses. Logits come channels last and stay so, since a sum over one
    channel would stride through memory: a row of pixels is one long row of numbers here. Of the mask only the pixels
    that are set are visited, and nothing but the gradient is kept. Where a logit is above 69, all logits of a channel
    are below -69, one is not a number, or a loss is not one of `PARTS`, the formulas are taken.
    """
    @staticmethod
    def forward(ctx, pred, mask, shares, pos_weight=None):
        with_grad = ctx.needs_input_grad[0]
        arguments = pred, mask, shares, pos_weight, with_grad
        values, grad = by_odds(*arguments) or by_formulas(*arguments)
        if with_grad: ctx.save_for_backward(grad)
        return values

    @staticmethod
    def backward(ctx, of_values):
        if torch.is_grad_enabled():  # create_graph: a second derivative would silently be 0
            raise NotImplementedError('on a CPU this loss has no second derivative; take `formulas.weighted_sum`')
        grad, = ctx.saved_tensors
        return (grad if (of_values == 1).all() else grad * of_values[..., None, None]), None, None, None


def by_odds(pred: Tensor, mask: Tensor, shares: dict[str, Tensor], pos_weight: Tensor | None,
            with_grad: bool) -> tuple[Tensor, Tensor] | None:
    "Values (B, N) and gradient (B, N, S, S), which means nothing unless `with_grad`; None if it cannot tell."
    if not shares.keys() <= PARTS: return None
    batch, channels, size, _ = pred.shape
    pixels = pred.permute(0, 2, 3, 1).contiguous()  # (B, S, S, N): no copy where the channels are last
    logits = pixels.flatten(2)
    odds = torch.empty_like(logits)
    total, sigmoid, softplus = add_up(logits, odds).view(3, batch, size, channels).sum(2)
    if not ((total > SMALL) & (total < LARGE)).all(): return None

    there = OnMask(mask)
    logits_there = pixels.view(-1)[there.place].double()
    rest_there = 1 / (1 + logits_there.exp())  # 1 less the sigmoid
    weight = torch.ones(batch) if pos_weight is None else pos_weight
    weight = there.spread(weight[:, None].double().expand_as(total))
    n = there.sums(there.share)
    overlap = n - there.sums(there.share * rest_there)
    area = (sigmoid + n).clamp(min=MIN_AREA)
    dice, bce, spatial = (shares.get(part, torch.zeros(1)).double().expand_as(total)
                          for part in ('dice', 'bce', 'spatial_ce'))
    bce = bce / size ** 2
    values = (dice * (1 - 2 * overlap / area)
              + bce * (softplus + there.sums(there.share * ((1 - weight) * rest_there.log() - weight * logits_there)))
              + spatial * (total.log() - there.sums(there.share * logits_there) / n.clamp(min=MIN_AREA)))
    if with_grad:
        to_gradient(odds, 2 * dice * overlap / area ** 2, bce, spatial / total)
        dice, bce, spatial = (there.spread(factor) for factor in (2 * dice / area, bce, spatial / n))
        steps = bce * ((weight - 1) * (1 - rest_there) - weight) - spatial - dice * rest_there * (1 - rest_there)
        odds.view(-1).index_add_(0, there.place, (there.share * steps).to(odds.dtype))
    return values.to(pred.dtype), odds.view_as(pixels).permute(0, 3, 1, 2)


class OnMask:
    """The pixels that are not 0 in a `mask` (B, N, S, S), P in all.

    `place` (P,) is that of each in a flat (B, S, S, N), `share` (P,) its value.
    """
    def __init__(self, mask: Tensor):
        self.shape = mask.shape
        channels, n_pixels = mask.shape[1], mask[0, 0].numel()
        at = mask.flatten().nonzero()[:, 0]
        self.share = mask.flatten()[at].double()
        self.channel = at // n_pixels  # of all images
        image, channel = self.channel // channels, self.channel % channels
        self.place = (image * n_pixels + at % n_pixels) * channels + channel

    def sums(self, values: Tensor) -> Tensor:
        "Sums (B, N) of `values` (P,) over each mask."
        return values.new_zeros(self.shape[:2]).flatten().index_add_(0, self.channel, values).view(self.shape[:2])

    def spread(self, values: Tensor) -> Tensor:
        "`values` (B, N), for each pixel that of its channel (P,)."
        return values.flatten()[self.channel]


def tiles(maps: Tensor) -> Iterator[tuple[int, slice, Tensor, Tensor]]:
    "Image and rows of each tile of `maps` (B, S, n), with two tiles of the same shape to write to."
    step = max(TILE // maps.shape[2], 1)
    scratch = maps.new_empty(2, step, maps.shape[2])
    for b in range(len(maps)):
        for first in range(0, maps.shape[1], step):
            rows = slice(first, min(first + step, maps.shape[1]))
            yield b, rows, *scratch[:, :rows.stop - first]


def add_up(logits: Tensor, odds: Tensor) -> Tensor:
    """Sums (3, B, n), float64, of odds, sigmoid and softplus over the rows of `logits` (B, S, n); fills in the `odds`.

    Softplus is rounded to 6e-8, as log1p(odds) would not be, which takes 15 times as long.
    """
    sums = logits.new_zeros(3, len(logits), logits.shape[2], dtype=torch.float64)
    for b, rows, rest, sigmoid in tiles(logits):
        here = torch.exp(logits[b, rows], out=odds[b, rows])
        torch.add(here, 1, out=rest).reciprocal_()
        torch.mul(here, rest, out=sigmoid)
        sums[0, b] += here.sum(0)
        sums[1, b] += sigmoid.sum(0)
        sums[2, b] -= rest.log_().sum(0)
    return sums


def to_gradient(odds: Tensor, of_sigmoid: Tensor, of_softplus: Tensor, of_odds: Tensor):
    """Turn `odds` (B, S, S * N) into the gradient of the sum of what the arguments `of_` (B, N) weigh, in place.

    odds / (1 + odds) is the derivative of softplus, odds / (1 + odds) ** 2 that of the sigmoid.
    """
    times = odds.shape[1]
    of_sigmoid, of_softplus, of_odds = (of.to(odds.dtype).repeat(1, times) for of in (of_sigmoid, of_softplus, of_odds))
    for b, rows, rest, factor in tiles(odds):
        here = odds[b, rows]
        torch.add(here, 1, out=rest).reciprocal_()
        torch.addcmul(of_softplus[b], of_sigmoid[b], rest, out=factor).mul_(rest).add_(of_odds[b])
        here.mul_(factor)


def by_formulas(pred: Tensor, mask: Tensor, shares: dict[str, Tensor], pos_weight: Tensor | None,
                with_grad: bool) -> tuple[Tensor, Tensor | None]:
    "Values (B, N) and gradient (B, N, S, S), None unless `with_grad`, of any logits."
    if not with_grad: return weighted_sum(pred, mask, shares, pos_weight), None
    with torch.enable_grad():
        pred = pred.detach().requires_grad_()
        values = weighted_sum(pred, mask, shares, pos_weight)
        return values.detach(), torch.autograd.grad(values.sum(), pred)[0]
