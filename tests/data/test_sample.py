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


ALL = [f'{side}_{name}' for name in ('femoral_head', 'teardrop', 'greater_trochanter', 'lesser_trochanter', 'ischium',
                                     'iliac_spine') for side in ('right', 'left')] + ['pubic_symphysis']
GREYS = {  # of every third pixel of a coarse grid
    'hip_001.png': [12, 12, 12, 88, 160, 3, 204, 12, 147, 8, 182, 216, 80, 51],
    'hip_002.png': [0, 121, 0, 113, 1, 93, 0, 137, 15, 99, 111, 81, 124, 6, 205, 3],
    'hip_060.png': [103, 124, 0, 98, 54, 1, 144, 7, 90, 96, 0, 107, 105, 2, 46, 0, 98, 73, 1, 17, 44, 3]}


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


def test_the_default_is_what_it_was(written):
    "Values of versions 0.4 and 0.5; libraries may round a grey value otherwise."
    root, table = written
    assert table.loc[0, COLUMNS[4:]].tolist() == [166.95, 258.82, 385.03, 295.32, 0.7634]
    last = table.loc[59]
    assert last[COLUMNS[1:3]].tolist() == [597, 575]
    assert last[COLUMNS[4:]].tolist() == [53.91, 299.64, 267.97, 308.39, 0.7985]
    for name, greys in GREYS.items():
        image = read(root, name)
        found = image[::80, ::80].ravel()[::3].astype(int)
        assert abs(found - greys).max() <= 1, name


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
                                       {'seed': -1}, {'seed': 'x'}, {'image_size': 639}, {'image_size': 4097},
                                       {'image_size': 900.5}, {'landmarks': '3'}, {'landmarks': 'All'}])
@pytest.mark.parametrize('write', [lambda folder, **kwargs: sample(output_dir=folder, **kwargs), write_sample])
def test_refuses_odd_values(tmp_path, arguments, write):
    [(name, value)] = arguments.items()
    with pytest.raises(UsageError, match=f'{name}.*{value!r}'): write(tmp_path / 'data', **arguments)
    assert not (tmp_path / 'data').exists()


def test_all_landmarks_on_fine_films_of_many_sizes(tmp_path):
    annotations = read_annotations(write_sample(tmp_path, n_images=4, image_size=1280, landmarks='all'), n_landmarks=13)
    assert sorted(annotations.names) == sorted(ALL)
    table = pd.read_csv(tmp_path / 'labels' / 'train_annotation.csv')
    sizes = table[['image_width', 'image_height']].to_numpy()
    assert sizes.min() >= 800 and 1000 < sizes.max() <= 1280 and len(np.unique(sizes)) > 6
    assert table.pixel_spacing.nunique() == 4 and table.pixel_spacing.between(0.24, 0.6).all()
    assert (annotations.points > 0).all() and (annotations.points < sizes[:, None]).all()
    assert all(cv2.imread(str(path), 0).std() > 30 for path in (tmp_path / 'train_images').iterdir())


def test_the_number_of_landmarks_may_be_a_number(tmp_path, capsys):
    csv_file = sample(output_dir=tmp_path / 'number', n_images=2, landmarks=2)
    assert len(read_annotations(csv_file).names) == 2 and '640 px with 2 landmarks' in capsys.readouterr().out


def test_the_command_writes_the_same_and_says_where(tmp_path, capsys):
    flags = dict(n_images=2, seed=5, image_size=700, landmarks='all')
    csv_file = sample(output_dir=tmp_path / 'a', **flags)
    said = capsys.readouterr().out
    assert all(words in said for words in (str(csv_file), '700 px', 'all landmarks'))
    write_sample(tmp_path / 'b', **flags)
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
