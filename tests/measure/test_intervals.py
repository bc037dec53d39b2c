"Intervals by the truth: how wide, of which errors, and how often they hold."

import numpy as np
import pytest
from helpers import annotated, write_definitions

from landmark_fastai.measure.definitions import read_definitions
from landmark_fastai.measure.evaluate import measure_landmarks
from landmark_fastai.measure.intervals import errors_of, radii, with_intervals


def test_new_images_get_the_ranked_error_and_known_ones_that_of_the_others():
    errors = np.array([3., 1, 4, 1.5, 9, 2.6, 5, 3.5, 8, 7, np.nan, np.nan])  # ten are known
    found = radii(errors, np.arange(12), 0.9)
    assert found[10:].tolist() == [9, 9]  # k = ceil(11 * 0.9) = 10, the largest
    assert found[4] == 8 and found[:4].tolist() == [9] * 4  # k = 9 of the nine others


def test_with_too_few_errors_there_is_no_interval():
    errors = np.append(np.arange(8.), np.nan)
    assert np.isnan(radii(errors, np.arange(9), 0.9)).all()
    nine = np.append(np.arange(9.), np.nan)
    assert radii(nine, np.arange(10), 0.9)[-1] == 8 and np.isnan(radii(nine, np.arange(10), 0.9)[:9]).all()
    assert np.isnan(radii(np.full(3, np.nan), np.arange(3), 0.9)).all()


def test_a_patient_counts_once_and_not_for_own_images():
    errors = np.array([10., 20, *range(1, 10), np.nan])
    groups = np.array([0, 0, *range(1, 10), 0])
    found = radii(errors, groups, 0.9)
    assert found[[0, 1, 11]].tolist() == [9, 9, 9] and found[2] == 10  # nine others each; the patient's first is 10


def films(tmp_path, rng, n, known):
    "What was measured on n images, with errors, and the truth of the first `known`."
    definitions = read_definitions(write_definitions(
        tmp_path, 'measure: {turn: {value: "angle(line(a, b), line(c, d))", unit: deg}}'))
    true = rng.normal([[500, 500], [500, 700], [100, 500], [100, 700]], 30, (n, 4, 2))
    found = true + rng.standard_t(3, (n, 4, 2)) * rng.uniform(1, 6, (n, 1, 1))
    truth = annotated(true, 1).subset(range(known))
    return measure_landmarks(annotated(found, 1), definitions), measure_landmarks(truth, definitions), \
        measure_landmarks(annotated(true, 1), definitions)


@pytest.mark.parametrize('level', [0.8, 0.9])
def test_intervals_hold_as_often_as_they_say(tmp_path, level):
    rng, covered = np.random.default_rng(0), []
    for _ in range(60):
        measured, truth, all_true = films(tmp_path, rng, 90, 40)
        found = with_intervals(measured, truth, None, level)
        covered.append((found.lower <= all_true.values) & (all_true.values <= found.upper))
    covered = np.array(covered).reshape(60, 90)
    assert level - 0.02 < covered[:, 40:].mean() < level + 0.04
    assert level - 0.02 < covered[:, :40].mean() < level + 0.04  # whose own errors are left out


def test_angles_on_both_sides_of_180_are_near(tmp_path):
    definitions = read_definitions(write_definitions(
        tmp_path, 'measure: {turn: {value: "angle(line(a, b), line(a, c))", unit: deg}, '
                  'width: {value: "distance(a, b)", unit: mm}}'))
    true = annotated([[[500, 500], [600, 500], [400, 499]]], 1)
    found = annotated([[[500, 500], [610, 500], [400, 501]]], 1)
    errors = errors_of(measure_landmarks(found, definitions), measure_landmarks(true, definitions))
    assert errors.ravel() == pytest.approx([2 * np.degrees(np.arctan(0.01)), 10])
