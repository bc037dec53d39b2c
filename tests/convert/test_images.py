"Which image a name of another tool means."

import pytest
from helpers import picture, refused, save_picture

from landmark_fastai.convert.images import Images


@pytest.fixture
def images(tmp_path):
    "Images of some names in two folders."
    for name in ('a.png', 'p1/a.png', 'p1/b.png', 'p2/b.png', 'p2/c.d.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save_picture(tmp_path / name, picture(8, 9))
    return Images(str(tmp_path))


@pytest.mark.parametrize('text, name', [
    ('a.png', 'a.png'), ('p1/a.png', 'p1/a.png'), ('films/p1/a.png', 'p1/a.png'), ('/data/films/a.png', 'a.png'),
    ('C:\\films\\p2\\b.png', 'p2/b.png'), ('../films/p1/b.png', 'p1/b.png'), ('./p2//b.png', 'p2/b.png'),
    ('p1/a', 'p1/a.png'), ('a', 'a.png'), ('c.d', 'p2/c.d.png'), ('c.d.png', 'p2/c.d.png')])
def test_leading_folders_and_suffix_need_not_be_there(images, text, name):
    assert images.find('x', text) == name


def test_one_that_is_not_there_or_could_be_several_is_refused(images):
    refused(['x.json: ', '2 images could be b.png (p1/b.png, p2/b.png)'], images.find, 'x.json', 'b.png')
    refused(['x.json: ', 'no image q.png'], images.find, 'x.json', 'q.png')
    refused(["'..'"], images.find, 'x.json', '..')


def test_what_it_may_be_called_is_tried_in_order(images):
    assert images.find('x', 'q.png', 'p1/b.png') == 'p1/b.png'
    assert images.find('x', 'p1/a.png', 'a.png') == 'p1/a.png'


@pytest.mark.parametrize('text, name', [
    ('a.png', 'a.png'), ('p1/a.png', 'p1/a.png'), ('p1\\a.png', 'p1/a.png'), ('/films/p1/a.png', 'a.png'),
    ('C:\\films\\a.png', 'a.png'), ('../films/a.png', 'a.png'), ('./a.png', 'a.png')])
def test_without_a_folder_a_name_stays_unless_it_leads_away(text, name):
    assert Images(None).find('x', text) == name


def test_a_stated_size_must_be_that_of_the_file(images):
    assert images.size('x', 'a.png') == (9, 8) and images.size('x', 'a.png', (9, 8)) == (9, 8)
    refused(['x.json: the image is said to be 8 x 9, the file is 9 x 8'], images.size, 'x.json', 'a.png', (8, 9))
    assert Images(None).size('x', 'a.png', (8, 9)) == (8, 9)
    refused(['x.json', '--image_dir'], Images(None).size, 'x.json', 'a.png')
