"The text files of the ISBI 2015 challenge, a film each."

import pytest
from helpers import picture, refused, save_picture

from landmark_fastai.convert.isbi2015 import NAMES
from landmark_fastai.formats.annotations import UNLABELLED
from landmark_fastai.measure.definitions import read_definitions
from landmark_fastai.measure.evaluate import measure_landmarks

LINES = [f'{10 + k},{20 + 2 * k}' for k in range(19)]
FILE = '\n'.join([*LINES, *'13232112']) + '\n'


def test_lines_are_whole_indices_of_films_of_one_size(read, capsys, no_warnings):
    found = read('isbi2015', {'001.txt': FILE, '002.txt': '\r\n'.join(LINES)}, None)
    assert found.names == NAMES and found.image_names == ['001.bmp', '002.bmp']
    assert found.points[0, 0].tolist() == [10, 20] and found.points[1, 18].tolist() == [28, 56]
    assert found.sizes.tolist() == [[1935, 2400]] * 2 and (found.spacing == 0.1).all()
    assert 'note: 8 class lines of 1 image: left out' in capsys.readouterr().out
    assert len(measure_landmarks(found, read_definitions('isbi2015')).measures) == 8  # whose names these are


def test_with_images_their_sizes_count(read, films):
    save_picture(films / '001.png', picture(80, 70))
    found = read('isbi2015', {'001.txt': FILE})
    assert found.image_names == ['001.png'] and found.sizes.tolist() == [[70, 80]] and (found.spacing != 0.1).all()


def test_what_is_written(written, read, capsys):
    header = ','.join(f'{name}_x,{name}_y' for name in reversed(NAMES))
    cells = ','.join(f'{10 + k},{20.25 + k}' for k in range(17)) + ',-1,-1,,'
    csv = f'image_name,image_width,image_height,{header}\na.png,100,80,{cells}\n'
    lines = (written('isbi2015', csv) / 'a.txt').read_text().splitlines()
    assert len(lines) == 19 and lines[18] == '10,20' and lines[2] == '26,36' and lines[:2] == ['-1,-1', '-1,-1']
    told = capsys.readouterr().out
    for text in ('17 points of 1 image: rounded', '1 absent landmark of 1 image',
                 '2 landmarks of 1 image: not labelled', '8 class lines of 1 image: not written'):
        assert f'note: {text}' in told
    found = read('isbi2015', {'a.txt': '\n'.join(lines)})
    assert found.state[0, :2].tolist() == [UNLABELLED] * 2 and found.points[0, 18].tolist() == [10, 20]


@pytest.mark.parametrize('file, words', [
    ('\n'.join(LINES[:18]), ['001.txt', '18 lines']), ('\n'.join([*LINES, '1']), ['001.txt', '20 lines']),
    (FILE.replace('10,20', '10;20'), ['001.txt', '19 lines x,y']), (FILE.replace('10,20', '1935,20'), ['sella is at'])])
def test_what_is_no_such_file_is_one_line(read, file, words):
    refused(words, read, 'isbi2015', {'001.txt': file}, None)


def test_other_landmarks_are_refused(written, tmp_path):
    refused(['hip, knee', 'the 19 of ISBI 2015', 'sella'], written, 'isbi2015')
    assert not (tmp_path / 'target').exists()
