"A second stage from `train --refine` to `predict`: its files, its resuming, and the first stage that stays."

import json
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from helpers import write_dots, write_unlabelled_validation

from landmark_fastai import UsageError, cli, evaluate, load, predict
from landmark_fastai.config import TrainConfig, read_config
from landmark_fastai.data.crops import CropField, crops_of_epoch
from landmark_fastai.data.items import AnnotatedImage, make_frame
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.inference.refining import RefinedPredictor
from landmark_fastai.model.facts import read_facts
from landmark_fastai.training.refine import check_refinable, choose_field, describe, refine
from landmark_fastai.training.train import train

SMALL = dict(image_resize=64, batch_size=4, encoder_name='timm-mobilenetv3_small_minimal_100', encoder_weights='none',
             epochs=3, refine=True, refine_resize=64, refine_epochs=3)


class Stopped(Exception):
    "What stops a training in these tests."


class StopAfter(Callback):
    "Stop in the middle of the epoch that follows `n` others of the stage whose folder is called `stage`."
    def __init__(self, stage, n): self.stage, self.n = stage, n

    def after_batch(self):
        if self.training and self.iter == 1 and len(self.history.rows) == self.n and self.path.name == self.stage:
            raise Stopped('here')


@pytest.fixture(scope='module')
def where(dots, tmp_path_factory):
    return dict(train_image_dir=dots[1], label_dir=dots[0].parent, train_csv_file=dots[0].name,
                output_dir=tmp_path_factory.mktemp('refined'))


class Begins(Callback):
    "Keep the weights that each stage begins with, by the name of its folder."
    def __init__(self): self.weights = {}

    def before_fit(self):
        self.weights[self.path.name] = {key: value.clone() for key, value in self.model.state_dict().items()}


@pytest.fixture(scope='module')
def begins(): return Begins()


@pytest.fixture(scope='module')
def run(where, begins):
    "The folder of a run of two stages. Not to be changed."
    train(**where, **SMALL, experiment_name='run', cbs=begins)
    return where['output_dir'] / 'run'


def log(folder): return (folder / 'train_results' / 'training_log.csv').read_text()


def test_the_second_stage_is_a_run_in_a_folder_of_its_own(run):
    first, second = read_config(run), read_config(run / 'refine')
    assert first.refine and not second.refine
    assert (second.image_resize, second.epochs, second.encoder_name) == (64, 3, first.encoder_name)
    assert len(pd.read_csv(run / 'refine' / 'train_results' / 'training_log.csv')) == 3
    crop = read_facts(run / 'refine').crop
    assert read_facts(run).crop is None and crop.film >= 64 and 0.1 <= crop.jitter <= 0.3
    assert (run / 'refine' / 'weight' / 'best.pth').is_file() and (run / 'refine' / 'graph').is_dir()
    assert not (run / 'refine' / 'report.html').exists()


def test_pictures_of_a_crop_show_its_landmark_alone(run):
    first, second = (iio.imread(sorted(folder.glob('visualization/Epoch3/*true_masks.png'))[0])
                     for folder in (run, run / 'refine'))
    assert second.shape[0] == pytest.approx(first.shape[0], rel=0.1) and second.shape[1] < 0.7 * first.shape[1]


def test_it_starts_from_the_weights_of_the_first_stage(run, begins):
    first = torch.load(run / 'weight' / 'best.pth', weights_only=True)
    assert all(torch.equal(value, first[key]) for key, value in begins.weights['refine'].items())


def test_the_report_tells_both_stages_apart(run):
    page = (run / 'report.html').read_text()
    assert 'Both stages' in page and 'crops not taken' in page
    table = pd.read_csv(run / 'validation' / 'predictions.csv')
    assert set(table.head_stage) <= {'first', 'refined', 'both'}
    notes = json.loads((run / 'validation' / 'summary.json').read_text())['notes']
    assert any('The second stage takes the mean error from' in note for note in notes)


def test_predict_uses_both_stages_and_the_first_alone_is_what_it_was(run, where, dots, tmp_path):
    paths = sorted(dots[1].iterdir())[:3]
    both, one = load(run), load(run, refine=False)
    assert isinstance(both, RefinedPredictor) and not isinstance(one, RefinedPredictor)
    found = both.predict(paths)
    np.testing.assert_array_equal(found.first, one.predict(paths).points)
    assert (found.points != found.first).any()
    predict(str(dots[1]), str(tmp_path / 'both'), model=str(run), no_overlays=True)
    predict(str(dots[1]), str(tmp_path / 'one'), model=str(run), no_overlays=True, no_refine=True)
    both, one = (pd.read_csv(tmp_path / name / 'predictions.csv') for name in ('both', 'one'))
    assert 'head_stage' in both and 'head_stage' not in one
    assert (both.head_x != one.head_x).any()
    again = load(run, refine=False).predict(sorted(dots[1].iterdir()))
    np.testing.assert_array_equal(one[['head_x', 'head_y']], again.points[:, 0])


def test_evaluate_shows_both_stages(run, dots, tmp_path, capsys):
    evaluate(str(dots[1]), str(dots[0]), str(tmp_path / 'out'), model=str(run), no_overlays=True)
    assert 'Both stages' in (tmp_path / 'out' / 'report.html').read_text()
    assert 'The second stage takes the mean error from' in capsys.readouterr().out


def test_the_second_stage_alone_is_no_model_of_images(run, dots, tmp_path, capsys):
    argv = ['--image_dir', str(dots[1]), '--output_dir', str(tmp_path / 'out'), '--model', str(run / 'refine')]
    assert cli.main(['predict', *argv]) == 2
    line = capsys.readouterr().err
    assert 'second stage' in line and 'refine' in line and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('stage, n', [
    ('refine', 2), *(pytest.param(*case, marks=pytest.mark.slow) for case in (('stopped', 2), ('refine', 0)))])
def test_a_run_that_was_stopped_in_either_stage_gives_the_logs_of_one_that_never_was(run, where, stage, n, tmp_path):
    there = where | {'output_dir': tmp_path}
    with pytest.raises(Stopped): train(**there, **SMALL, experiment_name='stopped', cbs=StopAfter(stage, n))
    train(**there, experiment_name='stopped', resume=True)
    stopped = tmp_path / 'stopped'
    assert log(stopped) == log(run) and log(stopped / 'refine') == log(run / 'refine')
    assert read_facts(stopped / 'refine').crop == read_facts(run / 'refine').crop
    for name in ('predictions.csv', 'distances.csv'):
        assert (stopped / 'validation' / name).read_text() == (run / 'validation' / name).read_text()


@pytest.mark.slow
def test_folds_are_refined_and_make_an_ensemble(where, dots):
    train(**where, **SMALL | dict(epochs=1, refine_epochs=1), experiment_name='folds', folds=2)
    folder = where['output_dir'] / 'folds'
    assert all((folder / f'fold_{k}' / 'refine' / 'weight' / 'best.pth').is_file() for k in (1, 2))
    predictor = load(folder)
    assert len(predictor.seconds) == 2 and len(predictor.weights) == 4
    assert np.isfinite(predictor.predict(sorted(dots[1].iterdir())[0]).points).all()


@pytest.fixture(scope='module')
def plain(where):
    "The folder of a run of the first stage alone. Not to be changed."
    train(**where, **SMALL | {'refine': False}, experiment_name='plain')
    return where['output_dir'] / 'plain'


@pytest.mark.slow
def test_a_second_stage_is_added_to_a_finished_run_which_stays(run, plain, where, tmp_path, dots):
    before = {path: path.read_bytes() for path in plain.rglob('*') if path.is_file()}
    train(from_run=str(plain), refine=True, refine_resize=64, refine_epochs=3, experiment_name='added',
          output_dir=tmp_path)
    added = tmp_path / 'added'
    assert {path: path.read_bytes() for path in plain.rglob('*') if path.is_file()} == before
    assert log(added) == log(plain) and log(added / 'refine') == log(run / 'refine')  # as in one go
    assert (added / 'weight' / 'best.pth').read_bytes() == (plain / 'weight' / 'best.pth').read_bytes()
    path = sorted(dots[1].iterdir())[0]
    np.testing.assert_array_equal(load(added).predict(path).points, load(run).predict(path).points)
    assert read_config(added).from_run == str(plain) and read_config(added).epochs == 3


@pytest.mark.slow
def test_an_added_second_stage_that_was_stopped_goes_on(run, plain, tmp_path):
    more = dict(from_run=str(plain), refine=True, refine_resize=64, refine_epochs=3, output_dir=tmp_path)
    with pytest.raises(Stopped): train(**more, experiment_name='added', cbs=StopAfter('refine', 1))
    train(output_dir=tmp_path, experiment_name='added', resume=True)
    assert log(tmp_path / 'added' / 'refine') == log(run / 'refine')


@pytest.mark.parametrize('given, words', [
    ({'epochs': 4}, ['epochs 3', '4']), ({'lr': 1e-4}, ['lr', '0.0001']), ({'seed': 3}, ['seed 42', '3'])])
def test_the_first_stage_of_a_finished_run_cannot_be_another(plain, tmp_path, given, words):
    with pytest.raises(UsageError) as e: train(from_run=str(plain), refine=True, output_dir=tmp_path, **given)
    assert all(word in str(e.value) for word in [str(plain), *words])


def test_a_second_stage_is_for_the_data_of_its_run(run, plain, tmp_path):
    csv_file, images = write_dots(tmp_path, n=12, seed=3)
    there = dict(train_image_dir=images, label_dir=tmp_path, output_dir=tmp_path / 'runs')
    with pytest.raises(UsageError, match='dot_10.png'): train(**there, from_run=str(plain), refine=True)
    csv_file, images = write_dots(tmp_path / 'other', seed=3)
    there = dict(train_image_dir=images, label_dir=csv_file.parent, output_dir=tmp_path / 'runs')
    with pytest.raises(UsageError, match='other annotations'): train(**there, from_run=str(plain), refine=True)
    with pytest.raises(UsageError, match='second stage already'): train(from_run=str(run), refine=True)
    assert not (tmp_path / 'runs').exists()


def test_without_a_validation_label_nothing_tells_how_far_the_first_stage_is_off(tmp_path):
    csv_file, images = write_unlabelled_validation(tmp_path)
    with pytest.raises(UsageError, match='refine'):
        train(train_image_dir=images, label_dir=tmp_path, train_csv_file=csv_file.name, output_dir=tmp_path / 'runs',
              **SMALL)
    assert not (tmp_path / 'runs').exists()


STATE = np.array([[VISIBLE, ABSENT]] * 9 + [[UNLABELLED, UNLABELLED]] + [[VISIBLE] * 2] * 2)  # of 12 images
SPLIT = np.array(['train'] * 10 + ['val'] * 2)


def test_an_epoch_has_so_many_crops_of_an_image_at_most():
    assert crops_of_epoch(STATE) == 9 + 0 + 2 * 2
    assert crops_of_epoch(np.full((3, 7), VISIBLE)) == 3 * 4


@pytest.mark.parametrize('flags, words', [
    (dict(batch_size=5), ['has 9 crops', 'a step of it 10', 'a batch_size of 4 at most']),
    (dict(batch_size=4, drop_last=False), ['a batch of one image'])])
def test_fewer_crops_than_a_step_takes_are_refused_before_the_first_stage(flags, words):
    pooled = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.BatchNorm2d(3))
    with pytest.raises(UsageError) as e: check_refinable(TrainConfig(**flags), pooled, STATE, SPLIT)
    assert all(word in str(e.value) for word in words)
    check_refinable(TrainConfig(batch_size=4), pooled, STATE, SPLIT)


def test_a_first_stage_that_sees_nothing_is_told(tmp_path):
    image = AnnotatedImage('', '', np.ones((2, 2)), np.array([VISIBLE, ABSENT]), make_frame((9, 9), (1, 1), 64), 64)
    dls = SimpleNamespace(valid_ds=SimpleNamespace(items=[image] * 3))
    first = SimpleNamespace(predict=lambda paths: SimpleNamespace(points=np.full((3, 2, 2), np.nan)))
    with pytest.raises(UsageError, match='the first stage calls all landmarks of the validation images absent'):
        refine(TrainConfig(output_dir=tmp_path), first, dls)


# --- how much of a film a crop shows

def field(error, size=(1000, 800), **flags):
    "The field for errors of `error` px in x on images of `size`."
    frame = make_frame(size, (np.nan, np.nan), 256)
    image = AnnotatedImage('', '', np.array([[300., 300.]]), np.array([0]), frame, 256)
    config = TrainConfig(image_resize=256, refine_resize=128, **flags)
    return choose_field(config, [image] * 5, np.tile(image.points + (error, 0), (5, 1, 1)))


def test_a_film_is_as_sharp_as_the_images_where_the_first_stage_is_near_enough():
    assert field(10) == (1000, 128, pytest.approx(1.5 * 10 / 128))
    assert field(1) == (1000, 128, 0.1)


def test_a_film_is_coarser_where_the_first_stage_is_far_off_but_never_than_it_saw():
    film = field(50).film
    assert film == round(0.3 * 128 / (1.5 * 50 / 1000)) == 512 and field(50).jitter == pytest.approx(0.3)
    assert field(400).film == 256


def test_a_scale_that_is_given_counts():
    assert field(10, refine_scale=0.5) == (500, 128, 0.1)
    assert field(50, refine_scale=1.).film == 1000


@pytest.mark.parametrize('film, native, scale, words', [
    (1024, 1024, None, None), (512, 2400, None, None), (460, 460, None, '--image_resize, without refine'),
    (256, 200, 1.2, '--image_resize, without refine'), (460, 2400, None, 'more --epochs'),
    (480, 2400, 0.2, 'a larger --refine_scale')])
def test_crops_that_are_hardly_sharper_than_the_first_stage_are_told(film, native, scale, words):
    config = TrainConfig(image_resize=256, refine_scale=scale)
    text = describe(CropField(film, 128, 0.25), config, [image_of(native)])
    assert f'films of {film} px' in text and '32 px off' in text
    assert ('expect little' in text) == bool(words)
    if words: assert words in text and f'{film / 256:.1f} times' in text


def image_of(side):
    "An image of `side` x 50 px, with one landmark."
    return AnnotatedImage('', '', np.array([[30., 30.]]), np.array([0]), make_frame((side, 50), (1, 1), 64), 64)


def test_the_film_is_that_of_an_image_of_median_size():
    images = [image_of(side) for side in (400, 500, 900)]
    config = TrainConfig(image_resize=64, refine_resize=64)
    assert choose_field(config, images, np.full((3, 1, 2), 30.)).film == 500
