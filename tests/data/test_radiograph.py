"The synthetic radiographs: landmarks sit where the femoral heads are drawn."

import cv2
import numpy as np
import pytest

from landmark_fastai.data.anatomy import RADIUS, random_hips
from landmark_fastai.data.canvas import Canvas, circle
from landmark_fastai.data.radiograph import draw_radiograph, random_view

SEEDS = [[42, 1], [42, 2], [7, 0], [7, 1], [7, 2], [7, 3]]


def drawn(seed):
    "The radiograph of a seed, the hips on it, and an empty canvas that shows them in the same place."
    radiograph = draw_radiograph(np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    hips = random_hips(rng)
    view = random_view(rng, hips)
    assert radiograph.image.shape == view.shape and radiograph.spacing == view.spacing
    return radiograph, hips, Canvas(view.shape, view.affine)


@pytest.mark.parametrize('seed', SEEDS)
def test_landmark_is_the_centroid_of_the_drawn_head(seed):
    radiograph, hips, canvas = drawn(seed)
    assert list(radiograph.points) == ['right_femoral_head', 'left_femoral_head']
    reach = 1.3 * RADIUS / canvas.mm
    for hip, point in zip(hips, radiograph.points.values(), strict=True):
        # both ways in which the head is drawn: the ball, and the filled outline with its cortex
        for layer in (canvas.ellipsoid(hip.head, hip.ball), canvas.depth([circle() @ hip.ball + hip.head])):
            y, x = np.indices(layer.shape)
            window = (x - point[0]) ** 2 + (y - point[1]) ** 2 < reach ** 2
            weight = layer * window
            centroid = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
            is_whole = window.sum() > 0.99 * np.pi * reach ** 2
            assert not is_whole or np.hypot(*(centroid - point)) < 0.3


def test_head_is_found_in_the_finished_radiograph():
    "The disc that fits the grey values best has its centre at the landmark: nothing moves between layers and file."
    misses = []
    for seed in SEEDS:
        radiograph, hips, canvas = drawn(seed)
        for hip, point in zip(hips, radiograph.points.values(), strict=True):
            if hip.worn: continue
            misses.append(edge_offset(radiograph.image, point, RADIUS / canvas.mm, hip.joint / canvas.mm))
    assert np.median(misses) <= 1


def edge_offset(image, point, radius, gap):
    "Distance in px from `point` to where a disc of `radius` is brightest against the joint space around its top."
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1)
    angles = np.radians(np.linspace(-150, -30, 60))
    shifts = [(dx, dy) for dx in np.arange(-4, 5) for dy in np.arange(-4, 5)]
    def mean(r, shift):
        x, y = (point[i] + shift[i] + r * f(angles) for i, f in enumerate((np.cos, np.sin)))
        return cv2.remap(image, x[None].astype(np.float32), y[None].astype(np.float32), cv2.INTER_LINEAR).mean()
    return np.hypot(*max(shifts, key=lambda shift: mean(radius - 3, shift) - mean(radius + gap / 2, shift)))
