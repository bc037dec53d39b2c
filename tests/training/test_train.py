"End to end: every promised output is opened, the same seed gives the same log, and no run overwrites another."

import json
import re
import shutil
from functools import partialmethod
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
import segmentation_models_pytorch as smp
import torch
from fastai.callback.core import Callback
from helpers import TINY, write_dots, write_unlabelled_validation

from landmark_fastai import UsageError, cli, find_lr
from landmark_fastai import train as train_from_python
from landmark_fastai.config import TrainConfig, read_config
from landmark_fastai.flags import to_yaml
from landmark_fastai.formats.annotations import VISIBLE
from landmark_fastai.learner import LandmarkLearner
from landmark_fastai.model.facts import read_facts
from landmark_fastai.training import stage
from landmark_fastai.training.build import make_learner

GRAPHS = ['loss_curve', 'mean_landmark_error', 'mean_landmark_error_log', 'mean_dice_score', 'per_landmark_error',
          'per_landmark_error_log', 'per_landmark_dice']
MOUSE = Path(__file__).parents[3] / 'shared' / 'data' / 'mouse_mirror_12'
FIGURES = ['cumulative', 'boxes', 'vectors', 'confidence', 'worst']


def train(csv_file, images, output_dir, *argv):
    "Train a tiny model from the command line; returns the exit code."
    return cli.main(['train', '--train_image_dir', str(images), '--label_dir', str(csv_file.parent),
                     '--train_csv_file', csv_file.name, '--output_dir', str(output_dir), *TINY, *argv])


def test_run_leaves_what_was_promised_and_nothing_else(finished):
    found = {path.relative_to(finished).as_posix() for path in finished.rglob('*') if path.is_file()}
    overlays = {f'visualization/Epoch2/{k}_{kind}.png' for k in _shown(finished)
                for kind in ('true_masks', 'predicted_masks', 'coordinates')}
    frames = {f'train_results/frames/{kind}/000{n}.png' for kind in ('masks', 'coordinates') for n in (1, 2)}
    graphs = {f'graph/{name}.png' for name in GRAPHS}
    assert found == overlays | frames | graphs | {
        'weight/best.pth', 'weight/last.ckpt', 'config.yaml', 'model.json', 'split.csv',
        'train_results/training_log.csv',
        'train_results/masks.gif', 'train_results/coordinates.gif', 'report.html', 'model_card.md',
        'validation/predictions.csv', 'validation/distances.csv', 'validation/summary.json',
        'tables/errors.csv', 'tables/errors.tex',
        *(f'validation/figures/{name}.{form}' for name in FIGURES for form in ('png', 'svg', 'pdf'))}


def _shown(finished):
    split = pd.read_csv(finished / 'split.csv')
    return [f'{k + 1}_{name}' for k, name in enumerate(split.image_name[split.split == 'val'])]


def test_every_picture_opens(finished):
    pictures = [*finished.rglob('*.png')]
    assert len(pictures) > 15
    for path in pictures: assert min(iio.imread(path).shape[:2]) > 150 and iio.imread(path).std() > 5
    for path in finished.rglob('*.gif'): assert len(iio.imread(path, index=None)) == 2


def test_best_weights_load_into_a_bare_unet(finished):
    state = torch.load(finished / 'weight' / 'best.pth', weights_only=True)
    smp.Unet('resnet18', encoder_weights=None, classes=2).load_state_dict(state, strict=True)


def test_the_run_knows_its_flags_and_what_it_has_learned(finished):
    config, facts = read_config(finished), read_facts(finished)
    assert (config.epochs, config.loss, config.gif) == (2, 'dice_bce_spatial', True)
    assert (facts.landmarks, facts.mean, facts.precision) == (['head', 'knee'], [0.485, 0.456, 0.406], 'fp32')
    assert facts.versions['torch'] == version('torch') and facts.median_pixel_spacing == [0.5, 0.5]
    assert len(facts.calibration) == 2


def test_flags_of_a_run_are_never_changed_after_its_start(finished):
    assert (finished / 'config.yaml').read_text() == to_yaml(read_config(finished))
    assert (finished / 'config.yaml').stat().st_mtime_ns < (finished / 'weight' / 'best.pth').stat().st_mtime_ns


def test_split_is_eighty_to_twenty_and_complete(finished):
    split = pd.read_csv(finished / 'split.csv')
    assert len(split) == 10 and list(split.split).count('val') == 2 and list(split.split).count('train') == 8


def test_errors_are_in_original_px_and_mm_and_network_px(finished):  # trap 1
    log = pd.read_csv(finished / 'train_results' / 'training_log.csv')
    np.testing.assert_allclose(log.mean_error_mm, log.mean_error_px / 2, rtol=1e-5)
    ratio = log.mean_error_px / log.mean_dist  # images of 90 to 100 px are shown on 64
    assert ((ratio > 90 / 64 - 0.01) & (ratio < 100 / 64 + 0.01)).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_log_twice(dots, tmp_path):
    logs = []
    for name, seed in (('a', '7'), ('b', '7'), ('c', '8')):
        assert train(*dots, tmp_path, '--epochs', '2', '--seed', seed, '--experiment_name', name) == 0
        logs.append((tmp_path / name / 'train_results' / 'training_log.csv').read_text())
    assert logs[0] == logs[1] != logs[2]


@pytest.mark.slow
def test_a_run_never_overwrites_another_unless_told(dots, tmp_path, capsys):  # trap 13
    assert train(*dots, tmp_path, '--epochs', '1') == 0
    before = (tmp_path / 'baseline' / 'config.yaml').stat().st_mtime_ns
    assert train(*dots, tmp_path, '--epochs', '1') == 2
    error = capsys.readouterr().err
    assert '--overwrite' in error and '--experiment_name' in error
    assert (tmp_path / 'baseline' / 'config.yaml').stat().st_mtime_ns == before
    assert train(*dots, tmp_path, '--epochs', '1', '--overwrite') == 0
    assert (tmp_path / 'baseline' / 'config.yaml').stat().st_mtime_ns > before


def test_overwrite_spares_a_folder_that_is_no_run(dots, tmp_path, capsys):
    (tmp_path / 'baseline').mkdir()
    (tmp_path / 'baseline' / 'thesis.docx').touch()
    assert train(*dots, tmp_path, '--epochs', '1', '--overwrite') == 2
    assert 'no run folder' in capsys.readouterr().err and (tmp_path / 'baseline' / 'thesis.docx').exists()


def test_a_diverged_network_is_not_called_unlabelled(capsys):
    validation = [SimpleNamespace(state=np.array([VISIBLE]))]
    stage.say_best(TrainConfig(), SimpleNamespace(best=None), validation)
    assert 'the network diverged' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize('argv, epochs', [(['--recipe', 'original', '--image_resize', '64', '--epochs', '2'], 2),
                                          (['--schedule', 'fine_tune', '--freeze_epochs', '1', '--epochs', '1'], 2),
                                          (['--schedule', 'constant', '--epochs', '1', '--loss', 'bce'], 1)])
def test_every_recipe_and_schedule_trains(dots, tmp_path, argv, epochs):
    assert train(*dots, tmp_path, *argv) == 0
    log = pd.read_csv(tmp_path / 'baseline' / 'train_results' / 'training_log.csv')
    assert list(log.epoch) == list(range(1, epochs + 1)) and np.isfinite(log.train_loss).all()


def test_blanks_absent_landmarks_and_floats_train(tmp_path):  # trap 3
    csv_file, images = write_dots(tmp_path)
    table = pd.read_csv(csv_file, dtype=str)
    table.loc[0:3, ['head_x', 'head_y']] = ''
    table.loc[4:5, ['knee_x', 'knee_y']] = '-1'
    table.to_csv(csv_file, index=False)
    assert train(csv_file, images, tmp_path / 'runs', '--epochs', '1') == 0
    log = pd.read_csv(tmp_path / 'runs' / 'baseline' / 'train_results' / 'training_log.csv')
    assert np.isfinite(log.train_loss).all() and 'presence_accuracy' in log


@pytest.mark.slow
def test_dice_alone_with_absent_landmarks_is_warned_of(tmp_path):
    csv_file, images = write_dots(tmp_path)
    table = pd.read_csv(csv_file, dtype=str)
    table.loc[4:5, ['knee_x', 'knee_y']] = '-1'
    table.to_csv(csv_file, index=False)
    with pytest.warns(UserWarning, match='spatial_ce cannot learn absence'):
        assert train(csv_file, images, tmp_path / 'runs', '--epochs', '1', '--loss', 'spatial_ce') == 0


def test_validation_without_labels_says_why_there_is_no_best(tmp_path, capsys):  # trap 12
    csv_file, images = write_unlabelled_validation(tmp_path)
    assert train(csv_file, images, tmp_path / 'runs', '--epochs', '1') == 0
    assert 'no validation image has a visible landmark' in capsys.readouterr().out
    weight = tmp_path / 'runs' / 'baseline' / 'weight'
    assert (weight / 'last.ckpt').exists() and not (weight / 'best.pth').exists()


def test_corner_points_are_real_unless_invisible_landmarks_is_on(tmp_path):  # trap 4
    csv_file, images = write_dots(tmp_path)
    table = pd.read_csv(csv_file)
    table.loc[:, ['head_x', 'head_y']] = 20.
    table.to_csv(csv_file, index=False)
    arguments = dict(train_image_dir=images, label_dir=tmp_path, train_csv_file=csv_file.name, image_resize=64,
                  batch_size=4, encoder_name='resnet18', encoder_weights='none', output_dir=tmp_path / 'runs')
    for flag, expected in ((False, 0), (True, 10)):
        learn = make_learner(TrainConfig.of(arguments | {'invisible_landmarks': flag}))
        assert (learn.dls.annotations.state[:, 0] == 1).sum() == expected


@pytest.mark.slow
def test_find_lr_writes_its_plot_and_nothing_else_also_beside_a_run(dots, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(LandmarkLearner, 'lr_find', partialmethod(LandmarkLearner.lr_find, num_it=25))  # not 100
    (tmp_path / 'baseline').mkdir()
    argv = ['--train_image_dir', str(dots[1]), '--label_dir', str(dots[0].parent), '--train_csv_file', dots[0].name]
    assert cli.main(['find_lr', *argv, *TINY, '--output_dir', str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['baseline', 'baseline_lr_find.png']
    assert re.search(r'suggested --lr \d', capsys.readouterr().out)
    assert iio.imread(tmp_path / 'baseline_lr_find.png').std() > 5
    assert cli.main(['find_lr', *argv, *TINY, '--output_dir', str(tmp_path)]) == 2


def test_find_lr_has_nothing_to_resume(dots, tmp_path):
    with pytest.raises(UsageError, match='resume'): find_lr(**where(dots, tmp_path), resume=True)


def where(dots, output_dir):
    "The flags of a training of the dots."
    return dict(train_image_dir=dots[1], label_dir=dots[0].parent, train_csv_file=dots[0].name, output_dir=output_dir)


@pytest.mark.slow
def test_a_batch_of_one_that_a_network_cannot_train_on_is_refused_first(dots, tmp_path, capsys):
    one = ['--epochs', '1', '--batch_size', '1']
    assert train(*dots, tmp_path, *one, '--arch', 'deeplabv3plus') == 2
    assert 'batch_size' in capsys.readouterr().err and not list(tmp_path.iterdir())
    assert train(*dots, tmp_path, *one) == 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='torch.compile wants a C++ compiler')
def test_a_compiled_network_goes_all_the_way_to_its_report(dots, tmp_path):
    assert train(*dots, tmp_path, '--epochs', '1', '--compile') == 0
    assert (tmp_path / 'baseline' / 'report.html').is_file()


@pytest.mark.slow
def test_cache_and_precision_are_used_and_written_down(dots, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    assert train(*dots, tmp_path, '--epochs', '1', '--cache', 'disk', '--precision', 'bf16') == 0
    config = read_config(tmp_path / 'baseline')
    assert (config.cache, config.precision, read_facts(tmp_path / 'baseline').precision) == ('disk', 'bf16', 'bf16')
    log = pd.read_csv(tmp_path / 'baseline' / 'train_results' / 'training_log.csv')
    errors = json.loads((tmp_path / 'baseline' / 'validation' / 'summary.json').read_text())['overall']['px']['mean']
    assert errors == pytest.approx(log.mean_error_px.min(), abs=0.5)  # bf16, too, and the peaks of a new network
    squares = [path for path in (tmp_path / 'cache').rglob('*') if path.is_file()]
    assert len(squares) == 10
    squares[0].rename(squares[0].with_name('of_another_data_set'))
    assert train(*dots, tmp_path, '--epochs', '1', '--cache', 'disk', '--clear_cache', '--overwrite') == 0
    left = [path.name for path in (tmp_path / 'cache').rglob('*') if path.is_file()]
    assert sorted(left) == sorted(path.name for path in squares)


@pytest.mark.slow
def test_more_callbacks_take_part_in_a_training_from_python(dots, tmp_path):
    epochs = []
    class Note(Callback):
        def after_epoch(self): epochs.append(self.epoch)
    small = dict(image_resize=64, batch_size=4, encoder_name='resnet18', encoder_weights=None, epochs=2)
    where = dict(train_image_dir=dots[1], label_dir=dots[0].parent, train_csv_file=dots[0].name, output_dir=tmp_path)
    learn = train_from_python(**where, **small, cbs=[Note()])
    assert epochs == [0, 1] and learn.evaluation.scores.names == ['head', 'knee']
    train_from_python(**where, **small, experiment_name='folds', folds=2, cbs=Note())
    assert epochs == [0, 1] * 3


class Stop(Exception):
    "What ends a training in the next test."


@pytest.mark.parametrize('command', [train_from_python, find_lr])
def test_cudnn_is_deterministic_in_a_training_and_left_as_it_was(dots, tmp_path, monkeypatch, command):
    seen, cudnn = [], torch.backends.cudnn
    def fit(learn, *args, **kwargs):
        seen.append((cudnn.deterministic, cudnn.benchmark))
        raise Stop
    monkeypatch.setattr(LandmarkLearner, 'fit', fit)
    monkeypatch.setattr(cudnn, 'deterministic', False)
    monkeypatch.setattr(cudnn, 'benchmark', True)
    small = dict(image_resize=64, encoder_weights='none', schedule='constant')
    with pytest.raises(Stop): command(**where(dots, tmp_path), **small)
    assert seen == [(True, False)] and (cudnn.deterministic, cudnn.benchmark) == (False, True)


@pytest.mark.skipif(not MOUSE.is_dir(), reason='the mouse frames are not on this machine')
@pytest.mark.slow
def test_errors_with_gaps_are_those_computed_by_hand(tmp_path):
    "On real frames with 9 % of the points blank: the log and the summary against predictions.csv and the annotations."
    csv_file = MOUSE / 'annotation_all17_with_gaps.csv'
    highest = '--shape', 'False'  # as the log has it
    assert train(csv_file, MOUSE / 'images', tmp_path, '--epochs', '1', *highest) == 0
    found = pd.read_csv(tmp_path / 'baseline' / 'validation' / 'predictions.csv', index_col='image_name')
    true = pd.read_csv(csv_file, index_col='image_name').loc[found.index]
    names = [column[:-2] for column in true if column.endswith('_x')]
    distances = np.array([np.hypot(found[f'{name}_x'] - true[f'{name}_x'], found[f'{name}_y'] - true[f'{name}_y'])
                          for name in names])
    assert 0.02 < np.isnan(distances).mean() < 0.3
    log = pd.read_csv(tmp_path / 'baseline' / 'train_results' / 'training_log.csv')
    assert log.mean_error_px[0] == pytest.approx(np.nanmean(distances), abs=2e-3)
    summary = json.loads((tmp_path / 'baseline' / 'validation' / 'summary.json').read_text())
    assert summary['overall']['px']['mean'] == pytest.approx(np.nanmean(distances), abs=2e-3)
    for k, name in enumerate(names):
        if np.isnan(distances[k]).all(): continue
        assert log[f'{name}_px'][0] == pytest.approx(np.nanmean(distances[k]), abs=2e-3)
        assert summary['landmarks'][name]['px']['n'] == np.isfinite(distances[k]).sum()
        assert summary['landmarks'][name]['px']['mean'] == pytest.approx(np.nanmean(distances[k]), abs=2e-3)
