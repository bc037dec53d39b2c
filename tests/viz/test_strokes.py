"Lines, arcs and values on images: where they lie, that they are thin, and that values stand apart."

import numpy as np
import pytest

from landmark_fastai.viz.strokes import COLOURS, Label, Stroke, draw_strokes

SIDE = 768


def drawn(strokes, labels=(), side=SIDE, names=('HKA',), notes=('3.2°',)):
    "The picture of `strokes` and `labels` on black, without the list beside it."
    image = np.zeros((side, side), np.uint8)
    picture = draw_strokes(image, list(strokes), list(labels), list(names), list(notes), 'measurements')
    assert picture.dtype == np.uint8 and picture.ndim == 3
    return picture[:, :len(picture)]


def coloured(picture, k):
    "Which pixels are nearer to the colour `k` than to black or grey."
    return (abs(picture.astype(int) - COLOURS[k]) < 60).all(-1)


def test_a_line_is_a_pixel_wide_and_lies_where_it_was_told():
    found = coloured(drawn([Stroke(np.array([[100, 200], [600, 200.]]), 1)]), 1)
    rows, columns = np.nonzero(found)
    assert set(rows) == {200} and columns.min() <= 101 and columns.max() >= 599 and len(columns) > 490


def test_small_images_are_enlarged_and_lines_with_them():
    found = coloured(drawn([Stroke(np.array([[0, 50.0625], [95, 50.0625]]), 1)], side=96), 1)
    rows, columns = np.nonzero(found)
    assert found.shape == (768, 768) and set(rows) == {404} and np.ptp(columns) > 750  # (50.0625 + 0.5) * 8 - 0.5


def test_dashes_leave_holes_and_ends_are_marked():
    path = np.array([[100, 200], [600, 200.]])
    whole, dashed, marked = (coloured(drawn([Stroke(path, 0, **more)]), 0).sum()
                             for more in ({}, {'dashed': True}, {'ends': True}))
    assert 0.4 * whole < dashed < 0.8 * whole and marked > whole + 10


@pytest.mark.parametrize('path', [[[5, 5], [5, 5]], [[-1e7, 300], [1e7, 300]], [[900, 900], [2000, 900]]])
@pytest.mark.parametrize('dashed', [False, True])
def test_lines_without_a_length_or_far_outside_do_no_harm(path, dashed):
    drawn([Stroke(np.array(path, float), 0, dashed)], [Label(np.array(path[0], float), 'x', 0)])


def test_values_stand_inside_and_apart():
    place = np.array([5., 5])
    alone = [coloured(drawn([], [Label(place, 'HKA 3.2°', k)]), k) for k in (0, 1)]
    both = drawn([], [Label(place, 'HKA 3.2°', 0), Label(place, 'HKA 3.2°', 1)])
    for k in (0, 1): assert coloured(both, k).sum() == pytest.approx(alone[k].sum(), rel=0.1) and alone[k].any()


def test_colours_begin_again():
    path = np.array([[100, 200], [600, 200.]])
    assert (drawn([Stroke(path, 0)]) == drawn([Stroke(path, len(COLOURS))])).all()
