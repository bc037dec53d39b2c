"What is drawn of a measurement, in px of the image: lines, arcs and where the values stand."

import numpy as np
import pytest
from helpers import annotated, write_definitions

from landmark_fastai.measure.definitions import Measure, read_definitions
from landmark_fastai.measure.drawing import ARC, STEPS, Drawing, written
from landmark_fastai.measure.evaluate import measure_landmarks


@pytest.fixture
def drawing(tmp_path):
    "A function that measures a text on the points a, b, c, ... of images of 1000 px; returns its `Drawing`."
    def made(text, points, spacing=1, names=None, state=0, unit='deg'):
        if 'measure:' not in text: text = f'measure: {{it: {{value: "{text}", unit: {unit}}}}}'
        annotations = annotated(points, spacing, names, state)
        definitions = read_definitions(write_definitions(tmp_path, text))
        return Drawing(annotations, definitions, measure_landmarks(annotations, definitions))
    return made


def arc_of(strokes):
    "The points of the only arc."
    arc, = (stroke.points for stroke in strokes if len(stroke.points) == STEPS)
    return arc


def paths(strokes):
    "The whole lines, as tuples of rounded numbers."
    whole = [stroke.points for stroke in strokes if len(stroke.points) == 2 and not stroke.dashed]
    return {tuple(points.round(6).ravel()) for points in whole}


CROSS = [[[300, 500], [700, 500], [500, 700], [500, 300]]]  # a to b: to the right; c to d: up


@pytest.mark.parametrize('spacing', [None, 1, (0.1, 0.1), (0.1, 0.2)])
def test_an_angle_is_two_lines_and_an_arc_where_they_cross(drawing, spacing):
    strokes, (label,) = drawing('angle(line(a, b), line(c, d))', CROSS, spacing).shapes(0)
    assert paths(strokes) == {(300, 500, 700, 500), (500, 700, 500, 300)}
    x, y = np.subtract(arc_of(strokes), (500, 500)).T
    scale = np.broadcast_to(1 if spacing is None else spacing, 2)
    assert np.hypot(x * scale[0], y * scale[1]) == pytest.approx(ARC * 1000 * np.mean(scale))  # a circle in mm
    assert (x > -1e-6).all() and (y < 1e-6).all() and y[0] == pytest.approx(0) and x[-1] == pytest.approx(0)
    assert label.text == 'it 90.0°' and (label.place > (500, 0)).all() and label.place[1] < 500


def test_the_arc_of_a_mirrored_side_lies_on_its_lines(drawing):
    names = [f'{side}_{name}' for side in ('right', 'left') for name in 'abcd']
    text = 'sides: {right: {prefix: right_}, left: {prefix: left_, mirror: true}}\n' \
           'measure: {it: {value: "angle(line(a, b), line(c, d))", unit: deg}}'
    right = np.array([[100, 500], [300, 500], [200, 600], [200, 400.]])
    made = drawing(text, [np.concatenate([right, right * (-1, 1) + (1000, 0)])], names=names)
    strokes, labels = made.shapes(0)
    first, second = (stroke.points for stroke in strokes if len(stroke.points) == STEPS)
    assert second == pytest.approx(first * (-1, 1) + (1000, 0))
    assert [label.text for label in labels] == ['it 90.0°'] * 2 and labels[1].place[0] == pytest.approx(
        1000 - labels[0].place[0])


def test_a_small_angle_of_lines_that_cross_far_away_is_drawn_at_the_second(drawing):
    strokes, _ = drawing('angle(line(a, b), line(c, d))', [[[100, 500], [200, 500], [100, 600], [200, 590]]]).shapes(0)
    arc = arc_of(strokes)
    assert np.linalg.norm(arc - (150, 595), axis=1) == pytest.approx(60)  # 6 % of 1000 px around its middle


def test_distances_are_lines(drawing):
    strokes, (label,) = drawing('distance(a, b)', CROSS, unit='mm').shapes(0)
    assert paths(strokes) == {(300, 500, 700, 500)} and label.text == 'it 400.0 mm'
    assert label.place == pytest.approx([500, 500])
    strokes, _ = drawing('distance(a, line(c, d))', CROSS, unit='mm').shapes(0)
    assert paths(strokes) == {(300, 500, 500, 500), (500, 700, 500, 300)}
    strokes, _ = drawing('along(b, line(c, d))', CROSS, unit='mm').shapes(0)
    assert {(500, 700, 500, 300), (500, 700, 500, 500)} == paths(strokes)


def test_definitions_are_drawn_once_and_signs_and_other_measurements_not(drawing):
    text = '''
define: {way: "distance(a, b)", facing: "sign(distance(c, line(a, d)))", both: way + way}
measure:
  one: {value: facing * both, unit: mm}
  two: {value: 2 * one, unit: mm}
'''
    strokes, labels = drawing(text, CROSS).shapes(0)
    assert paths(strokes) == {(300, 500, 700, 500)} and len(strokes) == 1
    assert [label.text.split()[0] for label in labels] == ['one']


def test_doubled_definitions_take_no_time(drawing):
    doubled = ', '.join(f'a{k}: a{k - 1} + a{k - 1}' for k in range(1, 40))
    text = f'define: {{a0: "distance(a, b)", {doubled}}}\nmeasure: {{it: {{value: a39, unit: mm}}}}'
    assert len(drawing(text, CROSS).shapes(0)[0]) == 1


def test_a_blank_is_told_beside_the_picture_and_not_drawn(drawing):
    made = drawing('angle(line(a, b), line(c, d))', CROSS * 2, state=[[0] * 4, [0, 0, 1, 0]])
    assert made.shapes(1) == ([], []) and made.note(1, 0, 0) == 'c is absent' and made.note(0, 0, 0) == '90.0°'
    picture = made.draw(1, np.zeros((1000, 1000), np.uint8))
    assert picture.shape[0] == 1000 and picture.shape[1] > 1000 and not picture[:, :1000].any()


@pytest.mark.parametrize('value, unit, text', [(-3.25, 'deg', '−3.2°'), (-0.04, 'deg', '0.0°'), (12, 'mm', '12.0 mm'),
                                               (0.678, 'ratio', '0.68'), (66, '%', '66.0 %'), (5, 'px', '5.0 px')])
def test_values_are_written_as_people_do(value, unit, text):
    assert written(value, Measure('it', unit)) == text
