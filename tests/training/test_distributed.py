"""Training in several processes: shares of batches, refusals, and two processes that train what one trains.

As a script, which `accelerate launch` starts, this file trains in one of those processes.
"""

import hashlib
import inspect
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.core import TfmdDL
from fastai.torch_core import get_model, num_distrib, rank_distrib, set_seed
from helpers import TINY
from timm.layers import BatchNormAct2d
from torch import nn

import landmark_fastai
from landmark_fastai import cli
from landmark_fastai.data.sample import write_sample
from landmark_fastai.errors import Diverged, UsageError
from landmark_fastai.training.distributed import LAUNCHED, ShareDL, join, sync_norms

ROOT = Path(__file__).resolve().parents[2]
LOSSES = ['train_loss', 'val_loss']


# --- shares of a batch

@pytest.fixture
def no_group(monkeypatch):
    "The first process's order reaches the others, in a simulation where seeds make it the same."
    monkeypatch.setattr(ShareDL, '_broadcast', lambda self, t, rank: t)


def loader(n, bs, drop_last, shuffle=True):
    "A loader of the numbers below `n`, in the same random order each time."
    set_seed(0)
    return TfmdDL(list(range(n)), bs=bs, shuffle=shuffle, drop_last=drop_last, num_workers=0)


def epochs_of(loaders, n=2):
    "The batches of `loaders`, side by side, of `n` epochs."
    for _ in range(n): yield from zip(*loaders, strict=True)


@pytest.mark.parametrize('drop_last', [False, True])
@pytest.mark.parametrize('n, bs, world', [(16, 4, 2), (17, 4, 2), (19, 4, 4), (9, 8, 4), (7, 6, 3), (5, 4, 1)])
def test_shares_make_up_the_batches_of_one_process(no_group, n, bs, world, drop_last):
    shares = [ShareDL(loader(n, bs, drop_last), rank=rank, world_size=world) for rank in range(world)]
    alone = loader(n, bs, drop_last)
    assert {len(share) for share in shares} == {len(alone)}
    seen = 0
    for batch, *parts in epochs_of([alone, *shares]):
        gathered, seen = torch.cat(parts), seen + 1
        assert {len(part) for part in parts} == {-(-len(batch) // world)}
        assert gathered[:len(batch)].equal(batch) and set(gathered.tolist()) == set(batch.tolist())
        for share in shares:
            share._to_detach = lambda b, cpu, gather, gathered=gathered: gathered if b.ndim else b
            assert share.to_detach(parts[0]).equal(batch) and share.n_batch == len(batch)
            assert share.to_detach(torch.tensor(3.)) == 3
    assert seen == 2 * len(alone)


def test_worker_processes_read_the_same_shares(no_group):
    shares = [ShareDL(loader(11, 4, False), rank=1, world_size=2) for _ in range(2)]
    shares[1].fake_l.num_workers = 2
    for batch, same in epochs_of(shares): assert batch.equal(same)


def test_a_share_sees_the_order_of_each_epoch_anew(no_group):  # as one process does, also over several fits
    inner = loader(8, 4, True)
    orders = [torch.cat(list(ShareDL(inner, rank=0, world_size=2))).tolist() for _ in range(2)]
    assert orders[0] != orders[1]


def test_conversion_for_cuda_keeps_the_activations_of_timm():  # that of torch, which fastai calls, drops them
    layer, x = nn.Sequential(BatchNormAct2d(2)).eval(), torch.randn(1, 2, 4, 4)
    expected = layer(x)
    assert (expected >= 0).all()
    for converted in (sync_norms(layer), sync_norms(sync_norms(layer))):  # `fine_tune` is two fits
        assert converted(x).equal(expected) and isinstance(converted[0], nn.SyncBatchNorm)


# --- refusals

def test_one_process_keeps_its_device_and_any_batch_size():
    assert join(5, 'cuda:1') == 'cuda:1' and not torch.distributed.is_initialized()


@pytest.mark.parametrize('arguments, message', [
    (['--batch_size', '5'], 'batch_size is 5, .* which 2 processes cannot share equally; pass a multiple of 2'),
    (['--device', 'cuda:1'], "device is 'cuda:1', but each of 2 processes gets a device of its own; pass auto or cpu")])
def test_what_processes_cannot_share_is_refused_before_anything_is_written(
        dots, tmp_path, monkeypatch, capsys, arguments, message):
    for name in LAUNCHED: monkeypatch.setenv(name, '2' if name == 'WORLD_SIZE' else '0')
    assert cli.main(['train', *flags(*dots, tmp_path / 'runs'), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and re.search(message, error) and not list(tmp_path.iterdir())


@pytest.mark.parametrize('left_over', [{'RANK': '1'}, {'WORLD_SIZE': '2'}])  # one would write nothing, one would wait
def test_half_of_the_variables_of_a_launcher_are_refused(monkeypatch, left_over):
    for name, value in left_over.items(): monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match='but not its .*MASTER_ADDR, MASTER_PORT; start by .* or unset them'):
        join(8, 'auto')


@pytest.mark.parametrize('command', ['find_lr', 'demo', 'sample', 'predict', 'evaluate'])
def test_other_commands_run_in_one_process(monkeypatch, tmp_path, command):
    monkeypatch.setenv('WORLD_SIZE', '2')
    there = {name: tmp_path / name for name in inspect.signature(getattr(landmark_fastai, command)).parameters
             if name in ('output_dir', 'image_dir', 'csv')}
    with pytest.raises(UsageError, match=f'{command} runs in one process, but 2 were started'):
        getattr(landmark_fastai, command)(**there)
    assert not list(tmp_path.iterdir())


def flags(csv_file, images, output_dir):
    "The flags of a tiny training."
    return ['--train_image_dir', str(images), '--label_dir', str(csv_file.parent), '--train_csv_file', csv_file.name,
            '--output_dir', str(output_dir), *TINY]


# --- two processes and one

class FrozenNorm(Callback):
    "BatchNorm as in evaluation: its statistics, of the share of a process, are the one thing that differs on a CPU."
    def before_train(self): self.model.apply(lambda m: m.eval() if isinstance(m, nn.BatchNorm2d) else m)


def train_twice(data, output_dir):
    """A mistake, an ordinary training, one that is resumed and its like that is not, and one with `FrozenNorm`.

    Of the last each process notes hashes of its last and of its best weights.
    """
    arguments = [*flags(data / 'labels' / 'train_annotation.csv', data / 'train_images', output_dir), '--augment',
                 'none', '--val_fraction', '0.4', '--precision', 'fp32']
    for mistake in (['--flip_pairs', 'a:b'], ['--epochs', '0']):
        assert cli.main(['train', *arguments, *mistake]) == 2
    assert cli.main(['train', *arguments, '--experiment_name', 'ordinary', '--epochs', '2', '--lr', '1e-3']) == 0
    steady = [*arguments, '--schedule', 'constant', '--erosion_schedule', 'fixed', '--lr', '1e-3']
    for more in (['whole', '--epochs', '2'], ['resumed', '--epochs', '1'], ['resumed', '--epochs', '2', '--resume']):
        assert cli.main(['train', *steady, '--experiment_name', *more]) == 0
    early = ['--experiment_name', 'early', '--epochs', '9', '--early_stop', '1', '--lr', '1e-9']
    assert cli.main(['train', *steady, *early]) == 0
    two_stages = ['--refine', '--refine_resize', '64', '--refine_epochs', '1', '--epochs', '1']
    assert cli.main(['train', *arguments, '--experiment_name', 'refined', *two_stages]) == 0
    with pytest.raises(Diverged, match='epoch 1, batch 2: the loss is nan'):
        landmark_fastai.train(**where(data, output_dir), experiment_name='nan', epochs=2, cbs=[Poison()])
    witness = Witness()
    landmark_fastai.train(
        **where(data, output_dir), experiment_name='frozen', epochs=2, lr=1e-5, cbs=[FrozenNorm(), witness])
    hashes = witness.last, hash_of(witness.network)
    (output_dir / 'processes' / str(rank_distrib())).write_text(' '.join(hashes))


def where(data, output_dir):
    "The flags of a tiny training, for Python."
    return dict(train_image_dir=data / 'train_images', label_dir=data / 'labels', output_dir=output_dir,
                image_resize=64, batch_size=4, encoder_name='resnet18', encoder_weights='none', augment='none',
                val_fraction=0.4, precision='fp32')


class Poison(Callback):
    "A loss in the second batch that is no number in the last process alone."
    order = -1

    def after_loss(self):
        if self.training and self.iter == 1 and rank_distrib() == max(num_distrib(), 1) - 1:
            self.learn.loss = self.loss * math.nan


class Witness(Callback):
    "Keep the network and a hash of its last weights."
    def after_fit(self):
        self.network = get_model(self.model)
        self.last = hash_of(self.network)


def hash_of(network):
    "A hash of the weights of `network`."
    tensors = network.state_dict().values()
    return hashlib.sha256(b''.join(t.contiguous().numpy().tobytes() for t in tensors)).hexdigest()


def launch(*arguments):
    "Start this file in two processes, as users start `cli.py`; returns what they wrote to stdout and stderr."
    command = [sys.executable, '-m', 'accelerate.commands.launch', '--multi_gpu', '--num_processes', '2',
               '--num_machines', '1', '--mixed_precision', 'no', '--dynamo_backend', 'no', '--main_process_port', '0',
               __file__, *map(str, arguments)]
    path = os.pathsep.join([str(ROOT), str(ROOT / 'tests')])
    environment = os.environ | {'PYTHONPATH': path, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path):
    data, one, two = (tmp_path / name for name in ('data', 'one', 'two'))
    write_sample(data, n_images=15)
    for runs in (one, two): (runs / 'processes').mkdir(parents=True)
    stdout, stderr = launch(data, two)
    train_twice(data, one)

    assert stderr.count('error: flip_pairs') == stderr.count('error: epochs') == 1
    assert stdout.count('epoch 2/2') == 4 and stdout.count('report: ') == 7  # one process speaks
    assert stdout.count('stopped early') == 1 == stdout.count('The second stage')
    for word in ('destroy_process_group', 'Traceback', 'warning:', 'reducer'): assert word not in stderr
    assert files_of(two) == files_of(one)  # and one writes
    hashes = [(two / 'processes' / rank).read_text() for rank in '01']
    assert hashes[0] == hashes[1]
    for path in sorted((one / 'frozen').rglob('*true_masks.png')):  # of images that two processes have read
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes()

    logs = {name: [pd.read_csv(runs / name / 'train_results' / 'training_log.csv') for runs in (one, two)]
            for name in ('frozen', 'ordinary')}
    for pair in logs.values():
        for column in ('epoch', 'radius', 'lr'): assert pair[0][column].equals(pair[1][column])
    dice = [column for column in logs['frozen'][0] if column.endswith('dice')]  # a pixel at 0.5 counts or not
    np.testing.assert_allclose(*(log.drop(columns=dice) for log in logs['frozen']), rtol=1e-4)
    np.testing.assert_allclose(*(log[dice] for log in logs['frozen']), rtol=2e-3)
    np.testing.assert_allclose(*(log[LOSSES] for log in logs['ordinary']), rtol=0.05)
    np.testing.assert_allclose(*(log.mean_dist for log in logs['ordinary']), atol=2)  # of 64 px
    for runs in (one, two):
        whole, resumed = (pd.read_csv(runs / name / 'train_results' / 'training_log.csv')
                          for name in ('whole', 'resumed'))
        np.testing.assert_allclose(whole, resumed, rtol=1e-6)  # what several processes draw anew is augmentation alone


def files_of(runs):
    "The files of the runs in the folder `runs`."
    return {path.relative_to(runs) for path in runs.rglob('*') if path.is_file() and path.parent.name != 'processes'}


if __name__ == '__main__': train_twice(*map(Path, sys.argv[1:]))
