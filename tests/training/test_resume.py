"Resume: a run that was stopped and goes on writes the log of one that never was, whatever its schedule."

import json
import shutil

import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from helpers import write_dots, write_unlabelled_validation

from landmark_fastai import UsageError, cli
from landmark_fastai.model.precision import LossScale
from landmark_fastai.training.train import train

SMALL = dict(image_resize=64, batch_size=4, encoder_name='timm-mobilenetv3_small_minimal_100', encoder_weights='none',
             epochs=4)
SCHEDULES = {
    'one_cycle': {}, 'constant': dict(recipe='original', lr=1e-3, drop_last=None, erosion_freq=1, dilation_iters=9),
    'fine_tune': dict(schedule='fine_tune', freeze_epochs=2, epochs=3), 'averaged': dict(ema=0.9),
    'fine_tune, averaged': dict(schedule='fine_tune', freeze_epochs=2, epochs=2, ema=0.9),
    'pictured': dict(gif=True, visualize_every=2, augment='strong', flip_pairs='head:knee')}


class Stopped(Exception):
    "What stops a training in these tests."


class StopAfter(Callback):
    "Stop in the middle of the epoch that follows `n` others."
    def __init__(self, n): self.n = n

    def after_batch(self):
        if self.training and self.iter == 1 and len(self.history.rows) == self.n: raise Stopped('here')  # fastai's trap


@pytest.fixture
def run(dots, tmp_path):
    "A function that trains the dots into a folder of that name, and stops after `stop` epochs; returns the folder."
    def start(name, stop=None, **flags):
        arguments = dict(train_image_dir=dots[1], label_dir=dots[0].parent, train_csv_file=dots[0].name,
                         output_dir=tmp_path, experiment_name=name)
        arguments |= {key: value for key, value in (SMALL | flags).items() if value is not None}
        if stop is None: train(**arguments)
        else:
            with pytest.raises(Stopped): train(**arguments, cbs=StopAfter(stop))
        return tmp_path / name
    return start


LOG = 'train_results/training_log.csv'


def log(folder): return (folder / LOG).read_text()


def epochs_told(capsys):
    "The epochs that were trained since the output was last read."
    return [int(line.split()[1].partition('/')[0]) for line in capsys.readouterr().out.splitlines()
            if line.startswith('epoch ')]


def weights(folder): return torch.load(folder / 'weight' / 'last.ckpt', weights_only=True)


@pytest.mark.parametrize('schedule, stop', [
    ('one_cycle', 3),
    *(pytest.param(schedule, stop, marks=pytest.mark.slow) for schedule, stop in (
        ('constant', 1), ('constant', 3), ('fine_tune', 1), ('fine_tune', 2), ('fine_tune', 3), ('averaged', 2),
        ('fine_tune, averaged', 2), ('pictured', 1), ('pictured', 3)))])
def test_a_run_that_was_stopped_gives_the_log_of_one_that_never_was(run, capsys, schedule, stop):
    flags = SCHEDULES[schedule]
    whole, stopped = run('whole', **flags), run('stopped', stop, **flags)
    assert len(pd.read_csv(stopped / LOG)) == stop
    capsys.readouterr()
    run('stopped', resume=True, epochs=None)
    assert epochs_told(capsys) == list(range(stop + 1, len(pd.read_csv(whole / LOG)) + 1))  # and none a second time
    assert log(stopped) == log(whole)
    one, other = weights(whole), weights(stopped)
    assert one.keys() == other.keys() and ('average' in one) == ('ema' in flags)
    assert all(torch.equal(value, other['model'][key]) for key, value in one['model'].items())
    for key, value in one.get('average', {}).get('trained', {}).items():
        assert torch.equal(value, other['average']['trained'][key])
    files = [sorted(path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
             for folder in (whole, stopped)]
    assert files[0] == files[1]


@pytest.mark.slow
def test_a_run_stopped_twice_and_in_its_first_epoch_gives_that_log(run, capsys):
    whole = run('whole')
    run('stopped', 0)
    assert not (whole.parent / 'stopped' / 'weight').exists()
    run('stopped', 1, resume=True)  # begins again
    run('stopped', 2, resume=True)
    assert epochs_told(capsys) == [1, 2, 3, 4, 1, 2]
    assert log(run('stopped', resume=True)) == log(whole)


@pytest.mark.slow
def test_a_run_that_was_stopped_while_it_wrote_its_report_only_writes_that(run):
    folder = run('run')
    before = log(folder), (folder / 'weight' / 'best.pth').stat().st_mtime_ns
    (folder / 'report.html').unlink()
    card = (folder / 'model_card.md').read_bytes()
    (folder / 'model_card.md').unlink()
    run('run', resume=True)
    assert (folder / 'report.html').is_file() and (folder / 'model_card.md').read_bytes() == card
    assert before == (log(folder), (folder / 'weight' / 'best.pth').stat().st_mtime_ns)


@pytest.mark.slow
def test_more_epochs_of_a_constant_rate_are_what_was_asked_for_at_once(run):
    flags = SCHEDULES['constant']
    whole, short = run('whole', **flags), run('short', **flags | {'epochs': 2})
    run('short', **{'resume': True, 'epochs': 4})
    assert log(short) == log(whole)


@pytest.mark.slow
def test_early_stop_counts_the_epochs_before(run):
    flags = dict(early_stop=2, lr=0.3, schedule='constant', epochs=12)
    whole = run('whole', **flags)
    n = len(pd.read_csv(whole / LOG))
    assert n < 12
    run('stopped', n - 1, **flags)
    stopped = run('stopped', resume=True, epochs=None)
    assert log(whole) == log(stopped)
    assert len(weights(whole)['history']) == n
    with pytest.raises(UsageError, match=f'finished, stopped early after {n} of 12 epochs'):
        run('stopped', resume=True, epochs=None)
    (stopped / 'report.html').unlink()  # as if it had been killed while it wrote that
    run('stopped', resume=True, epochs=None)
    assert log(whole) == log(stopped) and (stopped / 'report.html').is_file()


@pytest.mark.slow
def test_the_scale_of_the_loss_goes_on_where_one_is_needed_and_is_left_where_not(run):
    "In float32 on a CPU, where nobody would want it; a GPU has only another kind of numbers."
    folder = run('run', 2)
    assert 'loss_scale' not in weights(folder)
    scale = {'scale': 64., 'growth_factor': 2., 'backoff_factor': 0.5, 'growth_interval': 10**6, '_growth_tracker': 3}
    torch.save(weights(folder) | {'loss_scale': scale}, folder / 'weight' / 'last.ckpt')
    here = dict(output_dir=folder.parent, experiment_name='run', resume=True)
    with pytest.raises(Stopped): train(**here, cbs=[LossScale(), StopAfter(3)])
    steps = 2  # of the third epoch
    assert weights(folder)['loss_scale'] == scale | {'_growth_tracker': 3 + steps}
    assert len(pd.read_csv(run('run', resume=True) / LOG)) == 4 and 'loss_scale' not in weights(folder)


def test_flags_that_matter_are_those_of_the_run(run, tmp_path, capsys):
    folder = run('run', 1)
    here = dict(output_dir=tmp_path, experiment_name='run')
    for flags, words in ((dict(lr=0.5), 'lr 0.003, not 0.5'), (dict(loss='bce'), "'dice_bce_spatial'"),
                         (dict(seed=1), 'seed 42, not 1'), (dict(epochs=9), 'epochs 4, not 9'),
                         (dict(overwrite=True), 'resume beside overwrite'),
                         (dict(visualize_every=0), 'visualize_every is 0.*at least 1')):
        with pytest.raises(UsageError, match=words): train(**flags, resume=True, **here)
    before, argv = log(folder), [text for name, value in here.items() for text in (f'--{name}', str(value))]
    assert cli.main(['train', '--resume', *argv, '--epochs', '7']) == 2
    error = capsys.readouterr().err
    assert 'epochs 4, not 7' in error and '--from_run' in error and log(folder) == before


@pytest.mark.slow
def test_the_command_line_needs_only_the_name(run, tmp_path, capsys):
    whole, _ = run('whole'), run('stopped', 2)
    argv = ['train', '--resume', '--output_dir', str(tmp_path), '--experiment_name', 'stopped']
    assert cli.main(argv) == 0
    assert log(tmp_path / 'stopped') == log(whole)
    assert cli.main(argv) == 2
    assert 'is finished, all 4 epochs' in capsys.readouterr().err


def test_other_annotations_are_refused(tmp_path):
    csv_file, images = write_dots(tmp_path)
    runs = tmp_path / 'runs'
    train(train_image_dir=images, label_dir=tmp_path, train_csv_file=csv_file.name, output_dir=runs,
          **SMALL | {'epochs': 1})
    (runs / 'baseline' / 'report.html').unlink()
    table = pd.read_csv(csv_file)
    moved, spaced = table.copy(), table.assign(pixel_spacing=0.5)
    moved.loc[3, 'head_x'] += 1
    for changed in (moved, spaced):
        changed.to_csv(csv_file, index=False)
        with pytest.raises(UsageError, match='other annotations or another split'): train(resume=True, output_dir=runs)
    table.to_csv(csv_file, index=False)
    train(resume=True, output_dir=runs)


def test_there_must_be_something_to_go_on_with(dots, tmp_path, run):
    folder = run('run', 1)
    state = weights(folder)
    del state['rng_state']
    torch.save(state, folder / 'weight' / 'last.ckpt')
    with pytest.raises(UsageError, match='lacks rng_state.*--from_run'): run('run', resume=True)
    (folder / 'weight' / 'last.ckpt').write_bytes(b'nothing')
    with pytest.raises(UsageError, match='cannot be read as weights'): run('run', resume=True)
    (folder / 'config.yaml').unlink()
    with pytest.raises(UsageError, match='no config.yaml'): run('run', resume=True)
    shutil.rmtree(folder)
    assert log(run('run', resume=True, epochs=1)).count('\n') == 2  # a start like any other


@pytest.mark.slow
def test_a_finished_run_without_its_checkpoint_is_left_alone(run):
    folder = run('run', epochs=1)
    (folder / 'weight' / 'last.ckpt').unlink()
    before = sorted(folder.rglob('*'))
    with pytest.raises(UsageError, match=f'no weight/last.ckpt to go on with; train on with --from_run {folder}'):
        run('run', resume=True, epochs=None)
    assert sorted(folder.rglob('*')) == before


@pytest.mark.slow
def test_a_run_without_best_weights_is_reported_by_its_last(tmp_path):
    csv_file, images = write_unlabelled_validation(tmp_path)
    flags = SMALL | dict(train_image_dir=images, label_dir=csv_file.parent, train_csv_file=csv_file.name, epochs=1)
    train(**flags, output_dir=tmp_path / 'runs')
    folder = tmp_path / 'runs' / 'baseline'
    found = folder / 'validation' / 'predictions.csv'
    before = found.read_text()
    (folder / 'report.html').unlink()
    found.unlink()
    train(resume=True, output_dir=tmp_path / 'runs')
    assert found.read_text() == before and not (folder / 'weight' / 'best.pth').exists()


@pytest.mark.slow
def test_the_run_to_start_from_is_not_needed_again(run, tmp_path):
    source, flags = run('source', epochs=1), dict(encoder_name=None, encoder_weights=None, image_resize=None)
    whole = run('whole', from_run=source, **flags)
    run('stopped', 2, from_run=source, **flags)
    source.rename(tmp_path / 'moved')
    assert log(run('stopped', resume=True, **flags)) == log(whole)


@pytest.mark.slow
def test_a_frozen_stage_is_never_stopped_early(run):
    flags = dict(schedule='fine_tune', freeze_epochs=3, epochs=3, early_stop=1, lr=1e-9)  # the weights stay
    whole = run('whole', **flags)
    epochs = len(pd.read_csv(whole / LOG))
    assert epochs > 3
    run('stopped', 2, **flags)
    assert log(run('stopped', resume=True, epochs=None)) == log(whole)


@pytest.mark.slow
def test_what_is_read_is_not_replaced(dots, tmp_path):
    folder = tmp_path / 'baseline'
    train(train_image_dir=dots[1], label_dir=dots[0].parent, train_csv_file=dots[0].name, output_dir=tmp_path,
          **SMALL | {'epochs': 1})
    shutil.copy(dots[0], folder / 'validation' / 'corrected.csv')
    shutil.copytree(dots[1], folder / 'copies')
    shutil.copy(folder / 'weight' / 'best.pth', folder / 'encoder.pth')
    before, fine = sorted(folder.rglob('*')), dict(train_image_dir=dots[1], label_dir=dots[0].parent)
    for name, flags in {'label_dir': dict(label_dir=folder / 'validation', train_csv_file='corrected.csv'),
                        'train_csv_file': dict(train_csv_file=(folder / 'validation' / 'corrected.csv').resolve()),
                        'train_image_dir': dict(train_image_dir=folder / 'copies', train_csv_file=dots[0].name),
                        'encoder_weights': dict(encoder_weights=folder / 'encoder.pth', train_csv_file=dots[0].name),
                        'from_run': dict(from_run=folder, train_csv_file=dots[0].name)}.items():
        for folds in (0, 2):
            with pytest.raises(UsageError, match=f'{name} .* lies in {folder}, which would be replaced'):
                train(**fine | flags, output_dir=tmp_path, overwrite=True, folds=folds)
    assert sorted(folder.rglob('*')) == before


def test_the_checkpoint_holds_nothing_but_plain_values(run):
    state = weights(run('run', 1))
    assert json.dumps(state['history']) and {'rng_state', 'shuffles', 'optimizer', 'erosion', 'model'} <= state.keys()
