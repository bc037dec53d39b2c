"Readers side by side: images and landmarks are matched by name, and what contradicts itself is refused by name."

import numpy as np
import pytest
from helpers import GOOD, HEADER

from landmark_fastai.errors import UsageError
from landmark_fastai.measure.readers import landmark_readings, read_panel

SPACED = f'{HEADER},pixel_spacing,split'


@pytest.fixture
def csv_file(tmp_path):
    "A function that writes lines to a CSV of that name and returns its path."
    def write(name, *lines):
        (tmp_path / name).write_text('\n'.join(lines) + '\n', encoding='utf-8')
        return str(tmp_path / name)
    return write


def test_images_and_landmarks_are_matched_by_name(csv_file):
    first = csv_file('AB.csv', HEADER, GOOD, 'b.png,30,40,2,5,6,-1,-1')
    second = csv_file('CD.csv', 'image_name,image_width,image_height,knee_x,knee_y,hip_x,hip_y',
                      'c.png,9,9,1,1,2,2', 'a.png,100,200,8,9,10,11', 'b.png,30,40,7,8,,')
    panel = read_panel([first, second])
    assert panel.readers == ['AB', 'CD'] and panel.names == ['hip', 'knee']
    assert panel.image_names == ['a.png', 'b.png', 'c.png'] and panel.points.shape == (3, 2, 2, 2)
    assert panel.points[0].tolist() == [[[1, 2], [3.5, 4.25]], [[10, 11], [8, 9]]]
    assert np.isnan(panel.points[2, 0]).all() and np.isnan(panel.points[1, 0, 1]).all()
    assert panel.absent[1].tolist() == [[False, True], [False, False]]
    assert panel.both.tolist() == [[True, True], [False, False], [False, False]]


def test_a_column_of_readers_and_a_file_of_predictions_stand_side_by_side(csv_file):
    clicked = csv_file('clicked.csv', f'{HEADER},reader', f'{GOOD},AB', f'{GOOD},CD')
    predicted = csv_file('predictions.csv', HEADER, GOOD)
    assert read_panel([clicked]).readers == ['AB', 'CD']
    assert read_panel([clicked, predicted]).readers == ['AB', 'CD', 'predictions']
    assert read_panel([clicked, predicted], ['x', 'y', 'net']).readers == ['x', 'y', 'net']


def test_spacing_and_split_are_from_whichever_file_tells(csv_file):
    first = csv_file('AB.csv', SPACED, f'{GOOD},0.5,train', 'b.png,30,40,2,5,6,1,1,,test')
    panel = read_panel([first, csv_file('CD.csv', HEADER, GOOD, 'b.png,30,40,2,5,6,1,1')])
    assert panel.spacing[0].tolist() == [0.5, 0.5] and np.isnan(panel.spacing[1]).all()
    assert panel.split == ['train', 'test'] and panel.unit == 'px'
    assert panel.points_in('mm')[0, 0, 0].tolist() == [0.5, 1] and np.isnan(panel.points_in('mm')[1]).all()


def test_millimetres_are_taken_along_each_axis(csv_file):
    header = f'{HEADER},pixel_spacing_x,pixel_spacing_y'
    panel = read_panel([csv_file(f'{name}.csv', header, f'{GOOD},0.1,0.2') for name in 'ab'])
    assert panel.unit == 'mm' and panel.points_in('mm')[0, 0, 1] == pytest.approx([0.35, 0.85])
    found = landmark_readings(panel)
    assert [(each.name, each.unit, each.kind) for each in found] == [
        (name, unit, kind) for name in ('hip', 'knee') for unit in ('px', 'mm') for kind in ('landmark', 'x', 'y')]
    assert found[-1].values.tolist() == [pytest.approx([0.85, 0.85])] and found[0].values.shape == (1, 2, 2)


def test_a_corner_click_is_absent_on_request(csv_file):
    files = [csv_file(f'{name}.csv', HEADER, 'a.png,100,200,2,1,2,90,90') for name in 'ab']
    assert read_panel(files, None, True).absent[0].tolist() == [[True, False]] * 2
    assert not read_panel(files).absent.any()


@pytest.mark.parametrize('second,named', [
    ((HEADER, 'b.png,100,200,2,1,2,3,4'), ('AB.csv', 'a.png', 'b.png', 'image_name')),
    ((HEADER.replace('knee', 'ankle'), GOOD), ('CD.csv', 'ankle', 'knee', 'AB.csv')),
    ((HEADER, 'a.png,200,100,2,1,2,3,4'), ('CD.csv, row 2 (a.png)', '200, 100', '100, 200', 'AB.csv, row 2')),
    ((SPACED, f'{GOOD},0.4,train'), ('CD.csv, row 2 (a.png)', 'pixel spacing', '0.4', '0.5', 'AB.csv, row 2')),
    ((SPACED, f'{GOOD},0.5,test'), ('CD.csv, row 2 (a.png)', 'split', 'test', 'train'))])
def test_files_that_contradict_each_other_are_refused(csv_file, second, named):
    files = csv_file('AB.csv', SPACED, f'{GOOD},0.5,train'), csv_file('CD.csv', *second)
    with pytest.raises(UsageError) as caught: read_panel(files)
    assert all(part in str(caught.value) for part in named), caught.value


def test_a_spacing_that_one_file_has_rounded_is_the_same(csv_file):
    spacings = {'AB': 0.13867, 'CD': 0.1387}
    files = [csv_file(f'{name}.csv', SPACED, f'{GOOD},{spacing},train') for name, spacing in spacings.items()]
    assert read_panel(files).spacing[0] == pytest.approx(0.1387, abs=1e-4)


@pytest.mark.parametrize('readers', [None, ['x', 'y']])
def test_one_reader_alone_agrees_with_nobody(csv_file, readers):
    file = csv_file('AB.csv', f'{HEADER},reader', f'{GOOD},AB')
    with pytest.raises(UsageError) as caught: read_panel([file], readers)
    assert all(part in str(caught.value) for part in ('AB.csv', 'one reader', 'column reader'))


def test_names_of_readers_must_differ_and_be_no_formula(csv_file, tmp_path):
    (tmp_path / 'sub').mkdir()
    files = csv_file('p.csv', HEADER, GOOD), csv_file('sub/p.csv', HEADER, GOOD)
    with pytest.raises(UsageError) as caught: read_panel(files)
    assert all(part in str(caught.value) for part in (*files, 'reader p', '--readers'))
    assert read_panel(files, ['a', 'b']).readers == ['a', 'b']
    with pytest.raises(UsageError, match='=a.*formula'): read_panel(files, ['=a', 'b'])
    with pytest.raises(UsageError, match='readers names 3.*a, b, c.*rows of 2'): read_panel(files, ['a', 'b', 'c'])
