"The synthetic films: format, refusals, seeds, spread, and landmarks that sit where the heads are drawn."

import cv2
import numpy as np
import pandas as pd
import pytest

from landmark_fastai.data import radiograph
from landmark_fastai.data.radiograph import draw_radiograph
from landmark_fastai.data.sample import write_sample
from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import read_annotations

COLUMNS = ['image_name', 'image_width', 'image_height', 'n_landmarks', 'right_femoral_head_x', 'right_femoral_head_y',
           'left_femoral_head_x', 'left_femoral_head_y', 'pixel_spacing']
SEEDS = [[42, 1], [42, 2], [7, 0], [7, 1], [7, 2], [7, 3]]


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


def test_films_are_dark_with_bright_bone(written):
    root, table = written
    for name, points in zip(table.image_name, points_of(table), strict=True):
        image = read(root, name)
        dark, bright = np.percentile(image, [2, 98])
        assert dark < 60 and bright > 150 and len(np.unique(image)) > 100, name
        for x, y in points.round().astype(int):
            assert image[y - 8:y + 9, x - 8:x + 9].mean() > image.mean() + 20, (name, x, y)


@pytest.mark.parametrize('seed', SEEDS)
def test_landmark_is_the_centroid_of_the_drawn_head(seed):
    image, points = draw_radiograph(np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    hips = list(radiograph._hips(rng))
    shape, _, affine = radiograph._frame(rng, hips)
    film = radiograph.AnnotatedImage(shape, affine)
    assert image.shape == shape and list(points) == ['right_femoral_head', 'left_femoral_head']
    for hip, point in zip(hips, points.values(), strict=True):
        # Both ways in which the head is drawn: the ball, and the filled outline with its cortex.
        for layer in (film.ellipsoid(hip.head, hip.ball), film.depth([radiograph._circle() @ hip.ball + hip.head])):
            y, x = np.indices(layer.shape)
            window = (x - point[0]) ** 2 + (y - point[1]) ** 2 < (1.3 * radiograph.RADIUS / film.mm) ** 2
            weight = layer * window
            inside = window.sum() > 0.99 * np.pi * (1.3 * radiograph.RADIUS / film.mm) ** 2
            centroid = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
            assert not inside or np.hypot(*(centroid - point)) < 0.3


def test_head_is_found_in_the_finished_film():
    "The disc that fits the grey values best has its centre at the landmark: nothing moves between layers and file."
    misses = []
    for seed in SEEDS:
        image, points = draw_radiograph(np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        hips = list(radiograph._hips(rng))
        _, _, affine = radiograph._frame(rng, hips)
        film = radiograph.AnnotatedImage(image.shape, affine)
        for hip, point in zip(hips, points.values(), strict=True):
            if not hip.worn: misses.append(edge_offset(image, point, radiograph.RADIUS / film.mm, hip.joint / film.mm))
    assert np.median(misses) <= 1


def edge_offset(image, point, radius, gap):
    "Distance in px from `point` to where a disc of `radius` is brightest against the joint space around its top."
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1)
    angles = np.radians(np.linspace(-150, -30, 60))
    shifts = [(dx, dy) for dx in np.arange(-4, 5) for dy in np.arange(-4, 5)]
    def mean(r, shift):
        x, y = (point[i] + shift[i] + r * f(angles) for i, f in enumerate((np.cos, np.sin)))
        return cv2.remap(image, x[None].astype(np.float32), y[None].astype(np.float32), cv2.INTER_LINEAR).mean()
    return np.hypot(*max(shifts, key=lambda shift: mean(radius - 3, shift) - mean(radius + gap / 2, shift)))


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
    with pytest.raises(UsageError, match=r'(train_annotation\.csv|train_images) is there already.*--output_dir'):
        write_sample(tmp_path, n_images=2)
    assert files_of(tmp_path) == {path.relative_to(tmp_path): b'mine'}


def test_empty_folders_are_free_and_a_file_is_not(tmp_path):
    (tmp_path / 'train_images').mkdir()
    assert write_sample(tmp_path, n_images=2).is_file()
    with pytest.raises(UsageError, match='--output_dir'): write_sample(tmp_path / 'labels' / 'train_annotation.csv')


@pytest.mark.parametrize('arguments', [{'n_images': 1}, {'n_images': 2.5}, {'n_images': '9'}, {'n_images': True},
                                       {'seed': -1}, {'seed': 'x'}])
def test_refuses_odd_numbers(tmp_path, arguments):
    with pytest.raises(UsageError, match=f'{next(iter(arguments))} is .*, expected a whole number'):
        write_sample(tmp_path / 'data', **arguments)
    assert not (tmp_path / 'data').exists()


def test_killed_run_leaves_no_table(tmp_path, monkeypatch):
    drawn = []
    def kill(rng):
        if drawn: raise KeyboardInterrupt
        drawn.append(rng)
        return np.zeros((8, 8), np.uint8), {'a': (1., 2.), 'b': (3., 4.)}, 0.5
    monkeypatch.setattr(radiograph, '_radiograph', kill)
    with pytest.raises(KeyboardInterrupt): write_sample(tmp_path, n_images=3)
    assert [path.name for path in tmp_path.rglob('*.*')] == ['hip_001.png']
