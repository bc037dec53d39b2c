"Cross-validation: a run for each fold, and all of them together."

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..evaluation.validation import evaluate_again, evaluate_folds
from ..files import write_text
from ..formats.annotations import fingerprint, read_annotations
from ..formats.splits import split_folds
from ..training import distributed
from .build import make_learner
from .config import annotation_csv, read_config, run_folder, write_config
from .run import train_once
from .run_folder import check_data, check_folder, make_folder


def cross_validate(config):
    """Train a model for each fold of `config`, into `fold_1/` and so on, validated on the images of that fold.

    Writes what is known of all of them together beside these folders. Returns the summary of the errors, a dict.
    """
    distributed.refuse('train --folds')
    folder, n_folds = run_folder(config), config['folds']
    resumed = config['resume'] and (folder / 'config.json').is_file()
    if not resumed: check_folder(folder, config)
    elif (folder / 'report.html').is_file(): raise UsageError(f'{folder} is finished, all {n_folds} folds of it')
    fold_of = split_folds(read_annotations(annotation_csv(config), config['n_landmarks']), n_folds, config['seed'])
    learn = make_learner(config, fold_split(fold_of, 1))  # every mistake shows before anything is written
    annotations, data = learn.dls.annotations, fingerprint(learn.dls.annotations, fold_of)
    if resumed: check_data(folder, read_config(folder).get('data'), data)
    else: make_folder(folder)
    learn.dls.split = fold_split(fold_of, 0)
    known = write_config(folder, config, learn, data)
    split = pd.DataFrame({'image_name': annotations.image_names, 'split': learn.dls.split, 'fold': fold_of})
    write_text(folder / 'split.csv', split.to_csv(index=False))
    evaluations = []
    for k in range(1, n_folds + 1):
        print(f'--- fold {k} of {n_folds}')
        of_fold = config | {'folds': 0, 'output_dir': str(folder), 'experiment_name': f'fold_{k}'}
        if (run_folder(of_fold) / 'report.html').is_file():
            of_it = annotations.subset(np.flatnonzero(fold_of == k))
            evaluations.append(evaluate_again(run_folder(of_fold), of_it, config))
        else: evaluations.append(train_once(of_fold, fold_split(fold_of, k)).evaluation)
    rows = np.flatnonzero(fold_of)
    return evaluate_folds(folder, known, annotations.subset(rows), fold_of[rows], evaluations)


def fold_split(fold_of, k):
    "The side of each image, (n,), where fold `k` of `fold_of` (n,) validates; none does for 0, whose images are test."
    return np.select([fold_of == 0, fold_of == k], ['test', 'val'], 'train')
