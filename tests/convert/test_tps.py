"tpsDig: TPS, y from the bottom."

import pytest
from helpers import refused

from landmark_fastai.formats.annotations import UNLABELLED

FILE = '''LM=2
10.50000 59.50000
30.50000 39.50000
IMAGE=C:\\scans\\a.png
ID=0
SCALE=0.050000
LM=2
-1.00000 -1.00000
1.00000 90.00000
CURVES=1
POINTS=2
1.00000 1.00000
2.00000 2.00000
IMAGE=b.png
ID=1
COMMENT=left side
'''


def test_y_is_from_the_bottom_and_negative_is_not_labelled(read, capsys):
    found = read('tps', {'x.tps': FILE}, source='source/x.tps')
    assert found.names == ['landmark_1', 'landmark_2'] and found.image_names == ['a.png', 'sub/b.png']
    assert found.points[0].tolist() == [[10, 20], [30, 40]] and found.points[1, 1].tolist() == [0.5, 0]
    assert found.state[1, 0] == UNLABELLED
    assert found.spacing[0].tolist() == [0.05, 0.05] and found.spacing[1, 0] != found.spacing[1, 0]
    told = capsys.readouterr().out
    assert '1 scale of 1 image: taken as mm per pixel' in told and '1 drawing of 1 image' in told
    assert '1 point of 1 image: on the rim' in told  # y of 90 is the upper edge of 90 px


def test_names_and_na(read):
    file = FILE.replace('10.50000 59.50000', 'NA NA').replace('\n', '\r\n')
    found = read('tps', {'x.tps': file}, source='source/x.tps', landmarks='hip,knee')
    assert found.names == ['hip', 'knee'] and found.state[0, 0] == UNLABELLED
    assert found.points[0, 1].tolist() == [30, 40]
    refused(['landmarks has 1 names, x.tps has 2'], read, 'tps', {'x.tps': file}, source='source/x.tps',
            landmarks='hip', overwrite=True)


def test_what_is_written(written, capsys):
    csv = ('image_name,image_width,image_height,hip_x,hip_y,knee_x,knee_y,pixel_spacing_x,pixel_spacing_y\n'
           'a.png,100,80,10,20,-1,-1,0.05,0.05\nsub/b.png,60,90,1,2,,,0.1,0.2\n')
    assert written('tps', csv, 'x.tps').read_text() == (
        'LM=2\n10.500000 59.500000\n-1 -1\nIMAGE=a.png\nID=0\nSCALE=0.05\n'
        'LM=2\n1.500000 87.500000\n-1 -1\nIMAGE=sub/b.png\nID=1\n')
    told = capsys.readouterr().out
    assert 'note: tps numbers landmarks; --landmarks hip,knee gives their names back' in told
    assert 'note: 1 absent landmark of 1 image: not labelled in tps, which cannot tell' in told
    assert 'note: 1 spacing of 1 image: of pixels that are not square, lost' in told


@pytest.mark.parametrize('file, words', [
    ('LM3=1\n1 2 3\nIMAGE=a.png\n', ['row 1', 'three dimensions']), ('LM=x\n', ['row 1', 'LM=19']),
    ('LM=2\n1 2\nIMAGE=a.png\n', ['row 1', '1 landmarks fewer']), ('LM=1\n1 2\nID=0\n', ['row 1', 'without IMAGE=']),
    ('LM=1\n1 2 3\nIMAGE=a.png\n', ['row 1 (a.png)', 'two coordinates']),
    ('LM=1\n1 2\nIMAGE=a.png\nSCALE=x\n', ['row 1 (a.png)', 'SCALE']), ('', ['no image in it']),
    ('LM=1\n1 2\nIMAGE=a.png\nLM=2\n1 2\n3 4\nIMAGE=b.png\n', ['specimens of 1 and 2 landmarks']),
    ('LM=1\n1 200\nIMAGE=a.png\n', ['row 1 (a.png)', 'landmark_1 is at 1,-120, outside'])])
def test_what_is_no_such_file_is_one_line(read, file, words):
    refused(words, read, 'tps', {'x.tps': file}, source='source/x.tps')
