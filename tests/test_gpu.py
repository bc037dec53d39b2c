"What a GPU does: training, resuming and predicting in each precision, uploading, compiling. Skipped without CUDA."

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import TINY, write_dots

from landmark_fastai import UsageError, cli, landmark_dls, landmark_learner, load
from landmark_fastai.data.loaders import upload
from landmark_fastai.model.precision import choose_precision

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no CUDA here')]
HAS_BF16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
PRECISIONS = ['fp32', 'fp16', pytest.param('bf16', marks=pytest.mark.skipif(not HAS_BF16, reason='no GPU with bf16'))]


@pytest.fixture
def data(tmp_path): return write_dots(tmp_path, n=24, sizes=((64, 64), (60, 52)))


def train(data, output_dir, *argv):
    "Train a tiny model on the GPU from the command line; returns the exit code."
    csv_file, images = data
    return cli.main(['train', '--train_image_dir', str(images), '--label_dir', str(csv_file.parent),
                     '--train_csv_file', csv_file.name, '--output_dir', str(output_dir), *TINY, '--device', 'cuda',
                     *argv])


def log(run): return pd.read_csv(run / 'train_results' / 'training_log.csv')


@pytest.mark.parametrize('precision', PRECISIONS)
def test_a_training_learns_and_its_model_predicts_the_same_on_both_devices(data, tmp_path, precision):
    assert train(data, tmp_path, '--precision', precision, '--epochs', '12', '--lr', '1e-2') == 0
    errors = log(tmp_path / 'baseline').mean_error_px
    assert np.isfinite(errors).all() and errors.iloc[-1] < errors.iloc[0] / 2
    paths = sorted(data[1].iterdir())
    found = {device: load(tmp_path / 'baseline', device=device, precision='fp32').predict(paths).points
             for device in ('cuda', 'cpu')}
    assert np.median(np.linalg.norm(found['cuda'] - found['cpu'], axis=-1)) < 0.1
    halved = load(tmp_path / 'baseline', device='cuda', precision=precision).predict(paths).points
    assert np.median(np.linalg.norm(halved - found['cuda'], axis=-1)) < 0.5


@pytest.mark.parametrize('precision', PRECISIONS)
def test_a_stopped_run_goes_on(data, tmp_path, precision):
    argv = ['--recipe', 'original', '--encoder_name', 'resnet18', '--image_resize', '64', '--precision', precision]
    assert train(data, tmp_path, *argv, '--epochs', '2') == 0
    argv = ['train', '--resume', '--output_dir', str(tmp_path), '--experiment_name', 'baseline', '--epochs', '4']
    assert cli.main(argv) == 0
    assert list(log(tmp_path / 'baseline').epoch) == [1, 2, 3, 4]
    state = torch.load(tmp_path / 'baseline' / 'weight' / 'last.ckpt', weights_only=True)
    assert ('loss_scale' in state) == (precision == 'fp16')
    assert all(not value.is_cuda for value in state['model'].values())


def test_auto_is_bf16_where_the_gpu_has_it():
    gpu = torch.device('cuda')
    assert choose_precision('auto', gpu) == ('bf16' if HAS_BF16 else 'fp16')
    assert choose_precision('fp32', gpu) == 'fp32' and choose_precision('fp16', gpu) == 'fp16'
    if HAS_BF16: assert choose_precision('bf16', gpu) == 'bf16'
    else:
        with pytest.raises(UsageError, match='choose auto or fp32 or fp16'): choose_precision('bf16', gpu)


def test_the_network_is_channels_last(data):
    learn = small_learner(data)
    learn.fit(1)
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in learn.model.parameters() if p.ndim == 4)


def test_batches_are_on_the_gpu_before_they_are_asked_for(data):
    dls = landmark_dls(*data, image_resize=64, batch_size=4, device='cuda')
    images, *targets = dls.one_batch()
    assert images.is_cuda and all(target.is_cuda for target in targets)
    batch = upload((torch.arange(10**6),), dls.device)
    assert batch[0].is_cuda and batch[0].sum().item() == 10**6 * (10**6 - 1) // 2


def test_a_compiled_network_trains(data):
    learn = small_learner(data, compile=True)
    learn.fit(1)
    assert np.isfinite(learn.recorder.values[-1][0])
    assert set(learn.model.state_dict()) == set(small_learner(data).model.state_dict())


def small_learner(data, **kwargs):
    "A learner on the GPU, without a progress bar."
    dls = landmark_dls(*data, image_resize=64, batch_size=4, device='cuda')
    learn = landmark_learner(dls, encoder_name='resnet18', encoder_weights=None, **kwargs)
    learn.remove_cb(learn.progress)
    learn.logger = lambda row: None
    return learn
