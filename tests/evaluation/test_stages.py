"What a second stage brings, in a sentence: the mean, the median, or nothing."

import numpy as np
import pytest

from landmark_fastai.evaluation.stages import stage_note

FIRST = np.array([[4., 2., 90.]])
STAGE = np.array([['both', 'first', 'refined'], ['', '', '']])


@pytest.mark.parametrize('both, numbers, says', [
    ([[1., 2., 60.]], 'mean error from 32.00 to 21.00 px on these images, the median from 4.00 to 2.00', ''),
    ([[3., 1., 95.]], 'mean error from 32.00 to 33.00 px on these images, the median from 4.00 to 3.00',
     '. It sharpens points, and cannot mend those far off, which rule the mean'),
    ([[4., 2., 89.]], 'mean error from 32.00 to 31.67 px on these images, the median from 4.00 to 4.00',
     '. It brings nothing here: predict --no_refine is as good, and faster'),
    ([[5., 2., 60.]], 'mean error from 32.00 to 22.33 px on these images, the median from 4.00 to 5.00', '')])
def test_a_second_stage_brings_something_where_the_mean_or_the_median_falls(both, numbers, says):
    note, = stage_note('px', FIRST, np.array(both), STAGE)
    assert note == f'The second stage takes the {numbers}; 1 of 3 crops were not taken{says}'


def test_nothing_is_said_where_no_error_is_known():
    assert stage_note('px', np.full((2, 3), np.nan), np.full((2, 3), np.nan), STAGE) == []
