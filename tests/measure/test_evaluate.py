"Measurements of many images: sides and mirrors, what is missing, names that are nowhere, and how long it takes."

import time

import numpy as np
import pytest
from helpers import annotated, write_definitions

from landmark_fastai import UsageError
from landmark_fastai.measure.definitions import read_definitions
from landmark_fastai.measure.evaluate import measure_landmarks

SIDES = 'sides: {right: {prefix: right_}, left: {prefix: left_, mirror: true}}\n'
LEG = SIDES + '''
define: {femur: "line(hip, knee)", tibia: "line(knee, ankle)"}
measure:
  HKA: {value: "angle(tibia, femur)", unit: deg}
  length: {value: "distance(hip, ankle)", unit: mm}
  longer: {value: "length - other(length)", unit: mm}
  width: {value: "distance(hip, other(hip))", unit: mm}
  tilt: {value: "angle(line(other(hip), hip), horizontal(hip))", unit: deg}
  across: {value: "angle(line(knee, hip), other(line(knee, hip)))", unit: deg}
'''
NAMES = [f'{side}_{name}' for side in ('right', 'left') for name in ('hip', 'knee', 'ankle')]
# a right leg, on the left of the image, whose ankle is lateral, so to the left: valgus; the left one is its mirror
RIGHT = np.array([[300, 100], [300, 400], [270, 700.]])
LEFT = RIGHT * (-1, 1) + (1000, 0)
LEGS = np.concatenate([RIGHT, LEFT])
VALGUS = np.degrees(np.arctan(0.1))


def measured(tmp_path, text, *args, **kwargs):
    "The values and reasons (n, S, M) of a file of definitions."
    found = measure_landmarks(annotated(*args, **kwargs), read_definitions(write_definitions(tmp_path, text)))
    return found.values, found.reasons


def test_a_mirrored_side_has_the_same_signs(tmp_path):
    values, reasons = measured(tmp_path, LEG, [LEGS], 0.5, NAMES)
    assert values[0] == pytest.approx(np.array([[VALGUS, np.hypot(30, 600) / 2, 0, 200, 180, 0]] * 2), abs=1e-9)
    assert (reasons == '').all()


def test_the_other_side_gives_points_as_they_lie_here_and_values_as_they_are_there(tmp_path):
    points = LEGS.copy()
    points[5, 1] += 100  # the left leg is longer
    points[3, 1] -= 40   # and its hip higher
    values, _ = measured(tmp_path, LEG, [points], 1, NAMES)
    longer = np.hypot(30, 740) - np.hypot(30, 600)
    assert values[0, :, 2] == pytest.approx([-longer, longer])
    assert values[0, :, 3] == pytest.approx([np.hypot(400, 40)] * 2)
    # from the left to the right hip: to the left and down, so 180 - slope anticlockwise to the right; mirrored: up
    slope = np.degrees(np.arctan(0.1))
    assert values[0, :, 4] == pytest.approx([180 - slope, slope - 180])


def test_landmarks_without_the_prefix_are_of_both_sides(tmp_path):
    text = SIDES + 'measure: {d: {value: "distance(hip, line(top, symphysis))", unit: mm}}'
    points = [[300, 100], [750, 100], [500, 0], [500, 300]]
    values, _ = measured(tmp_path, text, [points], 1, ['right_hip', 'left_hip', 'top', 'symphysis'])
    assert values[0, :, 0] == pytest.approx([-200, -250])  # right of a line that points down, on both


def test_a_side_without_landmarks_is_left_out_and_a_csv_without_any_refused(tmp_path):
    text = SIDES + 'measure: {d: {value: "distance(hip, knee)", unit: mm}}'
    path = write_definitions(tmp_path, text)
    found = measure_landmarks(annotated([RIGHT], 1, NAMES[:3]), read_definitions(path))
    assert [side.name for side in found.sides] == ['right'] and found.values.shape == (1, 1, 1)
    with pytest.raises(UsageError, match='right_ or left_') as caught:
        measure_landmarks(annotated([RIGHT], 1, ['hip', 'knee', 'ankle']), read_definitions(path))
    assert 'points.csv' in str(caught.value) and 'knee' in str(caught.value)


@pytest.mark.parametrize('names, text, words', [
    (['hip', 'knee'], 'measure: {d: {value: "distance(hip, kne)", unit: mm}}', ["'kne'", 'knee', ': d:']),
    (['hip', 'knee'], 'define: {l: "line(hip, nee)"}\nmeasure: {d: {value: 1, unit: mm}}', ["'nee'", ': l:']),
    (['hip', 'knee'], 'define: {knee: hip}\nmeasure: {d: {value: "distance(hip, knee)", unit: mm}}',
     ['knee', 'as well']),
    (['right_hip', 'left_hip', 'right_top'], SIDES + 'measure: {d: {value: "distance(hip, top)", unit: mm}}',
     ["'left_top'", ': d:']),
    (['right_hip'], SIDES + 'measure: {d: {value: "distance(hip, other(hip))", unit: mm}}', ["'left_hip'"])])
def test_names_that_are_nowhere_or_twice_are_told_with_file_and_measurement(tmp_path, names, text, words):
    annotations = annotated([[[1, 2]] * len(names)], 1, names)
    definitions = read_definitions(write_definitions(tmp_path, text))
    with pytest.raises(UsageError) as caught: measure_landmarks(annotations, definitions)
    message = str(caught.value)
    assert all(word in message for word in ['definitions.yaml', 'points.csv', *words]), message


def test_a_missing_landmark_makes_a_blank_with_its_reason(tmp_path):
    states = [[0] * 6, [1, 0, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0], [2, 0, 1, 0, 0, 2]]
    values, reasons = measured(tmp_path, LEG, [LEGS] * 4, 1, NAMES, states)
    assert np.isnan(values[:, 0, 0]).tolist() == [False, True, True, True]
    assert reasons[:, 0, 0].tolist()[:3] == ['', 'right_hip is absent', 'right_ankle is not labelled']
    assert np.isnan(values[:, 1, 0]).tolist() == [False, False, False, True]
    assert ((reasons != '') == np.isnan(values)).all()


def test_each_image_has_its_own_spacing(tmp_path):
    spacing = [[0.1, 0.1], [np.nan, np.nan], [0.1, 0.2]]
    values, reasons = measured(tmp_path, LEG, [LEGS] * 3, spacing, NAMES)
    assert values[0, 0, 1] == pytest.approx(np.hypot(3, 60)) and values[2, 0, 1] == pytest.approx(np.hypot(3, 120))
    assert 'spacing' in reasons[1, 0, 1] and values[1, 0, 0] == pytest.approx(VALGUS)


def test_a_name_in_quotes_may_be_any_landmark(tmp_path):
    text = "measure: {d: {value: \"distance('A point', 'is')\", unit: px}}"
    values, _ = measured(tmp_path, text, [[[0, 0], [3, 4]]], None, ['A point', 'is'])
    assert values.item() == 5


def test_definitions_in_a_row_are_followed_to_the_last(tmp_path):
    row = ', '.join(f'a{k}: 1 + a{k - 1}' for k in range(1, 48))
    text = f'define: {{a0: 1, {row}}}\nmeasure: {{d: {{value: a47, unit: ratio}}}}'
    assert measured(tmp_path, text, [[[1, 2]]])[0].item() == 48


def test_a_hundred_thousand_images_take_seconds(tmp_path):
    points = LEGS + np.random.default_rng(0).normal(0, 5, (100_000, 6, 2))
    started = time.time()
    values, _ = measured(tmp_path, LEG, points, 0.1, NAMES)
    assert np.isfinite(values).all() and time.time() - started < 20
