"What a reader does, and what follows from it: marks, undoing, and tabs that do not know of each other."

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmark_fastai import UsageError
from landmark_fastai.annotate.actions import (
    ABSENT,
    MARK,
    REDO,
    UNCLEAR,
    UNDO,
    WORK,
    Action,
    Work,
    read_action,
    replay,
    to_json,
)

NAMES = ['hip', 'knee']


def mark(id, image='a.png', base=0, client='tab', **marks): return Action(id, client, MARK, image, base, marks)


def undo(id, target, kind=UNDO): return Action(id, 'tab', kind, 'a.png', 0, target=target)


def test_the_last_mark_of_a_landmark_counts():
    work = replay([mark('1', hip=(1., 2.)), mark('2', knee=ABSENT), mark('3', hip=(3., 4.)),
                   mark('4', 'b.png', hip=UNCLEAR)])
    assert work.of('a.png') == {'hip': (3., 4.), 'knee': ABSENT} and work.of('b.png') == {'hip': UNCLEAR}
    assert work.of('c.png') == {} and work.n == 4


def test_undo_goes_back_action_by_action_over_images_and_redo_goes_on_again():
    actions = [mark('1', hip=(1., 1.)), mark('2', 'b.png', hip=(2., 2.), knee=(3., 3.)), mark('3', hip=(4., 4.))]
    back = [undo('4', '3'), undo('5', '2'), undo('6', '1')]
    work = replay(actions + back[:2])
    assert work.of('a.png') == {'hip': (1., 1.)} and work.of('b.png') == {'hip': None, 'knee': None}
    assert replay(actions + back).of('a.png') == {'hip': None}
    again = replay([*actions, *back, undo('7', '1', REDO), undo('8', '2', REDO)])
    assert again.of('a.png') == {'hip': (1., 1.)} and again.of('b.png') == {'hip': (2., 2.), 'knee': (3., 3.)}
    assert [change.id for change in again.undone] == ['3']


def test_what_is_undone_cannot_be_redone_once_something_else_was_done():
    work = replay([mark('1', hip=(1., 1.)), undo('2', '1'), mark('3', hip=(5., 5.)), undo('4', '1', REDO)])
    assert work.of('a.png') == {'hip': (5., 5.)} and not work.undone


def test_undoing_what_is_not_the_last_does_nothing():
    "Another tab was there first."
    work = replay([mark('1', hip=(1., 1.)), mark('2', knee=(2., 2.)), undo('3', '1'), undo('4', 'nothing')])
    assert work.of('a.png') == {'hip': (1., 1.), 'knee': (2., 2.)}


def test_a_mark_that_did_not_know_of_another_tabs_is_a_conflict_until_the_landmark_is_marked_again():
    first, second = mark('1', hip=(1., 1.)), mark('2', base=0, client='other', hip=(9., 9.), knee=(5., 5.))
    work = replay([first, second])
    assert work.of('a.png') == {'hip': (1., 1.), 'knee': (5., 5.)}
    assert work.conflicts['a.png'] == {'hip': [(9., 9.)]}
    work.take(mark('3', base=2, client='other', hip=(8., 8.)))
    assert work.of('a.png')['hip'] == (8., 8.) and not work.conflicts['a.png']


def test_two_tabs_that_say_the_same_or_know_of_each_other_are_no_conflict():
    first = mark('1', hip=(1., 1.))
    for second in (mark('2', client='other', hip=(1., 1.)), mark('2', base=1, client='other', hip=(9., 9.))):
        assert not replay([first, second]).conflicts
    later = mark('2', hip=(9., 9.))  # of the same tab, which waits for no answer
    assert replay([first, later]).of('a.png') == {'hip': (9., 9.)}


def test_time_adds_up_image_by_image():
    work = replay([replace(mark('1', hip=(1., 1.)), seconds=2.), Action('2', 'tab', WORK, 'a.png', 1, seconds=1.5)])
    assert work.seconds == {'a.png': 3.5}


marks = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([(1., 1.), (2., 2.), ABSENT, UNCLEAR, None]),
                        min_size=1)


@given(st.lists(st.tuples(st.sampled_from(['a.png', 'b.png']), marks), max_size=12), st.data())
def test_undoing_all_comes_back_to_nothing_and_redoing_to_where_it_was(steps, data):
    work = Work()
    for k, (image, these) in enumerate(steps): work.take(Action(str(k), 'tab', MARK, image, 0, these))
    before = {image: dict(of) for image, of in work.marks.items()}
    n = data.draw(st.integers(0, len(steps)))
    for k in range(n): work.take(undo(f'u{k}', work.done[-1].id))
    if n == len(steps): assert not any(mark for of in work.marks.values() for mark in of.values())
    for k in range(n): work.take(undo(f'r{k}', work.undone[-1].id, REDO))
    assert work.marks == before


# --- as they are sent and stored

@pytest.mark.parametrize('action', [
    mark('1', hip=(1.25, 2.), knee=ABSENT), mark('2', hip=None), undo('3', '1'), undo('4', '1', REDO),
    Action('5', 'tab', WORK, 'folder/ä.png', 7, seconds=3.)])
def test_an_action_comes_back_from_json_as_it_was(action):
    assert read_action(json.loads(json.dumps(to_json(action))), NAMES) == action


@pytest.mark.parametrize('change, words', [
    ({'marks': {'hop': [1, 2]}}, 'hop.*hip'), ({'marks': {'hip': [1]}}, 'hip'), ({'marks': {'hip': 'gone'}}, 'gone'),
    ({'marks': {'hip': [1, float('nan')]}}, 'nan'), ({'marks': {'hip': [True, 1]}}, 'True'), ({'marks': {}}, 'mark'),
    ({'marks': [1]}, 'marks'), ({'kind': 'shout'}, 'shout'), ({'kind': UNDO}, 'undo'), ({'id': ''}, 'id'),
    ({'client': 5}, 'client'), ({'base': -1}, 'base'), ({'base': 1.5}, 'base'), ({'image': None}, 'image'),
    ({'id': 'x' * 5000}, 'id'), ({'seconds': -1}, 'seconds'), ({'origin': 'thin air'}, 'origin'),
    ({'path': '/'}, 'path')])
def test_what_is_no_action_is_refused(change, words):
    good = to_json(mark('1', hip=(1., 2.)))
    with pytest.raises(UsageError, match=words): read_action(good | change, NAMES)
    with pytest.raises(UsageError): read_action([good], NAMES)
