"The header of the annotation CSV, and files that are no table: what is refused, and in which words."

import pytest
from helpers import FIXED, GOOD, HEADER, message_of

from landmark_fastai.formats.annotations import read_annotations


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


@pytest.mark.parametrize('name', ['=1+2', '+hip', '-hip', '@hip'])
def test_a_landmark_that_a_spreadsheet_would_calculate_is_refused(csv_file, name):
    message = message_of(csv_file(f'{FIXED},{name}_x,{name}_y', 'a.png,100,200,1,1,2'))
    assert repr(name) in message and 'formula' in message


@pytest.mark.parametrize('name', ['hip\nleft', 'hip\r\nleft', 'hip\rleft', 'hip\u2028left', 'hip\n'])
def test_a_landmark_of_two_lines_is_refused(csv_file, name):
    message = message_of(csv_file(f'{FIXED},"{name}_x","{name}_y"', 'a.png,100,200,1,1,2'))
    assert repr(name) in message and 'line break' in message


@pytest.mark.parametrize('space', [' ', '\t', '\r', '\n'])
def test_space_around_a_name_is_no_part_of_it(csv_file, space):
    path = csv_file(f'{FIXED},"{space}hip_x","hip_y{space}"', 'a.png,100,200,1,1,2')
    assert read_annotations(path).names == ['hip']


def test_columns_of_readers_and_of_predictions_are_known_and_ignored(csv_file, no_warnings):
    ends = 'confidence', 'spread', 'expected_error', 'bound', 'stage'
    header = ','.join([HEADER, 'reader', *(f'{name}_{end}' for name in ('hip', 'knee') for end in ends)])
    got = read_annotations(csv_file(header, ','.join([GOOD, 'Ada', *['0.5'] * 8, 'refined', ''])))
    assert got.names == ['hip', 'knee'] and got.points[0].tolist() == [[1, 2], [3.5, 4.25]]


def test_an_image_of_two_readers_is_refused_with_what_to_do(csv_file):
    message = message_of(csv_file(f'{HEADER},reader', f'{GOOD},Ada', f'{GOOD},Grace'))
    assert 'row 3 (a.png)' in message and 'already in row 2' in message and 'one reader' in message


def test_a_landmark_may_be_called_like_an_estimate(csv_file, no_warnings):
    got = read_annotations(csv_file(f'{FIXED},hip_bound_x,hip_bound_y,hip_bound_bound', 'a.png,100,200,1,1,2,0.5'))
    assert got.names == ['hip_bound']


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
