"The learner: an SMP network on fastai, with its weights, normalisation, erosion schedule and metrics."

import math
import warnings
from functools import partial
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from fastai.torch_core import params
from fastcore.foundation import L
from torch import nn

from ..errors import UsageError
from .precision import FloatHead
from .weights import LITE0, _load_encoder, _load_lite0, _with_download


def create_model(arch, encoder_name, encoder_weights, n_landmarks):
    """A segmentation-models-pytorch network with one output channel per landmark, channels last.

    `encoder_weights` is 'imagenet', 'none' or the path of a .pth or .safetensors file with the encoder's state dict.
    Raises UsageError for an unknown architecture or encoder, and where weights cannot be had: nothing starts from a
    random encoder that was not asked for.
    """
    bundled = encoder_name == LITE0 and encoder_weights == 'imagenet'
    download = encoder_weights == 'imagenet' and not bundled
    if encoder_weights not in ('imagenet', 'none') and not Path(encoder_weights).is_file():
        raise UsageError(f"encoder_weights is {str(encoder_weights)!r}, which is no file; "
                         f"expected 'imagenet', 'none' or the path of a .pth or .safetensors file")
    build = partial(_build, arch, encoder_name, n_landmarks)
    model = _with_download(build, encoder_name) if download else build(None)
    if bundled: _load_lite0(model.encoder)
    elif not download and encoder_weights != 'none': _load_encoder(model.encoder, encoder_weights)
    model.segmentation_head = FloatHead(*model.segmentation_head)
    return model.to(memory_format=torch.channels_last)  # 1.2 to 1.7 times faster on a CPU, and what tensor cores want


def _build(arch, encoder_name, n_landmarks, weights):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of `timm-` names, which keep working
            return smp.create_model(arch, encoder_name, weights, classes=n_landmarks)
    except OSError: raise  # weights that cannot be downloaded, of which some are ValueErrors too
    except (KeyError, ValueError, RuntimeError) as e:
        raise UsageError(f'encoder_name {encoder_name!r} in arch {arch!r} is unknown or impossible '
                         f'({str(e.args[0]).splitlines()[0][:200]}); try resnet18, resnet34, resnet101 or {LITE0} '
                         'in unet, or other names of segmentation-models-pytorch') from e


def set_prior(head, share=0.01):
    """Let a network begin with the sigmoid `share` everywhere.

    Unweighted BCE else spends its first hundred steps on unlearning a half of so much background (Lin et al., Focal
    loss, ICCV 2017, section 3.3), and the masks lag behind the points. The softmax does not see it.
    """
    nn.init.constant_(head[0].bias, math.log(share / (1 - share)))


def unet_split(model):
    "Two parameter groups: the encoder, and everything else (decoder and heads), for freezing and sliced rates."
    rest = nn.ModuleList([module for name, module in model.named_children() if name != 'encoder'])
    return L(model.encoder, rest).map(params)
