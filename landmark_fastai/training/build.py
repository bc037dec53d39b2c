"The parts of a run, from its flags: learner, callbacks, and what is known of the model before it is trained."

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.torch_core import num_distrib, rank_distrib, set_seed
from torch import nn

from ..callbacks.averaging import AverageWeights
from ..callbacks.checkpoint import Resume, SaveWeights
from ..callbacks.console import Console
from ..callbacks.history import History
from ..callbacks.pictures import Pictures
from ..callbacks.stopping import CheckLoss, EarlyStop
from ..config import TrainConfig
from ..data.crops import AnnotatedCrop
from ..data.loaders import config_dls, usable_device
from ..formats.annotations import ABSENT, UNLABELLED, VISIBLE, Annotations
from ..formats.cache import clear_cache
from ..formats.columns import SPLITS
from ..inference.loading import load
from ..inference.shape_model import learn_shape
from ..learner import LandmarkLearner, config_learner, normalization
from ..model.facts import DataFacts, ModelFacts, ShapeFacts, git_commit, installed_versions
from ..model.network import check_batch_of_one
from ..model.precision import choose_precision
from . import distributed


@contextmanager
def cudnn_restored() -> Iterator[None]:
    "A context, or decorator, that leaves cuDNN as it was: equal seeds need it deterministic, and it is the process's."
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    try: yield
    finally: cudnn.deterministic, cudnn.benchmark = before


def make_learner(config: TrainConfig, split: np.ndarray | None = None) -> LandmarkLearner:
    "The learner of a run, its data checked and in memory; equal seeds make equal learners."
    device = usable_device(None if config.device == 'auto' else config.device)
    choose_precision(config.precision, device)  # before images are read
    set_seed(config.seed, reproducible=True)
    if config.clear_cache and not rank_distrib(): clear_cache()
    dls = config_dls(config, device, split)
    of_run = dict(total_epochs=config.epochs, path=config.folder)
    if config.from_run: learn = load(config.from_run, device=device, refine=False).learner(dls, config, **of_run)
    else: learn = config_learner(dls, config, **of_run)
    check_last_batch(config, learn.model, dls.train.n, config.batch_size)
    return learn


def check_last_batch(config: TrainConfig, model: nn.Module, n: int, batch_size: int):
    "Raise UsageError where the last batch of `n` images, by `batch_size`, is one image and `model` cannot train on it."
    if batch_size == 1 or n % batch_size == 1 and not config.drop_last: check_batch_of_one(model)


def make_callbacks(config: TrainConfig, learn: LandmarkLearner, state: dict | None) -> list[Callback]:
    "The callbacks of a run in this process, its `History` first; `state` is the checkpoint to resume from, or None."
    names, folder = learn.dls.annotations.names, config.folder
    # the crop of what the first stage has missed shows another part: such errors tell nothing, and rule a mean
    of_crops = isinstance(learn.dls.train_ds.items[0], AnnotatedCrop)
    history = History(folder / 'train_results' / 'training_log.csv', names, by_median=of_crops)
    cbs = [history, Pictures(folder, names, config.n_epochs, config.visualize_every, config.gif)]
    if config.ema: cbs.append(AverageWeights(config.ema))
    if config.early_stop: cbs.append(EarlyStop(config.early_stop, config.n_frozen))
    if state: cbs.append(Resume(state))
    if not rank_distrib(): cbs += [SaveWeights(folder / 'weight'), Console(config.n_epochs, config.encoder_name)]
    if num_distrib() > 1: cbs.append(distributed.ShareTrainer())
    return [*cbs, CheckLoss()]


def make_facts(config: TrainConfig, learn: LandmarkLearner, data: str) -> ModelFacts:
    "What is known of the model of a run on data with the fingerprint `data`."
    annotations = learn.dls.annotations
    spacing = annotations.spacing[np.isfinite(annotations.spacing).all(1)]
    mean, std = normalization(config)
    return ModelFacts(
        landmarks=annotations.names, mean=list(mean), std=list(std),
        presence=learned_absence(annotations, learn.dls.split) if 'bce' in learn.loss_func.parts else [],
        median_pixel_spacing=np.median(spacing, 0).tolist() if len(spacing) else None, data=data,
        device=str(learn.dls.device), precision=learn.precision, versions=installed_versions(), git_commit=git_commit())


def shape_facts(config: TrainConfig, points: np.ndarray) -> ShapeFacts | None:
    "The shape of training images with `points` (n, N, 2), see `learn_shape`; None where `config` asks for none."
    return learn_shape(points) if config.shape else None


def learned_absence(annotations: Annotations, split: np.ndarray) -> list[str]:
    "The landmarks that are absent on a training image, so that a loss with BCE learns to say so."
    absent = (annotations.state[split == 'train'] == ABSENT).any(0)
    return [name for name, seen in zip(annotations.names, absent, strict=True) if seen]


def data_facts(annotations: Annotations, sides: Sequence[str]) -> DataFacts:
    "What is told of the images of `annotations`, each on one of `sides` (n,): of `columns.SPLITS`, or a fold."
    def place(side): return SPLITS.index(side) if side in SPLITS else -1, len(side), side
    ordered, patients = sorted(set(sides), key=place), annotations.patient_id
    images = Counter(sides)
    seen = Counter(side for side, _ in set(zip(sides, patients or annotations.image_names, strict=True)))
    spacing = annotations.spacing[np.isfinite(annotations.spacing).all(1)]
    states = (VISIBLE, ABSENT, UNLABELLED)
    return DataFacts(
        sides={side: images[side] for side in ordered},
        patients=None if patients is None else {side: seen[side] for side in ordered},
        sizes=[annotations.sizes.min(0).tolist(), annotations.sizes.max(0).tolist()],
        spacing=[spacing.min(0).tolist(), spacing.max(0).tolist()] if len(spacing) else None,
        spacing_sources=dict(Counter(annotations.spacing_source)),
        labels=[[int((of_landmark == state).sum()) for state in states] for of_landmark in annotations.state.T])
