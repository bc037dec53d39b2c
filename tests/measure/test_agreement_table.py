"Agreement in words: numbers stand where they belong, and what there is none of is a dash."

import numpy as np

from landmark_fastai.measure.agreement import Readings, agreement_rows
from landmark_fastai.measure.agreement_table import (
    distance_table,
    drift_table,
    headline,
    limits_table,
    panel_notes,
    reliability_table,
)
from landmark_fastai.measure.readers import Panel
from landmark_fastai.viz.report import DASH

POINTS = np.array([[[0, 0], [3, 4]], [[1, 1], [1, 1]], [[0, 0], [0, 2]]], float)  # 5, 0 and 2 apart


def test_distances():
    header, rows = distance_table(agreement_rows([Readings('knee', 'landmark', 'px', POINTS)], ['AB', 'CD']))
    assert header == ['landmark', 'n', 'mean ± SD, px', 'median', 'RMSE', 'Dahlberg', 'within 1 px', 'within 2 px',
                      'within 3 px']
    assert rows == [['knee', '3', '2.33 ± 2.52', '2.00', '3.11', '2.20', '33.3 %', '66.7 %', '66.7 %']]


def test_three_readers_have_a_row_for_each_pair_and_all():
    points = np.concatenate([POINTS, POINTS[:, :1]], 1)
    header, rows = distance_table(agreement_rows([Readings('knee', 'landmark', 'mm', points)], ['A', 'B', 'C']))
    assert header[:2] == ['landmark', 'readers'] and [row[1] for row in rows] == ['A - B', 'A - C', 'B - C', 'all']
    assert rows[1][3] == '0.00 ± 0.00'


def test_limits_and_reliability_have_their_intervals():
    values = np.array([[1, 0], [5, 3], [4, 7], [10, 4]], float)  # differences 1, 2, -3, 6
    rows = agreement_rows([Readings('knee', 'x', 'px', values), Readings('HKA', 'measurement', 'deg', values)],
                          ['AB', 'CD'])
    header, cells = limits_table(rows)
    assert [row[0] for row in cells] == ['knee x, px', 'HKA, deg'] and header[1] == 'n'
    assert cells[0][2] == '1.50 [-4.38, 7.38]' and cells[0][3] == '3.70' and cells[0][-1] == '3.00'
    header, cells = reliability_table(rows)
    # mean squares between images 15.5, between readers 4.5, residual 41 / 6
    assert cells[0][2].startswith('0.409 [') and cells[0][3].startswith('0.388 [') and len(header) == len(cells[0])


def test_what_there_is_none_of_is_a_dash():
    values = np.array([[1, np.nan], [2, np.nan]])
    rows = agreement_rows([Readings('knee', 'x', 'px', values)], ['AB', 'CD'])
    for table in (limits_table, reliability_table): assert set(table(rows)[1][0][2:]) == {DASH}
    one = agreement_rows([Readings('knee', 'x', 'px', np.array([[1, 2.]]))], ['AB', 'CD'])
    assert limits_table(one)[1][0][2:4] == ['-1.00', DASH]
    nothing = agreement_rows([Readings('knee', 'landmark', 'px', POINTS * np.nan)], ['AB', 'CD'])
    assert set(distance_table(nothing)[1][0][2:]) == {DASH}
    assert 'no landmark' in headline(nothing[0], ['AB', 'CD'])


def test_the_headline_says_how_far_apart():
    row, _ = agreement_rows([Readings('all', 'landmark', 'mm', POINTS)], ['AB', 'CD'])
    assert headline(row, ['AB', 'CD', 'EF']) == (
        'AB, CD and EF are 2.33 mm apart on average (median 2.00) over 3 points; 66.7 % within 2 mm.')


def test_drift():
    row = {'comparison': 'AB - CD', 'within': '', 'landmark': 'tip', 'unit': 'px', 'n': '20', 'x': 3., 'x_se': 0.5,
           'y': -4., 'y_se': 0.25, 'p': 0.0004, 'drifts': True}
    header, (cells,) = drift_table([row])
    assert dict(zip(header, cells, strict=True)) == {
        'landmark': 'tip', 'compared': 'AB - CD', 'in': DASH, 'n': '20', 'right ± SE, px': '3.00 ± 0.50',
        'down ± SE': '-4.00 ± 0.25', 'distance': '5.00', 'p': '< 0.001', 'drifts': 'yes'}
    assert drift_table([row | {'p': np.nan, 'drifts': False}])[1][0][-2:] == [DASH, '']


def test_notes_tell_what_does_not_count():
    points, absent = np.zeros((3, 2, 2, 2)), np.zeros((3, 2, 2), bool)
    points[0, 1], points[1, 0, 0], absent[1, 0, 0] = np.nan, np.nan, True
    panel = Panel(['AB', 'CD'], ['hip', 'knee'], ['a', 'b', 'c'], points, absent, np.full((3, 2), 600),
                  np.array([[0.5, 0.5], [0.5, 0.5], [np.nan, np.nan]]), ['train', 'test', 'test'])
    notes = panel_notes(panel, panel.split, [])
    for parts in (['1 of 3 images', 'two readers'], ['1 time', 'absent'], ['1 image', 'spacing'], ['groups', '10']):
        assert any(all(part in note for part in parts) for note in notes), parts
    assert len(notes) == 4
