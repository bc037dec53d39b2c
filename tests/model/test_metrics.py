"Metrics: means over points, not batches; the three states; original pixels and millimetres."

from types import SimpleNamespace

import pytest
import torch
from fastai.torch_core import to_detach

from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.geometry.masks import draw_diamonds, draw_subpixel_diamonds
from landmark_fastai.model.metrics import DiceScore, LandmarkError, PresenceAccuracy, landmark_metrics

nan = float('nan')
SIZE = 32
FRAME = [64, 64, 0, 0, 0.5, 0.1, 0.2]  # two original px a network px; 0.1 mm wide and 0.2 mm high
TOP_PADDED = [64, 32, 0, 16, 0.5, nan, nan]  # rows 0 to 7 and 24 to 31 are padding


def peaks(places):
    "Logits (B, N, S, S), +20 at one pixel for each place and -20 elsewhere; None is -20 everywhere."
    return torch.stack([torch.stack([_peak(place) for place in image]) for image in places])


def _peak(place):
    logits = torch.full((SIZE, SIZE), -20.)
    if place is not None: logits[place[1], place[0]] = 20
    return logits


def learner(pred, points, state=None, frame=FRAME, radius=1):
    "What a metric looks at: the predictions and the targets of a batch."
    points = torch.tensor(points).float()
    state = torch.where(points.isnan().any(-1), UNLABELLED, VISIBLE) if state is None else torch.tensor(state)
    yb = draw_diamonds(points, radius, SIZE), points, state, torch.tensor([frame] * len(points)), torch.tensor([radius])
    return SimpleNamespace(pred=pred, yb=yb, to_detach=to_detach)


def scored(metric, *batches):
    metric.reset()
    for batch in batches: metric.accumulate(batch)
    return metric


NOWHERE = [nan, nan]
# predictions at (10, 10); true points 3, 5 = |(3, 4)|, 4 and 12 network px away, one landmark never labelled
FIRST = learner(peaks([[(10, 10)] * 3] * 2), [[[10, 13], NOWHERE, NOWHERE], [[13, 14], [14, 10], NOWHERE]])
SECOND = learner(peaks([[(10, 10)] * 3]), [[[22, 10], NOWHERE, NOWHERE]])


# Landmark error

def test_mean_error_is_over_points_not_over_batches_images_or_landmarks():
    error = scored(LandmarkError(), FIRST, SECOND)
    # (3 + 5 + 4 + 12) / 4; over batches it were 8, over images 6.5, over landmarks 5.33
    assert error.mean('network') == pytest.approx(6, abs=1e-3)


def test_error_is_in_original_pixels_unless_asked_otherwise():  # trap 1
    error = scored(LandmarkError(), FIRST, SECOND)
    assert error.value == error.mean('px') == pytest.approx(12, abs=1e-3)


def test_error_in_mm_by_the_spacing_of_each_axis():
    error = scored(LandmarkError(), FIRST, SECOND)
    # 6 px down; 6 right and 8 down; 8 right; 24 right
    each = [6 * 0.2, (0.6 ** 2 + 1.6 ** 2) ** 0.5, 0.8, 2.4]
    assert error.mean('mm') == pytest.approx(sum(each) / 4, abs=1e-3)


def test_error_in_mm_leaves_out_images_of_unknown_spacing():
    unknown = learner(peaks([[(10, 10)]]), [[[20, 10]]], frame=[64, 64, 0, 0, 0.5, nan, nan])
    known = learner(peaks([[(10, 10)]]), [[[13, 10]]])
    error = scored(LandmarkError(), unknown, known)
    assert error.mean('mm') == pytest.approx(0.6, abs=1e-4) and error.value == pytest.approx(13, abs=1e-3)


def test_error_per_landmark_is_nan_for_one_never_scored():
    each = scored(LandmarkError(), FIRST, SECOND).per_landmark('px')
    assert each.tolist() == pytest.approx([2 * 20 / 3, 8, nan], abs=1e-3, nan_ok=True)


@pytest.mark.parametrize('metric', [LandmarkError(), DiceScore(), PresenceAccuracy()])
def test_value_is_nan_where_nothing_was_accumulated_or_labelled(metric):
    metric.reset()
    assert metric.value != metric.value
    nothing = learner(peaks([[(1, 1), (2, 2)]]), [[NOWHERE, NOWHERE]])
    assert scored(metric, nothing).value != metric.value


@pytest.mark.parametrize('metric', [LandmarkError(), DiceScore(), PresenceAccuracy()])
def test_reset_forgets_the_epoch_before(metric):
    fresh = scored(metric, SECOND).value
    scored(metric, FIRST)
    assert scored(metric, SECOND).value == fresh


def test_dice_counts_a_pixel_that_lies_on_the_mask_by_half():
    points = torch.tensor([[[8., 8.5]]])
    mask = draw_subpixel_diamonds(points, 1, SIZE)  # eight pixels, two of them whole
    yb = mask, points, torch.tensor([[VISIBLE]]), None, torch.tensor([1])
    learn = SimpleNamespace(pred=torch.where(mask == 1, 5., -5.), yb=yb, to_detach=to_detach)
    assert scored(DiceScore(), learn).value == pytest.approx(2 * 2 / (2 + 8))


def test_absent_landmark_has_no_error():
    batch = learner(peaks([[(10, 10), (5, 5)]]), [[[13, 10], NOWHERE]], [[VISIBLE, ABSENT]])
    assert scored(LandmarkError(), batch).per_landmark('network').tolist() == pytest.approx([3, nan], nan_ok=True)


def test_error_uses_the_decoder_it_was_given():  # trap 18
    batch = learner(torch.where(draw_diamonds(torch.tensor([[[16., 16.]]]), 6, SIZE), 20., -20.), [[[16, 16]]])
    assert scored(LandmarkError('centroid'), batch).mean('network') == pytest.approx(0, abs=1e-3)
    assert scored(LandmarkError('argmax'), batch).mean('network') == pytest.approx(6, abs=1e-3)


def test_error_does_not_look_at_the_padding():
    pred = torch.maximum(peaks([[(10, 12)]]), 2 * peaks([[(10, 3)]]))
    assert scored(LandmarkError(), learner(pred, [[[10, 12]]], frame=TOP_PADDED)).value == pytest.approx(0, abs=1e-3)


def test_batches_of_any_size_give_the_same_values():  # trap 10
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(5, 2, SIZE, SIZE, generator=generator)
    points = (torch.rand(5, 2, 2, generator=generator) * SIZE).tolist()
    points[1][0] = points[4][1] = NOWHERE
    for metric in LandmarkError(), DiceScore(), PresenceAccuracy():
        values = [scored(metric, *[learner(pred[i:i + n], points[i:i + n]) for i in range(0, 5, n)]).value
                  for n in (1, 2, 5)]
        assert values == pytest.approx([values[0]] * 3) and values[0] == values[0]


# Dice

def boxes(*slices):
    "Logits (1, N, S, S), +3 in each box of rows and columns and -3 elsewhere; None is -3 everywhere."
    pred = torch.full((1, len(slices), SIZE, SIZE), -3.)
    for k, box in enumerate(slices):
        if box is not None: pred[0, k, box[0]:box[1], box[2]:box[3]] = 3
    return pred


def test_dice_of_masks():
    # the diamond at (10, 10) has 5 pixels; the first box has 6 (rows 10, 11; columns 9 to 11), 4 of them shared:
    # 2 * 4 / (5 + 6); the second has 1, shared: 2 / 6; the third misses
    batch = learner(boxes((10, 12, 9, 12), (10, 11, 10, 11), (20, 22, 20, 22)), [[[10, 10]] * 3])
    dice = scored(DiceScore(), batch)
    assert dice.per_landmark('dice').tolist() == pytest.approx([8 / 11, 1 / 3, 0])
    assert dice.value == pytest.approx((8 / 11 + 1 / 3) / 3)


def test_dice_does_not_count_absent_and_unlabelled_landmarks():  # trap 19
    points, state = [[[10, 10], NOWHERE, NOWHERE]], [[VISIBLE, ABSENT, UNLABELLED]]
    for elsewhere in None, (0, 5, 0, 5):  # predicted or not, where no mask is
        dice = scored(DiceScore(), learner(boxes((10, 11, 10, 11), elsewhere, elsewhere), points, state))
        assert dice.value == pytest.approx(1 / 3)
        assert dice.per_landmark('dice').tolist() == pytest.approx([1 / 3, nan, nan], nan_ok=True)


def test_dice_is_that_of_the_current_radius():
    pred = boxes((10, 11, 10, 11))
    for radius, area in ((0, 1), (1, 5), (2, 13)):
        assert scored(DiceScore(), learner(pred, [[[10, 10]]], radius=radius)).value == pytest.approx(2 / (1 + area))


# Presence

def test_presence_accuracy_counts_labelled_landmarks():
    state = [[VISIBLE, VISIBLE, ABSENT, ABSENT, UNLABELLED], [VISIBLE, VISIBLE, ABSENT, UNLABELLED, UNLABELLED]]
    pred = peaks([[(5, 5), None, (5, 5), None, (5, 5)], [(5, 5), (5, 5), None, None, (5, 5)]])
    points = [[[5, 5] if s == VISIBLE else NOWHERE for s in image] for image in state]
    presence = scored(PresenceAccuracy(), learner(pred, points, state))
    assert presence.value == pytest.approx(5 / 7)  # wrong: the second is missed, the third invented
    assert presence.per_landmark('right').tolist() == pytest.approx([1, 0.5, 0.5, 1, nan], nan_ok=True)


def test_presence_does_not_ask_where_the_landmark_is():
    assert scored(PresenceAccuracy(), learner(peaks([[(30, 30)]]), [[[5, 5]]])).value == 1


def test_presence_does_not_look_at_the_padding():
    batch = learner(peaks([[(5, 3), (5, 3)]]), [[[5, 12], NOWHERE]], [[VISIBLE, ABSENT]], TOP_PADDED)
    assert scored(PresenceAccuracy(), batch).per_landmark('right').tolist() == [0, 1]


# Together

@pytest.mark.parametrize('mm', [False, True])
@pytest.mark.parametrize('presence', [False, True])
def test_names_of_the_metrics(mm, presence):
    names = [metric.name for metric in landmark_metrics(mm=mm, presence=presence)]
    assert names == (['mean_error_px', 'mean_dist'] + ['mean_error_mm'] * mm + ['mean_dice']
                     + ['presence_accuracy'] * presence)


def test_the_three_errors_are_of_one_epoch():
    metrics = {metric.name: metric for metric in landmark_metrics(mm=True)}
    scored(metrics['mean_error_px'], FIRST, SECOND)
    assert metrics['mean_error_px'].value == pytest.approx(12, abs=1e-3)
    assert metrics['mean_dist'].value == pytest.approx(6, abs=1e-3)
    assert metrics['mean_error_mm'].value == pytest.approx(1.5272, abs=1e-3)  # (1.2 + 1.7088 + 0.8 + 2.4) / 4


def test_the_decoder_reaches_the_error():
    batch = learner(torch.where(draw_diamonds(torch.tensor([[[16., 16.]]]), 6, SIZE), 20., -20.), [[[16, 16]]])
    assert scored(landmark_metrics('argmax')[0], batch).mean('network') == pytest.approx(6, abs=1e-3)


def test_a_diverged_network_has_no_finite_error():
    error = LandmarkError()
    error.reset()
    frame = torch.tensor([[64., 64, 0, 0, 1, torch.nan, torch.nan]] * 2)
    pred = torch.stack([torch.zeros(1, 64, 64), torch.full((1, 64, 64), torch.nan)])
    points = torch.full((2, 1, 2), 31.5)
    yb = None, points, torch.zeros(2, 1), frame, None
    error.accumulate(SimpleNamespace(pred=pred, yb=yb, to_detach=to_detach))
    assert error.value == float('inf')
