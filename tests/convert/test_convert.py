"The command: every format there and back, what is said of what is lost, and targets, written over only when asked."

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from helpers import annotated, exif_of, picture, refused, save_picture
from hypothesis import given, settings
from hypothesis import strategies as st

from landmark_fastai import cli
from landmark_fastai.convert.convert import convert
from landmark_fastai.convert.isbi2015 import NAMES
from landmark_fastai.convert.table import FORMATS
from landmark_fastai.formats.annotations import (
    ABSENT,
    UNLABELLED,
    VISIBLE,
    hide_corner,
    read_annotations,
    write_annotations,
)
from landmark_fastai.reader_config import FORMATS as NAMES_OF_FORMATS
from landmark_fastai.reader_config import ConvertConfig

SIZES = {'a.png': (100, 80), 'sub/b.png': (60, 90), 'sub/a.png': (77, 55)}
BOTH_WAYS = [name for name in FORMATS if name != 'dicom_sr']
TRICKY = ['Hüfte, rechts', 'knee "medial"', 'ankle 2']


@pytest.fixture(scope='module')
def three_films(tmp_path_factory):
    "The folder of three films, two of one name. Not to be changed."
    folder = tmp_path_factory.mktemp('films')
    (folder / 'sub').mkdir()
    for name, (width, height) in SIZES.items(): save_picture(folder / name, picture(height, width))
    return folder


@st.composite
def cases(draw, names):
    "Points and states of the three films: anywhere on their pixels, to a thousandth."
    n, n_landmarks = len(SIZES), len(names)
    state = np.array(draw(st.lists(st.sampled_from([VISIBLE, ABSENT, UNLABELLED]), min_size=n * n_landmarks,
                                   max_size=n * n_landmarks))).reshape(n, n_landmarks)
    share = st.floats(0, 1).map(lambda value: round(value, 5))
    shares = draw(st.lists(st.tuples(share, share), min_size=n * n_landmarks, max_size=n * n_landmarks))
    sizes = np.array(list(SIZES.values()))
    points = np.round(np.array(shares).reshape(n, n_landmarks, 2) * (sizes[:, None] - 1), 3)
    made = annotated(points, 0.25, names, state)
    return replace(made, image_names=list(SIZES), sizes=sizes)


@pytest.mark.parametrize('form', BOTH_WAYS)
@given(data=st.data())
@settings(max_examples=15, deadline=None, derandomize='CI' in os.environ)
def test_there_and_back(form, three_films, data):
    names = NAMES if form == 'isbi2015' else TRICKY
    made, says = data.draw(cases(names)), FORMATS[form]
    with TemporaryDirectory() as folder:
        folder = Path(folder)
        write_annotations(folder / 'made.csv', made)
        convert(folder / 'made.csv', 'csv', folder / 'there', form, image_dir=three_films)
        convert(folder / 'there', form, folder / 'back.csv', 'csv', image_dir=three_films, landmarks=names,
                invisible_landmarks=form == 'original')
        found = read_annotations(folder / 'back.csv')
    assert sorted(found.image_names) == sorted(SIZES) and found.names == names
    found = found.subset([found.image_names.index(name) for name in SIZES])
    assert (found.sizes == made.sizes).all()
    points, state = made.points, made.state
    if not says.absent: state = np.where(state == ABSENT, UNLABELLED, state)
    if not says.fractions: points = np.round(points)
    expected = replace(made, points=points, state=state)
    if form == 'original': expected = hide_corner(expected)
    assert (found.state == expected.state).all()
    assert np.allclose(found.points, expected.points, atol=1e-6, equal_nan=True)
    assert np.isfinite(found.spacing).all() if says.spacing else np.isnan(found.spacing).all()


def test_the_formats_are_those_of_the_flag():
    assert tuple(FORMATS) == NAMES_OF_FORMATS
    assert [name for name, form in FORMATS.items() if form.read is None and form.write] == ['dicom_sr']


def test_from_one_tool_to_another_without_a_csv(written, tmp_path, films):
    coco = written('coco', name='x.json')
    found = convert(coco, 'coco', tmp_path / 'y.tps', 'tps')
    assert found.points[0].tolist() == [[10, 20], [30.25, 40.5]]
    assert (tmp_path / 'y.tps').read_text().splitlines()[1] == '10.500000 59.500000'


def test_what_is_lost_is_said_once_a_kind(written, capsys):
    csv = ('image_name,image_width,image_height,hip_x,hip_y,knee_x,knee_y,pixel_spacing,patient_id,split\n'
           'a.png,100,80,-1,-1,-1,-1,0.1,p1,train\nsub/b.png,60,90,-1,-1,5,6,,p2,val\n')
    written('coco', csv, 'x.json')
    assert capsys.readouterr().out.splitlines()[:-1] == [
        'note: patient_id is not written', 'note: split is not written',
        'note: 3 absent landmarks of 2 images: not labelled in coco, which cannot tell',
        'note: 1 pixel spacing of 1 image: not written']


def test_landmarks_are_chosen_ordered_and_missed(written, read, capsys):
    csv = 'image_name,image_width,image_height,hip_x,hip_y,knee_x,knee_y\na.png,100,80,10,20,30,40\n'
    target = written('csv', csv, 'x.csv', landmarks='ankle,knee')
    found = read_annotations(target)
    assert found.names == ['ankle', 'knee'] and found.points[0, 1].tolist() == [30, 40]
    assert found.state.tolist() == [[UNLABELLED, VISIBLE]]
    assert 'note: 1 landmark of 1 image: not asked for, left out' in capsys.readouterr().out
    refused(['toe, none of which points.csv has; it has hip, knee'], written, 'csv', csv, 'y.csv', landmarks='toe')


def test_a_file_without_a_point_has_the_landmarks_that_are_named(read):
    files = {'a.json': '{"shapes": [], "imagePath": "a.png", "imageWidth": 100, "imageHeight": 80}'}
    found = read('labelme', files, landmarks='hip,knee')
    assert found.names == ['hip', 'knee'] and (found.state == UNLABELLED).all()
    refused(['source', 'no landmark in it', '--landmarks'], read, 'labelme', files, overwrite=True)


def test_a_picture_that_exif_turns_keeps_its_points(read, films):
    save_picture(films / 'turned.jpg', picture(40, 60), exif=exif_of(6))
    file = 'scorer,A,A\nbodyparts,hip,hip\ncoords,x,y\nturned.jpg,3,50\n'
    found = read('dlc', {'x.csv': file}, source='source/x.csv')
    assert found.sizes.tolist() == [[40, 60]] and found.points[0, 0].tolist() == [3, 50]


# --- targets

@pytest.mark.parametrize('form', [name for name in FORMATS if name != 'dicom_sr'])
def test_a_target_is_replaced_when_asked(written, form):
    csv = None
    if form == 'isbi2015':
        header = ','.join(f'{name}_x,{name}_y' for name in NAMES)
        csv = f'image_name,image_width,image_height,{header}\na.png,100,80,{",".join(["5,6"] * 19)}\n'
    flags = {} if csv is None else {'csv': csv}
    target = written(form, **flags)
    before = sorted(target.rglob('*')) if target.is_dir() else target.read_bytes()
    refused([f'{target} exists; pass --overwrite'], written, form, **flags)
    assert written(form, overwrite=True, **flags) == target
    assert (sorted(target.rglob('*')) if target.is_dir() else target.read_bytes()) == before


def test_a_folder_with_other_files_is_left_alone(written, tmp_path):
    target = written('labelme')
    (target / 'mine.json').write_text('{}')
    refused(['mine.json would be lost'], written, 'labelme', overwrite=True)
    assert (target / 'mine.json').is_file() and (target / 'a.json').is_file()


def test_a_target_among_what_is_read_is_refused(written, films, tmp_path):
    source = written('labelme')
    refused(['films', '--target'], convert, source, 'labelme', films / 'x', 'slicer', image_dir=films)
    refused(['is read', '--target'], convert, source, 'labelme', source / 'x.csv', 'csv', overwrite=True)
    refused(['is read', '--target'], convert, source, 'labelme', source, 'slicer', image_dir=films, overwrite=True)
    csv = tmp_path / 'points.csv'
    before = csv.read_bytes()
    refused(['is read', '--target'], convert, csv, 'csv', csv, 'coco', overwrite=True)
    refused(['a folder; expected the name of a file'], convert, csv, 'csv', source, 'coco', overwrite=True)
    refused(['a file; expected the name of a folder'], convert, csv, 'csv', csv, 'labelme', overwrite=True)
    assert csv.read_bytes() == before and len(list(source.rglob('*.json'))) == 2


def test_nothing_is_written_where_one_image_cannot_be(written, tmp_path):
    csv = 'image_name,image_width,image_height,hip_x,hip_y\na.png,9,9,1,2\nsub/b.png,9,9,1,2\na.jpg,9,9,1,2\n'
    refused(['points.csv, row 4 (a.jpg)', 'a.json already'], written, 'labelme', csv, image_dir=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['films', 'points.csv']


# --- flags

@pytest.mark.parametrize('flags, words', [
    ({'source_format': 'dicom_sr'}, ['source_format', 'one of csv, coco']),
    ({'definitions': 'long_leg'}, ['definitions', 'only dicom_sr']), ({'landmarks': 'a,a'}, ['landmarks', 'differ']),
    ({'target_format': 'yolo'}, ['target_format', 'dicom_sr'])])
def test_flags_that_mean_nothing_are_refused(flags, words):
    refused(words, ConvertConfig, **dict(source='x', source_format='csv', target='y', target_format='coco') | flags)


def test_the_command_line(written, tmp_path, capsys):
    written('csv')
    argv = ['convert', '--source', str(tmp_path / 'points.csv'), '--source_format', 'csv', '--target',
            str(tmp_path / 'out.json'), '--target_format', 'coco', '--landmarks', 'knee']
    assert cli.main(argv) == 0 and (tmp_path / 'out.json').is_file()
    assert capsys.readouterr().out.splitlines()[-1] == f'2 images, 1 point: {tmp_path / "out.json"}'
    assert cli.main(argv) == 2 and '--overwrite' in capsys.readouterr().err


def test_it_loads_no_torch(written, tmp_path):
    written('csv')
    argv = ['convert', '--source', str(tmp_path / 'points.csv'), '--source_format', 'csv', '--target',
            str(tmp_path / 'x.tps'), '--target_format', 'tps']
    code = f'import sys; from landmark_fastai import cli\nassert cli.main({argv}) == 0 and "torch" not in sys.modules'
    assert subprocess.run([sys.executable, '-c', code], cwd=Path(__file__).parents[2]).returncode == 0
