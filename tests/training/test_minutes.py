"`--minutes`: as many epochs as fit, by the time of the first steps, which leave no trace."

import re
import time
from dataclasses import replace

import pytest
import torch
from helpers import write_dots

from landmark_fastai import UsageError
from landmark_fastai.callbacks.checkpoint import rng_state
from landmark_fastai.config import TrainConfig, read_config
from landmark_fastai.training import minutes
from landmark_fastai.training.build import make_learner
from landmark_fastai.training.minutes import fit_minutes, small, time_epochs, time_image, time_step
from landmark_fastai.training.train import train

SMALL = dict(image_resize=64, batch_size=4, encoder_name='timm-mobilenetv3_small_minimal_100', encoder_weights='none')


def where(dots, output_dir):
    return dict(train_image_dir=str(dots[1]), label_dir=str(dots[0].parent), train_csv_file=dots[0].name,
                output_dir=str(output_dir))


@pytest.fixture
def config(dots, tmp_path): return TrainConfig.of(where(dots, tmp_path) | SMALL | {'minutes': 2, 'refine_resize': 64})


@pytest.fixture
def timed(monkeypatch):
    "Epochs that take 3 s in the first stage and 2 s in the second."
    monkeypatch.setattr(minutes, 'time_epochs', lambda config, learn: [3., 2.])


@pytest.mark.parametrize('flags, epochs, refine_epochs', [
    ({}, 38, TrainConfig.refine_epochs), ({'refine': True}, 19, 28), ({'minutes': 0.01, 'refine': True}, 1, 1),
    ({'schedule': 'fine_tune', 'freeze_epochs': 3}, 35, TrainConfig.refine_epochs)])
def test_epochs_fit_into_the_minutes(config, timed, flags, epochs, refine_epochs, capsys):
    config = TrainConfig(**vars(config) | flags)
    learn = make_learner(config)
    chosen = fit_minutes(config, learn)  # 95 % of 120 s are 114 s
    assert (chosen.epochs, chosen.refine_epochs) == (epochs, refine_epochs)
    assert learn.erosion_schedule.total_epochs == epochs
    said = capsys.readouterr().out
    assert 'epochs of about 3.0 s' in said and ('second stage' in said) == bool(flags.get('refine'))


def test_timing_leaves_the_learner_and_all_random_numbers_as_they_were(config):
    config = TrainConfig(**vars(config) | {'refine': True, 'augment': 'strong'})
    learn = make_learner(config)
    before = {key: value.clone() for key, value in learn.model.state_dict().items()}
    random, shuffle = rng_state(), learn.dls.train.rng.getstate()
    first, second = time_epochs(config, learn)
    assert first > 0 and second > 0
    assert all(torch.equal(value, before[key]) for key, value in learn.model.state_dict().items())
    assert all(parameter.grad is None for parameter in learn.model.parameters())
    after = rng_state()
    assert after['python'] == random['python'] and torch.equal(after['torch'], random['torch'])
    assert learn.dls.train.rng.getstate() == shuffle


class Slow(torch.nn.Module):
    "A network whose every image takes 5 ms, and 50 more in its first batch and where it is held up, in its third."
    calls = 0

    def forward(self, x):
        time.sleep(0.005 * len(x) + 0.05 * (self.calls in (0, 2)))
        self.calls += 1
        return x.mean((2, 3), keepdim=True).requires_grad_()


def test_times_are_of_the_usual_step_after_the_first():
    batches = [(torch.zeros(4, 1, 8, 8),)] * 4
    assert 0.02 <= time_step(Slow(), torch.sum, batches) < 0.03
    assert 0.005 <= time_image(Slow(), torch.sum, batches) < 0.0075


@pytest.mark.parametrize('subpixel, dtype', [(False, torch.bool), (True, torch.float16)])
def test_crops_are_made_of_the_batch(config, subpixel, dtype):
    batch = make_learner(replace(config, subpixel=subpixel)).dls.one_batch()
    image, mask, points, state, frame, radius = small(batch, 32)
    assert image.shape == (8, 3, 32, 32) and mask.shape == (8, 2, 32, 32) and mask.dtype == dtype
    assert len(points) == len(state) == len(frame) == len(radius) == 8


@pytest.mark.slow
def test_a_run_keeps_the_epochs_that_it_has_chosen(dots, tmp_path, timed, monkeypatch, capsys):
    train(**where(dots, tmp_path), **SMALL, minutes=0.2)  # 11.4 s, 3 epochs
    config = read_config(tmp_path / 'baseline')
    assert (config.minutes, config.epochs) == (0.2, 3)
    again = TrainConfig.of({'config': tmp_path / 'baseline' / 'config.yaml'})
    assert (again.minutes, again.epochs) == (None, 3)  # they are chosen
    anew = TrainConfig.of({'config': tmp_path / 'baseline' / 'config.yaml', 'minutes': 5})
    assert anew.minutes == 5
    monkeypatch.setattr(minutes, 'time_epochs', lambda config, learn: [1., 1.])
    (tmp_path / 'baseline' / 'report.html').unlink()
    train(**where(dots, tmp_path), resume=True)
    assert read_config(tmp_path / 'baseline').epochs == 3


@pytest.mark.slow
def test_folds_share_the_minutes_and_a_resumed_one_keeps_its_epochs(dots, tmp_path, timed, monkeypatch):
    flags = where(dots, tmp_path) | {'experiment_name': 'folds'}
    train(**flags, **SMALL, minutes=0.4, folds=2)
    assert [read_config(tmp_path / 'folds' / f'fold_{k}').epochs for k in (1, 2)] == [3, 3]
    monkeypatch.setattr(minutes, 'time_epochs', lambda config, learn: [1., 1.])
    for path in (tmp_path / 'folds' / 'report.html', tmp_path / 'folds' / 'fold_2' / 'report.html'): path.unlink()
    train(**flags, resume=True)
    assert read_config(tmp_path / 'folds' / 'fold_2').epochs == 3


def test_minutes_beside_epochs_are_refused():
    for other in ({'epochs': 3}, {'refine_epochs': 3}):
        with pytest.raises(UsageError, match='minutes beside epochs'): TrainConfig.of({'minutes': 3} | other)


def of_file(folder, text, **given):
    (folder / 'flags.yaml').write_text(text)
    return TrainConfig.of({'config': folder / 'flags.yaml'} | given)


def test_flags_win_over_a_file_that_has_minutes_or_epochs(tmp_path):
    assert of_file(tmp_path, 'minutes: 30', epochs=5).minutes is None
    assert of_file(tmp_path, 'epochs: 5', minutes=30).minutes == 30
    for text, given in (('minutes: 30\nepochs: 5', {}), ('minutes: 30\nrefine: true', {'refine_epochs': 5})):
        with pytest.raises(UsageError, match='minutes beside epochs'): of_file(tmp_path, text, **given)


def test_a_process_of_several_times_its_share_of_the_images(config, monkeypatch):
    learn, seen = make_learner(config), []
    monkeypatch.setattr(minutes, 'time_step', lambda model, loss_func, batches: seen.extend(batches) or 1.)
    monkeypatch.setattr(minutes, 'time_image', lambda model, loss_func, batches: 1.)
    monkeypatch.setattr(minutes, 'num_distrib', lambda: 2)
    monkeypatch.setattr(minutes, 'broadcast_object_list', lambda seconds: seconds)
    assert time_epochs(config, learn) == [2 * 1. + 2 / 2]  # two steps of 4 of 8 images, and half of 2 images
    assert {len(part) for batch in seen for part in batch} == {2}


@pytest.mark.slow
def test_a_short_training_ends_in_its_time(tmp_path, capsys):
    csv_file, images = write_dots(tmp_path, n=40)
    started = time.time()
    train(**where((csv_file, images), tmp_path / 'runs'), **SMALL, minutes=0.15)
    n, seconds = re.search(r'0.15 minutes: (\d+) epochs of about ([\d.]+) s', capsys.readouterr().out).groups()
    assert int(n) > 1 and time.time() - started < 4 * 9  # a bound that a busy machine keeps, too
