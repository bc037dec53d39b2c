"The losses of `formulas` on a CPU: value and gradient in one pass over each channel."

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .formulas import MIN_AREA, weighted_sum

SMALL, LARGE = 1e-30, 1e30  # what the odds of a channel must add up to, for float32 to hold all of them that count


class Shares(NamedTuple):
    "What the losses of one channel count, and the weight of the mask's pixels within BCE."
    dice: float = 0.
    bce: float = 0.
    spatial_ce: float = 0.
    pos_weight: float = 1.


class FusedSum(Function):
    """`formulas.weighted_sum` on a CPU, with the same arguments, in a fraction of the time and memory.

    Logits come channels last, so that each sum over a channel strides through memory, and autograd keeps a dozen maps
    of their size. Here one channel after the other is copied into the processor's cache, of its mask only the pixels
    that are set are visited, and nothing but the gradient is kept. A channel that counts nothing is not looked at.
    """
    @staticmethod
    def forward(ctx, pred, mask, shares, pos_weight=None):
        values = pred.new_zeros(pred.shape[:2])
        grad = torch.zeros_like(pred) if ctx.needs_input_grad[0] else None
        scratch = pred.new_empty(3, pred[0, 0].numel())
        for b, k in torch.stack(list(shares.values())).any(0).nonzero().tolist():
            own = {part: share[b, k].item() for part, share in shares.items()}
            weight = 1. if pos_weight is None else pos_weight[b].item()
            channel = pred[b, k], mask[b, k], Shares(**own, pos_weight=weight)
            value, slope = by_odds(*channel, scratch) or by_autograd(*channel)
            values[b, k] = value
            if grad is not None: grad[b, k] = slope
        if grad is not None: ctx.save_for_backward(grad)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx, of_values):
        grad, = ctx.saved_tensors
        return (grad if (of_values == 1).all() else grad * of_values[..., None, None]), None, None, None


def by_odds(logits: Tensor, mask: Tensor, share: Shares, scratch: Tensor) -> tuple[float, Tensor] | None:
    """The weighted sum of the losses of one channel (S, S), and its gradient, which lies in `scratch` (3, S * S).

    With odds = exp(x) the softmax is odds / sum(odds), the sigmoid odds / (1 + odds), and softplus log(1 + odds); so
    there is one exponential and one logarithm for all three. None where the odds leave the range of the dtype (logits
    of about 69), or are not numbers. Softplus is rounded to 1e-7 a pixel, as log1p would not: it takes 15 times as long.
    """
    odds, rest, sigmoid = scratch
    odds.view_as(logits).copy_(logits)
    at = mask.flatten().nonzero()[:, 0]
    logits_there = odds[at]
    total = odds.exp_().sum().item()
    if not SMALL < total < LARGE: return None
    torch.add(odds, 1, out=rest).reciprocal_()  # 1 - sigmoid
    torch.mul(odds, rest, out=sigmoid)
    sigmoid_there, rest_there = sigmoid[at], rest[at]
    area = max(sigmoid.sum().item() + len(at), MIN_AREA)
    overlap = sigmoid_there.sum().item()
    softplus = -torch.log(rest, out=sigmoid).sum().item()
    softplus_there = -rest_there.log()

    a_pixel, weight = share.bce / len(odds), share.pos_weight
    n = max(len(at), 1)
    value = (share.dice * (1 - 2 * overlap / area)
             + a_pixel * (softplus + ((weight - 1) * softplus_there - weight * logits_there).sum().item())
             + share.spatial_ce * (math.log(total) - logits_there.sum().item() / n))
    # everywhere odds * rest is the derivative of softplus, odds * rest ** 2 that of the sigmoid
    grad = torch.mul(rest, 2 * share.dice * overlap / area ** 2, out=sigmoid).add_(a_pixel).mul_(rest)
    grad.add_(share.spatial_ce / total).mul_(odds)
    grad[at] += (a_pixel * ((weight - 1) * sigmoid_there - weight) - share.spatial_ce / n
                 - 2 * share.dice / area * sigmoid_there * rest_there)
    return value, grad.view_as(logits)


def by_autograd(logits: Tensor, mask: Tensor, share: Shares) -> tuple[Tensor, Tensor]:
    "The same by the formulas, of any logits."
    shares = {part: logits.new_tensor([[value]]) for part, value in share._asdict().items() if part != 'pos_weight'}
    with torch.enable_grad():
        logits = logits[None, None].detach().requires_grad_()
        value = weighted_sum(logits, mask[None, None], shares, logits.new_tensor([share.pos_weight])).sum()
    return value.detach(), torch.autograd.grad(value, logits)[0][0, 0]
