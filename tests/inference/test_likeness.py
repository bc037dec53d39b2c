"Whether new images are like those that bounds are from: a warning where they are not, and hardly ever where they are."

import cv2
import numpy as np
import pytest

from landmark_fastai.inference.likeness import differences, look_of


def test_a_look_is_brightness_contrast_grain_and_expected_error():
    half = np.zeros((4, 8), np.uint8)
    half[:, :4] = 255
    assert look_of(half, np.array([1., 3., np.nan])) == [0.5, 0.5, 1 / 7, 0.25]  # one step in a row; 2 px of 8
    assert look_of(np.stack([half] * 3, 2), np.array([np.nan])) == [0.5, 0.5, 1 / 7, 0.]


@pytest.mark.parametrize('n_new, warned', [(4, False), (6, False), (7, True)])
def test_against_nine_images_it_takes_seven_new_ones(n_new, warned):
    # all new ones on one side by chance: in 2 of 5005 cases with 6, 2 of 11440 with 7; 1 of 4000 is allowed
    looks, new = ([[brightness + k / 100, 0.2, 0.02, 0.01 + k / 1000] for k in range(n)] for brightness, n in
                  ((0.5, 9), (0.1, n_new)))
    assert differences(looks, new) == (['brightness'] if warned else [])


def test_expected_errors_that_are_not_known_say_nothing():
    looks, new = ([[0.5 + k / 100, 0.2, 0.02, expected] for k in range(20)] for expected in (0.01, 0.05))
    assert differences(looks, new) == ['expected errors']
    assert differences([look[:3] for look in looks], new) == []


def test_images_that_are_alike_draw_no_warning():
    random = np.random.default_rng(0)
    warned = [bool(differences(random.random((20, 4)), random.random((30, 4)))) for _ in range(1000)]
    assert sum(warned) <= 5  # 1 of 1000 at most is to be expected
    darker = random.random((30, 4)) * [0.2, 1, 1, 1]
    assert differences(random.random((20, 4)), darker) == ['brightness']


def test_noise_that_leaves_brightness_and_contrast_alone_is_noticed():
    random = np.random.default_rng(0)
    films = [cv2.GaussianBlur(random.integers(0, 256, (80, 60), np.uint8), (0, 0), 8) for _ in range(20)]
    noisy = [(film + random.normal(0, 2, film.shape)).clip(0, 255).astype(np.uint8) for film in films]
    looks, new = ([look_of(film, np.array([1.])) for film in side] for side in (films, noisy))
    assert differences(looks, new) == ['grain']
