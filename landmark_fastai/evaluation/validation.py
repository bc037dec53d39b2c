"`evaluate`: predictions against annotations, as a table, figures and a report; also for the validation set of a run."

from copy import copy

import numpy as np

from ..inference.calibration import calibrate, flat_landmarks, look_at
from ..inference.folder import Found
from ..inference.loading import load
from ..inference.options import OPTIONS
from ..inference.predictor import Predictor
from ..training.config import device_name, write_known
from ..viz.report import CURVES, figures_in, write_report
from .judge import find, judge, write_evaluation
from .notes import result_notes, split_notes
from .summary import as_text, summarize, table


def evaluate_validation(folder, config, learn):
    """Write `validation/` and `report.html` of the run in `folder`: its validation images by the weights of `learn`.

    `config` is that of the run as `config.json` has it; it gets what is known of its confidence. Returns the
    `Evaluation`.
    """
    predictor = Predictor([learn.model], config, learn.dls.device, learn.precision)
    errors, scatters = look_at(predictor, learn.dls.train_ds)
    config['calibration'], config['flat'] = calibrate(predictor, errors, scatters), flat_landmarks(predictor, scatters)
    write_known(folder, config)
    annotations = learn.dls.annotations.subset(np.flatnonzero(learn.dls.split == 'val'))
    out, options = folder / 'validation', OPTIONS | {'no_overlays': True}
    evaluation = find(predictor, annotations, config['train_image_dir'], out, options)
    sides = dict.fromkeys(annotations.image_names, 'val')
    notes = split_notes(evaluation, sides) + result_notes(evaluation, annotations)
    summary, figures = write_evaluation(out, evaluation, None, {}, notes)
    write_report(folder / 'report.html', config['experiment_name'], 'validation images of the training', summary,
                 figures + figures_in(folder / 'graph', CURVES), config, notes)
    print(f'report: {folder / "report.html"}')
    return evaluation


def evaluate_again(run, annotations, config):
    "The `Evaluation` of the finished `run`, of `config`, on the images of `annotations`, its validation images."
    predictor = load(run, device=device_name(config['device']), precision=config['precision'])
    return find(predictor, annotations, config['train_image_dir'], run / 'validation', OPTIONS | {'no_overlays': True})


def evaluate_folds(folder, config, annotations, fold_of, evaluations):
    """Write `cross_validation/` and `report.html` of the cross-validation in `folder`; returns the summary, a dict.

    Each image of `annotations` is predicted by the model of its fold, `fold_of` (n,), which was not trained on it:
    `evaluations` are those of the folds' validation images.
    """
    out, first = folder / 'cross_validation', evaluations[0]
    configs = [evaluation.predictor.config for evaluation in evaluations]
    for name in ('presence', 'flat'):  # what any of the models calls absent, or sees no place for
        config[name] = [landmark for landmark in annotations.names if any(landmark in c[name] for c in configs)]
    write_known(folder, config)
    predictor = copy(first.predictor)
    predictor.config = predictor.config | {name: config[name] for name in ('presence', 'flat')}
    found = Found(predictor.names, annotations.image_names)
    for evaluation in evaluations:
        found.rows |= evaluation.found.rows
        found.failed |= evaluation.found.failed
    found.write(out)
    evaluation = judge(predictor, annotations, first.image_dir, found, out)
    notes = ['Each image was predicted by the model that was not trained on it. It did choose the best epoch of that '
             'model, so errors are a little optimistic']
    notes += result_notes(evaluation, annotations)
    summary, figures = write_evaluation(out, evaluation, None, {}, notes)
    folds = fold_table(evaluation.scores, dict(zip(annotations.image_names, fold_of, strict=True)), summary)
    write_report(folder / 'report.html', config['experiment_name'], f'cross-validation with {len(evaluations)} folds',
                 summary, figures, config, notes, [('Folds', folds)])
    print(as_text(folds), as_text(table(summary)), *notes, f'report: {folder / "report.html"}', sep='\n')
    return summary


def fold_table(scores, fold_of, summary):
    "A row for all images of `scores` and one for each fold, as `table` has them for landmarks; `fold_of` by name."
    folds = np.array([fold_of[name] for name in scores.image_names])
    each = {f'fold {k}': summarize(scores.on(np.flatnonzero(folds == k)), summary['thresholds'])['overall']
            for k in sorted(set(folds))}
    (_, *header), rows = table(summary | {'landmarks': each})
    return ['images of', *header], rows
