"Cross-validation: a run for each fold, and all of them together."

import gc
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from fastai.callback.core import Callback

from ..config import TrainConfig, is_run, read_config
from ..data.loaders import check_batch
from ..errors import UsageError
from ..evaluation.compare import Evaluation
from ..evaluation.notes import start_notes
from ..evaluation.validation import evaluate_again, evaluate_folds
from ..formats.annotations import Annotations, fingerprint, read_annotations
from ..formats.splits import split_folds
from ..learner import LandmarkLearner
from ..model.facts import CAL, ModelFacts
from ..processes import check_single_process
from .build import check_last_batch, data_facts, make_facts, make_learner, shape_facts
from .refine import check_refinable
from .run import train_run
from .run_folder import check_data, check_folder, check_room, start_folder


def cross_validate(config: TrainConfig, cbs: Sequence[Callback] = ()) -> dict:
    """Train a model for each fold of `config`, into `fold_1/` and so on, validated on the images of that fold.

    Writes what is known of all of them together beside these folders. Returns the summary of the errors.
    """
    check_single_process('train --folds')
    fold_of = split_folds(read_annotations(config.csv_file, config.n_landmarks), config.folds, config.seed)
    resumed = config.resume and is_run(config.folder)
    check_start(config, resumed)
    annotations, facts = prepare(config, fold_of)
    if resumed: check_data(config.folder, facts.data)
    start_folder(config, facts, resumed, annotations.image_names, split=sides_of(annotations, fold_of), fold=fold_of)
    evaluations = [run_fold(config, k, fold_of, annotations, cbs) for k in range(1, config.folds + 1)]
    rows = np.flatnonzero(fold_of)
    for_bounds = annotations.subset([i for i, side in enumerate(annotations.split or []) if side == CAL])
    return evaluate_folds(config, facts, annotations.subset(rows), fold_of[rows], evaluations, for_bounds)


def check_start(config: TrainConfig, resumed: bool):
    "Raise UsageError unless the cross-validation can begin, or go on where it is `resumed`."
    if not resumed: check_folder(config)
    elif (config.folder / 'report.html').is_file():
        raise UsageError(f'{config.folder} is finished, all {config.folds} folds of it')


def prepare(config: TrainConfig, fold_of: np.ndarray) -> tuple[Annotations, ModelFacts]:
    "The checked annotations, and what is known before a fold is trained. Every mistake shows here."
    learn = make_learner(config, fold_split(fold_of, 1))  # for that alone
    check_room(config, learn.model)
    check_folds(config, learn, fold_of)
    annotations = learn.dls.annotations
    sides = [f'fold {k}' if k else annotations.split[i] for i, k in enumerate(fold_of)]
    facts = make_facts(config, learn, fingerprint(annotations, fold_of))
    for note in start_notes(config, annotations.subset(fold_of > 0).image_names): warnings.warn(note, stacklevel=2)
    return annotations, replace(facts, shape=shape_facts(config, annotations.points[fold_of > 0]),
                                images=data_facts(annotations, sides))


def check_folds(config: TrainConfig, learn: LandmarkLearner, fold_of: np.ndarray):
    "Raise UsageError where one of the folds `fold_of` (n,) cannot be trained, as its run would once the others are."
    for k in range(1, config.folds + 1):
        split = fold_split(fold_of, k)
        n_train = int((split == 'train').sum())
        check_batch(config.batch_size, n_train)
        check_last_batch(config, learn.model, n_train, config.batch_size)
        if config.refine: check_refinable(config, learn.model, learn.dls.annotations.state, split)


def run_fold(config: TrainConfig, k: int, fold_of: np.ndarray, annotations: Annotations,
             cbs: Sequence[Callback]) -> Evaluation:
    "The evaluation of fold `k`, which is trained unless it is there from before."
    print(f'--- fold {k} of {config.folds}')
    gc.collect()  # learner and callbacks refer to each other: they keep images and network of what was before
    of_fold = fold_config(config, k)
    if (of_fold.folder / 'report.html').is_file():
        return evaluate_again(of_fold, annotations.subset(np.flatnonzero(fold_of == k)))
    return train_run(of_fold, fold_split(fold_of, k), cbs).evaluation


def fold_config(config: TrainConfig, k: int) -> TrainConfig:
    "The flags of fold `k`, with the epochs that it has chosen for its share of the minutes if it has begun."
    # the cache was cleared, if that was asked for, before the first fold: the others find its squares
    of_fold = replace(config, folds=0, clear_cache=False, output_dir=config.folder, experiment_name=f'fold_{k}',
                      minutes=config.minutes and config.minutes / config.folds)
    if not (config.minutes and config.resume and is_run(of_fold.folder)): return of_fold
    begun = read_config(of_fold.folder)
    return replace(of_fold, epochs=begun.epochs, refine_epochs=begun.refine_epochs)


def sides_of(annotations: Annotations, fold_of: np.ndarray) -> np.ndarray:
    "What each image, (n,), is to the ensemble of the folds: train where it is in one of them, else cal or test."
    return np.where(fold_of > 0, 'train', annotations.split or '')


def fold_split(fold_of: np.ndarray, k: int) -> np.ndarray:
    "train, val or test of each image, (n,), where fold `k` of `fold_of` (n,) validates; test for those in none."
    return np.select([fold_of == 0, fold_of == k], ['test', 'val'], 'train')
