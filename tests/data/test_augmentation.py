"Augmentation: what moves the image moves the points, padding stays black, and numbers are what they are said to be."

import math

import pytest
import torch
from fastai.torch_core import TensorImage

from landmark_fastai import UsageError
from landmark_fastai.data import augmentation
from landmark_fastai.data.augmentation import Elastic, Exposure, RandomGamma, ShearShift, augmentations, mirror_order
from landmark_fastai.data.tensors import TensorLandmarks
from landmark_fastai.formats.annotations import UNLABELLED, VISIBLE
from landmark_fastai.geometry.frame import to_unit

FRAME = torch.tensor([100., 50., 0., 25., 0.64, 1., 1.])  # 100 x 50 px on a square of 64: rows 16 to 47


@pytest.fixture
def batch():
    "Eight grey films of noise on black padding, with a point each."
    torch.manual_seed(0)
    image = torch.zeros(8, 1, 64, 64)
    image[:, :, 16:48] = torch.rand(8, 1, 32, 64) * 0.8 + 0.1
    points = TensorLandmarks(to_unit(torch.full((8, 1, 2), 30.), 64))
    return TensorImage(image), points, torch.full((8, 1), VISIBLE), FRAME.expand(8, 7)


def always(**kwargs):
    "An `Exposure` that does just what `kwargs` say."
    return Exposure(dict(gamma=1., noise=0., blur=0., occlusion=0., inversion=0.) | kwargs)


# --- exposure

@pytest.mark.parametrize('kind', [{'gamma': 2.}, {'noise': 1.}, {'blur': 1.}, {'occlusion': 1.}, {'inversion': 1.}])
def test_each_change_is_of_the_film_and_never_of_its_padding(batch, kind):
    image, points, state, frame = always(**kind)(batch, split_idx=0)
    assert isinstance(image, TensorImage) and image.shape == batch[0].shape
    assert image[:, :, :16].max() == image[:, :, 48:].max() == 0
    assert 0 <= image.min() and image.max() <= 1
    assert ((image - batch[0]).abs().flatten(1).amax(1) > 0.05).sum() >= 5  # each film in its own way, gamma not always
    assert points is batch[1] and state is batch[2] and frame is batch[3]


def test_nothing_is_changed_that_was_not_asked_for(batch):
    torch.testing.assert_close(always()(batch, split_idx=0)[0], batch[0])


def test_inversion_is_one_minus(batch):
    film = always(inversion=1.)(batch, split_idx=0)[0][:, :, 16:48]
    torch.testing.assert_close(torch.Tensor(film), 1 - torch.Tensor(batch[0][:, :, 16:48]))


def test_occlusion_hides_a_part_of_each_film(batch):
    hidden = (always(occlusion=1.)(batch, split_idx=0)[0] != batch[0]).flatten(1).float().mean(1)
    assert hidden.max() <= 0.06 and (hidden > 0).sum() >= 4  # up to 5 % of the square, less where it lies on padding


def test_validation_sees_films_as_they_are(batch):
    exposure = always(inversion=1., noise=1.)
    assert torch.equal(exposure(batch, split_idx=1)[0], batch[0])


def test_an_unlabelled_image_passes(batch):
    assert torch.equal(always(inversion=1.)((batch[0],), split_idx=0)[0], batch[0])


@pytest.mark.parametrize('drawn, power', [(0., 1 / 1.5), (0.5, 1.), (1., 1.5)])
def test_gamma_goes_both_ways_alike(monkeypatch, drawn, power):
    monkeypatch.setattr(torch, 'rand', lambda *_: torch.tensor(drawn))
    torch.testing.assert_close(RandomGamma(1.5)(torch.full((1, 2, 2), 0.25)), torch.full((1, 2, 2), 0.25 ** power))


# --- moves

def test_shear_and_shift_are_as_large_as_they_are_said_to_be():
    torch.manual_seed(0)
    matrices = ShearShift(shear=5, shift=0.1)(torch.zeros(2000, 1, 4, 4))
    assert matrices.shape == (2000, 3, 3)
    assert torch.equal(matrices[:, [0, 1, 2], [0, 1, 2]], torch.ones(2000, 3)) and not matrices[:, 2, :2].any()
    for entry, most in ((matrices[:, 0, 1], math.tan(math.radians(5))), (matrices[:, 1, 0], math.tan(math.radians(5))),
                        (matrices[:, 0, 2], 0.2), (matrices[:, 1, 2], 0.2)):  # the square is 2 wide
        assert 0.99 * most < entry.abs().max() <= most
        assert (entry == 0).float().mean() == pytest.approx(1 - augmentation.P_AFFINE, abs=0.03)


def test_an_elastic_move_and_its_inverse_meet():
    torch.manual_seed(0)
    elastic = Elastic(0.03)
    elastic.before_call(torch.zeros(200, 1, 4, 4))
    places = torch.rand(200, 10, 2) * 1.8 - 0.9
    there = elastic(places, invert=True)
    assert (elastic(there) - places).abs().max() < 1e-4  # of a square that is 2 wide
    assert 0.03 < (there - places).square().mean().sqrt() < 0.08  # an SD of 0.06 at the knots, less in between


def test_an_elastic_move_takes_image_and_points_along():
    torch.manual_seed(1)
    grid = torch.arange(128.)
    point = torch.rand(16, 1, 2) * 50 + 40
    dots = [(-((grid - x) ** 2 + (grid[:, None] - y) ** 2) / 8).exp() for x, y in point[:, 0]]
    image = TensorImage(torch.stack(dots)[:, None])
    move = next(t for t in augmentations('normal', elastic=0.02) if t.order == 30)
    moved, unit = move((image, TensorLandmarks(to_unit(point, 128))), split_idx=0)
    weight = torch.Tensor(moved)[:, 0]
    found = torch.stack([(weight.sum(1) * grid).sum(1), (weight.sum(2) * grid).sum(1)], 1) / weight.sum((1, 2))[:, None]
    expected = (torch.Tensor(unit)[:, 0] + 1) * 64 - 0.5
    inside = (expected - 63.5).abs().amax(1) < 55
    assert inside.sum() > 8 and (found - expected).norm(dim=1)[inside].max() < 0.25  # a bent dot is not quite round
    assert (expected - point[:, 0]).norm(dim=1).mean() > 2


def test_a_point_without_a_place_stays_without():
    elastic = Elastic(0.02)
    elastic.before_call(torch.zeros(1, 1, 4, 4))
    there = elastic(torch.tensor([[[torch.nan, torch.nan], [0., 0.]]]), invert=True)
    assert there[0, 0].isnan().all() and not there[0, 1].isnan().any()


# --- strengths

def test_each_strength_has_all_kinds_and_none_has_nothing():
    names = set(augmentation.STRENGTHS['normal'])
    assert all(set(s) == names for strength, s in augmentation.STRENGTHS.items() if strength != 'none')
    assert augmentations('none') == []
    assert [t.order for t in augmentations('normal')] == [20, 30, 40]  # one resampling


def test_strengths_grow():
    light, normal, strong = (augmentation.STRENGTHS[name] for name in ('light', 'normal', 'strong'))
    assert all(light[kind] <= normal[kind] <= strong[kind] for kind in light)


@pytest.mark.parametrize('arguments, named', [
    (('heavy',), ['augment', "'heavy'", 'none, light, normal, strong']), (('normal', 0.2), ['elastic', '0.2', '0.03']),
    (('normal', -0.1), ['elastic', '-0.1']), (('none', 0.01), ['elastic', "'none'"])])
def test_wrong_arguments_are_refused(arguments, named):
    with pytest.raises(UsageError) as refused: augmentations(*arguments)
    assert all(word in str(refused.value) for word in named)


@pytest.mark.parametrize('pairs, named', [([('left', 'lft')], ["'lft'", 'left, right']),
                                          ([('left', 'right'), ('right', 'left')], ["'left'", 'left, right'])])
def test_pairs_that_are_none_are_refused(pairs, named):
    with pytest.raises(UsageError) as refused: mirror_order(pairs, ['left', 'right'])
    assert all(word in str(refused.value) for word in ('flip_pairs', *named))


# --- left and right

def test_a_flip_takes_states_along(batch, monkeypatch):
    monkeypatch.setattr(torch, 'rand', lambda *size, **_: torch.zeros(size))
    flip = augmentation.FlipPairs([('left', 'right')], ['left', 'right'])
    points = to_unit(torch.tensor([[[1., 5.], [10., 6.]]]).expand(8, 2, 2), 64)
    state = torch.tensor([[VISIBLE, UNLABELLED]]).expand(8, 2)
    _, points, state, _ = flip((batch[0], points, state, batch[3]), split_idx=0)
    torch.testing.assert_close(points[0], to_unit(torch.tensor([[53., 6.], [62., 5.]]), 64))
    assert state[0].tolist() == [UNLABELLED, VISIBLE]
