"3D Slicer, in the form in which Slicer 5 saves a point list."

import json

import pytest
from helpers import picture, refused, write_dicom

from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE


def point(number, label, position, status='defined'):
    "A control point."
    return {'id': str(number), 'label': label, 'description': '', 'associatedNodeID': 'vtkMRMLScalarVolumeNode1',
            'position': position, 'orientation': [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0], 'selected': True,
            'locked': False, 'visibility': True, 'positionStatus': status}


def markups(*points, system='LPS', kind='Fiducial'):
    "The file of a point list."
    return json.dumps({
        '@schema': 'https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/'
                   'markups-schema-v1.0.3.json#',
        'markups': [{'type': kind, 'coordinateSystem': system, 'coordinateUnits': 'mm', 'locked': False,
                     'fixedNumberOfControlPoints': False, 'labelFormat': '%N-%d',
                     'lastUsedControlPointNumber': len(points), 'controlPoints': list(points), 'measurements': [],
                     'display': {'visibility': True, 'opacity': 1.0, 'glyphType': 'Sphere3D'}}]})


HIP, KNEE, FOOT = point(1, 'hip', [2.5, 10, 0]), point(2, 'knee', '', 'missing'), point(3, 'foot', '', 'undefined')


def test_mm_are_pixels_of_the_dicom_header_and_there_are_three_states(read, dicom_films, no_warnings):
    found = read('slicer', {'a.mrk.json': markups(HIP, KNEE, FOOT)}, dicom_films)
    assert found.image_names == ['a.dcm'] and found.names == ['hip', 'knee', 'foot']
    assert found.state.tolist() == [[VISIBLE, ABSENT, UNLABELLED]] and found.points[0, 0].tolist() == [10, 20]
    assert found.spacing.tolist() == [[0.25, 0.5]]


@pytest.mark.parametrize('system', ['RAS', '0', 0])
def test_ras_is_the_other_way(read, dicom_films, system):
    file = markups(point(1, 'hip', [-2.5, -10, 0]), system=system)
    assert read('slicer', {'a.mrk.json': file}, dicom_films).points[0, 0].tolist() == [10, 20]


def test_what_is_no_dicom_has_1_mm_a_pixel_and_its_spacing_stays_unknown(read, capsys):
    found = read('slicer', {'sub/b.mrk.json': markups(point(1, 'hip', [10, 20, 0])), 'a.mrk.json': markups()})
    assert found.image_names == ['a.png', 'sub/b.png'] and found.points[1, 0].tolist() == [10, 20]
    assert (found.spacing != found.spacing).all()
    assert 'note: 2 spacings of 2 images: taken as 1 mm a pixel' in capsys.readouterr().out


def test_lines_and_angles_are_left_out(read, capsys):
    read('slicer', {'a.mrk.json': markups(HIP, kind='Line'), 'b.mrk.json': markups(point(1, 'hip', [1, 1, 0]))})
    assert '1 markup of 1 image: of another kind' in capsys.readouterr().out


def test_what_is_written(written, dicom_films):
    csv = 'image_name,image_width,image_height,hip_x,hip_y,knee_x,knee_y,foot_x,foot_y\na.dcm,100,80,10,20,-1,-1,,\n'
    data = json.loads((written('slicer', csv, image_dir=dicom_films) / 'a.mrk.json').read_text())
    markup, = data['markups']
    assert (markup['type'], markup['coordinateSystem'], markup['coordinateUnits']) == ('Fiducial', 'LPS', 'mm')
    told = [(each['label'], each['position'], each['positionStatus']) for each in markup['controlPoints']]
    assert told == [('hip', [2.5, 10, 0], 'defined'), ('knee', '', 'missing'), ('foot', '', 'undefined')]


def test_two_images_of_one_name_are_told_apart_by_their_folders(read, dicom_films):
    (dicom_films / 'sub').mkdir()
    write_dicom(dicom_films / 'sub' / 'a.dcm', picture(50, 50))
    files = {'a.mrk.json': markups(HIP), 'sub/a.mrk.json': markups(point(1, 'hip', [3, 4, 0]))}
    found = read('slicer', files, dicom_films)
    assert found.image_names == ['a.dcm', 'sub/a.dcm'] and found.points[:, 0].tolist() == [[10, 20], [3, 4]]


@pytest.mark.parametrize('file, words', [
    (markups(point(1, 'hip', 'x')), ['a.mrk.json', 'markups of 3D Slicer']),
    (markups(HIP, system='IJK'), ['a.mrk.json', "'IJK' is missing"]), ('{}', ['a.mrk.json', "'markups' is missing"]),
    (markups(HIP, HIP), ['a.mrk.json', 'hip is there twice']),
    (markups(point(1, 'hip', [2500, 1, 0])), ['a.mrk.json', 'landmark hip is at 10000,2, outside'])])
def test_what_is_no_such_file_is_one_line(read, dicom_films, file, words):
    refused(words, read, 'slicer', {'a.mrk.json': file}, dicom_films)


def test_without_images_there_are_no_pixels(read, written):
    refused(['--image_dir'], read, 'slicer', {'a.mrk.json': markups(HIP)}, None)
    refused(['--image_dir'], written, 'slicer', image_dir=None)
    refused(['c.mrk.json', 'no image c'], read, 'slicer', {'c.mrk.json': markups(HIP)})
