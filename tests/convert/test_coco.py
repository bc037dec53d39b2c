"COCO keypoints, in the form in which CVAT exports them."

import json

import numpy as np
import pytest
from helpers import refused

from landmark_fastai.formats.annotations import UNLABELLED, VISIBLE

FILE = {
    'licenses': [{'name': '', 'id': 0, 'url': ''}],
    'info': {'contributor': '', 'date_created': '', 'description': '', 'url': '', 'version': '', 'year': ''},
    'categories': [{'id': 1, 'name': 'leg', 'supercategory': '', 'keypoints': ['hip', 'knee'], 'skeleton': [[1, 2]]},
                   {'id': 2, 'name': 'screw', 'supercategory': ''}],
    'images': [{'id': i, 'width': w, 'height': h, 'file_name': name, 'license': 0, 'flickr_url': '', 'coco_url': '',
                'date_captured': 0} for i, w, h, name in ((1, 100, 80, 'a.png'), (2, 60, 90, 'sub/b.png'))],
    'annotations': [
        {'id': 1, 'image_id': 1, 'category_id': 1, 'segmentation': [], 'area': 400.0, 'bbox': [10.5, 20.5, 20.0, 20.0],
         'iscrowd': 0, 'attributes': {'occluded': False}, 'keypoints': [10.5, 20.5, 2, 30.5, 40.5, 1],
         'num_keypoints': 2},
        {'id': 2, 'image_id': 1, 'category_id': 2, 'segmentation': [[1, 1, 5, 1, 5, 5]], 'area': 8.0,
         'bbox': [1, 1, 4, 4], 'iscrowd': 0, 'attributes': {'occluded': False}}]}


def changed(**parts):
    "The file with other parts."
    return {'points.json': json.dumps(FILE | parts)}


def test_points_of_the_skeleton(read, capsys):
    found = read('coco', changed(), None, 'source/points.json')
    assert found.names == ['hip', 'knee'] and found.image_names == ['a.png', 'sub/b.png']
    assert found.sizes.tolist() == [[100, 80], [60, 90]]
    assert found.points[0].tolist() == [[10, 20], [30, 40]]
    assert found.state.tolist() == [[VISIBLE, VISIBLE], [UNLABELLED, UNLABELLED]]
    assert 'note: 1 hidden point of 1 image: of v = 1, read as visible' in capsys.readouterr().out


def test_a_point_outside_the_image_of_v_0_is_not_labelled(read):
    outside = FILE['annotations'][0] | {'keypoints': [0, 0, 0, 500, 500, 0]}
    assert (read('coco', changed(annotations=[outside]), None, 'source/points.json').state == UNLABELLED).all()


def test_what_is_written(written):
    data = json.loads(written('coco', name='x.json').read_text())
    assert data['categories'] == [{'id': 1, 'name': 'landmarks', 'supercategory': '', 'keypoints': ['hip', 'knee'],
                                   'skeleton': []}]
    assert data['images'][1] == {'id': 2, 'width': 60, 'height': 90, 'file_name': 'sub/b.png'}
    one, = data['annotations']
    assert one['keypoints'] == [10.5, 20.5, 2, 30.75, 41, 2] and one['num_keypoints'] == 2
    assert one['bbox'] == [10.5, 20.5, 20.25, 20.5] and one['area'] == 20.25 * 20.5 and one['image_id'] == 1


@pytest.mark.parametrize('parts, words', [
    ({'categories': FILE['categories'][1:]}, ['0 categories with keypoints']),
    ({'images': [{'id': 1, 'file_name': 'a.png', 'height': 80}]}, ['image 1 (a.png)', "'width' is missing"]),
    ({'annotations': FILE['annotations'][:1] * 2}, ['image 1 (a.png)', '2 instances']),
    ({'annotations': [FILE['annotations'][0] | {'keypoints': [1, 2]}]}, ['image 1 (a.png)', '2 numbers for 2']),
    ({'annotations': [FILE['annotations'][0] | {'keypoints': ['x', 2, 2, 3, 4, 2]}]}, ['image 1 (a.png)', "'x'"]),
    ({'annotations': [FILE['annotations'][0] | {'keypoints': [np.nan, 2, 2, 3, 4, 2]}]}, ['image 1 (a.png)', 'nan']),
    ({'annotations': 3}, ['points.json', 'COCO keypoints']),
    ({'images': FILE['images'][:1] * 2}, ['a.png is there already'])])
def test_what_is_no_such_file_is_one_line(read, parts, words):
    refused(words, read, 'coco', changed(**parts), None, 'source/points.json')


def test_what_is_no_json_is_one_line(read):
    refused(['x.json', 'is no JSON'], read, 'coco', {'x.json': '{'}, None, 'source/x.json')
    refused(['x.json', 'COCO keypoints'], read, 'coco', {'x.json': '[1]'}, None, 'source/x.json')
