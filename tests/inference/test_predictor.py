"Predicting: geometry to the original pixel for every kind of file, views averaged right, models of an ensemble too."

import cv2
import numpy as np
import pytest
import torch
from helpers import DiscFinder, disc_finder, discs, write_dicom
from PIL import Image
from torch import nn

from landmark_fastai import UsageError
from landmark_fastai.config import TrainConfig
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.inference.predictor import Predictor
from landmark_fastai.inference.views import warp
from landmark_fastai.model.facts import ModelFacts

POINTS = {'landscape': (3000, 2400, [[700.25, 1900.5], [2250.75, 420.]]),
          'portrait': (2000, 3000, [[333.3, 2600.6], [1650., 500.5]]),
          'square': (2500, 2500, [[1250., 1249.5], [2350.5, 149.]])}


def predictor(*models, image_resize=64, flip_pairs=None, **facts):
    "A `Predictor` of `models` that were trained on grey and white discs."
    known = dict(landmarks=['grey', 'white'], mean=[0.] * 3, std=[1.] * 3)
    config = TrainConfig.of({'image_resize': image_resize, 'flip_pairs': flip_pairs})
    return Predictor(list(models), config, ModelFacts(**known | facts), 'cpu')


@pytest.mark.parametrize('shape', POINTS)
@pytest.mark.parametrize('kind', ['png', '16-bit png', 'jpg', 'tiff', 'EXIF 6', 'EXIF 3', 'dicom', '16-bit dicom'])
def test_predictions_come_back_in_original_px(tmp_path, shape, kind):
    width, height, points = POINTS[shape]
    path = write_film(tmp_path, kind, discs(width, height, points, np.uint16 if '16' in kind else np.uint8))
    found = disc_finder().predict([path])
    assert found.size.tolist() == [[width, height]]
    np.testing.assert_allclose(found.points[0], points, atol=max(width, height) / 512 / 4)  # a quarter of a network px


def write_film(folder, kind, pixels):
    "Write `pixels` as a file of that `kind`; returns its path."
    if 'dicom' in kind:
        path = folder / 'film.dcm'
        write_dicom(path, pixels)
    elif 'EXIF' in kind:
        path, orientation = folder / 'film.jpg', int(kind[-1])
        stored = np.rot90(pixels) if orientation == 6 else np.rot90(pixels, 2)
        exif = Image.Exif()
        exif[0x112] = orientation
        Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)
    else:
        path = folder / f'film.{kind.split()[-1]}'
        cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_a_dicom_gives_the_coordinates_of_its_png(tmp_path, dtype):
    pixels = discs(900, 600, [[200.2, 400.4], [700.7, 100.1]], dtype)
    png, dicom = write_film(tmp_path, 'png', pixels), write_film(tmp_path, 'dicom', pixels)
    found = disc_finder(256).predict([png, dicom])
    np.testing.assert_array_equal(found.points[0], found.points[1])


def test_arrays_and_paths_give_the_same(tmp_path):
    pixels = discs(300, 200, [[60, 120], [240, 40]])
    found = disc_finder(128).predict([pixels, write_film(tmp_path, 'png', pixels)])
    np.testing.assert_array_equal(found.points[0], found.points[1])
    assert found.points.shape == (2, 2, 2) and found.confidence.shape == found.state.shape == (2, 2)
    assert found.size.tolist() == [[300, 200]] * 2 and (found.state == VISIBLE).all()


def test_a_single_image_may_stand_alone(tmp_path):
    pixels = discs(300, 200, [[60, 120], [240, 40]])
    path = write_film(tmp_path, 'png', pixels)
    for image in (pixels, path, str(path)): assert disc_finder(64).predict(image).points.shape == (1, 2, 2)


def test_views_are_padded_with_black():
    seen = []
    class Watcher(DiscFinder):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)
    predictor(Watcher(), mean=[0.5] * 3, std=[0.5] * 3).predict([np.zeros((50, 60), np.uint8)], tta=True)
    assert len(seen) == 7 and all((x == -1).all() for x in seen)


def test_points_lie_on_the_image_whatever_the_network_says():
    class Corner(nn.Module):
        def forward(self, x):
            return x.new_zeros(len(x), 2, *x.shape[2:]).index_fill(3, torch.tensor(x.shape[-1] - 1), 9)
    found = predictor(Corner()).predict([np.zeros((77, 131), np.uint8)])
    assert (found.points >= 0).all() and (found.points <= [130, 76]).all()


@pytest.mark.parametrize('tta', [False, True])
def test_averaging_over_views_keeps_the_place(tta):
    width, height, points = POINTS['landscape']
    found = disc_finder(256).predict([discs(width, height, points)], tta=tta)
    np.testing.assert_allclose(found.points[0], points, atol=6)  # half a network px


def test_mirror_views_give_left_to_right():
    class Sides(DiscFinder):
        "Two grey discs: channel 0 prefers the left one, channel 1 the right one."
        def forward(self, x):
            x = super().forward(x)[:, :1]
            ramp = torch.linspace(8, -8, x.shape[-1])
            return torch.cat([x + ramp, x - ramp], 1)
    image, points = np.zeros((400, 400), np.uint8), [[100.5, 150.], [320., 260.25]]
    for x, y in points: cv2.circle(image, (round(x * 16), round(y * 16)), 20 * 16, 128, -1, cv2.LINE_AA, 4)
    finder = predictor(Sides(), image_resize=128, flip_pairs='grey:white')
    plain, averaged = (finder.predict([image], tta=tta) for tta in (False, True))
    np.testing.assert_allclose(plain.points[0], points, atol=4)
    np.testing.assert_allclose(averaged.points[0], points, atol=4)
    # without the exchange of channels the views would contradict each other
    finder.mirrored = [0, 1]
    assert np.abs(finder.predict([image], tta=True).confidence[0] - averaged.confidence[0]).max() > 0.2


def test_warping_back_undoes_warping():
    image = torch.zeros(1, 1, 64, 64)
    image[..., 20:30, 40:50] = 1
    zoom, shift = torch.tensor([-0.95, 0.95]), torch.tensor([1 / 32, 0.])
    there = warp(image, zoom, shift)
    assert (there - image).abs().max() > 0.9
    back = warp(there, 1 / zoom, -shift / zoom)
    assert (back - image)[..., 22:28, 42:48].abs().max() < 1e-4 and back[..., :15, :].abs().max() < 1e-4


def test_absence_is_told_only_of_landmarks_that_were_absent_in_training():
    image = discs(200, 200, [[50, 60], [150, 140]])
    image[image == 255] = 128  # no white disc
    class Offset(DiscFinder):
        def forward(self, x): return super().forward(x) + 10  # 0.5 is far from either: sigmoid near 0 where it is not
    for presence, state in (([], VISIBLE), (['grey'], VISIBLE), (['white'], ABSENT)):
        found = predictor(Offset(), presence=presence).predict([image])
        assert found.state[0].tolist() == [VISIBLE, state]
        assert np.isnan(found.points[0, 1]).all() == np.isnan(found.confidence[0, 1]) == (state == ABSENT)


def test_uncertain_landmarks_are_left_blank():
    image = discs(200, 200, [[50, 60], [150, 140]])
    cv2.circle(image, (150, 30), 10, 255, -1)  # two white discs: half the probability each
    found = disc_finder(64).predict([image], min_confidence=0.5)
    assert found.state[0].tolist() == [VISIBLE, UNLABELLED] and np.isnan(found.points[0, 1]).all()
    assert found.confidence[0, 0] > 0.5 > found.confidence[0, 1]


def test_a_diverged_network_finds_nothing():
    class Broken(nn.Module):
        def forward(self, x): return x.new_full((len(x), 2, *x.shape[2:]), torch.nan)
    found = predictor(Broken()).predict([np.zeros((50, 60), np.uint8)])
    assert (found.state == UNLABELLED).all()


def test_unreadable_images_raise_or_are_collected(tmp_path):
    good = write_film(tmp_path, 'png', discs(200, 200, [[50, 60], [150, 140]]))
    bad = tmp_path / 'bad.png'
    bad.write_bytes(b'junk')
    with pytest.raises(UsageError, match='bad.png'): disc_finder(64).predict([good, bad])
    failed = []
    results = list(disc_finder(64).stream([bad, good, bad, good], fail=lambda *failure: failed.append(failure)))
    assert [path for path, *_ in results] == [good, good] and [path for path, _ in failed] == [bad, bad]
    with pytest.raises(UsageError, match='no images'): disc_finder(64).predict([])


# --- ensembles

class Shifted(DiscFinder):
    "A `DiscFinder` that finds everything `x` network px to the right."
    def __init__(self, x):
        super().__init__()
        self.x = x

    def forward(self, x): return super().forward(x).roll(self.x, -1)


def test_the_models_of_an_ensemble_are_averaged_and_their_spread_is_in_original_px():
    image = discs(512, 512, [[200.5, 200.5], [300.5, 400.5]])
    found = predictor(Shifted(-2), Shifted(2), image_resize=128).predict([image])
    np.testing.assert_allclose(found.spread[0], 4 * 8 ** 0.5, atol=0.1)  # 2 px each from their mean: sqrt((4 + 4) / 1)
    np.testing.assert_allclose(found.points[0], [[200.5, 200.5], [300.5, 400.5]], atol=8)
    agreed = predictor(*[Shifted(0)] * 3, image_resize=128).predict([image])
    assert agreed.spread.max() < 1e-3
    alone = predictor(Shifted(0), image_resize=128).predict([image])
    assert np.isnan(alone.spread).all()
    np.testing.assert_allclose(agreed.points, alone.points, atol=1e-3)


def test_an_ensemble_is_not_trained_on():
    with pytest.raises(UsageError, match='ensemble of 2 models'): predictor(DiscFinder(), DiscFinder()).learner()
