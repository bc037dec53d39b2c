"Points that follow from others, and slips."

from pathlib import Path

import numpy as np
import pytest

from landmark_fastai.annotate.actions import MARK, Action, replay
from landmark_fastai.annotate.hints import slips, template
from landmark_fastai.annotate.labels import annotations_of

SHAPE = np.array([(0, 0), (100, 0), (100, 60), (0, 60), (50, 30)], float)
NAMES = ['a', 'b', 'c', 'd', 'e']


def turned(degrees, scale, shift):
    "`SHAPE`, turned, scaled and moved."
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return scale * SHAPE @ [[c, s], [-s, c]] + shift


@pytest.mark.parametrize('n_placed', [2, 3])
def test_the_others_follow_from_two_or_three_points(n_placed):
    true = turned(30, 2.5, (200, 40))
    placed = np.where(np.arange(5)[:, None] < n_placed, true, np.nan)
    found = template(turned(4, 0.1, (0, 0)), placed)
    assert np.isnan(found[:n_placed]).all()
    np.testing.assert_allclose(found[n_placed:], true[n_placed:], atol=1e-6)


def test_one_point_and_landmarks_that_no_image_has_tell_nothing():
    mean = SHAPE.copy()
    mean[4] = np.nan
    one = np.where(np.arange(5)[:, None] < 1, SHAPE, np.nan)
    assert np.isnan(template(mean, one)).all()
    two = np.where(np.arange(5)[:, None] < 2, SHAPE, np.nan)
    assert np.isfinite(template(mean, two)).all(-1).tolist() == [False, False, True, True, False]
    assert np.isnan(template(np.full((5, 2), np.nan), two)).all()


def test_a_swap_is_named_on_its_image_alone():
    random = np.random.default_rng(0)
    images = {f'{k}.png': turned(k, 2, (50 + k, 80)) + random.normal(0, 1, (5, 2)) for k in range(30)}
    images['3.png'][[0, 2]] = images['3.png'][[2, 0]]
    work = replay([Action(name, 'tab', MARK, name, 0, dict(zip(NAMES, map(tuple, points.tolist()), strict=True)))
                   for name, points in images.items()])
    annotations = annotations_of(work, NAMES, dict.fromkeys(images, (600, 600)), Path('x.csv'))
    found, = slips(annotations, '3.png')
    assert found.landmarks == (0, 2) and 'a and c' in found.what
    assert slips(annotations, '4.png') == [] == slips(annotations, 'none.png')
