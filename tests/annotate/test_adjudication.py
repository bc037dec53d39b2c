"What readers have said of the same images: which, how far apart, and what is offered of it."

from math import inf

import pytest

from landmark_fastai import UsageError
from landmark_fastai.annotate.actions import ABSENT, MARK, UNCLEAR, Action, replay
from landmark_fastai.annotate.adjudication import Disputed, disagreement, marks_by_reader, shared_images, suggestions
from landmark_fastai.annotate.journal import Journal
from landmark_fastai.annotate.suggestions import Suggestion

NAMES = ['hip', 'knee']


def actions_of(marks): return [Action(str(k), 'tab', MARK, image, k, of) for k, (image, of) in enumerate(marks.items())]


def works(**marks): return {reader: replay(actions_of(of)) for reader, of in marks.items()}


def test_images_are_shared_on_which_two_readers_have_marks():
    found = works(AB={'a.png': {'hip': (1., 1.)}, 'b.png': {'hip': ABSENT}, 'c.png': {'hip': None}},
                  CD={'b.png': {'knee': UNCLEAR}, 'c.png': {'hip': (1., 1.)}}, EF={'d.png': {'hip': (1., 1.)}})
    assert shared_images(found) == ['b.png']


def test_the_mean_is_offered_first_where_all_say_a_point_then_what_each_says():
    found = works(AB={'a.png': {'hip': (1., 2.), 'knee': ABSENT}}, CD={'a.png': {'hip': (4.01, 6.), 'knee': (7., 8.)}},
                  EF={'a.png': {'hip': (4., 1.)}})
    assert suggestions(marks_by_reader(found, 'a.png')) == {
        'hip': [Suggestion((3., 3.), 'adjudication'), Suggestion((1., 2.), 'adjudication', 'AB'),
                Suggestion((4.01, 6.), 'adjudication', 'CD'), Suggestion((4., 1.), 'adjudication', 'EF')],
        'knee': [Suggestion(ABSENT, 'adjudication', 'AB'), Suggestion((7., 8.), 'adjudication', 'CD')]}


@pytest.mark.parametrize('first, second, score, words', [
    ({'hip': (1., 2.), 'knee': (0., 0.)}, {'hip': (4., 6.), 'knee': (0., 2.)}, 5, ['hip', 'AB', 'CD', '5.0 px']),
    ({'hip': (1., 2.), 'knee': ABSENT}, {'hip': (4., 6.), 'knee': (0., 2.)}, inf,
     ['knee', 'AB says absent', 'CD a point']),
    ({'knee': ABSENT}, {'knee': UNCLEAR}, inf, ['knee']), ({'knee': ABSENT}, {'knee': ABSENT}, 0, ['agree']),
    ({'hip': (1., 2.)}, {'knee': (1., 2.)}, 0, ['no landmark'])])
def test_an_image_is_as_bad_as_the_landmark_at_which_readers_are_the_farthest_apart(first, second, score, words):
    found = disagreement(marks_by_reader(works(AB={'a.png': first}, CD={'a.png': second}), 'a.png'))
    assert found.score == score and all(word in found.text for word in words)


@pytest.fixture
def write(tmp_path):
    def write(reader, marks, landmarks=NAMES):
        journal = Journal(tmp_path / f'{reader}.jsonl', reader, landmarks)
        journal.append(actions_of(marks))
        journal.close()
        return journal.path
    return write


def test_journals_are_only_read_also_where_one_was_cut_off(write, tmp_path):
    write('AB', {'a.png': {'hip': (1., 1.)}})
    write('adjudicated', {'a.png': {'hip': (2., 1.)}})
    path = write('CD', {'a.png': {'hip': (1., 4.)}})
    with open(path, 'ab') as f: f.write(b'{"n":2,"ti')
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    disputed = Disputed(tmp_path)
    assert disputed.images == ['a.png'] and disputed.landmarks == NAMES and disputed.reasons()['a.png'].score == 3
    assert [each.by for each in disputed.suggestions('a.png')['hip']] == ['', 'AB', 'CD']
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_what_cannot_be_adjudicated_is_told(write, tmp_path):
    with pytest.raises(UsageError, match='no journal'): Disputed(tmp_path)
    write('AB', {'a.png': {'hip': (1., 1.)}})
    write('CD', {'b.png': {'hip': (1., 1.)}})
    with pytest.raises(UsageError, match='AB.jsonl, CD.jsonl'): Disputed(tmp_path)
    write('EF', {'a.png': {'nose': (1., 1.)}}, ['nose'])
    with pytest.raises(UsageError, match='EF.jsonl.*nose.*hip, knee'): Disputed(tmp_path)
