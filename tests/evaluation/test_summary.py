"The summary of scores: success rates, presence and intervals against numbers worked out by hand, or by scipy."

import json

import numpy as np
import pytest
from helpers import BLANK, GONE, predicted
from scipy.stats import bootstrap, spearmanr

from landmark_fastai.evaluation.error_table import errors_table, headline
from landmark_fastai.evaluation.scores import score
from landmark_fastai.evaluation.summary import summarize
from landmark_fastai.formats.annotations import ABSENT, VISIBLE


def test_unlabelled_landmarks_count_nowhere(apart):
    summary = summarize(apart([[1], [2.5], [9], [np.nan]]), thresholds=[3])
    assert summary['overall']['success_rate'] == {'3': pytest.approx(2 / 3)}
    assert summary['overall']['n_scored'] == 3 and summary['overall']['n_missed'] == 0
    assert summary['n_images'] == 4 and summary['overall']['px']['n_images'] == 3


def test_within_means_at_most(apart):
    rates = summarize(apart([[2.0], [5.0]]), thresholds=[5, 1.9, 2])['overall']['success_rate']
    assert rates == {'1.9': 0, '2': 0.5, '5': 1} and list(rates) == ['1.9', '2', '5']


def test_means_are_over_landmarks_not_images(apart):
    summary = summarize(apart([[1, 2, 3], [10, np.nan, np.nan]]))
    overall = summary['overall']['px']
    assert overall['mean'] == 4 and overall['median'] == 2.5 and overall['sd'] == pytest.approx((50 / 3) ** 0.5)
    assert [summary['landmarks'][name]['px']['mean'] for name in 'abc'] == [5.5, 2, 3]
    assert [summary['landmarks'][name]['px']['sd'] for name in 'abc'] == [pytest.approx(40.5 ** 0.5), None, None]


def test_missed_landmarks_are_within_no_distance(scored):
    true, at = [[(10, 10)] * 2] * 2, (10, 11)
    summary = summarize(scored(true, [[at, GONE], [BLANK, at]]), thresholds=[2])
    assert summary['overall']['success_rate'] == {'2': 0.5} and summary['overall']['px']['mean'] == 1
    assert summary['overall']['n_scored'] == summary['overall']['n_missed'] == 2
    assert [entry['n_missed'] for entry in summary['landmarks'].values()] == [1, 1]


def test_only_images_of_known_spacing_have_millimetres(scored):
    true, pred = [[(10, 10)]] * 4, [[(10, 12)], [(10, 20)], [BLANK], [BLANK]]
    summary = summarize(scored(true, pred, pixel_spacing=[0.5, '', 0.5, '']), thresholds=[2, 20])
    overall = summary['overall']
    assert summary['unit'] == 'px' and summary['n_without_spacing'] == 2  # no image is left out of rates and tables
    assert (overall['mm']['n'], overall['mm']['n_missed'], overall['mm']['mean']) == (1, 1, 1)
    assert (overall['px']['n'], overall['px']['n_missed'], overall['px']['mean']) == (2, 2, 6)
    assert overall['success_rate'] == {'2': 0.25, '20': 0.5}


def test_the_unit_is_mm_where_every_image_with_a_visible_landmark_has_a_spacing(scored):
    true, pred = [[(10, 10), (10, 10)], [BLANK, (10, 10)], [BLANK, BLANK]], [[(10, 12)] * 2] * 3
    for spacing, unit in (([1, 1, ''], 'mm'), ([1, '', 1], 'px'), (['', '', 1], 'px')):
        summary = summarize(scored(true, pred, pixel_spacing=spacing))
        assert summary['unit'] == unit
        assert summary['landmarks']['a']['success_rate'].keys() == summary['overall']['success_rate'].keys()


def test_presence_is_scored_where_it_was_learned(scored):
    at = (10, 10)
    true = [[at, at, GONE], [GONE, at, GONE], [GONE, at, at], [BLANK, at, at], [at, at, at]]
    pred = [[at, at, at], [GONE, GONE, GONE], [at, at, at], [GONE, at, at], [BLANK, at, at]]
    summary = summarize(scored(true, pred, presence=['a', 'b']))
    assert summary['landmarks']['a']['presence'] == {'n': 3, 'accuracy': pytest.approx(2 / 3)}
    assert summary['landmarks']['b']['presence'] == {'n': 5, 'accuracy': 0.8}
    assert summary['overall']['presence'] == {'n': 8, 'accuracy': 0.75}
    assert 'presence' not in summary['landmarks']['c']
    assert [entry['n_absent'] for entry in summary['landmarks'].values()] == [2, 0, 2]
    assert 'presence' not in summarize(scored(true, pred))['overall']


def test_thresholds_follow_the_unit(apart):
    assert summarize(apart([[1]]))['thresholds'] == [2, 5, 10, 20]
    assert summarize(apart([[1]], pixel_spacing=[1]))['thresholds'] == [2, 2.5, 3, 4]


def test_nothing_scored(apart):
    summary = summarize(apart([[np.nan, np.nan]] * 3))
    nothing = dict.fromkeys(['mean', 'sd', 'median', 'ci_low', 'ci_high'])
    assert summary['overall']['px'] == {'n': 0, 'n_missed': 0, 'n_images': 0} | nothing
    assert set(summary['overall']['success_rate'].values()) == {None}
    assert headline(summary).startswith('No error is known')
    assert [row[1:] for row in errors_table(summary)[1]] == [['0', *['–'] * 7]] * 3


def test_no_image_at_all(annotated):
    scores = score(annotated([[(1, 1)]]).subset([]), predicted(np.empty((0, 1, 2))))
    assert summarize(scores)['overall']['n_scored'] == 0


def test_summary_is_plain_json(apart):
    summary = summarize(apart([[1, np.nan], [2, np.nan]], pixel_spacing=[0.1, 0.2]))
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


# Intervals

def test_interval_agrees_with_scipy(apart):
    errors = np.random.default_rng(0).gamma(2, 3, (80, 5)) * np.random.default_rng(1).uniform(0.5, 2, (80, 1))
    overall = summarize(apart(errors))['overall']['px']
    expected = bootstrap([errors.mean(1)], np.mean, n_resamples=20_000, method='percentile', rng=0).confidence_interval
    assert np.allclose([overall['ci_low'], overall['ci_high']], expected, atol=0.06 * np.ptp(expected))
    alone = bootstrap([errors.ravel()], np.mean, method='percentile', rng=0).confidence_interval
    assert overall['ci_high'] - overall['ci_low'] > 1.2 * np.ptp(alone)


def test_interval_weighs_images_by_their_landmarks(apart):
    errors = np.full((30, 4), np.nan)
    errors[:15], errors[15:, 0] = 1, 9  # 60 times 1 and 15 times 9: resamples lie around 2.6, not around 5
    overall = summarize(apart(errors))['overall']['px']
    assert overall['mean'] == 2.6 and 1.5 < overall['ci_low'] < 2.6 < overall['ci_high'] < 4.5


def test_patients_are_resampled_whole(apart):
    errors = np.repeat(np.random.default_rng(0).gamma(2, 3, 20), 4)[:, None]
    images = summarize(apart(errors))
    patients = summarize(apart(errors, patient_id=[f'p{i // 4}' for i in range(80)]))
    widths = [s['overall']['px']['ci_high'] - s['overall']['px']['ci_low'] for s in (patients, images)]
    assert (images['interval_over'], patients['interval_over']) == ('images', 'patients')
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.15)  # 4 equal images say no more than 1: sqrt(4)


def test_equal_errors_have_an_interval_without_width(apart):
    overall = summarize(apart([[3.0]] * 10))['overall']['px']
    assert overall['ci_low'] == overall['mean'] == overall['ci_high'] == 3


@pytest.mark.parametrize('errors, columns', [
    ([[1, 2, 3]], {}), ([[1], [2]], {'patient_id': ['p', 'p']}), ([[1], [np.nan]], {})])
def test_one_group_has_no_interval(apart, errors, columns):
    overall = summarize(apart(errors, **columns))['overall']['px']
    assert overall['mean'] is not None and overall['ci_low'] is None and overall['ci_high'] is None


def test_interval_of_a_rare_landmark(apart):
    errors = np.full((100, 2), 1.0)
    errors[2:, 1], errors[:2, 1] = np.nan, [2, 4]
    rare = summarize(apart(errors))['landmarks']['b']['px']
    assert (rare['ci_low'], rare['ci_high']) == (2, 4)


def test_summaries_are_repeatable(apart):
    scores = apart(np.random.default_rng(0).gamma(2, 3, (20, 3)))
    assert summarize(scores) == summarize(scores)


# Confidence and spread

def scored_with(annotated, distances, confidence, spread=np.nan):
    distances = np.array(distances, float)
    points = np.array([100, 100]) + distances[..., None] * [1, 0]
    state = np.where(np.isnan(distances), ABSENT, VISIBLE)
    true = annotated(np.full((*distances.shape, 2), 100).tolist())
    return score(true, predicted(points, state, confidence, spread))


def test_confidence_is_ranked_against_the_errors(annotated):
    distances, confidence = [[1, 2], [3, 50], [4, 4]], [[0.9, 0.8], [0.7, 0.1], [0.6, 0.95]]
    summary = summarize(scored_with(annotated, distances, confidence))
    assert summary['overall']['confidence_rank'] == pytest.approx(
        spearmanr(np.ravel(confidence), np.ravel(distances)).statistic)
    assert summary['landmarks']['a']['confidence_rank'] == -1  # 1, 3, 4 px at 0.9, 0.7, 0.6


def test_missed_landmarks_and_unknown_confidences_are_in_no_rank(annotated):
    distances, confidence = [[1], [2], [3], [np.nan], [5]], [[0.9], [0.7], [0.8], [np.nan], [np.nan]]
    summary = summarize(scored_with(annotated, distances, confidence))
    assert summary['overall']['confidence_rank'] == -0.5
    constant = summarize(scored_with(annotated, distances, [[0.5]] * 5))
    assert constant['overall']['confidence_rank'] is None
    assert summarize(scored_with(annotated, distances[:2], confidence[:2]))['overall']['confidence_rank'] is None


def test_the_spread_of_an_ensemble_is_in_summary_and_table(annotated):
    spread = np.array([[1., 2.], [3., np.nan]])
    summary = summarize(scored_with(annotated, [[1, 2], [3, 4]], [[0.5, 0.5]] * 2, spread))
    assert summary['overall']['spread'] == 2 and summary['landmarks']['a']['spread'] == 2
    header, rows = errors_table(summary)
    assert [row[header.index('spread, px')] for row in rows] == ['2.00'] * 3
    assert 'spread, px' not in errors_table(summarize(scored_with(annotated, [[1]], [[0.5]])))[0]
