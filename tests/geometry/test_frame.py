"The half-pixel rule and the maps between original px, network px and [-1, 1], against numbers worked out by hand."

import numpy as np
import pytest
import torch

from landmark_fastai.geometry.frame import Frame, from_unit, inside, to_network, to_original, to_unit

nan = float('nan')
# rows of a batch: width, height, left, top, scale, mm per px in x and y
LANDSCAPE = torch.tensor([300, 200, 0, 50, 64 / 300, 0.5, 0.5])
PORTRAIT = torch.tensor([200, 300, 50, 0, 64 / 300, 0.5, 0.5])
ENLARGED = torch.tensor([3, 4, 0, 0, 16., nan, nan])  # one padded column on the right: (4 - 3) // 2 is 0 on the left


def close(actual, expected, atol=1e-4):
    torch.testing.assert_close(actual, torch.as_tensor(expected), rtol=0, atol=atol, equal_nan=True, check_dtype=False)


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
    close(to_network(torch.tensor(original).float(), Frame.of(frame)), network)
    close(to_original(torch.tensor(network), Frame.of(frame)), original, atol=1e-3)


def test_arrays_are_mapped_as_tensors_are():
    points = np.array([[0., 0], [10, 20], [np.nan, 5]])
    network = to_network(points, Frame.of(PORTRAIT.numpy()))
    assert isinstance(network, np.ndarray)
    close(torch.from_numpy(network), to_network(torch.from_numpy(points), Frame.of(PORTRAIT)))
    close(torch.from_numpy(to_original(network, Frame.of(PORTRAIT.numpy()))), points)


def test_a_frame_is_read_from_its_row_by_name():
    row = np.array([300, 200, 0, 50, 0.5, 0.1, 0.2])
    frame = Frame.of(row)
    assert [values.tolist() for values in frame] == [[300, 200], [0, 50], [0.5], [0.1, 0.2]]
    assert (frame.size[0], frame.padding[1], frame.scale[0], frame.spacing[1]) == (300, 50, 0.5, 0.2)
    assert frame.row().tolist() == row.tolist()
    assert Frame.of(np.stack([row, row])).scale.shape == (2, 1)


def test_points_of_a_batch_each_use_their_own_frame():
    points = torch.tensor([[[0., 0.]], [[0., 0.]]])
    frame = Frame.of(torch.stack([LANDSCAPE, PORTRAIT])[:, None])
    network = to_network(points, frame)
    close(network, [[[-0.39333, 10.27333]], [[10.27333, -0.39333]]])
    close(to_original(network, frame), points)


@pytest.mark.parametrize('network, unit', [
    ((-0.5, -0.5), (-1, -1)), ((63.5, 63.5), (1, 1)), ((31.5, 0), (0, -1 + 1 / 64)),
    ((0, 63), (-1 + 1 / 64, 1 - 1 / 64)),
])
def test_unit_space_spans_the_outer_edges_of_the_square(network, unit):
    close(to_unit(torch.tensor(network), 64), unit, atol=1e-6)
    close(from_unit(torch.tensor(unit), 64), network, atol=1e-5)


@pytest.mark.parametrize('frame', [LANDSCAPE, PORTRAIT, ENLARGED])
def test_the_maps_and_their_inverses_cancel(frame):
    frame = Frame.of(frame)
    points = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) * 250
    close(to_original(to_network(points, frame), frame), points, atol=1e-3)
    close(from_unit(to_unit(points, 64), 64), points, atol=1e-3)


@pytest.mark.parametrize('move', [
    lambda p: to_network(p, Frame.of(LANDSCAPE)), lambda p: to_original(p, Frame.of(LANDSCAPE)),
    lambda p: to_unit(p, 64), lambda p: from_unit(p, 64),
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
