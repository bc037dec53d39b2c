"The CSV of the original annotator."

import pytest
from helpers import refused

from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE

HEADER = 'image_name,image_width,image_height,n_landmarks,landmark_1_x,landmark_1_y,landmark_2_x,landmark_2_y\n'


def test_n_landmarks_is_how_many_were_clicked(read):
    file = HEADER + 'a.png,100,80,1,60,20,,\nb.png,60,90,2,5,6,7,80\n'
    found = read('original', {'x.csv': file}, source='source/x.csv', landmarks=['hip', 'knee'])
    assert found.names == ['hip', 'knee'] and found.image_names == ['a.png', 'sub/b.png']
    assert found.points[0, 0].tolist() == [60, 20] and found.state[0].tolist() == [VISIBLE, UNLABELLED]
    assert found.points[1].tolist() == [[5, 6], [7, 80]]


def test_a_click_in_the_corner_is_absent_to_those_who_ask(read):
    file = HEADER + 'a.png,100,80,2,49,49,50,49\n'
    assert read('original', {'x.csv': file}, None, 'source/x.csv').state.tolist() == [[VISIBLE, VISIBLE]]
    found = read('original', {'x.csv': file}, None, 'source/x.csv', invisible_landmarks=True, overwrite=True)
    assert found.state.tolist() == [[ABSENT, VISIBLE]]


def test_what_is_written(written, capsys):
    csv = ('image_name,image_width,image_height,hip_x,hip_y,knee_x,knee_y\n'
           'a.png,100,80,10,20,78.5,40.4\n=b.png,60,90,-1,-1,,\n')
    assert written('original', csv, 'x.csv', None).read_text() == (
        HEADER + 'a.png,100,80,2,10,20,78,40\n./=b.png,60,90,1,0,0,,\n')
    told = capsys.readouterr().out
    for text in ('original numbers landmarks', '1 point of 1 image: rounded',
                 '1 absent landmark of 1 image: a click at 0,0', '1 point of 1 image: in the top-left corner'):
        assert f'note: {text}' in told, text


@pytest.mark.parametrize('row, words', [
    ('a.png,100,80,3,1,2,3,4', ['row 2 (a.png)', 'n_landmarks is 3, but 2 were clicked']),
    ('a.png,100,80,2,1,2,3,', ['row 2 (a.png)', 'landmark_2']),
    ('a.png,100,80,2,1,2,130,4', ['row 2 (a.png)', 'landmark_2 is at 130,4, outside']),
    ('a.png,90,80,1,1,2,,', ['row 2 (a.png)', 'said to be 90 x 80'])])
def test_what_is_no_such_file_is_one_line(read, row, words):
    refused(words, read, 'original', {'x.csv': HEADER + row + '\n'}, source='source/x.csv')
