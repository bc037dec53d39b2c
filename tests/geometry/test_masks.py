"Masks: diamonds, drawn plainly and fast, are repeated dilations, also between pixels; content is what shows the image."

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, generate_binary_structure

from landmark_fastai.geometry.frame import inside
from landmark_fastai.geometry.masks import (
    content,
    diamond_area,
    draw_diamonds,
    draw_diamonds_fast,
    draw_subpixel_diamonds,
)

nan = float('nan')
# rows of a batch: width, height, left, top, scale, mm per px in x and y
LANDSCAPE = torch.tensor([300, 200, 0, 50, 64 / 300, 0.5, 0.5])
PORTRAIT = torch.tensor([200, 300, 50, 0, 64 / 300, 0.5, 0.5])
ENLARGED = torch.tensor([3, 4, 0, 0, 16., nan, nan])  # one padded column on the right: (4 - 3) // 2 is 0 on the left


@pytest.fixture(params=[draw_diamonds, draw_diamonds_fast])
def draw(request):
    "Both ways of drawing."
    return request.param


@pytest.mark.parametrize('radius', [1, 2, 5, 13, 40])
@pytest.mark.parametrize('x, y', [(16, 16), (0, 0), (31, 31), (0, 31), (3, 20), (29, 1)])
def test_diamond_equals_repeated_binary_dilation(draw, radius, x, y):
    pixel = np.zeros((32, 32), bool)
    pixel[y, x] = True
    expected = binary_dilation(pixel, generate_binary_structure(2, 1), iterations=radius)
    assert np.array_equal(draw(torch.tensor([float(x), y]), radius, 32).numpy(), expected)


def test_radius_0_is_the_one_pixel(draw):  # trap 7
    mask = draw(torch.tensor([5., 2.]), 0, 16)
    assert mask.nonzero().tolist() == [[2, 5]]


@pytest.mark.parametrize('radius, area', [(0, 1), (1, 5), (2, 13), (5, 61), (65, 8581)])
def test_area_of_a_whole_diamond(draw, radius, area):
    assert diamond_area(radius) == area
    assert draw(torch.tensor([80., 90.]), radius, 192).sum() == area


@pytest.mark.parametrize('point', [(nan, nan), (nan, 3.), (3., nan)])
@pytest.mark.parametrize('radius', [0, 5, 100])
def test_nan_point_has_an_empty_mask(draw, point, radius):
    assert not draw(torch.tensor(point), radius, 16).any()


def test_nan_point_does_not_empty_the_other_masks(draw):
    masks = draw(torch.tensor([[[nan, nan], [3., 4.]], [[5., 6.], [nan, nan]]]), 1, 16)
    assert masks.shape == (2, 2, 16, 16) and masks.dtype == torch.bool
    assert masks.sum((2, 3)).tolist() == [[0, 5], [5, 0]]


@pytest.mark.parametrize('value, pixel', [(-0.5, 0), (0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3), (2.49, 2)])
def test_points_round_half_up(draw, value, pixel):
    assert draw(torch.tensor([value, 4.]), 0, 8).nonzero().tolist() == [[4, pixel]]
    assert draw(torch.tensor([4., value]), 0, 8).nonzero().tolist() == [[pixel, 4]]


def test_diamond_around_a_point_outside_reaches_in_only_as_far_as_its_radius(draw):
    masks = draw(torch.tensor([[-2., 4.], [-2., 4.], [1e6, -1e6]]), 2, 8)
    assert masks[0].nonzero().tolist() == [[4, 0]] and not masks[2].any()
    assert not draw(torch.tensor([-2., 4.]), 1, 8).any()


@pytest.mark.parametrize('radius', [0, 1, 7, 31, 32, 33, 70])
def test_both_ways_of_drawing_agree(radius):
    points = torch.rand(3, 40, 2, generator=torch.Generator().manual_seed(radius)) * 160 - 64  # in and around 32 px
    points[0, :5] = torch.tensor([[nan, nan], [nan, 3], [1e9, -1e9], [float('inf'), 0], [15.5, 15.5]])
    assert torch.equal(draw_diamonds(points, radius, 32), draw_diamonds_fast(points, radius, 32))


def test_inside_agrees_with_what_is_drawn(draw):
    points = torch.tensor([[x, 4.] for x in (-0.6, -0.5, -0.4, 0, 6.9, 7.4, 7.5, 7.6)])
    drawn = draw(points, 0, 8).any(-1).any(-1)
    assert drawn.tolist() == inside(points, 8).tolist() == [False, True, True, True, True, True, False, False]


# --- diamonds between pixels

def subpixel(x, y, radius, size=32):
    masks = draw_subpixel_diamonds(torch.tensor([x, y]), radius, size)
    assert masks.shape == (size, size) and masks.dtype == torch.float16
    return masks.float()


def test_a_point_between_pixels_is_shared_by_four():
    mask = subpixel(5.25, 2.5, 0)
    assert mask[2:4, 5:7].tolist() == [[0.375, 0.125], [0.375, 0.125]] and mask.sum() == 1


def test_a_diamond_between_two_pixels_is_half_of_each():
    mask = subpixel(5., 2.5, 1)  # around rows 2 and 3
    assert mask[1:5, 4:7].tolist() == [[0, 0.5, 0], [0.5, 1, 0.5], [0.5, 1, 0.5], [0, 0.5, 0]] and mask.sum() == 5


@pytest.mark.parametrize('radius', [0, 1, 6, 40])
@pytest.mark.parametrize('x, y', [(16, 16), (0, 31), (3, 20)])
def test_around_the_middle_of_a_pixel_it_is_the_diamond_of_that(x, y, radius):
    assert torch.equal(subpixel(float(x), float(y), radius), draw_diamonds(torch.tensor([x, y]), radius, 32).float())


@pytest.mark.parametrize('radius', [0, 1, 5])
@pytest.mark.parametrize('x, y', [(10.1, 12.9), (15.5, 15.5), (20.75, 9.)])
def test_a_diamond_keeps_its_area_and_its_middle_is_its_point(x, y, radius):
    mask, grid = subpixel(x, y, radius), torch.arange(32.)
    assert mask.sum().item() == pytest.approx(diamond_area(radius), rel=1e-3)
    middle = [(mask.sum(axis) * grid).sum().item() / mask.sum().item() for axis in (0, 1)]
    assert middle == pytest.approx([x, y], abs=1e-3)


@pytest.mark.parametrize('radius', [0, 1, 7, 33])
def test_it_is_interpolated_between_whole_diamonds_also_at_the_border(radius):
    points = torch.rand(3, 20, 2, generator=torch.Generator().manual_seed(radius)) * 80 - 24  # in and around 32 px
    corner, expected = points.floor(), 0
    for step in torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]):
        share = (1 - (points - corner - step).abs()).prod(-1)
        expected = expected + share[..., None, None] * draw_diamonds(corner + step, radius, 32)
    torch.testing.assert_close(draw_subpixel_diamonds(points, radius, 32).float(), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize('point', [(nan, nan), (nan, 3.), (3., nan), (1e9, -1e9), (float('inf'), 0.)])
@pytest.mark.parametrize('radius', [0, 5, 100])
def test_a_point_that_is_nowhere_has_an_empty_mask(point, radius):
    assert not subpixel(*point, radius, 16).any()


# --- content

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
