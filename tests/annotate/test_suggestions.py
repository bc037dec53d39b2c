"What is offered on an image, and of what."

import numpy as np
import pytest

from landmark_fastai import UsageError
from landmark_fastai.annotate.actions import ABSENT, MARK, Action, Work
from landmark_fastai.annotate.suggestions import Help, Suggestion, check_given, marks_of
from landmark_fastai.formats.annotations import read_annotations

NAMES = ['a', 'b', 'c', 'd']
SQUARE = {'a': (0., 0.), 'b': (10., 0.), 'c': (10., 10.), 'd': (0., 10.)}


def take(work, image, marks): work.take(Action(f'{work.n}', 'tab', MARK, image, work.n, marks))


@pytest.fixture
def work():
    "One image is finished, on another one two landmarks are set: twice as large, a quarter turned."
    work = Work()
    take(work, 'first.png', SQUARE)
    take(work, 'second.png', {'a': (50., 50.), 'b': (50., 70.)})
    return work


def points(offered): return {name: np.round(of_name[0].mark, 6).tolist() for name, of_name in offered.items()}


def test_points_follow_from_those_that_are_placed(work):
    offered = Help(NAMES).of('second.png', work)
    assert points(offered) == {'c': [30, 70], 'd': [30, 50]}
    assert {each.origin for of_name in offered.values() for each in of_name} == {'template'}
    take(work, 'second.png', {'b': (70., 50.)})  # moved: not turned any more
    assert points(Help(NAMES).of('second.png', work)) == {'c': [70, 70], 'd': [50, 70]}
    assert Help(NAMES).of('third.png', work) == {}


def test_the_shape_is_looked_at_again_when_there_are_more_images(work):
    help = Help(NAMES)
    assert points(help.of('second.png', work))['c'] == [30, 70]
    for k in range(8): take(work, f'{k}.png', SQUARE | {'c': (30., 30.)})
    assert points(help.of('second.png', work))['c'] != [30, 70]


def test_what_a_csv_says_comes_before_what_follows(work):
    given = {'second.png': {'c': (1., 2.), 'd': ABSENT, 'a': None, 'other': (3., 3.)}}
    offered = Help(NAMES, given).of('second.png', work)
    assert offered == {'c': [Suggestion((1., 2.), 'model')], 'd': [Suggestion(ABSENT, 'model')]}


class KnowingRun:
    "A run that has been asked for one image."
    found = {'asked.png': {'c': (5., 5.)}}


def test_a_run_is_asked_where_the_csv_says_nothing(work):
    help = Help(NAMES, {'second.png': {'c': (1., 2.)}}, KnowingRun())
    assert [help.can_ask(image) for image in ('first.png', 'second.png', 'asked.png')] == [True, False, False]
    assert help.of('asked.png', work) == {'c': [Suggestion((5., 5.), 'model')]}
    assert not Help(NAMES).can_ask('first.png')


def test_the_marks_of_a_csv(tmp_path):
    csv = tmp_path / 'p.csv'
    header = 'image_name,image_width,image_height,n_landmarks,a_x,a_y,b_x,b_y,c_x,c_y'
    csv.write_text(f'{header}\nx.png,9,9,3,1.5,2,-1,-1,,\n')
    assert marks_of(read_annotations(csv)) == {'x.png': {'a': (1.5, 2.), 'b': ABSENT, 'c': None}}


@pytest.mark.parametrize('given, words', [({'gone.png': {'a': None}}, ['gone.png', 'here.png']),
                                          ({'here.png': {'nose': None}}, ['nose', 'a, b'])])
def test_a_csv_of_other_films_or_landmarks_is_refused(given, words):
    check_given({'here.png': {'a': None}}, ['here.png'], NAMES)
    with pytest.raises(UsageError) as error: check_given(given, ['here.png'], NAMES)
    assert all(word in str(error.value) for word in words)
