"What a reader's work comes to."

import pytest

from landmark_fastai.annotate.actions import ABSENT, MARK, WORK, Action, Work, replay
from landmark_fastai.annotate.repeats import again
from landmark_fastai.annotate.suggestions import Suggestion
from landmark_fastai.annotate.summary import summarize_work, summary_lines

NAMES = ['hip', 'knee']
ITEMS = ['a.png', 'b.png', again('a.png'), 'c.png', 'd.png']


def summary_of(work, suggestions=None, withheld=(), items=ITEMS):
    return summarize_work(work, items, NAMES, lambda image: (suggestions or {}).get(image, {}), withheld.__contains__)


def test_what_is_left_takes_as_long_as_the_median_of_finished_films():
    work = replay([
        Action('1', 'tab', MARK, 'a.png', 0, {'hip': (1., 1.), 'knee': ABSENT}, seconds=20),
        Action('2', 'tab', WORK, 'a.png', 1, seconds=10),
        Action('3', 'tab', MARK, 'b.png', 2, {'hip': (1., 1.), 'knee': (2., 2.)}, seconds=50),
        Action('4', 'tab', MARK, 'c.png', 3, {'hip': (1., 1.)}, seconds=500),  # not finished
        Action('5', 'tab', MARK, 'd.png', 3, {'hip': (1., 1.), 'knee': (2., 2.)}, origin='import')])  # took no time
    summary = summary_of(work)
    assert summary == {'films': {'finished': 3, 'of': 5, 'median_seconds': 40, 'minutes_left': pytest.approx(80 / 60)}}
    assert summary_lines(summary) == ['3 of 5 films finished, 40 s a film (median); about 1 min left']
    assert summary_of(Work()) == {'films': {'finished': 0, 'of': 5, 'median_seconds': None, 'minutes_left': None}}
    assert summary_lines(summary_of(Work())) == ['0 of 5 films finished']


def test_both_readings_are_compared_where_both_have_a_point():
    marks = {'a.png': {'hip': (0., 0.), 'knee': (0., 0.)}, again('a.png'): {'hip': (3., 4.), 'knee': (0., 1.)},
             'b.png': {'hip': (5., 5.), 'knee': ABSENT}, again('b.png'): {'hip': (5., 7.), 'knee': (1., 1.)},
             again('c.png'): {'hip': (1., 1.)}}
    summary = summary_of(Work(marks=marks))['repeats']
    assert summary == {'n': 3, 'mean_px': pytest.approx(8 / 3), 'median_px': 2, 'landmarks': {
        'hip': {'n': 2, 'mean_px': 3.5, 'median_px': 3.5}, 'knee': {'n': 1, 'mean_px': 1, 'median_px': 1}}}
    words = ' '.join(summary_lines(summary_of(Work(marks=marks))))
    assert all(word in words for word in ('2.67', '2.00 px', 'hip: mean 3.50', 'n = 2', 'knee'))


def test_how_far_marks_are_from_the_model_where_it_was_seen_and_where_not():
    marks = {'a.png': {'hip': (0., 1.), 'knee': (0., 0.)}, 'b.png': {'hip': (3., 4.), 'knee': ABSENT},
             'c.png': {'hip': (0., 8.)}}
    known = {'hip': [Suggestion((0., 0.), 'model')], 'knee': [Suggestion((0., 3.), 'model')]}
    offered = {'a.png': known, 'b.png': known, 'c.png': known | {'knee': [Suggestion(ABSENT, 'model')]},
               'd.png': known, again('a.png'): {'hip': [Suggestion((0., 0.), 'template')]}}
    summary = summary_of(Work(marks=marks | {again('a.png'): {'hip': (50., 0.)}}), offered, {'b.png', 'c.png'})
    assert summary['help'] == {'helped': {'n': 2, 'mean_px': 2, 'median_px': 2},
                               'withheld': {'n': 2, 'mean_px': 6.5, 'median_px': 6.5}}
    words = [line for line in summary_lines(summary) if 'model' in line]
    assert ['helped' in words[0], 'withheld' in words[1], '6.50' in words[1]] == [True] * 3
