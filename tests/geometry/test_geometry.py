"Geometry: pixel rule, diamonds, erosion stairs, decoding and distances, against numbers worked out by hand."

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, generate_binary_structure

from landmark_fastai.geometry.decoding import decode, scatter
from landmark_fastai.geometry.distances import confidence, radial_errors, spread
from landmark_fastai.geometry.erosion import auto_radius, fixed_radius
from landmark_fastai.geometry.frame import from_unit, inside, to_network, to_original, to_unit
from landmark_fastai.geometry.masks import content, diamond_area, draw_diamonds

nan = float('nan')
# width, height, left, top, scale, mm per px in x and y
LANDSCAPE = torch.tensor([300, 200, 0, 50, 64 / 300, 0.5, 0.5])
PORTRAIT = torch.tensor([200, 300, 50, 0, 64 / 300, 0.5, 0.5])
ENLARGED = torch.tensor([3, 4, 0, 0, 16., nan, nan])  # one padded column on the right: (4 - 3) // 2 is 0 on the left


def blob(size, x, y, sx=2., sy=2., height=0.):
    "Logits (size, size) whose softmax is a Gaussian around (x, y)."
    grid = torch.arange(size).float()
    return height - (grid[None] - x) ** 2 / (2 * sx ** 2) - (grid[:, None] - y) ** 2 / (2 * sy ** 2)


def saturated(x, y, radius, size, logit=20.):
    "Logits (1, 1, size, size) of a network that is certain: +logit all over a diamond, -logit elsewhere."
    mask = draw_diamonds(torch.tensor([[[float(x), float(y)]]]), radius, size)
    return torch.where(mask, logit, -logit)


def close(actual, expected, atol=1e-4):
    torch.testing.assert_close(actual, torch.as_tensor(expected), rtol=0, atol=atol, equal_nan=True, check_dtype=False)


# Pixel rule

@pytest.mark.parametrize('frame, original, network', [
    (LANDSCAPE, (0, 0), (0.5 * 64 / 300 - 0.5, 50.5 * 64 / 300 - 0.5)),  # -0.3933, 10.2733
    (LANDSCAPE, (149.5, 99.5), (31.5, 31.5)),  # centre to centre
    (LANDSCAPE, (299, 199), (63.39333, 52.72667)),
    (PORTRAIT, (0, 0), (10.27333, -0.39333)),
    (PORTRAIT, (99.5, 149.5), (31.5, 31.5)),
    (PORTRAIT, (199, 299), (52.72667, 63.39333)),
    (ENLARGED, (0, 0), (7.5, 7.5)),  # the centre of a pixel is the centre of its 16 x 16 block, 0 to 15
    (ENLARGED, (2, 3), (39.5, 55.5)),
])
def test_original_pixels_reach_network_pixels_by_the_half_pixel_rule(frame, original, network):
    close(to_network(torch.tensor(original).float(), frame), network)
    close(to_original(torch.tensor(network), frame), original, atol=1e-3)


def test_points_of_a_batch_each_use_their_own_frame():
    points, frames = torch.tensor([[[0., 0.]], [[0., 0.]]]), torch.stack([LANDSCAPE, PORTRAIT])
    network = to_network(points, frames[:, None])
    close(network, [[[-0.39333, 10.27333]], [[10.27333, -0.39333]]])
    close(to_original(network, frames[:, None]), points)


@pytest.mark.parametrize('network, unit', [
    ((-0.5, -0.5), (-1, -1)), ((63.5, 63.5), (1, 1)), ((31.5, 0), (0, -1 + 1 / 64)),
    ((0, 63), (-1 + 1 / 64, 1 - 1 / 64)),
])
def test_unit_space_spans_the_outer_edges_of_the_square(network, unit):
    close(to_unit(torch.tensor(network), 64), unit, atol=1e-6)
    close(from_unit(torch.tensor(unit), 64), network, atol=1e-5)


@pytest.mark.parametrize('frame', [LANDSCAPE, PORTRAIT, ENLARGED])
def test_the_maps_and_their_inverses_cancel(frame):
    points = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) * 250
    close(to_original(to_network(points, frame), frame), points, atol=1e-3)
    close(from_unit(to_unit(points, 64), 64), points, atol=1e-3)


@pytest.mark.parametrize('move', [
    lambda p: to_network(p, LANDSCAPE), lambda p: to_original(p, LANDSCAPE), lambda p: to_unit(p, 64),
    lambda p: from_unit(p, 64),
])
def test_a_point_that_is_not_known_stays_nan_and_leaves_its_neighbour_alone(move):
    moved = move(torch.tensor([[nan, nan], [10., 20.]]))
    assert moved[0].isnan().all() and moved[1].isfinite().all()


@pytest.mark.parametrize('x, expected', [
    (-0.5, True), (-0.50001, False), (0, True), (7.49999, True), (7.5, False), (8, False), (nan, False),
    (float('inf'), False), (-float('inf'), False),
])
def test_inside_is_what_rounds_to_a_pixel_of_the_square(x, expected):
    for point in (x, 3.), (3., x):
        assert inside(torch.tensor(point), 8).item() is expected


def test_inside_agrees_with_what_is_drawn():
    points = torch.tensor([[x, 4.] for x in (-0.6, -0.5, -0.4, 0, 6.9, 7.4, 7.5, 7.6)])
    drawn = draw_diamonds(points, 0, 8).any(-1).any(-1)
    assert drawn.tolist() == inside(points, 8).tolist() == [False, True, True, True, True, True, False, False]


# Diamonds

@pytest.mark.parametrize('radius', [1, 2, 5, 13, 40])
@pytest.mark.parametrize('x, y', [(16, 16), (0, 0), (31, 31), (0, 31), (3, 20), (29, 1)])
def test_diamond_equals_repeated_binary_dilation(radius, x, y):
    pixel = np.zeros((32, 32), bool)
    pixel[y, x] = True
    expected = binary_dilation(pixel, generate_binary_structure(2, 1), iterations=radius)
    assert np.array_equal(draw_diamonds(torch.tensor([float(x), y]), radius, 32).numpy(), expected)


def test_radius_0_is_the_one_pixel():  # trap 7
    mask = draw_diamonds(torch.tensor([5., 2.]), 0, 16)
    assert mask.nonzero().tolist() == [[2, 5]]


@pytest.mark.parametrize('radius, area', [(0, 1), (1, 5), (2, 13), (5, 61), (65, 8581)])
def test_area_of_a_whole_diamond(radius, area):
    assert diamond_area(radius) == area
    assert draw_diamonds(torch.tensor([80., 90.]), radius, 192).sum() == area


@pytest.mark.parametrize('point', [(nan, nan), (nan, 3.), (3., nan)])
@pytest.mark.parametrize('radius', [0, 5, 100])
def test_nan_point_has_an_empty_mask(point, radius):
    assert not draw_diamonds(torch.tensor(point), radius, 16).any()


def test_nan_point_does_not_empty_the_other_masks():
    masks = draw_diamonds(torch.tensor([[[nan, nan], [3., 4.]], [[5., 6.], [nan, nan]]]), 1, 16)
    assert masks.shape == (2, 2, 16, 16) and masks.dtype == torch.bool
    assert masks.sum((2, 3)).tolist() == [[0, 5], [5, 0]]


@pytest.mark.parametrize('value, pixel', [(-0.5, 0), (0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3), (2.49, 2)])
def test_points_round_half_up(value, pixel):
    assert draw_diamonds(torch.tensor([value, 4.]), 0, 8).nonzero().tolist() == [[4, pixel]]
    assert draw_diamonds(torch.tensor([4., value]), 0, 8).nonzero().tolist() == [[pixel, 4]]


def test_diamond_around_a_point_outside_reaches_in_only_as_far_as_its_radius():
    masks = draw_diamonds(torch.tensor([[-2., 4.], [-2., 4.], [1e6, -1e6]]), 2, 8)
    assert masks[0].nonzero().tolist() == [[4, 0]] and not masks[2].any()
    assert not draw_diamonds(torch.tensor([-2., 4.]), 1, 8).any()


# Erosion stairs

def test_fixed_radius_is_the_stairs_of_the_original():
    stairs = [65] * 50 + [55] * 50 + [45] * 50 + [35] * 50 + [25] * 50 + [15] * 50 + [5] * 50 + [1] * 150
    assert [fixed_radius(epoch) for epoch in range(500)] == stairs


@pytest.mark.parametrize('arguments, radii', [
    ((10, 2, 3), [10, 10, 7, 7, 4, 4, 1, 1, 1]),
    ((4, 1, 4), [4, 1, 1]),  # 4 - 4 is 0, but never below 1
    ((7, 3, 0), [7, 7, 7, 7]),
    ((1, 1, 1), [1, 1, 1]),
    ((0, 50, 10), [0, 0, 0]),
])
def test_fixed_radius_follows_its_arguments(arguments, radii):
    assert [fixed_radius(epoch, *arguments) for epoch in range(len(radii))] == radii


@pytest.mark.parametrize('arguments', [(65, 50, 10), (40, 25, 3), (65, 7, 1), (0, 50, 10)])
def test_auto_radius_equals_fixed_radius_at_350_epochs_and_512_px(arguments):
    for epoch in range(350):
        assert auto_radius(epoch, 350, 512, *arguments) == fixed_radius(epoch, *arguments)


def test_auto_radius_for_20_epochs_at_256_px():
    # epoch e is the original's epoch 17.5 e, so the stairs end after 3, 6, 9, … epochs; half of 65, 55, …, rounded up
    stairs = [33] * 3 + [28] * 3 + [23] * 3 + [18] * 3 + [13] * 3 + [8] * 3 + [3] * 2
    assert [auto_radius(epoch, 20, 256) for epoch in range(20)] == stairs


def test_auto_radius_grows_with_the_image():
    assert [auto_radius(0, 10, size) for size in (32, 64, 128, 1024)] == [4, 8, 16, 130]  # 65 / 16 = 4.06, …


@pytest.mark.parametrize('total', [1, 3, 7, 20, 100, 350, 1000])
@pytest.mark.parametrize('size', [32, 256, 512, 1024])
def test_radius_never_grows_and_never_ends(total, size):
    for dilation_iters in (65, 2, 1):
        radii = [auto_radius(epoch, total, size, dilation_iters) for epoch in range(total + 5)]
        assert radii == sorted(radii, reverse=True) and radii[-1] >= 1
        assert all(isinstance(radius, int) for radius in radii)
    assert auto_radius(total - 1, total, size, dilation_iters=0) == 0


# Decoding

@pytest.mark.parametrize('radius', [0, 1, 5, 33])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_flat_diamond_is_found_at_its_centre_though_its_largest_value_is_at_its_top(radius, dtype):  # trap 18
    logits = saturated(40, 50, radius, 96).to(dtype)
    close(decode(logits, method='argmax'), [[[40, 50 - radius]]])
    close(decode(logits), [[[40, 50]]], atol=1e-3)


@pytest.mark.parametrize('dx, dy', [(9, 0), (0, 9), (-9, 0), (0, -9), (4, 5)])
def test_flat_diamond_is_found_at_its_centre_wherever_its_largest_value_is(dx, dy):  # trap 18
    logits = saturated(40, 50, 9, 96)
    logits[0, 0, 50 + dy, 40 + dx] += 1e-4
    close(decode(logits, method='argmax'), [[[40 + dx, 50 + dy]]])
    close(decode(logits), [[[40, 50]]], atol=1e-2)


@pytest.mark.parametrize('x, y', [(20.3, 31.7), (20.0, 31.5), (33.45, 12.05)])
@pytest.mark.parametrize('sx, sy', [(2, 2), (3, 1.5), (1.2, 3.2)])
def test_peak_between_pixels_is_found_to_a_twentieth_of_a_pixel(x, y, sx, sy):
    close(decode(blob(64, x, y, sx, sy)[None, None]), [[[x, y]]], atol=0.05)


def test_distant_weaker_peak_does_not_pull():
    strong, weak = blob(64, 12.3, 14.6), blob(64, 50, 51, height=-1.5)
    both = torch.logaddexp(strong, weak)[None, None]  # a second peak with a fifth of the probability
    close(decode(both), [[[12.3, 14.6]]], atol=0.05)


def test_every_image_and_channel_is_decoded_for_itself():
    places = torch.tensor([[[10.2, 20.7], [40.1, 8.4], [5.5, 5.5]], [[30.9, 50.3], [22.2, 22.2], [58.0, 6.6]]])
    logits = torch.stack([torch.stack([blob(64, *place) for place in image]) for image in places.tolist()])
    close(decode(logits), places, atol=0.05)
    close(decode(logits, method='argmax'), (places + 0.4999).floor(), atol=0)


@pytest.mark.parametrize('method', ['argmax', 'centroid'])
def test_bfloat16_logits_are_decoded_in_float32(method):
    # bfloat16 knows no 301: its integers are exact up to 256 only
    logits = saturated(301, 277, 0, 320).bfloat16()
    points = decode(logits, method=method)
    assert points.dtype == torch.float32
    close(points, [[[301, 277]]], atol=1e-3)


@pytest.mark.parametrize('logit', [1e4, 1e30])
def test_huge_logits_overflow_nothing(logit):
    close(decode(saturated(20, 30, 4, 64, logit)), [[[20, 30]]], atol=1e-3)


@pytest.mark.parametrize('level', [0., -1e4, 1e4])
def test_channel_without_any_peak_decodes_to_the_middle(level):
    close(decode(torch.full((1, 1, 64, 64), level)), [[[31.5, 31.5]]], atol=1e-2)


@pytest.mark.parametrize('method', ['argmax', 'centroid'])
def test_peak_on_the_padding_is_not_looked_at_when_the_frame_is_known(method):
    logits = torch.maximum(saturated(20, 30, 0, 64, 10.), saturated(25, 3, 2, 64, 30.))  # rows 0 to 10 are padding
    assert decode(logits, method=method)[0, 0, 1] < 6
    close(decode(logits, LANDSCAPE[None], method), [[[20, 30]]], atol=1e-3)


def test_each_image_of_a_batch_is_decoded_in_its_own_frame():
    logits = torch.maximum(saturated(30, 5, 0, 64, 20.), saturated(5, 30, 0, 64, 10.)).repeat(2, 1, 1, 1)
    close(decode(logits, torch.stack([PORTRAIT, LANDSCAPE])), [[[30, 5]], [[5, 30]]], atol=1e-3)


@pytest.mark.parametrize('y, radius', [(0, 1), (0, 3), (0, 8), (5, 3), (5, 8)])
def test_a_landmark_at_the_edge_to_the_padding_is_found_there(y, radius):
    frame = torch.tensor([[300., 200, 0, 50, 64 / 300, .5, .5]])
    point = to_network(torch.tensor([[[150., y]]]), frame[:, None])
    logits = torch.where(draw_diamonds(point, radius, 64), 20., -20.)  # a part of the diamond lies on the padding
    # half a network pixel, by which a diamond is rounded, is 2.3 original px a side here
    assert radial_errors(decode(logits, frame), point, frame)['px'].item() < 2.5


def test_a_decoded_point_lies_on_the_image():
    frame = torch.tensor([[300., 200, 0, 50, 64 / 300, .5, .5]])
    logits = torch.zeros(1, 1, 64, 64)
    logits[0, 0, :12, 30] = 30.  # a ridge that runs from the padding just onto the first row of the image
    for method in ('centroid', 'argmax'):
        assert (to_original(decode(logits, frame, method), frame[:, None]) >= -1e-3).all()



def test_content_is_the_pixels_whose_centre_lies_on_the_image():
    # 64 px show 300, so a pixel is 4.6875 wide: the centre of row 10 is at 49.2 and of row 53 at 250.8, the image
    # from 50 to 250
    landscape, portrait = content(torch.stack([LANDSCAPE, PORTRAIT]), 64)
    assert landscape.shape == (1, 64, 64) and landscape.dtype == torch.bool
    expected = torch.zeros(64, 64, dtype=torch.bool)
    expected[11:53] = True
    assert torch.equal(landscape[0], expected) and torch.equal(portrait[0], expected.T)


def test_content_of_an_enlarged_image():
    [[image]] = content(ENLARGED[None], 64)  # 3 of 4 columns, 16 px each
    assert image[:, :48].all() and not image[:, 48:].any()


# Distances

def test_radial_errors_in_network_px_original_px_and_mm():
    frame = torch.tensor([[100, 100, 0, 0, 0.5, 0.1, 0.2], [100, 100, 7, 9, 2, nan, nan]])
    true = torch.tensor([[[10., 10.], [0, 0]], [[1, 2], [nan, nan]]])
    pred = torch.tensor([[[13., 14.], [6, 0]], [[1, 6], [3, 3]]])
    errors = radial_errors(pred, true, frame)
    assert set(errors) == {'network', 'px', 'mm'}
    close(errors['network'], [[5, 6], [4, nan]])
    close(errors['px'], [[10, 12], [2, nan]])
    # 6 px of 0.1 mm and 8 px of 0.2 mm: sqrt(0.36 + 2.56); 12 px of 0.1 mm
    close(errors['mm'], [[2.92 ** 0.5, 1.2], [nan, nan]])


def test_spread_is_the_standard_deviation_of_the_distances():
    points = torch.tensor([[0., 0.], [4., 0.], [2., 6.]]).view(3, 1, 1, 2)
    # mean (2, 2): squared distances 8, 8, 16, over 3 - 1
    assert spread(points).tolist() == [[4.]]
    assert spread(points[:1]).isnan().all()


# confidence

def whole_frame(size): return torch.tensor([[size, size, 0., 0., 1., 1., 1.]])


def test_scatter_is_the_expected_distance_along_both_axes():
    logits = torch.full((1, 1, 16, 16), -torch.inf)
    logits[0, 0, 5, 4], logits[0, 0, 5, 8] = math.log(3.), 0.  # 3/4 at (4, 5), 1/4 at (8, 5)
    assert scatter(logits, torch.tensor([[[4., 5.]]]), whole_frame(16)).item() == pytest.approx(1)
    # from (4, 1): a quarter of 4 px along x, 4 px along y
    assert scatter(logits, torch.tensor([[[4., 1.]]]), whole_frame(16)).item() == pytest.approx(17 ** 0.5)


def test_scatter_looks_at_the_image_and_not_at_its_padding():
    logits = torch.zeros(1, 1, 8, 8)
    logits[0, 0, 0] = 50.  # all of it on padding
    frame = torch.tensor([[8., 4., 0., 2., 1., 1., 1.]])  # rows 2 to 5
    # uniform over 8 columns and 4 rows around (3.5, 3.5): 2 px along x, 1 px along y
    assert scatter(logits, torch.tensor([[[3.5, 3.5]]]), frame).item() == pytest.approx(5 ** 0.5)


def test_scatter_of_large_logits_is_finite():
    logits = torch.randn(1, 2, 8, 8) * 1e4
    assert scatter(logits, torch.zeros(1, 2, 2), whole_frame(8)).isfinite().all()


@pytest.mark.parametrize('share, expected', [(0, 1), (0.01, 0.8), (0.04, 0.5), (0.36, 0.1)])
def test_confidence_falls_with_the_expected_error(share, expected):
    assert confidence(torch.tensor(share * 256.), 256).item() == pytest.approx(expected)
