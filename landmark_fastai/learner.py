"The learner: an SMP network on fastai, with its weights, normalisation, erosion schedule and metrics."

import warnings
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from fastai.callback import schedule  # noqa: F401  (patches `fit_one_cycle`, `fine_tune` and `lr_find` into Learner)
from fastai.callback.core import Callback, CancelEpochException
from fastai.data.transforms import Normalize
from fastai.learner import Learner, Metric
from fastai.optimizer import Adam, OptimWrapper
from fastai.torch_core import rank_distrib
from fastcore.basics import first
from fastcore.foundation import L
from fastcore.meta import delegates
from torch import Tensor, nn

from .callbacks.erosion import ErosionSchedule
from .config import TrainConfig
from .data.items import image_frame
from .data.loaders import LandmarkDataLoaders
from .data.tensors import TensorLandmarks
from .data.transforms import NormalizeOnce
from .files import atomic
from .flags import check_values
from .formats.annotations import ABSENT
from .formats.splits import TRAINED
from .geometry.decoding import decode
from .geometry.frame import Frame, to_original
from .model.losses import LandmarkLoss
from .model.metrics import landmark_metrics
from .model.network import create_model, set_prior, unet_split
from .model.precision import LossScale, choose_precision, compile_network, run_in_precision
from .model.weights import IMAGENET_STATS, encoder_stats

OPTIMIZERS = {'adam': Adam, 'torch_adam': partial(OptimWrapper, opt=torch.optim.Adam)}


class LandmarkLearner(Learner):
    "A fastai `Learner` that predicts in original pixels, leaves nothing behind, and may start after `first_epoch`s."
    first_epoch = 0

    def __init__(self, dls: LandmarkDataLoaders, model: nn.Module, stats: tuple, **kwargs):
        self.stats = stats  # mean and standard deviation per channel, which all batches are normalised with
        super().__init__(dls, model, **kwargs)

    @property
    def dls(self) -> LandmarkDataLoaders:
        "The data; others that take their place are normalised as these are."
        return vars(self)['dls']

    @dls.setter
    def dls(self, dls: LandmarkDataLoaders):
        vars(self)['dls'] = dls
        _set_normalize(dls, *self.stats)

    def _do_fit(self):
        # fastai's own `start_epoch` sends the callbacks through the epochs before it, without any values (fastai#3780)
        for epoch in range(self.first_epoch, self.n_epoch):
            self.epoch = epoch
            self._with_events(self._do_epoch, 'epoch', CancelEpochException)

    def predict(self, item: str | Path | np.ndarray) -> tuple[TensorLandmarks, TensorLandmarks, Tensor]:
        """Landmarks of one image, a path or a uint8 array (H, W); (H, W, 3) RGB where `dls` keeps colour.

        Returns `TensorLandmarks` (N, 2) in original px, the same in network px, and the logits (N, S, S).
        """
        *_, logits = super().predict(item)
        frame = torch.from_numpy(image_frame(item, self.dls.reader.image_resize).row())[None]
        points = decode(logits[None].cpu(), frame, self.loss_func.decoder)
        return TensorLandmarks(to_original(points[0], Frame.of(frame))), TensorLandmarks(points[0]), logits

    def export(self, fname: str | Path = 'export.pkl', **kwargs):
        """fastai's `export`: the learner in a file, with which `load_learner` predicts wherever this package is.

        No image, no label, no path and no name of an image or a patient is in the file, only the landmarks' names.
        The learner stays as it is, also where something in it cannot be written.
        """
        if rank_distrib(): return
        kept = {name: value for name, value in vars(self).items() if name in ('dls', 'opt', 'path', 'evaluation')}
        vars(self).pop('evaluation', None)
        self.path = Path()
        try:
            with atomic(kept['path'].absolute() / fname) as temporary: super().export(temporary, **kwargs)
        finally: vars(self).update(kept)  # fastai restores most of it, but not after an error

    def lr_find(self, *args, **kwargs):
        "fastai's `lr_find`; what it keeps meanwhile lies in a temporary folder, not in `path`."
        path = self.path
        with TemporaryDirectory() as folder:
            self.path = Path(folder)
            try: return super().lr_find(*args, **kwargs)
            finally: self.path = path


@delegates(Learner.__init__, but=['loss_func', 'metrics'])
def landmark_learner(
    dls: LandmarkDataLoaders,
    arch: str = TrainConfig.arch,  # any architecture of segmentation-models-pytorch
    encoder_name: str = TrainConfig.encoder_name,  # any of its encoders
    encoder_weights: str | Path | None = TrainConfig.encoder_weights,  # imagenet, none, or a .pth or .safetensors file
    loss: str | LandmarkLoss = TrainConfig.loss,  # one of `losses.LOSSES`, or a `LandmarkLoss`
    decoder: str = TrainConfig.decode,  # how points are read from logits: centroid or argmax
    erosion_schedule: str = TrainConfig.erosion_schedule,  # auto (fractions of run and image side) or fixed
    dilation_iters: int = TrainConfig.dilation_iters,  # first radius of the masks
    erosion_freq: int = TrainConfig.erosion_freq,  # epochs between two erosions
    erosion_iters: int = TrainConfig.erosion_iters,  # what each erosion takes off the radius
    total_epochs: int | None = None,  # that `auto` stretches over; of the current and all earlier fits when left out
    normalize: tuple | None = None,  # (mean, std) per channel; the encoder's own when left out
    precision: str = TrainConfig.precision,  # of the network's layers, one of `config.PRECISIONS`
    compile: bool = TrainConfig.compile,  # torch.compile: minutes at the start, then faster steps on some hardware
    opt_func: Callable = Adam,
    lr: float = TrainConfig.lr,
    wd: float = TrainConfig.weight_decay,
    splitter: Callable = unet_split,
    cbs: Callback | Sequence[Callback] | None = None,
    **kwargs
) -> LandmarkLearner:
    """A `LandmarkLearner` for `dls`, with erosion schedule and metrics attached.

    Metrics are the mean radial error in original px, network px and mm (where the spacing is known), and Dice. The
    learner sets the normalisation and the radius of `dls`: give a second learner DataLoaders of its own. Raises
    UsageError for unknown names and for weights that cannot be had.
    """
    check_values(TrainConfig, decode=decoder)
    precision = choose_precision(precision, dls.device)
    erosion = ErosionSchedule(erosion_schedule, dilation_iters, erosion_freq, erosion_iters, total_epochs)
    loss_func = copy(loss) if isinstance(loss, LandmarkLoss) else LandmarkLoss(loss)
    loss_func.decoder = decoder
    model = create_model(arch, encoder_name, encoder_weights, len(dls.names))
    if loss_func.needs_prior: set_prior(model.segmentation_head)
    if compile: compile_network(model.to(dls.device))
    run_in_precision(model, precision, dls.device)
    own = [erosion, *([LossScale()] if precision == 'fp16' else [])]
    learn = LandmarkLearner(dls, model, normalize or encoder_stats(encoder_name), loss_func=loss_func,
                            metrics=make_metrics(dls, loss_func), opt_func=opt_func, lr=lr, wd=wd, splitter=splitter,
                            cbs=[*own, *L(cbs)], **kwargs)
    learn.precision = precision
    return learn


def make_metrics(dls: LandmarkDataLoaders, loss_func: LandmarkLoss) -> list[Metric]:
    "The metrics that the data have a truth for; warns of absent landmarks that the loss cannot learn."
    annotations, used = dls.annotations, np.isin(dls.split, TRAINED)
    has_spacing = bool(np.isfinite(annotations.spacing[used]).any())
    has_absent = bool((annotations.state[used] == ABSENT).any())
    learns_absence = 'bce' in loss_func.parts
    if has_absent and not learns_absence:
        warnings.warn(f'{annotations.path.name} has absent landmarks, and {loss_func.name} cannot learn absence; '
                      'take a loss with bce in its name', stacklevel=3)
    return landmark_metrics(loss_func.decoder, has_spacing, has_absent and learns_absence)


def config_learner(dls: LandmarkDataLoaders, config: TrainConfig, **kwargs) -> LandmarkLearner:
    "The learner of a run with the flags `config`; `kwargs` of `landmark_learner` win."
    own = dict(
        arch=config.arch, encoder_name=config.encoder_name, encoder_weights=config.encoder_weights,
        loss=LandmarkLoss(config.loss, config.dice_weight, config.bce_weight, config.spatial_weight),
        erosion_schedule=config.erosion_schedule, dilation_iters=config.dilation_iters,
        erosion_freq=config.erosion_freq, erosion_iters=config.erosion_iters,
        decoder=config.decode, normalize=normalization(config), precision=config.precision, compile=config.compile,
        opt_func=OPTIMIZERS[config.optimizer], lr=config.lr, wd=config.weight_decay)
    return landmark_learner(dls, **own | kwargs)


def normalization(config: TrainConfig) -> tuple:
    "Mean and standard deviation per channel that images are normalised with."
    return IMAGENET_STATS if config.normalization == 'imagenet' else encoder_stats(config.encoder_name)


def _set_normalize(dls, mean, std):
    "Put `Normalize` last among the batch transforms; the normalisation of an earlier learner on `dls` makes way."
    old = first(dls.train.after_batch.fs, lambda t: isinstance(t, Normalize))
    if old is not None:
        for dl in dls.loaders: dl.after_batch.fs.remove(old)
    stats = (torch.tensor(values, device=dls.device)[None, :, None, None] for values in (mean, std))
    dls.add_tfms([NormalizeOnce(*stats)], 'after_batch')
