"Blocks, transforms and DataLoaders: points and pixels stay together."

import warnings
from threading import current_thread, main_thread

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import write_dots

from landmark_fastai import UsageError, landmark_dls
from landmark_fastai.data import loaders
from landmark_fastai.data.tensors import TensorLandmarks, TensorRadiograph
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.formats.cache import SquareCache
from landmark_fastai.geometry.frame import Frame, to_original, to_unit
from landmark_fastai.geometry.masks import draw_diamonds, draw_subpixel_diamonds


def centroids(images, threshold):
    "Centroid (B, 2) of what is brighter than `threshold` in `images` (B, S, S)."
    weight = (images - threshold).clamp(min=0)
    grid = torch.arange(images.shape[-1], dtype=torch.float)
    return torch.stack([(weight.sum(1) * grid).sum(1), (weight.sum(2) * grid).sum(1)], 1) / weight.sum((1, 2))[:, None]


@pytest.fixture(scope='module')
def one_dot(tmp_path_factory):
    "Black images with one bright dot, off centre, and its CSV."
    folder = tmp_path_factory.mktemp('one_dot')
    csv_file, images = write_dots(folder, n=24, names=('dot',), sizes=((96, 80), (70, 100), (64, 64), (129, 200)))
    table = pd.read_csv(csv_file)
    for row in table.itertuples():
        y, x = np.mgrid[:row.image_height, :row.image_width]
        dot = 255 * np.exp(-((x - row.dot_x) ** 2 + (y - row.dot_y) ** 2) / 18)
        cv2.imwrite(str(images / row.image_name), dot.round().astype(np.uint8))
    return csv_file, images


@pytest.mark.parametrize('augment', ['none', 'light', 'normal', 'strong'])
def test_a_dot_and_its_point_stay_together_through_every_transform(one_dot, augment):
    torch.manual_seed(0)
    dls = landmark_dls(*one_dot, image_resize=128, batch_size=8, augment=augment)
    # exposure would change what is brighter than the threshold, not where it is
    for dl in dls.loaders:
        dl.after_batch.fs = [t for t in dl.after_batch.fs if t.order not in (20, 40)]
    distances = []
    for dl in dls.loaders:
        image, _, points, state, *_ = dl.one_batch()
        seen = state[:, 0] == VISIBLE
        close = (centroids(torch.Tensor(image)[:, 0], 0.05) - points[:, 0]).norm(dim=-1)
        edge = (points[:, 0] - 63.5).abs().amax(-1) > 50  # a dot cut by the border has its centroid elsewhere
        distances.append(close[seen & ~edge])
    assert len(torch.cat(distances)) > 5
    assert torch.cat(distances).max() < 0.1


def test_batch_has_the_promised_shapes_and_types(make_dls):
    dls = make_dls()
    image, mask, points, state, frame, radius = dls.one_batch()
    assert isinstance(image, TensorRadiograph) and image.shape == (4, 1, 64, 64) and image.dtype == torch.float32
    assert 0 <= image.min() and image.max() <= 1
    assert mask.shape == (4, 2, 64, 64) and mask.dtype == torch.bool
    assert points.shape == (4, 2, 2) and state.shape == (4, 2) and frame.shape == (4, 7) and radius.shape == (4,)


@pytest.mark.parametrize('subpixel, draw', [(True, draw_subpixel_diamonds), (False, draw_diamonds)])
def test_masks_are_of_exact_points_or_of_the_nearest_pixels(make_dls, subpixel, draw):
    dls = make_dls(subpixel=subpixel)
    _, mask, points, *_ = dls.one_batch()
    radius = dls.train.after_batch.draw_masks.radius
    assert torch.equal(mask.as_subclass(torch.Tensor), draw(points.as_subclass(torch.Tensor), radius, 64))


def test_image_stays_one_byte_a_pixel_until_the_batch(make_dls):
    item = make_dls().train_ds[0]
    assert item[0].dtype == torch.uint8 and item[0].shape == (1, 64, 64)


def test_one_image_size_everywhere(make_dls):  # trap 2
    for size in (64, 96):
        image, mask, *_ = make_dls(image_resize=size).one_batch()
        assert image.shape[-2:] == mask.shape[-2:] == (size, size)


def test_points_map_back_to_the_csv(dots, make_dls):
    dls, table = make_dls(augment='none'), pd.read_csv(dots[0], index_col='image_name')
    for batch in dls.valid:
        _, _, points, _, frame, _ = batch
        original = to_original(points, Frame.of(frame[:, None]))
    films = dls.valid_ds.items
    for film, point in zip(films[-len(original):], original, strict=True):
        expected = table.loc[film.name, ['head_x', 'head_y', 'knee_x', 'knee_y']].to_numpy(float).reshape(2, 2)
        np.testing.assert_allclose(point.numpy(), expected, atol=1e-3)


def test_frames_are_of_each_image_not_of_the_first_of_the_batch(make_dls):
    frame = make_dls().train.one_batch()[4]
    assert len(set(map(tuple, frame[:, :2].tolist()))) > 1


def test_a_landmark_moved_out_of_the_frame_is_not_labelled(make_dls):
    draw = make_dls().train.after_batch.draw_masks
    unit = to_unit(torch.tensor([[[10., 10.], [70., 10.], [torch.nan] * 2, [torch.nan] * 2]]), 64)
    state = torch.tensor([[VISIBLE, VISIBLE, ABSENT, UNLABELLED]])
    _, mask, points, state, *_ = draw((torch.zeros(1, 1, 64, 64), unit, state, torch.zeros(1, 7)))
    assert state.tolist() == [[VISIBLE, UNLABELLED, ABSENT, UNLABELLED]]
    assert mask.flatten(2).any(-1).tolist() == [[True, False, False, False]]
    assert torch.isnan(points[0, 1]).all()


def test_training_and_validation_share_the_radius(make_dls):  # trap 11: one number changes at an erosion
    dls = make_dls()
    dls.train.after_batch.draw_masks.radius = 3
    assert all((dl.one_batch()[1].sum((2, 3)) == 25).any() for dl in dls.loaders)


def test_images_are_decoded_once(make_dls, monkeypatch):  # trap 11
    dls = make_dls()
    monkeypatch.setattr('landmark_fastai.data.transforms.read_pixels', lambda *_: pytest.fail('read again'))
    for dl in dls.loaders:
        for _ in dl: pass


def turns(points):
    "Whether the triangles (B, 3, 2) turn left or right, as 1 or -1: only a mirror changes it; 0 where a corner is NaN."
    one, two = (points[:, 1:] - points[:, :1]).unbind(1)
    return torch.sign(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0])


def test_no_flips_unless_pairs_are_declared(tmp_path):
    csv_file, images = write_dots(tmp_path, n=12, names=('a', 'b', 'c'))
    dls = landmark_dls(csv_file, images, image_resize=64, batch_size=9, augment='strong')
    expected = turns(torch.tensor(np.stack([film.points for film in dls.train_ds.items])))
    for _ in range(3):
        got = turns(dls.train.new(shuffle=False).one_batch()[2])
        assert ((got == expected) | (got == 0)).all() and (got != 0).sum() > 2


def test_flip_pairs_mirror_image_points_and_identities(make_dls, monkeypatch):
    flip = make_dls(flip_pairs=[('head', 'knee')]).train.after_batch.flip_pairs
    monkeypatch.setattr(torch, 'rand', lambda *size, **_: torch.tensor([0., 0.9]))  # mirror the first image only
    image = torch.arange(2 * 4 * 4.).view(2, 1, 4, 4)
    unit = to_unit(torch.tensor([[[0., 1.], [2., 3.]]] * 2), 4)
    state = torch.tensor([[VISIBLE, UNLABELLED]] * 2)
    flipped, points, states, _ = flip((image, unit, state, torch.zeros(2, 7)), split_idx=0)
    assert torch.equal(flipped[0], image[0].flip(-1)) and torch.equal(flipped[1], image[1])
    torch.testing.assert_close(points[0], to_unit(torch.tensor([[1., 3.], [3., 1.]]), 4))  # width - 1 - x, swapped
    assert torch.equal(points[1], unit[1])
    assert states.tolist() == [[UNLABELLED, VISIBLE], [VISIBLE, UNLABELLED]]
    untouched = flip((image, unit, state, torch.zeros(2, 7)), split_idx=1)
    assert torch.equal(untouched[0], image)


@pytest.mark.parametrize('pairs, words', [([('head', 'hip')], "'hip' is no landmark"),
                                          ([('head', 'head')], "'head' occurs twice")])
def test_wrong_flip_pairs_are_refused(make_dls, pairs, words):
    with pytest.raises(UsageError, match=words): make_dls(flip_pairs=pairs)


def test_padding_is_black_in_every_augmented_batch(tmp_path):  # trap 6
    csv_file, images = write_dots(tmp_path, n=6, sizes=((100, 40),))
    for path in images.iterdir(): cv2.imwrite(str(path), np.full((40, 100), 255, np.uint8))
    dls = landmark_dls(csv_file, images, image_resize=64, batch_size=4, augment='strong')
    image = torch.Tensor(dls.train.one_batch()[0])
    assert (image < 0.05).float().mean() > 0.2  # a mirrored border would be bright everywhere
    valid = torch.Tensor(dls.valid.one_batch()[0])
    assert valid[..., :18, :].max() == 0 and valid[..., -18:, :].max() == 0


def test_split_column_decides(tmp_path):
    parts = ['train', 'val', 'test', 'train', 'train', 'val', 'test', 'train', 'train', 'train']
    dls = landmark_dls(*write_dots(tmp_path, split=parts), image_resize=64, batch_size=2)
    assert [film.name for film in dls.valid_ds.items] == ['dot_1.png', 'dot_5.png'] and len(dls.train_ds) == 6


def test_a_patient_never_lands_on_both_sides(tmp_path):
    dls = landmark_dls(*write_dots(tmp_path, n=12, patient_id=list('aaabbbcccddd')), image_resize=64, batch_size=2)
    sides = [{'aaabbbcccddd'[int(film.name[4:-4])] for film in ds.items} for ds in (dls.train_ds, dls.valid_ds)]
    assert sides[0] and sides[1] and not sides[0] & sides[1]


def test_same_seed_same_split(make_dls):
    first, second, other = (list(make_dls(seed=seed).split) for seed in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize('kwargs, words', [
    (dict(batch_size=9), 'batch_size is 9, but the training set has 8 images'),
    (dict(batch_size=0), 'batch_size is 0'),
    (dict(image_resize=100), 'image_resize is 100.*multiple of 32'),
    (dict(cache='tape'), r"cache is 'tape'.*auto, ram, disk, none"),
    (dict(augment='heavy'), "augment.*'heavy'.*none, light, normal, strong"),
    (dict(pixel_spacing=0), 'pixel_spacing is 0.*above 0'),
    (dict(n_landmarks=3), '3'),
])
def test_wrong_arguments_are_refused(make_dls, kwargs, words):
    with pytest.raises(UsageError, match=words): make_dls(**kwargs)


def test_a_broken_image_is_named_with_its_row(tmp_path):
    csv_file, images = write_dots(tmp_path)
    data = (images / 'dot_3.png').read_bytes()
    (images / 'dot_3.png').write_bytes(data[:len(data) // 2])
    with pytest.raises(UsageError, match=r'annotation.csv, row 5 \(dot_3.png\)'): landmark_dls(csv_file, images)


def test_spacing_of_the_csv_goes_before_the_argument(tmp_path):
    dls = landmark_dls(*write_dots(tmp_path, pixel_spacing=[0.2] * 5 + [''] * 5), image_resize=64, batch_size=2,
                       pixel_spacing=0.5)
    assert {film.name: film.frame.spacing[0] for film in dls.train_ds.items + dls.valid_ds.items} == {
        f'dot_{k}.png': np.float32(0.2 if k < 5 else 0.5) for k in range(10)}
    assert dls.annotations.spacing_source.tolist() == ['CSV'] * 5 + ['flag --pixel_spacing'] * 5


def test_a_doubtful_spacing_is_told_once_of_the_images_that_are_used(tmp_path):
    parts = ['train'] * 5 + ['val'] * 2 + ['test'] * 3
    data = write_dots(tmp_path, split=parts, pixel_spacing=[0.2] * 4 + [20] + [''] * 3 + [0.001, 3000])
    with pytest.warns(UserWarning) as caught: landmark_dls(*data, image_resize=64, batch_size=2, pixel_spacing=143)
    message, = [str(each.message) for each in caught]
    assert '3 of 7 images' in message and 'row 6 (dot_4.png)' in message and '20 mm' in message


def test_colour_keeps_three_channels(make_dls):
    assert make_dls(color=True).one_batch()[0].shape == (4, 3, 64, 64)


def test_show_batch_draws_image_points_and_masks(make_dls):
    make_dls().show_batch(max_n=2)
    axes = [ax for ax in plt.gcf().axes if ax.images]
    assert len(axes) == 2 and all(len(ax.collections) == 1 and len(ax.patches) == 2 for ax in axes)
    corners = axes[0].patches[0].get_xy()
    assert np.ptp(corners[:, 0]) == 2 * 3  # the first radius at 64 px: 25 * 64 / 512
    plt.close('all')


def test_decoding_a_batch_gives_points_in_network_px(make_dls):
    dls = make_dls(augment='none')
    batch = dls.valid.one_batch()
    image, points = dls.valid.decode(batch)
    assert isinstance(points, TensorLandmarks)
    torch.testing.assert_close(torch.Tensor(points), torch.Tensor(batch[2]))


def test_a_landmark_that_nothing_to_train_on_has_is_told(tmp_path):
    csv_file, images = write_dots(tmp_path, split=['train'] * 7 + ['val'] * 3)
    table = pd.read_csv(csv_file)
    table.loc[:6, ['knee_x', 'knee_y']] = np.nan
    table.to_csv(csv_file, index=False)
    with pytest.warns(UserWarning, match='no training image has a label of knee, which cannot be learned'):
        landmark_dls(csv_file, images, image_resize=64, batch_size=4)
    table.loc[2, ['knee_x', 'knee_y']] = -1  # absent is a label
    table.to_csv(csv_file, index=False)
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        landmark_dls(csv_file, images, image_resize=64, batch_size=4)


# --- batches

def test_batches_are_made_ahead_in_threads_and_in_order(make_dls, monkeypatch):
    dls = make_dls(augment='none', drop_last=False)
    threads, lookup = set(), SquareCache.__getitem__
    def noted(self, path):
        threads.add(current_thread())
        return lookup(self, path)
    monkeypatch.setattr(SquareCache, '__getitem__', noted)
    first = next(iter(dls.valid))
    assert threads and main_thread() not in threads
    items = [dls.valid_ds[k] for k in range(len(dls.valid_ds))]
    torch.testing.assert_close(torch.Tensor(first[0][:2]), torch.stack([torch.Tensor(i[0]) for i in items]) / 255)


def test_a_mistake_in_a_thread_reaches_the_loop(make_dls, monkeypatch):
    dls = make_dls(cache='none')
    def fail(self, item): raise UsageError('dot_3.png: cannot be read')
    monkeypatch.setattr('landmark_fastai.data.transforms.read_pixels', fail)
    with pytest.raises(UsageError, match='dot_3.png'): next(iter(dls.train))


@pytest.mark.parametrize('drop_last, sizes', [(True, [4, 4]), (False, [4, 4, 1])])
def test_all_images_of_an_epoch_are_there_once(make_dls, drop_last, sizes):
    dls = make_dls(augment='none', drop_last=drop_last, val_fraction=0.1)
    frames = [batch[2] for batch in dls.train]
    assert [len(points) for points in frames] == sizes and len(dls.train) == len(sizes)
    assert len(torch.cat(frames).flatten(1).unique(dim=0)) == sum(sizes)


def test_worker_processes_give_the_same_batches(make_dls):
    dls = make_dls(augment='none'), make_dls(augment='none', num_workers=2)
    here, there = (next(iter(loaders.valid)) for loaders in dls)
    for mine, theirs in zip(here, there, strict=True): torch.testing.assert_close(mine, theirs, equal_nan=True)


@pytest.mark.parametrize('argument, words', [
    ({'n_landmarks': '2'}, ['n_landmarks', "'2'"]), ({'seed': -1}, ['seed', '-1']),
    ({'val_fraction': 1}, ['val_fraction']),
    ({'num_workers': 0.5}, ['num_workers', '0.5']), ({'split': ['train', 'val']}, ['split', '(2,)', '10']),
    ({'split': ['train'] * 9 + ['valid']}, ['split', "'valid'"]), ({'split': ['train'] * 10}, ['split val'])])
def test_arguments_are_checked_as_the_flags_are(make_dls, argument, words):
    with pytest.raises(UsageError) as e: make_dls(**argument)
    assert all(word in str(e.value) for word in words), e.value


def test_a_gpu_that_pytorch_cannot_use_is_told(monkeypatch):
    monkeypatch.setattr(loaders, 'default_device', lambda: torch.device('cpu'))
    monkeypatch.setattr(loaders, 'which', lambda program: None)
    with warnings.catch_warnings(record=True) as caught: assert loaders.usable_device(None).type == 'cpu'
    assert not caught
    monkeypatch.setattr(loaders, 'which', lambda program: f'/usr/bin/{program}')
    monkeypatch.setattr(torch.version, 'cuda', None)
    with pytest.warns(UserWarning, match=r'NVIDIA GPU, but PyTorch .* is built for the CPU alone.*#no-gpu\)'):
        loaders.usable_device(None)
    monkeypatch.setattr(torch.version, 'cuda', '13.0')
    with pytest.warns(UserWarning, match='finds no driver for CUDA 13.0'): loaders.usable_device(None)
