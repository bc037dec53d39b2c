"Label Studio, in the form of its export as JSON."

import json

import pytest
from helpers import refused

from landmark_fastai.formats.annotations import UNLABELLED


def region(label, x, y, size=(100, 80), **more):
    "A keypoint of an export."
    return {'original_width': size[0], 'original_height': size[1], 'image_rotation': 0,
            'value': {'x': x, 'y': y, 'width': 0.75, 'keypointlabels': [label]}, 'id': f'{label}1', 'origin': 'manual',
            'from_name': 'kp', 'to_name': 'img', 'type': 'keypointlabels'} | more


def task(image, *annotations, **data):
    "A task of an export with what was drawn in each annotation."
    return {'id': 7, 'annotations': [{'id': i, 'completed_by': 1, 'was_cancelled': False, 'ground_truth': False,
                                      'updated_at': f'2024-05-0{i}T10:00:00Z', 'result': result}
                                     for i, result in enumerate(annotations, 1)],
            'file_upload': 'x', 'drafts': [], 'predictions': [], 'data': {'image': image} | data, 'meta': {}}


POINTS = [region('hip', 10.5, 25.625), region('knee', 30.5, 50.625)]


def export(*tasks): return {'export.json': json.dumps(tasks)}


@pytest.mark.parametrize('url', [
    '/data/upload/3/1a2b3c4d-a.png', '/data/local-files/?d=films/a.png', 's3://bucket/films/a.png',
    'http://host:8080/films/a.png?token=1', 'a.png'])
@pytest.mark.parametrize('with_folder', [True, False])
def test_per_cents_are_pixels_and_urls_are_images(read, films, url, with_folder):
    found = read('label_studio', export(task(url, POINTS)), films if with_folder else None, 'source/export.json')
    assert found.names == ['hip', 'knee'] and found.points[0].tolist() == [[10, 20], [30, 40]]
    assert found.image_names == ['films/a.png' if '?d=' in url and not with_folder else 'a.png']
    assert found.sizes.tolist() == [[100, 80]]


def test_of_several_annotations_one_counts_and_other_regions_do_not(read, capsys):
    box = region('hip', 1, 1, type='rectanglelabels')
    old, new = [region('hip', 50, 50)], [*POINTS, box]
    found = read('label_studio', export(task('a.png', old, new)), None, 'source/export.json')
    assert found.points[0, 0].tolist() == [10, 20]
    told = capsys.readouterr().out
    assert '1 further annotation of 1 image' in told and '1 region of 1 image' in told
    both = task('a.png', new, old)
    both['annotations'][0]['ground_truth'] = True
    assert read('label_studio', export(both), None, 'source/export.json', overwrite=True).points[0, 0, 0] == 10


def test_a_task_without_points_is_not_labelled(read, films):
    tasks = export(task('b.png', []), task('a.png', POINTS))
    found = read('label_studio', tasks, films, 'source/export.json')
    assert found.image_names == ['sub/b.png', 'a.png'] and (found.state[0] == UNLABELLED).all()
    refused(['task 1 (b.png)', '--image_dir'], read, 'label_studio', tasks, None, 'source/export.json', overwrite=True)


def test_what_is_written(written):
    tasks = json.loads(written('label_studio', name='x.json').read_text())
    assert [each['data']['image'] for each in tasks] == ['/data/local-files/?d=a.png', '/data/local-files/?d=sub/b.png']
    hip, knee = tasks[0]['annotations'][0]['result']
    assert hip['value'] == {'x': 10.5, 'y': 25.625, 'width': 0.3, 'keypointlabels': ['hip']}
    assert hip['original_width'] == 100 and hip['original_height'] == 80 and hip['type'] == 'keypointlabels'
    assert knee['value']['keypointlabels'] == ['knee'] and tasks[1]['annotations'][0]['result'] == []


@pytest.mark.parametrize('tasks, words', [
    ({'id': 1}, ['no list of tasks']), ([{'image': 'a.png', 'kp': []}], ['task 1', "'data' is missing"]),
    ([task('a.png', [region('hip', 1, 1), region('hip', 2, 2)])], ['a.png', 'hip is there twice']),
    ([task('a.png', [region('hip', 1, 1, image_rotation=90)])], ['a.png', 'turned by 90']),
    ([task('a.png', [region('hip', 1, 1), region('knee', 2, 2, (50, 50))])], ['a.png', 'several sizes']),
    ([task('a.png', [region('hip', 101, 1)])], ['a.png', 'landmark hip is at 101,0.8, outside']),
    ([task(3, [], one='a.png', two='b.png')], ['task 1', '2 of the data']),
    ([task('a.png', [region('hip', 'x', 1)])], ['a.png', "'x'"])])
def test_what_is_no_such_file_is_one_line(read, tasks, words):
    refused(words, read, 'label_studio', {'x.json': json.dumps(tasks)}, None, 'source/x.json')
