"One run: train a model into its folder, and report how good it is."

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from fastai.callback.core import Callback
from fastai.torch_core import rank_distrib, set_seed

from ..callbacks.history import History, describe_errors
from ..callbacks.stopping import CheckLoss
from ..config import TrainConfig
from ..data.items import AnnotatedImage
from ..errors import Diverged
from ..evaluation.validation import evaluate_validation
from ..formats.annotations import VISIBLE, fingerprint
from ..learner import LandmarkLearner
from ..model.facts import ModelFacts
from ..model.state import read_state_dict
from . import distributed
from .build import make_callbacks, make_facts, make_learner
from .run_folder import check_data, check_folder, read_checkpoint, start_folder


def train_run(config: TrainConfig, split: np.ndarray | None = None,
              cbs: Sequence[Callback] = ()) -> LandmarkLearner:
    "Train the model of `config`; `split` (n,) is train, val or test of each image, drawn when left out."
    device = distributed.join(config.batch_size, config.device)
    with distributed.in_turn(): learn, state = prepare(config, device, split)
    facts = make_facts(config, learn, fingerprint(learn.dls.annotations, learn.dls.split))
    if not rank_distrib():
        start_folder(config, facts, state is not None, learn.dls.annotations.image_names, split=learn.dls.split)
        announce(config, learn)
    history, *others = make_callbacks(config, learn, state)
    fit(learn, config, [history, *others, *cbs])
    check_loss(config, others)
    return finish(config, facts, learn, history)


def prepare(config: TrainConfig, device: str, split: np.ndarray | None) -> tuple[LandmarkLearner, dict | None]:
    "The learner of a run on `device`, and the checkpoint to resume from, if any. Every mistake shows here."
    state = read_checkpoint(config) if config.resume else None
    if state is None: check_folder(config)
    # a checkpoint has all weights: those that the run began with are not looked for again
    begins = {} if state is None else {'encoder_weights': 'none', 'from_run': None}
    learn = make_learner(replace(config, device=device, **begins), split)
    if state: check_data(config, fingerprint(learn.dls.annotations, learn.dls.split))
    return learn, state


def announce(config: TrainConfig, learn: LandmarkLearner):
    "Say what is trained on what."
    dls = learn.dls
    print(f'{len(dls.train_ds)} training and {len(dls.valid_ds)} validation images, {len(dls.annotations.names)} '
          f'landmarks, {config.arch} with {config.encoder_name} at {config.image_resize} px on {dls.device} in '
          f'{learn.precision}, writing {config.folder}', flush=True)


def fit(learn: LandmarkLearner, config: TrainConfig, cbs: Sequence[Callback]):
    "Train by the schedule of `config`."
    if rank_distrib(): set_seed(config.seed + rank_distrib())  # each process augments in its own way
    with learn.no_bar(), learn.no_logging():
        if config.schedule == 'constant': learn.fit(config.epochs, config.lr, cbs=cbs)
        elif config.schedule == 'one_cycle': learn.fit_one_cycle(config.epochs, config.lr, cbs=cbs)
        else: learn.fine_tune(config.epochs, config.lr, freeze_epochs=config.freeze_epochs, cbs=cbs)


def check_loss(config: TrainConfig, cbs: Sequence[Callback]):
    "Raise Diverged, in all processes, if a callback has stopped the training for a NaN loss."
    problem = next((cb.problem for cb in cbs if isinstance(cb, CheckLoss)), None)
    if problem is None: return
    distributed.leave()
    weight = config.folder / 'weight'
    kept = [str(path) for path in (weight / 'best.pth', weight / 'last.ckpt') if path.is_file()]
    raise Diverged(f'{problem}; try a smaller --lr, or look at these images. '
                   f'{" and ".join(kept) or "No weights"} of earlier epochs are kept')


def finish(config: TrainConfig, facts: ModelFacts, learn: LandmarkLearner, history: History) -> LandmarkLearner:
    "Give `learn` the best weights, in all processes, and report on the validation images in the first."
    first = not rank_distrib()
    if first and history.best is not None:
        learn.model.load_state_dict(read_state_dict(config.folder / 'weight' / 'best.pth'))
    distributed.send_weights(learn.model)
    distributed.leave()
    if first:
        say_best(config, history, learn.dls.valid_ds.items)
        learn.evaluation = evaluate_validation(config, facts, learn)
    return learn


def say_best(config: TrainConfig, history: History, validation: Sequence[AnnotatedImage]):
    "Say what came out, and why there are no best weights where there are none."
    best = history.best
    if best is not None:
        print(f"best epoch {best['epoch']}: mean error {describe_errors(best)} in original pixels, "
              f"{best['mean_dist']:.2f} px of the network")
    else:
        seen = any((image.state == VISIBLE).any() for image in validation)
        why = 'the network diverged, try a smaller --lr' if seen else 'no validation image has a visible landmark'
        print(f'{why}: no error is known and no best weights were chosen; the last are in '
              f"{config.folder / 'weight' / 'last.ckpt'}")
    print(f'the run is in {config.folder}')
