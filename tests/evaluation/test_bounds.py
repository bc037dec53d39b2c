"How often bounds hold on annotated images."

from types import SimpleNamespace

import numpy as np
import pytest

from landmark_fastai.evaluation.bounds import coverage, pooled_coverage


@pytest.fixture
def evaluation():
    "Of four images with one landmark: errors of 1 to 4 px, of which 1 is expected; bounds of 2.5 px at each level."
    return SimpleNamespace(
        tta=False, annotations=SimpleNamespace(names=['tip']),
        scores=SimpleNamespace(distances=lambda unit: np.array([[1.], [2], [3], [4]])),
        predictions=SimpleNamespace(stacked=lambda: SimpleNamespace(expected_error=np.ones((4, 1)))),
        predictor=SimpleNamespace(bound_factors=lambda level: np.array([2.5])))


def test_the_share_within_is_told_at_each_level(evaluation):
    assert (coverage(evaluation) == 0.5).all()
    assert pooled_coverage(evaluation)[0] == {'level': 0.5, 'n': 4, 'within': 0.5, 'median_px': 2.5}


def test_averages_over_views_have_no_bounds(evaluation):
    evaluation.tta = True
    assert np.isnan(coverage(evaluation)).all() and pooled_coverage(evaluation) == []
