"Intervals by the bounds of points: how often they hold where errors are what simulation takes them for."

import numpy as np
import pytest
from helpers import annotated, write_definitions

from landmark_fastai.data.anatomy import landmarks, random_hips
from landmark_fastai.formats.estimates import Bounds
from landmark_fastai.measure.definitions import read_definitions
from landmark_fastai.measure.evaluate import measure_landmarks
from landmark_fastai.measure.simulation import DRAWS, drawn_around, rayleigh_quantile, with_simulated

LEVEL = 0.9
FACTOR = np.sqrt(-2 * np.log(0.1))  # 90 % of normal points in the plane lie within 2.146 standard deviations


def simulated(annotations, definitions, bounds, level=LEVEL):
    measured = measure_landmarks(annotations, definitions)
    return with_simulated(measured, annotations, definitions, Bounds(
        np.broadcast_to(bounds, annotations.state.shape), np.full(len(annotations), 0.9)), level)


def test_a_radius_that_holds_nine_of_ten_points():
    assert rayleigh_quantile(np.array([0.9])) == pytest.approx(2.14597, abs=1e-5) == FACTOR
    far = np.hypot(*np.random.default_rng(0).normal(0, 3, (2, 20000)))
    assert (far < 3 * rayleigh_quantile(0.95)).mean() == pytest.approx(0.95, abs=0.01)


def test_points_are_drawn_as_far_off_as_their_deviation_says():
    points = np.random.default_rng(1).uniform(100, 900, (3, 2, 2))
    drawn = drawn_around(annotated(points), np.array([[1, 10]] * 3), np.random.default_rng(0))
    assert drawn.image_names[:DRAWS + 1] == ['0.png'] * DRAWS + ['1.png']
    off = drawn.points - np.repeat(points, DRAWS, 0)
    assert off.std((0, 2)) == pytest.approx([1, 10], rel=0.05) and (abs(off.mean((0, 2))) < [0.1, 1]).all()


@pytest.mark.parametrize('level', [0.8, 0.9])
def test_angles_and_lengths_of_the_hips_are_covered(tmp_path, level):
    rng = np.random.default_rng(2)
    hips = [landmarks(random_hips(rng, pointed=True)) for _ in range(300)]
    true = annotated(np.array([list(each.values()) for each in hips]) * 4, 0.25, list(hips[0]))
    deviation = rng.uniform(1, 8, true.state.shape)  # px
    found = annotated(true.points + rng.standard_normal(true.points.shape) * deviation[..., None], 0.25, true.names)
    for definitions in (read_definitions('hip_arthroplasty', ['leg_length_difference']), read_definitions(
            write_definitions(tmp_path, '''
measure:
  cant: {value: "angle(line(right_teardrop, left_teardrop), line(right_ischium, left_ischium))", unit: deg}
  neck: {value: "angle(right_greater_trochanter, right_femoral_head, right_teardrop)", unit: deg}
  width: {value: "distance(right_femoral_head, left_femoral_head)", unit: mm}'''))):
        measured = simulated(found, definitions, deviation * FACTOR, level)
        values = measure_landmarks(true, definitions).values
        covered = ((measured.lower <= values) & (values <= measured.upper)).mean(0)
        assert (covered > level - 0.04).all() and (covered < level + 0.05).all(), covered
        assert (measured.interval == 'simulated').all()


def test_no_distance_is_taken_for_larger_than_it_is_since_noise_makes_it_larger(tmp_path):
    definitions = read_definitions(write_definitions(tmp_path, 'measure: {gap: {value: "distance(a, b)", unit: px}}'))
    measured = simulated(annotated([[[500, 500], [500, 500.1]]]), definitions, 10.)
    # the difference of two points scatters by sqrt(2) times as much as each
    assert measured.upper.item() == pytest.approx(0.1 + 10 * np.sqrt(2), rel=0.1) and measured.lower.item() < 0


def test_there_is_no_interval_of_a_point_without_a_bound_and_none_replaces_a_better_one(tmp_path):
    definitions = read_definitions(write_definitions(
        tmp_path, 'measure: {one: {value: "distance(a, b)", unit: px}, two: {value: "distance(b, c)", unit: px}}'))
    found = annotated([[[100, 500], [500, 500], [900, 500]]] * 2)
    measured = simulated(found, definitions, [2., 2., np.nan])
    assert np.isfinite(measured.lower[:, 0, 0]).all() and np.isnan(measured.lower[:, 0, 1]).all()
    assert measured.interval[0, 0].tolist() == ['simulated', '']
    known = measure_landmarks(found, definitions)
    known.lower[0], known.upper[0], known.interval[0] = 1, 2, 'conformal'
    again = with_simulated(known, found, definitions, Bounds(np.full((2, 3), 2.), np.full(2, 0.9)), LEVEL)
    assert again.lower[0].ravel().tolist() == [1, 1] and again.interval[:, 0, 0].tolist() == ['conformal', 'simulated']
