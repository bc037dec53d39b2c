"Conformal radii: hand-computed ranks, and coverage that holds."

import numpy as np
import pytest

from landmark_fastai.inference.bounds import coverage_range, factor, factors, scores_of


def test_too_few_scores_give_no_bound():
    assert np.isnan(factor(range(8), 0.9)) and factor(range(9), 0.9) == 8
    assert np.isnan(factor(range(18), 0.95)) and factor(range(19), 0.95) == 18
    assert factor([3, 1, 2], 0.5) == 2
    np.testing.assert_array_equal(factors([[1., 2., 3.], []], 0.5), [2, np.nan])


def test_bounds_hold_as_often_as_they_say_whatever_the_scores_are_like():
    rng, held = np.random.default_rng(0), []
    for _ in range(4000):
        scores = rng.lognormal(0, 1.5, 21)
        held.append(scores[20] <= factor(scores[:20], 0.9))
    assert np.mean(held) == pytest.approx(19 / 21, abs=0.012)  # k = 19 of 20; 2.6 standard errors


def test_the_range_of_the_coverage_is_that_of_the_chances():
    rng, shares = np.random.default_rng(1), []
    for _ in range(4000):
        scores = rng.random(50 + 40)
        shares.append(np.mean(scores[50:] <= factor(scores[:50], 0.9)))
    low, high = coverage_range(50, 40, 0.9)
    assert 0.95 <= np.mean([low <= share <= high for share in shares]) < 0.995  # the shares are few
    assert low == pytest.approx(np.quantile(shares, 0.025), abs=0.026) and high == pytest.approx(1)
    assert np.isnan(coverage_range(8, 40, 0.9)).all() and np.isnan(coverage_range(50, 0, 0.9)).all()


def test_of_a_patient_the_first_image_with_the_landmark_counts():
    errors = np.array([[2., np.nan], [9., 4.], [1., 6.], [8., 8.]])
    expected = np.array([[2., 1.], [3., 2.], [4., 2.], [2., 2.]])
    assert scores_of(errors, expected) == [[0.25, 1, 3, 4], [2, 3, 4]]
    assert scores_of(errors, expected, ['a', 'a', 'b', 'b']) == [[0.25, 1], [2, 3]]
