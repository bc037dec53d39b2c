"One stage of a run: a learner that is trained into a folder, and left with its best weights."

from collections.abc import Sequence

from fastai.callback.core import Callback
from fastai.torch_core import rank_distrib, set_seed

from ..callbacks.history import History, describe_errors
from ..callbacks.stopping import CheckLoss
from ..config import TrainConfig
from ..data.crops import AnnotatedCrop
from ..data.items import AnnotatedImage
from ..errors import Diverged
from ..formats.annotations import VISIBLE
from ..learner import LandmarkLearner
from ..model.facts import ModelFacts
from ..model.state import read_state_dict
from ..viz.curves import MEDIAN
from . import distributed
from .build import make_callbacks
from .out_of_memory import or_say_what_fits
from .run_folder import start_folder


def train_stage(config: TrainConfig, learn: LandmarkLearner, facts: ModelFacts, state: dict | None,
                cbs: Sequence[Callback] = ()):
    """Train `learn` by the flags `config` into their folder, on from the checkpoint `state` if there is one.

    Leaves it with the best weights, in all processes, which part then. Raises Diverged and OutOfMemory.
    """
    if not rank_distrib():
        start_folder(config, facts, state is not None, learn.dls.annotations.image_names, split=learn.dls.split)
        announce(config, learn)
    history, *others = make_callbacks(config, learn, state)
    or_say_what_fits(lambda: fit(learn, config, [history, *others, *cbs]), learn, config, started=True)
    check_loss(config, others)
    if not rank_distrib() and history.best is not None:
        learn.model.load_state_dict(read_state_dict(config.folder / 'weight' / 'best.pth'))
    distributed.send_weights(learn.model)
    distributed.leave()
    if not rank_distrib(): say_best(config, history, learn.dls.valid_ds.items)


def announce(config: TrainConfig, learn: LandmarkLearner):
    "Say what is trained on what."
    dls = learn.dls
    what = 'crops' if isinstance(dls.train_ds.items[0], AnnotatedCrop) else 'images'
    print(f'{len(dls.train_ds)} training and {len(dls.valid_ds)} validation {what}, {len(dls.annotations.names)} '
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


def say_best(config: TrainConfig, history: History, validation: Sequence[AnnotatedImage]):
    "Say what came out, and why there are no best weights where there are none."
    best = history.best
    if best is not None:
        median = f'median {best[MEDIAN]:.2f} px, ' if MEDIAN in best else ''
        print(f"best epoch {best['epoch']}: {median}mean error {describe_errors(best)} in original pixels, "
              f"{best['mean_dist']:.2f} px of the network")
    else:
        seen = any((image.state == VISIBLE).any() for image in validation)
        why = 'the network diverged, try a smaller --lr' if seen else 'no validation image has a visible landmark'
        print(f'{why}: no error is known and no best weights were chosen; the last are in '
              f"{config.folder / 'weight' / 'last.ckpt'}")
