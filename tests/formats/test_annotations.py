"The annotation CSV: what is read, and what is written."

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import FIXED, GOOD, HEADER

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import (
    ABSENT,
    UNLABELLED,
    VISIBLE,
    fill_spacing,
    in_order,
    read_annotations,
    read_readers,
    write_annotations,
)

# reading

def test_read_gives_names_sizes_points_in_file_order(csv_file):
    got = read_annotations(csv_file(HEADER, GOOD, 'sub/b.png,30.0,40,2,29,39,0,0'))
    assert len(got) == 2 and got.names == ['hip', 'knee'] and got.image_names == ['a.png', 'sub/b.png']
    assert got.sizes.tolist() == [[100, 200], [30, 40]] and np.issubdtype(got.sizes.dtype, np.integer)
    assert got.points.tolist() == [[[1, 2], [3.5, 4.25]], [[29, 39], [0, 0]]]
    assert got.points.dtype == np.float64 and got.state.dtype == np.uint8 and not got.state.any()
    assert np.isnan(got.spacing).all() and got.spacing.shape == (2, 2)
    assert got.patient_id is None and got.split is None


def test_the_three_states(csv_file):
    got = read_annotations(csv_file(HEADER, 'a.png,100,200,2,,,-1,-1', 'b.png,100,200,2,-1.0,-1,7,8'))
    assert got.state.tolist() == [[UNLABELLED, ABSENT], [ABSENT, VISIBLE]]
    assert np.isnan(got.points[:, :, 0]).tolist() == [[True, True], [True, False]]
    assert got.points[1, 1].tolist() == [7, 8]


def test_blank_lines_are_skipped_and_rows_keep_their_line_numbers(csv_file):
    got = read_annotations(csv_file(HEADER, GOOD, '', ',,,,,,,', 'b.png,100,200,2,1,2,3,4'))
    assert got.rows == [2, 5] and got.where(1) == 'train.csv, row 5 (b.png)'


def test_bom_spaces_and_path_spelling_do_not_matter(tmp_path):
    path = tmp_path / 'train.csv'
    path.write_text(f'\ufeff{HEADER}\r\n  ./sub//a.png , 100,200,2, 1 ,2,3,4\r\n', encoding='utf-8')
    got = read_annotations(path)
    assert got.image_names == ['sub/a.png'] and got.points[0].tolist() == [[1, 2], [3, 4]]


def test_quoted_names_may_hold_commas(csv_file):
    got = read_annotations(csv_file(f'{FIXED},"hip, left_x","hip, left_y"', '"a,b.png",100,200,1,1,2'))
    assert got.names == ['hip, left'] and got.image_names == ['a,b.png']


def test_n_landmarks_column_may_be_missing_or_blank(csv_file):
    assert len(read_annotations(csv_file(HEADER, 'a.png,100,200,,1,2,3,4'))) == 1
    without = csv_file('image_name,image_width,image_height,hip_x,hip_y', 'a.png,100,200,1,2')
    assert read_annotations(without, n_landmarks=1).names == ['hip']


def test_a_landmark_may_end_in_x_and_pairs_may_be_apart(csv_file):
    got = read_annotations(csv_file(f'{FIXED},b_x,a_x_x,a_x_y,b_y', 'a.png,100,200,2,1,2,3,4'))
    assert got.names == ['b', 'a_x'] and got.points[0].tolist() == [[1, 4], [2, 3]]


def test_reserved_columns_are_no_landmarks_and_draw_no_warning(csv_file):
    path = csv_file(f'{FIXED},pixel_spacing_x,pixel_spacing_y,image_spacing_source,hip_x,hip_y,hip_confidence',
                    'a.png,100,200,1,.1,.2,film,1,2,0.9')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        got = read_annotations(path)
    assert got.names == ['hip'] and got.spacing.tolist() == [[.1, .2]]


def test_what_begins_with_image_is_no_landmark_and_is_told(csv_file):
    with pytest.warns(UserWarning, match="ignored, no known column: 'image_notch_x', 'image_notch_y'"):
        got = read_annotations(csv_file(f'{FIXED},image_notch_x,image_notch_y,hip_x,hip_y', 'a.png,100,200,1,5,6,1,2'))
    assert got.names == ['hip']


def test_unknown_columns_draw_a_warning_with_their_names(csv_file):
    path = csv_file(f'{HEADER},age,ankle_confidence', GOOD + ',70,1')
    with pytest.warns(UserWarning, match="train.csv: .*'age', 'ankle_confidence'") as caught: read_annotations(path)
    assert len(caught) == 1 and caught[0].filename == __file__


def test_one_spacing_holds_for_both_axes_and_blank_is_unknown(csv_file):
    got = read_annotations(csv_file(f'{HEADER},pixel_spacing', GOOD + ',0.143', 'b.png,100,200,2,1,2,3,4,'))
    np.testing.assert_array_equal(got.spacing, [[.143, .143], [np.nan, np.nan]])
    assert got.spacing_source.tolist() == ['CSV', '']


def test_the_source_of_a_spacing_is_the_csv_unless_it_says_otherwise(csv_file):
    path = csv_file(f'{HEADER},pixel_spacing,image_spacing_source', GOOD + ',.1,DICOM PixelSpacing',
                    'b.png,100,200,2,1,2,3,4,.1,', 'c.png,100,200,2,1,2,3,4,,DICOM PixelSpacing')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert read_annotations(path).spacing_source.tolist() == ['DICOM PixelSpacing', 'CSV', '']


def test_a_landmark_may_end_in_confidence(csv_file):
    header = f'{FIXED},hip_x,hip_y,hip_confidence_x,hip_confidence_y,hip_confidence,hip_confidence_confidence'
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        got = read_annotations(csv_file(header, 'a.png,100,200,2,1,2,3,4,0.5,0.25'))
    assert got.names == ['hip', 'hip_confidence'] and got.points[0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize('width, xy, state', [
    (1000, '49.9,49', ABSENT), (1000, '50,49', VISIBLE), (1000, '49,50', VISIBLE),
    (1001, '99.9,50', ABSENT), (1001, '100,99', VISIBLE)])
def test_corner_box_means_absent_only_on_request(csv_file, width, xy, state):
    path = csv_file(HEADER, f'a.png,{width},900,2,{xy},,')
    got = read_annotations(path, invisible_landmarks=True)
    assert got.state.tolist() == [[state, UNLABELLED]] and np.isnan(got.points[0, 0]).all() == (state == ABSENT)
    assert read_annotations(path).state.tolist() == [[VISIBLE, UNLABELLED]]


def test_corner_box_follows_the_longer_side(csv_file):
    path = csv_file(HEADER, 'a.png,200,1001,2,99,99,,')
    assert read_annotations(path, invisible_landmarks=True).state[0, 0] == ABSENT


# writing

def assert_same(a, b):
    "All fields equal to the last bit, but for the file and its line numbers."
    for field in ('names', 'image_names', 'patient_id', 'split'): assert getattr(a, field) == getattr(b, field), field
    for field in ('sizes', 'points', 'state', 'spacing', 'spacing_source'):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), strict=True)


@pytest.mark.parametrize('columns, first, second', [
    ('', '', ''), ('pixel_spacing', '0.1', ''), ('pixel_spacing_x,pixel_spacing_y', '0.1,0.3', ','),
    ('pixel_spacing,image_spacing_source', '0.1,DICOM PixelSpacing', ','),
    ('pixel_spacing,image_spacing_source', '0.1,flag --pixel_spacing', '0.2,CSV'),
    ('patient_id,split', '"a, ""b""",train', 'NA,test')])
def test_what_is_written_reads_the_same(csv_file, tmp_path, columns, first, second):
    join = ',' if columns else ''
    got = read_annotations(csv_file(
        f'{HEADER}{join}{columns}', f'"ü,1.png",100,200,2,1,{1 / 3!r},,{join}{first}',
        f'NA,1234,77,2,-1,-1,1e-07,{float(np.nextafter(76, 0))!r}{join}{second}'))
    again = tmp_path / 'deep' / 'again.csv'
    write_annotations(again, got)
    assert_same(read_annotations(again), got)
    text = again.read_bytes()
    write_annotations(again, read_annotations(again))
    assert again.read_bytes() == text


def test_the_written_text(csv_file, tmp_path):
    write_annotations(tmp_path / 'out.csv', read_annotations(csv_file(
        f'{HEADER},pixel_spacing,patient_id', 'a.png,100.0,200,,1.0,2.50,,,0.10,p', 'b.png,9,9,2,-1.0,-1,0,8,,q')))
    assert (tmp_path / 'out.csv').read_text() == (
        f'{HEADER},pixel_spacing,patient_id\na.png,100,200,2,1,2.5,,,0.1,p\nb.png,9,9,2,-1,-1,0,8,,q\n')
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith('.')] == []


def test_confidence_and_source_in_the_written_text(csv_file, tmp_path):
    got = read_annotations(csv_file(f'{HEADER},pixel_spacing,split', GOOD + ',,train', 'b.png,9,9,2,,,-1,-1,.1,val'))
    got = fill_spacing(got, (.2, .3), 'flag --pixel_spacing')
    write_annotations(tmp_path / 'out.csv', got, {'confidence': np.array([[0.12345, 1], [np.nan, 0]])})
    assert (tmp_path / 'out.csv').read_text() == (
        f'{HEADER},pixel_spacing_x,pixel_spacing_y,image_spacing_source,split,hip_confidence,knee_confidence\n'
        'a.png,100,200,2,1,2,3.5,4.25,0.2,0.3,flag --pixel_spacing,train,0.123,1.000\n'
        'b.png,9,9,2,,,-1,-1,0.1,0.1,CSV,val,,0.000\n')
    assert_same(read_annotations(tmp_path / 'out.csv'), got)


def test_no_images_are_written_as_the_header_alone(csv_file, tmp_path):
    got = read_annotations(csv_file(HEADER, GOOD)).subset([])
    write_annotations(tmp_path / 'out.csv', got, {'confidence': np.empty((0, 2))})
    assert (tmp_path / 'out.csv').read_text() == f'{HEADER},hip_confidence,knee_confidence\n'


# several readers

def test_readers_are_told_apart_by_their_column_and_keep_their_rows(csv_file):
    rows = f'{GOOD},CD', 'b.png,30,40,2,1,1,2,2,AB', 'a.png,100,200,2,5,6,,,AB'
    got = read_readers(csv_file(f'{HEADER},reader', *rows))
    assert list(got) == ['CD', 'AB'] and got['CD'].image_names == ['a.png'] and got['CD'].names == ['hip', 'knee']
    assert got['AB'].image_names == ['b.png', 'a.png'] and got['AB'].rows == [3, 4]
    assert got['AB'].points[1, 0].tolist() == [5, 6] and got['AB'].state[1, 1] == UNLABELLED


@pytest.mark.parametrize('header,row', [(HEADER, GOOD), (f'{HEADER},reader', f'{GOOD},')])
def test_a_file_that_names_no_reader_is_of_one_who_is_called_like_it(csv_file, header, row):
    assert [(name, len(got)) for name, got in read_readers(csv_file(header, row)).items()] == [('train', 1)]


@pytest.mark.parametrize('rows,named', [
    ((f'{GOOD},AB', f'{GOOD},AB'), ('row 3 (a.png)', 'row 2', 'drop one')),
    ((f'{GOOD},AB', 'b.png,30,40,2,1,1,2,2,'), ('row 3 (b.png)', 'reader is blank')),
    ((f'{GOOD},=1+1',), ('row 2 (a.png)', "reader is '=1+1'", 'formula')),
    ((f'{GOOD},AB', 'b.png,30,40,2,1,1,2,99,AB'), ('row 3 (b.png)', 'knee'))])
def test_mistakes_in_rows_of_readers_are_named(csv_file, rows, named):
    with pytest.raises(UsageError) as caught: read_readers(csv_file(f'{HEADER},reader', *rows))
    assert all(part in str(caught.value) for part in named), caught.value


def test_landmarks_are_put_in_an_order_or_refused(csv_file):
    got = read_annotations(csv_file(HEADER, 'a.png,100,200,2,1,2,-1,-1'))
    turned = in_order(got, ['knee', 'hip'], 'the model')
    assert turned.names == ['knee', 'hip'] and turned.state.tolist() == [[ABSENT, VISIBLE]]
    assert turned.points[0, 1].tolist() == [1, 2]
    with pytest.raises(UsageError, match='hip, knee.*b.csv.*hip, ankle'): in_order(got, ['hip', 'ankle'], 'b.csv')


# subsets and spacing

@pytest.mark.parametrize('indices', [[2, 0], np.array([2, 0]), (2, 0)])
def test_a_subset_keeps_everything_of_its_images(csv_file, indices):
    rows = [f'{i}.png,10{i},200,2,{i},2,,,.{i + 1},p{i},{side}' for i, side in enumerate(('train', 'val', 'test'))]
    got = read_annotations(csv_file(f'{HEADER},pixel_spacing,patient_id,split', *rows)).subset(list(indices))
    assert len(got) == 2 and got.image_names == ['2.png', '0.png'] and got.rows == [4, 2]
    assert got.sizes[:, 0].tolist() == [102, 100] and got.points[:, 0, 0].tolist() == [2, 0]
    assert got.state.tolist() == [[VISIBLE, UNLABELLED]] * 2 and got.spacing[:, 1].tolist() == [.3, .1]
    assert got.spacing_source.tolist() == ['CSV', 'CSV'] and got.where(0) == 'train.csv, row 4 (2.png)'
    assert got.patient_id == ['p2', 'p0'] and got.split == ['test', 'train'] and got.names == ['hip', 'knee']


def test_a_subset_by_mask(annotated):
    got = annotated(3).subset(np.array([True, False, True]))
    assert got.image_names == ['0.png', '2.png'] and got.patient_id is None and got.split is None


@pytest.mark.parametrize('spacing, source, expected, sources', [
    (.5, 'flag', [[.1, .2], [.5, .5], [.5, .5]], ['CSV', 'flag', 'flag']),
    ((.5, .6), 'flag', [[.1, .2], [.5, .6], [.5, .6]], ['CSV', 'flag', 'flag']),
    ([[7, 7], [.5, .6], [np.nan] * 2], ['a', 'b', ''], [[.1, .2], [.5, .6], [np.nan] * 2], ['CSV', 'b', ''])])
def test_unknown_spacings_are_filled(csv_file, spacing, source, expected, sources):
    got = read_annotations(csv_file(f'{HEADER},pixel_spacing_x,pixel_spacing_y', GOOD + ',.1,.2',
                                    'b.png,9,9,2,1,2,3,4,,', 'c.png,9,9,2,1,2,3,4,,'))
    filled = fill_spacing(got, spacing, source)
    np.testing.assert_array_equal(filled.spacing, expected)
    assert filled.spacing_source.tolist() == sources and filled.spacing_source.dtype == object
    assert got.spacing_source.tolist() == ['CSV', '', '']


def test_confidence_and_spread_are_written_and_ignored_on_reading(annotated, tmp_path, no_warnings):
    annotations = annotated(2)
    values = np.full((2, len(annotations.names)), 0.25)
    write_annotations(tmp_path / 'found.csv', annotations, {'confidence': values, 'spread': 2 * values})
    name = annotations.names[0]
    table = pd.read_csv(tmp_path / 'found.csv')
    assert (table[f'{name}_confidence'] == 0.25).all() and (table[f'{name}_spread'] == 0.5).all()
    assert read_annotations(tmp_path / 'found.csv').names == annotations.names
