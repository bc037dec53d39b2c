"Predicting: geometry to the original pixel for every kind of file, states, and the models of an ensemble."

import cv2
import numpy as np
import pytest
import torch
from helpers import DiscFinder, disc_finder, discs, write_dicom, write_discs
from PIL import Image
from torch import nn

from landmark_fastai import UsageError
from landmark_fastai.config import TrainConfig
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.inference.predictor import Predictor
from landmark_fastai.inference.torch_engine import TorchEngine

POINTS = {'landscape': (3000, 2400, [[700.25, 1900.5], [2250.75, 420.]]),
          'portrait': (2000, 3000, [[333.3, 2600.6], [1650., 500.5]]),
          'square': (2500, 2500, [[1250., 1249.5], [2350.5, 149.]])}


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


def test_points_lie_on_the_image_whatever_the_network_says():
    class Corner(nn.Module):
        def forward(self, x):
            return x.new_zeros(len(x), 2, *x.shape[2:]).index_fill(3, torch.tensor(x.shape[-1] - 1), 9)
    found = disc_finder(64, Corner()).predict([np.zeros((77, 131), np.uint8)])
    assert (found.points >= 0).all() and (found.points <= [130, 76]).all()


def test_absence_is_told_only_of_landmarks_that_were_absent_in_training():
    image = discs(200, 200, [[50, 60], [150, 140]])
    image[image == 255] = 128  # no white disc
    class Offset(DiscFinder):
        def forward(self, x): return super().forward(x) + 10  # 0.5 is far from either: sigmoid near 0 where it is not
    for presence, state in (([], VISIBLE), (['grey'], VISIBLE), (['white'], ABSENT)):
        found = disc_finder(64, Offset(), presence=presence).predict([image])
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
    found = disc_finder(64, Broken()).predict([np.zeros((50, 60), np.uint8)])
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


@pytest.mark.parametrize('image, words', [
    (5, ['int', 'path']), (None, ['NoneType']), ([None], ['NoneType']), (Image.new('L', (9, 9)), ['Image', 'uint8']),
    (np.zeros((9, 9)), ['float64', 'uint8']), (np.zeros((9, 9, 3), np.uint8), ['(9, 9, 3)', '(H, W)']),
    (np.zeros((0, 9), np.uint8), ['(0, 9)', 'pixels']), ('', ['no such file'])])
def test_what_is_no_image_is_named(image, words):
    with pytest.raises(UsageError) as error: disc_finder(64).predict(image)
    assert all(word in str(error.value) for word in words), error.value


# --- ensembles

class Shifted(DiscFinder):
    "A `DiscFinder` that finds everything `x` network px to the right."
    def __init__(self, x):
        super().__init__()
        self.x = x

    def forward(self, x): return super().forward(x).roll(self.x, -1)


def test_the_models_of_an_ensemble_are_averaged_and_their_spread_is_in_original_px():
    image = discs(512, 512, [[200.5, 200.5], [300.5, 400.5]])
    found = disc_finder(128, Shifted(-2), Shifted(2)).predict([image])
    np.testing.assert_allclose(found.spread[0], 4 * 8 ** 0.5, atol=0.1)  # 2 px each from their mean: sqrt((4 + 4) / 1)
    np.testing.assert_allclose(found.points[0], [[200.5, 200.5], [300.5, 400.5]], atol=8)
    agreed = disc_finder(128, *[Shifted(0)] * 3).predict([image])
    assert agreed.spread.max() < 1e-3
    alone = disc_finder(128, Shifted(0)).predict([image])
    assert np.isnan(alone.spread).all()
    np.testing.assert_allclose(agreed.points, alone.points, atol=1e-3)


def test_an_ensemble_is_not_trained_on():
    with pytest.raises(UsageError, match='ensemble of 2 models'): disc_finder(64, DiscFinder(), DiscFinder()).learner()


@pytest.mark.parametrize('flags, words', [
    (dict(min_confidence=2), ['min_confidence', '2', 'at most 1']), (dict(min_confidence=-0.1), ['at least 0']),
    (dict(min_confidence=float('nan')), ['min_confidence', 'nan']), (dict(tta='yes'), ['tta', "'yes'"])])
def test_flags_of_a_prediction_are_checked_as_on_the_command_line(flags, words):
    with pytest.raises(UsageError) as error: disc_finder(64).predict(discs(60, 60, ((20, 20), (40, 40))), **flags)
    assert all(word in str(error.value) for word in words), error.value


def test_a_notebook_shows_points_and_the_first_images_and_escapes_their_names(tmp_path):
    path = tmp_path / '<b>a.png'
    write_discs(path)
    found = disc_finder(64).predict([path] * 6)
    html = found._repr_html_()
    assert '6 images, 2 landmarks: 12 points found' in html and '... and 2 images more' in html
    assert html.count('<img') == 4 and html.count('<tr>') == 1 + 4 * 2
    assert '&lt;b&gt;a.png' in html and '<b>a' not in html and f'{found.points[0, 0, 0]:.2f}' in html
    path.unlink()
    assert '<img' not in found._repr_html_()
    assert found._replace(state=found.state)._repr_html_() is None  # which knows no images


def test_a_notebook_shows_what_is_no_point(tmp_path):
    found = disc_finder(64).predict([np.zeros((50, 60), np.uint8)], min_confidence=1)
    html = found._repr_html_()
    assert 'image 0' in html and html.count('uncertain') == 2 and ': 0 points found' in html


def test_points_are_read_in_float32_of_a_network_in_bf16():
    "The centre of a disc is up to its radius off the pixel that is the peak: of that bf16 keeps 8 bits."
    image = discs(600, 500, ((201.3, 150.4), (403.7, 262.1)))
    expected = disc_finder().predict(image)
    engine = TorchEngine([DiscFinder()], TrainConfig(), disc_finder().facts, 'cpu', 'bf16')
    found = Predictor(engine, TrainConfig(), disc_finder().facts).predict(image)
    np.testing.assert_allclose(found.points, expected.points, atol=1e-3)
    np.testing.assert_allclose(found.expected_error, expected.expected_error, rtol=1e-4)
