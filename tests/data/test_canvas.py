"The canvas: corners of curves, wide blurs in larger pixels, and parts of a canvas."

import cv2
import numpy as np

from landmark_fastai.data.canvas import Canvas, circle, spline

SQUARE = np.array([(0., 0.), (8, 0), (8, 8), (0, 8)])


def canvas_of(side, detail):
    "An empty square canvas of half millimetres."
    return Canvas((side, side), np.array([(2., 0, 10), (0, 2, 20)]), detail)


def test_a_vertex_that_is_written_three_times_is_a_corner():
    corners = np.repeat(SQUARE, 3, 0)
    curve = spline(corners, closed=True, steps=4)
    assert len(curve) == 16 and all((curve == vertex).all(1).any() for vertex in SQUARE)
    x, y = curve.T
    assert (np.isin(x, (0, 8)) | np.isin(y, (0, 8))).all(), 'nothing but the four sides'


def test_an_open_curve_comes_to_its_corner_and_leaves_it():
    line = np.array([(0., 0.), (4, 0), (4, 0), (4, 0), (4, 4)])
    curve = spline(line, closed=False, steps=4)
    assert (curve[:4, 1] == 0).all() and (curve[4] == (4, 0)).all() and (curve[4:, 0] == 4).all()


def test_other_curves_are_round_and_go_through_their_vertices():
    curve = spline(circle(12), closed=True, steps=6)
    assert len(curve) == 72
    np.testing.assert_allclose(np.hypot(*curve.T), 1, atol=2e-3)
    np.testing.assert_allclose(curve[::6], circle(12))


def test_a_wide_blur_on_a_fine_film_is_the_same_in_larger_pixels():
    layer = np.random.default_rng(0).random((203, 203), np.float32) + np.eye(203, dtype=np.float32) * 20
    fine, usual = (canvas_of(203, detail).blur(layer, 8) for detail in (3.75, 1))
    assert usual.std() > 0.1 and abs(fine - usual).max() < 0.05 * np.ptp(usual)
    np.testing.assert_array_equal(usual, cv2.GaussianBlur(layer, (0, 0), 16))


def test_what_is_drawn_on_a_part_is_drawn_on_the_canvas_in_the_same_place():
    whole, parted = canvas_of(200, 2), canvas_of(200, 2)
    outline = SQUARE + (30, 20)
    part = parted.around(outline)
    assert part.layer.shape == (64, 64), 'the square of 16 px and 24 px on each side of it'
    for canvas in (whole, part):
        canvas.layer += canvas.depth([outline]) + canvas.borders([outline], 2)
        canvas.layer += canvas.ellipsoid((34, 24), np.diag((5., 3)))
    np.testing.assert_allclose(parted.layer, whole.layer, atol=1e-5)


def test_a_part_beyond_the_border_is_no_error():
    canvas = canvas_of(50, 2)
    part = canvas.around(SQUARE + 500)
    part.layer += part.depth([SQUARE + 500])
    assert not canvas.layer.any()
