"Drifts of readers and of groups of images: which are compared, in which direction, and how they are told."

import numpy as np
import pytest

from landmark_fastai.measure.drifts import drift_notes, drift_rows, group_drifts, groups_of, reader_drifts
from landmark_fastai.measure.readers import Panel

SHAPE = np.array([[100, 100], [300, 120], [280, 320], [110, 290], [200, 210]], float)


def panel(n=60, readers=('AB', 'CD'), split=None, folder='f', names='abcde', shift=(0, 0)):
    "Films that two readers have clicked, the first of whom puts the landmark c `shift` px off."
    rng = np.random.default_rng(1)
    points = (SHAPE[:len(names)] + rng.normal(0, 5, (n, 1, len(names), 2))).repeat(len(readers), 1)
    points += rng.normal(0, 1, points.shape)
    points[:, 0, 2] += shift
    return Panel(list(readers), list(names), [f'{folder}/{i}.png' for i in range(n)], points,
                 np.zeros(points.shape[:3], bool), np.full((n, 2), 1000), np.full((n, 2), np.nan), split or [''] * n)


def test_pairs_of_readers_are_compared_in_their_order():
    found = reader_drifts(panel(readers=('AB', 'CD', 'EF'), shift=(3, -4)))
    assert [each.what for each in found] == ['AB - CD', 'AB - EF', 'CD - EF']
    assert [np.flatnonzero(each.drift.flagged).tolist() for each in found] == [[2], [2], []]
    assert found[0].drift.offset[2] == pytest.approx([3, -4], abs=0.6)


def test_two_groups_are_compared_once_and_more_with_all_others():
    two = group_drifts(panel(), ['test'] * 30 + ['train'] * 30)
    assert {each.what for each in two} == {'test - train'}
    assert [each.within for each in two] == ['AB', 'CD', 'AB - CD']
    three = group_drifts(panel(), ['siteC'] * 20 + ['siteA'] * 20 + ['siteB'] * 20)
    assert [each.what for each in three[:3]] == ['siteA - others', 'siteB - others', 'siteC - others']
    assert three[0].drift.n[0].tolist() == [20, 40]


def test_a_group_that_lies_elsewhere_is_found():
    split = ['train'] * 30 + ['test'] * 30
    both = panel(split=split)
    both.points[30:, :, 2] += [20, 0]
    found = group_drifts(both, split)
    assert [np.flatnonzero(each.drift.flagged).tolist() for each in found] == [[2], [2], []]  # both lie there
    assert found[0].drift.offset[2] == pytest.approx([20, 0], abs=5)


def test_a_reader_who_clicks_elsewhere_in_one_group_is_found_by_the_other():
    split = ['train'] * 30 + ['test'] * 30
    films = panel(split=split)
    films.points[30:, 1, 2] += [0, 2]  # too little to be seen among patients
    found = {each.within: each.drift for each in group_drifts(films, split)}
    assert not found['CD'].flagged.any() and np.flatnonzero(found['AB - CD'].flagged).tolist() == [2]
    assert found['AB - CD'].offset[2] == pytest.approx([0, -2], abs=0.8)


def test_small_groups_and_images_without_one_are_left_out():
    assert group_drifts(panel(), ['a'] * 30 + ['b'] * 9 + [''] * 21) == []
    found = group_drifts(panel(), ['a'] * 20 + ['b'] * 9 + [''] * 11 + ['c'] * 20)
    assert [each.what for each in found[:1]] == ['c - a'] and found[0].drift.n[0].tolist() == [20, 20]
    few = group_drifts(panel(names='abc'), ['a'] * 30 + ['b'] * 30)  # three points are no shape
    assert [each.within for each in few] == ['AB - CD']


def test_groups_are_sides_of_the_split_or_folders():
    films = panel(n=2, split=['train', 'test'], folder='siteA/patient1')
    assert groups_of(films, 'split') == ['train', 'test'] and groups_of(films, 'folder') == ['siteA', 'siteA']


def test_of_many_that_drift_the_furthest_are_told():
    row = {'comparison': 'A - B', 'within': '', 'unit': 'px', 'y': 0., 'p': 0., 'drifts': True}
    notes = drift_notes([row | {'landmark': f'l{k}', 'x': float(k)} for k in range(20)])
    assert len(notes) == 9 and notes[0].startswith('l19 ') and '12 more' in notes[-1]


def test_rows_and_sentences_tell_direction_and_chance():
    rows = drift_rows(reader_drifts(panel(shift=(3, -4))), list('abcde'), 'px')
    assert [row['landmark'] for row in rows if row['drifts']] == ['c'] and rows[2]['n'] == '60'
    note, = drift_notes(rows)
    for part in ('c drifts', 'AB - CD', 'px', 'right', 'up', 'p < 0.001'): assert part in note
    rows[2] |= {'x': -3.0, 'y': 4.0, 'p': 0.0123, 'within': 'EF', 'comparison': 'test - train'}
    note, = drift_notes(rows)
    for part in ('5.00 px', '3.00 left', '4.00 down', 'p = 0.012', 'test - train, in EF'): assert part in note
