"The second stage of a run: the network of the first one, trained on crops of films around what that has found."

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from fastai.callback.core import Callback
from fastai.torch_core import rank_distrib, set_seed
from torch import nn

from ..config import TrainConfig
from ..data.crops import CROPS, CropField, crops_of_epoch, refine_dls
from ..data.items import AnnotatedImage
from ..data.loaders import LandmarkDataLoaders
from ..errors import UsageError
from ..formats.annotations import VISIBLE
from ..inference.calibration import observe, observe_crops, variances
from ..inference.loading import SECOND
from ..inference.predictor import Predictor
from ..inference.torch_engine import torch_predictor
from ..model.facts import CropFacts, write_facts
from . import distributed
from .build import check_last_batch, make_facts
from .run_folder import read_checkpoint
from .stage import train_stage

REACH = 95         # percentile of the first stage's errors, along x and y
SPARE = 1.5        # how many times these errors the jitter reaches
JITTER = 0.1, 0.3  # shares of a crop's side, between which the jitter is
SHARPER = 2        # times a film has to be as sharp as a square: on images that were 1.8 times so, crops brought little


def check_refinable(config: TrainConfig, model: nn.Module, state: np.ndarray, split: np.ndarray):
    """Raise UsageError unless images with landmarks in the `state` (n, N), each on its side of the `split` (n,), do.

    They have to tell how far the first stage is off, and to make a batch of crops at least, which `model` can train on.
    """
    if not (state[split == 'val'] == VISIBLE).any():
        raise UsageError(f'{config.csv_file.name}: no validation image has a visible landmark, and refine asks the '
                         'first stage there how far it is off; label some, or leave refine out')
    n, batch_size = crops_of_epoch(state[split == 'train']), CROPS * config.batch_size
    if n < batch_size:
        raise UsageError(f'{config.csv_file.name}: an epoch of the second stage has {n} crops, and a step of it '
                         f'{batch_size}, {CROPS} times batch_size; take a batch_size of {n // CROPS} at most, label '
                         'more, or leave refine out', see='batch-size')
    check_last_batch(config, model, n, batch_size)


def refine(config: TrainConfig, first: Predictor, dls: LandmarkDataLoaders, cbs: Sequence[Callback] = ()) -> Predictor:
    """Train the second stage of the run of `config` into `refine/` in its folder; returns its `Predictor` of crops.

    It starts from the weights of the `first` stage, whose errors on the validation images of `dls` tell how much of a
    film a crop has to show.
    """
    of_second = second_config(config)
    distributed.join(of_second.batch_size, config.device)
    images = dls.valid_ds.items
    points = first.predict([image.path for image in images]).points
    if not np.isfinite(points[np.stack([image.state for image in images]) == VISIBLE]).any():
        raise UsageError(f'{config.folder}: the first stage calls all landmarks of the validation images absent, so '
                         'that there is nothing to cut crops around; train it for more epochs, or without refine')
    field = choose_field(config, images, points)
    reach = field.side / 2  # film px: what is further off the middle is on no crop
    crop = CropFacts(field.film, field.jitter,
                     first_variance=variances(observe(first, dls.valid_ds), reach * config.image_resize / field.film),
                     variance=[1.] * len(dls.annotations.names))
    set_seed(config.seed, reproducible=True)
    crops = refine_dls(dls, points, field, of_second.batch_size, config.augment, config.elastic, config.pairs,
                       config.subpixel, config.drop_last, config.num_workers)
    learn = first.learner(crops, of_second, total_epochs=of_second.epochs, path=of_second.folder)
    facts = replace(make_facts(of_second, learn, first.facts.data), presence=[], crop=crop)
    if not rank_distrib(): print(describe(field, config, images), flush=True)
    train_stage(of_second, learn, facts, read_checkpoint(of_second.folder, needed=False), cbs)
    second = torch_predictor([learn.model], of_second, facts, learn.dls.device, learn.precision,
                             [of_second.folder / 'weight' / 'best.pth'])
    # on images of the validation, where the first stage leaves its points as it leaves those of new images
    facts = replace(facts, crop=replace(crop, variance=variances(observe_crops(second, first, images), reach)))
    if not rank_distrib(): write_facts(of_second.folder, facts)
    return second.with_facts(facts)


def describe(field: CropField, config: TrainConfig, images: Sequence[AnnotatedImage]) -> str:
    "What crops show, in a sentence, and what to do where the first stage sees `images` nearly as sharp."
    text = (f'second stage: crops of {field.side} px of films of {field.film} px, a landmark up to '
            f'{field.jitter * field.side:.0f} px off the middle')
    sharper = field.film / config.image_resize
    if sharper >= SHARPER: return text
    if median_side(images) < SHARPER * config.image_resize:
        better = 'a larger --image_resize, without refine, may bring more'
    elif config.refine_scale: better = 'the images have room for a larger --refine_scale'
    else: better = 'the first stage is so far off that crops have to show this much; more --epochs make them sharper'
    return f'{text}. That is {sharper:.1f} times as sharp as the first stage sees: expect little of it; {better}'


def second_config(config: TrainConfig) -> TrainConfig:
    "The flags of the second stage of a run with the flags `config`."
    return replace(config, output_dir=str(config.folder), experiment_name=SECOND, refine=False, from_run=None,
                   encoder_weights='none', image_resize=config.refine_resize, epochs=config.refine_epochs,
                   batch_size=CROPS * config.batch_size, overwrite=False)


def choose_field(config: TrainConfig, images: Sequence[AnnotatedImage], points: np.ndarray) -> CropField:
    """The film and the jitter of the second stage, by the errors of the `points` (n, N, 2) on `images`, original px.

    The film has the resolution of an image of median size, or less where the errors of the first stage else reached
    beyond the crops, but never less than the first stage sees.
    """
    native = median_side(images)
    errors = [abs(found - image.points) / image.frame.size.max() for image, found in zip(images, points, strict=True)]
    reach = SPARE * float(np.nanpercentile(np.stack(errors).max(-1), REACH))  # a share of the film
    side = config.refine_resize
    film = native * config.refine_scale if config.refine_scale else min(native, JITTER[1] * side / max(reach, 1e-6))
    film = max(round(film), config.image_resize)
    return CropField(film, side, float(np.clip(reach * film / side, *JITTER)))


def median_side(images: Sequence[AnnotatedImage]) -> float:
    "The longer side of an image of median size, original px."
    return float(np.median([image.frame.size.max() for image in images]))
