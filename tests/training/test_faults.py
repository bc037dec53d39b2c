"Faults: killed at any moment, a full disk, weights that would run code. A run goes on, and what was written is whole."

import multiprocessing
import os
import random
import resource
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from landmark_fastai import UsageError, cli, load
from landmark_fastai.model.state import read_state_dict
from landmark_fastai.training import run_folder
from landmark_fastai.training.train import train

SMALL = dict(image_resize=64, batch_size=4, encoder_name='timm-mobilenetv3_small_minimal_100', encoder_weights='none',
             epochs=4, visualize_every=2, gif=True)
forked = pytest.mark.skipif('fork' not in multiprocessing.get_all_start_methods() or torch.cuda.is_available(),
                            reason='processes cannot be forked, or not after CUDA was in use')


@pytest.fixture
def flags(dots, tmp_path):
    "The arguments of a small training in a folder of its own."
    return SMALL | dict(train_image_dir=dots[1], label_dir=dots[0].parent, train_csv_file=dots[0].name,
                        output_dir=tmp_path)


def in_child(function):
    "A process, forked from this one with all its imports, that runs `function` in silence."
    def silent():
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        torch.set_num_threads(1)
        function()
    child = multiprocessing.get_context('fork').Process(target=silent)
    child.start()
    return child


def log(folder): return (folder / 'train_results' / 'training_log.csv').read_text()


N_KILLS = 20
REFINED = dict(refine=True, refine_resize=64, refine_epochs=4)


@forked
@pytest.mark.slow
@pytest.mark.parametrize('stages', [{}, REFINED])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_never_was(flags, tmp_path, stages):
    flags |= stages
    start = time.time()
    whole = in_child(lambda: train(**flags, experiment_name='whole'))
    whole.join()
    seconds, chance, folder = time.time() - start, random.Random(N_KILLS), tmp_path / 'killed'
    finished = 0  # epochs of both stages, of which none is lost again
    for kill in range(N_KILLS):
        child = in_child(lambda: train(**flags | {'experiment_name': 'killed', 'resume': True}))
        child.join(chance.uniform(0, seconds / (2 if kill % 2 else 1.2)))
        if not child.is_alive(): break  # it was faster
        os.kill(child.pid, random.Random(kill).choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        child.join()
        check_whole(folder)
        kept = [stage / 'weight' / 'last.ckpt' for stage in (folder, folder / 'refine')]
        before, finished = finished, sum(len(read_state_dict(path)['history']) for path in kept if path.is_file())
        assert finished >= before
    if not (folder / 'report.html').is_file():
        last = in_child(lambda: train(**flags | {'experiment_name': 'killed', 'resume': True}))
        last.join()
        assert last.exitcode == 0
    for stage in ('', 'refine') if stages else ('',):
        assert log(folder / stage) == log(tmp_path / 'whole' / stage)
    names = [sorted(path.relative_to(run).as_posix() for path in run.rglob('*') if path.is_file())
             for run in (folder, tmp_path / 'whole')]
    assert names[0] == names[1]


def check_whole(folder):
    "Every file of the run that has its name is whole, and there are weights where the log has a row."
    for path in folder.rglob('[!.]*.csv'): pd.read_csv(path)  # temporary files begin with a dot
    for path in folder.rglob('weight/[!.]*.[pc]*'): read_state_dict(path)
    if (folder / 'weight' / 'best.pth').is_file(): assert load(folder).names == ['head', 'knee']


@pytest.mark.slow
def test_what_a_killed_process_has_left_half_written_is_no_trouble(flags, tmp_path):
    train(**flags, experiment_name='run')
    folder = tmp_path / 'run'
    before = sorted(folder.rglob('*'))
    (folder / 'report.html').unlink()
    for place in ('weight', 'train_results/frames/masks'):
        (folder / place / f'.{32 * "0"}.tmp.png').write_bytes(b'\x89PNG half')
    train(resume=True, output_dir=tmp_path, experiment_name='run')
    assert sorted(folder.rglob('*')) == before


def test_a_run_that_is_stopped_while_it_starts_leaves_nothing_or_what_was_there(flags, tmp_path, monkeypatch):
    def stop(*args, **kwargs): raise KeyboardInterrupt
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_folder, 'write_facts', stop)  # the second file of a run
        train(**flags, experiment_name='run')
    assert not list(tmp_path.iterdir())
    train(**flags | {'epochs': 1}, experiment_name='run', resume=True)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_folder, 'write_facts', stop)
        train(**flags, experiment_name='run', overwrite=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')} == before


@pytest.mark.slow
@forked
def test_a_full_disk_is_told_and_costs_nothing_that_was_there(flags, tmp_path, capfd):
    train(**flags, experiment_name='run')
    (tmp_path / 'run' / 'report.html').unlink()
    before = {path: path.read_bytes() for path in (tmp_path / 'run').rglob('*') if path.is_file()}
    size = (tmp_path / 'run' / 'weight' / 'last.ckpt').stat().st_size
    argv = [text for name, value in flags.items() if name != 'gif' for text in (f'--{name}', str(value))]

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
        os._exit(cli.main(['train', *argv, '--experiment_name', 'other']))
    child = in_child(fill)
    child.join()
    error = capfd.readouterr().err
    assert child.exitcode == 1 and 'cannot be written whole; is the disk full?' in error and 'Traceback' not in error
    other = tmp_path / 'other'
    assert (other / 'train_results' / 'training_log.csv').is_file() and not (other / 'weight' / 'last.ckpt').exists()
    assert before == {path: path.read_bytes() for path in (tmp_path / 'run').rglob('*') if path.is_file()}


@forked
@pytest.mark.slow
def test_a_disk_that_fills_up_later_keeps_the_best_weights_and_the_log(flags, tmp_path, capfd):
    train(**flags | {'epochs': 2}, experiment_name='short')
    best = (tmp_path / 'short' / 'weight' / 'best.pth').stat().st_size
    argv = [text for name, value in flags.items() if name != 'gif' for text in (f'--{name}', str(value))]

    def fill():  # best.pth fits, last.ckpt with the optimiser's state does not
        resource.setrlimit(resource.RLIMIT_FSIZE, (best + 10000, best + 10000))
        os._exit(cli.main(['train', *argv, '--experiment_name', 'full']))
    child = in_child(fill)
    child.join()
    assert child.exitcode == 1 and 'is the disk full?' in capfd.readouterr().err
    folder = tmp_path / 'full'
    assert len(pd.read_csv(folder / 'train_results' / 'training_log.csv')) == 1
    assert load(folder).names == ['head', 'knee'] and not list(folder.rglob('.*.tmp*'))


# --- weights

@pytest.fixture
def careful(monkeypatch):
    "How often `torch.load` was called; it fails where it may run code."
    calls, torch_load = [], torch.load
    def spy(*args, **kwargs):
        assert kwargs.get('weights_only') is True, 'torch.load may run code from the file'
        calls.append(args[0])
        return torch_load(*args, **kwargs)
    monkeypatch.setattr(torch, 'load', spy)
    return calls


@pytest.mark.slow
def test_no_weights_are_loaded_that_may_run_code(finished, flags, careful, tmp_path):
    load(finished).learner()
    images = finished.parents[1] / 'images'
    state = read_state_dict(finished / 'weight' / 'best.pth')
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / 'encoder.safetensors')
    torch.save(state, tmp_path / 'encoder.pth')
    small = flags | dict(encoder_name='resnet18', epochs=1, gif=False)
    for kind in ('pth', 'safetensors'):
        train(**small | {'encoder_weights': tmp_path / f'encoder.{kind}', 'experiment_name': kind})
    (tmp_path / 'pth' / 'report.html').unlink()
    train(resume=True, output_dir=tmp_path, experiment_name='pth')
    assert cli.main(['predict', '--model', str(finished), '--image_dir', str(images), '--output_dir',
                     str(tmp_path / 'found')]) == 0
    assert cli.main(['predict', '--weights', str(tmp_path / 'encoder.pth'), '--encoder_name', 'resnet18',
                     '--image_dir', str(images), '--output_dir', str(tmp_path / 'original')]) == 0
    assert len(careful) > 6


class Malicious:
    def __init__(self, victim): self.victim = str(victim)

    def __reduce__(self): return open, (self.victim, 'w')


def test_malicious_weights_are_refused_wherever_they_are_given(finished, flags, tmp_path):
    victim, bad = tmp_path / 'victim', tmp_path / 'bad.pth'
    torch.save({'model': Malicious(victim)}, bad)
    with pytest.raises(UsageError, match='bad.pth cannot be read as weights'):
        train(**flags | {'encoder_weights': bad})
    assert cli.main(['predict', '--weights', str(bad), '--image_dir', str(finished.parents[1] / 'images'),
                     '--output_dir', str(tmp_path / 'out')]) == 2
    run = Path(tmp_path, 'run')
    train(**flags | {'epochs': 1}, experiment_name='run')
    (run / 'report.html').unlink()
    for name in ('best.pth', 'last.ckpt'): (run / 'weight' / name).write_bytes(bad.read_bytes())
    for use in (lambda: load(run), lambda: train(resume=True, output_dir=tmp_path, experiment_name='run')):
        with pytest.raises(UsageError, match='cannot be read as weights'): use()
    assert not victim.exists()
