"The panel: what it says of each landmark, and how much room it takes."

import numpy as np
import pytest

from landmark_fastai.viz.overlays import BLUE, draw_landmarks
from landmark_fastai.viz.panel import distance_note, draw_panel
from landmark_fastai.viz.text import ROW

NOWHERE = [[np.nan, np.nan]]


def black(side=256):
    return np.zeros((side, side), np.uint8)


def has(picture, color):
    return bool((picture == color).all(-1).any())


@pytest.mark.parametrize('count', [1, 20, 64])
@pytest.mark.parametrize('name', ['a', 'Hüftkopf größer', 'a very long name ' * 9, '大腿骨', '$x$', 'two\nlines'])
def test_panel_stands_beside_the_picture_whatever_the_names(count, name):
    points = np.random.default_rng(0).uniform(0, 255, (count, 2))
    picture = draw_landmarks(black(), points, points + 3, [name] * count)
    assert picture.dtype == np.uint8 and picture.shape[0] == 768 and 768 + 150 < picture.shape[1] < 2000
    assert (picture[:, -1] == 255).all() and (picture[:, 768] == 255).all()


def test_panel_width_depends_on_the_names_only():
    near, far, none = (draw_landmarks(black(), [[1, 2]], pred, ['tip']) for pred in ([[1, 2]], [[250, 240]], NOWHERE))
    assert near.shape == far.shape == none.shape


@pytest.mark.parametrize('side', [64, 700, 4000])
def test_errors_are_in_px_of_the_image_however_large(side):
    picture = draw_landmarks(black(side), [[10, 10]], [[13, 14]], ['tip'])
    assert np.array_equal(picture, draw_landmarks(black(side), [[10, 10]], [[13, 14]], ['tip'], notes=['5.0 px']))


@pytest.mark.parametrize('true, pred, note', [
    ((3, 4), (0, 0), '5.0 px'), ((3, 4), (3, 4), '0.0 px'), ((np.nan, np.nan), (3, 4), 'no true point'),
    ((3, np.nan), (3, 4), 'no true point'), ((3, 4), (np.nan, np.nan), 'not found')])
def test_panel_says_error_or_why_there_is_none(true, pred, note):
    assert distance_note(np.array(true), np.array(pred)) == note


def test_heading_and_notes_are_what_was_asked_for():
    def panel(*asked): return draw_landmarks(black(), [[1, 2]], [[4, 6]], ['tip'], *asked)[:, 768:]
    pictures = [panel(), panel('confidence'), panel('confidence', ['0.93']), panel('confidence', ['0.94'])]
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_landmarks_that_do_not_fit_stand_in_another_column():
    def panel(n): return draw_panel(10 * ROW, ['tip'] * n, ['0.1 px'] * n, {}, 'errors')
    one, two = panel(8), panel(9)  # the key takes one row, and one is free
    assert two.shape == (10 * ROW, 2 * one.shape[1], 3)
    assert (two[:2 * ROW - 8, one.shape[1]:] == 255).all() and not (two[:, one.shape[1]:] == 255).all()


def test_each_mark_of_the_key_is_drawn_beside_its_text():
    spots = []
    draw_panel(200, ['tip'], ['0.1 px'], {'one': lambda _, spot: spots.append(spot),
                                          'two': lambda _, spot: spots.append(spot)}, 'errors')
    assert [spot[1] for spot in spots] == [0.75 * ROW, 1.75 * ROW] and spots[0][0] == spots[1][0]


def test_key_has_no_truth_where_there_is_none():
    notes = ['0.93']
    assert not has(draw_landmarks(black(), NOWHERE, [[50, 60]], ['tip'], 'confidence', notes), BLUE)
    assert has(draw_landmarks(black(), [[50, 60]], NOWHERE, ['tip'], 'confidence', notes)[:, 768:], BLUE)


def test_panel_has_room_for_notes():
    def widths(note): return draw_landmarks(black(), NOWHERE, NOWHERE, ['tip'], 'confidence', [note]).shape[1]
    assert widths('0.93') == widths('absent') < widths('12.1 px = 1.20 mm') < widths('x' * 500) < 768 + 500
