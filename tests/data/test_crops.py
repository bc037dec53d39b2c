"Crops of films: where they are cut, what they are labelled with, and which an epoch has."

from collections import Counter

import cv2
import numpy as np
import pytest
import torch
from helpers import write_dots

from landmark_fastai import landmark_dls
from landmark_fastai.data.crops import (
    PATCH,
    PER_IMAGE,
    CropField,
    crop_at,
    on_film,
    refine_dls,
    training_crops,
    validation_crops,
)
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.formats.images import letterbox
from landmark_fastai.geometry.decoding import decode
from landmark_fastai.geometry.frame import Frame, cut, to_network, to_original
from landmark_fastai.geometry.pieces import piece_of

FIELD = CropField(film=200, side=64, jitter=0.2)


@pytest.fixture(scope='module')
def dls(tmp_path_factory):
    return landmark_dls(*write_dots(tmp_path_factory.mktemp('crops')), image_resize=64, batch_size=4)


def first_points(dls): return np.stack([image.points for image in dls.valid_ds.items])


def test_a_cut_frame_moves_points_by_its_corner_alone():
    frame = Frame(*(np.array(values, float) for values in ((100, 50), (0, 25), [2.], (0.5, 0.25))))
    points = np.array([[0., 0.], [31.5, 7.]])
    piece = cut(frame, np.array([20., -8.]))
    np.testing.assert_allclose(to_network(points, piece), to_network(points, frame) - (20, -8))
    np.testing.assert_allclose(to_original(to_network(points, piece), piece), points)


def test_a_crop_shows_the_film_where_its_frame_says(dls):
    image = on_film(dls.train_ds.items[0], FIELD.film)
    crop = crop_at(image, 1, image.points[1], 64)
    film = letterbox(cv2.imread(str(image.path), cv2.IMREAD_GRAYSCALE), FIELD.film)
    at = to_network(image.points, crop.frame)
    assert (abs(at[1] - 31.5) <= 0.5).all() and crop.landmark == 1
    np.testing.assert_allclose(at + crop.corner, to_network(image.points, image.frame), atol=1e-4)
    of_dls = refine_dls(dls, first_points(dls), FIELD, batch_size=4)
    np.testing.assert_array_equal(of_dls.reader(crop)[0], piece_of(film, crop.corner, 64))


@pytest.mark.parametrize('cache', ['ram', 'disk', 'none'])
def test_a_crop_is_the_same_wherever_films_are_kept(tmp_path, monkeypatch, cache):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    dls = landmark_dls(*write_dots(tmp_path), image_resize=64, batch_size=4, cache=cache)
    reader = refine_dls(dls, first_points(dls), FIELD, batch_size=4).reader
    assert reader.squares.place == cache
    image = on_film(dls.train_ds.items[0], FIELD.film)
    film = letterbox(cv2.imread(str(image.path), cv2.IMREAD_GRAYSCALE), FIELD.film)
    for point in ((0, 0), (40, 20), (95, 79), (-60, -90)):  # the last is beyond the film
        crop = crop_at(image, 0, np.array(point), 64)
        np.testing.assert_array_equal(reader(crop)[0], piece_of(film, crop.corner, 64))


def test_a_training_crop_is_around_every_visible_landmark_and_labels_the_others(dls):
    images = [on_film(image, FIELD.film) for image in dls.train_ds.items]
    images[0].state[0] = UNLABELLED
    crops = training_crops(images, 64)
    assert len(crops) == 2 * len(images) - 1
    assert {crop.side for crop in crops} == {round(64 * PATCH)}
    assert all(crop.state[crop.landmark] == VISIBLE for crop in crops) and (crops[1].state == VISIBLE).all()
    images[0].state[0] = VISIBLE


def test_a_validation_crop_is_where_the_first_stage_points_and_knows_of_its_landmark_alone(dls):
    images = [on_film(image, FIELD.film) for image in dls.valid_ds.items]
    points = first_points(dls) + (3, -2)
    points[0, 0] = np.nan
    crops = validation_crops(images, points, 64)
    assert len(crops) == 2 * len(images) - 1 and crops[0].landmark == 1
    crop, image = crops[0], images[0]
    np.testing.assert_array_equal(crop.state, [UNLABELLED, VISIBLE])
    assert np.isnan(crop.points[0]).all() and (crop.points[1] == image.points[1]).all()
    offset = to_network(image.points[1], crop.frame) - 31.5
    assert (abs(offset + np.array([3, -2]) * image.frame.scale) <= 0.5).all()


def test_validation_crops_are_of_all_landmarks_alike(dls, monkeypatch):
    monkeypatch.setattr('landmark_fastai.data.crops.VALIDATED', 1)
    images = [on_film(image, FIELD.film) for image in (dls.train_ds.items * 1)]
    crops = validation_crops(images, np.stack([image.points for image in images]), 64)
    n_of = Counter(crop.landmark for crop in crops)
    assert len(crops) == len(images) and abs(n_of[0] - n_of[1]) <= 1


def test_an_epoch_has_some_crops_of_each_image_and_others_the_next_time(tmp_path):
    names = [f'point_{k}' for k in range(PER_IMAGE + 2)]
    dls = landmark_dls(*write_dots(tmp_path, names=names), image_resize=64, batch_size=4)
    crops = refine_dls(dls, first_points(dls), FIELD, batch_size=4)
    epochs = []
    for _ in range(2):
        for _ in crops.train: pass
        epochs.append(list(crops.train.order))
    items = crops.train_ds.items
    for order in epochs:
        assert set(Counter(items[i].path for i in order).values()) == {PER_IMAGE}
        assert len(order) == PER_IMAGE * len(dls.train_ds) == crops.train.n == 4 * len(crops.train)
    assert sorted(epochs[0]) != sorted(epochs[1])
    assert list(crops.valid.get_idxs()) == list(range(len(crops.valid_ds)))


def test_batches_are_those_of_the_first_stage(dls):
    crops = refine_dls(dls, first_points(dls), FIELD, batch_size=3, augment='none')
    for dl, bs in ((crops.train, 3), (crops.valid, 3)):
        image, mask, points, state, frame, radius = dl.one_batch()
        assert image.shape == (bs, 1, 64, 64) and mask.shape == (bs, 2, 64, 64) and mask.dtype == torch.bool
        assert points.shape == (bs, 2, 2) and state.shape == (bs, 2) and frame.shape == (bs, 7) and len(radius) == bs
        assert mask.any((2, 3)).equal(state == VISIBLE)


def test_masks_of_crops_may_be_of_exact_points(dls):
    _, mask, points, *_ = refine_dls(dls, first_points(dls), FIELD, batch_size=3, subpixel=True).valid.one_batch()
    mask, points = mask.as_subclass(torch.Tensor), points.as_subclass(torch.Tensor)
    n = mask.float().sum((2, 3))[..., None]
    middle = torch.stack([(mask.float().sum(axis) * torch.arange(64.)).sum(-1) for axis in (2, 3)], -1) / n
    is_whole = (mask.sum((2, 3)) > 0) & (abs(points - 31.5) < 24).all(-1)
    assert is_whole.sum() > 2
    torch.testing.assert_close(middle[is_whole], points[is_whole], atol=0.01, rtol=0)


@pytest.mark.parametrize('augment', ['none', 'light'])
def test_training_crops_move_and_the_points_with_them(dls, augment):
    crops = refine_dls(dls, first_points(dls), FIELD, batch_size=8, augment=augment)
    grid, points, offsets = torch.arange(64.), [], []
    for _ in range(4):
        image, _, at, *_ = crops.train.one_batch()
        image, heads = image.as_subclass(torch.Tensor)[:, 0], at.as_subclass(torch.Tensor)[:, 0]
        for pixels, head in zip(image, heads, strict=True):
            if not (10 < head.min() and head.max() < 53): continue
            near_x, near_y = ((grid - head[axis]).abs() < 9 for axis in (0, 1))
            disc = pixels[near_y][:, near_x]
            weight = (disc - disc.amin()) ** 2
            centre = [(weight.sum(axis) * grid[near]).sum() / weight.sum() for axis, near in ((0, near_x), (1, near_y))]
            points.append(head)
            offsets.append(torch.stack(centre) - head)
    assert len(points) > 8 and (torch.stack(points).std(0) > 3).all()
    assert torch.stack(offsets).abs().median() < 0.5 and torch.stack(offsets).mean(0).abs().max() < 0.5


def test_absent_landmarks_are_not_labelled_on_crops(tmp_path):
    csv_file, images = write_dots(tmp_path)
    lines = [line.split(',') for line in csv_file.read_text().splitlines()]
    for line in lines[1:3]: line[4:6] = '-1', '-1'
    csv_file.write_text('\n'.join(map(','.join, lines)) + '\n')
    dls = landmark_dls(csv_file, images, image_resize=64, batch_size=4)
    assert (dls.annotations.state == ABSENT).sum() == 2
    crops = refine_dls(dls, first_points(dls), FIELD, batch_size=4)
    assert not (crops.annotations.state == ABSENT).any()
    assert not any((item.state == ABSENT).any() for item in (*crops.train_ds.items, *crops.valid_ds.items))


def test_a_heatmap_of_a_crop_is_read_in_original_px(dls):
    image = on_film(dls.train_ds.items[0], FIELD.film)
    crop = crop_at(image, 0, image.points[0] + 2, 64)
    logits = torch.full((1, 1, 64, 64), -20.)
    x, y = np.round(to_network(image.points[0], crop.frame)).astype(int)
    logits[0, 0, y, x] = 20
    frame = torch.from_numpy(crop.frame.row())[None]
    found = to_original(decode(logits, frame)[0], Frame.of(frame))
    assert (abs(found[0].numpy() - image.points[0]) * image.frame.scale <= 0.51).all()
