"One run: train a model into its folder, in one stage or two, and report how good it is."

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from fastai.callback.core import Callback
from fastai.torch_core import rank_distrib

from ..config import TrainConfig
from ..data.loaders import LandmarkDataLoaders
from ..errors import UsageError
from ..evaluation.compare import Evaluation
from ..evaluation.notes import start_notes
from ..evaluation.validation import evaluate_validation, with_bounds
from ..formats.annotations import fingerprint, read_annotations
from ..formats.splits import read_split, split_rows, trained_images
from ..inference.calibration import calibrated
from ..inference.predictor import Predictor
from ..inference.refining import RefinedPredictor
from ..inference.torch_engine import torch_predictor
from ..learner import LandmarkLearner
from ..model.facts import BOTH, CAL, FIRST, ModelFacts, write_facts
from . import distributed
from .build import data_facts, make_facts, make_learner, shape_facts
from .minutes import fit_minutes
from .refine import check_refinable, refine
from .run_folder import check_data, check_folder, check_room, read_checkpoint, read_progress, start_folder
from .stage import train_stage


def train_run(config: TrainConfig, split: np.ndarray | None = None,
              cbs: Sequence[Callback] = ()) -> LandmarkLearner:
    "Train the model of `config`; `split` (n,) is the side of each image, drawn when left out."
    device = distributed.join(config.batch_size, config.device)
    with distributed.in_turn(): learn, facts, state, kept = prepare(config, device, split)
    if state is None and config.minutes: config = fit_minutes(config, learn)
    if kept:
        keep_first_stage(config, learn, facts)
        state = kept
    train_stage(config, learn, facts, state, cbs)
    if rank_distrib() and not config.refine: return learn
    first = calibrated(torch_predictor([learn.model], config, facts, learn.dls.device, learn.precision,
                                       [config.folder / 'weight' / 'best.pth']), learn.dls.train_ds)
    if not rank_distrib(): write_facts(config.folder, first.facts)
    seconds = [refine(config, first, learn.dls, cbs)] if config.refine else []
    if not rank_distrib(): learn.evaluation = report(config, first, seconds, learn.dls)
    return learn


def report(config: TrainConfig, first: Predictor, seconds: list[Predictor], dls: LandmarkDataLoaders) -> Evaluation:
    "Find out how far to trust the points of a run, in one stage or two, and report how good they are."
    stages = {FIRST: first} | ({BOTH: RefinedPredictor(first, seconds)} if seconds else {})
    for_bounds = dls.annotations.subset(dls.split == CAL)
    first = first.with_facts(with_bounds(config, first.facts, for_bounds, stages))
    write_facts(config.folder, first.facts)
    predictor = RefinedPredictor(first, seconds) if seconds else first
    return evaluate_validation(config, predictor, dls)


def prepare(config: TrainConfig, device: str,
            split: np.ndarray | None) -> tuple[LandmarkLearner, ModelFacts, dict | None, dict | None]:
    """The learner of a run on `device`, what is known of it, and the checkpoint to go on from, if any.

    For a new run that keeps the first stage of another, the checkpoint of that comes last. Every mistake shows here.
    """
    if config.keeps_first_stage: split = split_of_run(config)
    elif config.from_run and split is None: split = split_after_run(config)
    state = read_progress(config) if config.resume else None
    if state is None: check_folder(config)
    kept = read_checkpoint(Path(config.from_run), needed=True) if state is None and config.keeps_first_stage else None
    # a checkpoint has all weights: those that the run began with are not looked for again
    begins = {} if state is None else {'encoder_weights': 'none', 'from_run': None}
    learn = make_learner(replace(config, device=device, **begins), split)
    check_room(config, learn.model)
    annotations, sides = learn.dls.annotations, learn.dls.split
    facts = replace(make_facts(config, learn, fingerprint(annotations, sides)),
                    shape=shape_facts(config, annotations.points[sides == 'train']),
                    images=data_facts(annotations, sides.tolist()))
    if state: check_data(config.folder, facts.data)
    judges = annotations.subset(np.isin(sides, ('val', CAL))).image_names
    for note in start_notes(config, judges): warnings.warn(note, stacklevel=2)
    if config.refine: check_refinable(config, learn.model, annotations.state, sides)
    if config.keeps_first_stage: check_data(Path(config.from_run), facts.data)
    return learn, facts, state, kept


def split_of_run(config: TrainConfig) -> np.ndarray:
    """The side, (n,), that each image of the annotations was on in the run whose first stage is kept.

    Raises UsageError where that run is not finished, or had other images.
    """
    run = Path(config.from_run)
    if not (run / 'report.html').is_file():
        raise UsageError(f'{run} is not finished, and refine adds a second stage to a run that is; see --resume')
    sides = read_split(run)
    names = read_annotations(config.csv_file).image_names
    other = [name for name in names if name not in sides]
    if other:
        raise UsageError(f'{run} was trained without {other[0]}, which {config.csv_file.name} has, and refine adds a '
                         'second stage for the data of a run: leave refine out to train on with others')
    return np.array([sides[name] for name in names])


def split_after_run(config: TrainConfig) -> np.ndarray:
    """The side, (n,), of each image of a training that begins with the network of the run `from_run`.

    What has trained that does not validate this one, as long as there are others. A run that is resumed keeps its own.
    """
    annotations = read_annotations(config.csv_file, config.n_landmarks, config.invisible_landmarks)
    sides = read_split(config.folder) if config.resume else {}
    if all(name in sides for name in annotations.image_names):
        return np.array([sides[name] for name in annotations.image_names])
    return split_rows(annotations, config.val_fraction, config.seed, trained_images(Path(config.from_run)))


def keep_first_stage(config: TrainConfig, learn: LandmarkLearner, facts: ModelFacts):
    "Begin the folder of `config` with the first stage of the run it starts from."
    if rank_distrib(): return
    start_folder(config, facts, False, learn.dls.annotations.image_names, kept=Path(config.from_run),
                 split=learn.dls.split)
