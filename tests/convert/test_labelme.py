"labelme, in the form in which version 5 saves a file."

import json

import pytest
from helpers import refused

from landmark_fastai.formats.annotations import UNLABELLED


def shape(label, points, kind='point'):
    "A shape."
    return {'label': label, 'points': points, 'group_id': None, 'description': '', 'shape_type': kind, 'flags': {},
            'mask': None}


def file(*shapes, image='../films/a.png', size=(100, 80)):
    "A file."
    return json.dumps({'version': '5.5.0', 'flags': {}, 'shapes': shapes, 'imagePath': image, 'imageData': None,
                       'imageHeight': size[1], 'imageWidth': size[0]})


HIP = shape('hip', [[10.5, 20.5]])


@pytest.mark.parametrize('image', ['../films/a.png', '..\\films\\a.png', 'a.png'])
@pytest.mark.parametrize('with_folder', [True, False])
def test_points_of_a_folder_of_files(read, films, capsys, image, with_folder):
    files = {'a.json': file(HIP, shape('bone', [[1, 1], [5, 1], [5, 5]], 'polygon'), image=image),
             'sub/b.json': file(shape('knee', [[1.25, 2]]), image='b.png', size=(60, 90))}
    found = read('labelme', files, films if with_folder else None)
    assert found.image_names == ['a.png', 'sub/b.png'] and found.names == ['hip', 'knee']
    assert found.points[0, 0].tolist() == [10, 20] and found.points[1, 1].tolist() == [0.75, 1.5]
    assert found.state[0, 1] == UNLABELLED and found.sizes.tolist() == [[100, 80], [60, 90]]
    assert '1 shape of 1 image: of another type than point, left out' in capsys.readouterr().out


def test_what_is_written(written, films):
    target = written('labelme')
    data = json.loads((target / 'a.json').read_text())
    assert data['shapes'] == [HIP, shape('knee', [[30.75, 41]])]
    assert data['imagePath'] == '../films/a.png' and (data['imageWidth'], data['imageHeight']) == (100, 80)
    other = json.loads((target / 'sub' / 'b.json').read_text())
    assert other['shapes'] == [] and (target / 'sub' / other['imagePath']).resolve() == films / 'sub' / 'b.png'
    beside = written('labelme', name='beside', image_dir=None) / 'sub' / 'b.json'
    assert json.loads(beside.read_text())['imagePath'] == 'b.png'


@pytest.mark.parametrize('text, words', [
    ('{}', ["'imagePath' is missing"]), (file(HIP, HIP), ['hip is there twice']),
    (file(shape('hip', [[1, 2], [3, 4]])), ['a.json', 'expected a file of labelme']),
    (file(HIP, size=(80, 100)), ['said to be 80 x 100, the file is 100 x 80']),
    (file(shape('=hip', [[1, 2]])), ["'=hip'", 'formula']), (file(shape('image_a', [[1, 2]])), ["'image_a'"]),
    (file(shape('mean_error', [[1, 2]])), ['mean_error'])])
def test_what_is_no_such_file_is_one_line(read, text, words):
    refused(words, read, 'labelme', {'a.json': text})


def test_a_folder_without_such_files_is_one_line(read, tmp_path):
    refused(['.json'], read, 'labelme', {'a.txt': ''})
    refused(['no such file or folder'], read, 'labelme', {}, source='nowhere')
