"The stairs of the erosion."

import pytest

from landmark_fastai.geometry.radius import auto_radius, fixed_radius


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
