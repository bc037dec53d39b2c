"Predicting: geometry to the original pixel for every kind of file, views averaged right, weights old and new."

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import DiscFinder, disc_finder, discs, original_weights, write_dicom, write_dots
from PIL import Image
from torch import nn

import landmark_fastai
from landmark_fastai import UsageError, landmark_dls
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.inference.calibration import calibrate, flat_landmarks, look_at
from landmark_fastai.inference.loading import load, load_original
from landmark_fastai.inference.predictor import Predictor
from landmark_fastai.inference.views import warp

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


def test_views_are_padded_with_black():
    seen = []
    class Watcher(DiscFinder):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)
    config = disc_finder(64).config | {'mean': [0.5] * 3, 'std': [0.5] * 3}
    Predictor([Watcher()], config, 'cpu').predict([np.zeros((50, 60), np.uint8)], tta=True)
    assert len(seen) == 7 and all((x == -1).all() for x in seen)


def test_points_lie_on_the_image_whatever_the_network_says():
    class Corner(nn.Module):
        def forward(self, x):
            return x.new_zeros(len(x), 2, *x.shape[2:]).index_fill(3, torch.tensor(x.shape[-1] - 1), 9)
    found = Predictor([Corner()], disc_finder(64).config, 'cpu').predict([np.zeros((77, 131), np.uint8)])
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
    config = disc_finder(128, flip_pairs='grey:white').config
    plain, averaged = (Predictor([Sides()], config, 'cpu').predict([image], tta=tta) for tta in (False, True))
    np.testing.assert_allclose(plain.points[0], points, atol=4)
    np.testing.assert_allclose(averaged.points[0], points, atol=4)
    # without the exchange of channels the views would contradict each other
    unmirrored = Predictor([Sides()], config, 'cpu')
    unmirrored.mirrored = [0, 1]
    assert np.abs(unmirrored.predict([image], tta=True).confidence[0] - averaged.confidence[0]).max() > 0.2


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
    known = disc_finder(64).config
    for presence, state in (([], VISIBLE), (['grey'], VISIBLE), (['white'], ABSENT)):
        found = Predictor([Offset()], known | {'presence': presence}, 'cpu').predict([image])
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
    found = Predictor([Broken()], disc_finder(64).config, 'cpu').predict([np.zeros((50, 60), np.uint8)])
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


# --- loading

def test_a_run_folder_is_all_that_is_needed(finished, tmp_path, monkeypatch):
    for name in ('config.json', 'weight/best.pth'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(finished / name, tmp_path / name)
    def refuse(*_, **__): raise AssertionError('asked the network')
    monkeypatch.setattr('socket.socket.connect', refuse)
    image = finished.parent.parent / 'images' / 'dot_0.png'
    found = landmark_fastai.load(tmp_path).predict([image])
    assert found.points.shape == (1, 2, 2) and np.isfinite(found.points).all()


def test_predictions_are_those_of_the_learner(finished):
    dls = landmark_dls(finished.parent.parent / 'annotation.csv', finished.parent.parent / 'images', image_resize=64,
                       batch_size=4)
    model, images = load(finished), [film.path for film in dls.valid_ds.items]
    learn = model.learner(dls)
    with learn.no_bar(), learn.no_logging(): expected = [np.array(learn.predict(image)[0]) for image in images]
    np.testing.assert_allclose(model.predict(images).points, expected, atol=2e-3)


def test_without_data_the_learner_takes_those_of_the_run(finished):
    learn = load(finished).learner()
    assert len(learn.dls.train_ds) == 8 and learn.erosion_schedule.total_epochs is None


def test_a_learner_on_other_landmarks_is_refused(finished, tmp_path):
    csv_file, images = write_dots(tmp_path, names=('knee', 'head'))
    with pytest.raises(UsageError, match='knee, head; the model has the 2 landmarks head, knee'):
        load(finished).learner(landmark_dls(csv_file, images, image_resize=64, batch_size=4))


def test_last_weights_do_where_there_are_no_best_ones(finished, tmp_path):
    shutil.copytree(finished / 'weight', tmp_path / 'weight')
    shutil.copy(finished / 'config.json', tmp_path)
    (tmp_path / 'weight' / 'best.pth').unlink()
    last = torch.load(tmp_path / 'weight' / 'last.ckpt', weights_only=True)['model']
    with pytest.warns(UserWarning, match='no weight/best.pth: its last weights are taken'):
        model = load(tmp_path).models[0]
    assert all(torch.equal(value, last[key]) for key, value in model.state_dict().items())


def break_weights(run): (run / 'weight' / 'best.pth').write_bytes(b'junk')


def other_encoder(run):
    config = (run / 'config.json').read_text()
    (run / 'config.json').write_text(config.replace('"resnet18"', '"resnet34"'))


@pytest.mark.parametrize('damage, words', [
    (lambda run: shutil.rmtree(run), 'no such folder'),
    (lambda run: (run / 'config.json').unlink(), 'no config.json that can be read'),
    (lambda run: (run / 'config.json').write_text('{'), 'config.json is damaged'),
    (lambda run: (run / 'config.json').write_text('[]'), 'lacks arch, encoder_name'),
    (lambda run: shutil.rmtree(run / 'weight'), r'no weight/best.pth, expected the folder of a training'),
    (break_weights, 'best.pth cannot be read as weights'),
    (lambda run: torch.save([1], run / 'weight' / 'best.pth'), 'holds a list, expected a state dict'),
    (other_encoder, 'does not fit unet with resnet34'),
])
def test_a_damaged_run_is_one_clear_line(finished, tmp_path, damage, words):
    run = tmp_path / 'run'
    shutil.copytree(finished, run)
    damage(run)
    with pytest.raises(UsageError, match=words) as error: load(run)
    assert '\n' not in str(error.value)


def test_code_in_weights_is_never_run(finished, tmp_path):
    class Evil:
        def __reduce__(self): return open, (str(tmp_path / 'owned'), 'w')
    torch.save({'x': Evil()}, tmp_path / 'evil.pth')
    with pytest.raises(UsageError, match='cannot be read as weights'): load_original(tmp_path / 'evil.pth')
    assert not (tmp_path / 'owned').exists()


def test_weights_of_the_original_system_see_images_as_it_did(tmp_path):
    model, weights = original_weights(tmp_path)
    image = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    mean, std = (np.array(values, np.float32) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.inference_mode():
        logits = model(torch.from_numpy((image / np.float32(255) - mean) / std).permute(2, 0, 1)[None])[0]
    y, x = np.unravel_index(logits.flatten(1).argmax(1), (512, 512))
    found = load_original(weights, 'resnet18', n_landmarks=3).predict([image])
    np.testing.assert_array_equal(found.points[0], np.stack([x, y], 1))
    assert load_original(weights, 'resnet18', decode='centroid').predict([image]).points[0, 0, 0] != x[0]


@pytest.mark.parametrize('arguments, words', [
    (dict(encoder_name='resnet18', n_landmarks=2), 'n_landmarks is 2, but .* has 3 landmarks'),
    (dict(encoder_name='resnet34'), 'does not fit unet with resnet34'),
    (dict(encoder_name='resnet19'), "encoder_name 'resnet19'"),
    (dict(encoder_name='resnet18', decode='max'), "decode 'max' is unknown"),
])
def test_weights_of_another_network_are_refused(tmp_path, arguments, words):
    _, weights = original_weights(tmp_path)
    with pytest.raises(UsageError, match=words): load_original(weights, **arguments)


def test_weights_that_are_none_are_refused(tmp_path):
    with pytest.raises(UsageError, match='no such file'): load_original(tmp_path / 'no.pth')
    torch.save({'x': torch.zeros(1)}, tmp_path / 'x.pth')
    with pytest.raises(UsageError, match='no segmentation head'): load_original(tmp_path / 'x.pth')

    with pytest.raises(UsageError, match=r'3 landmarks \(a, b, c\), but .* has 2'):
        load_original(original_weights(tmp_path, n_landmarks=2)[1], 'resnet18', names=['a', 'b', 'c'])


# --- ensembles

class Shifted(DiscFinder):
    "A `DiscFinder` that finds everything `x` network px to the right."
    def __init__(self, x):
        super().__init__()
        self.x = x

    def forward(self, x): return super().forward(x).roll(self.x, -1)


def test_the_models_of_an_ensemble_are_averaged_and_their_spread_is_in_original_px():
    config = disc_finder(128).config
    image = discs(512, 512, [[200.5, 200.5], [300.5, 400.5]])
    found = Predictor([Shifted(-2), Shifted(2)], config, 'cpu').predict([image])
    np.testing.assert_allclose(found.spread[0], 4 * 8 ** 0.5, atol=0.1)  # 2 px each from their mean: sqrt((4 + 4) / 1)
    np.testing.assert_allclose(found.points[0], [[200.5, 200.5], [300.5, 400.5]], atol=8)
    agreed = Predictor([Shifted(0)] * 3, config, 'cpu').predict([image])
    assert agreed.spread.max() < 1e-3
    alone = Predictor([Shifted(0)], config, 'cpu').predict([image])
    assert np.isnan(alone.spread).all()
    np.testing.assert_allclose(agreed.points, alone.points, atol=1e-3)


def test_an_ensemble_is_not_trained_on():
    with pytest.raises(UsageError, match='ensemble of 2 models'): Predictor([DiscFinder()] * 2, disc_finder(64).config,
                                                                             'cpu').learner()


# --- calibration of the confidence

def test_the_confidence_is_calibrated_by_the_errors_on_training_images(tmp_path):
    csv_file, images = write_dots(tmp_path, names=('grey', 'white'), sizes=((128, 128),))
    table = pd.read_csv(csv_file)
    for row in table.itertuples():
        points = [[row.grey_x, row.grey_y], [row.white_x, row.white_y]]
        cv2.imwrite(str(images / row.image_name), discs(128, 128, points))
    table['white_x'] -= 4  # clicked 4 px beside what is found: 2 px on the square
    table.loc[::2, ['grey_x', 'grey_y']] = np.nan  # and not on all images
    table.to_csv(csv_file, index=False)
    dls, finder = landmark_dls(csv_file, images, image_resize=64, batch_size=4), disc_finder(64)
    films = dls.train_ds.items
    before = finder.predict([film.path for film in films])
    factors = calibrate(finder, *look_at(finder, dls.train_ds))
    errors = np.linalg.norm(before.points - np.stack([film.points for film in films]), axis=-1) / 2
    scatters = 0.04 * 64 * (1 / before.confidence - 1)
    labelled = np.isfinite(errors)
    expected = [errors[labelled[:, k], k].mean() / scatters[labelled[:, k], k].mean() for k in (0, 1)]
    np.testing.assert_allclose(factors, expected, rtol=0.01)
    assert errors[:, 1].mean() == pytest.approx(2, abs=0.3) and factors[1] > 2 * factors[0]
    after = finder.predict([film.path for film in films])
    np.testing.assert_allclose(0.04 * 64 * (1 / after.confidence[:, 1] - 1).mean(), errors[:, 1].mean(), rtol=0.01)


def test_a_run_keeps_its_calibration_and_an_earlier_version_has_none(finished, tmp_path):
    factors = json.loads((finished / 'config.json').read_text())['calibration']
    assert len(factors) == 2 and min(factors) > 0
    np.testing.assert_allclose(load(finished).calibration, factors, rtol=1e-6)
    shutil.copytree(finished / 'weight', tmp_path / 'weight')
    config = json.loads((finished / 'config.json').read_text())
    del config['calibration']
    (tmp_path / 'config.json').write_text(json.dumps(config))
    assert load(tmp_path).calibration.tolist() == [1, 1]


class Half(DiscFinder):
    "A `DiscFinder` whose second channel is the same everywhere, or nearly."
    def forward(self, x):
        found = super().forward(x)
        return torch.cat([found[:, :1], 0.01 * torch.rand_like(found[:, 1:])], 1)


def test_a_landmark_without_a_peak_is_told(tmp_path):
    csv_file, images = write_dots(tmp_path, names=('grey', 'white'), sizes=((128, 100),))
    for row in pd.read_csv(csv_file).itertuples():
        points = [[row.grey_x, row.grey_y], [row.white_x, row.white_y]]
        cv2.imwrite(str(images / row.image_name), discs(128, 100, points))
    dls = landmark_dls(csv_file, images, image_resize=64, batch_size=4)
    for network, flat in ((DiscFinder(), []), (Half(), ['white'])):
        finder = Predictor([network], disc_finder(64).config, 'cpu')
        assert flat_landmarks(finder, look_at(finder, dls.train_ds)[1]) == flat
