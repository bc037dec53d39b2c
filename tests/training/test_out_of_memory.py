"Where memory does not suffice: what is an error of that kind, which smaller steps are tried, and how a run goes on."

import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from helpers import write_dots

from landmark_fastai import cli
from landmark_fastai.errors import OutOfMemory, is_out_of_memory
from landmark_fastai.model.losses import LandmarkLoss
from landmark_fastai.training.out_of_memory import step_sizes
from landmark_fastai.training.train import train

CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you "
                   'tried to allocate 4000000000 bytes. Error code 12 (Cannot allocate memory)')
CUDA = torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB')
MPS = RuntimeError('MPS backend out of memory (MPS allocated: 8.13 GB, other allocations: 740 MB, max allowed: 9 GB)')


@pytest.fixture
def flags(dots, tmp_path):
    "The arguments of a small training in a folder of its own."
    return dict(image_resize=128, batch_size=4, encoder_name='timm-mobilenetv3_small_minimal_100', epochs=3,
                encoder_weights='none', train_image_dir=dots[1], label_dir=dots[0].parent, train_csv_file=dots[0].name,
                output_dir=tmp_path)


@pytest.fixture
def memory(monkeypatch):
    "Let a step with more than so many pixels fail; the function to call with them, and the error."
    def has(n_pixels, error=CUDA):
        forward = LandmarkLoss.forward
        def short(self, pred, *targets):
            if pred.shape[0] * pred.shape[-1] ** 2 > n_pixels: raise error
            return forward(self, pred, *targets)
        monkeypatch.setattr(LandmarkLoss, 'forward', short)
    return has


def ended(**flags):
    "The message with which a training ends that does not fit."
    with pytest.raises(OutOfMemory) as error: train(**flags)
    assert '\n' not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize('error', [CPU, CUDA, MPS, MemoryError()], ids=['cpu', 'cuda', 'mps', 'python'])
def test_errors_of_memory_are_told_from_others(error):
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError('mat1 and mat2 shapes cannot be multiplied (4x3 and 2x1)'))


def test_smaller_steps_keep_two_images_for_batch_norm_and_sides_of_whole_32s():
    assert step_sizes(8, 512) == [(4, 512), (2, 512), *[(n, side) for side in (256, 128, 64) for n in (8, 4, 2)]]
    assert step_sizes(3, 96) == [(2, 96), (3, 64), (2, 64)]
    assert step_sizes(1, 128) == [(1, 64)] and step_sizes(2, 64) == []


@pytest.mark.slow
@pytest.mark.parametrize('n_pixels, error, words', [
    (3 * 128 ** 2, CUDA, ['4 images of 128 px', 'on cpu', '2 were tried and do: go on with --resume --batch_size 2']),
    (3 * 128 ** 2, CPU, ['4 images of 128 px', '2 were tried and do: go on with --resume --batch_size 2']),
    (128 ** 2, MPS, ['nor do 2; 4 of 64 px were tried', 'again with --batch_size 4 --image_resize 64 --overwrite']),
    (0, MemoryError(), ['nor does any of 64 px', 'end other programs', '--encoder_name timm-tf_efficientnet_lite1'])])
def test_what_fits_is_proposed(flags, memory, n_pixels, error, words):
    memory(n_pixels, error)
    line = ended(**flags)
    assert all(word in line for word in words), line


@pytest.mark.slow
def test_a_run_goes_on_from_its_last_epoch_with_the_batch_that_fits(flags, tmp_path, memory, monkeypatch):
    class Fills(Callback):
        "Another program takes the memory after the first epoch."
        def before_epoch(self):
            if self.epoch: memory(2 * 128 ** 2)
    assert '--resume --batch_size 2' in ended(**flags, cbs=Fills())
    log = tmp_path / 'baseline' / 'train_results' / 'training_log.csv'
    first = pd.read_csv(log)
    assert list(first.epoch) == [1]
    learn = train(output_dir=tmp_path, resume=True, batch_size=2)
    assert learn.dls.train.bs == 2 and list(pd.read_csv(log).epoch) == [1, 2, 3]
    assert pd.read_csv(log).iloc[0].equals(first.iloc[0])


@pytest.mark.slow
def test_a_second_stage_proposes_its_own_side_and_the_batch_of_the_first(flags, memory):
    flags |= dict(refine=True, refine_resize=256, refine_epochs=1, epochs=1, batch_size=2, image_resize=64)
    memory(3 * 256 ** 2)  # its steps have twice as many crops
    assert '4 crops of 256 px' in (line := ended(**flags)) and '--resume --batch_size 1 ' in line


def test_nothing_has_begun_that_find_lr_could_resume(tmp_path, memory, capsys):
    csv_file, images = write_dots(tmp_path)
    memory(3 * 64 ** 2)
    assert cli.main(['find_lr', '--train_image_dir', str(images), '--label_dir', str(tmp_path), '--train_csv_file',
                     csv_file.name, '--output_dir', str(tmp_path / 'runs'), '--image_resize', '64', '--batch_size', '4',
                     '--encoder_name', 'timm-mobilenetv3_small_minimal_100', '--encoder_weights', 'none']) == 1
    assert '2 were tried and do: pass --batch_size 2 ' in capsys.readouterr().err
    assert not (tmp_path / 'runs').exists()


def test_where_nothing_is_trained_it_is_one_line_too(monkeypatch, capsys):
    def fail(*_): raise CPU
    monkeypatch.setattr(cli, 'run', fail)
    assert cli.main(['sample']) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith('error: out of memory ([enforce fail') and line.endswith('#out-of-memory)')
