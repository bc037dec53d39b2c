"Losses: hand-computed numbers, and what each landmark state may and may not teach."

import math
from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F

from landmark_fastai.config import TrainConfig
from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.geometry.masks import draw_diamonds, draw_subpixel_diamonds
from landmark_fastai.model.formulas import balance, bce, dice, spatial_ce
from landmark_fastai.model.losses import LOSSES, LandmarkLoss

nan = float('nan')
ALL = ['bce', 'dice', 'dice_bce', 'spatial_ce', 'dice_bce_spatial']
SIZE = 16
LN2, LN3 = math.log(2), math.log(3)


def targets(points, state, radius=1, size=SIZE):
    "mask, points, state, frame, radius of a batch, as the loss is handed them."
    state = torch.tensor(state)
    points = torch.where((state == VISIBLE)[..., None], torch.tensor(points).float(), torch.nan)
    frame = torch.tensor([[size, size, 0, 0, 1, nan, nan]]).repeat(len(state), 1)
    return draw_diamonds(points, radius, size), points, state, frame, torch.full((len(state),), radius)


def logits(*shape, seed=0, scale=2.):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def grads(name, pred, batch):
    pred = pred.clone().requires_grad_()
    loss = LandmarkLoss(name)(pred, *batch)
    loss.backward()
    return loss.detach(), pred.grad


def value(name, pred, batch, **kwargs): return LandmarkLoss(name, **kwargs)(pred, *batch).item()


# Values

# 2 x 2 px, the mask is the first; sigmoids 3/4, 1/4, 1/2, 1/4
TINY = torch.tensor([[[[LN3, -LN3], [0, -LN3]]]])
DICE = 1 - 2 * 0.75 / (1 + 1.75)  # 5/11
BCE = (3 * math.log(4 / 3) + LN2) / 4  # unweighted: three of -ln(3/4) and one of -ln(1/2)
WEIGHTED_BCE = (3 * math.log(4 / 3) + 2 * math.log(4 / 3) + LN2) / 4  # the mask's pixel counts (4 - 1) / 1 times
SPATIAL = math.log(3 + 1 / 3 + 1 + 1 / 3) - LN3  # odds 3, 1/3, 1, 1/3 make the softmax


@pytest.mark.parametrize('name, expected', [
    ('bce', WEIGHTED_BCE), ('dice', DICE), ('dice_bce', DICE + 10 * BCE), ('spatial_ce', SPATIAL),
    ('dice_bce_spatial', DICE + 10 * BCE + SPATIAL),
])
def test_value_on_four_pixels(name, expected):
    batch = targets([[[0, 0]]], [[VISIBLE]], radius=0, size=2)
    assert value(name, TINY, batch) == pytest.approx(expected, rel=1e-5)


def test_the_names_are_the_choices_of_the_command_line():
    loss = next(each for each in fields(TrainConfig) if each.name == 'loss')
    assert tuple(LOSSES) == loss.metadata['choices']


@pytest.mark.parametrize('mask, expected', [
    ([1, 1, 0, 0], 1 - 2 * (3 / 4 + 1 / 4) / (7 / 4 + 2)),  # 7/15
    ([1, 1, 1, 1], 1 - 2 * (7 / 4) / (7 / 4 + 4)),  # 9/23
    ([0, 0, 0, 0], 1),
])
def test_dice_loss_is_one_less_twice_the_overlap_over_the_sum(mask, expected):
    mask = torch.tensor(mask, dtype=torch.bool).view(1, 1, 2, 2)
    assert dice(TINY, mask).item() == pytest.approx(expected, rel=1e-6)
    assert dice(torch.full_like(TINY, -200), mask).item() == 1  # nothing predicted: no division by 0


def test_unknown_name_says_what_there_is():
    with pytest.raises(UsageError, match='focal.*bce, dice, dice_bce, spatial_ce, dice_bce_spatial'):
        LandmarkLoss('focal')


def test_a_negative_weight_is_refused():
    with pytest.raises(UsageError, match='spatial_weight is -1'): LandmarkLoss(spatial_weight=-1)
    with pytest.raises(UsageError, match='all weights of the loss dice_bce'):
        LandmarkLoss('dice_bce', dice_weight=0, bce_weight=0)


def test_a_part_without_weight_is_none():
    loss = LandmarkLoss(bce_weight=0)
    assert loss.parts == ('dice', 'spatial_ce') and not loss.needs_prior
    of_bce = LandmarkLoss('dice_bce', dice_weight=0, bce_weight=3)
    assert of_bce.parts == ('bce',) and of_bce.needs_prior


def test_balance_is_background_over_mask_of_the_current_radius():  # trap 8
    assert balance(torch.tensor([65, 5, 0]), 512).tolist() == pytest.approx(
        [29.5493, 4296.44, 262143], rel=1e-5)  # (512^2 - 8581) / 8581, (512^2 - 61) / 61


@pytest.mark.parametrize('radius, area', [(1, 5), (5, 61)])
def test_bce_alone_weighs_mask_and_background_alike_at_every_radius(radius, area):  # trap 8
    # every pixel has the sigmoid 1/2; weight times mask is as much as the background, so two backgrounds
    batch = targets([[[16, 16]]], [[VISIBLE]], radius, size=32)
    assert value('bce', torch.zeros(1, 1, 32, 32), batch) == pytest.approx(2 * LN2 * (1024 - area) / 1024, rel=1e-5)


def test_bce_takes_the_radius_of_each_image():
    pred, small, large = torch.zeros(1, 1, 32, 32), *(targets([[[16, 16]]], [[VISIBLE]], r, size=32) for r in (1, 5))
    both = [torch.cat(pair) for pair in zip(small, large, strict=True)]
    assert value('bce', pred.repeat(2, 1, 1, 1), both) == pytest.approx(LN2 * (2 * 1024 - 5 - 61) / 1024, rel=1e-5)


@pytest.mark.parametrize('name', ['dice', 'bce', 'dice_bce'])
def test_perfect_prediction_costs_nothing(name):
    batch = targets([[[4, 5], [10, 3]]], [[VISIBLE, VISIBLE]], 3)
    assert value(name, torch.where(batch[0], 50., -50.), batch) == pytest.approx(0, abs=1e-5)
    assert value(name, torch.where(batch[0], -50., 50.), batch) > 0.9


def test_perfect_spatial_prediction_costs_the_entropy_of_its_diamond():
    batch = targets([[[8, 8]]], [[VISIBLE]], 2)
    assert value('spatial_ce', torch.where(batch[0], 50., -50.), batch) == pytest.approx(math.log(13), abs=1e-5)


def test_spatial_ce_is_cross_entropy_with_probability_targets():
    batch = targets([[[8, 8], [0, 15]], [[3, 3], [12, 9]]], [[VISIBLE] * 2] * 2, 3)
    pred, mask = logits(2, 2, SIZE, SIZE), batch[0].float().flatten(2).flatten(0, 1)
    expected = F.cross_entropy(pred.flatten(2).flatten(0, 1), mask / mask.sum(-1, keepdim=True), reduction='none')
    torch.testing.assert_close(spatial_ce(pred, batch[0]), expected.view(2, 2))
    assert value('spatial_ce', pred, batch) == pytest.approx(expected.mean().item(), rel=1e-5)


def test_a_mask_of_shares_is_a_target_of_probabilities():
    mask = draw_subpixel_diamonds(torch.tensor([[[8.25, 7.5], [-0.5, 15.5]]]), 0, SIZE)  # of one a quarter is left
    pred = logits(1, 2, SIZE, SIZE)
    target = mask.float().flatten(2)
    expected = F.cross_entropy(pred.flatten(2)[0], (target / target.sum(-1, keepdim=True))[0], reduction='none')
    torch.testing.assert_close(spatial_ce(pred, mask)[0], expected)
    sure = torch.full_like(pred, LN3)  # a sigmoid of 3/4: an overlap of 3/4 of the mask
    torch.testing.assert_close(dice(sure, mask), 1 - 1.5 * target.sum(-1) / (0.75 * SIZE ** 2 + target.sum(-1)))
    torch.testing.assert_close(bce(sure, mask), 2 * LN2 - LN3 * target.mean(-1))


def test_spatial_ce_ignores_a_constant_added_to_a_channel():
    batch = targets([[[8, 8], [2, 12]]], [[VISIBLE, VISIBLE]], 2)
    pred = logits(1, 2, SIZE, SIZE)
    shifted = pred + torch.tensor([7., -30.])[None, :, None, None]
    assert value('spatial_ce', shifted, batch) == pytest.approx(value('spatial_ce', pred, batch), abs=1e-4)


def test_weights_scale_the_parts():
    batch, pred = targets([[[8, 8]]], [[VISIBLE]], 2), logits(1, 1, SIZE, SIZE)
    plain_bce = value('dice_bce', pred, batch, bce_weight=1) - value('dice', pred, batch)
    parts = [value('dice', pred, batch), plain_bce, value('spatial_ce', pred, batch)]
    weighted = value('dice_bce_spatial', pred, batch, dice_weight=0.5, bce_weight=3, spatial_weight=0.1)
    assert weighted == pytest.approx(0.5 * parts[0] + 3 * parts[1] + 0.1 * parts[2], rel=1e-5)
    assert value('bce', pred, batch, bce_weight=2) == value('bce', pred, batch)  # alone, a weight means nothing


@pytest.mark.parametrize('name', ALL)
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_reckoned_in_float32(name, dtype):
    batch = targets([[[100, 30]]], [[VISIBLE]], 5, size=128)
    pred = logits(1, 1, 128, 128, scale=4.).to(dtype)
    loss = LandmarkLoss(name)(pred, *batch)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(value(name, pred.double().float(), batch), rel=1e-6)


# States

@pytest.mark.parametrize('name', ALL)
def test_unlabelled_landmark_teaches_nothing(name):
    batch = targets([[[8, 8], [0, 0]]], [[VISIBLE, UNLABELLED]])
    pred = logits(1, 2, SIZE, SIZE)
    loss, grad = grads(name, pred, batch)
    assert (grad[:, 1] == 0).all() and grad[:, 0].abs().sum() > 0
    alone = targets([[[8, 8]]], [[VISIBLE]])
    assert loss.item() == pytest.approx(value(name, pred[:, :1], alone), rel=1e-5)  # nor does it thin the mean


@pytest.mark.parametrize('name, learns', [
    ('bce', True), ('dice', False), ('dice_bce', True), ('spatial_ce', False), ('dice_bce_spatial', True),
])
def test_absent_landmark_is_learned_by_bce_only(name, learns):
    _, grad = grads(name, logits(1, 1, SIZE, SIZE), targets([[[0, 0]]], [[ABSENT]]))
    assert (grad > 0).all() if learns else (grad == 0).all()  # down everywhere, or left alone


def test_absent_landmark_has_the_same_gradient_with_and_without_the_other_losses():
    batch = targets([[[8, 8], [0, 0]]], [[VISIBLE, ABSENT]])
    pred = logits(1, 2, SIZE, SIZE)
    dice_bce, all_three = (grads(name, pred, batch)[1] for name in ('dice_bce', 'dice_bce_spatial'))
    # ten times BCE alone, a mean over two
    torch.testing.assert_close(dice_bce[:, 1], 10 * pred[:, 1].sigmoid() / SIZE ** 2 / 2)
    torch.testing.assert_close(all_three[:, 1], dice_bce[:, 1])


@pytest.mark.parametrize('name', ALL)
def test_visible_landmark_is_pulled_up_on_its_mask_and_down_elsewhere(name):
    batch = targets([[[8, 8]]], [[VISIBLE]])
    _, grad = grads(name, logits(1, 1, SIZE, SIZE), batch)
    assert (grad[batch[0]] < 0).all() and (grad[~batch[0]] > 0).all()


def test_dice_and_spatial_ce_are_means_over_visible_landmarks_only():
    pred = logits(1, 3, SIZE, SIZE)
    for name in ('dice', 'spatial_ce'):
        three = value(name, pred, targets([[[8, 8], [0, 0], [4, 4]]], [[VISIBLE, ABSENT, UNLABELLED]]))
        assert three == pytest.approx(value(name, pred[:, :1], targets([[[8, 8]]], [[VISIBLE]])), rel=1e-5)


def test_bce_is_a_mean_over_visible_and_absent_landmarks():
    pred = logits(1, 3, SIZE, SIZE)
    one, two = (targets([[[8, 8]]], [[state]]) for state in (VISIBLE, ABSENT))
    three = value('bce', pred, targets([[[8, 8], [0, 0], [4, 4]]], [[VISIBLE, ABSENT, UNLABELLED]]))
    assert three == pytest.approx((value('bce', pred[:, :1], one) + value('bce', pred[:, 1:2], two)) / 2, rel=1e-5)


@pytest.mark.parametrize('name', ALL)
@pytest.mark.parametrize('state', [UNLABELLED, ABSENT])
def test_batch_without_a_visible_landmark_is_finite(name, state):
    loss, grad = grads(name, logits(2, 2, SIZE, SIZE), targets([[[0, 0]] * 2] * 2, [[state] * 2] * 2))
    assert loss.isfinite() and grad.isfinite().all()
    if state == UNLABELLED: assert loss == 0 and (grad == 0).all()


@pytest.mark.parametrize('name', ALL)
@pytest.mark.parametrize('scale', [1., 1e3])
def test_diamond_cut_by_the_border_is_finite(name, scale):
    batch = targets([[[0, 0], [15, 7]]], [[VISIBLE, VISIBLE]], radius=40)
    loss, grad = grads(name, logits(1, 2, SIZE, SIZE, scale=scale), batch)
    assert loss.isfinite() and grad.isfinite().all()


def test_spatial_ce_is_uniform_over_what_the_border_leaves_of_a_diamond():
    batch = targets([[[0, 0]]], [[VISIBLE]], radius=1)  # 3 of its 5 pixels
    assert value('spatial_ce', torch.where(batch[0], 50., -50.), batch) == pytest.approx(LN3, abs=1e-5)


# Reduction

@pytest.mark.parametrize('name', ALL)
def test_images_and_landmarks_are_not_pooled(name):
    points = [[[4, 4], [8, 8]], [[12, 3], [0, 0]], [[6, 9], [1, 14]]]
    batch = targets(points, [[VISIBLE] * 2] * 3, radius=3)
    pred = logits(3, 2, SIZE, SIZE)
    pred[1] += 3  # images of unlike quality: a Dice of pooled sums would not be the mean of the six
    single = [value(name, pred[i:i + 1, k:k + 1], targets([[points[i][k]]], [[VISIBLE]], radius=3))
              for i in range(3) for k in range(2)]
    assert value(name, pred, batch) == pytest.approx(sum(single) / 6, rel=1e-5)


@pytest.mark.parametrize('name', ALL)
def test_reduction_none_gives_the_loss_of_each_image(name):
    points = [[[4, 4], [8, 8]], [[12, 3], [5, 5]], [[6, 9], [1, 14]]]
    state = [[VISIBLE, VISIBLE], [VISIBLE, UNLABELLED], [UNLABELLED, UNLABELLED]]
    pred, loss = logits(3, 2, SIZE, SIZE), LandmarkLoss(name)
    loss.reduction = 'none'
    each = loss(pred, *targets(points, state))
    assert each.shape == (3,)
    expected = [value(name, pred[i:i + 1], targets(points[i:i + 1], state[i:i + 1])) for i in range(3)]
    assert each.tolist() == pytest.approx(expected, rel=1e-5)
    assert each[2] == 0


def test_loss_decodes_logits_by_its_decoder():
    batch = targets([[[8, 9]]], [[VISIBLE]], radius=4)
    pred = torch.where(batch[0], 20., -20.)
    loss = LandmarkLoss()
    assert loss.decodes(pred).flatten().tolist() == pytest.approx([8, 9], abs=1e-3)
    loss.decoder = 'argmax'
    assert loss.decodes(pred).flatten().tolist() == [8, 5]


@pytest.mark.parametrize('size, radius', [(64, 65), (256, 200)])
def test_a_diamond_larger_than_the_square_never_turns_the_weight_negative(size, radius):
    assert balance(torch.tensor([radius]), size).tolist() == [1]
