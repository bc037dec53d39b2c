"The annotation CSV: what is read, what is refused and in which words, what is written, who lands on which side."

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import (
    ABSENT,
    UNLABELLED,
    VISIBLE,
    fill_spacing,
    read_annotations,
    write_annotations,
)
from landmark_fastai.formats.splits import split_folds, split_rows

FIXED = 'image_name,image_width,image_height,n_landmarks'
HEADER = f'{FIXED},hip_x,hip_y,knee_x,knee_y'
GOOD = 'a.png,100,200,2,1,2,3.5,4.25'


@pytest.fixture
def csv_file(tmp_path):
    "A function that writes lines to a CSV and returns its path."
    def write(*lines):
        path = tmp_path / 'train.csv'
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
        return path
    return write


def message_of(path, **kwargs):
    "The error of reading `path`, which must be one line that starts with the file."
    with pytest.raises(UsageError) as caught: read_annotations(path, **kwargs)
    message = str(caught.value)
    assert '\n' not in message and path.name in message.split(':')[0]
    return message


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


# refusals: every cell

@pytest.mark.parametrize('row, words', [
    ('a.png,100,200,2,1,2,3', 'row 3 (a.png): 7 values, expected 8'),
    ('a.png,100,200,2,1,2,3,4,5', 'row 3 (a.png): 9 values, expected 8'),
    (',100,200,2,1,2,3,4', 'row 3: image_name is blank'),
    ('sub\\a.png,100,200,2,1,2,3,4', 'expected one line with / between folders'),
    ('/films/a.png,100,200,2,1,2,3,4', "image_name is '/films/a.png', expected a path below the image folder"),
    ('sub/../ok.png,100,200,2,1,2,3,4', "image_name is 'sub/../ok.png', expected a path below the image folder"),
    ('C:/a.png,100,200,2,1,2,3,4', 'expected a path below the image folder'),
    ('ok.png,100,200,2,1,2,3,4', 'row 3 (ok.png): the image is already in row 2'),
    ('./ok.png,100,200,2,1,2,3,4', 'already in row 2'),
    ('a.png,,200,2,1,2,3,4', "image_width is '', expected a whole number"),
    ('a.png,wide,200,2,1,2,3,4', "image_width is 'wide'"),
    ('a.png,100,0,2,1,2,3,4', 'image_height is 0, expected a whole number of pixels above 0'),
    ('a.png,100,-5,2,1,2,3,4', 'image_height is -5'),
    ('a.png,100.5,200,2,1,2,3,4', 'image_width is 100.5'),
    ('a.png,1e300,200,2,1,2,3,4', 'image_width is 1e300'),
    ('a.png,100,200,3,1,2,3,4', 'n_landmarks is 3, expected 2'),
    ('a.png,100,200,two,1,2,3,4', "n_landmarks is 'two', expected 2"),
    ('a.png,100,200,2,1,,3,4', "landmark hip is '1,', expected both coordinates, or both blank"),
    ('a.png,100,200,2,1,2,,4', "landmark knee is ',4'"),
    ('a.png,100,200,2,1_0,2,3,4', "hip_x is '1_0', expected a pixel coordinate"),
    ('a.png,100,200,2,1,nan,3,4', "hip_y is 'nan'"),
    ('a.png,100,200,2,1,2,inf,4', "knee_x is 'inf'"),
    ('a.png,100,200,2,1,2,1e999,4', "knee_x is '1e999'"),
    ('a.png,100,200,2,1,2,3,abc', "knee_y is 'abc'"),
    ('a.png,100,200,2,1,2,3,"4,5"', "knee_y is '4,5', expected a pixel coordinate such as 12.5"),
    ('a.png,100,200,2,1,2,٣,4', "knee_x is '٣'"),
    ('a.png,100,200,2,99.01,2,3,4', 'landmark hip is at 99.01,2, outside the image; expected x in [0, 99] and y in '
                                    '[0, 199], or -1,-1 for absent'),
    ('a.png,100,200,2,1,200,3,4', 'landmark hip is at 1,200, outside'),
    ('a.png,100,200,2,1,2,-0.5,4', 'landmark knee is at -0.5,4, outside'),
    ('a.png,100,200,2,1,2,3,-0.5', 'landmark knee is at 3,-0.5, outside'),
    ('a.png,100,200,2,1,2,-1,4', 'landmark knee is at -1,4, outside')])
def test_a_bad_cell_is_told_with_row_and_column(csv_file, row, words):
    message = message_of(csv_file(HEADER, 'ok.png,100,200,2,1,2,3,4', row))
    assert words in message and 'train.csv, row 3' in message


@pytest.mark.parametrize('columns, cells, words', [
    ('pixel_spacing', '0', 'row 2 (a.png): pixel_spacing is 0, expected mm per pixel above 0'),
    ('pixel_spacing', '-.1', 'pixel_spacing is -.1'),
    ('pixel_spacing', 'mm', "pixel_spacing is 'mm'"),
    ('pixel_spacing_x,pixel_spacing_y', '1,0', 'pixel_spacing_y is 0'),
    ('pixel_spacing_x,pixel_spacing_y', '1,', 'one of pixel_spacing_x and pixel_spacing_y is blank'),
    ('pixel_spacing_x', '1', 'one of pixel_spacing_x and pixel_spacing_y alone'),
    ('pixel_spacing_y', '1', 'one of pixel_spacing_x and pixel_spacing_y alone'),
    ('pixel_spacing,pixel_spacing_x,pixel_spacing_y', '1,1,1', 'pixel_spacing beside pixel_spacing_x'),
    ('pixel_spacing,pixel_spacing_y', '1,1', 'pixel_spacing beside'),
    ('patient_id', '', 'row 2 (a.png): patient_id is blank'),
    ('split', '', "row 2 (a.png): split is '', expected train, val or test"),
    ('split', 'Train', "split is 'Train'")])
def test_a_bad_optional_column_is_told(csv_file, columns, cells, words):
    assert words in message_of(csv_file(f'{HEADER},{columns}', f'{GOOD},{cells}'))


def test_a_patient_on_two_sides_is_told_with_both_rows(csv_file):
    path = csv_file(f'{HEADER},patient_id,split', GOOD + ',p1,train', 'b.png,100,200,2,1,2,3,4,p2,val',
                    'c.png,100,200,2,1,2,3,4,p1,val')
    assert 'row 4 (c.png): patient p1 is in val, but in train in row 2' in message_of(path)


# refusals: header and file

@pytest.mark.parametrize('header, words', [
    ('image_name,image_width,hip_x,hip_y', 'no image_height, expected image_name,image_width,image_height'),
    ('hip_x,hip_y', 'no image_name, image_width, image_height'),
    (HEADER.replace(',', ';'), 'separated by semicolons, expected commas'),
    (HEADER.replace(',', '\t'), 'separated by tabs, expected commas'),
    (f'{FIXED},hip_x,hip_y,hip_x', 'hip_x twice'),
    (f'{FIXED},split,hip_x,hip_y,split', 'split twice'),
    (f'{FIXED},hip_x,hip_y,knee_x', 'has knee_x but no knee_y'),
    (f'{FIXED},hip_x,hip_y,knee_y', 'has knee_y but no knee_x'),
    (f'{FIXED},_x,_y', 'named _x or _y alone'),
    (FIXED, 'no <name>_x,<name>_y')])
def test_a_bad_header_is_told(csv_file, header, words):
    assert words in message_of(csv_file(header, '1'))


def test_n_landmarks_must_agree_with_the_header(csv_file):
    message = message_of(csv_file(HEADER, GOOD), n_landmarks=3)
    assert '2 landmarks in the header (hip, knee), expected 3' in message


def test_many_landmarks_are_not_all_named(csv_file):
    header = ','.join(f'l{k}_x,l{k}_y' for k in range(19))
    message = message_of(csv_file(f'{FIXED},{header}', GOOD), n_landmarks=2)
    assert '(l0, l1, l2, l3, l4, … (19 in all))' in message and 'l5' not in message


@pytest.mark.parametrize('content, words', [
    (b'', 'the file is empty'), (b'\n , \n', 'the file is empty'), (b'\xef\xbb\xbf', 'the file is empty'),
    (HEADER.encode() + b'\n\n', 'no rows below the header'),
    ('größe.png'.encode('latin-1'), 'not UTF-8'), (HEADER.encode('utf-16'), 'not UTF-8'),
    (f'{HEADER}\na\0.png,1,1,2,,,,\n'.encode(), 'NUL'),
    (f'{HEADER}\n"a.png,1,1,2,,,,\n'.encode(), 'check its quotes')])
def test_a_bad_file_is_told(tmp_path, content, words):
    path = tmp_path / 'train.csv'
    path.write_bytes(content)
    assert words in message_of(path)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    assert 'no such file' in message_of(tmp_path / 'none.csv')
    assert 'is a directory, expected the annotation CSV' in message_of(tmp_path)


# writing

def assert_same(a, b):
    "All fields equal to the last bit, but for the file and its line numbers."
    for field in ('names', 'image_names', 'patient_id', 'split'): assert getattr(a, field) == getattr(b, field), field
    for field in ('sizes', 'points', 'state', 'spacing', 'spacing_source'):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), strict=True)


@pytest.mark.parametrize('columns, first, second', [
    ('', '', ''), ('pixel_spacing', '0.1', ''), ('pixel_spacing_x,pixel_spacing_y', '0.1,0.3', ','),
    ('pixel_spacing,image_spacing_source', '0.1,DICOM PixelSpacing', ','),
    ('pixel_spacing,image_spacing_source', '0.1,--pixel_spacing', '0.2,CSV'),
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
    got = fill_spacing(got, (.2, .3), '--pixel_spacing')
    write_annotations(tmp_path / 'out.csv', got, np.array([[0.12345, 1], [np.nan, 0]]))
    assert (tmp_path / 'out.csv').read_text() == (
        f'{HEADER},pixel_spacing_x,pixel_spacing_y,image_spacing_source,split,hip_confidence,knee_confidence\n'
        'a.png,100,200,2,1,2,3.5,4.25,0.2,0.3,--pixel_spacing,train,0.123,1.000\n'
        'b.png,9,9,2,,,-1,-1,0.1,0.1,CSV,val,,0.000\n')
    assert_same(read_annotations(tmp_path / 'out.csv'), got)


def test_no_images_are_written_as_the_header_alone(csv_file, tmp_path):
    got = read_annotations(csv_file(HEADER, GOOD)).subset([])
    write_annotations(tmp_path / 'out.csv', got, np.empty((0, 2)))
    assert (tmp_path / 'out.csv').read_text() == f'{HEADER},hip_confidence,knee_confidence\n'


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


@pytest.mark.parametrize('spacing', [0, -1, np.nan, np.inf, (1, 0)])
def test_a_spacing_for_all_is_above_0(annotated, spacing):
    with pytest.raises(UsageError) as caught: fill_spacing(annotated(2), spacing, '--pixel_spacing')
    assert str(caught.value) == f'--pixel_spacing is {spacing}; expected millimetres per pixel, more than 0'


# splitting

@pytest.fixture
def annotated(csv_file):
    "A function that makes annotations of n images, or of one image for each given patient or side."
    def make(n=None, **columns):
        n = n or len(next(iter(columns.values())))
        base = read_annotations(csv_file(HEADER, *(f'{i}.png,100,200,2,1,2,3,4' for i in range(n))))
        return replace(base, **columns)
    return make


@pytest.mark.parametrize('n, fraction, n_val', [
    (10, 0.2, 2), (11, 0.2, 3), (10, 0.3, 3), (100, 0.07, 7), (2, 0.2, 1), (2, 0.9, 1), (10, 0.99, 9)])
def test_split_sizes(annotated, n, fraction, n_val):
    sides = split_rows(annotated(n), val_fraction=fraction)
    assert (sides == 'val').sum() == n_val and (sides == 'train').sum() == n - n_val


def test_the_seed_alone_decides_the_split(annotated):
    annotations = annotated(40)
    first, again, other = (split_rows(annotations, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize('seed', range(20))
def test_whole_patients_are_drawn_until_there_are_enough(annotated, seed):
    patients = list('aaaabbbccd') + list('efghijklmn')
    sides = split_rows(annotated(patient_id=patients), seed=seed)
    val = {p for p, side in zip(patients, sides, strict=True) if side == 'val'}
    train = {p for p, side in zip(patients, sides, strict=True) if side == 'train'}
    assert not val & train and train and val | train == set(patients)
    n_val = (sides == 'val').sum()
    assert n_val >= 4 and any(n_val - patients.count(p) < 4 for p in val)


@pytest.mark.parametrize('seed', range(8))
def test_training_keeps_a_patient_however_large_the_fraction(annotated, seed):
    sides = split_rows(annotated(patient_id=list('aaaaaaaab')), val_fraction=0.95, seed=seed)
    assert set(sides) == {'train', 'val'}


def test_the_split_column_wins(annotated):
    given = ['val', 'train', 'test', 'train']
    assert split_rows(annotated(split=given), val_fraction=0.9).tolist() == given


@pytest.mark.parametrize('columns, words', [
    ({'n': 1}, 'only one image, expected at least 2'),
    ({'patient_id': ['p', 'p', 'p']}, 'only one patient, expected at least 2'),
    ({'patient_id': ['p']}, 'only one image'),
    ({'split': ['train', 'test']}, 'no row has split val'),
    ({'split': ['val', 'test']}, 'no row has split train')])
def test_what_cannot_be_split_is_told(annotated, columns, words):
    with pytest.raises(UsageError, match=f'train.csv: {words}'): split_rows(annotated(**columns))


@pytest.mark.parametrize('fraction', [0, 1, -0.2, 20])
def test_a_fraction_is_between_0_and_1(annotated, fraction):
    with pytest.raises(UsageError, match=f'val_fraction is {fraction}'): split_rows(annotated(4), val_fraction=fraction)


# folds

@pytest.mark.parametrize('n, n_folds, sizes', [(10, 5, [2] * 5), (11, 3, [3, 4, 4]), (4, 4, [1] * 4)])
def test_folds_are_of_equal_size_and_each_image_is_in_one(annotated, n, n_folds, sizes):
    folds = split_folds(annotated(n), n_folds)
    assert sorted(np.bincount(folds)[1:]) == sizes and folds.min() == 1 and folds.max() == n_folds


def test_a_patient_is_in_one_fold(annotated):
    patients = list('aaaabbbccddefghi')
    folds = split_folds(annotated(patient_id=patients), 4)
    where = {p: {f for f, q in zip(folds, patients, strict=True) if p == q} for p in patients}
    assert all(len(fold) == 1 for fold in where.values()) and np.bincount(folds).tolist() == [0, 4, 4, 4, 4]


def test_images_to_test_are_in_no_fold(annotated):
    split = ['train', 'test', 'val', 'train', 'test', 'val']
    folds = split_folds(annotated(split=split), 2)
    assert [fold == 0 for fold in folds] == [side == 'test' for side in split]


def test_the_seed_alone_decides_the_folds(annotated):
    first, again, other = (split_folds(annotated(40), 5, seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize('columns, n_folds, words', [
    ({'n': 4}, 5, 'folds is 5; train.csv has 4 images to train on, expected 2 to 4'), ({'n': 4}, 1, 'folds is 1'),
    ({'patient_id': list('aab')}, 3, 'has 2 patients to train on')])
def test_impossible_folds_are_told(annotated, columns, n_folds, words):
    with pytest.raises(UsageError, match=words): split_folds(annotated(**columns), n_folds)


def test_confidence_and_spread_are_written_and_ignored_on_reading(annotated, tmp_path, no_warnings):
    annotations = annotated(2)
    values = np.full((2, len(annotations.names)), 0.25)
    write_annotations(tmp_path / 'found.csv', annotations, values, 2 * values)
    name = annotations.names[0]
    table = pd.read_csv(tmp_path / 'found.csv')
    assert (table[f'{name}_confidence'] == 0.25).all() and (table[f'{name}_spread'] == 0.5).all()
    assert read_annotations(tmp_path / 'found.csv').names == annotations.names


@pytest.mark.parametrize('line', ['"a\nb.png",100,200,2,1,2,3,4', 'a.png,100,200,2,"1\n2",2,3,4',
                                  'a.png,100,200,2,1,2,3,"4\r\n5"'])
def test_a_mistake_is_one_line_whatever_the_cell_holds(csv_file, line):
    with pytest.raises(UsageError, match='^train.csv, row ') as caught: read_annotations(csv_file(HEADER, line))
    assert len(str(caught.value).splitlines()) == 1
