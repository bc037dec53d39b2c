"The order in which a reader comes to the images."

import pytest

from landmark_fastai.annotate.actions import ABSENT, MARK, UNCLEAR, Action, Work, replay
from landmark_fastai.annotate.queue import NAME, RANDOM, UNFINISHED, WORST, order

IMAGES = ['a.png', 'b.png', 'c.png', 'd.png']
NAMES = ['hip', 'knee']


def ordered(how, work=None, scores=None, images=IMAGES, seed='AB'):
    return order(images, how, work or Work(), NAMES, scores or {}, seed)


def test_by_name_and_what_is_not_finished_first():
    work = replay([Action('1', 'tab', MARK, 'a.png', 0, {'hip': (1., 1.), 'knee': ABSENT}),
                   Action('2', 'tab', MARK, 'c.png', 0, {'hip': UNCLEAR, 'knee': UNCLEAR}),
                   Action('3', 'tab', MARK, 'b.png', 0, {'hip': (1., 1.), 'knee': None})])
    assert ordered(NAME, work) == [0, 1, 2, 3]
    assert ordered(UNFINISHED, work) == [1, 3, 0, 2]


def test_the_worst_come_first_and_those_of_whom_nothing_is_known_last():
    assert ordered(WORST, scores={'a.png': 1., 'd.png': 7., 'c.png': 3.}) == [3, 2, 0, 1]


@pytest.mark.parametrize('seed', ['AB', 'CD', 'reader'])
def test_a_random_order_is_that_of_its_seed_and_one_more_image_leaves_the_others(seed):
    many = [f'{k}.png' for k in range(40)]
    first = ordered(RANDOM, images=many, seed=seed)
    assert first == ordered(RANDOM, images=many, seed=seed) and sorted(first) == list(range(40)) != first
    assert first != ordered(RANDOM, images=many, seed=f'{seed}2')
    more = ordered(RANDOM, images=[*many, 'new.png'], seed=seed)
    assert [number for number in more if number != 40] == first
