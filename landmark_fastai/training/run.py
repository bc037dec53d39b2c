"One run: train a model into its folder, in one stage or two, and report how good it is."

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from fastai.callback.core import Callback
from fastai.torch_core import rank_distrib

from ..config import TrainConfig
from ..evaluation.validation import evaluate_validation
from ..formats.annotations import fingerprint
from ..inference.calibration import calibrated
from ..inference.predictor import Predictor
from ..inference.refining import RefinedPredictor
from ..learner import LandmarkLearner
from ..model.facts import write_facts
from . import distributed
from .build import make_facts, make_learner
from .refine import check_refinable, refine
from .run_folder import check_data, check_folder, read_checkpoint
from .stage import train_stage


def train_run(config: TrainConfig, split: np.ndarray | None = None,
              cbs: Sequence[Callback] = ()) -> LandmarkLearner:
    "Train the model of `config`; `split` (n,) is train, val or test of each image, drawn when left out."
    device = distributed.join(config.batch_size, config.device)
    with distributed.in_turn(): learn, state = prepare(config, device, split)
    facts = make_facts(config, learn, fingerprint(learn.dls.annotations, learn.dls.split))
    train_stage(config, learn, facts, state, cbs)
    if rank_distrib() and not config.refine: return learn
    predictor = calibrated(Predictor([learn.model], config, facts, learn.dls.device, learn.precision,
                                     [config.folder / 'weight' / 'best.pth']), learn.dls.train_ds)
    if not rank_distrib(): write_facts(config.folder, predictor.facts)
    if config.refine: predictor = RefinedPredictor(predictor, [refine(config, predictor, learn.dls, cbs)])
    if not rank_distrib(): learn.evaluation = evaluate_validation(config, predictor, learn.dls)
    return learn


def prepare(config: TrainConfig, device: str, split: np.ndarray | None) -> tuple[LandmarkLearner, dict | None]:
    "The learner of a run on `device`, and the checkpoint to resume from, if any. Every mistake shows here."
    state = read_checkpoint(config) if config.resume else None
    if state is None: check_folder(config)
    # a checkpoint has all weights: those that the run began with are not looked for again
    begins = {} if state is None else {'encoder_weights': 'none', 'from_run': None}
    learn = make_learner(replace(config, device=device, **begins), split)
    if state: check_data(config, fingerprint(learn.dls.annotations, learn.dls.split))
    if config.refine: check_refinable(config, learn.dls)
    return learn, state
