"The loss of a CPU in one pass: value and gradient are those of the formulas, whatever the logits."

import pytest
import torch
from fastai.vision.core import TensorImage

from landmark_fastai.config import TrainConfig
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.geometry.masks import draw_diamonds, draw_subpixel_diamonds
from landmark_fastai.model import fused
from landmark_fastai.model.formulas import balance, bce, dice, spatial_ce, weighted_sum
from landmark_fastai.model.fused import FusedSum, by_odds
from landmark_fastai.model.losses import LOSSES, LandmarkLoss

SIZE = 32
STATE = torch.tensor([[VISIBLE, VISIBLE, ABSENT, UNLABELLED], [VISIBLE, ABSENT, ABSENT, VISIBLE], [UNLABELLED] * 4])
RADIUS = torch.tensor([1, 5, 3])
LAYOUTS = {'channels last': torch.channels_last, 'channels first': torch.contiguous_format}


def batch(draw=draw_diamonds):
    "mask, points, state, frame and radius of three images; two diamonds are cut by the border."
    points = torch.tensor([[[4., 5], [31, 0], [0, 0], [9, 9]], [[20., 12], [3, 3], [0, 0], [1, 30]], [[7., 7]] * 4])
    points = torch.where((STATE == VISIBLE)[..., None], points, torch.nan)
    if draw == draw_subpixel_diamonds: points += torch.tensor([0.3, -0.4])
    mask = torch.stack([draw(each, int(radius), SIZE) for each, radius in zip(points, RADIUS, strict=True)])
    return mask, points, STATE, None, RADIUS


def logits(scale=3., shift=-5., layout='channels last', seed=0):
    pred = scale * torch.randn(3, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) + shift
    return pred.to(memory_format=LAYOUTS[layout])


def by_formulas(name, pred, reduction, draw=draw_diamonds):
    "The loss in float64, part by part, and its gradient."
    mask, _, state, _, radius = batch(draw)
    pred = pred.detach().double().requires_grad_()
    dim = None if reduction == 'mean' else 1
    def mean(values, counted): return (values * counted).sum(dim) / counted.sum(dim).clamp(min=1)
    weight = balance(radius, SIZE).double() if name == 'bce' else None
    values = {'dice': lambda: mean(dice(pred, mask), state == VISIBLE),
              'bce': lambda: mean(bce(pred, mask, weight), state != UNLABELLED),
              'spatial_ce': lambda: mean(spatial_ce(pred, mask), state == VISIBLE)}
    weights = {'dice': TrainConfig.dice_weight, 'bce': TrainConfig.bce_weight, 'spatial_ce': TrainConfig.spatial_weight}
    parts = LOSSES[name]
    loss = sum((weights[part] if len(parts) > 1 else 1) * values[part]() for part in parts)
    return loss.detach(), torch.autograd.grad(loss.sum(), pred)[0]


def by_loss(name, pred, reduction='mean', draw=draw_diamonds):
    pred = pred.detach().clone().requires_grad_()
    loss = LandmarkLoss(name)
    loss.reduction = reduction
    values = loss(pred, *batch(draw))
    values.sum().backward()
    return values.detach(), pred.grad


def assert_close(found, expected, rtol=1e-5):
    (value, grad), (true_value, true_grad) = found, expected
    torch.testing.assert_close(value.double(), true_value, rtol=rtol, atol=1e-6)
    largest = true_grad.abs().max().item()
    torch.testing.assert_close(grad.double(), true_grad, rtol=rtol, atol=rtol * largest + 1e-30)


@pytest.mark.parametrize('name', LOSSES)
@pytest.mark.parametrize('reduction', ['mean', 'none'])
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('scale, shift', [(3., -5.), (0.1, -4.6), (12., 0.)])  # trained, untrained, very sure
def test_value_and_gradient_are_those_of_the_formulas(name, reduction, layout, scale, shift):
    pred = logits(scale, shift, layout)
    found = by_loss(name, pred, reduction)
    assert_close(found, by_formulas(name, pred, reduction))
    assert found[0].shape == (() if reduction == 'mean' else (3,))
    assert (found[1][STATE == UNLABELLED] == 0).all()


@pytest.mark.parametrize('name', LOSSES)
def test_pixels_that_lie_on_a_mask_in_part_count_in_part(name):
    arguments = name, logits(), 'mean', draw_subpixel_diamonds
    assert_close(by_loss(*arguments), by_formulas(*arguments))


@pytest.mark.parametrize('name', LOSSES)
@pytest.mark.parametrize('scale, shift', [(1e3, 0.), (1., 100.), (1., -200.), (40., -40.)])
def test_logits_whose_odds_float32_cannot_hold_are_reckoned_all_the_same(name, scale, shift):
    pred = logits(scale, shift)
    assert_close(by_loss(name, pred), by_formulas(name, pred, 'mean'))


@pytest.mark.parametrize('value', [torch.nan, torch.inf])
def test_logits_that_are_no_numbers_make_a_loss_that_is_none(value):
    pred = logits()
    pred[0, 0, 3, 3] = value
    assert not by_loss('dice_bce_spatial', pred)[0].isfinite()


@pytest.mark.parametrize('dtype, rtol', [(torch.bfloat16, 2 ** -8), (torch.float16, 2 ** -10)])
def test_the_gradient_of_half_precision_logits_is_rounded_only_in_the_end(dtype, rtol):
    pred = logits().to(dtype)
    value, grad = by_loss('dice_bce_spatial', pred)
    assert value.dtype == torch.float32 and grad.dtype == dtype
    assert_close((value, grad), by_formulas('dice_bce_spatial', pred, 'mean'), rtol)


def some_shares(seed=0):
    random = torch.Generator().manual_seed(seed)
    return {part: torch.rand(3, 4, generator=random, dtype=torch.float64) for part in ('dice', 'bce', 'spatial_ce')}


def test_numbers_that_no_tile_divides_are_all_counted(monkeypatch):
    monkeypatch.setattr(fused, 'TILE', 5 * SIZE * 4)  # 5 of 32 rows
    pred, mask = logits().double(), batch()[0]
    torch.testing.assert_close(FusedSum.apply(pred, mask, some_shares()), weighted_sum(pred, mask, some_shares()))
    assert_close(by_loss('dice_bce_spatial', logits()), by_formulas('dice_bce_spatial', logits(), 'mean'))


def test_the_gradient_is_the_slope_of_the_value():
    mask = draw_diamonds(torch.tensor([[[1., 2.], [torch.nan, 0.]]]), 1, 4)
    shares = {part: share[:1, :2] for part, share in some_shares().items()}
    pred = logits()[:1, :2, :4, :4].double().requires_grad_()
    def values(pred): return FusedSum.apply(pred, mask, shares, torch.tensor([3.], dtype=torch.float64))
    assert torch.autograd.gradcheck(values, pred)


def test_a_scaled_loss_has_a_scaled_gradient_as_often_as_it_is_asked_for():
    pred = logits().requires_grad_()
    loss = LandmarkLoss()(pred, *batch())
    one, = torch.autograd.grad(loss, pred, retain_graph=True)
    scaled, = torch.autograd.grad(1024 * loss, pred, retain_graph=True)
    torch.testing.assert_close(scaled, 1024 * one)
    loss.backward()
    assert torch.equal(pred.grad, one)


def test_a_gradient_of_the_gradient_is_refused():
    pred = logits().requires_grad_()
    loss = LandmarkLoss()(pred, *batch())
    with pytest.raises(NotImplementedError, match='weighted_sum'): torch.autograd.grad(loss, pred, create_graph=True)


def test_no_more_than_the_gradient_is_kept():
    kept = []
    pred = logits().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda values: kept.append(values.numel()) or values, lambda x: x):
        LandmarkLoss()(pred, *batch())
    assert pred.numel() <= sum(kept) < 1.1 * pred.numel()


@pytest.mark.parametrize('scale', [1., 1e3])
def test_images_of_fastai_and_no_gradient_give_the_same_value(scale):
    with torch.inference_mode(): loss = LandmarkLoss()(TensorImage(logits(scale)), *batch())
    assert type(loss) is torch.Tensor and loss == by_loss('dice_bce_spatial', logits(scale))[0]


def test_a_loss_that_is_not_known_here_is_not_left_out_in_silence():
    mask, *_ = batch()
    assert by_odds(logits(), mask, {'spatial_ce': torch.ones(3, 4), 'focal': torch.ones(3, 4)}, None, False) is None
