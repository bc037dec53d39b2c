"The sample: format, refusals, seeds, and landmarks that are spread and lie on bright bone."

import cv2
import numpy as np
import pandas as pd
import pytest

from landmark_fastai.data.sample import sample, write_sample
from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import read_annotations

COLUMNS = ['image_name', 'image_width', 'image_height', 'n_landmarks', 'right_femoral_head_x', 'right_femoral_head_y',
           'left_femoral_head_x', 'left_femoral_head_y', 'pixel_spacing']


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    "The default set of 60: its folder and its table."
    root = tmp_path_factory.mktemp('sample')
    return root, pd.read_csv(write_sample(root / 'data'))


def points_of(table): return table[COLUMNS[4:8]].to_numpy().reshape(-1, 2, 2)


def read(root, name): return cv2.imread(str(root / 'data' / 'train_images' / name), cv2.IMREAD_UNCHANGED)


def files_of(folder): return {path.relative_to(folder): path.read_bytes() for path in folder.rglob('*.*')}


def test_table_has_the_format_of_the_annotations(written):
    root, table = written
    assert list(table.columns) == COLUMNS and len(table) == 60
    assert table.image_name[0] == 'hip_001.png' and table.image_name.is_unique and (table.n_landmarks == 2).all()
    assert table.pixel_spacing.between(0.35, 0.85).all()
    assert {path.name for path in (root / 'data' / 'train_images').iterdir()} == set(table.image_name)
    assert np.allclose(points_of(table) * 100, (points_of(table) * 100).round(), atol=1e-6)


def test_package_reads_its_own_sample(written):
    root, table = written
    annotations = read_annotations(root / 'data' / 'labels' / 'train_annotation.csv', n_landmarks=2)
    np.testing.assert_allclose(annotations.points, points_of(table))


def test_sizes_are_those_of_the_grey_8_bit_files(written):
    root, table = written
    for name, width, height in zip(table.image_name, table.image_width, table.image_height, strict=True):
        image = read(root, name)
        assert image.dtype == np.uint8 and image.shape == (height, width)
    assert table.image_width.nunique() > 20 and table.image_height.nunique() > 20
    assert (table.image_width > table.image_height).any() and (table.image_width < table.image_height).any()


def test_landmarks_lie_inside_and_are_spread(written):
    _, table = written
    share = points_of(table) / table[['image_width', 'image_height']].to_numpy()[:, None]
    assert share.min() > 0.04 and share.max() < 0.96
    assert share.std(0).min() >= 0.08
    assert (share[:, 0, 0] < share[:, 1, 0]).all(), "the patient's right is at the image's left"


def test_radiographs_are_dark_with_bright_bone(written):
    root, table = written
    for name, points in zip(table.image_name, points_of(table), strict=True):
        image = read(root, name)
        dark, bright = np.percentile(image, [2, 98])
        assert dark < 60 and bright > 150 and len(np.unique(image)) > 100, name
        for x, y in points.round().astype(int):
            assert image[y - 8:y + 9, x - 8:x + 9].mean() > image.mean() + 20, (name, x, y)


def test_same_seed_same_bytes_and_image_k_depends_on_k_alone(tmp_path):
    for name, n, seed in (('a', 3, 5), ('b', 3, 5), ('few', 2, 5), ('other', 2, 6)):
        write_sample(tmp_path / name, n_images=n, seed=seed)
    a, b, few, other = (files_of(tmp_path / name) for name in ('a', 'b', 'few', 'other'))
    images = [path for path in few if path.suffix == '.png']
    assert a == b and len(images) == 2
    assert all(few[path] == a[path] and few[path] != other[path] for path in images)


@pytest.mark.parametrize('taken', ['labels/train_annotation.csv', 'train_images/mine.png'])
def test_refuses_what_is_there_before_writing(tmp_path, taken):
    path = tmp_path / taken
    path.parent.mkdir()
    path.write_bytes(b'mine')
    with pytest.raises(UsageError, match=f'{path.parent}.*--output_dir'): write_sample(tmp_path, n_images=2)
    assert files_of(tmp_path) == {path.relative_to(tmp_path): b'mine'}


def test_empty_folders_are_free_and_a_file_is_not(tmp_path):
    (tmp_path / 'train_images').mkdir()
    assert write_sample(tmp_path, n_images=2).is_file()
    with pytest.raises(UsageError, match='--output_dir'): write_sample(tmp_path / 'labels' / 'train_annotation.csv')


@pytest.mark.parametrize('arguments', [{'n_images': 1}, {'n_images': 2.5}, {'n_images': '9'}, {'n_images': True},
                                       {'seed': -1}, {'seed': 'x'}])
@pytest.mark.parametrize('write', [lambda folder, **kwargs: sample(output_dir=folder, **kwargs), write_sample])
def test_refuses_odd_numbers(tmp_path, arguments, write):
    [(name, value)] = arguments.items()
    with pytest.raises(UsageError, match=f'{name}.*{value!r}'): write(tmp_path / 'data', **arguments)
    assert not (tmp_path / 'data').exists()


def test_the_command_writes_the_same_and_says_where(tmp_path, capsys):
    csv_file = sample(output_dir=tmp_path / 'a', n_images=2, seed=5)
    assert str(csv_file) in capsys.readouterr().out
    write_sample(tmp_path / 'b', n_images=2, seed=5)
    assert files_of(tmp_path / 'a') == files_of(tmp_path / 'b')


def test_killed_run_leaves_no_table(tmp_path, monkeypatch):
    write_image = cv2.imencode
    written = []
    def kill(extension, image):
        if written: raise KeyboardInterrupt
        written.append(image)
        return write_image(extension, image)
    monkeypatch.setattr(cv2, 'imencode', kill)
    with pytest.raises(KeyboardInterrupt): write_sample(tmp_path, n_images=3)
    assert [path.name for path in tmp_path.rglob('*.*')] == ['hip_001.png']
