"From what was clicked to the annotation CSV, and back."

from pathlib import Path

import numpy as np
import pytest

from landmark_fastai.annotate.actions import ABSENT, MARK, UNCLEAR, Action, Work, replay
from landmark_fastai.annotate.labels import annotations_of, imported
from landmark_fastai.formats import annotations as states
from landmark_fastai.formats.annotations import read_annotations, write_annotations

NAMES = ['hip', 'knee']
SIZES = {'a.png': (100, 80), 'b/ä.png': (60, 90), 'c.png': (50, 50)}
HEADER = 'image_name,image_width,image_height,n_landmarks,hip_x,hip_y,knee_x,knee_y'


def work_of(marks):
    return replay([Action(str(k), 'tab', MARK, image, k, of) for k, (image, of) in enumerate(marks.items())])


def written(path, work, known=None):
    "The CSV of `work`, read as train reads it."
    write_annotations(path, annotations_of(work, NAMES, SIZES, path, known))
    return read_annotations(path)


def test_the_csv_has_what_was_marked_as_train_reads_it(tmp_path):
    work = work_of({'b/ä.png': {'hip': (10.125, 20.5), 'knee': ABSENT}, 'a.png': {'hip': UNCLEAR, 'knee': (3., 79.)}})
    found = written(tmp_path / 'train.csv', work)
    assert found.image_names == ['a.png', 'b/ä.png'] and found.sizes.tolist() == [[100, 80], [60, 90]]
    assert found.state.tolist() == [[states.UNLABELLED, states.VISIBLE], [states.VISIBLE, states.ABSENT]]
    np.testing.assert_allclose(found.points[found.state == states.VISIBLE], [(3, 79), (10.12, 20.5)])
    text = (tmp_path / 'train.csv').read_text(encoding='utf-8').splitlines()
    assert text == [HEADER, 'a.png,100,80,2,,,3,79', 'b/ä.png,60,90,2,10.12,20.5,-1,-1']


def test_an_image_whose_marks_were_taken_back_is_not_in_it(tmp_path):
    assert annotations_of(work_of({'a.png': {'hip': None}}), NAMES, SIZES, Path('x.csv')).image_names == []
    assert len(annotations_of(Work(), NAMES, SIZES, Path('x.csv'))) == 0


def test_what_the_csv_knew_besides_points_stays(tmp_path):
    path = tmp_path / 'train.csv'
    path.write_text(f'{HEADER},pixel_spacing,patient_id,split\nc.png,50,50,2,1,2,,,0.5,p7,val\na.png,100,80,2,,,5,6,,p8,test\n')
    known = read_annotations(path)
    work = replay(imported(known, Work()))
    assert work.marks == {'c.png': {'hip': (1., 2.)}, 'a.png': {'knee': (5., 6.)}}
    work.take(Action('1', 'tab', MARK, 'b/ä.png', 9, {'hip': (7., 8.)}))
    work.take(Action('2', 'tab', MARK, 'c.png', 9, {'hip': None, 'knee': (3., 3.)}))
    found = written(path, work, known)
    assert found.image_names == ['c.png', 'a.png', 'b/ä.png']
    assert found.patient_id == ['p7', 'p8', 'b/ä.png'] and found.split == ['val', 'test', 'train']
    np.testing.assert_array_equal(found.spacing, [[0.5, 0.5], [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_array_equal(found.points[0], [(np.nan, np.nan), (3, 3)])


@pytest.mark.parametrize('now, expected', [
    ({}, {'hip': (1., 2.), 'knee': ABSENT}), ({'hip': (1., 2.), 'knee': ABSENT}, None),
    ({'hip': (1.001, 2.), 'knee': ABSENT}, None),  # as it was written
    ({'hip': (4., 4.), 'knee': (9., 9.)}, {'hip': (1., 2.), 'knee': ABSENT})])
def test_what_a_csv_says_otherwise_is_imported(tmp_path, now, expected):
    path = tmp_path / 'train.csv'
    path.write_text(f'{HEADER}\na.png,100,80,2,1,2,-1,-1\nc.png,50,50,2,,,,\n')
    work = work_of({'a.png': now, 'c.png': {'hip': (5., 5.)}} if now else {'c.png': {'hip': (5., 5.)}})
    found = imported(read_annotations(path), work)
    assert [action.marks for action in found] == ([expected] if expected else [])  # blank takes nothing back
    for action in found: work.take(action)
    assert not imported(read_annotations(path), work) and not work.conflicts
