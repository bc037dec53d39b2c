"What is doubtful in predictions, and why."

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import predicted

from landmark_fastai.formats.annotations import UNLABELLED, Annotations
from landmark_fastai.inference.predictions import estimates
from landmark_fastai.inference.review import doubts, write_review
from landmark_fastai.inference.trust import trust_notes

N = 6


@pytest.fixture
def found():
    "Two landmarks on six images of 1000 px, of which an error of 4 px is to be expected."
    found = predicted(np.full((N, 2, 2), 100.) + [[0, 0], [50, 0]])
    return found._replace(expected_error=np.full((N, 2), 4.))


def annotations_of(found, spacing=0.5):
    n = len(found.points)
    names, rows = [f'{k}.png' for k in range(n)], list(range(2, n + 2))
    return Annotations(Path('p.csv'), ['hip', 'knee'], names, rows, found.size, found.points, found.state,
                       np.full((n, 2), spacing), np.full(n, 'CSV', object), None, None)


def reasons(found, tolerance=None, spacing=0.5):
    return [(doubt.i, doubt.k, round(doubt.score, 3), doubt.reason)
            for doubt in doubts(found, annotations_of(found, spacing), tolerance)]


def test_nothing_is_doubtful_where_all_is_as_usual(found): assert reasons(found, tolerance=2.5) == []


def test_a_bound_or_an_expected_error_above_what_is_tolerated(found):
    found.bound[2, 1] = 8  # 4 mm
    assert reasons(found, tolerance=3) == [(2, 1, 1.333, 'bound 4.0 mm, tolerated 3')]
    found.expected_error[1, 0] = 7
    assert reasons(found, tolerance=3)[1] == (1, 0, 1.167, 'expected error 3.5 mm, tolerated 3')
    oblong = [0.25, 0.5]  # by the longer side of its pixels a bound holds, an error is that of both
    assert reasons(found, tolerance=2.5, spacing=oblong) == [
        (2, 1, 1.6, 'bound 4.0 mm, tolerated 2.5'), (1, 0, 1.05, 'expected error 2.6 mm, tolerated 2.5')]
    columns = estimates(found, np.full((N, 2), oblong))
    assert columns['bound_mm'][2, 1] == 4 and columns['expected_error_mm'][1, 0] == 7 * 0.375
    image = type(found)(*(values[2] for values in found))
    assert trust_notes(image, oblong)[1].endswith('within 8.0 px = 4.0 mm')
    assert reasons(found, tolerance=6, spacing=np.nan) == [
        (2, 1, 1.333, 'bound 8.0 px, tolerated 6'), (1, 0, 1.167, 'expected error 7.0 px, tolerated 6')]


def test_a_much_larger_error_to_expect_than_on_other_images(found):
    found.expected_error[3, 0] = 24
    assert reasons(found) == [(3, 0, 2, '6.0 times the usual expected error')]
    few = found._replace(**{name: values[2:] for name, values in found._asdict().items()})
    assert reasons(few) == []  # four images do not tell what is usual


def test_stages_and_models_that_disagree_and_blank_points(found):
    found = found._replace(first=found.points + [3., 4.], spread=np.full((N, 2), 1.), state=found.state.copy())
    found.first[0, 1] += [24, 32]  # 45 px apart
    found.spread[5, 0] = 6
    found.state[4, 1] = UNLABELLED
    found.points[4, 1] = np.nan
    assert reasons(found) == [
        (0, 1, 2.25, '9.0 times as far as usual between both stages'),
        (5, 0, 1.5, '6.0 times as far as usual between the models'), (4, 1, 1, 'left blank')]


def test_the_file_has_a_row_for_each_doubt(found, tmp_path):
    found.expected_error[3, 0] = 24
    annotations = annotations_of(found)
    write_review(tmp_path / 'review.csv', doubts(found, annotations, None), annotations)
    assert pd.read_csv(tmp_path / 'review.csv').to_dict('records') == [
        {'image_name': '3.png', 'landmark': 'hip', 'score': 2, 'reason': '6.0 times the usual expected error'}]
    write_review(tmp_path / 'review.csv', [], annotations)
    assert (tmp_path / 'review.csv').read_text() == 'image_name,landmark,score,reason\n'
