"Decoding: points, presence and scatter from heatmaps, against numbers worked out by hand."

import math

import pytest
import torch

from landmark_fastai.geometry.decoding import Heatmaps, decode, is_present, read
from landmark_fastai.geometry.distances import radial_errors
from landmark_fastai.geometry.frame import Frame, to_network, to_original
from landmark_fastai.geometry.masks import content, draw_diamonds

# rows of a batch: width, height, left, top, scale, mm per px in x and y
LANDSCAPE = torch.tensor([300, 200, 0, 50, 64 / 300, 0.5, 0.5])
PORTRAIT = torch.tensor([200, 300, 50, 0, 64 / 300, 0.5, 0.5])


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
    point = to_network(torch.tensor([[[150., y]]]), Frame.of(LANDSCAPE[None, None]))
    logits = torch.where(draw_diamonds(point, radius, 64), 20., -20.)  # a part of the diamond lies on the padding
    # half a network pixel, by which a diamond is rounded, is 2.3 original px a side here
    assert radial_errors(decode(logits, LANDSCAPE[None]), point, LANDSCAPE[None])['px'].item() < 2.5


def test_a_decoded_point_lies_on_the_image():
    logits = torch.zeros(1, 1, 64, 64)
    logits[0, 0, :12, 30] = 30.  # a ridge that runs from the padding just onto the first row of the image
    for method in ('centroid', 'argmax'):
        assert (to_original(decode(logits, LANDSCAPE[None], method), Frame.of(LANDSCAPE[None, None])) >= -1e-3).all()


# Presence

@pytest.mark.parametrize('logit, row, present', [(-1e-3, 30, False), (0., 30, True), (9., 30, True), (9., 3, False)])
def test_a_landmark_is_present_where_its_sigmoid_reaches_a_half_on_the_image(logit, row, present):
    logits = torch.full((1, 2, 64, 64), -5.)
    logits[0, 1, row, 20] = logit  # rows 0 to 10 are padding
    assert is_present(logits, LANDSCAPE[None]).tolist() == [[False, present]]


# Scatter

def whole_square(size): return torch.tensor([[size, size, 0., 0., 1., 1., 1.]])


def test_scatter_is_the_expected_distance_along_both_axes():
    logits = torch.full((1, 1, 16, 16), -torch.inf)
    logits[0, 0, 5, 4], logits[0, 0, 5, 8] = math.log(3.), 0.  # 3/4 at (4, 5), 1/4 at (8, 5)
    assert Heatmaps(logits, whole_square(16)).scatter(torch.tensor([[[4., 5.]]])).item() == pytest.approx(1)
    # from (4, 1): a quarter of 4 px along x, 4 px along y
    assert Heatmaps(logits, whole_square(16)).scatter(torch.tensor([[[4., 1.]]])).item() == pytest.approx(17 ** 0.5)


def test_scatter_looks_at_the_image_and_not_at_its_padding():
    logits = torch.zeros(1, 1, 8, 8)
    logits[0, 0, 0] = 50.  # all of it on padding
    frames = torch.tensor([[8., 4., 0., 2., 1., 1., 1.]])  # rows 2 to 5
    # uniform over 8 columns and 4 rows around (3.5, 3.5): 2 px along x, 1 px along y
    assert Heatmaps(logits, frames).scatter(torch.tensor([[[3.5, 3.5]]])).item() == pytest.approx(5 ** 0.5)


def test_scatter_of_large_logits_is_finite():
    logits = torch.randn(1, 2, 8, 8) * 1e4
    assert Heatmaps(logits, whole_square(8)).scatter(torch.zeros(1, 2, 2)).isfinite().all()


# Several peaks

THREE = (12.3, 14.6, 1.), (50, 51, 3.), (50, 12, 2.)  # x, y, height


def with_peaks(*peaks, size=64):
    "Logits (1, 1, size, size) with narrow peaks."
    return torch.stack([blob(size, x, y, 1, 1, height) for x, y, height in peaks]).amax(0)[None, None]


@pytest.mark.parametrize('method, first', [('centroid', (12.3, 14.6)), ('argmax', (12, 15))])
def test_peaks_are_found_from_the_highest_down(method, first):
    found = read(with_peaks(*THREE), whole_square(64), method, n_peaks=3)
    close(found.points[0, 0], [(50, 51), (50, 12), first], atol=0.06)
    close(found.heights[0, 0], [3, 2, 1], atol=0.13)  # the third lies between pixels
    assert found.points[0, 0, 0].tolist() == decode(with_peaks(*THREE), method=method)[0, 0].tolist()


def test_scatter_is_around_each_peak():
    flat = torch.full((1, 1, 64, 64), -100.)
    flat[..., 20, 10], flat[..., 20, 40] = 0, math.log(1 / 3)  # shares of 3/4 and 1/4, 30 px apart
    found = read(flat, whole_square(64), 'argmax', n_peaks=2)
    close(found.scatter[0, 0], [7.5, 22.5])


def test_a_flank_is_no_peak():
    "Nor is what lies so near a higher one that their cells, of 2 px in a square of 64, touch."
    logits = torch.maximum(blob(64, 20, 20, 9, 9, 5.), with_peaks((23, 20, 4.9), (50, 50, -3.))[0, 0])
    found = read(logits[None, None], whole_square(64), 'argmax', n_peaks=3)
    close(found.points[0, 0, :2], [(20, 20), (50, 50)])
    assert found.heights[0, 0].tolist() == [5, -3, -torch.inf]


def test_peaks_are_on_the_image_and_where_none_is_left_it_is_at_minus_infinity():
    logits = with_peaks((32, 20, 1.), (32, 60, 9.), (10, 30, 0.))  # the highest on the padding
    found = read(logits, LANDSCAPE[None], 'argmax', n_peaks=2)
    close(found.points[0, 0], [(32, 20), (10, 30)], atol=0.5)
    tiny = torch.tensor([[8., 8, 0, 0, 1, 1, 1]])  # 4 x 4 cells
    heights = read(with_peaks((4, 4, 1.)), tiny, 'argmax', n_peaks=4).heights[0, 0]
    assert heights[0] == 1 and heights[-1] == -torch.inf


@pytest.mark.parametrize('size', [50, 97, 130])
def test_peaks_of_a_side_that_cells_do_not_divide(size):
    far = size - 3
    found = read(with_peaks((far, far, 2.), (5, far, 1.), size=size), whole_square(size), 'argmax', n_peaks=2)
    close(found.points[0, 0], [(far, far), (5, far)])


# All of it at once

def read_plainly(logits, frame):
    "Centroid (2,), scatter and presence of one channel (S, S), one formula after the other in float64."
    logits = logits.double()
    y, x = torch.meshgrid(*[torch.arange(logits.shape[-1]).double()] * 2, indexing='ij')
    allowed = content(frame[None], logits.shape[-1])[0, 0]
    peak = logits.where(allowed, -torch.inf).argmax().item()
    top, row, column = logits.flatten()[peak], *divmod(peak, logits.shape[-1])
    weight = (logits - top).clamp(max=0).exp()
    reach = math.ceil(2 * math.sqrt(weight[allowed].sum() / 2)) + 1
    near = weight * ((x - column).abs() <= reach) * ((y - row).abs() <= reach)
    points = torch.stack([(near * side).sum() / near.sum() for side in (x, y)])
    first, last = (to_network(place, Frame.of(frame)) for place in (torch.zeros(2), frame[:2] - 1))
    points = points.clamp(first.double(), last.double())
    softmax = weight * allowed / weight[allowed].sum()
    away = [(softmax * (side - point).abs()).sum() for side, point in zip((x, y), points, strict=True)]
    return points, math.hypot(*away), bool(top >= 0)


@pytest.mark.parametrize('layout', [torch.channels_last, torch.contiguous_format])
def test_all_readings_are_those_of_the_formulas_however_the_logits_lie(layout):
    frames = torch.stack([LANDSCAPE, PORTRAIT])
    places = torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(0)) * 64  # some of them on the padding
    logits = torch.stack([torch.stack([blob(64, *place, 3, 2, height=1 - k) for k, place in enumerate(image.tolist())])
                          for image in places])
    logits += 0.3 * torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    logits[1, 2] -= 300  # absent, and far from 0
    found = read(logits.to(memory_format=layout), frames, 'centroid')
    for b in range(2):
        for k in range(3):
            points, scatter, present = read_plainly(logits[b, k], frames[b])
            close(found.points[b, k], points[None], atol=1e-4)
            assert found.scatter[b, k].item() == pytest.approx(scatter, rel=1e-5)
            assert found.present[b, k] == present
    assert torch.equal(found.points[:, :, 0], decode(logits, frames))
    assert torch.equal(found.present, is_present(logits, frames))
    assert found.present.any() and not found.present.all()
