"Scores: distances against numbers worked out by hand."

import numpy as np
import pytest
from helpers import BLANK, GONE, predicted

from landmark_fastai.evaluation.scores import score
from landmark_fastai.evaluation.summary import summarize


def test_millimetres_are_taken_per_axis(scored):
    scores = scored([[(10, 20)]], [[(13, 24)]], pixel_spacing_x=[0.1], pixel_spacing_y=[0.2])
    assert scores.units == ('px', 'mm') and scores.unit == 'mm'
    assert scores.offsets['px'].tolist() == [[[3, 4]]] and np.allclose(scores.offsets['mm'], [[[0.3, 0.8]]])
    assert scores.distances('px') == 5 and np.isclose(scores.distances('mm'), 0.73 ** 0.5)


def test_there_is_a_distance_where_both_are_visible(scored):
    scores = scored([[(10, 10), (10, 10), (10, 10), BLANK, GONE, GONE]],
                    [[(10, 12), BLANK, GONE, (10, 10), (10, 10), GONE]])
    assert np.array_equal(scores.distances('px'), [[2, *[np.nan] * 5]], equal_nan=True)
    assert np.array_equal(scores.distances('px', missed=np.inf), [[2, np.inf, np.inf, *[np.nan] * 3]], equal_nan=True)
    assert np.isfinite(scores.offsets['px']).all(-1).tolist() == [[True, *[False] * 5]]


@pytest.mark.parametrize('point', [(np.nan, 5), (np.inf, 5)])
def test_a_prediction_that_is_no_point_is_missed(annotated, point):
    scores = score(annotated([[(1, 1)]]), predicted([[point]]))
    assert np.isnan(scores.distances('px')).all() and np.isinf(scores.distances('px', missed=np.inf)).all()


def test_no_millimetres_without_a_landmark_on_an_image_of_known_spacing(scored):
    scores = scored([[(1, 1)], [BLANK]], [[(2, 1)], [(2, 1)]], pixel_spacing=['', 0.5])
    assert scores.units == ('px',)


def test_scores_of_some_images_are_those_of_a_smaller_set(apart):
    everything = apart([[1, 2], [3, 4], [5, 6]], patient_id=['p', 'q', 'r'])
    some = everything.on([0, 2])
    assert some.image_names == ['0.png', '2.png'] and some.patient_id == ['p', 'r']
    assert some.distances('px').tolist() == [[1, 2], [5, 6]]
    assert summarize(some)['overall']['px']['mean'] == 3.5
