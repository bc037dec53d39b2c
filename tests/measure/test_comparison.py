"Measurements of several readers, side by side."

import numpy as np
import pytest
from helpers import annotated, write_definitions

from landmark_fastai.measure.agreement import statistics
from landmark_fastai.measure.comparison import measure_panel, measurement_notes, measurement_readings
from landmark_fastai.measure.definitions import read_definitions
from landmark_fastai.measure.readers import join


def compared(tmp_path, text, *readers, **columns):
    "Readings and notes of what `readers`, points (n, N, 2) of each, measure by definitions."
    panel = join([annotated(points, **columns) for points in readers], [f'R{j}' for j in range(len(readers))])
    measured = measure_panel(panel, read_definitions(write_definitions(tmp_path, text)))
    return measurement_readings(measured), list(measurement_notes(measured))


def test_angles_on_both_sides_of_180_differ_by_little(tmp_path):
    def turned(degrees):
        a = np.radians(degrees)
        return [[500, 500], [600, 500], [500 + 100 * np.cos(a), 500 - 100 * np.sin(a)]]
    readings, notes = compared(
        tmp_path, 'measure: {turn: {value: "angle(line(a, b), line(a, c))", unit: deg}}',
        [turned(179), turned(10), turned(-170)], [turned(-179), turned(12), turned(-171)],
        [turned(178), turned(13), turned(175)])
    assert [(each.name, each.kind, each.unit) for each in readings] == [('turn', 'measurement', 'deg')]
    assert readings[0].values == pytest.approx(np.array([[179, 181, 178], [10, 12, 13], [190, 189, 175]]))
    assert statistics(readings[0].values[:, :2])['mae'] == pytest.approx(5 / 3) and not notes


def test_angles_around_180_are_as_reliable_as_any_other(tmp_path):
    rng = np.random.default_rng(0)
    degrees = rng.normal(0, 10, (30, 1)) + rng.normal(0, 0.5, (30, 2))
    def found(middle):
        a = np.radians(degrees + middle)[..., None]
        points = 500 + np.concatenate([0 * a, 0 * a, 0 * a + 100, 0 * a, 100 * np.cos(a), -100 * np.sin(a)], -1)
        readings, _ = compared(tmp_path, 'measure: {turn: {value: "angle(line(a, b), line(a, c))", unit: deg}}',
                               *points.reshape(30, 2, 3, 2).swapaxes(0, 1))
        return statistics(readings[0].values)
    assert found(180)['icc_a1'] == pytest.approx(found(0)['icc_a1']) and found(0)['icc_a1'] > 0.9
    assert found(180)['sem'] == pytest.approx(found(0)['sem'])


def test_both_sides_are_measured_in_mm_and_what_nobody_has_is_told(tmp_path):
    text = '''
sides: {right: {prefix: right_}, left: {prefix: left_, mirror: true}}
measure: {length: {value: "distance(hip, knee)", unit: mm}}'''
    first = np.array([[[10, 0], [10, 40], [90, 0], [90, 40]]] * 2, float)
    second = first + [[0, 0], [0, 2], [0, 0], [0, -4]]
    second[1, 3] = np.nan
    names = ['right_hip', 'right_knee', 'left_hip', 'left_knee']
    readings, notes = compared(tmp_path, text, first, second, spacing=(1, 0.5), names=names)
    assert [each.name for each in readings] == ['right_length', 'left_length'] and not notes
    assert readings[0].values.tolist() == [[20, 21]] * 2
    assert readings[1].values[0].tolist() == [20, 18] and np.isnan(readings[1].values[1, 1])
    _, notes = compared(tmp_path, text, first, second, names=names)
    assert notes == ['right_length is not compared: the pixel spacing is unknown',
                     'left_length is not compared: the pixel spacing is unknown']
