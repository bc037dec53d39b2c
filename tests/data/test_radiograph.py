"The synthetic radiographs: landmarks sit where femoral heads and tips of bones are drawn, at any size."

import cv2
import numpy as np
import pytest

from landmark_fastai.data.anatomy import RADIUS, TIPS, landmarks, random_hips
from landmark_fastai.data.canvas import circle
from landmark_fastai.data.radiograph import draw_bones, draw_radiograph, random_view

SEEDS = [[42, 1], [42, 2], [7, 0], [7, 1], [7, 2], [7, 3]]


def laid(seed, image_size=640, pointed=False):
    "The hips of a seed, the view of them, and an empty canvas that shows them where the radiograph of the seed does."
    rng = np.random.default_rng(seed)
    hips = random_hips(rng, pointed)
    view = random_view(rng, np.array(list(landmarks(hips).values())), image_size)
    return hips, view, view.canvas()


def drawn(seed, image_size=640):
    "The radiograph of a seed, the hips on it, and an empty canvas that shows them in the same place."
    radiograph = draw_radiograph(np.random.default_rng(seed), image_size)
    hips, view, canvas = laid(seed, image_size)
    assert radiograph.image.shape == view.shape and radiograph.spacing == view.spacing
    return radiograph, hips, canvas


@pytest.mark.parametrize('seed, image_size', [*((seed, 640) for seed in SEEDS), (SEEDS[0], 2400)])
def test_landmark_is_the_centroid_of_the_drawn_head(seed, image_size):
    radiograph, hips, canvas = drawn(seed, image_size)
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


# --- films of any size, with tips

@pytest.mark.parametrize('image_size', [640, 1300, 2400])
def test_a_tip_is_the_corner_of_its_outline_on_the_film_without_noise(image_size):
    "The corner is searched from beside the landmark by the grey values alone, the bones lying over each other."
    misses = {name: [] for name in TIPS if name != 'teardrop'}
    for seed in SEEDS[:4]:
        hips, _, canvas = laid(seed, image_size, pointed=True)
        draw_bones(canvas, hips, np.random.default_rng(0))
        film = np.exp(-canvas.layer)
        for name, found in misses.items():
            for tip in (canvas.place(hip.tip(name)) for hip in hips):
                start = np.array([[tip + (1.5, -1.5)]], np.float32)
                corner = cv2.cornerSubPix(film, start, (5, 5), (-1, -1), (3, 100, 1e-3))[0, 0]
                found.append(np.hypot(*(corner - tip)))
    for name, found in misses.items(): assert np.median(found) < 0.75, (name, found)


@pytest.mark.parametrize('image_size', [640, 1300, 2400])
def test_the_teardrop_ends_half_a_line_beyond_its_tip(image_size):
    for seed in SEEDS[:2]:
        hips, _, canvas = laid(seed, image_size, pointed=True)
        for hip in hips:
            outline, tip = canvas.place(hip.outline('teardrop')), canvas.place(hip.tip('teardrop'))
            arms = [(tip - each) / np.hypot(*(tip - each)) for each in (outline[2], outline[6])]
            along = sum(arms) / np.hypot(*sum(arms))
            line = canvas.borders([hip.outline('teardrop')], 2.2)
            t = np.linspace(-12, 12, 481)
            beyond, across = (sample(line, tip + t[:, None] * way) for way in (along, along[::-1] * (-1, 1)))
            half = np.sqrt(canvas.detail) * 2.2 / canvas.detail / canvas.mm / 2
            assert abs(t[beyond > line.max() / 2].max() - half) < 0.75
            assert abs((t * across).sum() / across.sum()) < 0.5


def sample(layer, points):
    "`layer` at `points` (n, 2)."
    x, y = points.T.astype(np.float32)
    return cv2.remap(layer, x[None], y[None], cv2.INTER_LINEAR)[0]


@pytest.mark.parametrize('image_size', [640, 1800])
def test_the_finished_film_shows_the_tips_where_they_are_drawn(image_size):
    "The shift that fits the film without noise to the finished one best: nothing moves between layers and file."
    shifts = []
    for seed in SEEDS[:2]:
        film = draw_radiograph(np.random.default_rng(seed), image_size, pointed=True)
        hips, view, canvas = laid(seed, image_size, pointed=True)
        assert film.image.shape == view.shape and film.spacing == view.spacing
        draw_bones(canvas, hips, np.random.default_rng(0))
        window = cv2.createHanningWindow((64, 64), cv2.CV_32F)
        for x, y in (np.round(point).astype(int) for name, point in film.points.items() if 'head' not in name):
            crops = [cv2.getRectSubPix(layer.astype(np.float32), (64, 64), (float(x), float(y)))
                     for layer in (canvas.layer, film.image)]
            shifts.append(cv2.phaseCorrelate(*crops, window)[0])
    assert np.hypot(*np.median(shifts, 0)) < 0.3


def test_a_fine_film_is_sharp_and_full_of_texture_whose_power_a_square_of_256_px_loses():
    film = draw_radiograph(np.random.default_rng(SEEDS[0]), 2400, pointed=True)
    x, y = np.round(film.points['left_femoral_head']).astype(int)
    bone = cv2.GaussianBlur(film.image[y - 75:y + 75, x - 75:x + 75].astype(np.float32), (0, 0), 1)
    texture = bone - cv2.GaussianBlur(bone, (0, 0), 5)
    seen = cv2.resize(texture, (16, 16), interpolation=cv2.INTER_AREA)  # as in 256 of 2400 px
    assert texture.std() > 3 and seen.var() < 0.25 * texture.var()


def test_all_landmarks_lie_inside():
    for k in range(300):
        hips, view, canvas = laid([1, k], 640, pointed=True)
        share = canvas.place(np.array(list(landmarks(hips).values()))) / view.shape[::-1]
        assert share.min() > 0.06 and share.max() < 0.94
