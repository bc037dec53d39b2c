"The configuration of a run: what it starts from, what it hands on, what it refuses."

import json
import shutil

import pandas as pd
import pytest
import torch
from helpers import TINY, write_dots

import cli
import landmark_fastai
from landmark_fastai import UsageError
from landmark_fastai.inference.loading import load
from landmark_fastai.training import build, config


def train(csv_file, images, output_dir, *argv):
    "Train from the command line; returns the exit code."
    return cli.main(['train', '--train_image_dir', str(images), '--label_dir', str(csv_file.parent),
                     '--train_csv_file', csv_file.name, '--output_dir', str(output_dir), *map(str, argv)])


def test_a_run_starts_from_the_network_of_another(finished, dots):
    made = config.make_config({'from_run': str(finished), 'epochs': 3})
    assert made['encoder_name'] == 'resnet18' and made['image_resize'] == 64 and made['arch'] == 'unet'
    assert made['color'] is False and made['encoder_weights'] == 'none' and made['epochs'] == 3
    assert made['batch_size'] == 8 and made['lr'] == 3e-3  # of the recipe, not of the run
    assert config.make_config({'from_run': str(finished), 'image_resize': 96})['image_resize'] == 96
    arguments = dict(label_dir=dots[0].parent, train_csv_file=dots[0].name, train_image_dir=dots[1], batch_size=4)
    learn = build.make_learner(config.make_config({'from_run': str(finished)} | arguments))
    best = torch.load(finished / 'weight' / 'best.pth', weights_only=True)
    assert all(torch.equal(value, best[key]) for key, value in learn.model.state_dict().items())


def test_a_run_of_an_earlier_version_still_makes_a_learner(finished, dots, tmp_path):
    old = shutil.copytree(finished, tmp_path / 'old')
    known = json.loads((old / 'config.json').read_text())
    for flag in ('precision', 'precision_used', 'compile', 'cache', 'clear_cache'): del known[flag]
    (old / 'config.json').write_text(json.dumps(known))
    assert load(old).learner().precision == 'fp32'


def test_training_goes_on_from_another_run(finished, dots, tmp_path):
    assert train(*dots, tmp_path, '--from_run', finished, '--batch_size', 4, '--epochs', 1) == 0
    assert json.loads((tmp_path / 'baseline' / 'config.json').read_text())['from_run'] == str(finished)
    assert len(pd.read_csv(tmp_path / 'baseline' / 'train_results' / 'training_log.csv')) == 1


def test_the_run_to_start_from_is_not_overwritten(finished, dots, capsys):
    assert train(*dots, finished.parent, '--from_run', finished, '--batch_size', 4, '--epochs', 1, '--overwrite') == 2
    assert 'which would be replaced; pass another --experiment_name' in capsys.readouterr().err
    assert (finished / 'weight' / 'best.pth').exists()


@pytest.mark.parametrize('argv, words', [
    (['--encoder_name', 'resnet34'], ["encoder_name is 'resnet34'", "was trained with 'resnet18'"]),
    (['--color'], ['color is True', 'was trained with False']),
    (['--encoder_weights', 'imagenet'], ['encoder_weights beside from_run']),
    (['--from_run', '/nowhere'], ['/nowhere', 'no such folder']),
    (['--train_csv_file', 'other.csv'], ['other.csv has the 3 landmarks a, b, c', 'the 2 landmarks head, knee']),
])
def test_what_does_not_fit_the_other_run_is_one_clear_line(finished, tmp_path, capsys, argv, words):
    csv_file, images = write_dots(tmp_path)
    shutil.copy(write_dots(tmp_path / 'other', names=('a', 'b', 'c'))[0], tmp_path / 'other.csv')
    assert train(csv_file, images, tmp_path / 'runs', '--from_run', finished, '--batch_size', 4, *argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and all(word in lines[0] for word in words), lines
    assert not (tmp_path / 'runs').exists()


def test_absence_is_learned_where_it_was_seen_by_a_loss_that_sees_it(tmp_path):
    csv_file, images = write_dots(tmp_path, split=['train'] * 8 + ['val'] * 2)
    table = pd.read_csv(csv_file)
    table.loc[0, ['knee_x', 'knee_y']] = -1
    table.loc[9, ['head_x', 'head_y']] = -1  # on a validation image: not learned
    table.to_csv(csv_file, index=False)
    assert train(csv_file, images, tmp_path / 'runs', *TINY, '--epochs', 1) == 0
    assert config.read_config(tmp_path / 'runs' / 'baseline')['presence'] == ['knee']
    argv = ['--epochs', 1, '--loss', 'spatial_ce', '--experiment_name', 'blind']
    with pytest.warns(UserWarning, match='cannot learn absence'):
        assert train(csv_file, images, tmp_path / 'runs', *TINY, *argv) == 0
    assert config.read_config(tmp_path / 'runs' / 'blind')['presence'] == []


def test_unknown_arguments_are_refused_in_python_too():
    with pytest.raises(UsageError, match='unknown argument epoch'): landmark_fastai.train(epoch=3)


def test_a_machine_without_git_has_no_commit(monkeypatch):
    monkeypatch.setenv('PATH', '')
    assert config.git_commit() is None


def test_overwriting_asks_for_a_config_of_our_own(finished, tmp_path):
    assert config.is_run(finished) and not config.is_run(tmp_path)
    (tmp_path / 'config.json').write_text('{"versions": {"other": 1}}')
    assert not config.is_run(tmp_path)
