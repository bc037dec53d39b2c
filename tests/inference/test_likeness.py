"Whether new images are like those that bounds are from: a warning where they are not, and hardly ever where they are."

import numpy as np
import pytest

from landmark_fastai.inference.likeness import differences, look_of


def test_a_look_is_brightness_contrast_and_expected_error():
    half = np.zeros((8, 4), np.uint8)
    half[:4] = 255
    assert look_of(half, np.array([1., 3., np.nan])) == [0.5, 0.5, 0.25]  # 2 px of 8
    assert look_of(half, np.array([np.nan])) == [0.5, 0.5, 0.]


@pytest.mark.parametrize('n_new, warned', [(4, False), (6, False), (7, True)])
def test_against_nine_images_it_takes_seven_new_ones(n_new, warned):
    # all new ones on one side by chance: in 2 of 5005 cases with 6, 2 of 11440 with 7; 1 of 3000 is allowed
    looks, new = ([[brightness + k / 100, 0.2, 0.01 + k / 1000] for k in range(n)] for brightness, n in
                  ((0.5, 9), (0.1, n_new)))
    assert differences(looks, new) == (['brightness'] if warned else [])


def test_expected_errors_that_are_not_known_say_nothing():
    looks, new = ([[0.5 + k / 100, 0.2, expected] for k in range(20)] for expected in (0.01, 0.05))
    assert differences(looks, new) == ['expected errors']
    assert differences([look[:2] for look in looks], new) == []


def test_images_that_are_alike_draw_no_warning():
    random = np.random.default_rng(0)
    warned = [bool(differences(random.random((20, 3)), random.random((30, 3)))) for _ in range(1000)]
    assert sum(warned) <= 5  # 1 of 1000 at most is to be expected
    darker = random.random((30, 3)) * [0.4, 1, 1]
    assert differences(random.random((20, 3)), darker) == ['brightness']
