"Test-time augmentation: views are black outside the image, and their average keeps place and names."

import cv2
import numpy as np
import pytest
import torch
from helpers import DiscFinder, disc_finder, discs

from landmark_fastai.inference.views import warp


def test_views_are_padded_with_black():
    seen = []
    class Watcher(DiscFinder):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)
    disc_finder(64, Watcher(), mean=[0.5] * 3, std=[0.5] * 3).predict([np.zeros((50, 60), np.uint8)], tta=True)
    assert len(seen) == 7 and all((x == -1).all() for x in seen)


@pytest.mark.parametrize('tta', [False, True])
def test_averaging_over_views_keeps_the_place(tta):
    width, height, points = 3000, 2400, [[700.25, 1900.5], [2250.75, 420.]]
    found = disc_finder(256).predict([discs(width, height, points)], tta=tta)
    np.testing.assert_allclose(found.points[0], points, atol=6)  # half a network px


def test_mirror_views_give_left_to_right():
    class Sides(DiscFinder):
        "Two grey discs: channel 0 prefers the left one, channel 1 the right one."
        def forward(self, x):
            x = super().forward(x)[:, :1]
            ramp = torch.linspace(8, -8, x.shape[-1])
            return torch.cat([x + ramp, x - ramp], 1)
    image, points = np.zeros((400, 400), np.uint8), [[100.5, 150.], [320., 260.25]]
    for x, y in points: cv2.circle(image, (round(x * 16), round(y * 16)), 20 * 16, 128, -1, cv2.LINE_AA, 4)
    finder = disc_finder(128, Sides(), flip_pairs='grey:white')
    plain, averaged = (finder.predict([image], tta=tta) for tta in (False, True))
    np.testing.assert_allclose(plain.points[0], points, atol=4)
    np.testing.assert_allclose(averaged.points[0], points, atol=4)
    # without the exchange of channels the views would contradict each other
    finder.engine.network.mirrored = [0, 1]
    assert np.abs(finder.predict([image], tta=True).confidence[0] - averaged.confidence[0]).max() > 0.2


def test_warping_back_undoes_warping():
    image = torch.zeros(1, 1, 64, 64)
    image[..., 20:30, 40:50] = 1
    zoom, shift = torch.tensor([-0.95, 0.95]), torch.tensor([1 / 32, 0.])
    there = warp(image, zoom, shift)
    assert (there - image).abs().max() > 0.9
    back = warp(there, 1 / zoom, -shift / zoom)
    assert (back - image)[..., 22:28, 42:48].abs().max() < 1e-4 and back[..., :15, :].abs().max() < 1e-4
