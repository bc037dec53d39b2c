"Images that come back: which, and when."

import pytest

from landmark_fastai.annotate.actions import MARK, Action, replay
from landmark_fastai.annotate.repeats import again, image_of, second_readings, shuffled, with_repeats

MANY = [f'{k}.png' for k in range(300)]


def listed(images, share, seed): return with_repeats(shuffled(images, seed), share, seed)


@pytest.mark.parametrize('n, share', [(300, 0.1), (300, 0.5), (20, 0.3), (7, 0.5), (3, 0.1), (1, 0.1)])
@pytest.mark.parametrize('seed', ['AB', 'CD', 'EF'])
def test_an_image_comes_back_once_and_at_the_earliest_a_third_of_the_list_later(n, share, seed):
    items = listed(MANY[:n], share, seed)
    assert len(set(items)) == len(items) and [item for item in items if item in MANY] == shuffled(MANY[:n], seed)
    back = [image_of(item) for item in items if item not in MANY]
    assert back
    for image in back: assert items.index(again(image)) - items.index(image) >= len(items) / 3


def test_about_so_many_come_back_as_were_asked_for():
    back = [len(listed(MANY, 0.1, str(seed))) - 300 for seed in range(20)]
    assert 27 < sum(back) / 20 < 33 and min(back) > 12


def test_the_same_come_back_when_it_is_started_again_or_one_more_image_is_there_and_others_for_another_reader():
    def back(images, seed): return [item for item in listed(images, 0.2, seed) if item not in images]
    assert listed(MANY, 0.2, 'AB') == listed(MANY, 0.2, 'AB')
    assert set(back(MANY, 'AB')) - set(back([*MANY, 'new.png'], 'AB')) == set()
    assert set(back(MANY, 'AB')) != set(back(MANY, 'CD'))
    more = shuffled([*MANY, 'new.png'], 'AB')
    assert [image for image in more if image != 'new.png'] == shuffled(MANY, 'AB') != shuffled(MANY, 'CD')


def test_what_is_said_of_an_image_that_came_back_is_kept_apart():
    work = replay([Action('1', 'tab', MARK, 'a.png', 0, {'hip': (1., 2.)}),
                   Action('2', 'tab', MARK, again('a.png'), 1, {'hip': (3., 4.)}),
                   Action('3', 'tab', MARK, 'b.png', 2, {'hip': (5., 6.)})])
    assert second_readings(work).marks == {'a.png': {'hip': (3., 4.)}}
    assert work.of('a.png') == {'hip': (1., 2.)}
