"The functions of definitions by hand-computed numbers, and what no turn, scale or place of an image changes."

import numpy as np
import pytest
from helpers import annotated, write_definitions
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landmark_fastai.measure.definitions import read_definitions
from landmark_fastai.measure.evaluate import measure_landmarks
from landmark_fastai.measure.functions import FUNCTIONS, OPERATORS

# a at the top left, b right of it, c below b, d between; y points down
POINTS = {'a': (0, 0), 'b': (4, 0), 'c': (4, 3), 'd': (1, 1), 'e': (8, 0)}


@pytest.fixture
def value(tmp_path):
    "A function that measures a text on points, with a spacing in mm; NaN becomes the reason."
    def measured(text, points=POINTS, spacing=1, unit='deg'):
        path = write_definitions(tmp_path, f'measure:\n  here:\n    unit: "{unit}"\n    value: "{text}"')
        found = measure_landmarks(annotated([list(points.values())], spacing, list(points)), read_definitions(path))
        number, = found.values.ravel()
        return found.reasons.item() if np.isnan(number) else number
    return measured


HAND = [
    ('distance(midpoint(a, c), d)', np.hypot(1, 0.5)), ('distance(a, midpoint(a, c))', 2.5),
    ('distance(a, centroid(b, c))', np.hypot(4, 1.5)), ('distance(a, centroid(a, b, c))', np.hypot(8 / 3, 1)),
    ('distance(a, intersection(line(a, d), line(b, c)))', np.hypot(4, 4)),
    ('distance(a, foot(c, line(a, b)))', 4), ('distance(c, foot(c, line(a, b)))', 3),
    ('distance(a, circle_centre(a, b, c))', 2.5), ('distance(circle_centre(c, a, b), midpoint(a, c))', 0),
    ('angle(line(a, b), line(b, c))', -90), ('angle(line(b, c), line(a, b))', 90),  # right, then down: clockwise
    ('angle(line(a, b), line(a, d))', -45), ('angle(reversed(line(a, b)), line(a, b))', 180),
    ('angle(line(a, b), reversed(line(a, b)))', 180), ('angle(line(a, b), line(a, e))', 0),
    ('angle(line(a, b), perpendicular(line(a, b), d))', 90),
    ('angle(horizontal(c), vertical(d))', 90), ('angle(horizontal(c), line(a, b))', 0),
    ('angle(vertical(c), line(b, c))', 180), ('distance(a, vertical(d))', 1), ('distance(a, horizontal(d))', 1),
    ('angle(a, b, c)', 90), ('angle(b, a, d)', 45), ('angle(d, a, b)', 45), ('angle(a, b, e)', 180),
    ('distance(a, c)', 5), ('distance(c, line(a, b))', -3), ('distance(c, line(b, a))', 3),  # below is right of it
    ('distance(d, line(a, b))', -1), ('along(c, line(a, b))', 4), ('along(c, line(b, a))', 0),
    ('along(a, line(b, e))', -4), ('along(c, reversed(line(a, b)))', 0),
    ('1 + 2 * 3 - 4 / 2', 5), ('-(2 - 3)', 1), ('-2 + +3', 1), ('sign(-3.5)', -1), ('sign(0)', 0),
    ('abs(-3.5)', 3.5), ('sqrt(2.25)', 1.5),
    ('asin(0.5)', 30), ('acos(0.5)', 60), ('asin(1.0000001)', 90), ('acos(-1.0000001)', 180),
    ('atan2(1, -1)', 135), ('atan2(0, 1)', 0), ('min(3, 1, 2)', 1), ('max(3, 4)', 4), ('1e1 + .5', 10.5)]


@pytest.mark.parametrize('text, expected', HAND)
def test_hand_computed_numbers(value, text, expected):
    assert value(text) == pytest.approx(expected, abs=1e-9)


def test_every_function_is_computed_by_hand():
    texts = ' '.join(text for text, _ in HAND)
    assert all(f'{name}(' in texts for name in FUNCTIONS if name != 'other')
    assert all(operator in texts for operator in OPERATORS)


@pytest.mark.parametrize('text, words', [
    ('distance(a, intersection(line(a, b), line(b, e)))', ['intersection(line(a, b), line(b, e))', 'parallel']),
    ('distance(a, circle_centre(a, b, e))', ['circle_centre', 'one line']),
    ('angle(line(a, a), line(a, b))', ['line(a, a)', 'one']), ('angle(a, a, b)', ['angle(a, a, b)', 'one']),
    ('distance(a, line(b, foot(b, line(a, e))))', ['line(b, foot(', 'one']),
    ('1 / distance(a, a)', ['1 / distance(a, a)', 'zero']), ('asin(distance(a, c))', ['asin', '1']),
    ('acos(-1.00001)', ['acos', '1']), ('sqrt(-1)', ['sqrt', 'zero']), ('1e300 * 1e300', ['finite'])])
def test_what_cannot_be_had_is_blank_with_its_reason(value, text, words):
    reason = value(text)
    assert isinstance(reason, str) and all(word in reason for word in words), reason


def test_pixels_need_not_be_square(value):
    spacing = (0.1, 0.2)
    points = {'a': (0, 0), 'b': (40, 0), 'c': (40, 20), 'd': (20, 10)}  # in mm: 4 to the right, then 4 down
    assert value('distance(a, c)', points, spacing, 'mm') == pytest.approx(np.hypot(4, 4))
    assert value('angle(line(a, b), line(a, c))', points, spacing) == pytest.approx(-45)
    assert value('angle(line(a, c), perpendicular(line(a, c), d))', points, spacing) == pytest.approx(90)
    assert value('distance(b, line(a, c))', points, spacing, 'mm') == pytest.approx(np.hypot(2, 2))
    assert value('distance(a, c)', points, spacing, 'px') == pytest.approx(np.hypot(40, 20))


def test_without_a_spacing_lengths_in_mm_are_blank_and_angles_are_not(value):
    assert 'spacing' in value('distance(a, c)', spacing=None, unit='mm')
    assert value('distance(a, c)', spacing=None, unit='px') == 5
    assert value('angle(line(a, b), line(a, d))', spacing=None) == pytest.approx(-45)
    assert value('distance(a, b) / distance(a, c)', spacing=None, unit='ratio') == pytest.approx(0.8)


coordinates = arrays(float, (4, 2), elements=st.floats(-500, 500).map(lambda x: round(x, 2)))


@given(points=coordinates, turn=st.floats(-180, 180), scale=st.floats(0.1, 10), move=arrays(
    float, 2, elements=st.floats(-1000, 1000)))
def test_no_turn_scale_or_place_changes_an_angle(points, turn, scale, move):
    first, second = points[1] - points[0], points[3] - points[2]
    if min(np.linalg.norm(first), np.linalg.norm(second)) < 1: return
    radians = np.radians(turn)
    rotation = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    both = np.stack([points, points @ rotation.T * scale + move])
    line, angle_of, angle_at = (FUNCTIONS[name] for name in ('line', 'angle', 'angle'))
    lines = [line[0].apply(both[:, k], both[:, k + 1]) for k in (0, 2)]
    signed, moved = angle_of[0].apply(*lines)
    assert abs((signed - moved + 180) % 360 - 180) < 1e-6
    distance, farther = FUNCTIONS['distance'][1].apply(both[:, 3], lines[0])
    assert farther == pytest.approx(scale * distance, abs=1e-6)
    if min(np.linalg.norm(points[:2] - points[2], axis=1)) < 1: return
    at, moved_at = angle_at[1].apply(both[:, 0], both[:, 2], both[:, 1])
    assert moved_at == pytest.approx(at, abs=1e-5)


@given(points=coordinates)
def test_a_mirror_turns_the_sign_of_an_angle_and_leaves_distances(points):
    if min(np.linalg.norm(points[1] - points[0]), np.linalg.norm(points[3] - points[2])) < 1: return
    both = np.stack([points, points * (-1, 1)])
    lines = [FUNCTIONS['line'][0].apply(both[:, k], both[:, k + 1]) for k in (0, 2)]
    angle, mirrored = FUNCTIONS['angle'][0].apply(*lines)
    assert angle == pytest.approx(-mirrored) or angle == mirrored == 180
    distance, across = FUNCTIONS['distance'][1].apply(both[:, 3], lines[0])
    assert distance == pytest.approx(-across, abs=1e-9)
