"Cells of the annotation CSV: what is refused, with file, row and column."

import pytest
from helpers import GOOD, HEADER, message_of

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import read_annotations


@pytest.mark.parametrize('row, words', [
    ('a.png,100,200,2,1,2,3', 'row 3 (a.png): 7 values'),
    ('a.png,100,200,2,1,2,3,4,5', 'row 3 (a.png): 9 values'),
    (',100,200,2,1,2,3,4', 'row 3: image_name is blank'),
    ('sub\\a.png,100,200,2,1,2,3,4', repr('sub\\a.png')),
    ('/films/a.png,100,200,2,1,2,3,4', "image_name is '/films/a.png'"),
    ('sub/../ok.png,100,200,2,1,2,3,4', "image_name is 'sub/../ok.png'"),
    ('C:/a.png,100,200,2,1,2,3,4', "'C:/a.png'"),
    ('ok.png,100,200,2,1,2,3,4', 'row 3 (ok.png): the image is already in row 2'),
    ('./ok.png,100,200,2,1,2,3,4', 'already in row 2'),
    ('a.png,,200,2,1,2,3,4', "image_width is ''"),
    ('a.png,wide,200,2,1,2,3,4', "image_width is 'wide'"),
    ('a.png,100,0,2,1,2,3,4', 'image_height is 0'),
    ('a.png,100,-5,2,1,2,3,4', 'image_height is -5'),
    ('a.png,100.5,200,2,1,2,3,4', 'image_width is 100.5'),
    ('a.png,1e300,200,2,1,2,3,4', 'image_width is 1e300'),
    ('a.png,100,200,3,1,2,3,4', 'n_landmarks is 3'),
    ('a.png,100,200,two,1,2,3,4', "n_landmarks is 'two'"),
    ('a.png,100,200,2,1,,3,4', "landmark hip is '1,'"),
    ('a.png,100,200,2,1,2,,4', "landmark knee is ',4'"),
    ('a.png,100,200,2,1_0,2,3,4', "hip_x is '1_0'"),
    ('a.png,100,200,2,1,nan,3,4', "hip_y is 'nan'"),
    ('a.png,100,200,2,1,2,inf,4', "knee_x is 'inf'"),
    ('a.png,100,200,2,1,2,1e999,4', "knee_x is '1e999'"),
    ('a.png,100,200,2,1,2,3,abc', "knee_y is 'abc'"),
    ('a.png,100,200,2,1,2,3,"4,5"', "knee_y is '4,5'"),
    ('a.png,100,200,2,1,2,٣,4', "knee_x is '٣'"),
    ('a.png,100,200,2,99.01,2,3,4', 'landmark hip is at 99.01,2, outside the image; expected x in [0, 99]'),
    ('a.png,100,200,2,1,200,3,4', 'landmark hip is at 1,200, outside'),
    ('a.png,100,200,2,1,2,-0.5,4', 'landmark knee is at -0.5,4, outside'),
    ('a.png,100,200,2,1,2,3,-0.5', 'landmark knee is at 3,-0.5, outside'),
    ('a.png,100,200,2,1,2,-1,4', 'landmark knee is at -1,4, outside')])
def test_a_bad_cell_is_told_with_row_and_column(csv_file, row, words):
    message = message_of(csv_file(HEADER, 'ok.png,100,200,2,1,2,3,4', row))
    assert words in message and 'train.csv, row 3' in message


@pytest.mark.parametrize('columns, cells, words', [
    ('pixel_spacing', '0', 'row 2 (a.png): pixel_spacing is 0'),
    ('pixel_spacing', '-.1', 'pixel_spacing is -.1'),
    ('pixel_spacing', 'mm', "pixel_spacing is 'mm'"),
    ('pixel_spacing_x,pixel_spacing_y', '1,0', 'pixel_spacing_y is 0'),
    ('pixel_spacing_x,pixel_spacing_y', '1,', 'one of pixel_spacing_x and pixel_spacing_y is blank'),
    ('pixel_spacing_x', '1', 'one of pixel_spacing_x and pixel_spacing_y alone'),
    ('pixel_spacing_y', '1', 'one of pixel_spacing_x and pixel_spacing_y alone'),
    ('pixel_spacing,pixel_spacing_x,pixel_spacing_y', '1,1,1', 'pixel_spacing beside pixel_spacing_x'),
    ('pixel_spacing,pixel_spacing_y', '1,1', 'pixel_spacing beside'),
    ('patient_id', '', 'row 2 (a.png): patient_id is blank'),
    ('split', '', "row 2 (a.png): split is ''"),
    ('split', 'Train', "split is 'Train'")])
def test_a_bad_optional_column_is_told(csv_file, columns, cells, words):
    assert words in message_of(csv_file(f'{HEADER},{columns}', f'{GOOD},{cells}'))


def test_a_patient_on_two_sides_is_told_with_both_rows(csv_file):
    path = csv_file(f'{HEADER},patient_id,split', GOOD + ',p1,train', 'b.png,100,200,2,1,2,3,4,p2,val',
                    'c.png,100,200,2,1,2,3,4,p1,val')
    assert 'row 4 (c.png): patient p1 is in val, but in train in row 2' in message_of(path)


@pytest.mark.parametrize('line', ['"a\nb.png",100,200,2,1,2,3,4', 'a.png,100,200,2,"1\n2",2,3,4',
                                  'a.png,100,200,2,1,2,3,"4\r\n5"'])
def test_a_mistake_is_one_line_whatever_the_cell_holds(csv_file, line):
    with pytest.raises(UsageError, match='^train.csv, row ') as caught: read_annotations(csv_file(HEADER, line))
    assert len(str(caught.value).splitlines()) == 1
